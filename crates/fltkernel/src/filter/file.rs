//! File objects: one for each open, known to drivers by the address of its `FILE_OBJECT`.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::{FileType, fstat};

use super::context;
use super::volume::{self, Volume};
use crate::edge::{Memory, Ptr, member};
use crate::kernel::object::{self, Object};
use crate::kernel::report::{self, Rule};
use crate::lock;
use crate::nt::{FileObject, UnicodeString, Unit, fo};

/// One open file, from before its create to after its close.
#[derive(Debug)]
pub struct File {
    memory: Memory,
    pub volume: Arc<Volume>,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug, Default)]
struct State {
    /// Where the file is, links followed as far as they exist; absolute.
    path: PathBuf,
    /// How it was asked for.
    opened: PathBuf,
    /// Its text for `FileName`.
    name: Option<Memory>,
    descriptor: Option<Arc<OwnedFd>>,
    writable: Option<Arc<OwnedFd>>,
    inode: Option<(u64, u64)>,
    directory: bool,
    closed: bool,
    /// Names that were asked for, by their format.
    names: HashMap<u32, Vec<Unit>>,
    /// A context block that all opens of the inode share.
    header: Option<Arc<Memory>>,
    /// What a listing has given already.
    listed: Option<Vec<PathBuf>>,
}

impl Object for File {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn released(&self) {
        self.close();
    }
}

/// How many file objects there are, and the block that they share.
type Shared = (u64, Arc<Memory>);

/// Of each inode that is open.
static OPEN: Mutex<Option<HashMap<(u64, u64), Shared>>> = Mutex::new(None);

/// `FSRTL_ADVANCED_FCB_HEADER`: drivers that look find a size and a lock, and nothing else is promised.
const HEADER: usize = 112;
const HEADER_RESOURCE: usize = 8;
const HEADER_FILE_SIZE: usize = 32;
const RESOURCE: usize = 104;

/// The file object at this address.
pub fn find(address: Ptr) -> Option<Arc<File>> {
    object::find(address)
}

/// The file object at this address; a finding if there is none.
pub fn get(address: Ptr) -> Option<Arc<File>> {
    object::get(address, "file object")
}

/// The absolute path with links followed as far as it exists.
pub fn resolved(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}

impl File {
    /// A file object for an open of this path that has not happened. `follow`: a link as last component is followed.
    pub fn new(path: &Path, follow: bool) -> Arc<Self> {
        let whole = match (follow, path.parent(), path.file_name()) {
            (false, Some(parent), Some(name)) => resolved(parent).join(name),
            _ => resolved(path),
        };
        let (volume, inside) = volume::locate(&whole);
        let memory = Memory::new(size_of::<FileObject>());
        let file = Arc::new(Self { memory, volume, state: Mutex::default() });
        let name = volume::encode(&inside);
        file.object().write(FileObject {
            kind: 5,
            size: size_of::<FileObject>() as i16,
            device: super::device::of_volume(&file.volume),
            flags: fo::SYNCHRONOUS_IO | fo::OPENED_CASE_SENSITIVE,
            ..FileObject::default()
        });
        {
            let mut state = lock(&file.state);
            state.path = whole;
            state.opened = path.to_owned();
        }
        file.set_name(&name);
        object::add_at(file.object().cast(), file.clone());
        file
    }

    /// The `FILE_OBJECT`.
    pub fn object(&self) -> Ptr<FileObject> {
        self.memory.at()
    }

    fn set_name(&self, name: &[Unit]) {
        let text = Memory::holding(&[name, &[0]].concat());
        let length = (name.len() * 2) as u16;
        let string = UnicodeString { length, room: length + 2, buffer: text.at() };
        member!(self.object(), FileObject, name).write(string);
        lock(&self.state).name = Some(text);
    }

    /// Sets or clears flags of the `FILE_OBJECT`.
    pub fn set_flags(&self, set: u32, clear: u32) {
        let flags = member!(self.object(), FileObject, flags);
        flags.write(flags.read() & !clear | set);
    }

    /// Flags of the `FILE_OBJECT`.
    pub fn flags(&self) -> u32 {
        member!(self.object(), FileObject, flags).read()
    }

