//! A driver's service: what its installation would have written into the registry.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::arguments::Arguments;
use crate::kernel::registry::{self, EXPAND_SZ, Key, SZ, Value};

/// Where a driver without an INF file stands.
const ALTITUDE: &str = "370000";

/// Writes the service of a driver into the registry, and gives its name.
///
/// # Errors
/// A sentence: the INF file cannot be read, or a parameter is none.
pub fn install(driver: &Path, arguments: &Arguments) -> Result<String, String> {
    let number = arguments.drivers.iter().position(|known| known == driver).unwrap_or(0);
    let stem = driver.file_stem().unwrap_or(driver.as_os_str()).to_string_lossy().into_owned();
    let name = match arguments.infs.get(number) {
        Some(inf) => {
            let bytes = fs::read(inf).map_err(|error| format!("{}: {error}", inf.display()))?;
            let inf = registry::read_inf(&bytes).map_err(|why| format!("{}: {why}", inf.display()))?;
            inf.install();
            inf.service
        }
        None => arguments.service.clone().filter(|_| number == 0).unwrap_or(stem),
    };
    let key = registry::service(&name);
    if arguments.infs.get(number).is_none() || arguments.altitude.is_some() {
        describe_instance(&key, &name, arguments, number);
    }
    for parameter in &arguments.parameters {
        let (name, value) = parse(parameter)?;
        key.create("Parameters").0.set(&name, value.clone());
        // drivers of the old style read them from the service's own key
        key.set(&name, value);
    }
    Ok(name)
}

fn describe_instance(key: &Arc<Key>, service: &str, arguments: &Arguments, number: usize) {
    let instance = arguments.instance.clone().unwrap_or_else(|| format!("{service} Instance"));
    // two drivers at one altitude would not both attach
    let base = arguments.altitude.clone().unwrap_or_else(|| ALTITUDE.to_owned());
    let altitude = if number == 0 { base } else { format!("{base}.{number}") };
    let (instances, _) = key.create("Instances");
    instances.set("DefaultInstance", Value::text(SZ, &instance));
    let (described, _) = instances.create(&instance);
    described.set("Altitude", Value::text(SZ, &altitude));
    described.set("Flags", Value::number(0));
}

fn parse(parameter: &str) -> Result<(String, Value), String> {
    let wrong = || format!("{parameter:?} is no parameter: Name=sz:text, Name=dword:1 and Name=multi:a,b are");
    let (name, rest) = parameter.split_once('=').ok_or_else(wrong)?;
    let (kind, text) = rest.split_once(':').unwrap_or(("sz", rest));
    let value = match kind {
        "sz" => Value::text(SZ, text),
        "expand" => Value::text(EXPAND_SZ, text),
        "multi" => Value::texts(text.split(',')),
        "dword" => Value::number(text.parse().map_err(|_| wrong())?),
        _ => return Err(wrong()),
    };
    Ok((name.to_owned(), value))
}
