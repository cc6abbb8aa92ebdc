//! Volumes: the file systems that are mounted, by the names that filters and applications know them by.
//!
//! Every process computes the same names, so that a name in a filter's message means the same to its application.

use std::path::PathBuf;

/// A mounted file system.
#[derive(Debug, Clone, PartialEq, Eq)]
#[doc(alias("PFLT_VOLUME", "FILTER_VOLUME_STANDARD_INFORMATION"))]
pub struct Volume {
    /// Its device, as stat(2) tells it.
    pub device: (u32, u32),
    /// Where it was mounted first, of those mounts that are still there.
    pub mount_point: PathBuf,
    /// The kernel's name for its kind, "ext4".
    pub file_system: String,
}

impl Volume {
    /// Its name: `\Device\HarddiskVolume1` for the file system of `/`, and a number made of the device for others.
    pub fn name(&self) -> String {
        let number = match self.is_root() {
            true => 1,
            // past the number of the root, whatever the device
            false => (u64::from(self.device.0) << 20 | u64::from(self.device.1)) + 2,
        };
        format!(r"\Device\HarddiskVolume{number}")
    }

    /// Whether it is the file system of `/`.
    pub fn is_root(&self) -> bool {
        self.mount_point.as_os_str() == "/"
    }

    /// Whether `name` means this volume: its name in any case, its mount point, or, of the root, the drive `C:`. A separator at
    /// the end says nothing.
    pub fn is_called(&self, name: &str) -> bool {
        let trimmed = name.trim_end_matches(['\\', '/']);
        let trimmed = if trimmed.is_empty() { name } else { trimmed };
        trimmed.eq_ignore_ascii_case(&self.name())
            || self.mount_point.to_str() == Some(trimmed)
            || self.is_root() && (trimmed.eq_ignore_ascii_case("C:") || trimmed.eq_ignore_ascii_case(r"\\?\C:"))
    }
}

/// The volumes of a mountinfo file (proc(5)), each once, in the order of mounting. What lies hidden below a later mount at
/// the same place is a volume all the same: files of it may be open.
pub fn parse(mountinfo: &str) -> Vec<Volume> {
    let mut volumes: Vec<Volume> = Vec::new();
    for volume in mountinfo.lines().filter_map(parse_line) {
        match volumes.iter_mut().find(|known| known.device == volume.device) {
            // a bind mount of a part is another way to the same file system: the root is what it is known by
            Some(known) if volume.is_root() => known.mount_point = volume.mount_point,
            Some(_) => {}
            None => volumes.push(volume),
        }
    }
    volumes
}

/// `27 1 254:0 / /mnt/a\040b rw,relatime shared:1 - ext4 /dev/vda rw`.
fn parse_line(line: &str) -> Option<Volume> {
    let (mount, source) = line.split_once(" - ")?;
    let mut fields = mount.split(' ');
    let (major, minor) = fields.nth(2)?.split_once(':')?;
    let mount_point = unescape(fields.nth(1)?);
    let file_system = source.split(' ').next()?.to_owned();
    Some(Volume { device: (major.parse().ok()?, minor.parse().ok()?), mount_point: mount_point.into(), file_system })
}

/// Blanks, tabs, line breaks and backslashes are written as three octal digits.
fn unescape(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.split_at_checked(3).filter(|_| first == b'\\').and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 8).ok()?, after))
        });
        let (byte, after) = escaped.unwrap_or((first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard
30 25 0:27 / /mnt/with\\040blank rw - tmpfs tmpfs rw
31 27 254:0 /home /home rw,relatime - ext4 /dev/vda rw
nonsense
";

    #[test]
    fn each_file_system_is_one_volume() {
        let volumes = parse(MOUNTS);
        assert_eq!(volumes.len(), 3);
        assert_eq!(volumes[1].file_system, "ext4");
        assert_eq!(volumes[2].mount_point.to_str(), Some("/mnt/with blank"));
        let bind_first = "1 0 8:1 /a /a rw - ext4 d rw\n2 1 8:1 / / rw - ext4 d rw\n";
        assert!(parse(bind_first)[0].is_root());
    }

    #[test]
    fn names_are_those_of_windows_and_are_found_again() {
        let volumes = parse(MOUNTS);
        assert_eq!(volumes[1].name(), r"\Device\HarddiskVolume1");
        assert_eq!(volumes[0].name(), r"\Device\HarddiskVolume23");
        for name in [r"\device\harddiskvolume1", r"\Device\HarddiskVolume1\", "C:", r"c:\", "/"] {
            assert!(volumes[1].is_called(name), "{name}");
        }
        assert!(volumes[2].is_called("/mnt/with blank/") && !volumes[2].is_called("C:"));
        assert!(!volumes[1].is_called("") && !volumes[1].is_called(r"\Device\HarddiskVolume12"));
    }
}
