//! Neighbor Discovery for IPv6 (RFC 4861): the messages by which hosts find each other on a link,
//! and what one from the link means. Who has which address is [`super::neighbor`]'s to know.

use super::Standing;
use super::neighbor::Claim;
use crate::net::icmpv6;
use crate::wire::address::{Address, Mac};
use crate::wire::parse::IpPacket;

/// No router has passed it on: it is from this link (§3.1).
pub(crate) const HOP_LIMIT: u8 = 255;

const ROUTER_SOLICITATION: u8 = 133;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Type, code, checksum, flags, target.
const FIXED_LEN: usize = 24;

/// Options (§4.6) that matter here, and the length of a link address in one.
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
const LINK_ADDRESS_LEN: usize = 8;
/// A number that tells our own questions from others' (RFC 3971 §5.3.2, RFC 7527 §4).
const NONCE: u8 = 14;

/// Flags of an advertisement (§4.4).
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// A message between neighbours, checked as §7.1 wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NdpMessage {
    /// "Who has `target`?" The asker's link address, if it says so.
    /// And its number, if it has one of six bytes as ours do.
    Solicitation { target: Address, mac: Option<Mac>, nonce: Option<u64> },
    /// "`target` is mine."
    Advertisement { target: Address, mac: Option<Mac>, flags: u8 },
    /// Of routers, or what a host does not act on.
    Other,
}

impl NdpMessage {
    /// Reads the message in `packet`, whose checksum is right. None for what §7.1.1 and §7.1.2
    /// discard (THREATS N-5).
    pub(crate) fn parse(packet: &IpPacket<'_>) -> Option<NdpMessage> {
        let [kind, code, ..] = *packet.payload else { return None };
        if packet.ttl != HOP_LIMIT || code != 0 {
            return None;
        }
        if kind != SOLICITATION && kind != ADVERTISEMENT {
            return Some(NdpMessage::Other);
        }
        let (fixed, options) = packet.payload.split_first_chunk::<FIXED_LEN>()?;
        let target = Address::v6(u128::from_be_bytes(*fixed.last_chunk()?));
        if target.is_multicast() || target.is_v4() {
            return None;
        }
        let to = packet.destination;
        if kind == SOLICITATION {
            let mac = link_address(options, SOURCE_LINK_ADDRESS)?;
            let nonce = six_bytes(options, NONCE)?.map(number);
            // Who has no address yet asks the group, and has nothing to be remembered by.
            let nameless = packet.source.is_unspecified();
            let odd = nameless && (mac.is_some() || to != target.solicited_node());
            return (!odd).then_some(NdpMessage::Solicitation { target, mac, nonce });
        }
        let mac = link_address(options, TARGET_LINK_ADDRESS)?;
        let flags = fixed[4];
        let odd = to.is_multicast() && flags & SOLICITED != 0;
        (!odd).then_some(NdpMessage::Advertisement { target, mac, flags })
    }
}

/// The link address in the option of `kind`.
fn link_address(options: &[u8], kind: u8) -> Option<Option<Mac>> {
    Some(six_bytes(options, kind)?.map(Mac))
}

