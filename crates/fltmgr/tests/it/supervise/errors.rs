//! Every error of an open is the one that the kernel gives without us.

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use fltmgr::filter::OpSet;
use libc::{
    O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOATIME, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_TMPFILE,
    O_TRUNC, O_WRONLY,
};

use super::probe;
use testkit::World;

use super::world::{Supervised as _, allow_all};

const FLAGS: [(&str, i32); 24] = [
    ("RDONLY", O_RDONLY),
    ("WRONLY", O_WRONLY),
    ("RDWR", O_RDWR),
    ("ACCMODE", 3),
    ("RDWR|APPEND", O_RDWR | O_APPEND),
    ("WRONLY|NONBLOCK", O_WRONLY | O_NONBLOCK),
    ("NOFOLLOW", O_NOFOLLOW),
    ("PATH", O_PATH),
    ("PATH|NOFOLLOW", O_PATH | O_NOFOLLOW),
    ("DIRECTORY", O_DIRECTORY),
    ("DIRECTORY|NOFOLLOW", O_DIRECTORY | O_NOFOLLOW),
    ("RDWR|DIRECTORY", O_RDWR | O_DIRECTORY),
    ("NOATIME", O_NOATIME),
    ("CREAT", O_CREAT),
    ("CREAT|WRONLY", O_CREAT | O_WRONLY),
    ("CREAT|EXCL|RDWR", O_CREAT | O_EXCL | O_RDWR),
    ("CREAT|EXCL|NOFOLLOW", O_CREAT | O_EXCL | O_NOFOLLOW),
    ("CREAT|NOFOLLOW|WRONLY", O_CREAT | O_NOFOLLOW | O_WRONLY),
    ("CREAT|DIRECTORY", O_CREAT | O_DIRECTORY),
    ("TRUNC|WRONLY", O_TRUNC | O_WRONLY),
    ("TMPFILE|RDWR", O_TMPFILE | O_RDWR),
    ("TMPFILE", O_TMPFILE),
    ("TMPFILE|CREAT|RDWR", O_TMPFILE | O_CREAT | O_RDWR),
    ("TMPFILE-DIRECTORY|RDWR", (O_TMPFILE & !O_DIRECTORY) | O_RDWR),
];

/// Makes objects of every kind, opens each by every name with all flags, and prints what came of it.
pub(crate) fn table() -> String {
    let mut table = String::new();
    let root = std::env::current_dir().unwrap().join("objects");
    let long = "n".repeat(300);
    let deep = "x/".repeat(2100);
    let names = [
        "file",
        "file/",
        "file/x",
        "file/.",
        "file/..",
        "dir",
        "dir/",
        "dir/.",
        "dir/..",
        "dir/new",
        "dir/new/",
        "none",
        "none/",
        "none/x",
        "link",
        "link/",
        "dangling",
        "dangling/",
        "loop",
        "loop/x",
        "to-dir",
        "to-dir/",
        "to-dir/in",
        "closed",
        "closed-dir/x",
        "write-only",
        "closed-dir/sub/x",
        "fifo",
        "socket",
        "",
        "/",
        "//",
        ".",
        "..",
        "/proc/self",
        "/proc/self/",
        "/proc/self/fd/999",
        "/proc/self/none",
        "/proc/self/exe",
        "/proc/self/exe/",
        "/proc/thread-self/status",
        "/dev/null",
        "/dev/null/",
        "/dev/null/x",
        "/dev/fd/999",
        "/proc/1/root/etc/hostname",
        "/etc/passwd",
        "/etc/new-file-of-a-test/x",
        "/proc/self/cwd/objects/file",
        "/proc/self/cwd/objects/none",
        "/proc/self/root/",
        &long,
        &deep,
    ];
    for (flag_name, flags) in FLAGS {
        for name in names {
            // The test may not write what does not belong to it, and a fifo is opened only without waiting.
            let foreign = name.starts_with("/etc") || name.starts_with("/proc/1");
            if foreign && flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC) != 0 {
                continue;
            }
            make_objects(&root);
            let flags = if name == "fifo" { flags | O_NONBLOCK } else { flags };
            let c = CString::new(name).unwrap();
            let dir = CString::new(root.as_os_str().as_bytes()).unwrap();
            // SAFETY: NUL-terminated strings that live through the calls.
            let dirfd = unsafe { libc::open(dir.as_ptr(), O_PATH | O_DIRECTORY) };
            assert!(dirfd >= 0);
            // SAFETY: as above.
            let fd = unsafe { libc::openat(dirfd, c.as_ptr(), flags, 0o666) };
            let shown = if name.len() > 40 { &name[..8] } else { name };
            let _ = write!(table, "{flag_name} {shown:?}: ");
            let _ = if fd < 0 { writeln!(table, "{}", io::Error::last_os_error()) } else { describe(&mut table, fd) };
            let made = root.join(name.trim_end_matches('/')).symlink_metadata().is_ok();
            let target = root.join("target").symlink_metadata().is_ok();
            let data = fs::metadata(root.join("file")).unwrap().len();
            let _ = writeln!(table, "    exists {made} target {target} data {data}");
            // SAFETY: closing descriptors that this loop opened.
            unsafe { libc::close(fd) };
            // SAFETY: as above.
            unsafe { libc::close(dirfd) };
        }
    }
    // SAFETY: NUL-terminated string.
    let fd = unsafe { libc::openat(777, c"file".as_ptr(), O_RDONLY) };
    let _ = writeln!(table, "bad descriptor: {fd} {}", io::Error::last_os_error());
    // SAFETY: the kernel checks the pointer and answers EFAULT.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, 1, O_RDONLY, 0) };
    let _ = writeln!(table, "bad pointer: {fd} {}", io::Error::last_os_error());
    table
}

