//! The world finds what it looks for: each of these hosts has one fault, and each is found out.

use super::host::{Handle, Host, Io};
use super::plan::{Mix, Plan};
use super::shrink::{script_of, smallest};
use super::{FRAMES_TOLD, Failure, World, ours};
use stack::Instant;
use stack::testing::packet::{Flags, Segment};
use stack::testing::translate::to_v4;
use std::net::SocketAddr;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// A byte that is read is not the one that was sent.
    WrongByte,
    /// The stream is over before it is.
    EarlyEnd,
    /// A reset is told as the end of the stream.
    ResetIsEnd,
    /// Nobody is told that a socket is ready.
    LostWakeUp,
    /// The deadline is always now.
    Spin,
    /// Frames are sent for ever.
    Babble,
    /// A frame is received and stands in no book.
    Unbooked,
    /// Nothing is ever sent again once text has been.
    NoRetransmission,
    /// Something is left behind.
    Leak,
    /// A connection that nobody opened.
    Ghost,
    /// Work that no input asked for.
    Toil,
    /// A reset that goes again and again.
    Resets,
}

struct Saboteur {
    host: ours::Ours,
    fault: Fault,
    given: usize,
    last: Option<Vec<u8>>,
    /// The port and the peer of the connection that was accepted.
    met: Option<(u16, SocketAddr)>,
}

fn is_reset(frame: &[u8]) -> bool {
    Segment::from_frame(&to_v4(frame)).is_ok_and(|it| it.is_some_and(|it| it.flags.has(Flags::RST)))
}

impl Host for Saboteur {
    fn receive(&mut self, now: Instant, frame: &[u8]) {
        self.host.receive(now, frame);
        self.host.received += u64::from(self.fault == Fault::Unbooked);
    }

    fn advance(&mut self, now: Instant) {
        if self.fault != Fault::NoRetransmission {
            self.host.advance(now);
        }
    }

    fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let frame = self.host.transmit(now);
        if self.fault == Fault::Babble {
            self.last = frame.or(self.last.take());
            return self.last.clone();
        }
        if self.fault == Fault::Resets {
            self.last = frame.clone().filter(|it| is_reset(it)).or(self.last.take());
            return frame.or(self.last.clone());
        }
        frame
    }

    fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        if self.fault == Fault::Spin { Some(now) } else { self.host.next_timeout(now) }
    }

    fn woken(&mut self) -> Vec<Handle> {
        let woken = self.host.woken();
        if self.fault == Fault::LostWakeUp { Vec::new() } else { woken }
    }

    fn listen(&mut self, port: u16) {
        self.host.listen(port);
    }

    fn accept(&mut self, now: Instant) -> Option<(Handle, u16, SocketAddr)> {
        if self.fault == Fault::Ghost {
            self.fault = Fault::None;
            return Some((99, 80, "192.0.2.9:1".parse().unwrap()));
        }
        let accepted = self.host.accept(now)?;
        self.met = Some((accepted.1, accepted.2));
        Some(accepted)
    }

    fn connect(
        &mut self,
        now: Instant,
        from: u16,
        to: SocketAddr,
        bytes: u64,
    ) -> Option<(Handle, u16)> {
        self.host.connect(now, from, to, bytes)
    }

    fn send(&mut self, now: Instant, handle: Handle, bytes: &[u8]) -> Io {
        match self.host.send(now, handle, bytes) {
            Io::Failed if self.fault == Fault::ResetIsEnd => Io::Wait,
            io => io,
        }
    }

    fn recv(&mut self, now: Instant, handle: Handle, out: &mut [u8]) -> Io {
        let io = self.host.recv(now, handle, out);
        if let Io::Moved(moved) = io {
            self.given += moved;
        }
        match (self.fault, io) {
            (Fault::WrongByte, Io::Moved(moved)) if self.given > 1000 => out[moved - 1] ^= 1,
            (Fault::EarlyEnd, Io::Moved(_)) if self.given > 1000 => return Io::End,
            (Fault::ResetIsEnd, Io::Failed) => return Io::End,
            (Fault::Toil, Io::Moved(_)) => self.toil(now),
            _ => {}
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
        self.host.shutdown(now, handle);
    }

    fn close(&mut self, now: Instant, handle: Handle) {
        self.host.close(now, handle);
    }

    fn abort(&mut self, now: Instant, handle: Handle) {
        self.host.abort(now, handle);
    }

    fn leftovers(&self) -> usize {
        self.host.leftovers() + usize::from(self.fault == Fault::Leak)
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

impl Saboteur {
    /// Looks for a connection that is there: nothing comes of it but work.
    fn toil(&mut self, now: Instant) {
        let Some((port, peer)) = self.met else { return };
        for _ in 0..100 {
            assert_eq!(self.host.connect(now, port, peer, 0), None, "it is there");
        }
    }
}

/// One connection from host 0 to the saboteur, with text in both directions.
fn plan(fault: Fault) -> Plan {
    let draws = (0..).map(|seed| Plan::lossy(seed, Mix::Ours));
    let worth = |plan: &Plan| {
        let sides = &plan.connections[0].sides;
        plan.connections[0].open.client == 0 && sides.iter().all(|side| side.bytes > 5_000)
    };
    let mut plan = draws.into_iter().find(worth).expect("some seed draws it");
    plan.connections.truncate(1);
    if fault == Fault::ResetIsEnd {
        let side = &mut plan.connections[0].sides[0];
        (side.ending, side.ending_after) = (3, 2_000);
        // The reset has to arrive.
        plan.run.faults_ms = 0;
    }
    if fault == Fault::Resets {
        let side = &mut plan.connections[0].sides[1];
        (side.ending, side.ending_after) = (3, 2_000);
    }
    plan
}

fn sabotaged(plan: &Plan, fault: Fault) -> World<'_> {
    let mut world = World::new(plan, FRAMES_TOLD);
    let host = ours::Ours::new(plan.run.place(1), &plan.hosts[1]);
    world.hosts[1].host = Box::new(Saboteur { host, fault, given: 0, last: None, met: None });
    world
}

fn verdict(fault: Fault) -> Result<(), String> {
    sabotaged(&plan(fault), fault).run().map(drop)
}

/// A failure is made small: one connection over a quiet wire, and the packets of that.
#[test]
fn a_failure_is_made_small() {
    let fault = Fault::WrongByte;
    let fails = |plan: &Plan| {
        let what = sabotaged(plan, fault).run().err()?;
        Some(Box::new(Failure { seed: plan.run.seed, what, story: String::new() }))
    };
    let draws = (0..).map(|seed| Plan::draw(seed, Mix::Ours));
    let crowded = |plan: &Plan| plan.connections.len() > 2 && fails(plan).is_some();
    let plan = draws.into_iter().find(crowded).expect("some seed fails");
    let (small, failure) = smallest(&plan, fails(&plan).expect("it fails"), &fails);
    assert!(failure.what.contains("of the stream is wrong"), "{failure}");
    let text = small.to_string();
    assert!(small.connections.len() == 1 && text.len() < 200, "not small:\n{text}");
    let script = script_of(&mut sabotaged(&small, fault));
    assert!(script.len() < 2_000, "long:\n{script}");
    for part in ["t.inject(\"S 0:0(0) ", "t.expect(\"S. 0:0(0) ack 1 ", "t.expect_some("] {
        assert!(script.contains(part), "no {part} in\n{script}");
    }
}

#[test]
fn every_sabotage_is_found_out() {
    for (fault, found) in [
        (Fault::WrongByte, "of the stream is wrong"),
        (Fault::EarlyEnd, "end of stream after"),
        (Fault::ResetIsEnd, "end of stream after"),
        (Fault::LostWakeUp, "the applications are through"),
        (Fault::Spin, "for ever"),
        (Fault::Babble, "sends for ever"),
        (Fault::Unbooked, "the books"),
        (Fault::Leak, "not yet: nothing is left"),
        (Fault::NoRetransmission, "for ever"),
        (Fault::Ghost, "nobody opened that"),
        (Fault::Toil, "inputs and frames"),
        (Fault::Resets, "a reset that nobody asked for"),
    ] {
        let verdict = verdict(fault).expect_err(&format!("{fault:?} was not found"));
        assert!(verdict.contains(found), "{fault:?}: {verdict}");
    }
    assert_eq!(verdict(Fault::None), Ok(()));
}
