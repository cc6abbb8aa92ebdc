//! The calls and their odd arguments. What changes something only gets paths of its own folder: root runs these rows too.

use std::ffi::CString;

use crate::process::{exit, fork, reap};
use crate::raw::{HERE, Reads, Words, at};

/// A call, and whether it gives a descriptor.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) call: Box<dyn Fn() -> Result<usize, i32>>,
    pub(super) opens: bool,
}

/// No descriptor has this number.
const BAD: usize = 77;
/// Nothing is at this address.
const NOWHERE: usize = 8;
/// A descriptor of a file that is no directory, made before each row runs; and one of the folder `dir`.
pub(super) const ON_FILE: usize = 10;
pub(super) const ON_DIR: usize = 11;

fn text(path: &str) -> CString {
    CString::new(path).expect("no NUL in a path")
}

fn row(name: String, opens: bool, call: impl Fn() -> Result<usize, i32> + 'static) -> Row {
    Row { name, call: Box::new(call), opens }
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    opens(&mut rows);
    opens2(&mut rows);
    places(&mut rows);
    names(&mut rows);
    attributes(&mut rows);
    programs(&mut rows);
    legacy(&mut rows);
    leases(&mut rows);
    rows
}

const PATHS: &[&str] = &[
    "file",
    "missing",
    "dir",
    "link",
    "dirlink",
    "dangling",
    "loop",
    "fifo",
    "ro",
    "none",
    "suid",
    "closed/inner",
    "file/",
    "dir/",
    "link/",
    "file/x",
    "missing/x",
    "dir/../file",
    "",
    ".",
    "..",
    "/dev/null",
    "/dev/zero",
    "/proc/self/status",
    "/proc/self/fd/10",
    "/proc/thread-self/fd/11",
    "/proc/version",
    "/sys/kernel/mm",
    "/proc/self/root/dev/null",
];

fn opens(rows: &mut Vec<Row>) {
    const FLAGS: &[(&str, i32)] = &[
        ("RDONLY", libc::O_RDONLY),
        ("WRONLY", libc::O_WRONLY),
        ("RDWR|CLOEXEC", libc::O_RDWR | libc::O_CLOEXEC),
        ("ACCMODE", libc::O_ACCMODE),
        ("TRUNC", libc::O_TRUNC),
        ("WRONLY|TRUNC|APPEND", libc::O_WRONLY | libc::O_TRUNC | libc::O_APPEND),
        ("CREAT", libc::O_CREAT),
        ("CREAT|EXCL|RDWR", libc::O_CREAT | libc::O_EXCL | libc::O_RDWR),
        ("CREAT|NOFOLLOW|WRONLY", libc::O_CREAT | libc::O_NOFOLLOW | libc::O_WRONLY),
        ("CREAT|TRUNC|RDWR", libc::O_CREAT | libc::O_TRUNC | libc::O_RDWR),
        ("CREAT|DIRECTORY", libc::O_CREAT | libc::O_DIRECTORY),
        ("EXCL", libc::O_EXCL),
        ("DIRECTORY", libc::O_DIRECTORY),
        ("DIRECTORY|RDWR", libc::O_DIRECTORY | libc::O_RDWR),
        ("DIRECTORY|NOFOLLOW", libc::O_DIRECTORY | libc::O_NOFOLLOW),
        ("NOFOLLOW", libc::O_NOFOLLOW),
        ("PATH", libc::O_PATH),
        ("PATH|NOFOLLOW", libc::O_PATH | libc::O_NOFOLLOW),
        ("PATH|CREAT|EXCL|TRUNC", libc::O_PATH | libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC),
        ("PATH|DIRECTORY|CLOEXEC", libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC),
        ("TMPFILE|RDWR", libc::O_TMPFILE | libc::O_RDWR),
        ("TMPFILE|WRONLY|EXCL", libc::O_TMPFILE | libc::O_WRONLY | libc::O_EXCL),
        ("TMPFILE|RDONLY", libc::O_TMPFILE),
        ("TMPFILE|CREAT|RDWR", libc::O_TMPFILE | libc::O_CREAT | libc::O_RDWR),
        ("DIRECT", libc::O_DIRECT),
        ("SYNC|NOATIME", libc::O_SYNC | libc::O_NOATIME),
        ("DSYNC|ASYNC|NOCTTY", libc::O_DSYNC | libc::O_ASYNC | libc::O_NOCTTY),
        ("unknown", 1 << 30),
    ];
    for path in PATHS {
        for (name, flags) in FLAGS {
            // an open that waits for ever is no test
            let flags = if *path == "fifo" { flags | libc::O_NONBLOCK } else { *flags };
            let path = text(path);
            rows.push(row(format!("openat {path:?} {name}"), true, move || {
                Reads::OPENAT.call([HERE, at(&path), flags as usize, 0o7666])
            }));
        }
    }
}

