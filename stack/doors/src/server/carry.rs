//! Carrying: what a program writes to the stack, and what the stack receives to the program.

use std::os::fd::AsFd;

use stack::host::Errno;
use stack::host::bsd::{MSG_DONTWAIT, SHUT_WR, SO_ERROR, SO_LINGER, SOL_SOCKET};

use super::Shared;
use super::socket::{Phase, Socket, State};
use crate::sys;

/// Bytes carried in one go.
const PIECE: usize = 64 << 10;

/// One direction cannot go on by itself.
pub(super) enum Rest {
    /// It waits for its next event, or has come to its end.
    Waits,
    /// The connection has failed.
    Failed(Errno),
}

impl Shared {
    /// Carries what can be carried in the directions that an event concerns.
    pub(super) fn carry(&self, socket: &Socket, outwards: bool, inwards: bool) {
        let mut state = socket.state();
        if let Phase::Connecting { .. } = state.phase {
            self.look_for_connection(socket, &mut state);
        }
        let state_now = state.phase;
        match state_now {
            Phase::Idle | Phase::Connecting { .. } => {}
            Phase::Listener => self.pass_connections(socket, &mut state),
            Phase::Datagram => {
                if outwards {
                    self.send_datagrams(socket, &mut state);
                }
                if inwards {
                    self.receive_datagrams(socket, &mut state);
                }
            }
            Phase::Stream => self.carry_stream(socket, &mut state, outwards, inwards),
        }
        let is_done = state.is_gone && (state.phase != Phase::Stream || state.has_finished);
        drop(state);
        if is_done {
            self.release(socket);
        }
    }

    fn carry_stream(&self, socket: &Socket, state: &mut State, outwards: bool, inwards: bool) {
        if outwards && let Rest::Failed(error) = self.carry_out(socket, state) {
            return self.fail(socket, state, error);
        }
        if inwards && let Rest::Failed(error) = self.carry_in(socket, state) {
            self.fail(socket, state, error);
        }
    }

    /// An error that a connection has survived (`IP_RECVERR`) waits for the program to ask, whose
    /// end of the pair goes on: false if it was the connection's end.
    fn is_survived(&self, socket: &Socket, state: &mut State, error: Errno) -> bool {
        let of_network = matches!(
            error,
            Errno::EHOSTUNREACH
                | Errno::ENETUNREACH
                | Errno::ECONNREFUSED
                | Errno::ENOPROTOOPT
                | Errno::EPROTO
        );
        let survived = of_network && self.bsd.getpeername(socket.fd).is_ok();
        if survived {
            state.error = Some(error);
            state.awaiting.tell();
        }
        survived
    }

    /// From the program to the stack.
    fn carry_out(&self, socket: &Socket, state: &mut State) -> Rest {
        let mut piece = [0; PIECE];
        loop {
            if !state.outgoing.is_empty() {
                match self.bsd.send(socket.fd, state.outgoing.rest(), MSG_DONTWAIT) {
                    Ok(count) => state.outgoing.consume(count),
                    Err(Errno::EAGAIN) => return Rest::Waits,
                    Err(error) if self.is_survived(socket, state, error) => {}
                    Err(error) => return Rest::Failed(error),
                }
                continue;
            }
            let Some(end) = &state.end else { return Rest::Waits };
            let length = match sys::recv(end.as_fd(), &mut piece) {
                Ok(0) => {
                    if !state.has_finished {
                        state.has_finished = true;
                        // It may have ended by itself.
                        let _ = self.bsd.shutdown(socket.fd, SHUT_WR);
                    }
                    return Rest::Waits;
                }
                Ok(length) => length,
                Err(Errno::ECONNRESET) => {
                    self.abort(socket, state);
                    return Rest::Waits;
                }
                Err(_) => return Rest::Waits,
            };
            match self.bsd.send(socket.fd, &piece[..length], MSG_DONTWAIT) {
                Ok(count) => {
                    if count < length {
                        state.outgoing.keep(&piece[count..length]);
                    }
                }
                Err(Errno::EAGAIN) => state.outgoing.keep(&piece[..length]),
                Err(error) if self.is_survived(socket, state, error) => {
                    state.outgoing.keep(&piece[..length]);
                }
                Err(error) => return Rest::Failed(error),
            }
        }
    }

