//! Datagrams, each behind a header with its address.

use std::os::fd::AsFd;

use stack::host::Errno;
use stack::host::bsd::{MSG_DONTWAIT, socket_address, socket_address_bytes};

use super::Shared;
use super::socket::{Socket, State};
use crate::protocol::{DATAGRAM_HEADER, FAILED};
use crate::sys;

/// A header and the longest datagram, bytes.
const PIECE: usize = DATAGRAM_HEADER + 65_535;

/// Errors told in a row before the next event: they are about datagrams that are gone.
const ERRORS: usize = 16;

impl Shared {
    /// From the program to the stack.
    pub(super) fn send_datagrams(&self, socket: &Socket, state: &mut State) {
        let mut piece = [0; PIECE];
        loop {
            if state.outgoing.is_empty() {
                let Some(end) = &state.end else { return };
                match sys::recv(end.as_fd(), &mut piece) {
                    Ok(0) => {
                        state.is_gone = true;
                        return;
                    }
                    Ok(length) => state.outgoing.keep(&piece[..length]),
                    Err(_) => return,
                }
            }
            let Some((header, text)) = state.outgoing.rest().split_at_checked(DATAGRAM_HEADER)
            else {
                state.outgoing.clear();
                continue;
            };
            let to = socket_address(header).unwrap_or_default();
            match self.bsd.sendto(socket.fd, text, MSG_DONTWAIT, to) {
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
            let length = match self.bsd.recvfrom(socket.fd, text, MSG_DONTWAIT) {
                Ok((length, from)) => {
                    let mut header = from.map(socket_address_bytes).unwrap_or_default();
                    header.resize(DATAGRAM_HEADER, 0);
                    piece[..DATAGRAM_HEADER].copy_from_slice(&header);
                    DATAGRAM_HEADER + length
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
}
