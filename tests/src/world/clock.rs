//! A host's own time. It began somewhere else than the world's, and may leap.

use super::host::{Handle, Host, Io};
use super::plan::HostPlan;
use stack::Instant;
use std::net::SocketAddrV4;
use std::time::Duration;

/// The world's time on one side, the host's on the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    epoch: Duration,
    leap_at: Instant,
    leap: Duration,
}

impl Clock {
    pub(super) fn new(plan: &HostPlan) -> Clock {
        Clock {
            epoch: Duration::from_micros(plan.epoch_us),
            leap_at: Instant::from_millis(plan.leap_at_ms),
            leap: Duration::from_secs(plan.leap_s),
        }
    }

    /// What the host's clock shows.
    pub(super) fn local(&self, now: Instant) -> Instant {
        let leap = if now >= self.leap_at { self.leap } else { Duration::ZERO };
        now + self.epoch + leap
    }

    /// When the host's clock shows `local`, or more for the first time.
    pub(super) fn world(&self, local: Instant) -> Instant {
        let world = local - self.epoch;
        if world < self.leap_at { world } else { (world - self.leap).max(self.leap_at) }
    }
}

/// A host that is told its own time.
pub(super) struct Timed {
    pub(super) host: Box<dyn Host>,
    pub(super) clock: Clock,
}

impl Host for Timed {
    fn receive(&mut self, now: Instant, frame: &[u8]) {
        self.host.receive(self.clock.local(now), frame);
    }

    fn advance(&mut self, now: Instant) {
        self.host.advance(self.clock.local(now));
    }

    fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.host.transmit(self.clock.local(now))
    }

    fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        let at = self.host.next_timeout(self.clock.local(now))?;
        Some(self.clock.world(at))
    }

    fn woken(&mut self) -> Vec<Handle> {
        self.host.woken()
    }

    fn listen(&mut self, port: u16) {
        self.host.listen(port);
    }

    fn accept(&mut self, now: Instant) -> Option<(Handle, u16, SocketAddrV4)> {
        self.host.accept(self.clock.local(now))
    }

    fn connect(&mut self, now: Instant, from: u16, to: SocketAddrV4) -> Option<(Handle, u16)> {
        self.host.connect(self.clock.local(now), from, to)
    }

    fn send(&mut self, now: Instant, handle: Handle, bytes: &[u8]) -> Io {
        self.host.send(self.clock.local(now), handle, bytes)
    }

    fn recv(&mut self, now: Instant, handle: Handle, out: &mut [u8]) -> Io {
        self.host.recv(self.clock.local(now), handle, out)
    }

    fn unsent(&mut self, handle: Handle) -> usize {
        self.host.unsent(handle)
    }

    fn shutdown(&mut self, now: Instant, handle: Handle) {
        self.host.shutdown(self.clock.local(now), handle);
    }

    fn close(&mut self, now: Instant, handle: Handle) {
        self.host.close(self.clock.local(now), handle);
    }

    fn abort(&mut self, now: Instant, handle: Handle) {
        self.host.abort(self.clock.local(now), handle);
    }

    fn leftovers(&self) -> usize {
        self.host.leftovers()
    }

    fn describe(&self) -> String {
        self.host.describe()
    }

    fn check(&mut self) -> Result<(), String> {
        self.host.check()
    }

    fn audit(&mut self) -> Result<(), String> {
        self.host.audit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let plan = HostPlan { epoch_us: 7, leap_at_ms: 10, leap_s: 3, ..HostPlan::default() };
        let clock = Clock::new(&plan);
        for ms in [0, 9, 10, 11, 4_000] {
            let now = Instant::from_millis(ms);
            assert_eq!(clock.world(clock.local(now)), now);
        }
        // What the leap skips happens at the leap.
        let skipped = clock.local(Instant::from_millis(9)) + Duration::from_secs(1);
        assert_eq!(clock.world(skipped), Instant::from_millis(10));
    }
}
