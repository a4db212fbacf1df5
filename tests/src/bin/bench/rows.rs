//! What is measured, and on which processors.

use std::fmt;
use std::time::Duration;

/// A row of the table. Bytes go one way, or something is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Linux sends to the stack.
    Up,
    /// The stack sends to Linux.
    Down,
    /// Requests of so many bytes, each answered with as many, on so many connections.
    Requests { size: usize, connections: usize },
    /// Connect, a byte there and back, close; so many at a time.
    Connects { parallel: usize },
    /// A datagram there and back.
    Datagrams,
    /// Linux floods the stack with datagrams, and those that arrive count.
    FloodUp,
    /// The stack floods Linux.
    FloodDown,
}

/// Where the two ends run: a list of processors for each, as `taskset` takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    pub(crate) client: &'static str,
    pub(crate) server: &'static str,
}

/// Where Linux likes.
const FREE: Places = Places { client: "0,1", server: "0,1" };
/// On one processor: no hand-over between two.
const SAME: Places = Places { client: "0", server: "0" };
/// Each on its own.
const SPLIT: Places = Places { client: "0", server: "1" };

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: What,
    pub(crate) places: Places,
    /// How long the server computes for each request, microseconds.
    pub(crate) work: u32,
}

const fn row(name: &'static str, what: What, places: Places) -> Row {
    Row { name, what, places, work: 0 }
}

pub(crate) const ROWS: [Row; 13] = [
    row("up", What::Up, FREE),
    row("down", What::Down, FREE),
    row("rr1", What::Requests { size: 1, connections: 1 }, SAME),
    row("rr1-two", What::Requests { size: 1, connections: 1 }, SPLIT),
    row("rr64", What::Requests { size: 64, connections: 1 }, SAME),
    row("rr1x32", What::Requests { size: 1, connections: 32 }, FREE),
    Row { work: 20, ..row("rr1x32-work", What::Requests { size: 1, connections: 32 }, FREE) },
    row("crr", What::Connects { parallel: 1 }, SAME),
    row("crr-two", What::Connects { parallel: 1 }, SPLIT),
    row("crr8", What::Connects { parallel: 8 }, FREE),
    row("udprr64", What::Datagrams, SAME),
    row("udpup64", What::FloodUp, SPLIT),
    row("udpdn64", What::FloodDown, SPLIT),
];

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Row {
    pub(crate) fn named(name: &str) -> Option<Row> {
        ROWS.into_iter().find(|row| row.name == name)
    }

    /// Bytes are counted, and not what is done.
    pub(crate) fn is_bulk(&self) -> bool {
        matches!(self.what, What::Up | What::Down)
    }
}

/// The ports of the services, as `perf serve` has them.
pub(crate) mod port {
    pub(crate) const SINK: u16 = 5001;
    pub(crate) const SOURCE: u16 = 5002;
    pub(crate) const ECHO: u16 = 5003;
    pub(crate) const UDP_SINK: u16 = 5004;
    pub(crate) const UDP_ECHO: u16 = 5005;
    pub(crate) const UDP_SOURCE: u16 = 5006;
}

/// The size of a datagram, bytes.
pub(crate) const DATAGRAM: usize = 64;

/// An order to a UDP source: flood the asker for so long (`SEND`, size, milliseconds).
pub(crate) fn order(time: Duration) -> [u8; 12] {
    let mut order = *b"SEND\0\0\0\0\0\0\0\0";
    order[4..8].copy_from_slice(&(DATAGRAM as u32).to_be_bytes());
    order[8..].copy_from_slice(&(time.as_millis() as u32).to_be_bytes());
    order
}

/// Reads an order: the size of the datagrams, and for how long.
pub(crate) fn read_order(order: &[u8]) -> Option<(usize, Duration)> {
    let (size, rest) = order.strip_prefix(b"SEND")?.split_first_chunk()?;
    let (millis, _) = rest.split_first_chunk()?;
    let time = Duration::from_millis(u32::from_be_bytes(*millis).into());
    Some((u32::from_be_bytes(*size) as usize, time))
}
