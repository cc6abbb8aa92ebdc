//! How often clients have broken the protocol, and in which ways.

use std::collections::BTreeMap;
use std::sync::Mutex;

use proto::name::PortName;
use proto::violation::Violation;
use sys::peer::Credentials;

use crate::sync::lock;

/// The count of one port.
#[derive(Debug, Default)]
pub(super) struct Violations(Mutex<BTreeMap<&'static str, u64>>);

impl Violations {
    /// Counts a breach, and logs it: called once for each client, because a breach ends its connection.
    pub(super) fn note(&self, violation: Violation, port: &PortName, peer: &Credentials) {
        *lock(&self.0).entry(violation.name()).or_default() += 1;
        tracing::warn!(%port, pid = peer.pid, uid = peer.uid, %violation, "client disconnected");
    }

    pub(super) fn read(&self) -> Vec<(&'static str, u64)> {
        lock(&self.0).iter().map(|(&name, &count)| (name, count)).collect()
    }
}
