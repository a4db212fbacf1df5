//! The application of one side: its program, and what it may be told.

use super::scenario::{Op, Reads, Sabotage, Side, UNIT};
use crate::random::{stream_byte, stream_fill};
use stack::{Instant, Readiness, RecvError, SendError, Stack, State, TcpId};
use std::hash::{Hash, Hasher};

/// How an application ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    /// It read to the end, and closed.
    Done,
    /// It closed or reset before that.
    Left,
    /// It was told that the connection is lost.
    Failed,
}

/// What the socket was found to be when the host had nothing more to say.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    opening: bool,
    writable: bool,
    readable: bool,
}

/// An application.
#[derive(Clone, Debug)]
pub(super) struct App {
    /// Its stream's name.
    which: usize,
    pub(super) side: Side,
    pub(super) socket: Option<TcpId>,
    /// Operations done, and bytes of the next.
    done: usize,
    partly: u64,
    sent: u64,
    got: u64,
    said: Option<u64>,
    saw_end: bool,
    pub(super) outcome: Option<Outcome>,
    seen: Seen,
    sabotage: Option<Sabotage>,
}

impl App {
    pub(super) fn new(which: usize, side: Side, sabotage: Option<Sabotage>) -> App {
        App {
            which,
            side,
            socket: None,
            done: 0,
            partly: 0,
            sent: 0,
            got: 0,
            said: None,
            saw_end: false,
            outcome: None,
            seen: Seen::default(),
            sabotage,
        }
    }

    /// Everything that decides what it does.
    pub(super) fn digest(&self, hash: &mut impl Hasher) {
        let App { done, partly, sent, got, said, saw_end, outcome, .. } = self;
        (done, partly, sent, got, said, saw_end, outcome).hash(hash);
    }

    /// One line for a report.
    pub(super) fn describe(&self) -> String {
        let App { which, sent, got, said, saw_end, outcome, .. } = self;
        format!("app {which}: sent {sent}, got {got}, said {said:?}, end {saw_end}, {outcome:?}")
    }

    pub(super) fn next(&self) -> Option<Op> {
        self.side.program.get(self.done).copied().filter(|_| self.outcome.is_none())
    }

    /// Looks at the socket.
    pub(super) fn look(&mut self, stack: &mut Stack) {
        self.seen = Seen::default();
        if let Some(tcp) = self.socket.and_then(|id| stack.tcp(id)) {
            self.seen = Seen {
                opening: matches!(tcp.state(), State::SynSent | State::SynReceived),
                writable: tcp.send_room() > 0 || tcp.readiness().contains(Readiness::ERROR),
                readable: tcp.readiness().contains(Readiness::READABLE),
            };
        }
    }

    /// It can go on with its program.
    pub(super) fn can_act(&self) -> bool {
        let held = self.socket.is_some();
        match self.next() {
            Some(Op::Send(_)) => held && !self.seen.opening && self.seen.writable,
            Some(Op::Shutdown) => held && !self.seen.opening,
            Some(Op::CloseAtEnd) => self.saw_end,
            Some(Op::Close | Op::Abort) => held,
            None => false,
        }
    }

    /// There is something to read: text, the end, or a failure.
    pub(super) fn can_read(&self) -> bool {
        let lazy = self.sabotage == Some(Sabotage::Lazy) && self.got > 0;
        !self.saw_end && self.outcome.is_none() && self.seen.readable && !lazy
    }

    /// It reads as soon as it can, and what happens then is nothing that has to be explored.
    pub(super) fn reads_now(&self) -> bool {
        self.side.reads == Reads::Eagerly && self.can_read()
    }

    /// Does what comes next in its program, which is not to connect.
    pub(super) fn act(&mut self, now: Instant, stack: &mut Stack) {
        let Some(op) = self.next() else { return };
        let Some(tcp) = self.socket.and_then(|id| stack.tcp(id)) else { return };
        match op {
            Op::Send(bytes) => self.writes(now, stack, bytes),
            Op::Shutdown => {
                let mut tcp = tcp;
                self.said = Some(self.sent);
                self.done += 1;
                if tcp.shutdown_write(now).is_err() {
                    self.fails(now, stack);
                }
            }
            Op::CloseAtEnd | Op::Close => {
                self.said = Some(self.sent);
                self.leaves(if self.saw_end { Outcome::Done } else { Outcome::Left });
                tcp.close(now);
            }
            Op::Abort => {
                self.leaves(Outcome::Left);
                tcp.abort(now);
            }
        }
    }

    fn writes(&mut self, now: Instant, stack: &mut Stack, bytes: u64) {
        let mut text = vec![0; (bytes - self.partly) as usize];
        stream_fill(self.which as u64, self.sent, &mut text);
        let Some(mut tcp) = self.socket.and_then(|id| stack.tcp(id)) else { return };
        match tcp.send(now, &text) {
            Ok(moved) => {
                self.sent += moved as u64;
                self.partly += moved as u64;
                if self.partly == bytes {
                    (self.partly, self.done) = (0, self.done + 1);
                }
            }
            Err(SendError::WouldBlock) => {}
            Err(_) => self.fails(now, stack),
        }
    }

    fn leaves(&mut self, outcome: Outcome) {
        (self.outcome, self.socket) = (Some(outcome), None);
    }

    fn fails(&mut self, now: Instant, stack: &mut Stack) {
        if let Some(tcp) = self.socket.and_then(|id| stack.tcp(id)) {
            tcp.close(now);
        }
        self.leaves(Outcome::Failed);
    }

    /// Reads all that is there. `peer` is the other side's application.
    pub(super) fn read(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        peer: &App,
    ) -> Result<(), String> {
        let mut out = [0; 4 * UNIT as usize];
        while !self.saw_end
            && let Some(mut tcp) = self.socket.and_then(|id| stack.tcp(id))
        {
            match tcp.recv(now, &mut out) {
                Ok(0) => self.ends(peer)?,
                Ok(moved) => self.takes(&mut out[..moved], peer)?,
                Err(RecvError::WouldBlock) => return Ok(()),
                Err(_) => self.fails(now, stack),
            }
        }
        Ok(())
    }

    /// G2: what arrives is a prefix of what was sent.
    fn takes(&mut self, bytes: &mut [u8], peer: &App) -> Result<(), String> {
        if self.sabotage == Some(Sabotage::WrongByte) && self.got > 0 {
            bytes[0] ^= 1;
        }
        for &byte in &*bytes {
            if byte != stream_byte(peer.which as u64, self.got) {
                return Err(format!("byte {} of the stream is wrong", self.got));
            }
            self.got += 1;
        }
        if self.got > peer.sent {
            return Err(format!("{} bytes arrived of {} that were sent", self.got, peer.sent));
        }
        Ok(())
    }

    /// G2: the stream ends where the other side has said so.
    fn ends(&mut self, peer: &App) -> Result<(), String> {
        self.saw_end = true;
        if peer.said == Some(self.got) {
            return Ok(());
        }
        Err(format!("end of stream after {} bytes, {:?} were said", self.got, peer.said))
    }
}
