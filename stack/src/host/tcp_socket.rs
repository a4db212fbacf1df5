//! A TCP connection as all the faces of the shell see it: calls that answer with an [`Errno`].

use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::block::Patience;
use super::errno::Errno;
use super::modes::Modes;
use super::runtime::Core;
use super::shard::Engine;
use super::sockaddr::destination;
use super::watch::Key;
use crate::tcp::tcb::More;
use crate::{
    Bytes, ConnectError, ConnectOptions, Instant, Readiness, RecvError, SendError, SocketId, State,
    Tcp, TcpId, TcpInfo, TcpOptions,
};

/// How often a closing socket that lingers looks whether all is acknowledged.
const LINGER_LOOK: Duration = Duration::from_millis(20);

/// One connection, owned: it is closed when this is dropped.
pub(crate) struct TcpSocket {
    pub(crate) core: Arc<Core>,
    pub(crate) id: TcpId,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) modes: Modes,
}

/// Which half of a connection to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Read,
    Write,
    Both,
}

impl TcpSocket {
    /// Sends the SYN. The connection is established, or has failed, once it is writable.
    pub(crate) fn start(
        core: &Arc<Core>,
        remote: SocketAddr,
        options: ConnectOptions,
    ) -> Result<TcpSocket, Errno> {
        let remote = destination(remote, options.local);
        let (id, local) = core.shard.call(|engine, now| {
            if engine.stopping {
                return Err(Errno::ESHUTDOWN);
            }
            let id = engine.stack.connect(now, remote, options).map_err(|error| match error {
                // Nobody can listen there.
                ConnectError::InvalidRemote if remote.port() == 0 => Errno::ECONNREFUSED,
                error => error.into(),
            })?;
            let local = engine.stack.tcp(id).map_or(remote, |socket| socket.local());
            Ok((id, local))
        })?;
        Ok(TcpSocket { core: Arc::clone(core), id, local, remote, modes: Modes::default() })
    }

    /// Waits until the connection is established.
    pub(crate) fn finish_connect(&self, patience: Patience<'_>) -> Result<(), Errno> {
        let answer = self.core.shard.block_on(self.write_key(), patience, |engine, _| {
            let Some(mut socket) = engine.stack.tcp(self.id) else {
                return Some(Err(Errno::ESHUTDOWN));
            };
            if matches!(socket.state(), State::SynSent | State::SynReceived) {
                // The SYN waits for the first text: there is nothing to wait for.
                return socket.readiness().contains(Readiness::WRITABLE).then_some(Ok(()));
            }
            Some(match socket.take_error() {
                Some(error) => Err(error.into()),
                None if socket.state() == State::Closed => Err(Errno::ECONNABORTED),
                None => Ok(()),
            })
        });
        answer?
    }

    pub(crate) fn socket_id(&self) -> SocketId {
        SocketId::Tcp(self.id)
    }

    pub(crate) fn read_key(&self) -> Key {
        Key::read(self.socket_id())
    }

    pub(crate) fn write_key(&self) -> Key {
        Key::write(self.socket_id())
    }

