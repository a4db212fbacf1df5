//! `tapstack run [options] -- PROGRAM ARGUMENTS`: a program that knows nothing of Tapstack, on its
//! sockets.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use demos::options::CommonOptions;
use demos::program::{Program, Role};
use demos::signals::Signal;
use demos::{command, config};
use doors::client::VARIABLE;
use tapstack::place::{self, Place};

/// How long a program may take to terminate when it is told to.
const GRACE: Duration = Duration::from_secs(2);

/// Runs programs on Tapstack's sockets.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Run PROGRAM with every internet socket on Tapstack: tapstack run --tap tap0 -- curl ...
    ///
    /// The program and its children see Tapstack's addresses in place of this machine's. What is
    /// not an internet socket is the kernel's, as ever. With TAPSTACK_DEBUG=1 in the environment,
    /// calls that are not supported are named.
    Run(Box<CommonOptions>),
}

fn main() -> ExitCode {
    let What::Run(mut options) = config::parse::<Arguments>().what;
    let words = std::mem::take(&mut options.command);
    place::know_local_names(&mut options);
    Program::run_with_status("tapstack", Role::Client, &options, |program| run(program, &words))
}

fn run(program: &Program, words: &[String]) -> Result<ExitCode> {
    let (name, arguments) = words
        .split_first()
        .context("say what to run after --: tapstack run --tap tap0 -- curl http://192.0.2.1/")?;
    let place = Place::new().context("no directory for the server's socket")?;
    let socket = place.socket().to_owned();
    program.on_stop(move || {
        place::remove(&socket);
        None
    });
    let _server = doors::server::Server::start(program.host(), program.names(), place.socket())
        .context("the server cannot start")?;
    place.open().context("the server's socket")?;
    let mut command = Command::new(name);
    command.args(arguments).env(VARIABLE, place.socket()).env("LD_PRELOAD", preload()?);
    let limit = raise_limit().context("the limit of descriptors")?;
    // SAFETY: the closure makes two system calls, of which one reads the limit that it holds.
    unsafe { command.pre_exec(move || begin(&limit)) };
    let mut child = command::start(&mut command)?;
    let ended = Arc::<Ended>::default();
    let (pid, told) = (child.id(), Arc::clone(&ended));
    program.relay_signals(move |signal| pass_on(signal, pid, &told));
    let status = child.wait().with_context(|| format!("{name}: cannot be waited for"))?;
    *ended.is_so.lock().unwrap_or_else(PoisonError::into_inner) = true;
    ended.told.notify_all();
    Ok(ExitCode::from(command::status(status)))
}

/// Lets this process have as many descriptors as it may: it has one for each socket of all the
/// programs that it serves, of which each has a limit of its own. Returns what that was.
fn raise_limit() -> std::io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is that of a limit.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } < 0 {
        return Err(std::io::Error::last_os_error());
    }
    set_limit(&libc::rlimit { rlim_cur: limit.rlim_max, ..limit })?;
    Ok(limit)
}

fn set_limit(limit: &libc::rlimit) -> std::io::Result<()> {
    // SAFETY: the pointer is that of a limit.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) };
    if set < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// In the program before it begins: it has the limit that it would have without a server, and
/// without the server it could do nothing.
fn begin(limit: &libc::rlimit) -> std::io::Result<()> {
    set_limit(limit)?;
    // SAFETY: takes no pointers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) };
    Ok(())
}

/// Whether the program has ended.
#[derive(Default)]
struct Ended {
    is_so: Mutex<bool>,
    told: Condvar,
}

/// `tapstack` gets a signal, which is meant for the program: it may have other plans with a Ctrl-C
/// than to end, so what it makes of one decides. What a terminal sends it has got already. One that
/// is told to terminate has a moment for it.
fn pass_on(signal: Signal, pid: u32, ended: &Ended) {
    let mut is_so = ended.is_so.lock().unwrap_or_else(PoisonError::into_inner);
    if signal.is_of_terminal {
        return;
    }
    let last = (signal.number == libc::SIGTERM).then_some(libc::SIGKILL);
    for number in [signal.number].into_iter().chain(last) {
        if *is_so {
            return;
        }
        // SAFETY: takes no pointers; the child has not been waited for, so it is still ours.
        unsafe { libc::kill(pid.cast_signed(), number) };
        if last.is_some() {
            let waited = ended.told.wait_timeout_while(is_so, GRACE, |is_so| !*is_so);
            is_so = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What ends a path in LD_PRELOAD, or stands for something else; nothing takes that from them.
const SPLITTING: &[u8] = b" :$";

/// The library beside this program, before what is preloaded already.
fn preload() -> Result<std::ffi::OsString> {
    const NAME: &str = "libtapstack_preload.so";
    let own = std::env::current_exe().context("where this program is")?;
    let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
    let places = [beside.join(NAME), beside.join("../lib").join(NAME)];
    let library: Option<PathBuf> = match std::env::var_os("TAPSTACK_PRELOAD") {
        Some(path) => Some(path.into()),
        None => places.into_iter().find(|path| path.exists()),
    };
    let library = library.with_context(|| {
        format!(
            "{NAME} is not in {}: cargo build makes it, or say where in TAPSTACK_PRELOAD",
            beside.display()
        )
    })?;
    ensure!(library.exists(), "{}: not there", library.display());
    // Links stay: one may lead to where the loader cannot.
    let library = std::path::absolute(library)?;
    let splits = |byte: &u8| SPLITTING.contains(byte);
    ensure!(
        !library.as_os_str().as_bytes().iter().any(splits),
        "{}: the loader takes no library whose path has a space, a colon or a dollar sign: say in \
         TAPSTACK_PRELOAD where a link to it is, with a path that has none",
        library.display()
    );
    let mut all = library.into_os_string();
    if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        all.push(":");
        all.push(others);
    }
    Ok(all)
}
