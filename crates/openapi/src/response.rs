//! An answer of an API as the result of a tool: content for the model, structured content for programs.
//!
//! What the answer is, its content type says; where that is missing or wrong, the bytes do. Structured
//! content is given only if it is valid by the tool's `outputSchema`. Clients take a tool that has one
//! at its word, and refuse a result without structured content unless it is an error; so a success of
//! the API that breaks the promise becomes one that says that the request was carried out.

use bytes::Bytes;
use wire::json::{Json, Object, ObjectWriter, write_string};

use crate::document::Documents;
use crate::model::Status;
use crate::request::xml::Shapes;
use crate::tool::{MediaKind, Tool};
use next::Pager;

mod error;
mod media;
mod next;
mod paging;
mod promise;
mod status;
mod stream;
mod text;
mod xml;

pub use paging::{Paging, Spot, Step};
pub use promise::Misfit;
pub use stream::{Collector, Item, TooLong};

/// An answer of an API, decompressed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Whether the body goes on, and was not read any further.
    pub is_partial: bool,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }
}

/// Bounds of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest text in bytes; longer ones are cut.
    pub text_bytes_max: usize,
    /// Longest image, recording or other file in bytes; longer ones are only mentioned.
    pub file_bytes_max: usize,
    /// Longest text of an error's body in bytes.
    pub error_bytes_max: usize,
    /// Bounds of JSON that is read.
    pub json: wire::Limits,
}

impl Default for Limits {
    /// Texts of 256 KiB, files of 8 MiB, 4 KiB of an error; JSON as servers may send it, of a depth that
    /// leaves room for the message around it.
    fn default() -> Self {
        Self {
            text_bytes_max: 256 << 10,
            file_bytes_max: 8 << 20,
            error_bytes_max: 4 << 10,
            // The message around a result nests, too.
            json: wire::Limits { depth: wire::Limits::SERVER.depth - 4, ..wire::Limits::SERVER },
        }
    }
}

/// What is known of the call that an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The arguments that the client gave.
    pub arguments: &'a Object,
    /// The URI under which a file of the answer is embedded.
    pub uri: &'a str,
}

/// The same, with what is known of the tool.
#[derive(Clone, Copy)]
struct Context<'a> {
    /// How the next page is found.
    pager: &'a Pager,
    arguments: &'a Object,
    uri: &'a str,
}

/// The result of a tool, by its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interpreted {
    /// `content`: JSON of each block.
    pub content: Vec<Json>,
    /// `structuredContent`, if it is valid.
    pub structured: Option<Json>,
    /// `isError`.
    pub is_error: bool,
    /// `_meta`: key and value.
    pub meta: Vec<(&'static str, Json)>,
    /// What of the tool's `outputSchema` the answer breaks, where it does: for the operator, who alone
    /// can mend it. Clients read it in `content`.
    pub broken: Option<Misfit>,
}

impl Interpreted {
    fn text(text: &str) -> Self {
        Self { content: vec![text_block(text)], ..Self::default() }
    }

    /// The result cannot be structured content, whatever the tool promises.
    fn not_json(mut self, why: &'static str) -> Self {
        self.broken = Some(why.into());
        self
    }

    /// Says in `_meta` what is unusual.
    fn note(&mut self, note: &str) {
        match self.meta.iter_mut().find(|(key, _)| *key == NOTE) {
            Some((_, said)) => {
                let before = said.text().unwrap_or_default();
                *said = Json::string(&format!("{before}; {note}"));
            }
            None => self.meta.push((NOTE, Json::string(note))),
        }
    }

    /// Says it to the model, too, which sees no `_meta`.
    fn remark(&mut self, note: &str) {
        self.note(note);
        self.content.push(text_block(&format!("Note: {note}.")));
    }

    /// The result as the JSON object of `tools/call`, without what only some versions have.
    pub fn to_json(&self) -> Json {
        let mut object = ObjectWriter::with_capacity(self.bytes());
        self.write(&mut object);
        object.finish().to_json(&[])
    }

