//! Runs a program as containers and hardened services do: under a seccomp program that refuses calls.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use libc::{c_long, sock_filter};

use crate::raw::errno;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// The namespaces that clone may make.
const NAMESPACES: u32 = 0x7e02_0000;

const fn step(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

const fn refuse(error: i32) -> sock_filter {
    step(RETURN, libc::SECCOMP_RET_ERRNO | error as u32, 0, 0)
}

/// What a program is confined by: calls and the error of each.
fn refused(profile: &str) -> Vec<(c_long, i32)> {
    const MOUNTS: [c_long; 12] = [
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_open_by_handle_at,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_bpf,
    ];
    match profile {
        // what Docker's default profile does without CAP_SYS_ADMIN
        "docker" | "docker-root" => {
            let calls = MOUNTS.into_iter().map(|call| (call, libc::EPERM));
            calls.chain([(libc::SYS_clone3, libc::ENOSYS), (libc::SYS_clone, libc::EPERM)]).collect()
        }
        // RestrictSUIDSGID=: the mode of openat2 is in memory, where a seccomp program cannot look
        "restrict-suid" => vec![(libc::SYS_openat2, libc::ENOSYS)],
        // SystemCallFilter=@system-service with an error number: nothing of @debug
        "system-service" => [libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_ptrace, libc::SYS_kcmp]
            .into_iter()
            .chain([libc::SYS_pidfd_getfd, libc::SYS_perf_event_open])
            .chain(MOUNTS)
            .map(|call| (call, libc::EPERM))
            .collect(),
        "all" => ["docker", "restrict-suid", "system-service"].into_iter().flat_map(refused).collect(),
        "unshare" => vec![(libc::SYS_unshare, libc::EPERM)],
        "openat2" => vec![(libc::SYS_openat2, libc::EPERM)],
        "process_vm_readv" => vec![(libc::SYS_process_vm_readv, libc::ENOSYS)],
        "pidfd_open" => vec![(libc::SYS_pidfd_open, libc::ENOSYS)],
        "statx" => vec![(libc::SYS_statx, libc::ENOSYS)],
        "seccomp" => vec![(libc::SYS_seccomp, libc::EPERM)],
        _ => panic!("{profile} confines nothing"),
    }
}

fn program(refused: &[(c_long, i32)]) -> Vec<sock_filter> {
    // the number and the lower half of the first argument, as struct seccomp_data has them
    let mut code = vec![step(LOAD, 0, 0, 0)];
    for &(call, error) in refused {
        let number = call as u32;
        if call == libc::SYS_clone {
            let inner = [step(LOAD, 16, 0, 0), step(ANY_BIT, NAMESPACES, 0, 1), refuse(error), step(LOAD, 0, 0, 0)];
            code.push(step(EQUAL, number, 0, inner.len() as u8));
            code.extend(inner);
        } else {
            code.extend([step(EQUAL, number, 0, 1), refuse(error)]);
        }
    }
    code.push(step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    code
}

/// The capabilities of root in a container.
fn few_rights() {
    use rustix::thread::{CapabilitySet as Set, capabilities, remove_capability_from_bounding_set, set_capabilities};
    let kept = Set::CHOWN | Set::DAC_OVERRIDE | Set::FOWNER | Set::FSETID | Set::KILL | Set::SETGID | Set::SETUID;
    let kept = kept | Set::SETPCAP | Set::NET_BIND_SERVICE | Set::SYS_CHROOT | Set::MKNOD | Set::SETFCAP;
    let mut sets = capabilities(None).expect("one's own capabilities");
    for one in sets.permitted.difference(kept).iter() {
        remove_capability_from_bounding_set(one).expect("root may do that");
    }
    sets.effective &= kept;
    sets.permitted &= kept;
    set_capabilities(None, sets).expect("fewer capabilities");
}

/// Becomes this program, confined.
pub(crate) fn run(profile: &str, command: &[&str]) -> ! {
    if profile == "docker-root" {
        few_rights();
    }
    let code = program(&refused(profile));
    let description = libc::sock_fprog { len: code.len() as u16, filter: code.as_ptr().cast_mut() };
    rustix::thread::set_no_new_privs(true).expect("a right of every process");
    // SAFETY: the kernel reads the description and the code, which both live here.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const description) };
    assert_eq!(done, 0, "seccomp: {}", errno());
    let error = Command::new(command[0]).args(&command[1..]).exec();
    panic!("{command:?}: {error}");
}
