//! smoltcp as the far end: the world's host of that name, on a TAP and in real time.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a measurement lives in real time"
)]

use std::io::IoSlice;
use std::time::Duration;

use anyhow::{Context, Result};
use stack::{Instant, Mac};
use tapdev::{Device, FRAME_OVERHEAD, Tap, TapOptions};

use ::tests::lab::{TAP, TAPSTACK};
use ::tests::world::host::{Handle, Host, Io};
use ::tests::world::plan::HostPlan;

use crate::client::SINK;

/// What a connection may hold, bytes: as much as Linux grows to by itself.
const BUFFER: u64 = 4 << 20;

/// Frames taken between two looks at the time.
const BATCH: usize = 32;

/// The host's own seed. An even one makes its congestion control CUBIC.
const SEED: u64 = 2;

/// A sink or a source, by its port, until killed.
pub(crate) fn serve(port: u16) -> Result<()> {
    let tap = Tap::open(TapOptions::named(TAP))?;
    let at = (Mac([2, 0, 0, 0, 0, 7]), TAPSTACK.parse().context("the lab's address")?);
    let plan = HostPlan {
        kind: 1,
        seed: SEED,
        mtu: tap.mtu() as u64,
        receive_buffer: BUFFER,
        send_buffer: BUFFER,
        nodelay: 1,
        ..HostPlan::default()
    };
    let clock = std::time::Instant::now();
    let now = || Instant::from_nanos(clock.elapsed().as_nanos() as u64);
    let mut host = ::tests::world::host(at, &plan, now());
    host.listen(port);
    println!("ready");
    let mut handles = Vec::new();
    let mut frame = vec![0; tap.mtu() + FRAME_OVERHEAD];
    loop {
        let due = host.next_timeout(now());
        let wait = due.map(|at| (at - now()).max(Duration::from_micros(1)));
        let _ = tap.wait(wait)?;
        for _ in 0..BATCH {
            let Ok(length) = tap.recv(&mut frame) else { break };
            host.receive(now(), &frame[..length]);
        }
        host.advance(now());
        while let Some((handle, ..)) = host.accept(now()) {
            handles.push(handle);
        }
        handles.retain(|&handle| work(host.as_mut(), now(), handle, port));
        while let Some(frame) = host.transmit(now()) {
            // A frame that the device does not take is lost, as on a wire.
            let _ = tap.send(&[IoSlice::new(&frame)]);
        }
    }
}

/// Reads or writes what is possible. False at the end.
fn work(host: &mut dyn Host, now: Instant, handle: Handle, port: u16) -> bool {
    let mut text = [0; 16 * 1024];
    loop {
        let done = if port == SINK {
            host.recv(now, handle, &mut text)
        } else {
            host.send(now, handle, &text)
        };
        match done {
            Io::Moved(_) => {}
            Io::Wait => return true,
            Io::End | Io::Failed => {
                host.abort(now, handle);
                return false;
            }
        }
    }
}
