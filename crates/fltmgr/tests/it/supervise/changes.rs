//! Every change has the result, the error and the effect that it has without us. More than 500 lines, because each test
//! stands beside its program.

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use fltmgr::Status;
use fltmgr::filter::{OpKind, OpSet};
use libc::{
    AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW, RENAME_EXCHANGE, RENAME_NOREPLACE,
    RENAME_WHITEOUT, XATTR_CREATE, XATTR_REPLACE, c_long,
};
use rustix::fs::{Mode, OFlags};
use testkit::World;

use super::probe;
use super::world::{Supervised as _, allow_all};

const SYS_FCHMODAT2: c_long = 452;
const SYS_SETXATTRAT: c_long = 463;
const SYS_REMOVEXATTRAT: c_long = 466;

/// None leads out of the folder of the test: as root, the calls would do what they say.
const NAMES: [&str; 25] = [
    "file",
    "file/",
    "file/x",
    "./file",
    "dir/../file",
    "dir",
    "dir/",
    "dir/.",
    "dir/..",
    "dir/in",
    "empty",
    "empty/",
    "none",
    "none/",
    "none/x",
    "link",
    "link/",
    "to-dir",
    "to-dir/",
    "to-dir/in",
    "dangling",
    "loop",
    "closed-dir/x",
    "",
    ".",
];

const OTHERS: [&str; 9] = ["file", "dir", "empty", "empty/", "none", "none/", "link", "dir/new", "to-dir/."];

/// The objects that the calls are about.
fn make_objects(root: &Path) {
    let _ = fs::set_permissions(root.join("closed-dir"), fs::Permissions::from_mode(0o755));
    let _ = fs::remove_dir_all(root);
    fs::create_dir(root).unwrap();
    let at = |name: &str| root.join(name);
    fs::write(at("file"), "data").unwrap();
    let _ = rustix::fs::setxattr(at("file"), "user.there", b"1", rustix::fs::XattrFlags::empty());
    for dir in ["dir", "empty", "closed-dir"] {
        fs::create_dir(at(dir)).unwrap();
    }
    fs::write(at("dir/in"), "in").unwrap();
    for (to, name) in [("file", "link"), ("nothing", "dangling"), ("loop", "loop"), ("dir", "to-dir")] {
        symlink(to, at(name)).unwrap();
    }
    for name in ["file", "dir/in"] {
        let time = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH).set_accessed(std::time::UNIX_EPOCH);
        fs::File::options().write(true).open(at(name)).unwrap().set_times(time).unwrap();
    }
    fs::set_permissions(at("closed-dir"), fs::Permissions::from_mode(0o000)).unwrap();
}

/// What is there, with all that a change can change.
fn look(root: &Path) -> String {
    let mut said = String::new();
    let mut all: Vec<_> = [root.to_owned(), root.join("dir"), root.join("empty"), root.join("none")]
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flat_map(|entries| entries.map(|entry| entry.unwrap().path()))
        .collect();
    all.sort();
    for path in all {
        let it = path.symlink_metadata().unwrap();
        let kind = it.file_type();
        let special = if kind.is_fifo() {
            "p"
        } else if kind.is_socket() {
            "s"
        } else if kind.is_char_device() {
            "c"
        } else {
            ""
        };
        let name = path.strip_prefix(root).unwrap().display();
        let links = if kind.is_dir() { 0 } else { it.nlink() };
        let times = if kind.is_dir() || it.mtime() > 2_000_000 { 2 } else { it.mtime() };
        let owner = (it.uid(), it.gid());
        let mut value = [0; 16];
        let attribute =
            rustix::fs::lgetxattr(&path, "user.there", &mut value).map_or(0, |size| size + usize::from(value[0]));
        let _ = write!(
            said,
            " {name}:{special}{:o}:{links}:{}:{owner:?}:{times}:{attribute}",
            it.mode(),
            if kind.is_file() { it.len() } else { 0 }
        );
    }
    said
}

struct Try {
    root: std::path::PathBuf,
    dir: OwnedFd,
    /// What is there before each call.
    pristine: String,
    said: String,
}