    /// Runs `call` on the connection, under the lock.
    pub(crate) fn with<T>(
        &self,
        call: impl FnOnce(&mut Tcp<'_>, Instant) -> T,
    ) -> Result<T, Errno> {
        self.core.shard.call(|engine, now| match engine.stack.tcp(self.id) {
            Some(mut socket) => Ok(call(&mut socket, now)),
            None => Err(Errno::ESHUTDOWN),
        })
    }

    /// One try at receiving: `take` is given the connection; `None` if it would block.
    pub(crate) fn try_recv(
        &self,
        engine: &mut Engine,
        now: Instant,
        take: impl FnOnce(&mut Tcp<'_>, Instant) -> Result<usize, RecvError>,
    ) -> Option<Result<usize, Errno>> {
        let Some(mut socket) = engine.stack.tcp(self.id) else {
            return Some(Err(Errno::ESHUTDOWN));
        };
        match take(&mut socket, now) {
            Ok(count) => Some(Ok(count)),
            Err(RecvError::WouldBlock) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Receives into `out`; 0 is the end of the stream.
    pub(crate) fn recv(&self, out: &mut [u8], patience: Patience<'_>) -> Result<usize, Errno> {
        if out.is_empty() {
            return Ok(0);
        }
        self.core.shard.block_on(self.read_key(), patience, |engine, now| {
            self.try_recv(engine, now, |socket, now| socket.recv(now, out))
        })?
    }

    /// Receives what `read` takes of all that is there.
    pub(crate) fn recv_with(
        &self,
        read: impl FnOnce([&[u8]; 2]) -> usize,
        patience: Patience<'_>,
    ) -> Result<usize, Errno> {
        let mut read = Some(read);
        self.core.shard.block_on(self.read_key(), patience, |engine, now| {
            self.try_recv(engine, now, |socket, now| {
                socket.recv_with(now, |text| read.take().map_or(0, |read| read(text)))
            })
        })?
    }

    /// Sends what `write` puts into the room for up to `most` bytes.
    pub(crate) fn send_with(
        &self,
        most: usize,
        write: impl FnOnce([&mut [u8]; 2]) -> usize,
        patience: Patience<'_>,
    ) -> Result<usize, Errno> {
        let mut write = Some(write);
        self.core.shard.block_on(self.write_key(), patience, |engine, now| {
            let write = |room: [&mut [u8]; 2]| write.take().map_or(0, |write| write(room));
            self.try_write(engine, |socket| socket.send_with(now, most, write))
        })?
    }

    /// Sends from the front of `text`, which is shared until the peer has it.
    pub(crate) fn send_shared(
        &self,
        text: &mut Bytes,
        more: More,
        patience: Patience<'_>,
    ) -> Result<usize, Errno> {
        self.core.shard.block_on(self.write_key(), patience, |engine, now| {
            self.try_write(engine, |socket| socket.share_as(now, more, text))
        })?
    }

    /// One try at sending: `give` is given the connection; `None` if it would block.
    fn try_write(
        &self,
        engine: &mut Engine,
        give: impl FnOnce(&mut Tcp<'_>) -> Result<usize, SendError>,
    ) -> Option<Result<usize, Errno>> {
        let Some(mut socket) = engine.stack.tcp(self.id) else {
            return Some(Err(Errno::ESHUTDOWN));
        };
        match give(&mut socket) {
            Err(SendError::WouldBlock) => None,
            answer => {
                engine.wrote(*answer.as_ref().unwrap_or(&0));
                Some(answer.map_err(Errno::from))
            }
        }
    }

    /// Receives into `out` and leaves the text where it is.
    pub(crate) fn peek(&self, out: &mut [u8], patience: Patience<'_>) -> Result<usize, Errno> {
        if out.is_empty() {
            return Ok(0);
        }
        self.core.shard.block_on(self.read_key(), patience, |engine, now| {
            self.try_recv(engine, now, |socket, _| socket.peek(out))
        })?
    }

    /// Queues what is left of `parts` after `sent` bytes, as far as there is room. After a part has
    /// gone the connection keeps its error: the call will tell of that part, another of the error,
    /// and a reader hears what has arrived first, as in Linux.
    fn try_send(
        &self,
        engine: &mut Engine,
        now: Instant,
        (parts, more): (&[IoSlice<'_>], More),
        sent: &mut usize,
    ) -> Option<Result<(), Errno>> {
        let Some(mut socket) = engine.stack.tcp(self.id) else {
            return Some(Err(Errno::ESHUTDOWN));
        };
        let mut skip = *sent;
        for part in parts {
            let mut rest = &part[skip.min(part.len())..];
            skip = skip.saturating_sub(part.len());
            while !rest.is_empty() {
                if *sent > 0 && socket.readiness().contains(Readiness::ERROR) {
                    return Some(Ok(()));
                }
                match socket.send_as(now, more, rest) {
                    Ok(0) | Err(SendError::WouldBlock) => return None,
                    Ok(count) => {
                        *sent += count;
                        rest = &rest[count..];
                    }
                    Err(error) => return Some(Err(error.into())),
                }
            }
        }
        Some(Ok(()))
    }

    /// Queues `bytes`: all of them, unless time runs out, an error comes up, or the socket does
    /// not block; then as many as went, and an error only if that is none.
    pub(crate) fn send(&self, bytes: &[u8], patience: Patience<'_>) -> Result<usize, Errno> {
        self.send_vectored(&[IoSlice::new(bytes)], More::Unknown, patience)
    }

    /// `send` of several parts as one: their segments do not end where a part does.
    pub(crate) fn send_vectored(
        &self,
        parts: &[IoSlice<'_>],
        more: More,
        patience: Patience<'_>,
    ) -> Result<usize, Errno> {
        let mut sent = 0;
        let answer = self.core.shard.block_on(self.write_key(), patience, |engine, now| {
            let answer = self.try_send(engine, now, (parts, more), &mut sent);
            engine.wrote(sent);
            // A task comes back by itself with the rest: a waker would wake it for nothing.
            let is_enough = sent > 0 && matches!(patience, Patience::Task(_));
            answer.or(is_enough.then_some(Ok(())))
        });
        match answer {
            Ok(Ok(())) => Ok(sent),
            Ok(Err(_)) | Err(_) if sent > 0 => Ok(sent),
            Ok(Err(errno)) => Err(errno),
            Err(why) => Err(why.into()),
        }
    }

    pub(crate) fn shutdown(&self, half: Half) -> Result<(), Errno> {
        let done = self.with(|socket, now| {
            if socket.state() == State::TimeWait {
                return Err(crate::NotConnected);
            }
            if half != Half::Write {
                socket.shutdown_read(now)?;
            }
            if half != Half::Read {
                socket.shutdown_write(now)?;
            }
            Ok(())
        })?;
        done.map_err(|_| Errno::ENOTCONN)
    }

    pub(crate) fn take_error(&self) -> Result<Option<Errno>, Errno> {
        self.with(|socket, _| socket.take_error().map(Errno::from))
    }

    pub(crate) fn options(&self) -> Result<TcpOptions, Errno> {
        self.with(|socket, _| socket.options())
    }

    /// Changes some of the options.
    pub(crate) fn adjust(&self, change: impl FnOnce(&mut TcpOptions)) -> Result<(), Errno> {
        self.with(|socket, now| {
            let mut options = socket.options();
            change(&mut options);
            socket.set_options(now, options);
        })
    }

    pub(crate) fn info(&self) -> Result<TcpInfo, Errno> {
        self.with(|socket, _| socket.info())
    }

    /// The remote end, once there is one and while there is.
    pub(crate) fn peer(&self) -> Result<SocketAddr, Errno> {
        match self.with(|socket, _| socket.state())? {
            State::Closed | State::SynSent | State::TimeWait => Err(Errno::ENOTCONN),
            _ => Ok(self.remote),
        }
    }

    /// Closing with a positive linger time blocks until the FIN is acknowledged, or that time is
    /// over; the connection then goes on by itself.
    fn linger(&self, time: Duration) {
        let Ok(Ok(())) = self.with(|socket, now| socket.shutdown_write(now)) else { return };
        let mut left = time;
        while !left.is_zero() {
            let slice = left.min(LINGER_LOOK);
            left -= slice;
            let key = self.write_key();
            let done = self.core.shard.block_on(key, Patience::For(slice), |engine, _| {
                let state = engine.stack.tcp(self.id).map(|socket| socket.state());
                let open = |state| {
                    matches!(
                        state,
                        State::FinWait1
                            | State::Closing
                            | State::LastAck
                            | State::Established
                            | State::CloseWait
                    )
                };
                (!state.is_some_and(open)).then_some(())
            });
            if done != Err(super::block::GaveUp::TimedOut) {
                return;
            }
        }
    }

    /// Closes, unless the socket is to linger first: then for how long, and nothing has happened.
    fn close(&self, may_linger: bool) -> Option<Duration> {
        self.core.shard.call(|engine, now| {
            if let Some(socket) = engine.stack.tcp(self.id) {
                let linger = socket.options().linger.filter(|time| may_linger && !time.is_zero());
                if linger.is_some() {
                    return linger;
                }
                socket.close(now);
            }
            engine.forget(SocketId::Tcp(self.id));
            None
        })
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        if let Some(time) = self.close(!std::thread::panicking()) {
            self.linger(time);
            self.close(false);
        }
    }
}
