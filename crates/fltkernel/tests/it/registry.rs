//! The registry and the INF files that fill it.

use fltkernel::edge::Ptr;
use fltkernel::filter::instance;
use fltkernel::kernel::object::ZwClose;
use fltkernel::kernel::registry::callback::{CmRegisterCallbackEx, CmUnRegisterCallback};
use fltkernel::kernel::registry::*;
use fltkernel::nt::status::{self, Status};
use fltkernel::nt::{ObjectAttributes, wide};

use crate::strings::Text;

const INF: &str = r#"
; a comment; with more
[Version]
Signature = "$Windows NT$"

[DefaultInstall.NTamd64.Services]
AddService = %ServiceName%,,Mine.Service

[Mine.Service]
DisplayName   = %ServiceName%
StartType     = 3          ; demand
LoadOrderGroup = "FSFilter Anti-Virus"
Dependencies  = "FltMgr"
AddReg        = Mine.AddRegistry, More

[Mine.AddRegistry]
HKR,,"SupportedFeatures",0x00010001,0x3
HKR,"Instances","DefaultInstance",0x00000000,%Instance1.Name%
HKR,"Instances\"%Instance1.Name%,"Altitude",0x00000000,%Instance1.Altitude%
HKR,"Instances\"%Instance1.Name%,"Flags",0x00010001,%Instance1.Flags%
[More]
HKR,"Parameters","Extensions",0x00010000,"doc","txt",\
    "a ""quoted"" one"
HKR,"Parameters","Path",0x00020000,"%%SystemRoot%%\x"

[Strings]
ServiceName = "Mine"
Instance1.Name = "Mine Instance"
Instance1.Altitude = "265000.5"
Instance1.Flags = 0x0
"#;

fn read(text: &[u8]) -> Inf {
    read_inf(text).expect("this INF file installs a service")
}

