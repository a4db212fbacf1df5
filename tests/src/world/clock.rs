//! A host's own time. It began somewhere else than the world's, and may leap.

use super::host::{Handle, Host, Io, Wasted};
use super::plan::HostPlan;
use super::script::{CONNECT, Event};
use stack::Instant;
use stack::testing::translate::to_v4;
use std::net::{IpAddr, SocketAddr};
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

/// A host that is told its own time, and whose doings may be written down in the world's.
pub(super) struct Timed {
    pub(super) host: Box<dyn Host>,
    pub(super) clock: Clock,
    pub(super) log: Option<Vec<(Instant, Event)>>,
}

impl Timed {
    fn note(&mut self, now: Instant, event: impl FnOnce() -> Event) {
        if let Some(log) = &mut self.log {
            log.push((now, event()));
        }
    }

    fn called(&mut self, now: Instant, words: impl Into<String>) {
        self.note(now, || Event::Call(words.into()));
    }
}

impl Host for Timed {
    fn receive(&mut self, now: Instant, frame: &[u8]) {
        self.note(now, || Event::Received(to_v4(frame)));
        self.host.receive(self.clock.local(now), frame);
    }

    fn advance(&mut self, now: Instant) {
        self.host.advance(self.clock.local(now));
    }

    fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let frame = self.host.transmit(self.clock.local(now))?;
        self.note(now, || Event::Sent(to_v4(&frame)));
        Some(frame)
    }

    fn moves(&mut self, now: Instant, to: IpAddr, after: Duration) {
        self.host.moves(self.clock.local(now), to, after);
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

    fn accept(&mut self, now: Instant) -> Option<(Handle, u16, SocketAddr)> {
        let accepted = self.host.accept(self.clock.local(now))?;
        self.called(now, "accept()");
        Some(accepted)
    }

    fn connect(
        &mut self,
        now: Instant,
        from: u16,
        to: SocketAddr,
        bytes: u64,
    ) -> Option<(Handle, u16)> {
        self.called(now, CONNECT);
        self.host.connect(self.clock.local(now), from, to, bytes)
    }

    fn send(&mut self, now: Instant, handle: Handle, bytes: &[u8]) -> Io {
        let io = self.host.send(self.clock.local(now), handle, bytes);
        if let Io::Moved(moved) = io {
            self.called(now, format!("send({moved})"));
        }
        io
    }

    fn recv(&mut self, now: Instant, handle: Handle, out: &mut [u8]) -> Io {
        let io = self.host.recv(self.clock.local(now), handle, out);
        match io {
            Io::Moved(moved) => self.called(now, format!("expect_some({moved})")),
            Io::End => self.called(now, "expect_end()"),
            Io::Wait | Io::Failed => {}
        }
        io
    }

    fn unsent(&mut self, handle: Handle) -> usize {
        self.host.unsent(handle)
    }

    fn is_established(&mut self, handle: Handle) -> bool {
        self.host.is_established(handle)
    }

    fn shutdown(&mut self, now: Instant, handle: Handle) {
        self.called(now, "shutdown()");
        self.host.shutdown(self.clock.local(now), handle);
    }

    fn close(&mut self, now: Instant, handle: Handle) {
        self.called(now, "close()");
        self.host.close(self.clock.local(now), handle);
    }

    fn abort(&mut self, now: Instant, handle: Handle) {
        self.called(now, "abort()");
        self.host.abort(self.clock.local(now), handle);
    }

    fn leftovers(&self) -> usize {
        self.host.leftovers()
    }

    fn describe(&self) -> String {
        self.host.describe()
    }

    fn wasted(&self) -> Wasted {
        self.host.wasted()
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
