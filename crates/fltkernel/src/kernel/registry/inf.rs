//! INF files: what a driver's installation writes into the registry.

use std::collections::HashMap;

use super::{BINARY, DWORD, EXPAND_SZ, Key, MULTI_SZ, SZ, Value, service};
use std::sync::Arc;

/// What an INF file says about the service that it installs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inf {
    /// The service's name.
    pub service: String,
    /// The values below its key: path, name, value.
    pub values: Vec<(String, String, Value)>,
}

/// A line of a section: what stands before `=`, if it does, and the fields after it.
#[derive(Debug)]
struct Line {
    key: String,
    fields: Vec<String>,
}

type Sections = HashMap<String, Vec<Line>>;

/// Reads an INF file.
///
/// # Errors
/// A sentence: it installs no service.
pub fn read(bytes: &[u8]) -> Result<Inf, String> {
    let text = decode(bytes);
    let strings = strings(&text);
    let sections = sections(&text, &strings);
    let (name, section) =
        add_service(&sections).ok_or("the INF file has no AddService line in a DefaultInstall.Services section")?;
    let mut values = Vec::new();
    for line in section.and_then(|section| sections.get(&section.to_lowercase())).into_iter().flatten() {
        match line.key.to_lowercase().as_str() {
            "addreg" => {
                for named in &line.fields {
                    add_registry(sections.get(&named.to_lowercase()), &mut values);
                }
            }
            "starttype" => values.extend(number(line).map(|value| (String::new(), "Start".to_owned(), value))),
            "loadordergroup" => values.extend(text_value(line).map(|value| (String::new(), "Group".to_owned(), value))),
            "dependencies" => {
                let all = Value::texts(line.fields.iter().map(String::as_str));
                values.push((String::new(), "DependOnService".to_owned(), all));
            }
            _ => {}
        }
    }
    Ok(Inf { service: name, values })
}

impl Inf {
    /// Writes it into the registry; gives the service's key.
    pub fn install(&self) -> Arc<Key> {
        let key = service(&self.service);
        for (path, name, value) in &self.values {
            key.create(path).0.set(name, value.clone());
        }
        key
    }
}

fn number(line: &Line) -> Option<Value> {
    parse_number(line.fields.first()?).map(Value::number)
}

fn text_value(line: &Line) -> Option<Value> {
    Some(Value::text(SZ, line.fields.first()?))
}

fn parse_number(text: &str) -> Option<u32> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// The service's name and the section that describes it.
fn add_service(sections: &Sections) -> Option<(String, Option<String>)> {
    let mut names: Vec<&String> = sections.keys().filter(|name| name.ends_with(".services")).collect();
    // the plain one before those for one machine, so that the result does not depend on the order of a hash
    names.sort_by_key(|name| (!name.starts_with("defaultinstall"), name.len(), (*name).clone()));
    names.into_iter().flat_map(|name| &sections[name]).find(|line| line.key.eq_ignore_ascii_case("AddService")).map(
        |line| {
            let name = line.fields.first().cloned().unwrap_or_default();
            (name, line.fields.get(2).cloned())
        },
    )
}

/// `HKR, subkey, value, flags, data…`
fn add_registry(lines: Option<&Vec<Line>>, values: &mut Vec<(String, String, Value)>) {
    const FLAG_BINARY: u32 = 0x0000_0001;
    const FLAG_MULTI: u32 = 0x0001_0000;
    const FLAG_DWORD: u32 = 0x0001_0001;
    const FLAG_EXPAND: u32 = 0x0002_0000;
    const KIND: u32 = 0xFFFF_0001;
    for line in lines.into_iter().flatten() {
        let field = |n: usize| line.fields.get(n).map_or("", String::as_str);
        if !field(0).eq_ignore_ascii_case("HKR") {
            continue;
        }
        let flags = parse_number(field(3)).unwrap_or(0);
        let data = line.fields.get(4..).unwrap_or(&[]);
        let first = data.first().map_or("", String::as_str);
        let value = match flags & KIND {
            FLAG_DWORD => Value::number(parse_number(first).unwrap_or(0)),
            FLAG_MULTI => Value { kind: MULTI_SZ, ..Value::texts(data.iter().map(String::as_str)) },
            FLAG_EXPAND => Value::text(EXPAND_SZ, first),
            FLAG_BINARY => {
                let bytes =
                    data.iter().filter_map(|byte| u8::from_str_radix(byte.trim_start_matches("0x"), 16).ok()).collect();
                Value { kind: BINARY, data: bytes }
            }
            _ => Value::text(SZ, first),
        };
        debug_assert!(matches!(value.kind, SZ | EXPAND_SZ | BINARY | DWORD | MULTI_SZ));
        values.push((field(1).to_owned(), field(2).to_owned(), value));
    }
}

