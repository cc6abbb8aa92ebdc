//! Security identifiers: the names of users and groups, in a form that fits those of any system.
//!
//! Linux users and groups are written as Samba writes them: user n is S-1-22-1-n, group n is S-1-22-2-n.
use crate::status::Status;
use crate::syntax::{Cursor, SyntaxError};
use std::fmt;
use std::str::FromStr;

mod known;

pub(crate) use known::{Domain, Known};

/// A security identifier: an authority (48 bits) and up to 15 numbers below it. Lives without heap.
///
/// ```
/// # use fltmgr_proto::sid::Sid;
/// let administrators: Sid = "S-1-5-32-544".parse()?;
/// assert_eq!(administrators, Sid::ADMINISTRATORS);
/// assert_eq!(Sid::from_uid(1000).to_string(), "S-1-22-1-1000");
/// # Ok::<(), fltmgr_proto::sddl::SyntaxError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid {
    authority: u64,
    len: u8,
    /// Zero from `len` on, so that equal identifiers are equal in every byte.
    numbers: [u32; Self::MAX_SUB_AUTHORITIES],
}

/// Bytes that are no security identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SidError {
    /// The first byte is not 1.
    Revision(u8),
    /// More sub-authorities than [`Sid::MAX_SUB_AUTHORITIES`].
    SubAuthorities(u8),
    /// It needs more bytes than there are.
    Truncated,
}

impl Sid {
    /// The most sub-authorities a SID may have.
    #[doc(alias = "SID_MAX_SUB_AUTHORITIES")]
    pub const MAX_SUB_AUTHORITIES: usize = 15;
    /// The binary length of the longest SID: 68 bytes.
    #[doc(alias = "SECURITY_MAX_SID_SIZE")]
    pub const MAX_LEN: usize = 8 + 4 * Self::MAX_SUB_AUTHORITIES;
    const MAX_AUTHORITY: u64 = (1 << 48) - 1;

    /// Everyone: every token has it.
    pub const EVERYONE: Self = Self::known(1, &[0]);
    /// OWNER RIGHTS: an entry for it says what the owner may do, instead of the two rights an owner has otherwise.
    pub const OWNER_RIGHTS: Self = Self::known(3, &[4]);
    /// Any local user; here every token has it.
    pub const AUTHENTICATED_USERS: Self = Self::known(5, &[11]);
    /// The system itself; here root.
    pub const SYSTEM: Self = Self::known(5, &[18]);
    /// Administrators; here root.
    pub const ADMINISTRATORS: Self = Self::known(5, &[32, 544]);

    /// A SID of revision 1. `None` if the authority needs more than 48 bits or there are more than 15 sub-authorities.
    pub const fn new(authority: u64, sub_authorities: &[u32]) -> Option<Self> {
        if authority > Self::MAX_AUTHORITY || sub_authorities.len() > Self::MAX_SUB_AUTHORITIES {
            return None;
        }
        let mut numbers = [0; Self::MAX_SUB_AUTHORITIES];
        let (used, _) = numbers.split_at_mut(sub_authorities.len());
        used.copy_from_slice(sub_authorities);
        #[expect(clippy::cast_possible_truncation, reason = "at most 15, as was looked at above")]
        let len = sub_authorities.len() as u8;
        Some(Self { authority, len, numbers })
    }

    /// For constants: what does not fit is an error of the compiler.
    pub(crate) const fn known(authority: u64, sub_authorities: &[u32]) -> Self {
        Self::new(authority, sub_authorities).expect("a well-known SID fits")
    }

    /// The SID of a user, S-1-22-1-uid.
    pub const fn from_uid(uid: u32) -> Self {
        Self::known(22, &[1, uid])
    }

    /// The SID of a group, S-1-22-2-gid.
    pub const fn from_gid(gid: u32) -> Self {
        Self::known(22, &[2, gid])
    }

    /// The user this is the SID of: the exact inverse of [`Sid::from_uid`]. `None` for everything else, [`Sid::SYSTEM`]
    /// included.
    pub fn uid(&self) -> Option<u32> {
        self.unix(1)
    }

    /// The group this is the SID of: the exact inverse of [`Sid::from_gid`].
    pub fn gid(&self) -> Option<u32> {
        self.unix(2)
    }

    fn unix(&self, kind: u32) -> Option<u32> {
        match (self.authority, self.sub_authorities()) {
            (22, &[k, id]) if k == kind => Some(id),
            _ => None,
        }
    }