fn opens2(rows: &mut Vec<Row>) {
    const READ: u64 = libc::O_RDONLY as u64;
    const MAKE: u64 = (libc::O_CREAT | libc::O_RDWR) as u64;
    const FILE: u64 = (libc::O_TMPFILE | libc::O_RDWR) as u64;
    let mut add = |name: String, path: &str, how: &[u64], size: usize| {
        let (path, how) = (text(path), Words::new(how));
        rows.push(row(format!("openat2 {path:?} {name}"), true, move || {
            Reads::OPENAT2.call([HERE, at(&path), how.address(), size])
        }));
    };
    let long = [[READ, 0, 0].as_slice(), &[0; 600]].concat();
    for size in [0, 1, 8, 23, 24, 25, 32, 40, 4096, 4097, 1 << 20] {
        add(format!("of {size} bytes"), "file", &long, size);
    }
    add("with a tail".into(), "file", &[READ, 0, 0, 1], 32);
    for bit in [30, 31, 32, 40, 63] {
        add(format!("flag {bit}"), "file", &[READ | 1 << bit, 0, 0], 24);
        add(format!("limit {bit}"), "file", &[READ, 0, 1 << bit], 24);
    }
    for mode in [0o644, 0o7777, 0o10000, u64::MAX] {
        add(format!("mode {mode:o} of a new one"), "missing", &[MAKE, mode, 0], 24);
        add(format!("mode {mode:o} of none"), "file", &[READ, mode, 0], 24);
        add(format!("mode {mode:o} without a name"), "dir", &[FILE, mode, 0], 24);
    }
    for limits in [1, 2, 4, 8, 16, 32, 24, 6, 63] {
        for path in [
            "file",
            "missing",
            "link",
            "dirlink/inner",
            "dir/../file",
            "../folder/file",
            "/dev/null",
            "/proc/self/fd/10",
        ] {
            add(format!("limits {limits}"), path, &[READ, 0, limits], 24);
        }
        add(format!("limits {limits} of a new one"), "missing", &[MAKE, 0o640, limits], 24);
    }
    for path in PATHS {
        if *path != "fifo" {
            add("PATH".into(), path, &[libc::O_PATH as u64, 0, 0], 24);
            add("plain".into(), path, &[READ, 0, 0], 24);
        }
    }
    for (name, flags) in
        [("PATH|CREAT", libc::O_PATH | libc::O_CREAT), ("TMPFILE|CREAT", libc::O_TMPFILE | libc::O_CREAT)]
    {
        add(name.into(), "dir", &[flags as u64, 0, 0], 24);
    }
    rows.push(row("openat2 of no struct".into(), true, || Reads::OPENAT2.call([HERE, at(c"file"), NOWHERE, 24])));
    rows.push(row("openat2 of no path".into(), true, || {
        Reads::OPENAT2.call([HERE, NOWHERE, Words::new(&[0, 0, 0]).address(), 24])
    }));
}

