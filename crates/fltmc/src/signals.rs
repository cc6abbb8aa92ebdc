//! Signals, and an application's arrival, as things to wait for.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::exit::{Doing, Failure, no_thread};

/// More than are sent at a time; what comes on top says nothing new.
const QUEUE: usize = 16;

/// What a command waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A signal that asks the tool to end, or that is meant for its program.
    Signal(i32),
    /// An application is connected.
    Connected,
    /// What was waited for has ended.
    Ended,
}

/// Receives the signals that would end the tool without a chance to clean up.
#[derive(Debug)]
pub(crate) struct Events {
    sender: SyncSender<Event>,
    events: Receiver<Event>,
    handle: Handle,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Events {
    /// From now on SIGINT, SIGQUIT, SIGTERM and SIGHUP are events. Those that the process that started us has us
    /// ignore (nohup, a shell for what is in its background) stay ignored, and the program that we run inherits that.
    pub(crate) fn new() -> Result<Self, Failure> {
        let ignored = ignored();
        let is_ignored = |signal: i32| ignored >> (signal - 1) & 1 != 0;
        let mut wanted: Vec<_> = [SIGINT, SIGQUIT, SIGTERM, SIGHUP].into_iter().filter(|s| !is_ignored(*s)).collect();
        // A process that ignores this one does not learn how its children end.
        wanted.extend(is_ignored(SIGCHLD).then_some(SIGCHLD));
        let mut signals = Signals::new(wanted).doing(|| "handling signals".into())?;
        let handle = signals.handle();
        let (sender, events) = sync_channel(QUEUE);
        let tell = sender.clone();
        let thread = std::thread::Builder::new().spawn(move || {
            for signal in signals.forever().filter(|signal| *signal != SIGCHLD) {
                let _ = tell.try_send(Event::Signal(signal));
            }
        });
        let thread = thread.map_err(no_thread)?;
        Ok(Self { sender, events, handle, thread: Some(thread) })
    }

    /// Where other threads tell what happens.
    pub(crate) fn sender(&self) -> SyncSender<Event> {
        self.sender.clone()
    }

    /// The next event; nothing if there was none until `end`.
    pub(crate) fn until(&self, end: Instant) -> Option<Event> {
        // We hold a sender ourselves, so there is no other error than that the time is over.
        self.events.recv_timeout(end.saturating_duration_since(Instant::now())).ok()
    }

    /// What has come so far.
    pub(crate) fn so_far(&self) -> Vec<Event> {
        self.events.try_iter().collect()
    }

    /// The signal that has come so far, if one has. Other events are let go.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.so_far().into_iter().find_map(|event| match event {
            Event::Signal(signal) => Some(signal),
            Event::Connected | Event::Ended => None,
        })
    }

    /// The next event. Blocks.
    pub(crate) fn next(&self) -> Option<Event> {
        self.events.recv().ok()
    }
}

/// The signals that this process ignores, one bit for each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}

impl Drop for Events {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
