//! Thousands of calls with odd arguments: what each gives, and what it leaves. The same list is run supervised and not, and
//! must print the same.

mod objects;
mod rows;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::Mode;

use crate::raw::Reads;
use objects::{OBJECTS, OPEN, left, make, permit, restore};
use rows::{ON_DIR, ON_FILE, rows};

/// Runs all rows in a new folder, and gives what came of each by its name.
pub(crate) fn run(dir: &str) -> BTreeMap<String, String> {
    let folder = format!("{dir}/folder");
    fs::create_dir(&folder).expect("a new folder");
    std::env::set_current_dir(&folder).expect("a folder of this test");
    permit(&folder, OPEN);
    OBJECTS.iter().for_each(|name| make(name));
    let before = left();
    rustix::process::umask(Mode::from_raw_mode(0o027));
    let mut all = BTreeMap::new();
    for row in rows() {
        for (path, number) in [("file", ON_FILE), ("dir", ON_DIR)] {
            let opened = fs::File::open(path).expect("an object of this test");
            let from = std::os::fd::AsRawFd::as_raw_fd(&opened) as usize;
            Reads::DUP3.call([from, number, libc::O_CLOEXEC as usize]).expect("a free number");
        }
        let mut text = match (row.call)() {
            Ok(fd) if row.opens => {
                let text = opened(fd, dir);
                let _ = Reads::CLOSE.call([fd]);
                text
            }
            Ok(number) => format!("gives {number}"),
            Err(errno) => format!("error {errno}"),
        };
        // An empty path can mean the folder itself, in which nothing is to be found when it is closed.
        let mode = fs::metadata(&folder).expect("the folder of this test").mode() & 0o7777;
        if mode != OPEN {
            let _ = write!(text, "; now . {mode:o}");
            permit(&folder, OPEN);
        }
        let after = left();
        if after != before {
            for (path, said) in after.iter().filter(|(path, said)| before.get(*path) != Some(said)) {
                let _ = write!(text, "; now {path} {said}");
            }
            for path in before.keys().filter(|path| !after.contains_key(*path)) {
                let _ = write!(text, "; no {path}");
            }
            restore(&before, &after);
            assert_eq!(left(), before, "after {}", row.name);
        }
        assert!(all.insert(row.name.clone(), text).is_none(), "{} is there twice", row.name);
    }
    all
}

/// All that can be seen of a descriptor. `dir` is where this test is.
fn opened(fd: usize, dir: &str) -> String {
    // SAFETY: the descriptor was made a moment ago and is closed by the caller.
    let file = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd as i32) };
    let (stat, flags) = (rustix::fs::fstat(file), rustix::fs::fcntl_getfl(file));
    let on_exec = rustix::io::fcntl_getfd(file);
    let name = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
    // numbers of processes and of files without a name differ each time
    let name = name.to_string_lossy().replace(dir, "").replace(|c: char| c.is_ascii_digit(), "");
    let stat = stat.map(|it| (format!("{:o}", it.st_mode), it.st_size, it.st_nlink, it.st_uid, it.st_gid, it.st_rdev));
    format!("opens {fd} {name} {stat:?} {flags:?} {on_exec:?}")
}
