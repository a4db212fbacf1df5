//! Congestion control behind one trait (RFC 5681 and its successors). An organ: it takes reports
//! and answers with a window; when to enter and leave recovery is decided in `recovery.rs`.

pub(crate) mod reno;

/// Initial window: ten segments, but not above 14,600 bytes or two segments (RFC 6928 §2).
pub(crate) fn initial_window(mss: u32) -> u32 {
    (10 * mss).min((2 * mss).max(14_600))
}

/// What an acknowledgment of new data tells a congestion controller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AckReport {
    /// Bytes newly acknowledged.
    pub(crate) acked: u32,
    /// Bytes in flight before this acknowledgment.
    pub(crate) in_flight: u32,
    /// Sender maximum segment size, bytes.
    pub(crate) mss: u32,
}

/// A congestion controller. Windows are in bytes.
pub(crate) trait CongestionControl {
    /// The congestion window.
    fn window(&self) -> u32;
    /// The slow-start threshold.
    fn ssthresh(&self) -> u32;
    /// New data was acknowledged outside recovery.
    fn on_ack(&mut self, report: AckReport);
    /// A loss was found by duplicate acknowledgments: recovery begins.
    fn on_loss(&mut self, in_flight: u32, mss: u32);
    /// The retransmission timer expired.
    fn on_timeout(&mut self, in_flight: u32, mss: u32);
    /// Recovery ended.
    fn on_recovered(&mut self, in_flight: u32, mss: u32);
    /// Nothing was sent for longer than the retransmission time-out (RFC 5681 §4.1).
    fn on_idle(&mut self, mss: u32);
    /// The handshake finished: the segment size is known, and whether the SYN was lost.
    fn on_established(&mut self, mss: u32, syn_lost: bool);
    /// The name, as `TCP_CONGESTION` gives it.
    fn name(&self) -> &'static str;
}
