//! The users that a descriptor admits, in words: for the message to a user whom it refuses.
use super::{Token, check_connect};
use crate::descriptor::{Ace, AceKind, Acl, SecurityDescriptor};
use crate::integrity::Integrity;
use crate::sid::Sid;

/// The users that the descriptor lets connect, in words that finish a sentence: "\ScannerPort admits …".
///
/// `Administrators and SYSTEM (root), group 100 (gid:100), but not user 1000 (uid:1000)`. Each entry is tried by
/// itself: a user who gets in only because two entries together give enough is not named.
pub fn explain(descriptor: &SecurityDescriptor) -> String {
    let by_list = explain_list(&SecurityDescriptor { sacl: Acl::Absent, ..descriptor.clone() });
    let by_label_alone = SecurityDescriptor { dacl: Acl::Null, ..descriptor.clone() };
    let passes = |integrity| check_connect(&by_label_alone, &Token { integrity, ..Token::default() }).is_ok();
    match (passes(Integrity::MEDIUM), passes(Integrity::SYSTEM)) {
        (true, _) => by_list,
        (false, true) => format!("{by_list}; and of these only root, for its mandatory label is above Medium"),
        (false, false) => String::from("nobody: its mandatory label is above every process"),
    }
}

/// [`explain`] for a descriptor without a label.
fn explain_list(descriptor: &SecurityDescriptor) -> String {
    let Some(entries) = descriptor.entries() else {
        return String::from("everyone: it has no list of entries");
    };
    if entries.is_empty() {
        return String::from("nobody: its list of entries is empty");
    }
    let granted = named(entries, AceKind::Allow);
    let (admitted, refused): (Vec<Sid>, Vec<Sid>) =
        granted.into_iter().partition(|sid| check_connect(descriptor, &typical(*sid, descriptor.owner)).is_ok());
    if admitted.is_empty() {
        return match refused.is_empty() {
            true => String::from("nobody: no entry grants anything"),
            false => format!(
                "nobody: connecting needs all of FLT_PORT_ALL_ACCESS (0x1f0001), and {} cannot get that",
                list(&refused)
            ),
        };
    }
    let mut sentence = list(&admitted);
    // A denial below everything that admits takes nothing away.
    let last = entries.iter().rposition(|ace| ace.kind == AceKind::Allow && admitted.contains(&ace.sid)).unwrap_or(0);
    let excluded: Vec<Sid> = named(entries.get(..last).unwrap_or_default(), AceKind::Deny)
        .into_iter()
        .filter(|sid| !admitted.contains(sid))
        .collect();
    if !excluded.is_empty() {
        sentence += &format!(", but not {}", list(&excluded));
    }
    sentence
}

/// The SIDs of all entries of one kind, each once, in the order of the list.
fn named(entries: &[Ace], kind: AceKind) -> Vec<Sid> {
    let mut sids = Vec::new();
    for ace in entries {
        if ace.kind == kind && ace.applies() && !sids.contains(&ace.sid) {
            sids.push(ace.sid);
        }
    }
    sids
}

/// A user of whom no more is known than this SID.
fn typical(sid: Sid, owner: Option<Sid>) -> Token {
    let sid = if sid == Sid::OWNER_RIGHTS { owner.unwrap_or(sid) } else { sid };
    let mut token = Token { sids: vec![sid, Sid::EVERYONE, Sid::AUTHENTICATED_USERS], ..Token::default() };
    if sid.is_root() {
        token.sids.extend([Sid::from_uid(0), Sid::SYSTEM, Sid::ADMINISTRATORS]);
    }
    token
}

/// "Administrators and SYSTEM (root), group 100 (gid:100)"; what stands for root comes first.
fn list(sids: &[Sid]) -> String {
    let (root, others): (Vec<&Sid>, Vec<&Sid>) = sids.iter().partition(|sid| sid.is_root());
    let mut parts = Vec::new();
    if !root.is_empty() {
        let names: Vec<&str> = root.iter().filter_map(|sid| sid.name()).collect();
        parts.push(if names.is_empty() {
            String::from("root (uid:0)")
        } else {
            format!("{} (root)", names.join(" and "))
        });
    }
    parts.extend(others.into_iter().map(describe));
    parts.join(", ")
}

fn describe(sid: &Sid) -> String {
    match (sid.uid(), sid.gid(), sid.name()) {
        (Some(uid), ..) => format!("user {uid} (uid:{uid})"),
        (_, Some(gid), _) => format!("group {gid} (gid:{gid})"),
        (.., Some(name)) if [Sid::EVERYONE, Sid::AUTHENTICATED_USERS, Sid::OWNER_RIGHTS].contains(sid) => {
            name.to_string()
        }
        (.., Some(name)) => format!("{name} (nobody on Linux)"),
        _ => format!("{sid} (nobody on Linux)"),
    }
}
