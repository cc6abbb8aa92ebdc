//! Security descriptors as text: the Security Descriptor Definition Language of Windows.
//!
//! `O:SYG:SYD:P(A;;0x1f0001;;;BA)(D;;GA;;;S-1-22-1-1000)S:(ML;;NW;;;LW)`: owner, group, rights, label and audit. Beyond Windows, a SID may be written `uid:1000` or `gid:100`, space may stand between the parts, and the parts
//! come in any order. Names of users are not looked up here.
use crate::descriptor::{Ace, AceFlags, AceKind, Acl, AclKind, Control, MAX_LIST_LEN, SecurityDescriptor};
use crate::integrity::Integrity;
use crate::mask::AccessMask;
use crate::sid::{Domain, Known, Sid};
use crate::syntax::Cursor;
use std::str::FromStr;
use tables::{FLAGS, KINDS, LABEL_RIGHTS, RIGHT_SETS, RIGHTS};

mod tables;
mod write;

pub use crate::syntax::{Problem, SyntaxError};

const NO_ACCESS_CONTROL: &str = "NO_ACCESS_CONTROL";

/// Reads SDDL. The error names the column and what was expected there.
impl FromStr for SecurityDescriptor {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let (mut owner, mut group, mut dacl, mut sacl) = (None, None, None, None);
        let mut control = Control::empty();
        loop {
            cursor.skip_spaces();
            let part = cursor.clone();
            if cursor.eat("O:") && owner.is_none() {
                owner = Some(read_sid(&mut cursor)?);
            } else if cursor.eat("G:") && group.is_none() {
                group = Some(read_sid(&mut cursor)?);
            } else if cursor.eat(AclKind::Dacl.prefix()) && dacl.is_none() {
                dacl = Some(read_acl(&mut cursor, AclKind::Dacl, &mut control)?);
            } else if cursor.eat(AclKind::Sacl.prefix()) && sacl.is_none() {
                sacl = Some(read_acl(&mut cursor, AclKind::Sacl, &mut control)?);
            } else {
                part.end("O:, G:, D: or S:, each at most once")?;
                let (dacl, sacl) = (dacl.unwrap_or(Acl::Absent), sacl.unwrap_or(Acl::Absent));
                return Ok(Self { owner, group, dacl, sacl, control });
            }
        }
    }
}

/// The rest of a list, after its "D:" or "S:".
fn read_acl(cursor: &mut Cursor<'_>, kind: AclKind, control: &mut Control) -> Result<Acl, SyntaxError> {
    cursor.skip_spaces();
    if cursor.eat(NO_ACCESS_CONTROL) {
        return Ok(Acl::Null);
    }
    while let Some((_, flag)) = kind.control_tokens().find(|(token, _)| cursor.eat(token)) {
        *control |= flag;
    }
    if cursor.eat(NO_ACCESS_CONTROL) {
        return Ok(Acl::Null);
    }
    let (mut entries, mut len) = (Vec::new(), 0);
    loop {
        // What follows the list may stand apart from it.
        let mut ahead = cursor.clone();
        ahead.skip_spaces();
        if !ahead.eat("(") {
            return Ok(Acl::List(entries));
        }
        let ace = read_ace(&mut ahead, kind)?;
        len += ace.len();
        if len > MAX_LIST_LEN {
            return Err(cursor.unsupported("the list is longer than 65535 bytes in binary form: use a group"));
        }
        entries.push(ace);
        *cursor = ahead;
    }
}

/// The rest of an entry: kind, flags, rights, two identifiers of object entries, SID.
fn read_ace(cursor: &mut Cursor<'_>, list: AclKind) -> Result<Ace, SyntaxError> {
    let kind = read_kind(cursor, list)?;
    cursor.expect(";", "\";\" after the kind")?;
    let mut flags = AceFlags::empty();
    while let Some((_, flag)) = FLAGS.iter().find(|(token, _)| cursor.eat(token)) {
        flags |= *flag;
    }
    cursor.expect(";", "a flag (OI, CI, NP, IO, ID, …) or \";\" after the flags")?;
    let mask = match kind {
        AceKind::Label => read_mask(cursor, &[LABEL_RIGHTS])?,
        _ => read_mask(cursor, &[RIGHTS, RIGHT_SETS])?,
    };
    cursor.expect(
        ";",
        match kind {
            AceKind::Label => "NW, NR, NX or \";\" after them",
            _ => "a right (GA, RC, FR, …) or \";\" after the rights",
        },
    )?;
    cursor.expect(";", "\";\": only object entries have an object type")?;
    cursor.expect(";", "\";\": only object entries have an inherited object type")?;
    let start = cursor.clone();
    let sid = read_sid(cursor)?;
    if kind == AceKind::Label && Integrity::of(&sid).is_none() {
        return Err(start.expected("the level of a label: LW, ME, HI, SI or S-1-16-NUMBER"));
    }
    cursor.expect(")", "\")\" after the SID")?;
    Ok(Ace { kind, flags, mask, sid })
}

