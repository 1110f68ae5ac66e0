//! A small notes service: tools that change things, resources that change, and the news about both.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::server::{
    About, Answer, Arguments, Change, Effect, Failure, Freshness, Kind, Page, Parameter, Prompt,
    Server, Subject, Tool, text_block,
};

mod book;

use book::{Book, Note};

/// One note as a resource.
const TEMPLATE: &str = "note://{id}";
/// Resources on a page.
const PAGE: usize = 100;
/// Changes that a slow listener may be behind before it is told that everything changed.
const CHANGES_KEPT: usize = 256;
/// Most notes that are attached to a prompt.
const ATTACHED_MAX: usize = 50;

const ID: Kind = Kind::Integer { min: 1, max: u64::MAX >> 11, default: 0 };
const TITLE: Kind = Kind::Text { chars_max: 200 };
const TEXT: Kind = Kind::Text { chars_max: 20_000 };
const TAG: Kind = Kind::Text { chars_max: 50 };
const TAGS: Kind = Kind::Texts { items_max: 10, chars_max: 50 };
const LIMIT: Parameter = Parameter::optional(
    "limit",
    Kind::Integer { min: 1, max: 200, default: 50 },
    "Most notes to return, newest first.",
);

/// The server.
pub(super) struct Notes {
    book: Mutex<Book>,
    changes: broadcast::Sender<Change>,
}

impl Notes {
    /// Notes that live as long as the process.
    pub(super) fn in_memory() -> Self {
        Self::of(Book::default())
    }

    /// Notes that are kept in a file.
    pub(super) fn kept_in(path: &Path) -> std::io::Result<Self> {
        Ok(Self::of(Book::open(path)?))
    }

    fn of(book: Book) -> Self {
        Self { book: Mutex::new(book), changes: broadcast::channel(CHANGES_KEPT).0 }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: Change) {
        // Fails only when nobody listens.
        let _ = self.changes.send(change);
    }
}

impl Server for Notes {
    const ABOUT: About = About {
        name: "portcullis-example-notes",
        title: "Notes",
        instructions: "Short notes with titles and tags. Each note is also the resource note://ID; \
                       subscribe to it, or to the list, to hear about changes.",
    };
    const RESOURCES: Freshness = Freshness { ttl_ms: 60_000, scope: "private" };

