//! ARP for IPv4 over Ethernet (RFC 826, RFC 5227): the packet, and what one from the link means.

use super::Standing;
use super::neighbor::Claim;
use crate::time::Instant;
use crate::wire::address::{Address, Mac};
use core::time::Duration;

/// Bytes of an ARP packet for IPv4 over Ethernet, without the frame's padding.
pub(crate) const ARP_LEN: usize = 28;

/// Hardware type Ethernet, protocol type IPv4, and their address lengths.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// What an ARP packet is (RFC 826); other operations are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArpOperation {
    Request,
    Reply,
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArpPacket {
    pub(crate) operation: ArpOperation,
    pub(crate) sender_mac: Mac,
    pub(crate) sender: [u8; 4],
    pub(crate) target_mac: Mac,
    pub(crate) target: [u8; 4],
}

impl ArpPacket {
    /// Reads the packet; what follows it is the frame's padding. None for another hardware,
    /// protocol or operation, and for a packet that is cut short.
    pub(crate) fn parse(bytes: &[u8]) -> Option<ArpPacket> {
        let bytes: &[u8; ARP_LEN] = bytes.first_chunk()?;
        let (kind, rest) = bytes.split_first_chunk::<6>()?;
        let (operation, rest) = rest.split_first_chunk::<2>()?;
        let (sender_mac, rest) = rest.split_first_chunk::<6>()?;
        let (sender, rest) = rest.split_first_chunk::<4>()?;
        let (target_mac, rest) = rest.split_first_chunk::<6>()?;
        let target = rest.first_chunk::<4>()?;
        if *kind != ETHERNET_IPV4 {
            return None;
        }
        let operation = match u16::from_be_bytes(*operation) {
            1 => ArpOperation::Request,
            2 => ArpOperation::Reply,
            _ => return None,
        };
        Some(ArpPacket {
            operation,
            sender_mac: Mac(*sender_mac),
            sender: *sender,
            target_mac: Mac(*target_mac),
            target: *target,
        })
    }

    /// The packet's bytes.
    pub(crate) fn to_bytes(self) -> [u8; ARP_LEN] {
        let operation = match self.operation {
            ArpOperation::Request => 1,
            ArpOperation::Reply => 2,
        };
        let mut bytes = [0; ARP_LEN];
        bytes[..6].copy_from_slice(&ETHERNET_IPV4);
        bytes[7] = operation;
        bytes[8..14].copy_from_slice(&self.sender_mac.0);
        bytes[14..18].copy_from_slice(&self.sender);
        bytes[18..24].copy_from_slice(&self.target_mac.0);
        bytes[24..].copy_from_slice(&self.target);
        bytes
    }

    /// "Who has `target`? Tell `own`." Goes to everybody, or to one to see whether it is there.
    pub(crate) fn request(our_mac: Mac, own: [u8; 4], target: [u8; 4]) -> ArpPacket {
        ArpPacket {
            operation: ArpOperation::Request,
            sender_mac: our_mac,
            sender: own,
            target_mac: Mac::default(),
            target,
        }
    }

    /// "`own` is mine": goes to everybody (RFC 5227 §2.3), on start and in defence.
    pub(crate) fn announcement(our_mac: Mac, own: [u8; 4]) -> ArpPacket {
        ArpPacket::request(our_mac, own, own)
    }
}

/// What to do about an ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ArpAction {
    /// Send this to its `target_mac`, never to everybody.
    Reply(ArpPacket),
    /// Tell the neighbour table.
    Learn { address: Address, mac: Mac, claim: Claim },
    /// Both: a neighbour asks for us, so we shall need its address soon (RFC 826).
    ReplyAndLearn { reply: ArpPacket, address: Address, mac: Mac, claim: Claim },
    /// Somebody else says that this address of ours is theirs: ask the [`Defender`].
    Conflict(Address),
    /// An address that we are asking for is another's, or another asks for it (RFC 5227 §2.1.1).
    Duplicate(Address),
    /// Not for us, or not to be believed.
    Ignore,
}

