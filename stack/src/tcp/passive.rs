//! Segments for no live connection: listeners, handshakes, TIME-WAIT, and nobody
//! (RFC 9293 §3.10.7.1, §3.10.7.2, and §3.10.7.4 for SYN-RECEIVED and TIME-WAIT).

use super::demux::Slot;
use super::early::Judged;
use super::layer::TcpLayer;
use super::listener::{Listener, Verdict as Listen};
use super::open::{Start, announced_mss, send_mss};
use super::reply::Reply;
use super::segment::Segment;
use super::seq::Seq;
use super::syncache::{HalfOpen, Offer, Verdict as Half};
use super::tcb::{Cx, Tcb};
use super::timewait::{TimeWait, Verdict as Wait};
use crate::counters::{Counters, DropReason};
use crate::net::reach::Reach;
use crate::net::sharing::choose;
use crate::store::arena::Key;
use crate::time::Instant;
use crate::wire::address::{Endpoint, FlowKey};
use std::sync::Arc;

/// How far past the old connection's numbers a reopened one begins (RFC 6191 §2): more than any
/// window that can be in flight without scaling, as Linux.
const REOPEN_GAP: u32 = 65_537;

impl TcpLayer {
    /// The listener for a local endpoint: that of its own address first, then that of all
    /// addresses of its IP version, then that of all; first those that are bound to the interface.
    /// Of several that share it the flow decides.
    fn listener_for(&self, flow: &FlowKey) -> Option<Key<Listener>> {
        let Endpoint { address, port } = flow.local;
        let mut names = Reach::with(address)
            .into_iter()
            .flat_map(|reach| [(port, reach, Some(self.interface)), (port, reach, None)]);
        let listeners = names.find_map(|name| self.ports.get(&name))?;
        let index = match listeners.len() {
            1 => 0,
            count => choose(self.sharing.table_hash(&flow.to_bytes()), count),
        };
        listeners.get(index).copied()
    }

    /// LISTEN or CLOSED.
    pub(super) fn on_no_connection(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        flow: FlowKey,
        seg: Segment<'_>,
    ) -> Option<DropReason> {
        let Some(key) = self.listener_for(&flow) else {
            return self.on_no_listener(now, counters, flow, &seg, None);
        };
        match Listener::judge(&seg) {
            Listen::Open => self.begin_handshake(now, counters, key, flow, &seg, None),
            Listen::Acknowledged => match self.redeem(now, counters, key, flow, &seg) {
                Some(half) => self.establish(now, counters, half, seg),
                // Perhaps its cookie's segment comes later; perhaps it was never an honest one.
                None if self.gives_cookies(now, key) => Some(DropReason::TcpListener),
                None => {
                    self.reset(now, counters, flow, &seg);
                    Some(DropReason::TcpListener)
                }
            },
            Listen::Reset => {
                self.reset(now, counters, flow, &seg);
                Some(DropReason::TcpListener)
            }
            Listen::Ignore => Some(DropReason::TcpListener),
        }
    }

    /// Answers with a RST, as often as the limits let us (THREATS R-15).
    pub(super) fn reset(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        flow: FlowKey,
        seg: &Segment<'_>,
    ) {
        if let Some(reset) = Reply::reset_for(flow, seg) {
            self.send_reset(now, counters, reset);
        }
    }

    pub(super) fn send_reset(&mut self, now: Instant, counters: &mut Counters, reset: Reply) {
        if self.resets.allow(now, reset.flow.remote.address) {
            self.replies.push(reset);
        } else {
            counters.tcp_resets_limited += 1;
        }
    }

