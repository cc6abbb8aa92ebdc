//! Owning and finding names, with threads and processes.

mod users;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use fltport::namespace::{Claim, Namespace};
use fltport::{Error, PortName, Status};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use tempfile::TempDir;
use testkit::{Again, Role, order, program, say};

fn name(text: &str) -> PortName {
    PortName::parse(text).unwrap()
}

fn claim(namespace: &Namespace, text: &str) -> Result<Claim, Error> {
    namespace.claim(&name(text), false, "D:")
}

fn find_status(namespace: &Namespace, text: &str) -> Status {
    namespace.find(&name(text)).map(|_| ()).unwrap_err().status()
}

fn world() -> (TempDir, Namespace) {
    let dir = tempfile::tempdir().unwrap();
    let namespace = Namespace::at(dir.path());
    (dir, namespace)
}

/// The files that are left, but for the lock that stays.
fn files(dir: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != ".namespace.lock").collect()
}

/// Another process, which does this with a name when it is told to go, and then says how that went.
fn start(what: &str, port: &str, configure: impl FnOnce(&mut Command)) -> Again {
    let mut command = Command::new(program());
    configure(&mut command);
    Again::command(&format!("namespace {what} {port}"), Path::new("/"), command)
}

/// Another process, which claims a name in this directory.
fn host(dir: &Path, port: &str) -> Again {
    start("claim", port, |command| {
        command.env("FLTMGR_NAMESPACE", dir);
    })
}

/// Has a process go; what it says then.
fn go(process: &mut Again) -> String {
    process.tell("go");
    process.says("answer")
}

/// Lets a process end in its own way.
fn leave(mut process: Again) {
    process.hang_up();
    assert_eq!(process.end(), 0);
}

/// What another process does.
pub(crate) fn play(role: &Role) {
    let (what, port) = role.words.split_once(' ').expect("what to do with which name");
    let port = name(port);
    assert_eq!(order().as_deref(), Some("go"));
    let namespace = Namespace::current();
    let answer = |done: Result<String, Error>| match done {
        Ok(text) => say(&format!("answer {text}")),
        Err(error) => say(&format!("answer {:?} {error}", error.status())),
    };
    match what {
        "claim" => {
            let claim = namespace.claim(&port, false, "D:");
            answer(
                claim
                    .as_ref()
                    .map(|_| format!("won {}", namespace.dir().display()))
                    .map_err(|error| Error::new(error.status(), error.to_string())),
            );
            // Holds the name until we are told to end.
            assert!(order().is_none());
            drop(claim);
        }
        "find" => answer(namespace.find(&port).map(|_| "found".to_owned())),
        other => panic!("what is {other}?"),
    }
}

#[test]
fn a_claimed_name_is_found_until_it_is_dropped() {
    let (dir, namespace) = world();
    let claim = claim(&namespace, r"\Scanner").unwrap();
    assert_eq!(claim.listener().accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let client = namespace.find(&name(r"\Scanner")).unwrap();
    let host = claim.listener().accept().unwrap();
    client.send(b"x", &[]).unwrap();
    assert_eq!(host.recv(&mut [0; 8]).unwrap().len, 1);
    assert_eq!(files(dir.path()).len(), 3);
    let mode = |file: &str| dir.path().join(file).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("Scanner"), mode(".Scanner.lock"), mode(".Scanner.port")], [0o666, 0o600, 0o644]);

    // Row 27: what was accepted goes on, new clients find nothing.
    drop(claim);
    assert_eq!(find_status(&namespace, r"\Scanner"), Status::OBJECT_NAME_NOT_FOUND);
    assert_eq!(files(dir.path()), BTreeSet::new());
    host.send(b"y", &[]).unwrap();
    assert_eq!(client.recv(&mut [0; 8]).unwrap().len, 1);
}

#[test]
fn a_client_in_the_queue_is_refused_when_the_name_is_dropped() {
    let (_dir, namespace) = world();
    let claim = claim(&namespace, r"\Scanner").unwrap();
    let client = namespace.find(&name(r"\Scanner")).unwrap();
    drop(claim);
    let deadline = Instant::now() + Duration::from_secs(10);
    assert_eq!(client.recv_deadline(&mut [0; 8], deadline).unwrap().len, 0);
}

