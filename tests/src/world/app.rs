//! The applications of the world: streams that can be checked byte for byte, and every way to
//! open, read, write, pause and end a connection.

use super::clock::Timed;
use super::host::{Handle, Host, Io};
use super::plan::{ConnectionPlan, Ending, SidePlan};
use crate::random::{Dice, stream_fill};
use stack::Instant;
use std::time::Duration;

/// The largest piece that an application reads or writes at once.
const PIECE: usize = 4096;

/// How often an application that is through looks whether all its bytes have arrived.
const LINGER: Duration = Duration::from_millis(100);

/// How a side of a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything was sent and read, and closed.
    Done,
    /// Reset by its own application.
    Aborted,
    /// Closed by its own application before everything was read.
    Vanished,
    /// Lost, for a reason that the run allows.
    Failed,
    /// Gone with its host.
    Crashed,
}

/// One side of a connection.
pub(super) struct Side {
    pub(super) host: usize,
    pub(super) plan: SidePlan,
    pub(super) handle: Option<Handle>,
    pub(super) outcome: Option<Outcome>,
    /// When the application comes back from a pause.
    pub(super) wake_at: Option<Instant>,
    stalled: bool,
    stream: u64,
    sent: u64,
    got: u64,
    /// Bytes before the FIN, once the application has asked for one.
    said: Option<u64>,
    saw_end: bool,
    /// The handshake came through.
    met: bool,
    dice: Dice,
}

/// A connection: side 0 opens it.
pub(super) struct Connection {
    pub(super) index: usize,
    pub(super) opens_at: Instant,
    /// The client's port, once it has one.
    pub(super) port: Option<u16>,
    /// Damage that no checksum shows has made something of it that nobody sent.
    pub(super) deceived: bool,
    /// Lost for good reasons: a host that crashes, a host that is impatient.
    pub(super) excused: bool,
    /// It may use an address that the host of this number will lose.
    pub(super) ends_with: [bool; 2],
    pub(super) sides: [Side; 2],
}

impl Connection {
    pub(super) fn new(seed: u64, index: usize, plan: &ConnectionPlan) -> Connection {
        let side = |which: usize| Side {
            host: if which == 0 { plan.open.client } else { 1 - plan.open.client } as usize,
            plan: plan.sides[which].clone(),
            handle: None,
            outcome: None,
            wake_at: None,
            stalled: false,
            stream: seed ^ ((index as u64 * 2 + which as u64) << 32),
            sent: 0,
            got: 0,
            said: None,
            saw_end: false,
            met: false,
            dice: Dice::new(seed ^ index as u64, if which == 0 { "client" } else { "server" }),
        };
        Connection {
            index,
            opens_at: Instant::from_millis(plan.open.at_ms),
            port: None,
            deceived: false,
            excused: false,
            ends_with: [false; 2],
            sides: [side(0), side(1)],
        }
    }

    /// True when nothing more will come from either application.
    pub(super) fn is_over(&self) -> bool {
        let [client, server] = &self.sides;
        client.outcome.is_some() && (server.outcome.is_some() || server.handle.is_none())
    }

    /// One line for the report of a failure.
    pub(super) fn describe(&self) -> String {
        let side = |side: &Side| {
            let Side { host, plan, sent, got, said, saw_end, outcome, .. } = side;
            format!(
                "host {host}: sent {sent} of {}, got {got}, said {said:?}, saw end {saw_end}, \
                 {:?}, {outcome:?}",
                plan.bytes,
                plan.ending()
            )
        };
        let [client, server] = &self.sides;
        let note = match (self.deceived, self.excused) {
            (true, _) => " (deceived)",
            (_, true) => " (excused)",
            _ => "",
        };
        format!("connection {}{note}: {}; {}", self.index, side(client), side(server))
    }

    /// Host `host` loses all that it knows.
    pub(super) fn crashes(&mut self, host: usize) {
        if self.port.is_none() || self.sides.iter().all(|side| side.outcome.is_some()) {
            return;
        }
        self.excused = true;
        for side in self.sides.iter_mut().filter(|side| side.host == host) {
            if side.handle.is_some() && side.outcome.is_none() {
                side.outcome = Some(Outcome::Crashed);
                side.wake_at = None;
            }
        }
    }

