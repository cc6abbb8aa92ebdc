//! Ways to change what must not be changed: names, and what is said of the objects that they name.
//!
//! `DIR/p` is what rules protect, `DIR/f` is free; both hold an object for each try. What really happened is looked at
//! after the run, from outside.

use std::ffi::{CStr, CString};
use std::fs::{self, Metadata};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::{Value, json};

use crate::race::{By, Outcome, Race, Side, Tally};
use crate::raw::{HERE, Reads, Text, at, handle};

/// One way, by one system call.
struct Way {
    name: &'static str,
    /// Makes the object of a try at this path.
    make: fn(&str),
    call: fn(&Call<'_>) -> Result<usize, i32>,
    /// Whether the object at this path is not what was made.
    changed: fn(&str) -> bool,
}

/// What a call is made with.
struct Call<'a> {
    /// Where the path is, as an address.
    path: usize,
    /// The directory that it starts from.
    from: usize,
    /// A free path for what takes two.
    other: &'a CStr,
}

const fn way(
    name: &'static str,
    make: fn(&str),
    call: fn(&Call<'_>) -> Result<usize, i32>,
    changed: fn(&str) -> bool,
) -> Way {
    Way { name, make, call, changed }
}

const MODE: u32 = 0o4755;
const XATTR: &str = "user.kept";

fn file(path: &str) {
    let mut file = fs::File::create(path).expect("a new file");
    file.write_all(b"kept").expect("a little text");
    // a change of the owner takes the set-user-ID bit away, also one to the same owner
    file.set_permissions(fs::Permissions::from_mode(MODE)).expect("one's own file");
    rustix::fs::fsetxattr(&file, XATTR, b"1", rustix::fs::XattrFlags::empty()).expect("an attribute");
}

fn folder(path: &str) {
    fs::create_dir(path).expect("a new folder");
}

fn nothing(_path: &str) {}

fn look(path: &str) -> Option<Metadata> {
    fs::symlink_metadata(path).ok()
}

fn gone(path: &str) -> bool {
    look(path).is_none()
}

fn there(path: &str) -> bool {
    look(path).is_some()
}

fn replaced(path: &str) -> bool {
    fs::read(path).is_ok_and(|content| content != b"kept")
}

fn linked(path: &str) -> bool {
    look(path).is_some_and(|it| it.nlink() > 1)
}

fn cut(path: &str) -> bool {
    look(path).is_some_and(|it| it.len() == 0)
}

fn another_mode(path: &str) -> bool {
    look(path).is_some_and(|it| it.mode() & 0o7777 != MODE)
}

fn another_time(path: &str) -> bool {
    look(path).is_some_and(|it| it.mtime() == 1)
}

fn more_said(path: &str) -> bool {
    rustix::fs::getxattr(path, "user.more", &mut [0u8; 8]).is_ok()
}

fn less_said(path: &str) -> bool {
    rustix::fs::getxattr(path, XATTR, &mut [0u8; 8]).is_err()
}

fn another_flag(path: &str) -> bool {
    let file = fs::File::open(path).expect("a file of this test");
    rustix::fs::ioctl_getflags(&file).is_ok_and(|flags| flags.contains(rustix::fs::IFlags::NODUMP))
}

/// struct timespec of the second 1, twice.
const TIMES: [i64; 4] = [1, 0, 1, 0];
/// struct xattr_args with a value of one byte.
#[repr(C)]
struct Said {
    value: u64,
    size: u32,
    flags: u32,
}
/// struct file_attr with FS_XFLAG_NODUMP.
const NO_DUMP: [u64; 3] = [0x80, 0, 0];
const FIFO: usize = libc::S_IFIFO as usize | 0o600;
const EMPTY: usize = libc::AT_EMPTY_PATH as usize;
const EXCHANGE: usize = libc::RENAME_EXCHANGE as usize;
const NEW: usize = (libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC) as usize;

/// The user of this process, whose group has the same number.
fn owner() -> usize {
    rustix::process::geteuid().as_raw() as usize
}

impl Call<'_> {
    fn other(&self) -> usize {
        at(self.other)
    }

    /// The path in `DIR/out`, with a file there.
    fn other_file(&self) -> usize {
        fs::write(self.other.to_str().expect("a path of text"), "other").expect("a new file");
        self.other()
    }

    /// A Unix socket with this name. The family stands before the path.
    fn bind(&self) -> Result<usize, i32> {
        // SAFETY: takes numbers.
        let socket = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) } as usize;
        let done = Reads::BIND.call([socket, self.path - FAMILY.len(), 110]);
        Reads::CLOSE.call([socket])?;
        done
    }

    fn make(&self) -> Result<usize, i32> {
        Reads::CLOSE.call([Reads::OPENAT.call([self.from, self.path, NEW, 0o600])?])
    }

    /// With a descriptor that names the object and gives no access to its content, and its name in procfs.
    fn by_handle(&self, act: impl FnOnce(usize, usize) -> Result<usize, i32>) -> Result<usize, i32> {
        let handle = Reads::OPENAT.call([self.from, self.path, (libc::O_PATH | libc::O_CLOEXEC) as usize])?;
        let name = CString::new(format!("/proc/self/fd/{handle}")).expect("a path");
        let done = act(handle, at(&name));
        Reads::CLOSE.call([handle])?;
        done
    }
}

