//! Packets that could not leave a link: who sent them learns of it.

use super::Stack;
use crate::net::icmp::{Quoted, Unreachable};
use crate::tcp::error::TcpError;
use crate::tcp::seq::Seq;
use crate::time::Instant;
use crate::udp::echo::{EchoAnswer, EchoReplyKind};
use crate::udp::error::NetworkErrorKind;
use crate::wire::address::FlowKey;
use crate::wire::parse;

impl Stack {
    /// Neighbours that did not answer, or made room for others before they did: who sent the
    /// packets that waited learns it.
    pub(super) fn report_failed_neighbors(&mut self, now: Instant) {
        for id in self.interfaces.ids() {
            let failed =
                |stack: &mut Stack| stack.interfaces.get_mut(id).link.neighbors.poll_failed();
            while let Some((neighbor, packets)) = failed(self) {
                if self.interfaces.get_mut(id).routers.on_silence(neighbor) {
                    self.follow_routes();
                }
                for packet in packets {
                    self.counters.ip_out_discards += 1;
                    self.report_undeliverable(now, &packet);
                }
            }
        }
    }

    /// A packet of ours that could not leave the link.
    pub(super) fn report_undeliverable(&mut self, now: Instant, packet: &[u8]) {
        let Some(quoted) = Quoted::parse(packet) else { return };
        let FlowKey { local, remote } = quoted.flow();
        match quoted.protocol {
            parse::PROTOCOL_TCP => {
                let (flow, seq) = (FlowKey { local, remote }, Seq(quoted.sequence));
                let error = TcpError::HostUnreachable;
                self.tcp.on_no_neighbor(now, &mut self.counters, &flow, seq, error);
            }
            parse::PROTOCOL_UDP => {
                self.tell_udp(local, remote, quoted.src, NetworkErrorKind::Host);
            }
            parse::PROTOCOL_ICMP | parse::PROTOCOL_ICMPV6 => {
                if let Some((ident, sequence)) = quoted.echo() {
                    let kind = EchoReplyKind::Unreachable(Unreachable::Host.code());
                    let (from, to, ttl) = (quoted.src, quoted.dst, 0);
                    let answer = EchoAnswer { from, to, sequence, ttl, kind };
                    let _: bool = self.echo.deliver(now, ident, answer, &[]);
                }
            }
            _ => {}
        }
    }
}
