//! Where the headers of drivers and libfltkernel.so are.

use std::path::{Path, PathBuf};

use crate::exit::{Code, Failure};

const LIBRARY: &str = "libfltkernel.so";

/// libfltkernel.so: `$FLTKERNEL_LIBRARY`, or beside the tool, or in the `lib` beside its `bin`.
pub(crate) fn library() -> Result<PathBuf, Failure> {
    if let Some(named) = std::env::var_os("FLTKERNEL_LIBRARY") {
        return Ok(named.into());
    }
    let beside =
        |folder: &Path| [folder.join(LIBRARY), folder.join("../lib").join(LIBRARY), folder.join("lib").join(LIBRARY)];
    find(|folder| beside(folder).into_iter().find(|path| path.is_file()))
        .ok_or_else(|| missing(LIBRARY, "FLTKERNEL_LIBRARY"))
}

/// The folder of fltKernel.h: `$FLTKERNEL_INCLUDE`, or found from where the tool is.
pub(crate) fn headers() -> Result<PathBuf, Failure> {
    const HEADER: &str = "fltKernel.h";
    if let Some(named) = std::env::var_os("FLTKERNEL_INCLUDE") {
        return Ok(named.into());
    }
    let of = |folder: &Path| [folder.join("include/fltmgr/fltkernel"), folder.join("include/fltkernel")];
    find(|folder| of(folder).into_iter().find(|path| path.join(HEADER).is_file()))
        .ok_or_else(|| missing(HEADER, "FLTKERNEL_INCLUDE"))
}

/// The first that `look` finds in the tool's folder and those above it.
fn find(look: impl Fn(&Path) -> Option<PathBuf>) -> Option<PathBuf> {
    let tool = std::env::current_exe().ok()?;
    tool.ancestors().skip(1).find_map(look)
}

fn missing(name: &str, variable: &str) -> Failure {
    let sentence = format!("{name} is not found from where this tool is; install it with it, or set {variable}");
    Failure::new(Code::Other, sentence)
}