/// What an ARP packet from the link means to a host with `our_mac`, where `standing` knows our
/// addresses.
pub(crate) fn on_arp(
    packet: &ArpPacket,
    standing: impl Fn(Address) -> Standing,
    our_mac: Mac,
) -> ArpAction {
    let is_own = |address| standing(address) == Standing::Own;
    let (sender, target) = (Address::v4(packet.sender), Address::v4(packet.target));
    // Our own packet come back, or an address that no single host has.
    let mac = packet.sender_mac;
    if mac == our_mac || mac.is_multicast() || mac == Mac::default() {
        return ArpAction::Ignore;
    }
    let asked = packet.operation == ArpOperation::Request && is_own(target);
    let reply = ArpPacket {
        operation: ArpOperation::Reply,
        sender_mac: our_mac,
        sender: packet.target,
        target_mac: mac,
        target: packet.sender,
    };
    if sender.is_unspecified() {
        // A probe (RFC 5227 §2.1.1): the answer says that the address is taken. The asker has no
        // address yet, so there is nothing to remember.
        return match standing(target) {
            _ if asked => ArpAction::Reply(reply),
            Standing::Tentative => ArpAction::Duplicate(target),
            _ => ArpAction::Ignore,
        };
    }
    if standing(sender) == Standing::Tentative {
        return ArpAction::Duplicate(sender);
    }
    if is_own(sender) {
        return ArpAction::Conflict(sender);
    }
    if !sender.is_valid_source() {
        return ArpAction::Ignore;
    }
    if asked {
        return ArpAction::ReplyAndLearn { reply, address: sender, mac, claim: Claim::Request };
    }
    let claim = match packet.operation {
        ArpOperation::Reply if is_own(target) => Claim::Reply,
        _ => Claim::Gratuitous,
    };
    ArpAction::Learn { address: sender, mac, claim }
}

/// How often an address may be defended (RFC 5227 §1.1, DEFEND_INTERVAL).
pub(crate) const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// Keeps two hosts that both believe in an address from shouting at each other (RFC 5227 §2.4):
/// one defence in ten seconds for each of our addresses.
#[derive(Clone, Default)]
pub(crate) struct Defender {
    /// One entry for each address of ours that was attacked; ours are few.
    last: Vec<(Address, Instant)>,
}

