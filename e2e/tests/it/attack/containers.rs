//! Where a container or a service manager refuses calls: a run works, or says before its start what is missing.

use std::process::Command;

use testkit::{World, finish};

/// What is run: files are made, moved and read, and one is for rules to refuse.
const SCRIPT: &str = "umask 027; echo text > new; stat -c %a new; cat new; mkdir folder; mv new folder/moved; \
    cat folder/moved ./folder/../folder/moved; ln -s folder link; cat link/moved; echo more >> link/moved; \
    cat < /proc/self/cwd/folder/moved; cat secret; rm folder/moved; ls folder; chmod 700 folder; stat -c %a folder";

const SAID: &str = "640\ntext\ntext\ntext\ntext\ntext\nmore\n700\n";

/// A program of the world, confined.
fn confined(world: &World, profile: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = world.command(world.program("attacker"));
    command.args(["confine", profile]).arg(program);
    command
}

/// The program itself does what it should where it is only confined.
#[test]
fn the_script_works_where_nothing_is_supervised() {
    for profile in ["docker", "restrict-suid", "system-service", "all", "pidfd_open", "statx"] {
        let world = World::ordinary();
        world.file("secret", "");
        let ended = finish(confined(&world, profile, "sh").args(["-c", SCRIPT]));
        assert_eq!((ended.code, ended.out.as_str()), (Some(0), SAID), "{profile}: {}", ended.err);
    }
}

fn run(world: &World, profile: &str, rules: &[&str]) -> testkit::Ended {
    world.file("secret", "NEEDLE");
    let mut command = confined(world, profile, world.tool());
    finish(command.args(["run", "-q"]).args(rules).args(["--", "sh", "-c", SCRIPT]))
}

/// Under this profile a run works, and the doctor finds nothing that it needs.
fn works(profile: &str) {
    works_in(World::ordinary, profile);
}

fn works_in(world: fn() -> World, profile: &str) {
    for rule in ["--deny=**/secret", "--deny-content=NEEDLE"] {
        let world = world();
        let ended = run(&world, profile, &[rule]);
        assert_eq!(ended.out, SAID, "{profile}: {}", ended.err);
        assert!(ended.err.contains("secret") && ended.code == Some(0), "{profile}: {ended:?}");
        let doctor = finish(confined(&world, profile, world.tool()).arg("doctor"));
        assert_eq!(doctor.code, Some(0), "{profile}: {doctor:?}");
    }
}

#[test]
fn a_container_of_docker() {
    works("docker");
}

/// Root in a container has few of root's rights.
#[test]
fn a_container_of_docker_as_root() {
    if testkit::is_root() {
        works_in(World::new, "docker-root");
    } else {
        testkit::skip::privileged("a container's root");
    }
}

#[test]
fn a_service_with_restrict_suid_sgid() {
    works("restrict-suid");
}

#[test]
fn a_service_that_makes_system_service_calls() {
    works("system-service");
}

#[test]
fn everything_at_once() {
    works("all");
}

#[test]
fn no_pidfd_and_no_statx() {
    works("pidfd_open");
    works("statx");
}

/// What the doctor says of a call that is refused here: in which state it is.
#[test]
fn the_doctor_names_each_call() {
    for call in ["unshare", "openat2", "process_vm_readv"] {
        let world = World::ordinary();
        let doctor = |profile: Option<&str>| {
            let mut command = match profile {
                Some(profile) => confined(&world, profile, world.tool()),
                None => world.fltmc(),
            };
            let ended = finish(command.args(["doctor", "--json"]));
            let lines = ended.out.lines().map(|line| serde_json::from_str(line).expect("JSON"));
            let checks: Vec<serde_json::Value> = lines.collect();
            let check = checks.into_iter().find(|check| check.to_string().contains(call));
            check.unwrap_or_else(|| panic!("{call} is not looked at: {}", ended.out))["state"].clone()
        };
        assert_eq!(doctor(None), "ok", "{call}");
        assert_ne!(doctor(Some(call)), "ok", "{call}");
    }
}

/// Nothing can be held without it.
#[test]
fn no_seccomp() {
    let world = World::ordinary();
    let ended = run(&world, "seccomp", &["--deny=**/secret"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(15), ""), "{}", ended.err);
    assert!(ended.err.contains("seccomp"), "{}", ended.err);
    let doctor = finish(confined(&world, "seccomp", world.tool()).arg("doctor"));
    assert_eq!(doctor.code, Some(15), "{}", doctor.out);
}
