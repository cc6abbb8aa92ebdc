//! The files of a driver: its sources and those headers that are its own.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::jumps::{Jump, jumps};
use super::tokens::{all_tokens, standard_integer};
use crate::exit::{Code, Doing as _, Failure};

/// What a build reads.
#[derive(Debug, Default)]
pub(super) struct Project {
    /// By their absolute paths.
    files: BTreeMap<PathBuf, File>,
    /// Names in `#include` lines under which there is no file, and the file that is meant.
    forwards: BTreeMap<String, PathBuf>,
}

#[derive(Debug)]
struct File {
    /// As the user named it, or as it was found.
    shown: PathBuf,
    text: String,
}

impl Project {
    /// Reads the sources and what they include by their own folders and `include`; `headers` is where Windows' are.
    pub(super) fn read(sources: &[PathBuf], include: &[PathBuf], headers: &Path) -> Result<Self, Failure> {
        let mut project = Self::default();
        let mut left: Vec<PathBuf> = sources.to_vec();
        while let Some(path) = left.pop() {
            let whole = path.canonicalize().doing(|| format!("reading {}", path.display()))?;
            if project.files.contains_key(&whole) {
                continue;
            }
            let text = fs::read(&whole).doing(|| format!("reading {}", path.display()))?;
            let text = decoded(&text);
            let folder = whole.parent().unwrap_or_else(|| Path::new("/")).to_owned();
            for name in text.lines().filter_map(included) {
                let own: Vec<&Path> =
                    [folder.as_path()].into_iter().chain(include.iter().map(PathBuf::as_path)).collect();
                if let Some(found) = own.iter().find_map(|folder| exactly(folder, name)) {
                    left.push(found);
                } else if exactly(headers, name).is_none() {
                    if let Some(meant) = own.iter().find_map(|folder| in_any_case(folder, name)) {
                        project.forwards.insert(name.to_owned(), meant.clone());
                        left.push(meant);
                    } else if let Some(meant) = in_any_case(headers, name) {
                        project.forwards.insert(name.to_owned(), meant);
                    }
                }
            }
            project.files.insert(whole, File { shown: path, text });
        }
        Ok(project)
    }

    /// Refuses what would skip a `__finally`.
    pub(super) fn refuse_jumps(&self) -> Result<(), Failure> {
        for file in self.files.values() {
            let is_cxx = super::is_cxx(&file.shown);
            if let Some(Jump { word, line }) = jumps(&file.text, is_cxx).first() {
                let sentence = format!(
                    "{}:{line}: this {word} leaves the body of a __try without running its __finally; use __leave",
                    file.shown.display()
                );
                return Err(Failure::new(Code::Other, sentence));
            }
        }
        Ok(())
    }

    /// Whether a file has integers that only Microsoft's compiler reads.
    pub(super) fn has_suffixes(&self) -> bool {
        self.files
            .values()
            .any(|file| all_tokens(&file.text).iter().any(|token| standard_integer(token.text).is_some()))
    }

    /// Writes all files below `mirror`, their integers as the standard writes them.
    pub(super) fn mirror(&self, mirror: &Path) -> io::Result<()> {
        for (path, file) in &self.files {
            let to = mirrored(mirror, path);
            fs::create_dir_all(to.parent().unwrap_or(mirror))?;
            let mut text = format!("#line 1 \"{}\"\n", file.shown.display());
            let mut done = 0;
            for token in all_tokens(&file.text) {
                if let Some(standard) = standard_integer(token.text) {
                    text.push_str(&file.text[done..token.start]);
                    text.push_str(&standard);
                    done = token.start + token.text.len();
                }
            }
            text.push_str(&file.text[done..]);
            fs::write(to, text)?;
        }
        Ok(())
    }

    /// Writes, below `work`, a folder in which the names of the `#include` lines lead to the files that are meant.
    pub(super) fn forward(&self, work: &Path, mirror: Option<&Path>) -> io::Result<PathBuf> {
        // deep enough for `../../x.h`
        let folder = work.join("forward/a/b/c/d");
        fs::create_dir_all(&folder)?;
        for (name, meant) in &self.forwards {
            let is_own = self.files.contains_key(meant);
            let meant = mirror.filter(|_| is_own).map_or_else(|| meant.clone(), |mirror| mirrored(mirror, meant));
            // gcc takes a backslash for a letter, clang for a separator
            for name in [name.clone(), name.replace('\\', "/")] {
                let to = normal(&folder.join(name));
                if to.starts_with(work) {
                    fs::create_dir_all(to.parent().unwrap_or(&folder))?;
                    fs::write(to, format!("#include \"{}\"\n", meant.display()))?;
                }
            }
        }
        Ok(folder)
    }
}

/// Where a file is in the mirror.
pub(super) fn mirrored(mirror: &Path, path: &Path) -> PathBuf {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    mirror.join(whole.strip_prefix("/").unwrap_or(&whole))
}

/// Sources of Windows are in UTF-8, in UTF-16 with a mark, or in a code page that is not named.
fn decoded(bytes: &[u8]) -> String {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => {
            let units: Vec<u16> = rest.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// The name in an `#include` line.
fn included(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix('#')?.trim_start().strip_prefix("include")?.trim_start();
    let close = match rest.chars().next()? {
        '"' => '"',
        '<' => '>',
        _ => return None,
    };
    rest[1..].split_once(close).map(|(name, _)| name)
}

fn exactly(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = folder.join(name);
    path.is_file().then_some(path)
}

/// The file of this name in any case, with either separator.
fn in_any_case(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut path = folder.canonicalize().ok()?;
    for part in name.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            path.pop();
            continue;
        }
        let mut entries: Vec<PathBuf> =
            fs::read_dir(&path).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        entries.sort();
        path =
            entries.into_iter().find(|entry| entry.file_name().is_some_and(|name| name.eq_ignore_ascii_case(part)))?;
    }
    path.is_file().then_some(path)
}

/// The path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = normal.pop(),
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_include_lines() {
        assert_eq!(included("#include <FltKernel.h>"), Some("FltKernel.h"));
        assert_eq!(included("  # include \"..\\inc\\a.h\" // b"), Some(r"..\inc\a.h"));
        assert_eq!(included("#include MACRO"), None);
        assert_eq!(included("// #include <x.h>"), None);
    }

    #[test]
    fn a_name_in_another_case_is_found() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("Inc")).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("Inc/ScanUk.h"), "int a = 3ui64;").unwrap();
        let source = folder.path().join("src/a.c");
        fs::write(&source, "#include \"..\\inc\\scanuk.h\"\n#include \"../inc/scanuk.h\"\n").unwrap();
        let project = Project::read(&[source], &[], Path::new("/nowhere")).unwrap();
        assert_eq!(project.forwards.len(), 2);
        assert!(project.has_suffixes());
        let work = tempfile::tempdir().unwrap();
        let mirror = work.path().join("mirror");
        project.mirror(&mirror).unwrap();
        let forwards = project.forward(work.path(), Some(&mirror)).unwrap();
        let meant = mirrored(&mirror, &folder.path().join("Inc/ScanUk.h"));
        assert!(fs::read_to_string(&meant).unwrap().contains("int a = 3ULL;"));
        for name in [r"..\inc\scanuk.h", "../inc/scanuk.h"] {
            let forward = fs::read_to_string(normal(&forwards.join(name))).unwrap();
            assert_eq!(forward, format!("#include \"{}\"\n", meant.display()));
        }
    }
}
