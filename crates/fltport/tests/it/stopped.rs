//! A client that stops in the middle of a long message or reply: it costs the one question, and no other anything.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use fltport::{Client, Connection, Error, OutgoingMessage, Status, Timeout};
use proto::client::{Posted, ReplyTo};
use proto::pieces::ABORTED;
use testkit::raw::Raw;
use testkit::{Host, LONG, this_thread, until, until_it_sleeps};

const MIB: usize = 1 << 20;
/// Long enough for all that is done meanwhile; ends the question that is stopped.
const DEADLINE: Duration = Duration::from_secs(2);

fn host() -> (Host, Raw, Client) {
    let host = Host::new();
    let raw = Raw::connect(&host.namespace());
    let client = host.accepted();
    (host, raw, client)
}

fn long(seed: usize) -> Vec<u8> {
    let mut long = (0..251_u8).map(|byte| byte.wrapping_add(seed as u8)).collect::<Vec<_>>().repeat(MIB / 251 + 1);
    long.truncate(MIB - 5);
    long
}

/// Asks with a callback; what it was called with.
fn ask_then(client: &Client, message: Vec<u8>, timeout: Timeout) -> Receiver<Result<Vec<u8>, Error>> {
    let (done, ended) = sync_channel(1);
    let question = OutgoingMessage { body: message, reply_len: 2 * MIB, file: None, timeout };
    client.ask_then(question, move |answer| done.send(answer.map(|answered| answered.payload)).unwrap());
    ended
}

/// The thread that calls back, of a connection without receives.
fn asks_thread(client: &Client) -> i32 {
    let (tell, told) = sync_channel(1);
    let question = OutgoingMessage { body: b"?".to_vec(), reply_len: 0, file: None, timeout: Timeout::Poll };
    client.ask_then(question, move |_| tell.send(this_thread()).unwrap());
    told.recv_timeout(LONG).unwrap()
}

fn reply_to(raw: &Raw, posted: Posted) -> ReplyTo {
    raw.completed(posted).reply_to.expect("a reply is wanted")
}

/// Short questions in both styles, and a long message of each kind, asked and answered while something else stands
/// still.
fn others_go_on(raw: &Raw, client: &Client) {
    for round in 0..20_u8 {
        let posted = raw.post(100);
        let ended = ask_then(client, vec![round; 30], Timeout::After(LONG));
        assert_eq!(raw.read(posted), [round; 30]);
        raw.reply(reply_to(raw, posted), &[round, 1]);
        assert_eq!(ended.recv_timeout(LONG).unwrap().unwrap(), [round, 1]);
        let posted = raw.post_in(posted.slot, 100);
        thread::scope(|scope| {
            let asks = scope.spawn(|| {
                let mut reply = [0; 10];
                let len = client.ask(&[round; 40], &mut reply, Timeout::After(LONG)).unwrap().len;
                (reply, len)
            });
            assert_eq!(raw.read(posted), [round; 40]);
            raw.reply(reply_to(raw, posted), &[round, 2, 3]);
            let (reply, len) = asks.join().unwrap();
            assert_eq!(reply[..len], [round, 2, 3]);
        });
        let _ = proto::client::release(raw.shared(), posted.slot);
    }
    let (message, payload) = (long(1), long(2));
    let posted = raw.post(u64::MAX);
    let ended = ask_then(client, message.clone(), Timeout::After(LONG));
    assert!(raw.read(posted) == message);
    let to = reply_to(raw, posted);
    let window = raw.begin_reply(to, &payload);
    raw.finish_reply(to, window, &payload);
    assert!(ended.recv_timeout(LONG).unwrap().unwrap() == payload);
    let posted = raw.post_in(posted.slot, u64::MAX);
    thread::scope(|scope| {
        let sends = scope.spawn(|| client.send(&message, Timeout::After(LONG)));
        assert!(raw.read(posted) == message);
        sends.join().unwrap().unwrap();
    });
    let _ = proto::client::release(raw.shared(), posted.slot);
}

fn timed_out(ended: &Receiver<Result<Vec<u8>, Error>>, what: &str) {
    let error = ended.recv_timeout(LONG).unwrap().unwrap_err();
    assert_eq!(error.status(), Status::TIMEOUT);
    assert!(error.to_string().contains(what), "{error}");
}

