//! All of TCP on one host: four kinds of objects in four arenas, one table that finds them, one
//! wheel that wakes them, and the lists of those with something to say.

use super::cookie::Cookies;
use super::demux::{Demux, Slot};
use super::fast_open::CookieKeys;
use super::fast_servers::Servers;
use super::isn::Isn;
use super::listener::{LISTENER_CHANGED, Listener};
use super::memory::Memory;
use super::output::Outgoing;
use super::reply::{Replies, Reply};
use super::segment::Segment;
use super::starved::STARVED;
use super::state::State;
use super::syncache::HalfOpen;
use super::tcb::{CHANGED, Cx, Origin, READY, Tcb};
use super::timewait::{EXPIRY, TimeWait};
use crate::config::{Config, TcpConfig};
use crate::counters::{Counters, DropReason};
use crate::net::limiter::RateLimiter;
use crate::net::part::Part;
use crate::net::pmtu::{Links, PathMtus};
use crate::net::reach::Reach;
use crate::random::{Secret, Seed};
use crate::store::arena::{Arena, Key};
use crate::store::queue::Queue;
use crate::store::wheel::Wheel;
use crate::time::Instant;
use crate::wire::address::{Address, FlowKey};
use crate::wire::interface::InterfaceId;
use core::time::Duration;
use std::collections::BTreeMap;

/// How often a connection's progress is told to the neighbour table.
const REACHED_INTERVAL: Duration = Duration::from_secs(1);

/// All TCP objects of a host.
#[derive(Clone)]
pub(crate) struct TcpLayer {
    pub(super) config: TcpConfig,
    pub(crate) links: Links,
    /// The link to whom the present call is about, as far as is known: who calls says so before.
    pub(crate) interface: InterfaceId,
    /// See [`Cx::super_frame`].
    pub(super) super_frame: usize,
    pub(super) live: Arena<Tcb>,
    pub(super) half_open: Arena<HalfOpen>,
    pub(super) waits: Arena<TimeWait>,
    pub(super) listeners: Arena<Listener>,
    /// Listeners by port and address: several where they share both.
    pub(super) ports: BTreeMap<ListenerName, Vec<Key<Listener>>>,
    /// Which of several a connection is for.
    pub(super) sharing: Secret,
    /// It hears of SYNs for which there is no listener.
    pub(super) forwarder: Option<Key<Listener>>,
    pub(super) demux: Demux,
    pub(super) timers: Wheel,
    pub(super) half_open_timers: Wheel,
    pub(super) expiry: Queue<EXPIRY>,
    pub(super) ready: Queue<READY>,
    pub(super) changed: Queue<CHANGED>,
    pub(super) starved: Queue<STARVED>,
    pub(super) listeners_changed: Queue<LISTENER_CHANGED>,
    pub(super) replies: Replies,
    pub(super) resets: RateLimiter,
    /// Here because each new connection asks; datagrams ask, too, through the stack.
    pub(crate) paths: PathMtus,
    pub(super) memory: Memory,
    /// Which of this host's connections this stack has: all of them, if there is one stack.
    pub(crate) part: Option<Part>,
    pub(super) isn: Isn,
    pub(super) cookies: Cookies,
    pub(super) cookie_keys: CookieKeys,
    pub(super) servers: Servers,
    pub(super) queue_pops: u64,
    /// See [`TcpLayer::take_reached`].
    reached: Option<Address>,
}

/// Port, addresses, and the interface that it is bound to.
pub(super) type ListenerName = (u16, Reach, Option<InterfaceId>);

/// A segment on its way out.
pub(crate) enum Departure {
    /// Of a live connection: its text lies in the send ring.
    Live(Key<Tcb>, Outgoing),
    /// Of no live connection.
    Control(Reply),
}

/// Something whose readiness may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Connection(Key<Tcb>),
    Listener(Key<Listener>),
}

