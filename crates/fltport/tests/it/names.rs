//! Names and security: rows 15 to 20 and 99 of the table in `doc/windows.md`.

use std::os::unix::net::UnixListener;

use fltport::{Connection, Status, Timeout};
use testkit::{App, Host, LONG, PORT, both, hresult};

/// The status with which a port of this name cannot be created.
fn uncreatable(host: &Host, name: &str) -> Status {
    host.beside(name, |_| {}, |options| options).map(drop).unwrap_err().status()
}

fn is_reached(app: &App, name: &str) {
    assert_eq!(app.connect_to(name, b"").unwrap().recv().unwrap().body(), b"here");
}

fn reach(host: &Host) {
    host.accepted().send(b"here", Timeout::After(LONG)).unwrap();
}

#[test]
fn row_015_a_name_begins_with_a_backslash() {
    let bad = ["TestPort", "/TestPort", r"Dir\TestPort", r" \TestPort"];
    both(
        Host::new,
        |host, _| {
            for name in bad {
                assert_eq!(uncreatable(host, name), Status::OBJECT_PATH_SYNTAX_BAD, "{name}");
            }
        },
        |app| {
            for name in bad {
                let status = app.refusal(name);
                assert_eq!(status, Status::OBJECT_PATH_SYNTAX_BAD, "{name}");
                assert_eq!(hresult(status), 0x8007_00a1);
            }
        },
    );
}

#[test]
fn row_016_a_name_is_not_empty() {
    let bad = ["", r"\", r"\\TestPort", r"\TestPort\", "\\Test\0Port"];
    both(
        Host::new,
        |host, _| {
            for name in bad {
                assert_eq!(uncreatable(host, name), Status::OBJECT_NAME_INVALID, "{name:?}");
            }
        },
        |app| {
            for name in bad {
                let status = app.refusal(name);
                assert_eq!(status, Status::OBJECT_NAME_INVALID, "{name:?}");
                assert_eq!(hresult(status), 0x8007_007b);
            }
        },
    );
}

#[test]
fn row_017_the_directory_of_a_name_exists() {
    both(
        Host::new,
        |host, line| {
            assert_eq!(uncreatable(host, r"\Missing\Port"), Status::OBJECT_PATH_NOT_FOUND);
            line.hear("tried");
            std::fs::create_dir(host.namespace_dir().join("Missing")).unwrap();
            let below = host.beside(r"\Missing\Port", |_| {}, |options| options).unwrap();
            line.say("made");
            reach(&below);
            line.hear("reached");
        },
        |app| {
            let status = app.refusal(r"\Missing\Port");
            assert_eq!(status, Status::OBJECT_PATH_NOT_FOUND);
            assert_eq!(hresult(status), 0x8007_0003);
            app.say("tried");
            app.hear("made");
            is_reached(app, r"\Missing\Port");
            app.say("reached");
        },
    );
}

#[test]
fn row_018_a_name_of_something_else_is_of_another_type() {
    both(
        Host::new,
        |host, line| {
            std::fs::write(host.namespace_dir().join("File"), "x").unwrap();
            std::fs::create_dir(host.namespace_dir().join("Folder")).unwrap();
            line.say("made");
            line.hear("tried");
        },
        |app| {
            app.hear("made");
            for name in [r"\File", r"\Folder"] {
                let status = app.refusal(name);
                assert_eq!(status, Status::OBJECT_TYPE_MISMATCH, "{name}");
                assert_eq!(hresult(status), 0x8007_0006);
            }
            app.say("tried");
        },
    );
}

#[test]
fn row_019_case_matters_unless_the_port_says_otherwise() {
    both(
        Host::new,
        |host, line| {
            line.hear("exact");
            host.accepted();
            host.ended();
            // a port for any case is in the way of every case, and none may be in its way
            let any_case = host.beside(r"\TESTPORT", |_| {}, |options| options.case_insensitive(true));
            assert_eq!(any_case.map(drop).unwrap_err().status(), Status::OBJECT_NAME_COLLISION);
            let third = host.beside(r"\TESTPORT", |_| {}, |options| options).unwrap();
            line.say("both cases");
            third.accepted().send(b"here", Timeout::After(LONG)).unwrap();
            third.ended();
            line.hear("reached");
            host.nothing_more();
            drop(third);
            let other = host.beside(r"\AnyCase", |_| {}, |options| options.case_insensitive(true)).unwrap();
            assert_eq!(uncreatable(host, r"\ANYCASE"), Status::OBJECT_NAME_COLLISION);
            line.say("any case");
            reach(&other);
            line.hear("once");
            other.ended();
            line.say("again");
            reach(&other);
            line.hear("done");
        },
        |app| {
            for other in [r"\TESTPORT", r"\testport", r"\testPort"] {
                let status = app.refusal(other);
                assert_eq!((status, hresult(status)), (Status::OBJECT_NAME_NOT_FOUND, 0x8007_0002), "{other}");
            }
            app.connect_to(PORT, b"").unwrap().close();
            app.say("exact");
            app.hear("both cases");
            is_reached(app, r"\TESTPORT");
            app.say("reached");
            app.hear("any case");
            is_reached(app, r"\anycase");
            app.say("once");
            app.hear("again");
            is_reached(app, r"\AnyCase");
            app.say("done");
        },
    );
}

#[test]
fn row_020_a_name_has_one_port() {
    both(
        Host::new,
        |host, line| {
            let status = uncreatable(host, PORT);
            assert_eq!(status, Status::OBJECT_NAME_COLLISION);
            assert_eq!(hresult(status), 0x8007_00b7);
            line.say("tried");
            reach(host);
        },
        |app| {
            app.hear("tried");
            is_reached(app, PORT);
        },
    );
}

/// Sockets that are no port's: of another kind, and of the same kind with a host that talks nonsense.
#[test]
fn row_099_something_else_that_listens_is_told_apart() {
    both(
        Host::new,
        |host, line| {
            let _stream = UnixListener::bind(host.namespace_dir().join("Stream")).unwrap();
            let nonsense =
                rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::SEQPACKET, None);
            let nonsense = nonsense.unwrap();
            let path = host.namespace_dir().join("Nonsense");
            rustix::net::bind(&nonsense, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
            rustix::net::listen(&nonsense, 5).unwrap();
            line.say("listening");
            let client = rustix::net::accept(&nonsense).unwrap();
            rustix::io::write(&client, b"\xffHello, who is there?").unwrap();
            line.hear("tried");
        },
        |app| {
            app.hear("listening");
            let status = app.refusal(r"\Stream");
            assert_eq!((status, hresult(status)), (Status::OBJECT_TYPE_MISMATCH, 0x8007_0006));
            // and what is taken for a handle without being one
            let (pipe, _) = std::io::pipe().unwrap();
            let status = Connection::from_handle(pipe.into()).unwrap_err().status();
            assert_eq!((status, hresult(status)), (Status::INVALID_PARAMETER, 0x8007_0057));
            let error = app.connect_to(r"\Nonsense", b"").unwrap_err();
            assert_eq!(error.status(), Status::INVALID_PARAMETER);
            assert_eq!(hresult(error.status()), 0x8007_0057);
            assert!(error.to_string().contains("another protocol"), "{error}");
            app.say("tried");
        },
    );
}
