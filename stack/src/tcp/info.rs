//! What a connection can tell about itself, in the manner of Linux's `struct tcp_info`.

use super::fast_open::FastOpenFailure;
use super::layer::TcpLayer;
use super::limited::Limited;
use super::state::State;
use super::tcb::Tcb;
use crate::store::arena::Key;
use crate::time::Instant;
use crate::wire::address::{Address, Endpoint, FlowKey};
use core::net::SocketAddr;
use core::time::Duration;

/// The state and numbers of one TCP object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TcpInfo {
    /// This host's end.
    pub local: SocketAddr,
    /// The peer's end; unspecified for a listener.
    pub remote: SocketAddr,
    /// The state.
    pub state: State,
    /// Congestion window, bytes.
    pub cwnd: u32,
    /// Slow-start threshold, bytes; `u32::MAX` before the first loss.
    pub ssthresh: u32,
    /// Smoothed round-trip time; zero before the first sample.
    pub rtt: Duration,
    /// Variation of the round-trip time.
    pub rtt_var: Duration,
    /// Smallest round-trip time of the last 150 to 300 s, after a pause also of before it; zero
    /// before the first sample.
    pub rtt_min: Duration,
    /// Retransmission time-out, back-off included.
    pub rto: Duration,
    /// Expiries of the retransmission timer since the last progress.
    pub backoff: u8,
    /// Most text in one sent segment, bytes.
    pub send_mss: u16,
    /// Longest packet that goes to the peer, bytes: the path carries it, as far as is known, and
    /// both hosts take it.
    pub path_mtu: u32,
    /// Largest segment received, bytes; 536 at least.
    pub receive_mss: u16,
    /// How long the next acknowledgment may wait.
    pub ack_delay: Duration,
    /// Unanswered probes of a closed window, or of an idle peer.
    pub probes: u8,
    /// What held the sender back, and how long.
    pub limited: Limited,
    /// When text or a FIN was last sent, if anything was.
    pub sent_at: Option<Instant>,
    /// When text was last received.
    pub text_at: Option<Instant>,
    /// When a segment was last received.
    pub heard_at: Instant,
    /// Segment size that this side announced, bytes.
    pub advertised_mss: u16,
    /// The peer's window, bytes.
    pub send_window: u32,
    /// This side's window, bytes.
    pub receive_window: u32,
    /// Octets sent, and neither delivered nor believed lost.
    pub in_flight: u32,
    /// Most bytes held for the application to read, now.
    pub receive_buffer: usize,
    /// Most bytes held until the peer acknowledges them, now.
    pub send_buffer: usize,
    /// Most bytes that the application read in a round trip.
    pub receive_space: u32,
    /// Round-trip time as the receiver sees it; zero before the first sample.
    pub receive_rtt: Duration,
    /// Text received and unread, bytes. For a listener: connections waiting to be accepted.
    pub unread: usize,
    /// Text queued or unacknowledged, bytes. For a listener: its backlog.
    pub unsent: usize,
    /// Text queued and never sent, bytes.
    pub unsent_bytes: usize,
    /// Text sent, retransmissions included.
    pub bytes_sent: u64,
    /// Text acknowledged.
    pub bytes_acked: u64,
    /// Text received in order.
    pub bytes_received: u64,
    /// Segments received.
    pub segments_in: u64,
    /// Segments sent.
    pub segments_out: u64,
    /// Segments with text received.
    pub text_segments_in: u32,
    /// Segments with text sent.
    pub text_segments_out: u32,
    /// Segments received out of order.
    pub out_of_order: u32,
    /// Text delivered to the peer, as far as is known: acknowledged or reported.
    pub bytes_delivered: u64,
    /// Rate of delivery, bytes a second, of the latest acknowledgments that show one.
    pub delivery_rate: u64,
    /// That rate is what the application wrote, not what the path carries.
    pub delivery_app_limited: bool,
    /// Rate at which text is sent, bytes a second; None when the windows alone decide.
    pub pacing_rate: Option<u64>,
    /// Greatest such rate that the application allows.
    pub max_pacing_rate: Option<u64>,
    /// A loss was found by acknowledgments and is being repaired.
    pub in_recovery: bool,
    /// Text retransmitted.
    pub bytes_retransmitted: u64,
    /// Segments retransmitted.
    pub retransmits: u64,
    /// Retransmissions that were for nothing: the peer reported them as duplicates (RFC 2883), or,
    /// without SACK, timestamps show it (RFC 3522).
    pub spurious_retransmits: u64,
    /// Retransmission time-outs.
    pub timeouts: u64,
    /// Octets believed lost and not sent again.
    pub lost: u32,
    /// Octets sent again, and neither delivered nor believed lost once more.
    pub resent: u32,
    /// Octets that the peer reported as received out of order.
    pub sacked: u32,
    /// The path has been seen to deliver out of order.
    pub reordering: bool,
    /// Timestamps were negotiated (RFC 7323).
    pub timestamps: bool,
    /// Selective acknowledgments were negotiated (RFC 2018).
    pub sack: bool,
    /// Explicit Congestion Notification was negotiated (RFC 3168), and the peer's text has used it.
    pub ecn: bool,
    /// See `ecn`.
    pub ecn_seen: bool,
    /// Octets delivered by acknowledgments that echoed a router's mark.
    pub bytes_delivered_ce: u32,
    /// Shifts of the peer's window and ours, if scaling was negotiated (RFC 7323).
    pub window_scale: Option<(u8, u8)>,
    /// The congestion controller's name.
    pub congestion: &'static str,
    /// The application has closed the socket; the connection finishes by itself.
    pub orphan: bool,
    /// The SYN carried text, and it was taken (RFC 7413).
    pub syn_data: bool,
    /// Why Fast Open did not work for this client, if it did not.
    pub fast_open_failed: Option<FastOpenFailure>,
}

