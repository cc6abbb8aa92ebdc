//! Variable arguments, which stable Rust cannot declare.
//!
//! An exported function with `...` is a few instructions that save the argument registers, make a `va_list` of them, and
//! call a Rust function with the named arguments and that `va_list`. So `DbgPrint` and `vDbgPrintEx` are one function.

use super::Ptr;

/// C's `va_list`, of which a formatter takes one argument after the other. Integers and pointers only: no text of a
/// kernel has a floating-point number in it.
#[derive(Debug)]
#[repr(transparent)]
pub struct Arguments(Ptr<VaList>);

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct VaList {
    /// Bytes of `saved` that are used up; 48 are integers.
    used: u32,
    floats_used: u32,
    stack: Ptr<u64>,
    saved: Ptr<u64>,
}

#[cfg(target_arch = "aarch64")]
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct VaList {
    stack: Ptr<u64>,
    saved_end: Ptr<u64>,
    floats_end: Ptr<u64>,
    /// Bytes before `saved_end` that are left, negative.
    left: i32,
    floats_left: i32,
}

impl Arguments {
    /// The next argument, as 64 bits: of a narrower one the upper bits mean nothing.
    pub fn take(&mut self) -> u64 {
        let mut list = self.0.read();
        let value = list.take();
        self.0.write(list);
        value
    }
}

#[cfg(target_arch = "x86_64")]
impl VaList {
    fn take(&mut self) -> u64 {
        if self.used < 48 {
            let value = self.saved.add(self.used as usize / 8).read();
            self.used += 8;
            return value;
        }
        let value = self.stack.read();
        self.stack = self.stack.add(1);
        value
    }
}

#[cfg(target_arch = "aarch64")]
impl VaList {
    fn take(&mut self) -> u64 {
        if self.left < 0 {
            let value = Ptr::<u64>::at_address(self.saved_end.address().wrapping_add_signed(self.left as isize)).read();
            self.left += 8;
            return value;
        }
        let value = self.stack.read();
        self.stack = self.stack.add(1);
        value
    }
}

/// Exports a function with so many named arguments (0 to 5, integers or pointers) and `...`: it calls the Rust function
/// with these and with [`Arguments`].
#[cfg(target_arch = "x86_64")]
macro_rules! variadic {
    ($($name:ident $named:tt => $body:path;)*) => { $(
        #[doc = concat!("`", stringify!($name), "` with its variable arguments.")]
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        extern "C" fn $name() {
            std::arch::naked_asm!(
                ".cfi_startproc", "sub rsp, 72", ".cfi_adjust_cfa_offset 72",
                "mov [rsp], rdi", "mov [rsp + 8], rsi", "mov [rsp + 16], rdx",
                "mov [rsp + 24], rcx", "mov [rsp + 32], r8", "mov [rsp + 40], r9",
                concat!("mov dword ptr [rsp + 48], 8 * ", $named),
                "mov dword ptr [rsp + 52], 48",
                "lea rax, [rsp + 80]", "mov [rsp + 56], rax", "mov [rsp + 64], rsp",
                concat!("lea ", $crate::edge::arguments::register!($named), ", [rsp + 48]"),
                "call {body}",
                "add rsp, 72", ".cfi_adjust_cfa_offset -72",
                "ret", ".cfi_endproc",
                body = sym $body,
            )
        }
    )* };
}

#[cfg(target_arch = "aarch64")]
macro_rules! variadic {
    ($($name:ident $named:tt => $body:path;)*) => { $(
        #[doc = concat!("`", stringify!($name), "` with its variable arguments.")]
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        extern "C" fn $name() {
            std::arch::naked_asm!(
                ".cfi_startproc", "sub sp, sp, #128", ".cfi_adjust_cfa_offset 128", "str x30, [sp, #96]", ".cfi_offset x30, -32",
                "stp x0, x1, [sp]", "stp x2, x3, [sp, #16]", "stp x4, x5, [sp, #32]", "stp x6, x7, [sp, #48]",
                "add x16, sp, #128", "str x16, [sp, #64]",
                "add x16, sp, #64", "str x16, [sp, #72]", "str x16, [sp, #80]",
                concat!("mov w16, #(8 * ", $named, " - 64)"), "str w16, [sp, #88]", "str wzr, [sp, #92]",
                concat!("add ", $crate::edge::arguments::register!($named), ", sp, #64"),
                "bl {body}",
                "ldr x30, [sp, #96]", "add sp, sp, #128", ".cfi_adjust_cfa_offset -128",
                "ret", ".cfi_endproc",
                body = sym $body,
            )
        }
    )* };
}
pub(crate) use variadic;

/// The register of the argument that follows so many others.
#[cfg(target_arch = "x86_64")]
macro_rules! register {
    (0) => {
        "rdi"
    };
    (1) => {
        "rsi"
    };
    (2) => {
        "rdx"
    };
    (3) => {
        "rcx"
    };
    (4) => {
        "r8"
    };
    (5) => {
        "r9"
    };
    (6) => {
        compile_error!("six named arguments leave no register for the list")
    };
}

#[cfg(target_arch = "aarch64")]
macro_rules! register {
    (0) => {
        "x0"
    };
    (1) => {
        "x1"
    };
    (2) => {
        "x2"
    };
    (3) => {
        "x3"
    };
    (4) => {
        "x4"
    };
    (5) => {
        "x5"
    };
    (6) => {
        "x6"
    };
}
pub(crate) use register;
