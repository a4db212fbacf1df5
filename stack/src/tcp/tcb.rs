//! The transmission control block of a live connection (RFC 9293 §3.3.1). The body: it owns the
//! organs and calls them; how it lives stands in `open`, `arrive`, `fast`, `loss`, `timeout`,
//! `resize`, `output`, `timers` and `close`.

use super::ack::{AckPolicy, Delays};
use super::congestion::Controller;
use super::congestion::usage::Usage;
use super::delivering::Delivering;
use super::ecn::Ecn;
use super::error::{RecvError, SendError, TcpError};
use super::fast_open::FastOpen;
use super::limited::Limited;
use super::listener::Listener;
use super::memory::Memory;
use super::options::TcpOptions;
use super::pace::Pace;
use super::path::Path;
use super::rack::Rack;
use super::rate::Rate;
use super::recovery::Recovery;
use super::recv::Recv;
use super::reply::Replies;
use super::rightsize::{self, RightSize};
use super::rto::Rto;
use super::rtt::Rtt;
use super::send::Send;
use super::starved::STARVED;
use super::state::State;
use super::stats::Stats;
use super::timers::Timers;
use super::timestamps::TimestampState;
use crate::config::{Congestion, TcpConfig};
use crate::counters::Counters;
use crate::net::pmtu::Links;
use crate::readiness::Readiness;
use crate::store::arena::Key;
use crate::store::queue::{Link, Linked};
use crate::store::wheel::NodeId;
use crate::time::Instant;
use crate::wire::address::FlowKey;
use crate::wire::interface::InterfaceId;
use core::num::NonZeroU32;
use std::sync::Arc;

/// The queue of connections that may have something to send.
pub(crate) const READY: usize = 0;
/// The queue of connections whose readiness may have changed.
pub(crate) const CHANGED: usize = 1;
/// The queue of connections that wait to be accepted.
pub(crate) const ACCEPT: usize = 2;

/// What the body needs from outside while it works: all by reference, nothing kept.
pub(crate) struct Cx<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a TcpConfig,
    pub(crate) links: &'a Links,
    /// The longest IP packet that the device cuts into segments, bytes; 0: it does not.
    pub(crate) super_frame: usize,
    pub(crate) counters: &'a mut Counters,
    pub(crate) memory: &'a mut Memory,
    pub(crate) replies: &'a mut Replies,
}

impl Cx<'_> {
    /// How long acknowledgments may wait.
    pub(crate) fn delays(&self) -> Delays {
        Delays { least: self.config.delayed_ack_min, most: self.config.delayed_ack }
    }
}

/// Who began the connection (MUST-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Active,
    Passive,
    /// By a forwarder's decision, and the handshake is not finished.
    Forwarded,
}

/// What the application says of the text behind the one it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    /// Nothing is known of any.
    Unknown,
    /// It comes at once (`MSG_MORE`).
    Follows,
}

/// Things decided by inputs and done by output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// Retransmit the first that is lost, whatever the windows of congestion control say.
    pub(crate) retransmit: bool,
    /// Probe for a lost tail (RFC 8985 §7.3).
    pub(crate) tail_probe: bool,
    /// Probe a closed window.
    pub(crate) probe: bool,
    /// Probe an idle peer.
    pub(crate) keepalive: bool,
    /// Send what there is although it is small (RFC 9293 §3.8.6.2.1's override).
    pub(crate) push_out: bool,
    /// The application has said that more follows (`MSG_MORE`).
    pub(crate) more: bool,
    /// Segments of new text that have gone together, and are not the last.
    pub(crate) burst: u8,
    /// The application should look at the socket.
    pub(crate) event: bool,
    /// The memory ledger has refused it: tell it when there is room.
    pub(crate) starved: bool,
}

