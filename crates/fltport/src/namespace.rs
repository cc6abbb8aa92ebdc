//! Where ports are found: a directory with one socket per port, and the rules for owning a name in it.
//!
//! A port `\Dir\Port` is the socket `Dir/Port` in the namespace's directory (odd characters are escaped). Beside it lie
//! `.Port.lock`, which its host keeps locked while it lives, and `.Port.port`, which says what the port is in the bytes of
//! the host's answer to a Query (`doc/wire.md`). The lock decides which process owns the name: it ends with its process,
//! however that ends, so what a crashed host leaves behind blocks no later host. The lock file is of mode 0600, because any
//! process that may open a file may lock it.
//!
//! ```
//! use fltport::namespace::Namespace;
//!
//! # fn main() -> Result<(), fltport::Error> {
//! for port in Namespace::current().list()? {
//!     println!("{} of process {}, open to {}", port.name, port.pid, port.sddl);
//! }
//! # Ok(()) }
//! ```

mod claim;
mod entry;
mod place;
#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proto::name::PortName;
use proto::status::Status;
use proto::wire::{FromClient, FromHost, MAX_MESSAGE_LEN};
use rustix::io::Errno;
use sys::socket::Socket;

#[doc(hidden)]
pub use self::claim::Claim;
pub use self::entry::PortEntry;
use self::entry::{Entry, entries};
use self::place::{Place, parent_and_file};
use crate::Error;
pub use proto::wire::Info;

/// How long [`Namespace::find`] waits for a place in a host's queue. A host that lives empties its queue in far less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long [`Namespace::info`] waits in all.
const INFO_TIMEOUT: Duration = Duration::from_secs(1);

/// How many ports a "no such port" message lists.
const LISTED_IN_HINT: usize = 8;

/// A directory in which hosts put ports and clients find them.
///
/// Cheap to clone. It is opened anew for each operation, so a value may be kept while the directory comes and goes.
/// None of the operations blocks for long; the bounds are stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Where hosts claim names and clients look first.
    own: Place,
    /// Where clients look next: the system's directory, for an ordinary user.
    then: Option<Place>,
}

