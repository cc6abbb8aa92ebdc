//! The listener of a seccomp program, seccomp_unotify(2): receive, answer, inject a descriptor.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::c_ulong;

/// SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (6.6): the thread that answers wakes the other side on its own CPU. Measured here: x7.
const SYNC_WAKE_UP: c_ulong = 1;

/// A system call that waits for us.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// Names the wait; never used twice by one listener.
    pub id: u64,
    /// Thread that waits, as our pid namespace numbers it; 0 if it can not see it.
    pub tid: u32,
    /// Number of the system call.
    pub nr: i32,
    /// Its registers.
    pub args: [u64; 6],
}

/// The kernel copies its own size of the structure, which later kernels may have made larger than ours.
const ROOM: usize = 512;
#[repr(C, align(8))]
struct Room {
    notification: libc::seccomp_notif,
    more: [u8; ROOM - size_of::<libc::seccomp_notif>()],
}

/// Every call of it that a signal to this thread ends is made again.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    /// A thread whose call was received is woken by nothing but its answer, or its death (WAIT_KILLABLE_RECV).
    undisturbed: bool,
}

impl Listener {
    /// Takes over a listener. `undisturbed`: its program was installed with WAIT_KILLABLE_RECV.
    ///
    /// # Errors
    /// `Unsupported` if the kernel's structures are larger than we can hold.
    pub fn new(fd: OwnedFd, undisturbed: bool) -> io::Result<Self> {
        let mut sizes = libc::seccomp_notif_sizes { seccomp_notif: 0, seccomp_notif_resp: 0, seccomp_data: 0 };
        // SAFETY: SECCOMP_GET_NOTIF_SIZES writes one struct seccomp_notif_sizes, which `sizes` is, and nothing else.
        let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_NOTIF_SIZES, 0, &raw mut sizes) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        if usize::from(sizes.seccomp_notif) > ROOM
            || usize::from(sizes.seccomp_notif_resp) > size_of::<libc::seccomp_notif_resp>()
        {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this kernel's seccomp notifications are too large",
            ));
        }
        let listener = Self { fd, undisturbed };
        // Only faster, and unknown before 6.6: the result says nothing that we would act on.
        // SAFETY: this ioctl takes its argument by value.
        let _ = unsafe { libc::ioctl(listener.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        Ok(listener)
    }

    /// The next call that waits; blocks unless the listener is readable. `None` if the caller died meanwhile.
    pub fn receive(&self) -> io::Result<Option<Notification>> {
        // Zeroed because the kernel insists, and because all-zero is a valid value of every field.
        let mut room = MaybeUninit::<Room>::zeroed();
        // SAFETY: the kernel writes its struct seccomp_notif, checked in `new` to fit into `Room`.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, room.as_mut_ptr()) };
        if result < 0 {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(libc::ENOENT) { Ok(None) } else { Err(error) };
        }
        // SAFETY: all bytes were initialised by `zeroed`, and `Room` has only integers.
        let room = unsafe { room.assume_init() };
        let n = room.notification;
        Ok(Some(Notification { id: n.id, tid: n.pid, nr: n.data.nr, args: n.data.args }))
    }

    /// Whether the call still waits, and so whether what was read about its thread was about that thread.
    pub fn is_valid(&self, id: u64) -> bool {
        let fd = self.fd.as_raw_fd();
        // SAFETY: the kernel reads one u64 at the pointer, which `id` is.
        again(|| unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) }).is_ok()
    }

    /// Lets the system call run as it stands: the kernel reads its arguments again.
    pub fn go_on(&self, id: u64) -> io::Result<()> {
        self.respond(id, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// Ends the system call with a result.
    pub fn succeed(&self, id: u64, value: i64) -> io::Result<()> {
        self.respond(id, value, 0, 0)
    }

    /// Ends the system call with an error number.
    pub fn fail(&self, id: u64, errno: i32) -> io::Result<()> {
        self.respond(id, 0, -errno, 0)
    }

    fn respond(&self, id: u64, val: i64, error: i32, flags: u32) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        let mut response = libc::seccomp_notif_resp { id, val, error, flags };
        // SAFETY: the kernel reads one struct seccomp_notif_resp at the pointer, which `response` is.
        again(|| unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) })?;
        Ok(())
    }

    /// Ends the system call with `file` as its result, which is closed here before the caller goes on: what it does to
    /// the file by closing it (end a lock, let it be executed) must not wait until we are at it.
    pub fn inject(&self, id: u64, file: OwnedFd, cloexec: bool) -> io::Result<()> {
        if self.undisturbed {
            let result = self.add(id, file.as_fd(), cloexec, 0)?;
            drop(file);
            return self.respond(id, result.into(), 0, 0);
        }
        // A signal would make the caller begin again, and keep the descriptor: it gets both in one step, which leaves us
        // ours for a moment. If a signal comes to *us* the kernel may answer with 0, which is a descriptor too.
        let _quiet = crate::process::Quiet::new();
        self.add(id, file.as_fd(), cloexec, libc::SECCOMP_ADDFD_FLAG_SEND as u32).map(drop)
    }

    /// Puts a copy of `file` into the caller's table.
    fn add(&self, id: u64, file: BorrowedFd<'_>, cloexec: bool, flags: u32) -> io::Result<i32> {
        let fd = self.fd.as_raw_fd();
        let mut request = libc::seccomp_notif_addfd {
            id,
            flags,
            srcfd: file.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if cloexec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        // SAFETY: the kernel reads one struct seccomp_notif_addfd at the pointer, which `request` is.
        again(|| unsafe { libc::ioctl(fd, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut request) })
    }
}

/// Makes a system call until no signal ends it.
fn again(mut call: impl FnMut() -> libc::c_int) -> io::Result<libc::c_int> {
    loop {
        let result = call();
        if result >= 0 {
            return Ok(result);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
