//! Another user, who must be served whatever the first one does.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use fltport::Connection;
use fltport::namespace::Namespace;

use super::{PORT, World, skip};

/// Short against what the first user holds, long for a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Lets others reach a port, whose filter echoes what they send.
pub(crate) fn open_to_all(world: &World) {
    std::fs::set_permissions(world.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
}

/// What a test `other_user` of the same program does: it connects and is answered, as often as it is told.
pub(crate) fn role() {
    let Ok(dir) = std::env::var("FLTMGR_QUOTA_DIR") else { return };
    let times: usize = std::env::var("FLTMGR_QUOTA_TIMES").unwrap().parse().unwrap();
    let options = Connection::options().namespace(Namespace::at(PathBuf::from(dir))).timeout(PATIENCE);
    for _ in 0..times {
        let port = options.connect(PORT, b"").unwrap();
        let mut output = [0; 1000];
        assert_eq!(port.send(&[7; 1000], &mut output).unwrap(), 1000);
        assert_eq!(output, [7; 1000]);
        port.close();
    }
}

/// That another user is served, whatever this one holds.
pub(crate) fn is_served(world: &World) {
    is_served_times(world, 1);
}

/// That another user is served again and again.
pub(crate) fn is_served_times(world: &World, times: usize) {
    if me() != 0 {
        return skip::privileged("only root can become another user");
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "other_user", "--nocapture"]).env("FLTMGR_QUOTA_DIR", world.dir.path());
    command.env("FLTMGR_QUOTA_TIMES", times.to_string());
    let output = command.uid(65_534).gid(65_534).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
