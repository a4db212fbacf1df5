//! One direction of an emulated link between two real devices, in real time.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::device::{Device, FRAME_OVERHEAD, Fault, classify};
use crate::link::Link;

/// Frames taken from the device in one go, so that a flood does not delay those that are due.
const BATCH: usize = 64;

/// Carries what `from` receives through `link` to `to`, until `stop` is set and `from` woken.
///
/// A link of two directions is two of these, each on a thread of its own: they share nothing but
/// the devices. Frames that `to` cannot take are lost, as on a wire.
///
/// # Errors
/// The device that is gone: [`Fault::Gone`], or a fault of waiting.
pub fn relay(
    from: &dyn Device,
    to: &dyn Device,
    link: &mut Link,
    stop: &AtomicBool,
) -> io::Result<()> {
    let clock = Clock::start();
    let mut buf = vec![0; from.mtu() + FRAME_OVERHEAD];
    while !stop.load(Ordering::Acquire) {
        let now_ns = clock.now_ns();
        let until_due = link.next_ns().map(|at| Duration::from_nanos(at.saturating_sub(now_ns)));
        let _ = from.wait(until_due)?;
        take(from, link, &clock, &mut buf)?;
        deliver(to, link, clock.now_ns())?;
    }
    Ok(())
}

fn take(from: &dyn Device, link: &mut Link, clock: &Clock, buf: &mut [u8]) -> io::Result<()> {
    for _ in 0..BATCH {
        match from.recv(buf) {
            Ok(length) => link.push(clock.now_ns(), &buf[..length]),
            Err(error) if classify(&error) == Fault::Gone => return Err(error),
            Err(_) => break,
        }
    }
    Ok(())
}

fn deliver(to: &dyn Device, link: &mut Link, now_ns: u64) -> io::Result<()> {
    while let Some(frame) = link.pop(now_ns) {
        match to.send(&[IoSlice::new(&frame)]) {
            Err(error) if classify(&error) == Fault::Gone => return Err(error),
            Err(error) => log::trace!("a relayed frame is lost: {error}"),
            Ok(()) => {}
        }
    }
    Ok(())
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
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::link_config::LinkConfig;
    use crate::pair::pair;

    const DELAY: Duration = Duration::from_millis(20);

    #[test]
    fn frames_come_after_the_delay_in_order_until_it_is_stopped() {
        let (a, relay_a) = pair(1500, 100);
        let (relay_b, b) = pair(1500, 100);
        let relay_a = Arc::new(relay_a);
        let stop = Arc::new(AtomicBool::new(false));
        let mut link = Link::new(LinkConfig { delay: DELAY, ..Default::default() }, 1).unwrap();
        let (its_a, its_stop) = (Arc::clone(&relay_a), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let ended = relay(&its_a, &relay_b, &mut link, &its_stop);
            (ended, link.stats())
        });

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
        stop.store(true, Ordering::Release);
        relay_a.wake();
        let (ended, stats) = thread.join().unwrap();
        ended.unwrap();
        assert_eq!((stats.pushed, stats.popped), (10, 10));
    }

    #[test]
    fn a_device_that_is_gone_ends_it() {
        let (a, relay_a) = pair(1500, 100);
        let (relay_b, _b) = pair(1500, 100);
        drop(a);
        let mut link = Link::new(LinkConfig::default(), 1).unwrap();
        let never = AtomicBool::new(false);
        let error = relay(&relay_a, &relay_b, &mut link, &never).unwrap_err();
        assert_eq!(classify(&error), Fault::Gone);
    }
}
