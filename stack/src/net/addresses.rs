//! The addresses of a host: where each is from, what it may be used for, and for how long
//! (RFC 4862 §5.5.4). Configuration, autoconfiguration and leases all end here.

use super::cidr::Cidr;
use super::selection::Candidate;
use crate::random::Random;
use crate::time::Instant;
use crate::wire::address::Address;
use crate::wire::interface::InterfaceId;
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What an address may be used for (RFC 4862 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressState {
    /// For nothing: others on the link are being asked whether they have it.
    Tentative,
    /// For nothing: another one has it.
    Duplicate,
    /// For everything.
    Preferred,
    /// For what uses it already; what begins takes another, if there is one.
    Deprecated,
}

/// Where an address is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressOrigin {
    /// Somebody said so.
    Configured,
    /// A DHCP server lent it.
    Dhcp,
    /// The host made it from a router's prefix (RFC 4862 §5.5, RFC 7217).
    Slaac,
    /// So it did, and soon makes another (RFC 8981).
    Temporary,
    /// The host made it, for the link alone (RFC 4862 §5.3, RFC 3927).
    LinkLocal,
}

/// For how long an address is good. [`Duration::MAX`] is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Until it is deprecated.
    pub preferred: Duration,
    /// Until it is taken away.
    pub valid: Duration,
}

impl Lifetimes {
    /// As long as the host lives.
    pub const FOREVER: Lifetimes = Lifetimes { preferred: Duration::MAX, valid: Duration::MAX };

    /// Good for everything for so long, and then for nothing: a lease.
    pub const fn lease(valid: Duration) -> Lifetimes {
        Lifetimes { preferred: valid, valid }
    }
}

/// An address to be added, or one whose lifetimes are to be set anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewAddress {
    /// The address, with the prefix of its network.
    pub cidr: Cidr,
    /// Where it is from.
    pub origin: AddressOrigin,
    /// For how long it is good from now on.
    pub lifetimes: Lifetimes,
    /// How often others are asked whether they have it before it is used (RFC 4862 §5.1
    /// DupAddrDetectTransmits, RFC 5227 §1.1 PROBE_NUM); 0: it is used at once. An address that is
    /// in use already is not asked for again.
    pub probes: u8,
    /// The interface that has it: no address is on two.
    pub interface: InterfaceId,
}

impl NewAddress {
    /// An address that is good for ever and at once, because somebody says so.
    pub const fn configured(cidr: Cidr) -> NewAddress {
        let (origin, lifetimes) = (AddressOrigin::Configured, Lifetimes::FOREVER);
        let interface = InterfaceId::FIRST;
        NewAddress { cidr, origin, lifetimes, probes: 0, interface }
    }

    /// The same address on this interface.
    #[must_use]
    pub const fn on(self, interface: InterfaceId) -> NewAddress {
        NewAddress { interface, ..self }
    }
}

/// An address of a host at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressInfo {
    /// The address, with the prefix of its network.
    pub cidr: Cidr,
    /// Where it is from.
    pub origin: AddressOrigin,
    /// What it may be used for.
    pub state: AddressState,
    /// When it will be deprecated; None: never.
    pub preferred_until: Option<Instant>,
    /// When it will be taken away; None: never.
    pub valid_until: Option<Instant>,
    /// The interface that has it.
    pub interface: InterfaceId,
}

impl AddressInfo {
    #[cfg(test)]
    pub(crate) fn configured(cidr: Cidr) -> AddressInfo {
        let (origin, state) = (AddressOrigin::Configured, AddressState::Preferred);
        let (interface, preferred_until, valid_until) = (InterfaceId::FIRST, None, None);
        AddressInfo { cidr, origin, state, preferred_until, valid_until, interface }
    }

    /// Its network is on the link. Of an address that a router's prefix has made only the router
    /// can say so (RFC 5942 §4).
    pub(crate) fn says_what_is_on_the_link(&self) -> bool {
        !matches!(self.origin, AddressOrigin::Slaac | AddressOrigin::Temporary)
    }

