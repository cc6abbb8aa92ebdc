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
    let mut command = world.fltmc();
    command.args(["run", "-q", "--port", "Gate", "--ask", "**/secret", "--deadline", "500", "--"]);
    command.arg(world.program("attacker")).args(["forge", "port", how, "Gate", &namespace, &secret]);
    let mut run = world.spawn(&mut command);
    run.says("waiting for an application");
    let mut application = world.spawn(world.fltmc().args(["connect", "Gate", "--deny-all"]));
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