    /// From the stack to the program.
    fn carry_in(&self, socket: &Socket, state: &mut State) -> Rest {
        let mut piece = [0; PIECE];
        loop {
            let Some(end) = &state.end else { return Rest::Waits };
            if !state.incoming.is_empty() {
                match sys::send(end.as_fd(), state.incoming.rest()) {
                    Ok(count) => state.incoming.consume(count),
                    Err(Errno::EAGAIN) => return Rest::Waits,
                    // The program reads no more: what comes is for nobody.
                    Err(_) => state.incoming.clear(),
                }
                continue;
            }
            let length = match self.bsd.recv(socket.fd, &mut piece, MSG_DONTWAIT) {
                Ok(0) => {
                    if !state.has_ended {
                        state.has_ended = true;
                        let _ = sys::shutdown(end.as_fd(), libc::SHUT_WR);
                    }
                    return Rest::Waits;
                }
                Ok(length) => length,
                Err(Errno::EAGAIN) => return Rest::Waits,
                Err(error) if self.is_survived(socket, state, error) => continue,
                Err(error) => return Rest::Failed(error),
            };
            match sys::send(end.as_fd(), &piece[..length]) {
                Ok(count) if count == length => {}
                Ok(count) => state.incoming.keep(&piece[count..length]),
                Err(Errno::EAGAIN) => state.incoming.keep(&piece[..length]),
                Err(_) => {}
            }
        }
    }

    /// The program has closed what still had text for it: as in Linux the peer gets a reset.
    fn abort(&self, socket: &Socket, state: &mut State) {
        let at_once = [1_i32.to_ne_bytes(), 0_i32.to_ne_bytes()].concat();
        let _ = self.bsd.setsockopt(socket.fd, SOL_SOCKET, SO_LINGER, &at_once);
        (state.is_gone, state.has_finished) = (true, true);
    }

    /// The connection has failed: the program's end comes to its own, and the error waits for the
    /// program to ask.
    fn fail(&self, socket: &Socket, state: &mut State, error: Errno) {
        let told = self.bsd.get_int(socket.fd, SOL_SOCKET, SO_ERROR).unwrap_or(0);
        let error = if told == 0 { error } else { Errno::from_number(told) };
        // EPIPE is what the program gets from its own end.
        state.error = Some(error).filter(|&error| error != Errno::EPIPE);
        log::debug!("socket {}: {error}", socket.number);
        state.end = None;
        state.awaiting.clear();
        state.has_finished = true;
        if !state.is_gone {
            self.bury(socket);
        }
    }

    /// Whether the attempt to connect has come to its end.
    fn look_for_connection(&self, socket: &Socket, state: &mut State) {
        let Phase::Connecting { remote, stuffing } = state.phase else { return };
        let (phase, error) = match self.bsd.connect(socket.fd, remote) {
            Err(Errno::EALREADY | Errno::EINPROGRESS) if !state.is_gone => return,
            Ok(()) | Err(Errno::EISCONN) => (Phase::Stream, None),
            Err(error) => (Phase::Idle, Some(error)),
        };
        (state.phase, state.error) = (phase, error);
        if error.is_some() {
            // The next attempt is another socket of the engine.
            state.is_watched = false;
        }
        state.unstuff(stuffing);
        state.connecting.tell();
    }
}

impl State {
    /// Makes the program's end writable again.
    fn unstuff(&mut self, mut count: usize) {
        let Some(end) = &self.end else { return };
        let mut piece = [0; PIECE];
        while count > 0 {
            let most = count.min(PIECE);
            match sys::recv(end.as_fd(), &mut piece[..most]) {
                Ok(length) if length > 0 => count -= length,
                _ => return,
            }
        }
    }
}
