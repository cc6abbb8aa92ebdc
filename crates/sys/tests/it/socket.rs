//! Packets, the files in them, and the processes that send them.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use fltmgr_sys::host_end::Listener;
use fltmgr_sys::peer::{self, Credentials};
use fltmgr_sys::socket::{MAX_FILES, Socket};
use proto::wire::MAX_MESSAGE_LEN;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use tempfile::TempDir;
use testkit::{Again, LONG, Role, order, skip};

fn soon() -> Instant {
    Instant::now() + LONG
}

fn directory() -> (TempDir, OwnedFd) {
    let dir = tempfile::tempdir().unwrap();
    let fd = File::open(dir.path()).unwrap().into();
    (dir, fd)
}

/// A pipe whose reader sees the end when all copies of the writer are closed.
fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (OwnedFd::from(reader).into(), writer.into())
}

/// Fails if a copy of the writer is still open anywhere.
fn assert_closed(mut reader: File) {
    let ready = rustix::event::poll(
        &mut [PollFd::new(&reader, PollFlags::IN)],
        Some(&Timespec::try_from(Duration::from_secs(5)).unwrap()),
    );
    assert_eq!(ready, Ok(1), "a copy of the descriptor is still open");
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn packets_stay_whole_and_in_order() {
    let (dir, fd) = directory();
    let listener = Listener::bind(fd.as_fd(), "port").unwrap();
    assert!(dir.path().join("port").exists());
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let client = Socket::connect(fd.as_fd(), "port", LONG).unwrap();
    let host = listener.accept().unwrap();
    for packet in [&b"one"[..], b"four", b"x"] {
        client.send(packet, &[]).unwrap();
    }
    let mut buf = [0; 16];
    for expected in [&b"one"[..], b"four", b"x"] {
        let received = host.recv(&mut buf).unwrap();
        assert_eq!(&buf[..received.len], expected);
        assert!(received.files.is_empty() && !received.truncated);
    }
    assert_eq!(host.try_recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_largest_message_is_one_packet() {
    let (one, other) = Socket::pair().unwrap();
    let packet: Vec<u8> = (0..MAX_MESSAGE_LEN).map(|at| at as u8).collect();
    one.send_deadline(&packet, &[], soon()).unwrap();
    let mut buf = vec![0; MAX_MESSAGE_LEN];
    assert_eq!(other.recv(&mut buf).unwrap().len, MAX_MESSAGE_LEN);
    assert!(buf == packet);
}

#[test]
fn files_travel_in_order_and_close_on_exec() {
    let (one, other) = Socket::pair().unwrap();
    let pipes: Vec<_> = (0..MAX_FILES).map(|_| pipe()).collect();
    let writers: Vec<_> = pipes.iter().map(|(_, writer)| writer.as_fd()).collect();
    one.send(b"x", &writers).unwrap();
    let received = other.recv(&mut [0; 8]).unwrap();
    assert_eq!((received.len, received.files.len(), received.truncated), (1, MAX_FILES, false));
    for (number, file) in received.files.into_iter().enumerate() {
        assert!(rustix::io::fcntl_getfd(&file).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
        File::from(file).write_all(&[number as u8]).unwrap();
    }
    for (number, (mut reader, _writer)) in pipes.into_iter().enumerate() {
        let mut byte = [0xFF];
        reader.read_exact(&mut byte).unwrap();
        assert_eq!(usize::from(byte[0]), number);
    }
}

#[test]
fn too_many_files_are_all_closed() {
    let (one, other) = Socket::pair().unwrap();
    let (reader, writer) = pipe();
    assert_eq!(one.send(b"x", &[writer.as_fd(); MAX_FILES + 1]).unwrap_err().kind(), ErrorKind::InvalidInput);
    for count in [MAX_FILES + 1, MAX_FILES + 2, 253] {
        // A sender that does not keep our rule.
        let files = vec![writer.as_fd(); count];
        let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = rustix::net::SendAncillaryBuffer::new(&mut space);
        assert!(control.push(rustix::net::SendAncillaryMessage::ScmRights(&files)));
        let flags = rustix::net::SendFlags::empty();
        rustix::net::sendmsg(&one, &[std::io::IoSlice::new(b"x")], &mut control, flags).unwrap();
        let received = other.recv(&mut [0; 8]).unwrap();
        assert!(received.truncated && received.files.is_empty(), "{count}: {received:?}");
    }
    drop(writer);
    assert_closed(reader);
}

#[test]
fn a_packet_that_is_cut_brings_no_files() {
    let (one, other) = Socket::pair().unwrap();
    let (reader, writer) = pipe();
    one.send(b"too long", &[writer.as_fd()]).unwrap();
    let received = other.recv(&mut [0; 3]).unwrap();
    assert!(received.truncated && received.files.is_empty() && received.len == 3);
    drop(writer);
    assert_closed(reader);
}

#[test]
fn the_end_is_seen_however_it_comes() {
    let mut buf = [0; 8];
    let (one, other) = Socket::pair().unwrap();
    drop(one);
    assert_eq!(other.recv(&mut buf).unwrap().len, 0);
    assert_eq!(other.send(b"x", &[]).unwrap_err().kind(), ErrorKind::BrokenPipe, "and no signal");

    // Closed with something unread: the kernel resets.
    let (one, other) = Socket::pair().unwrap();
    other.send(b"never read", &[]).unwrap();
    drop(one);
    assert_eq!(other.recv(&mut buf).unwrap().len, 0);

    // A copy of the descriptor elsewhere keeps a closed socket open, but not one that was shut down.
    let (one, other) = Socket::pair().unwrap();
    let copy = one.as_fd().try_clone_to_owned().unwrap();
    one.shutdown();
    drop(one);
    assert_eq!(other.recv(&mut buf).unwrap().len, 0);
    drop(copy);

    // What was sent before the end is received.
    let (one, other) = Socket::pair().unwrap();
    one.send(b"last", &[]).unwrap();
    drop(one);
    assert_eq!(other.recv(&mut buf).unwrap().len, 4);
    assert_eq!(other.recv(&mut buf).unwrap().len, 0);

    let (one, _other) = Socket::pair().unwrap();
    assert_eq!(one.send(b"", &[]).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn waits_end_at_their_deadline() {
    let (one, _other) = Socket::pair().unwrap();
    let wait = Duration::from_millis(20);
    let start = Instant::now();
    assert_eq!(one.recv_deadline(&mut [0; 8], start + wait).unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= wait);

    // The peer does not read, so at some point there is no room.
    let packet = vec![0; 100_000];
    let start = Instant::now();
    let error = loop {
        if let Err(error) = one.send_deadline(&packet, &[], start + wait) {
            break error;
        }
        assert!(start.elapsed() < LONG);
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(one.try_send(&packet, &[]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// A listener that accepts nothing, with room for one.
fn one_place(dir: &TempDir) -> OwnedFd {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(dir.path().join("port")).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    socket
}

/// Each signal has the call begin anew, whose time does not.
#[test]
fn a_full_queue_ends_the_connect_in_its_time_though_signals_come() {
    extern "C" fn nothing(_: libc::c_int) {}
    let (dir, fd) = directory();
    let _listener = one_place(&dir);
    let wait = Duration::from_secs(1);
    let _first = Socket::connect(fd.as_fd(), "port", wait).unwrap();
    // SAFETY: all-zero is a valid sigaction: no flags (no SA_RESTART, so that the kernel tries nothing again), no mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: `action` has a handler that does nothing.
    unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    let (told, tell) = sync_channel(1);
    let connects = std::thread::spawn(move || {
        // SAFETY: gettid has no preconditions.
        told.send(Err(unsafe { libc::gettid() })).unwrap();
        told.send(Ok(Socket::connect(fd.as_fd(), "port", wait).unwrap_err().kind())).unwrap();
    });
    let tid = tell.recv().unwrap().unwrap_err();
    let start = Instant::now();
    let ended = loop {
        // SAFETY: a signal that is handled, to a thread of ours or one that is gone.
        unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), tid, libc::SIGUSR1) };
        match tell.recv_timeout(wait / 100) {
            Ok(ended) => break ended,
            Err(_) => assert!(start.elapsed() < 10 * wait, "it waits anew with each signal"),
        }
    };
    assert_eq!(ended, Ok(ErrorKind::TimedOut));
    connects.join().unwrap();
}

#[test]
fn a_full_queue_ends_the_connect() {
    let (dir, fd) = directory();
    let _listener = one_place(&dir);
    let wait = Duration::from_millis(30);
    let _first = Socket::connect(fd.as_fd(), "port", wait).unwrap();
    let start = Instant::now();
    let error = Socket::connect(fd.as_fd(), "port", wait).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= wait / 2 && start.elapsed() < LONG);
}

#[test]
fn names_that_cannot_be_bound_or_connected() {
    let (dir, fd) = directory();
    let fd = fd.as_fd();
    let _listener = Listener::bind(fd, "port").unwrap();
    assert_eq!(Listener::bind(fd, "port").unwrap_err().kind(), ErrorKind::AddrInUse);
    assert_eq!(Listener::bind(fd, "../port").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Listener::bind(fd, &"x".repeat(200)).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Socket::connect(fd, "absent", LONG).unwrap_err().kind(), ErrorKind::NotFound);
    std::fs::write(dir.path().join("file"), "").unwrap();
    let errno = |name: &str| Errno::from_io_error(&Socket::connect(fd, name, LONG).unwrap_err());
    assert_eq!(errno("file"), Some(Errno::NOTSOCK));
    let _stream = std::os::unix::net::UnixListener::bind(dir.path().join("stream")).unwrap();
    assert_eq!(errno("stream"), Some(Errno::PROTOTYPE));
    // Renamed to a name that no socket address could hold.
    let long = "x".repeat(250);
    std::fs::rename(dir.path().join("port"), dir.path().join(&long)).unwrap();
    Socket::connect(fd, &long, LONG).unwrap();
}

#[test]
fn a_listener_that_was_shut_down_refuses() {
    let (_dir, fd) = directory();
    let listener = Listener::bind(fd.as_fd(), "port").unwrap();
    let copy = listener.as_fd().try_clone_to_owned().unwrap();
    listener.shutdown();
    drop(listener);
    let error = Socket::connect(fd.as_fd(), "port", LONG).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    drop(copy);
}

#[test]
fn the_kernel_says_who_connected() {
    let (_dir, fd) = directory();
    let listener = Listener::bind(fd.as_fd(), "port").unwrap();
    let _client = Socket::connect(fd.as_fd(), "port", LONG).unwrap();
    let host = listener.accept().unwrap();
    let credentials = Credentials::of_peer(&host).unwrap();
    assert_eq!(credentials.pid, std::process::id());
    assert_eq!(credentials.uid, rustix::process::geteuid().as_raw());
    assert_eq!(credentials.gid, rustix::process::getegid().as_raw());
    let groups: Vec<u32> = rustix::process::getgroups().unwrap().into_iter().map(|group| group.as_raw()).collect();
    assert_eq!(credentials.groups, groups);
    let (one, _other) = std::io::pipe().unwrap();
    assert!(Credentials::of_peer(&one).is_err());
}

#[test]
fn a_peer_may_be_in_many_groups() {
    if !rustix::process::geteuid().is_root() {
        return skip::privileged("only root can set its groups");
    }
    let (_dir, fd) = directory();
    let listener = Listener::bind(fd.as_fd(), "port").unwrap();
    for count in [0_u32, 1, 63, 64, 65, 257, 5000] {
        let groups: Vec<u32> = (1000..1000 + count).collect();
        // The system call, unlike the function of the C library, changes this thread only.
        let _client = std::thread::scope(|scope| {
            let connect = || {
                // SAFETY: `groups` is readable for as many words as we say.
                let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
                assert_eq!(result, 0);
                Socket::connect(fd.as_fd(), "port", LONG).unwrap()
            };
            scope.spawn(connect).join().unwrap()
        });
        let host = listener.accept().unwrap();
        assert_eq!(Credentials::of_peer(&host).unwrap().groups, groups);
    }
}

/// The role of another process, which connects and waits to be killed.
pub(crate) fn connect(role: &Role) {
    let dir: OwnedFd = File::open(&role.dir).unwrap().into();
    let _client = Socket::connect(dir.as_fd(), "port", LONG).unwrap();
    let _ = order();
}

#[test]
fn a_pidfd_says_when_the_peer_has_ended() {
    let (dir, fd) = directory();
    let listener = Listener::bind(fd.as_fd(), "port").unwrap();
    let mut child = Again::start("connect", dir.path());
    let ready = |fd: &dyn AsFd, wait: Duration| {
        let timeout = Timespec::try_from(wait).unwrap();
        rustix::event::poll(&mut [PollFd::new(&fd.as_fd(), PollFlags::IN)], Some(&timeout)).unwrap() == 1
    };
    assert!(ready(&listener, LONG));
    let host = listener.accept().unwrap();
    let credentials = Credentials::of_peer(&host).unwrap();
    assert_eq!(credentials.pid, child.pid());
    assert!(peer::exists(child.pid()));
    assert_eq!(peer::exe(child.pid()), std::env::current_exe().ok());
    assert!(std::env::current_exe().unwrap().to_str().unwrap().contains(&peer::comm(child.pid()).unwrap()));

    let pidfd = peer::pidfd(&host).unwrap();
    let fdinfo = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let pid = fdinfo.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim();
    assert_eq!(pid, child.pid().to_string());
    assert!(!ready(&pidfd, Duration::ZERO));
    child.kill();
    assert!(ready(&pidfd, LONG));
    child.end();
    assert!(!peer::exists(child.pid()) && peer::exe(child.pid()).is_none() && peer::comm(child.pid()).is_none());
}
