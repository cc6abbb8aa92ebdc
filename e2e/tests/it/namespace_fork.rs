//! A forked child has copies of everything that owns a port's name. It must neither take the name away nor keep it in
//! secret.

use std::io::{Read, Write};

use fltmgr::namespace::Namespace;
use fltmgr::{PortName, Status};
use testkit::{apart, until};

/// Forks and runs `child` there, which may allocate (the C library's fork sees to that) but must not touch the test
/// harness. Gives the child's process id.
fn fork(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `child`, which takes no lock that another thread of the parent may hold, and leaves by
    // _exit.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed");
    if pid == 0 {
        // SAFETY: sets a timer of this process, so that no failure leaves it behind.
        unsafe { libc::alarm(60) };
        let code = child();
        // SAFETY: ends this process at once, running nothing of the parent's.
        unsafe { libc::_exit(code) };
    }
    pid
}

fn exit_code(pid: i32) -> Option<i32> {
    let mut status = 0;
    // SAFETY: `status` outlives the call, and the process is our child.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status))
}

fn name() -> PortName {
    PortName::parse(r"\Scanner").unwrap()
}

#[test]
fn a_child_that_drops_the_parents_claim_changes_nothing() {
    apart(|| {
        let dir = tempfile::tempdir().unwrap();
        let namespace = Namespace::at(dir.path());
        let claim = namespace.claim(&name(), false, "D:").unwrap();
        let mut inherited = Some(claim);
        let child = fork(|| {
            drop(inherited.take());
            0
        });
        assert_eq!(exit_code(child), Some(0));
        namespace.find(&name()).unwrap();
        inherited.as_ref().unwrap().listener().accept().unwrap();
        assert_eq!(namespace.claim(&name(), false, "D:").unwrap_err().status(), Status::OBJECT_NAME_COLLISION);
        drop(inherited);
        namespace.claim(&name(), false, "D:").unwrap();
    });
}

#[test]
fn the_parents_claim_ends_though_a_child_has_copies() {
    apart(|| {
        let dir = tempfile::tempdir().unwrap();
        let namespace = Namespace::at(dir.path());
        let claim = namespace.claim(&name(), false, "D:").unwrap();
        let (mut wait, done) = std::io::pipe().unwrap();
        let child = fork(|| {
            // SAFETY: the copy of the writer that this child inherited; nothing in this process uses it any more.
            unsafe { libc::close(std::os::fd::AsRawFd::as_raw_fd(&done)) };
            i32::from(wait.read(&mut [0; 1]).is_err())
        });
        drop(claim);
        assert_eq!(namespace.find(&name()).unwrap_err().status(), Status::OBJECT_NAME_NOT_FOUND);
        drop(namespace.claim(&name(), false, "D:").unwrap());
        drop(done);
        assert_eq!(exit_code(child), Some(0));
    });
}

#[test]
fn a_child_that_outlives_its_host_is_named() {
    apart(|| {
        let dir = tempfile::tempdir().unwrap();
        let namespace = Namespace::at(dir.path());
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let at = &namespace;
        // moved, so that the child's end ends the reading below
        let host = fork(move || {
            let Ok(claim) = at.claim(&name(), false, "D:") else { return 1 };
            let orphan = fork(|| {
                // SAFETY: waits for a signal, of which the alarm's ends this process.
                unsafe { libc::pause() };
                1
            });
            std::mem::forget(claim);
            i32::from(writer.write_all(&orphan.to_ne_bytes()).is_err())
        });
        let mut orphan = [0; 4];
        reader.read_exact(&mut orphan).unwrap();
        assert_eq!(exit_code(host), Some(0));
        let error = namespace.claim(&name(), false, "D:").unwrap_err();
        assert_eq!(error.status(), Status::OBJECT_NAME_COLLISION);
        assert!(error.to_string().contains(&format!("a child that pid {host} left behind")), "{error}");

        // SAFETY: a process that this test started through its child.
        assert_eq!(unsafe { libc::kill(i32::from_ne_bytes(orphan), libc::SIGKILL) }, 0);
        until(|| namespace.claim(&name(), false, "D:").ok());
    });
}
