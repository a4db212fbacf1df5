//! The suite on two hosts on a cable.

#[path = "cases/connecting.rs"]
mod connecting;
#[path = "cases/datagrams.rs"]
mod datagrams;
#[path = "cases/endings.rs"]
mod endings;
#[path = "cases/listening.rs"]
mod listening;
#[path = "cases/names.rs"]
mod names;
#[path = "cases/pairs.rs"]
mod pairs;
#[path = "cases/streams.rs"]
mod streams;
#[path = "cases/threads.rs"]
mod threads;

pub(crate) use crate::hosts::{Net, SIDE, TcpListener, TcpStream, UdpSocket};

pub(crate) fn net() -> Net {
    Net::cable()
}
