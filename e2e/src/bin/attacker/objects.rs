//! Objects that block whatever closes them, or would, sent to a host in every packet that a client can send.

use std::fs::File;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fltmgr::namespace::Namespace;
use fltmgr::{Connection, PortName};
use rustix::net::{AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType};

/// How often the host was sent objects, and how often the kernel did not let them pass.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    refused: AtomicU64,
}

/// Attacks the ports `\Closed`, which admits no client, and `\Open`, which admits all, for so long. `file` lies on a file
/// system that does not answer when it is closed.
pub(crate) fn send(namespace: &str, time: Duration, file: &str) -> serde_json::Value {
    let counts: &'static Counts = Box::leak(Box::default());
    // not waited for: whatever closes such an object here may not return either
    for _ in 0..2 {
        let (namespace, file) = (Namespace::at(namespace), file.to_owned());
        std::thread::spawn(move || {
            // closed by the host alone, if at all
            let kept = kept(&file);
            loop {
                kept.iter().for_each(|object| attack(&namespace, object, counts));
                for object in [lingers(), within(lingers()), within(within(lingers()))] {
                    attack(&namespace, &object, counts);
                    std::thread::spawn(move || drop(object));
                }
            }
        });
    }
    std::thread::sleep(time);
    serde_json::json!({ "sent": counts.sent, "refused": counts.refused })
}

/// Something to be sent, and what must stay for it to be what it is.
struct Object {
    file: OwnedFd,
    _beside: Vec<OwnedFd>,
}

impl From<OwnedFd> for Object {
    fn from(file: OwnedFd) -> Self {
        Self { file, _beside: Vec::new() }
    }
}

/// Objects that are the same however often they are sent.
fn kept(file: &str) -> Vec<Object> {
    let child = Command::new("true").spawn().expect("a program");
    let pid = rustix::process::Pid::from_child(&child);
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).expect("its descriptor");
    drop(child.wait_with_output());
    let (read, write) = rustix::pipe::pipe().expect("a pipe");
    let _ = rustix::io::write(&write, &[0; 4096]);
    let mut all = vec![
        pidfd.into(),
        Object { file: read, _beside: vec![write] },
        OwnedFd::from(File::open("/proc/self/mem").expect("memory")).into(),
    ];
    all.push(OwnedFd::from(File::open(file).expect("it can be opened")).into());
    // SAFETY: the ring's parameters are zeroed memory of the size that the kernel writes.
    let ring = unsafe {
        let mut parameters = [0_u64; 32];
        libc::syscall(libc::SYS_io_uring_setup, 4, parameters.as_mut_ptr())
    };
    if let Ok(ring) = i32::try_from(ring)
        && ring >= 0
    {
        // SAFETY: the kernel has just given this descriptor to us.
        all.push(unsafe { OwnedFd::from_raw_fd(ring) }.into());
    }
    all
}

/// A connection that is closed only when its other end has taken what it never takes, or after a minute.
fn lingers() -> Object {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("a connection");
    let (other, _) = listener.accept().expect("a connection");
    stream.set_nonblocking(true).expect("a flag");
    while stream.write(&[0; 1 << 16]).is_ok() {}
    let linger = libc::linger { l_onoff: 1, l_linger: 60 };
    // SAFETY: the kernel reads a linger, which is a local.
    let set = unsafe {
        let len = size_of::<libc::linger>() as libc::socklen_t;
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, (&raw const linger).cast(), len)
    };
    assert_eq!(set, 0);
    Object { file: stream.into(), _beside: vec![other.into()] }
}

/// A socket in whose queue the object lies.
fn within(object: Object) -> Object {
    let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("a pair");
    pass(pair.1.as_fd(), b"x", &object.file).expect("room for one");
    let Object { file, mut _beside } = object;
    // not the last: it lies in the queue
    drop(file);
    _beside.push(pair.1);
    Object { file: pair.0, _beside }
}

fn pass(to: BorrowedFd<'_>, packet: &[u8], file: &OwnedFd) -> rustix::io::Result<()> {
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
    let packet = [std::io::IoSlice::new(packet)];
    rustix::net::sendmsg(to, &packet, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(drop)
}

/// Sends the object in each packet that there is.
fn attack(namespace: &Namespace, object: &Object, counts: &Counts) {
    let hello = |name: &str| {
        let len = u32::try_from(name.len()).expect("short").to_le_bytes();
        [&[1, 0, 1, 0, 0, 0, 0, 0][..], &len, &[0; 4], name.as_bytes()].concat()
    };
    let send = |to: BorrowedFd<'_>, packet: &[u8]| match pass(to, packet, &object.file) {
        Ok(()) => counts.sent.fetch_add(1, Ordering::Relaxed),
        Err(_) => counts.refused.fetch_add(1, Ordering::Relaxed),
    };
    for name in [r"\Closed", r"\Open"] {
        for packet in [hello(name), vec![2, 0, 1, 0], vec![3], vec![0xff; 40]] {
            let Ok(socket) = namespace.find(&PortName::parse(name).expect("a name")) else { continue };
            send(socket.as_fd(), &packet);
            // some leave at once, others wait for what the host says
            if packet.len() > 4 {
                let mut answer = [0; 600];
                let _ = socket.recv_deadline(&mut answer, Instant::now() + Duration::from_millis(50));
            }
        }
    }
    let Ok(socket) = namespace.find(&PortName::parse(r"\Open").expect("a name")) else { return };
    let welcomed = socket.send(&hello(r"\Open"), &[]).and_then(|()| socket.recv(&mut [0; 600]));
    if welcomed.is_err() {
        return;
    }
    for packet in [&[3][..], &[4], &[5], &[6], &[0xff; 40]] {
        send(socket.as_fd(), packet);
    }
    // a handle of a connection that goes on
    let Ok(port) = Connection::options().namespace(namespace.clone()).connect(r"\Open", b"") else { return };
    let Ok(handle) = port.duplicate() else { return };
    for packet in [&[3][..], &[4], &[5], &[6]] {
        send(handle.as_fd(), packet);
    }
    // where descriptors pass, that has ended it
    let _ = port.send(b"?", &mut [0; 8]);
}
