//! This project's stack as a host of the world.

use super::host::{Handle, Host, Io, Wasted};
use super::plan::{HostPlan, link_local};
use crate::card::Card;
use crate::random::Dice;
use stack::testing::options::first_timestamp;
use stack::testing::packet::{Segment, arp, ethernet};
use stack::testing::translate::{advertisement, to_v4};
use stack::{
    Autoconfigure, Bytes, Cidr, Config, Congestion, ConnectOptions, Counters, DropReason, EcnMode,
    FastOpen, Instant, Lifetimes, ListenOptions, ListenerId, Mac, NewAddress, Readiness, RecvError,
    RxFrame, Seed, SendError, SocketId, Stack, State, TcpId, TcpInfo, TcpOptions, Usage, Work,
};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A host that runs [`Stack`].
pub(super) struct Ours {
    stack: Stack,
    card: Card,
    options: TcpOptions,
    listener: Option<ListenerId>,
    /// The listener has something, as far as its events tell.
    ready: bool,
    handles: HashMap<TcpId, Handle>,
    ids: BTreeMap<Handle, TcpId>,
    next_handle: Handle,
    backlog: usize,
    /// How often the ledger refuses, parts per million.
    refusals: u64,
    dice: Dice,
    /// Calls of every kind.
    calls: u64,
    pub(super) received: u64,
    sent: u64,
}

fn config(at: (Mac, IpAddr), plan: &HostPlan) -> Config {
    let mut config = Config::new(at.0);
    config.mtu = plan.mtu as usize;
    config.device_checksums = plan.super_frame > 0;
    config.super_frame_max = plan.super_frame as usize;
    config.addresses = match at.1 {
        IpAddr::V4(_) => vec![Cidr { address: at.1, prefix: 24 }],
        IpAddr::V6(global) => [global, link_local(global)]
            .map(|address| Cidr { address: address.into(), prefix: 64 })
            .into(),
    };
    if plan.autoconfigure == 1 {
        config.autoconfigure = Autoconfigure::On;
    }
    config.tcp.syn_ack_retries = plan.syn_ack_retries as u8;
    config.tcp.delayed_ack = Duration::from_millis(plan.delayed_ack_ms);
    config.tcp.ranges_max = plan.ranges_max as usize;
    config.tcp.ecn = EcnMode::ALL[plan.ecn.min(2) as usize];
    config.tcp.memory_max = plan.memory_kib as usize * 1024;
    config.tcp.half_open_max = plan.half_open_max as usize;
    config.tcp.time_wait = Duration::from_millis(plan.time_wait_ms);
    config.tcp.orphan = Duration::from_millis(plan.orphan_ms);
    config.tcp.time_wait_max = plan.time_wait_max as usize;
    // Every listener, if any.
    let all = FastOpen::SERVER.with(FastOpen::ALL_LISTENERS);
    config.tcp.fast_open = match FastOpen(plan.fast_open as u32) {
        modes if modes.has(FastOpen::SERVER) => modes.with(all),
        modes => modes,
    };
    config.tcp.ephemeral_ports = (plan.first_port as u16, plan.last_port as u16);
    config
}

fn options(plan: &HostPlan) -> TcpOptions {
    let millis = |ms: u64| (ms > 0).then_some(Duration::from_millis(ms));
    let bytes = |bytes: u64| (bytes > 0).then_some(bytes as usize);
    let mut options = TcpOptions {
        nodelay: plan.nodelay == 1,
        cork: plan.cork == 1,
        notsent_lowat: (plan.notsent_lowat > 0).then_some(plan.notsent_lowat as u32),
        congestion: Congestion::ALL.get(plan.congestion as usize).copied(),
        quick_ack: plan.quick_ack == 1,
        fast_open_connect: plan.fast_open != 0,
        max_segment: (plan.max_segment > 0).then_some(plan.max_segment as u16),
        user_timeout: millis(plan.user_timeout_ms),
        receive_buffer: bytes(plan.receive_buffer),
        send_buffer: bytes(plan.send_buffer),
        ..TcpOptions::default()
    };
    if let Some(idle) = millis(plan.keepalive_ms) {
        options.keepalive = true;
        (options.keepalive_idle, options.keepalive_interval) = (idle, idle);
    }
    options
}

