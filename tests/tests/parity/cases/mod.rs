//! The cases, on the sockets and the net of the module around them.

mod connecting;
mod datagrams;
mod endings;
mod listening;
mod names;
mod pairs;
mod streams;
mod threads;

use super::{Net, SIDE, TcpListener, TcpStream, UdpSocket, net};