    /// Lets the application of side `which` do what it can at `now`. True when it did something.
    pub(super) fn step(
        &mut self,
        which: usize,
        now: Instant,
        host: &mut dyn Host,
    ) -> Result<bool, String> {
        let side = &mut self.sides[which];
        if side.wake_at.take_if(|at| *at <= now).is_none() && side.wake_at.is_some() {
            return Ok(false);
        }
        let mut moves = 0;
        while let Some(handle) = self.sides[which].handle
            && self.sides[which].outcome.is_none()
        {
            self.sides[which].met |= host.is_established(handle);
            if self.leaves_early(which, now, host, handle) {
                return Ok(true);
            }
            if self.stalls(which, now) {
                break;
            }
            let wrote = self.writes(which, now, host, handle)?;
            let read = self.reads(which, now, host, handle)?;
            self.ends(which, now, host, handle);
            if !wrote && !read {
                break;
            }
            moves += 1;
            let side = &mut self.sides[which];
            if moves >= side.plan.burst && side.plan.pause_us > 0 {
                let pause = side.dice.below(side.plan.pause().as_nanos() as u64);
                side.wake_at = Some(now + Duration::from_nanos(pause + 1));
                break;
            }
        }
        Ok(moves > 0)
    }

    /// True when the application has just stopped doing anything, for a time.
    fn stalls(&mut self, which: usize, now: Instant) -> bool {
        let side = &mut self.sides[which];
        let due = side.plan.stall_ms > 0 && side.sent + side.got >= side.plan.stall_after;
        let stalls = due && !side.stalled;
        if stalls {
            side.stalled = true;
            side.wake_at = Some(now + Duration::from_millis(side.plan.stall_ms));
        }
        stalls
    }

    /// Aborts and disappearances.
    fn leaves_early(
        &mut self,
        which: usize,
        now: Instant,
        host: &mut dyn Host,
        handle: Handle,
    ) -> bool {
        let side = &mut self.sides[which];
        match side.plan.ending() {
            Ending::Abort(after) if side.sent + side.got >= after => {
                host.abort(now, handle);
                side.outcome = Some(Outcome::Aborted);
            }
            Ending::Vanish(after) if side.sent + side.got >= after => {
                side.said.get_or_insert(side.sent);
                host.close(now, handle);
                side.outcome = Some(Outcome::Vanished);
            }
            _ => return false,
        }
        true
    }

    fn writes(
        &mut self,
        which: usize,
        now: Instant,
        host: &mut dyn Host,
        handle: Handle,
    ) -> Result<bool, String> {
        let side = &mut self.sides[which];
        let piece = side.plan.write.clamp(1, PIECE as u64);
        let left = (side.plan.bytes - side.sent).min(piece) as usize;
        if left == 0 || side.outcome.is_some() || side.said.is_some() {
            return Ok(false);
        }
        let mut bytes = [0; PIECE];
        stream_fill(side.stream, side.sent, &mut bytes[..left]);
        match host.send(now, handle, &bytes[..left]) {
            Io::Moved(moved) => {
                side.sent += moved as u64;
                // Some take a short count for a full buffer, and wait to be told of room.
                Ok(moved == left || side.stream.is_multiple_of(2))
            }
            Io::Wait => Ok(false),
            Io::End => Err("a write came to an end".into()),
            Io::Failed => self.fails(which, now, host, handle, "write").map(|()| false),
        }
    }

    fn reads(
        &mut self,
        which: usize,
        now: Instant,
        host: &mut dyn Host,
        handle: Handle,
    ) -> Result<bool, String> {
        let side = &mut self.sides[which];
        if side.saw_end || side.outcome.is_some() {
            return Ok(false);
        }
        let mut bytes = [0; PIECE];
        let room = side.plan.read.clamp(1, PIECE as u64) as usize;
        let result = match host.recv(now, handle, &mut bytes[..room]) {
            Io::Moved(moved) => self.checks(which, &bytes[..moved]).map(|()| true),
            Io::Wait => Ok(false),
            Io::End => self.checks_end(which).map(|()| true),
            Io::Failed => self.fails(which, now, host, handle, "read").map(|()| false),
        };
        if result.is_err() && self.deceived {
            host.abort(now, handle);
            self.sides[which].outcome = Some(Outcome::Failed);
            return Ok(true);
        }
        result
    }

    /// G2: the stream ends where the other side has said so.
    fn checks_end(&mut self, which: usize) -> Result<(), String> {
        let said = self.sides[1 - which].said;
        let side = &mut self.sides[which];
        side.saw_end = true;
        match side.got {
            got if said == Some(got) => Ok(()),
            got => Err(format!("end of stream after {got} bytes, {said:?} were said")),
        }
    }

