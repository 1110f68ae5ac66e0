//! Which keys are watched for variants that another reader could take for the real ones.

/// Names of members the gate reads, shortest first. A key that equals one of them but for its case is
/// refused, because another parser might read it as the real one.
pub(super) struct Watched {
    names: &'static [&'static [u8]],
    /// `starts[n]` is where the names of length n start, and where those of length n - 1 end.
    starts: [u8; Self::LENGTH_MAX + 2],
}

impl Watched {
    /// No name is longer.
    const LENGTH_MAX: usize = 43;

    /// Notes at compile time where each length starts.
    const fn new(names: &'static [&'static [u8]]) -> Self {
        assert!(names.len() < 256, "positions fit a byte");
        let mut starts = [0; Self::LENGTH_MAX + 2];
        let (mut length, mut next) = (0, 0);
        while length < starts.len() {
            starts[length] = next;
            while (next as usize) < names.len() && names[next as usize].len() == length {
                next += 1;
            }
            length += 1;
        }
        assert!(next as usize == names.len(), "names stand shortest first and are not too long");
        Self { names, starts }
    }

    /// The names as long as `key`: all that a key can be a variant of.
    #[inline]
    pub(super) fn as_long_as(&self, key: &[u8]) -> &'static [&'static [u8]] {
        match self.starts.get(key.len()..key.len() + 2) {
            Some(&[start, end]) => &self.names[usize::from(start)..usize::from(end)],
            _ => &[],
        }
    }
}

static READ_IN_ENVELOPE: Watched =
    Watched::new(&[b"id", b"error", b"method", b"params", b"result", b"jsonrpc"]);
static READ_IN_BODY: Watched = Watched::new(&[
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
]);
static READ_IN_META: Watched = Watched::new(&[
    b"progressToken",
    b"io.modelcontextprotocol/logLevel",
    b"io.modelcontextprotocol/clientInfo",
    b"io.modelcontextprotocol/serverInfo",
    b"io.modelcontextprotocol/subscriptionId",
    b"io.modelcontextprotocol/protocolVersion",
    b"io.modelcontextprotocol/clientCapabilities",
]);
static READ_IN_INNER: Watched = Watched::new(&[]);

/// How an object is treated by the scanner: which keys are watched, whether its members are noted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Envelope,
    Body,
    Meta,
    Inner,
}

impl Place {
    #[inline]
    pub(super) fn watched(self) -> &'static Watched {
        match self {
            Self::Envelope => &READ_IN_ENVELOPE,
            Self::Body => &READ_IN_BODY,
            Self::Meta => &READ_IN_META,
            Self::Inner => &READ_IN_INNER,
        }
    }

    #[inline]
    pub(super) fn child(self, key: &[u8]) -> Self {
        match (self, key) {
            (Self::Envelope, b"params" | b"result" | b"error") => Self::Body,
            (Self::Body, b"_meta") => Self::Meta,
            _ => Self::Inner,
        }
    }
}
