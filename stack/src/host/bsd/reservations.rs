//! Addresses that stream sockets were bound to: the engine knows no bound socket that does nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::InterfaceId;
use crate::host::errno::Errno;
use crate::net::reach::Reach;
use crate::net::sharing::Sharing;

/// An address that a stream socket was bound to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reserved {
    pub(super) address: SocketAddr,
    pub(super) reach: Reach,
    pub(super) reuse: Sharing,
    /// The interface that it is bound to.
    pub(super) only: Option<InterfaceId>,
}

impl Reserved {
    /// Both cannot be.
    fn excludes(&self, wanted: &Reserved) -> bool {
        self.address.port() == wanted.address.port()
            && self.only == wanted.only
            && self.reach.overlaps(wanted.reach)
            && !self.reuse.admits(wanted.reuse)
    }
}

/// All of a table's, shared with those who hold them.
#[derive(Clone, Debug, Default)]
pub(super) struct Reservations(Arc<Mutex<Vec<Reserved>>>);

/// A reservation, as long as its socket lives.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    all: Reservations,
}

impl Reservations {
    /// # Errors
    /// EADDRINUSE if another socket has this address or one that includes it.
    pub(super) fn reserve(&self, wanted: Reserved) -> Result<Bound, Errno> {
        let mut all = self.lock();
        if all.iter().any(|other| other.excludes(&wanted)) {
            return Err(Errno::EADDRINUSE);
        }
        all.push(wanted);
        Ok(Bound { address: wanted.address, all: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Reserved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of several with one address it is all the same which goes: they let each other in.
impl Drop for Bound {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(at) = all.iter().rposition(|other| other.address == self.address) {
            all.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TcpOptions;

    #[test]
    fn a_reservation_clashes_with_the_same_port_only() {
        let all = Reservations::default();
        let options = TcpOptions::default();
        let wish = |text: &str, reuse| {
            let address: SocketAddr = text.parse().unwrap();
            Reserved { address, reach: options.reach(address.ip().into()), reuse, only: None }
        };
        let clashes = |wanted: Reserved| all.reserve(wanted).is_err();
        let alone = Sharing::default();
        let held = all.reserve(wish("192.0.2.1:80", alone)).unwrap();
        for taken in ["192.0.2.1:80", "0.0.0.0:80", "[::]:80"] {
            assert!(clashes(wish(taken, alone)), "{taken}");
        }
        for free in ["192.0.2.2:80", "0.0.0.0:81"] {
            assert!(!clashes(wish(free, alone)), "{free}");
        }
        let any = wish("[::]:80", alone);
        assert!(!clashes(Reserved { reach: any.reach.without_v4(), ..any }));
        // Who shares is let in by those that share, too.
        let reuse = Sharing { address: true, port: false };
        assert!(clashes(wish("192.0.2.1:80", reuse)));
        drop(held);
        let _held = all.reserve(wish("192.0.2.1:80", reuse)).unwrap();
        assert!(!clashes(wish("0.0.0.0:80", reuse)));
        assert!(clashes(wish("0.0.0.0:80", Sharing { address: false, port: true })));
    }
}
