//! Segments for no live connection: listeners, handshakes, TIME-WAIT, and nobody
//! (RFC 9293 §3.10.7.1, §3.10.7.2, and §3.10.7.4 for SYN-RECEIVED and TIME-WAIT).

use super::demux::Slot;
use super::layer::TcpLayer;
use super::listener::{Listener, Verdict as Listen};
use super::open::{Start, announced_mss, send_mss};
use super::reply::Reply;
use super::segment::Segment;
use super::seq::Seq;
use super::syncache::{HalfOpen, Verdict as Half};
use super::tcb::{Cx, Tcb};
use super::timewait::{TimeWait, Verdict as Wait};
use crate::counters::{Counters, DropReason};
use crate::store::arena::Key;
use crate::time::Instant;
use crate::wire::address::{Address, FlowKey};

/// How far past the old connection's numbers a reopened one begins (RFC 6191 §2): more than any
/// window that can be in flight without scaling, as Linux.
const REOPEN_GAP: u32 = 65_537;

impl TcpLayer {
    /// The listener for a local endpoint: its own address first, then the wildcard.
    fn listener_for(&self, flow: &FlowKey) -> Option<Key<Listener>> {
        let port = flow.local.port;
        let exact = self.ports.get(&(port, flow.local.address));
        exact.or_else(|| self.ports.get(&(port, Address::UNSPECIFIED_V4))).copied()
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
            self.reset(now, counters, flow, &seg);
            return Some(DropReason::TcpNoConnection);
        };
        match Listener::judge(&seg) {
            Listen::Open => {
                let iss = self.isn.next(&flow, now);
                self.begin_handshake(now, counters, key, flow, &seg, iss)
            }
            Listen::Reset => {
                self.reset(now, counters, flow, &seg);
                Some(DropReason::TcpListener)
            }
            Listen::Ignore => Some(DropReason::TcpListener),
        }
    }

    /// Answers with a RST, as often as the limits let us (THREATS R-15).
    fn reset(&mut self, now: Instant, counters: &mut Counters, flow: FlowKey, seg: &Segment<'_>) {
        let Some(reset) = Reply::reset_for(flow, seg) else { return };
        if self.resets.allow(now, flow.remote.address) {
            self.replies.push(reset);
        } else {
            counters.tcp_resets_limited += 1;
        }
    }

    /// A SYN for a listener: remember it in a small entry and answer.
    fn begin_handshake(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Listener>,
        flow: FlowKey,
        seg: &Segment<'_>,
        iss: Seq,
    ) -> Option<DropReason> {
        if self.listeners.get(key).is_some_and(Listener::is_full) {
            counters.tcp_listen_overflows += 1;
            return Some(DropReason::TcpListenQueue);
        }
        if !self.make_room_for_half_open(counters, key) {
            counters.tcp_listen_drops += 1;
            return Some(DropReason::TcpListenQueue);
        }
        let half = self.half_open_from(now, key, flow, seg, iss)?;
        let (reply, at) = (half.syn_ack(now), half.retransmit_at(now));
        let Ok(new) = self.half_open.insert(half) else {
            counters.tcp_listen_drops += 1;
            return Some(DropReason::TcpListenQueue);
        };
        let node = self.half_open_timers.insert(new.to_bits());
        self.half_open_timers.arm(node, at.as_nanos());
        if let Some(half) = self.half_open.get_mut(new) {
            half.node = Some(node);
        }
        self.enter(&flow, Slot::HalfOpen(new.index()));
        if let Some(listener) = self.listeners.get_mut(key) {
            listener.half_open.push(&mut self.half_open, new);
        }
        self.replies.push(reply);
        None
    }

    /// At a limit the oldest handshake of the same listener makes room: an honest one takes a
    /// round trip, a flood's never ends (RFC 4987 §3.5; THREATS R-1). False when it has none.
    fn make_room_for_half_open(&mut self, counters: &mut Counters, key: Key<Listener>) -> bool {
        let Some(listener) = self.listeners.get(key) else { return false };
        let mine = listener.half_open.len();
        let full = self.half_open.len() >= self.half_open.limit();
        if mine < self.config.half_open_per_listener && !full {
            return true;
        }
        let Some(oldest) = listener.half_open.front(&self.half_open) else { return false };
        counters.tcp_half_open_evicted += 1;
        self.give_half_open_up(counters, oldest);
        true
    }

    fn half_open_from(
        &self,
        now: Instant,
        key: Key<Listener>,
        flow: FlowKey,
        seg: &Segment<'_>,
        iss: Seq,
    ) -> Option<HalfOpen> {
        let options = self.listeners.get(key)?.options.tcp;
        let peer = &seg.options;
        let remote = flow.remote.address;
        let announced = announced_mss(self.mtu, remote, &options);
        let timestamp = peer.timestamps.map(|ts| ts.value);
        Some(HalfOpen {
            flow,
            listener: key,
            irs: seg.seq,
            iss,
            mss: send_mss(peer.mss, announced, remote, timestamp.is_some(), &self.config),
            announced_mss: announced,
            peer_scale: peer.window_scale,
            scale: options.window_scale(),
            sack: peer.sack_permitted,
            timestamp,
            timestamp_offset: self.isn.timestamp_offset(&flow),
            window: options.receive_buffer.min(0xffff) as u16,
            ttl: options.ttl,
            tos: options.tos,
            repeated: false,
            challenged_at: None,
            retries: 0,
            sent_at: now,
            node: None,
            age: Default::default(),
        })
    }

    /// A handshake that fails: SYN-RECEIVED to LISTEN (RFC 4022 `tcpAttemptFails`).
    pub(super) fn give_half_open_up(&mut self, counters: &mut Counters, key: Key<HalfOpen>) {
        counters.tcp_attempt_fails += 1;
        self.remove_half_open(key);
    }

    fn remove_half_open(&mut self, key: Key<HalfOpen>) {
        let Some(half) = self.half_open.get(key) else { return };
        let (flow, listener, node) = (half.flow, half.listener, half.node);
        self.demux.replace(&flow, Slot::HalfOpen(key.index()), None);
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.half_open.remove(&mut self.half_open, key);
        }
        if let Some(node) = node {
            self.half_open_timers.remove(node);
        }
        self.half_open.remove(key);
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
        match half.judge(&seg) {
            Half::Establish => return self.finish_handshake(now, counters, key, seg),
            Half::Remove => {
                self.give_half_open_up(counters, key);
                return None;
            }
            Half::Repeat => {
                half.repeated = true;
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
                let flow = half.flow;
                self.reset(now, counters, flow, &seg);
                return Some(DropReason::TcpAck);
            }
            Half::Ignore => return Some(DropReason::TcpNoAck),
        }
        None
    }

    /// The third segment of the handshake: the small entry becomes a connection, which takes the
    /// segment, and waits to be accepted.
    fn finish_handshake(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<HalfOpen>,
        seg: Segment<'_>,
    ) -> Option<DropReason> {
        let half = self.half_open.get(key)?;
        let (flow, listener_key) = (half.flow, half.listener);
        let listener = self.listeners.get(listener_key)?;
        // The peer believes itself connected; it will send again, and find room (no RST: R-4).
        if listener.is_full() || self.live.len() >= self.live.limit() {
            counters.tcp_listen_overflows += 1;
            return Some(DropReason::TcpListenQueue);
        }
        let start = Start {
            now,
            iss: half.iss,
            timestamp_offset: half.timestamp_offset,
            announced_mss: half.announced_mss,
            options: listener.options.tcp,
        };
        let mut cx = Cx {
            now,
            config: &self.config,
            counters,
            memory: &mut self.memory,
            replies: &mut self.replies,
        };
        let tcb = Tcb::accepted(half, start, &mut cx);
        self.remove_half_open(key);
        let new = self.place(tcb, flow)?;
        counters.tcp_passive_opens += 1;
        let dropped = self.with(now, counters, new, |tcb, cx| tcb.arrive(cx, seg)).flatten();
        if let Some(listener) = self.listeners.get_mut(listener_key) {
            listener.accept.push(&mut self.live, new);
            if let Some(tcb) = self.live.get_mut(new) {
                tcb.listener = Some(listener_key);
            }
            self.listeners_changed.push(&mut self.listeners, listener_key);
        }
        dropped
    }

    /// Puts a new connection into its arena, the wheel and the table.
    pub(super) fn place(&mut self, tcb: Tcb, flow: FlowKey) -> Option<Key<Tcb>> {
        let key = self.live.insert(tcb).ok()?;
        let node = self.timers.insert(key.to_bits());
        if let Some(tcb) = self.live.get_mut(key) {
            tcb.node = Some(node);
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
        if half.retries >= self.config.syn_ack_retries {
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
        let flow = wait.flow;
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
        self.demux.replace(&wait.flow.clone(), Slot::TimeWait(key.index()), None);
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
        let (flow, past, ack) = (wait.flow, wait.snd_nxt + REOPEN_GAP, wait.ack(now));
        match wait.judge(&seg) {
            Wait::Reopen => {
                let Some(listener) = self.listener_for(&flow) else {
                    self.replies.push(ack);
                    return Some(DropReason::TcpTimeWait);
                };
                self.remove_time_wait(key);
                counters.tcp_time_wait_recycled += 1;
                let iss = self.isn.next(&flow, now).latest(past);
                return self.begin_handshake(now, counters, listener, flow, &seg, iss);
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
