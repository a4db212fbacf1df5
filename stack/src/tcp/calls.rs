//! The calls of the application that begin and end TCP objects (RFC 9293 §3.10.1 to §3.10.5).

use super::close::Ended;
use super::error::{AcceptError, ConnectError, ListenError, RecvError, TcpError};
use super::layer::{ListenerName, TcpLayer};
use super::listener::{ListenOptions, Listener};
use super::open::{Start, announced_mss};
use super::options::TcpOptions;
use super::state::State;
use super::tcb::{Cx, Tcb};
use crate::counters::Counters;
use crate::net::reach::Reach;
use crate::random::Random;
use crate::store::arena::Key;
use crate::time::Instant;
use crate::wire::address::{Address, Endpoint, FlowKey};
use crate::wire::interface::InterfaceId;
use std::sync::Arc;

impl TcpLayer {
    /// A passive OPEN. Port 0 picks an ephemeral one.
    pub(crate) fn listen(
        &mut self,
        local: Endpoint,
        options: ListenOptions,
        random: &mut Random,
    ) -> Result<Key<Listener>, ListenError> {
        let reach = options.tcp.reach(local.address);
        let local = match local.port {
            0 => Endpoint {
                port: self.ephemeral_listener(reach, options.tcp.interface, random)?,
                ..local
            },
            _ => local,
        };
        let only = options.tcp.interface;
        if self.conflicts((local.port, reach, only), options.reuse_port) {
            return Err(ListenError::AddressInUse);
        }
        let backlog = options.backlog.min(self.config.backlog_max).max(1);
        let tcp = options.tcp.clamped();
        let fast_open = self.listen_fast_open(options.fast_open, backlog);
        let options = ListenOptions { backlog, tcp, fast_open, ..options };
        let listener = Listener::new(local, options);
        let key = self.listeners.insert(listener).map_err(|_| ListenError::TooManyListeners)?;
        self.ports.entry((local.port, reach, only)).or_default().push(key);
        Ok(key)
    }

    /// Another listener has the port, for an address that is wanted too, and does not share it.
    fn conflicts(&self, (port, wanted, only): ListenerName, shares: bool) -> bool {
        let from_here = self.ports.range((port, Reach::One(Address::MIN), None)..);
        let same_port = from_here.take_while(|((other, ..), _)| *other == port);
        let mut rivals = same_port.filter(|((.., other), _)| *other == only);
        rivals.any(|((_, reach, _), listeners)| {
            // Where there are several, all of them share it.
            let first = listeners.first().and_then(|key| self.listeners.get(*key));
            let shared = shares && first.is_some_and(|other| other.options.reuse_port);
            reach.overlaps(wanted) && !shared
        })
    }

    fn ephemeral_listener(
        &self,
        reach: Reach,
        only: Option<InterfaceId>,
        random: &mut Random,
    ) -> Result<u16, ListenError> {
        let mut ports = self.ephemeral_ports(random);
        let free = ports.find(|&port| !self.conflicts((port, reach, only), false));
        free.ok_or(ListenError::NoPorts)
    }

    /// Every ephemeral port once, from a random one on (RFC 6056 §3.3.1, algorithm 1).
    fn ephemeral_ports(&self, random: &mut Random) -> impl Iterator<Item = u16> + use<> {
        let (first, last) = self.config.ephemeral_ports;
        let count = u32::from(last - first) + 1;
        let start = random.below(count);
        (0..count).map(move |i| first + ((start + i) % count) as u16)
    }

    /// Takes the next finished connection.
    pub(crate) fn accept(&mut self, key: Key<Listener>) -> Result<Key<Tcb>, AcceptError> {
        let listener = self.listeners.get_mut(key).ok_or(AcceptError::NotListening)?;
        let accepted = listener.accept.pop(&mut self.live).ok_or(AcceptError::WouldBlock)?;
        if let Some(tcb) = self.live.get_mut(accepted) {
            tcb.listener = None;
        }
        // Somebody holds it now, who has not been told of what came before.
        self.changed.push(&mut self.live, accepted);
        Ok(accepted)
    }

    /// RECEIVE.
    pub(crate) fn recv(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Tcb>,
        wanted: usize,
        read: impl FnOnce([&[u8]; 2]) -> usize,
    ) -> Result<usize, RecvError> {
        let Some(tcb) = self.live.get_mut(key) else { return Err(RecvError::NotConnected) };
        let n = tcb.recv(wanted, read)?;
        if n > 0 {
            let cx = Cx {
                now,
                config: &self.config,
                links: &self.links,
                super_frame: self.super_frame,
                counters,
                memory: &mut self.memory,
                replies: &mut self.replies,
            };
            tcb.on_read(&cx, n);
            // Reading has one consequence at most: a window update.
            if tcb.rcv.wants_update() {
                let _: Option<()> = self.with(now, counters, key, |_, _| ());
            }
        }
        Ok(n)
    }