impl Try {
    fn new() -> Self {
        let root = std::env::current_dir().unwrap().join("objects");
        make_objects(&root);
        let dir = rustix::fs::open(&root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let pristine = look(&root);
        Self { root, dir, pristine, said: String::new() }
    }

    fn again(&mut self) {
        make_objects(&self.root);
        self.dir = rustix::fs::open(&self.root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    }

    fn row(&mut self, what: &str, result: io::Result<i64>) {
        let result = result.map_or_else(|error| error.to_string(), |value| value.to_string());
        let now = look(&self.root);
        let changed = now != self.pristine;
        let _ = writeln!(self.said, "= {what}: {result}{}", if changed { &now } else { "" });
        if changed {
            self.again();
        }
    }

    fn call(&mut self, what: &str, nr: c_long, arguments: [usize; 6]) {
        let [a, b, c, d, e, f] = arguments;
        // SAFETY: the rows give what the calls take.
        let result = unsafe { libc::syscall(nr, a, b, c, d, e, f) };
        let result = if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) };
        self.row(what, result);
    }
}

/// Makes the calls, and says what came of each.
pub(crate) fn table() -> String {
    let mut it = Try::new();
    for name in NAMES {
        let text = CString::new(name).unwrap();
        let path = text.as_ptr() as usize;
        one_name(&mut it, name, path);
        for other in OTHERS {
            let text = CString::new(other).unwrap();
            two_names(&mut it, &format!("{name} {other}"), path, text.as_ptr() as usize);
        }
    }
    descriptors(&mut it);
    binds(&mut it);
    edges(&mut it);
    it.said
}

fn one_name(it: &mut Try, name: &str, path: usize) {
    let dir = |it: &Try| it.dir.as_raw_fd() as usize;
    let now = [0i64, libc::UTIME_NOW, 0, libc::UTIME_OMIT];
    let times = [1i64, 2, 3, 4];
    for flags in [0, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH] {
        let arguments = [dir(it), path, flags as usize, 0, 0, 0];
        it.call(&format!("unlinkat {name} {flags:#x}"), libc::SYS_unlinkat, arguments);
        if flags == AT_REMOVEDIR {
            continue;
        }
        // An empty path is the folder itself, whose mode must stay.
        let arguments = [dir(it), path, 0o710, flags as usize, 0, 0];
        it.call(&format!("fchmodat2 {name} {flags:#x}"), SYS_FCHMODAT2, arguments);
        let arguments = [dir(it), path, -1i32 as usize, 12_345, flags as usize, 0];
        it.call(&format!("fchownat {name} {flags:#x}"), libc::SYS_fchownat, arguments);
        for (said, at) in [("times", times.as_ptr() as usize), ("now", now.as_ptr() as usize), ("null", 0)] {
            let arguments = [dir(it), path, at, flags as usize, 0, 0];
            it.call(&format!("utimensat {name} {flags:#x} {said}"), libc::SYS_utimensat, arguments);
        }
    }
    let value = b"value";
    for (said, nr) in [("set", libc::SYS_setxattr), ("lset", libc::SYS_lsetxattr)] {
        for flags in [0, XATTR_CREATE, XATTR_REPLACE, 4] {
            for attribute in [c"user.there", c"user.new", c"bad", c""] {
                // The folder of the test is where a relative path starts.
                let arguments = [path, attribute.as_ptr() as usize, value.as_ptr() as usize, 5, flags as usize, 0];
                it.within(|it| it.call(&format!("{said}xattr {name} {attribute:?} {flags}"), nr, arguments));
            }
        }
    }
    for (said, nr) in [("remove", libc::SYS_removexattr), ("lremove", libc::SYS_lremovexattr)] {
        for attribute in [c"user.there", c"user.none"] {
            let arguments = [path, attribute.as_ptr() as usize, 0, 0, 0, 0];
            it.within(|it| it.call(&format!("{said}xattr {name} {attribute:?}"), nr, arguments));
        }
    }
    let args = [value.as_ptr() as u64, 5];
    for (flags, size) in [(0, 16), (AT_SYMLINK_NOFOLLOW, 16), (AT_EMPTY_PATH, 16), (0, 15), (1, 16)] {
        let attribute = c"user.new".as_ptr() as usize;
        let arguments = [dir(it), path, flags as usize, attribute, args.as_ptr() as usize, size];
        it.call(&format!("setxattrat {name} {flags:#x} {size}"), SYS_SETXATTRAT, arguments);
        let arguments = [dir(it), path, flags as usize, c"user.there".as_ptr() as usize, 0, 0];
        it.call(&format!("removexattrat {name} {flags:#x}"), SYS_REMOVEXATTRAT, arguments);
    }
    let arguments = [dir(it), path, 0o751, 0, 0, 0];
    it.call(&format!("mkdirat {name}"), libc::SYS_mkdirat, arguments);
    it.call(&format!("fchmodat {name}"), libc::SYS_fchmodat, arguments);
    for mode in
        [libc::S_IFIFO, libc::S_IFREG, libc::S_IFSOCK, libc::S_IFCHR, libc::S_IFDIR, libc::S_IFBLK | libc::S_IFREG, 0]
    {
        let arguments = [dir(it), path, (mode | 0o666) as usize, 0, 0, 0];
        it.call(&format!("mknodat {name} {mode:o}"), libc::SYS_mknodat, arguments);
    }
    for text in [c"file", c"", c"/nowhere"] {
        let arguments = [text.as_ptr() as usize, dir(it), path, 0, 0, 0];
        it.call(&format!("symlinkat {name} {text:?}"), libc::SYS_symlinkat, arguments);
    }
    for length in [0, 2, 100, usize::MAX] {
        it.within(|it| it.call(&format!("truncate {name} {length}"), libc::SYS_truncate, [path, length, 0, 0, 0, 0]));
    }
    #[cfg(target_arch = "x86_64")]
    it.within(|it| {
        it.call(&format!("unlink {name}"), libc::SYS_unlink, [path, 0, 0, 0, 0, 0]);
        it.call(&format!("rmdir {name}"), libc::SYS_rmdir, [path, 0, 0, 0, 0, 0]);
        it.call(&format!("mkdir {name}"), libc::SYS_mkdir, [path, 0o700, 0, 0, 0, 0]);
        it.call(&format!("mknod {name}"), libc::SYS_mknod, [path, libc::S_IFIFO as usize, 0, 0, 0, 0]);
        it.call(&format!("chmod {name}"), libc::SYS_chmod, [path, 0o700, 0, 0, 0, 0]);
        it.call(&format!("lchown {name}"), libc::SYS_lchown, [path, usize::MAX, usize::MAX, 0, 0, 0]);
        it.call(&format!("chown {name}"), libc::SYS_chown, [path, usize::MAX, usize::MAX, 0, 0, 0]);
        it.call(&format!("utime {name}"), libc::SYS_utime, [path, times.as_ptr() as usize, 0, 0, 0, 0]);
        it.call(&format!("utimes {name}"), libc::SYS_utimes, [path, times.as_ptr() as usize, 0, 0, 0, 0]);
        let wrong = [1i64, 1_000_000, 1, 1];
        it.call(&format!("utimes {name} wrong"), libc::SYS_utimes, [path, wrong.as_ptr() as usize, 0, 0, 0, 0]);
    });
    #[cfg(target_arch = "x86_64")]
    {
        let arguments = [dir(it), path, times.as_ptr() as usize, 0, 0, 0];
        it.call(&format!("futimesat {name}"), libc::SYS_futimesat, arguments);
    }
}

