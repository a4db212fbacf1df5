//! From options to a device that works, or to words that say what is missing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use stack::{Autoconfigure, Cidr, Config, FastOpen, Mac, Route};
use tapdev::{Capture, Device, Interface, LinkState, Namespaces, Queues, Tap, TapOptions, Tee};

use crate::options::CommonOptions;
use crate::outside::{self, Stopwatch};

/// The name of a TAP in own namespaces, where every name is free.
const OWN_TAP: &str = "tap0";

/// How long the kernel may take to notice that somebody is attached.
const CARRIER: Duration = Duration::from_secs(2);

/// How long after noticing it has a queue to send from: it says the one before it does the other.
const QUEUE: Duration = Duration::from_millis(10);

/// Devices, and who the stack is on them.
pub(crate) struct Plugged {
    /// The first TAP: one, or its queues if each is to have an engine.
    pub(crate) devices: Vec<Arc<dyn Device>>,
    pub(crate) config: Config,
    /// The further ones, by their names.
    pub(crate) further: Vec<Further>,
    /// What the person at the terminal should know.
    pub(crate) hints: Vec<String>,
}

type Further = (String, Config, Arc<dyn Device>);

/// Opens the device; `namespaces` are those that `--ns` has made.
pub(crate) fn plug_in(namespaces: Option<Namespaces>, options: &CommonOptions) -> Result<Plugged> {
    ensure!(
        options.ns || options.command.is_empty(),
        "a COMMAND after -- needs --ns: it runs on the kernel's side of a wire of its own"
    );
    ensure!(
        options.queues == 1 || !options.plain && options.fd.is_none(),
        "--queues does not go with --plain or --fd: do with one queue"
    );
    if let Some(mtu) = options.mtu {
        // Before the kernel is given it, whose refusal says less.
        let addresses = options.addr.clone();
        Config { mtu, addresses, ..Config::new(random_mac()?) }.validate()?;
    }
    let mut hints = Vec::new();
    let queues = open(namespaces, options, &mut hints)?;
    let tap = &queues[0];
    attach(tap)?;
    let mac = match options.mac {
        Some(mac) => mac,
        None => random_mac()?,
    };
    ensure!(
        tap.hardware_address().ok() != Some(mac.0),
        "{mac} is the kernel's own address on {}: the stack needs another one",
        tap.name()
    );
    let mut config = on_link(mac, &options.addr, tap, options);
    config.any_address = options.any_address;
    config.gateway = options.gateway.first().copied();
    config.routes = options.gateway.iter().skip(1).copied().map(Route::default_via).collect();
    config.tcp.congestion = options.congestion.unwrap_or(config.tcp.congestion);
    config.tcp.ecn = options.ecn.unwrap_or(config.tcp.ecn);
    config.tcp.fast_open = FastOpen(options.fast_open);
    config.validate()?;
    let mut further = further(options, &mut hints)?;
    let name = tap.name().to_owned();
    let mut devices: Vec<Arc<dyn Device>> = if options.sharded && is_for_shards(options) {
        queues.into_iter().map(|tap| Arc::new(tap) as _).collect()
    } else {
        vec![whole(queues)?]
    };
    if let Some(path) = &options.pcap {
        let others = further.iter_mut().map(|(name, _, device)| (name.as_str(), device));
        record([(name.as_str(), &mut devices[0])].into_iter().chain(others).collect(), path)
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    if options.sharded && devices.len() < options.queues.into() {
        hints.push(format!(
            "{name}: one engine has all queues, because of --dhcp, --autoconf, --link-local, \
             --interface, --vlan or --pcap"
        ));
    }
    Ok(Plugged { devices, config, further, hints })
}

/// Shards know no more of their link than what they are told at the start, and write no capture.
fn is_for_shards(options: &CommonOptions) -> bool {
    let learns = options.dhcp || options.autoconf || options.link_local;
    let is_simple = options.interface.is_empty() && options.vlan.is_empty();
    !learns && is_simple && options.pcap.is_none()
}

/// Has all frames of these devices written to one file, where each is an interface of its own.
/// Those of a VLAN are its TAP's.
fn record(devices: Vec<(&str, &mut Arc<dyn Device>)>, path: &Path) -> io::Result<()> {
    let names: Vec<&str> = devices.iter().map(|(name, _)| *name).collect();
    let capture = Arc::new(Capture::create(path, &names)?);
    for (number, (_, device)) in (0..).zip(devices) {
        *device = Arc::new(Tee::onto(Arc::clone(device), Arc::clone(&capture), number));
    }
    Ok(())
}

/// The TAPs beside the first.
fn further(options: &CommonOptions, hints: &mut Vec<String>) -> Result<Vec<Further>> {
    let mut further: Vec<Further> = Vec::new();
    for link in &options.interface {
        let name = &link.name;
        ensure!(
            options.tap.as_ref() != Some(name) && further.iter().all(|(other, ..)| other != name),
            "{name} is plugged in twice: give all its addresses at once"
        );
        let kernel = link.kernel_address();
        let queues = if options.ns {
            open_for_both(name, kernel, options)?
        } else {
            open_named(name, kernel, options, hints)?
        };
        attach(&queues[0])?;
        let config = on_link(random_mac()?, &link.addresses, &queues[0], options);
        config.validate().with_context(|| format!("--interface {name}"))?;
        further.push((name.clone(), config, whole(queues)?));
    }
    Ok(further)
}

/// What a configuration says of the link on `tap`.
fn on_link(mac: Mac, addresses: &[Cidr], tap: &Tap, options: &CommonOptions) -> Config {
    let mut config = Config::new(mac);
    config.name = tap.name().parse().ok();
    config.addresses = addresses.to_vec();
    config.mtu = options.mtu.unwrap_or(tap.mtu());
    if options.autoconf {
        config.autoconfigure = Autoconfigure::On;
        config.temporary_addresses = options.temporary;
    }
    config
}

/// All queues as one device.
fn whole(queues: Vec<Tap>) -> Result<Arc<dyn Device>> {
    Ok(match <[Tap; 1]>::try_from(queues) {
        Ok([tap]) => Arc::new(tap),
        Err(queues) => Arc::new(Queues::join(queues).context("several queues")?),
    })
}

/// A TAP by its queues, of which there is one at least.
fn open(
    namespaces: Option<Namespaces>,
    options: &CommonOptions,
    hints: &mut Vec<String>,
) -> Result<Vec<Tap>> {
    match (&options.tap, namespaces, options.fd) {
        (Some(name), ..) => open_named(name, options.kernel_address(), options, hints),
        (None, Some(namespaces), _) => open_own(namespaces, options, hints),
        (None, None, Some(number)) => Ok(vec![Tap::inherited(number)?]),
        (None, None, None) => bail!(
            "say where to plug in: --ns (a wire of this program's own, needs no root) or \
             --tap NAME (scripts/up makes one that belongs to you)"
        ),
    }
}

/// A TAP on the machine's own side: whose end of it `kernel` is to be, the person is told.
fn open_named(
    name: &str,
    kernel: Option<(Ipv4Addr, u8)>,
    options: &CommonOptions,
    hints: &mut Vec<String>,
) -> Result<Vec<Tap>> {
    let is_new = is_new(name);
    let queues = open_queues(name, options)?;
    if let Some((address, prefix)) = kernel.filter(|_| is_new) {
        hints.push(format!(
            "{name} is new and goes away with this program; give this machine an address on it: \
             ip address add {address}/{prefix} dev {name}"
        ));
    }
    Ok(queues)
}

/// A TAP in own namespaces, whose other end the kernel gets too.
fn open_for_both(
    name: &str,
    kernel: Option<(Ipv4Addr, u8)>,
    options: &CommonOptions,
) -> Result<Vec<Tap>> {
    let queues = open_queues(name, options)?;
    tapdev::configure(queues[0].name(), kernel)
        .with_context(|| format!("{}: giving the kernel its address", queues[0].name()))?;
    Ok(queues)
}

fn is_new(name: &str) -> bool {
    // Not from /sys, which may show another namespace.
    Interface::named(name).is_ok_and(|interface| interface.mtu().is_err())
}

fn open_own(
    namespaces: Namespaces,
    options: &CommonOptions,
    hints: &mut Vec<String>,
) -> Result<Vec<Tap>> {
    let address = options.kernel_address();
    let queues = open_for_both(OWN_TAP, address, options)?;
    let tap = &queues[0];
    let user = match namespaces {
        Namespaces::Network => "",
        Namespaces::UserAndNetwork => " -U --preserve-credentials",
    };
    if let Some((address, prefix)) = options.kernel_address_v6() {
        // Nobody else is on this wire: the kernel need not spend a second on looking.
        let setting = format!("/proc/sys/net/ipv6/conf/{}/accept_dad", tap.name());
        if let Err(error) = fs::write(&setting, "0") {
            log::debug!("{setting}: {error}");
        }
        Interface::named(tap.name())?
            .add_ipv6(address, prefix)
            .with_context(|| format!("{}: giving the kernel {address}", tap.name()))?;
    }
    let pid = std::process::id();
    if let (Some((kernel, _)), true) = (address, options.command.is_empty()) {
        hints.push(format!(
            "a wire of its own; the kernel's end is {kernel}. To run something there: \
             nsenter -t {pid}{user} -n COMMAND"
        ));
    }
    Ok(queues)
}

/// The interface's MTU is set only where it is asked for: setting needs a privilege.
fn open_queues(name: &str, options: &CommonOptions) -> Result<Vec<Tap>> {
    let tap = TapOptions { mtu: options.mtu, plain: options.plain, ..TapOptions::named(name) };
    Ok(match options.queues {
        1 => vec![Tap::open(tap)?],
        count => Tap::open_queues(&tap, count.into())?,
    })
}

/// Waits until frames can pass.
fn attach(tap: &Tap) -> Result<()> {
    bring_up(tap)?;
    await_carrier(tap);
    Ok(())
}

/// A device that is down is brought up, if this program may.
fn bring_up(tap: &Tap) -> Result<()> {
    // An inherited TAP may live in another namespace, of which nothing can be known.
    let Ok(state @ LinkState::Down { .. }) = tap.link_state() else { return Ok(()) };
    tap.bring_up().with_context(|| state.to_string())
}

/// Waits until the kernel sends through the TAP: it notices only after some milliseconds that
/// somebody is attached, and a first packet before that would be lost and come a second later.
fn await_carrier(tap: &Tap) {
    let since = Stopwatch::start();
    // An error means that it lives in another namespace.
    while let Ok(false) = tap.interface().is_running() {
        if since.elapsed() > CARRIER {
            return log::warn!("{}: no carrier yet, going on", tap.name());
        }
        outside::sleep(QUEUE);
    }
}

/// A random Ethernet address of those that nobody sells: locally administered, for one station.
fn random_mac() -> Result<Mac> {
    let mut bytes = [0; 6];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("/dev/urandom cannot be read: give an address with --mac")?;
    bytes[0] = bytes[0] & 0xfc | 0x02;
    Ok(Mac(bytes))
}