fn number([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// The six bytes in the option of `kind`; None if the options are not as they must be: cut off, or
/// one of no length.
fn six_bytes(options: &[u8], kind: u8) -> Option<Option<[u8; 6]>> {
    let (mut rest, mut found) = (options, None);
    while !rest.is_empty() {
        let [this, units, ..] = *rest else { return None };
        let len = usize::from(units) * 8;
        let option = rest.get(..len).filter(|_| len > 0)?;
        if this == kind && len == LINK_ADDRESS_LEN {
            found = option.last_chunk::<6>().copied();
        }
        rest = rest.get(len..)?;
    }
    Some(found)
}

/// What to do about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NdpAction {
    /// Answer the asker, and learn its link address if it said so: we shall need it soon.
    Answer { own: Address, asker: Address, mac: Option<Mac> },
    /// Tell everybody: the asker has no address yet, and wants ours.
    Tell { own: Address },
    /// Tell the neighbour table.
    Learn { address: Address, mac: Mac, claim: Claim },
    /// It answered, and did not say where it is: where we asked.
    Confirm { address: Address },
    /// Somebody else says that this address of ours is theirs: ask the defender.
    Conflict(Address),
    /// An address that we are asking for is another's, or another asks for it too (RFC 4862
    /// §5.4.3, §5.4.4), with a number of his own.
    Duplicate { address: Address, nonce: Option<u64> },
    /// Not for us, or not to be believed.
    Ignore,
}

/// What `message` from `source` means to a host, where `standing` knows our addresses.
pub(crate) fn on_ndp(
    message: &NdpMessage,
    source: Address,
    standing: impl Fn(Address) -> Standing,
) -> NdpAction {
    match *message {
        NdpMessage::Solicitation { target, nonce, .. }
            if standing(target) == Standing::Tentative && source.is_unspecified() =>
        {
            NdpAction::Duplicate { address: target, nonce }
        }
        NdpMessage::Solicitation { target, .. } if standing(target) != Standing::Own => {
            NdpAction::Ignore
        }
        NdpMessage::Solicitation { target, .. } if source.is_unspecified() => {
            NdpAction::Tell { own: target }
        }
        NdpMessage::Solicitation { target, mac, .. } => {
            NdpAction::Answer { own: target, asker: source, mac }
        }
        NdpMessage::Advertisement { target, .. } if standing(target) == Standing::Own => {
            NdpAction::Conflict(target)
        }
        NdpMessage::Advertisement { target, .. } if standing(target) == Standing::Tentative => {
            NdpAction::Duplicate { address: target, nonce: None }
        }
        NdpMessage::Advertisement { target, mac: Some(mac), flags } => {
            let claim = match (flags & SOLICITED != 0, flags & OVERRIDE != 0) {
                (true, true) => Claim::Reply,
                (true, false) => Claim::Anycast,
                (false, true) => Claim::Gratuitous,
                (false, false) => Claim::Hint,
            };
            NdpAction::Learn { address: target, mac, claim }
        }
        NdpMessage::Advertisement { target, mac: None, flags } if flags & SOLICITED != 0 => {
            NdpAction::Confirm { address: target }
        }
        NdpMessage::Advertisement { .. } | NdpMessage::Other => NdpAction::Ignore,
    }
}

/// A message of ours, with the addresses of the packet for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NdpPacket {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    /// Its checksum is in it.
    pub(crate) message: Vec<u8>,
}

impl NdpPacket {
    /// "Who has `target`? Tell `own`." To the target's group, or to it alone to see whether it is
    /// there (§7.2.2).
    pub(crate) fn solicitation(
        our_mac: Mac,
        own: Address,
        target: Address,
        destination: Address,
    ) -> NdpPacket {
        let parts = (SOLICITATION, 0, target, SOURCE_LINK_ADDRESS);
        NdpPacket::new(our_mac, own, destination, parts)
    }

    /// "Does anybody have `target`?", from a host that has no address yet (RFC 4862 §5.4.2). Of
    /// `nonce` 48 bits count.
    pub(crate) fn probe(target: Address, nonce: u64) -> NdpPacket {
        let [_, _, nonce @ ..] = nonce.to_be_bytes();
        let parts = (SOLICITATION, 0, target, NONCE);
        NdpPacket::new(Mac(nonce), Address::UNSPECIFIED_V6, target.solicited_node(), parts)
    }

