//! The world a test lives in: a private namespace, its processes, and a leak check at its end.
//!
//! ```no_run
//! let world = testkit::World::new();
//! let file = world.file("infected.txt", "EICAR-like marker");
//! let mut command = world.fltmc();
//! command.args(["run", "--deny", "**/infected.txt", "--", "cat"]).arg(file);
//! assert_eq!(testkit::finish(&mut command).code, Some(1));
//! ```
//!
//! Dropping the `World` fails the test if a process, a descriptor or a file in the namespace is left.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fltport::namespace::Namespace;

use crate::leak::TAG;
use crate::{Process, Watchdog, finish, leak, watchdog};

/// The user and group of "an ordinary user" when the tests run as root.
pub const NOBODY: u32 = 65534;

/// How long a test with a world may take, unless it says otherwise.
const PATIENCE: Duration = Duration::from_secs(150);

/// A temporary folder, a namespace of its own, and the processes that a test starts in it.
#[derive(Debug)]
pub struct World {
    dir: tempfile::TempDir,
    tag: String,
    user: Option<u32>,
    tool: Option<PathBuf>,
    watchdog: Watchdog,
}

impl World {
    /// A world whose programs run as the user of the test.
    #[must_use]
    pub fn new() -> Self {
        Self::build(None)
    }

    /// A world whose programs run as an ordinary user: as `nobody` if the test is root, else simply as the test's own
    /// user.
    #[must_use]
    pub fn ordinary() -> Self {
        Self::build(is_root().then_some(NOBODY))
    }

    /// With the tool at this path, where the test knows it (`CARGO_BIN_EXE_fltmc`).
    #[must_use]
    pub fn with_tool(mut self, tool: impl Into<PathBuf>) -> Self {
        self.tool = Some(tool.into());
        self
    }

    /// With another patience than 150 seconds before the test counts as one that hangs.
    #[must_use]
    pub fn patient(mut self, patience: Duration) -> Self {
        self.watchdog = watchdog(patience);
        self
    }

    fn build(user: Option<u32>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        leak::begin();
        // as the kernel names it: programs are asked about by such paths
        let temporary = std::env::temp_dir().canonicalize().expect("a folder for temporary files");
        let dir = tempfile::Builder::new().prefix("fltmgr-test-").tempdir_in(temporary).expect("a temporary folder");
        let tag = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let world = Self { dir, tag, user, tool: None, watchdog: watchdog(PATIENCE) };
        std::fs::create_dir(world.namespace_dir()).expect("the namespace's folder");
        mode(&world.namespace_dir(), 0o700);
        if let Some(uid) = user {
            for path in [world.dir().to_owned(), world.namespace_dir()] {
                std::os::unix::fs::chown(&path, Some(uid), Some(uid)).expect("root may give folders away");
            }
        }
        world
    }

    /// The world's folder, which goes away with it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The folder that holds the world's ports: `$FLTMGR_NAMESPACE` of its programs.
    #[must_use]
    pub fn namespace_dir(&self) -> PathBuf {
        self.dir().join("namespace")
    }

