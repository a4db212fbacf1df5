//! smoltcp as a host of the world: a TCP of other hands on the other side of the wire.

use super::host::{Handle, Host, Io};
use super::plan::{HostPlan, link_local};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{CongestionControl, RecvError, Socket, SocketBuffer, State};
use smoltcp::time;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr, IpEndpoint};
use stack::testing::packet::{Flags, Segment};
use stack::testing::translate::{address_v6, to_v4};
use stack::{Instant, Mac};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// smoltcp has no backlog: so many sockets listen on a port.
const LISTENERS: usize = 24;

thread_local! {
    /// smoltcp asks a bare function for its timestamps, so the time stands beside it.
    static CLOCK_MS: Cell<u32> = const { Cell::new(0) };
}

/// A host that runs smoltcp.
pub(super) struct Smol {
    interface: Interface,
    wire: Wire,
    sockets: SocketSet<'static>,
    plan: HostPlan,
    port: Option<u16>,
    listening: Vec<SocketHandle>,
    accepted: VecDeque<(Handle, u16, SocketAddr)>,
    /// Connections of the application.
    open: BTreeMap<Handle, SocketHandle>,
    /// Connections that the application gave up and that finish by themselves.
    closing: Vec<SocketHandle>,
    /// What came before a FIN and waits for its reader: smoltcp forgets it with the connection.
    inboxes: BTreeMap<Handle, VecDeque<u8>>,
    /// Shut down before they were open: smoltcp would forget them at once.
    shut_early: Vec<SocketHandle>,
    next_handle: Handle,
    next_port: u16,
}

/// Frames on their way into the interface and out of it.
struct Wire {
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
    mtu: usize,
}

impl Device for Wire {
    type RxToken<'a> = Taken;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: time::Instant) -> Option<(Taken, Sender<'_>)> {
        let frame = self.incoming.pop_front()?;
        Some((Taken(frame), Sender(&mut self.outgoing)))
    }

    fn transmit(&mut self, _: time::Instant) -> Option<Sender<'_>> {
        Some(Sender(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + 14;
        capabilities
    }
}

struct Taken(Vec<u8>);

impl RxToken for Taken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Sender<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        self.0.push_back(frame);
        result
    }
}

fn to_smol(now: Instant) -> time::Instant {
    let micros = (now.as_nanos() / 1000) as i64;
    CLOCK_MS.set((micros / 1000) as u32);
    time::Instant::from_micros(micros)
}

impl Smol {
    /// The host that `plan` describes.
    pub(super) fn new(at: (Mac, IpAddr), plan: &HostPlan, now: Instant) -> Smol {
        let mtu = plan.mtu as usize;
        let mut wire = Wire { incoming: VecDeque::new(), outgoing: VecDeque::new(), mtu };
        let hardware = HardwareAddress::Ethernet(EthernetAddress(at.0.0));
        let mut config = Config::new(hardware);
        config.random_seed = plan.seed;
        let mut interface = Interface::new(config, &mut wire, to_smol(now));
        interface.update_ip_addrs(|addresses| {
            // The list holds two by default.
            let _ = match at.1 {
                IpAddr::V4(address) => addresses.push(IpCidr::new(address.into(), 24)),
                IpAddr::V6(global) => addresses
                    .push(IpCidr::new(global.into(), 64))
                    .and_then(|()| addresses.push(IpCidr::new(link_local(global).into(), 64))),
            };
        });
        Smol {
            interface,
            wire,
            sockets: SocketSet::new(Vec::new()),
            plan: plan.clone(),
            port: None,
            listening: Vec::new(),
            accepted: VecDeque::new(),
            open: BTreeMap::new(),
            closing: Vec::new(),
            inboxes: BTreeMap::new(),
            shut_early: Vec::new(),
            next_handle: 0,
            next_port: 49152 + (plan.seed % 8192) as u16,
        }
    }