#[test]
fn one_name_has_one_host() {
    let (dir, namespace) = world();
    let first = claim(&namespace, r"\Scanner").unwrap();
    let error = claim(&namespace, r"\Scanner").unwrap_err();
    assert_eq!(error.status(), Status::OBJECT_NAME_COLLISION);
    assert!(error.to_string().contains(&format!("served by pid {}", std::process::id())), "{error}");
    assert!(namespace.find(&name(r"\Scanner")).is_ok(), "the loser must not touch the winner's files");

    let mut other = host(dir.path(), r"\Scanner");
    let answer = go(&mut other);
    assert!(answer.starts_with("STATUS_OBJECT_NAME_COLLISION"), "{answer}");
    leave(other);

    // Row 28: taken again at once.
    drop(first);
    let _second = claim(&namespace, r"\Scanner").unwrap();
}

#[test]
fn of_many_threads_one_wins() {
    let (dir, namespace) = world();
    for _ in 0..20 {
        let start = Barrier::new(32);
        let claims: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..32)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        claim(&namespace, r"\Scanner")
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = claims.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for error in lost {
            assert_eq!(error.unwrap_err().status(), Status::OBJECT_NAME_COLLISION);
        }
        assert!(namespace.find(&name(r"\Scanner")).is_ok());
        drop(won);
        assert_eq!(files(dir.path()), BTreeSet::new());
    }
}

#[test]
fn of_many_processes_one_wins() {
    let (dir, namespace) = world();
    // They fight over what a killed host left behind.
    let mut dead = host(dir.path(), r"\Scanner");
    go(&mut dead);
    dead.kill();
    dead.end();
    let mut hosts: Vec<_> = (0..32).map(|_| host(dir.path(), r"\Scanner")).collect();
    for host in &mut hosts {
        host.tell("go");
    }
    let answers: Vec<_> = hosts.iter_mut().map(|host| host.says("answer")).collect();
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("won")).count(), 1, "{answers:#?}");
    assert_eq!(answers.iter().filter(|answer| answer.starts_with("STATUS_OBJECT_NAME_COLLISION")).count(), 31);
    assert!(namespace.find(&name(r"\Scanner")).is_ok());
    for host in hosts {
        leave(host);
    }
    assert_eq!(files(dir.path()), BTreeSet::new());
}

#[test]
fn a_killed_host_stands_in_nobodys_way() {
    let (dir, namespace) = world();
    for _ in 0..10 {
        let mut host = host(dir.path(), r"\Scanner");
        assert!(go(&mut host).starts_with("won"));
        assert!(namespace.find(&name(r"\Scanner")).is_ok());
        host.kill();
        host.end();
        assert_eq!(files(dir.path()).len(), 3, "a killed host cleans nothing up");
        assert_eq!(find_status(&namespace, r"\Scanner"), Status::OBJECT_NAME_NOT_FOUND);
        assert_eq!(namespace.list().unwrap(), []);
        let claim = claim(&namespace, r"\Scanner").unwrap();
        assert!(namespace.find(&name(r"\Scanner")).is_ok());
        drop(claim);
    }
    assert_eq!(files(dir.path()), BTreeSet::new());
}

/// A child between fork and exec has copies of all descriptors, locks included.
#[test]
fn names_are_free_at_once_while_children_are_started() {
    let (_dir, namespace) = world();
    std::thread::scope(|scope| {
        let starter = scope.spawn(|| {
            for _ in 0..100 {
                assert!(Command::new("true").status().unwrap().success());
            }
        });
        while !starter.is_finished() {
            drop(claim(&namespace, r"\Scanner").unwrap());
        }
    });
}

#[test]
fn any_name_works() {
    let (dir, namespace) = world();
    let names = [
        r"\.".to_owned(),
        r"\..".to_owned(),
        r"\.Scanner.lock".to_owned(),
        "\\a/b c\n%41\u{1F600}".to_owned(),
        r"\aA".to_owned(),
        format!("\\{}", "n".repeat(300)),
        format!("\\{}", "\u{e4}".repeat(300)),
        format!("\\{}", "x".repeat(30_000)),
        format!("\\{}y", "x".repeat(29_999)),
    ];
    let claims: Vec<_> = names.iter().map(|text| claim(&namespace, text).unwrap()).collect();
    for (text, claim) in names.iter().zip(&claims) {
        namespace.find(&name(text)).unwrap();
        claim.listener().accept().unwrap();
        assert_eq!(claim.name().as_str(), text);
    }
    let listed: BTreeSet<_> = namespace.list().unwrap().into_iter().map(|port| port.name.to_string()).collect();
    assert_eq!(listed, names.iter().cloned().collect());
    let absent = format!("\\{}z", "x".repeat(29_999));
    let error = namespace.find(&name(&absent)).unwrap_err();
    assert_eq!(error.status(), Status::OBJECT_NAME_NOT_FOUND);
    assert!(error.to_string().len() < 4000, "a sentence, not a flood");
    drop(claims);
    assert_eq!(files(dir.path()), BTreeSet::new());
}