fn read_kind(cursor: &mut Cursor<'_>, list: AclKind) -> Result<AceKind, SyntaxError> {
    let (start, letters) = (cursor.clone(), cursor.take_while(|c| c.is_ascii_alphabetic()));
    let supported = match list {
        AclKind::Dacl => "A and D",
        AclKind::Sacl => "ML, AU and AL",
    };
    let named = KINDS.iter().find(|(token, ..)| token.eq_ignore_ascii_case(letters));
    match named {
        Some((.., Some(kind))) if kind.list() == list => Ok(*kind),
        Some((token, name, Some(kind))) => Err(start.unsupported(format!(
            "{name} ({token}) stand in {}, not in {}",
            kind.list().prefix(),
            list.prefix()
        ))),
        Some((token, name, None)) => {
            Err(start.unsupported(format!("{name} ({token}) are not supported: only {supported} are")))
        }
        None => Err(start.expected(match list {
            AclKind::Dacl => "the kind of an entry, A or D",
            AclKind::Sacl => "the kind of an entry, ML, AU or AL",
        })),
    }
}

fn read_mask(cursor: &mut Cursor<'_>, letters: &[&[(&str, u32)]]) -> Result<AccessMask, SyntaxError> {
    let mut bits = 0;
    if cursor.rest().starts_with(|c: char| c.is_ascii_digit()) {
        bits = cursor.number_u32("rights as a number of 32 bits, without leading zero")?;
    } else {
        while let Some((_, right)) = letters.iter().copied().flatten().find(|(token, _)| cursor.eat(token)) {
            bits |= right;
        }
    }
    Ok(AccessMask::from_bits_retain(bits))
}

fn read_sid(cursor: &mut Cursor<'_>) -> Result<Sid, SyntaxError> {
    if cursor.eat("uid:") {
        refuse_name(cursor, "uid:0", "id -u")?;
        return cursor.decimal_u32("the number of a user").map(Sid::from_uid);
    }
    if cursor.eat("gid:") {
        refuse_name(cursor, "gid:0", "getent group")?;
        return cursor.decimal_u32("the number of a group").map(Sid::from_gid);
    }
    if cursor.clone().eat("S-") {
        return Sid::read(cursor);
    }
    let start = cursor.clone();
    let alias = cursor.rest().get(..2).unwrap_or_default();
    cursor.eat(alias);
    if !at_the_end_of_a_sid(cursor) {
        *cursor = start;
        refuse_name(cursor, "SY or uid:0", "id")?;
        return Err(cursor.expected(ANY_SID));
    }
    match (Known::by_alias(alias), Domain::by_alias(alias)) {
        (Some(known), _) => Ok(known.sid),
        (_, Some(domain)) => Err(start.unsupported(domain.sentence())),
        _ => Err(start.expected(ANY_SID)),
    }
}

const ANY_SID: &str = "a SID (S-1-…), an alias (BA, SY, WD, …), uid:NUMBER or gid:NUMBER";

/// What may follow a SID: a delimiter, or the next part.
fn at_the_end_of_a_sid(cursor: &Cursor<'_>) -> bool {
    let rest = cursor.rest();
    let delimited = rest.starts_with(|c: char| c.is_ascii_whitespace() || ";)".contains(c));
    rest.is_empty() || delimited || ["O:", "G:", "D:", "S:"].iter().any(|part| cursor.clone().eat(part))
}

/// Explains a name that stands where a number should: `root` is the user or group of that name, and `tool` shows the
/// numbers of others.
fn refuse_name(cursor: &Cursor<'_>, root: &str, tool: &str) -> Result<(), SyntaxError> {
    let name = cursor.clone().take_while(|c| c.is_alphanumeric() || "_-.".contains(c));
    if !name.starts_with(char::is_alphabetic) {
        return Ok(());
    }
    Err(cursor.unsupported(match Known::by_name(name) {
        _ if name == "root" => format!("names are not looked up: write {root} for root"),
        Some(known) => format!("names are not looked up: write {} for {}", known.alias, known.name),
        None => format!("names are not looked up: write uid:NUMBER or gid:NUMBER, which \"{tool} {name}\" shows"),
    }))
}
