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

#[test]
fn a_path_through_a_link_to_a_directory() {
    refuses("HERE/alias/dir/secret", SECRET);
    refuses("HERE/home/secret", SECRET);
    refuses("HERE/far/alias/secret", SECRET);
}

#[test]
fn a_pattern_below_a_link_to_a_directory() {
    refuses("HERE/alias/**", SECRET);
    refuses("HERE/alias/*/secret", SECRET);
    refuses("HERE/home/*", SECRET);
}

#[test]
fn a_path_with_steps_that_lead_nowhere() {
    refuses("HERE/real/../real/dir/secret", SECRET);
    refuses("HERE/real/./dir/secret", SECRET);
    refuses("HERE//real///dir/secret", SECRET);
    refuses("HERE/alias/../real/dir/secret", SECRET);
}

#[test]
fn a_path_from_the_working_directory() {
    refuses("./real/dir/secret", SECRET);
    refuses("./real/dir/*", SECRET);
    refuses("real/../real/dir/secret", SECRET);
}

#[test]
fn a_path_from_the_home() {
    refuses("~/secret", SECRET);
    refuses("~/*", SECRET);
}

/// The kernel does not open a file by it, so that it names the file or nothing.
#[test]
fn a_trailing_slash() {
    for rule in ["HERE/real/dir/secret/", "HERE/real/dir/"] {
        let ended = under(&files(), rule, &["read=real/dir/secret", "list=real/dir"]);
        let protects = ended.code == Some(0) && errors(&ended).contains(&DENIED);
        assert!(protects || ended.code == Some(2), "{rule} is accepted and does nothing: {ended:?}");
    }
}

#[test]
fn a_directory_whose_name_looks_like_a_pattern() {
    refuses("HERE/br[1]/secret", &["read=br[1]/secret", "unlink=br[1]/secret"]);
    refuses("br[1]/secret", &["read=br[1]/secret"]);
    refuses("HERE/br[1]/*", &["read=br[1]/secret"]);
}

#[test]
fn a_program_in_a_directory_that_is_a_link() {
    refuses("HERE/alias/dir/tool", &["run=real/dir/tool", "run=alias/dir/tool", "run=home/tool"]);
}

/// On a merged system `/bin` is a link.
#[test]
fn a_program_of_the_system_by_its_other_name() {
    if std::fs::symlink_metadata("/bin").is_ok_and(|bin| bin.is_symlink()) {
        refuses("/bin/head", &["run=/bin/head", "run=/usr/bin/head", "read=/usr/bin/../bin/head"]);
    }
}

#[test]
fn a_link_and_what_it_leads_to() {
    refuses("HERE/real/dir/link", &["read=real/dir/link", "unlink=real/dir/link", "rename=home/link=other/new"]);
    refuses("link", &["read=real/dir/link", "read=alias/dir/link", "unlink=home/link"]);
    refuses("HERE/real/dir/link", &["read=real/dir/secret"]);
}

#[test]
fn the_name_of_each_link_on_the_way() {
    let acts = ["read=alias/dir/secret", "truncate=alias/dir/secret", "unlink=alias/dir/secret", "make=alias/dir/new"];
    refuses("**/alias/dir/*", &acts);
    refuses(
        "**/alias/dir/*",
        &["link=alias/dir/secret=other/new", "link=other/file=alias/dir/new", "mkdir=alias/dir/new"],
    );
    refuses("**/far/alias/*", &["read=far/alias/secret", "read=real/../far/../far/./alias/link"]);
    lets("**/far/alias/*", &["read=real/dir/secret", "read=home/secret", "read=alias/dir/link"]);
}

#[test]
fn what_is_made_later_by_a_rule_through_a_link() {
    let acts = ["make=real/dir/later", "make=alias/dir/later", "mkdir=home/later", "symlink=x=home/later"];
    refuses("HERE/alias/dir/later", &acts);
    refuses("HERE/home/later", &acts);
}

#[test]
fn a_rename_of_an_ancestor() {
    const WAYS: &[&str] = &["rename=real=new", "rename=real/dir=new", "exchange=real=other", "exchange=other=real/dir"];
    refuses("HERE/real/dir/secret", WAYS);
    refuses("HERE/real/dir/*", WAYS);
    refuses("HERE/alias/dir/secret", WAYS);
    refuses("HERE/real/dir/none", WAYS);
    refuses("HERE/real/**", &["rename=real=new", "exchange=real=other", "exchange=other=real"]);
}

#[test]
fn a_rename_of_an_ancestor_that_a_pattern_names() {
    const WAYS: &[&str] = &["rename=real/dir=real/new", "exchange=real/dir=other", "exchange=other=home/../dir"];
    refuses("**/dir/s*", WAYS);
    refuses("dir/secret", WAYS);
    refuses("**/dir/**", WAYS);
    refuses("**/real/**", &["rename=real=new", "exchange=other=real"]);
    refuses("**/real/*/secret", &["rename=real=new", "rename=./real=./new"]);
    // one directory of the path may have any name, so that only the other one counts
    lets("**/real/*/secret", &["rename=real/dir=real/new"]);
}

#[test]
fn a_rename_of_an_ancestor_and_back() {
    let world = files();
    let ended = under(&world, "HERE/real/dir/secret", &["chdir=real", "rename=../real=../new", "read=dir/secret"]);
    assert_eq!(errors(&ended), [0, DENIED, DENIED], "{}", ended.out);
}

/// A rule that can protect nothing is refused with a sentence that names it, before anything runs.
fn senseless(rule: &str) {
    let ended = under(&files(), rule, &["read=real/dir/secret"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{rule}: {ended:?}");
    assert!(ended.err.contains(rule), "{rule}: {}", ended.err);
}

#[test]
fn patterns_that_can_match_nothing() {
    for rule in ["/srv/*/../x", "**/../x", "*/./x", "~no-such-user/x"] {
        senseless(rule);
    }
}

/// Files that a pattern names are asked about under all of their names.
#[test]
fn a_pattern_of_what_is_asked_about() {
    let world = files();
    for rule in ["HERE/alias/dir/secret", "./real/dir/secret", "~/secret", "HERE//real/./dir/secret"] {
        let rule = rule.replace("HERE", path(&world, "").trim_end_matches('/'));
        let mut command = world.fltmc();
        command.env("HOME", path(&world, "home")).args(["run", "-q", "--port", "Rules", "--ask", &rule, "--"]);
        command.arg(world.program("attacker")).args(["acts", "read=real/dir/secret", "read=other/file"]);
        let mut run = world.spawn(&mut command);
        run.says("waiting for an application");
        let mut application = world.spawn(world.fltmc().args(["connect", "Rules", "--deny-all"]));
        let said = run.says("read=");
        assert!(said.contains(r#"["read=real/dir/secret",13]"#) && said.contains(r#"["read=other/file",0]"#), "{said}");
        assert_eq!(run.end(), 0);
        application.end();
    }
}
