//! Round trips, the exact bytes, and every way to be malformed.

use proptest::prelude::*;

use super::*;

fn name(text: &str) -> PortName {
    PortName::parse(text).unwrap()
}

fn info() -> Info {
    Info {
        name: name(r"\P"),
        pid: 0x0102,
        uid: 1000,
        connections: 3,
        max_connections: 7,
        sddl: "D:".to_owned(),
        case_insensitive: true,
        started: 0x0807_0605_0403_0201,
        processes: vec![(0x0403, 7)],
    }
}

#[test]
fn golden_bytes() {
    let hello = Hello::new(name(r"\P"), &[9, 8, 7]).unwrap();
    let golden_hello = [1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, b'\\', b'P', 9, 8, 7];
    let to_host: [(FromClient<'_>, &[u8]); 6] = [
        (FromClient::Hello(hello), &golden_hello),
        (FromClient::Query, &[2, 0, 1, 0]),
        (FromClient::Ring, &[3]),
        (FromClient::Bye, &[4]),
        (FromClient::Duplicate, &[5]),
        (FromClient::Use, &[6]),
    ];
    for (message, golden) in to_host {
        assert_eq!(message.encode(), golden);
        assert_eq!(FromClient::parse(golden), Ok(message));
    }
    #[rustfmt::skip]
    let golden_info = [
        0x83, 1, 1, 0,  2, 1, 0, 0,  0xE8, 3, 0, 0,  3, 0, 0, 0,  7, 0, 0, 0,
        2, 0, 0, 0,  2, 0, 0, 0,  1, 0, 0, 0,  1, 2, 3, 4, 5, 6, 7, 8,  b'\\', b'P', b'D', b':',  3, 4, 0, 0,  7, 0, 0, 0,
    ];
    let to_client: [(FromHost, &[u8]); 8] = [
        (FromHost::Welcome { holder: Holder::new(2), name: name(r"\P") }, &[0x81, 0, 1, 0, 2, 0, 0, 0, b'\\', b'P']),
        (FromHost::Refused(Refused::new(Status(0xC000_0022), "no")), &[0x82, 0, 0, 0, 0x22, 0, 0, 0xC0, b'n', b'o']),
        (FromHost::Refused(Refused::new(Status(0xC000_0022), "").unheard()), &[0x82, 1, 0, 0, 0x22, 0, 0, 0xC0]),
        (FromHost::Info(info()), &golden_info),
        (FromHost::File { tag: 0x0102 }, &[0x84, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0]),
        (FromHost::Closed { status: Status(0xC000_0037) }, &[0x85, 0, 0, 0, 0x37, 0, 0, 0xC0]),
        (FromHost::Handle, &[0x86]),
        (FromHost::Confirm, &[0x87]),
    ];
    for (message, golden) in to_client {
        assert_eq!(message.encode(), golden);
        assert_eq!(FromHost::parse(golden), Ok(message));
    }
}

#[test]
fn a_hello_holds_the_longest_context() {
    let context = vec![5; MAX_CONTEXT_LEN + 1];
    assert_eq!(Hello::new(name(r"\P"), &context), Err(Status::INTEGER_OVERFLOW));
    let hello = Hello::new(name(r"\P"), &context[1..]).unwrap();
    let bytes = FromClient::Hello(hello.clone()).encode();
    assert_eq!(FromClient::parse(&bytes), Ok(FromClient::Hello(hello)));
}

#[test]
fn every_malformed_hello_has_a_name() {
    let good = FromClient::Hello(Hello::new(name(r"\P"), b"ctx").unwrap()).encode();
    let with = |at: usize, value: u8| {
        let mut bad = good.clone();
        bad[at] = value;
        FromClient::parse(&bad).map(|_| ()).unwrap_err()
    };
    assert_eq!(FromClient::parse(&[]), Err(Violation::Empty));
    assert_eq!(with(0, 0x7F), Violation::UnknownKind(0x7F));
    assert_eq!(with(0, 0x81), Violation::UnknownKind(0x81), "the host's kinds are not the client's");
    assert_eq!(with(1, 1), Violation::ReservedBits);
    assert_eq!(with(2, 2), Violation::UnsupportedVersion(2));
    assert_eq!(with(2, 2).status(), Status::REVISION_MISMATCH);
    assert_eq!(with(4, 5), Violation::ReservedBits);
    assert_eq!(with(4, 5).status(), Status::INVALID_PARAMETER);
    assert_eq!(with(10, 2), Violation::BadName, "a name of 131,074 bytes");
    assert_eq!(with(8, 200), Violation::WrongLength);
    assert_eq!(with(14, 1), Violation::ContextTooLong);
    assert_eq!(with(12, 2), Violation::WrongLength, "a byte too many");
    assert_eq!(with(12, 4), Violation::WrongLength, "a byte too few");
    assert_eq!(with(16, b'x'), Violation::BadName);
    assert_eq!(with(17, 0xFF), Violation::NotText);
    for cut in 1..good.len() {
        assert_eq!(FromClient::parse(&good[..cut]), Err(Violation::WrongLength), "cut to {cut}");
    }
    assert_eq!(FromClient::parse(&[RING, 0]), Err(Violation::WrongLength));
}

#[test]
fn every_malformed_answer_has_a_name() {
    let good = FromHost::Info(info()).encode();
    let with = |at: usize, value: u8| {
        let mut bad = good.clone();
        bad[at] = value;
        FromHost::parse(&bad).unwrap_err()
    };
    assert_eq!(FromHost::parse(&[]), Err(Violation::Empty));
    assert_eq!(with(0, 1), Violation::UnknownKind(1));
    assert_eq!(with(1, 2), Violation::UnknownFlags(2));
    assert_eq!(with(3, 1), Violation::UnsupportedVersion(0x0101));
    assert_eq!(with(22, 2), Violation::BadName);
    assert_eq!(with(26, 1), Violation::DescriptorTooLong);
    assert_eq!(with(29, 5), Violation::TooManyProcesses);
    assert_eq!(with(28, 2), Violation::WrongLength);
    assert_eq!(with(41, 0), Violation::BadName);
    assert_eq!(with(42, 0xFF), Violation::NotText);
    for cut in 1..good.len() {
        assert_eq!(FromHost::parse(&good[..cut]), Err(Violation::WrongLength), "cut to {cut}");
    }
    let mut refusal = FromHost::Refused(Refused::new(Status::ACCESS_DENIED, "")).encode();
    refusal.resize(8 + MAX_SENTENCE_LEN + 1, b'x');
    assert_eq!(FromHost::parse(&refusal), Err(Violation::SentenceTooLong));
}

#[test]
fn sentences_are_cut_between_characters() {
    let refused = Refused::new(Status::ACCESS_DENIED, format!("{}\u{20AC}", "x".repeat(MAX_SENTENCE_LEN - 1)));
    assert_eq!(refused.sentence(), "x".repeat(MAX_SENTENCE_LEN - 1));
}

fn any_name() -> impl Strategy<Value = PortName> {
    "(\\\\[^\\\\\0]{1,20}){1,3}".prop_map(|text| PortName::parse(&text).unwrap())
}

proptest! {
    #[test]
    fn hello_round_trips(
        name in any_name(), context in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let hello = Hello::new(name, &context).unwrap();
        let bytes = FromClient::Hello(hello.clone()).encode();
        prop_assert_eq!(FromClient::parse(&bytes), Ok(FromClient::Hello(hello)));
    }

    #[test]
    fn answers_round_trip(
        name in any_name(), numbers in any::<[u32; 4]>(), sddl in ".{0,60}", started in any::<u64>(),
        case_insensitive in any::<bool>(), sentence in ".{0,600}",
        processes in proptest::collection::vec(any::<(u32, u32)>(), 0..5),
    ) {
        let [pid, uid, connections, max_connections] = numbers;
        let info = Info { name, pid, uid, connections, max_connections, sddl, case_insensitive, started, processes };
        for message in [
            FromHost::Info(info),
            FromHost::Refused(Refused::new(Status(pid), sentence)),
            FromHost::File { tag: started },
            FromHost::Closed { status: Status(uid) },
        ] {
            prop_assert_eq!(FromHost::parse(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn parsing_never_panics(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = FromClient::parse(&packet);
        let _ = FromHost::parse(&packet);
    }

    /// Random bytes rarely get past the kind, so break a good message instead. What still parses must encode to the
    /// same bytes: there is one encoding of each message.
    #[test]
    fn a_broken_message_parses_to_itself_or_not_at_all(at in 0_usize..44, value in any::<u8>(), cut in 0_usize..44) {
        let mut hello = FromClient::Hello(Hello::new(name(r"\Port"), &[1; 23]).unwrap()).encode();
        hello[at] = value;
        if let Ok(message) = FromClient::parse(&hello) {
            prop_assert_eq!(message.encode(), &hello[..]);
        }
        let _ = FromClient::parse(&hello[..cut]);
        let mut answer = FromHost::Info(info()).encode();
        answer[at] = value;
        if let Ok(message) = FromHost::parse(&answer) {
            prop_assert_eq!(message.encode(), &answer[..]);
        }
        let _ = FromHost::parse(&answer[..cut]);
    }
}