    /// Appends the members of the result to an object.
    pub fn write(&self, object: &mut ObjectWriter) {
        object.member("content", |out| {
            for (at, block) in self.content.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                out.extend_from_slice(block.as_bytes());
            }
            out.extend_from_slice(if self.content.is_empty() { b"[]" } else { b"]" });
        });
        if let Some(structured) = &self.structured {
            object.member("structuredContent", |out| out.extend_from_slice(structured.as_bytes()));
        }
        let is_error: &[u8] = if self.is_error { b"true" } else { b"false" };
        object.member("isError", |out| out.extend_from_slice(is_error));
        if self.meta.is_empty() {
            return;
        }
        object.member("_meta", |out| {
            for (at, (key, value)) in self.meta.iter().enumerate() {
                out.push(if at == 0 { b'{' } else { b',' });
                write_string(out, key);
                out.push(b':');
                out.extend_from_slice(value.as_bytes());
            }
            out.push(b'}');
        });
    }

    /// About how long the result is as text, in bytes.
    pub fn bytes(&self) -> usize {
        let structured = self.structured.as_ref().map_or(0, |it| it.as_bytes().len());
        let content: usize = self.content.iter().map(|it| it.as_bytes().len() + 1).sum();
        let meta: usize =
            self.meta.iter().map(|(key, it)| key.len() + it.as_bytes().len() + 4).sum();
        structured + content + meta + 128
    }
}

/// `_meta`: the HTTP status, where it says more than that all is well.
const STATUS: &str = "io.portcullis/status";
/// `_meta`: `Retry-After` as the API wrote it.
const RETRY_AFTER: &str = "io.portcullis/retryAfter";
/// `_meta`: what is unusual about the result.
const NOTE: &str = "io.portcullis/note";
/// `_meta`: how to get what follows.
const NEXT: &str = "io.portcullis/next";

fn text_block(text: &str) -> Json {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4 + 32);
    out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
    write_string(&mut out, text);
    out.push(b'}');
    Json::trusted(out)
}

/// What of the answers to a tool's calls is known before any call.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    declared: Vec<Declared>,
    /// Whether the tool has an `outputSchema`.
    is_promised: bool,
    /// How the next page is found.
    pager: Pager,
}

#[derive(Clone, Debug)]
struct Declared {
    status: Status,
    /// Media types in lower case, without parameters.
    types: Vec<String>,
    /// What XML means.
    shapes: Option<Shapes>,
}

impl Answers {
    /// Prepares the answers to a tool's calls.
    pub fn new(tool: &Tool, documents: &Documents) -> Self {
        let of_response = |response: &crate::model::Response| {
            let is_xml =
                |it: &&crate::model::Media| MediaKind::of(&it.media_type) == MediaKind::Xml;
            let schema = response.media.iter().find(is_xml).and_then(|it| it.schema);
            Declared {
                status: response.status,
                types: response.media.iter().map(|it| media::essence(&it.media_type)).collect(),
                shapes: schema.map(|schema| Shapes::read(documents, schema)),
            }
        };
        Self {
            declared: tool.operation.responses.iter().map(of_response).collect(),
            is_promised: promise::is_made(&tool.definition),
            pager: Pager::new(tool),
        }
    }

