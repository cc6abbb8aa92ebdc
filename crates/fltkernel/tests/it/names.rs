//! Names: between Linux and Windows, and taken apart.

use std::path::Path;

use fltkernel::filter::name::parts;
use fltkernel::filter::volume::{decode, encode, locate, nt_name, path_of};
use fltkernel::nt::wide;

#[test]
fn names_are_taken_apart_as_the_table_says() {
    const V: &str = r"\Device\HarddiskVolume1";
    // name, volume, share, parent, final component, stream, extension
    let table: &[(&str, [&str; 6])] = &[
        (r"\Device\HarddiskVolume1\a\b\Year end.xls:notes", [V, "", r"\a\b\", "Year end.xls:notes", ":notes", "xls"]),
        (r"\Device\HarddiskVolume1\D~1\T~1.txt:s:$DATA", [V, "", r"\D~1\", "T~1.txt:s:$DATA", ":s:$DATA", "txt"]),
        (
            r"\Device\LanmanRedirector\Srv\Sh\d\f.txt",
            [r"\Device\LanmanRedirector", r"\Srv\Sh", r"\d\", "f.txt", "", "txt"],
        ),
        ("YEAREN~1.XLS", ["", "", "", "YEAREN~1.XLS", "", "XLS"]),
        (r"\Device\HarddiskVolume1\f", [V, "", r"\", "f", "", ""]),
        (r"\Device\HarddiskVolume1\", [V, "", r"\", "", "", ""]),
        (r"\Device\HarddiskVolume1", [V, "", "", "", "", ""]),
        (r"\Device\HarddiskVolume1\a.tar.gz", [V, "", r"\", "a.tar.gz", "", "gz"]),
        (r"\Device\HarddiskVolume1\.bashrc", [V, "", r"\", ".bashrc", "", "bashrc"]),
        (r"\Device\HarddiskVolume1\name.", [V, "", r"\", "name.", "", ""]),
        (r"\Device\HarddiskVolume1\a.b\c", [V, "", r"\a.b\", "c", "", ""]),
        (r"\Device\HarddiskVolume1\x.y:st.zz", [V, "", r"\", "x.y:st.zz", ":st.zz", "y"]),
        (r"\Device\HarddiskVolume1\d\:$I30", [V, "", r"\d\", ":$I30", ":$I30", ""]),
        (r"\Device\Mup\;X:0\srv\share\f", [r"\Device\Mup", r"\srv\share", r"\", "f", "", ""]),
    ];
    for (name, expected) in table {
        let units = wide(name);
        let text = |range: std::ops::Range<usize>| String::from_utf16_lossy(&units[range]);
        let p = parts(&units, None);
        let got = [p.volume, p.share, p.parent, p.final_component, p.stream, p.extension].map(text);
        assert_eq!(got, *expected, "{name}");
    }
}

#[test]
fn what_windows_cannot_hold_has_a_place_of_its_own() {
    let path = Path::new("/tmp/a:b\\c.txt");
    assert_eq!(encode(path), wide("\\tmp\\a\u{F022}b\u{F026}c.txt"));
    assert_eq!(decode(&encode(path)), path.as_os_str());
}

#[test]
fn bytes_that_are_no_text_survive() {
    use std::os::unix::ffi::OsStrExt as _;
    let name = std::ffi::OsStr::from_bytes(b"/x\xFFy\xC3\xA9");
    let units = encode(Path::new(name));
    assert_eq!(units[2], 0xDCFF);
    assert_eq!(decode(&units), name);
}

#[test]
fn a_path_and_its_name_lead_to_each_other() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().canonicalize().expect("it is there").join("file.txt");
    let name = nt_name(&path);
    assert!(String::from_utf16_lossy(&name).starts_with(r"\Device\HarddiskVolume"));
    assert_eq!(path_of(&name).map(|(_, path)| path), Some(path.clone()));
    let (volume, _) = locate(&path);
    if let Some(letter) = volume.letter {
        let inside = String::from_utf16_lossy(&encode(&path));
        assert_eq!(path_of(&wide(&format!(r"\??\{letter}:{inside}"))).map(|(_, path)| path), Some(path));
    }
}

#[test]
fn a_name_of_no_volume_leads_nowhere() {
    for name in [r"\Device\HarddiskVolume99\x", r"\??\Q:\x", "relative", r"\Device\"] {
        assert!(path_of(&wide(name)).is_none(), "{name}");
    }
}
