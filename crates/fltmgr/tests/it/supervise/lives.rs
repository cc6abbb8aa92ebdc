//! Lives and deaths: of the caller, the command, its descendants and the supervisor.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use fltmgr::filter::{OpFlags, OpSet, Verdict};
use fltmgr::source::{Source as _, Supervise};

use super::probe;
use testkit::{World, skip, until};

use super::world::{Supervised as _, allow_all, is_alive};

#[test]
fn the_exit_of_the_command_is_reported() {
    use std::os::unix::process::ExitStatusExt;
    let world = World::new();
    assert_eq!(world.sh("exit 42", OpSet::all(), allow_all).status.unwrap().code(), Some(42));
    assert_eq!(world.sh("kill -TERM $$", OpSet::all(), allow_all).status.unwrap().signal(), Some(15));
}

#[test]
fn an_answer_to_a_dead_caller_is_told() {
    let world = World::new();
    world.file("slow", "x");
    let late = AtomicU32::new(0);
    let script = "cat slow & sleep 0; while ! [ -e held ]; do :; done; kill -9 $!; wait; echo over";
    let outcome = world.sh(script, OpSet::OPEN, |held| {
        if held.operation().path.ends_with("slow") {
            std::fs::write(world.path("held"), "").unwrap();
            until(|| !is_alive(held.operation().caller.thread()));
            late.store(u32::from(!held.answer(Verdict::Allow)), Ordering::Relaxed);
        }
        None
    });
    assert_eq!(outcome.out, "over\n");
    assert_eq!(late.load(Ordering::Relaxed), 1);
    assert!(outcome.counters.gone >= 1);
}

#[test]
fn many_threads_are_served() {
    let world = World::new();
    for n in 0..50 {
        world.file(&format!("f{n}"), n.to_string());
    }
    let outcome = world.run(probe::command("threads"), OpSet::OPEN, allow_all);
    let out = outcome.ok();
    assert!(out.out.contains("8 threads read 1600 files"), "{}", out.out);
    assert_eq!(out.asked.iter().filter(|asked| asked.path.starts_with(world.dir())).count(), 1600);
    assert_eq!(out.counters.gone, 0);
}

#[test]
fn a_name_taken_while_asked_is_asked_again() {
    let world = World::new();
    let mut times = 0;
    let raced = std::sync::Mutex::new(&mut times);
    let outcome = world.sh("echo mine >> raced", OpSet::OPEN, |held| {
        if held.operation().path.ends_with("raced") {
            let mut times = raced.lock().unwrap();
            if **times == 0 {
                assert!(held.operation().flags.contains(OpFlags::CREATE));
                std::fs::write(world.path("raced"), "theirs\n").unwrap();
            } else {
                assert!(!held.operation().flags.contains(OpFlags::CREATE));
            }
            **times += 1;
        }
        None
    });
    outcome.ok();
    assert_eq!(times, 2);
    assert_eq!(std::fs::read_to_string(world.path("raced")).unwrap(), "theirs\nmine\n");
}

#[test]
fn a_thread_that_becomes_another_user_still_works() {
    let world = World::new();
    world.file("file", "text");
    world.file("secret", "hidden");
    let outcome = world.run(probe::command("namespace"), OpSet::OPEN, super::world::deny("secret"));
    let outcome = outcome.ok();
    if outcome.out.contains("SKIP") {
        return skip::privileged("no user namespaces here");
    }
    assert!(outcome.out.contains("file: text, secret: EACCES"), "{}", outcome.out);
    assert_eq!(outcome.counters.continued, 0, "a proxy entered its namespace");
}

/// An exec gives root what it had put down, and takes from others what they may not pass on: the thread that asks first,
/// before the exec of the command, does not have its rights yet.
#[test]
fn the_rights_are_those_after_the_exec() {
    if !rustix::process::geteuid().is_root() {
        return skip::privileged("only root gets rights by an exec");
    }
    let output = probe::command("bounded").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("read, ours: false"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// The kernel ends whatever the supervisor does with the listener when a signal comes: everything is tried again.
#[test]
fn signals_to_the_supervisor_lose_no_answer() {
    extern "C" fn nothing(_: libc::c_int) {}
    let world = World::new();
    for n in 0..50 {
        world.file(&format!("f{n}"), n.to_string());
    }
    // SAFETY: all-zero is a valid sigaction: no flags (no SA_RESTART, so the kernel tries nothing again), no mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: `action` has a handler that does nothing.
    unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    let answering = std::sync::Mutex::new(std::collections::HashSet::<i32>::new());
    let over = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for &tid in answering.lock().unwrap().iter() {
                    // SAFETY: a signal that is handled, to a thread of ours or one that is gone.
                    unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), tid, libc::SIGUSR1) };
                }
            }
        });
        let outcome = world.run(probe::command("threads"), OpSet::OPEN, |_| {
            // SAFETY: gettid has no preconditions.
            answering.lock().unwrap().insert(unsafe { libc::gettid() });
            None
        });
        over.store(true, Ordering::Relaxed);
        assert!(outcome.out.contains("8 threads read 1600 files"), "{outcome:?}");
        assert_eq!(outcome.counters.gone, 0);
    });
}

#[test]
fn io_uring_is_not_there() {
    let world = World::new();
    let outcome = world.run(probe::command("io_uring"), OpSet::OPEN, allow_all).ok();
    assert!(outcome.out.contains("io_uring_setup: ENOSYS"), "{}", outcome.out);
}

#[test]
fn a_supervisor_in_a_supervised_tree_is_refused() {
    let world = World::new();
    let outcome = world.run(probe::command("nested"), OpSet::OPEN, allow_all).ok();
    assert!(outcome.out.contains("nested: STATUS_DEVICE_BUSY"), "{}", outcome.out);
}

/// In a process of its own, because the reaper of orphans is a property of the process.
#[test]
fn nothing_is_left_behind() {
    let output = probe::command("leave").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("none of 3 left"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_no_tree_of_ours_is_left_alone() {
    let output = probe::command("leave-others").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let alive = "the other's lives: true, the child lives: None";
    assert!(text.contains(alive), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_command_dies_with_its_supervisor() {
    let world = World::new();
    let mut supervisor = probe::command("hold").current_dir(world.dir()).stdout(Stdio::null()).spawn().unwrap();
    let mut pid = 0;
    until(|| {
        let text = std::fs::read_to_string(world.path("pid")).unwrap_or_default();
        pid = text.strip_suffix('\n').and_then(|pid| pid.parse().ok()).unwrap_or(0);
        pid != 0
    });
    assert!(is_alive(pid));
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    until(|| !is_alive(pid));
}

#[test]
fn stop_ends_every_thread() {
    let mut command = Command::new("/bin/sleep");
    command.arg("1000");
    let source = Arc::new(Supervise::new(command));
    source.start(OpSet::EXEC).unwrap();
    let _world = World::new();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(held) = source.next().unwrap() {
                    held.answer(Verdict::Allow);
                }
            });
        }
        let pid = source.pid().unwrap();
        source.stop();
        // SAFETY: kill has no memory preconditions; the process is our child, not yet reaped.
        unsafe { libc::kill(pid as i32, libc::SIGKILL) };
        assert!(!source.wait().unwrap().success());
    });
}
