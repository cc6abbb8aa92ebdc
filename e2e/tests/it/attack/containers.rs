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