#[test]
fn an_inf_file_describes_a_service() {
    let inf = read(INF.as_bytes());
    assert_eq!(inf.service, "Mine");
    let value = |path: &str, name: &str| {
        let found = inf.values.iter().find(|(p, n, _)| p == path && n == name);
        found.map(|(_, _, value)| value.clone()).unwrap_or_else(|| panic!("{path} {name} in {:?}", inf.values))
    };
    assert_eq!(value("", "SupportedFeatures").as_number(), Some(3));
    assert_eq!(value("Instances", "DefaultInstance").as_text(), "Mine Instance");
    assert_eq!(value(r"Instances\Mine Instance", "Altitude").as_text(), "265000.5");
    assert_eq!(value("Parameters", "Path"), Value::text(EXPAND_SZ, r"%SystemRoot%\x"));
    assert_eq!(value("Parameters", "Extensions"), Value::texts(["doc", "txt", r#"a "quoted" one"#]));
    assert_eq!(value("", "Group").as_text(), "FSFilter Anti-Virus");
    assert_eq!(value("", "Start").as_number(), Some(3));
}

#[test]
fn an_inf_file_in_utf16_is_read_by_its_mark() {
    let bytes: Vec<u8> = [0xFEFF].into_iter().chain(INF.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(read(&bytes), read(INF.as_bytes()));
}

#[test]
fn an_inf_file_without_a_service_is_refused() {
    assert!(read_inf(b"[Version]\n").is_err_and(|sentence| sentence.contains("AddService")));
}

#[test]
fn instances_come_from_the_old_place_or_the_new_one() {
    let key = read(INF.replace("\"Mine\"", "\"MineOld\"").as_bytes()).install();
    let found = instance::settings(&key);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].altitude.as_str(), found[0].flags), ("Mine Instance", "265000.5", 0));
    let newer = INF.replace("\"Mine\"", "\"MineNew\"").replace("HKR,\"Instances", "HKR,\"Parameters\\Instances");
    assert_eq!(instance::settings(&read(newer.as_bytes()).install()).len(), 1);
}

fn attributes(name: &mut Text, root: Ptr) -> ObjectAttributes {
    ObjectAttributes { length: 48, root, name: name.at(), attributes: 0x240, ..ObjectAttributes::default() }
}

fn open(name: &str, root: Ptr) -> (Status, Ptr) {
    let mut name = Text::of(name);
    let (mut attributes, mut handle) = (attributes(&mut name, root), Ptr::NULL);
    (ZwOpenKey(Ptr::new(&raw mut handle), 0, Ptr::new(&raw mut attributes)), handle)
}

#[test]
fn ZwOpenKey_finds_keys_in_any_case() {
    service("OpenKey").create("Parameters").0.set("X", Value::number(7));
    let (status, handle) = open(r"\REGISTRY\Machine\system\currentcontrolset\services\openkey", Ptr::NULL);
    assert_eq!(status, status::SUCCESS);
    let (status, below) = open("PARAMETERS", handle);
    assert_eq!(status, status::SUCCESS);
    assert_eq!(open("None", handle).0, status::OBJECT_NAME_NOT_FOUND);
    assert_eq!(open("relative", Ptr::NULL).0, status::OBJECT_PATH_SYNTAX_BAD);
    assert_eq!((ZwClose(below), ZwClose(handle)), (status::SUCCESS, status::SUCCESS));
}

#[test]
fn ZwQueryValueKey_tells_two_kinds_of_too_small() {
    const PARTIAL: u32 = 2;
    service("Query").set("Name", Value { kind: BINARY, data: vec![1, 2, 3, 4] });
    let (_, handle) = open(&format!(r"{SERVICES}\Query"), Ptr::NULL);
    let ask = |name: &str, class, size| {
        let (mut buffer, mut needed) = ([0u8; 64], 0);
        let at = Ptr::new(buffer.as_mut_ptr()).cast();
        let status = ZwQueryValueKey(handle, Text::of(name).at(), class, at, size, Ptr::new(&raw mut needed));
        (status, needed, buffer)
    };
    let (status, needed, _) = ask("Name", PARTIAL, 8);
    assert_eq!((status, needed), (status::BUFFER_TOO_SMALL, 16));
    let (status, needed, _) = ask("Name", PARTIAL, 14);
    assert_eq!((status, needed), (status::BUFFER_OVERFLOW, 16));
    let (status, needed, buffer) = ask("name", PARTIAL, 64);
    assert_eq!((status, needed), (status::SUCCESS, 16));
    assert_eq!(buffer[4..16], [3, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(ask("Other", PARTIAL, 64).0, status::OBJECT_NAME_NOT_FOUND);
    assert_eq!(ask("Name", 99, 64).0, status::INVALID_PARAMETER);
    let _ = ZwClose(handle);
}

#[test]
fn ZwCreateKey_makes_one_key_and_ZwSetValueKey_and_ZwDeleteKey() {
    service("Create");
    let create = |name: &str| {
        let mut text = Text::of(&format!(r"{SERVICES}\Create\{name}"));
        let (mut attributes, mut handle, mut how) = (attributes(&mut text, Ptr::NULL), Ptr::NULL, 0);
        let status = ZwCreateKey(
            Ptr::new(&raw mut handle),
            0,
            Ptr::new(&raw mut attributes),
            0,
            Ptr::NULL,
            0,
            Ptr::new(&raw mut how),
        );
        (status, handle, how)
    };
    assert_eq!(create(r"No\Deeper").0, status::OBJECT_NAME_NOT_FOUND);
    let (status, handle, how) = create("New");
    assert_eq!((status, how), (status::SUCCESS, 1));
    let (_, again, how) = create("new");
    assert_eq!(how, 2);
    let mut data = wide("text\0");
    let status = ZwSetValueKey(handle, Text::of("V").at(), 0, SZ, Ptr::new(data.as_mut_ptr()).cast(), 10);
    assert_eq!(status, status::SUCCESS);
    assert_eq!(
        service("Create").open("New").and_then(|key| key.value("v")).map(|value| value.as_text()),
        Some("text".to_owned())
    );
    assert_eq!(ZwDeleteValueKey(handle, Text::of("V").at()), status::SUCCESS);
    assert_eq!(ZwDeleteValueKey(handle, Text::of("V").at()), status::OBJECT_NAME_NOT_FOUND);
    assert_eq!(ZwDeleteKey(handle), status::SUCCESS);
    assert_eq!(ZwDeleteKey(again), status::KEY_DELETED);
    let _ = (ZwClose(handle), ZwClose(again));
}

#[test]
fn CmRegisterCallbackEx_wants_an_altitude_of_its_own() {
    let (mut first, mut second) = (0i64, 0i64);
    let mut altitude = Text::of("385201.5");
    let mut register = |cookie: &mut i64| {
        CmRegisterCallbackEx(Ptr::NULL, altitude.at(), Ptr::NULL, Ptr::NULL, Ptr::new(&raw mut *cookie), Ptr::NULL)
    };
    assert_eq!(register(&mut first), status::SUCCESS);
    assert_eq!(register(&mut second), status::FLT_INSTANCE_ALTITUDE_COLLISION);
    assert_eq!(CmUnRegisterCallback(first), status::SUCCESS);
    assert_eq!(CmUnRegisterCallback(first), status::INVALID_PARAMETER);
    assert_eq!(register(&mut second), status::SUCCESS);
    assert_eq!(CmUnRegisterCallback(second), status::SUCCESS);
}
