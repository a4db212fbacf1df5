//! RFC 4022: what the counters of TCP count.

use crate::{ms, secs};
use stack::ListenOptions;
use stack::testing::rig::Rig;

/// Connections of a rig that went from ESTABLISHED or CLOSE-WAIT straight to CLOSED.
fn estab_resets(t: &Rig) -> u64 {
    t.stack.counters().tcp_estab_resets
}

fn attempt_fails(t: &Rig) -> u64 {
    t.stack.counters().tcp_attempt_fails
}

#[test]
fn estab_resets_counts_every_direct_way_to_closed() {
    let mut t = Rig::established();
    t.inject("R 1:1(0)");
    assert_eq!(estab_resets(&t), 1, "a RST from the peer");

    let mut t = Rig::established();
    t.abort().forget_rest();
    assert_eq!(estab_resets(&t), 1, "an ABORT of our own");

    let mut t = Rig::close_wait();
    t.abort().forget_rest();
    assert_eq!(estab_resets(&t), 1, "out of CLOSE-WAIT");

    let mut t = Rig::established();
    t.send(10).forget_rest();
    t.advance(secs(1000)).forget_rest();
    assert_eq!(estab_resets(&t), 1, "given up");

    let mut t = Rig::last_ack();
    t.inject(". 2:2(0) ack 2");
    assert_eq!(estab_resets(&t), 0, "a close is no reset");
}

#[test]
fn attempt_fails_counts_an_open_that_the_application_gives_up() {
    let mut t = Rig::connecting();
    t.close().forget_rest();
    assert_eq!(attempt_fails(&t), 1, "SYN-SENT to CLOSED");

    let mut t = Rig::connecting();
    t.inject("R. 0:0(0) ack 1");
    assert_eq!(attempt_fails(&t), 1, "refused");
}

#[test]
fn attempt_fails_counts_every_handshake_that_returns_to_listen() {
    let mut t = Rig::syn_received();
    t.inject("R 1:1(0)");
    assert_eq!(attempt_fails(&t), 1, "reset by the peer");

    let mut t = Rig::syn_received();
    t.advance(secs(300)).forget_rest();
    assert_eq!(attempt_fails(&t), 1, "given up");

    let mut t = Rig::syn_received();
    let (now, listener) = (t.now(), t.listener.unwrap());
    t.stack.close_listener(now, listener);
    assert_eq!(attempt_fails(&t), 1, "its listener has gone");

    let mut t = Rig::with(|config| {
        config.tcp.half_open_per_listener = 1;
        config.tcp.syn_cookies = false;
    });
    t = t.listen(ListenOptions::default());
    for port in [2000, 2001, 2002] {
        t.set_peer_port(port).inject("S 0:0(0) win 65535 <mss 1460>").forget_rest();
    }
    assert_eq!((attempt_fails(&t), t.stack.counters().tcp_half_open_evicted), (2, 2));
}

#[test]
fn out_segs_leaves_out_what_is_sent_again() {
    let mut t = Rig::connecting();
    let counted = |t: &Rig| {
        let counters = t.stack.counters();
        (counters.tcp_out_segs, counters.tcp_retrans_segs)
    };
    assert_eq!(counted(&t), (1, 0), "a SYN");
    t.advance(ms(1100)).forget_rest();
    assert_eq!(counted(&t), (1, 1), "once more");
    t.inject("S. 0:0(0) ack 1 win 65535 <mss 1460>").forget_rest();
    t.send(100).forget_rest();
    assert_eq!(counted(&t), (3, 1), "an ACK, and text");
    t.advance(secs(4)).forget_rest();
    let (sent, again) = counted(&t);
    assert!(sent == 3 && again >= 2, "the text once more: {sent} and {again}");
}
