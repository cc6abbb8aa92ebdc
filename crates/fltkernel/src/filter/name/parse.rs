//! A name taken apart.

use std::ops::Range;

use crate::edge::{Ptr, member};
use crate::nt::status::{self, Status};
use crate::nt::{FileNameInformation, UnicodeString, Unit};

const BACKSLASH: Unit = b'\\' as Unit;
const COLON: Unit = b':' as Unit;
const DOT: Unit = b'.' as Unit;
const SEMICOLON: Unit = b';' as Unit;
/// `FLTFL_FILE_NAME_PARSED_…`, all four.
const ALL_PARSED: u16 = 15;

/// The parts of a name, as ranges of its units; an empty one is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    pub volume: Range<usize>,
    pub share: Range<usize>,
    pub parent: Range<usize>,
    pub final_component: Range<usize>,
    pub stream: Range<usize>,
    pub extension: Range<usize>,
}

/// Where the next component ends, from `start`, which is at a backslash.
fn component_end(name: &[Unit], start: usize) -> usize {
    let rest = name.get(start + 1..).unwrap_or(&[]);
    rest.iter().position(|&unit| unit == BACKSLASH).map_or(name.len(), |at| start + 1 + at)
}

fn starts_with(name: &[Unit], text: &str) -> bool {
    let text: Vec<Unit> = text.encode_utf16().collect();
    name.get(..text.len()).is_some_and(|head| crate::kernel::string::equal(head, &text, true))
}

/// The volume's part: the device name if the name begins with it, else two components of a name that begins with
/// `\Device\`.
fn volume_end(name: &[Unit], device: Option<&str>) -> usize {
    if let Some(device) = device {
        let length = device.encode_utf16().count();
        let ends = name.len() == length || name.get(length) == Some(&BACKSLASH);
        if starts_with(name, device) && ends {
            return length;
        }
    }
    if starts_with(name, r"\Device\") { component_end(name, component_end(name, 0)) } else { 0 }
}

fn is_network(volume: &[Unit]) -> bool {
    [r"\Device\Mup", r"\Device\LanmanRedirector"]
        .iter()
        .any(|known| starts_with(volume, known) && volume.len() == known.len())
}

/// Takes a name apart. `device` is the name of the volume that the file is on, if that is known.
pub fn parts(name: &[Unit], device: Option<&str>) -> Parts {
    let mut parts = Parts { volume: 0..volume_end(name, device), ..Parts::default() };
    let mut at = parts.volume.end;
    if is_network(&name[parts.volume.clone()]) {
        if name.get(at + 1) == Some(&SEMICOLON) {
            at = component_end(name, at);
        }
        let end = component_end(name, component_end(name, at));
        parts.share = at..end;
        at = end;
    }
    if let Some(last) = name[at..].iter().rposition(|&unit| unit == BACKSLASH) {
        parts.parent = at..at + last + 1;
        at += last + 1;
    }
    parts.final_component = at..name.len();
    let (extension, stream) = last_parts(&name[at..]);
    parts.stream = at + stream.start..at + stream.end;
    parts.extension = at + extension.start..at + extension.end;
    parts
}

/// Extension and stream of a final component.
fn last_parts(name: &[Unit]) -> (Range<usize>, Range<usize>) {
    let colon = name.iter().position(|&unit| unit == COLON).unwrap_or(name.len());
    let dot = name[..colon].iter().rposition(|&unit| unit == DOT).map_or(colon, |dot| dot + 1);
    (dot..colon, colon..name.len())
}

fn string(name: UnicodeString, part: &Range<usize>) -> UnicodeString {
    if part.is_empty() {
        return UnicodeString::default();
    }
    let length = (part.len() * 2) as u16;
    UnicodeString { length, room: length, buffer: name.buffer.add(part.start) }
}

#[unsafe(no_mangle)]
pub extern "C" fn FltParseFileNameInformation(information: Ptr<FileNameInformation>) -> Status {
    let mut whole = information.read();
    if whole.parsed == ALL_PARSED {
        return status::SUCCESS;
    }
    let units = whole.name.units();
    let parts = parts(&units, None);
    whole.volume = string(whole.name, &parts.volume);
    whole.share = string(whole.name, &parts.share);
    whole.parent = string(whole.name, &parts.parent);
    whole.final_component = string(whole.name, &parts.final_component);
    whole.stream = string(whole.name, &parts.stream);
    whole.extension = string(whole.name, &parts.extension);
    whole.parsed = ALL_PARSED;
    information.write(whole);
    status::SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn FltParseFileName(
    name: Ptr<UnicodeString>,
    extension: Ptr<UnicodeString>,
    stream: Ptr<UnicodeString>,
    final_component: Ptr<UnicodeString>,
) -> Status {
    let name = name.read();
    let units = name.units();
    let start = units.iter().rposition(|&unit| unit == BACKSLASH).map_or(0, |at| at + 1);
    let (of_extension, of_stream) = last_parts(&units[start..]);
    let moved = |range: Range<usize>| start + range.start..start + range.end;
    extension.write_some(string(name, &moved(of_extension)));
    stream.write_some(string(name, &moved(of_stream)));
    final_component.write_some(string(name, &(start..units.len())));
    status::SUCCESS
}

/// `FLT_NAME_CONTROL`: a counted string that its owner lets grow.
#[unsafe(no_mangle)]
pub extern "C" fn FltCheckAndGrowNameControl(control: Ptr<UnicodeString>, size: u16) -> Status {
    let now = control.read();
    if now.room >= size {
        return status::SUCCESS;
    }
    let grown = crate::kernel::pool::system_text(&vec![0; usize::from(size) / 2]);
    let Some(buffer) = grown else { return status::INSUFFICIENT_RESOURCES };
    buffer.write_many(&now.units());
    member!(control, UnicodeString, buffer).write(buffer);
    member!(control, UnicodeString, room).write(size);
    status::SUCCESS
}