    /// The namespace of the world's ports.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        Namespace::at(self.namespace_dir())
    }

    /// Lets every user reach the world's ports.
    pub fn open_to_all(&self) {
        mode(self.dir(), 0o755);
        mode(&self.namespace_dir(), 0o755);
    }

    /// The path of `name` in the world's folder.
    #[must_use]
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir().join(name)
    }

    /// Writes a file into the world, readable for every user, and gives its path. Folders in `name` are made.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir().join(name);
        std::fs::create_dir_all(path.parent().expect("a name has a folder")).expect("folders for a file");
        std::fs::write(&path, content).expect("a file in the world");
        path
    }

    /// The tool, in this world.
    #[must_use]
    pub fn fltmc(&self) -> Command {
        self.command(self.tool())
    }

    /// Where the tool is, for programs of this world that start it.
    #[must_use]
    pub fn tool(&self) -> PathBuf {
        self.program("fltmc")
    }

    /// Where a program of this workspace is, so that the world's user can run it.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let built = self.tool.clone().filter(|_| name == "fltmc").unwrap_or_else(|| binary(name));
        if self.user.is_none() {
            return built;
        }
        // the target directory need not be readable for others
        self.copy(built, name)
    }

    /// A copy of a program in the world, made once, which every user may run.
    pub fn copy(&self, program: impl AsRef<OsStr>, name: &str) -> PathBuf {
        let copy = self.path(name);
        if !copy.exists() {
            // by another process: a program cannot be run while a descriptor to write it is open, and children that other
            // tests start at that moment have copies of ours
            let mut install = Command::new("install");
            let ended = finish(install.args(["-m", "755"]).arg(program).arg(&copy));
            assert_eq!(ended.code, Some(0), "{}", ended.err);
        }
        copy
    }

    /// Any program, in this world: its user, its namespace, no colour, the world's folder as the current one.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        // A shell that runs the tests in the background has them ignore signals, which programs inherit.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP,INT,QUIT,TERM,CHLD");
        if let Some(uid) = self.user {
            command.args(["setpriv", &format!("--reuid={uid}"), &format!("--regid={uid}"), "--clear-groups", "--"]);
        }
        command.arg(program);
        command.current_dir(self.dir()).env(TAG, &self.tag).env("FLTMGR_NAMESPACE", self.namespace_dir());
        command.env("LC_ALL", "C").env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        command
    }

    /// Starts a program that runs beside the test; it is killed when the `Process` is dropped.
    pub fn spawn(&self, command: &mut Command) -> Process<'_> {
        Process::spawn(self, command)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let mut left = leak::processes(&self.tag);
        left.extend(leak::end());
        left.extend(leak::files(&self.namespace_dir()));
        if !left.is_empty() && !std::thread::panicking() {
            panic!("left behind: {left:#?}");
        }
    }
}

/// Whether the tests have root's rights.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The path of a program of this workspace, built as the tests were.
pub fn binary(name: &str) -> PathBuf {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        // A test binary is target/PROFILE/deps/NAME-HASH. `cargo test` builds other packages' programs only for their
        // own tests, so it is asked once; when all is built, that is a look at time stamps.
        let me = std::env::current_exe().expect("the path of the test");
        let target = me.ancestors().nth(2).expect("target/PROFILE/deps/TEST").to_owned();
        let profile = match target.file_name().and_then(OsStr::to_str) {
            Some("debug") | None => "dev".to_owned(),
            Some(name) => name.to_owned(),
        };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--workspace", "--bins", "--examples", "--profile", &profile]);
        build.arg("--target-dir").arg(target.parent().expect("target"));
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        assert!(build.status().expect("cargo").success(), "the programs under test do not build");
        target
    });
    target.join(name)
}

fn mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the mode of one's own file");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LONG, apart};

    #[test]
    fn a_process_left_behind_is_found() {
        apart(|| {
            let world = World::new();
            let mut forgotten = world.command("sleep").arg("60").spawn().unwrap();
            let check = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(world)));
            forgotten.kill().and_then(|()| forgotten.wait()).unwrap();
            let said = *check.unwrap_err().downcast::<String>().unwrap();
            assert!(said.contains("sleep 60") && said.contains("a child that was not waited for"), "{said}");
        });
    }

    #[test]
    #[should_panic(expected = "in the namespace: ")]
    fn a_file_left_in_the_namespace_is_found() {
        let world = World::new();
        std::fs::write(world.namespace_dir().join(".Stale.port"), "").unwrap();
    }

    #[test]
    fn a_descriptor_left_behind_is_found() {
        apart(|| {
            let world = World::new();
            let sockets = std::os::unix::net::UnixStream::pair().unwrap();
            let check = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(world)));
            let said = *check.unwrap_err().downcast::<String>().unwrap();
            assert!(said.contains("2 more open descriptor(s): socket"), "{said}");
            drop(sockets);
            drop(World::new());
        });
    }

    #[test]
    fn lines_of_one_pipe_have_an_order_and_lines_of_two_have_none() {
        let world = World::new();
        let mut program = world.spawn(world.command("sh").args(["-c", "echo one; echo two >&2; echo three; read _"]));
        program.says("three");
        program.says("two");
        program.tell("\n");
        assert_eq!(program.end(), 0);
        assert!(!program.said_within("one", LONG), "it was said before what was waited for, on the same pipe");
    }
}
