//! The link under the packets: the stack speaks Ethernet, the script speaks IP. Between them stands
//! one neighbour who answers for every address.

use stack::Mac;

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
}
