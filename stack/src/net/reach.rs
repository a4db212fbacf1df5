//! Which local addresses a socket's name stands for: one, or all of one IP version, or all.

use crate::wire::address::Address;

/// The local addresses that a socket wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    One(Address),
    /// `0.0.0.0`.
    V4,
    /// `::`, of a socket for IPv6 only (RFC 3493 §5.3).
    V6,
    /// `::`.
    Both,
}

impl Reach {
    /// Of a socket named `address`.
    pub(crate) fn of(address: Address) -> Reach {
        match (address.is_unspecified(), address.is_v4()) {
            (false, _) => Reach::One(address),
            (true, true) => Reach::V4,
            (true, false) => Reach::Both,
        }
    }

    /// All that have `address`, the most exact first.
    pub(crate) fn with(address: Address) -> [Reach; 3] {
        let version = if address.is_v4() { Reach::V4 } else { Reach::V6 };
        [Reach::One(address), version, Reach::Both]
    }

    /// Of a socket that speaks IPv6 only.
    pub(crate) fn without_v4(self) -> Reach {
        if self == Reach::Both { Reach::V6 } else { self }
    }

    pub(crate) fn contains(self, address: Address) -> bool {
        match self {
            Reach::One(own) => own == address,
            Reach::V4 => address.is_v4(),
            Reach::V6 => !address.is_v4(),
            Reach::Both => true,
        }
    }

    /// There is an address that both want: two sockets may not have it on one port.
    pub(crate) fn overlaps(self, other: Reach) -> bool {
        match (self, other) {
            (Reach::One(address), all) | (all, Reach::One(address)) => all.contains(address),
            (Reach::V4, Reach::V6) | (Reach::V6, Reach::V4) => false,
            _ => true,
        }
    }

    /// A packet to `remote` can come from one of them.
    pub(crate) fn speaks_to(self, remote: Address) -> bool {
        if remote.is_v4() { self.has_v4() } else { self.has_v6() }
    }

    /// It has addresses of IPv4.
    pub(crate) fn has_v4(self) -> bool {
        self.overlaps(Reach::V4)
    }

    pub(crate) fn has_v6(self) -> bool {
        self.overlaps(Reach::V6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3493_5_3_a_name_of_ipv6_stands_for_both_unless_it_says_otherwise() {
        let (v4, v6) = (Address::v4([192, 0, 2, 1]), Address::v6(0x2001_0db8 << 96 | 1));
        let any = [Address::UNSPECIFIED_V4, Address::UNSPECIFIED_V6];
        let reach = [
            Reach::of(v4),
            Reach::of(v6).without_v4(),
            Reach::of(any[0]),
            Reach::of(any[1]).without_v4(),
            Reach::of(any[1]),
        ];
        // Rows and columns: one of IPv4, one of IPv6, all of IPv4, all of IPv6, all.
        let overlap = [
            [true, false, true, false, true],
            [false, true, false, true, true],
            [true, false, true, false, true],
            [false, true, false, true, true],
            [true, true, true, true, true],
        ];
        for (row, one) in overlap.iter().zip(reach) {
            assert_eq!(reach.map(|other| one.overlaps(other)), *row, "{one:?}");
            assert_eq!([one.contains(v4), one.contains(v6)], [row[0], row[1]]);
            assert_eq!([one.has_v4(), one.has_v6()], [row[2], row[3]]);
            assert_eq!([v4, v6].map(|it| Reach::with(it).contains(&one)), [row[0], row[1]]);
            assert_eq!([one.speaks_to(v4), one.speaks_to(v6)], [row[2], row[3]]);
        }
    }
}
