//! Two stacks back to back in virtual time: a transfer over a bad link, told to the nanosecond, and
//! the same in every run. Nothing sleeps: the clock goes to whatever happens next.
//!
//! `cargo run -p stack --example simulator` takes as long as the work does, not as it tells of.
#![expect(clippy::print_stdout, reason = "it shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use stack::{
    Config, ConnectOptions, Instant, ListenOptions, ListenerId, Mac, RxFrame, Seed, Stack, TcpId,
};

/// How long a frame is under way.
const DELAY: Duration = Duration::from_millis(20);
/// One frame in so many is lost.
const LOSS: u64 = 50;
/// How much is sent.
const BYTES: usize = 1 << 20;

/// Two hosts, and the frames between them.
struct World {
    now: Instant,
    hosts: [Stack; 2],
    /// By arrival and, among those that arrive together, by departure: to whom, and what.
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    lost: u64,
}

impl World {
    /// Whatever happens next: a frame arrives, or a stack's deadline comes. False: nothing will.
    fn step(&mut self) -> bool {
        let deadlines = self.hosts.iter().filter_map(Stack::next_timeout);
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let Some(next) = deadlines.chain(arrival).min() else { return false };
        // A deadline may be stale, and so in the past; time runs forwards only.
        self.now = self.now.max(next);
        while let Some(arrival) = self.flying.first_entry()
            && arrival.key().0 <= self.now
        {
            let (to, frame) = arrival.remove();
            self.hosts[to].receive(self.now, RxFrame::plain(&frame));
        }
        for host in &mut self.hosts {
            host.advance(self.now);
        }
        true
    }

    /// What the hosts have to send goes on its way, or is lost. Events are not needed: the
    /// applications below look after every step.
    fn send(&mut self) {
        for (from, host) in self.hosts.iter_mut().enumerate() {
            while let Some(frame) = host.poll_transmit(self.now) {
                self.sent += 1;
                if self.sent.is_multiple_of(LOSS) {
                    self.lost += 1;
                    continue;
                }
                let arrival = (self.now + DELAY, self.sent);
                self.flying.insert(arrival, (1 - from, frame.to_vec()));
            }
            while host.poll_event().is_some() {}
        }
    }
}

/// The two applications: one writes `BYTES` and closes, one reads until the end.
struct Transfer {
    client: TcpId,
    listener: ListenerId,
    server: Option<TcpId>,
    written: usize,
    read: usize,
    over: bool,
}

impl Transfer {
    fn work(&mut self, world: &mut World) -> Result<(), Box<dyn Error>> {
        let (now, [client, server]) = (world.now, &mut world.hosts);
        if let Some(mut tcp) = client.tcp(self.client) {
            let text = vec![7; tcp.send_room().min(BYTES - self.written)];
            if !text.is_empty() {
                self.written += tcp.send(now, &text)?;
            }
            if self.written == BYTES {
                tcp.close(now);
            }
        }
        self.server = self.server.or_else(|| server.accept(self.listener).ok());
        let mut text = [0; 65_536];
        while let Some(mut tcp) = self.server.and_then(|id| server.tcp(id)) {
            match tcp.recv(now, &mut text) {
                Ok(0) => {
                    self.over = true;
                    tcp.close(now);
                }
                Ok(length) => self.read += length,
                Err(_) => break,
            }
        }
        Ok(())
    }
}

/// One whole run from `seed`: when it was over, frames sent, frames lost.
fn run(seed: u64) -> Result<(Instant, u64, u64), Box<dyn Error>> {
    let mut hosts = Vec::new();
    for last in [1, 2] {
        let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
        config.addresses = vec![format!("192.0.2.{last}/24").parse()?];
        hosts.push(Stack::new(config, Seed::from_number(seed + u64::from(last))));
    }
    let [mut client, mut server]: [Stack; 2] = hosts.try_into().map_err(|_| "two hosts")?;
    let now = Instant::ZERO;
    let mut transfer = Transfer {
        listener: server.listen("192.0.2.2:80".parse()?, ListenOptions::default())?,
        client: client.connect(now, "192.0.2.2:80".parse()?, ConnectOptions::default())?,
        server: None,
        written: 0,
        read: 0,
        over: false,
    };
    let hosts = [client, server];
    let mut world = World { now, hosts, flying: BTreeMap::new(), sent: 0, lost: 0 };
    loop {
        transfer.work(&mut world)?;
        world.send();
        if transfer.over {
            assert_eq!(transfer.read, BYTES);
            return Ok((world.now, world.sent, world.lost));
        }
        if !world.step() {
            return Err("nothing will ever happen again".into());
        }
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (at, sent, lost) = run(1)?;
    println!("{BYTES} bytes after {at:?}: {sent} frames, {lost} of them lost");
    assert_eq!(run(1)?, (at, sent, lost), "the same seed, the same run");
    Ok(())
}
