//! Channels in place of a device: each stack is owned by one thread, which takes frames from one
//! channel and puts them into another. So it is with a virtual machine, a tunnel, or a radio whose
//! driver is somebody else's code.
//!
//! `cargo run -p stack --example channel` sends datagrams there and back.
#![expect(clippy::print_stdout, reason = "it shows what it does")]
#![expect(clippy::disallowed_methods, reason = "the driver is where time and threads come from")]
#![expect(clippy::disallowed_types, reason = "the driver is where time comes from")]

use std::error::Error;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use stack::{Config, Instant, Mac, RxFrame, Seed, SocketId, Stack, UdpId};

type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ROUNDS: u32 = 1000;
/// Frames under way. A stack sends what fits: beyond, they are lost, as on any wire.
const QUEUE: usize = 256;
/// For who has no deadline: a channel's `recv_timeout` wants one.
const LONG: Duration = Duration::from_secs(3600);

/// A stack, and what its thread needs.
struct Driver {
    stack: Stack,
    frames: Receiver<Vec<u8>>,
    wire: Sender<Vec<u8>>,
    start: std::time::Instant,
}

impl Driver {
    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// Runs until the other side hangs up, or `on_event` has had enough and returns false.
    fn run(&mut self, mut on_event: impl FnMut(&mut Stack, SocketId, Instant) -> bool) {
        // What was asked of the stack before has yet to leave.
        while self.send_and_tell(&mut on_event) {
            let wait = self.stack.next_timeout().map_or(LONG, |deadline| deadline - self.now());
            match self.frames.recv_timeout(wait) {
                Ok(frame) => self.stack.receive(self.now(), RxFrame::plain(&frame)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // A burst is taken in whole before anything is answered.
            for frame in self.frames.try_iter() {
                self.stack.receive(self.now(), RxFrame::plain(&frame));
            }
            self.stack.advance(self.now());
        }
    }

    /// Frames, then an event, until there is neither.
    fn send_and_tell(
        &mut self,
        on_event: &mut impl FnMut(&mut Stack, SocketId, Instant) -> bool,
    ) -> bool {
        let now = self.now();
        loop {
            while let Some(frame) = self.stack.poll_transmit(now) {
                // A full channel is a full queue: the stack sends again what matters.
                let _ = self.wire.try_send(frame.to_vec());
            }
            let Some(event) = self.stack.poll_event() else { return true };
            if !on_event(&mut self.stack, event.socket, now) {
                return false;
            }
        }
    }
}

fn driver(last: u8, frames: Receiver<Vec<u8>>, wire: Sender<Vec<u8>>) -> Answer<Driver> {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![format!("192.0.2.{last}/24").parse()?];
    let stack = Stack::new(config, Seed::from_number(last.into()));
    Ok(Driver { stack, frames, wire, start: std::time::Instant::now() })
}

pub(crate) fn main() -> Answer<()> {
    let ((there, arrivals), (back, returns)) = (bounded(QUEUE), bounded(QUEUE));
    let mut server = driver(1, arrivals, back)?;
    let mut client = driver(2, returns, there)?;

    let echo = server.stack.bind_udp("192.0.2.1:7".parse()?)?;
    let thread = std::thread::spawn(move || {
        server.run(|stack, _, now| {
            let (mut text, mut udp) =
                ([0; 1500], stack.udp(echo).expect("it lives with the stack"));
            while let Ok((length, from)) = udp.recv_from(&mut text) {
                // The oldest question may be lost; who asked asks again.
                let _ = udp.send_to(now, &text[..length], Some(from));
            }
            true
        });
    });

    let socket = client.stack.bind_udp("192.0.2.2:0".parse()?)?;
    let mut round = 0;
    ask(&mut client.stack, socket, Instant::ZERO, round)?;
    client.run(|stack, _, now| {
        let (mut text, mut udp) = ([0; 4], stack.udp(socket).expect("it lives with the stack"));
        while udp.recv_from(&mut text).is_ok() {
            assert_eq!(u32::from_be_bytes(text), round, "one is under way");
            round += 1;
        }
        round < ROUNDS && ask(stack, socket, now, round).is_ok()
    });
    println!("{round} datagrams there and back, {:?} each", client.start.elapsed() / ROUNDS);
    assert_eq!(round, ROUNDS);
    drop(client);
    thread.join().expect("the server does not panic");
    Ok(())
}

fn ask(stack: &mut Stack, socket: UdpId, now: Instant, round: u32) -> Answer<()> {
    let mut udp = stack.udp(socket).ok_or("it lives with the stack")?;
    udp.send_to(now, &round.to_be_bytes(), Some("192.0.2.1:7".parse()?))?;
    Ok(())
}