    /// As the choice of a source sees it, if it is of IPv6.
    pub(crate) fn candidate(&self) -> Option<Candidate> {
        let candidate = Candidate {
            address: self.cidr.address.into(),
            interface: self.interface,
            prefix: self.cidr.length(),
            deprecated: self.state == AddressState::Deprecated,
            temporary: self.origin == AddressOrigin::Temporary,
        };
        self.cidr.address.is_ipv6().then_some(candidate)
    }
}

/// An address was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddAddressError {
    /// No single host on a link can have it: unspecified, loopback, a group, a broadcast.
    NotForHosts,
    /// It would be of no use: its valid lifetime is zero, or shorter than its preferred one.
    Lifetimes,
    /// The limit `Config::addresses_max` is reached.
    TooManyAddresses,
    /// The link's MTU is less than IPv6 needs (RFC 8200 §5).
    Mtu,
    /// Another interface has it.
    Elsewhere,
    /// There is no such interface.
    NoInterface,
}

impl fmt::Display for AddAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddAddressError::NotForHosts => "no single host can have this address",
            AddAddressError::Lifetimes => {
                "the valid lifetime must be above zero, and not below the preferred one"
            }
            AddAddressError::TooManyAddresses => {
                "too many addresses: remove one or raise Config::addresses_max"
            }
            AddAddressError::Mtu => "the MTU is too little for IPv6: at least 1280",
            AddAddressError::NoInterface => "there is no such interface: add it first",
            AddAddressError::Elsewhere => "another interface has the address: remove it there",
        })
    }
}

impl core::error::Error for AddAddressError {}

/// The host does not have the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchAddress;

impl fmt::Display for NoSuchAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this host does not have the address")
    }
}

impl core::error::Error for NoSuchAddress {}

/// What a host says on its link about an address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Utterance {
    /// "Does anybody have it?" The number tells our own question from others' (RFC 7527 §4).
    Probe { address: Address, nonce: u64 },
    /// "I have it" (RFC 5227 §2.3).
    Announce(Address),
}

/// What an address still has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effort {
    Probe { left: u8 },
    Announce { left: u8 },
    None,
}

/// How long after it comes an address is first asked for, at most: hosts that start together do not
/// speak together (RFC 4862 §5.4.2, RFC 5227 §1.1 PROBE_WAIT).
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// How long an answer to the last question may take: RetransTimer (RFC 4861 §10).
const ANSWER_WAIT_V6: Duration = Duration::from_secs(1);
/// The same for IPv4 (RFC 5227 §1.1): ANNOUNCE_WAIT, and PROBE_MIN to twice that between two.
const ANSWER_WAIT_V4: Duration = Duration::from_secs(2);
const PROBE_MIN: Duration = Duration::from_secs(1);
/// ANNOUNCE_NUM and ANNOUNCE_INTERVAL.
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
struct Entry {
    cidr: Cidr,
    origin: AddressOrigin,
    state: AddressState,
    preferred_until: Instant,
    valid_until: Instant,
    effort: Effort,
    /// When its effort goes on.
    effort_at: Instant,
    nonce: u64,
    interface: InterfaceId,
}

impl Entry {
    fn address(&self) -> Address {
        self.cidr.address.into()
    }

    /// When its state changes by itself.
    fn due(&self) -> Instant {
        let lifetime = match self.state {
            AddressState::Preferred => self.preferred_until.min(self.valid_until),
            _ => self.valid_until,
        };
        lifetime.min(self.effort_at)
    }

    /// The state of an address that nobody else has.
    fn by_lifetime(&self, now: Instant) -> AddressState {
        let preferred = now < self.preferred_until;
        if preferred { AddressState::Preferred } else { AddressState::Deprecated }
    }

