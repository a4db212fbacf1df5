//! What a host whose address was configured asks of servers (RFC 2131 §3.4, §4.4.3).

use core::net::Ipv4Addr;

use super::DhcpInformation;
use super::client::backoff;
use super::message::{Kind, Message, information};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::address::Mac;

/// A question on one link, until it is answered.
pub(crate) struct Inform {
    mac: Mac,
    own: Ipv4Addr,
    random: Random,
    xid: u32,
    began: Instant,
    tries: u32,
    deadline: Instant,
}

impl Inform {
    /// The station `mac`, whose address is `own`, asks at once.
    pub(crate) fn new(now: Instant, mac: Mac, own: Ipv4Addr, mut random: Random) -> Inform {
        let xid = random.next_u32();
        Inform { mac, own, random, xid, began: now, tries: 0, deadline: now }
    }

    /// When [`advance`](Inform::advance) has something to say.
    pub(crate) fn next_timeout(&self) -> Instant {
        self.deadline
    }

    /// Time has passed: the message to be sent to all servers.
    pub(crate) fn advance(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now < self.deadline {
            return None;
        }
        self.deadline = now + backoff(&mut self.random, self.tries);
        self.tries = self.tries.saturating_add(1);
        let seconds = u16::try_from((now - self.began).as_secs()).unwrap_or(u16::MAX);
        let (mac, xid, own, kind) = (self.mac, self.xid, self.own, Kind::Inform);
        let message = Message { kind, xid, mac, seconds, own, wanted: None, server: None };
        Some(message.encode())
    }

    /// What a datagram from a server says, if it is the answer.
    pub(crate) fn on_message(&self, bytes: &[u8]) -> Option<DhcpInformation> {
        information(bytes, self.xid, self.mac)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::writing::reply;
    use super::*;
    use crate::random::Seed;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
    const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

    fn inform() -> Inform {
        Inform::new(Instant::from_secs(100), MAC, OWN, Random::new(&Seed::from_number(3)))
    }

    #[test]
    fn rfc2131_4_4_3_who_has_an_address_asks_for_the_rest() {
        let mut inform = inform();
        let first = inform.advance(Instant::from_secs(100)).unwrap();
        assert_eq!(first[12..16], OWN.octets(), "the address is there");
        assert_eq!(first[10..12], [0, 0], "so the answer comes to it");
        assert_eq!(first[240..243], [53, 1, 8]);
        // Repeated, ever less often, as the same transaction.
        let mut gaps = Vec::new();
        for _ in 0..6 {
            let (before, now) = (inform.deadline, inform.next_timeout());
            let again = inform.advance(now).unwrap();
            assert_eq!((inform.advance(now), &again[4..8]), (None, &first[4..8]));
            gaps.push((inform.next_timeout() - before).as_secs());
        }
        for (gap, expected) in gaps.into_iter().zip([8, 16, 32, 64, 64, 64]) {
            assert!((expected - 1..=expected + 1).contains(&gap), "{gap}, about {expected}");
        }
        let server: (u8, &[u8]) = (54, &[192, 0, 2, 1]);
        let rest = [server, (53, &[5]), (6, &[192, 0, 2, 53, 0, 0, 0, 0]), (15, b"test")];
        let answer = reply(&first, Ipv4Addr::UNSPECIFIED, &rest);
        let known = DhcpInformation {
            server: [192, 0, 2, 1].into(),
            dns: vec![[192, 0, 2, 53].into()],
            search: vec!["test".parse().unwrap()],
        };
        assert_eq!(inform.on_message(&answer), Some(known));
        // Who says nothing more says that it is there; nobody else counts.
        let least = reply(&first, Ipv4Addr::UNSPECIFIED, &[server, (53, &[5])]);
        assert!(inform.on_message(&least).is_some_and(|it| it.dns.is_empty()));
        let offer = reply(&first, Ipv4Addr::UNSPECIFIED, &[server, (53, &[2])]);
        let nobody = reply(&first, Ipv4Addr::UNSPECIFIED, &[(53, &[5])]);
        let mut stranger = answer;
        stranger[4] ^= 1;
        for none in [offer, nobody, stranger, first] {
            assert_eq!(inform.on_message(&none), None);
        }
    }
}