fn describe(table: &mut String, fd: i32) -> std::fmt::Result {
    // SAFETY: fcntl on an open descriptor.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) } & !O_NOFOLLOW;
    // SAFETY: as above.
    let cloexec = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    // SAFETY: all-zero is a valid struct stat.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is a struct stat to write to.
    unsafe { libc::fstat(fd, &raw mut stat) };
    writeln!(table, "opened flags {flags:#o} cloexec {cloexec} mode {:#o} size {}", stat.st_mode, stat.st_size)
}

fn make_objects(root: &std::path::Path) {
    let _ = fs::set_permissions(root.join("closed-dir"), fs::Permissions::from_mode(0o755));
    let _ = fs::remove_dir_all(root);
    fs::create_dir(root).unwrap();
    let at = |name: &str| root.join(name);
    for name in ["file", "closed", "write-only"] {
        fs::write(at(name), "data").unwrap();
    }
    for name in ["dir", "closed-dir"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("dir/in"), "in").unwrap();
    for (to, name) in [("file", "link"), ("target", "dangling"), ("loop", "loop"), ("dir", "to-dir")] {
        symlink(to, at(name)).unwrap();
    }
    let fifo = CString::new(at("fifo").as_os_str().as_bytes()).unwrap();
    // SAFETY: NUL-terminated string.
    unsafe { libc::mkfifo(fifo.as_ptr(), 0o644) };
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    for (name, mode) in [("closed", 0o000), ("write-only", 0o200), ("closed-dir", 0o000)] {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn errors_are_the_same_as_without_us() {
    let world = World::new();
    let lines = |text: &str| -> Vec<String> {
        let from = text.find("RDONLY \"file\"").unwrap();
        text[from..]
            .lines()
            .take_while(|line| !line.starts_with("ok") && !line.starts_with("test "))
            .map(String::from)
            .collect()
    };
    let plain = probe::command("errors").current_dir(world.dir()).output().unwrap();
    let plain = lines(&String::from_utf8(plain.stdout).unwrap());
    let asked = world.run(probe::command("errors"), OpSet::OPEN, allow_all).ok();
    let asked = lines(&asked.out);
    assert!(plain.len() > 2000);
    let mut differences = String::new();
    for (row, (a, b)) in plain.iter().zip(&asked).enumerate().filter(|(_, (a, b))| a != b) {
        let _ = writeln!(differences, "{}\n  kernel: {a}\n  ours:   {b}", plain[row.saturating_sub(1)]);
    }
    assert!(differences.is_empty(), "{differences}");
    assert_eq!(plain.len(), asked.len());
    let _ = fs::set_permissions(world.path("objects/closed-dir"), fs::Permissions::from_mode(0o755));
}
