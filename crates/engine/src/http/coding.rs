//! Content codings of answers (RFC 9110 §8.4.1): which are read here, and undoing one piece by piece.
//!
//! Nothing of an answer is kept but the window of its coding, so what it costs is bounded whatever it
//! decodes to. Brotli and Zstandard are absent on purpose: there the sender chooses the window, up to
//! megabytes for each answer, and whoever can send those can send gzip.

use bytes::{Buf as _, Bytes};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use super::error::ClientError;

/// How an answer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950, and RFC 1951 alone, which some servers send under the same name.
    Deflate,
}

/// The codings, as a request offers them.
pub(super) const OFFERED: &str = "gzip, deflate";

/// The most that one piece decodes to. What is behind it is decoded when it is asked for.
const PIECE_BYTES_MAX: usize = 32 << 10;

impl Coding {
    /// The coding that the head of an answer names; `None` where it is not compressed.
    ///
    /// # Errors
    /// [`ClientError::Encoding`] for one that is not read, and for several.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, ClientError> {
        let mut found = None;
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                let coding = match name.to_ascii_lowercase().as_slice() {
                    b"" | b"identity" => continue,
                    b"gzip" | b"x-gzip" => Self::Gzip,
                    b"deflate" => Self::Deflate,
                    _ => return Err(refused(headers)),
                };
                if found.replace(coding).is_some() {
                    return Err(refused(headers));
                }
            }
        }
        Ok(found)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }
}

/// What is said of an answer whose coding is not read.
pub(super) fn refused(headers: &HeaderMap) -> ClientError {
    let names = headers.get_all(CONTENT_ENCODING).iter();
    let names: Vec<_> = names.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    ClientError::Encoding { encoding: names.join(", ") }
}

/// Undoes a coding.
pub(super) struct Decoder {
    coding: Coding,
    stage: Stage,
    /// What has been received and not yet decoded.
    input: Bytes,
    /// Where pieces are decoded to, again and again.
    scratch: Vec<u8>,
}

/// What comes next.
enum Stage {
    /// Nothing has come yet, which is an answer without a body.
    Start,
    /// The header of a member of gzip.
    Header(Header),
    Content(Box<Content>),
    /// The trailer of a member: so many bytes of it, which say this.
    Trailer {
        count: usize,
        read: u64,
        crc: Crc,
    },
    /// Between members, of which there may be one more.
    Between,
    /// The end; whatever follows is passed over, as browsers do.
    End,
}

struct Content {
    inflate: Decompress,
    crc: Crc,
}

type Broken = &'static str;

// === impl Decoder ===

impl Decoder {
    pub(super) fn new(coding: Coding) -> Self {
        Self { coding, stage: Stage::Start, input: Bytes::new(), scratch: Vec::new() }
    }

    /// Takes what came next. All that came before has been decoded.
    pub(super) fn feed(&mut self, input: Bytes) {
        debug_assert!(self.input.is_empty(), "what came before is decoded first");
        self.input = input;
    }

    /// The next piece of what has been fed; `None` when more must come first.
    pub(super) fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        self.next().map_err(|problem| self.broken(problem))
    }

    /// Whether what ends here is whole.
    pub(super) fn end(&self) -> Result<(), ClientError> {
        match self.stage {
            Stage::Start | Stage::Between | Stage::End => Ok(()),
            Stage::Header(_) | Stage::Content(_) | Stage::Trailer { .. } => {
                Err(self.broken("it ends too early"))
            }
        }
    }

    fn broken(&self, problem: Broken) -> ClientError {
        ClientError::Undecodable { encoding: self.coding.name(), problem }
    }

    fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            match &mut self.stage {
                // What is decoded may be in the decoder still when all input has been taken.
                Stage::Content(content) => {
                    self.scratch.clear();
                    self.scratch.reserve_exact(PIECE_BYTES_MAX);
                    let is_over = content.decode(&mut self.input, &mut self.scratch)?;
                    if is_over {
                        let crc = std::mem::take(&mut content.crc);
                        self.stage = match self.coding {
                            Coding::Gzip => Stage::Trailer { count: 0, read: 0, crc },
                            Coding::Deflate => Stage::End,
                        };
                    }
                    if !self.scratch.is_empty() {
                        // A copy of the right size: what is kept of a stream must not keep more.
                        return Ok(Some(Bytes::copy_from_slice(&self.scratch)));
                    }
                    if !is_over {
                        return Ok(None);
                    }
                }
                Stage::End => {
                    self.input.clear();
                    return Ok(None);
                }
                _ if self.input.is_empty() => return Ok(None),
                Stage::Start => self.stage = Stage::beginning(self.coding, self.input[0]),
                Stage::Header(header) => {
                    if header.takes(self.input.get_u8())? {
                        self.stage = Stage::content(false);
                    }
                }
                Stage::Trailer { count, read, crc } => {
                    *read |= u64::from(self.input.get_u8()) << (8 * *count);
                    *count += 1;
                    if *count == 8 {
                        // The checksum, and the length modulo 2³², each with its lowest byte first.
                        if *read != u64::from(crc.amount()) << 32 | u64::from(crc.sum()) {
                            return Err("its checksum is wrong");
                        }
                        self.stage = Stage::Between;
                    }
                }
                Stage::Between if self.input[0] == MAGIC[0] => {
                    self.stage = Stage::Header(Header::default());
                }
                Stage::Between => self.stage = Stage::End,
            }
        }
    }
}

