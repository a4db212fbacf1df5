//! SYN cookies (RFC 4987 §3.6): when a listener's handshakes are at their limit, what they would
//! remember goes into the numbers of the SYN-ACK, and comes back with the third segment.
//!
//! ```text
//!  ISS = place(flow) + IRS + | t: 8 | proof(flow, IRS, t) + MSS index: 24 |
//!  TSval, where the SYN had timestamps: | clock: 26 | ECN: 1 | SACK: 1 | window scale: 4 |
//! ```
//!
//! `t` counts spans of 64 s; a cookie is good for the span it was made in and the next. Of 2^32
//! numbers 16 pass, so that a guess passes once in 2^28 (THREATS R-2). An organ: values in, values
//! out.

use super::seq::Seq;
use crate::random::{Secret, Seed};
use crate::time::Instant;
use crate::wire::address::FlowKey;
use core::time::Duration;

/// MSS values that a cookie can name: the greatest that is not above the peer's is taken.
const MSS: [u16; 8] = [88, 536, 1220, 1300, 1360, 1440, 1460, 8960];

const SPAN_SECS: u64 = 64;
/// Spans in which a cookie is good.
const SPANS: u32 = 2;
/// How long a cookie can be good: after so long without one, none is looked for.
pub(crate) const LIFE: Duration = Duration::from_secs(SPAN_SECS * SPANS as u64);

const PROOF: u32 = 0x00ff_ffff;

/// Bits of a timestamp that hold options, and what they mean.
const STAMP: u32 = 0x3f;
const STAMP_SCALE: u32 = 0x0f;
const STAMP_NO_SCALE: u32 = 0x0f;
const STAMP_SACK: u32 = 0x10;
const STAMP_ECN: u32 = 0x20;

/// Makes cookies and knows its own again.
#[derive(Clone)]
pub(crate) struct Cookies {
    place: Secret,
    proof: Secret,
}

/// Options of the peer's SYN that its timestamp brings back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamped {
    pub(crate) scale: Option<u8>,
    pub(crate) sack: bool,
    /// ECN was asked for and agreed to.
    pub(crate) ecn: bool,
}

impl Cookies {
    pub(crate) fn new(seed: &Seed) -> Cookies {
        Cookies {
            place: Secret::derive(seed, "cookie place"),
            proof: Secret::derive(seed, "cookie proof"),
        }
    }

    /// The ISS that answers a SYN of `irs` whose sender takes segments of `mss`.
    pub(crate) fn make(&self, flow: &FlowKey, irs: Seq, mss: u16, now: Instant) -> Seq {
        let span = span(now);
        let index = MSS.iter().rposition(|&known| known <= mss).unwrap_or(0) as u32;
        let proof = self.proof(flow, irs, span).wrapping_add(index) & PROOF;
        self.base(flow, irs) + ((span as u32) << 24 | proof)
    }

    /// The MSS in the cookie `iss`; None for a number that is none, or too old.
    pub(crate) fn check(&self, flow: &FlowKey, irs: Seq, iss: Seq, now: Instant) -> Option<u16> {
        let cookie = iss.0.wrapping_sub(self.base(flow, irs).0);
        let now = span(now);
        let age = (now as u32).wrapping_sub(cookie >> 24) & 0xff;
        if age >= SPANS {
            return None;
        }
        let proof = self.proof(flow, irs, now.wrapping_sub(age.into()));
        let index = cookie.wrapping_sub(proof) & PROOF;
        MSS.get(index as usize).copied()
    }

    /// Where this flow's cookies begin: with the peer's number they move on from one connection to
    /// the next (RFC 6528).
    fn base(&self, flow: &FlowKey, irs: Seq) -> Seq {
        irs + self.place.hash(&flow.to_bytes()) as u32
    }

    fn proof(&self, flow: &FlowKey, irs: Seq, span: u64) -> u32 {
        let flow = flow.to_bytes();
        let mut bytes = [0; 48];
        let (ends, numbers) = bytes.split_at_mut(flow.len());
        let (number, time) = numbers.split_at_mut(4);
        ends.copy_from_slice(&flow);
        number.copy_from_slice(&irs.0.to_le_bytes());
        time.copy_from_slice(&span.to_le_bytes());
        self.proof.hash(&bytes) as u32
    }
}