    /// Goes on with what it has to say: the next word, and when it goes on after that.
    fn go_on(&mut self, now: Instant, random: &mut Random) -> Option<Utterance> {
        let address = self.address();
        self.effort_at = Instant::FAR_FUTURE;
        match self.effort {
            Effort::Probe { left: 0 } => {
                self.state = self.by_lifetime(now);
                self.effort = Effort::None;
                if address.is_v4() {
                    (self.effort, self.effort_at) = (Effort::Announce { left: ANNOUNCEMENTS }, now);
                }
                None
            }
            Effort::Probe { left } => {
                self.effort = Effort::Probe { left: left - 1 };
                self.effort_at = now
                    + match (address.is_v4(), left) {
                        (false, _) => ANSWER_WAIT_V6,
                        (true, 1) => ANSWER_WAIT_V4,
                        (true, _) => PROBE_MIN + random.part_of(PROBE_MIN),
                    };
                Some(Utterance::Probe { address, nonce: self.nonce })
            }
            Effort::Announce { left: 0 } | Effort::None => {
                self.effort = Effort::None;
                None
            }
            Effort::Announce { left } => {
                self.effort = Effort::Announce { left: left - 1 };
                self.effort_at = now + ANNOUNCE_INTERVAL;
                Some(Utterance::Announce(address))
            }
        }
    }
}

/// The addresses of a host on all its links, few enough to be walked.
#[derive(Clone)]
pub(crate) struct AddressTable {
    limit: usize,
    /// In the order in which they came.
    entries: Vec<Entry>,
    /// Of those that change by themselves.
    deadlines: BTreeSet<(Instant, Address)>,
    /// Addresses that are gone, whose sockets are to be told.
    gone: Vec<Address>,
    /// To be said: at most one word for each address and deadline, for whoever lets time pass takes
    /// them at once.
    utterances: VecDeque<(InterfaceId, Utterance)>,
    random: Random,
    /// Grows with each change.
    changes: u64,
    refused: u64,
}

impl AddressTable {
    /// A table of `limit` addresses at most.
    pub(crate) fn new(limit: usize, random: Random) -> AddressTable {
        AddressTable {
            limit,
            entries: Vec::new(),
            deadlines: BTreeSet::new(),
            gone: Vec::new(),
            utterances: VecDeque::new(),
            random,
            changes: 0,
            refused: 0,
        }
    }

    /// Adds an address, or gives one that is there its lifetimes and its origin anew.
    pub(crate) fn add(&mut self, now: Instant, new: NewAddress) -> Result<(), AddAddressError> {
        let address = Address::from(new.cidr.address);
        if !new.cidr.is_for_a_host() {
            return Err(AddAddressError::NotForHosts);
        }
        let Lifetimes { preferred, valid } = new.lifetimes;
        if valid.is_zero() || preferred > valid {
            return Err(AddAddressError::Lifetimes);
        }
        let mut entry = Entry {
            cidr: Cidr::new(address.to_ip(), new.cidr.length()),
            origin: new.origin,
            state: AddressState::Tentative,
            preferred_until: now + preferred,
            valid_until: now + valid,
            effort: Effort::Probe { left: new.probes },
            effort_at: now + self.random.part_of(PROBE_WAIT),
            // As many bits as the option has.
            nonce: self.random.next_u64() >> 16,
            interface: new.interface,
        };
        if new.probes == 0 {
            (entry.effort, entry.effort_at) = (Effort::None, Instant::FAR_FUTURE);
            entry.state = entry.by_lifetime(now);
        }
        if let Some(known) = self.entries.iter_mut().find(|known| known.address() == address) {
            if known.interface != new.interface {
                return Err(AddAddressError::Elsewhere);
            }
            self.deadlines.remove(&(known.due(), address));
            let in_use = !matches!(known.state, AddressState::Tentative | AddressState::Duplicate);
            if known.state == AddressState::Tentative || (in_use && new.probes > 0) {
                entry.state = if in_use { entry.by_lifetime(now) } else { known.state };
                (entry.effort, entry.effort_at) = (known.effort, known.effort_at);
                entry.nonce = known.nonce;
            }
            *known = entry.clone();
        } else if self.entries.len() < self.limit {
            self.entries.push(entry.clone());
        } else {
            self.refused += 1;
            return Err(AddAddressError::TooManyAddresses);
        }
        self.await_deadline(&entry);
        self.changes += 1;
        Ok(())
    }