impl TcpLayer {
    pub(crate) fn new(config: &Config, seed: &Seed) -> TcpLayer {
        let Config { mtu, super_frame_max, replies_max, paths, tcp: config, .. } = config;
        TcpLayer {
            config: config.clone(),
            links: Links::new(*mtu),
            interface: InterfaceId::FIRST,
            super_frame: *super_frame_max,
            live: Arena::new(config.connections_max),
            half_open: Arena::new(config.half_open_max),
            waits: Arena::new(config.time_wait_max),
            listeners: Arena::new(config.listeners_max),
            ports: BTreeMap::new(),
            sharing: Secret::derive(seed, "sharing"),
            forwarder: None,
            demux: Demux::new(Secret::derive(seed, "demux")),
            timers: Wheel::new(),
            half_open_timers: Wheel::new(),
            expiry: Queue::default(),
            ready: Queue::default(),
            changed: Queue::default(),
            starved: Queue::default(),
            listeners_changed: Queue::default(),
            replies: Replies::new(*replies_max),
            resets: RateLimiter::new(config.resets, seed, "resets"),
            paths: PathMtus::new(*paths),
            memory: Memory::new(config.memory_max),
            part: None,
            isn: Isn::new(seed),
            cookies: Cookies::new(seed),
            cookie_keys: CookieKeys::new(config, seed),
            servers: Servers::new(config.fast_open_servers_max, config.fast_open_pause),
            queue_pops: 0,
            reached: None,
        }
    }

