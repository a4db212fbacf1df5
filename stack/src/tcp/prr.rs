//! Proportional rate reduction (RFC 9937; RFC 6937): what may be sent during fast recovery. An
//! organ: deliveries in, an allowance in octets out.
//!
//! While more is in flight than the new threshold, `ssthresh` out of each `RecoverFS` octets that
//! are delivered may be sent; below it, as much as is delivered, and a segment more when the
//! acknowledgment shows that the recovery goes well.

/// One recovery's account. Sizes are in octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prr {
    /// RecoverFS: in flight when recovery began.
    flight: u32,
    /// prr_delivered.
    delivered: u64,
    /// prr_out.
    out: u64,
    /// What may be sent now.
    allowance: u32,
}

/// An acknowledgment during recovery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery {
    /// DeliveredData: newly acknowledged or reported.
    pub(crate) delivered: u32,
    /// In flight after it.
    pub(crate) in_flight: u32,
    pub(crate) ssthresh: u32,
    pub(crate) mss: u32,
    /// SND.UNA moved, and nothing more was found lost (SafeACK).
    pub(crate) safe: bool,
}

impl Prr {
    pub(crate) const fn new() -> Prr {
        Prr { flight: 1, delivered: 0, out: 0, allowance: 0 }
    }

    /// Recovery begins with `flight` octets outstanding and not reported before: one segment may
    /// be sent at once, the fast retransmit.
    pub(crate) fn enter(&mut self, flight: u32, mss: u32) {
        *self = Prr { flight: flight.max(1), delivered: 0, out: 0, allowance: mss };
    }

    /// RFC 9937 §6.2.
    pub(crate) fn on_ack(&mut self, ack: Delivery) {
        if ack.delivered == 0 {
            return;
        }
        self.delivered += u64::from(ack.delivered);
        let mut send = if ack.in_flight > ack.ssthresh {
            let share = self.delivered * u64::from(ack.ssthresh);
            share.div_ceil(u64::from(self.flight)).saturating_sub(self.out)
        } else {
            let owed = self.delivered.saturating_sub(self.out).max(u64::from(ack.delivered));
            let owed = if ack.safe { owed + u64::from(ack.mss) } else { owed };
            owed.min(u64::from(ack.ssthresh - ack.in_flight))
        };
        // A fast retransmit in any case; nor does anything come back when nothing is in flight.
        if self.out == 0 || ack.in_flight == 0 {
            send = send.max(u64::from(ack.mss));
        }
        self.allowance = send.min(u64::from(u32::MAX)) as u32;
    }

    /// `octets` were sent, new or again.
    pub(crate) fn on_sent(&mut self, octets: u32) {
        self.out += u64::from(octets);
        self.allowance = self.allowance.saturating_sub(octets);
    }

    /// Octets that may be sent now.
    pub(crate) fn allowance(&self) -> u32 {
        self.allowance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    /// Twenty segments, one lost, halved: one segment is sent for each second acknowledgment.
    #[test]
    fn section_6_2_proportional() {
        let mut prr = Prr::new();
        prr.enter(20 * MSS, MSS);
        assert_eq!(prr.allowance(), MSS, "the fast retransmit");
        prr.on_sent(MSS);
        let mut in_flight = 17 * MSS;
        let mut sent = 1;
        for _ in 0..18 {
            in_flight -= MSS;
            let (ssthresh, mss) = (10 * MSS, MSS);
            prr.on_ack(Delivery { delivered: MSS, in_flight, ssthresh, mss, safe: false });
            while prr.allowance() >= MSS {
                prr.on_sent(MSS);
                in_flight += MSS;
                sent += 1;
            }
        }
        assert_eq!((sent, in_flight), (12, 10 * MSS), "down to the threshold");
    }

    /// Most of the flight is lost: what is delivered is sent, and a segment more when safe.
    #[test]
    fn section_6_2_conservation_and_slow_start() {
        let mut prr = Prr::new();
        prr.enter(20 * MSS, MSS);
        prr.on_sent(MSS);
        let ack =
            Delivery { delivered: MSS, in_flight: MSS, ssthresh: 10 * MSS, mss: MSS, safe: false };
        prr.on_ack(ack);
        assert_eq!(prr.allowance(), MSS, "as much as was delivered");
        prr.on_sent(MSS);
        prr.on_ack(Delivery { safe: true, ..ack });
        assert_eq!(prr.allowance(), 2 * MSS, "and a segment more");
        prr.on_sent(2 * MSS);
        prr.on_ack(Delivery { in_flight: 9_500, safe: true, ..ack });
        assert_eq!(prr.allowance(), 500, "never above the threshold");
    }

    #[test]
    fn t8_nothing_delivered_allows_nothing() {
        let mut prr = Prr::new();
        prr.enter(20 * MSS, MSS);
        prr.on_sent(MSS);
        for _ in 0..1000 {
            prr.on_ack(Delivery {
                delivered: 0,
                in_flight: 0,
                ssthresh: 10 * MSS,
                mss: MSS,
                safe: true,
            });
        }
        assert_eq!(prr.allowance(), 0);
    }
}
