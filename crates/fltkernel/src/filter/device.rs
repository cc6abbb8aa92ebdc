//! Devices: those of drivers, and one for each volume.

use std::sync::{Arc, Mutex};

use super::volume::Volume;
use crate::edge::{Memory, Ptr, member};
use crate::kernel::object::{self, Object};
use crate::lock;
use crate::nt::status::{self, Status};
use crate::nt::{DeviceObject, DriverObject, Irp, StackLocation, UnicodeString};

/// `DEVICE_OBJECT`
#[derive(Debug)]
pub struct Device {
    memory: Memory,
    name: Option<String>,
    volume: Option<Arc<Volume>>,
}

impl Object for Device {
    fn kind(&self) -> &'static str {
        "device"
    }
}

static DEVICES: Mutex<Vec<Arc<Device>>> = Mutex::new(Vec::new());
static LINKS: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// `DO_DEVICE_INITIALIZING`
const INITIALIZING: u32 = 0x80;

impl Device {
    fn new(extension: usize, name: Option<String>, volume: Option<Arc<Volume>>) -> Arc<Self> {
        let memory = Memory::new(size_of::<DeviceObject>() + extension);
        let device = Arc::new(Self { memory, name, volume });
        let at = device.at();
        at.write(DeviceObject {
            kind: 3,
            size: (size_of::<DeviceObject>() + extension) as u16,
            references: 1,
            extension: if extension > 0 { at.add(1).cast() } else { Ptr::NULL },
            stack_size: 1,
            sector_size: 512,
            ..DeviceObject::default()
        });
        object::add_at(at.cast(), device.clone());
        lock(&DEVICES).push(device.clone());
        device
    }

    fn at(&self) -> Ptr<DeviceObject> {
        self.memory.at()
    }
}

/// The device object of a volume, made when it is first asked for.
pub fn of_volume(volume: &Arc<Volume>) -> Ptr {
    let known =
        lock(&DEVICES).iter().find(|device| device.volume.as_ref().is_some_and(|v| Arc::ptr_eq(v, volume))).cloned();
    let device = known.unwrap_or_else(|| {
        let device = Device::new(0, Some(volume.device_name()), Some(volume.clone()));
        member!(device.at(), DeviceObject, device_type).write(volume.device_type());
        device
    });
    device.at().cast()
}

/// The volume of which this is the device object.
pub fn volume_of(device: Ptr) -> Option<Arc<Volume>> {
    object::find::<Device>(device)?.volume.clone()
}

