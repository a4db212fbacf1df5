//! From options to a device that works, or to words that say what is missing.

use std::fs::{self, File};
use std::io::Read;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use stack::{Autoconfigure, Cidr, Config, FastOpen, Mac, Route};
use tapdev::{Device, Interface, LinkState, Namespaces, Tap, TapOptions, Tee};

use crate::options::CommonOptions;
use crate::outside::{self, Stopwatch};

/// The name of a TAP in own namespaces, where every name is free.
const OWN_TAP: &str = "tap0";

/// How long the kernel may take to notice that somebody is attached.
const CARRIER: Duration = Duration::from_secs(2);

/// How long after noticing it has a queue to send from: it says the one before it does the other.
const QUEUE: Duration = Duration::from_millis(10);

/// A device, and who the stack is on it.
pub(crate) struct Plugged {
    pub(crate) device: Arc<dyn Device>,
    pub(crate) config: Config,
    /// The further ones, by their names.
    pub(crate) further: Vec<(String, Config, Tap)>,
    /// What the person at the terminal should know.
    pub(crate) hints: Vec<String>,
}

/// Opens the device. Must be called before any thread is started, because `--ns` moves the
/// process.
pub(crate) fn plug_in(options: &CommonOptions) -> Result<Plugged> {
    ensure!(
        options.ns || options.command.is_empty(),
        "a COMMAND after -- needs --ns: it runs on the kernel's side of a wire of its own"
    );
    let mut hints = Vec::new();
    let tap = open(options, &mut hints)?;
    attach(&tap)?;
    let mac = match options.mac {
        Some(mac) => mac,
        None => random_mac()?,
    };
    ensure!(
        tap.hardware_address().ok() != Some(mac.0),
        "{mac} is the kernel's own address on {}: the stack needs another one",
        tap.name()
    );
    let mut config = on_link(mac, &options.addr, &tap, options);
    config.any_address = options.any_address;
    config.gateway = options.gateway.first().copied();
    config.routes = options.gateway.iter().skip(1).copied().map(Route::default_via).collect();
    config.tcp.congestion = options.congestion.unwrap_or(config.tcp.congestion);
    config.tcp.ecn = options.ecn.unwrap_or(config.tcp.ecn);
    config.tcp.fast_open = FastOpen(options.fast_open);
    config.validate()?;
    let further = further(options, &mut hints)?;
    let device = match &options.pcap {
        None => Arc::new(tap) as Arc<dyn Device>,
        Some(path) => {
            let name = tap.name().to_owned();
            let tee = Tee::create(tap, &name, path);
            Arc::new(tee.with_context(|| format!("{}: cannot be written", path.display()))?)
        }
    };
    Ok(Plugged { device, config, further, hints })
}

/// The TAPs beside the first.
fn further(options: &CommonOptions, hints: &mut Vec<String>) -> Result<Vec<(String, Config, Tap)>> {
    let mut further: Vec<(String, Config, Tap)> = Vec::new();
    for link in &options.interface {
        let name = &link.name;
        ensure!(
            options.tap.as_ref() != Some(name) && further.iter().all(|(other, ..)| other != name),
            "{name} is plugged in twice: give all its addresses at once"
        );
        let kernel = link.kernel_address();
        let tap = if options.ns {
            open_for_both(name, kernel, options)?
        } else {
            open_named(name, kernel, options, hints)?
        };
        attach(&tap)?;
        let config = on_link(random_mac()?, &link.addresses, &tap, options);
        config.validate().with_context(|| format!("--interface {name}"))?;
        further.push((name.clone(), config, tap));
    }
    Ok(further)
}

/// What a configuration says of the link on `tap`.
fn on_link(mac: Mac, addresses: &[Cidr], tap: &Tap, options: &CommonOptions) -> Config {
    let mut config = Config::new(mac);
    config.addresses = addresses.to_vec();
    config.mtu = options.mtu.unwrap_or(tap.mtu());
    if options.autoconf {
        config.autoconfigure = Autoconfigure::On;
        config.temporary_addresses = options.temporary;
    }
    config
}

fn open(options: &CommonOptions, hints: &mut Vec<String>) -> Result<Tap> {
    match (&options.tap, options.ns, options.fd) {
        (Some(name), ..) => open_named(name, options.kernel_address(), options, hints),
        (None, true, _) => open_own(options, hints),
        (None, false, Some(number)) => Ok(Tap::inherited(number)?),
        (None, false, None) => bail!(
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
) -> Result<Tap> {
    let is_new = is_new(name);
    let tap = Tap::open(tap_options(name, options))?;
    if let Some((address, prefix)) = kernel.filter(|_| is_new) {
        hints.push(format!(
            "{name} is new and goes away with this program; give this machine an address on it: \
             ip address add {address}/{prefix} dev {name}"
        ));
    }
    Ok(tap)
}

/// A TAP in own namespaces, whose other end the kernel gets too.
fn open_for_both(
    name: &str,
    kernel: Option<(Ipv4Addr, u8)>,
    options: &CommonOptions,
) -> Result<Tap> {
    let tap = Tap::open(tap_options(name, options))?;
    tapdev::configure(tap.name(), kernel)
        .with_context(|| format!("{}: giving the kernel its address", tap.name()))?;
    Ok(tap)
}

fn is_new(name: &str) -> bool {
    // Not from /sys, which may show another namespace.
    Interface::named(name).is_ok_and(|interface| interface.mtu().is_err())
}

fn open_own(options: &CommonOptions, hints: &mut Vec<String>) -> Result<Tap> {
    let namespaces = tapdev::enter_own_namespaces()?;
    let address = options.kernel_address();
    let tap = open_for_both(OWN_TAP, address, options)?;
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
    Ok(tap)
}

/// The interface's MTU is set only where it is asked for: setting needs a privilege.
fn tap_options(name: &str, options: &CommonOptions) -> TapOptions {
    TapOptions { mtu: options.mtu, plain: options.plain, ..TapOptions::named(name) }
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
