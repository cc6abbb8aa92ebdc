//! A host's sockets: the one that it listens on, and its ends of those to its clients, which take no descriptors from there
//! and tell which process speaks.
//!
//! A descriptor that a client sends is an object that the client made. To receive, to look at or to close one may block
//! for ever, so that the thread that does must be one that can be spared. From Linux 6.16 a socket refuses to be sent any
//! (`SO_PASSRIGHTS`). Before that they come, and what lies in the socket unread is closed with it: then
//! [`HostEnd::is_harmless`] is false, and no packet that brings some is ever taken.

use std::io::{self, ErrorKind};
use std::mem::{MaybeUninit, size_of};
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketAddrUnix, SocketFlags, sockopt};

use crate::socket::{Socket, proc_path, seqpacket};

/// Not in the libc crate for all targets; the same on all but SPARC, which the Unix ports of this library do not know.
const SO_PASSRIGHTS: libc::c_int = 83;

/// Has a socket refuse all descriptors from now on, and what will be accepted from it; false where the kernel cannot.
pub(crate) fn refuse_files(socket: BorrowedFd<'_>) -> bool {
    let no: libc::c_int = 0;
    // SAFETY: the kernel reads an int, which is a local.
    let set = unsafe {
        let len = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PASSRIGHTS, (&raw const no).cast(), len)
    };
    set == 0
}

/// What the kernel will queue for us before accept; it caps the number at net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// A listening socket. Never blocks. Where the kernel can, it refuses to be sent descriptors.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    refuses_files: bool,
}

impl Listener {
    /// Makes a socket file of mode 0666 (which users may connect is for a later check to decide) and listens on it. The name
    /// may be used by clients at once when this returns; rename the file to publish it in one step.
    ///
    /// # Errors
    /// `AddrInUse`: there is a file of this name. `InvalidInput`: the name contains a slash, or is longer than about 80
    /// bytes. Otherwise the kernel's; `NotFound` may also mean that /proc is not mounted.
    pub fn bind(dir: BorrowedFd<'_>, name: &str) -> io::Result<Self> {
        if name.contains('/') {
            return Err(io::Error::new(ErrorKind::InvalidInput, "a file name has no slash"));
        }
        let address = SocketAddrUnix::new(format!("{}/{name}", proc_path(dir)))
            .map_err(|_| io::Error::new(ErrorKind::InvalidInput, "the name is too long for a socket's address"))?;
        let socket = seqpacket(SocketFlags::NONBLOCK)?;
        let refuses_files = refuse_files(socket.as_fd());
        rustix::net::bind(&socket, &address)?;
        // Only now is the file of this name ours to remove.
        let listening = rustix::fs::chmodat(dir, name, Mode::from_raw_mode(0o666), rustix::fs::AtFlags::empty())
            .and_then(|()| rustix::net::listen(&socket, BACKLOG));
        if let Err(error) = listening {
            let _ = rustix::fs::unlinkat(dir, name, rustix::fs::AtFlags::empty());
            return Err(error.into());
        }
        Ok(Self { socket, refuses_files })
    }

    /// The next client that waits. `WouldBlock` when there is none.
    ///
    /// # Errors
    /// `WouldBlock`; otherwise the kernel's, of which EMFILE and ENFILE leave the client in the queue.
    pub fn accept(&self) -> io::Result<HostEnd> {
        loop {
            match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC) {
                Ok(socket) => return Ok(HostEnd::accepted(Socket::from(socket), self.refuses_files)),
                // The client has gone between its connect and our accept.
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Refuses all clients from now on, those in the queue too, even if a forked child holds a copy of the descriptor.
    pub fn shutdown(&self) {
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Both);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The host's end of a socket to a client. What is received by [`HostEnd::try_hear`] brings nothing along; the other ways to
/// receive are for hosts that trust the client.
#[derive(Debug)]
pub struct HostEnd {
    socket: Socket,
    harmless: bool,
    /// The kernel says of each packet which process it is from.
    names: bool,
}

/// What [`HostEnd::try_hear`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A packet of so many bytes; 0: the client has closed its end.
    Packet {
        /// Bytes of the buffer that were filled.
        len: usize,
        /// The process that sent it, on a socket that the host made ([`HostEnd::pair`]).
        sender: Option<Sender>,
    },
    /// There were more bytes than there was room for.
    Truncated,
    /// The packet that is next brings descriptors. It was not taken, and never will be.
    Files,
}

/// The process that sent a packet, as the kernel noted it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Its number in our pid namespace; 0 when it has none there.
    pub pid: u32,
    /// Its real user.
    pub uid: u32,
    /// Its real group.
    pub gid: u32,
}

impl HostEnd {
    /// What was accepted from a socket that refuses descriptors, if `harmless`.
    pub(crate) fn accepted(socket: Socket, harmless: bool) -> Self {
        Self { socket, harmless, names: false }
    }

    /// Two ends that are connected with each other: the host's, and the client's, to be sent to a process.
    ///
    /// # Errors
    /// The kernel's.
    pub fn pair() -> io::Result<(Self, Socket)> {
        let (ours, theirs) = Socket::pair()?;
        let harmless = refuse_files(ours.as_fd());
        sockopt::set_socket_passcred(&ours, true)?;
        Ok((Self { socket: ours, harmless, names: true }, theirs))
    }

    /// Whether a client connected by it, and the host did not make it.
    pub fn was_accepted(&self) -> bool {
        !self.names
    }

    /// Whether nothing that a client made can lie in the socket: then it may be closed anywhere.
    pub fn is_harmless(&self) -> bool {
        self.harmless
    }

