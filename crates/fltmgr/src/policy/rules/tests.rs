//! What rules say of operations whose files there need not be; and, in a folder of their own, of files that there are.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use proto::operation::{Arguments, Caller, CallerInfo};

use super::*;

fn operation(kind: OpKind, path: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Operation {
    let mut operation = Operation::new(kind, path, Caller::known(1, CallerInfo::default()));
    operation.target = target.into();
    operation
}

fn open(path: impl Into<PathBuf>) -> Operation {
    operation(OpKind::Open, path, "")
}

fn exchange(one: &str, other: &str) -> Operation {
    let mut operation = operation(OpKind::Rename, one, other);
    let mut arguments = Arguments::default();
    arguments.flags = EXCHANGE;
    operation.arguments = Some(arguments);
    operation
}

fn rename(from: &str, to: &str) -> Operation {
    operation(OpKind::Rename, from, to)
}

#[track_caller]
fn denying(pattern: &str) -> Rules {
    Rules::new([Rule::deny([pattern])]).unwrap()
}

/// Which of these paths a pattern denies to open.
#[track_caller]
fn denied<'a>(pattern: &str, paths: &[&'a str]) -> Vec<&'a str> {
    let rules = denying(pattern);
    paths.iter().copied().filter(|path| rules.decide(&open(path)) == Decision::Deny).collect()
}

#[test]
fn a_plain_name_holds_for_what_is_below() {
    let paths = ["/nowhere/a", "/nowhere/a/b", "/nowhere/ab", "/x/a", "/x/a/b/c"];
    assert_eq!(denied("/nowhere/a", &paths), ["/nowhere/a", "/nowhere/a/b"]);
    assert_eq!(denied("/nowhere/a/", &paths), ["/nowhere/a", "/nowhere/a/b"]);
    assert_eq!(denied("a", &paths), ["/nowhere/a", "/nowhere/a/b", "/x/a", "/x/a/b/c"]);
    assert_eq!(denied("/nowhere/*", &paths), ["/nowhere/a", "/nowhere/ab"]);
    assert_eq!(denied("/nowhere/*/", &paths), ["/nowhere/a", "/nowhere/a/b", "/nowhere/ab"]);
    assert_eq!(denied("/", &paths), paths);
}

#[test]
fn steps_that_lead_nowhere_are_taken_out() {
    let paths = ["/nowhere/a/b", "/nowhere/b"];
    for pattern in ["//nowhere//a/b", "/nowhere/./a/./b", "/nowhere/x/../a/b", "/./nowhere/a/b/.", "/../nowhere/a/b"] {
        assert_eq!(denied(pattern, &paths), ["/nowhere/a/b"], "{pattern}");
    }
}

#[test]
fn braces_stand_for_one_or_the_other_and_for_themselves() {
    let paths = ["/n/a/x", "/n/b/c/x", "/n/{a,b/c}/x", "/n/{a,b}", "/n/a", "/n/c"];
    assert_eq!(denied("/n/{a,b/c}/x", &paths), ["/n/a/x", "/n/b/c/x", "/n/{a,b/c}/x"]);
    assert_eq!(denied("/n/{a,b}", &paths), ["/n/a/x", "/n/b/c/x", "/n/{a,b}", "/n/a"]);
    assert_eq!(denied("/n/{{a,x},c}", &paths), ["/n/a/x", "/n/a", "/n/c"]);
    assert_eq!(denied(r"/n/\{a,b\}", &paths), ["/n/{a,b}"]);
    assert_eq!(denied("/n/[{]a,b[}]", &paths), ["/n/{a,b}"]);
    assert_eq!(denied("{/n/c,}", &paths), ["/n/c"]);
}

#[test]
fn what_looks_like_a_class_stands_for_itself_too() {
    let paths = ["/n/br1/x", "/n/br[1]/x", "/n/br2/x", r"/n/a\b", "/n/ab", r"/n/a\*", "/n/a*", "/n/ac"];
    assert_eq!(denied("/n/br[1]/x", &paths), ["/n/br1/x", "/n/br[1]/x"]);
    assert_eq!(denied("br[1]/*", &paths), ["/n/br1/x", "/n/br[1]/x"]);
    assert_eq!(denied(r"/n/a\b", &paths), [r"/n/a\b", "/n/ab"]);
    assert_eq!(denied(r"/n/a\*", &paths), [r"/n/a\*", "/n/a*"]);
}