impl Try {
    /// From the folder of the objects.
    fn within(&mut self, body: impl FnOnce(&mut Self)) {
        let before = std::env::current_dir().unwrap();
        // Each row makes the folder anew: the working directory is the one of a moment ago.
        struct Back(std::path::PathBuf);
        impl Drop for Back {
            fn drop(&mut self) {
                std::env::set_current_dir(&self.0).unwrap();
            }
        }
        let _back = Back(before);
        std::env::set_current_dir(&self.root).unwrap();
        body(self);
    }
}

fn two_names(it: &mut Try, names: &str, from: usize, to: usize) {
    let dir = |it: &Try| it.dir.as_raw_fd() as usize;
    for flags in [0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT, RENAME_NOREPLACE | RENAME_EXCHANGE, 64] {
        let arguments = [dir(it), from, dir(it), to, flags as usize, 0];
        it.call(&format!("renameat2 {names} {flags}"), libc::SYS_renameat2, arguments);
    }
    for flags in [0, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW] {
        let arguments = [dir(it), from, dir(it), to, flags as usize, 0];
        it.call(&format!("linkat {names} {flags:#x}"), libc::SYS_linkat, arguments);
    }
}

fn descriptors(it: &mut Try) {
    let open = |it: &Try, name: &str, flags: OFlags| {
        let fd = rustix::fs::openat(&it.dir, name, flags, Mode::empty()).unwrap();
        let number = fd.as_raw_fd() as usize;
        // it is closed with the process, so that no later one has its number
        std::mem::forget(fd);
        number
    };
    for (name, flags) in [("file", OFlags::RDONLY), ("file", OFlags::PATH), ("dir", OFlags::RDONLY)] {
        let said = format!("{name} {flags:?}");
        let times = [1i64, 2, 3, 4];
        let value = b"value";
        let fd = open(it, name, flags);
        it.call(&format!("fchmod {said}"), libc::SYS_fchmod, [fd, 0o711, 0, 0, 0, 0]);
        let fd = open(it, name, flags);
        it.call(&format!("fchown {said}"), libc::SYS_fchown, [fd, usize::MAX, usize::MAX, 0, 0, 0]);
        for flags in [0, AT_SYMLINK_NOFOLLOW as usize] {
            let fd = open(it, name, OFlags::RDONLY);
            it.call(
                &format!("futimens {said} {flags}"),
                libc::SYS_utimensat,
                [fd, 0, times.as_ptr() as usize, flags, 0, 0],
            );
        }
        let fd = open(it, name, flags);
        let attribute = c"user.new".as_ptr() as usize;
        it.call(&format!("fsetxattr {said}"), libc::SYS_fsetxattr, [fd, attribute, value.as_ptr() as usize, 5, 0, 0]);
        let fd = open(it, name, flags);
        let attribute = c"user.there".as_ptr() as usize;
        it.call(&format!("fremovexattr {said}"), libc::SYS_fremovexattr, [fd, attribute, 0, 0, 0, 0]);
        let fd = open(it, name, flags);
        let arguments = [fd, c"".as_ptr() as usize, 0o711, AT_EMPTY_PATH as usize, 0, 0];
        it.call(&format!("fchmodat2 {said} of the descriptor"), SYS_FCHMODAT2, arguments);
        let fd = open(it, name, flags);
        let link = format!("/proc/self/fd/{fd}\0");
        let arguments = [
            AT_FDCWD as usize,
            link.as_ptr() as usize,
            it.dir.as_raw_fd() as usize,
            c"second".as_ptr() as usize,
            AT_SYMLINK_FOLLOW as usize,
            0,
        ];
        it.call(&format!("linkat {said} by its number"), libc::SYS_linkat, arguments);
        let fd = open(it, name, flags);
        let mut bits = 0u32;
        it.call(&format!("getflags {said}"), libc::SYS_ioctl, [fd, 0x8008_6601, &raw mut bits as usize, 0, 0, 0]);
        let fd = open(it, name, flags);
        let no_dump = 0x40u32;
        it.call(&format!("setflags {said}"), libc::SYS_ioctl, [fd, 0x4008_6602, &raw const no_dump as usize, 0, 0, 0]);
    }
    let mut pipe = [0i32; 2];
    // SAFETY: two ints to write to.
    unsafe { libc::pipe(pipe.as_mut_ptr()) };
    it.call("fchmod of a pipe", libc::SYS_fchmod, [pipe[0] as usize, 0o600, 0, 0, 0, 0]);
    it.call("fchmod of nothing", libc::SYS_fchmod, [999, 0o600, 0, 0, 0, 0]);
    it.call("utimensat without a path", libc::SYS_utimensat, [AT_FDCWD as usize, 0, 0, 0, 0, 0]);
    let temporary = rustix::fs::openat(&it.dir, ".", OFlags::TMPFILE | OFlags::RDWR, Mode::from_raw_mode(0o644));
    if let Ok(temporary) = temporary {
        let link = format!("/proc/self/fd/{}\0", temporary.as_raw_fd());
        let arguments = [
            AT_FDCWD as usize,
            link.as_ptr() as usize,
            it.dir.as_raw_fd() as usize,
            c"kept".as_ptr() as usize,
            AT_SYMLINK_FOLLOW as usize,
            0,
        ];
        it.call("linkat of a temporary file", libc::SYS_linkat, arguments);
    }
}

