//! The suite on two hosts on a cable.

#[path = "cases/mod.rs"]
mod cases;

pub(crate) use crate::hosts::{Net, SIDE, TcpListener, TcpStream, UdpSocket};

pub(crate) fn net() -> Net {
    Net::cable()
}
