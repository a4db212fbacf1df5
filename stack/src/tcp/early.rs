//! Handshakes that carry text (RFC 7413): what a listener does with a SYN's cookie and text, what
//! an active open sends with its SYN, and what is remembered when the handshake is over.

use super::error::TcpError;
use super::fast_open::{self, FastOpen, FastOpenFailure, MadeWith, Opening};
use super::layer::TcpLayer;
use super::listener::{ListenFastOpen, Listener};
use super::open::{Start, default_mss};
use super::options::TcpOptions;
use super::segment::Segment;
use super::state::State;
use super::syncache::HalfOpen;
use super::tcb::Tcb;
use crate::config::{self, FastOpenKeys};
use crate::counters::{Counters, DropReason};
use crate::store::arena::Key;
use crate::time::Instant;
use crate::wire::address::{Address, FlowKey};
use crate::wire::options::FastOpenCookie;
use std::sync::Arc;

/// What a SYN's cookie leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// A connection at once; the SYN-ACK carries the new cookie, if there is one.
    Early(Option<FastOpenCookie>),
    /// An ordinary handshake; the SYN-ACK grants the cookie, if there is one.
    Ordinary(Option<FastOpenCookie>),
}

/// Active opens.
impl TcpLayer {
    /// What an active open knows of Fast Open when it begins.
    pub(super) fn begin_fast_open(
        &mut self,
        now: Instant,
        remote: Address,
        options: &TcpOptions,
    ) -> FastOpen {
        let modes = self.config.fast_open;
        if !options.fast_open_connect || !modes.has(config::FastOpen::CLIENT) {
            return FastOpen::default();
        }
        let known = self.servers.look_up(now, remote);
        if known.paused {
            return FastOpen::default();
        }
        let mss = known.mss.unwrap_or(default_mss(remote));
        let needless = options.fast_open_no_cookie || modes.has(config::FastOpen::CLIENT_NO_COOKIE);
        let waits = known.cookie.is_some() || needless;
        let cookie = known.cookie.or((!needless).then_some(FastOpenCookie::REQUEST));
        let failed = (!waits).then_some(FastOpenFailure::CookieUnavailable);
        let opening = Opening { waits, cookie, mss, ..Opening::default() };
        FastOpen {
            opening: Some(Box::new(opening)),
            attempted: true,
            failed,
            ..FastOpen::default()
        }
    }
}

/// Passive opens.
impl TcpLayer {
    /// The options of a listener, as far as the stack lets it.
    pub(super) fn listen_fast_open(&self, asked: ListenFastOpen, backlog: usize) -> ListenFastOpen {
        let all = self.config.fast_open.has(config::FastOpen::ALL_LISTENERS);
        let pending_max = if all && asked.pending_max == 0 { backlog } else { asked.pending_max };
        ListenFastOpen { pending_max: pending_max.min(self.config.backlog_max), ..asked }
    }

    /// Changes what a listener does with Fast Open. False for a stale key.
    pub(crate) fn set_fast_open(&mut self, key: Key<Listener>, asked: ListenFastOpen) -> bool {
        let asked = self.listen_fast_open(asked, asked.pending_max);
        let Some(listener) = self.listeners.get_mut(key) else { return false };
        listener.options.fast_open = asked;
        true
    }

    /// The keys of a listener's cookies; without one, those of all.
    pub(crate) fn fast_open_keys(&self, now: Instant, key: Option<Key<Listener>>) -> FastOpenKeys {
        let own = key.and_then(|key| self.listeners.get(key)?.options.fast_open.keys);
        own.unwrap_or_else(|| self.cookie_keys.keys(now))
    }

