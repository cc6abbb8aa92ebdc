//! Findings: what a driver does wrong, with the rule that it breaks and the line that breaks it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::edge::Place;
use crate::lock;

macro_rules! rules {
    ($($rule:ident $name:literal $strict:literal;)*) => {
        /// A rule that drivers break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rule { $(#[doc = $name] $rule),* }

        impl Rule {
            /// The name that reports use.
            pub fn name(self) -> &'static str {
                match self { $(Self::$rule => $name),* }
            }

            /// Whether most public drivers break it: shown only when asked for.
            pub fn is_strict(self) -> bool {
                match self { $(Self::$rule => $strict),* }
            }
        }
    };
}

rules! {
    Altitude "ALTITUDE" false; Answer "ANSWER" false; Arg "ARG" false; Assert "ASSERT" false; CallbackData "CALLBACK-DATA" false;
    CancelSuccess "CANCEL-SUCCESS" false; CompleteCreate "COMPLETE-CREATE" false; CompleteStatus "COMPLETE-STATUS" false;
    CtxLeak "CTX-LEAK" false; CtxOver "CTX-OVER" false; Deadline "DEADLINE" false; DirtyMissed "DIRTY-MISSED" false;
    EntryLeak "ENTRY-LEAK" false; ExprCase "EXPR-CASE" false; FltClose "FLTCLOSE" true; Handle "HANDLE" false; HandleLeak "HANDLE-LEAK" false;
    IoStatusInfo "IOSTATUS-INFO" true; Irql "IRQL" false; IrqlLeft "IRQL-LEFT" false; IrqlPaged "IRQL-PAGED" false; List "LIST" false;
    LockHeld "LOCK-HELD" false; LockOrder "LOCK-ORDER" false; LockRecurse "LOCK-RECURSE" false; LockUpgrade "LOCK-UPGRADE" false;
    LockOwner "LOCK-OWNER" false; Lookaside "LOOKASIDE" false; NameLeak "NAME-LEAK" false; NotifyLeak "NOTIFY-LEAK" false;
    NullDacl "NULL-DACL" true; NullTimeout "NULL-TIMEOUT" true; Object "OBJECT" false; ObjLeak "OBJ-LEAK" false; PoolLeak "POOL-LEAK" false;
    PoolPair "POOL-PAIR" false; PoolTag "POOL-TAG" false; PoolZero "POOL-ZERO" false; PortLeak "PORT-LEAK" false;
    PortOverwrite "PORT-OVERWRITE" false; PreopContext "PREOP-CONTEXT" false; PreopNopost "PREOP-NOPOST" false; Recursion "RECURSION" false;
    Ref "REF" false; RegPath "REGPATH" false; ReplyShort "REPLY-SHORT" false; ResApc "RES-APC" false; SendLocked "SEND-LOCKED" false;
    SetupBlocks "SETUP-BLOCKS" false; Stub "STUB" false; SyncCreate "SYNC-CREATE" false; ThreadOutlives "THREAD-OUTLIVES" false;
    Unaligned "UNALIGNED" false; UnloadHalf "UNLOAD-HALF" false; UnloadNoUnregister "UNLOAD-NO-UNREGISTER" false;
    UnloadOrder "UNLOAD-ORDER" false; Unopened "UNOPENED" false; Userbuf "USERBUF" false;
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Finding {
    pub rule: Rule,
    pub text: String,
    /// The call of the driver that broke it.
    pub place: Place,
    /// The operation that was under way; 0: none.
    pub operation: u64,
    /// How often the same rule was broken at the same place.
    pub times: u64,
}

static FINDINGS: Mutex<BTreeMap<(Rule, Place, String), Finding>> = Mutex::new(BTreeMap::new());
static LOG: Mutex<Option<fn(&Finding)>> = Mutex::new(None);
static PLACES: AtomicBool = AtomicBool::new(true);
static OPERATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static CAPTURED: RefCell<Option<Vec<Finding>>> = const { RefCell::new(None) };
}

/// Notes that the driver that called us has broken a rule.
pub fn find(rule: Rule, text: impl Into<String>) {
    find_at(rule, text, Place::here());
}

/// Notes that the driver broke a rule at this place.
pub fn find_at(rule: Rule, text: impl Into<String>, place: Place) {
    let operation = super::thread::operation();
    let finding = Finding { rule, text: text.into(), place, operation, times: 1 };
    let uncaptured = CAPTURED.with(|captured| match &mut *captured.borrow_mut() {
        Some(findings) => {
            findings.push(finding.clone());
            None
        }
        None => Some(finding),
    });
    let Some(finding) = uncaptured else { return };
    // one finding for each line of the driver, whatever names or numbers are in the text
    let key = (rule, place, if place.is_known() { String::new() } else { finding.text.clone() });
    let mut findings = lock(&FINDINGS);
    if let Some(known) = findings.get_mut(&key) {
        known.times += 1;
        return;
    }
    findings.insert(key, finding.clone());
    drop(findings);
    if let Some(log) = *lock(&LOG) {
        log(&finding);
    }
}

/// Calls `log` with each finding that is new.
pub fn log_with(log: fn(&Finding)) {
    *lock(&LOG) = Some(log);
}

/// All findings so far.
pub fn all() -> Vec<Finding> {
    lock(&FINDINGS).values().cloned().collect()
}

/// Runs something, and gives the rules that it broke on this thread instead of reporting them.
pub fn capture<R>(run: impl FnOnce() -> R) -> (R, Vec<Rule>) {
    CAPTURED.set(Some(Vec::new()));
    let result = run();
    let findings = CAPTURED.take().unwrap_or_default();
    (result, findings.into_iter().map(|finding| finding.rule).collect())
}

/// Whether the place of each allocation and lock is noted: it costs some microseconds.
pub fn note_places(note: bool) {
    PLACES.store(note, Ordering::Relaxed);
}

/// Where the driver is, if places are noted.
pub fn place() -> Place {
    if PLACES.load(Ordering::Relaxed) { Place::here() } else { Place::default() }
}

/// The number of the next operation: 1, 2, 3…
pub fn next_operation() -> u64 {
    OPERATIONS.fetch_add(1, Ordering::Relaxed) + 1
}
