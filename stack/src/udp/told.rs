//! What a socket is told of datagrams that it has sent: by the network, and by this host.

use super::error::{NetworkError, NetworkErrorKind, UdpError};
use super::socket::{MtuDiscovery, UdpOptions, UdpSocket};
use super::table::{UdpTable, Way};
use crate::store::arena::Key;
use crate::wire::address::{Address, Endpoint};
use crate::wire::interface::InterfaceId;

impl UdpTable {
    pub(crate) fn take_error(&mut self, key: Key<UdpSocket>) -> Option<UdpError> {
        self.socket_mut(key)?.error.take()
    }

    /// A datagram is too long for the path: who wants to know is told what would fit.
    pub(super) fn refuse_long(&mut self, key: Key<UdpSocket>, to: Endpoint, way: Way) {
        let kind = NetworkErrorKind::TooLong { mtu: u16::try_from(way.mtu).unwrap_or(u16::MAX) };
        let (from, remote) = (way.source.to_ip(), to.to_socket_addr());
        self.tell(key, NetworkError { kind, from, remote });
    }

    /// A datagram that went to `remote` has become too long for its path. Only a connected socket
    /// hears of it: others could not tell which of their peers it is about.
    pub(crate) fn on_too_long(&mut self, here: InterfaceId, local: Endpoint, remote: Endpoint) {
        let Some(key) = self.find(here, local, remote) else { return };
        self.fail_connected(key, UdpError::MessageTooLong);
    }

    fn fail_connected(&mut self, key: Key<UdpSocket>, error: UdpError) {
        if let Some(socket) = self.socket_mut(key).filter(|socket| socket.remote.is_some()) {
            socket.error = Some(error);
            self.events.push(&mut self.sockets, key);
        }
    }

    /// This host has lost `address`: the sockets that send from it are told.
    pub(crate) fn lose_address(&mut self, address: Address) {
        let lost = self.sockets.iter().filter(|(_, socket)| socket.local.address == address);
        for key in lost.map(|(key, _)| key).collect::<Vec<_>>() {
            let Some(socket) = self.socket_mut(key) else { continue };
            socket.error = Some(UdpError::AddressLost);
            self.events.push(&mut self.sockets, key);
        }
    }

    /// What was said of a datagram that went from `local`. A socket that wants to know hears all of
    /// it (RFC 1122 §4.1.3.3); another one, as in Linux, if it is connected and the error will not
    /// pass. False: it has as much as it may keep.
    pub(crate) fn on_network_error(
        &mut self,
        here: InterfaceId,
        local: Endpoint,
        said: NetworkError,
    ) -> bool {
        let Some(key) = self.find(here, local, Endpoint::from(said.remote)) else { return true };
        let Some(UdpOptions { network_errors, mtu_discovery, .. }) =
            self.socket(key).map(UdpSocket::options)
        else {
            return true;
        };
        // Who lets routers cut has nothing to learn of one that does not.
        let is_idle = matches!(said.kind, NetworkErrorKind::TooBig { .. })
            && mtu_discovery == MtuDiscovery::Dont;
        if !network_errors && said.kind.is_hard() && !is_idle {
            self.fail_connected(key, said.kind.into());
        }
        self.tell(key, said)
    }

    fn tell(&mut self, key: Key<UdpSocket>, said: NetworkError) -> bool {
        let most = self.limits.errors;
        let Some(socket) = self.socket_mut(key) else { return true };
        if !socket.options.network_errors {
            return true;
        }
        let room = socket.hear(said, most);
        self.events.push(&mut self.sockets, key);
        room
    }

    pub(crate) fn take_network_error(&mut self, key: Key<UdpSocket>) -> Option<NetworkError> {
        self.socket_mut(key)?.take_network_error()
    }
}