    /// Sets the lifetimes of an address anew. One that is to change soon does not last longer than
    /// it was to last when it came.
    pub(crate) fn renew(&mut self, now: Instant, address: Address, lifetimes: Lifetimes) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.address() == address) else {
            return;
        };
        self.deadlines.remove(&(entry.due(), address));
        let (mut preferred, mut valid) = (now + lifetimes.preferred, now + lifetimes.valid);
        if entry.origin == AddressOrigin::Temporary {
            preferred = preferred.min(entry.preferred_until);
            valid = valid.min(entry.valid_until);
        }
        (entry.preferred_until, entry.valid_until) = (preferred, valid);
        if matches!(entry.state, AddressState::Preferred | AddressState::Deprecated) {
            let state = entry.by_lifetime(now);
            self.changes += u64::from(state != entry.state);
            entry.state = state;
        }
        let entry = entry.clone();
        self.await_deadline(&entry);
    }

    fn await_deadline(&mut self, entry: &Entry) {
        if !entry.due().is_never() {
            self.deadlines.insert((entry.due(), entry.address()));
        }
    }

    /// Takes an address away.
    pub(crate) fn remove(&mut self, address: Address) -> Result<(), NoSuchAddress> {
        let at = self.entries.iter().position(|entry| entry.address() == address);
        let entry = self.entries.remove(at.ok_or(NoSuchAddress)?);
        self.deadlines.remove(&(entry.due(), address));
        // No more than there were addresses, for whoever changes them asks at once who is gone.
        self.gone.push(address);
        self.changes += 1;
        Ok(())
    }

    /// Does what time has made due.
    pub(crate) fn advance(&mut self, now: Instant) {
        while let Some(&(due, address)) = self.deadlines.first()
            && due <= now
        {
            self.deadlines.pop_first();
            let Some(entry) = self.entries.iter_mut().find(|entry| entry.address() == address)
            else {
                continue;
            };
            if entry.valid_until <= now {
                let _: Result<(), NoSuchAddress> = self.remove(address);
                continue;
            }
            let before = entry.state;
            if entry.effort_at <= now {
                let word = entry.go_on(now, &mut self.random);
                self.utterances.extend(word.map(|word| (entry.interface, word)));
            }
            if entry.state == AddressState::Preferred {
                entry.state = entry.by_lifetime(now);
            }
            self.changes += u64::from(entry.state != before);
            let entry = entry.clone();
            self.await_deadline(&entry);
        }
    }

    /// When [`advance`](AddressTable::advance) has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// Somebody else has `address`, or looks for it with `nonce` too. Returns what we had of it, if
    /// it was tentative: it is not ours then (RFC 4862 §5.4.5).
    pub(crate) fn on_conflict(
        &mut self,
        interface: InterfaceId,
        address: Address,
        nonce: Option<u64>,
    ) -> Option<AddressInfo> {
        let tentative = |entry: &&mut Entry| {
            entry.address() == address
                && entry.interface == interface
                && entry.state == AddressState::Tentative
        };
        let entry = self.entries.iter_mut().find(tentative)?;
        if nonce == Some(entry.nonce) {
            // Our own question, come back (RFC 7527 §4.2).
            return None;
        }
        self.deadlines.remove(&(entry.due(), address));
        entry.state = AddressState::Duplicate;
        (entry.effort, entry.effort_at) = (Effort::None, Instant::FAR_FUTURE);
        let entry = entry.clone();
        self.await_deadline(&entry);
        self.changes += 1;
        self.iter().find(|info| Address::from(info.cidr.address) == address)
    }

    /// The groups in which neighbours ask for the IPv6 addresses of an interface, and from when on
    /// they are to know that it is a member: with the first question about the address
    /// (RFC 4862 §5.4.2).
    pub(crate) fn solicited_nodes(&self, interface: InterfaceId) -> BTreeMap<Address, Instant> {
        let mut groups = BTreeMap::new();
        let here = self.entries.iter().filter(|it| it.interface == interface);
        let v6 = here.filter(|it| !it.address().is_v4() && it.state != AddressState::Duplicate);
        for entry in v6 {
            let is_asked_for = entry.state == AddressState::Tentative;
            let at = if is_asked_for { entry.effort_at } else { Instant::ZERO };
            let known = groups.entry(entry.address().solicited_node()).or_insert(at);
            *known = at.min(*known);
        }
        groups
    }

    /// The interface on whose link others are being asked whether they have it.
    pub(crate) fn tentative_on(&self, address: Address) -> Option<InterfaceId> {
        let tentative = |entry: &&Entry| entry.state == AddressState::Tentative;
        let mut entries = self.entries.iter().filter(tentative);
        Some(entries.find(|entry| entry.address() == address)?.interface)
    }

    /// The next word to be said.
    pub(crate) fn take_utterance(&mut self) -> Option<(InterfaceId, Utterance)> {
        self.utterances.pop_front()
    }

    /// The next address that is gone, each once.
    pub(crate) fn take_gone(&mut self) -> Option<Address> {
        self.gone.pop()
    }

    /// How often something has changed.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Addresses refused at the limit.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    /// Every address, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = AddressInfo> + '_ {
        let at = |time: Instant| Some(time).filter(|time| !time.is_never());
        self.entries.iter().map(move |entry| AddressInfo {
            cidr: entry.cidr,
            origin: entry.origin,
            state: entry.state,
            preferred_until: at(entry.preferred_until),
            valid_until: at(entry.valid_until),
            interface: entry.interface,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Secret, Seed};
    use core::net::IpAddr;

    fn table(limit: usize) -> AddressTable {
        let dice = Random::from_secret(Secret::derive(&Seed::from_number(1), "test"));
        AddressTable::new(limit, dice)
    }

    /// Those that packets may come from, good for everything first.
    fn usable(table: &AddressTable) -> Vec<String> {
        let of = |state| table.iter().filter(move |info| info.state == state);
        let all = of(AddressState::Preferred).chain(of(AddressState::Deprecated));
        all.map(|info| info.cidr.to_string()).collect()
    }

    fn lasting(text: &str, preferred: u64, valid: u64) -> NewAddress {
        let seconds = Duration::from_secs;
        let lifetimes = Lifetimes { preferred: seconds(preferred), valid: seconds(valid) };
        NewAddress { lifetimes, ..NewAddress::configured(text.parse().unwrap()) }
    }

    fn states(table: &AddressTable) -> Vec<(String, AddressState)> {
        table.iter().map(|info| (info.cidr.to_string(), info.state)).collect()
    }

    #[test]
    fn rfc4862_5_5_4_preferred_then_deprecated_then_gone() {
        let mut table = table(4);
        let at = Instant::from_secs;
        table.add(at(0), lasting("2001:db8::2/64", 10, 30)).unwrap();
        table.add(at(0), NewAddress::configured("192.0.2.2/24".parse().unwrap())).unwrap();
        assert_eq!(table.next_timeout(), Some(at(10)));
        table.advance(at(9));
        let first = |table: &AddressTable| usable(table)[0].clone();
        assert_eq!(first(&table), "2001:db8::2/64");
        table.advance(at(10));
        assert_eq!(states(&table)[0], ("2001:db8::2/64".into(), AddressState::Deprecated));
        assert_eq!(first(&table), "192.0.2.2/24", "what is good for everything goes first");
        assert_eq!((table.next_timeout(), table.take_gone()), (Some(at(30)), None));
        table.advance(at(30));
        assert_eq!(states(&table), [("192.0.2.2/24".into(), AddressState::Preferred)]);
        let gone = "2001:db8::2".parse::<IpAddr>().unwrap().into();
        assert_eq!((table.take_gone(), table.take_gone()), (Some(gone), None));
        assert_eq!(table.next_timeout(), None);
    }

    #[test]
    fn rfc5227_2_1_1_probes_then_announcements() {
        let mut table = table(1);
        let new = NewAddress::configured("192.0.2.2/24".parse().unwrap());
        table.add(Instant::ZERO, NewAddress { probes: 3, ..new }).unwrap();
        let address = Address::v4([192, 0, 2, 2]);
        let (mut said, mut preferred_at) = (Vec::new(), None);
        while let Some(now) = table.next_timeout() {
            table.advance(now);
            while let Some((_, utterance)) = table.take_utterance() {
                let probe =
                    matches!(utterance, Utterance::Probe { address: it, .. } if it == address);
                assert!(probe || utterance == Utterance::Announce(address));
                said.push((now, probe));
            }
            if preferred_at.is_none() && table.tentative_on(address).is_none() {
                preferred_at = Some(now);
            }
        }
        assert_eq!(
            said.iter().map(|(_, probe)| *probe).collect::<Vec<_>>(),
            [true, true, true, false, false]
        );
        let gaps: Vec<f64> =
            said.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs_f64()).collect();
        assert!(said[0].0 <= Instant::from_secs(1), "PROBE_WAIT");
        assert!(gaps[..2].iter().all(|gap| (1.0..=2.0).contains(gap)), "PROBE_MIN to PROBE_MAX");
        assert_eq!((gaps[2], gaps[3]), (2.0, 2.0), "ANNOUNCE_WAIT, ANNOUNCE_INTERVAL");
        assert_eq!(preferred_at, Some(said[3].0));
        table.add(Instant::from_secs(60), NewAddress { probes: 3, ..new }).unwrap();
        assert_eq!(table.next_timeout(), None, "what is in use is not asked for again");
        table.remove(address).unwrap();
        table.add(Instant::from_secs(60), NewAddress { probes: 3, ..new }).unwrap();
        assert!(table.on_conflict(InterfaceId::FIRST, address, None).is_some());
        assert_eq!((table.next_timeout(), table.tentative_on(address).is_some()), (None, false));
        assert_eq!(states(&table)[0].1, AddressState::Duplicate);
    }

    #[test]
    fn adding_again_renews_and_leaves_no_deadline_behind() {
        let mut table = table(1);
        let at = Instant::from_secs;
        table.add(at(0), lasting("192.0.2.2/24", 10, 10)).unwrap();
        table.add(at(5), lasting("192.0.2.2/24", 10, 10)).unwrap();
        assert_eq!((table.deadlines.len(), table.next_timeout()), (1, Some(at(15))));
        table.advance(at(14));
        assert_eq!(usable(&table).len(), 1);
        table.add(at(14), NewAddress::configured("192.0.2.2/16".parse().unwrap())).unwrap();
        assert_eq!((table.next_timeout(), table.changes()), (None, 3));
        assert_eq!(states(&table), [("192.0.2.2/16".into(), AddressState::Preferred)]);
        table.add(at(14), lasting("192.0.2.2/24", 0, 10)).unwrap();
        assert_eq!(states(&table)[0].1, AddressState::Deprecated, "never good for what begins");
        assert_eq!(table.remove("192.0.2.2".parse::<IpAddr>().unwrap().into()), Ok(()));
        assert_eq!((table.next_timeout(), usable(&table).len()), (None, 0));
    }

    #[test]
    fn what_no_host_can_have_and_what_is_too_much() {
        let mut table = table(2);
        let now = Instant::ZERO;
        for bad in ["0.0.0.0/0", "127.0.0.1/8", "224.0.0.1/4", "::/0", "::1/128", "ff02::1/64"] {
            let new = NewAddress::configured(bad.parse().unwrap());
            assert_eq!(table.add(now, new), Err(AddAddressError::NotForHosts), "{bad}");
        }
        for all in ["192.0.2.0/24", "192.0.2.255/24"] {
            let new = NewAddress::configured(all.parse().unwrap());
            assert_eq!(table.add(now, new), Err(AddAddressError::NotForHosts), "{all}");
        }
        for (preferred, valid) in [(0, 0), (2, 1)] {
            let new = lasting("192.0.2.2/24", preferred, valid);
            assert_eq!(table.add(now, new), Err(AddAddressError::Lifetimes));
        }
        for last in 1..=3 {
            let new = NewAddress::configured(format!("192.0.2.{last}/24").parse().unwrap());
            assert_eq!(table.add(now, new).is_ok(), last <= 2);
        }
        assert_eq!((usable(&table).len(), table.refused()), (2, 1));
        table.add(now, lasting("192.0.2.1/24", 5, 5)).unwrap();
        table.advance(Instant::from_secs(5));
        table.add(now, lasting("192.0.2.3/24", 5, 5)).unwrap();
        assert_eq!(usable(&table).len(), 2, "and there is room again");
    }
}
