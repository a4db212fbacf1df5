//! A server of sockets that may have no more descriptors.

use crate::programs::on_tapstack;
use tests::netns::{Netns, STACK, demo_path, have};

/// Makes sockets until there can be no more, and later serves connections. Meanwhile threads
/// have something to ask.
const FULL: &str = "
import os, socket as s, threading, time
def worked():
    with open(f'/proc/{os.getppid()}/stat') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')
listener = s.create_server(('192.0.2.2', 7))
held = []
try:
    while True: held.append(s.socket(s.AF_INET, s.SOCK_DGRAM))
except OSError: pass
# A socket takes two descriptors at first, so one may be left for the first thread.
told = threading.Barrier(3)
def ask():
    listener.getsockname()
    told.wait()
threads = [threading.Thread(target=ask) for turn in range(2)]
for thread in threads: thread.start()
print('full', flush=True)
time.sleep(1)
before = worked()
time.sleep(1)
rested = worked() - before < 0.3
waited = told.n_waiting < 2
for each in held: each.close()
told.wait()
for turn in range(3):
    connection, _ = listener.accept()
    connection.sendall(connection.recv(10))
    connection.close()
print(f'done: it rested {rested}, a thread waited {waited}', flush=True)
";

/// Several connect at once.
const CLIENTS: &str = "
import socket as s
all = [s.create_connection(('192.0.2.2', 7)) for turn in range(3)]
for turn, each in enumerate(all): each.sendall(b'number %d' % turn)
print([each.recv(10) for each in all])
";

#[test]
fn connections_wait_for_a_server_without_descriptors() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3", "prlimit"]) {
        return;
    }
    std::fs::write(ns.dir().join("full.py"), FULL).unwrap();
    std::fs::write(ns.dir().join("clients.py"), CLIENTS).unwrap();
    let tapstack = demo_path("tapstack").display().to_string();
    let run = format!("{tapstack} run --tap tap0 --addr {STACK}/24 -- python3 -u full.py");
    let mut full = ns.spawn("prlimit", &format!("--nofile=64 {run}"));
    full.wait_for("full");
    let answered = ns.sh(20, "timeout 15 python3 clients.py");
    assert_eq!(answered, "[b'number 0', b'number 1', b'number 2']\n");
    assert_eq!(full.wait_for("done"), "done: it rested True, a thread waited True");
}

/// A server has a descriptor for each socket of all its programs, of which each has a limit.
#[test]
fn the_limit_of_descriptors_is_the_programs() {
    let Some(ns) = Netns::new() else { return };
    let run = on_tapstack();
    let told = "ulimit -Sn; ulimit -Hn; grep open.files /proc/$PPID/limits";
    std::fs::write(ns.dir().join("told.sh"), told).unwrap();
    let said = ns.sh(20, &format!("ulimit -Sn 300; ulimit -Hn 700; {run} sh told.sh"));
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, ["300", "700", "Max", "open", "files", "700", "700", "files"]);
}
