//! Datagrams to one asker, as fast as possible, for a while.

use std::net::SocketAddr;
use std::time::Duration;

use demos::outside::Stopwatch;
use stack::host::UdpSocket;

/// How many datagrams are sent in a row.
const BATCH: usize = 64;

/// The longest datagram of IPv4, bytes.
const LARGEST: usize = 65_507;

/// The longest flood: an order is one unauthenticated datagram.
const LONGEST: Duration = Duration::from_secs(600);

/// The most floods at a time: one after another gets its batch.
const MOST: usize = 64;

/// The floods under way.
#[derive(Debug)]
pub(crate) struct Floods {
    floods: Vec<Flood>,
    /// What all of them send, each as much as was asked for.
    content: Vec<u8>,
}

impl Floods {
    /// None yet.
    pub(crate) fn new() -> Floods {
        Floods { floods: Vec::new(), content: vec![0x33; LARGEST] }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.floods.is_empty()
    }

    /// Takes an order. A second one replaces the first: it is the same asker's.
    pub(crate) fn order(&mut self, order: &[u8], peer: SocketAddr) {
        let Some(flood) = Flood::ordered(order, peer) else {
            return log::debug!("{peer}: not an order");
        };
        self.floods.retain(|other| other.peer != peer);
        if self.floods.len() == MOST {
            return log::debug!("{peer}: no more than {MOST} floods at a time");
        }
        self.floods.push(flood);
    }

    /// Sends a batch of every flood.
    pub(crate) fn batch(&mut self, socket: &UdpSocket) {
        self.floods.retain(|flood| flood.batch(socket, &self.content));
    }
}

/// A flood under way.
#[derive(Debug)]
struct Flood {
    peer: SocketAddr,
    /// Of each datagram, bytes.
    size: usize,
    since: Stopwatch,
    time: Duration,
}

impl Flood {
    /// Reads an order: `SEND`, u32be size, u32be milliseconds.
    fn ordered(order: &[u8], peer: SocketAddr) -> Option<Flood> {
        let (size, rest) = order.strip_prefix(b"SEND")?.split_first_chunk()?;
        let (millis, _) = rest.split_first_chunk()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?.min(LARGEST);
        let time = Duration::from_millis(u32::from_be_bytes(*millis).into()).min(LONGEST);
        Some(Flood { peer, size, since: Stopwatch::start(), time })
    }

    /// Sends one batch; false when the time has passed.
    fn batch(&self, socket: &UdpSocket, content: &[u8]) -> bool {
        let one = (&content[..self.size], self.peer);
        if let Err(error) = socket.send_many_to(std::iter::repeat_n(one, BATCH)) {
            log::trace!("flood: {error}");
        }
        self.since.elapsed() < self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        let peer = SocketAddr::from(([192, 0, 2, 1], 7));
        let flood = Flood::ordered(b"SEND\0\0\0\x40\0\0\x03\xe8", peer).unwrap();
        assert_eq!((flood.size, flood.time), (64, Duration::from_secs(1)));
        for order in [&b"SEND\0\0\0\x40\0\0\x03"[..], b"", b"STAT", b"STOP\0\0\0\x40\0\0\x03\xe8"] {
            assert!(Flood::ordered(order, peer).is_none());
        }
    }

    #[test]
    fn there_are_so_many_floods_and_no_more() {
        let order = b"SEND\0\0\0\x40\0\0\x03\xe8";
        let mut floods = Floods::new();
        for port in 1..=1000 {
            floods.order(order, SocketAddr::from(([192, 0, 2, 1], port)));
        }
        assert_eq!(floods.floods.len(), MOST);
        // One that is under way may be ordered anew.
        let first = SocketAddr::from(([192, 0, 2, 1], 1));
        floods.order(b"SEND\0\0\0\x41\0\0\x03\xe8", first);
        let found = floods.floods.iter().find(|flood| flood.peer == first).unwrap();
        assert_eq!((found.size, floods.floods.len()), (65, MOST));
    }
}
