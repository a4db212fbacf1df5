//! What a link does to frames, and whether that can be.

use std::fmt;
use std::time::Duration;

/// The longest time that a [`LinkConfig`] may hold: an hour.
pub const MAX_LINK_DELAY: Duration = Duration::from_secs(3600);

/// One direction of a link. The default is a perfect cable: no delay, no loss, no limit of rate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LinkConfig {
    /// Time from the end of a frame's transmission to its arrival, at most [`MAX_LINK_DELAY`].
    pub delay: Duration,
    /// The delay of each frame varies uniformly by up to this in both directions, at most
    /// `delay`. A frame never overtakes another by it: it waits for the one before.
    pub jitter: Duration,
    /// Probability that a frame is lost, each for itself, 0 to 1.
    pub loss: f64,
    /// Losses that come in bursts, beside `loss`.
    pub burst: Option<GilbertElliott>,
    /// Frames that arrive late, behind those sent after them.
    pub reorder: Option<Reorder>,
    /// Probability that a frame is sent twice, 0 to 1. The second copy needs its own room in the
    /// queue and its own time on the wire.
    pub duplicate: f64,
    /// Probability that one bit of a frame is flipped, anywhere in it, 0 to 1.
    pub corrupt: f64,
    /// Bits a second at which frames leave the queue, one after the other (`None`: at once).
    pub rate_bits_per_s: Option<u64>,
    /// How much may wait for transmission.
    pub queue: QueueLimit,
    /// Packets of a transport that knows ECN (RFC 3168) are marked if they find more than so many
    /// bytes waiting (`None`: never). Others are not dropped for it.
    pub mark_above: Option<usize>,
}

/// Loss in two states (Gilbert 1960, Elliott 1963): before each frame the link may change its
/// state, then the frame is lost with the state's probability. All are 0 to 1. Bursts last
/// `1 / p_bad_to_good` frames on average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GilbertElliott {
    /// Probability of going from the good state to the bad.
    pub p_good_to_bad: f64,
    /// Probability of going from the bad state to the good.
    pub p_bad_to_good: f64,
    /// Probability of loss in the good state, in which the link begins.
    pub loss_good: f64,
    /// Probability of loss in the bad state.
    pub loss_bad: f64,
}

/// Some frames are held back, so that later ones overtake them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reorder {
    /// Probability that a frame is held back, 0 to 1.
    pub probability: f64,
    /// A frame is held back for at least this, and for more than nothing.
    pub least: Duration,
    /// A frame is held back for a uniform time from `least` up to this.
    pub extra: Duration,
}

/// The room in front of the wire. The frame in transmission counts. A frame that would exceed
/// either limit is dropped (tail drop).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimit {
    /// Frames, at least 1.
    pub frames: usize,
    /// Bytes, at least 1.
    pub bytes: usize,
}

/// As many frames as a TAP queues, of any size.
impl Default for QueueLimit {
    fn default() -> QueueLimit {
        QueueLimit { frames: 1000, bytes: usize::MAX }
    }
}

/// What is wrong with a [`LinkConfig`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LinkConfigError {
    /// A probability is not a number from 0 to 1.
    Probability {
        /// The field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// A time exceeds [`MAX_LINK_DELAY`].
    TooLong {
        /// The field.
        field: &'static str,
        /// Its value.
        value: Duration,
    },
    /// The jitter exceeds the delay.
    JitterAboveDelay,
    /// A frame would be held back for at least longer than at most.
    LeastAboveExtra,
    /// A rate of zero, or a queue without room for a frame: nothing would ever arrive.
    Blocked {
        /// The field.
        field: &'static str,
    },
}

