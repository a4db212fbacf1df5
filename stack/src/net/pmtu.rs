//! What the path to each destination carries, where that is less than our link does (RFC 1191,
//! RFC 8201 §5.2). Who may say so is judged before: a segment in flight, a socket that has sent.

use crate::time::Instant;
use crate::wire::address::Address;
use crate::wire::interface::{InterfaceId, InterfaceSet, PerInterface};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

/// Every host takes packets of 576 bytes (RFC 1122 §3.3.2), every link of IPv6 carries 1280
/// (RFC 8200 §5): no path counts as narrower.
const LEAST_V4: u16 = 576;
const LEAST_V6: u16 = 1280;

/// No link of IPv4 carries less (RFC 791 §3.2): who says so lies.
const LEAST_LINK_V4: u16 = 68;

/// Sizes that links have, for routers that do not say which (RFC 1191 §7).
const PLATEAUS: [u16; 8] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006, 576];

/// The longest packets that our own link carries, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkMtu {
    pub(crate) v4: usize,
    /// A router may have said that it is less (RFC 4861 §6.3.4).
    pub(crate) v6: usize,
}

impl LinkMtu {
    fn new(mtu: usize) -> LinkMtu {
        LinkMtu { v4: mtu, v6: mtu }
    }

    pub(crate) fn to(self, destination: Address) -> usize {
        if destination.is_v4() { self.v4 } else { self.v6 }
    }
}

/// What a host's own links carry, and whether they carry anything.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    mtus: PerInterface<LinkMtu>,
    /// Those by which nothing can leave: their devices are down.
    pub(crate) down: InterfaceSet,
}

impl Links {
    /// One link, for packets of `mtu` bytes.
    pub(crate) fn new(mtu: usize) -> Links {
        Links { mtus: PerInterface::new(LinkMtu::new(mtu)), down: InterfaceSet::EMPTY }
    }

    pub(crate) fn mtu(&self, interface: InterfaceId) -> LinkMtu {
        *self.mtus.get(interface)
    }

    /// The link of one more interface.
    pub(crate) fn add(&mut self, mtu: usize) {
        self.mtus.push(LinkMtu::new(mtu));
    }

    /// A router says what packets of IPv6 the link carries, which is no more than the device does.
    pub(crate) fn limit_v6(&mut self, interface: InterfaceId, mtu: usize) {
        let known = self.mtus.get_mut(interface);
        known.v6 = known.v4.min(mtu);
    }
}

/// The limits of what is remembered of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathLimits {
    /// Destinations; for a new one the one learnt longest ago is forgotten and counted as
    /// `PathMtusEvicted`. Default 256.
    pub destinations: usize,
    /// How long a path is believed to be narrow; then it is tried again. Default 10 minutes
    /// (RFC 1191 §6.3, RFC 8201 §4).
    pub life: Duration,
}

impl Default for PathLimits {
    fn default() -> PathLimits {
        PathLimits { destinations: 256, life: Duration::from_secs(600) }
    }
}

/// The longest packet that a path carries, bytes, and until when that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathMtu {
    pub(crate) mtu: u16,
    pub(crate) until: Instant,
}

/// The paths that are narrower than our link.
#[derive(Clone)]
pub(crate) struct PathMtus {
    limits: PathLimits,
    paths: BTreeMap<Address, PathMtu>,
    by_age: BTreeSet<(Instant, Address)>,
    evicted: u64,
}

impl PathMtus {
    pub(crate) fn new(limits: PathLimits) -> PathMtus {
        PathMtus { limits, paths: BTreeMap::new(), by_age: BTreeSet::new(), evicted: 0 }
    }

    /// What is known of the path to `destination`.
    pub(crate) fn get(&self, now: Instant, destination: Address) -> Option<PathMtu> {
        self.paths.get(&destination).copied().filter(|path| path.until > now)
    }

    /// The longest packet for `destination` over a link of this MTU.
    pub(crate) fn mtu(&self, now: Instant, destination: Address, link: usize) -> usize {
        self.get(now, destination).map_or(link, |path| usize::from(path.mtu).min(link))
    }

    /// A router cannot forward a packet of `sent` bytes and says that `told` would fit, or 0. What
    /// is to be believed of this packet, if anything; of all others only what is less than before.
    /// `link` is the MTU of our own.
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        destination: Address,
        (told, sent): (u16, u16),
        link: usize,
    ) -> Option<PathMtu> {
        let known = self.mtu(now, destination, link);
        let mtu = believed(destination, told, sent.min(known as u16))?;
        let path = PathMtu { mtu, until: now + self.limits.life };
        if usize::from(mtu) >= known {
            return (usize::from(mtu) < link).then_some(path);
        }
        self.forget(destination);
        if self.paths.len() >= self.limits.destinations {
            let oldest = self.by_age.first().map(|(_, address)| *address)?;
            self.forget(oldest);
            self.evicted += 1;
        }
        self.paths.insert(destination, path);
        self.by_age.insert((path.until, destination));
        Some(path)
    }

    fn forget(&mut self, destination: Address) {
        if let Some(path) = self.paths.remove(&destination) {
            self.by_age.remove(&(path.until, destination));
        }
    }

    /// Paths forgotten so far to make room for others.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }
}

