//! Many connections, at once and one after the other.

use crate::{PEER, number};
use tests::netns::{Netns, STACK};

#[test]
fn five_hundred_connections_talk_at_once() {
    let Some(ns) = Netns::new() else { return };
    let _echo = ns.serve("echo", "");
    ns.sh(120, &format!("{PEER} crowd {STACK}:7 500 65536"));
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let Some(ns) = Netns::new() else { return };
    std::fs::write(ns.dir().join("small.txt"), "a small file").unwrap();
    let _httpd = ns.serve("httpd", &format!("--port 80 {}", ns.dir().display()));
    let status = format!("curl -sSf http://{STACK}/status.json");
    let before = ns.sh(20, &status);
    ns.sh(240, &format!("{PEER} sequence {STACK}:80 10000 /small.txt"));
    // The client closed first, so there is not even a TIME-WAIT; the last one may be closing.
    let mut after = ns.sh(20, &status);
    for _ in 0..50 {
        if number(&after, "tcp_objects") <= number(&before, "tcp_objects") {
            break;
        }
        after = ns.sh(20, &format!("sleep 0.1; {status}"));
    }
    assert_eq!(number(&after, "tcp_objects"), number(&before, "tcp_objects"), "{after}");
    assert!(number(&after, "TcpPassiveOpens") >= 10_000, "{after}");
    assert_eq!(number(&after, "TcpCurrEstab"), 1, "{after}");
}
