//! Another user, which must be served whatever the first one does.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use fltport::Connection;
use fltport::namespace::Namespace;

use crate::{Again, Host, NOBODY, PORT, Role, is_root, program, skip};

/// Short against what the first user holds, long for a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// The role of another user's process: it connects and is answered, as often as it is told.
pub fn play(role: &Role) {
    let times: usize = role.words.parse().expect("a number");
    let options = Connection::options().namespace(Namespace::at(&role.dir)).timeout(PATIENCE);
    for _ in 0..times {
        let port = options.connect(PORT, b"").unwrap();
        let mut output = [0; 1000];
        assert_eq!(port.send(&[7; 1000], &mut output).unwrap(), 1000);
        assert_eq!(output, [7; 1000]);
        port.close();
    }
}

/// That another user is served, whatever this one holds.
pub fn is_served(host: &Host) {
    is_served_times(host, 1);
}

/// That another user is served again and again.
pub fn is_served_times(host: &Host, times: usize) {
    if !is_root() {
        return skip::privileged("only root can become another user");
    }
    let mut command = Command::new(program());
    command.uid(NOBODY).gid(NOBODY);
    let role = format!("other_user {times}");
    assert_eq!(Again::command(&role, &host.world().namespace_dir(), command).end(), 0, "another user is not served");
}
