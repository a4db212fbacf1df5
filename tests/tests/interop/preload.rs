//! The names of libc that `libtapstack_preload.so` has, and what it does with calls that are rare.

use crate::programs::on_tapstack;
use tests::netns::{Netns, demo_path, have};

/// What the library promises, and what glibc's headers make of some of that.
const NAMES: &str = "socket bind listen accept accept4 connect read readv recv recvfrom recvmsg \
    recvmmsg write writev send sendto sendmsg sendmmsg close shutdown getsockopt setsockopt \
    getsockname getpeername fcntl ioctl poll ppoll select pselect epoll_create1 epoll_ctl \
    epoll_wait epoll_pwait dup dup2 dup3 getaddrinfo freeaddrinfo getnameinfo gethostbyname \
    __read_chk __recv_chk __recvfrom_chk __poll_chk __ppoll_chk fcntl64 sendfile sendfile64 \
    epoll_pwait2 close_range closefrom if_nametoindex if_indextoname if_nameindex \
    if_freenameindex";

#[test]
fn each_name_is_there() {
    let Some(ns) = Netns::empty() else { return };
    if !have(&["nm"]) {
        return;
    }
    let library = demo_path("libtapstack_preload.so").display().to_string();
    let listed = ns.sh(20, &format!("nm -D --defined-only {library}"));
    let there: Vec<&str> = listed.lines().filter_map(|it| it.split(' ').next_back()).collect();
    let missing: Vec<&str> = NAMES.split_whitespace().filter(|it| !there.contains(it)).collect();
    assert_eq!(missing, [""; 0]);
}

/// A script in Python under `tapstack run`: what it prints, and its standard error.
fn python(script: &str) -> Option<(String, String)> {
    let ns = Netns::new()?;
    if !have(&["python3"]) {
        return None;
    }
    std::fs::write(ns.dir().join("script.py"), script).unwrap();
    let run = on_tapstack();
    let said = ns.sh(30, &format!("TAPSTACK_DEBUG=1 {run} python3 script.py 2>errors"));
    Some((said, std::fs::read_to_string(ns.dir().join("errors")).unwrap()))
}

/// Everything twice: it fails each time, and is said once.
const UNSUPPORTED: &str = "
import errno, fcntl, os, socket as s
file = open('script.py')
u, t = s.socket(s.AF_INET, s.SOCK_DGRAM), s.socket()
u.connect(('192.0.2.1', 9))
MSG_DONTROUTE, MSG_FASTOPEN, SIOCGIFCONF = 4, 0x20000000, 0x8912
calls = [
    lambda: s.socket(s.AF_INET, s.SOCK_RAW),
    lambda: u.setsockopt(s.SOL_SOCKET, 5, 1),
    lambda: u.getsockopt(s.SOL_SOCKET, 5),
    lambda: u.sendmsg([b'x'], [(17, 105, b'xx')]),
    lambda: u.send(b'x', s.MSG_MORE),
    lambda: u.send(b'x', MSG_DONTROUTE),
    lambda: t.sendto(b'x', MSG_FASTOPEN, ('192.0.2.1', 9)),
    lambda: fcntl.ioctl(t, SIOCGIFCONF, bytes(16)),
    lambda: os.sendfile(u.fileno(), file.fileno(), 0, 10),
]
for call in calls + calls:
    try: call(); print('-')
    except OSError as error: print(errno.errorcode[error.errno])
";

#[test]
fn what_is_not_supported_fails_and_is_said_once() {
    let Some((said, errors)) = python(UNSUPPORTED) else { return };
    let failures = [
        "ESOCKTNOSUPPORT",
        "ENOPROTOOPT",
        "ENOPROTOOPT",
        "EINVAL",
        "ENOTSUP",
        "ENOTSUP",
        "ENOTSUP",
        "ENOTTY",
        "EINVAL",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), [failures, failures].concat());
    let told = [
        "socket: domain 2, type 524291, protocol 0",
        "setsockopt: level 1, option 5",
        "getsockopt: level 1, option 5",
        "sendmsg: control message of level 17, type 105",
        "send: flags 0x8000",
        "send: flags 0x4",
        "send: flags 0x20000000",
        "ioctl: request 0x8912",
        "sendfile to a socket of datagrams",
    ];
    let told = told.map(|it| format!("tapstack: {it} is not supported"));
    assert_eq!(errors.lines().collect::<Vec<_>>(), told);
}

