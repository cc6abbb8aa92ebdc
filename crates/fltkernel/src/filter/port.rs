//! Ports: `FltCreateCommunicationPort` and its family over [`fltmgr::Port`].

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fltmgr::{Client, Port, PortOptions, Response, SecurityDescriptor, Serve, Timeout};

use super::callback;
use super::registration::Filter;
use crate::edge::{Memory, Ptr};
use crate::kernel::object::{self, Object, address};
use crate::kernel::report::{self, Rule};
use crate::kernel::{irql, locks, process, security, time};
use crate::lock;
use crate::nt::status::{self, Status};
use crate::nt::{OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, ObjectAttributes};

type Connect = extern "C" fn(Ptr, Ptr, Ptr, u32, Ptr<Ptr>) -> Status;
type Disconnect = extern "C" fn(Ptr);
type Message = extern "C" fn(Ptr, Ptr, u32, Ptr, u32, Ptr<u32>) -> Status;

/// What keeps a filter from going while a server port is open.
pub const OPEN_PORT: &str = "open server ports";

/// A server port of a driver.
struct ServerPort {
    filter: Arc<Filter>,
    port: Mutex<Option<Port>>,
}

impl Object for ServerPort {
    fn kind(&self) -> &'static str {
        "server port"
    }
}

/// `PFLT_PORT` of one client.
struct ClientPort {
    filter: Arc<Filter>,
    client: Client,
}

impl Object for ClientPort {
    fn kind(&self) -> &'static str {
        "client port"
    }
}

static SERVERS: Mutex<Vec<Arc<ServerPort>>> = Mutex::new(Vec::new());
/// Ports that were closed by the driver and whose connections live on: kept so that they can be ended with the filter.
static CLIENTS: Mutex<Vec<Arc<ClientPort>>> = Mutex::new(Vec::new());
/// Under this lock a driver's client-port variables are read and set to NULL.
static VARIABLES: Mutex<()> = Mutex::new(());

/// The driver's callbacks, and what they are called with.
struct Callbacks {
    filter: Arc<Filter>,
    cookie: Ptr,
    connect: Connect,
    disconnect: Option<Disconnect>,
    message: Option<Message>,
}

/// One connection as the driver knows it.
struct Session {
    cookie: Ptr,
    port: Ptr,
    process: u32,
}

impl Serve for Callbacks {
    type Session = Session;

    fn connect(&self, client: &Client, context: &[u8]) -> Result<Session, Status> {
        let known = Arc::new(ClientPort { filter: self.filter.clone(), client: client.clone() });
        let port = object::add(&known);
        lock(&CLIENTS).push(known);
        let process = client.peer().pid;
        // a block of exactly this size, so that a sanitizer sees a read beyond it
        let copy = Memory::holding(context);
        let data = if context.is_empty() { Ptr::NULL } else { copy.at() };
        let mut cookie = Ptr::NULL;
        let identity = process::identity(process, process);
        let answer = callback::call("ConnectNotify", Some(identity), 0, || {
            (self.connect)(port, self.cookie, data, context.len() as u32, Ptr::new(&raw mut cookie))
        });
        if answer.is_success_severity() {
            return Ok(Session { cookie, port, process });
        }
        forget_client(port);
        Err(answer)
    }

    fn message(&self, session: &Session, from: &fltport::Process, input: &[u8], output: &mut [u8]) -> Response {
        let Some(message) = self.message else { return Status::INVALID_DEVICE_REQUEST.into() };
        let (given, room) = (Memory::holding(input), Memory::new(output.len()));
        let into = if output.is_empty() { Ptr::NULL } else { room.at() };
        let mut length = 0u32;
        let identity = process::identity(from.pid(), from.pid());
        let status = callback::call("MessageNotify", Some(identity), 0, || {
            message(
                session.cookie,
                given.at(),
                input.len() as u32,
                into,
                output.len() as u32,
                Ptr::new(&raw mut length),
            )
        });
        output.copy_from_slice(&room.at::<u8>().read_many(output.len()));
        Response { status, len: length as usize }
    }

    fn disconnect(&self, session: Session) {
        let identity = process::identity(session.process, session.process);
        if let Some(disconnect) = self.disconnect {
            callback::call("DisconnectNotify", Some(identity), 0, || disconnect(session.cookie));
        }
        // the driver may close its variable later: until then the pointer stays good
        if !object::find::<ClientPort>(session.port).is_some_and(|port| port.client.is_connected()) {
            lock(&CLIENTS).retain(|known| address(known) != session.port || !known.client.is_connected());
        }
    }
}

fn forget_client(port: Ptr) {
    object::remove(port);
    lock(&CLIENTS).retain(|known| address(known) != port);
}

