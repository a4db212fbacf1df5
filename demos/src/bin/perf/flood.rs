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

/// A flood under way.
#[derive(Debug)]
pub(crate) struct Flood {
    peer: SocketAddr,
    content: Vec<u8>,
    since: Stopwatch,
    time: Duration,
}

impl Flood {
    /// Reads an order: `SEND`, u32be size, u32be milliseconds.
    pub(crate) fn ordered(order: &[u8], peer: SocketAddr) -> Option<Flood> {
        let (size, rest) = order.strip_prefix(b"SEND")?.split_first_chunk()?;
        let (millis, _) = rest.split_first_chunk()?;
        let size = usize::try_from(u32::from_be_bytes(*size)).ok()?.min(LARGEST);
        let time = Duration::from_millis(u32::from_be_bytes(*millis).into()).min(LONGEST);
        Some(Flood { peer, content: vec![0x33; size], since: Stopwatch::start(), time })
    }

    /// Who asked.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends one batch; false when the time has passed.
    pub(crate) fn batch(&self, socket: &UdpSocket) -> bool {
        let one = (self.content.as_slice(), self.peer);
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
        assert_eq!((flood.content.len(), flood.time), (64, Duration::from_secs(1)));
        for order in [&b"SEND\0\0\0\x40\0\0\x03"[..], b"", b"STAT", b"STOP\0\0\0\x40\0\0\x03\xe8"] {
            assert!(Flood::ordered(order, peer).is_none());
        }
    }
}
