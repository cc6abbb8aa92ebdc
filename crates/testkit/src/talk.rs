//! How tests find out whether a connection works, or is over.

use fltport::{Client, Connection, Status, Timeout};

use crate::{Host, LONG, echoes};

/// A host whose filter answers requests with what it got.
pub fn echo() -> Host {
    Host::with(echoes, |options| options)
}

/// Asks, and gives what is answered.
///
/// # Errors
/// The status with which that failed.
pub fn ask(filter: &Client, message: &[u8]) -> Result<Vec<u8>, Status> {
    let mut reply = [0; 64];
    match filter.ask(message, &mut reply, Timeout::After(LONG)) {
        Ok(answer) => Ok(reply[..answer.len].to_vec()),
        Err(error) => Err(error.status()),
    }
}

/// The application's half of [`talks`]; the filter must be an [`echo`].
pub fn answers(port: &Connection) {
    let message = port.recv().unwrap();
    let body = message.body().to_vec();
    message.reply(Status::SUCCESS, &body).unwrap();
    let mut output = [0; 4];
    assert_eq!(port.send(b"ping", &mut output).unwrap(), 4);
    assert_eq!(&output, b"ping");
}

/// That a connection works both ways.
pub fn talks(filter: &Client) {
    assert_eq!(ask(filter, b"still there?"), Ok(b"still there?".to_vec()));
}

/// That a connection is over for the application: whatever it calls fails at once.
pub fn is_over(port: &Connection) {
    assert_eq!(port.send(b"x", &mut []).unwrap_err().status(), Status::PORT_DISCONNECTED);
    assert_eq!(port.recv().unwrap_err().status(), Status::PORT_DISCONNECTED);
    assert_eq!(port.reply(1, Status::SUCCESS, b"").unwrap_err().status(), Status::FLT_NO_WAITER_FOR_REPLY);
    assert!(!port.is_connected());
}

/// That a connection is over for the filter.
pub fn is_over_for_the_filter(filter: &Client) {
    assert_eq!(filter.send(b"x", Timeout::Never).unwrap_err().status(), Status::PORT_DISCONNECTED);
    assert_eq!(ask(filter, b"x"), Err(Status::PORT_DISCONNECTED));
    assert!(!filter.is_connected());
}

/// Bytes that show where each comes from: they repeat after a prime number of bytes only, larger than any piece.
pub fn patterned(len: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..len.min(65_537)).map(|index| (index * 31 + index / 256) as u8).collect();
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let piece = period.len().min(len - bytes.len());
        bytes.extend_from_slice(&period[..piece]);
    }
    bytes
}
