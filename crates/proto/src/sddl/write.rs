//! Descriptors into text, as Windows writes them.
use super::NO_ACCESS_CONTROL;
use super::tables::{FLAGS, KINDS, LABEL_RIGHTS, RIGHT_SETS, RIGHTS};
use crate::descriptor::{Ace, AceKind, Acl, AclKind, SecurityDescriptor};
use crate::mask::AccessMask;
use crate::sid::{Known, Sid};
use std::fmt::{self, Write};

/// Writes SDDL as Windows does; with `{:#}`, Linux users and groups as `uid:1000` and `gid:100`.
impl fmt::Display for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, sid) in [("O:", &self.owner), ("G:", &self.group)] {
            if let Some(sid) = sid {
                f.write_str(part)?;
                write_sid(sid, f)?;
            }
        }
        for (kind, acl) in [(AclKind::Dacl, &self.dacl), (AclKind::Sacl, &self.sacl)] {
            if *acl == Acl::Absent {
                continue;
            }
            f.write_str(kind.prefix())?;
            write_tokens(
                kind.control_tokens().filter(|(_, flag)| self.control.contains(*flag)).map(|(token, _)| token),
                f,
            )?;
            match acl.entries() {
                None => f.write_str(NO_ACCESS_CONTROL)?,
                Some(entries) => entries.iter().try_for_each(|ace| fmt::Display::fmt(ace, f))?,
            }
        }
        Ok(())
    }
}

/// Writes the entry as in SDDL, with its parentheses.
impl fmt::Display for Ace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        write_tokens(KINDS.iter().filter(|(.., kind)| *kind == Some(self.kind)).map(|(token, ..)| *token), f)?;
        f.write_char(';')?;
        write_tokens(FLAGS.iter().filter(|(_, flag)| self.flags.contains(*flag)).map(|(token, _)| *token), f)?;
        f.write_char(';')?;
        write_mask(self.mask, self.kind, f)?;
        f.write_str(";;;")?;
        write_sid(&self.sid, f)?;
        f.write_char(')')
    }
}

/// In letters where there are some for the whole or for each bit, else as a number.
fn write_mask(mask: AccessMask, kind: AceKind, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let bits = mask.bits();
    let (sets, letters) = match kind {
        AceKind::Label => (&[][..], LABEL_RIGHTS),
        _ => (RIGHT_SETS, RIGHTS),
    };
    if let Some((token, _)) = sets.iter().find(|(_, right)| *right == bits) {
        return f.write_str(token);
    }
    if letters.iter().fold(bits, |rest, (_, right)| rest & !right) != 0 {
        return write!(f, "{bits:#x}");
    }
    write_tokens(letters.iter().filter(|(_, right)| bits & right != 0).map(|(token, _)| *token), f)
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