/// AF_UNIX, as it stands before the path of a socket.
const FAMILY: [u8; 2] = (libc::AF_UNIX as u16).to_ne_bytes();

const WAYS: &[Way] = &[
    way("unlinkat", file, |c| Reads::UNLINKAT.call([c.from, c.path, 0]), gone),
    way("unlinkat-folder", folder, |c| Reads::UNLINKAT.call([c.from, c.path, libc::AT_REMOVEDIR as usize]), gone),
    way("renameat2", file, |c| Reads::RENAMEAT2.call([c.from, c.path, HERE, c.other(), 0]), gone),
    way("renameat2-folder", folder, |c| Reads::RENAMEAT2.call([c.from, c.path, HERE, c.other(), 0]), gone),
    way("renameat2-to", file, |c| Reads::RENAMEAT2.call([HERE, c.other_file(), c.from, c.path, 0]), replaced),
    way(
        "renameat2-exchange",
        file,
        |c| Reads::RENAMEAT2.call([HERE, c.other_file(), c.from, c.path, EXCHANGE]),
        replaced,
    ),
    way("linkat", file, |c| Reads::LINKAT.call([c.from, c.path, HERE, c.other(), 0]), linked),
    way("linkat-to", nothing, |c| Reads::LINKAT.call([HERE, c.other_file(), c.from, c.path, 0]), there),
    way("symlinkat", nothing, |c| Reads::SYMLINKAT.call([at(c"target"), c.from, c.path]), there),
    way("mkdirat", nothing, |c| Reads::MKDIRAT.call([c.from, c.path, 0o700]), there),
    way("mknodat", nothing, |c| Reads::MKNODAT.call([c.from, c.path, FIFO, 0]), there),
    way("bind", nothing, |c| c.bind(), there),
    way("openat", nothing, |c| c.make(), there),
    way("truncate", file, |c| Reads::TRUNCATE.call([c.path, 0]), cut),
    way("fchmodat", file, |c| Reads::FCHMODAT.call([c.from, c.path, 0o606]), another_mode),
    way("fchmodat2", file, |c| Reads::FCHMODAT2.call([c.from, c.path, 0o606, 0]), another_mode),
    way("fchownat", file, |c| Reads::FCHOWNAT.call([c.from, c.path, owner(), owner(), 0]), another_mode),
    way("utimensat", file, |c| Reads::UTIMENSAT.call([c.from, c.path, TIMES.as_ptr() as usize, 0]), another_time),
    way("setxattr", file, |c| Reads::SETXATTR.call([c.path, at(c"user.more"), at(c"1"), 1, 0]), more_said),
    way("lsetxattr", file, |c| Reads::LSETXATTR.call([c.path, at(c"user.more"), at(c"1"), 1, 0]), more_said),
    way("removexattr", file, |c| Reads::REMOVEXATTR.call([c.path, at(c"user.kept")]), less_said),
    way("lremovexattr", file, |c| Reads::LREMOVEXATTR.call([c.path, at(c"user.kept")]), less_said),
    way(
        "setxattrat",
        file,
        |c| {
            let said = Said { value: at(c"1") as u64, size: 1, flags: 0 };
            Reads::SETXATTRAT.call([c.from, c.path, 0, at(c"user.more"), &raw const said as usize, size_of::<Said>()])
        },
        more_said,
    ),
    way("removexattrat", file, |c| Reads::REMOVEXATTRAT.call([c.from, c.path, 0, at(c"user.kept")]), less_said),
    way(
        "file_setattr",
        file,
        |c| Reads::FILE_SETATTR.call([c.from, c.path, NO_DUMP.as_ptr() as usize, 24, 0]),
        another_flag,
    ),
    way("fchmodat-by-number", file, |c| c.by_handle(|_, name| Reads::FCHMODAT.call([HERE, name, 0o606])), another_mode),
    way(
        "fchmodat2-by-handle",
        file,
        |c| c.by_handle(|it, _| Reads::FCHMODAT2.call([it, at(c""), 0o606, EMPTY])),
        another_mode,
    ),
    way(
        "fchownat-by-handle",
        file,
        |c| c.by_handle(|it, _| Reads::FCHOWNAT.call([it, at(c""), owner(), owner(), EMPTY])),
        another_mode,
    ),
    way(
        "utimensat-by-handle",
        file,
        |c| c.by_handle(|it, _| Reads::UTIMENSAT.call([it, at(c""), TIMES.as_ptr() as usize, EMPTY])),
        another_time,
    ),
    way(
        "linkat-by-handle",
        file,
        |c| c.by_handle(|it, _| Reads::LINKAT.call([it, at(c""), HERE, c.other(), EMPTY])),
        linked,
    ),
    way(
        "linkat-by-number",
        file,
        |c| c.by_handle(|_, name| Reads::LINKAT.call([HERE, name, HERE, c.other(), libc::AT_SYMLINK_FOLLOW as usize])),
        linked,
    ),
    way("truncate-by-number", file, |c| c.by_handle(|_, name| Reads::TRUNCATE.call([name, 0])), cut),
    way(
        "setxattr-by-number",
        file,
        |c| c.by_handle(|_, name| Reads::SETXATTR.call([name, at(c"user.more"), at(c"1"), 1, 0])),
        more_said,
    ),
    #[cfg(target_arch = "x86_64")]
    way("unlink", file, |c| Reads::UNLINK.call([c.path]), gone),
    #[cfg(target_arch = "x86_64")]
    way("rmdir", folder, |c| Reads::RMDIR.call([c.path]), gone),
    #[cfg(target_arch = "x86_64")]
    way("rename", file, |c| Reads::RENAME.call([c.path, c.other()]), gone),
    #[cfg(target_arch = "x86_64")]
    way("rename-to", file, |c| Reads::RENAME.call([c.other_file(), c.path]), replaced),
    #[cfg(target_arch = "x86_64")]
    way("link", file, |c| Reads::LINK.call([c.path, c.other()]), linked),
    #[cfg(target_arch = "x86_64")]
    way("symlink", nothing, |c| Reads::SYMLINK.call([at(c"target"), c.path]), there),
    #[cfg(target_arch = "x86_64")]
    way("mkdir", nothing, |c| Reads::MKDIR.call([c.path, 0o700]), there),
    #[cfg(target_arch = "x86_64")]
    way("mknod", nothing, |c| Reads::MKNOD.call([c.path, FIFO, 0]), there),
    #[cfg(target_arch = "x86_64")]
    way("chmod", file, |c| Reads::CHMOD.call([c.path, 0o606]), another_mode),
    #[cfg(target_arch = "x86_64")]
    way("chown", file, |c| Reads::CHOWN.call([c.path, owner(), owner()]), another_mode),
    #[cfg(target_arch = "x86_64")]
    way("lchown", file, |c| Reads::LCHOWN.call([c.path, owner(), owner()]), another_mode),
    #[cfg(target_arch = "x86_64")]
    way("utime", file, |c| Reads::UTIME.call([c.path, [1i64, 1].as_ptr() as usize]), another_time),
    #[cfg(target_arch = "x86_64")]
    way("utimes", file, |c| Reads::UTIMES.call([c.path, TIMES.as_ptr() as usize]), another_time),
    #[cfg(target_arch = "x86_64")]
    way("futimesat", file, |c| Reads::FUTIMESAT.call([c.from, c.path, TIMES.as_ptr() as usize]), another_time),
];

