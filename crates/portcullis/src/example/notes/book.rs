//! All notes, in memory and as a journal: one change a line, so that a crash costs at most the last one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Most notes.
const NOTES_MAX: usize = 10_000;
/// Most bytes of all notes together: they are kept in memory.
const BYTES_MAX: usize = 64 << 20;

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) id: u64,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) tags: Vec<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

/// A line of the journal.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    /// The note is new, or replaces the one with its id.
    Put(Note),
    /// The note is gone.
    Delete(u64),
    /// Ids below this one are used up, whether or not their notes still exist.
    Next(u64),
}

/// All notes, by id.
#[derive(Default)]
pub(super) struct Book {
    notes: BTreeMap<u64, Note>,
    next_id: u64,
    bytes: usize,
    journal: Option<Journal>,
}

/// Where changes are kept.
struct Journal {
    file: File,
    /// Keeps another process away while this one lives.
    _lock: File,
}

impl Book {
    /// The notes in a file, which is made if it does not exist. A last line that a crash cut short is
    /// dropped; anything else that is no note is an error, so that no other file is spoilt.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let lock = lock(path)?;
        let mut book = Self::default();
        match File::open(path) {
            Ok(file) => book.replay(BufReader::new(file))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        book.journal = Some(Journal { file: book.rewrite(path)?, _lock: lock });
        Ok(book)
    }

    fn replay(&mut self, mut journal: impl BufRead) -> io::Result<()> {
        let mut text = Vec::new();
        for number in 1_u64.. {
            text.clear();
            if journal.read_until(b'\n', &mut text)? == 0 {
                break;
            }
            match serde_json::from_slice(&text) {
                Ok(line) => self.apply(line),
                Err(_) if !text.ends_with(b"\n") => break,
                Err(error) => {
                    let message = format!("line {number} is no note: {error}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            }
        }
        Ok(())
    }

    /// Writes what counts into a new file in place of the old one, and returns it open for more.
    fn rewrite(&self, path: &Path) -> io::Result<File> {
        let fresh = beside(path, ".new");
        let mut file = io::BufWriter::new(File::create(&fresh)?);
        write_line(&mut file, &Line::Next(self.next_id))?;
        for note in self.notes.values() {
            write_line(&mut file, &Line::Put(note.clone()))?;
        }
        file.flush()?;
        file.get_ref().sync_data()?;
        std::fs::rename(&fresh, path)?;
        OpenOptions::new().append(true).open(path)
    }

    fn apply(&mut self, line: Line) {
        match line {
            Line::Put(note) => {
                self.next_id = self.next_id.max(note.id + 1);
                self.bytes += weight(&note);
                let old = self.notes.insert(note.id, note);
                self.bytes -= old.as_ref().map_or(0, weight);
            }
            Line::Delete(id) => {
                let old = self.notes.remove(&id);
                self.bytes -= old.as_ref().map_or(0, weight);
            }
            Line::Next(id) => self.next_id = self.next_id.max(id),
        }
    }

    /// Keeps a change, then makes it.
    fn change(&mut self, line: Line) -> Result<(), String> {
        if let Some(journal) = &mut self.journal {
            write_line(&mut journal.file, &line)
                .and_then(|()| journal.file.sync_data())
                .map_err(|error| format!("the note could not be kept in its file: {error}"))?;
        }
        self.apply(line);
        Ok(())
    }

    /// The id of the next new note; the first is 1.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.max(1)
    }

    /// Adds a note, or replaces the one with its id.
    pub(super) fn put(&mut self, note: Note) -> Result<(), String> {
        let old = self.notes.get(&note.id);
        if old.is_none() && self.notes.len() >= NOTES_MAX {
            return Err(format!("there are {NOTES_MAX} notes already; delete some first"));
        }
        if self.bytes + weight(&note) - old.map_or(0, weight) > BYTES_MAX {
            return Err(format!("all notes together have at most {BYTES_MAX} bytes; delete some"));
        }
        self.change(Line::Put(note))
    }

    /// Removes a note that exists.
    pub(super) fn delete(&mut self, id: u64) -> Result<(), String> {
        self.change(Line::Delete(id))
    }

    pub(super) fn get(&self, id: u64) -> Option<&Note> {
        self.notes.get(&id)
    }

    /// The notes with ids above `id`, in order.
    pub(super) fn after(&self, id: u64) -> impl Iterator<Item = &Note> {
        self.notes.range(id.saturating_add(1)..).map(|(_, note)| note)
    }

    /// All notes, newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Note> {
        self.notes.values().rev()
    }
}

/// Bytes that a note takes, about.
fn weight(note: &Note) -> usize {
    let tags: usize = note.tags.iter().map(String::len).sum();
    size_of::<Note>() + note.title.len() + note.text.len() + tags
}

fn write_line(out: &mut impl Write, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    out.write_all(&text)
}

/// Locks the journal through a file beside it, because the journal itself is replaced.
fn lock(path: &Path) -> io::Result<File> {
    let lock = File::create(beside(path, ".lock"))?;
    lock.try_lock().map_err(|error| match error {
        std::fs::TryLockError::Error(error) => error,
        std::fs::TryLockError::WouldBlock => {
            io::Error::other("another process keeps its notes there; choose another file")
        }
    })?;
    Ok(lock)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(id: u64) -> Note {
        let now = Timestamp::UNIX_EPOCH;
        let (title, text) = ("t".to_owned(), "x".to_owned());
        Note { id, title, text, tags: Vec::new(), created: now, updated: now }
    }

    #[test]
    fn notes_survive_a_restart_and_ids_are_never_used_twice() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("notes");
        let mut book = Book::open(&path).expect("a new file");
        book.put(note(1)).expect("put");
        book.put(note(2)).expect("put");
        book.delete(2).expect("delete");
        assert!(Book::open(&path).is_err(), "two processes must not share the file");
        drop(book);
        for _ in 0..2 {
            let book = Book::open(&path).expect("the same file");
            assert_eq!((book.get(1), book.get(2), book.next_id()), (Some(&note(1)), None, 3));
        }
    }

    #[test]
    fn a_line_cut_short_is_dropped_and_a_foreign_file_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let path = directory.path().join("notes");
        std::fs::write(&path, "{\"next\":5}\n{\"delete\":").expect("written");
        assert_eq!(Book::open(&path).expect("readable").next_id(), 5);
        std::fs::write(&path, "my novel\nchapter one\n").expect("written");
        assert!(Book::open(&path).is_err());
        assert_eq!(std::fs::read(&path).expect("there"), b"my novel\nchapter one\n");
    }
}