/// A number that was a file's, closed where no preload sees it, and then a socket's.
const NUMBERS: &str = "
import ctypes, fcntl, os, resource, socket as s
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.fileno.argtypes = libc.fclose.argtypes = [ctypes.c_void_p]
bound = s.socket()
bound.bind(('192.0.2.2', 77))
def used_number():
    file = libc.fopen(b'/dev/zero', b'r')
    number = libc.fileno(file)
    os.read(number, 1)
    libc.fclose(file)
    return number
def tell(wanted, number):
    print(wanted == number, s.socket(fileno=number).getsockname())
for make in (libc.dup, lambda fd: fcntl.fcntl(fd, fcntl.F_DUPFD, 0)):
    tell(used_number(), make(bound.fileno()))
left, right = s.socketpair()
wanted = used_number()
s.send_fds(left, [b'x'], [bound.fileno()])
tell(wanted, s.recv_fds(right, 1, 1)[1][0])
print(os.readlink(f'/proc/self/fd/{bound.fileno()}')[:7], bound.fileno() < 1024)
child = os.fork()
if child == 0:
    os.set_inheritable(bound.fileno(), True)
    tell = f'import socket; print(socket.socket(fileno={bound.fileno()}).getsockname())'
    os.execlp('python3', 'python3', '-c', tell)
os.wait()
try: s.socket().send(b'x')
except OSError as error: print(error.strerror)
";

/// Each thread has something to ask the server.
const THREADS: &str = "
import os, socket as s, threading, time
def ask(): s.socket(s.AF_INET, s.SOCK_DGRAM).close()
def count(): return len(os.listdir('/proc/self/fd'))
ask()
before = count()
for turn in range(200):
    thread = threading.Thread(target=ask); thread.start(); thread.join()
# Python joins a thread a moment before the system has ended it.
for turn in range(1000):
    if count() == before: break
    time.sleep(0.01)
print(count() - before)
";

#[test]
fn a_thread_that_ends_leaves_nothing_open() {
    let Some((said, _)) = python(THREADS) else { return };
    assert_eq!(said, "0\n");
}