#[test]
fn deep_namespaces_work() {
    let (dir, _) = world();
    let deep = dir.path().join("d".repeat(200)).join("e".repeat(200));
    std::fs::create_dir_all(&deep).unwrap();
    let namespace = Namespace::at(&deep);
    let _claim = claim(&namespace, r"\Scanner").unwrap();
    namespace.find(&name(r"\Scanner")).unwrap();
}

#[test]
fn case_counts_unless_the_host_says_otherwise() {
    let (_dir, namespace) = world();
    let exact = claim(&namespace, r"\Exact").unwrap();
    assert_eq!(find_status(&namespace, r"\EXACT"), Status::OBJECT_NAME_NOT_FOUND);
    let upper = claim(&namespace, r"\EXACT").unwrap();
    assert_eq!(
        namespace.claim(&name(r"\exact"), true, "D:").unwrap_err().status(),
        Status::OBJECT_NAME_COLLISION,
        "a name without case collides with one that has"
    );

    let loose = namespace.claim(&name(r"\Loose"), true, "D:").unwrap();
    namespace.find(&name(r"\lOOSE")).unwrap();
    loose.listener().accept().unwrap();
    let error = claim(&namespace, r"\LOOSE").unwrap_err();
    assert_eq!(error.status(), Status::OBJECT_NAME_COLLISION);
    assert!(error.to_string().contains(r"\Loose is served by pid"), "{error}");

    drop((exact, upper, loose));
    // An exact match comes before one without case, so make sure which is which.
    let lower = namespace.claim(&name(r"\port"), true, "D:").unwrap();
    namespace.find(&name(r"\PORT")).unwrap();
    lower.listener().accept().unwrap();
}

#[test]
fn spellings_of_one_name_race_for_it() {
    let (dir, namespace) = world();
    for _ in 0..20 {
        let spellings = [r"\Scanner", r"\SCANNER", r"\scanner", r"\sCANNER"];
        let start = Barrier::new(spellings.len());
        let won: Vec<_> = std::thread::scope(|scope| {
            let threads = spellings.map(|spelling| {
                let (start, namespace) = (&start, &namespace);
                scope.spawn(move || {
                    start.wait();
                    namespace.claim(&name(spelling), true, "D:")
                })
            });
            threads.into_iter().filter_map(|thread| thread.join().unwrap().ok()).collect()
        });
        assert_eq!(won.len(), 1);
        drop(won);
        assert_eq!(files(dir.path()), BTreeSet::new());
    }
}

#[test]
fn directories_must_exist() {
    let (dir, namespace) = world();
    let error = claim(&namespace, r"\Dir\Port").unwrap_err();
    assert_eq!(error.status(), Status::OBJECT_PATH_NOT_FOUND);
    assert!(error.to_string().contains("create it first"), "{error}");
    assert_eq!(find_status(&namespace, r"\Dir\Port"), Status::OBJECT_PATH_NOT_FOUND);
    assert_eq!(find_status(&namespace, &r"\d".repeat(10_000)), Status::OBJECT_PATH_NOT_FOUND);

    std::fs::create_dir(dir.path().join("Dir")).unwrap();
    assert_eq!(find_status(&namespace, r"\Dir\Port"), Status::OBJECT_NAME_NOT_FOUND);
    let inner = namespace.claim(&name(r"\Dir\Port"), true, "D:(A;;GA;;;WD)").unwrap();
    namespace.find(&name(r"\dir\port")).unwrap();
    inner.listener().accept().unwrap();
    assert_eq!(claim(&namespace, r"\DIR\Port").unwrap_err().status(), Status::OBJECT_PATH_NOT_FOUND);
    let [port] = &namespace.list().unwrap()[..] else { panic!("one port") };
    assert_eq!((port.name.as_str(), port.sddl.as_str()), (r"\Dir\Port", "D:(A;;GA;;;WD)"));

    // Row 18: a directory is no port, and a port is no directory.
    assert_eq!(find_status(&namespace, r"\Dir"), Status::OBJECT_TYPE_MISMATCH);
    assert_eq!(claim(&namespace, r"\Dir").unwrap_err().status(), Status::OBJECT_NAME_COLLISION);
    assert_eq!(claim(&namespace, r"\Dir\Port\Port").unwrap_err().status(), Status::OBJECT_PATH_NOT_FOUND);
    drop(inner);
    assert_eq!(files(&dir.path().join("Dir")), BTreeSet::new());
    assert_eq!(files(dir.path()), BTreeSet::from(["Dir".to_owned()]));
}

