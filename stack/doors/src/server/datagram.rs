//! Datagrams, each behind a header with its address.

use std::os::fd::AsFd;

use stack::host::Errno;
use stack::host::bsd::{MSG_DONTWAIT, MSG_ERRQUEUE, Message, socket_address, socket_address_bytes};

use super::Shared;
use super::socket::{Socket, State};
use crate::control;
use crate::protocol::{self, DATAGRAM_HEADER, FAILED, Reply};
use crate::sys;

/// A header and the longest datagram, bytes.
const PIECE: usize = DATAGRAM_HEADER + 65_535;

/// Errors told in a row before the next event: they are about datagrams that are gone.
const ERRORS: usize = 16;

/// The most that an error has of the text that it is about, bytes.
const QUOTED_MAX: usize = 64;

impl Shared {
    /// From the program to the stack.
    pub(super) fn send_datagrams(&self, socket: &Socket, state: &mut State) {
        let mut piece = [0; PIECE];
        loop {
            if state.outgoing.is_empty() {
                let Some(end) = &state.end else { return };
                match sys::recv(end.as_fd(), &mut piece) {
                    // The program sends no more, and may yet receive.
                    Ok(0) | Err(_) => return,
                    Ok(length) => state.outgoing.keep(&piece[..length]),
                }
            }
            let Some((header, text)) = state.outgoing.rest().split_at_checked(DATAGRAM_HEADER)
            else {
                state.outgoing.clear();
                continue;
            };
            let to = socket_address(header).unwrap_or_default().map(|to| self.in_scope(to));
            // The program's side has looked at them.
            let control = control::from_bytes(protocol::control(header)).unwrap_or_default();
            match self.bsd.sendmsg(socket.fd, text, MSG_DONTWAIT, to, &control) {
                Err(Errno::EAGAIN) => return,
                Err(error) => state.error = Some(error),
                Ok(_) => {}
            }
            state.outgoing.clear();
            // The first one has bound it.
            self.watch(socket, state);
        }
    }

    /// From the stack to the program.
    pub(super) fn receive_datagrams(&self, socket: &Socket, state: &mut State) {
        let mut piece = [0; PIECE];
        let mut errors = 0;
        loop {
            let Some(end) = &state.end else { return };
            if !state.incoming.is_empty() {
                match sys::send(end.as_fd(), state.incoming.rest()) {
                    Err(Errno::EAGAIN) => return,
                    Ok(_) | Err(_) => state.incoming.clear(),
                }
                continue;
            }
            if !state.is_watched || errors > ERRORS {
                return;
            }
            let text = &mut piece[DATAGRAM_HEADER..];
            let length = match self.bsd.recvmsg(socket.fd, text, MSG_DONTWAIT) {
                Ok(message) => {
                    piece[..DATAGRAM_HEADER].copy_from_slice(&header(&message));
                    DATAGRAM_HEADER + message.length
                }
                Err(Errno::EAGAIN) => return,
                Err(error) => {
                    errors += 1;
                    piece[..2].copy_from_slice(&FAILED.to_ne_bytes());
                    piece[4..8].copy_from_slice(&error.number().to_ne_bytes());
                    DATAGRAM_HEADER
                }
            };
            if sys::send(end.as_fd(), &piece[..length]) == Err(Errno::EAGAIN) {
                state.incoming.keep(&piece[..length]);
            }
        }
    }

    /// An error from the socket's queue.
    pub(super) fn take_error(&self, socket: &Socket) -> Reply {
        let mut text = [0; QUOTED_MAX];
        let message = self.bsd.recvmsg(socket.fd, &mut text, MSG_DONTWAIT | MSG_ERRQUEUE)?;
        Ok([&header(&message)[..], &text[..message.length]].concat())
    }
}

/// Who a datagram is from, and what comes beside its text.
fn header(message: &Message) -> [u8; DATAGRAM_HEADER] {
    let address = message.from.map(socket_address_bytes).unwrap_or_default();
    let is_v6 = message.from.is_some_and(|from| from.is_ipv6());
    protocol::header(&address, &control::to_bytes(&message.control, is_v6))
}
