//! Control messages of programs under `tapstack run`, with Linux at the other end.

use crate::programs::on_tapstack;
use tests::netns::{KERNEL, KERNEL_V6, Netns, STACK, STACK_V6, have};

/// Both sides: a socket that tells what comes beside text.
const COMMON: &str = "
import os, socket as s, struct, sys, time
v6 = sys.argv[1] == '6'
level, ttl, tos = (41, 52, 67) if v6 else (0, 2, 1)
u = s.socket(s.AF_INET6 if v6 else s.AF_INET, s.SOCK_DGRAM)
u.settimeout(10)
for name in (49, 51, 66) if v6 else (8, 12, 13):
    u.setsockopt(level, name, 1)
def hear():
    text, control, flags, peer = u.recvmsg(100, 200)
    told = {name: value for _, name, value in control}
    info = told[50][:16] if v6 else told[8][8:12]
    info = s.inet_ntop(u.family, info)
    return peer, (text, info, told[ttl][0], told[tos][0], flags)
def say(hops, marks, to):
    u.sendmsg([b'hello'], [(level, ttl, struct.pack('i', hops)),
                           (level, tos, struct.pack('i', marks))], 0, to)
";

#[test]
fn datagrams_tell_and_set_what_comes_beside_them() {
    let Some(ns) = Netns::with_ipv6() else { return };
    if !have(&["python3"]) {
        return;
    }
    let run = on_tapstack();
    let server = "u.bind(('', 7)); peer, said = hear(); say(9, 8, peer); print(said, flush=True)\n";
    let client = "say(5, 4, (sys.argv[2], 7)); print(hear()[1])\n";
    std::fs::write(ns.dir().join("server.py"), format!("{COMMON}{server}")).unwrap();
    std::fs::write(ns.dir().join("client.py"), format!("{COMMON}{client}")).unwrap();
    for (version, stack, kernel) in [(4, STACK, KERNEL), (6, STACK_V6, KERNEL_V6)] {
        let open = "until ss -Hlun 'sport = 7' | grep -q .; do sleep 0.02; done";
        // Not to one pipe: an unbuffered Python writes a line and its end one after the other.
        let server = format!("python3 server.py {version} >heard");
        let client = format!("{run} python3 client.py {version} {kernel}");
        let said = ns.sh(30, &format!("{server} & {open}; {client}; wait; cat heard"));
        let expected = format!("(b'hello', '{stack}', 9, 8, 0)\n(b'hello', '{kernel}', 5, 4, 0)\n");
        assert_eq!(said, expected, "IPv{version}");
    }
}

#[test]
fn what_is_wrong_with_them_is_said() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    let script = format!(
        "{COMMON}
def told(call, *words):
    try: call(*words); print('none')
    except OSError as error: print(error.strerror)
def told_later(call, *words):
    call(*words)
    for turn in range(200):
        error = u.getsockopt(s.SOL_SOCKET, s.SO_ERROR)
        if error: break
        time.sleep(0.01)
    print(os.strerror(error))
to = ('{KERNEL}', 9)
told(u.send, b'x')
told(say, 0, 0, to)
told(u.sendmsg, [b'x'], [(17, 105, struct.pack('H', 100))], 0, to)
told_later(u.sendmsg, [b'x'], [(0, 8, struct.pack('i8x', 99))], 0, to)
u.setsockopt(0, 11, 1)
u.sendto(b'x', to)
told(u.recv, 10)
u.settimeout(None)
text, control, flags, peer = u.recvmsg(100, 200, s.MSG_ERRQUEUE)
(level, name, value), = control
print(text, level, name, struct.unpack('I4B', value[:8]), s.inet_ntoa(value[20:24]), peer[0])
print(flags == s.MSG_ERRQUEUE)
told(u.recvmsg, 100, 200, s.MSG_ERRQUEUE)
"
    );
    std::fs::write(ns.dir().join("wrong.py"), script).unwrap();
    let said = ns.sh(30, &format!("{} python3 wrong.py 4", on_tapstack()));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "Destination address required",
            "Invalid argument",
            "Invalid argument",
            "No such device",
            "Connection refused",
            &format!("b'' 0 11 (111, 2, 3, 3, 0) {KERNEL} {KERNEL}"),
            "True",
            "Resource temporarily unavailable",
        ]
    );
}

/// Both sides: 2500 bytes in datagrams of 1000, sent by one call, and received until all are there.
const SEGMENTS: &str = "
import os, socket as s, struct, sys, time
u = s.socket(s.AF_INET, s.SOCK_DGRAM)
u.settimeout(10)
u.setsockopt(17, 104, int(sys.argv[1]))
def hear():
    sizes, total = [], 0
    while total < 2500:
        text, control, flags, peer = u.recvmsg(65535, 200)
        assert text == bytes((total + at) % 251 for at in range(len(text)))
        size = struct.unpack('i', control[0][2])[0] if control else len(text)
        sizes += [min(size, len(text) - at) for at in range(0, len(text), size)]
        total += len(text)
    return sizes, peer
def say(to):
    text = bytes(at % 251 for at in range(2500))
    u.sendmsg([text], [(17, 103, struct.pack('H', 1000))], 0, to)
";

#[test]
fn one_call_sends_and_receives_many_datagrams() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    let run = on_tapstack();
    let server = "u.bind(('', 7)); sizes, peer = hear(); say(peer); print(sizes, flush=True)\n";
    let client = "say((sys.argv[2], 7)); print(hear()[0])\n";
    std::fs::write(ns.dir().join("server.py"), format!("{SEGMENTS}{server}")).unwrap();
    std::fs::write(ns.dir().join("client.py"), format!("{SEGMENTS}{client}")).unwrap();
    for joined in [0, 1] {
        let open = "until ss -Hlun 'sport = 7' | grep -q .; do sleep 0.02; done";
        let server = format!("python3 server.py {joined} >heard");
        let client = format!("{run} python3 client.py {joined} {KERNEL}");
        let line = format!("{server} & {open}; {client}; wait; cat heard");
        assert_eq!(ns.sh(30, &line), "[1000, 1000, 500]\n".repeat(2), "joined {joined}");
    }
}
