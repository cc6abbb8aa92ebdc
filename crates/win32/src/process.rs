//! The process itself.

use std::io::Write;

use abi::pointer;

/// The longest text that a debugger is told at once.
const LONGEST: usize = 0x7FFF;

/// Ends the process, with what the C library does at the end of one.
#[unsafe(no_mangle)]
extern "C" fn ExitProcess(exit_code: u32) -> ! {
    // the kernel keeps 8 bits of it
    // SAFETY: what the program registered with atexit is what it wants to run.
    unsafe { libc::exit(exit_code as i32) }
}

/// Text for a debugger, which is told on the standard error stream.
#[unsafe(no_mangle)]
unsafe extern "C" fn OutputDebugStringW(text: *const u16) {
    let _ = abi::fence(|| {
        let text = pointer::read_wide(text, LONGEST)?;
        Ok(std::io::stderr().write_all(String::from_utf16_lossy(&text).as_bytes())?)
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn OutputDebugStringA(text: *const u8) {
    let _ = abi::fence(|| {
        let text = pointer::read_narrow(text, LONGEST)?;
        Ok(std::io::stderr().write_all(&text)?)
    });
}
