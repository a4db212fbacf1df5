//! The link under the packets: the stack speaks Ethernet, the script speaks IP. Between them stands
//! one neighbour who answers for every address, asked by ARP or by Neighbor Discovery. What else
//! hosts of IPv6 tell their link, the script does not see.

use std::net::Ipv6Addr;

use stack::Mac;
use stack::testing::translate::{advertisement, is_group_report, solicited};

/// The stack's Ethernet address.
pub(crate) const HOST: Mac = Mac([2, 0, 0, 0, 0, 2]);
/// The neighbour's.
const NEIGHBOR: Mac = Mac([2, 0, 0, 0, 0, 1]);

const HEADER: usize = 14;
const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
const TYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const TYPE_ARP: [u8; 2] = [0x08, 0x06];
/// Bytes of an ARP packet for IPv4 over Ethernet (RFC 826).
const ARP_LEN: usize = 28;
const ICMPV6: u8 = 58;
/// ICMPv6 messages of Neighbor Discovery (RFC 4861 §4): solicitations and advertisements of routers
/// and neighbours, and redirects.
const DISCOVERY: std::ops::RangeInclusive<u8> = 133..=137;

/// What the stack put on the link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// An IP packet for the script.
    Packet(Vec<u8>),
    /// A question about an address, and the frame that answers it.
    Question(Vec<u8>),
    /// Anything else: nobody listens.
    Other,
}

/// The frame that carries an IP packet to the stack; None where no version is to be seen.
pub(crate) fn frame(packet: &[u8]) -> Option<Vec<u8>> {
    let kind = match packet.first()? >> 4 {
        4 => TYPE_IPV4,
        6 => TYPE_IPV6,
        _ => return None,
    };
    Some([&HOST.0[..], &NEIGHBOR.0, &kind, packet].concat())
}

/// What a frame of the stack's is.
pub(crate) fn read(frame: &[u8]) -> Sent {
    let Some((header, body)) = frame.split_at_checked(HEADER) else { return Sent::Other };
    match [header[12], header[13]] {
        TYPE_IPV6 if is_discovery(body) => answer_v6(frame).map_or(Sent::Other, Sent::Question),
        TYPE_IPV6 if is_group_report(frame) => Sent::Other,
        TYPE_IPV4 | TYPE_IPV6 => Sent::Packet(body.to_vec()),
        TYPE_ARP => answer(body).map_or(Sent::Other, Sent::Question),
        _ => Sent::Other,
    }
}

/// The answer to an ARP request for any address but the asker's own, which is a probe for a
/// conflict (RFC 5227 §2.1.1).
fn answer(arp: &[u8]) -> Option<Vec<u8>> {
    let arp = arp.get(..ARP_LEN)?;
    let (head, sender, target) = (&arp[..8], &arp[14..18], &arp[24..28]);
    if head != [0, 1, 8, 0, 6, 4, 0, 1] || sender == target || sender == [0; 4] {
        return None;
    }
    let reply = [0, 1, 8, 0, 6, 4, 0, 2];
    Some(
        [&HOST.0[..], &NEIGHBOR.0, &TYPE_ARP, &reply, &NEIGHBOR.0, target, &HOST.0, sender]
            .concat(),
    )
}

/// The packet is part of Neighbor Discovery. Its messages have no extension headers.
fn is_discovery(packet: &[u8]) -> bool {
    packet.get(6) == Some(&ICMPV6) && packet.get(40).is_some_and(|kind| DISCOVERY.contains(kind))
}

