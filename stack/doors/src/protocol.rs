//! What a program asks of the server, and what it answers.

use std::net::{IpAddr, Ipv6Addr};

use stack::host::Errno;

use crate::control::CONTROL_MAX;

/// The longest request or reply, bytes.
pub const MESSAGE_MAX: usize = 4096;

/// The longest value of an option that is passed on, either way.
pub const VALUE_MAX: usize = MESSAGE_MAX / 2;

/// What a datagram begins with on its way between program and server: `ADDRESS` bytes, the length
/// of its control messages in two, and room for those.
pub const DATAGRAM_HEADER: usize = CONTROL + CONTROL_MAX;

/// The bytes of an address, a `struct sockaddr_in6` at most: zeros are none. Or [`FAILED`].
const ADDRESS: usize = 28;

/// Where control messages begin.
const CONTROL: usize = 32;

/// In the place of a datagram's family: what follows is an error number.
pub const FAILED: u16 = u16::MAX;

/// A datagram's header. What does not fit of the control messages is left out.
pub fn header(address: &[u8], control: &[u8]) -> [u8; DATAGRAM_HEADER] {
    let mut header = [0; DATAGRAM_HEADER];
    let most = address.len().min(ADDRESS);
    header[..most].copy_from_slice(&address[..most]);
    let length = control.len().min(CONTROL_MAX);
    header[ADDRESS..ADDRESS + 2].copy_from_slice(&(length as u16).to_ne_bytes());
    header[CONTROL..CONTROL + length].copy_from_slice(&control[..length]);
    header
}

/// The control messages in a datagram's header.
pub fn control(header: &[u8]) -> &[u8] {
    let length = header.get(ADDRESS..).and_then(|it| it.first_chunk());
    let length = length.map_or(0, |it| usize::from(u16::from_ne_bytes(*it)));
    header.get(CONTROL..CONTROL + length).unwrap_or_default()
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Op {
    /// `a`: domain, `b`: type, data: the protocol. The reply has the socket's number and passes
    /// its descriptor.
    Socket = 1,
    /// Data: the address.
    Bind,
    /// `a`: the backlog.
    Listen,
    /// Data: the address. Passes the descriptor of a stream.
    Connect,
    /// The local address.
    LocalName,
    /// The peer's address.
    PeerName,
    /// `a`: level, `b`: name, data: the room for the value, and what that says of what is asked.
    GetOption,
    /// `a`: level, `b`: name, data: the value.
    SetOption,
    /// What the socket is: [`What`], or 0 for none of the server's.
    Look,
    /// Data: a name. The reply has its addresses ([`addresses_to_bytes`]), and may take seconds.
    Resolve,
    /// An error from the queue of IP_RECVERR. The reply is a datagram behind its header.
    TakeError,
    /// The stack's interfaces ([`interfaces_to_bytes`]).
    Interfaces,
    /// The reply, which is empty, comes when an error waits that the connection has survived.
    AwaitError,
    /// The reply, which is empty, comes when the attempt to connect has come to its end.
    AwaitConnection,
}

impl Op {
    const ALL: [Op; 14] = [
        Op::Socket,
        Op::Bind,
        Op::Listen,
        Op::Connect,
        Op::LocalName,
        Op::PeerName,
        Op::GetOption,
        Op::SetOption,
        Op::Look,
        Op::Resolve,
        Op::TakeError,
        Op::Interfaces,
        Op::AwaitError,
        Op::AwaitConnection,
    ];
}

/// What a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum What {
    /// A stream without a connection.
    Idle = 1,
    /// A stream that is being connected.
    Connecting,
    /// A stream that is, or was, connected.
    Stream,
    /// A stream that listens.
    Listener,
    /// It sends and receives datagrams.
    Datagram,
    /// The same, to and from one peer.
    Paired,
}

impl What {
    /// The one with this number.
    pub fn of(number: i32) -> Option<What> {
        let streams = [What::Idle, What::Connecting, What::Stream, What::Listener];
        let mut all = streams.into_iter().chain([What::Datagram, What::Paired]);
        all.find(|what| *what as i32 == number)
    }

    /// It is no stream.
    pub fn is_datagram(self) -> bool {
        matches!(self, What::Datagram | What::Paired)
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub op: Op,
    /// The number of the socket: the inode of the program's end.
    pub socket: u64,
    /// See [`Op`].
    pub a: i32,
    /// See [`Op`].
    pub b: i32,
    /// See [`Op`].
    pub data: Vec<u8>,
}

impl Request {
    /// As a message.
    pub fn to_bytes(&self) -> Vec<u8> {
        let op = self.op as u32;
        let head = [&op.to_ne_bytes()[..], &self.a.to_ne_bytes(), &self.b.to_ne_bytes()].concat();
        [&head, &self.socket.to_ne_bytes()[..], &self.data].concat()
    }

