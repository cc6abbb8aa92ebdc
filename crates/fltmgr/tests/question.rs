//! Questions whose answers go to callbacks.

mod common;

use std::thread;
use std::time::Duration;

use common::{LONG, World, both, watchdog};
use fltmgr::{Question, Status, Timeout};

#[test]
fn questions_to_callbacks_are_answered_each_once() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let (sender, answers) = std::sync::mpsc::sync_channel(1000);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut receiver = app.receiver(4).unwrap();
            for _ in 0..500 {
                let message = receiver.recv().unwrap();
                let body = message.body().to_vec();
                message.reply(Status::SUCCESS, &body).unwrap();
            }
        });
        for number in 0..500u32 {
            let sender = sender.clone();
            let question = Question {
                message: number.to_le_bytes().to_vec(),
                reply_len: 4,
                fd: None,
                timeout: Timeout::After(LONG),
            };
            filter.ask_then(question, move |answer| sender.send((number, answer.unwrap().payload)).unwrap());
        }
    });
    drop(sender);
    let mut seen: Vec<_> = answers.iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..500u32).map(|number| (number, number.to_le_bytes().to_vec())).collect::<Vec<_>>());
}

#[test]
fn a_question_to_a_callback_ends_with_its_deadline_or_its_connection() {
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let (sender, answers) = std::sync::mpsc::sync_channel(10);
    let ask = |timeout| {
        let sender = sender.clone();
        let question = Question { message: b"?".to_vec(), reply_len: 4, fd: None, timeout };
        filter.ask_then(question, move |answer| sender.send(answer.map_err(|error| error.status())).unwrap());
    };
    ask(Timeout::After(Duration::from_millis(10)));
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::TIMEOUT));
    ask(Timeout::Poll);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::TIMEOUT));
    ask(Timeout::Never);
    drop(app);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::PORT_DISCONNECTED));
    ask(Timeout::Never);
    assert_eq!(answers.recv_timeout(LONG).unwrap(), Err(Status::PORT_DISCONNECTED));
}

#[test]
fn a_file_travels_with_its_question() {
    use std::os::unix::fs::FileExt;
    watchdog();
    let world = World::new();
    let (app, filter) = world.pair();
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(b"content", 0).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let message = app.recv().unwrap();
            let file = std::fs::File::from(message.file().unwrap().try_clone().unwrap());
            let mut content = [0; 7];
            file.read_exact_at(&mut content, 0).unwrap();
            message.reply(Status::SUCCESS, &content).unwrap();
        });
        let (sender, answer) = std::sync::mpsc::sync_channel(1);
        let fd = Some(std::sync::Arc::new(file.into()));
        let question = Question { message: b"scan".to_vec(), reply_len: 16, fd, timeout: Timeout::After(LONG) };
        filter.ask_then(question, move |answered| sender.send(answered.unwrap().payload).unwrap());
        assert_eq!(answer.recv_timeout(LONG).unwrap(), b"content");
    });
}

/// As many messages of a connection may wait for replies as there are waiters; one more is refused. It costs the application
/// nothing, and all the others are answered.
#[test]
fn more_messages_than_can_wait_for_replies_are_refused() {
    const MOST: usize = 1024;
    both(
        World::new,
        |world, line| {
            let filter = world.accepted();
            let start = || filter.start(b"?", 4, Timeout::After(LONG));
            let pending: Vec<_> = (0..MOST).map(|_| start().unwrap()).collect();
            for _ in 0..3 {
                assert_eq!(start().unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
                let asked = filter.ask(b"?", &mut [0; 4], Timeout::After(LONG));
                assert_eq!(asked.unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
            }
            // no reply is wanted, so no waiter is
            filter.send(b"answer them", Timeout::After(LONG)).unwrap();
            for (number, pending) in pending.into_iter().enumerate() {
                let mut reply = [0; 4];
                assert_eq!(pending.wait(&mut reply).unwrap().len, 4);
                assert_eq!(u32::from_le_bytes(reply), number as u32 + 1);
            }
            line.say("answered");
        },
        |app| {
            let port = app.connect();
            let mut ids = Vec::new();
            loop {
                let message = port.recv().unwrap();
                if message.body() == b"answer them" {
                    break;
                }
                ids.push(message.detach());
            }
            assert_eq!(ids.len(), MOST);
            for id in ids {
                port.reply(id, Status::SUCCESS, &(id as u32).to_le_bytes()).unwrap();
            }
            app.hear("answered");
        },
    );
}
