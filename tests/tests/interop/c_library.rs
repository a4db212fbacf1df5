//! C programs that use `libtapstack.so`, compiled here.

use std::path::Path;

use crate::PEER;
use tests::netns::{KERNEL, Netns, STACK, demo_path, have};

/// The options of `tapstack_init`.
const CONFIG: &str = "tap=tap0 addr=192.0.2.2/24";

/// Where the library's sources are.
const C: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../stack/doors/c");

/// Compiles an example into the test's directory.
pub(crate) fn compile(ns: &Netns, name: &str) {
    compile_from(ns, &format!("{C}/examples"), name);
}

fn compile_from(ns: &Netns, folder: &str, name: &str) {
    let tapstack = demo_path("tapstack");
    let libraries = tapstack.parent().unwrap_or(Path::new("/")).display().to_string();
    ns.sh(
        60,
        &format!(
            "cc -Wall -Wextra -Werror -O2 -I {C}/include {folder}/{name}.c \
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

/// What `libtapstack.so` promises, without the prefix.
const CALLS: &str = "socket bind listen accept accept4 connect read readv recv recvfrom recvmsg \
    recvmmsg write writev send sendto sendmsg sendmmsg close shutdown getsockopt setsockopt \
    getsockname getpeername fcntl ioctl poll ppoll select pselect epoll_create1 epoll_ctl \
    epoll_wait epoll_pwait dup dup2 dup3 getaddrinfo freeaddrinfo getnameinfo gethostbyname \
    sendfile if_nametoindex if_indextoname if_nameindex if_freenameindex";

#[test]
fn the_header_stands_alone() {
    let Some(ns) = Netns::empty() else { return };
    if !have(&["cc", "c++"]) {
        return;
    }
    std::fs::write(ns.dir().join("alone.c"), "#include <tapstack.h>\n").unwrap();
    for compiler in ["cc -std=c99", "cc -std=gnu11", "c++ -x c++"] {
        let strict = "-Wall -Wextra -pedantic -Werror -fsyntax-only";
        ns.sh(20, &format!("{compiler} {strict} -I {C}/include alone.c"));
    }
}

#[test]
fn each_call_has_the_type_that_libc_gives_it() {
    let Some(ns) = Netns::empty() else { return };
    if !have(&["c++"]) {
        return;
    }
    let mut source = String::from(
        "#include <fcntl.h>\n#include <sys/ioctl.h>\n#include <sys/sendfile.h>\n\
         #include <unistd.h>\n#include <tapstack.h>\n\
         int main(int, char **argv) {\n(void)tapstack_init; (void)tapstack_fini;\n",
    );
    for name in CALLS.split_whitespace() {
        // A pointer to libc's function, which this one fits, and an address that the linker finds.
        let line = format!("decltype(&::{name}) volatile the_{name} = tapstack_{name};\n");
        source += &format!("{line}if (!the_{name}) argv = nullptr;\n");
    }
    source += "return !argv;\n}\n";
    std::fs::write(ns.dir().join("types.cc"), source).unwrap();
    let tapstack = demo_path("tapstack");
    let libraries = tapstack.parent().unwrap_or(Path::new("/")).display().to_string();
    // From C++17 on `noexcept` is part of a type, and libc has it.
    let compile = format!("c++ -std=c++14 -Wall -Werror -I {C}/include types.cc -o types");
    let link = format!("-L {libraries} -Wl,-rpath,{libraries} -ltapstack");
    ns.sh(30, &format!("{compile} {link} && ./types"));
}

/// Where the tests' own programs are.
const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/c");

#[test]
fn a_child_that_lives_on_keeps_nothing_from_ending() {
    let Some(ns) = Netns::new() else { return };
    compile_from(&ns, OWN, "fork");
    let said = ns.sh(40, &format!("timeout 30 ./fork '{CONFIG}'"));
    let told = [
        "init: ok",
        "bind: ok",
        "listen: ok",
        "connect: ok",
        "accept: ok",
        "linger: ok",
        "pipe: ok",
        "fork: ok",
        "read: Connection reset by peer",
        "accept after: Invalid argument",
        "init again: ok",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), told);
}

#[test]
fn who_exits_while_another_thread_starts_does_not_wait_for_it() {
    let Some(ns) = Netns::new() else { return };
    compile_from(&ns, OWN, "exits");
    let said = ns.sh(40, &format!("timeout 25 ./exits '{CONFIG}' 'tap=tap0 dhcp' 2>&1"));
    assert_eq!(said, "the child: 0\nfini\n");
}

#[test]
fn a_stack_begins_and_ends_as_often_as_is_wanted_but_there_is_one_at_a_time() {
    let Some(ns) = Netns::new() else { return };
    compile_from(&ns, OWN, "life");
    let hear = format!(
        "for i in $(seq 250); do timeout 3 nc -d {STACK} 7 | grep . >>heard && break; \
         sleep 0.02; done"
    );
    let life = format!("timeout 20 ./life 'tap=tap0 colour=red' '{CONFIG}' 2>why");
    let said = ns.sh(40, &format!("{life} & {hear}; {hear}; wait; cat heard"));
    let told = [
        "a socket before: Network is down",
        "wrong: Invalid argument",
        "right: ok",
        "a signal: ok",
        "once more: Invalid argument",
        "accept after: Invalid argument",
        "a socket after: Network is down",
        "again: ok",
        "first",
        "second",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), told);
    let why = std::fs::read_to_string(ns.dir().join("why")).unwrap();
    let why: Vec<&str> = why.lines().collect();
    assert_eq!(why.len(), 2, "{why:?}");
    let [wrong, twice] = why[..] else { return };
    for words in ["'--colour'", "without dashes, like \"tap=tap0 addr="] {
        assert!(wrong.contains(words), "{wrong}");
    }
    assert!(twice.contains("tapstack_fini() ends it"), "{twice}");
}