/// Sockets that get an address: what they say of it is what they were given.
fn binds(it: &mut Try) {
    let root = it.root.display().to_string();
    let long = format!("dir/{}", "n".repeat(100));
    let absolute = format!("{root}/sock");
    for path in [
        "sock",
        "./sock",
        "dir/sock",
        "to-dir/sock",
        "file",
        "dangling",
        "none/sock",
        "file/sock",
        "",
        ".",
        "sock/",
        &long,
        &absolute,
    ] {
        it.within(|it| {
            // SAFETY: takes numbers.
            let socket = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) };
            let mut address = libc::AF_UNIX.to_ne_bytes()[..2].to_vec();
            address.extend(path.as_bytes());
            address.push(0);
            // SAFETY: an address with its length.
            let done = unsafe { libc::bind(socket, address.as_ptr().cast(), address.len() as u32) };
            let done = if done < 0 { Err(io::Error::last_os_error()) } else { Ok(0) };
            let mut has = [0u8; 128];
            let mut length = 128u32;
            // SAFETY: 128 bytes and their number.
            unsafe { libc::getsockname(socket, has.as_mut_ptr().cast(), &raw mut length) };
            let own = has[2..length.max(2) as usize] == *path.as_bytes() || has[2..].starts_with(path.as_bytes());
            let listens = {
                // SAFETY: takes numbers.
                unsafe { libc::listen(socket, 1) == 0 }
            };
            // What an empty path gets is chosen by the kernel.
            let shown = path.replace(&root, "ROOT");
            it.row(
                &format!(
                    "bind {shown:?} own {own} listens {listens} length {}",
                    if path.is_empty() { 0 } else { length }
                ),
                done,
            );
        });
    }
    for (what, family, address) in [
        ("inet", libc::AF_INET, [2u8, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("abstract", libc::AF_UNIX, [1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]),
    ] {
        // SAFETY: takes numbers.
        let socket = unsafe { libc::socket(family, libc::SOCK_STREAM, 0) };
        it.call(&format!("bind {what}"), libc::SYS_bind, [socket as usize, address.as_ptr() as usize, 16, 0, 0, 0]);
    }
    let mut of_netlink = [0u8; 12];
    of_netlink[0] = libc::AF_NETLINK as u8;
    // SAFETY: takes numbers.
    let socket = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0) };
    // SAFETY: an address with its length.
    let bound = unsafe { libc::bind(socket, of_netlink.as_ptr().cast(), 12) };
    let mut length = 12u32;
    // SAFETY: 12 bytes and their number.
    unsafe { libc::getsockname(socket, of_netlink.as_mut_ptr().cast(), &raw mut length) };
    let number = u32::from_ne_bytes(of_netlink[4..8].try_into().unwrap());
    it.row(&format!("bind netlink, ours {}", number == std::process::id()), Ok(bound.into()));
    it.call("bind of nothing", libc::SYS_bind, [999, of_netlink.as_ptr() as usize, 12, 0, 0, 0]);
    it.call("bind of a file", libc::SYS_bind, [0, of_netlink.as_ptr() as usize, 12, 0, 0, 0]);
    // SAFETY: takes numbers.
    let socket = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0) } as usize;
    it.call("bind too long", libc::SYS_bind, [socket, of_netlink.as_ptr() as usize, 129, 0, 0, 0]);
    it.call("bind no memory", libc::SYS_bind, [socket, 8, 20, 0, 0, 0]);
    it.call("bind no length", libc::SYS_bind, [socket, of_netlink.as_ptr() as usize, 0, 0, 0, 0]);
    it.call("bind no path", libc::SYS_bind, [socket, [1u8, 0].as_ptr() as usize, 2, 0, 0, 0]);
}

