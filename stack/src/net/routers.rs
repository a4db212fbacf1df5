//! The routers of a link and what they have said of it (RFC 4861 §6.3): the ways out, the prefixes
//! on the link, the servers and domains of names; and when to ask them.

use super::advertisement::{Advertisement, Preference, Prefix};
use super::cidr::Cidr;
use super::dns::name::DomainName;
use super::route::Route;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::address::Address;
use core::time::Duration;

/// Routers, prefixes, servers and domains that are remembered (THREATS N-6). Beyond, what is new is
/// refused: who came first is not pushed out by a stranger.
const ROUTERS_MAX: usize = 10;
const PREFIXES_MAX: usize = 10;
const SERVERS_MAX: usize = 8;
const DOMAINS_MAX: usize = 8;

/// Between the first solicitations (RFC 7559 §2, IRT), and at most (MRT).
const FIRST_INTERVAL: Duration = Duration::from_secs(4);
const LONGEST_INTERVAL: Duration = Duration::from_secs(3600);

/// The smallest MTU that a router may ask for (RFC 8200 §5).
const MTU_MIN: u32 = 1280;

#[derive(Clone, Debug)]
struct Router {
    address: Address,
    preference: Preference,
    until: Instant,
    /// It did not answer when it was needed (RFC 4861 §6.3.6).
    silent: bool,
}

#[derive(Clone, Debug)]
struct OnLink {
    prefix: Cidr,
    until: Instant,
}

/// What routers have said.
#[derive(Clone)]
pub(crate) struct Routers {
    /// In the order in which they came.
    routers: Vec<Router>,
    prefixes: Vec<OnLink>,
    servers: Vec<(Address, Instant)>,
    domains: Vec<(DomainName, Instant)>,
    /// When to ask next, and how long after that again.
    ask_at: Instant,
    interval: Duration,
    hop_limit: Option<u8>,
    mtu: Option<u32>,
    managed: bool,
    other: bool,
    refused: u64,
    random: Random,
    /// When there is something to do.
    due: Instant,
}

impl Routers {
    pub(crate) fn new(random: Random) -> Routers {
        Routers {
            routers: Vec::new(),
            prefixes: Vec::new(),
            servers: Vec::new(),
            domains: Vec::new(),
            ask_at: Instant::FAR_FUTURE,
            interval: FIRST_INTERVAL,
            hop_limit: None,
            mtu: None,
            managed: false,
            other: false,
            refused: 0,
            random,
            due: Instant::FAR_FUTURE,
        }
    }

    /// The link can be used: ask who is there (RFC 4861 §6.3.7). A delay of its own is not needed
    /// behind that of the search for duplicates.
    pub(crate) fn begin(&mut self, now: Instant) {
        (self.ask_at, self.interval) = (now, FIRST_INTERVAL);
        self.find_due();
    }

    /// It asks, until somebody answers.
    pub(crate) fn is_asking(&self) -> bool {
        !self.ask_at.is_never()
    }

    /// True when it is time to ask once more; the next time is twice as far, give or take a tenth
    /// (RFC 7559 §2).
    pub(crate) fn take_question(&mut self, now: Instant) -> bool {
        if now < self.ask_at {
            return false;
        }
        let tenth = self.interval / 10;
        self.ask_at = now + self.interval - tenth + tenth * self.random.below(2001) / 1000;
        self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
        self.find_due();
        true
    }

    /// A router has spoken. True when routes may have changed.
    pub(crate) fn hear(&mut self, now: Instant, said: &Advertisement) -> bool {
        if !said.lifetime.is_zero() {
            // RFC 7559 §2: who has a way out asks no more.
            self.ask_at = Instant::FAR_FUTURE;
        }
        self.hop_limit = said.hop_limit.or(self.hop_limit);
        self.mtu = said.mtu.filter(|mtu| *mtu >= MTU_MIN).or(self.mtu);
        (self.managed, self.other) = (said.managed, said.other);
        let mut changed = self.hear_router(now, said);
        for prefix in said.prefixes.iter().filter(|prefix| prefix.on_link) {
            changed |= self.hear_prefix(now, prefix);
        }
        for (server, lifetime) in &said.servers {
            let kept = keep(&mut self.servers, SERVERS_MAX, server, now, *lifetime);
            self.refused += u64::from(!kept);
        }
        for (domain, lifetime) in &said.domains {
            let kept = keep(&mut self.domains, DOMAINS_MAX, domain, now, *lifetime);
            self.refused += u64::from(!kept);
        }
        self.find_due();
        changed
    }

