//! How programs end.

use crate::PEER;
use tests::netns::{Netns, STACK, demo_path};

#[test]
fn an_interrupted_server_closes_its_connections_in_good_order() {
    let Some(ns) = Netns::new() else { return };
    let echo = ns.serve("echo", "");
    let mut client = ns.spawn("nc", &format!("{STACK} 7"));
    client.write("hello\n");
    client.wait_for("hello");
    echo.signal("INT");
    // It waits for our FIN: a reset would be an error.
    let (status, rest) = client.finish();
    assert!(status.success() && rest.is_empty(), "{status}: {rest}");
    let log = echo.log();
    let (status, _) = echo.finish();
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("echo: 6 B over 1 connection"), "{log}");
}

#[test]
fn an_interrupted_ping_reports() {
    let Some(ns) = Netns::new() else { return };
    let mut ping = ns.spawn(demo_path("ping"), "--tap tap0 -i 0.1 192.0.2.1");
    ping.wait_for("64 bytes from 192.0.2.1: icmp_seq=3");
    ping.signal("INT");
    let (status, rest) = ping.finish();
    assert!(status.success(), "{status}");
    assert!(rest.contains("--- 192.0.2.1 ping statistics ---"), "{rest}");
    assert!(rest.contains(" 0% packet loss"), "{rest}");
}

#[test]
fn a_command_on_the_other_side_decides_the_status() {
    let Some(ns) = Netns::new() else { return };
    std::fs::write(ns.dir().join("hello.txt"), "hello").unwrap();
    let httpd = demo_path("httpd").display().to_string();
    // In namespaces of its own, inside those of the test.
    let said = ns.sh(20, &format!("{httpd} --ns -- curl -sSf http://{STACK}:8080/hello.txt"));
    assert_eq!(said, "ready\nhello");
    std::fs::write(ns.dir().join("text"), "").unwrap();
    for (command, status) in
        [("sh -c 'exit 7'", 7), ("sh -c 'kill -9 $$'", 137), ("./absent", 127), ("./text", 126)]
    {
        let output = ns.try_sh(20, &format!("{httpd} --ns -- {command}"));
        assert_eq!(output.status.code(), Some(status), "{command}");
    }
    let get = demo_path("get").display().to_string();
    let serve = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nhello' | nc -l -N 80 >/dev/null";
    let said = ns.sh(20, &format!("{get} --ns http://192.0.2.1/ -- sh -c \"{serve}\" | tail -c 5"));
    assert_eq!(said, "hello");
}

#[test]
fn a_task_cut_short_tells_by_what() {
    let Some(ns) = Netns::new() else { return };
    let nc = demo_path("nc").display().to_string();
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        // Nobody comes.
        let line = format!("timeout --preserve-status -s {signal} 1 {nc} --tap tap0 -l 5000");
        assert_eq!(ns.try_sh(20, &line).status.code(), Some(status), "{signal}");
    }
}

#[test]
fn a_capture_is_whole_when_the_program_ends() {
    let Some(ns) = Netns::new() else { return };
    let echo = ns.serve("echo", "--pcap all.pcapng");
    ns.sh(20, &format!("{PEER} crowd {STACK}:7 3 10000"));
    echo.signal("TERM");
    assert!(echo.finish().0.success());
    let bytes = std::fs::read(ns.dir().join("all.pcapng")).unwrap();
    let mut rest = &bytes[..];
    let mut packets = 0;
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let (kind, length) = (word(0), word(4) as usize);
        packets += u32::from(kind == 6);
        assert_eq!(word(length - 4) as usize, length, "a block that is cut off");
        rest = &rest[length..];
    }
    // Three handshakes, three closes and some text.
    assert!(packets > 30, "{packets} packets");
}

#[test]
fn mistakes_are_explained() {
    let Some(ns) = Netns::new() else { return };
    let cases = [
        ("httpd", "say where to plug in"),
        ("httpd --tap lo", "not a single-queue TAP"),
        ("httpd --tap tap0 /nowhere", "/nowhere: cannot be served"),
        ("httpd --tap tap0 -- true", "needs --ns"),
        ("httpd --fd 77", "not one of a TAP"),
        ("get --tap tap0 http://example.com/", "name one with --dns"),
        ("get --tap tap0 ftp://192.0.2.1/", "only http: and https:"),
        ("get --tap tap0 https://192.0.2.1/", "192.0.2.1:443: connection refused"),
        ("nc --tap tap0 192.0.2.1 http", "not a port"),
        ("nc --tap tap0 192.0.2.1 0", "not a port"),
        ("get --tap tap0 http://192.0.2.1:0/", "not a port"),
        ("echo --tap tap0 --port 0", "not a port"),
        ("echo --tap=", "a value is required"),
        ("echo --ns --mtu 70000", "576 to 65535"),
        ("echo --ns --mtu 1000 --addr 2001:db8::2/64", "at least 1280"),
        ("ping --tap tap0 --gateway 198.18.0.1 192.0.2.1", "gateway"),
        ("echo --tap tap0 --mac 01:00:00:00:00:01", "group address"),
        ("echo --tap tap0 --addr 192.0.2.2", "prefix length"),
        ("echo --ns --addr 224.0.0.1/4", "no address of a single host"),
        ("echo --ns --gateway 192.0.2.2", "the host itself"),
        ("echo --tap tap0 --dhcpd", "unexpected argument"),
    ];
    for (line, expected) in cases {
        let (demo, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let demo = demo_path(demo).display().to_string();
        let output = ns.try_sh(10, &format!("{demo} {arguments}"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{line}: {said}");
        assert!(said.contains(expected), "{line}: {said}");
    }
}
