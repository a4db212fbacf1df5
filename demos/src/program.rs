//! A demo from its options to its end: plugs the stack in, ends orderly, and minds the COMMAND on
//! the kernel's side of the wire.
//!
//! A signal ends the program from a thread that waits for it: connections are closed, the summary
//! is said, and the process exits; whatever `body` was doing is then of no interest.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use log::LevelFilter;
use stack::host::{
    DhcpClient, DhcpOptions, Dhcpv6Client, Host, Resolver, Shards, WithoutServer, dhcp_inform,
};
use stack::{
    AddressInfo, AddressOrigin, AddressState, DhcpInformation, DomainName, InterfaceConfig,
    InterfaceId, Lease, NetworkInformation, NewAddress, ResolverConfig, State,
};
use tapdev::{Device, Namespaces, Offloads};

use crate::command::CannotStart;
use crate::kernel_side::KernelSide;
use crate::lease;
use crate::options::{CommonOptions, Link};
use crate::plug;
use crate::signals::{self, Signal};

/// How long connections have to close before the program ends without them.
const GRACE: Duration = Duration::from_secs(2);

/// How long routers may take to give an address: a second or two each for the search for duplicates
/// of the link's address and of that one, and between them their answer.
const AUTOCONF: Duration = Duration::from_secs(8);

/// How long a DHCPv6 server may take: it has been asked twice by then.
const DHCPV6: Duration = Duration::from_secs(4);

/// How long a DHCP server may take that is asked for no address: it has been asked twice by then.
const DHCPINFORM: Duration = Duration::from_secs(8);

/// How long it may take until nobody has answered for DHCP or for an address of the host's choice,
/// even if some others have that one.
const LINK_LOCAL: Duration = Duration::from_secs(40);

/// Where servers of names listen.
const DNS_PORT: u16 = 53;

/// Whether a program is done by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has a task, and ends with it. A signal leaves the task undone: status 128 + its number.
    Client,
    /// It serves until it is told to end: that is success.
    Server,
}

/// A DHCP client on a link.
struct Asking {
    interface: InterfaceId,
    /// What the options call it.
    link: String,
    client: DhcpClient,
}

/// A stack on its wire, without a program around it.
pub struct Plug {
    shards: Shards,
    /// The first TAP, or its first queue.
    device: Arc<dyn Device>,
    /// What the person at the terminal should know.
    hints: Vec<String>,
    dhcp: Mutex<Vec<Asking>>,
    /// Kept so that what it knows is renewed.
    dhcpv6: Mutex<Option<Dhcpv6Client>>,
}

impl Plug {
    /// Plugs a stack in as `options` say. Must be called before any thread is started.
    ///
    /// # Errors
    /// What is missing, and the remedy.
    pub fn start(options: &CommonOptions) -> Result<Plug> {
        Plug::start_in(Plug::enter(options)?, options)
    }

    /// Moves this process into namespaces of its own, if `options` say so. Must be called before
    /// any thread is started.
    ///
    /// # Errors
    /// What is missing, and the remedy.
    pub fn enter(options: &CommonOptions) -> Result<Option<Namespaces>> {
        Ok(options.ns.then(tapdev::enter_own_namespaces).transpose()?)
    }

    /// As [`Plug::start`], where [`Plug::enter`] has led.
    ///
    /// # Errors
    /// What is missing, and the remedy.
    pub fn start_in(namespaces: Option<Namespaces>, options: &CommonOptions) -> Result<Plug> {
        let plug::Plugged { devices, config, further, hints } = plug::plug_in(namespaces, options)?;
        let names: Vec<String> = further.iter().map(|(name, ..)| name.clone()).collect();
        // A TAP in plain mode gets super-frames cut in software, which costs less than making each
        // segment by itself. One that is inherited may offer more than is wanted.
        let inherited = options.plain && options.fd.is_some();
        let offloads = if inherited { Offloads::NONE } else { Offloads::ALL };
        let spin = Duration::from_micros(options.spin.into());
        let mut builder = Host::builder(config).grace(GRACE).spin(spin).offloads(offloads);
        for (_, config, device) in further {
            builder = builder.interface(config, device);
        }
        let device = Arc::clone(&devices[0]);
        let shards = builder.start_shards(devices).context("the stack cannot start")?;
        let host = shards.first();
        let first = || options.tap.clone().unwrap_or_else(|| "the TAP".to_owned());
        let mut asking = Vec::from_iter(options.dhcp.then(|| (InterfaceId::FIRST, first())));
        let further: Vec<InterfaceId> =
            host.with_stack(|stack, _| stack.interfaces().skip(1).map(|it| it.id).collect());
        let pairs = options.interface.iter().zip(further);
        asking.extend(pairs.filter(|(link, _)| link.dhcp).map(|(it, id)| (id, it.name.clone())));
        for vlan in &options.vlan {
            let added = add_vlan(host, &names, vlan);
            let id = added.with_context(|| format!("--vlan {}", vlan.name))?;
            asking.extend(vlan.dhcp.then(|| (id, format!("VLAN {}", vlan.name))));
        }
        for route in &options.route {
            for host in shards.hosts() {
                let added = host.with_stack(|stack, _| stack.add_route(*route));
                added.with_context(|| format!("--route {}", route.destination))?;
            }
        }
        let start = |(interface, link)| {
            let mut how = DhcpOptions { interface, ..DhcpOptions::default() };
            if options.link_local && interface == InterfaceId::FIRST {
                how.without_server = WithoutServer::HelpsItself;
            }
            let client = DhcpClient::start_with(host, how)?;
            Ok::<_, io::Error>(Asking { interface, link, client })
        };
        let dhcp = asking.into_iter().map(start).collect::<Result<_, _>>();
        let dhcp = Mutex::new(dhcp.context("no DHCP client")?);
        Ok(Plug { shards, device, hints, dhcp, dhcpv6: Mutex::new(None) })
    }