    /// SEGMENT ARRIVES for whatever object the flow has. None: it was used; else why dropped.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        flow: FlowKey,
        seg: Segment<'_>,
    ) -> Option<DropReason> {
        match self.find(&flow) {
            Some(Slot::Live(index)) => {
                let key = self.live.key_at(index)?;
                if self.is_elsewhere(key) {
                    return Some(DropReason::TcpElsewhere);
                }
                let dropped =
                    self.with(now, counters, key, |tcb, cx| tcb.arrive(cx, seg)).flatten();
                self.note_reached(now, key);
                dropped
            }
            Some(Slot::HalfOpen(index)) => self.on_half_open(now, counters, index, seg),
            Some(Slot::TimeWait(index)) => self.on_time_wait(now, counters, index, seg),
            None => self.on_no_connection(now, counters, flow, seg),
        }
    }

    /// The connection is bound to another interface than the one that the segment came by.
    fn is_elsewhere(&self, key: Key<Tcb>) -> bool {
        let only = self.live.get(key).and_then(|tcb| tcb.options.interface);
        only.is_some_and(|only| only != self.interface)
    }

    fn note_reached(&mut self, now: Instant, key: Key<Tcb>) {
        let Some(tcb) = self.live.get_mut(key) else { return };
        if tcb.progress_at == now && now - tcb.reached_at >= REACHED_INTERVAL {
            tcb.reached_at = now;
            self.reached = Some(tcb.flow.remote.address);
        }
    }

    pub(super) fn find(&mut self, flow: &FlowKey) -> Option<Slot> {
        let (live, half_open, waits) = (&self.live, &self.half_open, &self.waits);
        self.demux.find(flow, |slot| key_of(live, half_open, waits, slot))
    }

    pub(super) fn enter(&mut self, flow: &FlowKey, slot: Slot) {
        let (live, half_open, waits) = (&self.live, &self.half_open, &self.waits);
        self.demux.insert(flow, slot, |slot| key_of(live, half_open, waits, slot));
    }

    /// Lets `work` act on a connection, then draws the consequences. None for a stale key.
    pub(crate) fn with<R>(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Tcb>,
        work: impl FnOnce(&mut Tcb, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let tcb = self.live.get_mut(key)?;
        let before = tcb.state;
        let mut cx = Cx {
            now,
            config: &self.config,
            links: &self.links,
            super_frame: self.super_frame,
            counters,
            memory: &mut self.memory,
            replies: &mut self.replies,
        };
        let result = work(tcb, &mut cx);
        self.settle(now, counters, key, before);
        self.memory.let_go();
        Some(result)
    }

    /// After anything that may have changed a connection: its timer, its place in the lists, and
    /// what follows from a change of state.
    fn settle(&mut self, now: Instant, counters: &mut Counters, key: Key<Tcb>, before: State) {
        if self.live.get(key).is_some_and(|tcb| tcb.fast_open.opening.is_some()) {
            self.settle_fast_open(now, counters, key);
        }
        let Some(tcb) = self.live.get_mut(key) else { return };
        let (state, orphan) = (tcb.state, tcb.orphan);
        let opened = tcb.snd.is_syn_acked() || state == State::Closed;
        let forwarded = tcb.origin == Origin::Forwarded && opened;
        let event = core::mem::take(&mut tcb.marks.event) && !orphan;
        let starved = core::mem::take(&mut tcb.marks.starved);
        if !self.starved.is_empty() {
            // Somebody needs it more than an empty ring does.
            tcb.rest(&mut self.memory);
        }
        if event {
            self.changed.push(&mut self.live, key);
        }
        if starved {
            self.starved.push(&mut self.live, key);
        }
        count_change(counters, before, state);
        if forwarded {
            self.end_forwarded_handshake(key);
        }
        if state == State::Closed || state == State::TimeWait {
            if before != state {
                self.leave_demux(now, counters, key, state);
            }
            if orphan {
                self.remove_live(key);
            }
            return;
        }
        self.arm(now, key);
        let Some(tcb) = self.live.get_mut(key) else { return };
        if tcb.may_speak() {
            self.ready.push(&mut self.live, key);
        } else {
            tcb.note_silence(now);
        }
    }

    fn arm(&mut self, now: Instant, key: Key<Tcb>) {
        let Some(tcb) = self.live.get_mut(key) else { return };
        tcb.arm_rest(now);
        if let Some(node) = tcb.node {
            self.timers.arm(node, tcb.timers.earliest().as_nanos());
        }
    }

    /// The protocol life of a connection is over, or goes on in TIME-WAIT.
    fn leave_demux(&mut self, now: Instant, counters: &mut Counters, key: Key<Tcb>, state: State) {
        // It has no more to say, and nothing to wait for.
        self.ready.remove(&mut self.live, key);
        self.starved.remove(&mut self.live, key);
        let Some(tcb) = self.live.get_mut(key) else { return };
        if let Some(node) = tcb.node {
            self.timers.disarm(node);
        }
        let (flow, slot) = (tcb.flow, Slot::Live(key.index()));
        if state == State::Closed {
            self.demux.replace(&flow, slot, None);
            return;
        }
        let wait = TimeWait {
            flow: flow.into(),
            snd_nxt: tcb.snd.nxt,
            rcv_nxt: tcb.rcv.nxt,
            window: tcb.rcv.window_field(),
            answered: false,
            timestamps: tcb.timestamps.as_ref().map(|ts| (ts.recent, ts.offset)),
            expires: now + self.config.time_wait,
            expiry: Default::default(),
        };
        if tcb.ack.is_due() {
            tcb.ack.on_sent();
            self.replies.push(wait.ack(now));
        }
        counters.tcp_time_waited += 1;
        self.begin_time_wait(counters, wait, slot);
    }

    /// Forgets a connection that nobody holds.
    pub(super) fn remove_live(&mut self, key: Key<Tcb>) {
        self.ready.remove(&mut self.live, key);
        self.changed.remove(&mut self.live, key);
        self.starved.remove(&mut self.live, key);
        let listener = self.live.get(key).and_then(|tcb| tcb.listener);
        if let Some(listener) = listener.and_then(|key| self.listeners.get_mut(key)) {
            listener.accept.remove(&mut self.live, key);
        }
        if let Some(mut tcb) = self.live.remove(key) {
            tcb.rcv.discard(&mut self.memory);
            tcb.snd.release(&mut self.memory);
            if let Some(node) = tcb.node {
                self.timers.remove(node);
            }
        }
    }

    /// Time has passed.
    pub(crate) fn advance(&mut self, now: Instant, counters: &mut Counters) {
        while let Some(token) = self.timers.pop_due(now.as_nanos()) {
            let key = Key::from_bits(token);
            let _: Option<()> = self.with(now, counters, key, |tcb, cx| tcb.on_timers(cx));
        }
        while let Some(token) = self.half_open_timers.pop_due(now.as_nanos()) {
            self.on_half_open_timer(now, counters, Key::from_bits(token));
        }
        self.end_time_waits(now);
        self.feed(now, counters);
    }

    /// The earliest time at which `advance` has work.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        if self.may_feed() {
            return Some(Instant::ZERO);
        }
        let timer = self.timers.next_ns().map(Instant::from_nanos);
        let half_open = self.half_open_timers.next_ns().map(Instant::from_nanos);
        let wait = self.expiry.front(&self.waits).and_then(|key| self.waits.get(key));
        let wait = wait.map(|wait| wait.expires);
        Instant::sooner(Instant::sooner(timer, half_open), wait)
    }

    /// No connection may have something to send, and no reply waits.
    pub(crate) fn is_silent(&self) -> bool {
        self.ready.is_empty() && self.replies.is_silent()
    }

    /// The next segment to send, replies first, then the connections in turn.
    pub(crate) fn poll_segment(
        &mut self,
        now: Instant,
        counters: &mut Counters,
    ) -> Option<Departure> {
        counters.replies_dropped += self.replies.take_dropped();
        if let Some(reply) = self.replies.pop() {
            return Some(Departure::Control(reply));
        }
        while let Some(key) = self.ready.pop(&mut self.live) {
            self.queue_pops += 1;
            let Some(tcb) = self.live.get_mut(key) else { continue };
            let mut cx = Cx {
                now,
                config: &self.config,
                links: &self.links,
                super_frame: self.super_frame,
                counters,
                memory: &mut self.memory,
                replies: &mut self.replies,
            };
            let segment = tcb.next_segment(&mut cx);
            let more = tcb.may_say_more();
            if segment.is_none() || !more {
                tcb.note_limit(now);
            }
            let event = core::mem::take(&mut tcb.marks.event) && !tcb.orphan;
            if event {
                self.changed.push(&mut self.live, key);
            }
            self.arm(now, key);
            if let Some(segment) = segment {
                if more {
                    self.ready.push(&mut self.live, key);
                }
                return Some(Departure::Live(key, segment));
            }
        }
        None
    }

    /// The next socket whose readiness may have changed.
    pub(crate) fn poll_changed(&mut self) -> Option<Changed> {
        if let Some(key) = self.listeners_changed.pop(&mut self.listeners) {
            return Some(Changed::Listener(key));
        }
        self.changed.pop(&mut self.live).map(Changed::Connection)
    }

    /// The connection under `key`.
    pub(crate) fn get(&self, key: Key<Tcb>) -> Option<&Tcb> {
        self.live.get(key)
    }

    /// Text of a connection for a frame; None where it lies in more than two places.
    pub(crate) fn text(&self, key: Key<Tcb>, offset: usize, len: usize) -> Option<[&[u8]; 2]> {
        self.live.get(key)?.snd.text(offset, len)
    }

    /// Tells the connection of `flow` what ICMP said about a segment of it (MUST-54).
    pub(crate) fn on_icmp_error(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        flow: &FlowKey,
        seq: super::seq::Seq,
        error: super::error::TcpError,
    ) -> bool {
        let Some(Slot::Live(index)) = self.find(flow) else { return false };
        let Some(key) = self.live.key_at(index) else { return false };
        self.with(now, counters, key, |tcb, cx| tcb.on_icmp_error(cx, seq, error)).is_some()
    }

    /// A router says that a segment of the connection, in a packet of `sent` bytes, does not fit:
    /// it is believed about what is in flight (RFC 1191 §6.4, RFC 5927 §7.2).
    pub(crate) fn on_too_big(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        flow: &FlowKey,
        seq: super::seq::Seq,
        (told, sent): (u16, u16),
    ) -> bool {
        let Some(Slot::Live(index)) = self.find(flow) else { return false };
        let Some(key) = self.live.key_at(index) else { return false };
        let remote = flow.remote.address;
        if let Some(tcb) = self.live.get(key).filter(|tcb| tcb.is_in_flight(seq))
            && let Some(path) = self.paths.learn(
                now,
                remote,
                (told, sent),
                self.links.mtu(tcb.interface).to(remote),
            )
        {
            counters.path_mtus_evicted = self.paths.evicted();
            let _: Option<()> = self.with(now, counters, key, |tcb, cx| tcb.on_path_mtu(cx, path));
        }
        true
    }

    /// The connection's next hop does not answer: as if a router had said so.
    pub(crate) fn on_no_neighbor(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        flow: &FlowKey,
        seq: super::seq::Seq,
        error: super::error::TcpError,
    ) {
        let Some(Slot::Live(index)) = self.find(flow) else { return };
        let Some(key) = self.live.key_at(index) else { return };
        let _: Option<()> = self.with(now, counters, key, |tcb, cx| {
            tcb.on_no_neighbor(cx, seq, error);
        });
    }

    /// A listener.
    pub(crate) fn listener(&self, key: Key<Listener>) -> Option<&Listener> {
        self.listeners.get(key)
    }

    /// The connection under `key`, for what needs no consequences.
    pub(crate) fn get_mut(&mut self, key: Key<Tcb>) -> Option<&mut Tcb> {
        self.live.get_mut(key)
    }

    /// Bytes of buffer memory in use.
    pub(crate) fn memory_used(&self) -> usize {
        self.memory.used()
    }

    /// Listeners, handshakes, connections, TIME-WAITs.
    pub(crate) fn objects(&self) -> [usize; 4] {
        [self.listeners.len(), self.half_open.len(), self.live.len(), self.waits.len()]
    }

    /// Entries in the table of flows, nodes in the wheels.
    pub(crate) fn tables(&self) -> (usize, usize) {
        (self.demux.len(), self.timers.len() + self.half_open_timers.len())
    }

    /// The remote address of a connection that has just made progress, at most once a second
    /// each: proof that the next hop is alive (RFC 4861 §7.3.1).
    pub(crate) fn take_reached(&mut self) -> Option<Address> {
        self.reached.take()
    }

    /// Looks into tables, timer nodes touched, list entries taken (law 5).
    pub(crate) fn work(&self) -> (u64, u64, u64) {
        let timers = self.timers.probes() + self.half_open_timers.probes();
        (self.demux.probes(), timers, self.queue_pops)
    }
}

