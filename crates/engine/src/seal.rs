//! One token format for everything opaque: only this gate can open what it sealed, and only for the
//! purpose, principal, server and request it was sealed for.
//!
//! AES-256-GCM with a random nonce. The purpose and the owner are authenticated but not contained,
//! so a foreign token is indistinguishable from garbage. Text form: base64url without padding of
//! `key id (1) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`; the plain text is `expiry (8, Unix seconds) ‖
//! inner value`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

/// What a token is for. A token of one kind never opens as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The id of a legacy session.
    Session,
    /// A position in a list.
    Cursor,
    /// The state of a call that asked for input.
    RequestState,
    /// The name of a call that waits here for its client.
    Parked,
    /// The handle of a task.
    Task,
}

impl Kind {
    const fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Cursor => "cursor",
            Self::RequestState => "request-state",
            Self::Parked => "parked",
            Self::Task => "task",
        }
    }
}

/// Whom and what a token is bound to. Each part must be the same when the token comes back.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// What the token is for.
    pub kind: Kind,
    /// Who it was given to.
    pub principal: &'a str,
    /// The endpoint or server it belongs to.
    pub scope: &'a str,
    /// What else must be equal, such as the digest of the request; empty if nothing.
    pub request: &'a [u8],
}

/// Why a token does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsealable {
    /// It was not sealed here, not for this purpose, or not for this caller.
    Foreign,
    /// It was once good.
    Expired,
}

/// Seals and opens tokens with the key of this installation.
pub struct Sealer {
    key: LessSafeKey,
    nonces: hmac::Key,
    key_id: u8,
}

const NONCE_BYTES: usize = 12;
const EXPIRY_BYTES: usize = 8;
/// Longest token the gate opens; anything longer was not sealed here.
const TOKEN_BYTES_MAX: usize = sealed_len(1 << 20);

impl Sealer {
    /// Makes a sealer with a key of its own that ends with the process.
    pub fn ephemeral() -> Self {
        let mut key = [0; 32];
        rand::fill(&mut key).expect("the operating system gives random bytes");
        Self::from_key(&key)
    }

    /// Reads the key of this installation from `directory`, or makes it there with mode 0600.
    pub fn in_directory(directory: &Path) -> io::Result<Self> {
        let path = directory.join("seal.key");
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("sealing key {}: {error}", path.display()))
        };
        match fs::read(&path) {
            Ok(bytes) => {
                let key: [u8; 32] = bytes.try_into().map_err(|_| {
                    named(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "not 32 bytes; remove it to make a new one",
                    ))
                })?;
                Ok(Self::from_key(&key))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; 32];
                rand::fill(&mut key).map_err(|_| io::Error::other("no random bytes"))?;
                fs::create_dir_all(directory).map_err(named)?;
                write_private(&path, &key).map_err(named)?;
                Ok(Self::from_key(&key))
            }
            Err(error) => Err(named(error)),
        }
    }

    fn from_key(key: &[u8; 32]) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key);
        let key_id = digest.as_ref()[0];
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, digest.as_ref());
        let key = UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are an AES-256 key");
        Self { key: LessSafeKey::new(key), nonces, key_id }
    }

    /// Seals `inner` until `now + life`; times are Unix seconds.
    pub fn seal(&self, binding: &Binding<'_>, inner: &[u8], now: u64, life: Duration) -> String {
        let mut nonce = [0; NONCE_BYTES];
        rand::fill(&mut nonce).expect("the operating system gives random bytes");
        self.seal_with(nonce, binding, inner, now.saturating_add(life.as_secs()))
    }

    /// Seals without an expiry, and the same value always to the same token. The nonce is derived from
    /// all that is sealed, so that no two texts share one.
    pub fn seal_stable(&self, binding: &Binding<'_>, inner: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.nonces);
        context.update(&associated(binding));
        context.update(inner);
        let tag = context.sign();
        let nonce = tag.as_ref()[..NONCE_BYTES].try_into().expect("a tag is longer than a nonce");
        self.seal_with(nonce, binding, inner, u64::MAX)
    }

    fn seal_with(
        &self,
        nonce: [u8; NONCE_BYTES],
        binding: &Binding<'_>,
        inner: &[u8],
        expiry: u64,
    ) -> String {
        let mut text = Vec::with_capacity(EXPIRY_BYTES + inner.len() + 16);
        text.extend_from_slice(&expiry.to_be_bytes());
        text.extend_from_slice(inner);
        let associated = Aad::from(associated(binding));
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated, &mut text)
            .expect("sealing fails only for texts beyond 64 GiB");
        let mut token = Vec::with_capacity(1 + NONCE_BYTES + text.len());
        token.push(self.key_id);
        token.extend_from_slice(&nonce);
        token.extend_from_slice(&text);
        BASE64.encode(token)
    }

    /// Opens a token that was sealed with an equal binding.
    pub fn open(
        &self,
        binding: &Binding<'_>,
        token: &str,
        now: u64,
    ) -> Result<Vec<u8>, Unsealable> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Unsealable::Foreign);
        }
        let token = BASE64.decode(token).map_err(|_| Unsealable::Foreign)?;
        let (&key_id, rest) = token.split_first().ok_or(Unsealable::Foreign)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES).ok_or(Unsealable::Foreign)?;
        if key_id != self.key_id {
            return Err(Unsealable::Foreign);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable::Foreign)?;
        let mut sealed = sealed.to_vec();
        let text = self
            .key
            .open_in_place(nonce, Aad::from(associated(binding)), &mut sealed)
            .map_err(|_| Unsealable::Foreign)?;
        let (expiry, inner) = text.split_at_checked(EXPIRY_BYTES).ok_or(Unsealable::Foreign)?;
        let expiry = u64::from_be_bytes(expiry.try_into().map_err(|_| Unsealable::Foreign)?);
        if expiry <= now { Err(Unsealable::Expired) } else { Ok(inner.to_vec()) }
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The longest token of an inner value of `inner` bytes, as JSON text.
pub(crate) const fn sealed_len(inner: usize) -> usize {
    let sealed = 1 + NONCE_BYTES + EXPIRY_BYTES + inner + 16;
    sealed.div_ceil(3) * 4 + 2
}