impl TcpInfo {
    /// The line of an object that is no live connection.
    fn bare(flow: &FlowKey, state: State) -> TcpInfo {
        TcpInfo {
            local: flow.local.to_socket_addr(),
            remote: flow.remote.to_socket_addr(),
            state,
            cwnd: 0,
            ssthresh: 0,
            rtt: Duration::ZERO,
            rtt_var: Duration::ZERO,
            rtt_min: Duration::ZERO,
            rto: Duration::ZERO,
            backoff: 0,
            send_mss: 0,
            path_mtu: 0,
            receive_mss: 0,
            ack_delay: Duration::ZERO,
            probes: 0,
            limited: Limited::new(Instant::ZERO),
            sent_at: None,
            text_at: None,
            heard_at: Instant::ZERO,
            advertised_mss: 0,
            send_window: 0,
            receive_window: 0,
            in_flight: 0,
            receive_buffer: 0,
            send_buffer: 0,
            receive_space: 0,
            receive_rtt: Duration::ZERO,
            unread: 0,
            unsent: 0,
            unsent_bytes: 0,
            bytes_sent: 0,
            bytes_acked: 0,
            bytes_received: 0,
            segments_in: 0,
            segments_out: 0,
            text_segments_in: 0,
            text_segments_out: 0,
            out_of_order: 0,
            bytes_delivered: 0,
            delivery_rate: 0,
            delivery_app_limited: false,
            pacing_rate: None,
            max_pacing_rate: None,
            in_recovery: false,
            bytes_retransmitted: 0,
            retransmits: 0,
            spurious_retransmits: 0,
            timeouts: 0,
            lost: 0,
            resent: 0,
            sacked: 0,
            reordering: false,
            timestamps: false,
            sack: false,
            ecn: false,
            ecn_seen: false,
            bytes_delivered_ce: 0,
            window_scale: None,
            congestion: "",
            orphan: false,
            syn_data: false,
            fast_open_failed: None,
        }
    }

    /// What a handle says whose connection is gone.
    pub(crate) fn none() -> TcpInfo {
        let nobody = Endpoint::new(Address::UNSPECIFIED_V4, 0);
        TcpInfo::bare(&FlowKey { local: nobody, remote: nobody }, State::Closed)
    }

