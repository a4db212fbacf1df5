//! The host: an engine, its device, and the thread that looks after them.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tapdev::{Device, Offloads};

use super::clock::entropy;
use super::further;
use super::reactor::{self, Control};
use super::shard::{HostStats, Shard};
use super::stop;
use super::sync::{Mutex, Sender, bounded, thread};
use super::vigil::Look;
use crate::{
    Config, Counters, Instant, InterfaceConfig, InterfaceId, NewAddress, Part, Seed, Stack,
    TcpInfo, Wire,
};

/// The longest IP packet of a super-frame.
const SUPER_FRAME: usize = 65_535;

/// How long a host that shuts down waits for its connections, by default.
const GRACE: Duration = Duration::from_secs(5);

/// A TCP/IP host on a device. Cloning it gives another handle to the same host.
///
/// Sockets keep their host alive. When the last handle and the last socket are gone, the host
/// [shuts down](Host::shutdown).
///
/// ```
/// use stack::host::{Host, UdpSocket};
/// use stack::{Config, Mac};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (device, _other_end) = tapdev::pair(1500, 1000);
/// let mut config = Config::new(Mac([2, 0, 0, 0, 0, 1]));
/// config.addresses = vec!["192.0.2.1/24".parse()?];
/// let host = Host::new(config, device)?;
/// let socket = UdpSocket::bind(&host, "192.0.2.1:0")?;
/// assert_ne!(socket.local_addr()?.port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Host {
    pub(crate) core: Arc<Core>,
}

/// What every handle and every socket of a host holds on to.
pub(crate) struct Core {
    pub(crate) shard: Arc<Shard>,
    pub(super) control: Sender<Control>,
    /// The reactor, and the threads of further devices.
    pub(super) threads: Mutex<Vec<thread::JoinHandle<()>>>,
    pub(super) grace: Duration,
}

/// How long a waiting thread may look for frames, by default: twice what waking another core takes
/// on the virtual machines that this was measured on.
const SPIN: Duration = Duration::from_micros(50);

/// What a host may be given beside its configuration.
///
/// ```
/// use std::time::Duration;
/// use stack::host::Host;
/// use stack::{Config, Mac, Seed};
///
/// # fn main() -> std::io::Result<()> {
/// let (device, _other_end) = tapdev::pair(1500, 1000);
/// let host = Host::builder(Config::new(Mac([2, 0, 0, 0, 0, 1])))
///     .seed(Seed::from_number(7))
///     .spin(Duration::from_micros(20))
///     .grace(Duration::from_millis(500))
///     .start(device)?;
/// host.shutdown();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HostBuilder {
    config: Config,
    pub(super) seed: Option<Seed>,
    /// Of several shards, which one.
    pub(super) part: Option<Part>,
    spin: Duration,
    grace: Duration,
    offloads: Offloads,
    pub(super) further: Vec<(Config, Arc<dyn Device>)>,
}

impl HostBuilder {
    /// Where all chance comes from. By default the operating system's entropy; a known seed is
    /// for tests only, because it makes sequence numbers and ports predictable.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> HostBuilder {
        self.seed = Some(seed);
        self
    }

    /// How long a thread that waits may look for frames before it sleeps: 50 us by default, zero is
    /// never. It looks only where that has found something of late: where the other end answers
    /// sooner than a sleeper could be woken. Where it may use one core only it yields that before
    /// each look.
    #[must_use]
    pub fn spin(mut self, spin: Duration) -> HostBuilder {
        self.spin = spin;
        self
    }

    /// How long a shutdown waits for connections to end in peace: five seconds by default.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> HostBuilder {
        self.grace = grace;
        self
    }

    /// What of the device's offloads to use: all of them by default.
    #[must_use]
    pub fn offloads(mut self, offloads: Offloads) -> HostBuilder {
        self.offloads = offloads;
        self
    }

    /// A further interface, on a device of its own. Of `config` counts what is about one link:
    /// name, Ethernet address, MTU, addresses, gateway and routes, and what it finds out by itself.
    /// The first that is added is the host's second interface.
    #[must_use]
    pub fn interface(mut self, config: Config, device: impl Device + 'static) -> HostBuilder {
        self.further.push((config, Arc::new(device)));
        self
    }

    /// Starts the host on `device`, with the offloads that the two have in common.
    ///
    /// # Errors
    /// `InvalidInput` if the configuration is not valid or its MTU exceeds the device's; the
    /// operating system's refusal of entropy or a thread.
    pub fn start(self, device: impl Device + 'static) -> io::Result<Host> {
        fits(&self.config, &device)?;
        let mut config = self.config;
        let mut offloads = device.negotiate(self.offloads);
        config.device_checksums = offloads.checksum;
        let mut sums = Vec::new();
        for (config, device) in &self.further {
            fits(config, device)?;
            let its = device.negotiate(self.offloads);
            sums.push(its.checksum);
            offloads = offloads.and(its);
        }
        config.super_frame_max = if offloads.tcp { SUPER_FRAME } else { 0 };
        config.device_cuts_datagrams = offloads.udp;
        let seed = match self.seed {
            Some(seed) => seed,
            None => entropy()?,
        };
        let mut stack = Stack::new(config, seed);
        if let Some(part) = self.part {
            stack.become_part(part);
        }
        let mut further = Vec::new();
        for ((config, device), sums) in self.further.into_iter().zip(sums) {
            let id = add_interface(&mut stack, &config, sums).map_err(invalid)?;
            further.push((id, device));
        }
        let (control, orders) = bounded(4);
        let devices = further.iter().map(|(_, device)| Arc::clone(device)).collect();
        let look = Look::new(self.spin);
        let shard = Shard::new(stack, Box::new(device), devices, look, control.clone());
        let shard = Arc::new(shard);
        let threads = Mutex::new(vec![reactor::start(Arc::clone(&shard), orders)?]);
        let host = Host { core: Arc::new(Core { shard, control, threads, grace: self.grace }) };
        for (id, device) in &further {
            let thread = further::start(&host.core.shard, device, *id)?;
            host.core.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(host)
    }
}

