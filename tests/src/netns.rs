//! A network namespace for one test, with a TAP in it: Linux is one end of the cable, the demo
//! under test the other.
//!
//! Nothing can stay behind. The namespace has no name: it lives as long as its holder, a `cat`
//! that ends when this process does, however it ends, because its standard input is a pipe from
//! here. Every command runs under `setpriv --pdeathsig` and under `timeout`, so that no test
//! waits for ever and no program outlives a killed test. The TAP dies with the namespace.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The kernel's address on the TAP.
pub const KERNEL: &str = "192.0.2.1";

/// The address of the stack under test.
pub const STACK: &str = "192.0.2.2";

/// The same over IPv6, where a test wants that.
pub const KERNEL_V6: &str = "2001:db8::1";
/// The same over IPv6.
pub const STACK_V6: &str = "2001:db8::2";

/// A server may run for so long, seconds: longer than every test.
const SERVER_WATCHDOG: u32 = 900;

/// So many programs were started by now: each has a log of its own.
static SPAWNED: AtomicU32 = AtomicU32::new(0);

/// One test has the machine at a time: two transfers on two processors would measure each other.
static TURN: Mutex<()> = Mutex::new(());

/// A network namespace of this test's own, with `tap0` up as 192.0.2.1/24, and a directory.
#[derive(Debug)]
pub struct Netns {
    holder: Child,
    enter: &'static [&'static str],
    dir: PathBuf,
    _turn: Option<MutexGuard<'static, ()>>,
}

/// A program that runs in the namespace until it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<BufReader<std::process::ChildStdout>>,
    name: String,
    log: PathBuf,
}

impl Netns {
    /// Makes the namespace; where that is impossible it says so on the terminal, whatever
    /// captures the output of tests, and the test passes without having looked.
    ///
    /// # Panics
    /// When the namespace is there and the TAP is not.
    pub fn new() -> Option<Netns> {
        let turn = turn();
        let mut ns = Netns::empty().or_else(skipped)?;
        ns._turn = Some(turn);
        ns.sh(10, "ip tuntap add tap0 mode tap");
        ns.sh(10, &format!("ip address add {KERNEL}/24 dev tap0 && ip link set tap0 up"));
        Some(ns)
    }

    /// The same with an IPv6 address for the kernel, good at once.
    ///
    /// # Panics
    /// As [`Netns::new`].
    pub fn with_ipv6() -> Option<Netns> {
        let ns = Netns::new()?;
        let added = format!("ip address add {KERNEL_V6}/64 dev tap0 nodad");
        if ns.try_sh(10, &added).status.success() { Some(ns) } else { skipped() }
    }

    /// A network namespace with nothing but `lo` in it, and without waiting for a turn. `None`
    /// where that is impossible.
    pub fn empty() -> Option<Netns> {
        let (holder, enter) = hold()?;
        Some(Netns::held(holder, enter))
    }

    /// Another network namespace, whose interfaces this one may be connected to.
    ///
    /// # Panics
    /// When it cannot be made, although this one could.
    pub fn beside(&self) -> Netns {
        let id = self.holder.id().to_string();
        let user: &[&str] = if self.enter.contains(&"-U") { self.enter } else { &[] };
        let mut command = Command::new(if user.is_empty() { "unshare" } else { "nsenter" });
        if !user.is_empty() {
            command.args(["-t", &id]).args(user).args(["--", "unshare"]);
        }
        command.args(["-n", "sh", "-c", "echo up && exec cat"]);
        let holder = start_holder(&mut command).expect("another network namespace");
        Netns::held(holder, self.enter)
    }

