//! The table of mounts of this mount namespace, and what of it lies below some directories.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// A line of /proc/self/mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) id: u64,
    /// The file system: two numbers, which another may get later.
    pub(super) device: String,
    /// Where it is mounted.
    pub(super) point: PathBuf,
    /// Its options and those of the file system.
    options: String,
    /// The kind of the file system.
    pub(super) kind: String,
}

impl Mount {
    /// The table, from the text of /proc/self/mountinfo. Lines that are not understood are left out.
    pub(super) fn parse(text: &[u8]) -> Vec<Self> {
        text.split(|&byte| byte == b'\n').filter_map(Self::parse_line).collect()
    }

    fn parse_line(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let mut text = || Some(String::from_utf8_lossy(fields.next()?).into_owned());
        let id = text()?.parse().ok()?;
        let (_parent, device, _root) = (text()?, text()?, text()?);
        let point = PathBuf::from(OsString::from_vec(unescaped(fields.next()?)));
        let mut text = || Some(String::from_utf8_lossy(fields.next()?).into_owned());
        let options = text()?;
        // Any number of optional fields, up to a dash.
        while text()? != "-" {}
        let (kind, _source) = (text()?, text()?);
        Some(Self { id, device, point, options: format!("{options} {}", text()?), kind })
    }

    fn is_same_place(&self, other: &Self) -> bool {
        (self.id, &self.device, &self.point) == (other.id, &other.device, &other.point)
    }
}

/// Without the octal escapes of space, tab, newline and backslash.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let octal = tail.get(..3).filter(|_| *byte == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        if let Some(escaped) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(escaped);
            rest = &tail[3..];
        } else {
            bytes.push(*byte);
        }
    }
    bytes
}

/// What became different from one table to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It was mounted below one of the directories, or what leads to one was.
    Came(Mount),
    /// It was unmounted.
    Went(Mount),
    /// It was mounted with other options (`mount -o remount`).
    Options(Mount),
}

/// The mounts that the files below some directories are on.
#[derive(Debug, Default)]
pub(super) struct Below {
    dirs: Vec<PathBuf>,
    mounts: Vec<Mount>,
    /// For each of those, a number that no other mount ever gets; 0 before Linux 6.8, which has none.
    numbers: Vec<u64>,
    /// The whole table, of which those are a part.
    table: Vec<Mount>,
}

impl Below {
    pub(super) fn new(dirs: Vec<PathBuf>) -> Self {
        Self { dirs, ..Self::default() }
    }

    pub(super) fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    pub(super) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// The mount that leads to a path.
    pub(super) fn leading(&self, path: &Path) -> Option<&Mount> {
        leading(self.mounts.iter(), path)
    }

    /// Takes note of a new table; `number` finds out the number of what is mounted at a place. What a later mount at the
    /// same place hides is not below.
    pub(super) fn update(&mut self, table: Vec<Mount>, number: impl Fn(&Path) -> u64) -> Vec<Change> {
        let is_hidden = |index: usize, mount: &Mount| table[index + 1..].iter().any(|later| later.point == mount.point);
        let visible: Vec<_> = table
            .iter()
            .enumerate()
            .filter(|(index, mount)| !is_hidden(*index, mount))
            .map(|(_, mount)| mount)
            .collect();
        let leads = self.dirs.iter().filter_map(|dir| leading(visible.iter().copied(), dir)).map(|mount| mount.id);
        let leads: HashSet<_> = leads.collect();
        let new = visible.into_iter().filter(|mount| self.is_below(&mount.point) || leads.contains(&mount.id));
        let new: Vec<Mount> = new.cloned().collect();
        let numbers: Vec<_> = new.iter().map(|mount| number(&mount.point)).collect();
        let mut changes = Vec::new();
        for (old, old_number) in self.mounts.iter().zip(&self.numbers) {
            let now = new.iter().zip(&numbers).find(|(mount, _)| mount.is_same_place(old));
            let is_there = match now {
                // All that the table says may be said of the next one, too.
                Some((_, now)) => now == old_number,
                None => table.iter().any(|mount| mount.is_same_place(old)),
            };
            if !is_there {
                changes.push(Change::Went(old.clone()));
            }
        }
        for (mount, number) in new.iter().zip(&numbers) {
            let old = self.mounts.iter().zip(&self.numbers).find(|(old, _)| old.is_same_place(mount));
            // What was there before and leads to a directory now, because another was unmounted, has not come.
            let was_there = || self.table.iter().any(|old| old.is_same_place(mount));
            match old {
                Some((_, old_number)) if number != old_number => changes.push(Change::Came(mount.clone())),
                Some((old, _)) if old != mount => changes.push(Change::Options(mount.clone())),
                Some(_) => {}
                None if self.is_below(&mount.point) || !was_there() => changes.push(Change::Came(mount.clone())),
                None => {}
            }
        }
        (self.mounts, self.numbers, self.table) = (new, numbers, table);
        changes
    }

    /// Whether it is one of the directories, or below.
    pub(super) fn is_below(&self, point: &Path) -> bool {
        self.dirs.iter().any(|dir| point.starts_with(dir))
    }

