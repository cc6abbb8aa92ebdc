//! Where C and Rust meet: all that is unsafe.

pub mod arguments;
pub mod heap;
pub mod library;
mod memory;
pub mod place;
mod ptr;
pub mod sanitizer;
pub mod seh;

pub use arguments::Arguments;
pub(crate) use arguments::variadic;
pub(crate) use library::function;
pub use memory::Memory;
pub use place::Place;
pub use ptr::Ptr;
pub(crate) use ptr::member;
