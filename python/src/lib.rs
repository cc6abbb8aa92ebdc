//! The Python package `fltmgr`, over the crate `fltport`: connections, messages, errors. What is plain Python about it, the
//! iteration and asyncio, is in `fltmgr/__init__.py`.

use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fltport::internal::Polled;
use fltport::{Status, Timeout};
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

pyo3::create_exception!(_fltmgr, Error, PyException, "A call failed; `status` is the number that Windows would give.");

fn raise(error: fltport::Error) -> PyErr {
    let raised = Error::new_err(error.to_string());
    // the attribute is the exception's own: there is room for it
    let _ = Python::attach(|py| raised.value(py).setattr("status", error.status().0));
    raised
}

/// A connection to a port.
#[pyclass(subclass, frozen, module = "fltmgr._fltmgr")]
struct Connection(Polled);

/// How long a wait of Python's lasts before it looks whether the program was interrupted.
const SLICE: Duration = Duration::from_millis(100);

#[pymethods]
impl Connection {
    #[new]
    #[pyo3(signature = (name, context = None))]
    fn new(py: Python<'_>, name: &str, context: Option<&[u8]>) -> PyResult<Self> {
        let connection =
            py.detach(|| fltport::Connection::connect(name, context.unwrap_or_default())).map_err(raise)?;
        Ok(Self(Polled::new(connection)))
    }

    /// The port's name.
    #[getter]
    fn name(&self) -> String {
        self.0.connection().name().to_string()
    }

    /// Waits for a message, for `timeout` seconds at most; None if none came.
    #[pyo3(signature = (timeout = None))]
    fn recv(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Message>> {
        let timeout = timeout.map(Duration::try_from_secs_f64).transpose();
        let mut left = timeout.map_err(|error| PyValueError::new_err(error.to_string()))?;
        loop {
            let slice = left.map_or(SLICE, |left| left.min(SLICE));
            let message = py.detach(|| self.0.receive(Timeout::After(slice))).map_err(raise)?;
            left = left.map(|left| left.saturating_sub(slice));
            if message.is_some() || left == Some(Duration::ZERO) {
                return Ok(message.map(Message::new));
            }
            py.check_signals()?;
        }
    }

    /// Calls the filter's message callback; what it answers, at most `capacity` bytes.
    #[pyo3(signature = (input, capacity = 65536))]
    fn send<'py>(&self, py: Python<'py>, input: &[u8], capacity: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut output = vec![0; capacity];
        let len = py.detach(|| self.0.connection().send(input, &mut output)).map_err(raise)?;
        Ok(PyBytes::new(py, &output[..len.min(capacity)]))
    }

    /// A descriptor that is readable while there is a message, or the connection is gone.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.0.descriptor().map_err(raise)?.as_raw_fd())
    }

    /// Disconnects.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.connection().disconnect());
    }
}

/// A message of a filter's.
#[pyclass(frozen, module = "fltmgr._fltmgr")]
struct Message {
    /// Until it is answered.
    message: Mutex<Option<fltport::Message>>,
    body: Vec<u8>,
    id: u64,
    reply_capacity: Option<usize>,
}

impl Message {
    fn new(message: fltport::Message) -> Self {
        let (body, id, reply_capacity) = (message.body().to_vec(), message.id(), message.reply_capacity());
        Self { message: Mutex::new(Some(message)), body, id, reply_capacity }
    }

    fn message(&self) -> MutexGuard<'_, Option<fltport::Message>> {
        self.message.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Message {
    /// What the filter sent.
    #[getter]
    fn body<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    /// Its number; 0 if no reply is wanted.
    #[getter]
    fn id(&self) -> u64 {
        self.id
    }

    /// How many bytes of reply the filter has room for; None if it wants none.
    #[getter]
    fn reply_capacity(&self) -> Option<usize> {
        self.reply_capacity
    }

    /// Whether an answer would still reach the filter.
    fn is_waited_for(&self) -> bool {
        self.message().as_ref().is_some_and(fltport::Message::is_waited_for)
    }

    /// The descriptor of the file that came with it, which is the caller's from now on; or None.
    fn take_file(&self) -> Option<i32> {
        Some(self.message().as_mut()?.take_file()?.into_raw_fd())
    }

    /// Answers with a payload and a status. Once.
    #[pyo3(signature = (payload = None, status = 0))]
    fn reply(&self, py: Python<'_>, payload: Option<&[u8]>, status: u32) -> PyResult<()> {
        let message = self.message().take();
        let message = message.ok_or_else(|| PyValueError::new_err("the message has been answered"))?;
        py.detach(|| message.reply(Status(status), payload.unwrap_or_default())).map_err(raise)
    }
}

#[pymodule]
fn _fltmgr(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("Error", module.py().get_type::<Error>())?;
    module.add_class::<Connection>()?;
    module.add_class::<Message>()
}