/// A connection in one of the eight states from SYN-SENT to LAST-ACK; or, while the application
/// still holds its id, one whose protocol life is over (CLOSED, or TIME-WAIT kept elsewhere).
#[derive(Clone, Debug)]
pub(crate) struct Tcb {
    pub(crate) flow: FlowKey,
    /// IPv6's, from the first segment on: it never changes. None over IPv4.
    pub(crate) flow_label: Option<NonZeroU32>,
    /// By which its segments leave.
    pub(crate) interface: InterfaceId,
    pub(crate) state: State,
    pub(crate) origin: Origin,
    pub(crate) snd: Send,
    pub(crate) rcv: Recv,
    pub(crate) rightsize: RightSize,
    pub(crate) limited: Limited,
    pub(crate) rtt: Rtt,
    pub(crate) rto: Rto,
    pub(crate) recovery: Recovery,
    /// What is in flight, and what is known about it.
    pub(crate) delivering: Delivering,
    pub(crate) rack: Rack,
    pub(crate) rate: Rate,
    pub(crate) congestion: Box<Controller>,
    pub(crate) usage: Usage,
    pub(crate) pace: Pace,
    pub(crate) path: Path,
    pub(crate) ecn: Ecn,
    pub(crate) ack: AckPolicy,
    pub(crate) timers: Timers,
    pub(crate) marks: Marks,
    /// None when timestamps were not negotiated.
    pub(crate) timestamps: Option<TimestampState>,
    /// Both sides sent SACK permitted.
    pub(crate) sack: bool,
    /// Both sides sent a window scale.
    pub(crate) scaling: bool,
    pub(crate) fast_open: FastOpen,
    /// Shared with the listener and whatever else it accepted, until they are changed.
    pub(crate) options: Arc<TcpOptions>,
    pub(crate) error: Option<TcpError>,
    /// What ICMP said without ending the connection (RFC 1122 §4.2.3.9).
    pub(crate) soft_error: Option<TcpError>,
    /// MSS that our SYN announces.
    pub(crate) announced_mss: u16,
    /// When a segment last arrived.
    pub(crate) heard_at: Instant,
    /// When the peer last acknowledged something new, or sending began.
    pub(crate) progress_at: Instant,
    /// When the neighbour table was last told of progress.
    pub(crate) reached_at: Instant,
    /// When text was last sent.
    pub(crate) sent_at: Instant,
    /// When something was last sent again; the epoch if never.
    pub(crate) retransmitted_at: Instant,
    /// Nothing has been heard since the window was last probed.
    pub(crate) unanswered: bool,
    /// Zero-window probes since the window closed.
    pub(crate) probes: u8,
    /// Keepalives since the peer was heard.
    pub(crate) keepalives: u8,
    /// The listener in whose accept queue it waits: nobody holds the id yet.
    pub(crate) listener: Option<Key<Listener>>,
    /// The application has closed the socket: nobody holds the id.
    pub(crate) orphan: bool,
    /// The application waits for text no more (`shutdown(SHUT_RD)`).
    pub(crate) read_shut: bool,
    /// The socket is not writable: tell when it is.
    pub(crate) write_blocked: bool,
    pub(crate) stats: Stats,
    /// Its node in the wheel, once it is in its place.
    pub(crate) node: Option<NodeId>,
    pub(crate) links: [Link; 4],
}

/// An idle connection holds no buffers; a hundred thousand of them, their table entries,
/// timer nodes and lists stay below 128 MiB (`tests/tests/scale.rs` measures it).
const _: () = assert!(core::mem::size_of::<Tcb>() <= 1008);

impl Linked<READY> for Tcb {
    fn link(&mut self) -> &mut Link {
        &mut self.links[READY]
    }
}

impl Linked<CHANGED> for Tcb {
    fn link(&mut self) -> &mut Link {
        &mut self.links[CHANGED]
    }
}

impl Linked<ACCEPT> for Tcb {
    fn link(&mut self) -> &mut Link {
        &mut self.links[ACCEPT]
    }
}

impl Linked<STARVED> for Tcb {
    fn link(&mut self) -> &mut Link {
        &mut self.links[STARVED]
    }
}

/// What the application does with a connection (RFC 9293 §3.10.2, §3.10.3).
impl Tcb {
    /// SEND: `queue` is given a quota of octets, and returns how many it has queued, or None where
    /// there was no room; `more` follows at once.
    pub(crate) fn send(
        &mut self,
        cx: &mut Cx<'_>,
        more: More,
        queue: impl FnOnce(&mut Send, usize, &mut Memory) -> Option<usize>,
    ) -> Result<usize, SendError> {
        if let Some(error) = self.error.take() {
            return Err(SendError::Failed(error));
        }
        match self.state {
            State::SynSent if self.fast_open.is_waiting() => {
                return self.send_with_syn(cx, queue);
            }
            State::SynReceived if self.fast_open.is_early() => {}
            State::SynSent | State::SynReceived => {
                self.write_blocked = true;
                return Err(SendError::WouldBlock);
            }
            State::Established | State::CloseWait => {}
            _ => return Err(SendError::Closed),
        }
        self.note_pause();
        self.marks.more = more == More::Follows;
        let quota = self.unsent_quota();
        let taken = queue(&mut self.snd, quota, cx.memory);
        self.snd.set_pushed(!self.marks.more);
        self.marks.starved |= self.snd.is_starved();
        // Whoever looks now finds it not writable, and waits, though no call of his fell short.
        if !self.is_writable() {
            self.write_blocked = true;
        }
        taken.ok_or(SendError::WouldBlock)
    }

