//! THREATS R-1: spoofed SYNs at a hundred thousand each second, while honest clients connect and
//! transfer. In virtual time, over a link of 5 ms each way.

use stack::testing::packet::{Flags, Segment, arp, ethernet};
use stack::{
    Cidr, Config, ConnectOptions, Instant, ListenOptions, ListenerId, Mac, RxFrame, Seed, Stack,
    State, TcpId,
};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

const SERVER: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(192, 0, 2, 1));
const CLIENT: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 2]), Ipv4Addr::new(192, 0, 2, 2));
const ROUTER: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 3]), Ipv4Addr::new(192, 0, 2, 3));

const DELAY: Duration = Duration::from_millis(5);
const MILLISECOND: Duration = Duration::from_millis(1);
/// SYNs in each millisecond.
const RATE: u32 = 100;
/// Milliseconds of flood.
const SPAN: u32 = 3_000;
/// An honest client comes each so many milliseconds.
const HONEST_EACH: u32 = 10;
/// What it sends.
const TEXT: usize = 20_000;

fn host((mac, address): (Mac, Ipv4Addr), seed: u64) -> Stack {
    let mut config = Config::new(mac);
    config.addresses = vec![Cidr { address: IpAddr::V4(address), prefix: 24 }];
    config.gateway = Some(IpAddr::V4(ROUTER.1));
    Stack::new(config, Seed::from_number(seed))
}

/// Two hosts and what is on its way to each.
struct World {
    now: Instant,
    server: Stack,
    client: Stack,
    listener: ListenerId,
    to_server: VecDeque<(Instant, Vec<u8>)>,
    to_client: VecDeque<(Instant, Vec<u8>)>,
    flood_in: u64,
    flood_out: u64,
    served: Vec<(TcpId, usize)>,
    finished: usize,
    memory: usize,
}

impl World {
    fn new() -> World {
        let mut server = host(SERVER, 1);
        let any = SocketAddr::from(([0, 0, 0, 0], 80));
        let listener = server.listen(any, ListenOptions::default()).expect("a free port");
        let who = arp(2, ROUTER, SERVER);
        let now = Instant::from_secs(100);
        let mut world = World {
            now,
            server,
            client: host(CLIENT, 2),
            listener,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            flood_in: 0,
            flood_out: 0,
            served: Vec::new(),
            finished: 0,
            memory: 0,
        };
        // The router answers before anybody asks.
        let frame = ethernet(ROUTER.0, SERVER.0, 0x0806, &who);
        world.server.receive(now, RxFrame::plain(&frame));
        world
    }

    /// SYNs from addresses that nobody has.
    fn flood(&mut self, millisecond: u32) {
        for i in millisecond * RATE..(millisecond + 1) * RATE {
            let source = Ipv4Addr::from(0xc612_0000 | (i.wrapping_mul(0x9e37_79b9) >> 15));
            let syn = Segment {
                source: SocketAddrV4::new(source, 1024 + (i % 60_000) as u16),
                destination: SocketAddrV4::new(SERVER.1, 80),
                seq: i.wrapping_mul(77_777),
                ack: 0,
                flags: Flags::SYN,
                window: 65_535,
                urgent: 0,
                ecn: 0,
                options: vec![2, 4, 5, 180], // an MSS of 1460
                payload: Vec::new(),
            };
            let frame = syn.to_frame(ROUTER.0, SERVER.0);
            self.flood_in += frame.len() as u64;
            self.server.receive(self.now, RxFrame::plain(&frame));
            if i % 25 == 24 {
                self.drain();
            }
        }
    }

    fn drain(&mut self) {
        let due = self.now + DELAY;
        self.server.advance(self.now);
        while let Some(frame) = self.server.poll_transmit(self.now) {
            let frame = frame.to_vec();
            if frame[..6] == ROUTER.0.0 {
                self.flood_out += frame.len() as u64;
            } else {
                self.to_client.push_back((due, frame));
            }
        }
        self.client.advance(self.now);
        while let Some(frame) = self.client.poll_transmit(self.now) {
            self.to_server.push_back((due, frame.to_vec()));
        }
        self.memory = self.memory.max(self.server.memory_used());
    }

    fn deliver(&mut self) {
        let now = self.now;
        let arrived = |queue: &mut VecDeque<(Instant, Vec<u8>)>| {
            let count = queue.partition_point(|(due, _)| *due <= now);
            queue.drain(..count).collect::<Vec<_>>()
        };
        for (_, frame) in arrived(&mut self.to_server) {
            self.server.receive(now, RxFrame::plain(&frame));
        }
        for (_, frame) in arrived(&mut self.to_client) {
            self.client.receive(now, RxFrame::plain(&frame));
        }
        self.drain();
    }

    /// The server reads everything, and closes when its peer has.
    fn serve(&mut self) {
        while let Ok(id) = self.server.accept(self.listener) {
            self.served.push((id, 0));
        }
        let (server, now, finished) = (&mut self.server, self.now, &mut self.finished);
        self.served.retain_mut(|(id, read)| {
            let mut out = [0; 4096];
            loop {
                let mut socket = server.tcp(*id).expect("held");
                match socket.recv(now, &mut out) {
                    Ok(0) => {
                        assert_eq!(*read, TEXT, "bytes of a client");
                        socket.close(now);
                        *finished += 1;
                        return false;
                    }
                    Ok(n) => *read += n,
                    Err(_) => return true,
                }
            }
        });
        self.drain();
    }
}

#[test]
fn r1_honest_clients_beside_a_flood() {
    let mut world = World::new();
    let mut clients: Vec<(TcpId, Instant, bool)> = Vec::new();
    for millisecond in 0..SPAN + 200 {
        world.now = world.now + MILLISECOND;
        let now = world.now;
        world.deliver();
        if millisecond < SPAN {
            world.flood(millisecond);
            if millisecond.is_multiple_of(HONEST_EACH) {
                let server = SocketAddr::from((SERVER.1, 80));
                let id = world.client.connect(now, server, ConnectOptions::default());
                clients.push((id.expect("a port"), now, false));
            }
        }
        for (id, began, open) in &mut clients {
            let Some(mut socket) = world.client.tcp(*id).filter(|_| !*open) else { continue };
            if socket.state() == State::Established {
                assert!(now - *began <= 3 * DELAY, "a SYN was sent again");
                assert_eq!(socket.send(now, &[7; TEXT]), Ok(TEXT));
                socket.shutdown_write(now).expect("open");
                *open = true;
            }
        }
        world.serve();
    }
    let counters = world.server.counters();
    assert_eq!(world.finished, clients.len(), "{counters}");
    assert!(counters.tcp_cookies_sent > 290_000, "{counters}");
    assert_eq!((counters.tcp_cookies_failed, counters.tcp_resets_limited), (0, 0));
    assert_eq!(counters.tcp_half_open_evicted, 0);
    let (sent, heard) = (world.flood_out, world.flood_in);
    assert!(sent * 10 <= heard * 11, "{sent} bytes for {heard}");
    // Handshakes at their limit, and the buffers of the honest.
    assert!(world.memory < 4 << 20, "{} bytes", world.memory);
    assert!(world.server.usage().half_open <= 1024);
}
