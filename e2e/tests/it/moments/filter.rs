//! The filter's end: several threads that send in every way, and a callback that answers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use fltmgr::namespace::Namespace;
use fltmgr::{
    Client, Error, OutgoingMessage, Port, PortOptions, Process, Response, SecurityDescriptor, Serve, Status, Timeout,
};
use testkit::{Random, mix};

use super::log::{Event, Log, Record, now};
use super::payload::{ANSWER, Kind, QUESTION, ROOM, UNREAD, is_payload, number, payload};
use super::{FINISH, NAME};

pub(crate) struct Filter {
    pub(crate) log: Arc<Log>,
    pub(crate) came: SyncSender<Client>,
}

impl Serve for Filter {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        let _ = self.came.send(client.clone());
        Ok(())
    }

    fn message(&self, (): &(), _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        let number = number(input);
        let right = is_payload(input, number, QUESTION);
        self.log.write(&Record { event: Event::Called, number, status: Status::SUCCESS, right, id: 0, at: now() });
        if mix(number).is_multiple_of(4) {
            thread::park_timeout(Duration::from_micros(mix(number) >> 8 & 0xff));
        }
        if mix(number) % 8 == 1 {
            return Status::OBJECT_NAME_NOT_FOUND.into();
        }
        let answer = payload(number, ANSWER);
        output[..answer.len()].copy_from_slice(&answer);
        answer.len().into()
    }
}

pub(crate) fn create(dir: &std::path::Path, filter: Filter) -> Port {
    let options = PortOptions::default().security(SecurityDescriptor::null_dacl());
    Port::create(NAME, options.namespace(Namespace::at(dir)), filter).expect("a port")
}

/// Questions whose answers are called back.
#[derive(Default)]
struct UnderWay {
    count: Mutex<usize>,
    ended: Condvar,
}

impl UnderWay {
    fn begin(&self) {
        let mut count = self.ended.wait_while(self.count.lock().unwrap(), |count| *count >= 4).unwrap();
        *count += 1;
    }

    fn end(&self) {
        *self.count.lock().unwrap() -= 1;
        self.ended.notify_all();
    }

    fn wait(&self) {
        drop(self.ended.wait_while(self.count.lock().unwrap(), |count| *count != 0).unwrap());
    }
}

/// What all threads of the filter share.
struct Sending<'a> {
    client: &'a Client,
    log: Arc<Log>,
    longest: Timeout,
    next: AtomicU64,
    under_way: Arc<UnderWay>,
}

/// Sends until told to stop, or the connection ends. Then the application finishes too, which ends well or with the
/// connection. `longest` is how long it waits for a reply, which may not come when one of two applications is
/// killed.
pub(crate) fn run(client: &Client, log: &Arc<Log>, seed: u64, longest: Timeout, stop: &AtomicBool) {
    let sending = Sending { client, log: Arc::clone(log), longest, next: AtomicU64::new(0), under_way: Arc::default() };
    thread::scope(|scope| {
        for thread in 0..6 {
            let sending = &sending;
            scope.spawn(move || {
                let mut random = Random::new(seed ^ thread);
                let mut reply = vec![0; ROOM];
                while !stop.load(Ordering::Relaxed) && sending.one(&mut random, &mut reply) {}
            });
        }
    });
    sending.under_way.wait();
    // the application that gets this ends the application's requests before it answers; a receive that is dropped says "cancelled"
    loop {
        match client.ask(&FINISH.to_le_bytes(), &mut [], longest) {
            Ok(reply) if reply.status == Status::SUCCESS => break,
            Ok(_) => {}
            Err(error) if error.status() == Status::TIMEOUT => {}
            Err(_) => break,
        }
    }
}

/// How a reply is noted: whether it is the question's own, or the one that answers an unread message, with its id.
fn noted(number: u64, status: Status, reply: &[u8], cut: bool) -> Record {
    let mut record = Record { event: Event::Ended, number, status, right: true, id: 0, at: now() };
    match status {
        UNREAD => record.id = super::payload::number(reply),
        Status::CANCELLED => record.right = reply.is_empty(),
        Status::BUFFER_OVERFLOW => record.right = cut && payload(number, ANSWER).starts_with(reply),
        _ => record.right = !cut && is_payload(reply, number, ANSWER),
    }
    record
}

fn failed(number: u64, error: &Error) -> Record {
    Record { event: Event::Ended, number, status: error.status(), right: true, id: 0, at: now() }
}

impl Sending<'_> {
    /// Sends one message; false at the end of the connection.
    fn one(&self, random: &mut Random, reply: &mut [u8]) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let timeout = match random.below(16) {
            0..4 => self.longest,
            4 => Timeout::Poll,
            5..12 => Timeout::After(Duration::from_micros(random.below(300))),
            _ => Timeout::After(Duration::from_micros(random.below(4000))),
        };
        let (client, log) = (self.client, &self.log);
        let question = payload(number, QUESTION);
        log.note(Event::Began, number);
        let record = match Kind::of(number) {
            Kind::Send => client.send(&question, timeout).map(|()| Record {
                event: Event::Ended,
                number,
                status: Status::SUCCESS,
                right: true,
                id: 0,
                at: now(),
            }),
            Kind::Ask => client.ask(&question, reply, timeout).map(|r| noted(number, r.status, &reply[..r.len], false)),
            Kind::Start => match client.start(&question, ROOM, timeout) {
                Ok(pending) if random.once_in(3) => {
                    thread::park_timeout(Duration::from_micros(random.below(200)));
                    let id = pending.id();
                    drop(pending);
                    let at = now();
                    Ok(Record { event: Event::LetGo, number, status: Status::SUCCESS, right: true, id, at })
                }
                Ok(pending) => {
                    // at times less than what the replier was told
                    let room = if random.once_in(8) { 50 } else { ROOM };
                    let cut = room < payload(number, ANSWER).len();
                    pending.wait(&mut reply[..room]).map(|r| noted(number, r.status, &reply[..r.len], cut))
                }
                Err(error) => Err(error),
            },
            Kind::AskThen => {
                self.under_way.begin();
                let (log, under_way) = (Arc::clone(log), Arc::clone(&self.under_way));
                let question = OutgoingMessage { body: question, reply_len: ROOM, file: None, timeout };
                client.ask_then(question, move |answered| {
                    log.write(&match answered {
                        Ok(answered) => noted(number, answered.status, &answered.payload, false),
                        Err(error) => failed(number, &error),
                    });
                    under_way.end();
                });
                return client.is_connected();
            }
        };
        let record = record.unwrap_or_else(|error| failed(number, &error));
        log.write(&record);
        record.status != Status::PORT_DISCONNECTED
    }
}