    /// A SYN for a listener: remember it in a small entry and answer. `past` is where the numbers
    /// of an older connection between the same ends stopped.
    fn begin_handshake(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Listener>,
        flow: FlowKey,
        seg: &Segment<'_>,
        past: Option<Seq>,
    ) -> Option<DropReason> {
        if self.listeners.get(key).is_some_and(Listener::is_full) {
            counters.tcp_listen_overflows += 1;
            counters.tcp_listen_drops += 1;
            return Some(DropReason::TcpListenQueue);
        }
        let offer = Offer::of(seg);
        if !self.has_room_for_half_open(key) {
            // A cookie cannot be told where to begin.
            if self.config.syn_cookies && past.is_none() {
                self.answer_with_cookie(now, counters, key, flow, offer);
                return None;
            }
            self.evict_half_open(counters, key);
        }
        let iss = self.isn.next(&flow, now);
        let half = self.half_open_from(now, key, flow, offer)?;
        let half = HalfOpen { iss: past.map_or(iss, |past| iss.latest(past)), ..half };
        let grant = match self.judge_fast_open(now, counters, key, &flow, seg) {
            Judged::Early(cookie) if self.live.len() < self.live.limit() => {
                return self.open_early(now, counters, half, *seg, cookie);
            }
            Judged::Early(cookie) => {
                counters.tcp_fast_open_passive_fail += 1;
                cookie
            }
            Judged::Ordinary(cookie) => cookie,
        };
        let (mut reply, at) = (half.syn_ack(now), half.retransmit_at(now));
        // Only the first SYN-ACK carries it: who sends his SYN again asks for none.
        reply.options.fast_open = grant;
        if self.keep_half_open(half, at).is_none() {
            counters.tcp_listen_drops += 1;
            return Some(DropReason::TcpListenQueue);
        }
        self.replies.push(reply);
        None
    }

