//! The application of a scanner's filter: two threads take messages from a completion port, and say of each content whether
//! it is safe. Ends when the filter does.

use std::mem::{offset_of, size_of, zeroed};
use std::ptr::{null, null_mut};
use std::thread;

use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_INVALID_HANDLE, ERROR_IO_PENDING, GetLastError, HANDLE, INVALID_HANDLE_VALUE, S_OK,
};
use windows_sys::Win32::Storage::InstallableFileSystems::{
    FILTER_MESSAGE_HEADER, FILTER_REPLY_HEADER, FilterConnectCommunicationPort, FilterGetMessage, FilterReplyMessage,
};
use windows_sys::Win32::System::IO::{CreateIoCompletionPort, GetQueuedCompletionStatus, OVERLAPPED};
use windows_sys::w;

const THREADS: usize = 2;
const RECEIVES: usize = 5;
const PENDING: i32 = (0x8007_0000_u32 | ERROR_IO_PENDING) as i32;

#[repr(C)]
struct Message {
    header: FILTER_MESSAGE_HEADER,
    content: [u8; 1024],
    overlapped: OVERLAPPED,
}

#[repr(C)]
struct Reply {
    header: FILTER_REPLY_HEADER,
    safe: u8,
}

/// 16 and the byte: the filter has room for no more.
const REPLY_LEN: u32 = size_of::<FILTER_REPLY_HEADER>() as u32 + 1;

/// A handle is a number that any thread may use.
#[derive(Clone, Copy)]
struct Handle(isize);

fn get(port: HANDLE, message: *mut Message) -> bool {
    let len = offset_of!(Message, overlapped) as u32;
    unsafe { FilterGetMessage(port, message.cast(), len, &raw mut (*message).overlapped) == PENDING }
}

fn work(port: Handle, completion: Handle) -> usize {
    let (port, completion) = (port.0 as HANDLE, completion.0 as HANDLE);
    let mut answered = 0;
    loop {
        let (mut bytes, mut key, mut overlapped) = (0, 0, null_mut());
        let done = unsafe { GetQueuedCompletionStatus(completion, &mut bytes, &mut key, &mut overlapped, u32::MAX) };
        if done == 0 {
            assert_eq!(unsafe { GetLastError() }, ERROR_INVALID_HANDLE, "the end of the filter");
            return answered;
        }
        let message: *mut Message = overlapped.cast::<u8>().wrapping_sub(offset_of!(Message, overlapped)).cast();
        let received = unsafe { &*message };
        let content = &received.content[..bytes as usize - size_of::<FILTER_MESSAGE_HEADER>()];
        let safe = !content.windows(4).any(|window| window == b"foul");
        let header = FILTER_REPLY_HEADER { Status: 0, MessageId: received.header.MessageId };
        let reply = Reply { header, safe: safe.into() };
        assert_eq!(unsafe { FilterReplyMessage(port, &raw const reply.header, REPLY_LEN) }, S_OK);
        answered += 1;
        if !get(port, message) {
            return answered;
        }
    }
}

fn main() {
    let mut port = INVALID_HANDLE_VALUE;
    let connected = unsafe { FilterConnectCommunicationPort(w!("\\ScannerPort"), 0, null(), 0, null(), &mut port) };
    assert_eq!(connected, S_OK, "connecting");
    let completion = unsafe { CreateIoCompletionPort(port, null_mut(), 0, THREADS as u32) };
    assert!(!completion.is_null());
    let mut messages: Vec<Message> = (0..THREADS * RECEIVES).map(|_| unsafe { zeroed() }).collect();
    assert!(messages.iter_mut().all(|message| get(port, message)));
    let (shared_port, shared_completion) = (Handle(port as isize), Handle(completion as isize));
    let threads = [(); THREADS].map(|()| thread::spawn(move || work(shared_port, shared_completion)));
    let answered: usize = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    println!("{answered} answered");
    unsafe { CloseHandle(port) };
    unsafe { CloseHandle(completion) };
}