    /// RFC 4861 §6.3.4: a new one comes in, one that is known lasts longer, or not at all.
    fn hear_router(&mut self, now: Instant, said: &Advertisement) -> bool {
        let (until, preference) = (now + said.lifetime, said.preference);
        let at = self.routers.iter().position(|router| router.address == said.router);
        match at {
            Some(at) if said.lifetime.is_zero() => {
                self.routers.remove(at);
                return true;
            }
            Some(at) => {
                let Some(router) = self.routers.get_mut(at) else { return false };
                let changed = router.preference != preference || router.silent;
                // RFC 4861 §6.3.6: who speaks is not known to be unreachable.
                (router.until, router.preference, router.silent) = (until, preference, false);
                return changed;
            }
            None if said.lifetime.is_zero() => return false,
            None => {}
        }
        if self.routers.len() >= ROUTERS_MAX {
            self.refused += 1;
            return false;
        }
        self.routers.push(Router { address: said.router, preference, until, silent: false });
        true
    }

    fn hear_prefix(&mut self, now: Instant, prefix: &Prefix) -> bool {
        let network = Cidr::new(prefix.address.to_ip(), prefix.length);
        let network = Cidr::new(network.network(), prefix.length);
        let until = now + prefix.valid;
        if let Some(known) = self.prefixes.iter_mut().find(|known| known.prefix == network) {
            known.until = until;
            return prefix.valid.is_zero() && self.forget(now);
        }
        if prefix.valid.is_zero() {
            return false;
        }
        if self.prefixes.len() >= PREFIXES_MAX {
            self.refused += 1;
            return false;
        }
        self.prefixes.push(OnLink { prefix: network, until });
        true
    }

    /// Forgets what is over. True when routes have changed.
    pub(crate) fn forget(&mut self, now: Instant) -> bool {
        let before = (self.routers.len(), self.prefixes.len());
        self.routers.retain(|router| router.until > now);
        self.prefixes.retain(|known| known.until > now);
        self.servers.retain(|(_, until)| *until > now);
        self.domains.retain(|(_, until)| *until > now);
        if self.routers.is_empty() && before.0 > 0 {
            self.begin(now);
        }
        self.find_due();
        (self.routers.len(), self.prefixes.len()) != before
    }

    /// A neighbour does not answer: if it is a router, the others come first from now on. True when
    /// routes have changed.
    pub(crate) fn on_silence(&mut self, address: Address) -> bool {
        let Some(router) = self.routers.iter_mut().find(|router| router.address == address) else {
            return false;
        };
        router.silent = true;
        if self.routers.iter().all(|router| router.silent) {
            // None is better than another: each in its turn (RFC 4861 §6.3.6).
            self.routers.rotate_left(1);
            self.routers.iter_mut().for_each(|router| router.silent = false);
        }
        true
    }

    /// A neighbour answers: if it is a router that did not when it was needed, it is as good as the
    /// others again (RFC 4861 §6.3.6). True when routes have changed.
    pub(crate) fn on_answer(&mut self, address: Address) -> bool {
        let mut silent = self.routers.iter_mut().filter(|router| router.silent);
        let router = silent.find(|router| router.address == address);
        router.map(|router| router.silent = false).is_some()
    }

    /// When there is something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        Some(self.due).filter(|due| !due.is_never())
    }

    fn find_due(&mut self) {
        let routers = self.routers.iter().map(|router| router.until);
        let prefixes = self.prefixes.iter().map(|known| known.until);
        let servers = self.servers.iter().map(|(_, until)| *until);
        let domains = self.domains.iter().map(|(_, until)| *until);
        let first = routers.chain(prefixes).chain(servers).chain(domains).min();
        self.due = first.map_or(self.ask_at, |first| first.min(self.ask_at));
    }

    /// The routes that follow: what is on the link, and the best way out.
    pub(crate) fn routes(&self) -> impl Iterator<Item = Route> + '_ {
        let on_link = self.prefixes.iter();
        let on_link = on_link.map(|known| Route::new(known.prefix, None));
        on_link.chain(self.best().map(|router| Route::default_via(router.address.to_ip())))
    }

    /// The one that answers, then the one that wants to be used most, then the first.
    fn best(&self) -> Option<&Router> {
        let mut all: Vec<&Router> = self.routers.iter().collect();
        all.sort_by_key(|router| (router.silent, core::cmp::Reverse(router.preference)));
        all.first().copied()
    }

    /// Every router that is a way out.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Address> + '_ {
        self.routers.iter().map(|router| router.address)
    }

    /// The servers of names.
    pub(crate) fn servers(&self) -> impl Iterator<Item = Address> + '_ {
        self.servers.iter().map(|(server, _)| *server)
    }

    /// The domains that short names are looked for in.
    pub(crate) fn domains(&self) -> impl Iterator<Item = &DomainName> {
        self.domains.iter().map(|(domain, _)| domain)
    }

    pub(crate) fn hop_limit(&self) -> Option<u8> {
        self.hop_limit
    }

    pub(crate) fn mtu(&self) -> Option<u32> {
        self.mtu
    }

    /// Addresses, and other things, are to be had from DHCP.
    pub(crate) fn dhcp(&self) -> (bool, bool) {
        (self.managed, self.other)
    }

    /// Routers, prefixes, servers and domains refused at their limits.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}

