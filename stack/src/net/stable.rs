//! Interface identifiers that say nothing about the host (RFC 7217): the same in the same network,
//! unrelated between networks.

use super::cidr::Cidr;
use crate::random::Secret;
use crate::wire::address::Mac;
use core::net::Ipv6Addr;

/// Identifiers tried for one prefix; of 2^64 none is drawn twice.
const TRIES: u8 = 8;

/// The address in the network of 64 bits `prefix` for the interface `mac` (§5). `conflicts` counts
/// the addresses there that others were found to have.
pub(crate) fn address(secret: Secret, prefix: u64, mac: Mac, conflicts: u8) -> Ipv6Addr {
    let draw = |count: u8| {
        let mut bytes = [0; 15];
        let (network, rest) = bytes.split_at_mut(8);
        let (interface, counter) = rest.split_at_mut(6);
        network.copy_from_slice(&prefix.to_be_bytes());
        interface.copy_from_slice(&mac.0);
        counter.copy_from_slice(&[count]);
        secret.hash(&bytes)
    };
    let mut drawn = (0..TRIES).map(|again| draw(conflicts.wrapping_add(again)));
    let id = drawn.find(|id| !is_reserved(*id)).unwrap_or(1);
    Ipv6Addr::from(u128::from(prefix) << 64 | u128::from(id))
}

/// The interface's address on its own link (RFC 4862 §5.3).
pub(crate) fn link_local(secret: Secret, mac: Mac) -> Cidr {
    Cidr::new(address(secret, 0xfe80 << 48, mac, 0).into(), 64)
}

/// RFC 5453 §5: anycast addresses of routers, of IEEE, and of subnets.
fn is_reserved(id: u64) -> bool {
    let anycast = 0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff;
    id == 0 || id >> 24 == 0x02_005e_fffe || anycast.contains(&id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn rfc7217_5_stable_in_one_network_and_different_in_all_others() {
        let secret = |seed| Secret::derive(&Seed::from_number(seed), "stable addresses");
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let home = address(secret(1), 0x2001_0db8_0000_0000, mac, 0);
        assert_eq!(home.segments()[..4], [0x2001, 0xdb8, 0, 0]);
        assert_eq!(home, address(secret(1), 0x2001_0db8_0000_0000, mac, 0));
        let others = [
            address(secret(2), 0x2001_0db8_0000_0000, mac, 0),
            address(secret(1), 0x2001_0db8_0000_0001, mac, 0),
            address(secret(1), 0x2001_0db8_0000_0000, Mac([2, 0, 0, 0, 0, 2]), 0),
            address(secret(1), 0x2001_0db8_0000_0000, mac, 1),
        ];
        for other in others {
            assert_ne!(other.segments()[4..], home.segments()[4..]);
        }
        assert!(link_local(secret(1), mac).contains("fe80::1".parse().unwrap()));
    }

    #[test]
    fn rfc5453_reserved_identifiers() {
        let reserved = [0, 0x0200_5eff_fe00_5213, 0xfdff_ffff_ffff_ff80, 0xfdff_ffff_ffff_ffff];
        assert!(reserved.into_iter().all(is_reserved));
        assert!(![1, 0x0200_5eff_ff00_0000, 0xfdff_ffff_ffff_ff7f].into_iter().any(is_reserved));
    }
}
