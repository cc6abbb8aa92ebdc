//! What a change is about: names in directories, objects, what a descriptor names.

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use proto::operation::{OpFlags, OpKind, Operation};
use rustix::fs::{self, FileType, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::net::AddressFamily;

use super::{Judged, Look, Place, Settled};
use crate::source::supervise::arguments::{self, Copied};
use crate::source::supervise::calls::{Act, Follow, Memory, Name, Part, Shape, Without};
use crate::source::supervise::names;
use crate::source::supervise::plan::{Argument, Bind, BoundName, Change, Plan};
use crate::source::supervise::resolve;

/// A name in a directory.
struct Named {
    parent: Arc<OwnedFd>,
    /// The last component, with a slash if one followed it in the path.
    last: Vec<u8>,
    /// Absolute. `None` if the path ends in no name ("/", "." or ".."): no call has an effect on that.
    path: Option<Vec<u8>>,
    /// The names by which links led to its directory, each with the last component.
    through: Vec<PathBuf>,
}

/// An object, and the names by which links led to it.
pub(super) struct Reached {
    pub(super) object: Arc<OwnedFd>,
    pub(super) through: Vec<PathBuf>,
}

impl From<resolve::Object> for Reached {
    fn from(resolve::Object { object, through, .. }: resolve::Object) -> Self {
        Self { object: Arc::new(object), through }
    }
}

impl From<Arc<OwnedFd>> for Reached {
    /// What a descriptor names.
    fn from(object: Arc<OwnedFd>) -> Self {
        Self { object, through: Vec::new() }
    }
}

/// What the arguments of a change are made of.
#[derive(Default)]
struct Material {
    names: Vec<Named>,
    object: Option<Arc<OwnedFd>>,
    copied: Vec<Copied>,
}

/// struct sockaddr_storage, and where a path begins in an address.
const ADDRESS: u64 = 128;
const PATH: usize = 2;

impl Look<'_> {
    /// A call that opens nothing.
    pub(super) fn change(&self) -> Result<Judged, Settled> {
        if let Shape::Address = self.row.shape {
            return self.bind();
        }
        let mut material = Material::default();
        // Before the path, as the kernel.
        for memory in self.row.memory {
            let copied = self.read(arguments::copy(self.call.tid, self.call.args, *memory))?;
            if matches!(memory, Memory::Text(_)) && copied.size <= 1 {
                return Err(Settled::Error(Errno::NOENT));
            }
            if matches!(memory, Memory::Times(..)) && copied.leaves_times() {
                return Err(Settled::Nothing);
            }
            material.copied.push(copied);
        }
        if let (Act::Exec, Shape::Object { name, follow, without }) = (self.row.act, self.row.shape) {
            self.text(name.path, self.has(libc::AT_EMPTY_PATH as u64))?;
            self.row.error(&self.arguments).map_or(Ok(()), Err)?;
            return self.exec(self.object(name, follow, without)?);
        }
        self.row.error(&self.arguments).map_or(Ok(()), Err)?;
        let operation = self.material(&mut material)?;
        let object = material.object.as_ref().map(Self::regular).transpose()?.flatten();
        let plan = match self.row.act {
            Act::By(effect, parts) => {
                let arguments = parts.iter().map(|part| self.argument(*part, &material)).collect();
                Plan::Change(Change { effect, arguments })
            }
            Act::Open | Act::Bind | Act::Exec => unreachable!("these are looked at elsewhere"),
        };
        match operation {
            Some(operation) => Ok(Judged { operation: operation.into(), plan, object }),
            None => Err(Settled::Do(plan)),
        }
    }

    /// Finds what the call acts on, and the operation on it. `None`: nothing that needs a question.
    fn material(&self, material: &mut Material) -> Result<Option<Operation>, Settled> {
        match self.row.shape {
            Shape::Entry { name, fresh } => {
                let named = self.named(&self.place(name)?)?;
                let path = self.existence(&named, fresh)?;
                let through = named.through.clone();
                material.names.push(named);
                Ok(path.map(|path| {
                    let mut operation = self.operation(path);
                    operation.through = through;
                    operation.flags.set(OpFlags::CREATE, self.row.kind == OpKind::Mknod);
                    operation
                }))
            }
            Shape::Names { from, to } => {
                let [from, to] = [self.named(&self.place(from)?)?, self.named(&self.place(to)?)?];
                let pair = from.path.clone().zip(to.path.clone());
                let operation = pair.map(|pair| self.rename(&from, &to, pair)).transpose()?;
                material.names.extend([from, to]);
                Ok(operation)
            }
            Shape::Link { from, to, follow } => {
                let Reached { object, mut through } = self.linked(from, self.has(follow))?;
                let path = names::name_of(object.as_fd())?;
                let to = self.named(&self.place(to)?)?;
                let target = self.existence(&to, true)?;
                through.extend(to.through.iter().cloned());
                material.object = Some(object);
                material.names.push(to);
                Ok(target.map(|target| {
                    let mut operation = self.pair(path, target);
                    operation.through = through;
                    operation
                }))
            }
            Shape::Symlink { to } => {
                let to = self.named(&self.place(to)?)?;
                let target = self.existence(&to, true)?;
                let pair = target.map(|target| {
                    let mut operation = self.pair(self.led_to(&target)?, target);
                    operation.through.clone_from(&to.through);
                    Ok::<_, Settled>(operation)
                });
                let pair = pair.transpose()?;
                material.names.push(to);
                Ok(pair)
            }
            Shape::Object { name, follow, without } => {
                let Reached { object, through } = self.object(name, follow, without)?;
                let operation = self.reached(&object, through)?;
                material.object = Some(object);
                Ok(Some(operation))
            }
            Shape::Descriptor(register) => {
                let object = self.descriptor(self.arg(register) as i32)?;
                let path = names::name_of(object.as_fd())?;
                material.object = Some(object);
                // A pipe, a socket: nothing in the tree of files.
                Ok(path.starts_with(b"/").then(|| self.operation(path)))
            }
            Shape::Open(_) | Shape::Open2 | Shape::Address => unreachable!("these are looked at elsewhere"),
        }
    }

    /// The directory and the last component of a path.
    fn named(&self, place: &Place) -> Result<Named, Settled> {
        let find = |dir: &[u8]| {
            let found = self.walker().object(place.start(), dir, true, ResolveFlags::empty());
            Self::found(found).map(Reached::from)
        };
        if let Some((dir, name)) = names::split(&place.path) {
            let Reached { object: parent, through } = find(dir)?;
            let through = through.iter().map(|dir| names::below(dir, name)).collect();
            let path = names::join(&names::name_of(parent.as_fd())?, name);
            let slash: &[u8] = if place.path.ends_with(b"/") { b"/" } else { b"" };
            return Ok(Named { parent, last: [name, slash].concat(), path: Some(path), through });
        }
        let at = place.path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let (dir, last) = place.path.split_at(at);
        let (parent, last) = match last {
            // "/", or "dir/./" and the like: their slashes are of the last component.
            b"" => (find(b".")?, place.path.clone()),
            _ => (find(if dir.is_empty() { b"." } else { dir })?, last.to_vec()),
        };
        Ok(Named { parent: parent.object, last, path: None, through: Vec::new() })
    }

    /// The path of a name that must be free (`fresh`) or taken. The errors are those of the call; nothing is asked about
    /// what cannot be done.
    fn existence(&self, named: &Named, fresh: bool) -> Result<Option<Vec<u8>>, Settled> {
        if named.path.is_some() {
            let name = named.last.strip_suffix(b"/").unwrap_or(&named.last);
            match (fresh, self.actor.look(named.parent.as_fd(), name)) {
                (true, Ok(_)) => return Err(Settled::Error(Errno::EXIST)),
                (false, Err(errno)) => return Err(Settled::Error(errno)),
                _ => {}
            }
        }
        Ok(named.path.clone())
    }

    /// What gets another name, and what gets its name if both are exchanged.
    fn rename(&self, from: &Named, to: &Named, (path, target): (Vec<u8>, Vec<u8>)) -> Result<Operation, Settled> {
        let kind = |named: &Named| {
            let name = named.last.strip_suffix(b"/").unwrap_or(&named.last);
            self.actor.look(named.parent.as_fd(), name)
        };
        let mut leaf = kind(from)? != FileType::Directory;
        if self.has(libc::RENAME_EXCHANGE.into()) {
            leaf &= kind(to)? != FileType::Directory;
        }
        let mut operation = self.pair(path, target);
        operation.through = [&*from.through, &*to.through].concat();
        operation.flags.set(OpFlags::LEAF, leaf);
        Ok(operation)
    }

    /// The object that gets a second name.
    fn linked(&self, from: Name, follow: bool) -> Result<Reached, Settled> {
        let place = self.place_within(from, ResolveFlags::empty(), self.has(libc::AT_EMPTY_PATH as u64))?;
        if place.path.is_empty() {
            return place.start.map(|start| Arc::new(start).into()).ok_or(Settled::Error(Errno::NOENT));
        }
        let found = self.walker().object(place.start(), &place.path, follow, ResolveFlags::empty());
        Self::found(found).map(Reached::from)
    }

    fn object(&self, name: Name, follow: Follow, without: Without) -> Result<Reached, Settled> {
        let descriptor = name.at.map_or(libc::AT_FDCWD, |register| self.arg(register) as i32);
        let empty = without != Without::Nothing && self.has(libc::AT_EMPTY_PATH as u64);
        let no_path = self.arg(name.path) == 0;
        let open = || self.descriptor(descriptor).map(Reached::from);
        match without {
            Without::Descriptor | Without::Both if no_path && descriptor != libc::AT_FDCWD => {
                return if self.arguments.flags == 0 { open() } else { Err(Errno::INVAL.into()) };
            }
            Without::File if no_path && empty && descriptor != libc::AT_FDCWD => return open(),
            _ => {}
        }
        let place = self.place_within(name, ResolveFlags::empty(), empty)?;
        if place.path.is_empty() {
            return match without {
                Without::File if descriptor != libc::AT_FDCWD => open(),
                _ => place.start.map(|start| Arc::new(start).into()).ok_or(Settled::Error(Errno::NOENT)),
            };
        }
        let follow = match follow {
            Follow::Always => true,
            Follow::Never => false,
            Follow::Unless(flag) => !self.has(flag),
        };
        let found = self.walker().object(place.start(), &place.path, follow, ResolveFlags::empty());
        Self::found(found).map(Reached::from)
    }

    /// A copy of a descriptor of the caller, which must be more than a path.
    fn descriptor(&self, number: i32) -> Result<Arc<OwnedFd>, Settled> {
        let copy = self.read(arguments::descriptor(self.call.tid, number))?;
        if fs::fcntl_getfl(&copy)?.contains(OFlags::PATH) {
            return Err(Settled::Error(Errno::BADF));
        }
        Ok(Arc::new(copy))
    }

    fn argument(&self, part: Part, material: &Material) -> Argument {
        let copied = |n: usize| &material.copied[n];
        let object = || material.object.clone();
        match part {
            Part::Dir(n) => Argument::Fd(material.names[n].parent.clone()),
            Part::Name(n) => text(material.names[n].last.clone()),
            Part::Object => object().map_or(Argument::Null, Argument::Object),
            Part::Fd => object().map_or(Argument::Null, Argument::Fd),
            Part::Here => Argument::Here,
            Part::Copied(n) => copied(n).bytes.clone().map_or(Argument::Null, Argument::Bytes),
            Part::Size(n) => Argument::Number(copied(n).size),
            Part::Flag(n) => Argument::Number(copied(n).flags),
            Part::Flags => Argument::Number(self.arguments.flags),
            Part::Mode => Argument::Number(self.arguments.mode.into()),
            Part::Length => Argument::Number(self.arguments.length),
            Part::Register(n) => Argument::Number(self.arg(n)),
            Part::Is(value) => Argument::Number(value),
        }
    }

    /// The address that a socket is to get, and the path in it if the socket gets a name in the tree of files.
    pub(super) fn address(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), Settled> {
        let length = u64::from(self.arg(2) as u32);
        if length > ADDRESS {
            return Err(Settled::Error(Errno::INVAL));
        }
        let address = self.read(arguments::read_bytes(self.call.tid, self.arg(1), length as usize))?;
        let is_unix = address.get(..PATH) == Some(&libc::AF_UNIX.to_ne_bytes()[..PATH]);
        let path = address.get(PATH..).unwrap_or_default();
        let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
        let path = (is_unix && !path.is_empty()).then(|| path.to_vec());
        Ok((address, path))
    }

    /// A socket that gets an address: a Unix socket may get a name by it.
    fn bind(&self) -> Result<Judged, Settled> {
        // As the kernel: the socket before its address.
        let socket = self.read(arguments::descriptor(self.call.tid, self.arg(0) as i32))?;
        let (address, path) = self.address()?;
        let domain = rustix::net::sockopt::socket_domain(&socket)?;
        let Some(path) = path.filter(|_| domain == AddressFamily::UNIX) else {
            let numbered = domain == AddressFamily::NETLINK && address.get(4..8) == Some(&[0; 4]);
            return Err(Settled::Do(Plan::Bind(Bind { socket, address, name: None, numbered })));
        };
        let place = if path.starts_with(b"/") {
            Place { start: None, path }
        } else {
            Place { start: Some(self.start(None)?), path }
        };
        let named = self.named(&place)?;
        let path = match self.existence(&named, true) {
            Err(Settled::Error(Errno::EXIST)) => return Err(Settled::Error(Errno::ADDRINUSE)),
            other => other?,
        };
        let Named { parent, last, through, .. } = named;
        // An absolute path needs no start; where the proxy stands is as good as any.
        let start = match place.start {
            Some(start) => start,
            None => parent.try_clone().map_err(|_| Errno::NFILE)?,
        };
        let name = BoundName { start, parent, name: last };
        let plan = Plan::Bind(Bind { socket, address, name: Some(name), numbered: false });
        let Some(path) = path else { return Err(Settled::Do(plan)) };
        let mut operation = self.operation(path);
        operation.through = through;
        operation.flags |= OpFlags::CREATE;
        Ok(Judged { operation: operation.into(), plan, object: None })
    }
}

/// A text without a zero byte: it was read up to the first.
fn text(bytes: Vec<u8>) -> Argument {
    CString::new(bytes).map_or(Argument::Null, Argument::Text)
}