    /// What the SYN's cookie, its lack, or its text leads to (RFC 7413 §4.1.2, §4.2.1).
    pub(super) fn judge_fast_open(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Listener>,
        flow: &FlowKey,
        seg: &Segment<'_>,
    ) -> Judged {
        let given = seg.options.fast_open;
        let asks = given.is_some_and(|cookie| cookie.is_request());
        counters.tcp_fast_open_cookie_reqd += u64::from(asks);
        let modes = self.config.fast_open;
        let concerned = given.is_some() || !seg.text.is_empty();
        if !concerned
            || !modes.has(config::FastOpen::SERVER)
            || !self.has_room_early(now, counters, key)
        {
            return Judged::Ordinary(None);
        }
        let keys = self.fast_open_keys(now, Some(key));
        let needless = self.listeners.get(key).is_some_and(|it| it.options.tcp.fast_open_no_cookie);
        if needless || modes.has(config::FastOpen::SERVER_NO_COOKIE) {
            return Judged::Early(None);
        }
        match given.map(|cookie| fast_open::check(&keys, flow, &cookie)) {
            None => Judged::Ordinary(None),
            Some(Some(MadeWith::Current)) => Judged::Early(None),
            Some(Some(MadeWith::Previous)) => {
                counters.tcp_fast_open_passive_alt_key += 1;
                Judged::Early(Some(fast_open::cookie(&keys, flow)))
            }
            Some(None) => {
                counters.tcp_fast_open_passive_fail += u64::from(!asks);
                Judged::Ordinary(Some(fast_open::cookie(&keys, flow)))
            }
        }
    }

    /// Fewer unfinished handshakes with text than the listener allows (RFC 7413 §5.1). Those that
    /// were reset count for a while.
    fn has_room_early(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Listener>,
    ) -> bool {
        let Some(listener) = self.listeners.get_mut(key) else { return false };
        while listener.early_resets.front().is_some_and(|&until| until <= now) {
            listener.early_resets.pop_front();
        }
        let most = listener.options.fast_open.pending_max;
        let room = listener.early + listener.early_resets.len() < most;
        counters.tcp_fast_open_listen_overflow += u64::from(most > 0 && !room);
        room
    }

    /// A SYN with a good cookie: a connection at once, whose SYN-ACK acknowledges the text, and
    /// which can be accepted and written to.
    pub(super) fn open_early(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        half: HalfOpen,
        seg: Segment<'_>,
        cookie: Option<FastOpenCookie>,
    ) -> Option<DropReason> {
        let (flow, listener_key) = (half.flow, half.listener);
        let listener = self.listeners.get_mut(listener_key)?;
        listener.early += 1;
        let start = Start {
            now,
            iss: half.iss,
            timestamp_offset: half.timestamp_offset,
            announced_mss: half.announced_mss,
            path: self.paths.get(now, flow.remote.address),
            options: Arc::clone(&listener.shared),
        };
        let mut tcb = Tcb::opened_early(&half, start, &self.config);
        let opening = Opening { listener: Some(listener_key), cookie, ..Opening::default() };
        tcb.fast_open.opening = Some(Box::new(opening));
        let new = self.place(tcb, flow)?;
        counters.tcp_passive_opens += 1;
        counters.tcp_fast_open_passive += 1;
        let _: Option<()> = self.with(now, counters, new, |tcb, cx| tcb.take_early_text(cx, seg));
        self.await_accept(new, listener_key);
        None
    }
}

/// What follows from a handshake.
impl TcpLayer {
    /// After anything that may have changed a connection which began with Fast Open.
    pub(super) fn settle_fast_open(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        key: Key<Tcb>,
    ) {
        let Some(tcb) = self.live.get_mut(key) else { return };
        let over = tcb.snd.is_syn_acked() || tcb.state == State::Closed;
        let reset = tcb.state == State::Closed && tcb.error == Some(TcpError::Reset);
        let server = tcb.flow.remote.address;
        let Some(opening) = &mut tcb.fast_open.opening else { return };
        let (learnt, listener) = (opening.learnt.take(), opening.listener);
        if over {
            tcb.fast_open.opening = None;
            let listener = listener.and_then(|key| self.listeners.get_mut(key));
            if let Some(listener) = listener {
                listener.early -= 1;
                if reset {
                    listener.early_resets.push_back(now + self.config.fast_open_reset_hold);
                }
            }
        }
        if let Some(learnt) = learnt {
            self.servers.learn(now, counters, server, learnt);
        }
    }
}