/// The answer to a Neighbor Solicitation, unless nobody asks: a probe for a duplicate comes from no
/// address (RFC 4862 §5.4.2).
fn answer_v6(frame: &[u8]) -> Option<Vec<u8>> {
    let target = solicited(frame)?;
    let asker: [u8; 16] = frame.get(22..38)?.try_into().ok()?;
    let asker = Ipv6Addr::from(asker);
    let answers = !asker.is_unspecified() && asker != target;
    answers.then(|| advertisement(target, asker, [NEIGHBOR, HOST]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_wrapped_by_their_version() {
        assert_eq!(frame(&[0x45, 1]).unwrap()[12..], [8, 0, 0x45, 1]);
        assert_eq!(frame(&[0x60, 1]).unwrap()[12..], [0x86, 0xdd, 0x60, 1]);
        assert_eq!((frame(&[]), frame(&[0x15])), (None, None));
    }

    #[test]
    fn questions_are_answered_and_probes_are_not() {
        let ask = |from: [u8; 4], to: [u8; 4]| {
            let head = [0, 1, 8, 0, 6, 4, 0, 1];
            read(
                &[&[0xff; 6][..], &HOST.0, &TYPE_ARP, &head, &HOST.0, &from, &[0; 6], &to].concat(),
            )
        };
        let Sent::Question(reply) = ask([192, 0, 2, 2], [192, 0, 2, 1]) else {
            panic!("no answer")
        };
        assert_eq!(reply[20..22], [0, 2], "a reply");
        assert_eq!(reply[28..32], [192, 0, 2, 1], "from who was asked for");
        assert_eq!(ask([192, 0, 2, 2], [192, 0, 2, 2]), Sent::Other);
        assert_eq!(ask([0; 4], [192, 0, 2, 2]), Sent::Other);
        assert_eq!((read(&[0; 13]), read(&[0; 20])), (Sent::Other, Sent::Other));
    }

    /// A packet of IPv6 from `from`, in a frame of the host's.
    fn six(from: &str, next: u8, payload: &[u8]) -> Vec<u8> {
        let from: Ipv6Addr = from.parse().unwrap();
        let length = (payload.len() as u16).to_be_bytes();
        let packet = [&[0x60, 0, 0, 0][..], &length, &[next, 255], &from.octets(), &[0xff; 16]];
        [&[0x33; 6][..], &HOST.0, &TYPE_IPV6, &packet.concat(), payload].concat()
    }

    #[test]
    fn solicitations_are_answered_and_probes_are_not() {
        let (own, peer) = ("2001:db8::2", "2001:db8::1");
        let ask = |from: &str, target: &str| {
            let target: Ipv6Addr = target.parse().unwrap();
            let option = [&[1, 1], &HOST.0[..]].concat();
            read(&six(
                from,
                ICMPV6,
                &[&[135, 0, 0, 0, 0, 0, 0, 0], &target.octets()[..], &option].concat(),
            ))
        };
        let Sent::Question(reply) = ask(own, peer) else { panic!("no answer") };
        assert_eq!(reply[..12], [HOST.0, NEIGHBOR.0].concat());
        assert_eq!(reply[54], 136, "an advertisement");
        let octets = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
        assert_eq!(reply[62..78], octets(peer), "of what was asked for");
        assert_eq!(reply[38..54], octets(own), "to who asked");
        assert_eq!(ask("::", own), Sent::Other);
        assert_eq!(ask(own, own), Sent::Other);
    }

    #[test]
    fn a_script_sees_no_discovery_and_no_reports_of_groups() {
        let own = "fe80::2";
        for kind in DISCOVERY {
            assert_eq!(read(&six(own, ICMPV6, &[kind, 0, 0, 0])), Sent::Other, "{kind}");
        }
        let report = [ICMPV6, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0];
        assert_eq!(read(&six(own, 0, &report)), Sent::Other);
        for (next, payload) in [(ICMPV6, [1, 0, 0, 0]), (ICMPV6, [128, 0, 0, 0]), (6, [135; 4])] {
            let frame = six(own, next, &payload);
            assert_eq!(read(&frame), Sent::Packet(frame[HEADER..].to_vec()));
        }
        assert_eq!(
            read(&six(own, ICMPV6, &[])),
            Sent::Packet(six(own, ICMPV6, &[])[14..].to_vec())
        );
    }
}
