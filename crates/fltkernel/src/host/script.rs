//! Operations that a file describes, made on real files by this process: each line one, `#` begins a comment.
//!
//! ```text
//! open F /tmp/x read|write|both [new|create|truncate|directory|delete-on-close]
//! read F OFFSET LENGTH      write F OFFSET TEXT      query F CLASS        list F
//! rename F /tmp/y           delete F                 length F BYTES       flush F
//! send F IRP_MJ_QUERY_EA    send-all F               close F
//! ```

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::output;
use crate::edge::{Memory, Ptr};
use crate::filter::disk::{self, create};
use crate::filter::file::File;
use crate::filter::generated::{Ask, Security};
use crate::filter::information::class;
use crate::filter::stack::{self, Outcome, Request};
use crate::filter::volume;
use crate::kernel::process;
use crate::nt::{Parameters, major};

/// The files of a script by their names.
#[derive(Default)]
struct Script {
    files: HashMap<String, Arc<File>>,
}

/// Runs a script.
///
/// # Errors
/// A sentence that names the line.
pub fn run(path: &Path) -> Result<i32, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut script = Script::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            script.line(line).map_err(|why| format!("{}:{}: {why}", path.display(), number + 1))?;
        }
    }
    let left: Vec<String> = script.files.keys().cloned().collect();
    for name in left {
        script.close(&name)?;
    }
    Ok(0)
}

impl Script {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let word = |at: usize| words.get(at).copied().ok_or_else(|| format!("{line:?} lacks a word"));
        let number = |at: usize| word(at)?.parse::<u64>().map_err(|_| format!("{:?} is no number", words[at]));
        let name = word(1)?;
        match word(0)? {
            "open" => return self.open(name, word(2)?, &words[3..]),
            "close" => return self.close(name),
            _ => {}
        }
        let file = self.files.get(name).ok_or_else(|| format!("{name} is not open"))?.clone();
        match word(0)? {
            "read" => self.read(&file, number(2)?, number(3)?),
            "write" => self.write(&file, number(2)?, word(3)?),
            "query" => self.query(&file, number(2)? as u32),
            "list" => self.list(&file),
            "rename" => self.rename(&file, word(2)?),
            "delete" => self.set(&file, class::DISPOSITION, &[1]),
            "length" => self.set(&file, class::END_OF_FILE, &number(2)?.to_le_bytes()),
            "flush" => self.send(&file, major::FLUSH_BUFFERS, Parameters::default()),
            "send" => {
                let wanted = word(2)?;
                let known = major::NAMES.iter().find(|(_, name)| *name == wanted);
                let (code, _) = known.ok_or_else(|| format!("{wanted} is no operation"))?;
                self.send(&file, *code, Parameters::default());
            }
            "send-all" => {
                let skipped = [major::CREATE, major::CLEANUP, major::CLOSE, major::READ, major::WRITE];
                for (code, _) in major::NAMES.iter().filter(|(code, _)| !skipped.contains(code)) {
                    self.send(&file, *code, Parameters::default());
                }
            }
            verb => return Err(format!("{verb} is no operation of a script")),
        }
        Ok(())
    }

    fn open(&mut self, name: &str, path: &str, how: &[&str]) -> Result<(), String> {
        let has = |word: &str| how.contains(&word);
        let access = match (has("write"), has("both")) {
            (true, _) => 0x0012_0196,
            (_, true) => 0x0012_019F,
            _ => 0x0012_0089,
        };
        let disposition = match (has("new"), has("truncate"), has("create")) {
            (true, ..) => create::CREATE,
            (_, true, true) => create::OVERWRITE_IF,
            (_, true, false) => create::OVERWRITE,
            (_, _, true) => create::OPEN_IF,
            _ => create::OPEN,
        };
        let option = |word: &str, option: u32| if has(word) { option } else { 0 };
        let wanted =
            0x20 | option("directory", create::DIRECTORY_FILE) | option("delete-on-close", create::DELETE_ON_CLOSE);
        let ask = Ask { access, options: disposition << 24 | wanted, attributes: 0x80, share: 7 };
        let file = File::new(Path::new(path), true);
        let security = Security::new(ask);
        let mut request = request(&file, major::CREATE, security.parameters(ask));
        request.irp_flags = 0x884;
        let outcome = self.perform(&file, &request);
        if outcome.io_status.status.is_success_severity() && file.inode().is_some() {
            self.files.insert(name.to_owned(), file);
        } else {
            file.close();
        }
        Ok(())
    }

    fn close(&mut self, name: &str) -> Result<(), String> {
        let file = self.files.remove(name).ok_or_else(|| format!("{name} is not open"))?;
        self.send(&file, major::CLEANUP, Parameters::default());
        self.send(&file, major::CLOSE, Parameters::default());
        Ok(())
    }

    fn send(&self, file: &Arc<File>, code: u8, parameters: Parameters) {
        self.perform(file, &request(file, code, parameters));
    }

    fn perform(&self, file: &Arc<File>, request: &Request) -> Outcome {
        let name = String::from_utf16_lossy(&volume::nt_name(&file.path()));
        let outcome = stack::run(request, disk::perform);
        output::ended(&format!("{} {name}", major::name(request.major)), outcome.io_status, outcome.by.as_deref());
        outcome
    }

    fn read(&self, file: &Arc<File>, offset: u64, length: u64) {
        let buffer = Memory::new(length as usize);
        let parameters = Parameters::default().with(0, length).with(2, offset).with_pointer(3, buffer.at::<u8>());
        self.send(file, major::READ, parameters);
    }

    fn write(&self, file: &Arc<File>, offset: u64, text: &str) {
        let buffer = Memory::holding(text.as_bytes());
        let parameters =
            Parameters::default().with(0, text.len() as u64).with(2, offset).with_pointer(3, buffer.at::<u8>());
        self.send(file, major::WRITE, parameters);
    }

    fn query(&self, file: &Arc<File>, wanted: u32) {
        let buffer = Memory::new(1024);
        let parameters = Parameters::default().with(0, 1024).with(1, wanted.into()).with_pointer(2, buffer.at::<u8>());
        self.send(file, major::QUERY_INFORMATION, parameters);
    }

    fn list(&self, file: &Arc<File>) {
        const NAMES: u64 = 12;
        let buffer = Memory::new(4096);
        let parameters = Parameters::default().with(0, 4096).with(2, NAMES).with_pointer(4, buffer.at::<u8>());
        self.send(file, major::DIRECTORY_CONTROL, parameters);
    }

    fn rename(&self, file: &Arc<File>, path: &str) {
        let name = volume::nt_name(Path::new(path));
        let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(((name.len() * 2) as u32).to_le_bytes());
        bytes.extend(name.iter().flat_map(|unit| unit.to_le_bytes()));
        self.set(file, class::RENAME, &bytes);
    }

    fn set(&self, file: &Arc<File>, wanted: u32, bytes: &[u8]) {
        let buffer = Memory::holding(bytes);
        let parameters =
            Parameters::default().with(0, bytes.len() as u64).with(1, wanted.into()).with_pointer(4, buffer.at::<u8>());
        self.send(file, major::SET_INFORMATION, parameters.with_pointer(2, Ptr::<u8>::NULL));
    }
}

/// An operation of this process, as if a program made it.
fn request(file: &Arc<File>, code: u8, parameters: Parameters) -> Request {
    let process = std::process::id();
    Request::new(code, file, parameters, Some(process::identity(process, process)))
}
