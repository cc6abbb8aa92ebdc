//! The tool, as a person or a script uses it.

mod demo;
mod doctor;
mod drivers;
mod errors;
mod many;
mod ports;
mod run;
mod watch;

use testkit::World;

/// The tool.
const TOOL: &str = env!("CARGO_BIN_EXE_fltmc");

/// A world whose programs run as the user of the test.
fn world() -> World {
    World::new().with_tool(TOOL)
}

/// A world whose programs run as an ordinary user.
fn ordinary() -> World {
    World::ordinary().with_tool(TOOL)
}
