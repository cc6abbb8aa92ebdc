//! How a pattern is written, and the globs that stand for it.
//!
//! A pattern that begins with a slash is matched against the absolute path. Any other holds at every depth, below the
//! directories of its rule if there are any. `*` does not cross a slash, `**` does.

use std::path::{Path, PathBuf};

use globset::{Glob, GlobBuilder};
use proto::status::Status;

use crate::Error;

/// The globs of a pattern of a rule for what is below these directories.
pub(super) fn globs(pattern: &str, directories: &[PathBuf]) -> Result<Vec<Glob>, Error> {
    let compile = |text: String| {
        GlobBuilder::new(&text).literal_separator(true).build().map_err(|error| {
            Error::new(Status::OBJECT_NAME_INVALID, format!("reading the glob {pattern:?}"))
                .hint(error.kind().to_string())
        })
    };
    anchored(pattern, directories).into_iter().map(compile).collect()
}

fn anchored(pattern: &str, directories: &[PathBuf]) -> Vec<String> {
    // No file has an empty name at any depth; the glob "**/" would match all.
    if pattern.starts_with('/') || pattern.is_empty() {
        return vec![pattern.to_owned()];
    }
    let anywhere = if pattern.starts_with("**") { pattern.to_owned() } else { format!("**/{pattern}") };
    if directories.is_empty() {
        return vec![anywhere];
    }
    let below = |directory: &Path| {
        let directory = escaped(&directory.to_string_lossy());
        format!("{}/{anywhere}", directory.trim_end_matches('/'))
    };
    directories.iter().map(|directory| below(directory)).collect()
}

/// A path that is meant as it stands, as a pattern.
fn escaped(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '*' | '?' | '[' | ']' | '{' | '}' => pattern.extend(['[', c, ']']),
            '\\' => pattern.push_str("\\\\"),
            c => pattern.push(c),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored() {
        let patterns = ["*.key", "/etc/*", "**/x", "**"];
        let all = |directories: &[PathBuf]| patterns.map(|pattern| anchored(pattern, directories)).concat();
        assert_eq!(all(&[]), ["**/*.key", "/etc/*", "**/x", "**"]);
        let expected =
            ["/srv/a[[]1[]]/**/*.key", "/**/*.key", "/etc/*", "/srv/a[[]1[]]/**/x", "/**/x", "/srv/a[[]1[]]/**", "/**"];
        assert_eq!(all(&["/srv/a[1]".into(), "/".into()]), expected);
    }
}
