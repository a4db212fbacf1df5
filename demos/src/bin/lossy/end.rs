//! An end of the link: a TAP, here or in another network namespace.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use demos::outside::{self, Stopwatch};
use tapdev::{Device, InterfaceDrops, LinkState, NetworkNamespace, Tap, TapOptions};

/// How long the kernel may take to notice that somebody is attached, and how often one looks.
const CARRIER: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);

/// A TAP that is up.
pub(crate) struct End {
    tap: Tap,
    drops: Option<Mutex<InterfaceDrops>>,
    /// What was dropped before this program came.
    missed_before: u64,
}

impl End {
    /// Opens `TAP` or `NETNS/TAP`.
    pub(crate) fn open(place: &str) -> Result<End> {
        let (tap, drops) = match place.split_once('/') {
            None => open_here(place),
            Some((namespace, name)) => {
                let there = NetworkNamespace::named(namespace)
                    .map_err(|error| no_namespace(namespace, error))?;
                there.run(|| open_here(name)).with_context(|| {
                    format!("the network namespace {namespace} cannot be entered: run as root")
                })?
            }
        }?;
        if let Ok(state @ LinkState::Down { .. }) = tap.link_state() {
            tap.bring_up().with_context(|| state.to_string())?;
        }
        let mut end = End { tap, drops: drops.map(Mutex::new), missed_before: 0 };
        end.missed_before = end.missed().unwrap_or(0);
        Ok(end)
    }

    pub(crate) fn tap(&self) -> &dyn Device {
        &self.tap
    }

    pub(crate) fn name(&self) -> &str {
        self.tap.name()
    }

    /// Waits until the kernel sends through it.
    pub(crate) fn await_carrier(&self) {
        let since = Stopwatch::start();
        // An error means that it was moved elsewhere.
        while let Ok(false) = self.tap.interface().is_running() {
            if since.elapsed() > CARRIER {
                return log::warn!("{}: no carrier yet, going on", self.name());
            }
            outside::sleep(LOOK);
        }
    }

    /// Frames that the kernel wanted to send and found no room for in the TAP's queue.
    pub(crate) fn missed(&self) -> Option<u64> {
        let mut drops = self.drops.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(drops.count().ok()?.saturating_sub(self.missed_before))
    }
}

fn open_here(name: &str) -> Result<(Tap, Option<InterfaceDrops>)> {
    let tap = Tap::open(TapOptions::named(name))?;
    let drops = InterfaceDrops::of(tap.name())
        .inspect_err(|error| log::info!("what the TAP drops cannot be counted: {error}"));
    Ok((tap, drops.ok()))
}

fn no_namespace(name: &str, error: io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => format!("make it with `ip netns add {name}`"),
        io::ErrorKind::PermissionDenied => "run as root".into(),
        _ => "write NETNS/TAP, like left/tap0".into(),
    };
    anyhow::Error::from(error).context(format!("there is no network namespace {name}: {remedy}"))
}

/// Two ends of one link must agree.
pub(crate) fn check_pair(a: &End, b: &End) -> Result<()> {
    let (at_a, at_b) = (a.tap.mtu(), b.tap.mtu());
    ensure!(
        at_a == at_b,
        "{} has MTU {at_a} and {} has {at_b}: large packets would be cut or lost. Give both the \
         same with `ip link set NAME mtu BYTES`",
        a.name(),
        b.name()
    );
    Ok(())
}
