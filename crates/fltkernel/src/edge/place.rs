//! Which line of a driver called us.

use std::ffi::CStr;
use std::fmt;
use std::ops::Range;
use std::sync::RwLock;

/// An instruction of a driver, which prints as `function (file.c:12)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place(usize);

/// Where the code of the loaded drivers lies.
static DRIVERS: RwLock<Vec<Range<usize>>> = RwLock::new(Vec::new());

impl Place {
    /// The innermost call from a driver on this thread's stack; unknown if there is none.
    pub fn here() -> Self {
        let drivers = DRIVERS.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut found = Self::default();
        if drivers.is_empty() {
            return found;
        }
        backtrace::trace(|frame| {
            let address = frame.ip() as usize;
            let inside = drivers.iter().any(|driver| driver.contains(&address));
            if inside {
                // the return address belongs to the next line, one byte before it lies the call
                found = Self(address - 1);
            }
            !inside
        });
        found
    }

    /// The address of [`here`](Self::here), 0 if unknown.
    pub fn here_address() -> usize {
        Self::here().0
    }

    /// The instruction at this address.
    pub fn at(address: usize) -> Self {
        Self(address)
    }

    /// Whether it is known.
    pub fn is_known(self) -> bool {
        self.0 != 0
    }

    /// The function, if the driver has symbols.
    pub fn function(self) -> Option<String> {
        let mut function = None;
        self.resolve(|symbol| function = symbol.name().map(|name| plain(&name.to_string())));
        function
    }

    fn resolve(self, mut with: impl FnMut(&backtrace::Symbol)) {
        if self.is_known() {
            let mut first = true;
            backtrace::resolve(self.0 as *mut _, |symbol| {
                if std::mem::take(&mut first) {
                    with(symbol);
                }
            });
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{:#x}", self.0);
        self.resolve(|symbol| {
            if let Some(name) = symbol.name() {
                text = name.to_string();
            }
            if let (Some(file), Some(line)) = (symbol.filename(), symbol.lineno()) {
                let file = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
                text = format!("{text} ({file}:{line})");
            }
        });
        f.write_str(&text)
    }
}

/// Calls from this loaded library count as calls of a driver from now on.
pub fn add_driver(path: &CStr) {
    let mut found = Vec::new();
    each_segment(|name, code| {
        if name == path {
            found.push(code);
        }
    });
    DRIVERS.write().unwrap_or_else(std::sync::PoisonError::into_inner).extend(found);
}

/// Calls `with` for each executable segment of each loaded library.
fn each_segment(mut with: impl FnMut(&CStr, Range<usize>)) {
    type With<'a> = &'a mut dyn FnMut(&CStr, Range<usize>);

    unsafe extern "C" fn each(info: *mut libc::dl_phdr_info, _: usize, data: *mut libc::c_void) -> libc::c_int {
        // SAFETY: dl_iterate_phdr passes what it was given below.
        let with = unsafe { &mut *data.cast::<With<'_>>() };
        // SAFETY: it passes a valid structure.
        let info = unsafe { &*info };
        if info.dlpi_name.is_null() {
            return 0;
        }
        // SAFETY: the name ends with a NUL.
        let name = unsafe { CStr::from_ptr(info.dlpi_name) };
        for number in 0..usize::from(info.dlpi_phnum) {
            // SAFETY: there are dlpi_phnum headers.
            let header = unsafe { info.dlpi_phdr.add(number) };
            // SAFETY: it is one of them.
            let header = unsafe { &*header };
            if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0 {
                let start = (info.dlpi_addr + header.p_vaddr) as usize;
                with(name, start..start + header.p_memsz as usize);
            }
        }
        0
    }

    let mut with: With<'_> = &mut with;
    // SAFETY: `each` gets the address of `with`, which lives as long as the call.
    unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut with).cast()) };
}

/// The name of a function of C++ without its namespaces and arguments: `_Z9PreCreateP18_FLT…` is `PreCreate`.
fn plain(symbol: &str) -> String {
    let Some(mut rest) = symbol.strip_prefix("_Z") else { return symbol.to_owned() };
    rest = rest.trim_start_matches(['N', 'L', 'K']);
    let mut last = None;
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0) {
        let Some(name) = rest[..end].parse().ok().and_then(|length: usize| rest.get(end..end + length)) else { break };
        rest = &rest[end + name.len()..];
        last = Some(name);
    }
    last.unwrap_or(symbol).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_of_cxx_has_its_plain_name() {
        assert_eq!(plain("_Z9PreCreateP18_FLT_CALLBACK_DATA"), "PreCreate");
        assert_eq!(plain("_ZN7Scanner4ScanEv"), "Scan");
        assert_eq!(plain("PreCreate"), "PreCreate");
        assert_eq!(plain("_Z"), "_Z");
    }
}
