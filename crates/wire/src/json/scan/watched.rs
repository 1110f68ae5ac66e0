//! Which members the gate reads, and which keys another reader could take for them.

/// Names of members the gate reads, shortest first. A key that equals one of them but for its case is
/// refused, because another parser might read it as the real one.
struct Watched {
    names: &'static [Watch],
    /// `starts[n]` is where the names of length n start, and where those of length n - 1 end.
    starts: [u8; Self::LENGTH_MAX + 2],
}

#[derive(Clone, Copy)]
struct Watch {
    text: &'static [u8],
    /// The first eight bytes, filled up with NUL.
    first: u64,
}

impl Watch {
    const fn new(text: &'static [u8]) -> Self {
        let (mut first, mut at) = ([0; 8], 0);
        while at < text.len() && at < 8 {
            first[at] = text[at];
            at += 1;
        }
        Self { text, first: u64::from_le_bytes(first) }
    }
}

const fn watch<const N: usize>(texts: [&'static [u8]; N]) -> [Watch; N] {
    let (mut watched, mut at) = ([Watch::new(b""); N], 0);
    while at < N {
        watched[at] = Watch::new(texts[at]);
        at += 1;
    }
    watched
}

/// Which of the members that the gate reads in one place a key is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Name(pub(super) u8);

/// A key that differs from a member the gate reads in case, and in nothing else.
pub(super) struct Variant;

impl Watched {
    /// No name is longer.
    const LENGTH_MAX: usize = 43;

    /// Notes at compile time where each length starts.
    const fn new(names: &'static [Watch]) -> Self {
        assert!(names.len() < 256, "positions fit a byte");
        let mut starts = [0; Self::LENGTH_MAX + 2];
        let (mut length, mut next) = (0, 0);
        while length < starts.len() {
            starts[length] = next;
            while (next as usize) < names.len() && names[next as usize].text.len() == length {
                next += 1;
            }
            length += 1;
        }
        assert!(next as usize == names.len(), "names stand shortest first and are not too long");
        Self { names, starts }
    }

    /// The names as long as a key, all that it can be or be a variant of, and the place of the first.
    #[inline]
    fn as_long_as(&self, key: &[u8]) -> (&'static [Watch], u8) {
        match self.starts.get(key.len()..key.len() + 2) {
            Some(&[start, end]) => (&self.names[usize::from(start)..usize::from(end)], start),
            _ => (&[], 0),
        }
    }
}

static READ_IN_ENVELOPE: Watched =
    Watched::new(&const { watch([b"id", b"error", b"method", b"params", b"result", b"jsonrpc"]) });
static READ_IN_BODY: Watched = Watched::new(
    &const {
        watch([
            b"ref",
            b"uri",
            b"code",
            b"data",
            b"name",
            b"task",
            b"_meta",
            b"level",
            b"tools",
            b"ttlMs",
            b"cursor",
            b"taskId",
            b"content",
            b"isError",
            b"message",
            b"prompts",
            b"contents",
            b"arguments",
            b"requestId",
            b"resources",
            b"cacheScope",
            b"clientInfo",
            b"nextCursor",
            b"resultType",
            b"serverInfo",
            b"capabilities",
            b"instructions",
            b"requestState",
            b"inputRequests",
            b"notifications",
            b"progressToken",
            b"inputResponses",
            b"protocolVersion",
            b"resourceTemplates",
            b"structuredContent",
            b"supportedVersions",
        ])
    },
);
/// Where `_meta` stands in [`READ_IN_BODY`].
const META: u8 = 6;
const _: () = assert!(matches!(READ_IN_BODY.names[META as usize].text, b"_meta"));

static READ_IN_META: Watched = Watched::new(
    &const {
        watch([
            b"progressToken",
            b"io.modelcontextprotocol/logLevel",
            b"io.modelcontextprotocol/clientInfo",
            b"io.modelcontextprotocol/serverInfo",
            b"io.modelcontextprotocol/subscriptionId",
            b"io.modelcontextprotocol/protocolVersion",
            b"io.modelcontextprotocol/clientCapabilities",
        ])
    },
);
static READ_IN_INNER: Watched = Watched::new(&[]);

/// The members of the envelope that JSON-RPC knows, in the order of [`READ_IN_ENVELOPE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Id,
    Error,
    Method,
    Params,
    Result,
    Jsonrpc,
}

impl Part {
    pub(super) const COUNT: usize = READ_IN_ENVELOPE.names.len();
}

/// How an object is treated by the scanner: which keys are watched, whether its members are noted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Envelope,
    Body,
    Meta,
    /// The outermost object of a text that is no message.
    Outer,
    Inner,
}

impl Place {
    /// Which member that the gate reads here a key is, if any; `first` is its first word.
    #[inline(never)]
    pub(super) fn name(self, key: &[u8], first: u64) -> Result<Option<Name>, Variant> {
        /// Upper and lower case of a letter differ in this bit.
        const CASE: u64 = 0x2020_2020_2020_2020;
        let (names, mut at) = self.watched().as_long_as(key);
        for name in names {
            if name.first == first && (key.len() <= 8 || name.text == key) {
                return Ok(Some(Name(at)));
            }
            at += 1;
            if (name.first ^ first) & !CASE != 0 {
                continue;
            }
            if name.text.eq_ignore_ascii_case(key) {
                return Err(Variant);
            }
        }
        Ok(None)
    }

    /// Whether a key is a member the gate reads here, in whatever case.
    pub(super) fn has_name(self, key: &[u8]) -> bool {
        let (names, _) = self.watched().as_long_as(key);
        names.iter().any(|name| name.text.eq_ignore_ascii_case(key))
    }

    #[inline]
    fn watched(self) -> &'static Watched {
        match self {
            Self::Envelope => &READ_IN_ENVELOPE,
            Self::Body => &READ_IN_BODY,
            Self::Meta => &READ_IN_META,
            Self::Outer | Self::Inner => &READ_IN_INNER,
        }
    }

    /// The place of the object at a member.
    #[inline]
    pub(super) fn child(self, name: Option<Name>) -> Self {
        const PARAMS: u8 = Part::Params as u8;
        const RESULT: u8 = Part::Result as u8;
        const ERROR: u8 = Part::Error as u8;
        match (self, name) {
            (Self::Envelope, Some(Name(PARAMS | RESULT | ERROR))) => Self::Body,
            (Self::Body, Some(Name(META))) => Self::Meta,
            _ => Self::Inner,
        }
    }
}