    /// True for the three SIDs that stand for root: user 0, [`Sid::SYSTEM`] and [`Sid::ADMINISTRATORS`].
    pub fn is_root(&self) -> bool {
        [Self::from_uid(0), Self::SYSTEM, Self::ADMINISTRATORS].contains(self)
    }

    /// The authority: 5 is Windows NT, 22 is Unix.
    pub const fn authority(&self) -> u64 {
        self.authority
    }

    /// The numbers below the authority.
    pub fn sub_authorities(&self) -> &[u32] {
        self.numbers.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Length of [`Sid::to_bytes`].
    #[expect(clippy::len_without_is_empty, reason = "no SID is empty")]
    pub const fn len(&self) -> usize {
        8 + 4 * self.len as usize
    }

    /// The binary form: revision 1, count, authority in big-endian, sub-authorities in little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.extend([1, self.len]);
        bytes.extend_from_slice(&self.authority.to_be_bytes()[2..]);
        bytes.extend(self.sub_authorities().iter().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    /// Reads the SID that the bytes start with; [`Sid::len`] says how many it took.
    ///
    /// # Errors
    /// The bytes are too few, of another revision, or say that they have more than 15 sub-authorities.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SidError> {
        let (head, rest) = bytes.split_first_chunk::<8>().ok_or(SidError::Truncated)?;
        let [revision, count, a, b, c, d, e, f] = *head;
        if revision != 1 {
            return Err(SidError::Revision(revision));
        }
        let mut numbers = [0; Self::MAX_SUB_AUTHORITIES];
        let used = numbers.get_mut(..usize::from(count)).ok_or(SidError::SubAuthorities(count))?;
        let (words, _) = rest.as_chunks::<4>();
        let words = words.get(..used.len()).ok_or(SidError::Truncated)?;
        for (number, word) in used.iter_mut().zip(words) {
            *number = u32::from_le_bytes(*word);
        }
        Ok(Self { authority: u64::from_be_bytes([0, 0, a, b, c, d, e, f]), len: count, numbers })
    }

    /// The name of a well-known SID, "Administrators", if it is one.
    pub fn name(&self) -> Option<&'static str> {
        Known::by_sid(self).map(|known| known.name)
    }

    /// Reads "S-1-…" from where the cursor stands.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.expect("S-", "a SID such as S-1-5-18")?;
        cursor.expect("1-", "revision 1 of a SID")?;
        let start = cursor.clone();
        let authority = cursor.number("the authority of a SID")?;
        if authority > Self::MAX_AUTHORITY {
            return Err(start.expected("an authority of at most 48 bits"));
        }
        let mut sid = Self { authority, len: 0, numbers: [0; Self::MAX_SUB_AUTHORITIES] };
        loop {
            let start = cursor.clone();
            if !cursor.eat("-") {
                return Ok(sid);
            }
            let number = read_sub_authority(cursor)?;
            let Some(free) = sid.numbers.get_mut(usize::from(sid.len)) else {
                return Err(start.expected("the end of the SID: it has at most 15 sub-authorities"));
            };
            *free = number;
            sid.len += 1;
        }
    }
}

/// A sub-authority, which unlike the authority is decimal always.
fn read_sub_authority(cursor: &mut Cursor<'_>) -> Result<u32, SyntaxError> {
    const WHAT: &str = "a sub-authority of 32 bits";
    if !cursor.clone().eat("0x") {
        return cursor.decimal_u32(WHAT);
    }
    let number = cursor.clone().number_u32(WHAT)?;
    Err(cursor.unsupported(format!("the sub-authorities of a SID are decimal: write {number} for {number:#x}")))
}

/// Reads "S-1-…". The authority may be hexadecimal, as Windows writes it from 2³² on; the sub-authorities are decimal.
impl FromStr for Sid {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let sid = Self::read(&mut cursor)?;
        cursor.end("the end of the SID")?;
        Ok(sid)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.authority {
            // From here on Windows writes all twelve digits.
            0x1_0000_0000.. => write!(f, "S-1-{:#014X}", self.authority)?,
            _ => write!(f, "S-1-{}", self.authority)?,
        }
        self.sub_authorities().iter().try_for_each(|number| write!(f, "-{number}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revision(found) => write!(f, "a SID of revision {found}, only 1 is known"),
            Self::SubAuthorities(found) => write!(f, "a SID with {found} sub-authorities, at most 15 are allowed"),
            Self::Truncated => f.write_str("a SID that ends too early"),
        }
    }
}

impl std::error::Error for SidError {}

impl From<SidError> for Status {
    fn from(_: SidError) -> Self {
        Self::INVALID_SID
    }
}