#[test]
fn what_can_be_no_files_name_is_an_error_that_names_it() {
    let patterns = ["", "/srv/*/../x", "**/../x", "*/./x", "br[1]/../x", "~no-such-user/x", "a[b", "{a,b", "a}"];
    for pattern in patterns {
        let error = Rules::new([Rule::deny([pattern])]).unwrap_err();
        assert_eq!(error.status(), Status::OBJECT_NAME_INVALID, "{pattern}");
        assert!(error.to_string().contains(&format!("{pattern:?}: ")), "{pattern}: {error}");
    }
    let many = "{a,b,c,d,e,f,g,h,i,j}".repeat(4);
    assert!(Rules::new([Rule::deny([many])]).unwrap_err().to_string().contains("1000"));
}

#[test]
fn a_pattern_that_says_where_is_no_pattern_for_every_depth() {
    let here = std::env::current_dir().unwrap();
    let elsewhere = PathBuf::from("/elsewhere/no/file");
    for (pattern, path) in [
        ("./no/file", here.join("no/file")),
        ("no/../no/file", here.join("no/file")),
        ("../no/file", here.parent().unwrap().join("no/file")),
        (".", here.join("no/file")),
        ("~/no/file", std::env::home_dir().unwrap().join("no/file")),
        ("~", std::env::home_dir().unwrap().join("no/file")),
        ("~root/no/file", "/root/no/file".into()),
    ] {
        let rules = denying(pattern);
        assert_eq!(rules.decide(&open(&path)), Decision::Deny, "{pattern}");
        assert_eq!(rules.decide(&open(&elsewhere)), Decision::Allow, "{pattern}");
    }
}

#[test]
fn the_strictest_decision_about_any_name_counts() {
    let rules = Rules::new([Rule::allow(["/public/**"]), Rule::ask(["*.conf"]), Rule::deny(["*.key"])]).unwrap();
    let link = |path: &str, target: &str| rules.decide(&operation(OpKind::Link, path, target));
    assert_eq!(link("/my.key", "/public/my.key"), Decision::Deny);
    assert_eq!(link("/my.conf", "/public/x"), Decision::Ask);
    assert_eq!(link("/public/a", "/public/b"), Decision::Allow);
    let mut reached = open("/other/file");
    reached.through = vec!["/tmp/a.conf".into(), "/tmp/a.key".into()];
    assert_eq!(rules.decide(&reached), Decision::Deny);
}

/// Else a list of what is allowed would have to name `/lib` beside `/usr/lib`.
#[test]
fn what_is_allowed_by_its_real_name_is_allowed_through_links() {
    let through = |rules: &[Rule], path: &str, link: &str| {
        let mut reached = open(path);
        reached.through = vec![link.into()];
        Rules::new(rules.iter().cloned()).unwrap().decide(&reached)
    };
    let [public, all] = [Rule::allow(["/public/**"]), Rule::deny(["**"])];
    let list = [public.clone(), all.clone()];
    assert_eq!(through(&list, "/public/file", "/link"), Decision::Allow);
    // The name of a link allows nothing: a program that may make links could name them so.
    assert_eq!(through(&list, "/secret", "/public/link"), Decision::Deny);
    // A rule about the link stands above it, if it does in the list.
    let link = Rule::deny(["/link"]);
    assert_eq!(through(&[link.clone(), public.clone(), all.clone()], "/public/file", "/link"), Decision::Deny);
    assert_eq!(through(&[public, link, all], "/public/file", "/link"), Decision::Allow);
}

#[test]
fn no_ancestor_is_renamed_away_from_a_rule() {
    for (pattern, ancestor) in [
        ("/n/a/b/f", "/n"),
        ("/n/a/b/f", "/n/a"),
        ("/n/a/b/*", "/n/a/b"),
        ("/n/a/**", "/n"),
        ("/n/*/b/f", "/n/x/b"),
        ("**/.ssh/id_*", "/home/me/.ssh"),
        ("a/b/f", "/deep/a"),
        ("**/a/**", "/deep/a"),
    ] {
        let rules = denying(pattern);
        for operation in [rename(ancestor, "/new"), exchange(ancestor, "/new"), exchange("/new", ancestor)] {
            assert_eq!(rules.decide(&operation), Decision::Deny, "{pattern} {operation:?}");
        }
        let mut file = rename(ancestor, "/new");
        file.flags = OpFlags::LEAF;
        assert_eq!(rules.decide(&file), Decision::Allow, "{pattern}: nothing is below a file");
    }
}