#[test]
fn a_long_message_that_is_not_read_costs_its_own_question() {
    let (_world, raw, client) = host();
    let stopped = raw.post(u64::MAX);
    let ended = ask_then(&client, long(0), Timeout::After(DEADLINE));
    raw.completed(stopped);
    // one without a deadline, too: nothing that follows can be waiting for an end
    let forever = raw.post(u64::MAX);
    let never = ask_then(&client, long(0), Timeout::Never);
    raw.completed(forever);
    others_go_on(&raw, &client);
    timed_out(&ended, "it read 0 of 1048571 bytes in time");
    // a reader that goes on finds that there is no more
    assert_eq!(raw.host().slots[stopped.slot].filled.load(std::sync::atomic::Ordering::Acquire), ABORTED);
    others_go_on(&raw, &client);
    // it reads on after all
    assert!(raw.read(forever) == long(0));
    raw.reply(reply_to(&raw, forever), b"late");
    assert_eq!(never.recv_timeout(LONG).unwrap().unwrap(), b"late");
}

#[test]
fn a_long_reply_that_is_not_written_costs_its_own_question() {
    let (_world, raw, client) = host();
    let stopped = raw.post(100);
    let ended = ask_then(&client, b"?".to_vec(), Timeout::After(DEADLINE));
    raw.begin_reply(reply_to(&raw, stopped), &long(0));
    let forever = raw.post(100);
    let never = ask_then(&client, b"?".to_vec(), Timeout::Never);
    let to = reply_to(&raw, forever);
    let window = raw.begin_reply(to, &long(1));
    others_go_on(&raw, &client);
    timed_out(&ended, "no reply in time");
    others_go_on(&raw, &client);
    // it writes on after all
    raw.finish_reply(to, window, &long(1));
    assert!(never.recv_timeout(LONG).unwrap().unwrap() == long(1));
}

#[test]
fn many_that_stand_still_cost_nobody_else_anything() {
    let (_world, raw, client) = host();
    let mut messages = Vec::new();
    // on messages and on replies, some until a deadline, the others until the end
    let timeout = |index: usize| if index.is_multiple_of(2) { Timeout::After(DEADLINE) } else { Timeout::Never };
    for index in 0..40 {
        let posted = raw.post(u64::MAX);
        messages.push(ask_then(&client, long(index), timeout(index)));
        raw.completed(posted);
    }
    let mut replies = Vec::new();
    let get = raw.post(100);
    for index in 0..10 {
        let posted = raw.post_in(get.slot, 100);
        replies.push(ask_then(&client, b"?".to_vec(), timeout(index)));
        raw.begin_reply(reply_to(&raw, posted), &long(index));
    }
    others_go_on(&raw, &client);
    messages.iter().step_by(2).for_each(|ended| timed_out(ended, "it read 0 of"));
    replies.iter().step_by(2).for_each(|ended| timed_out(ended, "no reply in time"));
    others_go_on(&raw, &client);
    client.close();
    for ended in messages.iter().chain(&replies).skip(1).step_by(2) {
        assert_eq!(ended.recv_timeout(LONG).unwrap().unwrap_err().status(), Status::PORT_DISCONNECTED);
    }
}

#[test]
fn threads_that_wait_for_a_stopped_reader_hold_nobody_else_up() {
    let (_world, raw, client) = host();
    thread::scope(|scope| {
        let asked = raw.post(u64::MAX);
        let asks = scope.spawn(|| client.ask(&long(0), &mut [0; 10], Timeout::After(DEADLINE)));
        raw.completed(asked);
        let sent = raw.post(u64::MAX);
        let sends = scope.spawn(|| client.send(&long(0), Timeout::Never));
        raw.completed(sent);
        let replied = raw.post(100);
        let reads = scope.spawn(|| client.ask(b"?", &mut vec![0; MIB], Timeout::After(DEADLINE)));
        raw.begin_reply(reply_to(&raw, replied), &long(0));
        others_go_on(&raw, &client);
        assert_eq!(asks.join().unwrap().unwrap_err().status(), Status::TIMEOUT);
        assert_eq!(reads.join().unwrap().unwrap_err().status(), Status::TIMEOUT);
        others_go_on(&raw, &client);
        client.close();
        assert_eq!(sends.join().unwrap().unwrap_err().status(), Status::PORT_DISCONNECTED);
    });
}

/// Of the threads that sleep, a receive that is posted wakes one; one that it does not serve sees to it that the other wakes.
#[test]
fn a_sender_that_waits_for_a_receive_gets_it_while_a_long_message_is_not_read() {
    let (_world, raw, client) = host();
    let stopped = raw.post(u64::MAX);
    let never = ask_then(&client, long(0), Timeout::Never);
    raw.completed(stopped);
    let thread = asks_thread(&client);
    for round in 0..3 {
        // what moves its pieces sleeps first, so that it would be woken first
        until_it_sleeps(thread);
        let (tell, told) = sync_channel(1);
        thread::scope(|scope| {
            let sends = scope.spawn(|| {
                tell.send(this_thread()).unwrap();
                // its own time is no help
                client.send(&[round; 30], Timeout::After(2 * LONG))
            });
            until_it_sleeps(told.recv().unwrap());
            let posted = raw.post(100);
            until(|| sends.is_finished());
            assert_eq!(raw.read(posted), [round; 30]);
            sends.join().unwrap().unwrap();
        });
    }
    client.close();
    assert_eq!(never.recv_timeout(LONG).unwrap().unwrap_err().status(), Status::PORT_DISCONNECTED);
}

