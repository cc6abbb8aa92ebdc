//! Unix sockets that keep packets whole (`SOCK_SEQPACKET`) and carry file descriptors: unix(7).
//!
//! A socket is named by a directory's descriptor and a file name in it, never by a path: a path would be walked again
//! on each use, and holds 107 bytes at most. All descriptors made here close on exec.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType,
};

/// How many file descriptors one packet may bring; a packet with more is received as [`Received::truncated`]. Even,
/// because the kernel's alignment makes room for an even number anyway.
pub const MAX_FILES: usize = 4;

pub(crate) fn seqpacket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags | SocketFlags::CLOEXEC, None)?)
}

/// A file as seen through /proc, which is short however deep the file lies, and cannot be redirected by renaming a
/// directory.
pub(crate) fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// One end of a connection. Can be used by several threads; a packet is sent and received whole.
#[derive(Debug)]
pub struct Socket(OwnedFd);

/// What [`Socket::recv`] got.
#[derive(Debug)]
pub struct Received {
    /// How many bytes of the buffer were filled. 0: the peer has closed its end (or sent an empty packet, which no
    /// protocol of ours has, and which is to be treated likewise).
    pub len: usize,
    /// The file descriptors that came with the packet, close-on-exec, in the order in which they were sent.
    pub files: Vec<OwnedFd>,
    /// There were more bytes or file descriptors than there was room for, or this process has no descriptors left. The
    /// packet is cut and all its descriptors are closed: treat the peer as broken.
    pub truncated: bool,
}

impl Socket {
    /// Connects to the listener whose file is `name` in `dir`. The name may be as long as the file system allows.
    ///
    /// Blocks only while the listener's queue is full, and for `timeout` at most (the end of it is rounded to the
    /// kernel's tick), however many signals come meanwhile.
    ///
    /// # Errors
    /// `NotFound`: no such file. ENOTSOCK: it is something other than a socket. EPROTOTYPE: a socket of another type.
    /// `ConnectionRefused`: a socket that no process listens on any more. `TimedOut`: the queue stayed full.
    /// `PermissionDenied`.
    pub fn connect(dir: BorrowedFd<'_>, name: &str, timeout: Duration) -> io::Result<Self> {
        // a moment beyond the clock's end is never
        Self::connect_deadline(dir, name, Instant::now().checked_add(timeout))
    }

    /// As [`connect`](Self::connect), but until `deadline` at most; `None` = for ever.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_deadline(dir: BorrowedFd<'_>, name: &str, deadline: Option<Instant>) -> io::Result<Self> {
        let file = rustix::fs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::Socket {
            return Err(Errno::NOTSOCK.into());
        }
        let socket = seqpacket(SocketFlags::empty())?;
        let address = SocketAddrUnix::new(proc_path(file.as_fd()))?;
        loop {
            // A Unix connect waits for the length of the send timeout. Zero would mean for ever.
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let timeout = left.map(|left| left.max(Duration::from_millis(1)));
            sockopt::set_socket_timeout(&socket, Timeout::Send, timeout)?;
            match rustix::net::connect(&socket, &address) {
                Ok(()) => break,
                Err(Errno::AGAIN) => return Err(ErrorKind::TimedOut.into()),
                // what was waited before the signal counts
                Err(Errno::INTR) if left.is_some_and(|left| left.is_zero()) => return Err(ErrorKind::TimedOut.into()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        sockopt::set_socket_timeout(&socket, Timeout::Send, None)?;
        Ok(Self(socket))
    }

    /// Two ends that are connected with each other and have no name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(one), Self(other)))
    }

    /// Sends one packet with up to [`MAX_FILES`] file descriptors, which stay open here too. Blocks while the peer does
    /// not read.
    ///
    /// # Errors
    /// `BrokenPipe`, `ConnectionReset`: the peer has closed. `InvalidInput`: more than [`MAX_FILES`] descriptors, or no
    /// bytes, which the peer could not tell from the end. EMSGSIZE: more than the kernel sends in one packet (over 200
    /// KB by default).
    pub fn send(&self, packet: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(packet, files, SendFlags::empty())
    }

    /// As [`send`](Self::send), but `WouldBlock` instead of waiting.
    ///
    /// # Errors
    /// As [`send`](Self::send), and `WouldBlock`.
    pub fn try_send(&self, packet: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(packet, files, SendFlags::DONTWAIT)
    }

    /// As [`send`](Self::send), but waits until `deadline` at most.
    ///
    /// # Errors
    /// As [`send`](Self::send), and `TimedOut`.
    pub fn send_deadline(&self, packet: &[u8], files: &[BorrowedFd<'_>], deadline: Instant) -> io::Result<()> {
        loop {
            match self.try_send(packet, files) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::OUT, Some(deadline))?,
                done => return done,
            }
        }
    }

