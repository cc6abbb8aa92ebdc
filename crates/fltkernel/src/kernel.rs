//! What any driver uses, filter or not.

pub mod debug;
pub mod dispatcher;
pub mod events;
pub mod fault;
pub mod format;
pub mod generic;
pub mod irql;
pub mod locks;
pub mod memory;
pub mod object;
pub mod pool;
pub mod process;
pub mod registry;
pub mod report;
pub mod routine;
pub mod security;
pub mod string;
pub mod table;
pub mod thread;
pub mod time;
pub mod work;
