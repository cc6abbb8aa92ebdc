//! Directories that are another user's.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use testkit::{NOBODY, is_root, skip};

use super::{claim, go, leave, start, world};

/// Runs a role as a user without rights. `None` if this process may not.
fn as_nobody(role: &str, port: &str, configure: impl FnOnce(&mut Command)) -> Option<String> {
    if !is_root() {
        skip::privileged("only root can become another user");
        return None;
    }
    let mut process = start(role, port, |command| {
        command.env_remove("FLTMGR_NAMESPACE").env_remove("XDG_RUNTIME_DIR").uid(NOBODY).gid(NOBODY);
        configure(command);
    });
    let answer = go(&mut process);
    leave(process);
    Some(answer)
}

#[test]
fn a_directory_that_may_not_be_written_to() {
    let (dir, namespace) = world();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let _claim = claim(&namespace, r"\Scanner").unwrap();
    let configure = |command: &mut Command| {
        command.env("FLTMGR_NAMESPACE", dir.path());
    };
    let Some(answer) = as_nobody("claim", r"\Other", configure) else { return };
    assert!(answer.starts_with("STATUS_ACCESS_DENIED"), "{answer}");
    assert!(answer.contains(&format!("uid 65534) may not write to {}", dir.path().display())), "{answer}");
    assert!(answer.contains("set FLTMGR_NAMESPACE"), "{answer}");
    // But to look up and connect needs no right; that is for the port's descriptor to decide.
    assert_eq!(as_nobody("find", r"\Scanner", configure).unwrap(), "found");
    // A user that could open the lock could keep the name from us for ever.
    assert_eq!(as_nobody("claim", r"\Scanner", configure).unwrap().split(' ').next(), Some("STATUS_ACCESS_DENIED"));

    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let answer = as_nobody("find", r"\Scanner", configure).unwrap();
    assert!(answer.starts_with("STATUS_ACCESS_DENIED"), "{answer}");
}

#[test]
fn a_users_own_directory_is_made_and_checked() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    let in_temporary = |command: &mut Command| {
        command.env("TMPDIR", dir.path());
    };
    let own = dir.path().join("fltmgr-65534");
    let Some(answer) = as_nobody("claim", r"\Scanner", in_temporary) else { return };
    assert_eq!(answer, format!("won {}", own.display()));
    assert_eq!(own.metadata().unwrap().permissions().mode() & 0o7777, 0o700);

    std::fs::set_permissions(&own, PermissionsExt::from_mode(0o777)).unwrap();
    for role in ["claim", "find"] {
        let answer = as_nobody(role, r"\Scanner", in_temporary).unwrap();
        assert!(answer.starts_with("STATUS_ACCESS_DENIED") && answer.contains("chmod go-w"), "{answer}");
    }

    std::fs::remove_dir_all(&own).unwrap();
    std::fs::create_dir(&own).unwrap();
    for role in ["claim", "find"] {
        let answer = as_nobody(role, r"\Scanner", in_temporary).unwrap();
        assert!(answer.starts_with("STATUS_ACCESS_DENIED") && answer.contains("belongs to uid 0"), "{answer}");
    }

    std::fs::remove_dir(&own).unwrap();
    std::os::unix::fs::symlink(dir.path(), &own).unwrap();
    let answer = as_nobody("claim", r"\Scanner", in_temporary).unwrap();
    assert!(answer.starts_with("STATUS_ACCESS_DENIED") && answer.contains("symbolic link"), "{answer}");

    let in_runtime = |command: &mut Command| {
        command.env("XDG_RUNTIME_DIR", dir.path());
    };
    let answer = as_nobody("claim", r"\Scanner", in_runtime).unwrap();
    assert_eq!(answer, format!("won {}", dir.path().join("fltmgr").display()));
}