/// The authenticated but not contained part: each field with its length, so that no two bindings
/// have the same bytes.
fn associated(binding: &Binding<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    let fields: [&[u8]; 4] = [
        binding.kind.label().as_bytes(),
        binding.principal.as_bytes(),
        binding.scope.as_bytes(),
        binding.request,
    ];
    for field in fields {
        out.extend_from_slice(&(field.len() as u64).to_be_bytes());
        out.extend_from_slice(field);
    }
    out
}

#[cfg(unix)]
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(not(unix))]
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Unix time in seconds.
pub(crate) fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINDING: Binding<'_> =
        Binding { kind: Kind::Cursor, principal: "p", scope: "/mcp", request: b"" };

    #[test]
    fn a_token_opens_only_for_what_it_was_sealed_for() {
        let sealer = Sealer::ephemeral();
        let token = sealer.seal(&BINDING, b"inner", 100, Duration::from_secs(10));
        assert_eq!(sealer.open(&BINDING, &token, 109).unwrap(), b"inner");
        assert_eq!(sealer.open(&BINDING, &token, 110), Err(Unsealable::Expired));
        for other in [
            Binding { kind: Kind::Task, ..BINDING },
            Binding { principal: "q", ..BINDING },
            Binding { scope: "/mcp2", ..BINDING },
            Binding { request: b"x", ..BINDING },
        ] {
            assert_eq!(sealer.open(&other, &token, 100), Err(Unsealable::Foreign));
        }
        assert_eq!(Sealer::ephemeral().open(&BINDING, &token, 100), Err(Unsealable::Foreign));
    }

    #[test]
    fn a_stable_token_is_the_same_each_time() {
        let sealer = Sealer::ephemeral();
        let token = sealer.seal_stable(&BINDING, b"task");
        assert_eq!(token, sealer.seal_stable(&BINDING, b"task"));
        assert_ne!(token, sealer.seal_stable(&BINDING, b"task2"));
        assert_eq!(sealer.open(&BINDING, &token, u64::MAX - 1).unwrap(), b"task");
    }

    #[test]
    fn tampering_is_noticed_everywhere() {
        let sealer = Sealer::ephemeral();
        let token = sealer.seal(&BINDING, b"inner", 100, Duration::from_secs(10));
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(bytes).unwrap();
            // The last character may carry padding bits that do not change the bytes.
            if BASE64.decode(&tampered).ok() != BASE64.decode(&token).ok() {
                assert_eq!(sealer.open(&BINDING, &tampered, 100), Err(Unsealable::Foreign));
            }
        }
        assert_eq!(sealer.open(&BINDING, "", 100), Err(Unsealable::Foreign));
    }

    #[test]
    fn the_key_survives_a_restart_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let token = Sealer::in_directory(directory.path()).unwrap().seal(
            &BINDING,
            b"x",
            100,
            Duration::from_secs(10),
        );
        let again = Sealer::in_directory(directory.path()).unwrap();
        assert_eq!(again.open(&BINDING, &token, 100).unwrap(), b"x");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode =
                fs::metadata(directory.path().join("seal.key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
