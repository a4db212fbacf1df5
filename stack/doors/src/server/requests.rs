//! What programs ask for.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use stack::host::Errno;
use stack::host::bsd::{
    SO_ACCEPTCONN, SO_ERROR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, socket_address,
    socket_address_bytes,
};

use super::Shared;
use super::socket::{Phase, Socket};
use crate::protocol::{Op, Reply, Request, VALUE_MAX, What, interfaces_to_bytes};
use crate::sys;

/// What a connecting socket's end is stuffed with, a piece.
static STUFFING: [u8; 32 << 10] = [0; 32 << 10];

impl Shared {
    /// The reply, and a descriptor that goes with it.
    pub(super) fn handle(
        &self,
        request: &Request,
        passed: Option<OwnedFd>,
    ) -> (Reply, Option<OwnedFd>) {
        if request.op == Op::Socket {
            return match self.open(request) {
                Ok((number, far)) => (Ok(number.to_ne_bytes().to_vec()), Some(far)),
                Err(error) => (Err(error), None),
            };
        }
        if request.op == Op::Interfaces {
            return (Ok(interfaces_to_bytes(&self.bsd.interfaces())), None);
        }
        let socket = self.lock().by_number.get(&request.socket).cloned();
        let Some(socket) = socket else {
            let nothing = 0_i32.to_ne_bytes().to_vec();
            return (if request.op == Op::Look { Ok(nothing) } else { Err(Errno::EBADF) }, None);
        };
        (self.ask(&socket, request, passed), None)
    }

    fn open(&self, request: &Request) -> Result<(u64, OwnedFd), Errno> {
        let (domain, kind) = (request.a, request.b);
        let protocol = request.data.first_chunk().map_or(0, |it| i32::from_ne_bytes(*it));
        let fd = self.bsd.socket(domain, kind | SOCK_NONBLOCK, protocol)?;
        let is_stream = kind & !(SOCK_NONBLOCK | SOCK_CLOEXEC) == SOCK_STREAM;
        let phase = if is_stream { Phase::Idle } else { Phase::Datagram };
        let token = self.last.fetch_add(1, Ordering::Relaxed);
        let made = Socket::new(token, fd, phase).and_then(|(socket, far)| {
            let number = socket.number;
            Ok((number, self.adopt(socket, far)?))
        });
        let (number, far) = made.inspect_err(|_| {
            let _ = self.bsd.close(fd);
        })?;
        if kind & SOCK_NONBLOCK != 0 {
            sys::set_nonblocking(far.as_fd())?;
        }
        Ok((number, far))
    }

    fn ask(&self, socket: &Arc<Socket>, request: &Request, passed: Option<OwnedFd>) -> Reply {
        let (fd, a, b, data) = (socket.fd, request.a, request.b, &request.data);
        let address = || socket_address(data);
        let done = |answer: Result<(), Errno>| answer.map(|()| Vec::new());
        match request.op {
            Op::Socket | Op::Resolve | Op::Interfaces => Err(Errno::EINVAL),
            Op::AwaitError | Op::AwaitConnection => Err(Errno::EINVAL),
            Op::Bind => {
                let local = address()?.ok_or(Errno::EAFNOSUPPORT)?;
                self.bsd.bind(fd, local)?;
                self.watch(socket, &mut socket.state());
                Ok(Vec::new())
            }
            Op::Listen => done(self.listen(socket, a)),
            Op::Connect => {
                let to = address()?.map(|to| self.in_scope(to));
                done(self.connect(socket, to, passed))
            }
            Op::LocalName => self.bsd.getsockname(fd).map(socket_address_bytes),
            Op::PeerName => self.peer(socket).map(socket_address_bytes),
            Op::GetOption => self.option(socket, a, b, data),
            Op::SetOption => done(self.bsd.setsockopt(fd, a, b, data)),
            Op::Look => Ok((self.what(socket) as i32).to_ne_bytes().to_vec()),
            Op::TakeError => self.take_error(socket),
        }
    }