    /// Headers of answers that results are made of besides the usual ones, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.pager.headers()
    }

    fn context<'a>(&'a self, call: &Call<'a>) -> Context<'a> {
        let Call { arguments, uri } = *call;
        Context { pager: &self.pager, arguments, uri }
    }

    /// The result that an answer is. `fits` says what of a value is not valid by the tool's
    /// `outputSchema`, if it has one; it is asked for successful answers only.
    pub fn interpret(
        &self,
        answer: &Answer,
        call: &Call<'_>,
        limits: &Limits,
        fits: &dyn Fn(&Json) -> Result<(), Misfit>,
    ) -> Interpreted {
        let call = &self.context(call);
        let mut result = match answer.status {
            200..=299 => self.success(answer, call, limits, fits),
            300..=399 => redirect(answer),
            _ => error::result(answer, limits),
        };
        promise::settle(&mut result, self.is_promised, Some(answer.status));
        if answer.status != 200 {
            result.meta.push((STATUS, Json::trusted(answer.status.to_string())));
        }
        result
    }

    /// The result of a stream whose items were collected while it came in.
    pub fn collected(
        &self,
        items: &[Item],
        is_partial: bool,
        call: &Call<'_>,
        limits: &Limits,
        fits: &dyn Fn(&Json) -> Result<(), Misfit>,
    ) -> Interpreted {
        let mut result = stream::result(items, is_partial, &self.context(call), limits, fits);
        promise::settle(&mut result, self.is_promised, None);
        result
    }

    fn success(
        &self,
        answer: &Answer,
        call: &Context<'_>,
        limits: &Limits,
        fits: &dyn Fn(&Json) -> Result<(), Misfit>,
    ) -> Interpreted {
        if answer.body.is_empty() {
            return empty(answer);
        }
        let declared = self.declared_for(answer.status);
        let kind =
            media::Kind::of(answer, declared.map(|it| it.types.as_slice()).unwrap_or_default());
        match &kind {
            media::Kind::Json { is_stated } => json(answer, *is_stated, call, limits, fits),
            media::Kind::Stream => {
                let (items, is_partial) = stream::collect(answer, limits);
                stream::result(&items, is_partial, call, limits, fits)
            }
            media::Kind::Xml => {
                xml(answer, declared.and_then(|it| it.shapes.as_ref()), call, limits, fits)
            }
            media::Kind::Html => {
                let text = text::decode(answer);
                let mut result = shortened(&text::without_tags(&text), answer, call, limits);
                result.remark(
                    "the API answered with a page of HTML, which may be a login or an error; this is \
                     its text without tags",
                );
                result.not_json("it is a page of HTML")
            }
            media::Kind::Text => {
                shortened(&text::decode(answer), answer, call, limits).not_json("it is plain text")
            }
            media::Kind::File(media_type) => {
                media::file(answer, media_type, call, limits).not_json("it is a file")
            }
        }
    }

    /// What the document says about a status: exactly, by its hundred, or by default.
    fn declared_for(&self, status: u16) -> Option<&Declared> {
        let find = |wanted: Status| self.declared.iter().find(|it| it.status == wanted);
        let hundred = u8::try_from(status / 100).unwrap_or_default();
        find(Status::Code(status))
            .or_else(|| find(Status::Range(hundred)))
            .or_else(|| find(Status::Default))
    }
}

fn json(
    answer: &Answer,
    is_stated: bool,
    call: &Context<'_>,
    limits: &Limits,
    fits: &dyn Fn(&Json) -> Result<(), Misfit>,
) -> Interpreted {
    let text = text::decode_bytes(answer);
    let parsed = Json::parse_with_members(text.clone(), &limits.json);
    let (json, members) = match parsed {
        Ok(parsed) if !answer.is_partial => parsed,
        Ok(_) | Err(_) => {
            let mut result = shortened(&String::from_utf8_lossy(&text), answer, call, limits);
            if let Err(why) = parsed
                && !answer.is_partial
            {
                result.remark(&format!("the answer cannot be read as JSON: {why}"));
                result = result.not_json("it cannot be read as JSON");
            }
            return result;
        }
    };
    let mut result = structured(&json, members.as_ref(), json.as_str(), answer, call, limits, fits);
    if !is_stated {
        let stated = answer.header("content-type").unwrap_or("no type");
        result.note(&format!("the answer is JSON, although it says `{stated}`"));
    }
    result
}

/// Structured content, if it is valid and not too long, with its text and the way to what follows.
fn structured(
    json: &Json,
    members: Option<&Object>,
    text: &str,
    answer: &Answer,
    call: &Context<'_>,
    limits: &Limits,
    fits: &dyn Fn(&Json) -> Result<(), Misfit>,
) -> Interpreted {
    let next = next::find(answer, Some(json), members, call);
    let mut result = Interpreted::default();
    if text.len() > limits.text_bytes_max {
        result = shortened(text, answer, call, limits);
    } else {
        result.content.push(text_block(text));
        match fits(json) {
            Ok(()) => result.structured = Some(json.clone()),
            Err(misfit) => result.broken = Some(misfit),
        }
    }
    if let Some(next) = next {
        result.content.push(text_block(&next.sentence()));
        result.meta.push((NEXT, next.to_json()));
    }
    result
}

