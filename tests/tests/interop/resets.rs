//! Connections that end with a RST.

use crate::{PEER, number};
use tests::netns::{Netns, STACK};

#[test]
fn a_reset_is_reported_and_the_connection_vanishes() {
    let Some(ns) = Netns::new() else { return };
    ns.sh(60, &format!("{PEER} make 100000000 >big.bin"));
    let dir = ns.dir().display().to_string();
    let httpd = ns.serve("httpd", &format!("--port 80 --log info {dir}"));
    let status = format!("curl -sSf http://{STACK}/status.json");
    let before = ns.sh(20, &status);
    for _ in 0..20 {
        ns.sh(20, &format!("{PEER} reset {STACK}:80 /big.bin"));
    }
    let after = ns.sh(20, &format!("sleep 0.2; {status}"));
    assert_eq!(number(&after, "TcpEstabResets"), 20, "{after}");
    assert_eq!(number(&after, "tcp_objects"), number(&before, "tcp_objects"), "{after}");
    let log = httpd.log();
    assert_eq!(log.matches("reset").count(), 20, "{log}");
}