#[test]
fn descriptors_are_the_kernels_and_known_again() {
    let Some((said, errors)) = python(NUMBERS) else { return };
    let again = "True ('192.0.2.2', 77)";
    let expected = [again, again, again, "socket: True", "('192.0.2.2', 77)", "Broken pipe"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{errors}");
}

/// A thread that sleeps in `poll` is cancelled.
const CANCELLED: &str = "
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *sleeper(void *unused) { return poll(NULL, 0, -1), unused; }
int main(void) {
    pthread_t thread;
    void *answer;
    pthread_create(&thread, NULL, sleeper, NULL);
    usleep(100000);
    pthread_cancel(thread);
    pthread_join(thread, &answer);
    puts(answer == PTHREAD_CANCELED ? \"cancelled\" : \"?\");
    return 0;
}
";

#[test]
fn a_thread_that_polls_can_be_cancelled() {
    let Some(ns) = Netns::new() else { return };
    std::fs::write(ns.dir().join("cancelled.c"), CANCELLED).unwrap();
    let run = on_tapstack();
    let said = ns.sh(30, &format!("cc -O1 -pthread cancelled.c -o cancelled && {run} ./cancelled"));
    assert_eq!(said, "cancelled\n");
}

/// What the library has under libc's names, and passes on as it came.
const PASSED_ON: &str = "fcntl fcntl64 close_range closefrom poll ppoll __poll_chk __ppoll_chk \
    select pselect epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 freeaddrinfo \
    if_freenameindex";

#[test]
fn what_is_passed_on_is_found_before_the_program_begins() {
    let Some(ns) = Netns::empty() else { return };
    let library = demo_path("libtapstack_preload.so").display().to_string();
    // A program that calls none of them; where there is more than one look-up, they say so.
    ns.sh(20, &format!("LD_DEBUG=symbols LD_DEBUG_OUTPUT=said LD_PRELOAD={library} /bin/true"));
    let said = ns.sh(20, "cat said.*");
    let is_found = |name: &&str| {
        let looked = format!("symbol={name};  lookup in file=");
        let mut files = said.lines().filter_map(|line| Some(line.split_once(&looked)?.1));
        files.any(|file| file.contains("/libc.so"))
    };
    let late: Vec<&str> = PASSED_ON.split(' ').filter(|name| !is_found(name)).collect();
    assert_eq!(late, [""; 0]);
}

/// Never accepts, and has room for little.
const DEAF: &str = "
import socket as s, sys
l = s.socket()
l.setsockopt(s.SOL_SOCKET, s.SO_RCVBUF, 4096)
l.bind(('192.0.2.1', 7)); l.listen()
print('ready', flush=True)
sys.stdin.read()
";

/// Writes until nothing more is taken.
const SMALL: &str = "
import select, socket as s
k = s.create_connection(('192.0.2.1', 7))
k.setsockopt(s.SOL_SOCKET, s.SO_SNDBUF, 4096)
k.setblocking(False)
count = 0
while select.select([], [k], [], 0.5)[1]:
    try:
        while True: count += k.send(bytes(65536))
    except BlockingIOError: pass
print(count, k.getsockopt(s.SOL_SOCKET, s.SO_SNDBUF))
";

/// What is on the way through the pair counts among what a program allows.
#[test]
fn a_small_send_buffer_holds_little() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    for (name, script) in [("deaf.py", DEAF), ("small.py", SMALL)] {
        std::fs::write(ns.dir().join(name), script).unwrap();
    }
    let mut deaf = ns.spawn("python3", "-u deaf.py");
    deaf.wait_for("ready");
    let said = ns.sh(30, &format!("{} python3 small.py", on_tapstack()));
    let told: Vec<usize> = said.split_whitespace().map(|it| it.parse().unwrap()).collect();
    assert!(told[0] < 128 << 10 && told[1] == 8192, "{said}");
}

/// A socket of another kind may have the number of a stream that glibc itself has closed.
#[test]
fn what_passes_through_a_foreign_socket_arrives() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["cc"]) {
        return;
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/c/passed.c");
    ns.sh(60, &format!("cc -Wall -Wextra -Werror -O1 {source} -o passed"));
    let said = ns.sh(30, &format!("{} ./passed", on_tapstack()));
    let expected = [
        "the same number: 1",
        "something has passed: 1",
        "the same number: 1",
        "it is known: 1",
        "the same number: 1",
        "sent: 1",
        "arrives: 1",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

/// The loader splits LD_PRELOAD where it has a space or a colon, and a program without the library
/// would be on the kernel's sockets.
#[test]
fn a_path_that_the_loader_would_split_is_refused() {
    let Some(ns) = Netns::new() else { return };
    let [tapstack, library] =
        ["tapstack", "libtapstack_preload.so"].map(|name| demo_path(name).display().to_string());
    let run = "run --tap tap0 --addr 192.0.2.2/24 -- sh -c 'echo $LD_PRELOAD'";
    for name in ["a path", "a:path", "a$path"] {
        ns.sh(20, &format!("mkdir '{name}' && cp {tapstack} {library} '{name}'"));
        let output = ns.try_sh(20, &format!("'./{name}/tapstack' {run}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && output.stdout.is_empty(), "{said}");
        assert!(said.contains(name) && said.contains("TAPSTACK_PRELOAD"), "{said}");
        ns.sh(20, &format!("ln -sf '{name}/libtapstack_preload.so' link.so"));
        let said = ns.sh(20, &format!("TAPSTACK_PRELOAD=link.so '{name}/tapstack' {run}"));
        assert_eq!(said.trim(), ns.dir().join("link.so").display().to_string());
    }
}
