//! The bytes that a read of a fanotify group gives.

/// FANOTIFY_METADATA_VERSION.
const VERSION: u8 = 3;
/// Size of struct fanotify_event_metadata.
pub const HEADER_LEN: usize = 24;

/// One event, as it stands in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// FAN_… bits.
    pub mask: u64,
    /// The file, or a negative number.
    pub fd: i32,
    /// Process that does it; 0 if it is in a pid namespace that we can not see.
    pub pid: i32,
}

/// Bytes that a kernel would not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// An event that is shorter than its header says, or than a header can be.
    Length,
    /// Another version of the structure: the kernel is too new or too old for us.
    Version(u8),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length => f.write_str("a fanotify event with a wrong length"),
            Self::Version(version) => write!(f, "fanotify events of version {version}, but only {VERSION} is known"),
        }
    }
}

impl std::error::Error for Malformed {}

/// The events in the bytes of one read, in their order. Records that follow an event's header are skipped. After a
/// malformed event there is no next one.
pub fn parse(bytes: &[u8]) -> impl Iterator<Item = Result<RawEvent, Malformed>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let event = next(rest);
        rest = event.map_or(&[], |(_, rest)| rest);
        Some(event.map(|(event, _)| event))
    })
}

fn next(bytes: &[u8]) -> Result<(RawEvent, &[u8]), Malformed> {
    let (header, _) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::Length)?;
    let int = |at: usize| u32::from_ne_bytes(std::array::from_fn(|n| header[at + n]));
    if header[4] != VERSION {
        return Err(Malformed::Version(header[4]));
    }
    let metadata = usize::from(u16::from_ne_bytes([header[6], header[7]]));
    let length = int(0) as usize;
    if metadata < HEADER_LEN || length < metadata || length > bytes.len() {
        return Err(Malformed::Length);
    }
    let mask = u64::from_ne_bytes(std::array::from_fn(|n| header[8 + n]));
    Ok((RawEvent { mask, fd: int(16) as i32, pid: int(20) as i32 }, &bytes[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(mask: u64, fd: i32, pid: i32, records: usize) -> Vec<u8> {
        let mut bytes = ((HEADER_LEN + records) as u32).to_ne_bytes().to_vec();
        bytes.extend([VERSION, 0]);
        bytes.extend((HEADER_LEN as u16).to_ne_bytes());
        bytes.extend(mask.to_ne_bytes());
        bytes.extend(fd.to_ne_bytes());
        bytes.extend(pid.to_ne_bytes());
        bytes.resize(HEADER_LEN + records, 0xaa);
        bytes
    }

    #[test]
    fn layout_is_the_kernels() {
        assert_eq!(size_of::<libc::fanotify_event_metadata>(), HEADER_LEN);
        assert_eq!(std::mem::offset_of!(libc::fanotify_event_metadata, vers), 4);
        assert_eq!(std::mem::offset_of!(libc::fanotify_event_metadata, metadata_len), 6);
        assert_eq!(std::mem::offset_of!(libc::fanotify_event_metadata, mask), 8);
        assert_eq!(std::mem::offset_of!(libc::fanotify_event_metadata, fd), 16);
        assert_eq!(std::mem::offset_of!(libc::fanotify_event_metadata, pid), 20);
    }

    #[test]
    fn every_event_of_a_read_is_given() {
        let bytes = [event(1, 5, 100, 0), event(2, -24, 101, 16), event(1 << 40, 7, 0, 0)].concat();
        let events: Vec<_> = parse(&bytes).map(Result::unwrap).collect();
        let expected = [(1, 5, 100), (2, -24, 101), (1 << 40, 7, 0)];
        assert_eq!(events, expected.map(|(mask, fd, pid)| RawEvent { mask, fd, pid }));
        assert_eq!(parse(&[]).count(), 0);
    }

    #[test]
    fn malformed_bytes_end_it() {
        let good = event(1, 5, 100, 8);
        for cut in 1..good.len() {
            assert_eq!(parse(&good[..cut]).collect::<Vec<_>>(), [Err(Malformed::Length)], "{cut}");
        }
        let with = |at: usize, value: u8| {
            let bytes = [[&good[..at], &[value], &good[at + 1..]].concat(), event(2, 6, 1, 0)].concat();
            parse(&bytes).collect::<Vec<_>>()
        };
        assert_eq!(with(4, 4), [Err(Malformed::Version(4))]);
        assert_eq!(with(6, 23), [Err(Malformed::Length)]);
        assert_eq!(with(6, 255), [Err(Malformed::Length)]);
        assert_eq!(with(0, 0), [Err(Malformed::Length)]);
        assert_eq!(with(3, 255), [Err(Malformed::Length)]);
        assert_eq!(with(0, 32), [Ok(RawEvent { mask: 1, fd: 5, pid: 100 }), Ok(RawEvent { mask: 2, fd: 6, pid: 1 })]);
    }
}
