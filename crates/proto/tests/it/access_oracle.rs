//! The access check and the two forms of a descriptor against Samba's.
//!
//! The stored answers are always tested. With python3-samba installed, Samba is asked afresh, about more cases, and
//! with `FLTMGR_ORACLE_ROUNDS=40` about a million. Its answers are stored again by `FLTMGR_STORE_ORACLE=1 cargo test -p
//! fltmgr-proto --test it samba_answers`.
//!
//! Samba does not map generic rights, so it is asked about mapped ones. It takes entries at their word that grant
//! ACCESS_SYSTEM_SECURITY or MAXIMUM_ALLOWED, which only a privilege can give and which nobody can: the cases here have
//! no such entries (`access_cases` has).
use fltmgr_proto::access::{AccessMask, GenericMapping, Privileges, Token, access_check};
use fltmgr_proto::descriptor::{Ace, AceFlags, AceKind, Acl, AclKind, Control, SecurityDescriptor};
use fltmgr_proto::sid::Sid;
use fltmgr_proto::status::Status;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};

const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/samba_access.py");
const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/answers.tsv");
const SEED: u64 = 0xF17_3A9;
const CASES: usize = 25_000;
const STORED_CASES: usize = 2_500;

/// What the check says: rights or a refusal.
type Answer = Result<AccessMask, Status>;

struct Case {
    descriptor: SecurityDescriptor,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    privileges: Privileges,
    desired: AccessMask,
}

impl Case {
    fn token(&self) -> Token {
        Token { privileges: self.privileges, ..Token::for_unix(self.uid, self.gid, &self.groups) }
    }

    fn ours(&self) -> Answer {
        access_check(&self.descriptor, &self.token(), self.desired, &GenericMapping::PORT)
    }

    /// The question in the script's words, with generic rights mapped.
    fn question(&self) -> Value {
        let mut descriptor = self.descriptor.clone();
        if let Acl::List(entries) = &mut descriptor.dacl {
            entries.iter_mut().for_each(|ace| ace.mask = GenericMapping::PORT.map(ace.mask));
        }
        json!({
            "descriptor": hex(&descriptor.to_bytes().unwrap()),
            "sids": self.token().sids.iter().map(Sid::to_string).collect::<Vec<_>>(),
            "privileges": self.privileges.iter_names().map(|(name, _)| name).collect::<Vec<_>>(),
            "desired": GenericMapping::PORT.map(self.desired).bits(),
        })
    }

    /// One line of the file: which token asks, for what, of what; then Samba's answer.
    fn store(&self, samba: Answer) -> String {
        let groups = self.groups.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let samba = match samba {
            Ok(granted) => format!("{:#x}", granted.bits()),
            Err(status) => format!("{:#X}!", status.0),
        };
        let Self { descriptor, uid, gid, privileges, desired, .. } = self;
        format!("{uid}\t{gid}\t{groups}\t{}\t{:#x}\t{descriptor:#}\t{samba}", privileges.bits(), desired.bits())
    }

    fn load(line: &str) -> (Self, Answer) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[uid, gid, groups, privileges, desired, descriptor, samba] = fields.as_slice() else {
            panic!("not seven fields: {line}")
        };
        let case = Self {
            descriptor: descriptor.parse().unwrap(),
            uid: uid.parse().unwrap(),
            gid: gid.parse().unwrap(),
            groups: groups.split(',').filter(|group| !group.is_empty()).map(|group| group.parse().unwrap()).collect(),
            privileges: Privileges::from_bits(privileges.parse().unwrap()).unwrap(),
            desired: mask(desired),
        };
        let samba = match samba.strip_suffix('!') {
            Some(status) => Err(Status(mask(status).bits())),
            None => Ok(mask(samba)),
        };
        (case, samba)
    }

    /// Where Samba is known to differ from MS-DTYP, which we follow: the name of the difference.
    fn known_difference(&self, samba: Answer) -> Option<&'static str> {
        let maximum = self.desired.contains(AccessMask::MAXIMUM_ALLOWED);
        let audit = self.desired.contains(AccessMask::ACCESS_SYSTEM_SECURITY);
        match self.descriptor.dacl {
            // No policy, so everything is allowed; Samba denies.
            Acl::Absent if samba == Err(Status::ACCESS_DENIED) => Some("no list at all"),
            // Everything of this kind of object; Samba grants what was asked for, or all rights of a file.
            Acl::Absent | Acl::Null if maximum => Some("no list and MAXIMUM_ALLOWED"),
            // The privilege is needed even then; Samba grants without.
            Acl::Null if audit && samba.is_ok() => Some("NULL list and ACCESS_SYSTEM_SECURITY"),
            // Nothing is not "whatever I may have"; Samba grants the empty set.
            Acl::List(_) if maximum && samba == Ok(AccessMask::empty()) => Some("MAXIMUM_ALLOWED is nothing"),
            _ => None,
        }
    }
}