fn invalid(why: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.to_string())
}

/// Whether an interface can be as it is said to be on this device.
fn fits(config: &Config, device: &impl Device) -> io::Result<()> {
    config.validate().map_err(invalid)?;
    if config.mtu > device.mtu() {
        let (ours, its) = (config.mtu, device.mtu());
        return Err(invalid(format!("an MTU of {ours} on a device with an MTU of {its}")));
    }
    Ok(())
}

/// Adds what is about one link.
fn add_interface(
    stack: &mut Stack,
    config: &Config,
    device_checksums: bool,
) -> Result<InterfaceId, Box<dyn Error>> {
    let &Config { name, mac, mtu, autoconfigure, temporary_addresses, .. } = config;
    let wire = Wire::Device { mac, mtu, device_checksums };
    let link = InterfaceConfig { name, wire, autoconfigure, temporary_addresses };
    let id = stack.add_interface(Instant::ZERO, link)?;
    for &cidr in &config.addresses {
        let probes = config.probes(cidr.address);
        let new = NewAddress { probes, ..NewAddress::configured(cidr).on(id) };
        stack.add_address(Instant::ZERO, new)?;
    }
    for route in config.all_routes() {
        stack.add_route(route.by(id))?;
    }
    Ok(id)
}

impl Host {
    /// Starts a host on `device`, with the options of an untouched [`HostBuilder`].
    ///
    /// # Errors
    /// Those of [`HostBuilder::start`].
    pub fn new(config: Config, device: impl Device + 'static) -> io::Result<Host> {
        Host::builder(config).start(device)
    }

    /// A host that is yet to be started.
    pub fn builder(config: Config) -> HostBuilder {
        HostBuilder {
            config,
            seed: None,
            part: None,
            spin: SPIN,
            grace: GRACE,
            offloads: Offloads::ALL,
            further: Vec::new(),
        }
    }

    /// Ends the host in good order: listeners close, every connection sends what it has and its
    /// FIN. Those that could not deliver that within the builder's `grace` are reset, and so are
    /// those whose peers do not end their half soon after. Calls that are
    /// blocked fail with `ESHUTDOWN`, and so do all later ones. Blocks until all that is done.
    pub fn shutdown(&self) {
        stop::shutdown(&self.core);
    }

    /// Runs `work`, and sends at its end what its calls have written in small pieces: for a program
    /// that answers many sockets in one go. One burst of frames costs less than as many single ones
    /// (32 answers to 32 connections a seventh), and pieces for one connection share a segment.
    ///
    /// It leaves earlier where the thread waits in a call, writes 256 bytes or more at once, or has
    /// made 64 calls of any kind since it last did; or when another thread drives the host or
    /// sends. Until then the peers wait for it, and so for what the host itself answers to what the
    /// last wait brought; and the calls have the time of the first of them. This is not for work
    /// that takes long. A loop that only waits and answers may run in it whole.
    ///
    /// ```
    /// # use std::io::{Read, Write};
    /// # use stack::host::{Events, Host, Interest, Poller, TcpStream, Token};
    /// # fn serve(host: &Host, poller: &Poller, streams: &[TcpStream]) -> std::io::Result<()> {
    /// let mut events = Events::with_capacity(64);
    /// poller.wait(&mut events, None)?;
    /// host.together(|| {
    ///     for event in &events {
    ///         let (mut stream, mut text) = (&streams[event.token.0], [0; 64]);
    ///         let length = stream.read(&mut text)?;
    ///         stream.write_all(&text[..length])?;
    ///     }
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn together<T>(&self, work: impl FnOnce() -> T) -> T {
        self.core.shard.together(work)
    }

    /// The engine's counters, as they stand now.
    pub fn counters(&self) -> Counters {
        self.core.shard.lock().stack.counters().clone()
    }

    /// The shell's own counters.
    pub fn stats(&self) -> HostStats {
        self.core.shard.lock().stats()
    }

    /// Every TCP object: listeners, half-open and live connections, and those in TIME-WAIT.
    pub fn connections(&self) -> Vec<TcpInfo> {
        self.core.shard.lock().stack.connections().map(|(_, info)| info).collect()
    }

    /// Hands the engine to `visit`, under the lock: what has no method here can be done there.
    /// Nothing else of this host runs meanwhile; `visit` must not call into the host again.
    pub fn with_stack<T>(&self, visit: impl FnOnce(&mut Stack, Instant) -> T) -> T {
        self.core.shard.call(|engine, now| visit(&mut engine.stack, now))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Core {
    /// Waits for the end of the threads. They never hold a `Core`, so none waits for itself.
    pub(super) fn join_threads(&self) {
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                log::error!("a thread of the host has panicked");
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        stop::shutdown(self);
    }
}
