//! Initial sequence numbers, timestamp offsets and ephemeral ports: what an attacker must not
//! guess (RFC 6528, RFC 7323 §5.4, RFC 6056; THREATS ).

use super::seq::Seq;
use crate::random::{Secret, Seed};
use crate::time::Instant;
use crate::wire::address::FlowKey;

/// ISN = M + F(local, remote, secret): a clock that ticks each 4 µs (MUST-8) plus a keyed hash of
/// the endpoints (MUST-9).
#[derive(Clone)]
pub(crate) struct Isn {
    isn: Secret,
    timestamps: Secret,
}

impl Isn {
    pub(crate) fn new(seed: &Seed) -> Isn {
        Isn { isn: Secret::derive(seed, "isn"), timestamps: Secret::derive(seed, "timestamps") }
    }

    /// The ISN for a connection that begins now.
    pub(crate) fn next(&self, flow: &FlowKey, now: Instant) -> Seq {
        let clock = (now.as_nanos() / 4_000) as u32;
        Seq(clock.wrapping_add(self.isn.hash(&flow.to_bytes()) as u32))
    }

    /// The offset of the connection's timestamp clock: the same for the same endpoints, so that
    /// timestamps keep growing from one connection to the next (RFC 6191).
    pub(crate) fn timestamp_offset(&self, flow: &FlowKey) -> u32 {
        self.timestamps.hash(&flow.to_bytes()) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::address::{Address, Endpoint};

    fn flow(port: u16) -> FlowKey {
        FlowKey {
            local: Endpoint::new(Address::v4([192, 0, 2, 2]), port),
            remote: Endpoint::new(Address::v4([192, 0, 2, 1]), 80),
        }
    }

    #[test]
    fn must_8_the_clock_ticks_every_four_microseconds() {
        let isn = Isn::new(&Seed::from_number(1));
        let first = isn.next(&flow(1), Instant::from_secs(5));
        let later = isn.next(&flow(1), Instant::from_secs(6));
        assert_eq!(later.since(first), 250_000);
    }

    #[test]
    fn must_9_neighbouring_ports_and_other_seeds_say_nothing() {
        let (a, b) = (Isn::new(&Seed::from_number(1)), Isn::new(&Seed::from_number(2)));
        let now = Instant::ZERO;
        let step = |port| a.next(&flow(port + 1), now).0.wrapping_sub(a.next(&flow(port), now).0);
        let steps: std::collections::BTreeSet<u32> = (1..200).map(step).collect();
        assert_eq!(steps.len(), 199, "differences repeat");
        assert_ne!(a.next(&flow(1), now), b.next(&flow(1), now));
    }
}