    /// A place that is not below, where the file system of a mount is mounted too.
    pub(super) fn elsewhere(&self, mount: &Mount) -> Option<&Path> {
        let others = self.table.iter().filter(|other| other.device == mount.device && other.point != mount.point);
        others.map(|other| other.point.as_path()).find(|point| !self.is_below(point))
    }
}

fn leading<'a>(mounts: impl Iterator<Item = &'a Mount>, path: &Path) -> Option<&'a Mount> {
    mounts.filter(|mount| path.starts_with(&mount.point)).max_by_key(|mount| mount.point.as_os_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:21 / /proc rw - proc proc rw
31 22 8:2 / /srv rw - xfs /dev/sdb rw,attr2
32 31 0:40 / /srv/in/a\\040b\\134 rw,nosuid master:2 propagate_from:1 - tmpfs none rw
33 31 8:1 /etc /srv/in/etc ro - ext4 /dev/sda1 rw
34 31 0:41 / /srv/inner rw - tmpfs none rw
broken line
";

    fn table(text: &str) -> Vec<Mount> {
        Mount::parse(text.as_bytes())
    }

    fn number(_: &Path) -> u64 {
        0
    }

    fn below(text: &str) -> Below {
        let mut below = Below::new(vec!["/srv/in".into()]);
        below.update(table(text), number);
        below
    }

    fn points(mounts: &[Mount]) -> Vec<&str> {
        mounts.iter().map(|mount| mount.point.to_str().unwrap()).collect()
    }

    #[test]
    fn a_line_is_read() {
        let mount = &table(TABLE)[3];
        assert_eq!((mount.id, mount.device.as_str(), mount.kind.as_str()), (32, "0:40", "tmpfs"));
        assert_eq!(mount.point, Path::new("/srv/in/a b\\"));
        assert_eq!(mount.options, "rw,nosuid rw");
        assert_eq!(table(TABLE).len(), 6);
    }

    #[test]
    fn what_lies_below_and_what_leads_there_counts() {
        assert_eq!(points(below(TABLE).mounts()), ["/srv", "/srv/in/a b\\", "/srv/in/etc"]);
    }

    #[test]
    fn changes_are_told_once() {
        let mut below = below(TABLE);
        assert_eq!(below.update(table(TABLE), number), []);
        let more = format!("{TABLE}35 31 0:42 / /srv/in/new rw - tmpfs none rw\n");
        assert!(matches!(&below.update(table(&more), number)[..], [Change::Came(mount)] if mount.id == 35));
        assert!(matches!(&below.update(table(TABLE), number)[..], [Change::Went(mount)] if mount.id == 35));
        let read_only = TABLE.replace("/srv rw", "/srv ro");
        assert!(matches!(&below.update(table(&read_only), number)[..], [Change::Options(mount)] if mount.id == 31));
    }

    #[test]
    fn what_looks_the_same_may_be_another() {
        let mut below = below(TABLE);
        let [went, came] = &below.update(table(TABLE), |point| u64::from(point == Path::new("/srv")))[..] else {
            panic!("two changes")
        };
        assert!(matches!((went, came), (Change::Went(old), Change::Came(new)) if old == new && old.id == 31));
    }

    #[test]
    fn what_is_unmounted_above_leaves_another_that_leads_there() {
        let mut below = below(TABLE);
        let rest: String =
            TABLE.lines().filter(|line| !line.contains(" /srv")).map(|line| format!("{line}\n")).collect();
        let changes = below.update(table(&rest), number);
        let went: Vec<_> = changes.iter().filter(|change| matches!(change, Change::Went(_))).collect();
        assert_eq!(went.len(), 3);
        assert_eq!((changes.len(), points(below.mounts())), (3, vec!["/"]));
        let changes = below.update(table(TABLE), number);
        assert_eq!(changes.iter().filter(|change| matches!(change, Change::Came(_))).count(), 3, "mounted again");
    }

    #[test]
    fn what_is_mounted_over_another_hides_it() {
        let mut below = below(TABLE);
        let over = format!("{TABLE}36 32 0:43 / /srv/in/a\\040b\\134 rw - tmpfs none rw\n");
        assert!(matches!(&below.update(table(&over), number)[..], [Change::Came(mount)] if mount.id == 36));
        assert_eq!(below.mounts().len(), 3);
        let [went, came] = &below.update(table(TABLE), number)[..] else { panic!("two changes") };
        assert!(matches!(went, Change::Went(mount) if mount.id == 36));
        assert!(matches!(came, Change::Came(mount) if mount.id == 32));
    }

    #[test]
    fn a_file_system_may_be_mounted_elsewhere_too() {
        let elsewhere = |text: &str, id: u64| {
            let below = below(text);
            let mount = below.mounts().iter().find(|mount| mount.id == id).expect("a line of the table");
            below.elsewhere(mount).map(|point| point.to_str().unwrap().to_owned())
        };
        assert_eq!(elsewhere(TABLE, 32), None);
        assert_eq!(elsewhere(TABLE, 33).as_deref(), Some("/"), "a part of another");
        let bound = format!("{TABLE}37 22 0:40 / /mnt rw - tmpfs none rw\n");
        assert_eq!(elsewhere(&bound, 32).as_deref(), Some("/mnt"));
    }
}
