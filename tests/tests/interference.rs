//! Non-interference (THREATS T-5, X-6): two worlds differ in a secret only: whether somebody else's
//! connection exists, from which port, and how far it has come. An attacker off the path does the
//! same in both, and sees the same: frame for frame, and moment for moment.

use stack::testing::packet::{Flags, Segment, arp, ethernet, icmp, ipv4, udp};
use stack::{Cidr, Config, Instant, ListenOptions, ListenerId, Mac, RxFrame, Seed, Stack, TcpId};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;
use tests::random::Dice;

const HOST: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(192, 0, 2, 1));
const VICTIM: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 2]), Ipv4Addr::new(192, 0, 2, 2));
const ATTACKER: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 3]), Ipv4Addr::new(192, 0, 2, 3));

/// What the attacker would like to know.
#[derive(Clone, Copy, Debug)]
struct Secret {
    /// The port of the victim's connection, if there is one.
    port: Option<u16>,
    /// Bytes that the host has sent on it.
    sent: usize,
}

struct World {
    stack: Stack,
    now: Instant,
    listener: ListenerId,
    /// What reached the attacker, and when.
    seen: Vec<(Instant, Vec<u8>)>,
    /// The last segment that reached anybody at each of the two other addresses.
    last: [Option<Segment>; 2],
    /// Application's connections.
    held: Vec<TcpId>,
}

impl World {
    fn new(seed: u64, secret: Secret) -> World {
        let mut config = Config::new(HOST.0);
        config.addresses = vec![Cidr { address: IpAddr::V4(HOST.1), prefix: 24 }];
        let mut stack = Stack::new(config, Seed::from_number(seed));
        let any = SocketAddr::from(([0, 0, 0, 0], 80));
        let listener = stack.listen(any, ListenOptions::default()).unwrap();
        stack.bind_udp(SocketAddr::from(([0, 0, 0, 0], 53))).unwrap();
        let now = Instant::from_secs(5);
        let (seen, last, held) = (Vec::new(), [None, None], Vec::new());
        let mut world = World { stack, now, listener, seen, last, held };
        // Everybody is known to everybody from the beginning.
        for (mac, address) in [VICTIM, ATTACKER] {
            let who = arp(1, (mac, address), (Mac::default(), HOST.1));
            world.give(&ethernet(mac, HOST.0, 0x0806, &who));
        }
        if let Some(port) = secret.port {
            let id = world.open(VICTIM, port);
            let now = world.now;
            world.stack.tcp(id).unwrap().send(now, &vec![7; secret.sent]).unwrap();
            world.drain();
            if let Some(last) = world.last[0].clone().filter(|_| secret.sent > 0) {
                let ack = last.seq.wrapping_add(last.len());
                world.speak(VICTIM, &segment(VICTIM.1, port, 1001, ack, Flags::ACK));
            }
        }
        world.wait(1_000);
        world.seen.clear();
        world
    }

    fn give(&mut self, frame: &[u8]) {
        self.stack.receive(self.now, RxFrame::plain(frame));
        self.drain();
    }

    /// A segment leaves the station of `from`, whatever address it claims.
    fn speak(&mut self, from: (Mac, Ipv4Addr), segment: &Segment) {
        self.give(&segment.to_frame(from.0, HOST.0));
    }

    fn drain(&mut self) {
        self.stack.advance(self.now);
        while let Some(frame) = self.stack.poll_transmit(self.now) {
            let frame = frame.to_vec();
            // Broadcasts are for the network: an attacker off the path is not on it.
            if frame[..6] == ATTACKER.0.0 {
                self.seen.push((self.now, frame.clone()));
            }
            if let Ok(Some(segment)) = Segment::from_frame(&frame) {
                let which = usize::from(*segment.destination.ip() == ATTACKER.1);
                self.last[which] = Some(segment);
            }
        }
        while self.stack.poll_event().is_some() {}
    }

    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.stack.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.drain();
        }
        self.now = end;
        self.drain();
    }

    /// An honest connection, accepted.
    fn open(&mut self, from: (Mac, Ipv4Addr), port: u16) -> TcpId {
        let mut syn = segment(from.1, port, 1000, 0, Flags::SYN);
        syn.options = vec![2, 4, 5, 0xb4];
        self.speak(from, &syn);
        let answer = self.last[usize::from(from == ATTACKER)].clone().expect("a SYN-ACK");
        let ack = answer.seq.wrapping_add(1);
        self.speak(from, &segment(from.1, port, 1001, ack, Flags::ACK));
        let id = self.stack.accept(self.listener).expect("a connection");
        self.held.push(id);
        id
    }
}

fn segment(from: Ipv4Addr, port: u16, seq: u32, ack: u32, flags: Flags) -> Segment {
    Segment {
        source: SocketAddrV4::new(from, port),
        destination: SocketAddrV4::new(HOST.1, 80),
        seq,
        ack,
        flags,
        window: 65_535,
        urgent: 0,
        ecn: 0,
        options: Vec::new(),
        payload: Vec::new(),
    }
}

/// What the attacker does. Everything leaves his own station, under the victim's name or his own.
#[derive(Clone, Copy, Debug)]
enum Script {
    /// CVE-2016-5696: spoofed segments into the window, then his own challenges are counted.
    Challenges(Flags),
    /// Spoofed text with guessed acknowledgments.
    Ghosts,
    /// Errors about a connection that may be there.
    Errors,
    /// Closed ports of UDP, under both names.
    PortScan,
    /// Fragments, under both names.
    Fragments,
    /// SYNs to open and closed ports, under both names.
    Syns,
}

