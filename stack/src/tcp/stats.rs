//! What a connection has counted, for `TcpInfo`. An organ.

/// Numbers for `TcpInfo`. Those of 32 bits begin anew after 2^32, as Linux's do
/// (`tcpi_data_segs_in` and its like): a connection may live longer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_acked: u64,
    pub(crate) bytes_received: u64,
    pub(crate) segments_in: u64,
    pub(crate) segments_out: u64,
    pub(crate) retransmits: u64,
    pub(crate) bytes_retransmitted: u64,
    pub(crate) timeouts: u64,
    /// Retransmissions that were for nothing: reported as duplicates, or shown by timestamps.
    pub(crate) spurious: u64,
    /// Segments with text.
    pub(crate) text_segments_in: u32,
    pub(crate) text_segments_out: u32,
    /// Segments that arrived out of order.
    pub(crate) out_of_order: u32,
    /// Octets delivered by acknowledgments that echoed a router's mark.
    pub(crate) bytes_delivered_ce: u32,
}

impl Stats {
    /// So many segments with text have arrived.
    pub(crate) fn on_text_in(&mut self, segments: u32) {
        self.text_segments_in = self.text_segments_in.wrapping_add(segments);
    }

    /// So many with text have left, with `octets` of it.
    pub(crate) fn on_text_out(&mut self, octets: usize, segments: u32) {
        if octets > 0 {
            self.bytes_sent += octets as u64;
            self.text_segments_out = self.text_segments_out.wrapping_add(segments);
        }
    }

    /// So many have arrived before their time.
    pub(crate) fn on_disorder(&mut self, segments: u32) {
        self.out_of_order = self.out_of_order.wrapping_add(segments);
    }

    /// So much was delivered by an acknowledgment that echoed a mark.
    pub(crate) fn on_marked(&mut self, octets: u32) {
        self.bytes_delivered_ce = self.bytes_delivered_ce.wrapping_add(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six terabytes in segments of 1,448 octets, less than an hour at 20 Gbit/s (THREATS S-5).
    #[test]
    fn s5_a_connection_outlives_its_counters() {
        let mut stats = Stats::default();
        for _ in 0..2 {
            stats.on_text_in(u32::MAX);
            stats.on_text_out(1, u32::MAX);
            stats.on_text_out(0, 1);
            stats.on_disorder(u32::MAX);
            stats.on_marked(u32::MAX);
        }
        let begun_anew = u32::MAX - 1;
        assert_eq!((stats.text_segments_in, stats.text_segments_out), (begun_anew, begun_anew));
        assert_eq!((stats.out_of_order, stats.bytes_delivered_ce), (begun_anew, begun_anew));
        assert_eq!(stats.bytes_sent, 2);
    }
}
