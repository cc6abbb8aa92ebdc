//! The filter manager's part: filters and their instances, what they are told of an operation, and what they may ask.

pub mod callback;
pub mod context;
pub mod data;
pub mod device;
pub mod disk;
pub mod engine;
pub mod file;
pub mod generated;
pub mod information;
pub mod instance;
pub mod name;
pub mod port;
pub mod queue;
pub mod registration;
pub mod stack;
pub mod volume;