    /// The open has happened: this is the file, which may be read through the descriptor.
    pub fn opened(&self, descriptor: Arc<OwnedFd>, access: u32) {
        let Ok(stat) = fstat(&*descriptor) else { return };
        let inode = (stat.st_dev, stat.st_ino);
        let header = {
            let mut open = lock(&OPEN);
            let (count, header) =
                open.get_or_insert_default().entry(inode).or_insert_with(|| (0, Arc::new(header(stat.st_size))));
            *count += 1;
            header.clone()
        };
        let object = self.object();
        member!(object, FileObject, context).write(header.at());
        member!(object, FileObject, context2).write(self.memory.at());
        // any address will do that is not NULL: drivers compare it
        member!(object, FileObject, sections).write(header.at());
        let has = |bits: u32| u8::from(access & bits != 0);
        member!(object, FileObject, read_access).write(has(0x0001 | 0x0020));
        member!(object, FileObject, write_access).write(has(0x0002 | 0x0004));
        member!(object, FileObject, delete_access).write(has(0x0001_0000));
        for shared in [
            member!(object, FileObject, shared_read),
            member!(object, FileObject, shared_write),
            member!(object, FileObject, shared_delete),
        ] {
            shared.write(1);
        }
        let mut state = lock(&self.state);
        state.directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        state.descriptor = Some(descriptor);
        state.inode = Some(inode);
        state.header = Some(header);
    }

    /// A descriptor that may be written through.
    pub fn set_writable(&self, descriptor: Arc<OwnedFd>) {
        lock(&self.state).writable = Some(descriptor);
    }

    /// A descriptor that may be written through, if the open asked for that.
    pub fn writable(&self) -> Option<Arc<OwnedFd>> {
        lock(&self.state).writable.clone()
    }

    /// Its descriptor, while it is open.
    pub fn descriptor(&self) -> Option<Arc<OwnedFd>> {
        lock(&self.state).descriptor.clone()
    }

    /// Device and inode, while it is open.
    pub fn inode(&self) -> Option<(u64, u64)> {
        lock(&self.state).inode
    }

    /// Whether it is an open directory.
    pub fn is_directory(&self) -> bool {
        lock(&self.state).directory
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        lock(&self.state).path.clone()
    }

    /// How it was asked for.
    pub fn opened_path(&self) -> PathBuf {
        lock(&self.state).opened.clone()
    }

    /// It was renamed.
    pub fn moved(&self, path: PathBuf) {
        let (_, inside) = volume::locate(&path);
        {
            let mut state = lock(&self.state);
            state.path = path;
            state.names.clear();
        }
        self.set_name(&volume::encode(&inside));
    }

    /// A name that was asked for before, in this format.
    pub fn cached_name(&self, format: u32) -> Option<Vec<Unit>> {
        lock(&self.state).names.get(&format).cloned()
    }

    /// Remembers a name.
    pub fn cache_name(&self, format: u32, name: &[Unit]) {
        lock(&self.state).names.insert(format, name.to_vec());
    }

    /// The names of a directory that a listing has not given yet; all of them again if `restart`.
    pub fn listing(&self, restart: bool) -> Vec<PathBuf> {
        let path = self.path();
        let mut state = lock(&self.state);
        if restart {
            state.listed = None;
        }
        let list = || {
            let mut names = vec![PathBuf::from("."), PathBuf::from("..")];
            let mut entries: Vec<PathBuf> = std::fs::read_dir(&path)
                .map(|entries| entries.flatten().map(|entry| entry.file_name().into()).collect())
                .unwrap_or_default();
            entries.sort();
            names.extend(entries);
            names
        };
        state.listed.get_or_insert_with(list).clone()
    }

    /// The listing has given so many names.
    pub fn listed(&self, count: usize) {
        if let Some(listed) = &mut lock(&self.state).listed {
            listed.drain(..count.min(listed.len()));
        }
    }

    /// It is closed: its contexts go, and with the last of its inode those of the file.
    pub fn close(&self) {
        let inode = {
            let mut state = lock(&self.state);
            if std::mem::replace(&mut state.closed, true) {
                return;
            }
            (state.descriptor, state.writable) = (None, None);
            state.inode.take()
        };
        context::remove_of_handle(self.object().address());
        let mut gone = None;
        if let Some((device, inode)) = inode {
            let mut open = lock(&OPEN);
            let open = open.get_or_insert_default();
            let last = open.get_mut(&(device, inode)).is_some_and(|(count, _)| {
                *count -= 1;
                *count == 0
            });
            if last {
                open.remove(&(device, inode));
                gone = Some((device, inode));
            }
        }
        if let Some((device, inode)) = gone {
            context::remove_of_file(device, inode);
        }
        let references = object::remove(self.object().cast());
        if references > 0 {
            report::find(
                Rule::ObjLeak,
                format!("a file object is closed to which the driver has {references} references"),
            );
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.close();
    }
}

fn header(size: i64) -> Memory {
    let header = Memory::new(HEADER + RESOURCE);
    let resource: Ptr<u8> = header.at::<u8>().add(HEADER);
    header.at::<u8>().add(HEADER_RESOURCE).cast().write(resource);
    header.at::<u8>().add(HEADER_FILE_SIZE).cast().write(size);
    header
}
