//! A pattern of absolute paths, one step for each component.
//!
//! Whether a path matches is asked of all patterns at once, as a set of globs ([`Pattern::glob`]). What a directory's name
//! does to the patterns of files below it is asked of each ([`Pattern::reached`]): a pattern is a machine that reads a path
//! component by component, and two directories in which it has come equally far are the same to it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use globset::{Glob, GlobBuilder, GlobMatcher};

/// What one component of a path must be.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Any components, or none.
    Deep,
    /// This one.
    Name(Vec<u8>),
    /// One that matches.
    Glob(Wildcard),
}

/// A component with characters that stand for others.
#[derive(Clone, Debug)]
pub(super) struct Wildcard {
    glob: GlobMatcher,
    /// The names that it stands for if these characters are meant as they are.
    pub(super) names: Vec<Vec<u8>>,
}

/// A glob as all of ours are read: a wildcard stays in its component.
pub(super) fn compile(text: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(text).literal_separator(true).build()
}

/// A name that is meant as it stands, as a glob. A byte that is no UTF-8 cannot be said in a glob: there any byte matches.
pub(super) fn escaped(name: &[u8]) -> String {
    let mut glob = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '*' | '?' | '[' | ']' | '{' | '}' => glob.extend(['[', c, ']']),
                '\\' | ',' => glob.extend(['\\', c]),
                c => glob.push(c),
            }
        }
        glob.extend(chunk.invalid().iter().map(|_| '?'));
    }
    glob
}

impl Wildcard {
    /// Of a glob, and of the names that its text is besides.
    pub(super) fn new(text: &str, names: Vec<Vec<u8>>) -> Result<Self, globset::Error> {
        // On its own, so that what is wrong with it is said of it.
        let mut glob = compile(text)?;
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| escaped(name)).collect();
            glob = compile(&format!("{{{text},{}}}", names.join(",")))?;
        }
        Ok(Self { glob: glob.compile_matcher(), names })
    }
}

impl Step {
    fn matches(&self, component: &[u8]) -> bool {
        match self {
            Self::Deep => true,
            Self::Name(name) => name == component,
            Self::Glob(wildcard) => wildcard.glob.is_match(OsStr::from_bytes(component)),
        }
    }

    fn glob(&self) -> String {
        match self {
            Self::Deep => "**".into(),
            Self::Name(name) => escaped(name),
            Self::Glob(wildcard) => wildcard.glob.glob().glob().into(),
        }
    }
}

/// A pattern of absolute paths.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Step>);

impl Pattern {
    pub(super) fn new(mut steps: Vec<Step>) -> Self {
        steps.dedup_by(|next, before| matches!((next, before), (Step::Deep, Step::Deep)));
        Self(steps)
    }

    /// That of all files.
    pub(super) fn is_everything(&self) -> bool {
        matches!(self.0.as_slice(), [Step::Deep])
    }

    /// The same for all that is below what it matches.
    pub(super) fn below(&self) -> Self {
        Self::new(self.0.iter().cloned().chain([Step::Deep]).collect())
    }

    /// As one glob of whole paths.
    pub(super) fn glob(&self) -> Result<Glob, globset::Error> {
        let steps: Vec<String> = self.0.iter().map(Step::glob).collect();
        // A path that begins nowhere (of a mount that was taken away) has names at some depth too.
        let root = if matches!(self.0.first(), Some(Step::Deep)) { "" } else { "/" };
        compile(&format!("{root}{}", steps.join("/")))
    }

    /// How far it has come in this directory: after which of its steps it could go on with a name below.
    pub(super) fn reached(&self, directory: &Path) -> Vec<bool> {
        let mut at = vec![false; self.0.len() + 1];
        at[0] = true;
        self.skip_deep(&mut at);
        let components = directory.as_os_str().as_bytes().split(|&byte| byte == b'/');
        for component in components.filter(|component| !component.is_empty()) {
            let mut next = vec![false; at.len()];
            for (n, step) in self.0.iter().enumerate().filter(|(n, _)| at[*n]) {
                let stays = matches!(step, Step::Deep);
                if step.matches(component) {
                    next[if stays { n } else { n + 1 }] = true;
                }
            }
            at = next;
            self.skip_deep(&mut at);
        }
        // Behind the last step nothing follows.
        at.pop();
        at
    }

    fn skip_deep(&self, at: &mut [bool]) {
        for n in 0..self.0.len() {
            at[n + 1] |= at[n] && matches!(self.0[n], Step::Deep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        let step = |component: &str| match component {
            "**" => Step::Deep,
            name if name.contains('*') => Step::Glob(Wildcard::new(name, Vec::new()).unwrap()),
            name => Step::Name(name.into()),
        };
        Pattern::new(text.split('/').filter(|component| !component.is_empty()).map(step).collect())
    }

    fn same(text: &str, one: &str, other: &str) -> bool {
        pattern(text).reached(Path::new(one)) == pattern(text).reached(Path::new(other))
    }

    #[test]
    fn directories_differ_where_a_pattern_has_come_to_another_step() {
        assert!(same("**/*.pem", "/a/b", "/c"));
        assert!(same("**/x/**", "/a", "/b/c"));
        assert!(!same("**/x/**", "/a/x", "/a/y"));
        assert!(same("/a/*/f", "/a/b", "/a/c"));
        assert!(!same("/a/*/f", "/a/b", "/b/b"));
        assert!(!same("/a/b/f", "/a", "/c"));
        assert!(!same("/a/**/f", "/a/b", "/c"));
        assert!(same("/a/b/f", "/a/b/f", "/c"));
        assert!(same("/a/b/f", "/other", "/c/a/b"));
    }

    #[test]
    fn a_name_means_itself() {
        for name in ["br[1]", "{a,b}", r"a\b", "*", "?", "é", "a,b", "[!x]"] {
            let glob = compile(&escaped(name.as_bytes())).unwrap().compile_matcher();
            assert!(glob.is_match(name) && !glob.is_match("br1") && !glob.is_match("a"), "{name}");
            let either = Wildcard::new("x*", vec![name.into()]).unwrap();
            assert!(either.glob.is_match(name) && either.glob.is_match("xy") && !either.glob.is_match("a"), "{name}");
        }
        let glob = compile(&escaped(b"a\xff\xfeb")).unwrap().compile_matcher();
        assert!(glob.is_match(OsStr::from_bytes(b"a\xff\xfeb")) && !glob.is_match(OsStr::from_bytes(b"a\xff\xfe/b")));
    }
}