    /// The first text of a connection whose SYN has waited for it: what fits goes along.
    fn send_with_syn(
        &mut self,
        cx: &mut Cx<'_>,
        queue: impl FnOnce(&mut Send, usize, &mut Memory) -> Option<usize>,
    ) -> Result<usize, SendError> {
        let room = self.syn_text_room();
        if let Some(opening) = &mut self.fast_open.opening {
            opening.waits = false;
        }
        self.progress_at = cx.now;
        self.write_blocked = true;
        let taken = queue(&mut self.snd, room, cx.memory);
        self.marks.starved |= self.snd.is_starved();
        taken.ok_or(SendError::WouldBlock)
    }

    /// The memory ledger, which has refused something, has room: the writer tries again, and the
    /// peer hears that its text is wanted.
    pub(crate) fn on_memory(&mut self) {
        self.snd.retry();
        self.tell_writer();
        if self.rcv.take_refused() {
            self.ack.owe_now();
        }
    }

    /// How much more may be queued before it is sent (`TCP_NOTSENT_LOWAT`): a segment at the
    /// least, or a small limit would cut the text to pieces.
    fn unsent_quota(&self) -> usize {
        let Some(most) = self.options.notsent_lowat else { return usize::MAX };
        let left = (most as usize).saturating_sub(self.snd.unsent());
        if left == 0 { 0 } else { left.max(self.snd.mss.into()) }
    }

    /// Room for more text, bytes.
    pub(crate) fn send_room(&self) -> usize {
        if self.fast_open.is_waiting() {
            return self.syn_text_room();
        }
        let open = self.state.may_send() || self.fast_open.is_early();
        if open { self.snd.room().min(self.unsent_quota()) } else { 0 }
    }

    /// Worth waking a writer: a third of the buffer is free, and less than half of what may be
    /// unsent is.
    fn is_writable(&self) -> bool {
        let is_low = |most| 2 * self.snd.unsent() < most as usize;
        self.options.notsent_lowat.is_none_or(is_low) && self.snd.is_writable()
    }

    /// The writer who waits is told when there is room.
    pub(crate) fn tell_writer(&mut self) {
        if self.write_blocked && self.is_writable() {
            self.write_blocked = false;
            self.marks.event = true;
        }
    }

    /// Only full segments are to be sent.
    pub(crate) fn is_corked(&self) -> bool {
        self.options.cork || self.marks.more
    }

    /// Text can still come to the reader: it is here, or the peer may send it.
    fn is_readable_end(&self) -> bool {
        self.read_shut || !self.state.may_receive()
    }

    /// RECEIVE: `Ok(0)` is the end of the stream. Text that arrived before a failure is read
    /// first, then the failure is told once. `read` is lent the text and says how much of it is
    /// used.
    pub(crate) fn recv(
        &mut self,
        wanted: usize,
        read: impl FnOnce([&[u8]; 2]) -> usize,
    ) -> Result<usize, RecvError> {
        self.before_read(wanted)?;
        Ok(self.rcv.read_with(read))
    }

    /// RECEIVE without consuming.
    pub(crate) fn peek(&mut self, out: &mut [u8]) -> Result<usize, RecvError> {
        self.before_read(out.len())?;
        Ok(self.rcv.peek(out))
    }

