//! FINs that were lost for good. smoltcp (0.14) stops its retransmission timer at the third
//! duplicate acknowledgment, for a fast retransmission, which is of text only: when nothing but the
//! FIN is out, nothing goes again, and no timer runs (`pending_fast_retransmit`, and
//! `seq_to_transmit`, which wants `tx_buffer` not to be empty). Everybody else waits for ever.

use stack::Instant;
use stack::testing::packet::{Flags, Segment};
use stack::testing::translate::to_v4;
use std::collections::BTreeMap;

/// The FINs that one host has sent, by the ports of source and destination.
#[derive(Default)]
pub(super) struct Fins {
    known: BTreeMap<(u16, u16), Fin>,
}

struct Fin {
    /// The last one left.
    sent_at: Instant,
    /// One was given to the other host, of this connection or of one before it.
    given: bool,
}

/// The ports of a frame with a FIN that no damage has made worthless.
fn ports_of(frame: &[u8]) -> Option<(u16, u16)> {
    let segment = Segment::from_frame(&to_v4(frame)).ok()??;
    let ports = (segment.source.port(), segment.destination.port());
    segment.flags.has(Flags::FIN).then_some(ports)
}

impl Fins {
    /// The host sends `frame`.
    pub(super) fn leaves(&mut self, now: Instant, frame: &[u8]) {
        if let Some(ports) = ports_of(frame) {
            let given = self.known.get(&ports).is_some_and(|fin| fin.given);
            self.known.insert(ports, Fin { sent_at: now, given });
        }
    }

    /// The other host is given `frame`.
    pub(super) fn arrives(&mut self, frame: &[u8]) {
        if self.known.is_empty() {
            return;
        }
        if let Some(fin) = ports_of(frame).and_then(|ports| self.known.get_mut(&ports)) {
            fin.given = true;
        }
    }

    /// A FIN from the first of these ports to the second has left, none of them has arrived, and
    /// none was sent since the faults ended.
    pub(super) fn is_forgotten(&self, ports: (u16, u16), faults_end: Instant) -> bool {
        self.known.get(&ports).is_some_and(|fin| !fin.given && fin.sent_at < faults_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::Mac;
    use std::net::{Ipv4Addr, SocketAddrV4};

    const PORTS: (u16, u16) = (80, 4000);

    fn frame(flags: Flags) -> Vec<u8> {
        let end = |host, port| SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, host), port);
        let (from, to) = (end(2, PORTS.0), end(1, PORTS.1));
        let segment = Segment {
            source: from,
            destination: to,
            seq: 1,
            ack: 1,
            flags,
            window: 1000,
            urgent: 0,
            ecn: 0,
            options: Vec::new(),
            payload: vec![1],
        };
        segment.to_frame(Mac([2; 6]), Mac([4; 6]))
    }

    /// No excuse for one that was given, for one that still comes, or for none at all.
    #[test]
    fn only_what_left_during_the_faults_and_never_arrived_is_forgotten() {
        let [during, end, after] = [1, 2, 3].map(Instant::from_secs);
        let (fin, plain) = (frame(Flags::FIN.with(Flags::ACK)), frame(Flags::ACK));
        let mut fins = Fins::default();
        fins.leaves(during, &plain);
        assert!(!fins.is_forgotten(PORTS, end), "none was sent");
        fins.leaves(during, &fin);
        fins.arrives(&plain);
        let mut damaged = fin.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fins.arrives(&damaged);
        assert!(fins.is_forgotten(PORTS, end));
        assert!(!fins.is_forgotten((PORTS.1, PORTS.0), end), "the other way");
        fins.leaves(after, &fin);
        assert!(!fins.is_forgotten(PORTS, end), "it was sent again");
        let mut fins = Fins::default();
        fins.leaves(during, &fin);
        fins.arrives(&fin);
        fins.leaves(during, &fin);
        assert!(!fins.is_forgotten(PORTS, end), "it arrived");
    }
}
