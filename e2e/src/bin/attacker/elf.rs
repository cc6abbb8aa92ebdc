//! Programs of some hundred bytes, made by hand: they need no library and open nothing that they are not told to.

/// Where a program is loaded. An interpreter and its program must not meet.
const PROGRAM: u64 = 0x40_0000;
const INTERPRETER: u64 = 0x80_0000;

const HEADER: usize = 64;
const SEGMENT: usize = 56;

/// What a program writes to its standard output: one letter at once, and the other after it has opened something.
pub(crate) struct Letters {
    pub(crate) begins: u8,
    pub(crate) goes_on: u8,
}

/// A program that says its letters.
pub(crate) fn program(letters: &Letters) -> Vec<u8> {
    file(PROGRAM, letters, None)
}

/// The same as the interpreter of another program.
pub(crate) fn interpreter(letters: &Letters) -> Vec<u8> {
    file(INTERPRETER, letters, None)
}

/// A program that another one is to load (PT_INTERP).
pub(crate) fn interpreted(by: &str) -> Vec<u8> {
    file(PROGRAM, &Letters { begins: b'-', goes_on: b'-' }, Some(by))
}

/// An ELF file of this machine: header, segments, data, code.
fn file(base: u64, letters: &Letters, by: Option<&str>) -> Vec<u8> {
    let segments = if by.is_some() { 2 } else { 1 };
    let data = HEADER + segments * SEGMENT;
    let mut tail = vec![letters.begins, letters.goes_on];
    let to_open = tail.len();
    tail.extend(b"/dev/null\0");
    let name = tail.len();
    tail.extend(by.iter().flat_map(|path| path.bytes().chain([0])));
    tail.resize(tail.len().next_multiple_of(16), 0);
    let entry = data + tail.len();
    let address = |offset: usize| (base as usize + data + offset) as u32;
    tail.extend(machine::code(address(0), address(1), address(to_open)));

    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let short = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
    let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
    let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
    short(&mut file, 2); // ET_EXEC
    short(&mut file, machine::NUMBER);
    word(&mut file, 1);
    long(&mut file, base + entry as u64);
    long(&mut file, HEADER as u64);
    long(&mut file, 0);
    word(&mut file, 0);
    for size in [HEADER, SEGMENT, segments, 0, 0, 0] {
        short(&mut file, size as u16);
    }
    if let Some(path) = by {
        segment(&mut file, 3, 4, base, (data + name) as u64, path.len() as u64 + 1);
    }
    segment(&mut file, 1, 5, base, 0, (data + tail.len()) as u64);
    file.extend(tail);
    file
}

/// A program header.
fn segment(file: &mut Vec<u8>, kind: u32, flags: u32, base: u64, offset: u64, len: u64) {
    file.extend([kind, flags].iter().flat_map(|word| word.to_le_bytes()));
    let address = base + offset;
    file.extend([offset, address, address, len, len, 0x1000].iter().flat_map(|long| long.to_le_bytes()));
}

#[cfg(target_arch = "x86_64")]
mod machine {
    /// EM_X86_64.
    pub(super) const NUMBER: u16 = 62;

    /// write(1, begins, 1); open(to_open, 0); write(1, goes_on, 1); exit(0).
    pub(super) fn code(begins: u32, goes_on: u32, to_open: u32) -> Vec<u8> {
        // mov to eax, edi, esi and edx, then syscall
        let call = |args: [u32; 4]| {
            let moves = [0xb8, 0xbf, 0xbe, 0xba].into_iter().zip(args);
            moves.flat_map(|(code, value)| [&[code], &value.to_le_bytes()[..]].concat()).chain([0x0f, 0x05])
        };
        let calls = [[1, 1, begins, 1], [2, to_open, 0, 0], [1, 1, goes_on, 1], [60, 0, 0, 0]];
        calls.into_iter().flat_map(call).collect()
    }

    /// A 32-bit program that ends with 7.
    pub(crate) fn program32() -> Vec<u8> {
        const BASE: u32 = 0x0804_8000;
        const AT: u32 = 52 + 32;
        // mov eax, 1; mov ebx, 7; int 0x80
        let code = [0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80];
        let mut file = b"\x7fELF\x01\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2u16, 3].iter().flat_map(|short| short.to_le_bytes()));
        file.extend([1, BASE + AT, 52, 0, 0].iter().flat_map(|word| word.to_le_bytes()));
        file.extend([52u16, 32, 1, 0, 0, 0].iter().flat_map(|short| short.to_le_bytes()));
        let len = AT + code.len() as u32;
        file.extend([1, 0, BASE, BASE, len, len, 5, 0x1000].iter().flat_map(|word| word.to_le_bytes()));
        file.extend(code);
        file
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use machine::program32;

#[cfg(target_arch = "aarch64")]
mod machine {
    /// EM_AARCH64.
    pub(super) const NUMBER: u16 = 183;

    /// write(1, begins, 1); openat(AT_FDCWD, to_open, 0); write(1, goes_on, 1); exit(0).
    pub(super) fn code(begins: u32, goes_on: u32, to_open: u32) -> Vec<u8> {
        let set = |register: u32, value: u32| {
            // movz, movk of the upper half
            [0xd280_0000 | (value & 0xffff) << 5 | register, 0xf2a0_0000 | (value >> 16) << 5 | register]
        };
        // movn x0, 99: AT_FDCWD
        let here = 0x9280_0000 | 99 << 5;
        let call = |number: u32, args: [u32; 3]| {
            let mut words: Vec<u32> = set(8, number).to_vec();
            (0..).zip(args).for_each(|(register, value)| words.extend(set(register, value)));
            if number == 56 {
                words.push(here);
            }
            words.push(0xd400_0001); // svc 0
            words
        };
        let calls =
            [call(64, [1, begins, 1]), call(56, [0, to_open, 0]), call(64, [1, goes_on, 1]), call(93, [0, 0, 0])];
        calls.concat().iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}