    fn send_with(&self, packet: &[u8], files: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<()> {
        send_on(self.0.as_fd(), packet, files, flags)
    }

    /// Receives one packet. Blocks until there is one or the peer closes.
    ///
    /// # Errors
    /// The kernel's. A connection that the peer reset, because it closed before it read everything, is a closed one:
    /// `len` 0.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<Received> {
        self.recv_with(buf, RecvFlags::empty())
    }

    /// As [`recv`](Self::recv), but `WouldBlock` instead of waiting.
    ///
    /// # Errors
    /// `WouldBlock`, or the kernel's.
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<Received> {
        self.recv_with(buf, RecvFlags::DONTWAIT)
    }

    /// As [`recv`](Self::recv), but waits until `deadline` at most.
    ///
    /// # Errors
    /// `TimedOut`, or the kernel's.
    pub fn recv_deadline(&self, buf: &mut [u8], deadline: Instant) -> io::Result<Received> {
        loop {
            match self.try_recv(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::IN, Some(deadline))?,
                done => return done,
            }
        }
    }

    /// Looks at the next packet without taking it: its descriptors are duplicates. `WouldBlock` when there is none.
    ///
    /// # Errors
    /// `WouldBlock`, or the kernel's.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<Received> {
        self.recv_with(buf, RecvFlags::DONTWAIT | RecvFlags::PEEK)
    }

    fn recv_with(&self, buf: &mut [u8], flags: RecvFlags) -> io::Result<Received> {
        recv_on(self.0.as_fd(), buf, flags)
    }

    /// Waits until the socket is ready for `what` or has ended. `TimedOut` after `deadline`.
    fn wait(&self, what: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(ErrorKind::TimedOut.into());
            }
            // A wait too long for the kernel's type is for ever, in practice.
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            match rustix::event::poll(&mut [PollFd::new(&self.0, what)], timeout.as_ref()) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until there is something to read, or the peer has closed its end.
    ///
    /// # Errors
    /// `TimedOut` after `deadline`; the kernel's.
    pub fn wait_readable(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.wait(PollFlags::IN, deadline)
    }

    /// Waits until the peer has closed its end, or shut both directions down. False when `deadline` passes first.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait_closed(&self, deadline: Option<Instant>) -> io::Result<bool> {
        // a hang-up is told without being asked for
        match self.wait(PollFlags::empty(), deadline) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the peer has closed its end, or shut both directions down.
    pub fn hung_up(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // a hang-up is told without being asked for
        matches!(rustix::event::poll(&mut [PollFd::new(&self.0, PollFlags::empty())], Some(&now)), Ok(1))
    }

    /// Whether programs that this process starts inherit the socket, under its number.
    ///
    /// # Errors
    /// The kernel's.
    pub fn passes_exec(&self) -> io::Result<bool> {
        Ok(!rustix::io::fcntl_getfd(&self.0)?.contains(rustix::io::FdFlags::CLOEXEC))
    }

    /// Lets programs that this process starts from now on inherit the socket, under its number.
    ///
    /// # Errors
    /// The kernel's.
    pub fn pass_exec(&self) -> io::Result<()> {
        Ok(rustix::io::fcntl_setfd(&self.0, rustix::io::FdFlags::empty())?)
    }

    /// A descriptor that came from another process. Whether it passes exec stays as it is.
    ///
    /// # Errors
    /// ENOTSOCK, EPROTOTYPE: it is not a connected Unix socket of this kind. It is closed then.
    pub fn adopt(fd: OwnedFd) -> io::Result<Self> {
        if sockopt::socket_domain(&fd)? != AddressFamily::UNIX
            || sockopt::socket_type(&fd)? != SocketType::SEQPACKET
            || sockopt::socket_acceptconn(&fd)?
        {
            return Err(Errno::PROTOTYPE.into());
        }
        Ok(Self(fd))
    }

    /// Ends the direction to the peer: it sees the end of the stream, we can still read what it sends.
    pub fn shutdown_write(&self) {
        let _ = rustix::net::shutdown(&self.0, Shutdown::Write);
    }

    /// Ends the direction from the peer, whose sends fail from now on: what it has sent before can still be received.
    /// An end that then receives all of it, and answers, can close without the peer losing the answer: a close with something
    /// unread would have the kernel say "reset" instead.
    pub fn shutdown_read(&self) {
        let _ = rustix::net::shutdown(&self.0, Shutdown::Read);
    }

    /// Ends both directions for all processes that have this end, so that the peer sees a closed connection even if a forked child
    /// still holds a copy of the descriptor.
    pub fn shutdown(&self) {
        let _ = rustix::net::shutdown(&self.0, Shutdown::Both);
    }
}

