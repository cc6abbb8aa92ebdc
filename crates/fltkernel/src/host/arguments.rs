//! What a host is told to do.

use std::path::PathBuf;

/// The arguments of `fltmc load`.
#[derive(Clone, Debug, Default)]
pub struct Arguments {
    pub drivers: Vec<PathBuf>,
    /// Of the driver with the same number; without one the next three apply.
    pub infs: Vec<PathBuf>,
    pub service: Option<String>,
    pub altitude: Option<String>,
    pub instance: Option<String>,
    /// `Name=sz:text`, `Name=dword:1`, `Name=multi:a,b`
    pub parameters: Vec<String>,
    pub script: Option<PathBuf>,
    pub strict: bool,
    pub json: bool,
    pub quiet: bool,
    /// Deny what no driver answers in time.
    pub deny_on_miss: bool,
    /// A program to run under the drivers.
    pub command: Vec<String>,
}

impl Arguments {
    /// Reads `DRIVER… [--name value]… [-- COMMAND…]`.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(texts: Vec<String>) -> Result<Self, String> {
        let mut all = Self::default();
        let mut rest = texts.into_iter();
        while let Some(text) = rest.next() {
            let mut value = |name: &str| rest.next().ok_or_else(|| format!("{name} needs a value"));
            match text.as_str() {
                "--inf" => all.infs.push(value("--inf")?.into()),
                "--service" => all.service = Some(value("--service")?),
                "--altitude" => all.altitude = Some(value("--altitude")?),
                "--instance" => all.instance = Some(value("--instance")?),
                "--param" => all.parameters.push(value("--param")?),
                "--script" => all.script = Some(value("--script")?.into()),
                "--strict" => all.strict = true,
                "--json" => all.json = true,
                "--quiet" => all.quiet = true,
                "--deny-on-miss" => all.deny_on_miss = true,
                "--" => {
                    all.command = rest.collect();
                    break;
                }
                option if option.starts_with("--") => return Err(format!("{option} is no option of a host")),
                _ => all.drivers.push(text.into()),
            }
        }
        if all.drivers.is_empty() {
            return Err("there is no driver to load".to_owned());
        }
        Ok(all)
    }
}