    const TOOLS: &'static [Tool<Self>] = &[
        Tool {
            name: "add_note",
            title: "Add a note",
            description: "Adds a note and returns it with its id.",
            parameters: &[
                Parameter::required("text", TEXT, "The note, as Markdown."),
                Parameter::optional("title", TITLE, "Its title; the first line if left out."),
                Parameter::optional("tags", TAGS, "Words to find it by."),
            ],
            output: note_schema,
            effect: Effect::Adds,
            call: add_note,
        },
        Tool {
            name: "list_notes",
            title: "List notes",
            description: "Lists notes, newest first, all or those with a tag.",
            parameters: &[Parameter::optional("tag", TAG, "List notes with this tag only."), LIMIT],
            output: notes_schema,
            effect: Effect::Reads,
            call: list_notes,
        },
        Tool {
            name: "search_notes",
            title: "Search notes",
            description: "Finds notes whose title, text or tags contain every word of the query.",
            parameters: &[
                Parameter::required("query", Kind::Text { chars_max: 200 }, "Words to find."),
                LIMIT,
            ],
            output: notes_schema,
            effect: Effect::Reads,
            call: search_notes,
        },
        Tool {
            name: "update_note",
            title: "Change a note",
            description: "Replaces the text, the title or the tags of a note; what is left out stays.",
            parameters: &[
                Parameter::required("id", ID, "The note."),
                Parameter::optional("text", TEXT, "The new text."),
                Parameter::optional("title", TITLE, "The new title."),
                Parameter::optional("tags", TAGS, "The new tags; an empty list removes all."),
            ],
            output: note_schema,
            effect: Effect::Replaces,
            call: update_note,
        },
        Tool {
            name: "delete_note",
            title: "Delete a note",
            description: "Deletes a note for good and returns it a last time.",
            parameters: &[Parameter::required("id", ID, "The note.")],
            output: note_schema,
            effect: Effect::Replaces,
            call: delete_note,
        },
    ];

    const PROMPTS: &'static [Prompt<Self>] = &[Prompt {
        name: "review_notes",
        title: "Review notes",
        description: "Asks for a review of the notes, all or those with a tag: what is open, what \
                      belongs together, what can go.",
        parameters: &[Parameter::optional("tag", TAG, "Review notes with this tag only.")],
        write: review_notes,
    }];

    fn templates(&self) -> Vec<Value> {
        vec![json!({
            "uriTemplate": TEMPLATE,
            "name": "note",
            "title": "A note",
            "description": "One note, by its id.",
            "mimeType": "text/markdown",
        })]
    }

    fn resources(&self, cursor: Option<&str>) -> Result<Page, Failure> {
        let after = match cursor.map(str::parse) {
            None => 0,
            Some(Ok(id)) => id,
            Some(Err(_)) => {
                let message = "`cursor` was not made by this server; list again without a cursor";
                return Err(Failure::Invalid(message.to_owned()));
            }
        };
        let book = self.book();
        let mut rest = book.after(after);
        let page: Vec<_> = rest.by_ref().take(PAGE).collect();
        let last = page.last().map(|note| note.id.to_string());
        let next_cursor = last.filter(|_| rest.next().is_some());
        Ok(Page { resources: page.into_iter().map(resource).collect(), next_cursor })
    }

    fn read(&self, uri: &str) -> Result<Vec<Value>, Failure> {
        let id = uri.strip_prefix("note://").and_then(|id| id.parse().ok());
        let book = self.book();
        let note = id.and_then(|id| book.get(id));
        let note = note.ok_or_else(|| Failure::NoResource(uri.to_owned()))?;
        Ok(vec![contents(note)])
    }

    fn complete(&self, subject: Subject<'_>, argument: &str, typed: &str) -> Option<Vec<String>> {
        let book = self.book();
        let mut values: Vec<_> = match (subject, argument) {
            (Subject::Template(TEMPLATE), "id") => {
                book.newest_first().map(|note| note.id.to_string()).collect()
            }
            (Subject::Prompt("review_notes"), "tag") => {
                let mut tags: Vec<_> =
                    book.newest_first().flat_map(|note| note.tags.iter().cloned()).collect();
                tags.sort();
                tags.dedup();
                tags
            }
            _ => return None,
        };
        values.retain(|value| value.starts_with(typed));
        Some(values)
    }

    fn changes(&self) -> Option<broadcast::Receiver<Change>> {
        Some(self.changes.subscribe())
    }
}

fn note_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": { "type": "integer" },
            "uri": { "type": "string" },
            "title": { "type": "string" },
            "text": { "type": "string" },
            "tags": { "type": "array", "items": { "type": "string" } },
            "created": { "type": "string", "format": "date-time" },
            "updated": { "type": "string", "format": "date-time" },
        },
        "required": ["id", "uri", "title", "text", "tags", "created", "updated"],
    })
}

fn notes_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "notes": { "type": "array", "items": note_schema() },
            "total": { "type": "integer", "description": "How many notes there are in all." },
        },
        "required": ["notes", "total"],
    })
}

fn uri(id: u64) -> String {
    format!("note://{id}")
}

fn shown(note: &Note) -> Value {
    json!({
        "id": note.id,
        "uri": uri(note.id),
        "title": note.title,
        "text": note.text,
        "tags": note.tags,
        "created": note.created.to_string(),
        "updated": note.updated.to_string(),
    })
}

fn resource(note: &Note) -> Value {
    json!({
        "uri": uri(note.id),
        "name": format!("note-{}", note.id),
        "title": note.title,
        "mimeType": "text/markdown",
        "size": note.text.len(),
        "annotations": { "lastModified": note.updated.to_string() },
    })
}

fn contents(note: &Note) -> Value {
    json!({ "uri": uri(note.id), "mimeType": "text/markdown", "text": note.text })
}

fn add_note(notes: &Notes, arguments: &Arguments, _: &CancellationToken) -> Result<Answer, String> {
    let text = arguments.required_text("text").to_owned();
    let title = arguments.text("title").map_or_else(|| first_line(&text), str::to_owned);
    let tags = arguments.texts("tags").unwrap_or_default();
    let now = Timestamp::now();
    let note = {
        let mut book = notes.book();
        let note = Note { id: book.next_id(), title, text, tags, created: now, updated: now };
        book.put(note.clone())?;
        note
    };
    notes.tell(Change::ResourceList);
    Ok(shown(&note).into())
}

