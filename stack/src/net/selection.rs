//! Which of several addresses to take (RFC 6724): from which of ours to send, and which of
//! another host's to try first.

use crate::wire::address::Address;
use crate::wire::interface::InterfaceId;

/// An address of ours, as far as the choice goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) address: Address,
    pub(crate) interface: InterfaceId,
    /// The length of its prefix, of 128 bits.
    pub(crate) prefix: u8,
    pub(crate) deprecated: bool,
    /// It changes often, so that who is spoken to cannot recognise the host (RFC 8981).
    pub(crate) temporary: bool,
}

/// A row of the policy table (§2.1): prefix, its length, precedence, label.
type Policy = (u128, u32, u8, u8);

const POLICIES: [Policy; 9] = [
    (1, 128, 50, 0),
    (0xffff << 32, 96, 35, 4),
    (0, 96, 1, 3),
    (0x2001 << 112, 32, 5, 5),
    (0x2002 << 112, 16, 30, 2),
    (0x3ffe << 112, 16, 1, 12),
    (0xfec0 << 112, 10, 1, 11),
    (0xfc00 << 112, 7, 3, 13),
    (0, 0, 40, 1),
];

/// Precedence and label of an address: the longest prefix counts, and the table has them first.
fn policy(address: Address) -> (u8, u8) {
    let bits = u128::from_be_bytes(*address.octets());
    let fits = |&&(prefix, length, ..): &&Policy| {
        (bits ^ prefix).checked_shr(128 - length).is_none_or(|rest| rest == 0)
    };
    POLICIES.iter().find(fits).map_or((40, 1), |&(_, _, precedence, label)| (precedence, label))
}

const SCOPE_LINK: u8 = 2;
const SCOPE_SITE: u8 = 5;
const SCOPE_GLOBAL: u8 = 14;

/// How far an address is good (§3.1, §3.2).
fn scope(address: Address) -> u8 {
    let octets = address.octets();
    match address.as_v4() {
        Some([169, 254, ..] | [127, ..]) => SCOPE_LINK,
        Some(_) => SCOPE_GLOBAL,
        None if address.is_multicast() => octets[1] & 0xf,
        None if address.is_link_local() || address.is_loopback() => SCOPE_LINK,
        None if octets[0] == 0xfe && octets[1] & 0xc0 == 0xc0 => SCOPE_SITE,
        None => SCOPE_GLOBAL,
    }
}

/// Leading bits that two addresses have in common (§2.2).
fn common(one: Address, other: Address) -> u8 {
    let [one, other] = [one, other].map(|address| u128::from_be_bytes(*address.octets()));
    (one ^ other).leading_zeros() as u8
}

/// The address of ours from which to send to `to` by this interface (§5), among those of its IP
/// version; of equals the first. What is of one link is of no use on another (§4).
pub(crate) fn source(candidates: &[Candidate], by: InterfaceId, to: Address) -> Option<Address> {
    let fits = |own: &&Candidate| {
        let elsewhere = own.interface != by && scope(own.address) == SCOPE_LINK;
        own.address.is_v4() == to.is_v4() && !elsewhere
    };
    let best = candidates
        .iter()
        .filter(fits)
        .reduce(|best, own| if is_better(own, best, by, to) { own } else { best });
    best.map(|own| own.address)
}

/// `one` comes before `other` as the source of what goes to `to`: the first rule that tells them
/// apart decides. Rule 4 is about mobile hosts.
fn is_better(one: &Candidate, other: &Candidate, by: InterfaceId, to: Address) -> bool {
    let (a, b) = (one.address, other.address);
    // Rule 1: the same address.
    if (a == to) != (b == to) {
        return a == to;
    }
    // Rule 2: the smallest scope that is not below the destination's.
    let (scope_a, scope_b) = (scope(a), scope(b));
    if scope_a != scope_b {
        return if scope_a < scope_b { scope_a >= scope(to) } else { scope_b < scope(to) };
    }
    // Rule 3: not a deprecated one.
    if one.deprecated != other.deprecated {
        return other.deprecated;
    }
    // Rule 5: one of the interface that it leaves by.
    if one.interface != other.interface {
        return one.interface == by;
    }
    // Rule 6: the same label.
    let label = policy(to).1;
    let [matches_a, matches_b] = [a, b].map(|own| policy(own).1 == label);
    if matches_a != matches_b {
        return matches_a;
    }
    // Rule 7: a temporary one.
    if one.temporary != other.temporary {
        return one.temporary;
    }
    // Rule 8: the longest prefix in common, no longer than that of the network.
    common(a, to).min(one.prefix) > common(b, to).min(other.prefix)
}