    fn held(holder: Child, enter: &'static [&'static str]) -> Netns {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("ts{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).expect("a directory for the test");
        let ns = Netns { holder, enter, dir, _turn: None };
        ns.sh(10, "ip link set lo up");
        ns
    }

    /// The number of a process in the namespace: its name for `ip link set netns`.
    pub fn id(&self) -> u32 {
        self.holder.id()
    }

    /// A directory which goes away with the namespace.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `program` in the namespace, ended after so many seconds with status 124.
    pub fn command(&self, seconds: u32, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.holder.id().to_string()]).args(self.enter);
        command.args(["--", "setpriv", "--pdeathsig", "TERM", "--"]);
        command.args(["timeout", "-k", "5", &seconds.to_string()]).arg(program.as_ref());
        command.current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    /// Runs a shell command line to its end.
    ///
    /// # Panics
    /// When a thread of what it starts has panicked.
    pub fn try_sh(&self, seconds: u32, line: &str) -> Output {
        let mut command = self.command(seconds, "sh");
        let output = command.args(["-c", line]).output();
        let output = output.expect("nsenter, setpriv and timeout (util-linux)");
        for said in [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said)) {
            assert!(!has_panicked(&said), "{line}\n{said}");
        }
        output
    }

    /// Runs a shell command line, which must succeed, and returns what it prints.
    ///
    /// # Panics
    /// When it fails, with everything that it said.
    pub fn sh(&self, seconds: u32, line: &str) -> String {
        let output = self.try_sh(seconds, line);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{}: {line}\n{stdout}{}",
            say(output.status),
            String::from_utf8_lossy(&output.stderr)
        );
        stdout
    }

    /// Starts a program, with its standard error in a file that is shown if the test fails.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(&self, program: impl AsRef<Path>, arguments: &str) -> Running {
        let program = program.as_ref();
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Two of the same program would write over each other's words.
        let number = SPAWNED.fetch_add(1, Ordering::Relaxed);
        let log = self.dir.join(format!("{name}-{number}.log"));
        let mut command = self.command(SERVER_WATCHDOG, program);
        command.args(arguments.split_whitespace()).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(File::create(&log).expect("a log file"));
        let mut child = command.spawn().expect("nsenter, setpriv and timeout (util-linux)");
        let stdout = child.stdout.take().map(BufReader::new);
        Running { child, stdout, name, log }
    }

    /// Starts a demo on `tap0` and waits until it prints `ready`.
    ///
    /// # Panics
    /// When it ends before.
    pub fn serve(&self, demo: &str, arguments: &str) -> Running {
        let mut server = self.spawn(demo_path(demo), &format!("--tap tap0 {arguments}"));
        server.wait_for("ready");
        server
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // Its standard input ends, and so does it.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Running {
    /// Reads lines of its output until one begins with `word`, and returns that one.
    ///
    /// # Panics
    /// When it ends before.
    pub fn wait_for(&mut self, word: &str) -> String {
        let stdout = self.stdout.as_mut().expect("its output is read from here");
        let mut line = String::new();
        loop {
            line.clear();
            let count = stdout.read_line(&mut line).expect("text");
            assert!(count > 0, "{} ended before it printed {word:?}", self.name);
            if line.starts_with(word) {
                return line.trim_end().to_owned();
            }
        }
    }

    /// What it wrote to its standard error until now.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Writes to its standard input.
    ///
    /// # Panics
    /// When it does not read it.
    pub fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("an open standard input");
        stdin.write_all(text.as_bytes()).expect("a reader");
        stdin.flush().expect("a reader");
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until it ends, and returns its status and the rest of its output.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn finish(mut self) -> (ExitStatus, String) {
        self.close_stdin();
        let mut rest = Vec::new();
        if let Some(mut stdout) = self.stdout.take() {
            stdout.read_to_end(&mut rest).expect("its output");
        }
        let status = self.child.wait().expect("its status");
        (status, String::from_utf8_lossy(&rest).into_owned())
    }

    /// Interrupts it as Ctrl-C does, waits until it ends, and returns what it wrote to its
    /// standard error.
    ///
    /// # Panics
    /// When it cannot be waited for, or ends otherwise than in peace.
    pub fn interrupt(mut self) -> String {
        self.signal("INT");
        let status = self.child.wait().expect("its status");
        // A client says that it was interrupted, as a shell would.
        let in_peace = matches!(status.code(), Some(0 | 130));
        assert!(in_peace, "{} after an interrupt: {}", self.name, say(status));
        self.log()
    }

    /// Sends it a signal, which `timeout` passes on.
    pub fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &line]).status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("TERM");
        }
        // A pipe that nobody empties would keep it from ending.
        drop(self.stdout.take());
        self.close_stdin();
        let _ = self.child.wait();
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{log}", self.name);
        } else {
            assert!(!has_panicked(&log), "{} has panicked:\n{log}", self.name);
        }
    }
}

