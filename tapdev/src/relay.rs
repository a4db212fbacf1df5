//! One direction of an emulated link between two real devices, in real time.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::device::{Device, FRAME_OVERHEAD, Fault, Wake, classify};
use crate::link::{Link, LinkStats};
use crate::sys;

/// Frames taken from the device in one go, so that a flood does not delay those that are due.
const BATCH: usize = 16;

/// Carries what one device receives through a [`Link`] to another. A link of two directions is
/// two of these, each on a thread of its own: they share nothing but the devices.
#[derive(Debug)]
pub struct Relay {
    link: Mutex<Link>,
    refused: AtomicU64,
    is_stopping: AtomicBool,
}

/// What a relay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelayStats {
    /// What happened in the link.
    pub link: LinkStats,
    /// Frames that came out of the link and that the device did not take (it was down, or the
    /// kernel had no memory): lost.
    pub refused: u64,
}

/// Something that a relay saw.
#[derive(Debug, Clone, Copy)]
pub enum Sight<'a> {
    /// A frame came in, and this much was added to the link's statistics by it.
    Came(&'a [u8], LinkStats),
    /// A frame is going out.
    Goes(&'a [u8]),
}

impl Relay {
    /// A relay through `link`.
    pub fn new(link: Link) -> Relay {
        Relay {
            link: Mutex::new(link),
            refused: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Carries frames until it is told to [`stop`](Relay::stop) and `from` is woken, and tells
    /// `watch` of each. Frames that `to` does not take are counted and lost, as on a wire.
    ///
    /// Makes the calling thread's timers precise, as far as the system allows it.
    ///
    /// # Errors
    /// The device that is gone: [`Fault::Gone`], or a fault of waiting.
    pub fn run(
        &self,
        from: &dyn Device,
        to: &dyn Device,
        mut watch: impl FnMut(Sight<'_>),
    ) -> io::Result<()> {
        if let Err(error) = sys::make_timers_precise() {
            log::debug!("timers stay as they are: {error}");
        }
        let clock = Clock::start();
        let mut buf = vec![0; from.mtu() + FRAME_OVERHEAD];
        while !self.is_stopping.load(Ordering::Acquire) {
            let next_ns = self.link().next_ns();
            let until_due =
                next_ns.map(|at| Duration::from_nanos(at.saturating_sub(clock.now_ns())));
            let mut wake = Wake::Readable;
            if until_due != Some(Duration::ZERO) {
                wake = from.wait(until_due)?;
            }
            self.deliver(to, &clock, &mut watch)?;
            if wake != Wake::TimedOut {
                self.take(from, &clock, &mut buf, &mut watch)?;
            }
        }
        Ok(())
    }

    /// Makes [`run`](Relay::run) return as soon as its device is woken.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    /// What happened so far.
    pub fn stats(&self) -> RelayStats {
        RelayStats { link: self.link().stats(), refused: self.refused.load(Ordering::Relaxed) }
    }

    fn take(
        &self,
        from: &dyn Device,
        clock: &Clock,
        buf: &mut [u8],
        watch: &mut impl FnMut(Sight<'_>),
    ) -> io::Result<()> {
        for _ in 0..BATCH {
            match from.recv(buf) {
                Ok(length) => {
                    let frame = &buf[..length];
                    let mut link = self.link();
                    let before = link.stats();
                    link.push(clock.now_ns(), frame);
                    let added = link.stats().since(before);
                    drop(link);
                    watch(Sight::Came(frame, added));
                }
                Err(error) if classify(&error) == Fault::Gone => return Err(error),
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn deliver(
        &self,
        to: &dyn Device,
        clock: &Clock,
        watch: &mut impl FnMut(Sight<'_>),
    ) -> io::Result<()> {
        let now_ns = clock.now_ns();
        loop {
            let Some(frame) = self.link().pop(now_ns) else { return Ok(()) };
            watch(Sight::Goes(&frame));
            match to.send(&[IoSlice::new(&frame)]) {
                Err(error) if classify(&error) == Fault::Gone => return Err(error),
                Err(error) => {
                    log::debug!("a relayed frame is lost: {error}");
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
                Ok(()) => {}
            }
        }
    }

    /// No code panics while it holds this lock, so a poisoned one is still consistent.
    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The monotonic clock, counted from the relay's start.
#[expect(clippy::disallowed_types, reason = "a relay lives in real time")]
struct Clock(std::time::Instant);

impl Clock {
    #[expect(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "a relay lives in real time"
    )]
    fn start() -> Clock {
        Clock(std::time::Instant::now())
    }

    fn now_ns(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a relay runs on a thread, in real time"
)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::link_config::LinkConfig;
    use crate::pair::{PairEnd, pair};

    const DELAY: Duration = Duration::from_millis(20);

    fn relay(config: LinkConfig) -> Relay {
        Relay::new(Link::new(config, 1).unwrap())
    }

    /// Runs a relay from `from` to `to` while `work` does something at its ends.
    fn beside(relay: &Relay, from: &PairEnd, to: &PairEnd, work: impl FnOnce()) {
        std::thread::scope(|scope| {
            let running = scope.spawn(|| relay.run(from, to, |_| ()));
            work();
            relay.stop();
            from.wake();
            running.join().unwrap().unwrap();
        });
    }

    #[test]
    fn frames_come_after_the_delay_in_order_until_it_is_stopped() {
        let (a, relay_a) = pair(1500, 100);
        let (relay_b, b) = pair(1500, 100);
        let relay = relay(LinkConfig { delay: DELAY, ..Default::default() });
        beside(&relay, &relay_a, &relay_b, || {
            let start = Instant::now();
            for tag in 0..10 {
                a.send(&[IoSlice::new(&[tag; 14])]).unwrap();
            }
            let mut buf = [0; 1518];
            for tag in 0..10 {
                let _ = b.wait(None).unwrap();
                assert_eq!(b.recv(&mut buf).unwrap(), 14);
                assert_eq!(buf[0], tag);
                assert!(start.elapsed() >= DELAY);
            }
        });
        let stats = relay.stats();
        assert_eq!((stats.link.pushed, stats.link.popped, stats.refused), (10, 10, 0));
    }

    #[test]
    fn frames_come_through_a_link_without_delay_while_others_are_held_back() {
        let (a, relay_a) = pair(1500, 100);
        let (relay_b, b) = pair(1500, 100);
        beside(&relay(LinkConfig::default()), &relay_a, &relay_b, || {
            for tag in 0..100 {
                a.send(&[IoSlice::new(&[tag; 14])]).unwrap();
                let _ = b.wait(None).unwrap();
                let mut buf = [0; 1518];
                assert_eq!(b.recv(&mut buf).unwrap(), 14);
                assert_eq!(buf[0], tag);
            }
        });
    }

    #[test]
    fn a_watcher_hears_of_every_frame_and_its_fate() {
        let (a, relay_a) = pair(1500, 100);
        let (relay_b, b) = pair(1500, 100);
        let relay = relay(LinkConfig { loss: 0.5, ..Default::default() });
        let (mut came, mut lost, mut went) = (0, 0, 0);
        for tag in 0..100 {
            a.send(&[IoSlice::new(&[tag; 14])]).unwrap();
        }
        drop(a);
        let gone = relay.run(&relay_a, &relay_b, |sight| match sight {
            Sight::Came(_, added) => {
                came += 1;
                lost += added.lost;
                assert_eq!(added.pushed, 1);
            }
            Sight::Goes(_) => went += 1,
        });
        assert_eq!(classify(&gone.unwrap_err()), Fault::Gone);
        let stats = relay.stats().link;
        assert_eq!((came, lost, went), (100, stats.lost, stats.popped));
        assert!((30..70).contains(&lost), "{lost}");
        drop(b);
    }

    #[test]
    fn a_device_that_is_gone_ends_it() {
        let (a, relay_a) = pair(1500, 100);
        let (relay_b, _b) = pair(1500, 100);
        drop(a);
        let error = relay(LinkConfig::default()).run(&relay_a, &relay_b, |_| ()).unwrap_err();
        assert_eq!(classify(&error), Fault::Gone);
    }
}