/// Sorts the addresses of another host, the first to be tried first (§6). `source_of` says from
/// where we would send to one, and whether that is deprecated; None: there is no way. The order of
/// those that no rule tells apart stays. Rule 4 is about mobile hosts, rule 7 about tunnels.
pub(crate) fn sort_destinations(
    destinations: &mut [Address],
    source_of: impl Fn(Address) -> Option<(Address, bool)>,
) {
    // In the order of the rules, the smaller first.
    destinations.sort_by_cached_key(|&to| {
        let source = source_of(to);
        let (precedence, label) = policy(to);
        let unusable = source.is_none();
        let (source, deprecated) = source.unwrap_or((to, false));
        let other_scope = scope(to) != scope(source);
        let other_label = policy(source).1 != label;
        let version_and_far = (to.is_v4(), 128 - common(source, to));
        let rules_1_to_6 = (unusable, other_scope, deprecated, other_label, 255 - precedence);
        // Precedence has parted the versions already, where it can.
        (rules_1_to_6, scope(to), version_and_far)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::IpAddr;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn own(text: &str) -> Candidate {
        let (ip, marks) = text.split_once(' ').unwrap_or((text, ""));
        Candidate {
            address: address(ip),
            interface: InterfaceId::FIRST,
            prefix: 64,
            deprecated: marks.contains("deprecated"),
            temporary: marks.contains("temporary"),
        }
    }

    fn chosen(ours: &[&str], to: &str) -> String {
        let ours: Vec<_> = ours.iter().map(|text| own(text)).collect();
        // Whatever the order: no two of these are equal.
        let forth = source(&ours, InterfaceId::FIRST, address(to));
        let back: Vec<_> = ours.iter().rev().copied().collect();
        assert_eq!(source(&back, InterfaceId::FIRST, address(to)), forth, "{to}");
        format!("{:?}", forth.unwrap())
    }

    #[test]
    fn rfc6724_5_the_examples_of_section_10_1() {
        let table: [(&str, &[&str], &str); 9] = [
            ("2001:db8:1::1", &["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),
            ("ff05::1", &["2001:db8:3::1", "fe80::1"], "2001:db8:3::1"),
            ("2001:db8:1::1", &["2001:db8:1::1 deprecated", "2001:db8:2::1"], "2001:db8:1::1"),
            ("fe80::1", &["fe80::2 deprecated", "2001:db8:1::1"], "fe80::2"),
            ("2001:db8:1::1", &["2001:db8:1::2", "2001:db8:3::2"], "2001:db8:1::2"),
            (
                "2002:c633:6401::1",
                &["2002:c633:6401::d5e3:7953:13eb:22e8 temporary", "2001:db8:1::2"],
                "2002:c633:6401:0:d5e3:7953:13eb:22e8",
            ),
            (
                "2001:db8:1::d5e3:0:0:1",
                &["2001:db8:1::2", "2001:db8:1::d5e3:7953:13eb:22e8 temporary"],
                "2001:db8:1:0:d5e3:7953:13eb:22e8",
            ),
            ("fd00::9", &["2001:db8::1", "fd11::1"], "fd11::1"),
            ("2001:db8::9", &["2001:db8::1 deprecated", "2001:db8:7::1"], "2001:db8:7::1"),
        ];
        for (to, ours, wanted) in table {
            let wanted = format!("{:?}", address(wanted));
            assert_eq!(chosen(ours, to), wanted, "{to}");
        }
        assert_eq!(source(&[own("2001:db8::1")], InterfaceId::FIRST, address("192.0.2.1")), None);
    }

    #[test]
    fn rfc6724_5_rule_8_the_interface_identifier_does_not_count() {
        let ours = [own("2001:db8::ffff:0:0:1"), own("2001:db8::1")];
        assert_eq!(
            source(&ours, InterfaceId::FIRST, address("2001:db8::2")),
            Some(ours[0].address),
            "the first"
        );
    }

    fn sorted(ours: &[&str], to: &[&str]) -> Vec<Address> {
        let ours: Vec<_> = ours.iter().map(|text| own(text)).collect();
        let source_of = |to| {
            let source = source(&ours, InterfaceId::FIRST, to)?;
            let own = ours.iter().find(|own| own.address == source)?;
            Some((source, own.deprecated))
        };
        let wanted: Vec<_> = to.iter().map(|text| address(text)).collect();
        let mut back: Vec<_> = wanted.iter().rev().copied().collect();
        sort_destinations(&mut back, source_of);
        assert_eq!(back, wanted);
        back
    }

    #[test]
    fn rfc6724_6_the_examples_of_section_10_2() {
        // Ours, and theirs in the order that is right.
        let table: [(&[&str], &[&str]); 8] = [
            (&["2001:db8:1::2", "fe80::1", "169.254.13.78"], &["2001:db8:1::1", "198.51.100.121"]),
            (&["fe80::1", "198.51.100.117"], &["198.51.100.121", "2001:db8:1::1"]),
            (&["2001:db8:1::2", "fe80::1", "10.1.2.4"], &["2001:db8:1::1", "10.1.2.3"]),
            (&["2001:db8:1::2", "fe80::2"], &["fe80::1", "2001:db8:1::1"]),
            (
                &["2001:db8:1::2", "2001:db8:3f44::2", "fe80::2"],
                &["2001:db8:1::1", "2001:db8:3ffe::1"],
            ),
            (&["2002:c633:6401::2", "fe80::2"], &["2002:c633:6401::1", "2001:db8:1::1"]),
            (
                &["2002:c633:6401::2", "2001:db8:1::2", "fe80::2"],
                &["2001:db8:1::1", "2002:c633:6401::1"],
            ),
            (&["2001:db8::2"], &["2001:db8::1", "192.0.2.1"]),
        ];
        for (ours, theirs) in table {
            sorted(ours, theirs);
        }
        sorted(&["fe80::2 deprecated", "2001:db8:1::2"], &["2001:db8:1::1", "fe80::1"]);
        let mut equal = ["192.0.2.1", "192.0.2.2"].map(address);
        sort_destinations(&mut equal, |_| None);
        assert_eq!(equal, ["192.0.2.1", "192.0.2.2"].map(address), "the order stays");
    }
}
