//! Security descriptors as text: the Security Descriptor Definition Language of Windows.
//!
//! `O:SYG:SYD:P(A;;0x1f0001;;;BA)(D;;GA;;;S-1-22-1-1000)`: owner, group, list of entries. Beyond Windows, a SID may be
//! written `uid:1000` or `gid:100`, space may stand between the parts, and the parts come in any order. Names of users
//! are not looked up here.
use crate::access::AccessMask;
use crate::descriptor::{Ace, AceFlags, AceKind, Control, Dacl, MAX_LIST_LEN, SecurityDescriptor};
use crate::sid::{Known, NEEDS_DOMAIN, Sid};
use std::fmt::{self, Write};
use std::str::FromStr;

mod syntax;

pub(crate) use syntax::Cursor;
pub use syntax::{Problem, SyntaxError};

const NO_ACCESS_CONTROL: &str = "NO_ACCESS_CONTROL";

/// In the order in which they are written.
const CONTROL: &[(&str, Control)] =
    &[("P", Control::PROTECTED), ("AR", Control::AUTO_INHERIT_REQ), ("AI", Control::AUTO_INHERITED)];

const FLAGS: &[(&str, AceFlags)] = &[
    ("OI", AceFlags::OBJECT_INHERIT),
    ("CI", AceFlags::CONTAINER_INHERIT),
    ("NP", AceFlags::NO_PROPAGATE_INHERIT),
    ("IO", AceFlags::INHERIT_ONLY),
    ("ID", AceFlags::INHERITED),
    ("CR", AceFlags::CRITICAL),
    ("SA", AceFlags::SUCCESSFUL_ACCESS),
    ("FA", AceFlags::FAILED_ACCESS),
];

/// Sets of rights that have two letters, as bits.
const RIGHTS: &[(&str, u32)] = &[
    ("GA", AccessMask::GENERIC_ALL.bits()),
    ("GR", AccessMask::GENERIC_READ.bits()),
    ("GW", AccessMask::GENERIC_WRITE.bits()),
    ("GX", AccessMask::GENERIC_EXECUTE.bits()),
    ("RC", AccessMask::READ_CONTROL.bits()),
    ("SD", AccessMask::DELETE.bits()),
    ("WD", AccessMask::WRITE_DAC.bits()),
    ("WO", AccessMask::WRITE_OWNER.bits()),
    // Files.
    ("FA", 0x001F_01FF),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00A0),
    // Registry keys.
    ("KA", 0x000F_003F),
    ("KR", 0x0002_0019),
    ("KW", 0x0002_0006),
    ("KX", 0x0002_0019),
    // Directory services: the first bits, one by one.
    ("CC", 0x0000_0001),
    ("DC", 0x0000_0002),
    ("LC", 0x0000_0004),
    ("SW", 0x0000_0008),
    ("RP", 0x0000_0010),
    ("WP", 0x0000_0020),
    ("DT", 0x0000_0040),
    ("LO", 0x0000_0080),
    ("CR", 0x0000_0100),
];
/// The first so many of [`RIGHTS`] are single bits that mean the same for every kind of object: the only ones that are
/// written.
const GENERAL: usize = 8;

const UNSUPPORTED_KINDS: &[(&str, &str)] = &[
    ("OA", "object allow entries (OA) are not supported: only A and D are"),
    ("OD", "object deny entries (OD) are not supported: only A and D are"),
    ("AU", "audit entries (AU) are not supported: only A and D are"),
    ("AL", "alarm entries (AL) are not supported: only A and D are"),
    ("OU", "object audit entries (OU) are not supported: only A and D are"),
    ("OL", "object alarm entries (OL) are not supported: only A and D are"),
    ("ML", "mandatory labels (ML) are not supported: only A and D are"),
    ("XA", "conditional allow entries (XA) are not supported: only A and D are"),
    ("XD", "conditional deny entries (XD) are not supported: only A and D are"),
    ("XU", "conditional audit entries (XU) are not supported: only A and D are"),
    ("ZA", "conditional object entries (ZA) are not supported: only A and D are"),
    ("RA", "resource attributes (RA) are not supported: only A and D are"),
    ("SP", "scoped policies (SP) are not supported: only A and D are"),
    ("TL", "process trust labels (TL) are not supported: only A and D are"),
    ("FL", "access filters (FL) are not supported: only A and D are"),
];