fn xml(
    answer: &Answer,
    shapes: Option<&Shapes>,
    call: &Context<'_>,
    limits: &Limits,
    fits: &dyn Fn(&Json) -> Result<(), Misfit>,
) -> Interpreted {
    let text = text::decode(answer);
    let root = if answer.is_partial { None } else { xml::parse(&text) };
    let Some(root) = root else {
        let mut result = shortened(&text, answer, call, limits);
        if !answer.is_partial {
            result.remark("the answer is not the XML that it says it is");
            result = result.not_json("it is not the XML that it says it is");
        }
        return result;
    };
    let json = xml::to_json(&root, shapes);
    let Err(misfit) = fits(&json) else {
        let members = json.object();
        return structured(&json, members.as_ref(), json.as_str(), answer, call, limits, fits);
    };
    Interpreted { broken: Some(misfit), ..shortened(&text, answer, call, limits) }
}

/// A text, cut where it is too long.
fn shortened(text: &str, answer: &Answer, call: &Context<'_>, limits: &Limits) -> Interpreted {
    let (kept, is_cut) = text::cut(text, limits.text_bytes_max);
    let mut result = Interpreted::text(kept);
    if is_cut || answer.is_partial {
        let whole = if answer.is_partial { "more than " } else { "" };
        let narrow = next::narrowing(call);
        let sentence = format!(
            "The result was cut: these are {} of {whole}{} bytes. {narrow}",
            kept.len(),
            text.len().max(answer.body.len()),
        );
        result.content.push(text_block(&sentence));
        result.note("the result was cut because of its size");
        return result.not_json("it is longer than what is passed on");
    }
    result
}

/// Headers of an answer without a body that say something about what was done.
const TELLING: [&str; 7] = [
    "location",
    "content-location",
    "etag",
    "last-modified",
    "retry-after",
    "x-total-count",
    "content-length",
];

/// Headers of answers that results are made of, in lower case: those of [`Answers::headers`] come on
/// top.
pub const HEADERS: [&str; 11] = [
    "content-type",
    "content-disposition",
    "content-range",
    "link",
    TELLING[0],
    TELLING[1],
    TELLING[2],
    TELLING[3],
    TELLING[4],
    TELLING[5],
    TELLING[6],
];

fn empty(answer: &Answer) -> Interpreted {
    let done = format!("Done: HTTP {}, without a body.", status::name(answer.status));
    Interpreted::text(&told(done, answer)).not_json("it has no body")
}

/// A text with what the headers say.
fn told(mut text: String, answer: &Answer) -> String {
    for name in TELLING {
        if let Some(value) = answer.header(name).filter(|value| *value != "0") {
            let (value, _) = text::cut(value, 500);
            text.extend(["\n", name, ": ", value]);
        }
    }
    text
}

/// Redirects are not followed: whoever is at the other end was not meant to get the credentials.
fn redirect(answer: &Answer) -> Interpreted {
    let status = status::name(answer.status);
    let to = answer.header("location").map(without_secrets);
    match (answer.status, to) {
        (304, _) => {
            let text = format!("HTTP {status}: nothing has changed.");
            Interpreted::text(&told(text, answer)).not_json("it has no body")
        }
        // What was asked has been done, and the outcome is elsewhere (RFC 9110, section 15.4.4).
        (303, Some(to)) => Interpreted::text(&format!(
            "Done: HTTP {status}. The API shows the outcome at {to}, which was not read."
        ))
        .not_json("it has no body"),
        (_, Some(to)) => Interpreted {
            is_error: true,
            ..Interpreted::text(&format!(
                "HTTP {status}: the API redirects to {to}, which is not followed. What was asked may \
                 have been done all the same. If the API has moved, the operator must change its \
                 address."
            ))
        },
        (_, None) => Interpreted {
            is_error: true,
            ..Interpreted::text(&format!("HTTP {status}: the API redirects without saying where."))
        },
    }
}

/// An address without what may be a secret in it: no user, no query, no fragment.
fn without_secrets(address: &str) -> String {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let (address, _) = text::cut(&address[..end], 500);
    match address.split_once("//") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit('@').next().unwrap_or(host);
            format!("`{scheme}//{host}{path}`")
        }
        None => format!("`{address}`"),
    }
}

#[cfg(test)]
mod tests;
