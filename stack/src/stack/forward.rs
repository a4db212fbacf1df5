//! What a host does that stands for all addresses: which packets for others it takes in, and what
//! becomes of SYNs for nobody.

use super::Stack;
use crate::net::route::By;
use crate::socket::{Incoming, IncomingId, ListenerId, TcpId};
use crate::tcp::error::{DecideError, ListenError};
use crate::tcp::options::TcpOptions;
use crate::time::Instant;
use crate::wire::address::Address;
use crate::wire::parse::{self, IpPacket};

impl Stack {
    /// Hears from now on of every SYN for an address and port where nobody listens: its listener is
    /// `READABLE` when [`Stack::next_incoming`] has one to tell of. A program decides on each,
    /// whenever it can; until then its sender gets no answer. Connections begin with `options`.
    /// [`Stack::close_listener`] ends it; what it has accepted lives on.
    ///
    /// # Errors
    /// `AddressNotAvailable` unless [`Config::any_address`](crate::Config::any_address) is set;
    /// `AddressInUse` where there is a forwarder already; `TooManyListeners`.
    pub fn open_forwarder(&mut self, options: TcpOptions) -> Result<ListenerId, ListenError> {
        if !self.config.any_address {
            return Err(ListenError::AddressNotAvailable);
        }
        self.tcp.open_forwarder(options).map(ListenerId)
    }

    /// The next SYN that wants a decision, each once, in the order in which they came. One that
    /// nobody decides on is forgotten after `TcpConfig::forward_decision`.
    pub fn next_incoming(&mut self, forwarder: ListenerId) -> Option<Incoming> {
        let (key, flow) = self.tcp.next_undecided(forwarder.0)?;
        let (from, to) = (flow.remote.to_socket_addr(), flow.local.to_socket_addr());
        Some(Incoming { id: IncomingId(key), from, to })
    }

    /// It waits still for a decision.
    pub fn is_undecided(&self, id: IncomingId) -> bool {
        self.tcp.undecided(id.0).is_some()
    }

    /// Accepts: the SYN-ACK leaves with the address that the SYN was for. The connection is
    /// `WRITABLE` once the handshake is finished, and `ERROR` if it fails.
    ///
    /// # Errors
    /// See [`DecideError`].
    pub fn accept_incoming(&mut self, now: Instant, id: IncomingId) -> Result<TcpId, DecideError> {
        let remote = self.tcp.undecided(id.0).map(|half| half.flow.remote.address);
        // The address may be of no interface, so the route decides.
        let hop = remote.and_then(|remote| self.routes.lookup(By::Any, remote));
        self.tcp.interface = hop.map(|hop| hop.interface).unwrap_or_default();
        self.tcp.accept_undecided(now, &mut self.counters, id.0).map(TcpId)
    }

    /// Refuses with a RST, as a closed port does, and as often as `TcpConfig::resets` lets it.
    /// False: it waits no longer.
    pub fn reset_incoming(&mut self, now: Instant, id: IncomingId) -> bool {
        self.tcp.reset_undecided(now, &mut self.counters, id.0)
    }

    /// Forgets it without a word, as a firewall does. Should its sender send the SYN again, that is
    /// a new one to decide on. False: it waits no longer.
    pub fn drop_incoming(&mut self, id: IncomingId) -> bool {
        self.tcp.drop_undecided(&mut self.counters, id.0)
    }

    /// An address of this host, or one that it stands for.
    pub(super) fn answers_for(&self, address: Address) -> bool {
        self.routes.is_local(address) || self.stands_for(address)
    }

    /// An address of somebody else for which this host answers: not one that has a meaning on the
    /// link, nor one that it hopes to have itself.
    pub(super) fn stands_for(&self, address: Address) -> bool {
        self.config.any_address
            && address.is_valid_source()
            && !address.is_link_local()
            && !self.routes.is_local(address)
            && !self.routes.is_broadcast(address)
            && self.addresses.tentative_on(address).is_none()
    }
}

/// What of packets for others is taken in: segments, datagrams, and errors about them. Pings are
/// not: that somebody else is there is not for this host to say.
pub(super) fn is_taken_in(packet: &IpPacket<'_>) -> bool {
    let kind = packet.payload.first();
    match packet.protocol {
        parse::PROTOCOL_TCP | parse::PROTOCOL_UDP => true,
        // Unreachable, time exceeded, parameter problem (RFC 792).
        parse::PROTOCOL_ICMP => matches!(kind, Some(3 | 11 | 12)),
        // Errors have numbers below 128 (RFC 4443 §2.1).
        parse::PROTOCOL_ICMPV6 => matches!(kind, Some(0..128)),
        _ => false,
    }
}
