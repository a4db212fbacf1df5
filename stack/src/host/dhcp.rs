//! A DHCP client: the thread, its socket, and what a lease does to the host.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::clock::entropy;
use super::keeper::{Keeper, Shared, Talk};
use super::runtime::Host;
use crate::net::dhcp::client::{Client, LeaseEvent};
use crate::random::Random;
use crate::{
    AddAddressError, AddressInfo, AddressOrigin, AddressState, Instant, InterfaceId, Lease,
    Lifetimes, NewAddress, NoSuchAddress, Route, UdpOptions,
};

pub(super) const CLIENT_PORT: u16 = 68;
pub(super) const SERVER_PORT: u16 = 67;

/// How often others are asked whether they have the address (RFC 2131 §4.4.1). The server has
/// asked, too.
const PROBES: u8 = 1;

/// How often one looks whether the address is still there, and until it is there whether it is.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_EARLY: Duration = Duration::from_millis(50);

/// How long the farewell may wait for the Ethernet address of the server, or of the router that
/// leads there: two questions, a second apart, and time for their answers.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a host does that finds no DHCP server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutServer {
    /// It has no address.
    #[default]
    Waits,
    /// It gives itself one for the link alone (RFC 3927), until a server lends a better one.
    HelpsItself,
}

/// Where and how a host asks for an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DhcpOptions {
    /// On which of its links; by default the first.
    pub interface: InterfaceId,
    /// An address from an earlier life, which is asked for first.
    pub previous: Option<Ipv4Addr>,
    /// What it does as long as no server answers. On links beside the first it waits.
    pub without_server: WithoutServer,
}

/// Gets an address from a DHCP server (RFC 2131) and keeps it: the host has it, and the routes
/// that come with it, for as long as it is lent. When it is lost, what uses it ends. Dropping the
/// client gives the address back, which takes two seconds at most. A host has one client on each of
/// its links at most.
///
/// ```no_run
/// use std::time::Duration;
/// use stack::host::{DhcpClient, Host};
/// # fn start(host: &Host) -> std::io::Result<()> {
/// let client = DhcpClient::start(host, None)?;
/// if let Some(lease) = client.wait(Duration::from_secs(30)) {
///     println!("{} from {}", lease.address, lease.server);
/// }
/// # Ok(())
/// # }
/// ```
pub struct DhcpClient {
    keeper: Keeper<Lease>,
}

impl DhcpClient {
    /// Begins to ask on the host's first link, for `previous` first: an address from an earlier
    /// life.
    ///
    /// # Errors
    /// As [`DhcpClient::start_with`].
    pub fn start(host: &Host, previous: Option<Ipv4Addr>) -> io::Result<DhcpClient> {
        DhcpClient::start_with(host, DhcpOptions { previous, ..DhcpOptions::default() })
    }

    /// Begins to ask as `options` say.
    ///
    /// # Errors
    /// `AddrInUse` if the link has a client already; `NotFound` if there is no such interface;
    /// `InvalidInput` if the host is to help itself on another link than the first; the operating
    /// system's refusal of entropy or a thread; the host has been shut down.
    pub fn start_with(host: &Host, options: DhcpOptions) -> io::Result<DhcpClient> {
        let DhcpOptions { interface, previous, without_server: alone } = options;
        if alone == WithoutServer::HelpsItself && interface != InterfaceId::FIRST {
            let what = "a host gives itself an address on its first interface only";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let link = host.with_stack(|stack, now| {
            stack.interfaces().find(|it| it.id == interface).map(|it| (now, it.mac))
        });
        let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no such interface");
        let (now, mac) = link.ok_or_else(missing)?;
        let local = (Ipv4Addr::UNSPECIFIED, CLIENT_PORT);
        let there = UdpOptions { interface: Some(interface), ..UdpOptions::default() };
        let talk = Talk::open(host, local, SERVER_PORT, there)?;
        talk.socket().set_broadcast(true)?;
        let waker = talk.waker();
        let client = Client::new(now, mac, previous, Random::new(&entropy()?));
        let (host, routes) = (host.clone(), Vec::new());
        let mut worker = Worker { host, interface, talk, client, routes, alone };
        let keeper = Keeper::start("dhcp", waker, move |shared| worker.run(shared))?;
        Ok(DhcpClient { keeper })
    }

    /// The lease, while there is one.
    pub fn lease(&self) -> Option<Lease> {
        self.keeper.get()
    }

    /// Waits for a lease.
    pub fn wait(&self, timeout: Duration) -> Option<Lease> {
        self.keeper.wait(timeout)
    }
}

impl fmt::Debug for DhcpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhcpClient").field("lease", &self.lease()).finish()
    }
}

/// What the thread has.
struct Worker {
    host: Host,
    interface: InterfaceId,
    talk: Talk,
    client: Client,
    /// The routes that the lease has brought.
    routes: Vec<Route>,
    alone: WithoutServer,
}

