//! The suite on std's sockets, over Linux's loopback.

#[path = "cases/mod.rs"]
mod cases;

pub(crate) use crate::loopback::{Net, SIDE, TcpListener, TcpStream, UdpSocket};

pub(crate) fn net() -> Net {
    Net
}