    /// From a message; None if it is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Request> {
        let (op, rest) = bytes.split_first_chunk()?;
        let (a, rest) = rest.split_first_chunk()?;
        let (b, rest) = rest.split_first_chunk()?;
        let (socket, data) = rest.split_first_chunk()?;
        let op = u32::from_ne_bytes(*op);
        Some(Request {
            op: Op::ALL.into_iter().find(|it| *it as u32 == op)?,
            socket: u64::from_ne_bytes(*socket),
            a: i32::from_ne_bytes(*a),
            b: i32::from_ne_bytes(*b),
            data: data.to_vec(),
        })
    }
}

/// An answer: bytes, or an error.
pub type Reply = Result<Vec<u8>, Errno>;

/// A reply as a message.
pub fn reply_to_bytes(reply: &Reply) -> Vec<u8> {
    match reply {
        Ok(data) => [&0_i32.to_ne_bytes()[..], data].concat(),
        Err(error) => error.number().to_ne_bytes().to_vec(),
    }
}

/// A reply from a message.
///
/// # Errors
/// The reply's own; EIO for a message that is none.
pub fn reply_from_bytes(bytes: &[u8]) -> Reply {
    match bytes.split_first_chunk().map(|(error, data)| (i32::from_ne_bytes(*error), data)) {
        Some((0, data)) => Ok(data.to_vec()),
        Some((error, _)) => Err(Errno::from_number(error)),
        None => Err(Errno::from_number(libc::EIO)),
    }
}

/// Addresses in a reply, each in 16 bytes: those of IPv4 as IPv6 has them (RFC 4291 §2.5.5.2). As
/// many as fit.
pub fn addresses_to_bytes(all: &[IpAddr]) -> Vec<u8> {
    const MOST: usize = (MESSAGE_MAX - size_of::<i32>()) / size_of::<Ipv6Addr>();
    let in_six = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    all.iter().take(MOST).flat_map(in_six).collect()
}

/// The addresses in a reply.
pub fn addresses_from_bytes(bytes: &[u8]) -> Vec<IpAddr> {
    let whole = bytes.chunks_exact(size_of::<Ipv6Addr>()).filter_map(|it| it.first_chunk());
    whole.map(|it: &[u8; 16]| Ipv6Addr::from(*it).to_canonical()).collect()
}

/// The room for an interface's number and its name, which ends with zeros.
const INTERFACE: usize = size_of::<u32>() + libc::IF_NAMESIZE;

/// Interfaces in a reply, by number and name. As many as fit.
pub fn interfaces_to_bytes(all: &[(u32, String)]) -> Vec<u8> {
    const MOST: usize = (MESSAGE_MAX - size_of::<i32>()) / INTERFACE;
    let mut bytes = Vec::new();
    for (index, (number, name)) in all.iter().take(MOST).enumerate() {
        bytes.extend_from_slice(&number.to_ne_bytes());
        bytes.extend(name.bytes().take(libc::IF_NAMESIZE - 1));
        bytes.resize((index + 1) * INTERFACE, 0);
    }
    bytes
}

/// The interfaces in a reply.
pub fn interfaces_from_bytes(bytes: &[u8]) -> Vec<(u32, String)> {
    let one = |it: &[u8]| {
        let (number, name) = it.split_first_chunk()?;
        let name = name.split(|byte| *byte == 0).next()?;
        Some((u32::from_ne_bytes(*number), str::from_utf8(name).ok()?.to_owned()))
    };
    bytes.chunks_exact(INTERFACE).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for op in Op::ALL {
            let request = Request { op, socket: u64::MAX - 1, a: -7, b: 8, data: vec![1, 2] };
            assert_eq!(Request::from_bytes(&request.to_bytes()), Some(request));
        }
        assert_eq!(Request::from_bytes(&[0; 20]), None);
        assert_eq!(Request::from_bytes(&[1; 7]), None);
        for reply in [Ok(vec![3]), Err(Errno::ECONNREFUSED)] {
            assert_eq!(reply_from_bytes(&reply_to_bytes(&reply)), reply);
        }
        assert!(reply_from_bytes(&[]).is_err());
        let all: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1"].map(|it| it.parse().unwrap()).into();
        assert_eq!(addresses_from_bytes(&addresses_to_bytes(&all)), all);
        let many = addresses_to_bytes(&vec![all[1]; 1000]);
        assert!(reply_to_bytes(&Ok(many)).len() <= MESSAGE_MAX);
        let all = vec![(7, "a-name-so-long-".to_owned()); 1000];
        let bytes = interfaces_to_bytes(&all);
        assert!(reply_to_bytes(&Ok(bytes.clone())).len() <= MESSAGE_MAX);
        let told = interfaces_from_bytes(&bytes);
        assert!(told.len() > 100 && all.starts_with(&told));
    }
}
