//! How connections begin (RFC 9293 §3.10.1, §3.5): the block of an active open, the block that a
//! finished handshake makes, and what the peer's SYN settles.

use super::ack::AckPolicy;
use super::congestion::initial_window;
use super::congestion::usage::Usage;
use super::delivering::Delivering;
use super::ecn::Ecn;
use super::fast_open::FastOpen;
use super::limited::Limited;
use super::options::TcpOptions;
use super::pace::Pace;
use super::path::Path;
use super::rack::Rack;
use super::rate::Rate;
use super::recovery::Recovery;
use super::recv::Recv;
use super::rightsize::RightSize;
use super::rto::Rto;
use super::rtt::Rtt;
use super::segment::Segment;
use super::send::Send;
use super::seq::Seq;
use super::state::{Event, State};
use super::stats::Stats;
use super::syncache::HalfOpen;
use super::tcb::{Cx, Marks, Origin, Tcb};
use super::timers::Timers;
use super::timestamps::TimestampState;
use crate::config::TcpConfig;
use crate::net::pmtu::PathMtu;
use crate::store::queue::Link;
use crate::time::Instant;
use crate::wire::address::{Address, FlowKey};
use crate::wire::interface::InterfaceId;
use std::sync::Arc;

/// MSS that counts when the peer names none (MUST-15).
const DEFAULT_MSS_V4: u16 = 536;
const DEFAULT_MSS_V6: u16 = 1220;
/// Octets that the timestamps option takes from each segment's text (RFC 6691).
pub(super) const TIMESTAMP_OCTETS: u16 = 12;

/// The numbers a new connection starts with.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) now: Instant,
    pub(crate) iss: Seq,
    /// Offset of this connection's timestamp clock.
    pub(crate) timestamp_offset: u32,
    /// MSS to announce.
    pub(crate) announced_mss: u16,
    /// What is known of the path.
    pub(crate) path: Option<PathMtu>,
    /// Clamped.
    pub(crate) options: Arc<TcpOptions>,
}

/// The headers of IP and TCP in a segment to `remote`, options not counted.
fn headers_len(remote: Address) -> u16 {
    if remote.is_v4() { 40 } else { 60 }
}

/// The MSS to announce on a link of this MTU: it ignores options (MUST-67, RFC 6691).
pub(crate) fn announced_mss(mtu: usize, remote: Address, options: &TcpOptions) -> u16 {
    let most = mtu.saturating_sub(headers_len(remote).into()).min(0xffff) as u16;
    options.max_segment.map_or(most, |mss| mss.min(most))
}

/// The MSS of a peer that names none.
pub(crate) fn default_mss(remote: Address) -> u16 {
    if remote.as_v4().is_some() { DEFAULT_MSS_V4 } else { DEFAULT_MSS_V6 }
}

/// The effective send MSS (MUST-16): what the peer takes and the link carries, less our options,
/// but never below `config.mss_min` (THREATS R-8).
pub(crate) fn send_mss(
    peer: Option<u16>,
    announced: u16,
    remote: Address,
    timestamps: bool,
    config: &TcpConfig,
) -> u16 {
    let peer = peer.filter(|&mss| mss != 0).unwrap_or(default_mss(remote));
    let text = peer.min(announced).max(config.mss_min);
    if timestamps { text - TIMESTAMP_OCTETS } else { text }
}

impl Tcb {
    /// The block of an active open: SYN-SENT, its SYN still to be sent.
    pub(crate) fn connecting(flow: FlowKey, start: Start, config: &TcpConfig) -> Tcb {
        let mss = send_mss(None, start.announced_mss, flow.remote.address, false, config);
        let mut tcb = Tcb::blank(flow, &start, config, mss);
        tcb.state = State::Closed.on(Event::ActiveOpen);
        // Offered until the peer's SYN says otherwise.
        tcb.sack = true;
        tcb.scaling = true;
        tcb.timestamps = Some(TimestampState::new(start.timestamp_offset, 0, start.now, Seq(0)));
        tcb
    }

    /// The block that a half-open connection becomes with the third segment of the handshake.
    pub(crate) fn accepted(half: &HalfOpen, start: Start, cx: &mut Cx<'_>) -> Tcb {
        let now = start.now;
        let mut tcb = Tcb::received(half, start, cx.config);
        // The SYN-ACK has been sent on this block's behalf.
        tcb.snd.on_sent(1);
        let rate = tcb.rate.on_sent(half.sent_at, 1, 0);
        let parts = &mut *tcb.delivering;
        parts.flight.on_sent(half.sent_at, half.iss, half.iss + 1, rate);
        if half.retries > 0 || half.repeated || half.redeemed {
            parts.flight.on_resent(half.sent_at, half.iss, half.iss + 1, rate);
        }
        if half.retries > 0 {
            tcb.rto.on_timeout();
        }
        if half.redeemed {
            // A cookie's timestamp is no measure of time: nothing from before now is.
            tcb.retransmitted_at = now;
        }
        tcb
    }