impl Stage {
    /// What an answer of the coding begins with, by its first byte.
    fn beginning(coding: Coding, first: u8) -> Self {
        match coding {
            Coding::Gzip => Self::Header(Header::default()),
            // The method 8 of RFC 1950. Without that header it would be a block without compression
            // whose padding is not zero, which nobody writes.
            Coding::Deflate => Self::content(first & 0x0f == 8),
        }
    }

    fn content(has_zlib_header: bool) -> Self {
        let inflate = Decompress::new(has_zlib_header);
        Self::Content(Box::new(Content { inflate, crc: Crc::new() }))
    }
}

impl Content {
    /// Decodes as much of `input` as `output` has room for; whether the content is over.
    fn decode(&mut self, input: &mut Bytes, output: &mut Vec<u8>) -> Result<bool, Broken> {
        let before = self.inflate.total_in();
        let status = self
            .inflate
            .decompress_vec(input, output, FlushDecompress::None)
            .map_err(|_| "it is not what its name says")?;
        let taken = self.inflate.total_in() - before;
        input.advance(usize::try_from(taken).expect("no more than there was"));
        self.crc.update(output);
        Ok(status == Status::StreamEnd)
    }
}

/// The header of a member of gzip (RFC 1952 §2.3), as it comes. Nothing of it is needed.
#[derive(Default)]
struct Header {
    field: Field,
    /// Which fields are still to come.
    flags: u8,
}

enum Field {
    /// The ten bytes that every member begins with, from this one on.
    Fixed(usize),
    /// The length of the extra field; its lower byte, once that is there.
    ExtraLength(Option<u8>),
    /// The extra field, and how much of it is to come.
    Extra(u16),
    /// A name or a comment, which ends with a zero.
    Text,
    /// The checksum of the header, and how much of it is to come.
    Checksum(u8),
}

/// What every member begins with: two bytes to be known by, and the method, deflate.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
/// The flags of the fields, in the order of the fields; and those that have no meaning.
const CHECKSUM: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

impl Default for Field {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

impl Header {
    /// Takes the next byte; whether it is the header's last.
    fn takes(&mut self, byte: u8) -> Result<bool, Broken> {
        match &mut self.field {
            Field::Fixed(at) => {
                if MAGIC.get(*at).is_some_and(|magic| *magic != byte) {
                    return Err("it is not what its name says");
                }
                if *at == 3 {
                    self.flags = byte;
                    if byte & RESERVED != 0 {
                        return Err("its header has flags that have no meaning");
                    }
                }
                *at += 1;
                Ok(*at == 10 && self.is_last_field())
            }
            Field::ExtraLength(low @ None) => {
                *low = Some(byte);
                Ok(false)
            }
            Field::ExtraLength(Some(low)) => match u16::from_le_bytes([*low, byte]) {
                0 => Ok(self.is_last_field()),
                length => {
                    self.field = Field::Extra(length);
                    Ok(false)
                }
            },
            Field::Extra(left) => {
                *left -= 1;
                Ok(*left == 0 && self.is_last_field())
            }
            Field::Text => Ok(byte == 0 && self.is_last_field()),
            Field::Checksum(left) => {
                *left -= 1;
                Ok(*left == 0 && self.is_last_field())
            }
        }
    }

    /// Goes on to the next field, unless there is none.
    fn is_last_field(&mut self) -> bool {
        for (flag, field) in [
            (EXTRA, Field::ExtraLength(None)),
            (NAME, Field::Text),
            (COMMENT, Field::Text),
            (CHECKSUM, Field::Checksum(2)),
        ] {
            if self.flags & flag != 0 {
                self.flags &= !flag;
                self.field = field;
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// Everything that comes of the bytes, fed in pieces of `step`.
    fn decoded(coding: Coding, bytes: &[u8], step: usize) -> Result<Vec<u8>, ClientError> {
        let mut decoder = Decoder::new(coding);
        let mut whole = Vec::new();
        for input in bytes.chunks(step) {
            decoder.feed(Bytes::copy_from_slice(input));
            while let Some(piece) = decoder.piece()? {
                assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES_MAX);
                whole.extend_from_slice(&piece);
            }
        }
        decoder.end().map(|()| whole)
    }

    fn text() -> Vec<u8> {
        (0..200_000_u32).flat_map(|number| (number % 977).to_le_bytes()).collect()
    }

    #[test]
    fn what_was_encoded_is_decoded_however_it_comes() {
        let text = text();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(&text).unwrap();
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::fast());
        raw.write_all(&text).unwrap();
        let mut stored = DeflateEncoder::new(Vec::new(), Compression::none());
        stored.write_all(&text).unwrap();
        for (coding, bytes) in [
            (Coding::Gzip, gzip(&text)),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, raw.finish().unwrap()),
            (Coding::Deflate, stored.finish().unwrap()),
        ] {
            for step in [1, 7, 1000, bytes.len()] {
                assert!(decoded(coding, &bytes, step).unwrap() == text, "{coding:?} {step}");
            }
        }
    }

