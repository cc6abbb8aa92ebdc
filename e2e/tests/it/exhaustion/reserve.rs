//! What clients leave to the host's own files, however many come.

use testkit::{Process, World};

use super::{end, number, say, start, start_by};

const LIMIT: u32 = 64;
const RESERVE: u64 = 16;

/// What a connection that comes takes of the host: its socket, and its memory's two files until it is welcomed.
const TO_CONNECT: usize = 3;

fn refused(said: &str) -> bool {
    said.contains("STATUS_INSUFFICIENT_RESOURCES") && said.contains("all but the 16 it keeps for itself")
}

/// Connects as soon as what has just been closed is closed in the host too.
fn connects(client: &mut Process<'_>) {
    testkit::until(|| say(client, "connect", "ed ").contains("Ok(4)"));
}

/// The host can open as many files as its reserve has, as soon as it has closed the socket of the client that it refused last.
fn the_reserve_is_there(host: &mut Process<'_>) {
    testkit::until(|| (number(&say(host, &format!("open {LIMIT}"), "opened")) >= RESERVE).then_some(()));
}

#[test]
fn clients_leave_a_host_its_reserve() {
    let world = World::new();
    let mut host = start(&world, "host", LIMIT);
    let mut client = start(&world, "client", 1024);
    // until no more are let in, with nothing else in the host
    let mut connections = 0;
    loop {
        let said = say(&mut client, "connect", "ed ");
        if refused(&said) {
            break;
        }
        assert!(said.contains("Ok(4)"), "{said}");
        connections += 1;
        assert!(connections < LIMIT, "never refused");
    }
    assert!(connections > 20, "{connections}");
    // a client that tries again and again changes nothing of it
    for _ in 0..50 {
        assert!(refused(&say(&mut client, "connect", "ed ")));
    }
    the_reserve_is_there(&mut host);
    assert_eq!(number(&say(&mut client, "use", "used")), u64::from(connections));
    // a client that goes leaves its place to the next
    say(&mut client, "drop one", "dropped");
    connects(&mut client);
    assert!(refused(&say(&mut client, "connect", "ed ")));
    say(&mut client, "drop", "dropped");
    // one less than needed, just enough, one more
    connects(&mut client);
    for left in [0, TO_CONNECT - 1, TO_CONNECT, TO_CONNECT + 1] {
        say(&mut host, &format!("leave below the reserve {left}"), "left");
        let said = say(&mut client, "connect", "ed ");
        let connected = said.contains("Ok(4)");
        assert!(connected || refused(&said), "{left} left: {said}");
        assert_eq!(connected, left >= TO_CONNECT, "{left} left: {said}");
        the_reserve_is_there(&mut host);
        if connected {
            say(&mut client, "drop one", "dropped");
        }
    }
    // a handle takes one
    for (left, answer) in [(0, "not duplicated"), (1, "duplicated"), (2, "duplicated")] {
        say(&mut host, &format!("leave below the reserve {left}"), "left");
        let said = say(&mut client, "duplicate", "duplicated");
        assert!(said.starts_with(answer) && (left > 0 || refused(&said)), "{left} left: {said}");
        assert_eq!(number(&say(&mut client, "use", "used")), 1);
    }
    say(&mut client, "drop", "dropped");
    end(&mut host);
}

/// A callback that takes its time keeps a connection's memory open in the host: that counts too.
#[test]
fn clients_whose_connect_callback_runs_leave_a_host_its_reserve() {
    const CLIENTS: u64 = 30;
    let world = World::new();
    let mut host = start(&world, "slow host", LIMIT);
    let mut client = start(&world, "client", 1024);
    say(&mut client, &format!("connect many {CLIENTS}"), "begun");
    let mut begun = 0;
    let refused = testkit::until(|| {
        begun = number(&say(&mut host, "begun", "begun"));
        let refused = number(&say(&mut client, "refused", "refused"));
        (begun + refused == CLIENTS).then_some(refused)
    });
    assert!(begun > 0 && refused > 10, "{begun} begun, {refused} refused");
    the_reserve_is_there(&mut host);
    // those that were let in are connected in the end
    say(&mut host, "go", "gone on");
    testkit::until(|| (number(&say(&mut client, "use", "used")) == begun).then_some(()));
    connects(&mut client);
    say(&mut client, "drop", "dropped");
    end(&mut host);
}

/// What the reserve is for: without a descriptor the kernel refuses whatever the file is, to every program there is.
#[test]
fn files_are_opened_though_clients_have_all_that_they_get() {
    let world = World::new();
    let Some(watcher) = world.watcher("echo fine > fs/good") else { return };
    let mut host = start_by(&world, watcher, "watching host", LIMIT);
    let mut client = start(&world, "client", 1024);
    let mut connections = 0;
    let mut said = say(&mut client, "connect", "ed ");
    while said.contains("Ok(4)") {
        connections += 1;
        said = say(&mut client, "connect", "ed ");
    }
    assert!(refused(&said) && connections > 20, "{connections}, {said}");
    let opens = |host: &Process<'_>| {
        // eight at a time
        let line = "for n in 1 2 3 4 5 6 7 8; do cat fs/good fs/good fs/good & done; wait";
        testkit::finish(&mut world.inside(host, 20, line))
    };
    let opened = opens(&host);
    assert_eq!((opened.out.as_str(), opened.err.as_str()), ("fine\n".repeat(24).as_str(), ""));
    assert_eq!(number(&say(&mut client, "use", "used")), connections);
    // so that we know that it is seen
    say(&mut host, "leave 0", "left");
    let opened = opens(&host);
    assert!(opened.out.is_empty() && opened.err.contains("Operation not permitted"), "{}{}", opened.out, opened.err);
    say(&mut host, "free", "freed");
    let opened = opens(&host);
    assert_eq!((opened.out.as_str(), opened.err.as_str()), ("fine\n".repeat(24).as_str(), ""));
    say(&mut client, "drop", "dropped");
    end(&mut host);
}
