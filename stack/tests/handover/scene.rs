//! A host under shuttle, and what its threads do.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use etherparse::PacketBuilder;
use shuttle::rand::Rng;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use stack::host::Errno;
use stack::{ConnectOptions, Mac, UdpId};

use crate::cable::Cable;
use crate::host::block::{GaveUp, Patience};
use crate::host::runtime::Host;
use crate::host::slot::Slot;
use crate::host::sync::thread::{self, Thread};
use crate::host::watch::{Key, to_read};
use crate::{Config, SocketId, Stack};

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const NOBODY: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 77), 7);
const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// A host and its cable.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) host: Host,
    pub(crate) cable: Arc<Cable>,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        let mut config = Config::new(Mac(OWN_MAC));
        config.addresses = vec![format!("{OWN}/24").parse().unwrap()];
        let cable = Arc::new(Cable::default());
        let host = Host::new(config, Arc::clone(&cable));
        Scene { host, cable }
    }

    /// A socket on this port.
    pub(crate) fn bind(&self, port: u16) -> UdpId {
        let address = SocketAddr::from((OWN, port));
        self.host.with_stack(|stack, _| stack.bind_udp(address)).unwrap()
    }

    /// Lets the reactor go to deep sleep, which it does beside one holder of the seat; in some runs
    /// goes on before it has.
    pub(crate) fn let_the_reactor_sleep(&self) {
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..100) {
            if self.host.reactor_sleeps() {
                return;
            }
            thread::yield_now();
        }
    }

    /// A datagram for this port arrives, some time.
    pub(crate) fn deliver(&self, port: u16) {
        for _ in 0..shuttle::rand::thread_rng().gen_range(0..9) {
            thread::yield_now();
        }
        let packet = PacketBuilder::ethernet2(OTHER_MAC, OWN_MAC)
            .ipv4(OTHER.octets(), OWN.octets(), 64)
            .udp(9, port);
        let mut frame = Vec::new();
        packet.write(&mut frame, b"hello").unwrap();
        self.cable.deliver(frame);
    }

    /// A datagram from this host to itself.
    pub(crate) fn send_to_itself(&self, from: UdpId, port: u16) {
        let to = SocketAddr::from((OWN, port));
        let sent = self.host.with_stack(|stack, now| {
            stack.udp(from).unwrap().send_to(now, b"hello", Some(to)).is_ok()
        });
        assert!(sent);
    }

    /// Waits for a datagram as a thread.
    pub(crate) fn recv(&self, socket: UdpId, patience: Patience<'_>) -> Result<usize, GaveUp> {
        let key = Key::read(SocketId::Udp(socket));
        self.host.core.shard.block_on(key, patience, |engine, _| {
            let received = engine.stack.udp(socket)?.recv_from(&mut [0; 8]);
            received.ok().map(|(length, _)| length)
        })
    }

    /// Waits until connecting to an address that nobody has has failed.
    pub(crate) fn connect_to_nobody(&self) {
        let options = ConnectOptions::default();
        let connect = |stack: &mut Stack, now| stack.connect(now, NOBODY.into(), options);
        let id = self.host.with_stack(connect).unwrap();
        let key = Key::write(SocketId::Tcp(id));
        let failed = self.host.core.shard.block_on(key, Patience::Forever, |engine, _| {
            engine.stack.tcp(id).is_none_or(|mut tcp| tcp.take_error().is_some()).then_some(())
        });
        assert_eq!(failed, Ok(()));
    }

    /// Waits for a datagram as a future, on this thread.
    pub(crate) fn recv_as_a_future(&self, socket: UdpId) -> Result<usize, Errno> {
        let slot = Slot::new(&self.host.core, to_read(SocketId::Udp(socket)));
        let bell = Arc::new(Bell { rung: AtomicBool::new(false), thread: thread::current() });
        let waker = Waker::from(Arc::clone(&bell));
        loop {
            let polled = slot.poll(&Context::from_waker(&waker), |patience| {
                self.recv(socket, patience).map_err(|why| match why {
                    GaveUp::TimedOut => Errno::EAGAIN,
                    GaveUp::Stopped => Errno::ESHUTDOWN,
                })
            });
            if let Poll::Ready(answer) = polled {
                return answer;
            }
            while !bell.rung.swap(false, Ordering::SeqCst) {
                thread::park();
            }
        }
    }
}

struct Bell {
    rung: AtomicBool,
    thread: Thread,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}
