//! What crosses between versions, and how: the one table that the test asserts and the page prints.

use wire::Version;

use self::Verdict::{Absent, Exact, Impossible, Lossy};

const MARCH: Version = Version::V2025_03_26;
const JUNE: Version = Version::V2025_06_18;
const NOVEMBER: Version = Version::V2025_11_25;
const MODERN: Version = Version::V2026_07_28;

/// Something that a client and a server do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feature {
    Call,
    Structured,
    StructuredList,
    Content,
    Form,
    Url,
    UrlFirst,
    Sample,
    Roots,
    TwoAtOnce,
    TwoRounds,
    ListChanged,
    Subscribe,
    Progress,
    Log,
    Cancel,
    Paging,
    Completion,
    Task,
    TaskAsks,
}

impl Feature {
    pub(super) const ALL: [Self; 20] = [
        Self::Call,
        Self::Structured,
        Self::StructuredList,
        Self::Content,
        Self::Form,
        Self::Url,
        Self::UrlFirst,
        Self::Sample,
        Self::Roots,
        Self::TwoAtOnce,
        Self::TwoRounds,
        Self::ListChanged,
        Self::Subscribe,
        Self::Progress,
        Self::Log,
        Self::Cancel,
        Self::Paging,
        Self::Completion,
        Self::Task,
        Self::TaskAsks,
    ];

    /// Its heading on the page.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Call => "Calls",
            Self::Structured => "Structured results",
            Self::StructuredList => "Structured results that are no object",
            Self::Content => "Kinds of content",
            Self::Form => "Elicitation: forms",
            Self::Url => "Elicitation: URLs",
            Self::UrlFirst => "`-32042` URL elicitation required",
            Self::Sample => "Sampling",
            Self::Roots => "Roots",
            Self::TwoAtOnce => "Two questions at once",
            Self::TwoRounds => "Two questions, one after the other",
            Self::ListChanged => "Changed lists",
            Self::Subscribe => "Subscribed resources",
            Self::Progress => "Progress",
            Self::Log => "Log messages",
            Self::Cancel => "Cancellation",
            Self::Paging => "Pages of lists",
            Self::Completion => "Completion",
            Self::Task => "Tasks",
            Self::TaskAsks => "Questions of tasks",
        }
    }

    /// What it is in each era, and what the gate does in between.
    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Call => {
                "Tools, prompts and resources are called in every version. Towards modern clients \
                 `resultType` and the cache hints are added, towards legacy clients removed; \
                 -32002 and -32602 for a resource that is not there become each other."
            }
            Self::Structured => {
                "`structuredContent` and `outputSchema` came with 2025-06-18. Older servers answer \
                 with text alone, and that passes."
            }
            Self::StructuredList => {
                "Only since 2026-07-28 may `structuredContent` be any value, and the root of an \
                 `outputSchema` something else than an object."
            }
            Self::Content => {
                "Audio came with 2025-03-26, resource links with 2025-06-18. Text, images and \
                 embedded resources are in every version. Icons (2025-11-25) and titles \
                 (2025-06-18) are left out for clients of older versions."
            }
            Self::Form => {
                "Legacy servers send `elicitation/create` in the middle of a call, modern ones \
                 answer with `input_required`. For a modern client of a legacy server the call \
                 waits at the gate and goes on with the retry; for a legacy client of a modern \
                 server the gate asks, and sends the call again with the answers."
            }
            Self::Url => {
                "A URL for the user to visit, since 2025-11-25. In 2026-07-28 there is neither \
                 `elicitationId` nor `notifications/elicitation/complete`: a client of 2025-11-25 \
                 gets an id that the gate makes, and hears that the user has finished once a \
                 modern server goes on."
            }
            Self::UrlFirst => {
                "A server of 2025-11-25 may refuse a call until the user has visited a URL, and \
                 leaves it to the client to call again. A modern client gets `input_required` \
                 instead; the gate calls the server again once the client has accepted."
            }
            Self::Sample => {
                "Legacy servers send `sampling/createMessage`, modern ones ask for it with \
                 `input_required`. Content that the client's version lacks becomes text; questions \
                 with tools need a client that declares `sampling.tools` (2025-11-25)."
            }
            Self::Roots => {
                "Legacy servers send `roots/list`, modern ones ask for it with `input_required`. \
                 `notifications/roots/list_changed` ends at the gate where eras differ: modern \
                 servers ask again each time."
            }
            Self::TwoAtOnce => {
                "Tested with a form and sampling, and where one side is older than forms, with \
                 sampling and roots. A modern client is asked what comes together in one round; a \
                 legacy client is sent one request for each."
            }
            Self::TwoRounds => {
                "Each question is a round of its own: a modern server sees one request more than \
                 there are rounds, a legacy server sees one."
            }
            Self::ListChanged => {
                "`notifications/…/list_changed` come on a session's own stream, or on a \
                 `subscriptions/listen` stream that asked for them. The gate listens once for each \
                 server and credential, and tells everybody who wants to know."
            }
            Self::Subscribe => {
                "`resources/subscribe` and `resourceSubscriptions` of a listen stream are one and \
                 the same to the gate. After a lost connection it subscribes again and reports a \
                 change, since there may have been one."
            }
            Self::Progress => {
                "Progress of a call is passed on under the client's own token. `message` came with \
                 2025-03-26; older clients ignore it."
            }
            Self::Log => {
                "A session sets its level with `logging/setLevel`, a modern request carries its \
                 own, and without one it hears nothing."
            }
            Self::Cancel => {
                "A modern client closes the stream of its call, a legacy one sends \
                 `notifications/cancelled`; the server hears of it in the way of its own version. \
                 A legacy client that loses its connection cancels nothing."
            }
            Self::Paging => "Cursors are sealed by the gate and mean the same in every version.",
            Self::Completion => {
                "`completion/complete` is in every version; `context` (2025-06-18) passes."
            }
            Self::Task => {
                "In 2025-11-25 the client asks for a task with a call, in the extension \
                 `io.modelcontextprotocol/tasks` of 2026-07-28 the server decides for clients that \
                 declare it. Task ids are sealed: nobody else can use one."
            }
            Self::TaskAsks => {
                "A task of 2025-11-25 asks on the stream of `tasks/result`, one of the extension \
                 shows its questions in `tasks/get` and takes the answers with `tasks/update`. For a \
                 client without tasks the gate follows the task and asks in the call. \
                 Tested with a form, and where one side is older than forms, with sampling."
            }
        }
    }
}

