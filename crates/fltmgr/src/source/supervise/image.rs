//! What the kernel runs beside a program: the interpreter that the first line of a script names, the loader that an ELF
//! file names.

use std::os::fd::OwnedFd;

use rustix::io::{Errno, pread};

/// As much as the kernel reads of a file to know what it is.
const HEAD: usize = 256;
/// PATH_MAX.
const LONGEST: usize = 4096;
/// struct elf64_phdr, and how many bytes of them the kernel takes.
const SEGMENT: usize = 56;
const SEGMENTS: usize = 65_536;
/// PT_INTERP, ELFCLASS64 and ELFCLASS32, and where a 64-bit file has the place of its segments, the size of one and their number.
const LOADER: u32 = 3;
const CLASS: usize = 4;
const WIDE: u8 = 2;
const NARROW: u8 = 1;
const PLACE: usize = 32;
const SIZE: usize = 54;
const NUMBER: usize = 56;

/// What a file is to the kernel that executes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// A text, with the path of its interpreter.
    Script(Vec<u8>),
    /// A program, with the path of its loader if it has one.
    Program(Option<Vec<u8>>),
    /// A program of 32-bit calls.
    Narrow,
    /// Neither, or nothing that the kernel would take.
    Other,
}

impl Image {
    /// What this file is, by its first bytes.
    ///
    /// # Errors
    /// Those of read(2).
    pub(super) fn of(file: &OwnedFd) -> Result<Self, Errno> {
        let mut head = [0; HEAD];
        let length = fill(file, &mut head, 0)?;
        if let Some(line) = head.strip_prefix(b"#!") {
            let whole = length < HEAD;
            return Ok(interpreter(&line[..length.saturating_sub(2)], whole).map_or(Self::Other, Self::Script));
        }
        match head[CLASS] {
            _ if !head.starts_with(b"\x7fELF") => Ok(Self::Other),
            WIDE => loader(file, &head),
            NARROW => Ok(Self::Narrow),
            _ => Ok(Self::Other),
        }
    }
}

/// Reads as much as there is from this place on.
fn fill(file: &OwnedFd, into: &mut [u8], place: u64) -> Result<usize, Errno> {
    let mut length = 0;
    while length < into.len() {
        match pread(file, &mut into[length..], place.saturating_add(length as u64)) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(length)
}

/// The path in the first line of a script, of which this is what follows "#!". `whole`: it is all of the file.
fn interpreter(text: &[u8], whole: bool) -> Option<Vec<u8>> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let end = text.iter().position(|byte| *byte == b'\n');
    let line = &text[..end.unwrap_or(text.len())];
    let start = line.iter().position(|byte| !blank(byte))?;
    let line = &line[start..];
    let name = line.iter().position(|byte| blank(byte) || *byte == 0);
    // A name that may go on behind what the kernel reads is none.
    if end.is_none() && name.is_none() && !whole {
        return None;
    }
    let name = &line[..name.unwrap_or(line.len())];
    (!name.is_empty()).then(|| name.to_vec())
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|n| bytes[at + n])
}

/// The path in the first segment that says so.
fn loader(file: &OwnedFd, head: &[u8; HEAD]) -> Result<Image, Errno> {
    let size = usize::from(u16::from_le_bytes(number(head, SIZE)));
    let all = size * usize::from(u16::from_le_bytes(number(head, NUMBER)));
    if size != SEGMENT || all > SEGMENTS {
        return Ok(Image::Other);
    }
    let mut segments = vec![0; all];
    if fill(file, &mut segments, u64::from_le_bytes(number(head, PLACE)))? < all {
        return Ok(Image::Other);
    }
    let is_loader = |segment: &&[u8]| u32::from_le_bytes(number(segment, 0)) == LOADER;
    let Some(segment) = segments.chunks(SEGMENT).find(is_loader) else { return Ok(Image::Program(None)) };
    let [place, length] = [8, 32].map(|at| u64::from_le_bytes(number(segment, at)));
    let mut path = vec![0; usize::try_from(length).unwrap_or(usize::MAX).min(LONGEST)];
    let read = fill(file, &mut path, place)?;
    let end = path[..read].iter().position(|byte| *byte == 0);
    Ok(end.map_or(Image::Other, |end| Image::Program(Some(path[..end].to_vec()))))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn of(bytes: &[u8]) -> Image {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Image::of(&file.into()).unwrap()
    }

    #[test]
    fn a_script_names_its_interpreter_as_the_kernel_reads_it() {
        let script = |path: &str| Image::Script(path.into());
        assert_eq!(of(b"#!/bin/sh\necho"), script("/bin/sh"));
        assert_eq!(of(b"#! \t/usr/bin/env  python3 \n"), script("/usr/bin/env"));
        assert_eq!(of(b"#!bin/x\t-a"), script("bin/x"));
        assert_eq!(of(b"#!/bin/sh"), script("/bin/sh"));
        assert_eq!(of(b"#! \n/bin/sh"), Image::Other);
        assert_eq!(of(b"#!"), Image::Other);
        let long = [b"#!/".as_slice(), &[b'x'; 300], b"\n"].concat();
        assert_eq!(of(&long), Image::Other);
        assert_eq!(of(b"echo"), Image::Other);
    }

    #[test]
    fn a_program_names_its_loader() {
        let us = std::fs::File::open("/proc/self/exe").unwrap();
        let Image::Program(Some(loader)) = Image::of(&us.into()).unwrap() else { panic!("it is linked dynamically") };
        assert!(std::fs::exists(std::str::from_utf8(&loader).unwrap()).unwrap());
        assert_eq!(of(b"\x7fELF\x01 and so on"), Image::Narrow);
        assert_eq!(of(b"\x7fELF\x02"), Image::Other);
    }
}
