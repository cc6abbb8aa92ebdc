//! Objects that processes find by their names.
//!
//! A name is a file in a directory of the user's in /dev/shm, which each process that has the object open keeps locked. So a name
//! goes with the last handle, however the processes end: a file that no process has locked is left over, and means nothing.
//! Names that begin with `Global\` and `Local\` are the same ones, and other users have others: on Windows too, an object
//! without a security descriptor is for its creator.

use std::os::fd::{AsFd, OwnedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use abi::Error;
use proto::name::file_component;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, fstat, mkdir, open, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::home::{Home, Shareable, Shared};

/// MAX_PATH: a name is shorter.
const NAME_LIMIT: usize = 260;

/// How long a call waits for others of this user's that open or close something with a name at this moment. They take
/// microseconds, unless one is stopped.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name that an object has, which goes when no process has it any more.
#[derive(Debug)]
pub(crate) struct Name {
    file: String,
}

impl Name {
    /// The name of a program's string.
    ///
    /// # Errors
    /// ERROR_FILENAME_EXCED_RANGE: too long; ERROR_PATH_NOT_FOUND: a directory, of which there are none.
    pub(crate) fn parse(name: &[u16]) -> Result<Self, Error> {
        if name.len() >= NAME_LIMIT {
            return Err(Error::FILENAME_EXCED_RANGE);
        }
        let name = String::from_utf16_lossy(name);
        let name = name.strip_prefix(r"Global\").or_else(|| name.strip_prefix(r"Local\")).unwrap_or(&name);
        if name.is_empty() || name.contains('\\') {
            return Err(Error::PATH_NOT_FOUND);
        }
        Ok(Self { file: file_component(name) })
    }

    /// The object of this name, or a new one, and whether it is new.
    ///
    /// # Errors
    /// ERROR_INVALID_HANDLE: the name is another kind of object's; ERROR_ACCESS_DENIED: the directory is not safe to use.
    pub(crate) fn create<T: Shareable>(self, object: T) -> Result<(Home<T>, bool), Error> {
        let directory = Directory::open()?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(&directory.fd, &self.file, flags, Mode::RUSR | Mode::WUSR).map_err(std::io::Error::from)?;
        let new = is_left_over(&file)?;
        let shared = if new { Shared::create(share(file)?, object)? } else { Shared::open(share(file)?)? };
        Ok((Home::Shared(shared.named(self)), new))
    }

    /// The object of this name.
    ///
    /// # Errors
    /// ERROR_FILE_NOT_FOUND; as [`Name::create`].
    pub(crate) fn open<T: Shareable>(self) -> Result<Home<T>, Error> {
        let directory = Directory::open()?;
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(&directory.fd, &self.file, flags, Mode::empty()).map_err(std::io::Error::from)?;
        if is_left_over(&file)? {
            return Err(Error::FILE_NOT_FOUND);
        }
        Ok(Home::Shared(Shared::<T>::open(share(file)?)?.named(self)))
    }

    /// The object is let go of here: its file goes, if no other process has it.
    pub(crate) fn release(&self, file: &OwnedFd) {
        // what cannot be removed is left over, and means nothing
        let Ok(directory) = Directory::open() else { return };
        if matches!(is_left_over(file), Ok(true)) {
            let _ = unlinkat(&directory.fd, &self.file, AtFlags::empty());
        }
    }
}

/// The directory, locked: a thread that opens or closes something with a name has it for itself.
struct Directory {
    fd: OwnedFd,
}

impl Directory {
    fn open() -> Result<Self, Error> {
        let uid = geteuid();
        let path = format!("/dev/shm/fltwin32-{}", uid.as_raw());
        match mkdir(&path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(std::io::Error::from(error).into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = open(&path, flags, Mode::empty()).map_err(|_| Error::ACCESS_DENIED)?;
        // another user may have made it first
        let stat = fstat(&fd).map_err(std::io::Error::from)?;
        if stat.st_uid != uid.as_raw() || stat.st_mode & 0o077 != 0 {
            return Err(Error::ACCESS_DENIED);
        }
        let start = Instant::now();
        while !lock(&fd, FlockOperation::NonBlockingLockExclusive)? {
            if start.elapsed() > PATIENCE {
                return Err(Error::SEM_TIMEOUT);
            }
            sleep(Duration::from_millis(1));
        }
        Ok(Self { fd })
    }
}

/// Whether no process has the file's object. The lock that says so is kept by the caller that goes on with it.
fn is_left_over(file: &OwnedFd) -> Result<bool, Error> {
    lock(file, FlockOperation::NonBlockingLockExclusive)
}

/// Keeps the file as one that has the object.
fn share(file: OwnedFd) -> Result<OwnedFd, Error> {
    lock(&file, FlockOperation::NonBlockingLockShared)?;
    Ok(file)
}

/// False: another process has it locked.
fn lock(file: impl AsFd, operation: FlockOperation) -> Result<bool, Error> {
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(std::io::Error::from(error).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::semaphore::Semaphore;

    fn name(what: &str) -> Vec<u16> {
        format!("fltwin32-test-{}-{what}", std::process::id()).encode_utf16().collect()
    }

    fn create(name: &[u16]) -> (Home<Event>, bool) {
        Name::parse(name).unwrap().create(Event::new(true, false, true)).unwrap()
    }

    #[test]
    fn a_name_is_one_object_until_the_last_lets_it_go() {
        let name = name("one");
        let (first, new) = create(&name);
        assert!(new);
        let (second, new) = create(&name);
        assert!(!new);
        first.set();
        drop(first);
        assert!(second.take());
        assert!(Name::parse(&name).unwrap().open::<Event>().unwrap().take());
        drop(second);
        assert_eq!(Name::parse(&name).unwrap().open::<Event>().unwrap_err(), Error::FILE_NOT_FOUND);
        assert!(create(&name).1);
    }

    #[test]
    fn global_and_local_names_are_the_same() {
        let plain = name("scope");
        let (event, _) = create(&plain);
        event.set();
        for prefix in [r"Global\", r"Local\"] {
            let name: Vec<u16> = prefix.encode_utf16().chain(plain.iter().copied()).collect();
            assert!(Name::parse(&name).unwrap().open::<Event>().unwrap().take());
        }
    }

    #[test]
    fn a_name_has_one_kind_of_object() {
        let name = name("kind");
        let (event, _) = create(&name);
        event.set();
        let other = Name::parse(&name).unwrap().create(Semaphore::new(0, 1).unwrap());
        assert_eq!(other.unwrap_err(), Error::INVALID_HANDLE);
        assert!(event.take(), "it is as it was");
    }

    #[test]
    fn a_name_is_short_and_in_no_directory() {
        let wide = |text: &str| text.encode_utf16().collect::<Vec<u16>>();
        for (name, error) in [
            ("x".repeat(260), Error::FILENAME_EXCED_RANGE),
            (r"Global\".into(), Error::PATH_NOT_FOUND),
            (r"a\b".into(), Error::PATH_NOT_FOUND),
        ] {
            assert_eq!(Name::parse(&wide(&name)).unwrap_err(), error, "{name}");
        }
        Name::parse(&wide("../x y/z")).unwrap();
        Name::parse(&vec![0xD800; 259]).unwrap();
    }
}