/// The sequence number and the timestamp with which a host of this plan would begin to send from
/// `local` to `remote` if its clock began now.
pub(super) fn first_numbers(
    plan: &HostPlan,
    [own, other]: [(Mac, IpAddr); 2],
    [from, to]: [u16; 2],
) -> Option<(u32, u32)> {
    let mut host = Ours::new(own, plan);
    host.connect(Instant::ZERO, from, SocketAddr::new(other.1, to), 0)?;
    while let Some(frame) = host.transmit(Instant::ZERO) {
        if let Ok(Some(syn)) = Segment::from_frame(&to_v4(&frame)) {
            return Some((syn.seq, first_timestamp(&syn.options).unwrap_or(0)));
        }
        host.receive(Instant::ZERO, &neighbour(own, other));
    }
    None
}

/// "I have this address", from `other` to `own`.
fn neighbour(own: (Mac, IpAddr), other: (Mac, IpAddr)) -> Vec<u8> {
    match (own.1, other.1) {
        (IpAddr::V6(host), IpAddr::V6(target)) => advertisement(target, host, [other.0, own.0]),
        (IpAddr::V4(host), IpAddr::V4(target)) => {
            let answer = arp(2, (other.0, target), (own.0, host));
            ethernet(other.0, own.0, 0x0806, &answer)
        }
        _ => Vec::new(),
    }
}

impl Ours {
    /// The host at these addresses that `plan` describes.
    pub(super) fn new(at: (Mac, IpAddr), plan: &HostPlan) -> Ours {
        Ours {
            stack: Stack::new(config(at, plan), Seed::from_number(plan.seed)),
            card: Card::new(plan.joins == 1),
            backlog: plan.backlog as usize,
            options: options(plan),
            refusals: plan.refusals,
            dice: Dice::new(plan.seed, "refusals"),
            calls: 0,
            listener: None,
            ready: false,
            handles: HashMap::new(),
            ids: BTreeMap::new(),
            next_handle: 0,
            received: 0,
            sent: 0,
        }
    }

    /// The stack for one call: in some, the ledger refuses whatever is asked of it (THREATS M-8).
    fn called<R>(&mut self, call: impl FnOnce(&mut Stack) -> R) -> R {
        self.calls += 1;
        self.may_refuse();
        let result = call(&mut self.stack);
        self.stack.set_memory_max(self.stack.config().tcp.memory_max);
        result
    }

    fn may_refuse(&mut self) {
        if self.refusals > 0 && self.dice.below(1_000_000) < self.refusals {
            self.stack.set_memory_max(0);
        }
    }

    /// G4: an input costs the same, whatever else there is.
    fn check_work(&self) -> Result<(), String> {
        let Work { demux_probes, queue_pops, .. } = self.stack.work();
        let inputs = self.calls + self.sent + 16;
        if demux_probes > 4 * inputs || queue_pops > 4 * inputs {
            return Err(format!("{:?} for {inputs} inputs and frames", self.stack.work()));
        }
        Ok(())
    }

    /// This port of the host, in the version of its address.
    fn any(&self, port: u16) -> SocketAddr {
        let is_v4 = self.stack.config().addresses.iter().any(|cidr| cidr.address.is_ipv4());
        let any = |v4| if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        SocketAddr::new(any(is_v4), port)
    }

    fn adopt(&mut self, id: TcpId) -> Handle {
        self.next_handle += 1;
        self.handles.insert(id, self.next_handle);
        self.ids.insert(self.next_handle, id);
        self.next_handle
    }

    /// What waits in the card for more is for the stack.
    fn flush(&mut self, now: Instant) {
        self.may_refuse();
        let (stack, received, calls) = (&mut self.stack, &mut self.received, &mut self.calls);
        self.card.flush(|frame| {
            (*received, *calls) = (*received + 1, *calls + 1);
            stack.receive(now, frame);
        });
        self.stack.set_memory_max(self.stack.config().tcp.memory_max);
    }