impl Defender {
    /// True when `own`, an address of ours, may be defended by an announcement now.
    pub(crate) fn may_defend(&mut self, now: Instant, own: Address) -> bool {
        match self.last.iter_mut().find(|(address, _)| *address == own) {
            Some((_, last)) if now < *last + DEFEND_INTERVAL => false,
            Some((_, last)) => {
                *last = now;
                true
            }
            None => {
                self.last.push((own, now));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const PEER: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OWN: [u8; 4] = [192, 0, 2, 2];
    const OTHER: [u8; 4] = [192, 0, 2, 1];

    const WANTED: [u8; 4] = [192, 0, 2, 3];

    fn standing(address: Address) -> Standing {
        match address.as_v4() {
            Some(OWN) => Standing::Own,
            Some(WANTED) => Standing::Tentative,
            _ => Standing::Other,
        }
    }

    fn act(packet: ArpPacket) -> ArpAction {
        on_arp(&packet, standing, OURS)
    }

    fn from_peer(operation: ArpOperation, sender: [u8; 4], target: [u8; 4]) -> ArpPacket {
        ArpPacket { operation, ..ArpPacket::request(PEER, sender, target) }
    }

    fn learn(claim: Claim) -> ArpAction {
        ArpAction::Learn { address: Address::v4(OTHER), mac: PEER, claim }
    }

    #[test]
    fn bytes_round_trip_and_padding_is_ignored() {
        let packet = ArpPacket::request(OURS, OWN, OTHER);
        let mut bytes = packet.to_bytes().to_vec();
        assert_eq!(bytes[..8], [0, 1, 8, 0, 6, 4, 0, 1]);
        bytes.extend([0xaa; 18]);
        assert_eq!(ArpPacket::parse(&bytes), Some(packet));
        let reply = ArpPacket { operation: ArpOperation::Reply, ..packet };
        assert_eq!(ArpPacket::parse(&reply.to_bytes()), Some(reply));
    }

    #[test]
    fn p1_every_cut_and_every_wrong_type_is_refused() {
        let bytes = ArpPacket::request(OURS, OWN, OTHER).to_bytes();
        for len in 0..ARP_LEN {
            assert_eq!(ArpPacket::parse(&bytes[..len]), None, "{len} bytes");
        }
        for at in 0..8 {
            for value in (0..=255).filter(|&v| v != bytes[at] && !(at == 7 && v == 2)) {
                let mut bad = bytes;
                bad[at] = value;
                assert_eq!(ArpPacket::parse(&bad), None, "byte {at} = {value}");
            }
        }
    }

    #[test]
    fn rfc826_a_request_for_us_is_answered_to_the_asker_and_learnt() {
        let ArpAction::ReplyAndLearn { reply, address, mac, claim } =
            act(from_peer(ArpOperation::Request, OTHER, OWN))
        else {
            panic!("no reply")
        };
        assert_eq!((reply.sender_mac, reply.sender), (OURS, OWN));
        assert_eq!((reply.target_mac, reply.target), (PEER, OTHER));
        assert_eq!(reply.operation, ArpOperation::Reply);
        assert_eq!((address, mac, claim), (Address::v4(OTHER), PEER, Claim::Request));
    }

    #[test]
    fn rfc826_others_traffic_only_updates() {
        let third = [192, 0, 2, 4];
        let claims = [
            (ArpOperation::Request, third, Claim::Gratuitous),
            (ArpOperation::Request, OTHER, Claim::Gratuitous),
            (ArpOperation::Reply, third, Claim::Gratuitous),
            (ArpOperation::Reply, OTHER, Claim::Gratuitous),
            (ArpOperation::Reply, OWN, Claim::Reply),
        ];
        for (operation, target, claim) in claims {
            assert_eq!(act(from_peer(operation, OTHER, target)), learn(claim));
        }
    }

    #[test]
    fn rfc5227_a_probe_is_answered_and_not_learnt() {
        let action = act(from_peer(ArpOperation::Request, [0; 4], OWN));
        assert!(matches!(action, ArpAction::Reply(reply) if reply.target_mac == PEER));
        assert_eq!(act(from_peer(ArpOperation::Request, [0; 4], OTHER)), ArpAction::Ignore);
        assert_eq!(act(from_peer(ArpOperation::Reply, [0; 4], OWN)), ArpAction::Ignore);
    }

    #[test]
    fn rfc5227_2_1_1_whoever_has_it_or_wants_it_too() {
        let duplicate = ArpAction::Duplicate(Address::v4(WANTED));
        for operation in [ArpOperation::Request, ArpOperation::Reply] {
            assert_eq!(act(from_peer(operation, WANTED, OTHER)), duplicate);
        }
        assert_eq!(act(from_peer(ArpOperation::Request, [0; 4], WANTED)), duplicate);
        let own =
            ArpPacket { sender_mac: OURS, ..from_peer(ArpOperation::Request, [0; 4], WANTED) };
        assert_eq!(act(own), ArpAction::Ignore, "our own question, come back");
        let asked = act(from_peer(ArpOperation::Request, OTHER, WANTED));
        assert_eq!(asked, learn(Claim::Gratuitous), "it is not ours yet");
    }

    #[test]
    fn n3_a_claim_to_our_address_is_a_conflict_unless_it_is_our_own_echo() {
        for operation in [ArpOperation::Request, ArpOperation::Reply] {
            for target in [OWN, OTHER, [0; 4]] {
                let packet = from_peer(operation, OWN, target);
                assert_eq!(act(packet), ArpAction::Conflict(Address::v4(OWN)));
                assert_eq!(act(ArpPacket { sender_mac: OURS, ..packet }), ArpAction::Ignore);
            }
        }
    }

    #[test]
    fn group_addresses_are_nobodys() {
        let packet = from_peer(ArpOperation::Request, OTHER, OWN);
        for mac in [Mac::BROADCAST, Mac([1, 0, 0x5e, 0, 0, 1]), Mac::default()] {
            assert_eq!(act(ArpPacket { sender_mac: mac, ..packet }), ArpAction::Ignore);
        }
        for sender in [[255; 4], [224, 0, 0, 1], [127, 0, 0, 1], [240, 0, 0, 1]] {
            assert_eq!(act(ArpPacket { sender, ..packet }), ArpAction::Ignore);
        }
    }

    #[test]
    fn n3_at_most_six_defences_a_minute_for_each_address() {
        let mut defender = Defender::default();
        let second = Address::v4([192, 0, 2, 9]);
        let mut sent = 0;
        for millis in (0..60_000).step_by(10) {
            let now = Instant::from_millis(millis);
            sent += u32::from(defender.may_defend(now, Address::v4(OWN)));
        }
        assert_eq!(sent, 6);
        assert!(defender.may_defend(Instant::from_secs(59), second));
    }
}