/// A title for a text that has none.
fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("Untitled");
    line.trim_start_matches(['#', ' ']).chars().take(80).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "all tools have this shape")]
fn list_notes(
    notes: &Notes,
    arguments: &Arguments,
    _: &CancellationToken,
) -> Result<Answer, String> {
    let tag = arguments.text("tag");
    Ok(select(notes, arguments, |note| {
        tag.is_none_or(|tag| note.tags.iter().any(|one| one == tag))
    }))
}

fn search_notes(
    notes: &Notes,
    arguments: &Arguments,
    _: &CancellationToken,
) -> Result<Answer, String> {
    let query = arguments.required_text("query").to_lowercase();
    let words: Vec<_> = query.split_whitespace().collect();
    if words.is_empty() {
        return Err("argument `query` must have at least one word; list_notes lists all".to_owned());
    }
    Ok(select(notes, arguments, |note| {
        let all = format!("{}\n{}\n{}", note.title, note.text, note.tags.join("\n")).to_lowercase();
        words.iter().all(|word| all.contains(word))
    }))
}

/// The newest notes that are `wanted`, as many as `limit` says, and how many there are.
fn select(notes: &Notes, arguments: &Arguments, wanted: impl Fn(&Note) -> bool) -> Answer {
    let book = notes.book();
    let mut total = 0;
    let mut found = Vec::new();
    for note in book.newest_first().filter(|note| wanted(note)) {
        total += 1;
        if found.len() < arguments.count("limit") {
            found.push(shown(note));
        }
    }
    json!({ "notes": found, "total": total }).into()
}

fn no_note(id: u64) -> String {
    format!("argument `id`: there is no note {id}; list_notes shows those there are")
}

fn update_note(
    notes: &Notes,
    arguments: &Arguments,
    _: &CancellationToken,
) -> Result<Answer, String> {
    let id = arguments.integer("id");
    let note = {
        let mut book = notes.book();
        let mut note = book.get(id).cloned().ok_or_else(|| no_note(id))?;
        if let Some(text) = arguments.text("text") {
            text.clone_into(&mut note.text);
        }
        if let Some(title) = arguments.text("title") {
            title.clone_into(&mut note.title);
        }
        if let Some(tags) = arguments.texts("tags") {
            note.tags = tags;
        }
        note.updated = Timestamp::now();
        book.put(note.clone())?;
        note
    };
    notes.tell(Change::Resource(uri(id)));
    if arguments.text("title").is_some() {
        notes.tell(Change::ResourceList);
    }
    Ok(shown(&note).into())
}

fn delete_note(
    notes: &Notes,
    arguments: &Arguments,
    _: &CancellationToken,
) -> Result<Answer, String> {
    let id = arguments.integer("id");
    let note = {
        let mut book = notes.book();
        let note = book.get(id).cloned().ok_or_else(|| no_note(id))?;
        book.delete(id)?;
        note
    };
    notes.tell(Change::ResourceList);
    notes.tell(Change::Resource(uri(id)));
    Ok(shown(&note).into())
}

fn review_notes(notes: &Notes, arguments: &Arguments) -> Result<Vec<Value>, Failure> {
    let tag = arguments.text("tag");
    let book = notes.book();
    let wanted = |note: &&Note| tag.is_none_or(|tag| note.tags.iter().any(|one| one == tag));
    let attached: Vec<_> = book.newest_first().filter(wanted).take(ATTACHED_MAX).collect();
    if attached.is_empty() {
        return Err(Failure::Invalid("there are no such notes to review".to_owned()));
    }
    let text = "Review the attached notes: say in one line each what is still open, name notes that \
                belong together, and suggest which can be deleted. Refer to notes by their URI.";
    let mut messages = vec![json!({ "role": "user", "content": text_block(text) })];
    messages.extend(attached.into_iter().map(|note| {
        let block = json!({ "type": "resource", "resource": contents(note) });
        json!({ "role": "user", "content": block })
    }));
    Ok(messages)
}