fn key_of(
    live: &Arena<Tcb>,
    half_open: &Arena<HalfOpen>,
    waits: &Arena<TimeWait>,
    slot: Slot,
) -> Option<FlowKey> {
    match slot {
        Slot::Live(index) => live.get_at(index).map(|tcb| tcb.flow),
        Slot::HalfOpen(index) => half_open.get_at(index).map(|half| half.flow),
        Slot::TimeWait(index) => waits.get_at(index).map(|wait| wait.flow.key()),
    }
}

/// What RFC 4022 counts of a change of state: `TcpCurrEstab` those in ESTABLISHED and CLOSE-WAIT,
/// `TcpEstabResets` the ways that lead from there straight to CLOSED, `TcpAttemptFails` the opens
/// that end there.
fn count_change(counters: &mut Counters, before: State, after: State) {
    match (before.may_send(), after.may_send()) {
        (false, true) => counters.tcp_curr_estab += 1,
        (true, false) => counters.tcp_curr_estab = counters.tcp_curr_estab.saturating_sub(1),
        _ => {}
    }
    if after == State::Closed {
        let opening = matches!(before, State::SynSent | State::SynReceived);
        counters.tcp_attempt_fails += u64::from(opening);
        counters.tcp_estab_resets += u64::from(before.may_send());
    }
}
