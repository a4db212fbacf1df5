//! What tests see of a host's TCP (feature `testing`): everything that decides what it does next,
//! as text, and what must hold of every connection between two calls.

use super::layer::TcpLayer;
use super::state::State;
use super::tcb::Tcb;
use super::timers::Timer;
use core::fmt;

impl TcpLayer {
    /// Everything that decides what TCP does next. Times stand as `@seconds`, sequence numbers as
    /// `Seq(number)`, so that a reader can count them from elsewhere. The lists of those with
    /// something to say are left out: they are empty once all has been said.
    pub(crate) fn write_state(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let TcpLayer { live, half_open, waits, listeners, replies, memory, .. } = self;
        write!(out, "{live:?}{half_open:?}{waits:?}{listeners:?}{replies:?}{memory:?}")
    }

    /// The ledger has this limit from now on.
    pub(crate) fn set_memory_max(&mut self, max: usize) {
        self.memory.set_max(max);
    }

    /// Looks at every connection, and at the ledger.
    ///
    /// # Errors
    /// What does not hold.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut held = 0;
        for (_, tcb) in self.live.iter() {
            held += tcb.snd.allocated() + tcb.rcv.allocated();
            let said_all = self.ready.front(&self.live).is_none();
            let result =
                check_numbers(tcb).and_then(|()| if said_all { check_timers(tcb) } else { Ok(()) });
            result.map_err(|wrong| format!("{wrong}: {tcb:?}"))?;
        }
        rule(held == self.memory.used(), "the ledger has other bytes than the rings")
    }
}

fn rule(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn is_over(tcb: &Tcb) -> bool {
    matches!(tcb.state, State::Closed | State::TimeWait)
}

/// RFC 9293 §3.4, §3.3.1: the variables are where the figures have them.
fn check_numbers(tcb: &Tcb) -> Result<(), String> {
    if is_over(tcb) {
        return Ok(());
    }
    let (snd, rcv, flight) = (&tcb.snd, &tcb.rcv, &tcb.delivering.flight);
    rule(snd.una.at_or_before(snd.nxt), "SND.UNA is past SND.NXT")?;
    rule(rcv.nxt.at_or_before(rcv.edge()), "RCV.NXT is past the window")?;
    // SYN and FIN need no window, nor does text that went with the SYN.
    let with_syn = if tcb.fast_open.attempted { u32::from(tcb.announced_mss) } else { 0 };
    let most = snd.max_wnd.max(snd.wnd) + 2 + with_syn;
    rule(snd.outstanding() <= most, "more is outstanding than any window was")?;
    let flown = flight.flying() + flight.lost() + flight.sacked();
    rule(flown == snd.outstanding(), "the flight is not what is outstanding")?;
    rule(snd.wnd <= snd.max_wnd, "a window beyond the greatest")?;
    let cwnd = tcb.congestion.window();
    rule(cwnd >= snd.mss_u32() || !tcb.state.is_synchronized(), "a window of less than a segment")
}

/// Timers run when they are needed: nothing waits for ever, and nothing is waited for in vain.
fn check_timers(tcb: &Tcb) -> Result<(), String> {
    let is_set = |timer| tcb.timers.is_set(timer);
    let recovers = [Timer::Retransmit, Timer::TailProbe, Timer::Reorder].into_iter().any(is_set);
    if is_over(tcb) {
        return rule(!recovers && !is_set(Timer::Probe), "a timer of nothing");
    }
    let outstanding = tcb.snd.outstanding() > 0;
    let unsent = tcb.snd.has_unsent() && tcb.state.is_synchronized();
    rule(outstanding || !recovers, "a timer for nothing in flight")?;
    rule(!(outstanding || unsent) || is_waiting(tcb), "no timer for what is in flight, or waits")?;
    rule(!tcb.ack.is_pending() || is_set(Timer::DelayedAck), "no timer for an acknowledgment")?;
    rule(!tcb.orphan || is_set(Timer::Orphan), "no timer for an orphan")
}

/// A timer runs that sends something, and not only looks whether anybody is there.
fn is_waiting(tcb: &Tcb) -> bool {
    let mut timers = tcb.timers;
    for idle in [Timer::Keepalive, Timer::Orphan, Timer::Rest, Timer::DelayedAck] {
        timers.clear(idle);
    }
    !timers.earliest().is_never()
}
