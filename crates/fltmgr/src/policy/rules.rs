//! A list of rules, compiled: all patterns of all rules are one set of globs, so that an operation is matched once
//! however many rules there are, and the lowest rule that one of its names matches decides.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use globset::{GlobSet, GlobSetBuilder};
use proto::operation::{OpKind, OpSet, Operation};
use proto::status::Status;

use super::patterns;
use crate::Error;

/// What a rule does with an operation that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// It may happen.
    Allow,
    /// It is denied.
    Deny,
    /// An application is asked.
    Ask,
}

/// What a list of rules says about an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It may happen.
    Allow,
    /// It is denied.
    Deny,
    /// An application is asked.
    Ask,
    /// A rule denies by name, and the file's name cannot be told.
    Unnamed,
}

/// An effect on some operations.
///
/// A pattern that begins with a slash is matched against the absolute path, any other holds at every depth; `*` does not
/// cross a slash, `**` does. Both names of a rename or link are matched. A rename is also denied if the files directly
/// below the path would be: a directory is not moved away from its rule. An operation whose name cannot be told is asked
/// about by the first rule that asks, and is [`Decision::Unnamed`] if one that denies stands above.
#[derive(Clone, Debug)]
pub struct Rule {
    effect: Effect,
    kinds: OpSet,
    patterns: Vec<String>,
    directories: Vec<PathBuf>,
}

impl Rule {
    fn new(effect: Effect, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let patterns = patterns.into_iter().map(Into::into).collect();
        Self { effect, kinds: OpSet::all(), patterns, directories: Vec::new() }
    }

    /// Allows what matches one of these patterns, whatever the rules after it say.
    pub fn allow(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(Effect::Allow, patterns)
    }

    /// Denies what matches one of these patterns.
    pub fn deny(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(Effect::Deny, patterns)
    }

    /// Has an application asked about what matches one of these patterns.
    pub fn ask(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::new(Effect::Ask, patterns)
    }

    /// Only for operations of these kinds; for all unless said otherwise.
    #[must_use]
    pub fn kinds(mut self, kinds: OpSet) -> Self {
        self.kinds = kinds;
        self
    }

    /// Only below these directories, unless the list is empty. Patterns that begin with a slash hold as they stand.
    #[must_use]
    pub fn under(mut self, directories: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        self.directories = directories.into_iter().map(Into::into).collect();
        self
    }

    /// Whether it matches all files, those too whose name cannot be told.
    fn matches_everything(&self) -> bool {
        self.directories.is_empty() && self.patterns.iter().any(|pattern| pattern == "**")
    }
}

/// A list of rules. Never changes; [`LiveRules`](super::LiveRules) replace one list by another.
#[derive(Clone)]
pub struct Rules {
    heads: Vec<Head>,
    globs: GlobSet,
    /// The rule of each glob.
    rule_of: Vec<usize>,
    /// The rules that match all files, in order.
    everything: Vec<usize>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").field("rules", &self.heads).field("globs", &self.globs.len()).finish_non_exhaustive()
    }
}

/// What a rule says beside its patterns.
#[derive(Clone, Copy, Debug)]
struct Head {
    effect: Effect,
    kinds: OpSet,
}

impl Rules {
    /// Compiles rules; the first that matches decides.
    ///
    /// # Errors
    /// [`Status::OBJECT_NAME_INVALID`] for a pattern that is none, naming it;
    /// [`Status::INSUFFICIENT_RESOURCES`] if there are too many.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, Error> {
        let (mut heads, mut rule_of, mut everything) = (Vec::new(), Vec::new(), Vec::new());
        let mut globs = GlobSetBuilder::new();
        for (number, rule) in rules.into_iter().filter(|rule| !rule.patterns.is_empty()).enumerate() {
            if rule.matches_everything() {
                everything.push(number);
            } else {
                for pattern in rule.patterns.iter().collect::<BTreeSet<_>>() {
                    for glob in patterns::globs(pattern, &rule.directories)? {
                        globs.add(glob);
                        rule_of.push(number);
                    }
                }
            }
            heads.push(Head { effect: rule.effect, kinds: rule.kinds });
        }
        let globs = globs
            .build()
            .map_err(|error| Error::new(Status::INSUFFICIENT_RESOURCES, "compiling rules").hint(error.to_string()))?;
        Ok(Self { heads, globs, rule_of, everything })
    }

    /// What the first rule that matches says. Waits for nothing and takes no lock.
    pub fn decide(&self, operation: &Operation) -> Decision {
        let kind = operation.kind.set();
        let of_kind = |rule: &usize| self.heads[*rule].kinds.contains(kind);
        // Most operations have no second name: it is empty, and some patterns match that.
        let names = || [&operation.path, &operation.target].into_iter().filter(|name| !name.as_os_str().is_empty());
        let everything = self.everything.iter().copied().find(of_kind);
        let mut first = names().filter_map(|name| self.matching(name, of_kind)).chain(everything).min();
        if operation.kind == OpKind::Rename {
            // A name that no file has, so that only a pattern for everything below the directory matches.
            let denies = |rule: &usize| of_kind(rule) && self.heads[*rule].effect == Effect::Deny;
            let below = names().filter_map(|name| self.matching(&name.join("\u{1}"), denies));
            first = below.chain(first).min();
        }
        if operation.path.as_os_str().is_empty() {
            let mut above = (0..first.unwrap_or(self.heads.len())).filter(of_kind).map(|rule| self.heads[rule].effect);
            match above.find(|effect| *effect != Effect::Allow) {
                Some(Effect::Deny) => return Decision::Unnamed,
                Some(_) => return Decision::Ask,
                None => {}
            }
        }
        match first.map(|rule| self.heads[rule].effect) {
            Some(Effect::Deny) => Decision::Deny,
            Some(Effect::Ask) => Decision::Ask,
            Some(Effect::Allow) | None => Decision::Allow,
        }
    }

    /// The first rule of those `wanted` that a name matches.
    fn matching(&self, name: &Path, wanted: impl Fn(&usize) -> bool) -> Option<usize> {
        // Globs stand in the order of their rules.
        self.globs.matches(name).into_iter().map(|glob| self.rule_of[glob]).find(wanted)
    }
}
