//! Runs of the attacker, supervised and not.

use serde_json::Value;
use testkit::{Ended, World, finish, number_from};

/// How often a race is run.
pub(crate) fn tries() -> u64 {
    number_from("FLTMGR_TRIES", 1_000)
}

/// Runs the attacker by itself.
pub(crate) fn alone(world: &World, args: &[&str]) -> Ended {
    finish(world.command(world.program("attacker")).args(args))
}

/// Runs the attacker under rules.
pub(crate) fn supervised(world: &World, rules: &[&str], args: &[&str]) -> Ended {
    finish(world.fltmc().args(["run", "-q"]).args(rules).arg("--").arg(world.program("attacker")).args(args))
}

/// A new folder in the world, with the files of one kind of attack in it.
pub(crate) fn stage(world: &World, name: &str, args: &[&str]) -> String {
    let dir = path(world, name);
    let ended = finish(world.command("mkdir").arg(&dir));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let ended = alone(world, &[&["stage"], args, &[&dir]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    dir
}

/// A path in the world.
pub(crate) fn path(world: &World, name: &str) -> String {
    world.dir().join(name).into_os_string().into_string().expect("temporary folders have names of text")
}

/// What the attacker printed.
pub(crate) fn printed(ended: &Ended) -> Value {
    let line = ended.out.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
}

/// What came of the tries of a race.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) tries: u64,
    /// What must not be reached was.
    pub(crate) through: u64,
    /// Permission was denied.
    pub(crate) refused: u64,
    /// There is no such call, in this kernel or under supervision.
    pub(crate) absent: u64,
}

impl Tally {
    pub(crate) fn of(ended: &Ended) -> Self {
        let printed = printed(ended);
        let number = |key: &str| printed[key].as_u64().unwrap_or_else(|| panic!("{key} in {printed}"));
        Self {
            tries: number("tries"),
            through: number("through"),
            refused: number("refused"),
            absent: number("absent"),
        }
    }
}
