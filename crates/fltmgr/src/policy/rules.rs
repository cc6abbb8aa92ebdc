//! A list of rules, compiled: all patterns of all rules are one set of globs, so that an operation is matched once
//! however many rules there are, and the lowest rule that one of its names matches decides.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use globset::{GlobSet, GlobSetBuilder};
use proto::operation::{OpFlags, OpKind, OpSet, Operation};
use proto::status::Status;

use super::pattern::Pattern;
use super::{spellings, written};
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

/// What a list of rules says about an operation, from the mildest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Decision {
    /// It may happen.
    Allow,
    /// An application is asked.
    Ask,
    /// A rule denies by name, and the file's name cannot be told.
    Unnamed,
    /// It is denied.
    Deny,
}

impl From<Effect> for Decision {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Allow => Self::Allow,
            Effect::Ask => Self::Ask,
            Effect::Deny => Self::Deny,
        }
    }
}

/// An effect on some operations.
///
/// A pattern is written as people type it. One that begins with a slash is matched against the absolute path, any other
/// holds at every depth; `*`, `?` and `[…]` do not cross a slash, `**` does, and `{a,b}` is one or the other. `./x` and
/// `x/../y` are paths from the working directory, `~/x` is one from the home directory. A pattern that ends in a plain
/// name, or in a slash, holds for all that is below it, too. The plain names that a pattern begins with are looked for
/// among the files there are when the [`Rules`] are made, and it holds for what their symbolic links lead to as well.
///
/// All names of an operation are matched: both of a rename or link, and the symbolic links by which a file was reached. The
/// strictest decision of those counts; but a rule that allows the file by its real name allows it by whatever link it was
/// reached, unless a rule above says otherwise of the link. A directory is not renamed to where other rules would hold for the files below it,
/// than where it is: a rule is not lifted by moving what it is about, or brought about a file by moving that there.
/// An operation whose name cannot be told is asked about by the first rule that asks, and is [`Decision::Unnamed`] if one
/// that denies stands above.
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

    /// Its patterns, under all the names that the files have which it means.
    fn compile(&self) -> Result<Vec<Pattern>, Error> {
        // What is allowed is allowed by the names that are written, and not by what happens to lie here.
        let near = self.effect != Effect::Allow;
        let mut patterns = Vec::new();
        for text in self.patterns.iter().collect::<BTreeSet<_>>() {
            for written in written::read(text)? {
                patterns.extend(spellings::patterns(written, &self.directories, near));
            }
        }
        Ok(patterns)
    }
}

