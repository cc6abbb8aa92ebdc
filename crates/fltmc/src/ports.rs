//! `fltmc ports`: the live ports, their owners, what they admit and which processes use them.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use fltmgr::PortName;
use fltmgr::namespace::Namespace;
use proto::access::{Token, check_connect};
use proto::descriptor::SecurityDescriptor;
use serde::Serialize;

use crate::args::Ports;
use crate::exit::Failure;
use crate::output::{self, DIM, Safe, WARN};
use crate::port;

/// A user in no group that a descriptor would name: if it is admitted, every user is.
const STRANGER: u32 = u32::MAX - 1;

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    owner: String,
    uid: u32,
    pid: u32,
    /// Nothing if the host did not answer.
    connections: Option<u32>,
    max_connections: Option<u32>,
    /// The processes that use the connections.
    connected: Vec<Connected>,
    descriptor: String,
    anyone_may_connect: bool,
    namespace: String,
}

#[derive(Debug, Serialize)]
struct Connected {
    /// In the pid namespace of the port's host; 0: it has no number there.
    pid: u32,
    uid: u32,
    /// The name of the process, if there is still one of that number.
    command: Option<String>,
}

impl From<(u32, u32)> for Connected {
    fn from((pid, uid): (u32, u32)) -> Self {
        Self { pid, uid, command: sys::peer::comm(pid) }
    }
}

impl fmt::Display for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.command, self.pid) {
            (_, 0) => write!(f, "a process of user {}", self.uid),
            (Some(command), pid) => write!(f, "{pid} ({})", Safe(command)),
            (None, pid) => write!(f, "{pid}"),
        }
    }
}

pub(crate) fn ports(args: &Ports) -> Result<ExitCode, Failure> {
    let namespace = Namespace::current();
    let entries = namespace.list().map_err(port::connecting)?;
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let rows: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            let info = entry_info(&entry.namespace, &entry.name);
            let connected = info.iter().flat_map(|info| &info.processes).map(|&process| process.into()).collect();
            let descriptor = info.as_ref().map(|info| info.sddl.clone()).filter(|sddl| !sddl.is_empty());
            let descriptor = descriptor.unwrap_or(entry.sddl);
            Row {
                name: entry.name.to_string(),
                owner: user_name(&users, entry.uid).unwrap_or_else(|| entry.uid.to_string()),
                uid: entry.uid,
                pid: entry.pid,
                connections: info.as_ref().map(|info| info.connections),
                max_connections: info.as_ref().map(|info| info.max_connections),
                connected,
                anyone_may_connect: admits_anyone(&descriptor),
                descriptor,
                namespace: entry.namespace.display().to_string(),
            }
        })
        .collect();
    if args.json {
        rows.iter().try_for_each(output::json)?;
    } else {
        print(&rows, &namespace)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The host's own word, asked in the directory where the port was found: another may hide it under the same name.
fn entry_info(dir: &Path, name: &PortName) -> Option<proto::wire::Info> {
    Namespace::at(dir).info(name).ok()
}

fn print(rows: &[Row], namespace: &Namespace) -> Result<(), Failure> {
    if rows.is_empty() {
        output::noteln!("no live ports in {}", Safe(namespace.dir().display()));
        return Ok(());
    }
    let cells = rows.iter().map(|row| {
        let count = |n: Option<u32>| n.map_or_else(|| "?".into(), |n| n.to_string());
        vec![
            Safe(&row.name).to_string(),
            Safe(&row.owner).to_string(),
            row.pid.to_string(),
            format!("{}/{}", count(row.connections), count(row.max_connections)),
            shown(&row.connected),
            format!("{}{}", if row.anyone_may_connect { "! " } else { "" }, Safe(readable(&row.descriptor))),
            Safe(&row.namespace).to_string(),
        ]
    });
    let heads = ["NAME", "OWNER", "PID", "CONNECTIONS", "CONNECTED", "DESCRIPTOR", "NAMESPACE"];
    output::show(format_args!("{}", output::table(&heads, &cells.collect::<Vec<_>>())))?;
    if rows.iter().any(|row| row.anyone_may_connect) {
        output::showln!("{WARN}!{WARN:#} {DIM}anyone may connect{DIM:#}")?;
    }
    Ok(())
}

/// The first few processes, in words.
fn shown(connected: &[Connected]) -> String {
    const MOST: usize = 4;
    let mut words: Vec<_> = connected.iter().take(MOST).map(Connected::to_string).collect();
    if connected.len() > MOST {
        words.push(format!("and {} more", connected.len() - MOST));
    }
    words.join(", ")
}

/// SDDL with Linux users and groups by their numbers: `uid:1000` instead of `S-1-22-1-1000`.
fn readable(sddl: &str) -> String {
    sddl.parse::<SecurityDescriptor>().map_or_else(|_| sddl.to_owned(), |descriptor| format!("{descriptor:#}"))
}

fn admits_anyone(sddl: &str) -> bool {
    let stranger = Token::for_unix(STRANGER, STRANGER, &[]);
    // A descriptor that cannot be read admits what its host thinks; no claim is made about it.
    sddl.parse::<SecurityDescriptor>().is_ok_and(|descriptor| check_connect(&descriptor, &stranger).is_ok())
}

/// A user's name as /etc/passwd has it. Users that live elsewhere keep their number.
fn user_name(passwd: &str, uid: u32) -> Option<String> {
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.get(2) == Some(&uid.to_string().as_str())).map(|fields| fields[0].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anyone_is_seen_in_each_of_its_forms() {
        for open in ["D:NO_ACCESS_CONTROL", "O:SY", "D:(A;;0x1f0001;;;WD)", "D:(A;;GA;;;AU)"] {
            assert!(admits_anyone(open), "{open}");
        }
        for closed in ["D:", "D:(A;;0x1f0001;;;SY)", "D:(A;;0x1f0001;;;uid:1000)", "D:(A;;0x1;;;WD)", "nonsense"] {
            assert!(!admits_anyone(closed), "{closed}");
        }
    }

    #[test]
    fn processes_are_shown_by_number_and_name() {
        let process = |pid, command: Option<&str>| Connected { pid, uid: 7, command: command.map(str::to_owned) };
        assert_eq!(shown(&[]), "");
        let few = [process(1, Some("init")), process(2, None), process(0, None), process(3, Some("\u{1b}[2J"))];
        assert_eq!(shown(&few), "1 (init), 2, a process of user 7, 3 (\\u{1b}[2J)");
        let many: Vec<_> = (1..=6).map(|pid| process(pid, None)).collect();
        assert_eq!(shown(&many), "1, 2, 3, 4, and 2 more");
    }

    #[test]
    fn users_have_names() {
        let passwd = "root:x:0:0::/root:/bin/sh\nbroken\nsome:x:1000:1000::/:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("some"));
        assert_eq!(user_name(passwd, 1), None);
    }
}
