//! A connection's timers: one table, one wheel node, and what each expiry does
//! (RFC 9293 §3.10.8, §3.8.3, §3.8.4, §3.8.6.1).

use super::close::Ended;
use super::error::TcpError;
use super::memory::Memory;
use super::options::TcpOptions;
use super::state::State;
use super::tcb::{Cx, Tcb};
use crate::time::Instant;
use core::time::Duration;

/// Longest time between zero-window probes (THREATS T-14).
const PROBE_MAX: Duration = Duration::from_secs(60);

/// How long a retransmission that is due waits for a device that is down (THREATS E-3).
const LINK_RETRY: Duration = Duration::from_millis(100);

/// How long buffers stay empty before their memory goes: an exchange each second keeps them, a
/// hundred thousand idle connections hold none.
const REST_AFTER: Duration = Duration::from_secs(1);

/// Why a connection may have to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// What was sent before something that has been delivered has had its time (RFC 8985 §6.2).
    Reorder,
    /// Nothing has come back for two round trips (RFC 8985 §7). Before the next: it replaces it.
    TailProbe,
    /// Text, SYN or FIN is unacknowledged (RFC 6298).
    Retransmit,
    /// The window is closed, or too small to be worth using (RFC 9293 §3.8.6.1, §3.8.6.2.1).
    Probe,
    /// An acknowledgment is owed (RFC 9293 §3.8.6.3).
    DelayedAck,
    /// Nothing has been heard for long (RFC 9293 §3.8.4).
    Keepalive,
    /// The application has gone and the peer does not finish.
    Orphan,
    /// A corked segment has waited long enough.
    Cork,
    /// Buffers that have been empty for a while may go.
    Rest,
    /// The next quantum may leave (`pace.rs`).
    Pace,
}

const TIMERS: [Timer; 10] = [
    Timer::Reorder,
    Timer::TailProbe,
    Timer::Retransmit,
    Timer::Probe,
    Timer::DelayedAck,
    Timer::Keepalive,
    Timer::Orphan,
    Timer::Cork,
    Timer::Rest,
    Timer::Pace,
];

/// The deadlines of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    at: [Instant; TIMERS.len()],
}

impl Timers {
    pub(crate) const fn new() -> Timers {
        Timers { at: [Instant::FAR_FUTURE; TIMERS.len()] }
    }

    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.at[timer as usize] = at;
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.at[timer as usize] = Instant::FAR_FUTURE;
    }

    pub(crate) fn clear_all(&mut self) {
        *self = Timers::new();
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        !self.at[timer as usize].is_never()
    }

    /// The deadline, `FAR_FUTURE` when there is none.
    pub(crate) fn at(&self, timer: Timer) -> Instant {
        self.at[timer as usize]
    }

    /// The earliest deadline, `FAR_FUTURE` when there is none.
    pub(crate) fn earliest(&self) -> Instant {
        self.at.into_iter().min().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Takes a timer that is due.
    fn take_due(&mut self, now: Instant) -> Option<Timer> {
        let timer = TIMERS.into_iter().find(|&timer| self.at[timer as usize] <= now)?;
        self.clear(timer);
        Some(timer)
    }
}

impl Tcb {
    /// Handles every timer that is due. What has to be sent is marked, and sent by `output`.
    pub(crate) fn on_timers(&mut self, cx: &mut Cx<'_>) {
        while let Some(timer) = self.timers.take_due(cx.now) {
            match timer {
                Timer::Reorder => {
                    self.detect_losses(cx, 0);
                }
                Timer::TailProbe => self.on_tail_probe_timeout(cx),
                Timer::Retransmit => self.on_retransmission_timeout(cx),
                Timer::Probe => self.on_probe_timeout(cx),
                Timer::DelayedAck => {
                    cx.counters.tcp_delayed_acks += 1;
                    self.ack.on_timer();
                }
                Timer::Keepalive => self.on_keepalive_timeout(cx),
                Timer::Orphan => self.on_orphan_timeout(cx),
                Timer::Cork => self.push_out_now(),
                Timer::Rest => self.on_rest(cx),
                // It is ready, and output looks at the clock.
                Timer::Pace => {}
            }
        }
    }

