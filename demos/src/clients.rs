//! A thread for each client of a server, as long as there is a place.

use std::io::{self, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use anyhow::{Context, Result};
use stack::ListenOptions;
use stack::host::{ShardsListener, TcpListener, TcpStream};

use crate::outside;
use crate::patient::is_timeout;
use crate::program::Program;

/// Listens on `port` of every address.
///
/// # Errors
/// Somebody has the port.
pub fn listen(program: &Program, port: u16) -> Result<TcpListener> {
    TcpListener::bind(program.host(), SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
        .with_context(|| format!("port {port}: cannot listen"))
}

/// Listens on `port` of every address, on all shards.
///
/// # Errors
/// Somebody has the port.
pub fn listen_on_shards(program: &Program, port: u16) -> Result<ShardsListener> {
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let listener = program.shards().listen(address, ListenOptions::default());
    listener.with_context(|| format!("port {port}: cannot listen"))
}

/// Says a last word to a client that there is no place for, and never waits for it.
pub fn turn_away(mut stream: TcpStream, word: &[u8]) {
    if stream.set_nonblocking(true).is_ok() {
        let _ = stream.write_all(word);
    }
}

/// How it ended with a client, for the log.
pub fn log_end(peer: SocketAddr, end: io::Result<()>) {
    match end {
        Ok(()) => log::debug!("{peer}: done"),
        Err(error) if is_timeout(&error) => log::info!("{peer}: silent for too long"),
        Err(error) => log::info!("{peer}: {error}"),
    }
}

/// How much there was of something, of all clients together.
#[derive(Debug, Default)]
pub struct Total(AtomicU64);

impl Total {
    /// There was more of it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// So far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The places of a server for its clients.
#[derive(Debug)]
pub struct Clients {
    max: usize,
    present: Arc<AtomicUsize>,
}

/// A client's place, until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Clients {
    /// Places for so many clients at a time.
    pub fn new(max: usize) -> Clients {
        Clients { max, present: Arc::default() }
    }

    /// Gives a client a thread in which `serve` has it, if there is a place left.
    pub fn admit(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        turn_away: impl FnOnce(TcpStream),
        serve: impl FnOnce(TcpStream) + Send + 'static,
    ) {
        let Some(place) = self.place() else {
            log::warn!("{peer}: turned away, there are {} already", self.max);
            return turn_away(stream);
        };
        let work = move || {
            let _place = place;
            serve(stream);
        };
        if let Err(error) = outside::spawn("client", work) {
            log::warn!("{peer}: turned away, no thread for it: {error}");
        }
    }

    fn place(&self) -> Option<Place> {
        let before = self.present.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.present));
        (before < self.max).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_client_has_left() {
        let clients = Clients::new(2);
        let (first, second) = (clients.place(), clients.place());
        assert!(first.is_some() && second.is_some());
        assert!(clients.place().is_none() && clients.place().is_none());
        drop(first);
        let third = clients.place();
        assert!(third.is_some() && clients.place().is_none());
    }
}
