//! The forwarder: a SYN for an address and port where nobody listens waits, unanswered, until a
//! program has decided what becomes of it. Meanwhile it is a small entry among the handshakes.
//!
//! ```text
//!  SYN -> undecided -> accepted: a Tcb in SYN-RECEIVED, which sends its SYN-ACK -> finished
//!             |-> reset: a RST          |-> ended, to make room for others
//!             |-> dropped, or too late: not a word
//! ```
//!
//! No cookies: a SYN-ACK that nobody remembers would be an answer before the decision. What a flood
//! can hold is bounded instead, for each source and in all.

use super::close::Ended;
use super::error::{DecideError, ListenError, TcpError};
use super::layer::TcpLayer;
use super::listener::{ListenOptions, Listener, Verdict};
use super::open::Start;
use super::options::TcpOptions;
use super::reply::Reply;
use super::segment::{Flags, Segment};
use super::seq::Seq;
use super::syncache::{FRESH, HalfOpen, Offer};
use super::tcb::{ACCEPT, Origin, Tcb};
use crate::counters::{Counters, DropReason};
use crate::store::arena::{Arena, Key};
use crate::store::queue::Queue;
use crate::time::Instant;
use crate::wire::address::{Address, Endpoint, FlowKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a listener has that stands for all addresses and ports.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forwards {
    /// The undecided of which the program has not been told, oldest first.
    pub(crate) fresh: Queue<FRESH>,
    /// Connections that it has accepted, whose handshakes are not finished; oldest first.
    unfinished: Queue<ACCEPT>,
    /// How many of the undecided and the unfinished each source has.
    sources: BTreeMap<Address, usize>,
}

impl Forwards {
    fn count(&mut self, source: Address) {
        *self.sources.entry(source).or_default() += 1;
    }

    fn discount(&mut self, source: Address) {
        if let Some(count) = self.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }
}

/// Of the forwarder under `key`.
fn forwards(listeners: &mut Arena<Listener>, key: Key<Listener>) -> Option<&mut Forwards> {
    listeners.get_mut(key)?.forwards.as_mut()
}

impl TcpLayer {
    /// Opens the forwarder, of which there can be one. Its connections have these options.
    pub(crate) fn open_forwarder(
        &mut self,
        options: TcpOptions,
    ) -> Result<Key<Listener>, ListenError> {
        if self.forwarder.is_some() {
            return Err(ListenError::AddressInUse);
        }
        let options = ListenOptions { tcp: options.clamped(), ..ListenOptions::default() };
        let everywhere = Endpoint::new(Address::UNSPECIFIED_V6, 0);
        let forwards = Some(Forwards::default());
        let listener = Listener { forwards, ..Listener::new(everywhere, options) };
        let key = self.listeners.insert(listener).map_err(|_| ListenError::TooManyListeners)?;
        self.forwarder = Some(key);
        Ok(key)
    }

    /// A listener closes. What a forwarder has accepted lives on.
    pub(super) fn close_forwarder(&mut self, key: Key<Listener>) {
        if let Some(forwards) = forwards(&mut self.listeners, key) {
            while forwards.unfinished.pop(&mut self.live).is_some() {}
            self.forwarder = None;
        }
    }

    /// A segment for an address and port where nobody listens: a SYN waits for a decision, if
    /// there is a forwarder; the rest is CLOSED's. `past` is where the numbers of an older
    /// connection between the same ends stopped.
    pub(super) fn on_no_listener(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        flow: FlowKey,
        seg: &Segment<'_>,
        past: Option<Seq>,
    ) -> Option<DropReason> {
        let opens = Listener::judge(seg) == Verdict::Open;
        let Some(key) = self.forwarder.filter(|_| opens) else {
            self.reset(now, counters, flow, seg);
            return Some(DropReason::TcpNoConnection);
        };
        let source = flow.remote.address;
        let iss = self.isn.next(&flow, now);
        let iss = past.map_or(iss, |past| iss.latest(past));
        let half = self.half_open_from(now, key, flow, Offer::of(seg))?;
        let half = HalfOpen { iss, undecided: true, ..half };
        let until = now + self.config.forward_decision;
        let room = self.has_room_to_wait(now, counters, key, source);
        let Some(new) = room.then(|| self.keep_half_open(half, until)).flatten() else {
            counters.tcp_forward_drops += 1;
            return Some(DropReason::TcpListenQueue);
        };
        if let Some(forwards) = forwards(&mut self.listeners, key) {
            forwards.fresh.push(&mut self.half_open, new);
            forwards.count(source);
        }
        self.listeners_changed.push(&mut self.listeners, key);
        None
    }

    /// Whether one more may wait. The oldest that was accepted makes room for it: an honest
    /// handshake takes a round trip, a flood's never ends (as RFC 4987 §3.5; THREATS R-1).
    fn has_room_to_wait(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Listener>,
        source: Address,
    ) -> bool {
        let (most, most_each) = (self.config.forward_max, self.config.forward_per_source);
        let Some(listener) = self.listeners.get(key) else { return false };
        let Some(forwards) = &listener.forwards else { return false };
        if forwards.sources.get(&source).is_some_and(|&count| count >= most_each) {
            return false;
        }
        if listener.half_open.len() + forwards.unfinished.len() < most {
            return true;
        }
        let Some(oldest) = forwards.unfinished.front(&self.live) else { return false };
        counters.tcp_forward_evicted += 1;
        let ended = Ended::Failed(TcpError::TimedOut);
        self.with(now, counters, oldest, |tcb, cx| tcb.end(cx, ended)).is_some()
    }

    /// A segment for a SYN on which nobody has decided. As in LISTEN, but the first SYN counts,
    /// and only the RST of its sender takes it back.
    pub(super) fn on_undecided(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<HalfOpen>,
        seg: &Segment<'_>,
    ) -> Option<DropReason> {
        let half = self.half_open.get_mut(key)?;
        match Listener::judge(seg) {
            Verdict::Open if seg.seq == half.irs => {
                // The SYN-ACK echoes the latest (RFC 7323 §4.3).
                half.timestamp = half.timestamp.and(Offer::of(seg).timestamp);
                return None;
            }
            Verdict::Ignore if seg.has(Flags::RST) && seg.seq == half.irs + 1 => {
                self.give_half_open_up(counters, key);
                return None;
            }
            Verdict::Acknowledged | Verdict::Reset => {
                let flow = half.flow;
                self.reset(now, counters, flow, seg);
            }
            Verdict::Open | Verdict::Ignore => {}
        }
        Some(DropReason::TcpListener)
    }

    /// The next SYN that the program has not been told of.
    pub(crate) fn next_undecided(
        &mut self,
        key: Key<Listener>,
    ) -> Option<(Key<HalfOpen>, FlowKey)> {
        let fresh = forwards(&mut self.listeners, key)?.fresh.pop(&mut self.half_open)?;
        Some((fresh, self.half_open.get(fresh)?.flow))
    }

    /// A SYN that waits still.
    pub(crate) fn undecided(&self, key: Key<HalfOpen>) -> Option<&HalfOpen> {
        self.half_open.get(key).filter(|half| half.undecided)
    }

    /// It is accepted: a connection at once, whose SYN-ACK is sent next.
    pub(crate) fn accept_undecided(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<HalfOpen>,
    ) -> Result<Key<Tcb>, DecideError> {
        self.undecided(key).ok_or(DecideError::Gone)?;
        if self.live.len() >= self.live.limit() {
            return Err(DecideError::TooManyConnections);
        }
        let half = self.remove_half_open(key).ok_or(DecideError::Gone)?;
        let listener = self.listeners.get(half.listener).ok_or(DecideError::Gone)?;
        let start = Start {
            now,
            iss: half.iss,
            timestamp_offset: half.timestamp_offset,
            announced_mss: half.announced_mss,
            path: self.paths.get(now, half.flow.remote.address),
            options: Arc::clone(&listener.shared),
        };
        let mut tcb = Tcb::opened_early(&half, start, &self.config);
        tcb.origin = Origin::Forwarded;
        let new = self.place(tcb, half.flow).ok_or(DecideError::TooManyConnections)?;
        counters.tcp_passive_opens += 1;
        if let Some(forwards) = forwards(&mut self.listeners, half.listener) {
            forwards.unfinished.push(&mut self.live, new);
            forwards.count(half.flow.remote.address);
        }
        let _: Option<()> = self.with(now, counters, new, |_, _| ());
        Ok(new)
    }

    /// It is refused, with the RST that a closed port answers with. False: it waits no longer.
    pub(crate) fn reset_undecided(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<HalfOpen>,
    ) -> bool {
        let Some(half) = self.undecided(key) else { return false };
        let flags = Flags::RST.with(Flags::ACK);
        let reset = Reply::new(half.flow, Seq(0), half.irs + 1, flags);
        self.send_reset(now, counters, reset);
        self.drop_undecided(counters, key)
    }

    /// It is forgotten without a word. False: it waits no longer.
    pub(crate) fn drop_undecided(&mut self, counters: &mut Counters, key: Key<HalfOpen>) -> bool {
        let waits = self.undecided(key).is_some();
        if waits {
            self.give_half_open_up(counters, key);
        }
        waits
    }

    /// An undecided SYN leaves, decided or not.
    pub(super) fn leave_undecided(
        &mut self,
        key: Key<HalfOpen>,
        listener: Key<Listener>,
        source: Address,
    ) {
        if let Some(forwards) = forwards(&mut self.listeners, listener) {
            forwards.fresh.remove(&mut self.half_open, key);
            forwards.discount(source);
        }
    }

    /// The handshake of a connection that was accepted is over, one way or the other: it counts no
    /// more.
    pub(super) fn end_forwarded_handshake(&mut self, key: Key<Tcb>) {
        let Some(tcb) = self.live.get_mut(key) else { return };
        tcb.origin = Origin::Passive;
        let source = tcb.flow.remote.address;
        if let Some(forwarder) = self.forwarder
            && let Some(forwards) = forwards(&mut self.listeners, forwarder)
            && forwards.unfinished.remove(&mut self.live, key)
        {
            forwards.discount(source);
        }
    }
}