    /// G2: what arrives is a prefix of what was sent.
    fn checks(&mut self, which: usize, bytes: &[u8]) -> Result<(), String> {
        let (sent, stream) = (self.sides[1 - which].sent, self.sides[1 - which].stream);
        let side = &mut self.sides[which];
        let mut expected = [0; PIECE];
        stream_fill(stream, side.got, &mut expected[..bytes.len()]);
        if bytes != &expected[..bytes.len()] {
            let wrong = bytes.iter().zip(&expected).position(|(a, b)| a != b).unwrap_or(0);
            return Err(format!("byte {} of the stream is wrong", side.got + wrong as u64));
        }
        side.got += bytes.len() as u64;
        if side.got > sent {
            return Err(format!("{} bytes arrived of {sent} that were sent", side.got));
        }
        Ok(())
    }

    /// What is left to do when everything was written, or everything read.
    fn ends(&mut self, which: usize, now: Instant, host: &mut dyn Host, handle: Handle) {
        let expected = self.sides[1 - which].plan.bytes;
        let side = &mut self.sides[which];
        if side.outcome.is_some() || side.sent < side.plan.bytes {
            return;
        }
        let is_when_done = matches!(side.plan.ending(), Ending::WhenDone);
        if side.said.is_none() && !is_when_done {
            host.shutdown(now, handle);
            side.said = Some(side.sent);
        }
        if side.saw_end && host.unsent(handle) > 0 {
            // Closing would leave the rest to a stack that gives up sooner than an application.
            side.wake_at = Some(now + LINGER);
        } else if side.saw_end || is_when_done && side.got == expected {
            side.said = Some(side.sent);
            host.close(now, handle);
            side.outcome = Some(Outcome::Done);
        }
    }

    /// The connection is lost. Errors unless the run has a reason for it.
    fn fails(
        &mut self,
        which: usize,
        now: Instant,
        host: &mut dyn Host,
        handle: Handle,
        doing: &str,
    ) -> Result<(), String> {
        let other = &self.sides[1 - which];
        let cut = !matches!(other.outcome, None | Some(Outcome::Done));
        let side = &self.sides[which];
        // Nobody was ever there: the other side forgot the handshake before it was through, or
        // this one gave up a handshake whose SYN had brought text (Fast Open).
        let unmet = which == 0 && (other.handle.is_none() || !side.met);
        let all_said = side.said == Some(side.plan.bytes);
        let nothing_lost = all_said && other.said == Some(side.got);
        if !(cut || unmet || nothing_lost || self.excused || self.deceived) {
            return Err(format!("lost on {doing}; {}", self.describe()));
        }
        host.close(now, handle);
        self.sides[which].outcome = Some(Outcome::Failed);
        Ok(())
    }

    /// The ports of what side `which` sends, the server's being `server`.
    pub(super) fn ports_of(&self, which: usize, server: u16) -> Option<(u16, u16)> {
        let client = self.port?;
        Some(if which == 0 { (client, server) } else { (server, client) })
    }

    /// The other side is gone for good and its reset was lost, or its stack forgot the handshake
    /// and this side has nothing to say that would remind it: an application would time out.
    /// `forgot`: the stack of that side has lost its FIN and does not send it again.
    pub(super) fn gives_up(&mut self, now: Instant, hosts: &mut [Timed; 2], forgot: [bool; 2]) {
        for which in 0..2 {
            let other = &self.sides[1 - which];
            let unmet = which == 0 && other.handle.is_none() && self.sides[0].plan.bytes == 0;
            let cut = !matches!(other.outcome, None | Some(Outcome::Done));
            // All that it said has arrived, but for the FIN that its stack has given up on; or
            // forgotten, and that knows that it was all.
            let all_acked = other.handle.is_some_and(|it| hosts[other.host].unsent(it) == 0);
            let told = other.said == Some(self.sides[which].got)
                && (other.outcome.is_some() || forgot[1 - which] && all_acked);
            let gone = unmet || cut || told || self.excused || self.deceived;
            let side = &mut self.sides[which];
            if let Some(handle) = side.handle.filter(|_| gone && side.outcome.is_none()) {
                hosts[side.host].abort(now, handle);
                side.outcome = Some(Outcome::Failed);
            }
        }
    }

    /// Bytes that both sides read.
    pub(super) fn delivered(&self) -> u64 {
        self.sides[0].got + self.sides[1].got
    }

    /// True when both applications came to a good end.
    pub(super) fn is_done(&self) -> bool {
        self.sides.iter().all(|side| side.outcome == Some(Outcome::Done))
    }

    /// True when the client lost it and nobody was ever there.
    pub(super) fn is_unmet(&self) -> bool {
        let [client, server] = &self.sides;
        client.outcome == Some(Outcome::Failed) && (server.handle.is_none() || !client.met)
    }

    /// True when both streams arrived to the end.
    pub(super) fn is_whole(&self) -> bool {
        (0..2).all(|which| self.sides[which].got == self.sides[1 - which].plan.bytes)
    }
}
