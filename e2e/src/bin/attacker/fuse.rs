//! A file system that answers all but one kind of request: made by hand over /dev/fuse, in a mount namespace of its own.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use crate::raw::Reads;

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const READLINK: u32 = 5;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// Nodes: the root, a file, a link to the file, a folder. Names are told apart by their first letter.
const ROOT: u64 = 1;
const FILE: u64 = 2;
const LINK: u64 = 3;
const FOLDER: u64 = 4;

const CONTENT: &[u8] = b"content\n";

/// Mounts the file system, runs a command beside it, and takes the file system away when the command has said a line, or
/// has ended. `never` is what is not answered.
pub(crate) fn beside(never: &str, place: &str, command: &[&str]) {
    let never = match never {
        "lookup" => LOOKUP,
        "getattr" => GETATTR,
        "readlink" => READLINK,
        "open" => OPEN,
        "read" => READ,
        "flush" => FLUSH,
        "nothing" => 0,
        _ => panic!("{never} is no kind of request"),
    };
    Reads::UNSHARE.call([libc::CLONE_NEWNS as usize]).expect("root may do that");
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).expect("a mount namespace of one's own");
    let device = File::options().read(true).write(true).open("/dev/fuse").expect("a device for file systems");
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
    let options = std::ffi::CString::new(options).expect("options");
    mount("hang", place, "fuse", MountFlags::NOSUID | MountFlags::NODEV, &*options).expect("a mount");
    let server = device.try_clone().expect("a descriptor");
    std::thread::spawn(move || serve(server, never));

    let mut child = Command::new(command[0]).args(&command[1..]).stdout(Stdio::piped()).spawn().expect("a program");
    let mut line = String::new();
    let _ = BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line);
    print!("{line}");
    // Closing the device ends all requests; a thread in one of them could not even be killed.
    let _ = rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH | rustix::mount::UnmountFlags::FORCE);
    std::thread::sleep(Duration::from_millis(100));
    let _ = child.kill();
    let _ = child.wait();
    std::process::exit(0)
}

/// Answers requests until the file system is gone.
fn serve(mut device: File, never: u32) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(len) = device.read(&mut buffer) {
        let request = Request { bytes: &buffer[..len] };
        let opcode = request.word(4);
        if opcode == never || [FORGET, BATCH_FORGET, INTERRUPT].contains(&opcode) {
            continue;
        }
        let (error, body) = match answer(&request, opcode) {
            Ok(body) => (0, body),
            Err(error) => (-error, Vec::new()),
        };
        let mut reply = Vec::new();
        reply.extend((16 + body.len() as u32).to_ne_bytes());
        reply.extend(error.to_ne_bytes());
        reply.extend(&request.bytes[8..16]);
        reply.extend(body);
        // what asked may have given up
        let _ = device.write_all(&reply);
    }
}

/// struct fuse_in_header and what follows it.
struct Request<'a> {
    bytes: &'a [u8],
}

impl Request<'_> {
    fn word(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes[at..at + 4].try_into().expect("four bytes"))
    }

    fn node(&self) -> u64 {
        u64::from_ne_bytes(self.bytes[16..24].try_into().expect("eight bytes"))
    }
}

fn answer(request: &Request<'_>, opcode: u32) -> Result<Vec<u8>, i32> {
    match opcode {
        INIT => Ok(words(&[7, 31, 0, 0, 0, 1 << 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        LOOKUP => {
            let node = match request.bytes.get(40) {
                Some(b'f') => FILE,
                Some(b'l') => LINK,
                Some(b'd') => FOLDER,
                _ => return Err(libc::ENOENT),
            };
            // asked again each time
            let valid = [node, 0, 0, 0].into_iter().flat_map(u64::to_ne_bytes).chain(words(&[0, 0]));
            Ok(valid.chain(attributes(node)).collect())
        }
        GETATTR => Ok(words(&[0, 0, 0, 0]).into_iter().chain(attributes(request.node())).collect()),
        READLINK => Ok(b"file".to_vec()),
        OPEN | OPENDIR => Ok(words(&[0, 0, 0, 0])),
        READ => {
            let offset = u64::from_ne_bytes(request.bytes[48..56].try_into().expect("eight bytes")) as usize;
            Ok(CONTENT.get(offset..).unwrap_or_default().to_vec())
        }
        STATFS => Ok(vec![0; 80]),
        RELEASE | RELEASEDIR | FLUSH => Ok(Vec::new()),
        _ => Err(libc::ENOSYS),
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// struct fuse_attr.
fn attributes(node: u64) -> Vec<u8> {
    let mode = match node {
        FILE => libc::S_IFREG | 0o755,
        LINK => libc::S_IFLNK | 0o777,
        ROOT | FOLDER => libc::S_IFDIR | 0o755,
        _ => unreachable!("no other node was told"),
    };
    let longs = [node, CONTENT.len() as u64, 1, 1, 1, 1];
    let rest = words(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0]);
    longs.iter().flat_map(|long| long.to_ne_bytes()).chain(rest).collect()
}
