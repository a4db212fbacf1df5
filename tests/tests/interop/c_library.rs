//! C programs that use `libtapstack.so`, compiled here.

use std::path::Path;

use crate::PEER;
use tests::netns::{KERNEL, Netns, STACK, demo_path};

/// The options of `tapstack_init`.
const CONFIG: &str = "tap=tap0 addr=192.0.2.2/24";

/// Compiles an example into the test's directory.
pub(crate) fn compile(ns: &Netns, name: &str) {
    let c = concat!(env!("CARGO_MANIFEST_DIR"), "/../stack/doors/c");
    let tapstack = demo_path("tapstack");
    let libraries = tapstack.parent().unwrap_or(Path::new("/")).display().to_string();
    ns.sh(
        60,
        &format!(
            "cc -Wall -Wextra -Werror -O2 -I {c}/include {c}/examples/{name}.c \
             -o {name} -L {libraries} -Wl,-rpath,{libraries} -ltapstack"
        ),
    );
}

#[test]
fn an_echo_server_with_poll() {
    let Some(ns) = Netns::new() else { return };
    compile(&ns, "echo");
    let program = ns.dir().join("echo");
    let server = format!("timeout 20 {} '{CONFIG}' 7", program.display());
    let crowd =
        format!("until nc -z {STACK} 7; do sleep 0.02; done; {PEER} crowd {STACK}:7 50 200000");
    let said = ns.sh(30, &format!("{server} >/dev/null & {crowd}; kill $!"));
    assert_eq!(said, "ok\n");
}

#[test]
fn an_http_client() {
    let Some(ns) = Netns::new() else { return };
    compile(&ns, "get");
    let program = ns.dir().join("get").display().to_string();
    let serve = format!(
        "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | timeout 20 nc -l -N {KERNEL} 80 >/dev/null"
    );
    let said = ns.sh(20, &format!("{serve} & sleep 0.7; {program} '{CONFIG}' {KERNEL} 80 /"));
    assert!(said.ends_with("\r\n\r\nhello"), "{said}");
    let refused = ns.try_sh(20, &format!("{program} '{CONFIG}' {KERNEL} 81 /"));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("Connection refused"), "{told}");
    let wrong = ns.try_sh(20, &format!("{program} 'tap=lo colour=red' {KERNEL} 81 /"));
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(told.contains("colour"), "{told}");
}

#[test]
fn datagrams_many_at_a_time() {
    let Some(ns) = Netns::new() else { return };
    compile(&ns, "datagrams");
    let program = ns.dir().join("datagrams").display().to_string();
    let server = format!("timeout 20 {program} '{CONFIG}' 7");
    let said = ns.sh(
        30,
        &format!("{server} >/dev/null & sleep 1.5; {PEER} udp-echo {STACK}:7 0 8000 400; kill $!"),
    );
    assert_eq!(said, "ok\n");
}

#[test]
fn echo_requests_are_answered_or_told_to_be_in_vain() {
    let Some(ns) = Netns::new() else { return };
    compile(&ns, "ping");
    let program = ns.dir().join("ping").display().to_string();
    let said = ns.sh(20, &format!("{program} '{CONFIG}' {KERNEL} 3"));
    assert_eq!(said.matches(" ms\n").count(), 3, "{said}");
    let vain = ns.try_sh(20, &format!("{program} '{CONFIG}' 192.0.2.77 1"));
    let said = String::from_utf8_lossy(&vain.stdout).into_owned();
    assert_eq!((vain.status.code(), &*said), (Some(1), "seq 1: No route to host\n"));
}
