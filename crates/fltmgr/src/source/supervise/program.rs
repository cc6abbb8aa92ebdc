//! The seccomp program of a supervised tree: which system calls wait for us, which are refused, which may change the rights
//! of a thread.
//!
//! The kernel keeps a bitmap of the calls that are allowed whatever their arguments, so calls that this program does
//! not name cost next to nothing.

use libc::{c_long, sock_filter};
use proto::operation::OpSet;

use super::calls::{self, Call, Shape, Value};

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xC000_00B7;

/// The last call that has a decision (`program/kernel.tsv`).
const LAST: u32 = 470;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offsets in struct seccomp_data.
const NR: u32 = 0;
const ARCHITECTURE: u32 = 4;
const fn argument(n: u32) -> u32 {
    16 + 8 * n + if cfg!(target_endian = "big") { 4 } else { 0 }
}

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const ASK: u32 = libc::SECCOMP_RET_USER_NOTIF;
const fn refuse(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

fn put(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Those in which files can have other names.
const PLACES: u32 = (libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as u32;

/// Calls by which files get other names for some processes. Refused where the rules are strict.
const MOUNTS: [c_long; 10] = [
    libc::SYS_chroot,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
];
/// As open_tree; since 6.15.
const SYS_OPEN_TREE_ATTR: c_long = 467;

/// Requests of ioctl that do without a call what these kinds are about, on file systems of one kind.
const REFUSED_REQUESTS: [(u32, OpSet); 7] = {
    let (made, removed) = (OpSet::MKDIR, OpSet::UNLINK);
    [
        // Btrfs: subvolumes and snapshots are made and removed as directories are.
        (0x5000_9401, made),
        (0x5000_940E, made),
        (0x5000_940F, removed),
        (0x5000_9417, made),
        (0x5000_9418, made),
        (0x5000_943F, removed),
        // XFS_IOC_OPEN_BY_HANDLE
        (0xC038_586B, OpSet::OPEN),
    ]
};

/// The program for these operations.
pub(super) fn program(ops: OpSet, strict: bool) -> Vec<sock_filter> {
    let mut code = vec![
        put(LOAD, ARCHITECTURE),
        jump(EQUAL, ARCH, 1, 0),
        // Another architecture has other numbers: 32-bit programs do not run under supervision.
        put(RETURN, refuse(libc::ENOSYS)),
        put(LOAD, NR),
        // A call of a later kernel, which may open files in a way that is not known here, and each of x32.
        jump(GREATER, LAST, 0, 1),
        put(RETURN, refuse(libc::ENOSYS)),
    ];
    for call in calls::CALLS.iter().filter(|call| ops.contains(call.kind.set())) {
        rule(&mut code, call.nr, &body(call));
    }
    requests(&mut code, ops);
    // A ring would open files without a system call that we could see. The flags of clone3 are in memory; programs that
    // find it missing use clone.
    for nr in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_clone3] {
        rule(&mut code, nr, &[put(RETURN, refuse(libc::ENOSYS))]);
    }
    by_the_kernel(&mut code, ops);
    places(&mut code, strict);
    // What another process has open was opened in its name, and may be its way to us.
    rule(&mut code, libc::SYS_pidfd_getfd, &[put(RETURN, refuse(libc::EPERM))]);
    for nr in calls::IDENTITY {
        rule(&mut code, nr, &[put(RETURN, ASK)]);
    }
    let [drop, bits, memory] = [libc::PR_CAPBSET_DROP, libc::PR_SET_SECUREBITS, libc::PR_SET_MM].map(|it| it as u32);
    rule(
        &mut code,
        libc::SYS_prctl,
        &[
            put(LOAD, argument(0)),
            // By it a program could seem to be another one.
            jump(EQUAL, memory, 0, 1),
            put(RETURN, refuse(libc::EPERM)),
            jump(EQUAL, drop, 1, 0),
            jump(EQUAL, bits, 0, 1),
            put(RETURN, ASK),
            put(RETURN, ALLOW),
        ],
    );
    marks(&mut code);
    code.push(put(RETURN, ALLOW));
    code
}

/// Requests of ioctl, by their number: those of the table, and those that reach names in other ways than calls do.
fn requests(code: &mut Vec<sock_filter>, ops: OpSet) {
    let mut body = vec![put(LOAD, argument(1))];
    let asked = calls::REQUESTS.iter().filter(|(_, call)| ops.contains(call.kind.set())).map(|(it, _)| (*it, ASK));
    let refused = REFUSED_REQUESTS.iter().filter(|(_, does)| ops.intersects(*does));
    let answers = asked.chain(refused.map(|(it, _)| (*it, refuse(libc::EPERM))));
    body.extend(answers.flat_map(|(request, answer)| [jump(EQUAL, request, 0, 1), put(RETURN, answer)]));
    body.push(put(RETURN, ALLOW));
    rule(code, libc::SYS_ioctl, &body);
}

/// Calls by which the kernel opens a file in a way that is not asked about. They fail as they do for a program without
/// the capability that each needs.
fn by_the_kernel(code: &mut Vec<sock_filter>, ops: OpSet) {
    if !ops.contains(OpSet::OPEN) {
        return;
    }
    for nr in [libc::SYS_open_by_handle_at, libc::SYS_acct, libc::SYS_swapon] {
        rule(code, nr, &[put(RETURN, refuse(libc::EPERM))]);
    }
    // Kernels without it say so.
    #[cfg(target_arch = "x86_64")]
    rule(code, libc::SYS_uselib, &[put(RETURN, refuse(libc::ENOSYS))]);
    // An event is an open file, unless events are only notifications that name files by handles.
    let classes = libc::FAN_CLASS_CONTENT | libc::FAN_CLASS_PRE_CONTENT;
    let handles = libc::FAN_REPORT_FID | libc::FAN_REPORT_DIR_FID;
    let events = [
        put(LOAD, argument(0)),
        jump(ANY_BIT, classes, 1, 0),
        jump(ANY_BIT, handles, 1, 0),
        put(RETURN, refuse(libc::EPERM)),
        put(RETURN, ALLOW),
    ];
    rule(code, libc::SYS_fanotify_init, &events);
}

/// The limit that marks Landlock domains (`domains`) is not for the tree to set.
fn marks(code: &mut Vec<sock_filter>) {
    let locks = libc::RLIMIT_LOCKS;
    let set = [put(LOAD, argument(0)), jump(EQUAL, locks, 0, 1), put(RETURN, refuse(libc::EPERM)), put(RETURN, ALLOW)];
    rule(code, libc::SYS_setrlimit, &set);
    let [lower, upper] = [argument(2), argument(2) ^ 4];
    let change = [
        put(LOAD, argument(1)),
        jump(EQUAL, locks, 0, 5),
        // a null pointer only asks
        put(LOAD, lower),
        jump(EQUAL, 0, 0, 2),
        put(LOAD, upper),
        jump(EQUAL, 0, 1, 0),
        put(RETURN, refuse(libc::EPERM)),
        put(RETURN, ALLOW),
    ];
    rule(code, libc::SYS_prlimit64, &change);
}

/// Processes, namespaces and mounts.
fn places(code: &mut Vec<sock_filter>, strict: bool) {
    for nr in [libc::SYS_unshare, libc::SYS_clone] {
        let mut body = vec![put(LOAD, argument(0))];
        if strict {
            body.extend([jump(ANY_BIT, PLACES, 0, 1), put(RETURN, refuse(libc::EPERM))]);
        }
        body.extend([jump(ANY_BIT, calls::NAMESPACES, 0, 1), put(RETURN, ASK)]);
        if nr == libc::SYS_clone {
            // A process, not a thread of one.
            body.extend([jump(ANY_BIT, libc::CLONE_THREAD as u32, 1, 0), put(RETURN, ASK)]);
        }
        body.push(put(RETURN, ALLOW));
        rule(code, nr, &body);
    }
    for nr in calls::FORKS {
        rule(code, *nr, &[put(RETURN, ASK)]);
    }
    if strict {
        for nr in MOUNTS.into_iter().chain([SYS_OPEN_TREE_ATTR, libc::SYS_setns]) {
            rule(code, nr, &[put(RETURN, refuse(libc::EPERM))]);
        }
    }
}

/// What to do about a call once its number has matched. Flags in registers can be judged here without a race.
fn body(call: &Call) -> Vec<sock_filter> {
    let (Shape::Open(_), Value::Register(flags)) = (call.shape, call.flags) else { return vec![put(RETURN, ASK)] };
    let directory = libc::O_DIRECTORY as u32;
    let unless = directory | libc::O_CREAT as u32 | libc::O_TMPFILE as u32;
    vec![
        put(LOAD, argument(flags)),
        // O_PATH gives no access to contents, and the kernel raises no permission event for it either.
        jump(ANY_BIT, libc::O_PATH as u32, 3, 0),
        // O_DIRECTORY can only open a directory, which is not asked about.
        put(AND, unless),
        jump(EQUAL, directory, 1, 0),
        put(RETURN, ASK),
        put(RETURN, ALLOW),
    ]
}

fn rule(code: &mut Vec<sock_filter>, nr: c_long, body: &[sock_filter]) {
    code.push(jump(EQUAL, nr as u32, 0, body.len() as u8));
    code.extend_from_slice(body);
}

#[cfg(test)]
mod kernel;

#[cfg(test)]
mod tests {
    use super::*;
    use proto::operation::OpKind;

    /// Runs a program as the kernel would.
    pub(super) fn run(program: &[sock_filter], arch: u32, nr: u32, args: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(nr.to_ne_bytes());
        data.extend(arch.to_ne_bytes());
        data.extend([0; 8]);
        data.extend(args.iter().flat_map(|a| a.to_ne_bytes()));
        let mut a = 0;
        let mut pc = 0;
        loop {
            let step = program[pc];
            pc += 1;
            let branch = |yes: bool| usize::from(if yes { step.jt } else { step.jf });
            match step.code {
                LOAD => {
                    let at = step.k as usize;
                    a = u32::from_ne_bytes(data[at..at + 4].try_into().unwrap());
                }
                EQUAL => pc += branch(a == step.k),
                GREATER => pc += branch(a > step.k),
                ANY_BIT => pc += branch(a & step.k != 0),
                AND => a &= step.k,
                RETURN => return step.k,
                other => panic!("unexpected instruction {other:#x}"),
            }
        }
    }

    fn verdict(ops: OpSet, nr: c_long, args: [u64; 6]) -> u32 {
        run(&program(ops, false), ARCH, nr as u32, args)
    }

    #[test]
    fn registered_calls_are_asked_and_others_are_not() {
        for kind in OpKind::ALL.iter().copied() {
            for call in calls::CALLS {
                let expected = if call.kind == kind { ASK } else { ALLOW };
                assert_eq!(verdict(kind.set(), call.nr, [0; 6]), expected, "{kind} {}", call.nr);
            }
            assert_eq!(verdict(kind.set(), libc::SYS_read, [0; 6]), ALLOW);
            assert_eq!(verdict(kind.set(), libc::SYS_io_uring_setup, [0; 6]), refuse(libc::ENOSYS));
            assert_eq!(verdict(kind.set(), libc::SYS_pidfd_getfd, [0; 6]), refuse(libc::EPERM));
        }
    }

    #[test]
    fn opens_without_contents_are_not_asked() {
        let open = |flags: i32| verdict(OpSet::OPEN, libc::SYS_openat, [0, 0, flags as u64, 0, 0, 0]);
        assert_eq!(open(libc::O_RDONLY), ASK);
        assert_eq!(open(libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC), ASK);
        assert_eq!(open(libc::O_PATH), ALLOW);
        assert_eq!(open(libc::O_PATH | libc::O_CREAT), ALLOW);
        assert_eq!(open(libc::O_DIRECTORY | libc::O_CLOEXEC), ALLOW);
        assert_eq!(open(libc::O_TMPFILE | libc::O_RDWR), ASK);
        assert_eq!(open(libc::O_DIRECTORY | libc::O_CREAT), ASK);
    }

    #[test]
    fn other_architectures_are_refused() {
        let open = program(OpSet::OPEN, false);
        assert_eq!(run(&open, 0x4000_0003, 5, [0; 6]), refuse(libc::ENOSYS));
        #[cfg(target_arch = "x86_64")]
        assert_eq!(run(&open, ARCH, 0x4000_0000 | libc::SYS_openat as u32, [0; 6]), refuse(libc::ENOSYS)); // x32
    }

    #[test]
    fn a_change_of_identity_is_seen() {
        let first = |nr, value: u64| verdict(OpSet::OPEN, nr, [value, 0, 0, 0, 0, 0]);
        assert_eq!(first(libc::SYS_clone, (libc::CLONE_VM | libc::CLONE_THREAD) as u64), ALLOW);
        assert_eq!(first(libc::SYS_clone, libc::CLONE_NEWUSER as u64 | 17), ASK);
        assert_eq!(first(libc::SYS_unshare, libc::CLONE_FS as u64), ALLOW);
        assert_eq!(first(libc::SYS_unshare, libc::CLONE_NEWNS as u64), ASK);
        assert_eq!(first(libc::SYS_prctl, libc::PR_SET_NAME as u64), ALLOW);
        assert_eq!(first(libc::SYS_prctl, libc::PR_CAPBSET_DROP as u64), ASK);
        assert_eq!(first(libc::SYS_setresuid, 0), ASK);
        assert_eq!(first(libc::SYS_landlock_restrict_self, 0), ASK);
    }

    #[test]
    fn a_new_process_is_seen() {
        assert_eq!(verdict(OpSet::OPEN, libc::SYS_clone, [libc::CLONE_VM as u64 | 17, 0, 0, 0, 0, 0]), ASK);
        for nr in calls::FORKS {
            assert_eq!(verdict(OpSet::OPEN, *nr, [0; 6]), ASK);
            assert!(calls::find(*nr, [0; 6]).is_none() && calls::only_forks(*nr, [0; 6]));
        }
        assert!(!calls::only_forks(libc::SYS_clone, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn the_mark_of_a_domain_is_not_set() {
        let locks = u64::from(libc::RLIMIT_LOCKS);
        let prlimit = |resource: u64, new: u64| verdict(OpSet::OPEN, libc::SYS_prlimit64, [0, resource, new, 0, 0, 0]);
        assert_eq!(prlimit(locks, 0), ALLOW);
        for new in [8, 8 << 32] {
            assert_eq!(prlimit(locks, new), refuse(libc::EPERM));
            assert_eq!(prlimit(libc::RLIMIT_NOFILE.into(), new), ALLOW);
        }
        assert_eq!(verdict(OpSet::OPEN, libc::SYS_setrlimit, [locks, 8, 0, 0, 0, 0]), refuse(libc::EPERM));
        assert_eq!(verdict(OpSet::OPEN, libc::SYS_setrlimit, [0, 8, 0, 0, 0, 0]), ALLOW);
    }

    #[test]
    fn a_request_of_ioctl_is_asked_about_by_its_number() {
        let ioctl = |request: u32| verdict(OpSet::CHATTR, libc::SYS_ioctl, [3, request.into(), 0, 0, 0, 0]);
        assert_eq!(ioctl(sys::actor::FS_IOC_SETFLAGS), ASK);
        assert_eq!(ioctl(sys::actor::FS_IOC_FSSETXATTR), ASK);
        assert_eq!(ioctl(libc::TCGETS as u32), ALLOW);
        assert_eq!(verdict(OpSet::OPEN, libc::SYS_ioctl, [3, sys::actor::FS_IOC_SETFLAGS.into(), 0, 0, 0, 0]), ALLOW);
    }

    #[test]
    fn strict_rules_leave_the_tree_of_files_as_it_is() {
        let strict = program(OpSet::OPEN, true);
        let first = |nr: c_long, value: i32| run(&strict, ARCH, nr as u32, [value as u64, 0, 0, 0, 0, 0]);
        assert_eq!(first(libc::SYS_unshare, libc::CLONE_NEWUSER), refuse(libc::EPERM));
        assert_eq!(first(libc::SYS_unshare, libc::CLONE_FS), ALLOW);
        assert_eq!(first(libc::SYS_clone, libc::CLONE_NEWNS | libc::SIGCHLD), refuse(libc::EPERM));
        assert_eq!(first(libc::SYS_clone, libc::SIGCHLD), ASK);
        for nr in MOUNTS.into_iter().chain([libc::SYS_setns]) {
            assert_eq!(first(nr, 0), refuse(libc::EPERM));
            assert_ne!(verdict(OpSet::OPEN, nr, [0; 6]), refuse(libc::EPERM));
        }
    }
}