    fn new_socket(&mut self) -> SocketHandle {
        let buffer =
            |size: u64| SocketBuffer::new(vec![0; if size > 0 { size as usize } else { 65_536 }]);
        let mut socket =
            Socket::new(buffer(self.plan.receive_buffer), buffer(self.plan.send_buffer));
        socket.set_nagle_enabled(self.plan.nodelay == 0);
        socket.set_congestion_control(if self.plan.seed.is_multiple_of(2) {
            CongestionControl::Cubic
        } else {
            CongestionControl::None
        });
        if self.plan.timestamps == 1 {
            socket.set_tsval_generator(Some(|| CLOCK_MS.get()));
        }
        self.sockets.add(socket)
    }

    fn socket(&mut self, handle: Handle) -> Option<&mut Socket<'static>> {
        self.open.get(&handle).map(|socket| self.sockets.get_mut::<Socket<'static>>(*socket))
    }

    fn adopt(&mut self, socket: SocketHandle) -> Handle {
        self.next_handle += 1;
        self.open.insert(self.next_handle, socket);
        self.next_handle
    }

    /// Takes established connections from the listening sockets, and puts fresh ones there.
    fn tend_listeners(&mut self) {
        let Some(port) = self.port else { return };
        for i in 0..self.listening.len() {
            let held = self.listening[i];
            let socket = self.sockets.get_mut::<Socket<'_>>(held);
            if matches!(socket.state(), State::Listen | State::SynReceived) {
                continue;
            }
            match socket.remote_endpoint() {
                Some(IpEndpoint { addr, port: from }) => {
                    let handle = self.adopt(held);
                    let remote = SocketAddr::new(addr.into(), from);
                    self.accepted.push_back((handle, port, remote));
                    self.listening[i] = self.new_socket();
                }
                _ => socket.abort(),
            }
            let fresh = self.listening[i];
            // A port that is not zero and a socket that is closed: it cannot fail.
            let _ = self.sockets.get_mut::<Socket<'_>>(fresh).listen(port);
        }
    }

    /// smoltcp looks at its sockets in turn, so that a SYN that was duplicated on the way opens a
    /// second connection at the next socket that listens, which then resets the first.
    fn is_repeated_syn(&self, frame: &[u8]) -> bool {
        let Ok(Some(segment)) = Segment::from_frame(&to_v4(frame)) else { return false };
        let address = match frame[12..14] {
            [8, 0] => IpAddress::Ipv4(*segment.source.ip()),
            _ => IpAddress::Ipv6(address_v6(*segment.source.ip())),
        };
        let from = IpEndpoint::new(address, segment.source.port());
        let has = |held: &SocketHandle| {
            self.sockets.get::<Socket<'_>>(*held).remote_endpoint() == Some(from)
        };
        let mut all = self.open.values().chain(&self.closing).chain(&self.listening);
        let first = segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK);
        first && all.any(has)
    }

    /// Takes everything from connections whose peer has said all.
    fn empty_finished(&mut self) {
        for (handle, held) in &self.open {
            let socket = self.sockets.get_mut::<Socket<'_>>(*held);
            let over = [State::CloseWait, State::LastAck, State::Closing, State::TimeWait];
            if over.contains(&socket.state()) {
                let inbox = self.inboxes.entry(*handle).or_default();
                let mut take = |text: &mut [u8]| {
                    inbox.extend(text.iter());
                    (text.len(), text.len())
                };
                while matches!(socket.recv(&mut take), Ok(1..)) {}
            }
        }
    }

    fn shut_the_early(&mut self) {
        let sockets = &mut self.sockets;
        self.shut_early.retain(|held| {
            let socket = sockets.get_mut::<Socket<'_>>(*held);
            let opening = matches!(socket.state(), State::SynSent | State::SynReceived);
            if !opening {
                socket.close();
            }
            opening
        });
    }

    fn give_up(&mut self, handle: Handle) {
        self.closing.extend(self.open.remove(&handle));
    }
}

impl Host for Smol {
    fn receive(&mut self, now: Instant, frame: &[u8]) {
        if self.is_repeated_syn(frame) {
            return;
        }
        self.wire.incoming.push_back(frame.to_vec());
        self.advance(now);
    }

    fn advance(&mut self, now: Instant) {
        self.interface.poll(to_smol(now), &mut self.wire, &mut self.sockets);
        self.tend_listeners();
        self.shut_the_early();
        self.empty_finished();
        let (sockets, shut_early) = (&mut self.sockets, &mut self.shut_early);
        self.closing.retain(|held| {
            let done = sockets.get::<Socket<'_>>(*held).state() == State::Closed;
            if done {
                sockets.remove(*held);
                shut_early.retain(|early| early != held);
            }
            !done
        });
    }

    fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.wire.outgoing.is_empty() {
            self.advance(now);
        }
        self.wire.outgoing.pop_front()
    }

    fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        let at = self.interface.poll_at(to_smol(now), &self.sockets)?;
        Some(Instant::from_micros(at.total_micros().max(0) as u64).max(now))
    }

    fn woken(&mut self) -> Vec<Handle> {
        self.open.keys().copied().collect()
    }

    fn listen(&mut self, port: u16) {
        self.port = Some(port);
        for _ in 0..LISTENERS {
            let socket = self.new_socket();
            let _ = self.sockets.get_mut::<Socket<'_>>(socket).listen(port);
            self.listening.push(socket);
        }
    }

    fn accept(&mut self, _: Instant) -> Option<(Handle, u16, SocketAddr)> {
        self.accepted.pop_front()
    }

    fn connect(
        &mut self,
        _: Instant,
        port: u16,
        remote: SocketAddr,
        _: u64,
    ) -> Option<(Handle, u16)> {
        let socket = self.new_socket();
        self.next_port += 1;
        let port = if port == 0 { self.next_port } else { port };
        let endpoint = IpEndpoint::new(remote.ip().into(), remote.port());
        let context = self.interface.context();
        self.sockets.get_mut::<Socket<'_>>(socket).connect(context, endpoint, port).ok()?;
        Some((self.adopt(socket), port))
    }

    fn send(&mut self, _: Instant, handle: Handle, bytes: &[u8]) -> Io {
        let Some(socket) = self.socket(handle) else { return Io::Failed };
        if matches!(socket.state(), State::SynSent | State::SynReceived) {
            return Io::Wait;
        }
        match socket.send_slice(bytes) {
            Ok(0) => Io::Wait,
            Ok(moved) => Io::Moved(moved),
            Err(_) => Io::Failed,
        }
    }

    fn recv(&mut self, _: Instant, handle: Handle, out: &mut [u8]) -> Io {
        if let Some(inbox) = self.inboxes.get_mut(&handle) {
            let moved = inbox.len().min(out.len());
            out.iter_mut().zip(inbox.drain(..moved)).for_each(|(to, from)| *to = from);
            return if moved > 0 { Io::Moved(moved) } else { Io::End };
        }
        let Some(socket) = self.socket(handle) else { return Io::Failed };
        if matches!(socket.state(), State::SynSent | State::SynReceived) {
            return Io::Wait;
        }
        match socket.recv_slice(out) {
            Ok(0) => Io::Wait,
            Ok(moved) => Io::Moved(moved),
            Err(RecvError::Finished) => Io::End,
            Err(RecvError::InvalidState) => Io::Failed,
        }
    }

    fn unsent(&mut self, handle: Handle) -> usize {
        self.socket(handle).map_or(0, |socket| socket.send_queue())
    }

    fn shutdown(&mut self, _: Instant, handle: Handle) {
        self.shut_early.extend(self.open.get(&handle));
        self.shut_the_early();
    }

    fn close(&mut self, _: Instant, handle: Handle) {
        if let Some(socket) = self.socket(handle) {
            // An application that closes with text unread leaves nobody to read it.
            if socket.recv_queue() > 0 { socket.abort() } else { socket.close() }
        }
        self.give_up(handle);
    }

    fn abort(&mut self, now: Instant, handle: Handle) {
        if let Some(socket) = self.socket(handle) {
            socket.abort();
        }
        // The reset goes out with the next poll, after which the socket may be removed.
        self.interface.poll(to_smol(now), &mut self.wire, &mut self.sockets);
        self.give_up(handle);
    }

    fn leftovers(&self) -> usize {
        let half_open =
            |held: &&SocketHandle| self.sockets.get::<Socket<'_>>(**held).state() != State::Listen;
        let half_open = self.listening.iter().filter(half_open).count();
        self.open.len() + self.closing.len() + half_open
    }

    fn check(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn audit(&mut self) -> Result<(), String> {
        Ok(())
    }
}
