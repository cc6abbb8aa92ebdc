//! What people and programs read: colour on a terminal only, one JSON object per line, no foreign control characters.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::exit::{Doing, Failure};

/// Something went wrong, or was refused.
pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Something is well, or was allowed.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Something wants attention.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// A heading.
pub(crate) const HEAD: Style = Style::new().bold();
/// What is there for completeness.
pub(crate) const DIM: Style = Style::new().dimmed();

/// Text of others (a file's name, a program's) without the power to steer a terminal: control characters are escaped.
pub(crate) struct Safe<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Safe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escape<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl fmt::Write for Escape<'_, '_> {
            fn write_str(&mut self, s: &str) -> fmt::Result {
                s.chars().try_for_each(|c| {
                    if c.is_control() { write!(self.0, "{}", c.escape_default()) } else { self.0.write_char(c) }
                })
            }
        }
        write!(Escape(f), "{}", self.0)
    }
}

/// Writes one JSON object as a line on stdout. Fails as [`show`].
pub(crate) fn json(record: &impl Serialize) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(record).map_err(std::io::Error::from).doing(|| "writing JSON".into())?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    written(out.write_all(&line).and_then(|()| out.flush()))
}

/// Writes text for a person on stdout.
///
/// Anything but a reader that went away is a failure; that one is silent, as in any filter of a pipe.
pub(crate) fn show(text: fmt::Arguments<'_>) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    written(out.write_all(text.to_string().as_bytes()).and_then(|()| out.flush()))
}

fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.doing(|| "writing to stdout".into()),
    }
}

/// Writes a line for a person on stderr. Where that cannot be done (a full disk, a terminal that is gone) what is
/// done goes on all the same.
pub(crate) fn note(text: fmt::Arguments<'_>) {
    let _ = anstream::stderr().write_all(format!("{text}\n").as_bytes());
}

/// A line by [`show`].
macro_rules! showln {
    ($($text:tt)*) => { $crate::output::show(format_args!("{}\n", format_args!($($text)*))) };
}

/// A line by [`note`].
macro_rules! noteln {
    ($($text:tt)*) => { $crate::output::note(format_args!($($text)*)) };
}

pub(crate) use {noteln, showln};

/// A duration with three significant figures: `850 ns`, `12.3 µs`, `4.56 ms`, `1.20 s`.
pub(crate) fn brief(duration: Duration) -> String {
    let ns = duration.as_nanos() as f64;
    let (value, unit) = match ns {
        n if n < 1e3 => return format!("{n} ns"),
        n if n < 1e6 => (n / 1e3, "µs"),
        n if n < 1e9 => (n / 1e6, "ms"),
        n => (n / 1e9, "s"),
    };
    let places = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.places$} {unit}")
}

/// Rows under headings, each column as wide as its widest cell. The last column is not padded.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (i, cell) in cells.iter().enumerate() {
            let pad = if i + 1 == cells.len() { 0 } else { widths[i] + 2 };
            let _ = write!(text, "{cell:<pad$}");
        }
        text
    };
    let head = line(&heads.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
    let mut text = format!("{HEAD}{head}{HEAD:#}\n");
    for row in rows {
        text.push_str(&line(row));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_figures() {
        let shown = [850, 1_234, 12_345, 999_900, 4_560_000, 1_200_000_000].map(|ns| brief(Duration::from_nanos(ns)));
        assert_eq!(shown, ["850 ns", "1.23 µs", "12.3 µs", "1000 µs", "4.56 ms", "1.20 s"]);
    }

    #[test]
    fn control_characters_of_others_are_shown_not_obeyed() {
        assert_eq!(Safe("a\u{1b}[31mb\nc é").to_string(), r"a\u{1b}[31mb\nc é");
    }

    #[test]
    fn columns_line_up() {
        let text = table(&["A", "LONG"], &[vec!["xyz".into(), "1".into()], vec!["é".into(), "2".into()]]);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(plain, "A    LONG\nxyz  1\né    2\n");
    }
}
