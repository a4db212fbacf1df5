//! How connections end (RFC 9293 §3.6, §3.10.4, §3.10.5): CLOSE, ABORT, FIN both ways, and the
//! parting of application and connection.

use super::error::{NotConnected, TcpError};
use super::reply::Reply;
use super::segment::Flags;
use super::state::{Event, State};
use super::tcb::{Cx, Tcb};
use super::timers::Timer;

/// How the protocol life of a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Both sides closed.
    Normally,
    /// The application is to be told (MUST-12).
    Failed(TcpError),
}

impl Tcb {
    /// `shutdown(SHUT_WR)`: a FIN follows what is queued (RFC 9293 §3.10.4).
    pub(crate) fn close_write(&mut self, cx: &mut Cx<'_>) -> Result<(), NotConnected> {
        match self.state {
            State::SynReceived | State::Established | State::CloseWait => {
                self.snd.queue_fin();
                self.state = self.state.on(Event::Close);
                self.progress_at = cx.now;
                self.marks.event = true;
                Ok(())
            }
            // Shutting down twice changes nothing.
            State::FinWait1
            | State::FinWait2
            | State::Closing
            | State::LastAck
            | State::TimeWait => Ok(()),
            State::Closed | State::Listen | State::SynSent => Err(NotConnected),
        }
    }

    /// `shutdown(SHUT_RD)`: who reads does not wait any more. What is here, and what still comes,
    /// can be read, as in Linux.
    pub(crate) fn close_read(&mut self) -> Result<(), NotConnected> {
        if matches!(self.state, State::Closed | State::SynSent) {
            return Err(NotConnected);
        }
        self.read_shut = true;
        self.marks.event = true;
        Ok(())
    }

    /// `close`: the application goes; the connection finishes by itself. With unread text, or
    /// with linger zero, it is reset instead (RFC 9293 §3.6.1, RFC 2525 §2.17).
    pub(crate) fn release(&mut self, cx: &mut Cx<'_>) {
        self.orphan = true;
        let unread = self.rcv.unread() > 0;
        let abrupt = self.options.linger.is_some_and(|span| span.is_zero());
        if self.state == State::SynSent {
            return self.end(cx, Ended::Normally);
        }
        if self.state != State::Closed && (unread || abrupt) {
            *if unread {
                &mut cx.counters.tcp_abort_on_close
            } else {
                &mut cx.counters.tcp_abort_on_data
            } += 1;
            return self.abort(cx);
        }
        self.rcv.discard(cx.memory);
        let _: Result<(), NotConnected> = self.close_write(cx);
        if self.state == State::FinWait2 {
            self.timers.set(Timer::Orphan, cx.now + cx.config.fin_wait_2);
        } else if self.state != State::Closed {
            self.timers.set(Timer::Orphan, cx.now + cx.config.orphan);
        }
    }

    /// ABORT (RFC 9293 §3.10.5): a RST where the peer knows of the connection, and the end.
    pub(crate) fn abort(&mut self, cx: &mut Cx<'_>) {
        let known = self.state == State::SynReceived || self.state.is_synchronized();
        if known && !matches!(self.state, State::TimeWait | State::Closed) {
            let flags = Flags::RST.with(Flags::ACK);
            let mut reset = Reply::new(self.flow, self.snd.acceptable_seq(), self.rcv.nxt, flags);
            (reset.ttl, reset.tos) = (self.options.ttl, self.options.tos);
            // RFC 7323 §3.2: a RST should carry them too.
            reset.options.timestamps = self.timestamps.as_ref().map(|ts| ts.option(cx.now));
            cx.replies.push(reset);
        }
        self.end(cx, Ended::Failed(TcpError::Aborted));
    }

    /// The protocol life is over. Text that was received stays readable while somebody may read.
    pub(crate) fn end(&mut self, cx: &mut Cx<'_>, ended: Ended) {
        let was_over = self.state == State::Closed;
        self.state = self.state.on(Event::Abort);
        // The end goes before what the network has said on the way, and before what comes later.
        if let Ended::Failed(error) = ended
            && !(was_over && self.error.is_some())
        {
            self.error = Some(error);
        }
        self.finish(cx);
    }

    /// What every end has in common: no timers, nothing to send, somebody to tell.
    fn finish(&mut self, cx: &mut Cx<'_>) {
        self.timers.clear_all();
        self.snd.release(cx.memory);
        self.delivering.release();
        if self.orphan {
            self.rcv.discard(cx.memory);
        }
        self.marks = Default::default();
        self.marks.event = true;
    }

    /// The peer knows that we close.
    pub(crate) fn on_fin_acked(&mut self, cx: &mut Cx<'_>) {
        self.state = self.state.on(Event::AckOfFin);
        match self.state {
            // Orphans do not wait for ever for the peer's FIN (THREATS R-11).
            State::FinWait2 if self.orphan => {
                self.timers.set(Timer::Orphan, cx.now + cx.config.fin_wait_2);
            }
            State::TimeWait | State::Closed => self.finish(cx),
            _ => {}
        }
        self.marks.event = true;
    }

    /// All the peer's text is here, and its FIN.
    pub(crate) fn on_fin_received(&mut self, cx: &mut Cx<'_>) {
        self.state = self.state.on(Event::RcvFin);
        if self.state == State::TimeWait {
            self.finish(cx);
        }
    }
}