/// Reads SDDL. The error names the column and what was expected there.
impl FromStr for SecurityDescriptor {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let (mut owner, mut group, mut dacl) = (None, None, None);
        loop {
            cursor.skip_spaces();
            let part = cursor.clone();
            if cursor.eat("O:") && owner.is_none() {
                owner = Some(read_sid(&mut cursor)?);
            } else if cursor.eat("G:") && group.is_none() {
                group = Some(read_sid(&mut cursor)?);
            } else if cursor.eat("D:") && dacl.is_none() {
                dacl = Some(read_dacl(&mut cursor)?);
            } else if cursor.eat("S:") {
                return Err(part.unsupported("an audit list (S:) is not supported: leave it out"));
            } else {
                part.end("O:, G: or D:, each at most once")?;
                let (control, dacl) = dacl.unwrap_or((Control::empty(), Dacl::Absent));
                return Ok(Self { owner, group, dacl, control });
            }
        }
    }
}

fn read_dacl(cursor: &mut Cursor<'_>) -> Result<(Control, Dacl), SyntaxError> {
    let mut control = Control::empty();
    cursor.skip_spaces();
    if cursor.eat(NO_ACCESS_CONTROL) {
        return Ok((control, Dacl::Null));
    }
    while let Some((_, flag)) = CONTROL.iter().find(|(token, _)| cursor.eat(token)) {
        control |= *flag;
    }
    if cursor.eat(NO_ACCESS_CONTROL) {
        return Ok((control, Dacl::Null));
    }
    let (mut entries, mut len) = (Vec::new(), 0);
    loop {
        // What follows the list may stand apart from it.
        let mut ahead = cursor.clone();
        ahead.skip_spaces();
        if !ahead.eat("(") {
            return Ok((control, Dacl::List(entries)));
        }
        let ace = read_ace(&mut ahead)?;
        len += ace.len();
        if len > MAX_LIST_LEN {
            return Err(cursor.unsupported("the list is longer than 65535 bytes in binary form: use a group"));
        }
        entries.push(ace);
        *cursor = ahead;
    }
}

/// The rest of an entry: kind, flags, rights, two identifiers of object entries, SID.
fn read_ace(cursor: &mut Cursor<'_>) -> Result<Ace, SyntaxError> {
    if let Some((_, sentence)) = UNSUPPORTED_KINDS.iter().find(|(token, _)| cursor.clone().eat(token)) {
        return Err(cursor.unsupported(sentence));
    }
    let kind = if cursor.eat("A") {
        AceKind::Allow
    } else if cursor.eat("D") {
        AceKind::Deny
    } else {
        return Err(cursor.expected("the kind of an entry, A or D"));
    };
    cursor.expect(";", "\";\" after the kind")?;
    let mut flags = AceFlags::empty();
    while let Some((_, flag)) = FLAGS.iter().find(|(token, _)| cursor.eat(token)) {
        flags |= *flag;
    }
    cursor.expect(";", "a flag (OI, CI, NP, IO, ID, …) or \";\" after the flags")?;
    let mask = read_mask(cursor)?;
    cursor.expect(";", "a right (GA, RC, FR, …) or \";\" after the rights")?;
    cursor.expect(";", "\";\": only object entries have an object type")?;
    cursor.expect(";", "\";\": only object entries have an inherited object type")?;
    let sid = read_sid(cursor)?;
    cursor.expect(")", "\")\" after the SID")?;
    Ok(Ace { kind, flags, mask, sid })
}

