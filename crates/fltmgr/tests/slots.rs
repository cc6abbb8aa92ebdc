//! When all slots of a connection are in use.

mod common;

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use common::{LONG, World, watchdog};
use fltmgr::Timeout;

#[test]
fn a_receive_waits_for_a_slot_no_longer_than_for_a_message() {
    watchdog();
    let world = World::new();
    let port = world.connect();
    let hog = port.receiver(48).unwrap();
    let (tell, told) = sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(port.try_recv().unwrap().is_none());
            let start = Instant::now();
            assert!(port.recv_timeout(Duration::from_millis(30)).unwrap().is_none());
            let at = Timeout::At(std::time::SystemTime::now() + Duration::from_millis(30));
            assert!(port.recv_limited(8, at).unwrap().is_none());
            tell.send(start.elapsed()).unwrap();
        });
        let took = told.recv_timeout(LONG / 2);
        drop(hog);
        assert!(took.expect("it waits for ever") >= Duration::from_millis(60));
    });
}