    #[test]
    fn every_field_of_a_header_is_passed_over() {
        let member = gzip(b"content");
        for flags in 0..32_u8 {
            let mut bytes = member[..10].to_vec();
            bytes[3] = flags;
            if flags & EXTRA != 0 {
                bytes.extend_from_slice(b"\x03\0a\0b");
            }
            if flags & NAME != 0 {
                bytes.extend_from_slice(b"name\0");
            }
            if flags & COMMENT != 0 {
                bytes.extend_from_slice(b"\0");
            }
            if flags & CHECKSUM != 0 {
                bytes.extend_from_slice(b"xx");
            }
            bytes.extend_from_slice(&member[10..]);
            assert_eq!(decoded(Coding::Gzip, &bytes, 1).unwrap(), b"content", "{flags:b}");
        }
        let mut empty_extra = member[..10].to_vec();
        empty_extra[3] = EXTRA;
        empty_extra.extend_from_slice(b"\0\0");
        empty_extra.extend_from_slice(&member[10..]);
        assert_eq!(decoded(Coding::Gzip, &empty_extra, 3).unwrap(), b"content");
    }

    #[test]
    fn members_follow_each_other_and_what_is_none_is_passed_over() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(decoded(Coding::Gzip, &two, 5).unwrap(), b"one two");
        for rest in [&b"\0\0\0"[..], b"rest"] {
            let bytes = [gzip(b"one"), rest.to_vec()].concat();
            assert_eq!(decoded(Coding::Gzip, &bytes, 2).unwrap(), b"one");
        }
    }

    #[test]
    fn nothing_is_an_empty_answer() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            assert_eq!(decoded(coding, b"", 1).unwrap(), b"");
        }
        assert_eq!(decoded(Coding::Gzip, &gzip(b""), 1).unwrap(), b"");
    }

    #[test]
    fn what_is_broken_is_an_error() {
        let whole = gzip(b"content content content");
        let said = |bytes: &[u8]| decoded(Coding::Gzip, bytes, 4).unwrap_err().to_string();
        for end in 1..whole.len() {
            assert!(said(&whole[..end]).contains("ends too early"), "{end}");
        }
        let mut wrong = whole.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert!(said(&wrong).contains("checksum"));
        let mut wrong = whole.clone();
        wrong[3] = 0x80;
        assert!(said(&wrong).contains("flags"));
        assert!(said(b"{\"not\":\"gzip\"}").contains("not what its name says"));
        let mut wrong = whole;
        wrong[10] = 0xff;
        assert!(said(&wrong).contains("not what its name says"));
        let said = decoded(Coding::Deflate, b"{\"not\":\"deflate\"}", 4).unwrap_err().to_string();
        assert!(said.contains("deflate"), "{said}");
    }

    #[test]
    fn no_bytes_make_it_panic_or_go_on_for_ever() {
        let whole = gzip(&text()[..4000]);
        let mut seed = 7_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 40).unwrap()
        };
        for _ in 0..3000 {
            let mut bytes = whole.clone();
            for _ in 0..=(random() % 4) {
                let at = random() % bytes.len();
                bytes[at] = u8::try_from(random() % 256).unwrap();
            }
            let step = 1 + random() % 900;
            let _ = decoded(Coding::Gzip, &bytes, step);
            let _ = decoded(Coding::Deflate, &bytes[10..], step);
        }
    }

    #[test]
    fn the_coding_is_what_the_head_says() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Coding::of(&headers).map_err(|error| error.to_string())
        };
        for plain in [&[][..], &["identity"], &[""], &["identity, Identity", "identity"]] {
            assert_eq!(of(plain), Ok(None), "{plain:?}");
        }
        for values in [&["gzip"][..], &["X-GZip"], &["identity", "gzip"], &[" gzip ,"]] {
            assert_eq!(of(values), Ok(Some(Coding::Gzip)), "{values:?}");
        }
        assert_eq!(of(&["DEFLATE"]), Ok(Some(Coding::Deflate)));
        for (values, said) in [
            (&["br"][..], "\"br\""),
            (&["gzip, deflate"], "gzip, deflate"),
            (&["gzip", "gzip"], "gzip, gzip"),
        ] {
            assert!(of(values).unwrap_err().contains(said), "{values:?}");
        }
    }
}