    /// What waited for more goes after all, and is all there is for now.
    fn push_out_now(&mut self) {
        self.marks.push_out = true;
        self.snd.set_pushed(true);
    }

    /// RFC 6298 §5.4 to §5.6, RFC 5681 §3.1 equation (4).
    fn on_retransmission_timeout(&mut self, cx: &mut Cx<'_>) {
        if self.has_given_up(cx) {
            self.fast_open.on_give_up(self.rto.expiries());
            cx.counters.tcp_abort_on_timeout += 1;
            // The last soft error is the better reason, if ICMP gave one (RFC 1122 §4.2.3.9).
            let error = self.soft_error.unwrap_or(TcpError::TimedOut);
            return self.end(cx, Ended::Failed(error));
        }
        if cx.links.down.contains(self.interface) {
            // What was sent has not gone anywhere: no sign of congestion, and no reason to back
            // off. RFC 6069 does so where a router farther on says that it cannot.
            self.timers.set(Timer::Retransmit, cx.now + LINK_RETRY);
            return;
        }
        cx.counters.tcp_timeouts += 1;
        self.fast_open.on_timeout(self.rto.expiries());
        if !self.snd.is_syn_acked() {
            self.lose_head();
        } else if self.snd.wnd == 0 && self.snd.queued() > 0 {
            // The window closed over text in flight: probe instead (RFC 9293 SHLD-16, 17).
            self.lose_behind_window();
            self.timers.set(Timer::Probe, cx.now);
            return;
        } else {
            self.enter_timeout(cx);
            self.suspect_black_hole(cx.now);
        }
        self.rto.on_timeout();
        self.stats.timeouts += 1;
        self.marks.retransmit = true;
        // §5.6. It runs even if a window that closes meanwhile lets nothing go again.
        self.timers.set(Timer::Retransmit, self.retransmit_at(cx.now));
    }

    /// When what is sent now is taken for lost; at the latest when the user's time-out is over, so
    /// that it is kept to and not to the next doubling (RFC 5482 §3).
    pub(super) fn retransmit_at(&self, now: Instant) -> Instant {
        let at = now + self.rto.current();
        match self.options.user_timeout {
            // It is not what ends a handshake with text: that is patient like any other.
            Some(_) if self.fast_open.is_early() => at,
            Some(limit) if self.snd.wnd > 0 || !self.state.is_synchronized() => {
                at.min((self.progress_at + limit).latest(now))
            }
            _ => at,
        }
    }

    /// R2 of RFC 9293 §3.8.3: no progress for longer than the user or the stack allows.
    fn has_given_up(&self, cx: &Cx<'_>) -> bool {
        if self.fast_open.is_early() {
            // As patient as with any other SYN-ACK (THREATS R-16).
            return self.rto.expiries() >= cx.config.syn_ack_retries;
        }
        let limit = match (self.options.user_timeout, self.state) {
            (Some(user), _) => user,
            (None, State::SynSent | State::SynReceived) => cx.config.connect_give_up,
            (None, _) => cx.config.give_up,
        };
        // Behind a closed window an answer is all the progress there can be (MUST-37).
        let since = if self.snd.wnd == 0 && self.state.is_synchronized() {
            self.heard_at.latest(self.progress_at)
        } else {
            self.progress_at
        };
        cx.now - since >= limit
    }

    /// The window is still closed: probe it (MUST-36), and again later (SHLD-30). As long as the
    /// peer answers, the connection stays (MUST-37).
    fn on_probe_timeout(&mut self, cx: &mut Cx<'_>) {
        if !self.snd.has_unsent() && self.delivering.flight.lost() == 0 {
            return;
        }
        let silent_for = cx.now - self.heard_at.latest(self.progress_at);
        let limit = self.options.user_timeout.unwrap_or(cx.config.give_up);
        if self.unanswered && silent_for >= limit {
            cx.counters.tcp_abort_on_timeout += 1;
            return self.end(cx, Ended::Failed(TcpError::TimedOut));
        }
        if self.snd.wnd > 0 {
            // The window is open by a crumb: send what fits after all (RFC 9293 §3.8.6.2.1).
            self.push_out_now();
            return;
        }
        self.probes = self.probes.saturating_add(1);
        self.marks.probe = true;
        self.unanswered = true;
        let backoff = 1u32 << self.probes.min(10);
        let interval = self.rto.current().saturating_mul(backoff).min(PROBE_MAX);
        self.timers.set(Timer::Probe, cx.now + interval);
    }

