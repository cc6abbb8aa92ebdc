//! What must hold for any bytes. The fuzz targets and the ordinary test that replays their corpora call the same functions.
#![allow(dead_code, unreachable_pub, reason = "each target uses one of them")]

mod client;
mod host;
#[path = "../../crates/proto/tests/it/pair/memory.rs"]
pub(crate) mod memory;
#[path = "../../crates/proto/tests/it/pair/model.rs"]
pub(crate) mod model;
#[path = "../../crates/proto/tests/it/pair/random.rs"]
pub(crate) mod random;
mod slots;
mod steps;
#[path = "../../crates/proto/tests/it/pair/world.rs"]
pub(crate) mod world;

use fltmgr_proto::access::{AccessMask, GenericMapping, Token, access_check, explain};
use fltmgr_proto::descriptor::SecurityDescriptor;
use fltmgr_proto::name::{MAX_FILE_COMPONENT_LEN, PortName};
use fltmgr_proto::wire::{FromClient, FromHost, MAX_MESSAGE_LEN};

#[allow(unused_imports, reason = "each target uses one of them")]
pub use {client::client, host::host, slots::slots};

/// A port's name, and the file names that stand for it.
pub fn name(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(name) = PortName::parse(text) else { return };
    assert_eq!(name.as_str(), text);
    assert!(name.eq_ignore_case(&PortName::parse(&text.to_ascii_uppercase()).unwrap()));
    for (component, file) in name.components().zip(name.file_components()) {
        assert!(!component.is_empty() && !file.is_empty() && file.len() <= MAX_FILE_COMPONENT_LEN);
        assert!(!file.starts_with('.') && !file.contains(['/', '\0', '\\']), "{file}");
        assert!(file.is_ascii());
    }
}

/// The text of a security descriptor.
pub fn sddl(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match text.parse::<SecurityDescriptor>() {
        Ok(descriptor) => {
            let printed = descriptor.to_string();
            assert_eq!(printed.parse::<SecurityDescriptor>().as_ref(), Ok(&descriptor), "{printed}");
            decide(&descriptor);
        }
        // the sentence is made without a panic too
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The self-relative bytes of a security descriptor.
pub fn descriptor(data: &[u8]) {
    let Ok(descriptor) = SecurityDescriptor::from_bytes(data) else { return };
    // entries that come with room to spare take less when written
    let bytes = descriptor.to_bytes().unwrap();
    assert_eq!(SecurityDescriptor::from_bytes(&bytes).as_ref(), Ok(&descriptor));
    assert!(!descriptor.to_string().is_empty() || descriptor.entries().is_none());
    decide(&descriptor);
}

fn decide(descriptor: &SecurityDescriptor) {
    let _whom = explain(descriptor).to_string();
    for uid in [0, 1000] {
        let token = Token::for_unix(uid, uid, &[100]);
        for desired in [AccessMask::PORT_ALL_ACCESS, AccessMask::MAXIMUM_ALLOWED] {
            let granted = access_check(descriptor, &token, desired, &GenericMapping::PORT);
            let wish = desired.difference(AccessMask::MAXIMUM_ALLOWED);
            assert!(granted.is_err() || granted.is_ok_and(|granted| granted.contains(wish)));
        }
    }
}

/// A packet on the socket, in either direction: what is understood is written back byte for byte.
pub fn wire(data: &[u8]) {
    if let Ok(message) = FromClient::parse(data) {
        assert_eq!(message.encode(), data);
        assert!(data.len() <= MAX_MESSAGE_LEN);
    }
    match FromHost::parse(data) {
        Ok(message) => {
            assert_eq!(message.encode(), data);
            assert!(data.len() <= MAX_MESSAGE_LEN);
        }
        Err(violation) => assert!(!violation.to_string().is_empty() && !violation.name().is_empty()),
    }
}