#[unsafe(no_mangle)]
extern "C" fn FltCreateCommunicationPort(
    filter: Ptr,
    result: Ptr<Ptr>,
    attributes: Ptr<ObjectAttributes>,
    cookie: Ptr,
    connect: Option<Connect>,
    disconnect: Option<Disconnect>,
    message: Option<Message>,
    most: i32,
) -> Status {
    irql::expect(irql::PASSIVE, "FltCreateCommunicationPort");
    result.write(Ptr::NULL);
    let Some(filter) = object::get::<Filter>(filter, "filter") else { return status::INVALID_PARAMETER };
    let attributes = attributes.read();
    let (Ok(most), Some(connect)) = (u32::try_from(most), connect) else { return status::INVALID_PARAMETER };
    if most == 0 || attributes.attributes & OBJ_KERNEL_HANDLE == 0 {
        return status::INVALID_PARAMETER;
    }
    if filter.is_draining() {
        return status::FLT_DELETING_OBJECT;
    }
    let Some(name) = attributes.name().map(|name| String::from_utf16_lossy(&name)) else {
        return status::OBJECT_NAME_INVALID;
    };
    let descriptor = match attributes.security.some().map(|descriptor| security::read(descriptor.cast())) {
        None => SecurityDescriptor::default_for(proto::access::AccessMask::PORT_ALL_ACCESS),
        Some(Ok(descriptor)) => descriptor,
        Some(Err(status)) => return status,
    };
    let options = PortOptions::default()
        .max_connections(most)
        .security(descriptor)
        .case_insensitive(attributes.attributes & OBJ_CASE_INSENSITIVE != 0);
    let callbacks = Callbacks { filter: filter.clone(), cookie, connect, disconnect, message };
    match Port::create(&name, options, callbacks) {
        Ok(port) => {
            let server = Arc::new(ServerPort { filter: filter.clone(), port: Mutex::new(Some(port)) });
            filter.users().add(OPEN_PORT);
            result.write(object::add(&server));
            lock(&SERVERS).push(server);
            status::SUCCESS
        }
        Err(error) => error.status(),
    }
}

/// Keeps the port's connections, and gives its name back.
fn close(server: &Arc<ServerPort>) {
    if let Some(port) = lock(&server.port).take() {
        port.close();
        server.filter.users().remove(OPEN_PORT);
    }
    object::remove(address(server));
    lock(&SERVERS).retain(|other| !Arc::ptr_eq(other, server));
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCloseCommunicationPort(port: Ptr) {
    irql::expect(irql::PASSIVE, "FltCloseCommunicationPort");
    if let Some(server) = object::get::<ServerPort>(port, "server port") {
        close(&server);
    }
}

/// Closes what a filter that goes has left open.
pub fn close_all(filter: &Arc<Filter>) {
    let open: Vec<_> = lock(&SERVERS).iter().filter(|server| Arc::ptr_eq(&server.filter, filter)).cloned().collect();
    open.iter().for_each(close);
}

/// Ends the connections of a filter that goes.
pub fn disconnect_all(filter: &Arc<Filter>) {
    let clients: Vec<_> = lock(&CLIENTS).iter().filter(|client| Arc::ptr_eq(&client.filter, filter)).cloned().collect();
    for client in clients {
        if client.client.is_connected() {
            client.client.close();
        }
        forget_client(address(&client));
    }
}

/// Server ports of a filter that are open.
pub fn open_ports(filter: &Arc<Filter>) -> usize {
    lock(&SERVERS).iter().filter(|server| Arc::ptr_eq(&server.filter, filter)).count()
}

#[unsafe(no_mangle)]
pub extern "C" fn FltCloseClientPort(_filter: Ptr, variable: Ptr<Ptr>) {
    irql::expect(irql::PASSIVE, "FltCloseClientPort");
    let port = {
        let _variables = lock(&VARIABLES);
        let port = variable.read();
        variable.write(Ptr::NULL);
        port
    };
    if port.is_null() {
        return;
    }
    if let Some(known) = object::get::<ClientPort>(port, "client port") {
        known.client.close();
        forget_client(port);
    }
}

/// How long a send waits: NULL is for ever, 0 as on Windows for no time, negative relative, positive absolute.
fn timeout(ticks: Ptr<i64>) -> Timeout {
    match ticks.some().map(Ptr::read) {
        None => {
            if crate::kernel::thread::operation() != 0 {
                report::find(Rule::NullTimeout, "FltSendMessage waits for ever: a stopped service stops every opener");
            }
            Timeout::Never
        }
        Some(0) => Timeout::Poll,
        Some(ticks) if ticks < 0 => Timeout::After(Duration::from_nanos(ticks.unsigned_abs().saturating_mul(100))),
        Some(at) => Timeout::After(Duration::from_nanos(
            at.saturating_sub(time::system()).max(0).unsigned_abs().saturating_mul(100),
        )),
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltSendMessage(
    _filter: Ptr,
    variable: Ptr<Ptr>,
    buffer: Ptr<u8>,
    length: u32,
    reply: Ptr<u8>,
    reply_length: Ptr<u32>,
    ticks: Ptr<i64>,
) -> Status {
    irql::expect(irql::APC, "FltSendMessage");
    if !locks::held().is_empty() {
        report::find(
            Rule::SendLocked,
            "FltSendMessage while this thread has a lock: a thread that wants the lock waits for the service",
        );
    }
    let port = {
        let _variables = lock(&VARIABLES);
        variable.read()
    };
    if port.is_null() {
        return status::PORT_DISCONNECTED;
    }
    let Some(known) = object::get::<ClientPort>(port, "client port") else { return status::PORT_DISCONNECTED };
    let message = buffer.read_many(length as usize);
    let timeout = timeout(ticks);
    let room = if reply.is_null() || reply_length.is_null() { None } else { Some(reply_length.read() as usize) };
    reply_length.write_some(0);
    let Some(room) = room else {
        return known.client.send(&message, timeout).map_or_else(|error| error.status(), |()| status::SUCCESS);
    };
    let mut answer = vec![0; room];
    match known.client.ask(&message, &mut answer, timeout) {
        Ok(ended) => {
            reply.write_many(&answer[..ended.len.min(room)]);
            reply_length.write(ended.len as u32);
            ended.status
        }
        Err(error) => error.status(),
    }
}
