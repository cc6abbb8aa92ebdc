//! How a pattern is written, as people type it.
//!
//! | written | holds for |
//! |---|---|
//! | `/a/b*` | these names; `*`, `?` and `[…]` stay in a component, `**` crosses, `{a,b}` is one or the other |
//! | `b*`, `a/b*` | these names at every depth, below the directories of the rule if it has any |
//! | `./a`, `../a`, `a/../b` | from the working directory |
//! | `~/a`, `~user/a` | from a home directory |
//! | `a/b`, `a/b/` | what is below it too, if it is a directory |
//! | `a[1]/b` | the names `a1` and `a[1]`: what stands for other characters stands for itself too |
//!
//! `.`, `..` and `//` are taken out. What can be no file's name is an error.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use proto::status::Status;

use super::pattern::{Step, Wildcard};
use crate::Error;

/// More alternatives in braces than a person writes.
const MOST: usize = 1000;

/// A pattern as it is written, not yet looked for among the files there are.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Where its first step is looked for: a directory that is there, or nowhere in particular.
    pub(super) from: From,
    /// The names that it begins with; `..` leads up.
    pub(super) steps: Vec<Step>,
    /// It names a directory: what is below is meant too.
    pub(super) slash: bool,
}

/// Where a pattern begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    Directory(PathBuf),
    Anywhere,
}

/// The patterns that a text stands for.
pub(super) fn read(text: &str) -> Result<Vec<Written>, Error> {
    let wrong =
        |why: String| Error::new(Status::OBJECT_NAME_INVALID, format!("reading the pattern {text:?}")).hint(why);
    if text.is_empty() {
        return Err(wrong("no file has an empty name".into()));
    }
    let mut texts = vec![(text.to_owned(), Braces::AsTheyAre)];
    if active(text).any(|(_, c)| c == '{') {
        let chosen = alternatives(text).map_err(wrong)?.into_iter().filter(|text| !text.is_empty());
        texts.extend(chosen.map(|text| (text, Braces::Wrong)));
    } else {
        texts[0].1 = Braces::Wrong;
    }
    texts.iter().map(|(text, braces)| one(text, *braces).map_err(wrong)).collect()
}

/// What braces mean that were not taken for alternatives.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Braces {
    /// They are part of a name.
    AsTheyAre,
    /// One of them has no other.
    Wrong,
}

fn one(text: &str, braces: Braces) -> Result<Written, String> {
    let (from, rest) = beginning(text)?;
    let components = || rest.split('/').filter(|component| !component.is_empty());
    let mut steps: Vec<Step> = Vec::new();
    for component in components() {
        match component {
            "." | ".." if steps.iter().any(|step| !matches!(step, Step::Name(_))) => {
                return Err(format!("{component:?} behind a wildcard is in no file's name"));
            }
            "." => {}
            ".." => steps.push(Step::Name(b"..".into())),
            "**" => steps.push(Step::Deep),
            name => steps.push(step(name, braces)?),
        }
    }
    let from = match from {
        Some(directory) => From::Directory(directory),
        None if components().any(|component| component == "." || component == "..") => From::Directory(here()?),
        None => From::Anywhere,
    };
    Ok(Written { from, steps, slash: text.ends_with('/') })
}

/// The directory that a text names as its beginning, and the rest.
fn beginning(text: &str) -> Result<(Option<PathBuf>, &str), String> {
    if text.starts_with('/') {
        return Ok((Some("/".into()), text));
    }
    let Some(from_home) = text.strip_prefix('~') else { return Ok((None, text)) };
    let (user, rest) = from_home.split_at(from_home.find('/').unwrap_or(from_home.len()));
    let home = if user.is_empty() { std::env::home_dir() } else { home_of(user) };
    match home.filter(|home| home.is_absolute()) {
        Some(home) => Ok((Some(home), rest)),
        None if user.is_empty() => Err("there is no home directory; set HOME".into()),
        None => Err(format!("/etc/passwd has no home directory of a user {user:?}")),
    }
}

