//! The suite on one host that speaks to itself.

#[path = "cases/mod.rs"]
mod cases;

pub(crate) use crate::hosts::{Net, SIDE, TcpListener, TcpStream, UdpSocket};

pub(crate) fn net() -> Net {
    Net::alone()
}