fn edges(it: &mut Try) {
    let dir = it.dir.as_raw_fd() as usize;
    let long = CString::new("n".repeat(300)).unwrap();
    for (what, nr, arguments) in [
        ("no memory", libc::SYS_mkdirat, [dir, 8, 0, 0, 0, 0]),
        ("long name", libc::SYS_mkdirat, [dir, long.as_ptr() as usize, 0o700, 0, 0, 0]),
        ("no descriptor", libc::SYS_mkdirat, [777, c"x".as_ptr() as usize, 0o700, 0, 0, 0]),
        ("no descriptor, absolute", libc::SYS_mkdirat, [777, c"/proc/x".as_ptr() as usize, 0o700, 0, 0, 0]),
        ("unlink no memory", libc::SYS_unlinkat, [dir, 8, 0, 0, 0, 0]),
        ("unlink unknown flags before all", libc::SYS_unlinkat, [777, 8, 64, 0, 0, 0]),
        ("rename unknown flags before all", libc::SYS_renameat2, [777, 8, 777, 8, 64, 0]),
        ("symlink no text", libc::SYS_symlinkat, [8, dir, c"x".as_ptr() as usize, 0, 0, 0]),
        ("times no memory", libc::SYS_utimensat, [dir, c"file".as_ptr() as usize, 8, 0, 0, 0]),
        ("attribute no name", libc::SYS_setxattr, [c"file".as_ptr() as usize, 8, 8, 5, 0, 0]),
        (
            "attribute too long",
            libc::SYS_setxattr,
            [c"file".as_ptr() as usize, c"user.x".as_ptr() as usize, 8, 70_000, 0, 0],
        ),
        ("attribute long name", libc::SYS_setxattr, [c"file".as_ptr() as usize, long.as_ptr() as usize, 8, 5, 0, 0]),
        (
            "attribute no value",
            libc::SYS_setxattr,
            [c"file".as_ptr() as usize, c"user.x".as_ptr() as usize, 8, 5, 0, 0],
        ),
        ("descriptor of no path", libc::SYS_fchownat, [dir, 0, usize::MAX, usize::MAX, AT_EMPTY_PATH as usize, 0]),
        ("proc", libc::SYS_mkdirat, [AT_FDCWD as usize, c"/proc/x".as_ptr() as usize, 0, 0, 0, 0]),
        (
            "other device",
            libc::SYS_linkat,
            [AT_FDCWD as usize, c"/proc/self/status".as_ptr() as usize, dir, c"x".as_ptr() as usize, 0, 0],
        ),
        (
            "other device",
            libc::SYS_renameat,
            [dir, c"file".as_ptr() as usize, AT_FDCWD as usize, c"/dev/shm/x".as_ptr() as usize, 0, 0],
        ),
    ] {
        it.call(what, nr, arguments);
    }
}

