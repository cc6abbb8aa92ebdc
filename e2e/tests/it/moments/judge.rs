//! Compares what the two ends noted: every message is in exactly one class, and there is no third case.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use fltmgr::Status;
use testkit::mix;

use super::application::Habits;
use super::log::{Event, Record};
use super::payload::{Kind, UNREAD};

/// How a round ended: what may be missing from the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All threads finished; then the filter closed.
    Well,
    /// The connection ended while both worked.
    Disconnected,
    /// The application's process was killed.
    ApplicationKilled,
    /// One of two processes that share the connection was killed; the other finished.
    OneKilled,
    /// The host was killed.
    HostKilled,
}

impl End {
    /// Whether the connection ended while both worked.
    fn disconnects(self) -> bool {
        matches!(self, Self::Disconnected | Self::ApplicationKilled | Self::HostKilled)
    }
}

/// What the processes of one round noted.
pub(crate) struct Notes {
    pub(crate) filter: Vec<Record>,
    pub(crate) application: Vec<Record>,
    /// Of the one of two that was killed: the last notes are missing.
    pub(crate) killed: Vec<Record>,
}

/// How many messages were in each class.
#[derive(Default)]
pub(crate) struct Classes(BTreeMap<&'static str, u64>);

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classes: Vec<_> = self.0.iter().map(|(class, count)| format!("{count} {class}")).collect();
        f.write_str(&classes.join(", "))
    }
}

impl Classes {
    pub(crate) fn of(&self, class: &str) -> u64 {
        self.0.get(class).copied().unwrap_or(0)
    }
}

/// What became of one message or request.
#[derive(Debug, Default)]
struct Story {
    began: Option<Record>,
    /// How the filter's call ended, or the application's request.
    ended: Option<Record>,
    seen: Option<Record>,
    reply: Option<Record>,
    called: Option<Record>,
    /// It was seen, or requested, by the one of two that was killed.
    lost: bool,
}

/// The answers to one message that was given unread.
#[derive(Debug, Default)]
struct Unread {
    /// Questions that have it.
    got: u32,
    /// Noted as accepted.
    said: u32,
    /// The same, by the one of two that was killed.
    said_killed: u32,
}

fn once(place: &mut Option<Record>, record: Record, what: &str) -> Result<(), String> {
    if place.replace(record).is_some() { Err(format!("{what} twice")) } else { Ok(()) }
}

/// Judges one round; what is wrong with it, if anything.
pub(crate) fn judge(notes: &Notes, end: End, habits: Habits, classes: &mut Classes) -> Result<(), String> {
    let mut messages: HashMap<u64, Story> = HashMap::new();
    let mut requests: HashMap<u64, Story> = HashMap::new();
    let mut unread: HashMap<u64, Unread> = HashMap::new();
    let mut let_go = HashSet::new();
    let whole = notes.filter.iter().chain(&notes.application).map(|record| (record, false));
    for (record, killed) in whole.chain(notes.killed.iter().map(|record| (record, true))) {
        let number = record.number;
        if !record.right {
            return Err(format!("wrong payload: {record:?}"));
        }
        if record.event == Event::Unread {
            if record.status == Status::SUCCESS {
                let unread = unread.entry(number).or_default();
                *(if killed { &mut unread.said_killed } else { &mut unread.said }) += 1;
            }
            continue;
        }
        let of_requests = matches!(record.event, Event::Called | Event::Requested | Event::Answered);
        let story = if of_requests { &mut requests } else { &mut messages }.entry(number).or_default();
        story.lost |= killed;
        let noted = match record.event {
            Event::Began => once(&mut story.began, *record, "begun"),
            Event::Ended | Event::LetGo => {
                // it is not known what became of a question that was let go
                if record.event == Event::LetGo {
                    let_go.insert(record.id);
                }
                if record.status == UNREAD {
                    unread.entry(record.id).or_default().got += 1;
                }
                once(&mut story.ended, *record, "ended")
            }
            Event::Seen => once(&mut story.seen, *record, "seen"),
            Event::Replied | Event::Dropped => once(&mut story.reply, *record, "replied"),
            Event::Called => once(&mut story.called, *record, "called"),
            Event::Requested => once(&mut story.began, *record, "requested"),
            Event::Answered => once(&mut story.ended, *record, "answered"),
            Event::Twice | Event::Unread => Err("a second reply was accepted".into()),
        };
        noted.map_err(|what| format!("{number}: {what}"))?;
    }
    for (number, story) in &messages {
        let class =
            message(*number, story, end, habits).map_err(|what| format!("message {number}: {what}: {story:?}"))?;
        *classes.0.entry(class).or_default() += 1;
    }
    for (number, story) in &requests {
        let class = request(*number, story, end).map_err(|what| format!("request {number}: {what}: {story:?}"))?;
        *classes.0.entry(class).or_default() += 1;
    }
    for (id, unread) in unread {
        let Unread { got, said, said_killed } = unread;
        // a process that was killed may have been told, and not have noted it
        let noted = match end {
            End::Well => got == 1 && said == 1,
            End::Disconnected => got <= said && said == 1,
            End::ApplicationKilled => got <= 1 && said <= 1,
            End::OneKilled => said <= got && got <= 1 && said + said_killed <= 1,
            End::HostKilled => got <= said && said == 1,
        };
        if !noted && !let_go.contains(&id) {
            return Err(format!(
                "the unread message {id} was answered {said}+{said_killed} times, and {got} questions have that answer"
            ));
        }
    }
    Ok(())
}