/// Directory descriptors and paths that are none.
fn places(rows: &mut Vec<Row>) {
    let long = format!("{}file", "./".repeat(2045));
    let too_long = "x".repeat(5000);
    let name = "n".repeat(256);
    for (from, named) in [(BAD, "none"), (ON_FILE, "a file"), (ON_DIR, "a folder"), (usize::MAX, "-1"), (HERE, "here")]
    {
        for path in ["", "inner", "missing", &long, &too_long, &name] {
            let (path, shown) = (text(path), &path[..path.len().min(9)]);
            type Call = (&'static str, bool, fn(usize, usize) -> Result<usize, i32>);
            let calls: [Call; 4] = [
                ("openat", true, |from, path| Reads::OPENAT.call([from, path, 0])),
                ("unlinkat", false, |from, path| Reads::UNLINKAT.call([from, path, 0])),
                ("mkdirat", false, |from, path| Reads::MKDIRAT.call([from, path, 0o777])),
                ("fchmodat", false, |from, path| Reads::FCHMODAT.call([from, path, 0o700])),
            ];
            for (name, opens, call) in calls {
                let path = path.clone();
                rows.push(row(format!("{name} from {named} {shown}"), opens, move || call(from, at(&path))));
            }
        }
        for (path, shown) in [(at(c"/dev/null"), "an absolute path"), (NOWHERE, "no path")] {
            rows.push(row(format!("openat from {named} of {shown}"), true, move || {
                Reads::OPENAT.call([from, path, 0])
            }));
        }
    }
}

fn names(rows: &mut Vec<Row>) {
    let mut add = |name: String, call: Box<dyn Fn() -> Result<usize, i32>>| rows.push(Row { name, call, opens: false });
    const SOME: &[&str] =
        &["file", "missing", "dir", "empty", "link", "dirlink", "dangling", "loop", "fifo", "none", "", "."];
    for from in SOME {
        for flags in [0, libc::AT_REMOVEDIR, 1, 0x8000] {
            let path = text(from);
            add(
                format!("unlinkat {from} {flags:#x}"),
                Box::new(move || Reads::UNLINKAT.call([HERE, at(&path), flags as usize])),
            );
        }
        for to in [
            "new",
            "file",
            "other",
            "dir",
            "empty",
            "link",
            "dir/inner",
            "missing/x",
            "file/x",
            "new/",
            "..",
            "",
            "dir/sub",
        ] {
            for flags in [0, 1, 2, 3, 4, 8] {
                let (from, to) = (text(from), text(to));
                add(
                    format!("renameat2 {from:?} {to:?} {flags}"),
                    Box::new(move || Reads::RENAMEAT2.call([HERE, at(&from), HERE, at(&to), flags])),
                );
            }
        }
        for to in ["new", "file", "new/", "missing/x", "dir/new", ""] {
            for flags in [0, libc::AT_SYMLINK_FOLLOW, libc::AT_EMPTY_PATH, 1] {
                let (from, to) = (text(from), text(to));
                add(
                    format!("linkat {from:?} {to:?} {flags:#x}"),
                    Box::new(move || Reads::LINKAT.call([HERE, at(&from), HERE, at(&to), flags as usize])),
                );
            }
        }
    }
    for to in [
        "new",
        "file",
        "link",
        "dangling",
        "new/",
        "dir",
        "dir/",
        "missing/x",
        "file/x",
        "",
        ".",
        "..",
        "loop",
        "closed/x",
    ] {
        let path = text(to);
        for (content, shown) in [(text("target"), "target"), (text(""), "nothing"), (text(&"t".repeat(4096)), "much")] {
            let path = path.clone();
            add(
                format!("symlinkat {shown} {to}"),
                Box::new(move || Reads::SYMLINKAT.call([at(&content), HERE, at(&path)])),
            );
        }
        for mode in [0o777, 0o7777, 0] {
            let path = path.clone();
            add(format!("mkdirat {to} {mode:o}"), Box::new(move || Reads::MKDIRAT.call([HERE, at(&path), mode])));
        }
        for (kind, shown) in [
            (libc::S_IFREG, "file"),
            (0, "zero"),
            (libc::S_IFIFO, "fifo"),
            (libc::S_IFSOCK, "socket"),
            (libc::S_IFDIR, "folder"),
            (libc::S_IFLNK, "link"),
            (libc::S_IFCHR, "device"),
            (0o170_000, "none"),
        ] {
            let path = path.clone();
            let mode = (kind | 0o6666) as usize;
            add(format!("mknodat {shown} {to}"), Box::new(move || Reads::MKNODAT.call([HERE, at(&path), mode, 0x103])));
        }
    }
}

fn attributes(rows: &mut Vec<Row>) {
    let mut add = |name: String, call: Box<dyn Fn() -> Result<usize, i32>>| rows.push(Row { name, call, opens: false });
    for path in [
        "file",
        "missing",
        "dir",
        "link",
        "dangling",
        "loop",
        "ro",
        "none",
        "suid",
        "file/",
        "fifo",
        "/proc/self/fd/10",
        "",
    ] {
        let shown = path;
        let path = text(path);
        for length in [0i64, 3, 1 << 20, -1] {
            let path = path.clone();
            add(
                format!("truncate {shown} {length}"),
                Box::new(move || Reads::TRUNCATE.call([at(&path), length as usize])),
            );
        }
        for mode in [0o600, 0o7777, 0o170_777] {
            let one = path.clone();
            add(format!("fchmodat {shown} {mode:o}"), Box::new(move || Reads::FCHMODAT.call([HERE, at(&one), mode])));
            for flags in [0, libc::AT_SYMLINK_NOFOLLOW, libc::AT_EMPTY_PATH, 1] {
                let path = path.clone();
                add(
                    format!("fchmodat2 {shown} {mode:o} {flags:#x}"),
                    Box::new(move || Reads::FCHMODAT2.call([HERE, at(&path), mode, flags as usize])),
                );
            }
        }
        let us = rustix::process::geteuid().as_raw() as usize;
        const SAME: usize = u32::MAX as usize;
        let owners = [
            (SAME, SAME, "to the same"),
            (us, us, "to us"),
            (0, 0, "to root"),
            (us, SAME, "to our user"),
            (12_345, 1, "to another"),
        ];
        for (user, group, said) in owners {
            for flags in [0, libc::AT_SYMLINK_NOFOLLOW, 1] {
                let path = path.clone();
                add(
                    format!("fchownat {shown} {said} {flags:#x}"),
                    Box::new(move || Reads::FCHOWNAT.call([HERE, at(&path), user, group, flags as usize])),
                );
            }
        }
        for (times, said) in [
            ([5i64, 0, 6, 0], "both"),
            ([0, libc::UTIME_OMIT, 7, 5], "one"),
            ([0, libc::UTIME_OMIT, 0, libc::UTIME_OMIT], "none"),
            ([0, 2_000_000_000, 0, 0], "wrong"),
        ] {
            for flags in [0, libc::AT_SYMLINK_NOFOLLOW, 1] {
                let path = path.clone();
                add(
                    format!("utimensat {shown} {said} {flags:#x}"),
                    Box::new(move || Reads::UTIMENSAT.call([HERE, at(&path), times.as_ptr() as usize, flags as usize])),
                );
            }
        }
        for (name, said) in [
            (c"user.x", "user.x"),
            (c"none.x", "none.x"),
            (c"user.", "user."),
            (c"", "nothing"),
            (c"trusted.x", "trusted.x"),
        ] {
            for flags in [0, 1, 2, 4] {
                let path = path.clone();
                add(
                    format!("setxattr {shown} {said} {flags}"),
                    Box::new(move || Reads::SETXATTR.call([at(&path), at(name), at(c"v"), 1, flags])),
                );
            }
            let one = path.clone();
            add(
                format!("lsetxattr {shown} {said}"),
                Box::new(move || Reads::LSETXATTR.call([at(&one), at(name), at(c"v"), 1, 0])),
            );
            let one = path.clone();
            add(format!("removexattr {shown} {said}"), Box::new(move || Reads::REMOVEXATTR.call([at(&one), at(name)])));
        }
        let one = path.clone();
        add(
            format!("setxattr {shown} of much"),
            Box::new(move || Reads::SETXATTR.call([at(&one), at(c"user.x"), NOWHERE, 1 << 20, 0])),
        );
    }
    add("utimensat of no path".into(), Box::new(|| Reads::UTIMENSAT.call([ON_FILE, 0, 0, 0])));
    add("utimensat of nothing".into(), Box::new(|| Reads::UTIMENSAT.call([BAD, 0, 0, 0])));
}

/// Programs that cannot be executed: what can would take the place of this one.
fn programs(rows: &mut Vec<Row>) {
    for path in
        ["file", "missing", "dir", "text", "none", "loop", "dangling", "file/", "", "closed/inner", "fifo", "/dev/null"]
    {
        for flags in [0, libc::AT_SYMLINK_NOFOLLOW, libc::AT_EMPTY_PATH, 1] {
            let path = text(path);
            rows.push(row(format!("execveat {path:?} {flags:#x}"), false, move || {
                in_child(|| {
                    let nothing = [0usize];
                    let list = nothing.as_ptr() as usize;
                    Reads::EXECVEAT.call([HERE, at(&path), list, list, flags as usize])
                })
            }));
        }
    }
    for (from, named) in [(BAD, "none"), (ON_FILE, "a file"), (ON_DIR, "a folder")] {
        rows.push(row(format!("execveat of {named}"), false, move || {
            in_child(|| {
                let nothing = [0usize];
                let list = nothing.as_ptr() as usize;
                Reads::EXECVEAT.call([from, at(c""), list, list, libc::AT_EMPTY_PATH as usize])
            })
        }));
    }
}

/// The error of a call that is made by a child, which it may end.
fn in_child(call: impl FnOnce() -> Result<usize, i32>) -> Result<usize, i32> {
    match fork(0) {
        0 => exit(call().err().unwrap_or(0)),
        child => match reap(child) {
            status if libc::WIFEXITED(status) => Err(libc::WEXITSTATUS(status)),
            status => Ok(status as usize),
        },
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn legacy(_rows: &mut Vec<Row>) {}

/// The calls that take no directory, which only one processor has.
#[cfg(target_arch = "x86_64")]
fn legacy(rows: &mut Vec<Row>) {
    for path in ["file", "missing", "dir", "empty", "link", "dangling", "file/", "", "closed/x"] {
        type Legacy = (&'static str, bool, Box<dyn Fn(usize) -> Result<usize, i32>>);
        let calls: [Legacy; 14] = [
            ("open", true, Box::new(|path| Reads::OPEN.call([path, libc::O_RDWR as usize]))),
            ("creat", true, Box::new(|path| Reads::CREAT.call([path, 0o666]))),
            ("unlink", false, Box::new(|path| Reads::UNLINK.call([path]))),
            ("rmdir", false, Box::new(|path| Reads::RMDIR.call([path]))),
            ("rename", false, Box::new(|path| Reads::RENAME.call([path, at(c"new")]))),
            ("rename-over", false, Box::new(|path| Reads::RENAME.call([path, at(c"other")]))),
            ("link", false, Box::new(|path| Reads::LINK.call([path, at(c"new")]))),
            ("symlink", false, Box::new(|path| Reads::SYMLINK.call([at(c"x"), path]))),
            ("mkdir", false, Box::new(|path| Reads::MKDIR.call([path, 0o3777]))),
            ("mknod", false, Box::new(|path| Reads::MKNOD.call([path, libc::S_IFIFO as usize | 0o666]))),
            ("chmod", false, Box::new(|path| Reads::CHMOD.call([path, 0o4711]))),
            ("chown", false, Box::new(|path| Reads::CHOWN.call([path, usize::MAX, usize::MAX]))),
            ("lchown", false, Box::new(|path| Reads::LCHOWN.call([path, usize::MAX, usize::MAX]))),
            ("utimes", false, Box::new(|path| Reads::UTIMES.call([path, [1i64, 2, 3, 4].as_ptr() as usize]))),
        ];
        for (name, opens, call) in calls {
            let path = text(path);
            rows.push(row(format!("{name} {path:?}"), opens, move || call(at(&path))));
        }
    }
}

/// Leases on what was opened, which are not had while it is open elsewhere.
fn leases(rows: &mut Vec<Row>) {
    for (flags, opened) in [(libc::O_RDONLY, "reading"), (libc::O_WRONLY, "writing"), (libc::O_RDWR, "both")] {
        for (kind, named) in [(libc::F_RDLCK, "read"), (libc::F_WRLCK, "write"), (libc::F_UNLCK, "none")] {
            rows.push(row(format!("a {named} lease on what is open for {opened}"), false, move || {
                let fd = Reads::OPENAT
                    .call([HERE, at(c"ro"), flags as usize])
                    .or_else(|_| Reads::OPENAT.call([HERE, at(c"suid"), flags as usize]))?;
                // SAFETY: takes numbers.
                let leased = unsafe { libc::fcntl(fd as i32, libc::F_SETLEASE, kind) };
                let error = crate::raw::errno();
                Reads::CLOSE.call([fd])?;
                if leased < 0 { Err(error) } else { Ok(leased as usize) }
            }));
        }
    }
}