    /// "Which routers are there?", from our address on the link, if there is one (§6.3.7).
    pub(crate) fn router_solicitation(our_mac: Mac, own: Option<Address>) -> NdpPacket {
        let (source, destination) = (own.unwrap_or(Address::UNSPECIFIED_V6), Address::ALL_ROUTERS);
        let mut message = vec![ROUTER_SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
        if own.is_some() {
            message.extend([SOURCE_LINK_ADDRESS, 1]);
            message.extend(our_mac.0);
        }
        icmpv6::finish(source, destination, &mut message);
        NdpPacket { source, destination, message }
    }

    /// "`own` is mine": to who asked, or to everybody (§7.2.4).
    pub(crate) fn advertisement(our_mac: Mac, own: Address, destination: Address) -> NdpPacket {
        let solicited = if destination.is_multicast() { 0 } else { SOLICITED };
        let parts = (ADVERTISEMENT, solicited | OVERRIDE, own, TARGET_LINK_ADDRESS);
        NdpPacket::new(our_mac, own, destination, parts)
    }

    fn new(
        our_mac: Mac,
        source: Address,
        destination: Address,
        (kind, flags, target, option): (u8, u8, Address, u8),
    ) -> NdpPacket {
        let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
        message.extend(target.octets());
        message.extend([option, 1]);
        message.extend(our_mac.0);
        icmpv6::finish(source, destination, &mut message);
        NdpPacket { source, destination, message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ecn::Codepoint;
    use crate::wire::parse::{self, PROTOCOL_ICMPV6};
    use core::net::IpAddr;

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const PEER: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn own() -> Address {
        address("2001:db8::2")
    }

    fn peer() -> Address {
        address("2001:db8::1")
    }

    fn carried(packet: &NdpPacket) -> IpPacket<'_> {
        IpPacket {
            source: packet.source,
            destination: packet.destination,
            protocol: PROTOCOL_ICMPV6,
            ttl: HOP_LIMIT,
            ecn: Codepoint::NotEct,
            fragment: None,
            header: &[],
            extensions: &[],
            payload: &packet.message,
        }
    }

    fn parsed(packet: &NdpPacket) -> Option<NdpMessage> {
        assert!(parse::icmpv6_checksum_ok(&carried(packet)));
        NdpMessage::parse(&carried(packet))
    }

    fn wanted() -> Address {
        address("2001:db8::3")
    }

    fn standing(address: Address) -> Standing {
        match address {
            address if address == own() => Standing::Own,
            address if address == wanted() => Standing::Tentative,
            _ => Standing::Other,
        }
    }

    fn act(packet: &NdpPacket) -> NdpAction {
        on_ndp(&parsed(packet).unwrap(), packet.source, standing)
    }

    /// Changes the message and mends its checksum.
    fn changed(packet: NdpPacket, change: impl FnOnce(&mut Vec<u8>)) -> NdpPacket {
        let mut packet = packet;
        change(&mut packet.message);
        packet.message[2..4].fill(0);
        icmpv6::finish(packet.source, packet.destination, &mut packet.message);
        packet
    }

    fn question() -> NdpPacket {
        NdpPacket::solicitation(PEER, peer(), own(), own().solicited_node())
    }

    fn answer() -> NdpPacket {
        NdpPacket::advertisement(PEER, peer(), own())
    }

    #[test]
    fn rfc4861_7_2_4_a_question_for_us_is_answered_and_the_asker_learnt() {
        let wanted = NdpAction::Answer { own: own(), asker: peer(), mac: Some(PEER) };
        assert_eq!(act(&question()), wanted);
        let reply = NdpPacket::advertisement(OURS, own(), peer());
        assert_eq!((reply.source, reply.destination), (own(), peer()));
        assert_eq!(reply.message[..2], [136, 0]);
        assert_eq!(reply.message[4], SOLICITED | OVERRIDE);
        let target = Address::v6(u128::from_be_bytes(*reply.message[8..].first_chunk().unwrap()));
        assert_eq!((target, &reply.message[24..]), (own(), &[2, 1, 2, 0, 0, 0, 0, 2][..]));
        let other = NdpPacket::solicitation(PEER, peer(), address("2001:db8::9"), own());
        assert_eq!(act(&other), NdpAction::Ignore);
    }

    #[test]
    fn rfc4862_5_4_3_who_wants_our_address_is_told_in_public() {
        let nobody = Address::UNSPECIFIED_V6;
        let probe = NdpPacket { source: nobody, ..question() };
        let probe = changed(probe, |message| message.truncate(24));
        assert_eq!(act(&probe), NdpAction::Tell { own: own() });
        let everybody = NdpPacket::advertisement(OURS, own(), Address::ALL_NODES);
        assert_eq!(everybody.message[4], OVERRIDE, "nobody in particular asked");
        let odd = changed(NdpPacket { source: nobody, ..question() }, |_| ());
        assert_eq!(parsed(&odd), None, "no address, and yet a link address");
        let odd = changed(NdpPacket { destination: own(), ..probe }, |_| ());
        assert_eq!(parsed(&odd), None, "not to the group");
    }

    #[test]
    fn rfc4862_5_4_3_whoever_has_it_or_wants_it_too() {
        let duplicate = |nonce| NdpAction::Duplicate { address: wanted(), nonce };
        let probe = NdpPacket::probe(wanted(), 0x1234_5678_9abc);
        assert_eq!(
            (probe.source, probe.destination),
            (Address::UNSPECIFIED_V6, wanted().solicited_node())
        );
        assert_eq!(probe.message[24..], [14, 1, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc]);
        assert_eq!(act(&probe), duplicate(Some(0x1234_5678_9abc)));
        let bare = changed(probe, |message| message.truncate(24));
        assert_eq!(act(&bare), duplicate(None));
        let claim = NdpPacket::advertisement(PEER, wanted(), Address::ALL_NODES);
        assert_eq!(act(&claim), duplicate(None));
        // Somebody looks for the way to it: it is not ours yet, and not his.
        let other = NdpPacket::solicitation(PEER, peer(), wanted(), wanted().solicited_node());
        assert_eq!(act(&other), NdpAction::Ignore);
    }

    #[test]
    fn rfc4861_7_2_5_the_flags_of_an_answer() {
        let learn = |claim| NdpAction::Learn { address: peer(), mac: PEER, claim };
        let claims = [
            (SOLICITED | OVERRIDE, learn(Claim::Reply)),
            (SOLICITED, learn(Claim::Anycast)),
            (OVERRIDE, learn(Claim::Gratuitous)),
            (0, learn(Claim::Hint)),
        ];
        for (flags, action) in claims {
            assert_eq!(act(&changed(answer(), |message| message[4] = flags)), action);
        }
        let short = changed(answer(), |message| message.truncate(24));
        assert_eq!(act(&short), NdpAction::Confirm { address: peer() });
        let short = changed(short, |message| message[4] = OVERRIDE);
        assert_eq!(act(&short), NdpAction::Ignore);
        let group = NdpPacket { destination: Address::ALL_NODES, ..answer() };
        assert_eq!(parsed(&changed(group, |_| ())), None, "solicited by a group");
    }

    #[test]
    fn n3_a_claim_to_our_address_is_a_conflict() {
        let claim = NdpPacket::advertisement(PEER, own(), Address::ALL_NODES);
        assert_eq!(act(&claim), NdpAction::Conflict(own()));
    }

    #[test]
    fn n5_what_is_not_from_this_link_or_malformed_is_nothing() {
        for packet in [question(), answer()] {
            for ttl in 0..255 {
                assert_eq!(NdpMessage::parse(&IpPacket { ttl, ..carried(&packet) }), None);
            }
            for len in (0..packet.message.len()).filter(|len| *len != 24) {
                let cut = changed(packet.clone(), |message| message.truncate(len.max(4)));
                assert_eq!(parsed(&cut), None, "{len} bytes");
            }
            let code = changed(packet.clone(), |message| message[1] = 1);
            assert_eq!(parsed(&code), None);
            let group = changed(packet.clone(), |message| message[8] = 0xff);
            assert_eq!(parsed(&group), None, "nobody has a group's address alone");
            for units in (0..=255).filter(|units| *units != 1) {
                let bad = changed(packet.clone(), |message| message[25] = units);
                assert_eq!(parsed(&bad), None, "an option of {units} times eight bytes");
            }
            let more = changed(packet.clone(), |message| message.extend([99, 1, 0, 0, 0, 0, 0, 0]));
            assert_eq!(parsed(&more), parsed(&packet), "an unknown option is skipped");
        }
    }

    #[test]
    fn n8_redirects_and_what_routers_say_is_nothing_here() {
        for kind in [133, 134, 137] {
            let other = changed(question(), |message| message[0] = kind);
            assert_eq!(act(&other), NdpAction::Ignore);
        }
    }
}
