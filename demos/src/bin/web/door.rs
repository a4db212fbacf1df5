//! A listener as axum wants it.
//!
//! Neither axum's trait nor Tapstack's listener is from here, so that a type of one's own stands
//! between them (Rust's orphan rule). Without TLS and without a limit it is `accept` alone.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::Listener;
use demos::site::Served;
use stack::host::futures::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::client::{Client, PATIENCE};

/// Lets clients in, as long as there is a place: one more waits in the listener's queue.
pub(crate) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    served: Arc<Served>,
    tls: Option<TlsAcceptor>,
    /// Clients that are agreeing on keys. They have their places already.
    handshakes: JoinSet<Option<(Client, SocketAddr)>>,
}

impl Door {
    pub(crate) fn new(
        listener: TcpListener,
        max_clients: usize,
        served: Arc<Served>,
        tls: Option<TlsAcceptor>,
    ) -> Door {
        let places = Arc::new(Semaphore::new(max_clients));
        Door { listener, places, served, tls, handshakes: JoinSet::new() }
    }
}

impl Listener for Door {
    type Io = Client;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Client, SocketAddr) {
        loop {
            let (stream, peer, place) = tokio::select! {
                next = next(&self.listener, &self.places) => next,
                Some(agreed) = self.handshakes.join_next() => match agreed {
                    Ok(Some(client)) => return client,
                    _ => continue,
                },
            };
            self.served.connections.add(1);
            let served = Arc::clone(&self.served);
            let Some(tls) = self.tls.clone() else {
                return (Client::new(stream, served, place), peer);
            };
            self.handshakes.spawn(async move {
                let agreed = timeout(PATIENCE, tls.accept(stream)).await;
                match agreed.unwrap_or(Err(io::ErrorKind::TimedOut.into())) {
                    Ok(stream) => Some((Client::new(stream, served, place), peer)),
                    Err(error) => {
                        log::info!("{peer}: {error}");
                        None
                    }
                }
            });
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A place, and then somebody for it.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    // The semaphore is never closed; and once the host has been shut down nobody comes.
    let Ok(place) = Arc::clone(places).acquire_owned().await else { pending().await };
    let Ok((stream, peer)) = listener.accept().await else { pending().await };
    if let Err(error) = stream.get_ref().set_nodelay(true) {
        log::debug!("{peer}: {error}");
    }
    (stream, peer, place)
}
