//! Sound from one of our hosts to another, over a bridge of Linux's.

use tests::netns::{Netns, STACK, demo_path};

/// A namespace with two TAPs on one bridge, and a sound in `sent.wav`.
fn bridge() -> Option<(Netns, String)> {
    let ns = Netns::with_ipv6()?;
    ns.sh(
        10,
        "ip tuntap add tap1 mode tap && ip link add dev hub type bridge forward_delay 0 && \
         for port in tap0 tap1 hub; do ip link set $port up; done && \
         for port in tap0 tap1; do ip link set $port master hub; done",
    );
    let stream = demo_path("stream").display().to_string();
    ns.sh(10, &format!("{stream} melody sent.wav --seconds 1"));
    Some((ns, stream))
}

fn addresses(last: u8) -> String {
    format!("--addr 192.0.2.{last}/24,2001:db8::{last}/64")
}

#[test]
fn what_is_heard_is_what_was_sent_where_nothing_is_lost() {
    let Some((ns, stream)) = bridge() else { return };
    for (over, peer) in [("", "192.0.2.3"), ("", "[2001:db8::3]"), ("--tcp", "192.0.2.3")] {
        // Much, because the machine may be busy.
        let receive =
            format!("receive heard.wav {over} --buffer 500ms --tap tap1 {}", addresses(3));
        let mut receiver = ns.spawn(demo_path("stream"), &receive);
        receiver.wait_for("ready");
        let send = format!("send {peer}:5004 {over} --wav sent.wav --tap tap0 {}", addresses(2));
        ns.sh(20, &format!("{stream} {send}"));
        let (status, _) = receiver.finish();
        assert!(status.success(), "{status} {over} {peer}");
        ns.sh(10, "cmp sent.wav heard.wav && rm heard.wav");
    }
}

/// Ten packets of a sound, and then no packet, or a reset where the sender has gone.
const BREAK: &str = "import socket, struct, sys, time
s = socket.create_connection((sys.argv[1], 5004), timeout=10)
for n in range(10):
    packet = struct.pack('>BBHII', 128, 96, n, 320 * n, 7) + b'\\1\\2' * 320
    s.sendall(struct.pack('>H', len(packet)) + packet)
time.sleep(0.5)
if sys.argv[2] == 'wrong':
    s.sendall(b'\\xff' * 10)
    s.recv(1)
else:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()
";

#[test]
fn a_stream_that_breaks_leaves_a_good_file() {
    let Some(ns) = Netns::new() else { return };
    std::fs::write(ns.dir().join("break.py"), BREAK).unwrap();
    for how in ["wrong", "reset"] {
        let receive = "receive heard.wav --tcp --tap tap0";
        let mut receiver = ns.spawn(demo_path("stream"), receive);
        receiver.wait_for("ready");
        ns.try_sh(20, &format!("python3 break.py {STACK} {how}"));
        let (status, _) = receiver.finish();
        assert!(!status.success(), "{status} {how}");
        let file = std::fs::read(ns.dir().join("heard.wav")).expect("a file");
        let length = u32::from_le_bytes(file[40..44].try_into().expect("four")) as usize;
        assert_eq!((length, file.len()), (10 * 2 * 320, 44 + length), "{how}");
    }
}

/// What was heard until then, in a file that is whole.
#[test]
fn an_interruption_leaves_a_good_file() {
    let Some((ns, stream)) = bridge() else { return };
    for over in ["", "--tcp"] {
        let receive = format!("receive heard.wav {over} --buffer 0 --tap tap1 {}", addresses(3));
        let mut receiver = ns.spawn(demo_path("stream"), &receive);
        receiver.wait_for("ready");
        let send = format!("send 192.0.2.3:5004 {over} --seconds 30 --tap tap0 {}", addresses(2));
        let sender = ns.spawn(&stream, &send);
        // The file grows by what is written in one go.
        ns.sh(20, "until [ $(stat -c %s heard.wav) -gt 10000 ]; do sleep 0.02; done");
        let said = receiver.interrupt();
        assert!(said.contains(" of sound; "), "{said}");
        // It may have heard by itself that nobody listens.
        drop(sender);
        let file = std::fs::read(ns.dir().join("heard.wav")).expect("a file");
        let length = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four"));
        assert_eq!((length(4) as usize + 8, length(40) as usize + 44), (file.len(), file.len()));
        assert!(file.len() > 10_000 && file[44..].iter().any(|byte| *byte != 0));
    }
}