impl fmt::Display for LinkConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkConfigError::Probability { field, value } => {
                write!(f, "{field} is a probability from 0 to 1, not {value}")
            }
            LinkConfigError::TooLong { field, value } => {
                write!(f, "{field} is at most {MAX_LINK_DELAY:?}, not {value:?}")
            }
            LinkConfigError::JitterAboveDelay => write!(f, "jitter is at most delay"),
            LinkConfigError::LeastAboveExtra => {
                write!(f, "the least time that a frame is late is at most the greatest")
            }
            LinkConfigError::Blocked { field } => {
                write!(f, "{field} of 0 lets nothing through: use loss 1 for a dead link")
            }
        }
    }
}

impl std::error::Error for LinkConfigError {}

impl LinkConfig {
    /// Checks every field against its range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), LinkConfigError> {
        for (field, value) in self.probabilities() {
            if !(0.0..=1.0).contains(&value) {
                return Err(LinkConfigError::Probability { field, value });
            }
        }
        let extra = self.reorder.map_or(Duration::ZERO, |reorder| reorder.extra);
        for (field, value) in [("delay", self.delay), ("reorder extra", extra)] {
            if value > MAX_LINK_DELAY {
                return Err(LinkConfigError::TooLong { field, value });
            }
        }
        if self.jitter > self.delay {
            return Err(LinkConfigError::JitterAboveDelay);
        }
        if self.reorder.is_some_and(|reorder| reorder.least > reorder.extra) {
            return Err(LinkConfigError::LeastAboveExtra);
        }
        let minima = [
            ("rate_bits_per_s", self.rate_bits_per_s == Some(0)),
            ("queue frames", self.queue.frames == 0),
            ("queue bytes", self.queue.bytes == 0),
            ("reorder extra", self.reorder.is_some() && extra.is_zero()),
        ];
        match minima.into_iter().find(|(_, is_zero)| *is_zero) {
            Some((field, _)) => Err(LinkConfigError::Blocked { field }),
            None => Ok(()),
        }
    }

    fn probabilities(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let burst = self.burst.into_iter().flat_map(|burst| {
            [
                ("burst p_good_to_bad", burst.p_good_to_bad),
                ("burst p_bad_to_good", burst.p_bad_to_good),
                ("burst loss_good", burst.loss_good),
                ("burst loss_bad", burst.loss_bad),
            ]
        });
        let reorder = self.reorder.map_or(0.0, |reorder| reorder.probability);
        [
            ("loss", self.loss),
            ("duplicate", self.duplicate),
            ("corrupt", self.corrupt),
            ("reorder probability", reorder),
        ]
        .into_iter()
        .chain(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        LinkConfig::default().validate().unwrap();
    }

    #[test]
    fn each_range_is_checked() {
        let second = Duration::from_secs(1);
        let burst = GilbertElliott {
            p_good_to_bad: 0.1,
            p_bad_to_good: -0.1,
            loss_good: 0.0,
            loss_bad: 1.0,
        };
        let table = [
            (LinkConfig { loss: 1.5, ..Default::default() }, "loss is a probability"),
            (LinkConfig { corrupt: f64::NAN, ..Default::default() }, "corrupt is"),
            (LinkConfig { burst: Some(burst), ..Default::default() }, "p_bad_to_good"),
            (LinkConfig { delay: second * 4000, ..Default::default() }, "delay is at most"),
            (LinkConfig { jitter: second, ..Default::default() }, "jitter is at most"),
            (LinkConfig { rate_bits_per_s: Some(0), ..Default::default() }, "rate_bits_per_s"),
        ];
        for (config, text) in table {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let mut config = LinkConfig::default();
        config.queue.bytes = 0;
        assert_eq!(config.validate(), Err(LinkConfigError::Blocked { field: "queue bytes" }));
        config = LinkConfig::default();
        let zero = Duration::ZERO;
        config.reorder = Some(Reorder { probability: 0.5, least: zero, extra: zero });
        assert_eq!(config.validate(), Err(LinkConfigError::Blocked { field: "reorder extra" }));
        config.reorder = Some(Reorder { probability: 0.5, least: second * 2, extra: second });
        assert_eq!(config.validate(), Err(LinkConfigError::LeastAboveExtra));
    }
}