    /// The stack; of several shards the first.
    pub fn host(&self) -> &Host {
        self.shards.first()
    }

    /// Waits until the network has given the addresses that `options` ask it for, and says (`say`)
    /// what has come. Returns how names are to be resolved: by what the options say, and where they
    /// say nothing by what the network does.
    ///
    /// # Errors
    /// No server has lent an address; the hosts file cannot be read.
    pub fn await_network(
        &self,
        options: &CommonOptions,
        say: impl Fn(&str),
    ) -> Result<ResolverConfig> {
        let mut names = options.resolver()?;
        if options.autoconf {
            self.await_router(&say);
            // RFC 8106 §5.3.1: what DHCP says goes first.
            if let Some(known) = self.ask_dhcpv6(options, &say)? {
                learn(&mut names, known.dns, known.search);
            }
            let (servers, search): (Vec<IpAddr>, _) = self.host().with_stack(|stack, _| {
                (stack.name_servers().collect(), stack.search_domains().cloned().collect())
            });
            learn(&mut names, servers, search);
        }
        if options.dhcp_inform
            && let Some(known) = self.inform(&say)?
        {
            learn(&mut names, known.dns, known.search);
        }
        let is_alone = options.link_local && self.await_link_local(options.dhcp, &say)?;
        for lease in self.await_leases(|id| is_alone && id == InterfaceId::FIRST)? {
            say(&lease::describe(&lease));
            learn(&mut names, lease.dns, lease.search);
        }
        Ok(names)
    }

    /// Waits until a router has made an address, and says which, or that there is none.
    fn await_router(&self, say: impl Fn(&str)) {
        let made = |info: &AddressInfo| {
            info.origin == AddressOrigin::Slaac && info.state == AddressState::Preferred
        };
        if !self.host().wait_for_addresses(AUTOCONF, |all| all.iter().any(made)) {
            say("no router on the link has given an IPv6 address; going on without");
        }
        for info in self.host().addresses().iter().filter(|info| made(info)) {
            say(&format!("the address {} from a router", info.cidr));
        }
    }

    /// Asks DHCPv6 servers for what else there is to know, if a router or the options say so.
    fn ask_dhcpv6(
        &self,
        options: &CommonOptions,
        say: impl Fn(&str),
    ) -> Result<Option<NetworkInformation>> {
        let (managed, other) = self.host().with_stack(|stack, _| stack.routers_recommend_dhcp());
        if !(managed || other || options.dhcpv6) {
            return Ok(None);
        }
        let client = Dhcpv6Client::start(self.host()).context("no DHCPv6 client")?;
        let known = client.wait(DHCPV6);
        match &known {
            Some(known) => say(&lease::describe_information(known)),
            None => say("no DHCPv6 server has answered; going on without"),
        }
        *self.dhcpv6.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        Ok(known)
    }

    /// Asks DHCP servers what they know beside addresses.
    fn inform(&self, say: impl Fn(&str)) -> Result<Option<DhcpInformation>> {
        let known = dhcp_inform(self.host(), InterfaceId::FIRST, DHCPINFORM);
        let known = known.context("--dhcp-inform")?;
        match &known {
            Some(known) => say(&lease::describe_known(known)),
            None => say("no DHCP server has answered; going on without"),
        }
        Ok(known)
    }