/// A list of rules. Never changes; [`LiveRules`](super::LiveRules) replace one list by another.
#[derive(Clone)]
pub struct Rules {
    heads: Vec<Head>,
    globs: GlobSet,
    /// The rule and the pattern of each glob.
    patterns: Vec<(usize, Pattern)>,
    /// The rules that match all files, those too whose name cannot be told, in order.
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
    /// Compiles rules; the first that matches decides. Looks for the files that patterns begin with, and waits for as long
    /// as their file systems take.
    ///
    /// # Errors
    /// [`Status::OBJECT_NAME_INVALID`] for a pattern that is none, or can be no file's name, naming it;
    /// [`Status::INSUFFICIENT_RESOURCES`] if there are too many.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Result<Self, Error> {
        let (mut heads, mut patterns, mut everything) = (Vec::new(), Vec::new(), Vec::new());
        let mut globs = GlobSetBuilder::new();
        let too_many = |error: globset::Error| {
            Error::new(Status::INSUFFICIENT_RESOURCES, "compiling rules").hint(error.to_string())
        };
        for (number, rule) in rules.into_iter().filter(|rule| !rule.patterns.is_empty()).enumerate() {
            let compiled = rule.compile()?;
            if compiled.iter().any(Pattern::is_everything) {
                everything.push(number);
            } else {
                for pattern in compiled {
                    globs.add(pattern.glob().map_err(too_many)?);
                    patterns.push((number, pattern));
                }
            }
            heads.push(Head { effect: rule.effect, kinds: rule.kinds });
        }
        Ok(Self { heads, globs: globs.build().map_err(too_many)?, patterns, everything })
    }

    /// What the first rule that matches says, of the operation's names the strictest. Waits for nothing and takes no lock.
    pub fn decide(&self, operation: &Operation) -> Decision {
        let kind = operation.kind.set();
        let rule = self.first(&operation.path, kind);
        let path = match operation.path.as_os_str().is_empty() {
            true => self.of_no_name(kind),
            false => self.says(rule),
        };
        // Most operations have no second name: it is empty, and some patterns match that.
        let target = match operation.target.as_os_str().is_empty() {
            true => Decision::Allow,
            false => self.says(self.first(&operation.target, kind)),
        };
        // A rule that allows the real name stands above those after it, by whatever link the file was reached.
        let allowed = rule.filter(|_| path == Decision::Allow && operation.target.as_os_str().is_empty());
        let through = operation.through.iter().map(|name| self.first(name, kind));
        let through = through.filter(|rule| allowed.is_none_or(|allowed| rule.is_some_and(|rule| rule < allowed)));
        let decision = through.map(|rule| self.says(rule)).fold(path.max(target), Decision::max);
        if moves_what_is_below(operation) { decision.max(self.of_move(operation)) } else { decision }
    }

    /// The first rule that matches a name.
    fn first(&self, name: &Path, kind: OpSet) -> Option<usize> {
        let of_kind = |rule: &usize| self.heads[*rule].kinds.contains(kind);
        // Globs stand in the order of their rules.
        let named = self.globs.matches(name).into_iter().map(|glob| self.patterns[glob].0).find(of_kind);
        let any = self.everything.iter().copied().find(of_kind);
        named.into_iter().chain(any).min()
    }

    fn says(&self, rule: Option<usize>) -> Decision {
        rule.map_or(Decision::Allow, |rule| self.heads[rule].effect.into())
    }

    /// The decision about a file whose name cannot be told.
    fn of_no_name(&self, kind: OpSet) -> Decision {
        let of_kind = |rule: &usize| self.heads[*rule].kinds.contains(kind);
        let any = self.everything.iter().copied().find(of_kind);
        let mut before = (0..any.unwrap_or(self.heads.len())).filter(of_kind).map(|rule| self.heads[rule].effect);
        match before.find(|effect| *effect != Effect::Allow) {
            Some(Effect::Deny) => Decision::Unnamed,
            Some(_) => Decision::Ask,
            None => any.map_or(Decision::Allow, |rule| self.heads[rule].effect.into()),
        }
    }

    /// The decision about the files below what is renamed: the strictest of the rules that would hold for others of them
    /// than now.
    fn of_move(&self, operation: &Operation) -> Decision {
        let kind = operation.kind.set();
        let exchange = operation.arguments.is_some_and(|arguments| arguments.flags & EXCHANGE != 0);
        let there = (&operation.path, &operation.target);
        let back = exchange.then_some((there.1, there.0));
        let moves = [there].into_iter().chain(back);
        moves
            .map(|(from, to)| self.changed(from, to, kind).max(self.newly_allowed(from, to, kind)))
            .fold(Decision::Allow, Decision::max)
    }

    /// The strictest rule about files below one directory that does not say the same of those below the other.
    fn changed(&self, from: &Path, to: &Path, kind: OpSet) -> Decision {
        let changed = self.patterns.iter().filter(|(_, pattern)| pattern.reached(from) != pattern.reached(to));
        self.strictest(changed.map(|(rule, _)| *rule), kind)
    }

    /// If files below `from` would be allowed by a rule below `to`: the strictest of the rules after it, by which they are
    /// denied or asked about now.
    fn newly_allowed(&self, from: &Path, to: &Path, kind: OpSet) -> Decision {
        let allows = |rule: usize| self.heads[rule].effect == Effect::Allow && self.heads[rule].kinds.contains(kind);
        let gains = |pattern: &Pattern| {
            pattern.reached(to).into_iter().zip(pattern.reached(from)).any(|(then, now)| then && !now)
        };
        let Some((first, _)) = self.patterns.iter().find(|(rule, pattern)| allows(*rule) && gains(pattern)) else {
            return Decision::Allow;
        };
        let hold = self.patterns.iter().filter(|(_, pattern)| pattern.reached(from).contains(&true));
        let hold = hold.map(|(rule, _)| *rule).chain(self.everything.iter().copied());
        self.strictest(hold.filter(|rule| rule > first), kind)
    }

    /// The strictest of what these rules say.
    fn strictest(&self, rules: impl Iterator<Item = usize>, kind: OpSet) -> Decision {
        let heads = rules.map(|rule| self.heads[rule]).filter(|head| head.kinds.contains(kind));
        heads.map(|head| head.effect.into()).fold(Decision::Allow, Decision::max)
    }
}

/// RENAME_EXCHANGE
const EXCHANGE: u64 = 2;

/// Whether the names of other files change with that of this one.
fn moves_what_is_below(operation: &Operation) -> bool {
    operation.kind == OpKind::Rename && !operation.flags.contains(OpFlags::LEAF)
}

#[cfg(test)]
mod tests;
