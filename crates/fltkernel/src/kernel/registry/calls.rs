//! The functions of the registry.

use std::sync::Arc;

use super::{Key, Value, root};
use crate::edge::Ptr;
use crate::kernel::irql;
use crate::kernel::object;
use crate::nt::status::{self, Status};
use crate::nt::{ObjectAttributes, UnicodeString, wide};

const REG_CREATED_NEW_KEY: u32 = 1;
const REG_OPENED_EXISTING_KEY: u32 = 2;

/// The key that object attributes name: below their root directory, or from the top.
fn place(attributes: Ptr<ObjectAttributes>) -> Result<(Arc<Key>, String), Status> {
    let attributes = attributes.read();
    let name = attributes.name().map(|name| String::from_utf16_lossy(&name)).unwrap_or_default();
    if attributes.root.is_null() {
        if !name.starts_with('\\') {
            return Err(status::OBJECT_PATH_SYNTAX_BAD);
        }
        return Ok((root(), name));
    }
    let (key, _) = object::of_handle::<Key>(attributes.root)?;
    if name.starts_with('\\') {
        return Err(status::OBJECT_PATH_SYNTAX_BAD);
    }
    Ok((key, name))
}

fn open_handle(key: Arc<Key>, handle: Ptr<Ptr>) {
    let address = object::add(&key);
    handle.write(object::open(key, address));
}