#[test]
fn a_reply_that_comes_before_the_message_was_read_is_kept() {
    let (_world, raw, client) = host();
    let posted = raw.post(u64::MAX);
    let ended = ask_then(&client, long(0), Timeout::After(Duration::from_millis(100)));
    raw.reply(reply_to(&raw, posted), b"early");
    assert_eq!(ended.recv_timeout(LONG).unwrap().unwrap(), b"early");
}

#[test]
fn a_receiver_that_lets_go_of_a_message_unread_gets_nothing_of_it_into_the_next() {
    let (_world, raw, client) = host();
    thread::scope(|scope| {
        let posted = raw.post(u64::MAX);
        let ended = ask_then(&client, long(0), Timeout::Never);
        let to = reply_to(&raw, posted);
        // the slot is used for another message while the first is still to be streamed
        let posted = raw.post_in(posted.slot, u64::MAX);
        let sends = scope.spawn(|| client.send(&long(1), Timeout::Never));
        assert!(raw.read(posted) == long(1));
        sends.join().unwrap().unwrap();
        raw.reply(to, b"no room");
        assert_eq!(ended.recv_timeout(LONG).unwrap().unwrap(), b"no room");
        // the same without a reply
        let posted = raw.post_in(posted.slot, u64::MAX);
        let sends = scope.spawn(|| client.send(&long(2), Timeout::Never).unwrap_err());
        raw.completed(posted);
        let posted = raw.post_in(posted.slot, u64::MAX);
        let follows = scope.spawn(|| client.send(&long(3), Timeout::Never));
        assert!(raw.read(posted) == long(3));
        follows.join().unwrap().unwrap();
        assert_eq!(sends.join().unwrap().status(), Status::INSUFFICIENT_RESOURCES);
    });
}

/// The thread that sent what was let go of may still sleep where the next message's pieces are waited for.
#[test]
fn a_long_question_in_a_slot_that_was_let_go_of_is_read_to_its_end() {
    let (_world, raw, client) = host();
    for round in 0..5 {
        let (tell, told) = sync_channel(1);
        thread::scope(|scope| {
            let posted = raw.post(u64::MAX);
            let sends = scope.spawn(|| {
                tell.send(this_thread()).unwrap();
                client.send(&long(0), Timeout::Never).unwrap_err()
            });
            raw.completed(posted);
            until_it_sleeps(told.recv().unwrap());
            let posted = raw.post_in(posted.slot, u64::MAX);
            let ended = ask_then(&client, long(round), Timeout::After(LONG / 2));
            let to = reply_to(&raw, posted);
            until_it_sleeps(asks_thread(&client));
            assert!(raw.read(posted) == long(round));
            raw.reply(to, b"read");
            assert_eq!(ended.recv_timeout(LONG).unwrap().unwrap(), b"read");
            assert_eq!(sends.join().unwrap().status(), Status::INSUFFICIENT_RESOURCES);
            let _ = proto::client::release(raw.shared(), posted.slot);
        });
    }
}

/// Long and short questions mixed, with long and short replies, through one receive: one order, every byte right.
#[test]
fn long_and_short_questions_arrive_as_they_were_asked() {
    let host = Host::new();
    let (port, client): (Connection, Client) = host.pair();
    let message = |index: usize| long(index)[..if index.is_multiple_of(3) { 200_000 } else { 10 + index }].to_vec();
    let payload = |index: usize| long(index + 100)[..if index.is_multiple_of(4) { 200_000 } else { index }].to_vec();
    let ended: Vec<_> = (0..60).map(|index| ask_then(&client, message(index), Timeout::After(LONG))).collect();
    for index in 0..60 {
        let asked = port.recv().unwrap();
        assert!(asked.body() == message(index), "message {index}");
        asked.reply(Status::SUCCESS, &payload(index)).unwrap();
    }
    for (index, ended) in ended.iter().enumerate() {
        assert!(ended.recv_timeout(LONG).unwrap().unwrap() == payload(index), "reply {index}");
    }
    port.close();
    until(|| !client.is_connected());
}