#[test]
fn renames_that_change_no_rule_go_on() {
    for (pattern, from, to) in [
        ("*.pem", "/a/b", "/c"),
        ("**/x/**", "/a", "/b"),
        ("/n/*/f", "/n/a", "/n/b"),
        ("/n/a/f", "/n/b", "/n/c"),
        ("/n/a/f", "/a", "/b"),
        ("**/a/*/f", "/a/x", "/a/y"),
    ] {
        assert_eq!(denying(pattern).decide(&rename(from, to)), Decision::Allow, "{pattern}");
        assert_eq!(denying(pattern).decide(&exchange(from, to)), Decision::Allow, "{pattern}");
    }
}

/// Its files would be made where none may be made.
#[test]
fn no_directory_is_renamed_to_below_a_rule() {
    assert_eq!(denying("/n/a/b/f").decide(&rename("/new", "/n/a")), Decision::Deny);
    assert_eq!(denying("**/.ssh/id_*").decide(&rename("/new", "/home/me/.ssh")), Decision::Deny);
}

#[test]
fn no_directory_is_renamed_to_where_more_is_allowed() {
    let rules = Rules::new([Rule::allow(["/public/**"]), Rule::deny(["*.key"])]).unwrap();
    assert_eq!(rules.decide(&rename("/private", "/public/x")), Decision::Deny);
    assert_eq!(rules.decide(&exchange("/public/x", "/private")), Decision::Deny);
    assert_eq!(rules.decide(&rename("/public/x", "/private")), Decision::Allow);
    assert_eq!(rules.decide(&rename("/public/x", "/public/y")), Decision::Allow);
    let first = Rules::new([Rule::deny(["/other/**"]), Rule::allow(["/public/**"])]).unwrap();
    assert_eq!(first.decide(&rename("/private", "/public/x")), Decision::Allow);
    let all = Rules::new([Rule::allow(["/public/**"]), Rule::ask(["**"])]).unwrap();
    assert_eq!(all.decide(&rename("/private", "/public/x")), Decision::Ask);
}

#[test]
fn links_are_followed_when_a_rule_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    let path = |name: &str| here.join(name);
    fs::create_dir_all(path("real/dir")).unwrap();
    fs::write(path("real/dir/secret"), "").unwrap();
    symlink("real", path("alias")).unwrap();
    symlink("alias/./dir", path("home")).unwrap();
    symlink("secret", path("real/dir/link")).unwrap();
    symlink(path("home"), path("br[1]")).unwrap();
    symlink("loop", path("loop")).unwrap();
    let secret = open(path("real/dir/secret"));
    for pattern in [
        "alias/dir/secret",
        "alias/dir/*",
        "alias/**",
        "home",
        "home/s?cret",
        "alias/../real/dir/secret",
        "home/../dir/secret",
        "real/dir/link",
        "br[1]/secret",
        "home/{x,secret}",
    ] {
        let rules = denying(path(pattern).to_str().unwrap());
        assert_eq!(rules.decide(&secret), Decision::Deny, "{pattern}");
        let away = rename(path("real").to_str().unwrap(), path("new").to_str().unwrap());
        assert_eq!(rules.decide(&away), Decision::Deny, "{pattern}");
        if pattern.contains("..") {
            continue; // from the working directory
        }
        let below = Rules::new([Rule::deny([pattern]).under([&here])]).unwrap();
        assert_eq!(below.decide(&secret), Decision::Deny, "{pattern} below a directory");
    }
    // The names as they are written hold too, whatever they lead to later.
    let rules = denying(path("home/secret").to_str().unwrap());
    let mut other = open(path("other/secret"));
    other.through = vec![path("home/secret")];
    assert_eq!(rules.decide(&other), Decision::Deny);
    // What does not end or is not there is no error.
    assert_eq!(denying(path("loop/x").to_str().unwrap()).decide(&secret), Decision::Allow);
    assert_eq!(denying(path("later/x").to_str().unwrap()).decide(&open(path("later/x"))), Decision::Deny);
}

#[test]
fn links_of_procfs_are_each_processes_own() {
    assert_eq!(denying("/proc/self/fd/0").globs.len(), 2);
}

#[test]
fn what_is_allowed_here_is_allowed_by_its_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    symlink("/etc", here.join("public")).unwrap();
    let rules = |rule: Rule| Rules::new([rule.under([&here]), Rule::deny(["**"])]).unwrap();
    assert_eq!(rules(Rule::allow(["public"])).decide(&open("/etc/shadow")), Decision::Deny);
    assert_eq!(rules(Rule::ask(["public"])).decide(&open("/etc/shadow")), Decision::Ask);
}