    /// Puts a handshake into its arena, the wheel, the table and its listener's queue, to be looked
    /// after at `at`. None: there is no room.
    pub(super) fn keep_half_open(&mut self, half: HalfOpen, at: Instant) -> Option<Key<HalfOpen>> {
        let (flow, listener) = (half.flow, half.listener);
        let new = self.half_open.insert(half).ok()?;
        let node = self.half_open_timers.insert(new.to_bits());
        self.half_open_timers.arm(node, at.as_nanos());
        if let Some(half) = self.half_open.get_mut(new) {
            half.node = Some(node);
        }
        self.enter(&flow, Slot::HalfOpen(new.index()));
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.half_open.push(&mut self.half_open, new);
        }
        Some(new)
    }

    fn has_room_for_half_open(&self, key: Key<Listener>) -> bool {
        let mine = self.listeners.get(key).map_or(0, |listener| listener.half_open.len());
        let full = self.half_open.len() >= self.half_open.limit();
        mine < self.config.half_open_per_listener && !full
    }

    /// The oldest handshake of the same listener makes room: an honest one takes a round trip, a
    /// flood's never ends (RFC 4987 §3.5; THREATS R-1).
    fn evict_half_open(&mut self, counters: &mut Counters, key: Key<Listener>) {
        let listener = self.listeners.get(key);
        if let Some(oldest) = listener.and_then(|it| it.half_open.front(&self.half_open)) {
            counters.tcp_half_open_evicted += 1;
            self.give_half_open_up(counters, oldest);
        }
    }

    pub(super) fn half_open_from(
        &self,
        now: Instant,
        key: Key<Listener>,
        flow: FlowKey,
        peer: Offer,
    ) -> Option<HalfOpen> {
        let options = self.listeners.get(key)?.options.tcp;
        let remote = flow.remote.address;
        let announced = announced_mss(self.links.mtu(self.interface).to(remote), remote, &options);
        let stamped = peer.timestamp.is_some();
        Some(HalfOpen {
            flow,
            listener: key,
            irs: peer.irs,
            iss: Seq(0),
            mss: send_mss(peer.mss, announced, remote, stamped, &self.config),
            announced_mss: announced,
            peer_scale: peer.scale,
            scale: options.window_scale(&self.config),
            sack: peer.sack,
            ecn: peer.ecn && self.config.ecn.accepts(),
            timestamp: peer.timestamp,
            timestamp_offset: self.isn.timestamp_offset(&flow),
            peer_window: peer.window,
            window: options.first_receive_buffer(&self.config).min(0xffff) as u16,
            ttl: options.ttl,
            tos: options.tos,
            only: options.interface,
            repeated: false,
            redeemed: false,
            undecided: false,
            challenged_at: None,
            retries: 0,
            sent_at: now,
            node: None,
            age: Default::default(),
            fresh: Default::default(),
        })
    }

    /// A handshake that fails: SYN-RECEIVED to LISTEN (RFC 4022 `tcpAttemptFails`).
    pub(super) fn give_half_open_up(&mut self, counters: &mut Counters, key: Key<HalfOpen>) {
        let removed = self.remove_half_open(key);
        counters.tcp_attempt_fails += u64::from(removed.is_some_and(|half| !half.undecided));
    }

    pub(super) fn remove_half_open(&mut self, key: Key<HalfOpen>) -> Option<HalfOpen> {
        let half = self.half_open.get(key)?;
        let (flow, listener, node) = (half.flow, half.listener, half.node);
        if half.undecided {
            self.leave_undecided(key, listener, flow.remote.address);
        }
        self.demux.replace(&flow, Slot::HalfOpen(key.index()), None);
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.half_open.remove(&mut self.half_open, key);
        }
        if let Some(node) = node {
            self.half_open_timers.remove(node);
        }
        self.half_open.remove(key)
    }

    /// SYN-RECEIVED of a passive open.
    pub(super) fn on_half_open(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        index: u32,
        seg: Segment<'_>,
    ) -> Option<DropReason> {
        let key = self.half_open.key_at(index)?;
        let half = self.half_open.get_mut(key)?;
        if half.undecided {
            return self.on_undecided(now, counters, key, &seg);
        }
        match half.judge(&seg) {
            Half::Establish => {
                let listener = half.listener;
                if self.is_crowded(counters, listener) {
                    return Some(DropReason::TcpListenQueue);
                }
                let half = self.remove_half_open(key)?;
                return self.establish(now, counters, half, seg);
            }
            Half::Remove => {
                self.give_half_open_up(counters, key);
                return None;
            }
            Half::Repeat => {
                half.repeated = true;
                // Its sender asks no more: the path may not like who does (RFC 3168 §6.1.1.1).
                half.ecn &= super::ecn::asks(seg.flags);
                counters.tcp_retrans_segs += 1;
                self.replies.push(half.syn_ack(now));
            }
            Half::Ack => {
                if half.challenge(now, self.config.challenge_interval) {
                    counters.tcp_challenge_ack += 1;
                    self.replies.push(half.ack(now));
                } else {
                    counters.tcp_ack_skipped += 1;
                }
                return Some(DropReason::TcpSequence);
            }
            Half::Reset => {
                let (flow, listener, irs) = (half.flow, half.listener, half.irs);
                // The SYN-ACK that it acknowledges may have been a cookie, and this handshake
                // begun by a SYN that was sent again.
                if let Some(half) = self.redeem(now, counters, listener, flow, &seg) {
                    let _: Option<HalfOpen> = self.remove_half_open(key);
                    return self.establish(now, counters, half, seg);
                }
                // So has a client whose third segment and first text are lost: it sends them again.
                if !self.knows_cookie(now, listener, &flow, irs, &seg) {
                    self.reset(now, counters, flow, &seg);
                }
                return Some(DropReason::TcpAck);
            }
            Half::Ignore => return Some(DropReason::TcpNoAck),
        }
        None
    }

    /// No connection may be made now. The peer believes itself connected; it will send again, and
    /// find room (no RST: THREATS R-4).
    pub(super) fn is_crowded(&mut self, counters: &mut Counters, key: Key<Listener>) -> bool {
        let full = self.listeners.get(key).is_none_or(Listener::is_full);
        let crowded = full || self.live.len() >= self.live.limit();
        counters.tcp_listen_overflows += u64::from(crowded);
        counters.tcp_listen_drops += u64::from(crowded);
        crowded
    }

    /// The third segment of the handshake: what was remembered of it becomes a connection, which
    /// takes the segment, and waits to be accepted.
    fn establish(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        half: HalfOpen,
        seg: Segment<'_>,
    ) -> Option<DropReason> {
        let (flow, listener_key) = (half.flow, half.listener);
        let listener = self.listeners.get(listener_key)?;
        let start = Start {
            now,
            iss: half.iss,
            timestamp_offset: half.timestamp_offset,
            announced_mss: half.announced_mss,
            options: Arc::clone(&listener.shared),
            path: self.paths.get(now, flow.remote.address),
        };
        let mut cx = Cx {
            now,
            config: &self.config,
            links: &self.links,
            super_frame: self.super_frame,
            counters,
            memory: &mut self.memory,
            replies: &mut self.replies,
        };
        let tcb = Tcb::accepted(&half, start, &mut cx);
        let new = self.place(tcb, flow)?;
        counters.tcp_passive_opens += 1;
        let dropped = self.with(now, counters, new, |tcb, cx| tcb.arrive(cx, seg)).flatten();
        self.await_accept(new, listener_key);
        dropped
    }

    /// The connection waits to be accepted.
    pub(super) fn await_accept(&mut self, new: Key<Tcb>, key: Key<Listener>) {
        if let Some(listener) = self.listeners.get_mut(key) {
            listener.accept.push(&mut self.live, new);
            if let Some(tcb) = self.live.get_mut(new) {
                tcb.listener = Some(key);
            }
            self.listeners_changed.push(&mut self.listeners, key);
        }
    }

    /// Puts a new connection into its arena, the wheel and the table.
    pub(super) fn place(&mut self, tcb: Tcb, flow: FlowKey) -> Option<Key<Tcb>> {
        let interface = self.interface;
        let key = self.live.insert(tcb).ok()?;
        let node = self.timers.insert(key.to_bits());
        if let Some(tcb) = self.live.get_mut(key) {
            (tcb.node, tcb.interface) = (Some(node), interface);
        }
        self.enter(&flow, Slot::Live(key.index()));
        Some(key)
    }

    /// The SYN-ACK was not answered: send it again, or give up (THREATS ).
    pub(super) fn on_half_open_timer(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<HalfOpen>,
    ) {
        let Some(half) = self.half_open.get_mut(key) else { return };
        if half.undecided || half.retries >= self.config.syn_ack_retries {
            counters.tcp_forward_expired += u64::from(half.undecided);
            return self.give_half_open_up(counters, key);
        }
        half.retries += 1;
        counters.tcp_retrans_segs += 1;
        let (reply, at, node) = (half.syn_ack(now), half.retransmit_at(now), half.node);
        if let Some(node) = node {
            self.half_open_timers.arm(node, at.as_nanos());
        }
        self.replies.push(reply);
    }

    /// TIME-WAIT takes over the flow; at the limit the oldest entry ends early.
    pub(super) fn begin_time_wait(&mut self, counters: &mut Counters, wait: TimeWait, old: Slot) {
        if self.waits.len() >= self.waits.limit()
            && let Some(oldest) = self.expiry.front(&self.waits)
        {
            counters.tcp_time_wait_overflow += 1;
            self.remove_time_wait(oldest);
        }
        let flow = wait.flow.key();
        match self.waits.insert(wait) {
            Ok(key) => {
                self.expiry.push(&mut self.waits, key);
                self.demux.replace(&flow, old, Some(Slot::TimeWait(key.index())));
            }
            // A limit of zero: no TIME-WAIT at all.
            Err(_) => self.demux.replace(&flow, old, None),
        }
    }

    pub(super) fn remove_time_wait(&mut self, key: Key<TimeWait>) {
        let Some(wait) = self.waits.get(key) else { return };
        self.demux.replace(&wait.flow.key(), Slot::TimeWait(key.index()), None);
        self.expiry.remove(&mut self.waits, key);
        self.waits.remove(key);
    }

    /// Ends the TIME-WAITs whose 2 MSL have passed: the front of the queue only.
    pub(super) fn end_time_waits(&mut self, now: Instant) {
        while let Some(key) = self.expiry.front(&self.waits) {
            if self.waits.get(key).is_none_or(|wait| wait.expires > now) {
                return;
            }
            self.remove_time_wait(key);
        }
    }

    /// TIME-WAIT.
    pub(super) fn on_time_wait(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        index: u32,
        seg: Segment<'_>,
    ) -> Option<DropReason> {
        let key = self.waits.key_at(index)?;
        let wait = self.waits.get_mut(key)?;
        let (flow, past, ack) = (wait.flow.key(), wait.snd_nxt + REOPEN_GAP, wait.ack(now));
        match wait.judge(&seg) {
            Wait::Reopen => {
                let listener = self.listener_for(&flow);
                if listener.is_none() && self.forwarder.is_none() {
                    self.replies.push(ack);
                    return Some(DropReason::TcpTimeWait);
                }
                self.remove_time_wait(key);
                counters.tcp_time_wait_recycled += 1;
                return match listener {
                    Some(it) => self.begin_handshake(now, counters, it, flow, &seg, Some(past)),
                    None => self.on_no_listener(now, counters, flow, &seg, Some(past)),
                };
            }
            Wait::Restart => {
                self.replies.push(ack);
                self.restart_time_wait(now, key);
            }
            Wait::Ack => {
                wait.answered |= seg.len() == 0;
                self.replies.push(ack);
                return Some(DropReason::TcpTimeWait);
            }
            Wait::Ignore => return Some(DropReason::TcpTimeWait),
        }
        None
    }

    /// "Restart the 2 MSL time-wait timeout": to the back of the queue.
    fn restart_time_wait(&mut self, now: Instant, key: Key<TimeWait>) {
        if let Some(wait) = self.waits.get_mut(key) {
            wait.expires = now + self.config.time_wait;
            self.expiry.remove(&mut self.waits, key);
            self.expiry.push(&mut self.waits, key);
        }
    }
}