/// Text by its byte order mark; without one UTF-8, what is not that as Latin-1.
fn decode(bytes: &[u8]) -> String {
    if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        let units: Vec<u16> = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        return String::from_utf16_lossy(&units);
    }
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

/// The lines with their sections, continued ones joined, without comments.
fn lines(text: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut section = String::new();
    let mut open = String::new();
    for line in text.lines() {
        let line = uncommented(line);
        let line = line.trim();
        if let Some(start) = line.strip_suffix('\\') {
            open.push_str(start);
            continue;
        }
        let whole = std::mem::take(&mut open) + line;
        if let Some(name) = whole.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_lowercase();
        } else if !whole.is_empty() {
            all.push((section.clone(), whole));
        }
    }
    all
}

fn uncommented(line: &str) -> String {
    let mut quoted = false;
    line.chars()
        .take_while(|&c| {
            quoted ^= c == '"';
            quoted || c != ';'
        })
        .collect()
}

fn strings(text: &str) -> HashMap<String, String> {
    let none = HashMap::new();
    lines(text)
        .into_iter()
        .filter(|(section, _)| section == "strings")
        .filter_map(|(_, line)| {
            let (name, value) = line.split_once('=')?;
            Some((
                name.trim().trim_matches('"').to_lowercase(),
                fields(value, &none).into_iter().next().unwrap_or_default(),
            ))
        })
        .collect()
}

fn sections(text: &str, strings: &HashMap<String, String>) -> Sections {
    let mut all = Sections::new();
    for (section, line) in lines(text) {
        let (key, rest) = match split_unquoted(&line, '=') {
            Some((key, rest)) => (key.trim().trim_matches('"').to_owned(), rest.to_owned()),
            None => (String::new(), line.clone()),
        };
        all.entry(section).or_default().push(Line { key, fields: fields(&rest, strings) });
    }
    all
}

fn split_unquoted(line: &str, at: char) -> Option<(&str, &str)> {
    let mut quoted = false;
    let found = line.char_indices().find(|&(_, c)| {
        quoted ^= c == '"';
        !quoted && c == at
    })?;
    Some((&line[..found.0], &line[found.0 + at.len_utf8()..]))
}

/// The fields between commas: quotes and `%strings%` joined, `""` and `%%` for one of these, unquoted white space trimmed.
fn fields(text: &str, strings: &HashMap<String, String>) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut quoted = false;
    let mut rest = text.trim().chars().peekable();
    while let Some(c) = rest.next() {
        let field = all.last_mut().unwrap_or_else(|| unreachable!("there is always a last field"));
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => {
                rest.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            '%' if rest.peek() == Some(&'%') => {
                rest.next();
                field.push('%');
            }
            '%' => {
                let name: String = rest.by_ref().take_while(|&c| c != '%').collect();
                match strings.get(&name.to_lowercase()) {
                    Some(value) => field.push_str(value),
                    None => field.push_str(&format!("%{name}%")),
                }
            }
            ',' if !quoted => {
                field.truncate(field.trim_end().len());
                all.push(String::new());
            }
            c if c.is_whitespace() && !quoted && field.is_empty() => {}
            c => field.push(c),
        }
    }
    if let Some(last) = all.last_mut() {
        last.truncate(last.trim_end().len());
    }
    all
}
