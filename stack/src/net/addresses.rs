//! The addresses of a host: where each is from, what it may be used for, and for how long
//! (RFC 4862 §5.5.4). Configuration, autoconfiguration and leases all end here.

use super::cidr::Cidr;
use crate::time::Instant;
use crate::wire::address::Address;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeSet;

/// What an address may be used for (RFC 4862 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressState {
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
}

impl NewAddress {
    /// An address that is good for ever, because somebody says so.
    pub const fn configured(cidr: Cidr) -> NewAddress {
        let (origin, lifetimes) = (AddressOrigin::Configured, Lifetimes::FOREVER);
        NewAddress { cidr, origin, lifetimes }
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

#[derive(Clone, Debug)]
struct Entry {
    cidr: Cidr,
    origin: AddressOrigin,
    state: AddressState,
    preferred_until: Instant,
    valid_until: Instant,
}

impl Entry {
    fn address(&self) -> Address {
        self.cidr.address.into()
    }

    /// When its state changes by itself.
    fn due(&self) -> Instant {
        match self.state {
            AddressState::Preferred => self.preferred_until.min(self.valid_until),
            AddressState::Deprecated => self.valid_until,
        }
    }
}

/// The addresses of a host with one link, few enough to be walked.
#[derive(Clone)]
pub(crate) struct AddressTable {
    limit: usize,
    /// In the order in which they came.
    entries: Vec<Entry>,
    /// Of those that change by themselves.
    deadlines: BTreeSet<(Instant, Address)>,
    /// Addresses that are gone, whose sockets are to be told.
    gone: Vec<Address>,
    /// Grows with each change.
    changes: u64,
    refused: u64,
}

impl AddressTable {
    /// A table of `limit` addresses at most.
    pub(crate) fn new(limit: usize) -> AddressTable {
        AddressTable {
            limit,
            entries: Vec::new(),
            deadlines: BTreeSet::new(),
            gone: Vec::new(),
            changes: 0,
            refused: 0,
        }
    }

    /// Adds an address, or gives one that is there its lifetimes and its origin anew.
    pub(crate) fn add(&mut self, now: Instant, new: NewAddress) -> Result<(), AddAddressError> {
        let address = Address::from(new.cidr.address);
        let broadcast = new.cidr.broadcast().map(IpAddr::from) == Some(new.cidr.address);
        if !address.is_valid_source() || broadcast {
            return Err(AddAddressError::NotForHosts);
        }
        let Lifetimes { preferred, valid } = new.lifetimes;
        if valid.is_zero() || preferred > valid {
            return Err(AddAddressError::Lifetimes);
        }
        let deprecated = preferred.is_zero();
        let entry = Entry {
            cidr: Cidr::new(address.to_ip(), new.cidr.length()),
            origin: new.origin,
            state: if deprecated { AddressState::Deprecated } else { AddressState::Preferred },
            preferred_until: now + preferred,
            valid_until: now + valid,
        };
        if let Some(known) = self.entries.iter_mut().find(|known| known.address() == address) {
            self.deadlines.remove(&(known.due(), address));
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
            entry.state = AddressState::Deprecated;
            let entry = entry.clone();
            self.await_deadline(&entry);
            self.changes += 1;
        }
    }

    /// When [`advance`](AddressTable::advance) has something to do.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
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

    /// Every address that packets may come from, those good for everything first.
    pub(crate) fn usable(&self) -> Vec<Cidr> {
        let of = |state| self.entries.iter().filter(move |entry| entry.state == state);
        let all = of(AddressState::Preferred).chain(of(AddressState::Deprecated));
        all.map(|entry| entry.cidr).collect()
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut table = AddressTable::new(4);
        let at = Instant::from_secs;
        table.add(at(0), lasting("2001:db8::2/64", 10, 30)).unwrap();
        table.add(at(0), NewAddress::configured("192.0.2.2/24".parse().unwrap())).unwrap();
        assert_eq!(table.next_timeout(), Some(at(10)));
        table.advance(at(9));
        let first = |table: &AddressTable| table.usable()[0].to_string();
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
    fn adding_again_renews_and_leaves_no_deadline_behind() {
        let mut table = AddressTable::new(1);
        let at = Instant::from_secs;
        table.add(at(0), lasting("192.0.2.2/24", 10, 10)).unwrap();
        table.add(at(5), lasting("192.0.2.2/24", 10, 10)).unwrap();
        assert_eq!((table.deadlines.len(), table.next_timeout()), (1, Some(at(15))));
        table.advance(at(14));
        assert_eq!(table.usable().len(), 1);
        table.add(at(14), NewAddress::configured("192.0.2.2/16".parse().unwrap())).unwrap();
        assert_eq!((table.next_timeout(), table.changes()), (None, 3));
        assert_eq!(states(&table), [("192.0.2.2/16".into(), AddressState::Preferred)]);
        table.add(at(14), lasting("192.0.2.2/24", 0, 10)).unwrap();
        assert_eq!(states(&table)[0].1, AddressState::Deprecated, "never good for what begins");
        assert_eq!(table.remove("192.0.2.2".parse::<IpAddr>().unwrap().into()), Ok(()));
        assert_eq!((table.next_timeout(), table.usable()), (None, Vec::new()));
    }

    #[test]
    fn what_no_host_can_have_and_what_is_too_much() {
        let mut table = AddressTable::new(2);
        let now = Instant::ZERO;
        for bad in ["0.0.0.0/0", "127.0.0.1/8", "224.0.0.1/4", "::/0", "::1/128", "ff02::1/64"] {
            let new = NewAddress::configured(bad.parse().unwrap());
            assert_eq!(table.add(now, new), Err(AddAddressError::NotForHosts), "{bad}");
        }
        let broadcast = NewAddress::configured("192.0.2.255/24".parse().unwrap());
        assert_eq!(table.add(now, broadcast), Err(AddAddressError::NotForHosts));
        for (preferred, valid) in [(0, 0), (2, 1)] {
            let new = lasting("192.0.2.2/24", preferred, valid);
            assert_eq!(table.add(now, new), Err(AddAddressError::Lifetimes));
        }
        for last in 1..=3 {
            let new = NewAddress::configured(format!("192.0.2.{last}/24").parse().unwrap());
            assert_eq!(table.add(now, new).is_ok(), last <= 2);
        }
        assert_eq!((table.usable().len(), table.refused()), (2, 1));
        table.add(now, lasting("192.0.2.1/24", 5, 5)).unwrap();
        table.advance(Instant::from_secs(5));
        table.add(now, lasting("192.0.2.3/24", 5, 5)).unwrap();
        assert_eq!(table.usable().len(), 2, "and there is room again");
    }
}