/// What a router's word on a packet of `sent` bytes means.
fn believed(destination: Address, told: u16, sent: u16) -> Option<u16> {
    if !destination.is_v4() {
        // Less than every link carries is nobody's honest word (RFC 8201 §4).
        return (told >= LEAST_V6).then_some(told);
    }
    match told {
        // A router older than RFC 1191: the next size that links have.
        0 => PLATEAUS.into_iter().find(|&plateau| plateau < sent),
        1..LEAST_LINK_V4 => None,
        _ => Some(told.max(LEAST_V4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: u16 = 1_500;

    fn v4(n: u32) -> Address {
        Address::v4((0x0a00_0000 + n).to_be_bytes())
    }

    const V6: Address = Address::v6(0x2001_0db8 << 96 | 1);

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    #[test]
    fn t16_what_no_router_says_is_not_believed() {
        let rows = [
            (v4(1), 1_400, Some(1_400)),
            (v4(1), 576, Some(576)),
            (v4(1), 575, Some(576)),
            (v4(1), 68, Some(576)),
            (v4(1), 67, None),
            (v4(1), 1, None),
            (v4(1), 1_500, None),
            (v4(1), 65_535, None),
            (V6, 1_400, Some(1_400)),
            (V6, 1_280, Some(1_280)),
            (V6, 1_279, None),
            (V6, 0, None),
            (V6, 1_500, None),
        ];
        for (to, told, wanted) in rows {
            let mut paths = PathMtus::new(PathLimits::default());
            let learnt = paths.learn(at(1), to, (told, SENT), 1_500);
            assert_eq!(learnt.map(|path| path.mtu), wanted, "{told}");
            assert_eq!(paths.mtu(at(2), to, 1_500), wanted.unwrap_or(1_500).into());
        }
    }

    #[test]
    fn rfc1191_7_old_routers_lead_down_from_one_plateau_to_the_next() {
        let mut paths = PathMtus::new(PathLimits::default());
        let mut sent = 9_000;
        let mut seen = Vec::new();
        while let Some(path) = paths.learn(at(1), v4(1), (0, sent), 9_000) {
            sent = path.mtu;
            seen.push(sent);
        }
        assert_eq!(seen, [8_166, 4_352, 2_002, 1_492, 1_006, 576]);
    }

    #[test]
    fn rfc1191_6_3_a_path_is_narrow_for_ten_minutes_and_never_wider_by_hearsay() {
        let mut paths = PathMtus::new(PathLimits::default());
        let mut learn = |secs, told| {
            let learnt = paths.learn(at(secs), v4(1), (told, SENT), 1_500);
            learnt.map(|path| (path.mtu, paths.mtu(at(secs), v4(1), 1_500)))
        };
        assert_eq!(learn(0, 1_300), Some((1_300, 1_300)));
        assert_eq!(learn(1, 1_400), Some((1_400, 1_300)), "of one packet");
        assert_eq!(learn(100, 1_200), Some((1_200, 1_200)), "narrower, from now on");
        assert_eq!(paths.mtu(at(699), v4(1), 1_500), 1_200);
        assert_eq!(paths.mtu(at(700), v4(1), 1_500), 1_500);
        assert!(
            paths.learn(at(700), v4(1), (1_400, SENT), 1_500).is_some(),
            "the old is forgotten"
        );
        let over = |link| paths.mtu(at(701), v4(1), link);
        assert_eq!((over(1_500), over(1_000)), (1_400, 1_000));
    }

    #[test]
    fn t16_the_oldest_path_makes_room_for_the_newest() {
        let mut paths = PathMtus::new(PathLimits::default());
        for n in 0..1_000 {
            assert!(paths.learn(at(n.into()), v4(n), (1_300, SENT), 1_500).is_some());
            assert!(paths.paths.len() <= 256 && paths.paths.len() == paths.by_age.len());
        }
        assert_eq!(paths.evicted(), 1_000 - 256);
        // Beyond the limit the table goes on working as before.
        for (n, known) in [(743, false), (744, true), (999, true)] {
            let fresh = paths.get(at(999), v4(n)).is_some();
            assert_eq!(fresh, known && n + 600 > 999, "{n}");
        }
        let mut none = PathMtus::new(PathLimits { destinations: 0, ..PathLimits::default() });
        assert_eq!(none.learn(at(1), v4(1), (1_300, SENT), 1_500), None);
    }
}