fn mask(hexadecimal: &str) -> AccessMask {
    let digits = hexadecimal.strip_prefix("0x").unwrap_or_else(|| panic!("not hexadecimal: {hexadecimal}"));
    AccessMask::from_bits_retain(u32::from_str_radix(digits, 16).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs.iter().map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Compares, and tells how often each known difference was met.
fn compare(answers: impl Iterator<Item = (Case, Answer)>) -> BTreeMap<&'static str, usize> {
    let mut seen = BTreeMap::new();
    for (case, samba) in answers {
        let ours = case.ours();
        let class = match ours == samba {
            true => "equal",
            false => case.known_difference(samba).unwrap_or_else(|| {
                panic!(
                    "Samba says {samba:?}, we say {ours:?}, and no known difference explains it: {}",
                    case.store(samba)
                )
            }),
        };
        *seen.entry(class).or_default() += 1;
    }
    seen
}

/// Random, and the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// All that a port has, or most of it, or a few bits, among them generic ones.
    fn rights(&mut self) -> AccessMask {
        const BITS: &[u32] = &[
            0x1,
            0x2,
            0x4,
            0x8000,
            0x1_0000,
            0x2_0000,
            0x4_0000,
            0x8_0000,
            0x10_0000,
            0x1000_0000,
            0x2000_0000,
            0x4000_0000,
            0x8000_0000,
        ];
        let any = |random: &mut Self| (0..1 + random.below(4)).fold(0, |mask, _| mask | random.pick(BITS));
        AccessMask::from_bits_retain(match self.below(6) {
            0 | 1 => AccessMask::PORT_ALL_ACCESS.bits(),
            2 => AccessMask::PORT_ALL_ACCESS.bits() & !any(self),
            _ => any(self),
        })
    }

    fn sid(&mut self) -> Sid {
        const SIDS: &[Sid] = &[
            Sid::from_uid(0),
            Sid::from_uid(1000),
            Sid::from_uid(1001),
            Sid::from_gid(27),
            Sid::from_gid(100),
            Sid::EVERYONE,
            Sid::AUTHENTICATED_USERS,
            Sid::SYSTEM,
            Sid::ADMINISTRATORS,
        ];
        self.pick(SIDS)
    }

    fn ace(&mut self) -> Ace {
        let kind = if self.percent(70) { AceKind::Allow } else { AceKind::Deny };
        let flags = match self.below(5) {
            0 => AceFlags::INHERIT_ONLY,
            1 => AceFlags::from_bits_truncate(self.next() as u8).difference(AceFlags::CRITICAL),
            _ => AceFlags::empty(),
        };
        let sid = if self.percent(12) { Sid::OWNER_RIGHTS } else { self.sid() };
        Ace { kind, flags, mask: self.rights(), sid }
    }

    fn descriptor(&mut self) -> SecurityDescriptor {
        let owner = self.percent(80).then(|| self.sid());
        let group = self.percent(20).then(|| self.sid());
        let control = Control::from_bits_truncate(self.next() as u16).intersection(AclKind::Dacl.control());
        let sacl = Acl::Absent;
        match self.below(30) {
            0 => SecurityDescriptor { owner, group, dacl: Acl::Absent, sacl, control: Control::empty() },
            1 => SecurityDescriptor { owner, group, dacl: Acl::Null, sacl, control },
            _ => {
                let entries = (0..self.below(7)).map(|_| self.ace()).collect();
                SecurityDescriptor { owner, group, dacl: Acl::List(entries), sacl, control }
            }
        }
    }

    /// Audit alone: Samba 4.17 reads no letters of a label's rights.
    fn sacl(&mut self) -> Acl {
        match self.below(3) {
            0 => Acl::Absent,
            _ => Acl::List((0..self.below(3)).map(|_| Ace { kind: AceKind::Audit, ..self.ace() }).collect()),
        }
    }

    fn case(&mut self) -> Case {
        const MAXIMUM_AND_AUDIT: [AccessMask; 2] = [AccessMask::MAXIMUM_ALLOWED, AccessMask::ACCESS_SYSTEM_SECURITY];
        let groups = [27, 100, 4].into_iter().filter(|_| self.percent(40)).collect();
        let privileges = match self.below(4) {
            0 => Privileges::from_bits_truncate(self.next() as u32),
            _ => Privileges::empty(),
        };
        let special = MAXIMUM_AND_AUDIT.into_iter().filter(|_| self.percent(15)).collect::<AccessMask>();
        Case {
            descriptor: self.descriptor(),
            uid: self.pick(&[0, 1000, 1001]),
            gid: self.pick(&[0, 27, 100]),
            groups,
            privileges,
            desired: if self.percent(3) { special } else { self.rights() | special },
        }
    }
}

