//! This project's stack as a host of the world.

use super::host::{Handle, Host, Io};
use super::plan::HostPlan;
use stack::{
    Cidr, Config, ConnectOptions, Counters, Instant, ListenOptions, ListenerId, RecvError, RxFrame,
    Seed, SendError, SocketId, Stack, State, TcpId, TcpOptions,
};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr, SocketAddrV4};

/// A host that runs [`Stack`].
pub(super) struct Ours {
    stack: Stack,
    options: TcpOptions,
    listener: Option<ListenerId>,
    /// The listener has something, as far as its events tell.
    ready: bool,
    handles: HashMap<TcpId, Handle>,
    ids: BTreeMap<Handle, TcpId>,
    next_handle: Handle,
    pub(super) received: u64,
}

impl Ours {
    /// The host that `plan` describes.
    pub(super) fn new(plan: &HostPlan) -> Ours {
        let mut config = Config::new(plan.mac);
        config.mtu = plan.mtu;
        config.tcp.syn_ack_retries = plan.syn_ack_retries;
        config.addresses = vec![Cidr { address: IpAddr::V4(plan.address), prefix: 24 }];
        let options = TcpOptions {
            nodelay: plan.nodelay,
            receive_buffer: Some(plan.receive_buffer),
            send_buffer: Some(plan.send_buffer),
            ..TcpOptions::default()
        };
        Ours {
            stack: Stack::new(config, Seed::from_number(plan.seed)),
            options,
            listener: None,
            ready: false,
            handles: HashMap::new(),
            ids: BTreeMap::new(),
            next_handle: 0,
            received: 0,
        }
    }

    fn adopt(&mut self, id: TcpId) -> Handle {
        self.next_handle += 1;
        self.handles.insert(id, self.next_handle);
        self.ids.insert(self.next_handle, id);
        self.next_handle
    }

    fn release(&mut self, handle: Handle) -> Option<TcpId> {
        let id = self.ids.remove(&handle)?;
        self.handles.remove(&id);
        Some(id)
    }
}

impl Host for Ours {
    fn receive(&mut self, now: Instant, frame: &[u8]) {
        self.received += 1;
        self.stack.receive(now, RxFrame::plain(frame));
    }

    fn advance(&mut self, now: Instant) {
        self.stack.advance(now);
    }

    fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.stack.poll_transmit(now).map(|frame| frame.to_vec())
    }

    fn next_timeout(&mut self, _: Instant) -> Option<Instant> {
        self.stack.next_timeout()
    }

    fn woken(&mut self) -> Vec<Handle> {
        let mut woken = Vec::new();
        while let Some(event) = self.stack.poll_event() {
            match event.socket {
                SocketId::Tcp(id) => woken.extend(self.handles.get(&id)),
                SocketId::Listener(id) => self.ready |= Some(id) == self.listener,
                SocketId::Udp(_) | SocketId::Echo(_) => {}
            }
        }
        woken
    }

    fn listen(&mut self, port: u16) {
        let options = ListenOptions { backlog: 64, tcp: self.options };
        let local: SocketAddr = ([0, 0, 0, 0], port).into();
        self.listener = Some(self.stack.listen(local, options).expect("a free port"));
    }

    fn accept(&mut self, _: Instant) -> Option<(Handle, u16, SocketAddrV4)> {
        let listener = self.listener.filter(|_| self.ready)?;
        let Ok(id) = self.stack.accept(listener) else {
            self.ready = false;
            return None;
        };
        let tcp = self.stack.tcp(id).expect("what accept gives is alive");
        let (local, SocketAddr::V4(remote)) = (tcp.local(), tcp.remote()) else { return None };
        Some((self.adopt(id), local.port(), remote))
    }

    fn connect(&mut self, now: Instant, remote: SocketAddrV4) -> Option<(Handle, u16)> {
        let options = ConnectOptions { tcp: self.options, ..ConnectOptions::default() };
        let id = self.stack.connect(now, remote.into(), options).ok()?;
        let port = self.stack.tcp(id)?.local().port();
        Some((self.adopt(id), port))
    }

    fn send(&mut self, now: Instant, handle: Handle, bytes: &[u8]) -> Io {
        let id = self.ids.get(&handle);
        let Some(mut tcp) = id.and_then(|id| self.stack.tcp(*id)) else { return Io::Failed };
        match tcp.send(now, bytes) {
            Ok(moved) => Io::Moved(moved),
            Err(SendError::WouldBlock) => Io::Wait,
            Err(_) => Io::Failed,
        }
    }

    fn recv(&mut self, now: Instant, handle: Handle, out: &mut [u8]) -> Io {
        let id = self.ids.get(&handle);
        let Some(mut tcp) = id.and_then(|id| self.stack.tcp(*id)) else { return Io::Failed };
        match tcp.recv(now, out) {
            Ok(0) => Io::End,
            Ok(moved) => Io::Moved(moved),
            Err(RecvError::WouldBlock) => Io::Wait,
            Err(_) => Io::Failed,
        }
    }

    fn unsent(&mut self, handle: Handle) -> usize {
        let tcp = self.ids.get(&handle).and_then(|id| self.stack.tcp(*id));
        tcp.map_or(0, |tcp| tcp.unsent())
    }

    fn shutdown(&mut self, now: Instant, handle: Handle) {
        if let Some(mut tcp) = self.ids.get(&handle).and_then(|id| self.stack.tcp(*id)) {
            // A connection that is lost by now says so at the next read.
            let _ = tcp.shutdown_write(now);
        }
    }

    fn close(&mut self, now: Instant, handle: Handle) {
        if let Some(tcp) = self.release(handle).and_then(|id| self.stack.tcp(id)) {
            tcp.close(now);
        }
    }

    fn abort(&mut self, now: Instant, handle: Handle) {
        if let Some(tcp) = self.release(handle).and_then(|id| self.stack.tcp(id)) {
            tcp.abort(now);
        }
    }

    fn leftovers(&self) -> usize {
        let connections = self.stack.connections().filter(|(_, info)| info.state != State::Listen);
        connections.count() + self.stack.memory_used()
    }

    fn audit(&mut self) -> Result<(), String> {
        let counters = self.stack.counters();
        let ended = counters.frames_delivered + counters.drops.total();
        if counters.frames_in != self.received || ended != self.received {
            let Counters { frames_in, frames_delivered, .. } = counters;
            let received = self.received;
            return Err(format!(
                "{received} frames were given, {frames_in} counted in, {frames_delivered} \
                 delivered, {ended} ended\n{counters}"
            ));
        }
        if counters.tcp_curr_estab != 0 {
            return Err(format!("{} connections established of none", counters.tcp_curr_estab));
        }
        Ok(())
    }
}
