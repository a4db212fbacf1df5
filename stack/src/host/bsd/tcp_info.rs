//! Linux's `struct tcp_info`, field by field, from what the engine knows.

use std::time::Duration;

use crate::{Instant, Limit, State, TcpInfo};

/// The bytes of the structure up to and with `tcpi_total_rto_time`.
const LENGTH: usize = 248;

const STATE: usize = 0;
const CA_STATE: usize = 1;
const RETRANSMITS: usize = 2;
const PROBES: usize = 3;
const BACKOFF: usize = 4;
const OPTIONS: usize = 5;
const WINDOW_SCALES: usize = 6;
const APP_LIMITED: usize = 7;
/// The first of the 32-bit fields, and those that are filled in.
const RTO: usize = 8;
const ATO: usize = 12;
const SND_MSS: usize = 16;
const RCV_MSS: usize = 20;
const UNACKED: usize = 24;
const SACKED: usize = 28;
const LOST: usize = 32;
const RETRANS: usize = 36;
const LAST_DATA_SENT: usize = 44;
const LAST_DATA_RECV: usize = 52;
const LAST_ACK_RECV: usize = 56;
const PMTU: usize = 60;
const RCV_SSTHRESH: usize = 64;
const RTT: usize = 68;
const RTTVAR: usize = 72;
const SND_SSTHRESH: usize = 76;
const SND_CWND: usize = 80;
const ADVMSS: usize = 84;
const REORDERING: usize = 88;
const RCV_RTT: usize = 92;
const RCV_SPACE: usize = 96;
const TOTAL_RETRANS: usize = 100;
/// 64-bit fields, and 32-bit ones between them.
const PACING_RATE: usize = 104;
const MAX_PACING_RATE: usize = 112;
const BYTES_ACKED: usize = 120;
const BYTES_RECEIVED: usize = 128;
const SEGS_OUT: usize = 136;
const SEGS_IN: usize = 140;
const NOTSENT_BYTES: usize = 144;
const MIN_RTT: usize = 148;
const DATA_SEGS_IN: usize = 152;
const DATA_SEGS_OUT: usize = 156;
const DELIVERY_RATE: usize = 160;
const BUSY_TIME: usize = 168;
const RWND_LIMITED: usize = 176;
const SNDBUF_LIMITED: usize = 184;
const DELIVERED: usize = 192;
const DELIVERED_CE: usize = 196;
const BYTES_SENT: usize = 200;
const BYTES_RETRANS: usize = 208;
const DSACK_DUPS: usize = 216;
const REORD_SEEN: usize = 220;
const RCV_OOOPACK: usize = 224;
const SND_WND: usize = 228;
const RCV_WND: usize = 232;
const TOTAL_RTO: usize = 240;

/// The segments above a hole that make it a loss where nothing is known of reordering; where it is,
/// time decides and not a number (RFC 8985).
const DUP_THRESH: u64 = 3;

/// `TCPI_OPT_TIMESTAMPS`, `TCPI_OPT_SACK`, `TCPI_OPT_WSCALE`, `TCPI_OPT_ECN`, `TCPI_OPT_ECN_SEEN`,
/// `TCPI_OPT_SYN_DATA`.
const OPTION_BITS: [u8; 6] = [1, 2, 4, 8, 16, 32];

struct Record([u8; LENGTH]);

