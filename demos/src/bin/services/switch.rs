//! An Ethernet switch in memory: a thread for each port, which learns who is where.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use demos::outside;
use tapdev::{Device, ETHERNET_HEADER, FRAME_OVERHEAD, Fault, PairEnd, classify};

/// The largest IP packet, bytes.
const MTU: usize = 1500;

/// Frames that a cable holds each way.
const CABLE: usize = 1000;

/// The most stations that are remembered: what is for others goes to all.
const MAX_STATIONS: usize = 64;

/// A station's Ethernet address.
type Station = [u8; 6];

/// A switch. Cables are plugged in and never out, but may be cut and mended.
#[derive(Clone, Default)]
pub(crate) struct Switch {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    ports: Vec<Arc<Port>>,
    stations: BTreeMap<Station, usize>,
}

struct Port {
    end: PairEnd,
    is_cut: AtomicBool,
}

/// The cable between a host and the switch.
pub(crate) struct Cable(Arc<Port>);

impl Cable {
    /// Nothing passes any more, and nobody is told.
    pub(crate) fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Relaxed);
    }

    /// Everything passes again.
    pub(crate) fn mend(&self) {
        self.0.is_cut.store(false, Ordering::Relaxed);
    }
}

impl Switch {
    /// Plugs a cable in, and returns its other end, for a host.
    pub(crate) fn plug(&self) -> io::Result<(PairEnd, Cable)> {
        let (near, far) = tapdev::pair(MTU, CABLE);
        let port = Arc::new(Port { end: near, is_cut: AtomicBool::new(false) });
        let mut inner = self.lock();
        let number = inner.ports.len();
        inner.ports.push(Arc::clone(&port));
        drop(inner);
        let (switch, cable) = (self.clone(), Cable(Arc::clone(&port)));
        outside::spawn("port", move || switch.serve(&port, number))?;
        Ok((far, cable))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what comes in at a port, until its host is gone.
    fn serve(&self, port: &Port, number: usize) {
        let mut frame = vec![0; MTU + FRAME_OVERHEAD];
        loop {
            let result = match port.end.recv(&mut frame) {
                Ok(length) => {
                    if !port.is_cut.load(Ordering::Relaxed) {
                        self.forward(number, &frame[..length]);
                    }
                    continue;
                }
                Err(error) if classify(&error) == Fault::Again => port.end.wait(None).map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                return log::debug!("port {number}: {error}");
            }
        }
    }

    fn forward(&self, from: usize, frame: &[u8]) {
        let (to, source) = match frame.get(..ETHERNET_HEADER) {
            Some([a, b, c, d, e, f, g, h, i, j, k, l, ..]) => {
                ([*a, *b, *c, *d, *e, *f], [*g, *h, *i, *j, *k, *l])
            }
            _ => return,
        };
        let mut inner = self.lock();
        if inner.stations.len() < MAX_STATIONS || inner.stations.contains_key(&source) {
            inner.stations.insert(source, from);
        }
        let target = inner.stations.get(&to).copied();
        for (number, port) in inner.ports.iter().enumerate() {
            let is_meant = target.is_none_or(|target| target == number) && number != from;
            if is_meant && !port.is_cut.load(Ordering::Relaxed) {
                // What a host does not take is lost, as on a wire.
                let _ = port.end.send(&[IoSlice::new(frame)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tapdev::Wake;

    fn frame(to: u8, from: u8) -> Vec<u8> {
        [[to; 6], [from; 6]].concat().into_iter().chain([8, 0, from]).collect()
    }

    fn hears(end: &PairEnd, expected: Option<&[u8]>) {
        let mut buffer = [0; 64];
        let wait = Duration::from_secs(if expected.is_some() { 5 } else { 0 });
        while !matches!(end.wait(Some(wait)), Ok(Wake::Readable | Wake::TimedOut)) {}
        let heard = end.recv(&mut buffer).ok().map(|length| &buffer[..length]);
        assert_eq!(heard, expected);
    }

    #[test]
    fn frames_go_to_whom_they_are_for_and_not_through_a_cut_cable() {
        let switch = Switch::default();
        let ports: Vec<_> = (0..3).map(|_| switch.plug().unwrap()).collect();
        let send = |which: usize, frame: &[u8]| ports[which].0.send(&[IoSlice::new(frame)]);
        // Nobody knows where 2 is, and everybody learns where 1 is.
        send(0, &frame(2, 1)).unwrap();
        hears(&ports[1].0, Some(&frame(2, 1)));
        hears(&ports[2].0, Some(&frame(2, 1)));
        send(1, &frame(1, 2)).unwrap();
        hears(&ports[0].0, Some(&frame(1, 2)));
        hears(&ports[2].0, None);
        ports[1].1.cut();
        send(1, &frame(1, 3)).unwrap();
        send(0, &frame(2, 1)).unwrap();
        send(0, &frame(9, 1)).unwrap();
        hears(&ports[2].0, Some(&frame(9, 1)));
        hears(&ports[1].0, None);
        hears(&ports[0].0, None);
        ports[1].1.mend();
        send(0, &frame(2, 1)).unwrap();
        hears(&ports[1].0, Some(&frame(2, 1)));
    }
}
