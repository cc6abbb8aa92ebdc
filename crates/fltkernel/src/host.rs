//! One process that loads drivers.

pub mod arguments;
pub mod audit;
pub mod bugcheck;
pub mod driver;
pub mod live;
pub mod output;
pub mod script;
pub mod service;

use std::ffi::c_int;

use arguments::Arguments;

use crate::edge::{Ptr, seh};
use crate::kernel::{debug, report};

/// The host found something wrong with a driver.
const FINDINGS: c_int = 20;
/// A driver cannot be loaded.
const NOT_LOADED: c_int = 21;
/// The arguments, or what they name, are wrong.
const USAGE: c_int = 2;

/// Loads drivers and gives them operations, as `fltmc load` was told. Gives the exit status.
#[unsafe(no_mangle)]
pub extern "C" fn fltkernel_host(count: c_int, arguments: Ptr<Ptr<u8>>) -> c_int {
    let texts = arguments.read_many(usize::try_from(count).unwrap_or(0));
    let texts = texts.into_iter().map(|text| String::from_utf8_lossy(&text.until_zero()).into_owned());
    match Arguments::parse(texts.collect()) {
        Ok(arguments) => run(&arguments),
        Err(sentence) => {
            eprintln!("fltmc load: {sentence}");
            USAGE
        }
    }
}

fn run(arguments: &Arguments) -> c_int {
    seh::on_unhandled(bugcheck::unhandled);
    output::start(arguments);
    debug::log_with(output::debug);
    report::log_with(output::finding);
    let mut drivers = Vec::new();
    for path in &arguments.drivers {
        let service = match service::install(path, arguments) {
            Ok(service) => service,
            Err(sentence) => {
                eprintln!("fltmc load: {sentence}");
                return USAGE;
            }
        };
        match driver::Driver::load(path, &service) {
            Ok(driver) => drivers.push(driver),
            Err(sentence) => {
                eprintln!("fltmc load: {sentence}");
                return NOT_LOADED;
            }
        }
    }
    output::loaded(arguments);
    let ended = match (&arguments.script, &arguments.command) {
        (Some(script), _) => script::run(script),
        (None, command) if !command.is_empty() => live::run(arguments),
        _ => Ok(0),
    };
    let mut status = ended.unwrap_or_else(|sentence| {
        eprintln!("fltmc load: {sentence}");
        USAGE
    });
    for driver in drivers.iter().rev() {
        output::unloading(&driver.service);
        if let Err(refused) = driver.unload(false) {
            eprintln!("fltmc load: {} refuses to be unloaded: {refused:?}", driver.service);
            status = status.max(1);
        }
    }
    let found = output::finish(arguments);
    if status == 0 && found { FINDINGS } else { status }
}
