//! smoltcp as the other end, on its own TAP device, as its examples use it.

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{self, Medium, TunTapInterface};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

use crate::rows::{port, read_order};
use crate::stopwatch::work_for;

/// What a bulk connection may hold, bytes: less than the queue of a TAP, which would overflow.
const BULK: usize = 1 << 20;

/// What an echo may hold, bytes.
const SMALL: usize = 8 * 1024;

/// Connections of each service at a time: a listener of smoltcp becomes its one connection.
const BULK_AT_ONCE: usize = 2;
const ECHOES_AT_ONCE: usize = 64;

/// Datagrams that a socket may hold, and a burst of a flood.
const DATAGRAMS: usize = 1024;
const BURST: usize = 64;

/// A flood that was ordered.
struct Flood {
    peer: udp::UdpMetadata,
    size: usize,
    until: Instant,
}

struct Server {
    sockets: SocketSet<'static>,
    /// Connections with their service.
    streams: Vec<(SocketHandle, u16)>,
    udp_sink: SocketHandle,
    udp_echo: SocketHandle,
    udp_source: SocketHandle,
    datagrams: u64,
    bytes: u64,
    flood: Option<Flood>,
    text: Vec<u8>,
    /// How long it computes for each request.
    work: Duration,
}

/// Serves until killed.
pub(crate) fn serve(tap: &str, address: Ipv4Addr, work: Duration) -> Result<()> {
    let mut device = TunTapInterface::new(tap, Medium::Ethernet).context("the TAP")?;
    let fd = device.as_raw_fd();
    let mac = HardwareAddress::Ethernet(EthernetAddress([2, 0, 0, 0, 0, 7]));
    let mut interface = Interface::new(Config::new(mac), &mut device, Instant::now());
    interface.update_ip_addrs(|list| {
        list.push(IpCidr::new(address.into(), 24)).expect("room for one address");
    });
    let mut server = Server::new(work)?;
    println!("ready");
    loop {
        let now = Instant::now();
        interface.poll(now, &mut device, &mut server.sockets);
        server.work(now)?;
        let flooding = server.flood.is_some();
        let delay = interface.poll_delay(now, &server.sockets).map(Duration::from);
        let delay = if flooding { Some(Duration::ZERO) } else { delay };
        if delay != Some(Duration::ZERO) {
            phy::wait(fd, delay.map(smoltcp::time::Duration::from)).context("waiting")?;
        }
    }
}

impl Server {
    fn new(work: Duration) -> Result<Server> {
        let mut sockets = SocketSet::new(Vec::new());
        let mut streams = Vec::new();
        let services = [
            (port::SINK, BULK, BULK_AT_ONCE),
            (port::SOURCE, BULK, BULK_AT_ONCE),
            (port::ECHO, SMALL, ECHOES_AT_ONCE),
        ];
        for (service, buffer, count) in services {
            for _ in 0..count {
                let buffer = || tcp::SocketBuffer::new(vec![0; buffer]);
                let mut socket = tcp::Socket::new(buffer(), buffer());
                socket.set_nagle_enabled(false);
                streams.push((sockets.add(socket), service));
            }
        }
        let mut bind = |port| -> Result<SocketHandle> {
            let buffer = || {
                let datagrams = vec![udp::PacketMetadata::EMPTY; DATAGRAMS];
                udp::PacketBuffer::new(datagrams, vec![0; DATAGRAMS * 128])
            };
            let mut socket = udp::Socket::new(buffer(), buffer());
            socket.bind(port)?;
            Ok(sockets.add(socket))
        };
        let (udp_sink, udp_echo) = (bind(port::UDP_SINK)?, bind(port::UDP_ECHO)?);
        let udp_source = bind(port::UDP_SOURCE)?;
        Ok(Server {
            sockets,
            streams,
            udp_sink,
            udp_echo,
            udp_source,
            datagrams: 0,
            bytes: 0,
            flood: None,
            text: vec![0x5a; 128 * 1024],
            work,
        })
    }

    fn work(&mut self, now: Instant) -> Result<()> {
        for &(handle, service) in &self.streams {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
            converse(socket, service, &mut self.text, self.work)?;
        }
        self.count();
        self.reflect();
        self.obey(now);
        Ok(())
    }

    fn count(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.udp_sink);
        while let Ok((length, peer)) = socket.recv_slice(&mut self.text) {
            if &self.text[..length] == b"STAT" {
                let told = [self.datagrams.to_be_bytes(), self.bytes.to_be_bytes()].concat();
                let _ = socket.send_slice(&told, peer);
                (self.datagrams, self.bytes) = (0, 0);
            } else {
                self.datagrams += 1;
                self.bytes += length as u64;
            }
        }
    }

    fn reflect(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.udp_echo);
        while let Ok((length, peer)) = socket.recv_slice(&mut self.text) {
            let _ = socket.send_slice(&self.text[..length], peer);
        }
    }

    /// Takes an order, and floods for a while.
    fn obey(&mut self, now: Instant) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.udp_source);
        while let Ok((length, peer)) = socket.recv_slice(&mut self.text) {
            if let Some((size, time)) = read_order(&self.text[..length]) {
                self.flood = Some(Flood { peer, size, until: now + time.into() });
            }
        }
        if let Some(flood) = self.flood.take_if(|flood| now < flood.until) {
            for _ in 0..BURST {
                if socket.send_slice(&self.text[..flood.size], flood.peer).is_err() {
                    break;
                }
            }
            self.flood = Some(flood);
        } else {
            self.flood = None;
        }
    }
}

/// Does what is possible on a connection; one that is over listens again.
fn converse(
    socket: &mut tcp::Socket<'_>,
    service: u16,
    text: &mut [u8],
    work: Duration,
) -> Result<()> {
    if !socket.is_open() {
        socket.listen(service)?;
    }
    match service {
        port::SINK => while matches!(socket.recv_slice(text), Ok(count) if count > 0) {},
        port::SOURCE => while matches!(socket.send_slice(text), Ok(count) if count > 0) {},
        _ => {
            let room = socket.send_capacity() - socket.send_queue();
            if let Ok(count) = socket.recv_slice(&mut text[..room])
                && count > 0
            {
                work_for(work);
                socket.send_slice(&text[..count])?;
            }
        }
    }
    // The peer has said all: so have we.
    if socket.state() == tcp::State::CloseWait && socket.recv_queue() == 0 {
        socket.close();
    }
    Ok(())
}
