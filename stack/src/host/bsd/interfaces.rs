//! Interfaces by number and by name, and the sockets that are bound to one.

use super::options::{change_udp, int};
use super::socket::{Kind, Role, Sock};
use super::{
    Bsd, IP_UNICAST_IF, IPPROTO_IP, IPPROTO_IPV6, IPV6_UNICAST_IF, SO_BINDTODEVICE,
    SO_BINDTOIFINDEX, SOL_SOCKET,
};
use crate::host::errno::Errno;
use crate::{InterfaceId, InterfaceInfo};

impl Bsd {
    /// The number of the interface that is called so (`if_nametoindex`).
    ///
    /// # Errors
    /// ENODEV.
    pub fn interface_index(&self, name: &str) -> Result<u32, Errno> {
        Ok(self.called(name)?.id.index())
    }

    /// What the interface with this number is called (`if_indextoname`).
    ///
    /// # Errors
    /// ENODEV.
    pub fn interface_name(&self, index: u32) -> Result<String, Errno> {
        Ok(self.numbered(index)?.name.to_string())
    }

    /// All interfaces, by number and name (`if_nameindex`).
    pub fn interfaces(&self) -> Vec<(u32, String)> {
        self.core.shard.ask(|engine| {
            let all = engine.stack.interfaces();
            all.map(|it| (it.id.index(), it.name.to_string())).collect()
        })
    }

    /// The interface with this number; 0 is any.
    pub(super) fn interface(&self, index: u32) -> Result<Option<InterfaceId>, Errno> {
        match index {
            0 => Ok(None),
            _ => self.numbered(index).map(|it| Some(it.id)),
        }
    }

    fn numbered(&self, index: u32) -> Result<InterfaceInfo, Errno> {
        self.find_interface(|it| it.id.index() == index)
    }

    fn called(&self, name: &str) -> Result<InterfaceInfo, Errno> {
        self.find_interface(|it| it.name.as_str() == name)
    }

    fn find_interface(&self, is: impl Fn(&InterfaceInfo) -> bool) -> Result<InterfaceInfo, Errno> {
        let found = self.core.shard.ask(|engine| engine.stack.interfaces().find(is));
        found.ok_or(Errno::ENODEV)
    }

    /// Sets an option of this kind; None: it is another.
    pub(super) fn set_interface(
        &self,
        sock: &Sock,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Option<Result<(), Errno>> {
        let number = || int(value, 0).map(i32::cast_unsigned);
        let from_network = || number().and_then(|it| self.interface(u32::from_be(it)));
        Some(match (level, name) {
            (SOL_SOCKET, SO_BINDTODEVICE) => {
                self.named(value).and_then(|interface| bind(sock, interface))
            }
            (SOL_SOCKET, SO_BINDTOIFINDEX) => {
                let interface = number().and_then(|it| self.interface(it));
                interface.and_then(|interface| bind(sock, interface))
            }
            (IPPROTO_IP, IP_UNICAST_IF) | (IPPROTO_IPV6, IPV6_UNICAST_IF)
                if sock.kind == Kind::Datagram =>
            {
                from_network().and_then(|interface| {
                    change_udp(sock, |options| options.unicast_interface = interface)
                })
            }
            _ => return None,
        })
    }

    /// A name, which may end with a zero; none is any interface.
    fn named(&self, value: &[u8]) -> Result<Option<InterfaceId>, Errno> {
        let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
        if name.is_empty() {
            return Ok(None);
        }
        let name = core::str::from_utf8(name).map_err(|_| Errno::ENODEV)?;
        self.called(name).map(|it| Some(it.id))
    }

    /// The value of SO_BINDTODEVICE: nothing, or a name and a zero.
    pub(super) fn bound_name(&self, sock: &Sock) -> Result<Vec<u8>, Errno> {
        match bound(sock) {
            None => Ok(Vec::new()),
            Some(id) => Ok(format!("{}\0", self.interface_name(id.index())?).into_bytes()),
        }
    }
}

/// The interface that a socket is bound to.
pub(super) fn bound(sock: &Sock) -> Option<InterfaceId> {
    let state = sock.state();
    // A connection that was accepted has it from its listener.
    state.tcp_options().map_or(state.tcp.interface, |options| options.interface)
}

/// Binds a socket to an interface, or to none. Of streams and datagram sockets that is settled once
/// they have an address.
fn bind(sock: &Sock, interface: Option<InterfaceId>) -> Result<(), Errno> {
    let mut state = sock.state();
    match &state.role {
        Role::Idle if state.bound.is_none() => {}
        Role::Ping(socket) => socket.bind_interface(interface),
        _ => return Err(Errno::EINVAL),
    }
    (state.tcp.interface, state.udp.interface) = (interface, interface);
    Ok(())
}