impl Namespace {
    /// The namespace of this process.
    ///
    /// That is the directory `$FLTMGR_NAMESPACE` and no other, if it is set and not empty. Else, for root,
    /// `/run/fltmgr`. Else `$XDG_RUNTIME_DIR/fltmgr`, or `fltmgr-UID` in the directory for temporary files; then
    /// clients look in `/run/fltmgr` also. All but the first are created when a host needs them, and not used if
    /// another user owns or may write to them. A program that runs with more rights than its caller (set-user-ID) takes
    /// no notice of the environment.
    pub fn current() -> Self {
        let variable = |name| match sys::peer::environment_is_untrusted() {
            true => None,
            false => std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from),
        };
        if let Some(dir) = variable("FLTMGR_NAMESPACE") {
            return Self::at(dir);
        }
        let uid = rustix::process::geteuid();
        if uid.is_root() {
            return Self { own: Place::system(), then: None };
        }
        let own = match variable("XDG_RUNTIME_DIR").filter(|dir| dir.is_absolute()) {
            Some(dir) => dir.join("fltmgr"),
            None => {
                let temporary = variable("TMPDIR").filter(|dir| dir.is_absolute()).unwrap_or_else(|| "/tmp".into());
                temporary.join(format!("fltmgr-{}", uid.as_raw()))
            }
        };
        Self { own: Place::private(own), then: Some(Place::system()) }
    }

    /// The namespace in a directory of the caller's choice, which must exist. The users who may write to it are the
    /// caller's business: each can put ports there, or take them away. Hosts that share it must run as one user.
    pub fn at(dir: impl AsRef<Path>) -> Self {
        let dir = dir.as_ref();
        Self { own: Place::given(std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())), then: None }
    }

    /// The directory in which hosts put their ports.
    pub fn dir(&self) -> &Path {
        self.own.dir()
    }

    /// Takes `name` for a port of this process and listens. Blocks while another host takes or leaves a name here, 10 s
    /// at most.
    ///
    /// `case_insensitive` (`OBJ_CASE_INSENSITIVE`) lets clients find the port in other spellings too, and makes the
    /// name collide with them. `sddl` is the text of the port's security descriptor, which every user may read.
    ///
    /// # Errors
    /// [`Status::OBJECT_NAME_COLLISION`]: a live host has the name (the message says which), or something that is no
    /// port lies there.
    /// [`Status::OBJECT_PATH_NOT_FOUND`]: the namespace, or a directory of the name, does not exist.
    /// [`Status::ACCESS_DENIED`]: this user may not create ports here, or the namespace is not safe to use.
    /// [`Status::IO_TIMEOUT`]: another host keeps the namespace busy. Others come from the system:
    /// [`Status::DISK_FULL`], [`Status::TOO_MANY_OPENED_FILES`], [`Status::UNSUCCESSFUL`].
    #[doc(hidden)]
    pub fn claim(&self, name: &PortName, case_insensitive: bool, sddl: &str) -> Result<Claim, Error> {
        Claim::take(&self.own, name, case_insensitive, sddl)
    }

    /// Connects to the host of `name`: in the order of [`current`](Self::current), and in each directory first the port
    /// of exactly this name, then one that ignores case. Blocks while the host's queue is full, 5 s at most.
    ///
    /// The socket is connected and nothing has been said on it. The host must compare the name in the client's Hello
    /// with its own.
    ///
    /// # Errors
    /// [`Status::OBJECT_NAME_NOT_FOUND`]: no live host has the name; the message lists the ports there are.
    /// [`Status::OBJECT_PATH_NOT_FOUND`]: a directory of the name does not exist. [`Status::OBJECT_TYPE_MISMATCH`]: it
    /// is not a port.
    /// [`Status::ACCESS_DENIED`]: this user may not even look, or the namespace is not safe to use.
    /// [`Status::IO_TIMEOUT`]: the host accepts no connection.
    #[doc(hidden)]
    pub fn find(&self, name: &PortName) -> Result<Socket, Error> {
        self.find_deadline(name, Some(Instant::now() + CONNECT_TIMEOUT))
    }

    /// As [`find`](Self::find), but blocks while the host's queue is full until `deadline` at most; `None` = for ever.
    pub(crate) fn find_deadline(&self, name: &PortName, deadline: Option<Instant>) -> Result<Socket, Error> {
        let doing = || format!("connecting to {}", shown(name));
        let mut path_exists = false;
        let mut unsafe_place = None;
        for place in self.places() {
            match find_in(place, name, deadline, &doing) {
                Ok(Lookup::Found(socket)) => return Ok(socket),
                Ok(Lookup::NoName) => path_exists = true,
                Ok(Lookup::NoPath) => {}
                // Another user made our directory first. That must not keep us from the system's ports.
                Err(error) if place.is_private() && error.status() == Status::ACCESS_DENIED => {
                    unsafe_place.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = unsafe_place {
            return Err(error);
        }
        let status = match path_exists || name.components().count() == 1 {
            true => Status::OBJECT_NAME_NOT_FOUND,
            false => Status::OBJECT_PATH_NOT_FOUND,
        };
        Err(Error::new(status, doing()).hint(self.what_there_is()))
    }

    /// The ports that a client finds here and whose hosts live, sorted by directory and name. Each host sees a connect
    /// and a hang-up.
    ///
    /// # Errors
    /// [`Status::ACCESS_DENIED`]: no directory of the namespace is safe to use. A directory that does not exist, or may
    /// not be read, has no ports.
    pub fn list(&self) -> Result<Vec<PortEntry>, Error> {
        let mut ports = Vec::new();
        let mut problem = None;
        let mut usable = false;
        for place in self.places() {
            match place.open_for_client() {
                Ok(None) => usable = true,
                Ok(Some(root)) => {
                    usable = true;
                    ports.extend(
                        entries(root.as_fd()).into_iter().filter(Entry::is_live).map(|entry| entry.port(place.dir())),
                    );
                }
                Err(error) => {
                    problem.get_or_insert(error);
                }
            }
        }
        match problem {
            Some(error) if !usable => Err(error),
            _ => Ok(ports),
        }
    }

    /// Asks the host of `name` about its port. Blocks 1 s at most for the answer.
    ///
    /// # Errors
    /// As [`Connection::connect`](crate::Connection::connect) has them where there is no such port.
    /// [`Status::IO_TIMEOUT`]: no answer in time. [`Status::PORT_DISCONNECTED`]: the host hung
    /// up. A refusal has the host's own status, a nonsensical answer [`Status::INVALID_PARAMETER`] or
    /// [`Status::REVISION_MISMATCH`].
    pub fn info(&self, name: &PortName) -> Result<Info, Error> {
        let socket = self.find(name)?;
        query(&socket, &format!("asking {} about itself", shown(name)))
    }

    fn places(&self) -> impl Iterator<Item = &Place> {
        std::iter::once(&self.own).chain(&self.then)
    }

    /// "no such port; /run/fltmgr has \ScannerPort (pid 12, uid 0)".
    fn what_there_is(&self) -> String {
        let mut hint = "no such port".to_owned();
        for place in self.places() {
            let dir = place.dir().display();
            let Ok(Some(root)) = place.open_for_client() else {
                hint.push_str(&format!("; there is no {dir}"));
                continue;
            };
            let live: Vec<_> = entries(root.as_fd()).into_iter().filter(Entry::is_live).collect();
            if live.is_empty() {
                hint.push_str(&format!("; {dir} has no ports"));
                continue;
            }
            let named: Vec<_> = live
                .iter()
                .take(LISTED_IN_HINT)
                .map(|entry| format!("{} (pid {}, uid {})", shown(&entry.info.name), entry.info.pid, entry.info.uid))
                .collect();
            hint.push_str(&format!("; {dir} has {}", named.join(", ")));
            if live.len() > LISTED_IN_HINT {
                hint.push_str(&format!(" and {} more", live.len() - LISTED_IN_HINT));
            }
        }
        hint
    }
}

enum Lookup {
    Found(Socket),
    /// The directory exists, a live port of this name does not.
    NoName,
    NoPath,
}

fn find_in(
    place: &Place,
    name: &PortName,
    deadline: Option<Instant>,
    doing: &dyn Fn() -> String,
) -> Result<Lookup, Error> {
    let Some(root) = place.open_for_client()? else { return Ok(Lookup::NoPath) };
    let mut missing = Lookup::NoName;
    match parent_and_file(root.as_fd(), name) {
        Ok((dir, file)) => {
            // The file of a name that was too long is that of its hash, so ask whose it is.
            let is_it = !name.is_hashed() || Entry::read(&dir, &file).is_some_and(|entry| entry.info.name == *name);
            if is_it
                && let Some(socket) =
                    connect(&dir, &file, deadline).map_err(|error| explain(error, place, &file, doing()))?
            {
                return Ok(Lookup::Found(socket));
            }
        }
        Err(error) if is_missing_path(&error) => missing = Lookup::NoPath,
        Err(error) => return Err(explain(error, place, "", doing())),
    }
    for entry in entries(root.as_fd()) {
        if entry.info.case_insensitive
            && entry.info.name.eq_ignore_case(name)
            && let Some(socket) = connect(&entry.dir, &entry.file, deadline)
                .map_err(|error| explain(error, place, &entry.file, doing()))?
        {
            return Ok(Lookup::Found(socket));
        }
    }
    Ok(missing)
}

/// Connects, or `None` if no host listens there any more.
fn connect(dir: impl AsFd, file: &str, deadline: Option<Instant>) -> io::Result<Option<Socket>> {
    match Socket::connect_deadline(dir.as_fd(), file, deadline) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a directory on the way does not exist or is none; a name too long for the system cannot exist either.
fn is_missing_path(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
        || error.raw_os_error() == Some(Errno::NAMETOOLONG.raw_os_error())
}

fn explain(error: io::Error, place: &Place, file: &str, doing: String) -> Error {
    let dir = place.dir().display();
    let errno = Errno::from_io_error(&error);
    match error.kind() {
        ErrorKind::TimedOut => Error::with_source(Status::IO_TIMEOUT, doing, error)
            .hint("its host accepts no connection; it may be stopped or overloaded"),
        _ if matches!(errno, Some(Errno::NOTSOCK | Errno::PROTOTYPE)) => {
            Error::with_source(Status::OBJECT_TYPE_MISMATCH, doing, error)
                .hint(format!("the file {file:?} in {dir} is not a port's socket"))
        }
        ErrorKind::PermissionDenied => Error::with_source(Status::ACCESS_DENIED, doing, error)
            .hint(format!("the permissions of {dir}, or of a file in it, keep this user out")),
        _ => place::system_error(error, doing),
    }
}

/// Asks the host at the other end of `socket`, with which nothing has been spoken, what its port is.
fn query(socket: &Socket, doing: &str) -> Result<Info, Error> {
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::TimedOut => Error::with_source(Status::IO_TIMEOUT, doing, error).hint("the host does not answer"),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            Error::with_source(Status::PORT_DISCONNECTED, doing, error)
        }
        _ => place::system_error(error, doing.to_owned()),
    };
    let deadline = Instant::now() + INFO_TIMEOUT;
    socket.send_deadline(&FromClient::Query.encode(), &[], deadline).map_err(failed)?;
    let mut packet = vec![0; MAX_MESSAGE_LEN];
    let received = socket.recv_deadline(&mut packet, deadline).map_err(failed)?;
    if received.len == 0 {
        return Err(Error::new(Status::PORT_DISCONNECTED, doing).hint("the host hung up without an answer"));
    }
    match FromHost::parse(&packet[..received.len]) {
        Ok(FromHost::Info(info)) => Ok(info),
        Ok(FromHost::Refused(refused)) => Err(Error::new(refused.status(), doing).hint(refused.sentence())),
        Ok(other) => {
            Err(Error::new(Status::INVALID_PARAMETER, doing)
                .hint(format!("the host answered something else: {other:?}")))
        }
        Err(violation) => Err(Error::new(violation.status(), doing).hint(violation.to_string())),
    }
}

/// A name for a sentence: a very long one is cut.
fn shown(name: &PortName) -> String {
    const SHOWN: usize = 120;
    match name.as_str().char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &name.as_str()[..end]),
        None => name.to_string(),
    }
}