/// Something that a router tells of lasts so long from now on, or no longer. False: there is no
/// room for it.
fn keep<T: Clone + PartialEq>(
    all: &mut Vec<(T, Instant)>,
    most: usize,
    new: &T,
    now: Instant,
    lifetime: Duration,
) -> bool {
    all.retain(|(known, _)| known != new);
    if lifetime.is_zero() {
        return true;
    }
    let fits = all.len() < most;
    if fits {
        all.push((new.clone(), now + lifetime));
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Secret, Seed};
    use core::net::IpAddr;

    fn address(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn routers() -> Routers {
        Routers::new(Random::from_secret(Secret::derive(&Seed::from_number(1), "test")))
    }

    fn said(router: u128, lifetime: u64, preference: Preference) -> Advertisement {
        Advertisement {
            router: Address::v6(0xfe80 << 112 | router),
            mac: None,
            hop_limit: None,
            managed: false,
            other: false,
            preference,
            lifetime: Duration::from_secs(lifetime),
            reachable: None,
            retransmit: None,
            mtu: None,
            prefixes: Vec::new(),
            servers: Vec::new(),
            domains: Vec::new(),
        }
    }

    fn on_link(network: u128, valid: u64) -> Prefix {
        Prefix {
            address: Address::v6(0x2001_0db8 << 96 | network << 64 | 9),
            length: 64,
            on_link: true,
            autonomous: true,
            valid: Duration::from_secs(valid),
            preferred: Duration::from_secs(valid),
        }
    }

    fn way(routers: &Routers) -> Option<String> {
        let default = routers.routes().find(|route| route.destination.prefix == 0);
        Some(default?.gateway?.to_string())
    }

    #[test]
    fn rfc7559_2_questions_back_off() {
        let mut routers = routers();
        let mut now = Instant::from_secs(5);
        assert_eq!(routers.next_timeout(), None);
        routers.begin(now);
        let mut gaps = Vec::new();
        for _ in 0..14 {
            assert!(routers.take_question(now) && !routers.take_question(now));
            let next = routers.next_timeout().unwrap();
            gaps.push((next - now).as_secs_f64());
            now = next;
        }
        for (gap, wanted) in gaps.iter().zip([4.0, 8.0, 16.0, 32.0, 64.0]) {
            assert!((gap / wanted - 1.0).abs() <= 0.1 + 1e-6, "{gap} for {wanted}");
        }
        assert!(gaps[13] <= 3960.0 && gaps[13] >= 3240.0);
        routers.hear(now, &said(1, 1800, Preference::Medium));
        assert!(!routers.take_question(now + Duration::from_secs(1000)));
        assert!(routers.forget(now + Duration::from_secs(1800)), "and asks again when it is alone");
        assert!(routers.take_question(now + Duration::from_secs(1800)));
    }

    #[test]
    fn rfc4861_6_3_4_routers_come_last_and_go() {
        let (mut routers, at) = (routers(), Instant::from_secs);
        assert!(!routers.hear(at(0), &said(1, 0, Preference::High)), "a host that speaks");
        assert_eq!(way(&routers), None);
        assert!(routers.hear(at(0), &said(1, 100, Preference::Medium)));
        assert!(routers.hear(at(0), &said(2, 100, Preference::Medium)));
        assert_eq!(way(&routers).as_deref(), Some("fe80::1"), "the first of equals");
        assert!(routers.hear(at(0), &said(3, 200, Preference::High)));
        assert_eq!(way(&routers).as_deref(), Some("fe80::3"));
        assert!(routers.hear(at(50), &said(3, 0, Preference::High)), "lifetime 0");
        assert_eq!(way(&routers).as_deref(), Some("fe80::1"));
        assert!(!routers.hear(at(50), &said(1, 100, Preference::Medium)), "it lasts longer");
        assert_eq!(routers.next_timeout(), Some(at(100)));
        assert!(routers.forget(at(100)));
        assert_eq!(routers.addresses().collect::<Vec<_>>(), [address("fe80::1")]);
        assert!(routers.forget(at(150)));
        assert_eq!(way(&routers), None);
    }

    #[test]
    fn rfc4861_6_3_6_one_that_answers_is_better_than_one_that_does_not() {
        let (mut routers, now) = (routers(), Instant::ZERO);
        routers.hear(now, &said(1, 100, Preference::High));
        routers.hear(now, &said(2, 100, Preference::Low));
        assert!(!routers.on_silence(address("fe80::9")));
        assert!(routers.on_silence(address("fe80::1")));
        assert_eq!(way(&routers).as_deref(), Some("fe80::2"));
        assert!(routers.on_silence(address("fe80::2")));
        assert_eq!(way(&routers).as_deref(), Some("fe80::1"), "each in its turn");
    }

    #[test]
    fn rfc4861_6_3_6_one_that_speaks_or_answers_again_is_as_good_as_before() {
        let (mut routers, now) = (routers(), Instant::ZERO);
        routers.hear(now, &said(1, 100, Preference::High));
        routers.hear(now, &said(2, 100, Preference::Low));
        for speaks in [true, false] {
            assert!(routers.on_silence(address("fe80::1")));
            assert_eq!(way(&routers).as_deref(), Some("fe80::2"));
            assert!(!routers.on_answer(address("fe80::2")), "it was there");
            assert!(!routers.on_answer(address("fe80::9")), "no router");
            assert!(if speaks {
                routers.hear(now, &said(1, 100, Preference::High))
            } else {
                routers.on_answer(address("fe80::1"))
            });
            assert_eq!(way(&routers).as_deref(), Some("fe80::1"), "speaks: {speaks}");
        }
        assert!(!routers.hear(now, &said(1, 100, Preference::High)), "nothing new");
    }

    #[test]
    fn n6_a_rogue_fills_no_more_than_its_place() {
        let (mut routers, now) = (routers(), Instant::ZERO);
        routers.hear(now, &said(1, 100, Preference::Medium));
        for router in 2..2000 {
            let mut rogue = said(router, 100, Preference::Medium);
            rogue.prefixes = (0..16).map(|n| on_link(router * 16 + n, 100)).collect();
            rogue.servers = vec![(Address::v6(router), Duration::MAX)];
            (rogue.mtu, rogue.hop_limit) = (Some(router as u32 % 1280), None);
            routers.hear(now, &rogue);
        }
        assert_eq!(routers.routers.len(), ROUTERS_MAX);
        assert_eq!(routers.routes().count(), PREFIXES_MAX + 1);
        assert_eq!(routers.servers().count(), SERVERS_MAX);
        assert!(routers.refused() > 30_000);
        assert_eq!((way(&routers).as_deref(), routers.mtu()), (Some("fe80::1"), None));
        assert_eq!(routers.hop_limit(), None);
        routers.forget(Instant::from_secs(100));
        let mut late = said(5000, 100, Preference::Medium);
        late.prefixes = vec![on_link(1, 100)];
        assert!(routers.hear(Instant::from_secs(100), &late), "and there is room again");
        assert_eq!(routers.routes().count(), 2);
    }

    #[test]
    fn prefixes_on_the_link_have_an_end() {
        let (mut routers, at) = (routers(), Instant::from_secs);
        let mut word = said(1, 1000, Preference::Medium);
        word.prefixes = vec![on_link(7, 100)];
        assert!(routers.hear(at(0), &word) && !routers.hear(at(50), &word));
        let network = routers.routes().next().unwrap();
        assert_eq!(network.destination.to_string(), "2001:db8:0:7::/64");
        assert!(!routers.forget(at(100)) && routers.forget(at(150)));
        assert!(routers.hear(at(150), &word));
        word.prefixes = vec![on_link(7, 0)];
        assert!(routers.hear(at(150), &word), "withdrawn");
        assert_eq!(routers.routes().count(), 1);
    }
}