/// A thread of a program has panicked. The shell goes on after a panic of the engine, so that
/// nothing else may tell.
fn has_panicked(said: &str) -> bool {
    said.contains("panicked at")
}

/// Waits for this test's turn: one at a time has the machine.
pub fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a holder: as root in a network namespace, otherwise in a user namespace as well.
fn hold() -> Option<(Child, &'static [&'static str])> {
    let ways: [(&[&str], &[&str]); 2] =
        [(&["-n"], &["-n"]), (&["-Urn"], &["-U", "-n", "--preserve-credentials"])];
    ways.into_iter().find_map(|(make, enter)| {
        let script = "ip tuntap add tap9 mode tap && ip link delete tap9 && echo up && exec cat";
        let holder = start_holder(Command::new("unshare").args(make).args(["sh", "-c", script]));
        Some((holder?, enter))
    })
}

/// Starts a process that says `up` in a namespace, and stays there until its input ends.
fn start_holder(command: &mut Command) -> Option<Child> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take()?).read_line(&mut line).ok()?;
    if line.trim() == "up" {
        return Some(child);
    }
    let _ = child.wait();
    None
}

/// Says that a test did not look.
pub fn skipped<T>() -> Option<T> {
    skip(
        "no network namespace and TAP to be had here; run as root, or allow user namespaces \
         (`sysctl kernel.unprivileged_userns_clone=1`) and /dev/net/tun",
    );
    None
}

/// Says that a test did not look, or not at all of it, and why.
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not `eprintln!`: the test harness would swallow it. In one piece: others write, too.
    let _ = std::io::stderr().write_all(format!("SKIPPED {test}: {why}\n").as_bytes());
}

/// Whether all programs are there; says so if not, and the test passes without having looked.
pub fn have(programs: &[&str]) -> bool {
    let Some(missing) = programs.iter().find(|name| !installed(name)) else { return true };
    skip(&format!("{missing} is not installed"));
    false
}

/// Whether a program is there.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|it| it.join(program).is_file())
}

fn say(status: ExitStatus) -> String {
    match status.code() {
        Some(124 | 137) => "no end in sight (watchdog)".into(),
        _ => status.to_string(),
    }
}

/// The path of a demo: in the directory that `TAPSTACK_DEMOS` names, or built beside this test.
///
/// # Panics
/// When it cannot be built.
pub fn demo_path(name: &str) -> PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(|| match std::env::var_os("TAPSTACK_DEMOS") {
        Some(dir) => fs::canonicalize(dir).expect("TAPSTACK_DEMOS names a directory"),
        None => build_demos(),
    });
    dir.join(name)
}

fn build_demos() -> PathBuf {
    // .../target/debug/deps/interop-0123, or .../target/debug/peer -> .../target/debug
    let program = std::env::current_exe().expect("this program's path");
    let dir = program.parent().expect("a directory");
    let dir = if dir.ends_with("deps") { dir.parent().expect("a target directory") } else { dir };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "-p", "demos", "-p", "tapstack", "-p", "preload"]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.env("CARGO_TARGET_DIR", dir.parent().expect("a target directory"));
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo").success(), "the demos do not build");
    dir.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Where the shell goes on after a panic of the engine, only the log tells.
    #[test]
    fn a_panic_that_is_only_told_is_a_failure() {
        let Some(ns) = Netns::empty().or_else(skipped) else { return };
        let fails = |work: &dyn Fn()| catch_unwind(AssertUnwindSafe(work)).is_err();
        for (says, wrong) in [("panicked at x.rs:1", true), ("all is well", false)] {
            let script = format!("echo \"thread 'stack' {says}\" >&2");
            fs::write(ns.dir().join("says.sh"), &script).unwrap();
            assert_eq!(fails(&|| drop(ns.spawn("sh", "says.sh").finish())), wrong, "{says}");
            assert_eq!(fails(&|| drop(ns.sh(10, &script))), wrong, "{says}");
        }
    }
}