/// Sends a descriptor, with one byte, over any Unix socket: for [`take`] at its other end. Blocks as that socket does.
///
/// # Errors
/// The kernel's: `BrokenPipe`, `WouldBlock`; `InvalidInput` for what is no Unix socket.
pub fn give(socket: BorrowedFd<'_>, file: BorrowedFd<'_>) -> io::Result<()> {
    send_on(socket, &[0], &[file], SendFlags::empty())
}

/// Receives a descriptor that was sent by [`give`]. Blocks as that socket does.
///
/// # Errors
/// `UnexpectedEof`: the other end has closed. `InvalidData`: something else was sent. The kernel's.
pub fn take(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut received = recv_on(socket, &mut [0], RecvFlags::empty())?;
    match (received.len, received.files.pop()) {
        (0, _) => Err(ErrorKind::UnexpectedEof.into()),
        (_, Some(file)) if received.files.is_empty() => Ok(file),
        _ => Err(io::Error::new(ErrorKind::InvalidData, "no descriptor came, or there was no room for it")),
    }
}

fn send_on(socket: BorrowedFd<'_>, packet: &[u8], files: &[BorrowedFd<'_>], flags: SendFlags) -> io::Result<()> {
    if packet.is_empty() || files.len() > MAX_FILES {
        return Err(io::Error::new(ErrorKind::InvalidInput, "an empty packet, or too many files in it"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    loop {
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            let fits = control.push(SendAncillaryMessage::ScmRights(files));
            debug_assert!(fits, "the space is for MAX_FILES, and there are no more");
        }
        match rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut control, flags | SendFlags::NOSIGNAL) {
            // A packet is sent whole or not at all.
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn recv_on(socket: BorrowedFd<'_>, buf: &mut [u8], flags: RecvFlags) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let mut iov = [IoSliceMut::new(buf)];
        match rustix::net::recvmsg(socket, &mut iov, &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => break message,
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET) => return Ok(Received { len: 0, files: Vec::new(), truncated: false }),
            Err(error) => return Err(error.into()),
        }
    };
    // Collected in any case: what is not handed on is closed by its owner here.
    let mut files = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            files.extend(rights);
        }
    }
    let truncated = message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) || files.len() > MAX_FILES;
    if truncated || message.bytes == 0 {
        files.clear();
    }
    Ok(Received { len: message.bytes.min(buf.len()), files, truncated })
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> Self {
        socket.0
    }
}