fn attack(world: &mut World, script: Script, seed: u64) {
    let mut dice = Dice::new(seed, "attack");
    world.open(ATTACKER, 5000);
    for round in 0..300u32 {
        let (port, number) = (40_000 + (round % 4) as u16, dice.word() as u32);
        let near = if round.is_multiple_of(2) { number } else { 1001 + round * 200 };
        match script {
            Script::Challenges(flags) => {
                world.speak(ATTACKER, &segment(VICTIM.1, port, near, number, flags));
            }
            Script::Ghosts => {
                let mut text = segment(VICTIM.1, port, near, number, Flags::ACK);
                text.payload = vec![9; 10];
                world.speak(ATTACKER, &text);
            }
            Script::Errors => {
                let mut quoted = segment(HOST.1, 80, near, 0, Flags::ACK);
                quoted.destination = SocketAddrV4::new(VICTIM.1, port);
                let frame = quoted.to_frame(HOST.0, VICTIM.0);
                let code = (round % 16) as u8;
                let message = icmp(3, code, [0, 0, 2, 100], &frame[14..42]);
                let packet = ipv4(ATTACKER.1, HOST.1, 1, &message);
                world.give(&ethernet(ATTACKER.0, HOST.0, 0x0800, &packet));
            }
            Script::PortScan => datagram(world, VICTIM.1, number as u16),
            Script::Fragments => fragment(world, VICTIM.1, number),
            Script::Syns => {
                world.speak(ATTACKER, &segment(VICTIM.1, port, near, 0, Flags::SYN));
            }
        }
        measure(world, script, round, &mut dice);
        world.wait(dice.below(40));
    }
    world.wait(100_000);
}

/// What the attacker does under his own name, to see whether it goes as usual.
fn measure(world: &mut World, script: Script, round: u32, dice: &mut Dice) {
    let reset = segment(ATTACKER.1, 5000, 2000 + round, 0, Flags::RST);
    match script {
        Script::PortScan => datagram(world, ATTACKER.1, dice.word() as u16),
        Script::Fragments => fragment(world, ATTACKER.1, dice.word() as u32),
        Script::Syns => {
            let mut syn = segment(ATTACKER.1, 6000 + round as u16, 1, 0, Flags::SYN);
            syn.destination.set_port(if round.is_multiple_of(2) { 80 } else { 81 });
            world.speak(ATTACKER, &syn);
        }
        _ => world.speak(ATTACKER, &reset),
    }
}

fn datagram(world: &mut World, from: Ipv4Addr, port: u16) {
    let (from, to) = (SocketAddrV4::new(from, 777), SocketAddrV4::new(HOST.1, port));
    let packet = ipv4(*from.ip(), HOST.1, 17, &udp(from, to, b"x"));
    world.give(&ethernet(ATTACKER.0, HOST.0, 0x0800, &packet));
}

fn fragment(world: &mut World, from: Ipv4Addr, id: u32) {
    let mut packet = ipv4(from, HOST.1, 17, &[1; 24]);
    packet[4..6].copy_from_slice(&(id as u16).to_be_bytes());
    packet[6..8].copy_from_slice(&[0x20, 0]);
    packet[10..12].fill(0);
    let sum = stack::testing::packet::checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    world.give(&ethernet(ATTACKER.0, HOST.0, 0x0800, &packet));
}

const SCRIPTS: [Script; 9] = [
    Script::Challenges(Flags::RST),
    Script::Challenges(Flags::SYN),
    Script::Challenges(Flags::ACK),
    Script::Challenges(Flags(0x11)),
    Script::Ghosts,
    Script::Errors,
    Script::PortScan,
    Script::Fragments,
    Script::Syns,
];

const SECRETS: [Secret; 4] = [
    Secret { port: None, sent: 0 },
    Secret { port: Some(40_001), sent: 0 },
    Secret { port: Some(40_002), sent: 0 },
    Secret { port: Some(40_001), sent: 9_000 },
];

fn seen(seed: u64, secret: Secret, script: Script) -> Vec<(Instant, Vec<u8>)> {
    let mut world = World::new(seed, secret);
    attack(&mut world, script, seed);
    world.seen
}

#[test]
fn an_attacker_off_the_path_learns_nothing() {
    for seed in 0..50 {
        for script in SCRIPTS {
            let first = seen(seed, SECRETS[0], script);
            assert!(!first.is_empty(), "{script:?}: the attacker sees nothing at all");
            for secret in &SECRETS[1..] {
                let other = seen(seed, *secret, script);
                let differs = first.iter().zip(&other).position(|(one, two)| one != two);
                let same = differs.is_none() && first.len() == other.len();
                assert!(same, "{script:?} tells {secret:?} at frame {differs:?}, seed {seed}");
            }
        }
    }
}

/// The method sees what there is to see: here the attacker is told.
#[test]
fn the_method_can_fail() {
    let told = |sent: usize| {
        let mut world = World::new(1, SECRETS[0]);
        let id = world.open(ATTACKER, 5000);
        let now = world.now;
        world.stack.tcp(id).unwrap().send(now, &vec![7; sent]).unwrap();
        world.drain();
        world.seen
    };
    assert_ne!(told(10), told(11));
    assert_eq!(told(10), told(10));
}