fn key_of(handle: Ptr) -> Result<Arc<Key>, Status> {
    let (key, _) = object::of_handle::<Key>(handle)?;
    if key.is_deleted() { Err(status::KEY_DELETED) } else { Ok(key) }
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwOpenKey(handle: Ptr<Ptr>, _access: u32, attributes: Ptr<ObjectAttributes>) -> Status {
    irql::expect(irql::PASSIVE, "ZwOpenKey");
    let (key, name) = match place(attributes) {
        Ok(place) => place,
        Err(status) => return status,
    };
    match key.open(&name) {
        Some(key) => {
            open_handle(key, handle);
            status::SUCCESS
        }
        None => status::OBJECT_NAME_NOT_FOUND,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwOpenKeyEx(
    handle: Ptr<Ptr>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    _options: u32,
) -> Status {
    ZwOpenKey(handle, access, attributes)
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwCreateKey(
    handle: Ptr<Ptr>,
    _access: u32,
    attributes: Ptr<ObjectAttributes>,
    _title: u32,
    _class: Ptr<UnicodeString>,
    _options: u32,
    disposition: Ptr<u32>,
) -> Status {
    irql::expect(irql::PASSIVE, "ZwCreateKey");
    let (key, name) = match place(attributes) {
        Ok(place) => place,
        Err(status) => return status,
    };
    // only the last key of the path is made
    let above = name.trim_end_matches('\\').rsplit_once('\\').map_or("", |(above, _)| above);
    if key.open(above).is_none() {
        return status::OBJECT_NAME_NOT_FOUND;
    }
    let (key, made) = key.create(&name);
    open_handle(key, handle);
    disposition.write_some(if made { REG_CREATED_NEW_KEY } else { REG_OPENED_EXISTING_KEY });
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwDeleteKey(handle: Ptr) -> Status {
    match key_of(handle) {
        Ok(key) if !key.names().is_empty() => status::CANNOT_DELETE,
        Ok(key) => {
            key.delete();
            status::SUCCESS
        }
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwSetValueKey(
    handle: Ptr,
    name: Ptr<UnicodeString>,
    _title: u32,
    kind: u32,
    data: Ptr<u8>,
    size: u32,
) -> Status {
    irql::expect(irql::PASSIVE, "ZwSetValueKey");
    match key_of(handle) {
        Ok(key) => {
            key.set(&name.read().text(), Value { kind, data: data.read_many(size as usize) });
            status::SUCCESS
        }
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwDeleteValueKey(handle: Ptr, name: Ptr<UnicodeString>) -> Status {
    match key_of(handle) {
        Ok(key) if key.remove_value(&name.read().text()) => status::SUCCESS,
        Ok(_) => status::OBJECT_NAME_NOT_FOUND,
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwFlushKey(handle: Ptr) -> Status {
    key_of(handle).err().unwrap_or(status::SUCCESS)
}

/// Writes a structure of which the fixed part has `fixed` bytes: too small for that, or for all, are two statuses.
fn put(whole: &[u8], fixed: usize, buffer: Ptr, size: u32, needed: Ptr<u32>) -> Status {
    needed.write_some(whole.len() as u32);
    let size = size as usize;
    if size < fixed {
        return status::BUFFER_TOO_SMALL;
    }
    buffer.cast::<u8>().write_many(&whole[..whole.len().min(size)]);
    if size < whole.len() { status::BUFFER_OVERFLOW } else { status::SUCCESS }
}

/// The structures of `KEY_VALUE_INFORMATION_CLASS`: all bytes, and how many are fixed.
fn value_information(class: u32, name: &str, value: &Value) -> Option<(Vec<u8>, usize)> {
    const BASIC: u32 = 0;
    const FULL: u32 = 1;
    const PARTIAL: u32 = 2;
    let name: Vec<u8> = wide(name).into_iter().flat_map(u16::to_le_bytes).collect();
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let (data, kind) = (&value.data, value.kind);
    Some(match class {
        BASIC => ([words(&[0, kind, name.len() as u32]), name].concat(), 12),
        FULL => {
            let offset = (20 + name.len()).next_multiple_of(8);
            let mut whole = words(&[0, kind, offset as u32, data.len() as u32, name.len() as u32]);
            whole.extend(name);
            whole.resize(offset, 0);
            whole.extend(data);
            (whole, 20)
        }
        PARTIAL => ([words(&[0, kind, data.len() as u32]), data.clone()].concat(), 12),
        _ => return None,
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwQueryValueKey(
    handle: Ptr,
    name: Ptr<UnicodeString>,
    class: u32,
    buffer: Ptr,
    size: u32,
    needed: Ptr<u32>,
) -> Status {
    irql::expect(irql::PASSIVE, "ZwQueryValueKey");
    let key = match key_of(handle) {
        Ok(key) => key,
        Err(status) => return status,
    };
    let name = name.read().text();
    let Some(value) = key.value(&name) else { return status::OBJECT_NAME_NOT_FOUND };
    match value_information(class, &name, &value) {
        Some((whole, fixed)) => put(&whole, fixed, buffer, size, needed),
        None => status::INVALID_PARAMETER,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwEnumerateValueKey(
    handle: Ptr,
    index: u32,
    class: u32,
    buffer: Ptr,
    size: u32,
    needed: Ptr<u32>,
) -> Status {
    let key = match key_of(handle) {
        Ok(key) => key,
        Err(status) => return status,
    };
    let values = key.values();
    let Some((name, value)) = values.get(index as usize) else { return status::NO_MORE_ENTRIES };
    match value_information(class, name, value) {
        Some((whole, fixed)) => put(&whole, fixed, buffer, size, needed),
        None => status::INVALID_PARAMETER,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn ZwEnumerateKey(
    handle: Ptr,
    index: u32,
    class: u32,
    buffer: Ptr,
    size: u32,
    needed: Ptr<u32>,
) -> Status {
    const BASIC: u32 = 0;
    let key = match key_of(handle) {
        Ok(key) => key,
        Err(status) => return status,
    };
    let names = key.names();
    let Some(name) = names.get(index as usize) else { return status::NO_MORE_ENTRIES };
    if class != BASIC {
        return status::INVALID_PARAMETER;
    }
    // last write time, title index, length, name
    let name: Vec<u8> = wide(name).into_iter().flat_map(u16::to_le_bytes).collect();
    let mut whole = vec![0; 12];
    whole.extend((name.len() as u32).to_le_bytes());
    whole.extend(name);
    put(&whole, 16, buffer, size, needed)
}

#[unsafe(no_mangle)]
pub extern "C" fn IoOpenDriverRegistryKey(
    driver: Ptr,
    kind: u32,
    _access: u32,
    _flags: u32,
    handle: Ptr<Ptr>,
) -> Status {
    const PARAMETERS: u32 = 0;
    if kind != PARAMETERS {
        return status::INVALID_PARAMETER;
    }
    let Some(service) = crate::host::driver::service_of(driver) else { return status::INVALID_PARAMETER };
    let (key, _) = super::service(&service).create("Parameters");
    open_handle(key, handle);
    status::SUCCESS
}