fn read_mask(cursor: &mut Cursor<'_>) -> Result<AccessMask, SyntaxError> {
    let mut bits = 0;
    if cursor.rest().starts_with(|c: char| c.is_ascii_digit()) {
        bits = cursor.number_u32("rights as a number of 32 bits, without leading zero")?;
    } else {
        while let Some((_, right)) = RIGHTS.iter().find(|(token, _)| cursor.eat(token)) {
            bits |= right;
        }
    }
    Ok(AccessMask::from_bits_retain(bits))
}

fn read_sid(cursor: &mut Cursor<'_>) -> Result<Sid, SyntaxError> {
    if cursor.eat("uid:") {
        return cursor.decimal_u32("the number of a user").map(Sid::from_uid);
    }
    if cursor.eat("gid:") {
        return cursor.decimal_u32("the number of a group").map(Sid::from_gid);
    }
    if cursor.clone().eat("S-") {
        return Sid::read(cursor);
    }
    let start = cursor.clone();
    // What follows an alias is a delimiter or the next part, so that two letters are all there is to look at.
    let alias = cursor.rest().get(..2).unwrap_or_default();
    if let Some(known) = Known::by_alias(alias) {
        cursor.eat(alias);
        return Ok(known.sid);
    }
    if NEEDS_DOMAIN.iter().any(|needs| needs.eq_ignore_ascii_case(alias)) {
        return Err(
            start.unsupported("this alias stands for another SID in every domain: write the SID out, S-1-5-21-…")
        );
    }
    Err(start.expected("a SID (S-1-…), an alias (BA, SY, WD, …), uid:NUMBER or gid:NUMBER"))
}

/// Writes SDDL that every tool understands; with `{:#}`, Linux users and groups as `uid:1000` and `gid:100`.
impl fmt::Display for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, sid) in [("O:", &self.owner), ("G:", &self.group)] {
            if let Some(sid) = sid {
                f.write_str(part)?;
                write_sid(sid, f)?;
            }
        }
        if self.dacl == Dacl::Absent {
            return Ok(());
        }
        f.write_str("D:")?;
        write_tokens(CONTROL.iter().filter(|(_, flag)| self.control.contains(*flag)).map(|(token, _)| *token), f)?;
        match self.entries() {
            None => f.write_str(NO_ACCESS_CONTROL),
            Some(entries) => entries.iter().try_for_each(|ace| fmt::Display::fmt(ace, f)),
        }
    }
}

/// Writes the entry as in SDDL, with its parentheses.
impl fmt::Display for Ace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            AceKind::Allow => "(A;",
            AceKind::Deny => "(D;",
        })?;
        write_tokens(FLAGS.iter().filter(|(_, flag)| self.flags.contains(*flag)).map(|(token, _)| *token), f)?;
        f.write_char(';')?;
        write_mask(self.mask, f)?;
        f.write_str(";;;")?;
        write_sid(&self.sid, f)?;
        f.write_char(')')
    }
}

/// General rights by their letters, or a number: the letters of files and keys would say what is not meant, and not
/// every tool reads them alike.
fn write_mask(mask: AccessMask, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let bits = mask.bits();
    let (general, _) = RIGHTS.split_at(GENERAL);
    if general.iter().fold(bits, |rest, (_, right)| rest & !right) != 0 {
        return write!(f, "{bits:#x}");
    }
    write_tokens(general.iter().filter(|(_, right)| bits & right != 0).map(|(token, _)| *token), f)
}

fn write_sid(sid: &Sid, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(known) = Known::by_sid(sid) {
        return f.write_str(known.alias);
    }
    match (f.alternate(), sid.uid(), sid.gid()) {
        (true, Some(uid), _) => write!(f, "uid:{uid}"),
        (true, _, Some(gid)) => write!(f, "gid:{gid}"),
        _ => write!(f, "{sid}"),
    }
}

fn write_tokens<'a>(mut tokens: impl Iterator<Item = &'a str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    tokens.try_for_each(|token| f.write_str(token))
}
