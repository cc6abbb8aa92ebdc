//! Answers come from the application that decides, and from nothing that is decided about.

use serde_json::Value;
use testkit::World;

use super::runs::{path, printed, supervised};

/// Runs an attack on the built-in scanner.
fn on_the_scanner(rules: &[&str], attack: &str) -> Value {
    let world = World::ordinary();
    // not in the program of the attack itself
    let secret = world.file("secret", "NEEDLE");
    let rules = [&["--deny-content=NEEDLE"], rules].concat();
    let ended = supervised(&world, &rules, &["forge", attack, secret.to_str().expect("text")]);
    // a run that ended with its scanner is as good
    if ended.out.is_empty() && ended.code != Some(0) { Value::Null } else { printed(&ended) }
}

/// Runs an attack on a port whose application refuses everything that it is asked about.
fn on_the_port(how: &str) -> Value {
    let world = World::ordinary();
    let secret = path(&world, "secret");
    world.file("secret", "text");
    let namespace = path(&world, "namespace");
    // its application is found by the name, among those of other tests
    let gate = format!("Gate-{how}");
    let mut command = world.fltmc();
    command.args(["run", "-q", "--port", &gate, "--ask", "**/secret", "--deadline", "500", "--"]);
    command.arg(world.program("attacker")).args(["forge", "port", how, &gate, &namespace, &secret]);
    let mut run = world.spawn(&mut command);
    run.says("waiting for an application");
    let mut application = world.spawn(world.fltmc().args(["connect", &gate, "--deny-all"]));
    let said = run.says("{");
    run.end();
    application.end();
    serde_json::from_str(&said).expect("JSON")
}

#[test]
fn a_stopped_scanner_is_a_miss() {
    let said = on_the_scanner(&["--deadline", "2000"], "stopped");
    assert_eq!((&said["stopped"], &said["open"]), (&1.into(), &libc::EACCES.into()), "{said}");
}

#[test]
fn nothing_from_inside_connects_beside_an_application() {
    let said = on_the_port("beside");
    assert_eq!((&said["applications"], &said["connected"]), (&1.into(), &false.into()), "{said}");
    assert_ne!(said["open"], 0, "{said}");
}

#[test]
fn what_outlives_the_filter_opens_nothing() {
    let world = World::ordinary();
    let secret = path(&world, "secret");
    world.file("secret", "text");
    let mut command = world.fltmc();
    command.args(["run", "-q", "--deny=**/secret", "--"]).arg(world.program("attacker"));
    let mut run = world.spawn(command.args(["forge", "orphan", &secret]));
    let said: Value = serde_json::from_str(&run.says("{")).expect("JSON");
    assert_ne!(said["open"], 0, "{said}");
    assert_eq!(run.end(), 128 + libc::SIGKILL);
}

#[test]
fn nothing_takes_the_place_of_the_scanner() {
    let said = on_the_scanner(&[], "scanner");
    assert_ne!(said["connected"], true, "{said}");
    assert_ne!(said["open"], 0, "{said}");
}

#[test]
fn nothing_from_inside_takes_the_place_of_an_application() {
    let said = on_the_port("instead");
    assert_eq!((&said["applications"], &said["connected"]), (&1.into(), &false.into()), "{said}");
    assert_ne!(said["open"], 0, "{said}");
}

/// It has left its parent and its session, but not the tree.
#[test]
fn no_daemon_from_inside_takes_the_place_of_an_application() {
    let said = on_the_port("as-daemon");
    assert_eq!((&said["applications"], &said["connected"]), (&1.into(), &false.into()), "{said}");
    assert_ne!(said["open"], 0, "{said}");
}

/// By no way that a debugger has.
#[test]
fn nothing_from_inside_looks_into_what_decides() {
    let world = World::ordinary();
    let ended = supervised(&world, &["--deny-content=NEEDLE"], &["forge", "look"]);
    let said = printed(&ended);
    let processes = said.as_array().expect("a list");
    assert_eq!(processes.len(), 2, "the filter and the scanner: {said}");
    for (way, error) in processes.iter().flat_map(|process| process.as_object().expect("ways")) {
        // what is not there cannot be looked into either
        assert!(error != 0 && (way != "write" || *error != libc::EFAULT), "{way}: {said}");
    }
}

#[test]
fn no_descriptor_is_taken_out_of_a_process() {
    let world = World::ordinary();
    let ended = supervised(&world, &["--deny=/nowhere"], &["forge", "take"]);
    assert_ne!(printed(&ended), 0, "{ended:?}");
}

/// The scanner needs no name that others find.
#[test]
fn the_scanner_has_no_port_that_can_be_found() {
    let world = World::ordinary();
    let temporary = path(&world, "tmp");
    assert_eq!(testkit::finish(world.command("mkdir").arg(&temporary)).code, Some(0));
    let mut command = world.fltmc();
    command.env("TMPDIR", &temporary).args(["run", "-q", "--deny-content=NEEDLE", "--", "find"]);
    let ended = testkit::finish(command.args([&temporary, "-type", "s"]));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{}", ended.err);
}