    /// Waits until the host has given itself an address, unless a server has lent one before. True:
    /// it has.
    fn await_link_local(&self, unless_lent: bool, say: impl Fn(&str)) -> Result<bool> {
        if !unless_lent {
            self.host().begin_link_local_v4();
        }
        let origins = [AddressOrigin::LinkLocal, AddressOrigin::Dhcp];
        let mut found = None;
        self.host().wait_for_addresses(LINK_LOCAL, |all| {
            let good = |info: &&AddressInfo| {
                let own = info.cidr.address.is_ipv4() && origins.contains(&info.origin);
                own && info.state == AddressState::Preferred
            };
            found = all.iter().find(good).copied();
            found.is_some()
        });
        let info = found.context("no address on this link is free")?;
        if info.origin == AddressOrigin::LinkLocal {
            say(&format!("the address {} of its own choice", info.cidr));
        }
        Ok(info.origin == AddressOrigin::LinkLocal)
    }

    /// Waits until servers have lent an address on each interface where they are asked, save on
    /// one that has no need.
    fn await_leases(&self, is_content: impl Fn(InterfaceId) -> bool) -> Result<Vec<Lease>> {
        // Whoever closes meanwhile does not wait for them.
        let clients = core::mem::take(&mut *self.dhcp());
        let asking = clients.iter().filter(|it| !is_content(it.interface));
        let leases = asking.map(|it| lease::obtain(&it.client, &it.link)).collect::<Result<_>>()?;
        *self.dhcp() = clients;
        Ok(leases)
    }

    fn dhcp(&self) -> MutexGuard<'_, Vec<Asking>> {
        self.dhcp.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all connections, and writes the rest of a packet capture. A leased address is given
    /// back if nothing uses it; if not, an orderly end is worth more, and the lease ends by itself
    /// (RFC 2131 §4.4.6).
    pub fn close(&self) {
        let quiet = [State::Listen, State::TimeWait, State::Closed];
        if self.shards.connections().iter().all(|info| quiet.contains(&info.state)) {
            self.dhcp().clear();
        }
        drop(self.dhcpv6.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.shards.shutdown();
        // A capture, which is that of all devices, is written whenever one of them is waited for:
        // the process may end without running its destructor.
        let _ = self.device.wait(Some(Duration::ZERO));
    }
}

/// What the network says about names counts where nobody has said anything.
fn learn<A: Into<IpAddr>>(names: &mut ResolverConfig, servers: Vec<A>, search: Vec<DomainName>) {
    if names.servers.is_empty() {
        names.servers =
            servers.into_iter().map(|ip| SocketAddr::new(ip.into(), DNS_PORT)).collect();
    }
    if names.search.is_empty() {
        names.search = search;
    }
}

/// `further` are the TAPs beside the first, in order.
fn add_vlan(host: &Host, further: &[String], vlan: &Link) -> Result<InterfaceId> {
    let (tap, tag) = vlan.vlan()?;
    let place = match tap {
        None => 0,
        Some(tap) => {
            let at = further.iter().position(|name| name == tap);
            1 + at.with_context(|| format!("there is no --interface {tap}"))?
        }
    };
    host.with_stack(|stack, now| {
        let parent = stack.interfaces().nth(place).context("there is no such interface")?.id;
        let id = stack.add_interface(now, InterfaceConfig::vlan(parent, tag))?;
        for &cidr in &vlan.addresses {
            stack.add_address(now, NewAddress::configured(cidr).on(id))?;
        }
        Ok(id)
    })
}

/// Has messages from this level on written to standard error, unless they go elsewhere already.
pub fn log_to_standard_error(level: LevelFilter) {
    let _ = env_logger::Builder::new().filter_level(level).try_init();
}

/// A program's status after `result`: an error is said, and is status 1, or that of the COMMAND
/// which cannot be started.
pub fn conclude(name: &str, result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("{name}: {error:#}");
        error.downcast_ref().map_or(ExitCode::FAILURE, |it: &CannotStart| it.status().into())
    })
}

/// What to do when the program is told to end; a status that it returns is the program's.
type Farewell = Box<dyn FnOnce() -> Option<u8> + Send>;

/// What to do with signals in place of ending.
type Relay = Box<dyn FnMut(Signal) + Send>;

/// A running demo.
pub struct Program {
    shared: Arc<Shared>,
    names: Resolver,
    kernel_side: Option<KernelSide>,
}

struct Shared {
    name: &'static str,
    role: Role,
    plug: Plug,
    farewell: Mutex<Option<Farewell>>,
    relay: Mutex<Option<Relay>>,
    is_stopping: AtomicBool,
}

impl Program {
    /// Runs `body` on a stack that is plugged in as `options` say, and turns what comes of it into
    /// the program's status: 0, or 1 with the error on standard error.
    pub fn run(
        name: &'static str,
        role: Role,
        options: &CommonOptions,
        body: impl FnOnce(&Program) -> Result<()>,
    ) -> ExitCode {
        Program::run_with_status(name, role, options, |program| {
            body(program).map(|()| ExitCode::SUCCESS)
        })
    }

