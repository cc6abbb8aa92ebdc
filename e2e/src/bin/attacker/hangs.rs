//! Opens that hang, and what becomes of others beside them.

use std::ffi::CString;
use std::sync::mpsc::sync_channel;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::pages::Missing;
use crate::raw::{HERE, Reads, at};

/// What does not hang takes less.
const PATIENCE: Duration = Duration::from_secs(10);

const READ: usize = (libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC) as usize;

fn open(path: usize) -> (i32, u64) {
    let begun = Instant::now();
    let opened = Reads::OPENAT.call([HERE, path, READ]);
    let took = begun.elapsed().as_millis() as u64;
    // What was opened stays open: closing it may hang too.
    (opened.err().unwrap_or(0), took)
}

/// Opens `hung` on so many threads, then `file` so many times; what each took, in milliseconds, and its error. `hung` is
/// a path, or `memory` for one that is in a page that never comes; those that still hang when all others are done have
/// some time left.
pub(crate) fn beside(hung: &str, grace: Duration, threads: u64, file: &str, times: u64) -> Value {
    let address = match hung {
        "memory" => Box::leak(Box::new(Missing::new())).address(),
        path => at(Box::leak(CString::new(path).expect("a path").into_boxed_c_str())),
    };
    let file = at(Box::leak(CString::new(file).expect("a path").into_boxed_c_str()));
    let [ended, others] = [(), ()].map(|()| &*Box::leak(Box::new(Mutex::new(Vec::new()))));
    let (tell_one, ended_one) = sync_channel(threads as usize);
    let (tell, done) = sync_channel(1);
    // All are there before the first one hangs: making a thread may be held too.
    let start = &*Box::leak(Box::new(Barrier::new(threads as usize + 2)));
    for _ in 0..threads {
        let tell_one = tell_one.clone();
        std::thread::spawn(move || {
            start.wait();
            let one = open(address);
            ended.lock().expect("no panic").push(one);
            let _ = tell_one.send(());
        });
    }
    std::thread::spawn(move || {
        start.wait();
        // until they hang: those that do not are done by then
        std::thread::park_timeout(Duration::from_millis(200));
        for _ in 0..times {
            let one = open(file);
            others.lock().expect("no panic").push(one);
        }
        let _ = tell.send(());
    });
    start.wait();
    // The others first, then what hangs.
    let _ = done.recv_timeout(PATIENCE);
    let end = Instant::now() + grace;
    for _ in 0..threads {
        if ended_one.recv_timeout(end.saturating_duration_since(Instant::now())).is_err() {
            break;
        }
    }
    let hung = ended.lock().expect("no panic").clone();
    let mut others = others.lock().expect("no panic").clone();
    others.sort_unstable_by_key(|(_, took)| *took);
    let p99 = others.get(others.len() * 99 / 100).map(|(_, took)| *took);
    json!({
        "hung": hung,
        "opened": others.iter().filter(|(error, _)| *error == 0).count(),
        "p99_ms": p99,
        "slowest_ms": others.last().map(|(_, took)| *took),
    })
}
