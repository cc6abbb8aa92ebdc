//! The folder that each row finds: what stands in it, and how it is made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};

/// What stands in the folder before each row.
pub(super) const OBJECTS: &[&str] = &[
    "file", "other", "ro", "none", "text", "suid", "dir", "empty", "closed", "link", "dirlink", "dangling", "loop",
    "fifo",
];

/// The mode of the folder itself.
pub(super) const OPEN: u32 = 0o755;

/// Makes an object in the working directory.
pub(super) fn make(name: &str) {
    let file = |path: &str, mode: u32| {
        fs::write(path, "text\n").expect("a new file");
        permit(path, mode);
    };
    match name {
        "file" => file(name, 0o644),
        "other" => fs::hard_link("file", name).expect("a new name"),
        "ro" => file(name, 0o444),
        "none" => file(name, 0),
        "text" => file(name, 0o755),
        "suid" => file(name, 0o6755),
        "dir" | "empty" | "closed" => {
            fs::create_dir(name).expect("a new folder");
            permit(name, 0o755);
            match name {
                "dir" => file("dir/inner", 0o600),
                "closed" => {
                    file("closed/inner", 0o644);
                    permit(name, 0);
                }
                _ => {}
            }
        }
        "link" => symlink("file", name).expect("a new link"),
        "dirlink" => symlink("dir", name).expect("a new link"),
        "dangling" => symlink("missing", name).expect("a new link"),
        "loop" => symlink(name, name).expect("a new link"),
        "fifo" => {
            rustix::fs::mknodat(CWD, name, FileType::Fifo, Mode::from_raw_mode(0o644), 0).expect("a new fifo");
            permit(name, 0o644);
        }
        _ => unreachable!("{name} is none of the objects"),
    }
}

pub(super) fn permit(path: &str, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("one's own object");
}

/// Removes what has this name, with what is in it.
fn remove(name: &str) {
    match fs::symlink_metadata(name) {
        Err(_) => {}
        Ok(it) if it.is_dir() => {
            permit(name, 0o700);
            fs::remove_dir_all(name).expect("one's own folder");
        }
        Ok(_) => fs::remove_file(name).expect("one's own object"),
    }
}

/// Makes the folder as it was before, where it has changed.
pub(super) fn restore(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) {
    let first = |path: &String| path.split('/').next().unwrap_or_default().to_owned();
    let names = before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).map(first);
    let mut changed: BTreeSet<String> = names.collect();
    // the two are one object
    if changed.contains("file") || changed.contains("other") {
        changed.extend(["file", "other"].map(str::to_owned));
    }
    changed.iter().for_each(|name| remove(name));
    OBJECTS.iter().filter(|name| changed.contains(**name)).for_each(|name| make(name));
}

/// What stands in the working directory.
pub(super) fn left() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    look(Path::new(""), &mut all);
    all
}

fn look(folder: &Path, all: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(if folder == Path::new("") { Path::new(".") } else { folder });
    for name in entries.into_iter().flatten().flatten().map(|entry| entry.file_name()) {
        let path = folder.join(name);
        // where a folder is closed, what is in it may not be looked at
        let Ok(it) = fs::symlink_metadata(&path) else { continue };
        // those that were set are of the first days
        let time = if it.mtime() < 1_000_000 { it.mtime() } else { -1 };
        let size = if it.is_dir() { 0 } else { it.size() };
        let said = rustix::fs::listxattr(&path, &mut [0u8; 256]).unwrap_or(0);
        let (links, owner) = (it.nlink(), (it.uid(), it.gid(), it.rdev()));
        let target = fs::read_link(&path).unwrap_or_default();
        let line = format!("{:o} {size} {links} {owner:?} {time} {said} {}", it.mode(), target.display());
        all.insert(path.display().to_string(), line);
        if it.is_dir() {
            look(&path, all);
        }
    }
}
