//! What a router does that marks packets instead of dropping them (RFC 3168 §5).

/// Offset of the IP header in an Ethernet frame, and of the type before it.
const IP: usize = 14;
const ETHERTYPE: usize = 12;
/// The IPv4 header checksum, in the header.
const CHECKSUM: usize = 10;

/// Marks the packet in a frame, if its sender knows ECN. True if it is marked now.
pub(crate) fn mark(frame: &mut [u8]) -> bool {
    if frame.len() < IP + 20 {
        return false;
    }
    match frame[ETHERTYPE..IP] {
        [0x08, 0x00] => mark_ipv4(&mut frame[IP..]),
        [0x86, 0xdd] => mark_ipv6(&mut frame[IP..]),
        _ => false,
    }
}

fn mark_ipv4(packet: &mut [u8]) -> bool {
    let before = u16::from_be_bytes([packet[0], packet[1]]);
    if before & 3 == 0 {
        return false;
    }
    packet[1] |= 3;
    // RFC 1624 equation 3.
    let sum = u16::from_be_bytes([packet[CHECKSUM], packet[CHECKSUM + 1]]);
    let sum = u32::from(!sum) + u32::from(!before) + u32::from(before | 3);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
    true
}

/// The traffic class lies across the first two octets.
fn mark_ipv6(packet: &mut [u8]) -> bool {
    if packet[1] & 0x30 == 0 {
        return false;
    }
    packet[1] |= 0x30;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header sums up to all ones (RFC 791).
    fn sum(packet: &[u8]) -> u16 {
        let words = packet[..20].chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
        let sum: u32 = words.sum();
        ((sum & 0xffff) + (sum >> 16)) as u16
    }

    fn ipv4(tos: u8, id: u8) -> Vec<u8> {
        let mut frame = vec![0; IP];
        frame[ETHERTYPE] = 8;
        frame.extend([0x45, tos, 0, 20, 0, id, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
        let check = !sum(&frame[IP..]);
        frame[IP + CHECKSUM..IP + CHECKSUM + 2].copy_from_slice(&check.to_be_bytes());
        frame
    }

    #[test]
    fn who_knows_ecn_is_marked_and_the_checksum_stays_right() {
        for tos in 0..=255 {
            for id in [0, 1, 0x7f, 0xff] {
                let mut frame = ipv4(tos, id);
                let knows = tos & 3 != 0;
                assert_eq!(mark(&mut frame), knows);
                assert_eq!(frame[IP + 1], if knows { tos | 3 } else { tos });
                assert_eq!(sum(&frame[IP..]), 0xffff, "{tos:#x} {id:#x}");
            }
        }
    }

    #[test]
    fn ipv6_has_no_checksum_and_other_frames_are_left_alone() {
        let mut frame = vec![0; IP + 40];
        frame[ETHERTYPE..IP].copy_from_slice(&[0x86, 0xdd]);
        (frame[IP], frame[IP + 1]) = (0x60, 0x25);
        assert!(mark(&mut frame));
        assert_eq!(frame[IP..IP + 2], [0x60, 0x35]);
        assert!(!mark(&mut [0; 60]) && !mark(&mut [0; 5]) && !mark(&mut []));
    }
}