fn span(now: Instant) -> u64 {
    now.as_millis() / (SPAN_SECS * 1000)
}

/// The clock of a cookie's timestamp: the latest value not after `clock` that says what the SYN
/// offered. It is up to 64 ms slow, and no measure of time.
pub(crate) fn stamp(clock: u32, offered: Stamped) -> u32 {
    let scale = offered.scale.map_or(STAMP_NO_SCALE, u32::from) & STAMP_SCALE;
    let sack = if offered.sack { STAMP_SACK } else { 0 };
    let bits = scale | sack | if offered.ecn { STAMP_ECN } else { 0 };
    let back = if clock & STAMP < bits { STAMP + 1 } else { 0 };
    (clock & !STAMP | bits).wrapping_sub(back)
}

/// What the echo of such a timestamp says, if it was sent within a cookie's life.
pub(crate) fn unstamp(clock: u32, echo: u32) -> Option<Stamped> {
    if u128::from(clock.wrapping_sub(echo)) > LIFE.as_millis() {
        return None;
    }
    let scale = (echo & STAMP_SCALE) as u8;
    let scale = (scale <= 14).then_some(scale);
    Some(Stamped { scale, sack: echo & STAMP_SACK != 0, ecn: echo & STAMP_ECN != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::address::{Address, Endpoint};

    fn flow(port: u16) -> FlowKey {
        FlowKey {
            local: Endpoint::new(Address::v4([192, 0, 2, 1]), 80),
            remote: Endpoint::new(Address::v4([192, 0, 2, 2]), port),
        }
    }

    #[test]
    fn r2_a_cookie_brings_the_mss_back_rounded_down() {
        let cookies = Cookies::new(&Seed::from_number(1));
        let now = Instant::from_secs(1_000);
        for irs in [Seq(0), Seq(u32::MAX), Seq(0x8000_0000)] {
            for (mss, kept) in [(0, 88), (536, 536), (1400, 1360), (1460, 1460), (65_535, 8960)] {
                let iss = cookies.make(&flow(1), irs, mss, now);
                assert_eq!(cookies.check(&flow(1), irs, iss, now), Some(kept));
                assert_eq!(cookies.check(&flow(2), irs, iss, now), None, "another's");
                assert_eq!(cookies.check(&flow(1), irs + 1, iss, now), None, "another SYN");
            }
        }
    }

    #[test]
    fn r2_a_cookie_is_good_for_64_to_128_seconds() {
        let cookies = Cookies::new(&Seed::from_number(1));
        for made in [0, 63, 64 * 256 - 1] {
            let iss = cookies.make(&flow(1), Seq(7), 1460, Instant::from_secs(made));
            let good = |after| {
                cookies.check(&flow(1), Seq(7), iss, Instant::from_secs(made + after)).is_some()
            };
            assert!(good(0) && good(64) && !good(128) && !good(64 * 255), "{made}");
        }
    }

    #[test]
    fn r2_guesses_do_not_pass() {
        let cookies = Cookies::new(&Seed::from_number(1));
        let now = Instant::from_secs(1_000);
        let step = 0x9e37_79b9u32;
        let guess = |i: &u32| cookies.check(&flow(1), Seq(7), Seq(i.wrapping_mul(step)), now);
        let passed = (0..1u32 << 20).filter_map(|i| guess(&i)).count();
        assert!(passed <= 1, "{passed} of 2^20 guesses");
    }

    #[test]
    fn r2_timestamps_carry_scale_sack_and_ecn() {
        for clock in [0, 5, 63, 64, 1_000_000, u32::MAX] {
            for scale in [None, Some(0), Some(7), Some(14)] {
                for bits in 0..4 {
                    let (sack, ecn) = (bits & 1 != 0, bits & 2 != 0);
                    let offered = Stamped { scale, sack, ecn };
                    let value = stamp(clock, offered);
                    assert!(clock.wrapping_sub(value) < 64, "{value} at {clock}");
                    assert_eq!(unstamp(clock.wrapping_add(900), value), Some(offered));
                }
            }
        }
        assert_eq!(unstamp(200_000, stamp(1_000, Stamped::default())), None, "too old");
        assert_eq!(unstamp(1_000, 2_000), None, "never sent");
    }
}