#[test]
fn other_objects_are_not_ports() {
    let (dir, namespace) = world();
    std::fs::write(dir.path().join("File"), "").unwrap();
    std::os::unix::fs::symlink("File", dir.path().join("Link")).unwrap();
    let stream = std::os::unix::net::UnixListener::bind(dir.path().join("Stream")).unwrap();
    for port in [r"\File", r"\Link", r"\Stream"] {
        let error = namespace.find(&name(port)).unwrap_err();
        assert_eq!(error.status(), Status::OBJECT_TYPE_MISMATCH, "{error}");
        assert!(error.to_string().contains("is not a port's socket"), "{error}");
    }
    let error = claim(&namespace, r"\File").unwrap_err();
    assert_eq!(error.status(), Status::OBJECT_NAME_COLLISION);
    assert!(error.to_string().contains("remove it"), "{error}");
    assert_eq!(files(dir.path()), ["File", "Link", "Stream"].map(str::to_owned).into());
    drop(stream);
}

#[test]
fn a_stale_socket_is_taken_over() {
    let (dir, namespace) = world();
    let path = dir.path().join("Scanner");
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    drop(socket);
    assert_eq!(find_status(&namespace, r"\Scanner"), Status::OBJECT_NAME_NOT_FOUND);
    let _claim = claim(&namespace, r"\Scanner").unwrap();
    namespace.find(&name(r"\Scanner")).unwrap();
}

#[test]
fn the_error_says_what_there_is() {
    let (dir, namespace) = world();
    let error = namespace.find(&name(r"\Foo")).unwrap_err();
    assert_eq!(error.status(), Status::OBJECT_NAME_NOT_FOUND);
    assert!(error.to_string().contains(&format!("{} has no ports", dir.path().display())), "{error}");

    let _claim = claim(&namespace, r"\Scanner").unwrap();
    let error = namespace.find(&name(r"\Foo")).unwrap_err();
    let uid = rustix::process::geteuid().as_raw();
    let expected = format!("{} has \\Scanner (pid {}, uid {uid})", dir.path().display(), std::process::id());
    assert!(
        error.to_string().starts_with(r"connecting to \Foo: ") && error.to_string().ends_with(&expected),
        "{error}"
    );

    let nowhere = Namespace::at(dir.path().join("nowhere"));
    let error = nowhere.find(&name(r"\Foo")).unwrap_err();
    assert_eq!(error.status(), Status::OBJECT_NAME_NOT_FOUND);
    assert!(error.to_string().contains("there is no "), "{error}");
    assert_eq!(nowhere.list().unwrap(), []);
    assert_eq!(claim(&nowhere, r"\Foo").unwrap_err().status(), Status::OBJECT_PATH_NOT_FOUND);
}

#[test]
fn the_list_has_the_facts() {
    let (dir, namespace) = world();
    let before = std::time::SystemTime::now();
    let claim = namespace.claim(&name(r"\Scanner"), true, "D:(A;;0x1f0001;;;BA)").unwrap();
    // Not ports, and not to be fallen over.
    std::fs::write(dir.path().join(".junk.port"), "{").unwrap();
    std::fs::copy(dir.path().join(".Scanner.port"), dir.path().join(".Other.port")).unwrap();
    std::fs::create_dir(dir.path().join(".hidden")).unwrap();
    let [port] = &namespace.list().unwrap()[..] else { panic!("one port") };
    assert_eq!(port.name, name(r"\Scanner"));
    assert_eq!((port.pid, port.uid), (std::process::id(), rustix::process::geteuid().as_raw()));
    assert_eq!((port.case_insensitive, port.sddl.as_str()), (true, "D:(A;;0x1f0001;;;BA)"));
    assert_eq!(port.namespace, dir.path());
    assert!(port.started >= before && port.started <= std::time::SystemTime::now());
    let nanos = port.started.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let info = claim.info();
    assert_eq!((nanos, &info.name, info.pid, info.uid), (u128::from(info.started), &port.name, port.pid, port.uid));
    assert_eq!((info.case_insensitive, &info.sddl, info.connections, info.max_connections), (true, &port.sddl, 0, 0));
}