    /// Closes a listener: handshakes are forgotten, connections nobody accepted are reset.
    pub(crate) fn close_listener(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Listener>,
    ) {
        let Some(listener) = self.listeners.get(key) else { return };
        let name = (listener.local.port, listener.reach(), listener.options.tcp.interface);
        if let Some(listeners) = self.ports.get_mut(&name) {
            listeners.retain(|other| *other != key);
            if listeners.is_empty() {
                self.ports.remove(&name);
            }
        }
        while let Some(half) =
            self.listeners.get(key).and_then(|l| l.half_open.front(&self.half_open))
        {
            self.give_half_open_up(counters, half);
        }
        while let Ok(pending) = self.accept(key) {
            let _: Option<()> = self.with(now, counters, pending, |tcb, cx| {
                tcb.orphan = true;
                tcb.abort(cx);
            });
        }
        self.close_forwarder(key);
        self.listeners_changed.remove(&mut self.listeners, key);
        self.listeners.remove(key);
    }

    /// This host has lost `address`: connections there fail without a word to their peers, to whom
    /// nothing may come from it any more, and handshakes are forgotten.
    pub(crate) fn lose_address(&mut self, now: Instant, counters: &mut Counters, address: Address) {
        let there = |flow: FlowKey| flow.local.address == address;
        let half_open = self.half_open.iter().filter(|(_, half)| there(half.flow));
        for key in half_open.map(|(key, _)| key).collect::<Vec<_>>() {
            self.give_half_open_up(counters, key);
        }
        let ended = |state| matches!(state, State::Closed | State::TimeWait);
        let live = self.live.iter().filter(|(_, tcb)| there(tcb.flow) && !ended(tcb.state));
        for key in live.map(|(key, _)| key).collect::<Vec<_>>() {
            let lost = Ended::Failed(TcpError::AddressLost);
            let _: Option<()> = self.with(now, counters, key, |tcb, cx| tcb.end(cx, lost));
        }
    }

    /// An active OPEN. A local port of 0 picks an ephemeral one.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        (local, remote): (Endpoint, Endpoint),
        options: TcpOptions,
        random: &mut Random,
    ) -> Result<Key<Tcb>, ConnectError> {
        let options = options.clamped();
        let flow = self.choose_flow((local, remote), options.interface, random)?;
        if self.live.len() >= self.live.limit() {
            return Err(ConnectError::TooManyConnections);
        }
        let start = Start {
            now,
            iss: self.isn.next(&flow, now),
            timestamp_offset: self.isn.timestamp_offset(&flow),
            announced_mss: announced_mss(
                self.links.mtu(self.interface).to(remote.address),
                remote.address,
                &options,
            ),
            path: self.paths.get(now, remote.address),
            options: Arc::new(options),
        };
        let mut tcb = Tcb::connecting(flow, start, &self.config);
        tcb.fast_open = self.begin_fast_open(now, remote.address, &options);
        let waits = tcb.fast_open.is_waiting();
        let key = self.place(tcb, flow).ok_or(ConnectError::TooManyConnections)?;
        counters.tcp_active_opens += 1;
        if waits {
            // It can be written to.
            self.changed.push(&mut self.live, key);
        } else {
            self.ready.push(&mut self.live, key);
        }
        Ok(key)
    }

    fn choose_flow(
        &mut self,
        (local, remote): (Endpoint, Endpoint),
        only: Option<InterfaceId>,
        random: &mut Random,
    ) -> Result<FlowKey, ConnectError> {
        let part = self.part;
        let has = |flow: &FlowKey| part.is_none_or(|part| part.has(flow));
        // Of IPv6 no other port would change whose it is.
        if (local.port != 0 || !remote.address.is_v4()) && !has(&FlowKey { local, remote }) {
            return Err(ConnectError::NoPorts);
        }
        if local.port != 0 {
            let flow = FlowKey { local, remote };
            return match self.find(&flow) {
                Some(_) => Err(ConnectError::AddressInUse),
                None => Ok(flow),
            };
        }
        let reach = Reach::One(local.address);
        for port in self.ephemeral_ports(random) {
            let local = Endpoint::new(local.address, port);
            let flow = FlowKey { local, remote };
            let free = !self.conflicts((port, reach, only), false) && self.find(&flow).is_none();
            if has(&flow) && free {
                return Ok(flow);
            }
        }
        Err(ConnectError::NoPorts)
    }
}