impl Record {
    fn put32(&mut self, at: usize, value: u64) {
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    fn put64(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The bytes of Linux's `struct tcp_info` for a connection. Windows and flights are counted in
/// segments, as in Linux; times end `now`.
pub fn tcp_info_bytes(info: &TcpInfo, now: Instant) -> Vec<u8> {
    let mut record = Record([0; LENGTH]);
    put_times(&mut record, info, now);
    put_counts(&mut record, info);
    record.0[PROBES] = info.probes;
    record.0[CA_STATE] = congestion_state(info);
    // Two bits beside it tell why Fast Open did not work.
    let failed = info.fast_open_failed.map_or(0, |why| why as u8);
    record.0[APP_LIMITED] = u8::from(info.delivery_app_limited) | failed << 1;
    record.0[STATE] = number(info.state);
    record.0[RETRANSMITS] = info.backoff;
    record.0[BACKOFF] = info.backoff;
    let scaling = info.window_scale.is_some();
    let negotiated = [info.timestamps, info.sack, scaling, info.ecn, info.ecn_seen, info.syn_data];
    let options_in_force = negotiated.iter().zip(OPTION_BITS).filter(|(on, _)| **on);
    record.0[OPTIONS] = options_in_force.map(|(_, bit)| bit).sum();
    let (theirs, ours) = info.window_scale.unwrap_or_default();
    record.0[WINDOW_SCALES] = (theirs & 0xf) | ((ours & 0xf) << 4);
    let mss = u64::from(info.send_mss.max(1));
    let segments = |bytes: u32| u64::from(bytes).div_ceil(mss);
    record.put32(SND_MSS, info.send_mss.into());
    record.put32(RCV_MSS, info.receive_mss.into());
    record.put32(UNACKED, segments(info.in_flight + info.lost + info.sacked));
    record.put32(SACKED, segments(info.sacked));
    record.put32(DELIVERED, info.bytes_delivered.div_ceil(mss));
    record.put32(DELIVERED_CE, segments(info.bytes_delivered_ce));
    // Linux counts what is out again among what is lost, until it is delivered.
    record.put32(LOST, segments(info.lost + info.resent));
    record.put32(RETRANS, segments(info.resent));
    record.put32(REORDERING, DUP_THRESH);
    record.put32(PMTU, info.path_mtu.into());
    // Linux's "infinite" threshold is 0x7fffffff.
    let infinite = info.ssthresh == u32::MAX;
    let whole = |bytes: u32| u64::from(bytes) / mss;
    let threshold = if infinite { 0x7fff_ffff } else { whole(info.ssthresh) };
    record.put32(SND_SSTHRESH, threshold);
    record.put32(SND_CWND, whole(info.cwnd));
    record.put32(ADVMSS, info.advertised_mss.into());
    record.put32(RCV_SPACE, info.receive_space.into());
    record.put32(RCV_SSTHRESH, info.receive_buffer as u64);
    record.put32(SND_WND, info.send_window.into());
    record.put32(RCV_WND, info.receive_window.into());
    record.0.to_vec()
}

/// Times in microseconds; how long ago something was, in milliseconds.
fn put_times(record: &mut Record, info: &TcpInfo, now: Instant) {
    record.put32(RTO, micros(info.rto));
    record.put32(ATO, micros(info.ack_delay));
    record.put32(RTT, micros(info.rtt));
    record.put32(RTTVAR, micros(info.rtt_var));
    record.put32(RCV_RTT, micros(info.receive_rtt));
    record.put32(MIN_RTT, micros(info.rtt_min));
    let ago = |at: Instant| u64::try_from((now - at).as_millis()).unwrap_or(u64::MAX);
    record.put32(LAST_DATA_SENT, info.sent_at.map_or(0, ago));
    record.put32(LAST_DATA_RECV, info.text_at.map_or(0, ago));
    record.put32(LAST_ACK_RECV, ago(info.heard_at));
    record.put64(BUSY_TIME, micros(info.limited.busy(now)));
    let limited = |limit| micros(info.limited.time(limit, now));
    record.put64(RWND_LIMITED, limited(Limit::ReceiverWindow));
    record.put64(SNDBUF_LIMITED, limited(Limit::SendBuffer));
}

/// What has been counted since the connection began.
fn put_counts(record: &mut Record, info: &TcpInfo) {
    record.put32(TOTAL_RETRANS, info.retransmits);
    record.put64(BYTES_ACKED, info.bytes_acked);
    record.put64(BYTES_RECEIVED, info.bytes_received);
    record.put32(SEGS_OUT, info.segments_out);
    record.put32(SEGS_IN, info.segments_in);
    record.put32(NOTSENT_BYTES, info.unsent_bytes as u64);
    record.put32(DATA_SEGS_IN, info.text_segments_in.into());
    record.put32(DATA_SEGS_OUT, info.text_segments_out.into());
    record.put64(BYTES_SENT, info.bytes_sent);
    record.put64(BYTES_RETRANS, info.bytes_retransmitted);
    record.put64(DELIVERY_RATE, info.delivery_rate);
    // Without a rate Linux shows all ones.
    record.put64(PACING_RATE, info.pacing_rate.unwrap_or(u64::MAX));
    record.put64(MAX_PACING_RATE, info.max_pacing_rate.unwrap_or(u64::MAX));
    record.put32(DSACK_DUPS, info.spurious_retransmits);
    record.put32(REORD_SEEN, info.reordering.into());
    record.put32(RCV_OOOPACK, info.out_of_order.into());
    let timeouts = u16::try_from(info.timeouts).unwrap_or(u16::MAX);
    record.0[TOTAL_RTO..TOTAL_RTO + 2].copy_from_slice(&timeouts.to_ne_bytes());
}

/// Linux's TCP_CA_Open, _Disorder, _Recovery, _Loss.
fn congestion_state(info: &TcpInfo) -> u8 {
    match info {
        _ if info.backoff > 0 => 4,
        _ if info.in_recovery => 3,
        _ if info.sacked > 0 => 1,
        _ => 0,
    }
}

/// The structure for a listener: Linux counts its queue in these two fields.
pub fn listener_info_bytes(pending: usize, backlog: usize) -> Vec<u8> {
    let mut record = Record([0; LENGTH]);
    record.0[STATE] = number(State::Listen);
    record.put32(UNACKED, pending as u64);
    record.put32(SACKED, backlog as u64);
    record.0.to_vec()
}

/// The structure for a socket that is neither.
pub fn idle_info_bytes() -> Vec<u8> {
    let mut record = Record([0; LENGTH]);
    record.0[STATE] = number(State::Closed);
    record.0.to_vec()
}

/// Linux's numbers for the states.
fn number(state: State) -> u8 {
    match state {
        State::Established => 1,
        State::SynSent => 2,
        State::SynReceived => 3,
        State::FinWait1 => 4,
        State::FinWait2 => 5,
        State::TimeWait => 6,
        State::Closed => 7,
        State::CloseWait => 8,
        State::LastAck => 9,
        State::Listen => 10,
        State::Closing => 11,
    }
}
