//! What the end of a connection does to what is under way.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use e2e::until;
use fltmgr::namespace::Namespace;
use fltmgr::{Client, Connection, Port, PortOptions, SecurityDescriptor, Serve, Status};

const NAME: &str = r"\Ending";
const LONG: Duration = Duration::from_secs(20);

struct Filter {
    came: SyncSender<Client>,
}

impl Serve for Filter {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        let _ = self.came.try_send(client.clone());
        Ok(())
    }
}

/// A port, and what connects to it.
fn world(dir: &std::path::Path) -> (Port, impl Fn() -> (Connection, Client)) {
    e2e::watchdog(Duration::from_secs(60));
    let (came, on_came) = sync_channel(1);
    let options = PortOptions::default().security(SecurityDescriptor::null_dacl()).namespace(Namespace::at(dir));
    let port = Port::create(NAME, options, Filter { came }).unwrap();
    let dir = dir.to_owned();
    let connect = move || {
        let port = Connection::options().namespace(Namespace::at(&dir)).connect(NAME, b"").unwrap();
        (port, on_came.recv_timeout(LONG).unwrap())
    };
    (port, connect)
}

#[test]
fn a_long_request_that_the_end_interrupts_is_disconnected() {
    let dir = tempfile::tempdir().unwrap();
    let (filter, connect) = world(dir.path());
    let uid = rustix::process::getuid().as_raw();
    let mut interrupted = 0;
    while interrupted < 10 {
        let (port, client) = connect();
        let status = std::thread::scope(|scope| {
            let sending = scope.spawn(|| port.send(&vec![7; 16 << 20], &mut []));
            let under_way = || (filter.usage(uid).request_bytes > 0 || sending.is_finished()).then_some(());
            until("a request under way", under_way);
            client.close();
            sending.join().unwrap().unwrap_err().status()
        });
        // the other is the filter's answer, of a request that was through before the end
        assert!([Status::PORT_DISCONNECTED, Status::INVALID_DEVICE_REQUEST].contains(&status), "{status:?}");
        interrupted += u32::from(status == Status::PORT_DISCONNECTED);
        port.close();
    }
}