impl Worker {
    fn run(&mut self, shared: &Shared<Lease>) {
        loop {
            let now = self.host.with_stack(|_, now| now);
            self.talk.hear(|message, _| self.client.on_message(now, message));
            self.client.advance(now);
            if shared.is_stopping() {
                // The farewell is sent by the address that is then given up.
                let lent = self.client.lease().map(|lease| lease.address.address);
                self.client.release(now);
                self.speak();
                lent.into_iter().for_each(|address| self.see_off(now, address));
            }
            self.follow(now, shared);
            self.look_after_the_address(now, shared);
            self.speak();
            if self.alone == WithoutServer::HelpsItself && self.client.is_alone() {
                self.host.begin_link_local_v4();
            }
            if self.client.is_stopped() {
                return;
            }
            let until = (self.client.next_timeout() - now).min(self.leisure(shared));
            if let Err(error) = self.talk.wait(until) {
                return log::debug!("DHCP ends: {error}");
            }
        }
    }

    /// When to look at the address again.
    fn leisure(&self, shared: &Shared<Lease>) -> Duration {
        match (self.client.lease(), shared.get()) {
            (None, _) => Duration::MAX,
            (Some(_), None) => LOOK_EARLY,
            (Some(_), Some(_)) => LOOK,
        }
    }

    fn speak(&mut self) {
        while let Some(out) = self.client.poll_transmit() {
            let to = SocketAddr::from((out.to, SERVER_PORT));
            if let Err(error) = self.talk.socket().send_to(&out.message, to) {
                log::debug!("DHCP to {to}: {error}");
            }
        }
    }

    /// Waits until the farewell has left: with an address goes what waits for a neighbour.
    fn see_off(&mut self, began: Instant, address: IpAddr) {
        let end = began + FAREWELL;
        while self.host.with_stack(|stack, now| now < end && stack.has_waiting(address)) {
            self.talk.hear(|_, _| ());
            if let Err(error) = self.talk.wait(LOOK_EARLY) {
                return log::debug!("DHCP ends: {error}");
            }
        }
    }

    /// The lease holds as soon as nobody on the link has its address (RFC 2131 §4.4.1). One that is
    /// gone although it is lent is one that somebody else has.
    fn look_after_the_address(&mut self, now: Instant, shared: &Shared<Lease>) {
        let Some(lease) = self.client.lease().cloned() else { return };
        let all = self.host.addresses();
        let own = all.iter().find(|info| self.is_lent(info, lease.address.address));
        match own.map(|info| info.state) {
            Some(AddressState::Tentative) => (),
            Some(AddressState::Preferred | AddressState::Deprecated) => self.hold(lease, shared),
            Some(AddressState::Duplicate) | None => {
                self.client.on_conflict(now);
                self.follow(now, shared);
            }
        }
    }

    /// The address is the one that was lent here, and not another link's.
    fn is_lent(&self, info: &AddressInfo, address: IpAddr) -> bool {
        let here = info.interface == self.interface && info.origin == AddressOrigin::Dhcp;
        here && info.cidr.address == address
    }

    fn hold(&mut self, lease: Lease, shared: &Shared<Lease>) {
        if shared.get().as_ref() == Some(&lease) {
            return;
        }
        self.set_routes(&lease.routes);
        if self.alone == WithoutServer::HelpsItself {
            self.host.end_link_local_v4();
        }
        log::info!("DHCP: {} from {}", lease.address, lease.server);
        shared.set(Some(lease));
    }

    /// Does what has become of the lease.
    fn follow(&mut self, now: Instant, shared: &Shared<Lease>) {
        while let Some(event) = self.client.poll_event() {
            match event {
                LeaseEvent::Bound(lease, since) => {
                    if let Err(error) = self.take(&lease, now - since) {
                        log::warn!("DHCP: {}: {error}", lease.address);
                        self.client.release(now);
                    }
                }
                LeaseEvent::Lost(address) => {
                    log::info!("DHCP: {address} is no longer ours");
                    self.set_routes(&[]);
                    // It may have ended by itself; and what another link has was never this one's.
                    let lent = |info: &AddressInfo| self.is_lent(info, address.into());
                    if self.host.addresses().iter().any(lent) {
                        let _: Result<(), NoSuchAddress> = self.host.remove_address(address.into());
                    }
                    shared.set(None);
                }
            }
        }
    }

    /// Adds the leased address, or makes it last longer.
    fn take(&self, lease: &Lease, age: Duration) -> Result<(), AddAddressError> {
        let lifetimes = match lease.time {
            Duration::MAX => Lifetimes::FOREVER,
            time => Lifetimes::lease(time.saturating_sub(age)),
        };
        let (cidr, origin) = (lease.address, AddressOrigin::Dhcp);
        let configured = NewAddress::configured(cidr).on(self.interface);
        self.host.add_address(NewAddress { origin, lifetimes, probes: PROBES, ..configured })
    }

    fn set_routes(&mut self, wanted: &[Route]) {
        let wanted: Vec<Route> = wanted.iter().map(|route| route.by(self.interface)).collect();
        let host = &self.host;
        self.routes.retain(|old| {
            let stays = wanted.contains(old);
            if !stays && let Err(error) = host.remove_route(old) {
                log::debug!("DHCP: {error}");
            }
            stays
        });
        for route in wanted {
            // Those that were there before stay when the lease goes.
            if !self.routes.contains(&route) && host.add_route(route).is_ok() {
                self.routes.push(route);
            }
        }
    }
}
