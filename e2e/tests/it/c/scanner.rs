//! A filter that hands its clients to a test, and answers requests as the test says.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use fltmgr::namespace::Namespace;
use fltmgr::{Client, Port, PortOptions, Process, Response, Serve, Status};

type Answer = dyn Fn(&[u8], &mut [u8]) -> Response + Send + Sync;

pub(crate) struct Scanner {
    clients: SyncSender<Client>,
    answer: Box<Answer>,
}

impl Scanner {
    /// A port whose filter has no message callback.
    pub(crate) fn serve(namespace: &Path, name: &str) -> (Port, Receiver<Client>) {
        Self::answer(namespace, name, |_, _| Status::INVALID_DEVICE_REQUEST.into())
    }

    pub(crate) fn answer(
        namespace: &Path,
        name: &str,
        answer: impl Fn(&[u8], &mut [u8]) -> Response + Send + Sync + 'static,
    ) -> (Port, Receiver<Client>) {
        let (connected, clients) = sync_channel(16);
        let filter = Self { clients: connected, answer: Box::new(answer) };
        let options = PortOptions::default().namespace(Namespace::at(namespace));
        (Port::create(name, options, filter).unwrap(), clients)
    }
}

impl Serve for Scanner {
    type Session = ();

    fn connect(&self, client: &Client, _: &[u8]) -> Result<(), Status> {
        self.clients.try_send(client.clone()).map_err(|_| Status::CONNECTION_COUNT_LIMIT)
    }

    fn message(&self, (): &(), _: &Process, input: &[u8], output: &mut [u8]) -> Response {
        (self.answer)(input, output)
    }
}
