//! `fltmc ports` and `fltmc connect`: looking at ports, and answering by hand.

use testkit::{finish, until};

use crate::ordinary;

#[test]
fn a_port_is_listed_while_it_lives() {
    let world = ordinary();
    let list = || finish(world.fltmc().args(["ports", "--json"]));
    assert_eq!((list().code, list().out.as_str()), (Some(0), ""));
    // it lives on when an application has come
    let mut host = world.spawn(world.fltmc().args(["run", "--port", "Gate", "--", "sleep", "600"]));
    host.says("waiting");
    let port: serde_json::Value = serde_json::from_str(list().out.trim()).unwrap();
    assert_eq!(port["name"], r"\Gate");
    assert_eq!(port["pid"], host.pid());
    assert_eq!((port["connections"].as_u64(), port["max_connections"].as_u64()), (Some(0), Some(1)));
    assert_eq!(port["anyone_may_connect"], false);
    assert_eq!(port["namespace"].as_str(), world.namespace_dir().to_str());
    let table = finish(world.fltmc().arg("ports")).out;
    for wanted in ["NAME", r"\Gate", &host.pid().to_string(), "0/1", "D:"] {
        assert!(table.contains(wanted), "no {wanted} in:\n{table}");
    }
    assert_eq!(port["connected"].as_array().map(Vec::len), Some(0));
    let person = world.spawn(world.fltmc().args(["connect", "Gate", "--allow-all"]));
    let port = until(|| {
        let port: serde_json::Value = serde_json::from_str(list().out.trim()).unwrap();
        (port["connections"] == 1).then_some(port)
    });
    let connected = &port["connected"][0];
    assert_eq!((&connected["pid"], &connected["command"]), (&person.pid().into(), &"fltmc".into()), "{port}");
    let table = finish(world.fltmc().arg("ports")).out;
    assert!(table.contains(&format!("{} (fltmc)", person.pid())), "{table}");
    host.signal(rustix::process::Signal::KILL);
    host.end();
    assert_eq!(list().out, "", "a killed host's port is gone");
    // What a killed host leaves goes away when the next one takes the name.
    let mut host = world.spawn(world.fltmc().args(["run", "--port", "Gate", "--", "true"]));
    host.says("waiting");
    host.signal(rustix::process::Signal::TERM);
    host.end();
}

#[test]
fn a_person_answers_over_a_pipe() {
    let world = ordinary();
    world.file("one", "first\n");
    world.file("two", "second\n");
    let rules = ["run", "-q", "--port", "Gate", "--ask", "**/{one,two}", "--deadline", "30000"];
    let mut host = world.spawn(world.fltmc().args(rules).args(["--", "sh", "-c", "cat one; cat two; cat one"]));
    host.says("waiting");
    let mut person = world.spawn(world.fltmc().args(["connect", "Gate"]));
    person.says("connected");
    for (answer, told) in [("n\n", "denied"), ("what?\ny\n", "allowed"), ("y\n", "allowed")] {
        person.says("open");
        person.tell(answer);
        person.says(told);
    }
    host.says("one: Permission denied");
    assert_eq!(host.end(), 0);
    person.says("closed the port");
    assert_eq!(person.end(), 0);
}

#[test]
fn all_can_be_answered_alike() {
    let world = ordinary();
    world.file("one", "first\n");
    for (all, code) in [("--allow-all", 0), ("--deny-all", 1)] {
        let rules = ["run", "-q", "--port", "Gate", "--ask", "**/one", "--", "cat", "one"];
        let mut host = world.spawn(world.fltmc().args(rules));
        host.says("waiting");
        let ended = finish(world.fltmc().args(["connect", "Gate", all, "--json"]));
        assert_eq!(host.end(), code);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let record: serde_json::Value = serde_json::from_str(ended.out.trim()).unwrap();
        assert_eq!(record["op"], "open");
        assert!(record["path"].as_str().unwrap().ends_with("/one"), "{record}");
        assert_eq!(record["comm"], "cat");
    }
}

#[test]
fn a_renames_second_name_is_told() {
    let world = ordinary();
    world.file("one", "first\n");
    let rules = ["run", "-q", "--port", "Gate", "--ask", "**/one", "--", "mv", "one", "two"];
    let mut host = world.spawn(world.fltmc().args(rules));
    host.says("waiting");
    let ended = finish(world.fltmc().args(["connect", "Gate", "--allow-all", "--json"]));
    assert_eq!((host.end(), ended.code), (0, Some(0)), "{}", ended.err);
    let record: serde_json::Value = serde_json::from_str(ended.out.trim()).unwrap();
    let [path, target] = ["path", "target"].map(|name| record[name].as_str().unwrap_or_default().to_owned());
    assert!(record["op"] == "rename" && path.ends_with("/one") && target.ends_with("/two"), "{record}");
}

#[test]
fn nobody_in_time_is_the_policys_business() {
    let world = ordinary();
    world.file("one", "first\n");
    for (policy, code) in [("allow", 0), ("deny", 1)] {
        let rules = ["run", "-q", "--port", "Gate", "--ask", "**/one", "--deadline", "50", "--on-miss", policy];
        let mut host = world.spawn(world.fltmc().args(rules).args(["--report", "r", "--", "cat", "one"]));
        host.says("waiting");
        let mut person = world.spawn(world.fltmc().args(["connect", "Gate"]));
        person.says("too late");
        assert_eq!(host.end(), code);
        let report = until(|| std::fs::read_to_string(world.dir().join("r")).ok());
        assert!(report.contains(r#""by":"deadline""#), "{report}");
    }
}

#[test]
fn an_application_that_dies_leaves_it_to_the_policy() {
    let world = ordinary();
    world.file("one", "first\n");
    let rules = ["run", "-q", "--port", "Gate", "--ask", "**/one", "--on-miss", "deny", "--", "cat", "one"];
    let mut host = world.spawn(world.fltmc().args(rules));
    host.says("waiting");
    let mut person = world.spawn(world.fltmc().args(["connect", "Gate"]));
    person.says("open");
    person.signal(rustix::process::Signal::KILL);
    host.says("Permission denied");
    assert_eq!(host.end(), 1);
}

#[test]
fn a_full_port_has_its_own_code() {
    let world = ordinary();
    let mut host = world.spawn(world.fltmc().args(["run", "-q", "--port", "Gate", "--", "sh", "-c", "read _"]));
    host.says("waiting");
    let mut first = world.spawn(world.fltmc().args(["connect", "Gate", "--allow-all"]));
    first.says("open");
    let second = finish(world.fltmc().args(["connect", "Gate"]));
    assert_eq!(second.code, Some(16), "{}", second.err);
    host.hang_up();
    host.end();
}