fn find(name: &str) -> &'static Way {
    WAYS.iter().find(|way| way.name == name).unwrap_or_else(|| panic!("{name} is no way to change something"))
}

/// The names of all ways.
pub(crate) fn ways() -> Value {
    WAYS.iter().map(|way| way.name).collect()
}

fn object(dir: &str, folder: &str, number: u64) -> String {
    format!("{dir}/{folder}/{number:05}")
}

/// Makes the objects of so many tries.
pub(crate) fn stage(name: &str, tries: u64, dir: &str) {
    let way = find(name);
    for folder in ["p", "f", "out"] {
        fs::create_dir(format!("{dir}/{folder}")).expect("a new folder");
    }
    for number in 0..tries {
        (way.make)(&object(dir, "p", number));
        (way.make)(&object(dir, "f", number));
    }
}

/// How many objects are not what they were made as.
pub(crate) fn changed(name: &str, tries: u64, dir: &str) -> Value {
    let way = find(name);
    let count = |folder| (0..tries).filter(|number| (way.changed)(&object(dir, folder, *number))).count();
    json!({ "protected": count("p"), "free": count("f") })
}

/// How many digits the number of a try has in the name of its object.
const DIGITS: usize = 5;

/// What says which object is meant.
struct Aim {
    /// The path after the two bytes of [`FAMILY`].
    text: Text,
    /// Where it begins and where the number of the try stands in it.
    number: usize,
    from: usize,
}

