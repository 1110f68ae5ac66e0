//! The only place that prints: what people asked for goes to stdout, everything else to stderr.

use std::io::{self, IsTerminal as _, Write as _};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use config::{Diagnostic, Style};

/// Prints text as it is. Whoever reads may stop reading, which is no failure of ours.
pub(crate) fn text(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Prints a line.
pub(crate) fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// Prints a JSON document for programs.
pub(crate) fn json(document: &serde_json::Value) {
    line(&format!("{document:#}"));
}

/// Prints rows under their headings, as wide as the terminal.
pub(crate) fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = terminal_width() {
        table.set_width(width);
    }
    table.set_header(headings);
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| visible(&cell))));
    for row in table.lines() {
        line(row.trim_end());
    }
}

/// Says something to the person at the terminal, beside what the command prints.
pub(crate) fn note(note: &str) {
    let _ = writeln!(io::stderr().lock(), "{note}");
}

/// Shows what is wrong with a file.
pub(crate) fn diagnostics(diagnostics: &[Diagnostic]) {
    let style = if has_colours(&io::stderr()) { Style::Color } else { Style::Plain };
    for diagnostic in diagnostics {
        note(&format!("{}\n", diagnostic.render(style)));
    }
}

/// Shows why a command failed.
pub(crate) fn failure(error: &anyhow::Error) {
    note(&format!("portcullis: {error:#}"));
}

/// Asks a question that wants `y`; everything else, and the end of input, means no.
pub(crate) fn confirm(question: &str) -> bool {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Text of a server as it may be shown on a terminal: without the characters that control one, or turn
/// the order of letters around.
pub(crate) fn visible(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// The first line of a text, shortened to `length_max` characters.
pub(crate) fn brief(text: &str, length_max: usize) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.chars().count() <= length_max {
        return line.to_owned();
    }
    let kept: String = line.chars().take(length_max.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Whether colours are wanted on a stream: on a terminal, unless `NO_COLOR` is set.
fn has_colours(stream: &impl io::IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !refused
}

fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(&stdout).ok().map(|size| size.ws_col).filter(|width| *width > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_strangers_cannot_control_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\nc");
        assert_eq!(visible("T\u{202e}\u{2067}é"), "T\u{fffd}\u{fffd}é");
    }

    #[test]
    fn long_texts_are_shortened_to_one_line() {
        assert_eq!(brief("\n  one\ntwo", 10), "one");
        assert_eq!(brief("abcdefgh", 5), "abcd…");
        assert_eq!(brief("", 5), "");
    }
}
