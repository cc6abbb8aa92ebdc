//! Rules as people write them: what is accepted protects, and what can protect nothing is refused with a sentence.

use testkit::{Ended, World, finish};

use super::runs::{path, printed};

/// Files for rules, below the world's folder:
///
/// - `real/dir/secret`, a file; `real/dir/tool`, a program; `real/dir/link`, a link to the file,
/// - `alias`, a link to `real`; `home`, a link to `real/dir`; `far/alias`, a link to `../real/./dir`,
/// - `br[1]/secret`, in a directory whose name looks like a pattern.
fn files() -> World {
    let world = World::ordinary();
    let line = "mkdir -p real/dir far 'br[1]' other && echo secret | tee real/dir/secret 'br[1]/secret' other/file >/dev/null \
        && cp /bin/true real/dir/tool && ln -s secret real/dir/link && ln -s real alias && ln -s real/dir home \
        && ln -s ../real/./dir far/alias";
    let ended = finish(world.command("sh").args(["-c", line]));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    world
}

/// Does things under one rule. `HERE` in the rule and in the acts is the world's folder.
fn under(world: &World, rule: &str, acts: &[&str]) -> Ended {
    let here = path(world, "");
    let full = |text: &str| text.replace("HERE", here.trim_end_matches('/'));
    let mut command = world.fltmc();
    command.env("HOME", path(world, "home")).args(["run", "-q", "--deny", &full(rule), "--"]);
    finish(command.arg(world.program("attacker")).arg("acts").args(acts.iter().map(|act| full(act))))
}

/// The error numbers of acts.
fn errors(ended: &Ended) -> Vec<i64> {
    let printed = printed(ended);
    let pairs = printed.as_array().unwrap_or_else(|| panic!("a list: {ended:?}"));
    pairs.iter().map(|pair| pair[1].as_i64().expect("a number")).collect()
}

const DENIED: i64 = libc::EACCES as i64;

/// What has to do with the secret, by whatever name.
const SECRET: &[&str] = &[
    "read=HERE/real/dir/secret",
    "read=real/dir/secret",
    "read=alias/dir/secret",
    "read=home/secret",
    "read=far/alias/secret",
    "read=real/dir/link",
    "read=real//dir/./../dir/secret",
    "write=alias/dir/secret",
    "truncate=alias/dir/secret",
    "rename=alias/dir/secret=other/new",
    "rename=other/file=alias/dir/secret",
    "link=home/secret=other/new",
    "unlink=home/secret",
];

/// A rule is accepted and refuses all of these.
fn refuses(rule: &str, acts: &[&str]) {
    let ended = under(&files(), rule, acts);
    assert_eq!(errors(&ended), vec![DENIED; acts.len()], "{rule} {acts:?}: {}", ended.out);
}

/// A rule is accepted and lets all of these be.
fn lets(rule: &str, acts: &[&str]) {
    let ended = under(&files(), rule, acts);
    assert_eq!(errors(&ended), vec![0; acts.len()], "{rule} {acts:?}: {}", ended.out);
}

#[test]
fn an_absolute_path() {
    refuses("HERE/real/dir/secret", SECRET);
}

#[test]
fn a_name_at_any_depth() {
    refuses("secret", SECRET);
    refuses("dir/secret", SECRET);
    refuses("**/dir/secret", SECRET);
}

#[test]
fn a_pattern_below_a_directory() {
    refuses("HERE/real/**", SECRET);
    refuses("HERE/real/*/s*t", SECRET);
    refuses("HERE/real/dir/{secret,none}", SECRET);
}

#[test]
fn what_no_rule_names_goes_on() {
    lets("HERE/real/dir/none", &["read=real/dir/secret", "rename=other/file=other/new", "unlink=other/new"]);
}

#[test]
fn an_empty_pattern() {
    let ended = under(&files(), "", &["read=real/dir/secret"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

#[test]
fn renames_that_lift_no_rule_go_on() {
    lets("*.pem", &["rename=real=new", "rename=new=real", "exchange=real=other"]);
    lets("**/dir/**", &["rename=real=new", "exchange=new=other"]);
    lets("HERE/real/dir/secret", &["rename=other=new", "rename=far=near"]);
}