    fn listen(&self, socket: &Socket, backlog: i32) -> Result<(), Errno> {
        let mut state = socket.state();
        if state.phase == Phase::Listener {
            // Linux changes the backlog; here it stays.
            return Ok(());
        }
        self.bsd.listen(socket.fd, backlog)?;
        state.phase = Phase::Listener;
        self.watch(socket, &mut state);
        Ok(())
    }

    fn connect(
        &self,
        socket: &Socket,
        remote: Option<SocketAddr>,
        far: Option<OwnedFd>,
    ) -> Result<(), Errno> {
        let mut state = socket.state();
        let Some(remote) = remote else { return self.bsd.disconnect(socket.fd) };
        if state.phase == Phase::Datagram {
            self.bsd.connect(socket.fd, remote)?;
            self.watch(socket, &mut state);
            return Ok(());
        }
        match state.phase {
            // The end of an earlier attempt, of which nobody has been told.
            Phase::Idle => state.error.take().map_or(Ok(()), Err)?,
            Phase::Connecting { .. } => return Err(Errno::EALREADY),
            _ => return Err(Errno::EISCONN),
        }
        // The kernel leaves it out where it would be one descriptor too many, and unless its end is
        // stuffed the program would take itself for connected.
        let far = far.ok_or(Errno::ENOBUFS)?;
        match self.bsd.connect(socket.fd, remote) {
            Ok(()) => state.phase = Phase::Stream,
            Err(Errno::EINPROGRESS) => {
                let stuffing = stuff(&far);
                state.phase = Phase::Connecting { remote, stuffing };
            }
            Err(error) => return Err(error),
        }
        let is_connected = state.phase == Phase::Stream;
        self.watch(socket, &mut state);
        if is_connected { Ok(()) } else { Err(Errno::EINPROGRESS) }
    }

    /// Has the channel told when what it awaits has come.
    pub(super) fn have_told(
        &self,
        request: &Request,
        channel: &Arc<UnixStream>,
    ) -> Result<(), Errno> {
        let socket = self.lock().by_number.get(&request.socket).cloned().ok_or(Errno::EBADF)?;
        let channel = Arc::clone(channel);
        let mut state = socket.state();
        if request.op == Op::AwaitError {
            state.await_error(channel);
        } else {
            state.await_connection(channel);
        }
        Ok(())
    }

    fn what(&self, socket: &Socket) -> What {
        let phase = socket.state().phase;
        match phase {
            Phase::Idle => What::Idle,
            Phase::Connecting { .. } => What::Connecting,
            Phase::Stream => What::Stream,
            Phase::Listener => What::Listener,
            Phase::Datagram if self.bsd.getpeername(socket.fd).is_ok() => What::Paired,
            Phase::Datagram => What::Datagram,
        }
    }

    fn peer(&self, socket: &Socket) -> Result<SocketAddr, Errno> {
        if matches!(socket.state().phase, Phase::Connecting { .. }) {
            return Err(Errno::ENOTCONN);
        }
        self.bsd.getpeername(socket.fd)
    }

    fn option(&self, socket: &Socket, level: i32, name: i32, question: &[u8]) -> Reply {
        if (level, name) == (SOL_SOCKET, SO_ERROR)
            && let Some(error) = socket.state().error.take()
        {
            return Ok(error.number().to_ne_bytes().to_vec());
        }
        if (level, name) == (SOL_SOCKET, SO_ACCEPTCONN) {
            let listens = socket.state().phase == Phase::Listener;
            return Ok(i32::from(listens).to_ne_bytes().to_vec());
        }
        let (room, said) = question.split_first_chunk().ok_or(Errno::EINVAL)?;
        let mut value = said.to_vec();
        value.resize((u32::from_ne_bytes(*room) as usize).min(VALUE_MAX), 0);
        let length = self.bsd.getsockopt(socket.fd, level, name, &mut value)?;
        value.truncate(length);
        Ok(value)
    }
}

/// Fills the program's end, so that it is not writable before the connection is there. Returns
/// with how many bytes.
fn stuff(far: &OwnedFd) -> usize {
    let mut count = 0;
    for piece in [STUFFING.len(), 1] {
        while let Ok(length) = sys::send(far.as_fd(), &STUFFING[..piece]) {
            count += length;
        }
    }
    count
}
