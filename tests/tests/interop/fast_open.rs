//! Fast Open (RFC 7413) with Linux on either end: cookies asked for, given and used.

use crate::{PEER, number};
use tests::netns::{KERNEL, Netns, STACK, demo_path};

/// What the kernel counts under this name of `TcpExt`.
fn counted(ns: &Netns, name: &str) -> u64 {
    let said = ns.sh(20, &format!("nstat -asz TcpExt{name} | tail -n 1"));
    let value = said.split_whitespace().nth(1).and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {said}"))
}

#[test]
fn linux_sends_its_request_with_the_syn() {
    let Some(ns) = Netns::new() else { return };
    std::fs::write(ns.dir().join("small.txt"), "a small file").unwrap();
    ns.sh(20, "sysctl -qw net.ipv4.tcp_fastopen=1");
    let _httpd = ns.serve("httpd", &format!("--fast-open 1026 --port 80 {}", ns.dir().display()));
    for _ in 0..3 {
        let said = ns.sh(20, &format!("curl -sSf --tcp-fastopen http://{STACK}/small.txt"));
        assert_eq!(said, "a small file");
    }
    let status = ns.sh(20, &format!("curl -sSf http://{STACK}/status.json"));
    assert_eq!(number(&status, "TcpExtTCPFastOpenCookieReqd"), 1, "{status}");
    assert_eq!(number(&status, "TcpExtTCPFastOpenPassive"), 2, "{status}");
    assert_eq!(counted(&ns, "TCPFastOpenActive"), 2, "Linux says that its text was taken");
}

#[test]
fn our_request_goes_to_linux_with_the_syn() {
    let Some(ns) = Netns::new() else { return };
    // All of the kernel's listeners take part.
    ns.sh(20, "sysctl -qw net.ipv4.tcp_fastopen=1026");
    let mut server = ns.spawn(PEER, &format!("redirect {KERNEL}:80"));
    server.wait_for("ready");
    let get = demo_path("get").display().to_string();
    let said = ns.sh(20, &format!("{get} --tap tap0 --fast-open 1 -s http://{KERNEL}/"));
    assert_eq!(said, "there\n");
    assert_eq!(counted(&ns, "TCPFastOpenCookieReqd"), 1);
    assert_eq!(counted(&ns, "TCPFastOpenPassive"), 1);
    assert_eq!(counted(&ns, "TCPFastOpenPassiveFail"), 0);
}
