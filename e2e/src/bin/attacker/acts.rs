//! Single acts, as a shell would do them, in one process: `OP=PATH` or `OP=PATH=PATH`.

use std::ffi::CString;

use serde_json::{Value, json};

use crate::process::{exit, fork, reap};
use crate::raw::{HERE, Reads, at, errno};

const READ: i32 = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC;

/// Does one thing after the other, whatever becomes of each; gives the error numbers, 0 for what was done.
pub(crate) fn all(acts: &[&str]) -> Value {
    acts.iter().map(|act| json!([act, one(act)])).collect()
}

fn one(act: &str) -> i32 {
    let mut words = act.split('=');
    let mut word = || CString::new(words.next().unwrap_or_default()).expect("arguments have no NUL");
    let (op, first, second) = (word(), word(), word());
    let (a, b) = (at(&first), at(&second));
    let open = |flags: i32| Reads::OPENAT.call([HERE, a, flags as usize, 0o600]).and_then(|fd| Reads::CLOSE.call([fd]));
    let done = match op.to_str().expect("operations have names of text") {
        "read" => open(READ),
        "write" => open(libc::O_WRONLY | libc::O_CLOEXEC),
        "make" => open(libc::O_WRONLY | libc::O_CREAT | libc::O_CLOEXEC),
        "path" => open(libc::O_PATH | libc::O_CLOEXEC),
        "list" => open(READ | libc::O_DIRECTORY),
        "reopen" => reopen(a),
        "handle" => handle(a),
        "run" => run(a),
        "rename" => Reads::RENAMEAT2.call([HERE, a, HERE, b, 0]),
        "exchange" => Reads::RENAMEAT2.call([HERE, a, HERE, b, libc::RENAME_EXCHANGE as usize]),
        "unlink" => Reads::UNLINKAT.call([HERE, a, 0]),
        "rmdir" => Reads::UNLINKAT.call([HERE, a, libc::AT_REMOVEDIR as usize]),
        "link" => Reads::LINKAT.call([HERE, a, HERE, b, 0]),
        "symlink" => Reads::SYMLINKAT.call([a, HERE, b]),
        "mkdir" => Reads::MKDIRAT.call([HERE, a, 0o700]),
        "truncate" => Reads::TRUNCATE.call([a, 0]),
        "chmod" => Reads::FCHMODAT.call([HERE, a, 0o700]),
        "chdir" => Reads::CHDIR.call([a]),
        other => panic!("{other} is nothing to do"),
    };
    done.err().unwrap_or(0)
}

/// Opens without access to the content, and then by the number in procfs.
fn reopen(path: usize) -> Result<usize, i32> {
    let number = Reads::OPENAT.call([HERE, path, (libc::O_PATH | libc::O_CLOEXEC) as usize])?;
    let name = CString::new(format!("/proc/self/fd/{number}")).expect("a path");
    let opened = Reads::OPENAT.call([HERE, at(&name), READ as usize]);
    Reads::CLOSE.call([number])?;
    Reads::CLOSE.call([opened?])
}

/// Opens by a handle, for which root's rights are needed.
fn handle(path: usize) -> Result<usize, i32> {
    // struct file_handle: the room that there is, a type, the handle itself
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let mut mount = 0;
    // SAFETY: the kernel writes the handle, no longer than the room that it says it has, and an int.
    let named = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            HERE,
            path,
            handle.as_mut_ptr(),
            &raw mut mount,
            libc::AT_SYMLINK_FOLLOW,
        )
    };
    if named < 0 {
        return Err(errno());
    }
    let anywhere = Reads::OPENAT.call([HERE, at(c"."), (READ | libc::O_DIRECTORY) as usize])?;
    // SAFETY: the kernel reads the handle.
    let opened = unsafe { libc::syscall(libc::SYS_open_by_handle_at, anywhere, handle.as_ptr(), READ) };
    let error = errno();
    Reads::CLOSE.call([anywhere])?;
    if opened < 0 { Err(error) } else { Reads::CLOSE.call([opened as usize]) }
}

/// Runs a program and waits for it.
fn run(path: usize) -> Result<usize, i32> {
    const FAILED: i32 = 200;
    match fork(0) {
        0 => {
            let nothing = [0usize];
            let list = nothing.as_ptr() as usize;
            let error = Reads::EXECVEAT.call([HERE, path, list, list, 0]).unwrap_err();
            exit(FAILED + error)
        }
        child => match reap(child) {
            status if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) >= FAILED => {
                Err(libc::WEXITSTATUS(status) - FAILED)
            }
            _ => Ok(0),
        },
    }
}