fn home_of(user: &str) -> Option<PathBuf> {
    let users = std::fs::read("/etc/passwd").ok()?;
    let fields = |line: &[u8]| line.split(|&byte| byte == b':').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let line = users.split(|&byte| byte == b'\n').map(fields).find(|line| line[0] == user.as_bytes())?;
    Some(Path::new(std::ffi::OsStr::from_bytes(line.get(5)?)).into())
}

fn here() -> Result<PathBuf, String> {
    std::env::current_dir().map_err(|error| format!("the working directory cannot be told: {error}"))
}

/// The steps of a path that is meant as it stands.
pub(super) fn names(path: &Path) -> Vec<Step> {
    let components = path.as_os_str().as_bytes().split(|&byte| byte == b'/');
    components.filter(|component| !component.is_empty()).map(|component| Step::Name(component.into())).collect()
}

/// The step of one component.
fn step(component: &str, braces: Braces) -> Result<Step, String> {
    let braced = component.contains(['{', '}']);
    if !component.contains(['*', '?', '[', '\\']) && (!braced || braces == Braces::AsTheyAre) {
        return Ok(Step::Name(component.into()));
    }
    // Alternatives have been chosen among: what else a comma or brace is, it is as it stands.
    let plain = |c: char| c == ',' || (braces == Braces::AsTheyAre && matches!(c, '{' | '}'));
    let mut glob = component.to_owned();
    let plain: Vec<_> = active(component).filter(|(_, c)| plain(*c)).map(|(at, _)| at).collect();
    plain.iter().rev().for_each(|at| glob.insert(*at, '\\'));
    let mut names = Vec::new();
    if !active(component).any(|(_, c)| c == '*' || c == '?') {
        names.extend([component.as_bytes().to_vec(), unescaped(component)]);
        names.dedup();
    }
    Wildcard::new(&glob, names).map(Step::Glob).map_err(|error| error.kind().to_string())
}

/// A text without the backslashes that take a character's meaning away.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    std::iter::from_fn(|| bytes.next().map(|byte| if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte }))
        .collect()
}

/// The characters that may have a meaning: those that no backslash stands before, outside of classes.
fn active(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut chars = text.char_indices().peekable();
    std::iter::from_fn(move || {
        loop {
            let (at, c) = chars.next()?;
            match c {
                '\\' => _ = chars.next(),
                '[' => {
                    // A `]` that comes first is one of the class.
                    chars.next_if(|(_, c)| *c == '!' || *c == '^');
                    chars.next();
                    while chars.next_if(|(_, c)| *c != ']').is_some() {}
                    chars.next();
                }
                c => return Some((at, c)),
            }
        }
    })
}

/// A text with braces, once for each way to choose among them.
fn alternatives(text: &str) -> Result<Vec<String>, String> {
    let (mut done, mut to_do) = (Vec::new(), vec![text.to_owned()]);
    while let Some(text) = to_do.pop() {
        let Some((open, _)) = active(&text).find(|(_, c)| *c == '{') else {
            done.push(text);
            continue;
        };
        let mut depth = 0;
        let mut cuts = vec![open];
        for (at, c) in active(&text).skip_while(|(at, _)| *at < open) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => cuts.push(at),
                _ => {}
            }
            if depth == 0 {
                cuts.push(at);
                break;
            }
        }
        if depth != 0 {
            return Err("a brace is opened and not closed; write [{] for one that is in a name".into());
        }
        let (before, after) = (&text[..open], &text[cuts[cuts.len() - 1] + 1..]);
        to_do.extend(cuts.windows(2).map(|cut| [before, &text[cut[0] + 1..cut[1]], after].concat()));
        if done.len() + to_do.len() > MOST {
            return Err(format!("its braces stand for more than {MOST} names"));
        }
    }
    Ok(done)
}
