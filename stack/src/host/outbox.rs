//! Frames on their way from the engine to the device.
//!
//! The engine makes a short frame in thousands of instructions, and the device takes it in
//! thousands more, of the kernel. A processor's first cache holds the one or the other. So short
//! frames are made one after the other, and then sent one after the other: 32 answers to 32
//! connections cost a seventh less. Long ones are sent from where they lie.

use std::io::{self, IoSlice};
use std::mem;

use tapdev::{Checksum, Debt, Device, Fault, HEADROOM, Placed, classify};

use super::batch::{BATCH_MAX, SHORT};
use super::shard::{Engine, HostStats, LinkState, Shard};
use crate::{Instant, InterfaceId, TxFrame};

/// The most frames sent before the lock is offered to others, and the bytes of them after which it
/// is, too.
const FRAMES_PER_HOLD: usize = BATCH_MAX;
const BYTES_PER_HOLD: usize = 256 << 10;
/// So much sent in one hold of the lock is a long burst: sixteen frames, or bytes for as many.
pub(super) const BURST: u64 = 16 * FRAME;
/// A frame is no cheaper than one of so many bytes.
const FRAME: u64 = 1536;

/// The short frames of a burst, and a tally of what has been sent. Empty between two bursts.
pub(super) struct Outbox {
    /// The frames, each behind what its device needs before it.
    bytes: Vec<u8>,
    /// Where each lies, and the interface that it is for.
    places: Vec<Placed>,
    interfaces: Vec<InterfaceId>,
    /// What the devices took, in bytes, and frames below [`FRAME`] as so many.
    pub(super) taken: u64,
}

impl Outbox {
    pub(super) fn new() -> Outbox {
        Outbox {
            bytes: Vec::with_capacity(FRAMES_PER_HOLD * (HEADROOM + SHORT)),
            places: Vec::with_capacity(FRAMES_PER_HOLD),
            interfaces: Vec::with_capacity(FRAMES_PER_HOLD),
            taken: 0,
        }
    }

    fn put(&mut self, frame: &TxFrame<'_>) {
        self.bytes.extend_from_slice(&[0; HEADROOM]);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame.head);
        frame.body.iter().for_each(|part| self.bytes.extend_from_slice(part));
        let length = self.bytes.len() - start;
        self.places.push(Placed { start, length, debt: debt_of(frame) });
        self.interfaces.push(frame.interface);
    }

    /// Sends the short frames in their order, those for one interface in a row, and tells of the
    /// last fault of a device, which gets no more of them. If two have one, the other's is found
    /// with its next frame.
    fn send_all(&mut self, shard: &Shard, stats: &mut HostStats) -> Option<DeviceFault> {
        if self.places.is_empty() {
            return None;
        }
        // Taken out: after a panic of a device they are lost, and not sent again.
        let (mut bytes, mut places) = (mem::take(&mut self.bytes), mem::take(&mut self.places));
        let mut interfaces = mem::take(&mut self.interfaces);
        let (mut rest, mut fault) = (&places[..], None::<DeviceFault>);
        for run in interfaces.chunk_by(|one, next| one == next) {
            let (mut row, others) = rest.split_at(run.len());
            rest = others;
            while !row.is_empty() && fault.is_none_or(|it| it.interface != run[0]) {
                let (sent, answer) = shard.device_of(run[0]).send_row(&mut bytes, row);
                stats.frames_out += sent as u64;
                self.taken += FRAME * sent as u64;
                row = match answer {
                    Ok(()) => &[],
                    Err(error) => {
                        fault = refusal(run[0], &error, stats).or(fault);
                        row.get(sent + 1..).unwrap_or_default()
                    }
                };
            }
            stats.device_drops += row.len() as u64;
        }
        bytes.clear();
        places.clear();
        interfaces.clear();
        (self.bytes, self.places, self.interfaces) = (bytes, places, interfaces);
        fault
    }
}

/// A device cannot be used any more.
#[derive(Clone, Copy)]
struct DeviceFault {
    interface: InterfaceId,
    fault: Fault,
}

/// A frame was refused: it is lost, as on a wire. The fault, if it is more than that.
fn refusal(
    interface: InterfaceId,
    error: &io::Error,
    stats: &mut HostStats,
) -> Option<DeviceFault> {
    stats.device_drops += 1;
    let fault = classify(error);
    matches!(fault, Fault::Gone | Fault::Down).then_some(DeviceFault { interface, fault })
}

/// What a frame leaves to the device.
fn debt_of(frame: &TxFrame<'_>) -> Debt {
    Debt {
        checksum: frame.checksum.map_or(Checksum::Complete, |at| Checksum::Partial {
            start: at.start,
            offset: at.offset,
        }),
        segment: frame.gso.map(|gso| gso.segment),
    }
}

impl Shard {
    fn device_of(&self, interface: InterfaceId) -> &dyn Device {
        let further = interface.place().checked_sub(1).and_then(|at| self.further.get(at));
        further.map_or(&*self.device, |device| &**device)
    }
}

impl Engine {
    /// Sends a burst of frames; true if there may be more.
    pub(super) fn transmit(&mut self, shard: &Shard, now: Instant) -> bool {
        debug_assert!(now >= self.wakes.now, "time runs backwards under the lock");
        let (mut bytes, mut more, mut fault) = (0, true, None);
        for _ in 0..FRAMES_PER_HOLD {
            let Some(frame) = self.stack.poll_transmit(now) else {
                more = false;
                break;
            };
            let is_up = match frame.interface {
                InterfaceId::FIRST => self.link == LinkState::Up,
                further => !self.further_down.contains(further),
            };
            if !is_up {
                self.stats.device_drops += 1;
                continue;
            }
            bytes += frame.len();
            if frame.len() < SHORT {
                self.outbox.put(&frame);
                continue;
            }
            fault = self.outbox.send_all(shard, &mut self.stats);
            if fault.is_some_and(|it| it.interface == frame.interface) {
                self.stats.device_drops += 1;
                break;
            }
            let [first, second] = frame.body;
            let parts = [IoSlice::new(frame.head), IoSlice::new(first), IoSlice::new(second)];
            let used = 3 - frame.body.iter().rev().take_while(|it| it.is_empty()).count();
            let device = shard.device_of(frame.interface);
            match device.send_with_debt(&parts[..used], debt_of(&frame)) {
                Ok(()) => {
                    self.stats.frames_out += 1;
                    self.outbox.taken += FRAME.max(frame.len() as u64);
                }
                Err(error) => {
                    fault = refusal(frame.interface, &error, &mut self.stats).or(fault);
                }
            }
            if bytes >= BYTES_PER_HOLD || fault.is_some() {
                break;
            }
        }
        if let Some(it) = self.outbox.send_all(shard, &mut self.stats).or(fault) {
            self.note_fault(shard, it, now);
        }
        more
    }

    /// The device of an interface is to be left alone.
    fn note_fault(&mut self, shard: &Shard, it: DeviceFault, now: Instant) {
        match it.interface {
            InterfaceId::FIRST => {
                self.link_down(it.fault, now);
                // Who sleeps on it does not know, and is to ask it again.
                self.rouse();
            }
            further => {
                self.set_further(further, false);
                // Its thread asks it from now on.
                shard.device_of(further).wake();
            }
        }
    }
}
