//! Tail loss probes (RFC 8985 §7): when nothing comes back, the last thing sent may be lost, and
//! nothing behind it would tell. An organ: it says when to probe, and what came of it.

use super::seq::Seq;
use core::time::Duration;

/// Before the first sample (§7.2).
const WITHOUT_SRTT: Duration = Duration::from_secs(1);
/// Longest delayed acknowledgment of a peer that is to be allowed for (WCDelAckT).
const MAX_ACK_DELAY: Duration = Duration::from_millis(200);

/// The probe that is out.
#[derive(Clone, Copy, Debug)]
struct Probe {
    /// SND.NXT after it.
    end: Seq,
    /// Octets of it that had been sent before.
    again: u32,
}

/// Whether a probe is out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tlp {
    probe: Option<Probe>,
    /// The first octet was sent again in recovery because nothing came back, and nothing has.
    rescued: bool,
}

/// What an acknowledgment says about the probe (§7.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing yet, or nothing was lost.
    Nothing,
    /// The probe repaired a loss: the path is congested.
    Repaired,
}

/// How long nothing comes back in recovery before the first octet is sent once more: a time-out
/// without the floor, as QUIC's probes during recovery (RFC 9002 §6.2). RFC 8985 leaves this to the
/// retransmission timer, whose floor may be many round trips.
pub(crate) fn rescue_timeout(srtt: Duration, unfloored: Duration) -> Duration {
    (srtt * 2).max(unfloored) + Duration::from_millis(2)
}

/// The probe time-out (§7.2): two round trips, and the peer's delayed acknowledgment when it has
/// only one segment to acknowledge.
pub(crate) fn timeout(srtt: Option<Duration>, single: bool) -> Duration {
    let Some(srtt) = srtt else { return WITHOUT_SRTT };
    let allowance = if single { MAX_ACK_DELAY } else { Duration::from_millis(2) };
    srtt * 2 + allowance
}

impl Tlp {
    pub(crate) const fn new() -> Tlp {
        Tlp { probe: None, rescued: false }
    }

    /// A probe is out: another one waits for its outcome (§7.3).
    pub(crate) fn is_out(&self) -> bool {
        self.probe.is_some()
    }

    /// Octets of the probe that is out, if it was a retransmission.
    pub(crate) fn resent(&self) -> u32 {
        self.probe.map_or(0, |probe| probe.again)
    }

    /// A probe was sent; `end` is SND.NXT now, and `again` octets of it had been sent before.
    pub(crate) fn on_sent(&mut self, end: Seq, again: u32) {
        self.probe = Some(Probe { end, again });
    }

    /// SND.UNA is `una`; `duplicate` is the right edge of a range reported as received twice;
    /// `bare`: a duplicate acknowledgment without any report.
    pub(crate) fn on_ack(&mut self, una: Seq, duplicate: Option<Seq>, bare: bool) -> Outcome {
        let Some(probe) = self.probe else { return Outcome::Nothing };
        if una.before(probe.end) {
            return Outcome::Nothing;
        }
        let both_arrived = duplicate.is_some_and(|end| end == probe.end);
        if probe.again == 0 || both_arrived {
            self.probe = None;
        } else if una.after(probe.end) {
            self.probe = None;
            return Outcome::Repaired;
        } else if bare {
            self.probe = None;
        }
        Outcome::Nothing
    }

    /// The first octet was sent once more: what comes back decides.
    pub(crate) fn on_rescue(&mut self) {
        self.rescued = true;
    }

    /// The last resort but one has been used.
    pub(crate) fn is_rescued(&self) -> bool {
        self.rescued
    }

    /// Something was delivered.
    pub(crate) fn on_delivery(&mut self) {
        self.rescued = false;
    }

    /// Recovery has taken over.
    pub(crate) fn cancel(&mut self) {
        (self.probe, self.rescued) = (None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn section_7_2_the_probe_time_out() {
        assert_eq!(timeout(None, false), MS(1000));
        assert_eq!(timeout(Some(MS(100)), false), MS(202));
        assert_eq!(timeout(Some(MS(100)), true), MS(400));
    }

    #[test]
    fn section_7_4_2_what_the_probe_brought() {
        let sent = |again| {
            let mut tlp = Tlp::new();
            tlp.on_sent(Seq(1000), again);
            tlp
        };
        let mut tlp = sent(0);
        assert_eq!((tlp.on_ack(Seq(1000), None, false), tlp.is_out()), (Outcome::Nothing, false));
        let mut tlp = sent(1000);
        assert_eq!((tlp.on_ack(Seq(999), None, true), tlp.is_out()), (Outcome::Nothing, true));
        assert_eq!((tlp.on_ack(Seq(1000), None, false), tlp.is_out()), (Outcome::Nothing, true));
        assert_eq!(tlp.on_ack(Seq(1000), Some(Seq(1000)), false), Outcome::Nothing);
        assert!(!tlp.is_out(), "both copies arrived");
        let mut tlp = sent(1000);
        assert_eq!((tlp.on_ack(Seq(1000), None, true), tlp.is_out()), (Outcome::Nothing, false));
        let mut tlp = sent(1000);
        assert_eq!(tlp.on_ack(Seq(1500), None, false), Outcome::Repaired);
        assert!(!tlp.is_out());
    }
}