    fn release(&mut self, handle: Handle) -> Option<TcpId> {
        let id = self.ids.remove(&handle)?;
        self.handles.remove(&id);
        Some(id)
    }
}

impl Host for Ours {
    fn receive(&mut self, now: Instant, frame: &[u8]) {
        if !self.card.receive(frame) {
            self.flush(now);
            if !self.card.receive(frame) {
                self.received += 1;
                self.called(|stack| stack.receive(now, RxFrame::plain(frame)));
            }
        }
    }

    fn advance(&mut self, now: Instant) {
        self.flush(now);
        self.called(|stack| stack.advance(now));
    }

    fn transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        if let Some(frame) = self.card.transmit() {
            return Some(frame);
        }
        let frame = self.stack.poll_transmit(now)?;
        self.sent += 1;
        self.card.send(&frame);
        self.card.transmit()
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
        let options =
            ListenOptions { backlog: self.backlog, tcp: self.options, ..ListenOptions::default() };
        let local = self.any(port);
        self.listener = Some(self.stack.listen(local, options).expect("a free port"));
    }

    fn accept(&mut self, _: Instant) -> Option<(Handle, u16, SocketAddr)> {
        let listener = self.listener.filter(|_| self.ready)?;
        let Ok(id) = self.stack.accept(listener) else {
            self.ready = false;
            return None;
        };
        let tcp = self.stack.tcp(id).expect("what accept gives is alive");
        let (local, remote) = (tcp.local(), tcp.remote());
        Some((self.adopt(id), local.port(), remote))
    }

    fn connect(
        &mut self,
        now: Instant,
        from: u16,
        to: SocketAddr,
        bytes: u64,
    ) -> Option<(Handle, u16)> {
        let local = Some(self.any(from));
        // Who never writes would wait with his SYN for ever.
        let fast_open_connect = self.options.fast_open_connect && bytes > 0;
        let tcp = TcpOptions { fast_open_connect, ..self.options };
        let options = ConnectOptions { tcp, local };
        let asks = self.stack.config().autoconfigure == Autoconfigure::On;
        let id = self.stack.connect(now, to, options).ok()?;
        let tcp = self.stack.tcp(id)?;
        let local = tcp.local();
        if asks && is_for_the_link(local.ip()) && !is_for_the_link(to.ip()) {
            // Its other address is not there yet, and from this one nobody beyond would hear it.
            tcp.abort(now);
            return None;
        }
        Some((self.adopt(id), local.port()))
    }

    fn send(&mut self, now: Instant, handle: Handle, bytes: &[u8]) -> Io {
        let Some(&id) = self.ids.get(&handle) else { return Io::Failed };
        // Copied or shared, by the toss of a coin that the stream has in it.
        let shares = bytes.first().is_some_and(|byte| byte % 2 == 0);
        let sent = self.called(|stack| {
            let mut tcp = stack.tcp(id)?;
            let sent = match shares {
                true => tcp.send_shared(now, &mut Bytes::copy_from_slice(bytes)),
                false => tcp.send(now, bytes),
            };
            let is_writable = tcp.readiness().contains(Readiness::WRITABLE);
            assert!(!is_writable || sent != Err(SendError::WouldBlock), "who polls would spin");
            Some(sent)
        });
        match sent.unwrap_or(Err(SendError::Closed)) {
            Ok(moved) => Io::Moved(moved),
            Err(SendError::WouldBlock) => Io::Wait,
            Err(_) => Io::Failed,
        }
    }

    fn recv(&mut self, now: Instant, handle: Handle, out: &mut [u8]) -> Io {
        let Some(&id) = self.ids.get(&handle) else { return Io::Failed };
        let Some(read) = self.called(|stack| stack.tcp(id).map(|mut tcp| tcp.recv(now, out)))
        else {
            return Io::Failed;
        };
        match read {
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

    fn is_established(&mut self, handle: Handle) -> bool {
        let tcp = self.ids.get(&handle).and_then(|id| self.stack.tcp(*id));
        let state = tcp.map_or(State::Closed, |tcp| tcp.state());
        !matches!(state, State::Closed | State::SynSent | State::SynReceived)
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

    fn moves(&mut self, now: Instant, to: IpAddr, after: Duration) {
        let Some(&first) = self.stack.config().addresses.first() else { return };
        let second = NewAddress::configured(Cidr { address: to, ..first });
        let lifetimes = Lifetimes { preferred: Duration::ZERO, valid: after };
        let ends = NewAddress { lifetimes, ..NewAddress::configured(first) };
        for address in [second, ends] {
            self.stack.add_address(now, address).expect("there is room for two");
        }
    }

    fn leftovers(&self) -> usize {
        let connections = self.stack.connections().filter(|(_, info)| info.state != State::Listen);
        connections.count() + self.stack.memory_used()
    }

    fn describe(&self) -> String {
        let connections = self.stack.connections().filter(|(_, info)| info.state != State::Listen);
        let lines = connections.map(|(_, info)| format!("{info:?}\n"));
        format!("{:?}\n{}", self.stack.usage(), lines.collect::<String>())
    }

    fn wasted(&self) -> Wasted {
        let Counters { tcp_retrans_segs, tcp_win_probe, drops, .. } = self.stack.counters();
        // Some frames go to whoever hears them.
        let dropped = drops.total() - drops.get(DropReason::IpNotForUs);
        Wasted { resent: *tcp_retrans_segs, probes: *tcp_win_probe, dropped }
    }

    fn check(&mut self) -> Result<(), String> {
        self.stack.check_tcp()?;
        let limits = &self.stack.config().tcp;
        let Usage { half_open, time_waits, memory, .. } = self.stack.usage();
        if half_open > limits.half_open_max || time_waits > limits.time_wait_max {
            return Err(format!("{half_open} handshakes, {time_waits} in TIME-WAIT"));
        }
        let held = self.stack.config().neighbors.held_bytes_total;
        if memory > limits.memory_max + held {
            return Err(format!("{memory} bytes in buffers"));
        }
        let has_timer = self.stack.next_timeout().is_some();
        for (_, info) in self.stack.connections().filter(|(_, info)| info.state != State::Listen) {
            check_connection(&info, has_timer)?;
            let ended = matches!(info.state, State::Closed | State::TimeWait);
            let own = self.stack.addresses().any(|own| own.cidr.address == info.local.ip());
            if !own && !ended {
                return Err(format!("an address that the host has not: {info:?}"));
            }
        }
        Ok(())
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
        if counters.frames_out != self.sent {
            return Err(format!("{} frames out, {} were taken", counters.frames_out, self.sent));
        }
        self.check_work()?;
        let Usage { flows, timers, .. } = self.stack.usage();
        if flows > 0 || timers > 0 {
            return Err(format!("{flows} flows and {timers} timers of nobody"));
        }
        if counters.tcp_curr_estab != 0 {
            return Err(format!("{} connections established of none", counters.tcp_curr_estab));
        }
        Ok(())
    }
}

fn is_for_the_link(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(it) if it.is_unicast_link_local())
}

/// G8: what a connection says of itself makes sense.
fn check_connection(info: &TcpInfo, has_timer: bool) -> Result<(), String> {
    if matches!(info.state, State::Closed | State::TimeWait) {
        return Ok(());
    }
    let watched = info.in_flight == 0 || has_timer;
    // SYN and FIN are in flight and in no buffer.
    let held = info.in_flight as usize <= info.unsent + 2;
    // The segment size is known with the peer's SYN, the window for it with the handshake's end.
    let opening = matches!(info.state, State::SynSent | State::SynReceived);
    let window = opening || info.cwnd == 0 || info.cwnd >= u32::from(info.send_mss);
    if watched && held && window { Ok(()) } else { Err(format!("this cannot be: {info:?}")) }
}
