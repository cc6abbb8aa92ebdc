//! A port and the applications that are connected to it.

use std::sync::Arc;
use std::time::Duration;

use fltmgr::guard::Applications;
use fltmgr::namespace::Namespace;
use fltmgr::{Client, Error, Port, PortOptions, SecurityDescriptor, Status};

/// How often is looked at what tells no thread that it has changed.
pub(crate) const GLANCE: Duration = Duration::from_millis(5);

/// Called for each application that connects, which it may refuse.
pub(crate) type Admit = Arc<dyn Fn(&Client) -> Result<(), Status> + Send + Sync>;

/// A port and the applications that are connected to it.
#[derive(Debug)]
pub(crate) struct AskedPort {
    pub(crate) port: Port,
    pub(crate) applications: Applications,
}

impl AskedPort {
    /// A port for one application, run by this user or by root.
    pub(crate) fn open(name: &str, namespace: Namespace, admit: Admit) -> Result<Self, Error> {
        let uid = rustix::process::geteuid().as_raw();
        let sddl = format!("D:P(A;;0x1f0001;;;SY)(A;;0x1f0001;;;uid:{uid})");
        let security: SecurityDescriptor = sddl
            .parse()
            .map_err(|_| Error::new(Status::INVALID_PARAMETER, format!("reading the descriptor {sddl}")))?;
        let applications = Applications::admitted_by(move |client| admit(client));
        let options = PortOptions::default().security(security).namespace(namespace);
        let port = Port::create(name, options, applications.clone())?;
        Ok(Self { port, applications })
    }
}