    /// The application has read `n` bytes: the receive buffer follows, unless it was asked for.
    /// In want of memory it goes back; the window that was announced stays (SHLD-14).
    pub(crate) fn on_read(&mut self, cx: &Cx<'_>, n: usize) {
        if self.options.receive_buffer.is_some() {
            return;
        }
        let (srtt, mss) = (self.rtt.srtt(), self.announced_mss);
        let wanted = self.rightsize.on_read(cx.now, n, (srtt, self.rtt.min()), mss);
        let buffer = self.rcv.buffer();
        if cx.memory.is_tight() {
            self.rcv.set_buffer(buffer.min(cx.config.receive_buffer));
        } else if let Some(wanted) = wanted {
            let most = cx.config.receive_buffer_max.min(cx.memory.share());
            self.rcv.set_buffer(wanted.min(most).max(buffer));
        }
    }

    /// The windows may have grown: the send buffer follows, unless it was asked for.
    pub(crate) fn resize_send_buffer(&mut self, cx: &Cx<'_>) {
        let window = self.congestion.window().min(self.snd.wnd);
        let most = cx.config.send_buffer_max.min(cx.memory.share());
        let wanted = rightsize::send_buffer(window).min(most);
        let fixed = self.options.send_buffer.is_some() || cx.memory.is_tight();
        if wanted > self.snd.buffer() && !fixed {
            self.snd.set_buffer(wanted);
        }
    }

    fn before_read(&mut self, wanted: usize) -> Result<(), RecvError> {
        if self.rcv.unread() > 0 || (wanted == 0 && self.error.is_none()) {
            return Ok(());
        }
        if let Some(error) = self.error.take() {
            return Err(RecvError::Failed(error));
        }
        match self.state {
            State::SynSent | State::SynReceived => Err(RecvError::WouldBlock),
            _ if self.is_readable_end() => Ok(()),
            _ => Err(RecvError::WouldBlock),
        }
    }

    /// What the socket is ready for.
    pub(crate) fn readiness(&self) -> Readiness {
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        let may_write = !opening || self.fast_open.is_waiting() || self.fast_open.is_early();
        let over = matches!(self.state, State::Closed | State::TimeWait);
        let read_end = !opening && self.is_readable_end();
        let write_end = !opening && !self.state.may_send();
        let error = self.error.is_some();
        Readiness::EMPTY
            .with(Readiness::READABLE, self.rcv.unread() > 0 || read_end || error)
            .with(Readiness::WRITABLE, write_end || error || (may_write && self.is_writable()))
            .with(Readiness::READ_CLOSED, read_end)
            .with(Readiness::WRITE_CLOSED, write_end)
            .with(Readiness::ERROR, error)
            .with(Readiness::CLOSED, over)
    }

    /// Another congestion controller takes over where the last one stands.
    fn change_congestion(&mut self, algorithm: Option<Congestion>) {
        let Some(algorithm) = algorithm else { return };
        let (cwnd, mut ssthresh) = (self.congestion.window(), self.congestion.ssthresh());
        if self.recovery.is_fast() && ssthresh == u32::MAX {
            // The end of a recovery makes a window of the threshold: of none, one without bound.
            ssthresh = cwnd;
        }
        self.congestion = algorithm.controller(self.snd.mss_u32(), self.snd.iss.0);
        self.congestion.on_adopted(cwnd, ssthresh);
    }

    /// Takes new options; those that matter at once are put to work.
    pub(crate) fn set_options(&mut self, now: Instant, options: TcpOptions) {
        let options = options.clamped();
        if let Some(bytes) = options.receive_buffer
            && options.receive_buffer != self.options.receive_buffer
        {
            self.rcv.set_buffer(bytes);
        }
        if let Some(bytes) = options.send_buffer
            && options.send_buffer != self.options.send_buffer
        {
            self.snd.set_buffer(bytes);
        }
        // Turning Nagle off, or saying so again, sends what is held back (tcp(7)).
        let said = options.nodelay && (!self.options.nodelay || options == *self.options);
        self.marks.push_out |= said && self.snd.unsent() > 0;
        // What waits goes at once, as in Linux (TCP_QUICKACK).
        if options.quick_ack && self.ack.is_pending() {
            self.ack.owe_now();
        }
        if options.congestion != self.options.congestion {
            self.change_congestion(options.congestion);
        }
        if options.max_pacing_rate != self.options.max_pacing_rate {
            // What was sent at the old rate is not waited for at it.
            self.pace = Pace::new();
        }
        let before = core::mem::replace(&mut self.options, Arc::new(options));
        self.follow_keepalive(now, &before);
        // What may wait unsent may be less than before, or more.
        self.write_blocked |= !self.is_writable();
        self.tell_writer();
    }
}