/// The class of one message.
fn message(number: u64, story: &Story, end: End, habits: Habits) -> Result<&'static str, &'static str> {
    if story.began.is_none() {
        return Err("seen, and never sent");
    }
    let wants_reply = Kind::of(number) != Kind::Send;
    let seen = story.seen.is_some();
    if !seen && story.reply.is_some() {
        return Err("answered, and never seen");
    }
    let Some(ended) = &story.ended else {
        return if end == End::HostKilled { Ok("under way when the host was killed") } else { Err("never ended") };
    };
    // of an application that was killed the last notes are missing
    let lost = end == End::ApplicationKilled || story.lost;
    let reply = story.reply.map(|reply| match (reply.event, reply.status) {
        (Event::Dropped, _) => Status::CANCELLED,
        (_, status) => status,
    });
    if reply.is_some_and(|status| {
        ![Status::SUCCESS, Status::CANCELLED, Status::FLT_NO_WAITER_FOR_REPLY, Status::PORT_DISCONNECTED]
            .contains(&status)
    }) {
        return Err("a reply ended otherwise");
    }
    if !wants_reply {
        return match (ended.status, seen) {
            (Status::SUCCESS, true) => Ok("sent and seen"),
            (Status::SUCCESS, false) if habits.drops || end != End::Well => Ok("sent to a receive that was dropped"),
            (Status::TIMEOUT, false) => Ok("timed out unseen"),
            (Status::PORT_DISCONNECTED, false) if end.disconnects() => Ok("disconnected unseen"),
            (Status::INSUFFICIENT_RESOURCES, false) if end == End::OneKilled => Ok("cut by the kill of its reader"),
            (Status::INSUFFICIENT_RESOURCES, false) if habits.drops => Ok("let go of by a receive that was dropped"),
            _ => Err("sent, and not as it should be"),
        };
    }
    let refused =
        matches!(reply, Some(Status::FLT_NO_WAITER_FOR_REPLY | Status::CANCELLED | Status::PORT_DISCONNECTED));
    match (ended.event, ended.status) {
        (Event::LetGo, _) => match story.reply {
            // it had been answered before it was let go
            Some(reply) if reply.status == Status::SUCCESS && reply.at < ended.at => Ok("let go"),
            Some(reply) if reply.status == Status::SUCCESS => Err("answered with success after it was let go"),
            _ => Ok("let go"),
        },
        (_, Status::SUCCESS | Status::BUFFER_OVERFLOW) => match reply {
            Some(Status::SUCCESS) => Ok("answered"),
            None if seen && lost => Ok("answered"),
            _ => Err("an answer that was not given"),
        },
        (_, UNREAD) => match reply {
            None if !seen || lost => Ok("answered unread"),
            Some(Status::FLT_NO_WAITER_FOR_REPLY | Status::CANCELLED) => Ok("answered unread, and again too late"),
            Some(Status::PORT_DISCONNECTED) if end.disconnects() => Ok("answered unread, and again too late"),
            _ => Err("answered unread, and again"),
        },
        (_, Status::CANCELLED) => match reply {
            None if !seen => Ok("dropped unseen"),
            None if lost => Ok("dropped"),
            Some(Status::CANCELLED) => Ok("dropped"),
            _ => Err("cancelled, and not as it should be"),
        },
        (_, Status::TIMEOUT) => match reply {
            None if !seen => Ok("timed out unseen"),
            None if lost => Ok("timed out unanswered"),
            Some(_) if refused => Ok("timed out, the reply refused"),
            _ => Err("THE THIRD CASE: timed out, and its reply was accepted"),
        },
        (_, Status::PORT_DISCONNECTED) if end.disconnects() => match reply {
            None if !seen => Ok("disconnected unseen"),
            None => Ok("disconnected unanswered"),
            Some(Status::SUCCESS) => Ok("answered as the connection ended"),
            Some(_) => Ok("disconnected, the reply refused"),
        },
        _ => Err("ended with a status that it cannot end with"),
    }
}

/// The class of one request.
fn request(number: u64, story: &Story, end: End) -> Result<&'static str, &'static str> {
    if story.began.is_none() {
        return Err("called, and never sent");
    }
    let Some(answered) = &story.ended else {
        let lost = end == End::ApplicationKilled || story.lost;
        return if lost { Ok("requests under way at the kill") } else { Err("never ended") };
    };
    let fails = mix(number) % 8 == 1;
    match answered.status {
        Status::SUCCESS if story.called.is_some() && !fails => Ok("requests"),
        Status::OBJECT_NAME_NOT_FOUND if story.called.is_some() && fails => Ok("requests"),
        Status::PORT_DISCONNECTED if end.disconnects() => Ok("requests that the end ended"),
        _ => Err("not as it should be"),
    }
}
