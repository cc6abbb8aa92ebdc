//! `doc/wire.md` and the code agree about every offset and every bit.

use std::collections::BTreeMap;
use std::mem::{offset_of, size_of};

use fltmgr_proto::name::PortName;
use fltmgr_proto::slots::{
    ATTENTION_AWAITS_GET, ATTENTION_AWAITS_REPLY, ATTENTION_DEAD, ATTENTION_OTHERS, ATTENTION_REPLIED, Allocation,
    BELL_ASLEEP, CALLS, Claim, FIRST_GETS, GETS, HostRegion, HostSlot, HostWaiter, REQUEST_DEAD, REQUEST_PARKED,
    REQUEST_RING, SLOTS, SharedRegion, SharedSlot, SharedWaiter, WAITERS, WINDOW, Word,
};
use fltmgr_proto::status::Status;
use fltmgr_proto::wire::{FromClient, FromHost, Refused};

const DOCUMENT: &str = include_str!("../../../../doc/wire.md");

/// Offset and size of a field, as the code has them.
macro_rules! fields {
    ($($kind:ident { $($field:ident),+ $(,)? })+) => {
        BTreeMap::from([$($((concat!(stringify!($kind), ".", stringify!($field)).to_owned(), {
            fn size<T>(_: impl Fn(&$kind) -> &T) -> usize {
                size_of::<T>()
            }
            (offset_of!($kind, $field), size(|it: &$kind| &it.$field))
        })),+),+])
    };
}

fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    DOCUMENT
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

#[test]
fn every_field_lies_where_the_document_says() {
    let mut code = fields! {
        HostRegion { slots, waiters, windows }
        HostSlot {
            done, outcome, status, cpu, id, len, reply_capacity, waiter, waiter_generation, flags, deadline, filled, drained,
            inline,
        }
        HostWaiter { id, generation, capacity, flags, ended, drained }
        SharedRegion { allocation, attention, requests, posted, bells, slots, waiters, windows }
        Allocation { used, tickets, wanted, freed }
        SharedSlot { word, owner, capacity, ticket, len, filled, drained, warmed, rings }
        SharedWaiter { word, cpu, status, window, len, inline, claim }
    };
    for row in rows() {
        let Some((name, column)) = row.iter().enumerate().skip(2).find_map(|(column, cell)| {
            let name = cell.strip_prefix('`')?.split_once('`')?.0;
            name.contains('.').then_some((name, column))
        }) else {
            continue;
        };
        let mut size: usize = row[1].parse().unwrap();
        if column == 3 {
            size *= row[2].parse::<usize>().unwrap();
        }
        let (offset, code_size) =
            code.remove(name).unwrap_or_else(|| panic!("{name} is not in the code, or twice here"));
        assert_eq!((row[0].parse().unwrap(), size), (offset, code_size), "{name}: document and code");
    }
    assert!(code.is_empty(), "not in the document: {code:?}");
}

#[test]
fn every_size_is_the_documents() {
    let sizes = [
        ("### Region H, ", size_of::<HostRegion>()),
        ("### Region S, ", size_of::<SharedRegion>()),
        ("#### HostSlot, ", size_of::<HostSlot>()),
        ("#### HostWaiter, ", size_of::<HostWaiter>()),
        ("#### Allocation, ", size_of::<Allocation>()),
        ("#### SharedSlot, ", size_of::<SharedSlot>()),
        ("#### SharedWaiter, ", size_of::<SharedWaiter>()),
    ];
    for (heading, size) in sizes {
        let line = DOCUMENT.lines().find(|line| line.starts_with(heading)).unwrap();
        let said = line[heading.len()..].split(' ').next().unwrap().replace(',', "");
        assert_eq!(said, size.to_string(), "{heading}");
    }
    let counts = format!(
        "0 to {} are GETs, {GETS} to {} SENDs, {CALLS} to {} take long replies",
        GETS - 1,
        CALLS - 1,
        SLOTS - 1
    );
    assert!(DOCUMENT.contains(&counts), "{counts}");
    assert_eq!((SLOTS, FIRST_GETS, WAITERS, WINDOW), (1088, 32, 1024, 65536));
}

#[test]
fn every_bit_is_the_documents() {
    let mut section = "";
    let mut found = BTreeMap::new();
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            section = heading;
        }
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [bit, name, ..] = cells[..] else { continue };
        let (Ok(bit), Some(name)) = (bit.parse::<u32>(), name.strip_prefix('`')) else { continue };
        found.insert((section, name.trim_end_matches('`')), bit);
    }
    let (word, claim) = ("A slot's and a waiter's word, 32 bits", "A waiter's claim, 32 bits");
    let attention = "The attention word, 64 bits: the application rings, filters sleep on the upper half";
    let requests = "The requests word, 64 bits: the application rings, workers of the host sleep on the upper half";
    let bell = "A bell, 32 bits: the application's threads sleep on it";
    let code = BTreeMap::from([
        ((word, "SLEEP"), Word::SLEEP.trailing_zeros()),
        ((word, "DEAD"), Word::DEAD.trailing_zeros()),
        ((claim, "CLOSED"), Claim::CLOSED.trailing_zeros()),
        ((attention, "AWAITS_REPLY"), ATTENTION_AWAITS_REPLY.trailing_zeros()),
        ((attention, "REPLIED"), ATTENTION_REPLIED.trailing_zeros()),
        ((attention, "DEAD"), ATTENTION_DEAD.trailing_zeros()),
        ((attention, "AWAITS_GET"), ATTENTION_AWAITS_GET.trailing_zeros()),
        ((attention, "OTHERS"), ATTENTION_OTHERS.trailing_zeros()),
        ((bell, "ASLEEP"), BELL_ASLEEP.trailing_zeros()),
        ((requests, "RING"), REQUEST_RING.trailing_zeros()),
        ((requests, "DEAD"), REQUEST_DEAD.trailing_zeros()),
        ((requests, "PARKED"), REQUEST_PARKED.trailing_zeros()),
    ]);
    assert_eq!(found, code);
}

#[test]
fn every_kind_of_packet_is_the_documents() {
    let packets = [
        ("Query", FromClient::Query.encode()),
        ("Ring", FromClient::Ring.encode()),
        ("Bye", FromClient::Bye.encode()),
        ("Duplicate", FromClient::Duplicate.encode()),
        ("Use", FromClient::Use.encode()),
        ("Welcome", FromHost::Welcome { holder: None, name: PortName::parse(r"\P").unwrap() }.encode()),
        ("Refused", FromHost::Refused(Refused::new(Status::ACCESS_DENIED, "")).encode()),
        ("File", FromHost::File { tag: 1 }.encode()),
        ("Closed", FromHost::Closed { status: Status::SUCCESS }.encode()),
        ("Handle", FromHost::Handle.encode()),
        ("Confirm", FromHost::Confirm.encode()),
    ];
    for (name, packet) in packets {
        let row = rows().find(|row| row[1] == name).unwrap();
        assert_eq!(row[0], format!("{:#04x}", packet[0]), "{name}");
        let is_host = packet[0] & 0x80 == 0;
        assert_eq!(row[2], if is_host { "host" } else { "client" }, "{name}");
    }
}
