//! What the world asks of a host: frames and time in, frames and wake-ups out, sockets.

use stack::Instant;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A connection of a host, by a number of the host's choice.
pub type Handle = usize;

/// What a read or a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// So many bytes.
    Moved(usize),
    /// None yet: the host says when to ask again.
    Wait,
    /// The other side has sent everything (reads only).
    End,
    /// The connection is lost.
    Failed,
}

/// What did not move any text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wasted {
    /// Segments sent again.
    pub resent: u64,
    /// Probes of closed windows sent.
    pub probes: u64,
    /// Frames for this host that were dropped.
    pub dropped: u64,
}

/// A host of the world.
pub trait Host {
    /// A frame arrives.
    fn receive(&mut self, now: Instant, frame: &[u8]);
    /// Time passes.
    fn advance(&mut self, now: Instant);
    /// The next frame to be sent.
    fn transmit(&mut self, now: Instant) -> Option<Vec<u8>>;
    /// When time has to pass again.
    fn next_timeout(&mut self, now: Instant) -> Option<Instant>;
    /// Connections whose readiness may have changed since the last question.
    fn woken(&mut self) -> Vec<Handle>;

    /// Waits for connections to `port`.
    fn listen(&mut self, port: u16);
    /// A connection that somebody opened: its handle, the port here, and where it comes from.
    fn accept(&mut self, now: Instant) -> Option<(Handle, u16, SocketAddr)>;
    /// Opens a connection over which `bytes` will be written, from this port, or any for 0: its
    /// handle, and the port here.
    fn connect(
        &mut self,
        now: Instant,
        from: u16,
        to: SocketAddr,
        bytes: u64,
    ) -> Option<(Handle, u16)>;
    /// Writes.
    fn send(&mut self, now: Instant, handle: Handle, bytes: &[u8]) -> Io;
    /// Reads.
    fn recv(&mut self, now: Instant, handle: Handle, out: &mut [u8]) -> Io;
    /// Bytes that were written and that the other side has not acknowledged.
    fn unsent(&mut self, handle: Handle) -> usize;
    /// Whether the handshake is through. Bytes may go before (Fast Open).
    fn is_established(&mut self, _handle: Handle) -> bool {
        true
    }
    /// Says that nothing more will be written.
    fn shutdown(&mut self, now: Instant, handle: Handle);
    /// Gives the connection up; what was written is still delivered.
    fn close(&mut self, now: Instant, handle: Handle);
    /// Gives the connection up with a reset.
    fn abort(&mut self, now: Instant, handle: Handle);

    /// Takes another address; the one it began with is deprecated now, and goes `after` so long.
    fn moves(&mut self, _now: Instant, _to: IpAddr, _after: Duration) {}

    /// What the host still holds, listeners aside: connections of any state, bytes in buffers.
    fn leftovers(&self) -> usize;
    /// What the host knows of its connections, for the report of a failure.
    fn describe(&self) -> String {
        String::new()
    }
    /// What went or came for nothing, as far as it remembers.
    fn wasted(&self) -> Wasted {
        Wasted::default()
    }
    /// Looks at what must hold at any time.
    ///
    /// # Errors
    /// What does not hold.
    fn check(&mut self) -> Result<(), String>;
    /// Looks through the host's books, when everything is over.
    ///
    /// # Errors
    /// What does not balance.
    fn audit(&mut self) -> Result<(), String>;
}
