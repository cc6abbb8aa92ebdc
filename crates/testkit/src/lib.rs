//! What the tests of fltmgr share.
//!
//! - A [`World`] is the folder, the namespace and the programs of a test; what is left of them at its end fails the test.
//! - A [`Host`] is a port in a world, whose filter remembers what happens. [`both`] runs one body with the application in
//!   this process, then in another; [`raw`] is a client that breaks the rules, [`worker`] one that does as it is told.
//! - A test program starts itself again: in a role ([`Again`]), or to run one test in a process of its own ([`apart`]).
//! - [`until`] waits for what must happen, [`watchdog`] ends a test that hangs, [`skip`] says what was left out.
//!
//! Each test program has one test that plays the roles:
//!
//! ```no_run
//! #[test]
//! fn other_process() {
//!     let Some(role) = testkit::role() else { return };
//!     match role.name.as_str() {
//!         "worker" => testkit::worker::work(&role),
//!         other => panic!("no role {other}"),
//!     }
//! }
//! ```
#![forbid(unsafe_op_in_unsafe_fn)]

mod again;
mod both;
mod gate;
mod host;
mod leak;
pub mod log;
mod mount;
pub mod other_user;
mod process;
mod random;
pub mod raw;
pub mod skip;
pub mod talk;
mod wait;
pub mod worker;
mod world;

pub use again::{Again, Role, apart, in_role, order, program, role, say};
pub use both::{App, Line, both, hresult};
pub use gate::Gate;
pub use host::{Event, Filter, Host, PORT, Posted, echoes, post, uid};
pub use process::{Ended, Process, finish};
pub use random::{Random, mix, number_from};
pub use wait::{Found, LONG, Watchdog, slack, slow, this_thread, until, until_it_sleeps, watchdog, within};
pub use world::{NOBODY, World, binary, is_root};
