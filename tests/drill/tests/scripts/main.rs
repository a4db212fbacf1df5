//! Every script in `tests/drill/scripts`, run through the shared object as packetdrill runs them,
//! over IPv4 and over IPv6, and the shared object's own edges.
//!
//! Where packetdrill is installed it runs the same scripts itself; where it is not, the runner here
//! stands in for it: the same table of functions, the same two threads, the same tolerance.

mod assert;
mod calls;
mod edges;
mod library;
mod packetdrill;
mod run;
mod script;
mod value;
mod version;

use std::path::{Path, PathBuf};

use version::Version;

/// The scripts' folder.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

/// The flags under which each script runs, beside the addresses and what depends on them.
const FLAGS: &str = "tfo=3 tfo_key=a1a1a1a1b2b2b2b2c3c3c3c3d4d4d4d4";

/// Scripts with something of IPv4 in them: a Fast Open cookie is made of the addresses, and a peer
/// that names no MSS has another one (RFC 9293 §3.7.1).
const ONLY_V4: &[&str] = &["fast_open_fallback", "fast_open_server", "small_mss"];

fn run_script(name: &str, version: Version) {
    let path = folder().join(name).with_extension("pkt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let fails = version == Version::V6 && ONLY_V4.contains(&name);
    match run::run(&text, version) {
        Ok(()) if fails => panic!("{} holds over {version:?} too", path.display()),
        Err(what) if !fails => panic!("{} over {version:?}: {what}", path.display()),
        _ => {}
    }
}

/// Other people's scripts: every one in the folder that `TAPSTACK_SCRIPTS` names.
#[test]
fn scripts_of_others() {
    let Some(folder) = std::env::var_os("TAPSTACK_SCRIPTS") else { return };
    let mut failed = Vec::new();
    let entries = std::fs::read_dir(&folder).expect("the folder that TAPSTACK_SCRIPTS names");
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|it| it == "pkt") {
            let text = std::fs::read_to_string(&path).expect("a readable script");
            if let Err(what) = run::run(&text, Version::V4) {
                failed.push(format!("{}: {what}", path.display()));
            }
        }
    }
    failed.sort();
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
}

macro_rules! scripts {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run_script(stringify!($name), Version::V4);
        })*

        /// The same scripts over IPv6.
        mod v6 {
            $(#[test]
            fn $name() {
                super::run_script(stringify!($name), super::Version::V6);
            })*
        }

        #[test]
        fn every_script_is_run() {
            let entries = std::fs::read_dir(folder()).expect("the folder of scripts");
            for path in entries.flatten().map(|entry| entry.path()) {
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
                let is_script = path.extension().is_some_and(|it| it == "pkt");
                assert!(!is_script || [$(stringify!($name)),*].contains(&stem), "{path:?}");
            }
        }
    };
}

scripts! {
    app_limited
    bad_pointers
    blocking_accept
    blocking_read
    blocking_write
    buffer_sizes
    challenge_acks
    client_blocking
    client_handshake
    client_refused
    client_silence
    client_syn_lost
    close_unread
    cork
    delayed_ack
    disconnect
    dsack_sent
    f_rto
    fast_open_client
    fast_open_fallback
    fast_open_server
    fast_retransmit
    fin_behind_text
    fin_into_closed_window
    fin_lost
    gather
    half_close
    initial_window
    inq
    inq_at_the_end
    keepalive
    linger_waits
    linger_zero
    lone_fin
    long_wait
    nagle
    no_listener
    numbers
    options
    out_of_order
    passive_close
    poll_and_epoll
    push
    rack_lost
    receive_flags
    receive_window
    recovery_window
    reset_received
    reset_with_timestamps
    retransmission
    rto_floor
    sack_retransmit
    sack_sent
    server_handshake
    server_syn_ack_lost
    simultaneous_close
    simultaneous_open
    slow_start
    small_mss
    splice
    time_wait
    timestamps_old
    user_timeout
    zero_window
}
