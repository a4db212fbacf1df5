//! Passing accepted connections to the program that listens.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use stack::host::Errno;
use stack::host::bsd::{POLLIN, PollFd, SOCK_NONBLOCK, socket_address_bytes};

use super::Shared;
use super::socket::{Phase, Socket, State};
use crate::channel;
use crate::protocol::DATAGRAM_HEADER;
use crate::sys;

impl Shared {
    /// Passes on what the stack has accepted, as long as the program's end takes it: what it does
    /// not take stays in the listener's own backlog.
    pub(super) fn pass_connections(&self, socket: &Socket, state: &mut State) {
        loop {
            if state.accepted.is_none() {
                state.accepted = match self.accept(socket) {
                    Ok(accepted) => Some(accepted),
                    Err(Errno::EAGAIN | Errno::ESHUTDOWN) => return,
                    Err(error) if sys::is_want(error) => {
                        return self.want.wait(socket.token, error);
                    }
                    Err(error) => return log::warn!("accepting: {error}"),
                };
            }
            let (Some(end), Some((far, peer))) = (&state.end, &state.accepted) else { return };
            let mut message = socket_address_bytes(*peer);
            message.resize(DATAGRAM_HEADER, 0);
            let far = Some(far.as_fd());
            match channel::send(end.as_fd(), &message, far, libc::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => return,
                Err(error) if sys::is_want(error) => return self.want.wait(socket.token, error),
                // Nobody listens any more: dropping the end closes the connection.
                Ok(_) | Err(_) => state.accepted = None,
            }
        }
    }

    fn accept(&self, listener: &Socket) -> Result<(OwnedFd, std::net::SocketAddr), Errno> {
        let mut polled = [PollFd { fd: listener.fd, events: POLLIN, revents: 0 }];
        if self.bsd.poll(&mut polled, Some(Duration::ZERO))? == 0 {
            return Err(Errno::EAGAIN);
        }
        // Where there can be no pair, the connection waits in the listener's backlog.
        let pair = sys::pair(libc::SOCK_STREAM)?;
        let (fd, peer) = self.bsd.accept4(listener.fd, SOCK_NONBLOCK)?;
        let token = self.last.fetch_add(1, Ordering::Relaxed);
        let made = Socket::of(token, fd, Phase::Stream, pair)
            .and_then(|(socket, far)| self.adopt(socket, far));
        match made {
            Ok(far) => Ok((far, peer)),
            Err(error) => {
                let _ = self.bsd.close(fd);
                Err(error)
            }
        }
    }
}