    /// [`Program::run`] for a `body` with more to say than success; an error is status 1.
    pub fn run_with_status(
        name: &'static str,
        role: Role,
        options: &CommonOptions,
        body: impl FnOnce(&Program) -> Result<ExitCode>,
    ) -> ExitCode {
        log_to_standard_error(options.log);
        let result = Program::start(name, role, options).and_then(|program| {
            let result = body(&program);
            program.finish();
            result
        });
        conclude(name, result)
    }

    fn start(name: &'static str, role: Role, options: &CommonOptions) -> Result<Program> {
        let plug = Plug::start(options)?;
        for hint in &plug.hints {
            eprintln!("{name}: {hint}");
        }
        let shared = Arc::new(Shared {
            name,
            role,
            plug,
            farewell: Mutex::new(None),
            relay: Mutex::new(None),
            is_stopping: AtomicBool::new(false),
        });
        let kernel_side = KernelSide::new(&options.command);
        let (stopper, command) = (Arc::clone(&shared), kernel_side.clone());
        signals::watch(move |signal| {
            if let Some(relay) = &mut *stopper.relay() {
                return relay(signal);
            }
            if let Some(command) = &command {
                command.kill();
            }
            stopper.stop(match role {
                Role::Client => signal.status(),
                Role::Server => 0,
            })
        })
        .context("signals cannot be handled")?;
        let resolver = shared.plug.await_network(options, |text| shared.say(text))?;
        let names = Resolver::new(shared.plug.host(), resolver).context("no resolver")?;
        Ok(Program { shared, names, kernel_side })
    }

    /// The stack.
    pub fn host(&self) -> &Host {
        self.shared.plug.host()
    }

    /// The stack's shards, of which there may be only one.
    pub fn shards(&self) -> &Shards {
        &self.shared.plug.shards
    }

    /// The stack's own addresses, that for the link alone aside.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let all = self.shared.plug.host().addresses().into_iter();
        all.filter(|info| info.state == AddressState::Preferred)
            .filter(|info| info.origin != AddressOrigin::LinkLocal || info.cidr.address.is_ipv4())
            .map(|info| info.cidr.address)
    }

    /// What finds the addresses of names.
    pub fn names(&self) -> &Resolver {
        &self.names
    }

    /// Whether a COMMAND runs on the other side: then a client waits until that listens.
    pub fn has_command(&self) -> bool {
        self.kernel_side.is_some()
    }

    /// Says something to the person who started the program.
    pub fn say(&self, text: &str) {
        self.shared.say(text);
    }

    /// What to do (say) when the program is told to end, before connections are closed. A status
    /// that it returns is the program's.
    pub fn on_stop(&self, farewell: impl FnOnce() -> Option<u8> + Send + 'static) {
        *self.shared.farewell.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Box::new(farewell));
    }

    /// Signals from now on do not end the program: `relay` hears them.
    pub fn relay_signals(&self, relay: impl FnMut(Signal) + Send + 'static) {
        *self.shared.relay() = Some(Box::new(relay));
    }

    /// Everything is in place: a server prints `ready`, and the COMMAND is started. A server ends
    /// with its COMMAND, a client goes on.
    ///
    /// # Errors
    /// The COMMAND cannot be started.
    pub fn ready(&self) -> Result<()> {
        if self.shared.role == Role::Server {
            // Nobody may be listening any more, and that is no reason to end.
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "ready").and_then(|()| out.flush());
        }
        let Some(command) = &self.kernel_side else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        command.start(move |status| {
            if shared.role == Role::Server {
                shared.stop(status);
            }
        })
    }

    /// The end of a program that was not told to end.
    fn finish(self) {
        if self.shared.is_stopping.swap(true, Ordering::AcqRel) {
            // The other thread is ending the process; what failed here failed because of that.
            loop {
                std::thread::park();
            }
        }
        self.shared.plug.close();
        if let Some(command) = &self.kernel_side {
            command.end();
        }
    }
}

impl Shared {
    /// Ends the process from another thread than that of `body`.
    fn stop(&self, status: u8) {
        if self.is_stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        let farewell = self.farewell.lock().unwrap_or_else(PoisonError::into_inner).take();
        let status = farewell.and_then(|farewell| farewell()).unwrap_or(status);
        self.plug.close();
        std::process::exit(status.into());
    }

    fn relay(&self) -> MutexGuard<'_, Option<Relay>> {
        self.relay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, text: &str) {
        eprintln!("{}: {text}", self.name);
    }
}
