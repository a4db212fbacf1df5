//! What goes beside the text of a datagram: the control messages of sendmsg and recvmsg, as values.

use std::net::{IpAddr, SocketAddr};

use super::family::Family;
use super::{
    IP_PKTINFO, IP_RECVTOS, IP_RECVTTL, IPPROTO_IP, IPPROTO_IPV6, IPV6_RECVHOPLIMIT,
    IPV6_RECVPKTINFO, IPV6_RECVTCLASS,
};
use crate::host::errno::Errno;
use crate::{InterfaceId, NetworkError, ReceivedDatagram, SendDatagram};

/// Linux's `struct in_pktinfo` and `in6_pktinfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketInfo {
    /// The interface that it came in by; in sending the one that it leaves by, or 0 for any.
    pub interface: u32,
    /// The address of this host that the datagram was sent to, or is to be sent from; in sending
    /// the unspecified one stands for any.
    pub address: IpAddr,
    /// What came for many hosts is answered from this address (`ipi_spec_dst`), and so it is sent
    /// from here if it is sent back with this; None: from `address`.
    pub own: Option<IpAddr>,
}

/// Control messages.
///
/// Received ones are there if the socket has asked for them (`IP_PKTINFO`, `IPV6_RECVPKTINFO` ...);
/// those given in sending hold for this datagram alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// `IP_PKTINFO`, `IPV6_PKTINFO`.
    pub packet_info: Option<PacketInfo>,
    /// `IP_TTL`, `IPV6_HOPLIMIT`.
    pub ttl: Option<u8>,
    /// `IP_TOS`, `IPV6_TCLASS`.
    pub tos: Option<u8>,
    /// In sending `UDP_SEGMENT`: the text is datagrams of so many bytes. Received, `UDP_GRO`: it is
    /// several.
    pub segment: Option<u16>,
    /// `IP_RECVERR`, `IPV6_RECVERR`: what came with MSG_ERRQUEUE.
    pub error: Option<NetworkError>,
}

/// What recvmsg received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Bytes of text; with MSG_TRUNC those of the whole datagram.
    pub length: usize,
    /// Who sent a datagram; with MSG_ERRQUEUE who was to receive it. Of a stream that is not said.
    pub from: Option<SocketAddr>,
    /// What the socket has asked for.
    pub control: Control,
    /// MSG_TRUNC if the text was cut, MSG_ERRQUEUE if this is an error.
    pub flags: i32,
}

/// The control messages that a socket wants with each datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    pub(super) packet_info: bool,
    pub(super) ttl: bool,
    pub(super) tos: bool,
}

impl Asked {
    /// The switch that is this option.
    ///
    /// # Errors
    /// ENOPROTOOPT: it is none of these.
    pub(super) fn option(&mut self, level: i32, name: i32) -> Result<&mut bool, Errno> {
        match (level, name) {
            (IPPROTO_IP, IP_PKTINFO) | (IPPROTO_IPV6, IPV6_RECVPKTINFO) => {
                Ok(&mut self.packet_info)
            }
            (IPPROTO_IP, IP_RECVTTL) | (IPPROTO_IPV6, IPV6_RECVHOPLIMIT) => Ok(&mut self.ttl),
            (IPPROTO_IP, IP_RECVTOS) | (IPPROTO_IPV6, IPV6_RECVTCLASS) => Ok(&mut self.tos),
            _ => Err(Errno::ENOPROTOOPT),
        }
    }

    /// `own`: the address to answer from, where the datagram was for many.
    pub(super) fn of(
        self,
        family: Family,
        datagram: &ReceivedDatagram,
        own: Option<IpAddr>,
    ) -> Control {
        let tell = |address| family.tell((address, 0).into()).ip();
        let (address, own) = (tell(datagram.to), own.map(tell));
        let packet_info = PacketInfo { interface: datagram.interface.index(), address, own };
        Control {
            packet_info: self.packet_info.then_some(packet_info),
            ttl: self.ttl.then_some(datagram.ttl),
            tos: self.tos.then_some(datagram.tos),
            segment: datagram.segment,
            error: None,
        }
    }
}

impl Control {
    /// How a datagram is sent to `to` with these.
    ///
    /// # Errors
    /// EINVAL for a time to live of 0 and for an error; `interface`'s for a number.
    pub(super) fn sending(
        &self,
        to: Option<SocketAddr>,
        interface: impl FnOnce(u32) -> Result<Option<InterfaceId>, Errno>,
    ) -> Result<SendDatagram, Errno> {
        let Control { ttl, tos, segment, .. } = *self;
        if ttl == Some(0) || self.error.is_some() {
            return Err(Errno::EINVAL);
        }
        let from = self.packet_info.map(|info| info.own.unwrap_or(info.address));
        let interface = self.packet_info.map_or(Ok(None), |info| interface(info.interface))?;
        Ok(SendDatagram { to, from, ttl, tos, segment, interface })
    }
}