/// How a feature crosses from a client of one version to a server of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As if both were of one version.
    Exact,
    /// It works; this is what is different.
    Lossy(&'static str),
    /// It cannot work, and ends in a defined error.
    Impossible { why: &'static str, error: Refusal },
    /// The server's version has nothing of the kind.
    Absent(&'static str),
}

/// The error in which an impossible tool call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server's -32021 becomes a result with `isError` and the reason
    /// `interaction-unavailable`, which has the server's own words and names the client's version.
    Gate,
    /// The server's own, as it is: it was told that the client cannot be asked.
    Server,
}

/// All pairs of a client's and a server's version.
pub(super) fn versions() -> impl Iterator<Item = (Version, Version)> {
    Version::ALL.into_iter().flat_map(|client| Version::ALL.map(|server| (client, server)))
}

/// The verdict for `feature` between a client and a server of these versions.
pub(super) fn verdict(feature: Feature, client: Version, server: Version) -> Verdict {
    match feature {
        Feature::Call
        | Feature::Sample
        | Feature::Roots
        | Feature::TwoAtOnce
        | Feature::TwoRounds
        | Feature::ListChanged
        | Feature::Subscribe
        | Feature::Progress
        | Feature::Cancel
        | Feature::Paging
        | Feature::Completion => Exact,
        Feature::Structured => structured(client, server),
        Feature::StructuredList => structured_list(client, server),
        Feature::Content => content(client, server),
        Feature::Form => form(client, server),
        Feature::Url => url(client, server),
        Feature::UrlFirst => url_first(client, server),
        Feature::Log => log(client, server),
        Feature::Task | Feature::TaskAsks => task(client, server),
    }
}

fn structured(client: Version, server: Version) -> Verdict {
    if server < JUNE {
        Absent("the server's version knows text alone")
    } else if client < JUNE {
        Lossy("the value comes as text; `outputSchema` is left out")
    } else {
        Exact
    }
}

fn structured_list(client: Version, server: Version) -> Verdict {
    if server < MODERN {
        Absent("the server's version has objects alone")
    } else if client < JUNE {
        Lossy("the value comes as text; `outputSchema` is left out")
    } else if client < MODERN {
        Lossy("value and schema are wrapped as `{ \"result\": … }`, and the value is text as well")
    } else {
        Exact
    }
}

fn content(client: Version, server: Version) -> Verdict {
    if client < MARCH && server == MARCH {
        Lossy("audio becomes a text that says what it was")
    } else if client < MARCH && server > MARCH {
        Lossy("audio and resource links become texts that say what they were")
    } else if client < JUNE && server > MARCH {
        Lossy("resource links become texts with name and URI")
    } else {
        Exact
    }
}

fn form(client: Version, server: Version) -> Verdict {
    if server < JUNE {
        Absent("the server's version has no elicitation")
    } else if client >= JUNE {
        Exact
    } else if server == MODERN {
        Impossible {
            why: "the client's version has no elicitation, and the server is told so",
            error: Refusal::Gate,
        }
    } else {
        Impossible {
            why: "the client's version has no elicitation, and the server is told so",
            error: Refusal::Server,
        }
    }
}

fn url(client: Version, server: Version) -> Verdict {
    if server < NOVEMBER {
        Absent("the server's version has no URL elicitation")
    } else if client < NOVEMBER && server == MODERN {
        Impossible {
            why: "the client's version has no URL elicitation, and the server is told so",
            error: Refusal::Gate,
        }
    } else if client < NOVEMBER {
        Impossible {
            why: "the client's version has no URL elicitation, and the server is told so",
            error: Refusal::Server,
        }
    } else if client == MODERN && server == NOVEMBER {
        Lossy("the client is not told when the user has finished: its version has no such message")
    } else {
        Exact
    }
}

fn url_first(client: Version, server: Version) -> Verdict {
    if server == MODERN {
        Absent("the server's version asks with `input_required` instead")
    } else if server < NOVEMBER {
        Absent("the server's version has no such error")
    } else if client < NOVEMBER {
        Lossy(
            "the error becomes a result with `isError` and the links in its text; when the user \
             has followed them, the model calls again",
        )
    } else {
        Exact
    }
}

fn log(client: Version, server: Version) -> Verdict {
    match (client == MODERN, server == MODERN) {
        (true, false) => Lossy(
            "messages are left out that belong to no call of the client, or that come on the \
             server's own stream when the call is over or not the only one",
        ),
        (false, true) => {
            Lossy("messages that belong to no call do not exist in the server's version")
        }
        _ => Exact,
    }
}

fn task(client: Version, server: Version) -> Verdict {
    if server < NOVEMBER {
        Absent("the server's version has no tasks")
    } else if client == MODERN || (client == NOVEMBER && server == NOVEMBER) {
        Exact
    } else {
        Lossy("the call is no task for the client: it lasts until the tool is done")
    }
}
