//! What cannot be set up from outside: two directories in one namespace, and hosts that answer wrongly.

use std::thread;

use proto::wire::{FromHost, Refused};
use rustix::event::{PollFd, PollFlags};
use tempfile::TempDir;

use super::*;

fn name(text: &str) -> PortName {
    PortName::parse(text).unwrap()
}

fn world() -> (TempDir, Namespace) {
    let dir = tempfile::tempdir().unwrap();
    let namespace = Namespace::at(dir.path());
    (dir, namespace)
}

#[test]
fn clients_look_further_but_hosts_do_not() {
    let (own, own_namespace) = world();
    let (system, system_namespace) = world();
    let both = Namespace { own: own_namespace.own.clone(), then: Some(system_namespace.own.clone()) };
    let theirs = system_namespace.claim(&name(r"\Scanner"), false, "D:").unwrap();
    both.find(&name(r"\Scanner")).unwrap();
    theirs.listener().accept().unwrap();

    // The name is free where hosts put theirs, and clients prefer it then.
    let ours = both.claim(&name(r"\Scanner"), false, "D:").unwrap();
    assert_eq!(both.dir(), own.path());
    both.find(&name(r"\Scanner")).unwrap();
    ours.listener().accept().unwrap();
    assert_eq!(theirs.listener().accept().unwrap_err().kind(), ErrorKind::WouldBlock);

    let places: Vec<_> = both.list().unwrap().into_iter().map(|port| port.namespace).collect();
    assert_eq!(places, [own.path(), system.path()]);
    let hint = both.find(&name(r"\Foo")).unwrap_err().to_string();
    for dir in [&own, &system] {
        assert!(hint.contains(&format!("{} has \\Scanner", dir.path().display())), "{hint}");
    }
    assert_eq!(both.find(&name(r"\Foo\Bar")).unwrap_err().status(), Status::OBJECT_PATH_NOT_FOUND);
    std::fs::create_dir(system.path().join("Foo")).unwrap();
    assert_eq!(both.find(&name(r"\Foo\Bar")).unwrap_err().status(), Status::OBJECT_NAME_NOT_FOUND);
}

/// A user who makes our directory before us must not keep us from the system's ports, nor give us other ones.
#[test]
fn a_directory_that_is_not_ours_is_passed_over() {
    let (trap, trap_namespace) = world();
    let (_system, system_namespace) = world();
    std::fs::set_permissions(trap.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let _fake = trap_namespace.claim(&name(r"\Scanner"), false, "D:").unwrap();
    let both = Namespace { own: Place::private(trap.path().to_owned()), then: Some(system_namespace.own.clone()) };

    let error = both.find(&name(r"\Scanner")).unwrap_err();
    assert_eq!(error.status(), Status::ACCESS_DENIED, "{error}");
    assert_eq!(both.list().unwrap(), []);
    let real = system_namespace.claim(&name(r"\Scanner"), false, "D:").unwrap();
    both.find(&name(r"\Scanner")).unwrap();
    real.listener().accept().unwrap();
    assert_eq!(both.list().unwrap().len(), 1);
    assert_eq!(both.claim(&name(r"\Other"), false, "D:").unwrap_err().status(), Status::ACCESS_DENIED);
    let alone = Namespace { own: both.own, then: None };
    assert_eq!(alone.list().unwrap_err().status(), Status::ACCESS_DENIED);
}

/// Asks a host that answers the first client with `answer`, and keeps the connection open if that is `None`.
fn ask_one_that_answers(answer: impl FnOnce(&Claim) -> Option<Vec<u8>> + Send) -> Result<Info, Error> {
    let (_dir, namespace) = world();
    let claim = namespace.claim(&name(r"\Scanner"), true, "D:").unwrap();
    let (done, wait) = std::sync::mpsc::sync_channel::<()>(0);
    thread::scope(|scope| {
        let claim = &claim;
        scope.spawn(move || {
            rustix::event::poll(&mut [PollFd::new(claim.listener(), PollFlags::IN)], None).unwrap();
            let socket = claim.listener().accept().unwrap();
            let mut packet = vec![0; MAX_MESSAGE_LEN];
            let received = socket.recv(&mut packet).unwrap();
            assert_eq!(FromClient::parse(&packet[..received.len]), Ok(FromClient::Query));
            match answer(claim) {
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) => socket.send(&bytes, &[]).unwrap(),
                // Until the other end of the channel goes.
                None => assert!(wait.recv().is_err()),
            }
        });
        let answer = namespace.info(&name(r"\SCANNER"));
        drop(done);
        answer
    })
}

#[test]
fn a_host_is_asked_about_itself() {
    let info = ask_one_that_answers(|claim| {
        Some(FromHost::Info(Info { connections: 2, max_connections: 5, ..claim.info() }).encode())
    })
    .unwrap();
    assert_eq!(
        (info.name, info.pid, info.connections, info.max_connections),
        (name(r"\Scanner"), std::process::id(), 2, 5)
    );

    let refusal = |_: &Claim| Some(FromHost::Refused(Refused::new(Status::DEVICE_NOT_READY, "draining")).encode());
    let error = ask_one_that_answers(refusal).unwrap_err();
    assert_eq!(error.status(), Status::DEVICE_NOT_READY);
    assert!(error.to_string().ends_with("draining"), "{error}");
}

#[test]
fn a_host_that_answers_nonsense_or_not_at_all() {
    let status = |answer: Option<Vec<u8>>| ask_one_that_answers(|_| answer).unwrap_err().status();
    assert_eq!(status(Some(vec![])), Status::PORT_DISCONNECTED, "hangs up");
    assert_eq!(status(Some(vec![0x7F])), Status::INVALID_PARAMETER);
    assert_eq!(status(Some(vec![0x83, 0, 9, 0])), Status::REVISION_MISMATCH);
    assert_eq!(
        status(Some(FromHost::Welcome { holder: None, name: PortName::parse(r"\P").unwrap() }.encode())),
        Status::INVALID_PARAMETER
    );
    let start = Instant::now();
    assert_eq!(status(None), Status::IO_TIMEOUT);
    assert!(start.elapsed() >= INFO_TIMEOUT);
}

#[test]
fn long_names_are_cut_in_sentences() {
    assert_eq!(shown(&name(r"\Scanner")), r"\Scanner");
    let long = shown(&name(&format!("\\{}", "\u{e4}".repeat(30_000))));
    assert_eq!(long, format!("\\{}…", "\u{e4}".repeat(119)));
}