#[test]
fn changes_are_the_same_as_without_us() {
    let world = World::new();
    let lines =
        |text: &str| -> Vec<String> { text.lines().filter(|line| line.starts_with("= ")).map(String::from).collect() };
    let plain = probe::command("changes").current_dir(world.dir()).output().unwrap();
    let (plain, errors) =
        (lines(&String::from_utf8_lossy(&plain.stdout)), String::from_utf8_lossy(&plain.stderr).into_owned());
    let outcome = world.run(probe::command("changes"), OpSet::all(), allow_all);
    let asked = lines(&outcome.out);
    assert!(plain.len() > 3000, "{} {errors}", plain.len());
    let mut differences = String::new();
    for (a, b) in plain.iter().zip(&asked).filter(|(a, b)| a != b) {
        let _ = writeln!(differences, "kernel: {a}\nours:   {b}");
    }
    assert!(differences.is_empty(), "{differences}");
    assert_eq!(plain.len(), asked.len(), "{}", outcome.err);
    let _ = fs::set_permissions(world.path("objects/closed-dir"), fs::Permissions::from_mode(0o755));
}

/// One call, its kind, and the two names that it is asked about.
#[test]
fn each_change_is_asked_about_and_can_be_denied() {
    let rows: [(&str, OpKind, &str, &str); 12] = [
        ("mkfifo made", OpKind::Mknod, "made", ""),
        ("chmod 700 file", OpKind::Chmod, "file", ""),
        ("chmod 700 link", OpKind::Chmod, "file", ""),
        ("chown $(id -u) file", OpKind::Chown, "file", ""),
        ("chown -h $(id -u) link", OpKind::Chown, "link", ""),
        ("touch -d @1 file", OpKind::Utimes, "file", ""),
        ("touch -h -d @1 link", OpKind::Utimes, "link", ""),
        ("mkdir made", OpKind::Mkdir, "made", ""),
        ("mv file made", OpKind::Rename, "file", "made"),
        ("ln file made", OpKind::Link, "file", "made"),
        ("ln -s file made", OpKind::Link, "file", "made"),
        ("rm -f file", OpKind::Unlink, "file", ""),
    ];
    for (script, kind, path, target) in rows {
        for denied in [false, true] {
            let world = World::new();
            make_objects(&world.path("objects"));
            let dir = world.dir().canonicalize().unwrap().join("objects");
            let before = look(&dir);
            let wanted = (dir.join(path), if target.is_empty() { target.into() } else { dir.join(target) });
            let outcome = world.sh(&format!("cd objects && {script}"), OpSet::all(), |held| {
                (denied && held.operation().kind == kind).then_some(Status::ACCESS_DENIED)
            });
            let right = outcome
                .asked
                .iter()
                .any(|asked| asked.kind == kind && (&asked.path, &asked.target) == (&wanted.0, &wanted.1));
            assert!(right, "{script}: {outcome:#?}");
            assert_eq!(outcome.status.as_ref().unwrap().success(), !denied, "{script}: {outcome:?}");
            assert_eq!(look(&dir) == before, denied || script.contains("chown"), "{script}");
            let _ = fs::set_permissions(dir.join("closed-dir"), fs::Permissions::from_mode(0o755));
        }
    }
}