impl Aim {
    fn new(path: &str, from: usize) -> Self {
        let text = [&FAMILY, path.as_bytes()].concat();
        Self { number: text.len() - DIGITS, text: Text::new(text), from }
    }

    /// By one way, at the object of this number.
    fn call(&self, way: &Way, dir: &str, number: u64) -> Outcome {
        for (place, digit) in format!("{number:05}").bytes().enumerate() {
            self.text.set(self.number + place, digit);
        }
        let other = CString::new(object(dir, "out", number)).expect("a path");
        let call = Call { path: self.text.address() + FAMILY.len(), from: self.from, other: &other };
        (way.call)(&call).map_or_else(Outcome::Error, |_| Outcome::Harmless)
    }
}

/// One way, raced: `style` says what changes.
pub(crate) fn race(name: &str, style: &str, dir: &str) -> Race {
    let (way, owned) = (find(name), dir.to_owned());
    let folders = ["f", "p"].map(|folder| handle(&format!("{dir}/{folder}")));
    let attempt = |aim: Aim| move |round| aim.call(way, &owned, round - 1);
    match style {
        "path" => {
            let aim = Aim::new(&object(dir, "f", 0), HERE);
            let (text, at) = (aim.text, aim.number - 2);
            Race::new(move |side| text.set(at, side.of(b'f', b'p')), attempt(aim))
        }
        "directory" => {
            const NUMBER: usize = 7;
            let change = move |side: Side| {
                let _ = Reads::DUP3.call([side.of(folders[0], folders[1]), NUMBER, libc::O_CLOEXEC as usize]);
            };
            Race::new(change, attempt(Aim::new("00000", NUMBER)))
        }
        "cwd" => {
            let change = move |side: Side| {
                let _ = Reads::FCHDIR.call([side.of(folders[0], folders[1])]);
            };
            Race::new(change, attempt(Aim::new("00000", HERE))).by(By::Process(libc::CLONE_FS))
        }
        _ => panic!("{style} is nothing that changes"),
    }
}

/// One way, at what is protected and without any trick.
pub(crate) fn direct(name: &str, tries: u64, dir: &str) -> Tally {
    let aim = Aim::new(&object(dir, "p", 0), HERE);
    let mut tally = Tally::default();
    (0..tries).for_each(|number| tally.count(aim.call(find(name), dir, number)));
    tally
}