    /// RFC 9293 §3.8.4. Only sent when idle with nothing outstanding (MUST-26).
    fn on_keepalive_timeout(&mut self, cx: &mut Cx<'_>) {
        if !self.options.keepalive || !self.state.is_synchronized() {
            return;
        }
        let idle = cx.now - self.heard_at;
        if idle < self.options.keepalive_idle {
            self.keepalives = 0;
            self.timers.set(Timer::Keepalive, self.heard_at + self.options.keepalive_idle);
            return;
        }
        let exhausted = match self.options.user_timeout {
            Some(limit) => self.keepalives > 0 && idle >= limit,
            None => self.keepalives >= self.options.keepalive_count,
        };
        if exhausted {
            cx.counters.tcp_abort_on_timeout += 1;
            return self.end(cx, Ended::Failed(TcpError::TimedOut));
        }
        if self.snd.outstanding() == 0 {
            self.keepalives = self.keepalives.saturating_add(1);
            self.marks.keepalive = true;
        }
        self.timers.set(Timer::Keepalive, cx.now + self.options.keepalive_interval);
    }

    /// A second has passed since there were buffers: empty ones that were not used go.
    fn on_rest(&mut self, cx: &mut Cx<'_>) {
        if cx.now - self.heard_at.latest(self.sent_at) >= REST_AFTER {
            self.rest(cx.memory);
        }
        self.arm_rest(cx.now);
    }

    /// Gives the memory of empty buffers back.
    pub(crate) fn rest(&mut self, memory: &mut Memory) {
        self.snd.rest(memory);
        self.rest_delivering();
        self.rcv.rest(memory);
    }

    /// Arms the timer of rest while there are buffers. Not moved by use: it looks when it expires.
    pub(crate) fn arm_rest(&mut self, now: Instant) {
        if self.timers.is_set(Timer::Rest) {
            return;
        }
        let buffers = self.snd.allocated() + self.rcv.allocated();
        if buffers + self.delivering.allocated() > 0 {
            self.timers.set(Timer::Rest, now + REST_AFTER);
        }
    }

    /// The application has gone. Text still being delivered keeps the connection; silence, or a
    /// peer that never closes, does not (THREATS R-11).
    fn on_orphan_timeout(&mut self, cx: &mut Cx<'_>) {
        let until = self.progress_at + cx.config.orphan;
        if self.state != State::FinWait2 && cx.now < until {
            self.timers.set(Timer::Orphan, until);
        } else {
            cx.counters.tcp_abort_on_timeout += 1;
            self.end(cx, Ended::Failed(TcpError::TimedOut));
        }
    }

    /// Options have changed: its own move the timer. Silence so far counts, unless nobody cared.
    pub(crate) fn follow_keepalive(&mut self, now: Instant, before: &TcpOptions) {
        let (was_on, idle) = (before.keepalive, self.options.keepalive_idle);
        if was_on == self.options.keepalive && before.keepalive_idle == idle {
            return;
        }
        self.timers.clear(Timer::Keepalive);
        self.arm_keepalive(now);
        if was_on && self.timers.is_set(Timer::Keepalive) {
            self.timers.set(Timer::Keepalive, (self.heard_at + idle).latest(now));
        }
    }

    /// Arms the keepalive timer when the option is on and it is not running. It is not moved by
    /// every segment: it looks at `heard_at` when it expires.
    pub(crate) fn arm_keepalive(&mut self, now: Instant) {
        if self.options.keepalive && self.state.is_synchronized() {
            if !self.timers.is_set(Timer::Keepalive) {
                self.timers.set(Timer::Keepalive, now + self.options.keepalive_idle);
            }
        } else {
            self.timers.clear(Timer::Keepalive);
        }
    }
}