    /// Receives one packet, and never any descriptor.
    ///
    /// # Errors
    /// `WouldBlock`, or the kernel's. A connection that the client reset, because it closed before it read everything,
    /// is a closed one: `len` 0.
    pub fn try_hear(&self, buf: &mut [u8]) -> io::Result<Heard> {
        if !self.harmless && self.receive(buf, libc::MSG_PEEK)? == Heard::Files {
            return Ok(Heard::Files);
        }
        self.receive(buf, 0)
    }

    fn receive(&self, buf: &mut [u8], flags: libc::c_int) -> io::Result<Heard> {
        let mut control = Control([MaybeUninit::zeroed(); CREDENTIALS_SPACE]);
        let mut iov = libc::iovec { iov_base: buf.as_mut_ptr().cast(), iov_len: buf.len() };
        // SAFETY: all zero is a message without name, buffers and control data.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut iov;
        message.msg_iovlen = 1;
        if self.names {
            // room for what names the sender, and for no descriptor
            message.msg_control = (&raw mut control).cast();
            message.msg_controllen = CREDENTIALS_SPACE as _;
        }
        let flags = flags | libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        let len = loop {
            // SAFETY: the message points to `iov` and `control`, which live through the call; `iov` is `buf`, writable
            // for its length; the control data is writable for the length that is said.
            let received = unsafe { libc::recvmsg(self.as_fd().as_raw_fd(), &raw mut message, flags) };
            if received >= 0 {
                break received as usize;
            }
            match Errno::from_io_error(&io::Error::last_os_error()) {
                Some(Errno::INTR) => {}
                Some(Errno::CONNRESET) => return Ok(Heard::Packet { len: 0, sender: None }),
                other => return Err(other.unwrap_or(Errno::IO).into()),
            }
        };
        Ok(match message.msg_flags {
            // of those for which there was no room the kernel says so
            cut if cut & libc::MSG_CTRUNC != 0 => Heard::Files,
            cut if cut & libc::MSG_TRUNC != 0 => Heard::Truncated,
            _ => Heard::Packet { len, sender: sender(&message) },
        })
    }
}

// SAFETY: computes a length from a length.
const CREDENTIALS_SPACE: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::ucred>() as u32) } as usize;

/// Aligned as the kernel's headers in it are.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; CREDENTIALS_SPACE]);

const _: () = assert!(align_of::<Control>() >= align_of::<libc::cmsghdr>());

fn sender(message: &libc::msghdr) -> Option<Sender> {
    // SAFETY: the message is the one that the kernel has just filled in, and its control data lives still.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    // SAFETY: it is null, or the first header in that control data, which is aligned for it.
    let header = unsafe { header.as_ref()? };
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) {
        return None;
    }
    // SAFETY: computes where the data of a header lies that is in the control data.
    let data = unsafe { libc::CMSG_DATA(header) };
    // SAFETY: the kernel puts a ucred behind such a header; three ints, for which all bits are right.
    let libc::ucred { pid, uid, gid } = unsafe { data.cast::<libc::ucred>().read_unaligned() };
    Some(Sender { pid: u32::try_from(pid).unwrap_or(0), uid, gid })
}

impl Deref for HostEnd {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.socket
    }
}

impl AsFd for HostEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> std::fs::File {
        std::fs::File::open("/dev/null").unwrap()
    }

    /// As on a kernel that cannot refuse descriptors.
    fn old(socket: Socket, names: bool) -> HostEnd {
        if names {
            sockopt::set_socket_passcred(&socket, true).unwrap();
        }
        HostEnd { socket, harmless: false, names }
    }

    fn open() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[test]
    fn a_client_cannot_send_descriptors() {
        let (host, client) = HostEnd::pair().unwrap();
        if !host.is_harmless() {
            return; // Linux 6.16
        }
        let error = client.send(b"x", &[file().as_fd()]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        client.send(b"x", &[]).unwrap();
        let mut buf = [0; 8];
        assert!(matches!(host.try_hear(&mut buf), Ok(Heard::Packet { len: 1, .. })));
    }

    #[test]
    fn a_packet_that_brings_descriptors_is_never_taken() {
        for names in [false, true] {
            let (host, client) = Socket::pair().unwrap();
            let host = old(host, names);
            client.send(b"one", &[]).unwrap();
            let file = file();
            for count in [1, 2, 4] {
                client.send(b"two", &vec![file.as_fd(); count]).unwrap();
            }
            let mut buf = [0; 8];
            assert!(
                matches!(host.try_hear(&mut buf), Ok(Heard::Packet { len: 3, sender }) if sender.is_some() == names)
            );
            let before = open();
            for _ in 0..3 {
                assert_eq!(host.try_hear(&mut buf).unwrap(), Heard::Files, "and stays where it is");
            }
            assert_eq!(open(), before);
        }
    }

    #[test]
    fn the_sender_is_named_and_what_is_too_long_is_cut() {
        let (host, client) = HostEnd::pair().unwrap();
        let mut buf = [0; 4];
        assert_eq!(host.try_hear(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.send(b"me", &[]).unwrap();
        let sender = Sender {
            pid: std::process::id(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
        };
        assert_eq!(host.try_hear(&mut buf).unwrap(), Heard::Packet { len: 2, sender: Some(sender) });
        client.send(b"longer", &[]).unwrap();
        assert_eq!(host.try_hear(&mut buf).unwrap(), Heard::Truncated);
        host.send(b"unread", &[]).unwrap();
        drop(client);
        assert_eq!(host.try_hear(&mut buf).unwrap(), Heard::Packet { len: 0, sender: None });
    }
}