fn give(volume: Ptr, result: Ptr<Ptr>) -> Status {
    let Some(volume) = super::volume::volume_of(volume) else { return status::INVALID_PARAMETER };
    let device = of_volume(&volume);
    object::reference(device);
    result.write(device);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetDiskDeviceObject(volume: Ptr, result: Ptr<Ptr>) -> Status {
    result.write(Ptr::NULL);
    if super::volume::volume_of(volume).is_some_and(|volume| volume.remote) {
        return status::FLT_NO_DEVICE_OBJECT;
    }
    give(volume, result)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetDeviceObject(volume: Ptr, result: Ptr<Ptr>) -> Status {
    give(volume, result)
}

#[unsafe(no_mangle)]
pub extern "C" fn FltGetVolumeFromDeviceObject(_filter: Ptr, device: Ptr, result: Ptr<Ptr>) -> Status {
    result.write(Ptr::NULL);
    let Some(volume) = volume_of(device) else { return status::FLT_VOLUME_NOT_FOUND };
    object::reference(object::address(&volume));
    result.write(object::address(&volume));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn IoCreateDevice(
    driver: Ptr<DriverObject>,
    extension: u32,
    name: Ptr<UnicodeString>,
    device_type: u32,
    characteristics: u32,
    _exclusive: u8,
    result: Ptr<Ptr<DeviceObject>>,
) -> Status {
    let name = name.some().map(|name| name.read().text());
    let taken = |wanted: &String| {
        lock(&DEVICES).iter().any(|device| device.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(wanted)))
    };
    if name.as_ref().is_some_and(taken) {
        return status::OBJECT_NAME_COLLISION;
    }
    let device = Device::new(extension as usize, name, None);
    let at = device.at();
    member!(at, DeviceObject, driver).write(driver);
    member!(at, DeviceObject, device_type).write(device_type);
    member!(at, DeviceObject, characteristics).write(characteristics);
    member!(at, DeviceObject, flags).write(INITIALIZING);
    member!(at, DeviceObject, next).write(member!(driver, DriverObject, device).read().cast());
    member!(driver, DriverObject, device).write(at.cast());
    result.write(at);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn IoDeleteDevice(device: Ptr<DeviceObject>) {
    let known = object::get::<Device>(device.cast(), "device");
    if known.is_none() {
        return;
    }
    let DeviceObject { driver, next, .. } = device.read();
    let first = member!(driver, DriverObject, device);
    if first.read() == device.cast() {
        first.write(next.cast());
    }
    object::remove(device.cast());
    lock(&DEVICES).retain(|other| other.at() != device);
}

#[unsafe(no_mangle)]
pub extern "C" fn IoCreateSymbolicLink(link: Ptr<UnicodeString>, target: Ptr<UnicodeString>) -> Status {
    let (link, target) = (link.read().text(), target.read().text());
    let mut links = lock(&LINKS);
    if links.iter().any(|(known, _)| known.eq_ignore_ascii_case(&link)) {
        return status::OBJECT_NAME_COLLISION;
    }
    links.push((link, target));
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn IoDeleteSymbolicLink(link: Ptr<UnicodeString>) -> Status {
    let link = link.read().text();
    let mut links = lock(&LINKS);
    let before = links.len();
    links.retain(|(known, _)| !known.eq_ignore_ascii_case(&link));
    if links.len() < before { status::SUCCESS } else { status::OBJECT_NAME_NOT_FOUND }
}

/// Devices of drivers that are not deleted, and symbolic links: their names.
pub fn left() -> Vec<String> {
    let devices = lock(&DEVICES)
        .iter()
        .filter(|device| device.volume.is_none())
        .map(|device| device.name.clone().unwrap_or_default())
        .collect::<Vec<_>>();
    devices.into_iter().chain(lock(&LINKS).iter().map(|(link, _)| link.clone())).collect()
}

/// What a driver's device answered to a request.
#[derive(Debug)]
pub struct Answer {
    pub status: Status,
    pub output: Vec<u8>,
}

/// Sends a request to a device by its name or a link's: a create, the control code, a cleanup and a close.
///
/// # Errors
/// There is no such device, or its create fails.
pub fn control(name: &str, code: u32, input: &[u8], room: usize) -> Result<Answer, Status> {
    use crate::nt::major;
    let target =
        lock(&LINKS).iter().find(|(link, _)| link.eq_ignore_ascii_case(name)).map(|(_, target)| target.clone());
    let wanted = target.unwrap_or_else(|| name.to_owned());
    let device = lock(&DEVICES)
        .iter()
        .find(|device| device.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&wanted)))
        .cloned();
    let device = device.ok_or(status::OBJECT_NAME_NOT_FOUND)?;
    let opened = request(&device, major::CREATE, [0; 4], Vec::new());
    if !opened.status.is_success_severity() {
        return Err(opened.status);
    }
    let mut buffer = input.to_vec();
    buffer.resize(input.len().max(room), 0);
    let parameters = [room as u64, input.len() as u64, code.into(), 0];
    let answer = request(&device, major::DEVICE_CONTROL, parameters, buffer);
    request(&device, major::CLEANUP, [0; 4], Vec::new());
    request(&device, major::CLOSE, [0; 4], Vec::new());
    Ok(answer)
}

fn request(device: &Device, code: u8, parameters: [u64; 4], buffer: Vec<u8>) -> Answer {
    let driver = member!(device.at(), DeviceObject, driver).read();
    let Some(dispatch) = driver.some().and_then(|driver| driver.read().major[usize::from(code)]) else {
        return Answer { status: status::INVALID_DEVICE_REQUEST, output: Vec::new() };
    };
    let data = Memory::holding(&buffer);
    let memory = Memory::new(size_of::<Irp>() + size_of::<StackLocation>());
    let irp: Ptr<Irp> = memory.at();
    let stack: Ptr<StackLocation> = irp.add(1).cast();
    stack.write(StackLocation { major: code, parameters, device: device.at(), ..StackLocation::default() });
    member!(irp, Irp, kind).write(6);
    member!(irp, Irp, size).write(memory.size() as u16);
    member!(irp, Irp, system_buffer).write(data.at());
    member!(irp, Irp, mode).write(1);
    member!(irp, Irp, stack_count).write(1);
    member!(irp, Irp, location).write(1);
    member!(irp, Irp, stack).write(stack);
    let returned = super::callback::call("the dispatch routine", None, 0, || dispatch(device.at(), irp));
    let ended = member!(irp, Irp, io_status).read();
    let status = if returned == status::PENDING { ended.status } else { returned };
    let output = data.at::<u8>().read_many(ended.information.min(data.size()));
    Answer { status, output }
}

#[unsafe(no_mangle)]
pub extern "C" fn IofCompleteRequest(_irp: Ptr<Irp>, _boost: i8) {}

#[unsafe(no_mangle)]
pub extern "C" fn IofCallDriver(device: Ptr<DeviceObject>, irp: Ptr<Irp>) -> Status {
    let stack = member!(irp, Irp, stack);
    stack.write(Ptr::at_address(stack.read().address() - size_of::<StackLocation>()));
    let code = stack.read().read().major;
    let driver = member!(device, DeviceObject, driver).read();
    match driver.some().and_then(|driver| driver.read().major[usize::from(code)]) {
        Some(dispatch) => dispatch(device, irp),
        None => status::INVALID_DEVICE_REQUEST,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn IoGetTopLevelIrp() -> Ptr {
    Ptr::NULL
}

#[unsafe(no_mangle)]
pub extern "C" fn IoSetTopLevelIrp(_irp: Ptr) {}

#[unsafe(no_mangle)]
pub extern "C" fn IoGetTransactionParameterBlock(_file: Ptr) -> Ptr {
    Ptr::NULL
}