/// Asks Samba; nothing if it is not there.
fn ask_samba(questions: &[Value]) -> Option<Vec<Value>> {
    let installed = Command::new(PYTHON).args(["-c", "import samba.dcerpc.security"]).stderr(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("\nSKIP oracle: python3-samba is not installed\n"),
        );
        return None;
    }
    let mut samba =
        Command::new(PYTHON).arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 starts");
    let (mut stdin, stdout) = (samba.stdin.take().unwrap(), BufReader::new(samba.stdout.take().unwrap()));
    let answers: Vec<Value> = std::thread::scope(|scope| {
        scope.spawn(move || questions.iter().for_each(|question| writeln!(stdin, "{question}").unwrap()));
        stdout.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    });
    assert!(samba.wait().unwrap().success(), "the oracle failed");
    assert_eq!(answers.len(), questions.len());
    Some(answers)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().map(|number| u32::try_from(number).unwrap())
}

#[test]
fn stored_answers() {
    let text = std::fs::read_to_string(STORED).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let seen = compare(lines.map(Case::load));
    assert!(seen.values().sum::<usize>() >= 2_000, "{seen:?}");
    assert!(seen["equal"] >= 1_900, "{seen:?}");
}

#[test]
fn samba_answers_the_same() {
    let rounds = std::env::var("FLTMGR_ORACLE_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number of rounds"));
    let mut random = Random(SEED);
    for round in 0..rounds {
        let cases: Vec<Case> = (0..CASES).map(|_| random.case()).collect();
        let questions: Vec<Value> = cases.iter().map(Case::question).collect();
        let Some(answers) = ask_samba(&questions) else { return };
        let answers = answers.iter().map(read_answer);
        let answered: Vec<(Case, Answer)> = cases.into_iter().zip(answers).collect();
        if round == 0 && std::env::var_os("FLTMGR_STORE_ORACLE").is_some() {
            store(&answered[..STORED_CASES]);
        }
        let seen = compare(answered.into_iter());
        eprintln!("{CASES} cases, by difference from Samba: {seen:?}");
    }
}

fn read_answer(answer: &Value) -> Answer {
    match (number(&answer["granted"]), number(&answer["status"])) {
        (Some(granted), None) => Ok(AccessMask::from_bits_retain(granted)),
        (None, Some(status)) => Err(Status(status)),
        _ => panic!("no answer: {answer}"),
    }
}

fn store(answered: &[(Case, Answer)]) {
    let mut text = String::from(
        "# Samba's answers to random questions: uid, gid, groups, privileges, desired, descriptor, granted or status!.\n\
         # Made by: FLTMGR_STORE_ORACLE=1 cargo test -p fltmgr-proto --test it samba_answers\n",
    );
    for (case, samba) in answered {
        writeln!(text, "{}", case.store(*samba)).unwrap();
    }
    std::fs::write(STORED, text).unwrap();
}

fn with_sacl(random: &mut Random) -> SecurityDescriptor {
    let mut descriptor = SecurityDescriptor { sacl: random.sacl(), ..random.descriptor() };
    if descriptor.sacl != Acl::Absent {
        descriptor.control |= AclKind::Sacl.control().intersection(Control::from_bits_truncate(random.next() as u16));
    }
    descriptor
}

/// Samba reads our bytes and our text as we meant them, and we read its.
#[test]
fn samba_reads_and_writes_the_same_descriptors() {
    let mut random = Random(SEED);
    // Samba 4.17 knows no text for a NULL list and no letters for the rights of keys, and reads the flags of an empty
    // list together with the "S" that follows.
    let is_of_keys = |ace: &Ace| [0xF_003F, 0x2_0019, 0x2_0006].contains(&ace.mask.bits());
    let has_letters_of_keys = |acl: &Acl| acl.entries().is_some_and(|entries| entries.iter().any(is_of_keys));
    let readable = |descriptor: &SecurityDescriptor| match descriptor.dacl.entries() {
        _ if has_letters_of_keys(&descriptor.dacl) || has_letters_of_keys(&descriptor.sacl) => false,
        Some(entries) => !entries.is_empty() || descriptor.sacl == Acl::Absent,
        None => descriptor.dacl == Acl::Absent,
    };
    let descriptors: Vec<SecurityDescriptor> =
        std::iter::repeat_with(|| with_sacl(&mut random)).filter(readable).take(2_000).collect();
    let as_bytes = descriptors.iter().map(|it| json!({ "descriptor": hex(&it.to_bytes().unwrap()) }));
    let as_text = descriptors.iter().map(|it| json!({ "sddl": it.to_string() }));
    let questions: Vec<Value> = as_bytes.chain(as_text).collect();
    let Some(answers) = ask_samba(&questions) else { return };
    let (texts, bytes) = answers.split_at(descriptors.len());
    for ((descriptor, text), bytes) in descriptors.iter().zip(texts).zip(bytes) {
        let text = text["sddl"].as_str().unwrap_or_else(|| panic!("{text} for the bytes of {descriptor}"));
        assert_eq!(text.parse().as_ref(), Ok(descriptor), "we wrote {descriptor}, Samba read {text}");
        let bytes = bytes["descriptor"].as_str().unwrap_or_else(|| panic!("{bytes} for {descriptor}"));
        assert_eq!(SecurityDescriptor::from_bytes(&unhex(bytes)).as_ref(), Ok(descriptor));
    }
}