    /// The numbers of a live connection.
    pub(crate) fn of(tcb: &Tcb) -> TcpInfo {
        TcpInfo {
            cwnd: tcb.congestion.window(),
            ssthresh: tcb.congestion.ssthresh(),
            rtt: tcb.rtt.srtt().unwrap_or_default(),
            rtt_var: tcb.rtt.rttvar(),
            rtt_min: tcb.rtt.min().unwrap_or_default(),
            rto: tcb.rto.current(),
            backoff: tcb.rto.expiries(),
            send_mss: tcb.snd.mss,
            path_mtu: tcb.path.mtu(),
            receive_mss: tcb.ack.largest_segment(),
            ack_delay: tcb.ack.learnt_delay(),
            probes: tcb.probes.max(tcb.keepalives),
            limited: tcb.limited,
            sent_at: (tcb.snd.nxt != tcb.snd.iss).then_some(tcb.sent_at),
            text_at: tcb.ack.text_at(),
            heard_at: tcb.heard_at,
            advertised_mss: tcb.announced_mss,
            send_window: tcb.snd.wnd,
            receive_window: tcb.rcv.window(),
            in_flight: tcb.in_flight(),
            receive_buffer: tcb.rcv.buffer(),
            send_buffer: tcb.snd.buffer(),
            receive_space: tcb.rightsize.space(),
            receive_rtt: tcb.rightsize.round_trip(tcb.rtt.srtt()).unwrap_or_default(),
            unread: tcb.rcv.unread(),
            unsent: tcb.snd.queued(),
            unsent_bytes: tcb.snd.unsent(),
            bytes_sent: tcb.stats.bytes_sent,
            bytes_acked: tcb.stats.bytes_acked,
            bytes_received: tcb.stats.bytes_received,
            segments_in: tcb.stats.segments_in,
            segments_out: tcb.stats.segments_out,
            text_segments_in: tcb.stats.text_segments_in,
            text_segments_out: tcb.stats.text_segments_out,
            out_of_order: tcb.stats.out_of_order,
            bytes_delivered: tcb.rate.delivered(),
            delivery_rate: tcb.rate.latest().0,
            delivery_app_limited: tcb.rate.latest().1,
            pacing_rate: tcb.pacing_rate(),
            max_pacing_rate: tcb.options.max_pacing_rate,
            in_recovery: tcb.recovery.is_fast(),
            bytes_retransmitted: tcb.stats.bytes_retransmitted,
            retransmits: tcb.stats.retransmits,
            spurious_retransmits: tcb.stats.spurious,
            timeouts: tcb.stats.timeouts,
            lost: tcb.delivering.flight.lost(),
            resent: tcb.delivering.flight.resent(),
            sacked: tcb.delivering.flight.sacked(),
            reordering: tcb.rack.has_seen_reordering(),
            timestamps: tcb.timestamps.is_some(),
            sack: tcb.sack,
            ecn: tcb.ecn.is_on(),
            ecn_seen: tcb.ecn.has_seen(),
            bytes_delivered_ce: tcb.stats.bytes_delivered_ce,
            window_scale: tcb.scaling.then_some((tcb.snd.scale, tcb.rcv.scale)),
            congestion: tcb.congestion.name(),
            orphan: tcb.orphan,
            syn_data: tcb.fast_open.syn_data,
            fast_open_failed: tcb.fast_open.failed,
            ..TcpInfo::bare(&tcb.flow, tcb.state)
        }
    }
}

impl TcpLayer {
    /// Every TCP object: listeners, handshakes, connections, TIME-WAITs.
    pub(crate) fn list(&self) -> impl Iterator<Item = (Option<Key<Tcb>>, TcpInfo)> + '_ {
        let listeners = self.listeners.iter().map(|(_, listener)| {
            let nobody = Endpoint::new(Address::UNSPECIFIED_V4, 0);
            let flow = FlowKey { local: listener.local, remote: nobody };
            let mut info = TcpInfo::bare(&flow, State::Listen);
            info.unread = listener.accept.len();
            info.unsent = listener.options.backlog;
            (None, info)
        });
        let half_open = self
            .half_open
            .iter()
            .map(|(_, half)| (None, TcpInfo::bare(&half.flow, State::SynReceived)));
        // A block in TIME-WAIT is listed by its entry there.
        let live = self
            .live
            .iter()
            .filter(|(_, tcb)| tcb.state != State::TimeWait)
            .map(|(key, tcb)| (Some(key), TcpInfo::of(tcb)));
        let waits = self
            .waits
            .iter()
            .map(|(_, wait)| (None, TcpInfo::bare(&wait.flow.key(), State::TimeWait)));
        listeners.chain(half_open).chain(live).chain(waits)
    }
}