    /// The block that a SYN makes at once, with a good cookie (RFC 7413 §4.2.2) or by a decision:
    /// its SYN-ACK is still to be sent, and its text may follow that, as far as the SYN's window
    /// lets it.
    pub(crate) fn opened_early(half: &HalfOpen, start: Start, config: &TcpConfig) -> Tcb {
        let mut tcb = Tcb::received(half, start, config);
        tcb.snd.set_window(half.irs, tcb.snd.una, u32::from(half.peer_window));
        tcb.ecn = Ecn::asked(half.iss, half.ecn);
        tcb
    }

    /// SYN-RECEIVED of a passive open.
    fn received(half: &HalfOpen, start: Start, config: &TcpConfig) -> Tcb {
        let mut tcb = Tcb::blank(half.flow, &start, config, half.mss);
        tcb.origin = Origin::Passive;
        tcb.state = State::SynReceived;
        tcb.scaling = half.peer_scale.is_some();
        tcb.sack = half.sack;
        tcb.ecn = Ecn::accepted(half.iss, half.ecn);
        tcb.snd.scale = half.peer_scale.unwrap_or(0);
        let scale = if tcb.scaling { half.scale } else { 0 };
        let buffer = tcb.options.first_receive_buffer(config);
        tcb.rcv = Recv::new(half.irs, start.announced_mss, scale, buffer, config.ranges_max);
        let _: u16 = tcb.rcv.open_unscaled();
        let rcv_nxt = tcb.rcv.nxt;
        tcb.timestamps = half
            .timestamp
            .map(|recent| TimestampState::new(start.timestamp_offset, recent, start.now, rcv_nxt));
        tcb.limit_segments(half.mss);
        tcb
    }

    fn blank(flow: FlowKey, start: &Start, config: &TcpConfig, mss: u16) -> Tcb {
        let options = Arc::clone(&start.options);
        let scale = options.window_scale(config);
        let buffer = options.first_receive_buffer(config);
        let send_buffer = options.first_send_buffer(config);
        let mut path = Path::new(flow.remote.address.is_v4(), start.announced_mss);
        if let Some(known) = start.path {
            path.remember(known);
        }
        Tcb {
            flow,
            flow_label: None,
            interface: InterfaceId::FIRST,
            state: State::Closed,
            origin: Origin::Active,
            snd: Send::new(start.iss, mss, send_buffer),
            rcv: Recv::new(Seq(0), start.announced_mss, scale, buffer, config.ranges_max),
            rightsize: RightSize::new(start.now, initial_window(start.announced_mss.into())),
            limited: Limited::new(start.now),
            rtt: Rtt::new(),
            rto: Rto::new(),
            recovery: Recovery::new(start.iss),
            congestion: options
                .congestion
                .unwrap_or(config.congestion)
                .controller(u32::from(mss), start.iss.0),
            usage: Usage::new(start.iss),
            pace: Pace::new(),
            path,
            ecn: Ecn::new(start.iss),
            delivering: Delivering::default(),
            rack: Rack::new(start.iss),
            rate: Rate::default(),
            ack: AckPolicy::new(),
            timers: Timers::new(),
            marks: Marks::default(),
            timestamps: None,
            sack: false,
            scaling: false,
            fast_open: FastOpen::default(),
            options,
            error: None,
            soft_error: None,
            announced_mss: start.announced_mss,
            heard_at: start.now,
            progress_at: start.now,
            reached_at: start.now,
            sent_at: start.now,
            retransmitted_at: Instant::ZERO,
            unanswered: false,
            probes: 0,
            keepalives: 0,
            orphan: false,
            listener: None,
            read_shut: false,
            write_blocked: false,
            stats: Stats::default(),
            node: None,
            links: [Link::default(); 4],
        }
    }

    /// The peer's SYN in answer to, or crossing, ours: IRS, MSS, scale, SACK and timestamps.
    pub(crate) fn on_peer_syn(&mut self, cx: &Cx<'_>, seg: &Segment<'_>) {
        let peer = &seg.options;
        self.scaling = peer.window_scale.is_some();
        self.sack = peer.sack_permitted;
        self.ecn.on_peer_syn(seg.flags, cx.config.ecn.accepts());
        self.snd.scale = peer.window_scale.unwrap_or(0);
        // As our SYN announced it, whatever the options say now.
        let scale = if self.scaling { self.rcv.scale } else { 0 };
        let (mss, buffer) = (self.announced_mss, self.rcv.buffer());
        self.rcv = Recv::new(seg.seq, mss, scale, buffer, cx.config.ranges_max);
        let _: u16 = self.rcv.open_unscaled();
        let offset = self.timestamps.as_ref().map_or(0, |ts| ts.offset);
        let rcv_nxt = self.rcv.nxt;
        self.timestamps =
            peer.timestamps.map(|ts| TimestampState::new(offset, ts.value, cx.now, rcv_nxt));
        let mss = send_mss(
            peer.mss,
            self.announced_mss,
            self.flow.remote.address,
            self.timestamps.is_some(),
            cx.config,
        );
        self.limit_segments(mss);
    }
}
