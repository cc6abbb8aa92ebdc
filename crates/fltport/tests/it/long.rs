//! Requests and messages of 64 MiB and more. In a program of its own: they keep a machine busy.

use std::thread;

use fltport::{PortOptions, Response, Status, Timeout};
use testkit::Host;

fn host(options: impl FnOnce(PortOptions) -> PortOptions) -> Host {
    let echo = move |_: &_, input: &[u8], output: &mut [u8]| {
        let len = input.len().min(output.len());
        output[..len].copy_from_slice(&input[..len]);
        Response::from(len)
    };
    Host::with(|filter| filter.on_message = Box::new(echo), options)
}

/// Bytes that differ from piece to piece.
fn pattern(len: usize) -> Vec<u8> {
    let mut bytes = (0..251).collect::<Vec<u8>>().repeat(len / 251 + 1);
    bytes.truncate(len);
    bytes
}

#[test]
fn the_longest_request_and_answer_pass_unless_the_port_says_otherwise() {
    const MOST: usize = 64 << 20;
    let host = host(|options| options);
    let port = host.connect();
    let mut output = vec![0; MOST];
    let input = pattern(MOST);
    assert_eq!(port.send(&input, &mut output).unwrap(), MOST);
    assert!(output == input);
    // one byte more of either is refused, and the connection goes on
    let too_much = |input: &[u8], output: &mut [u8]| {
        assert_eq!(port.send(input, output).unwrap_err().status(), Status::INSUFFICIENT_RESOURCES);
        assert_eq!(port.send(b"x", &mut [0; 1]).unwrap(), 1);
    };
    too_much(&pattern(MOST + 1), &mut []);
    too_much(b"x", &mut vec![0; MOST + 1]);
    assert_eq!(port.send(&input[..MOST - 1], &mut output[..2]).unwrap(), 2);
    assert_eq!(port.send(&input[..2], &mut output[..MOST - 1]).unwrap(), 2);
}

#[test]
fn a_port_may_take_longer_requests() {
    // what one user may hold follows by itself
    const MOST: usize = 100 << 20;
    let host = host(|options| options.max_request(MOST));
    let port = host.connect();
    let input = pattern(MOST);
    let mut output = vec![0; MOST];
    assert_eq!(port.send(&input, &mut output).unwrap(), MOST);
    assert!(output == input);
    let long = (64 << 20) + 1;
    assert_eq!(port.send(&input[..long], &mut []).unwrap(), 0);
    assert_eq!(port.send(b"x", &mut output[..long]).unwrap(), 1);
    let error = port.send(&vec![0; MOST + 1], &mut []).unwrap_err();
    assert_eq!(error.status(), Status::INSUFFICIENT_RESOURCES);
}

#[test]
fn messages_to_a_client_have_any_length_that_their_filter_has() {
    const LEN: usize = 100 << 20;
    let host = host(|options| options);
    let (port, client) = host.pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            let message = port.recv().unwrap();
            assert!(message.body() == pattern(LEN));
            let payload = message.body().to_vec();
            message.reply(Status::SUCCESS, &payload).unwrap();
        });
        let mut reply = vec![0; LEN];
        assert_eq!(client.ask(&pattern(LEN), &mut reply, Timeout::Never).unwrap().len, LEN);
        assert!(reply == pattern(LEN));
    });
}
