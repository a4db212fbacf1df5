//! Options of sockets, `ioctl` and `fcntl`. What is not supported fails, and never succeeds in
//! silence.

use stack::TcpInfo;
use stack::host::Errno;
use stack::host::bsd::{self, set_tcp_option, tcp_info_bytes, tcp_option};

use crate::door::Door;
use crate::kernel;
use crate::table::{Kind, Role, Sock};
use crate::world::World;

/// `recvmsg` tells how much is left to read; Linux's TCP_INQ and TCP_CM_INQ.
pub(crate) const TCP_INQ: i32 = 36;
/// ENOTTY: no such request here.
const ENOTTY: Errno = Errno::from_number(libc::ENOTTY);

/// Text that is queued and not yet sent: Linux's SIOCOUTQNSD.
const SIOCOUTQNSD: u64 = 0x894b;

/// Fields of SO_MEMINFO: what is held to be read, and to be sent, with their limits.
const MEMINFO_FIELDS: usize = 9;
const RMEM_ALLOC: usize = 0;
const RCVBUF: usize = 1;
const WMEM_ALLOC: usize = 2;
const SNDBUF: usize = 3;
const WMEM_QUEUED: usize = 5;

fn int(value: &[u8]) -> Result<i32, Errno> {
    let bytes = value.get(..4).and_then(|bytes| bytes.try_into().ok());
    bytes.map(i32::from_ne_bytes).ok_or(Errno::EINVAL)
}

/// The value of an option that is an int, or for IP also a byte (ip(7)).
fn number(level: i32, value: &[u8]) -> Result<i32, Errno> {
    match value {
        [byte, ..] if level == libc::IPPROTO_IP && value.len() < 4 => Ok((*byte).into()),
        _ => int(value),
    }
}

fn small(value: usize) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

impl World {
    fn info(&mut self, sock: &Sock) -> Option<TcpInfo> {
        let id = sock.stream()?;
        self.stack.tcp(id).map(|tcp| tcp.info())
    }

    /// Changes the options of a stream: of the connection, or of what will be one.
    fn change_tcp(
        &mut self,
        fd: i32,
        change: impl FnOnce(&mut stack::TcpOptions) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let now = self.instant();
        let sock = self.sock(fd)?;
        if sock.kind == Kind::Datagram {
            return Err(Errno::ENOPROTOOPT);
        }
        change(&mut sock.tcp)?;
        sock.changed = true;
        let (options, id) = (sock.tcp, sock.stream());
        if let Some(mut tcp) = id.and_then(|id| self.stack.tcp(id)) {
            tcp.set_options(now, options);
        }
        Ok(())
    }

    /// Tells the listener, if it is one, what Fast Open may do now.
    fn change_listener(&mut self, fd: i32) -> Result<(), Errno> {
        let sock = self.sock(fd)?;
        let fast_open = sock.fast_open;
        if let Role::Listener(id) = sock.role {
            self.stack.set_fast_open(id, fast_open);
        }
        Ok(())
    }

    fn set(&mut self, fd: i32, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        let sock = self.sock(fd)?;
        match (level, name) {
            (libc::SOL_SOCKET, libc::SO_RCVTIMEO) => sock.receive_timeout = bsd::timeval(value)?,
            (libc::SOL_SOCKET, libc::SO_SNDTIMEO) => sock.send_timeout = bsd::timeval(value)?,
            (libc::SOL_SOCKET, libc::SO_REUSEADDR) => sock.reuse = int(value)? != 0,
            (libc::SOL_SOCKET, libc::SO_LINGER) => {
                let linger = bsd::linger(value)?;
                return self.change_tcp(fd, |options| {
                    options.linger = linger;
                    Ok(())
                });
            }
            (libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE) => {
                let rate = bsd::pacing_rate(value)?;
                return self.change_tcp(fd, |options| {
                    options.max_pacing_rate = rate;
                    Ok(())
                });
            }
            (libc::IPPROTO_TCP, libc::TCP_CONGESTION) => {
                let algorithm = bsd::congestion(value)?;
                return self.change_tcp(fd, |options| {
                    options.congestion = Some(algorithm);
                    Ok(())
                });
            }
            (libc::IPPROTO_TCP, libc::TCP_FASTOPEN) if sock.kind == Kind::Stream => {
                sock.fast_open.pending_max =
                    usize::try_from(int(value)?).map_err(|_| Errno::EINVAL)?;
                return self.change_listener(fd);
            }
            (libc::IPPROTO_TCP, bsd::TCP_FASTOPEN_KEY) if sock.kind == Kind::Stream => {
                sock.fast_open.keys = Some(bsd::fast_open_keys(value)?);
                return self.change_listener(fd);
            }
            (libc::IPPROTO_TCP, TCP_INQ) if sock.kind == Kind::Stream => {
                sock.inq = match int(value)? {
                    on @ (0 | 1) => on == 1,
                    _ => return Err(Errno::EINVAL),
                };
            }
            _ if sock.kind == Kind::Stream => {
                let value = number(level, value)?;
                return self.change_tcp(fd, |it| set_tcp_option(it, level, name, value));
            }
            _ => return self.set_udp(fd, level, name, number(level, value)?),
        }
        Ok(())
    }

    fn set_udp(&mut self, fd: i32, level: i32, name: i32, value: i32) -> Result<(), Errno> {
        let sock = self.sock(fd)?;
        let size = usize::try_from(value).unwrap_or(0);
        match (level, name) {
            (libc::SOL_SOCKET, libc::SO_BROADCAST) => sock.udp.broadcast = value != 0,
            (libc::SOL_SOCKET, libc::SO_SNDBUF) => sock.udp.send_buffer = size,
            (libc::SOL_SOCKET, libc::SO_RCVBUF) => sock.udp.receive_buffer = size,
            (libc::IPPROTO_IP, libc::IP_TTL) => {
                let ttl = u8::try_from(value).ok().filter(|ttl| *ttl > 0);
                sock.udp.ttl = ttl.ok_or(Errno::EINVAL)?;
            }
            (libc::IPPROTO_IP, libc::IP_TOS) => sock.udp.tos = value as u8,
            _ => return Err(Errno::ENOPROTOOPT),
        }
        let options = sock.udp;
        if let Role::Datagram(id) = sock.role
            && let Some(mut udp) = self.stack.udp(id)
        {
            udp.set_options(options);
        }
        Ok(())
    }

    fn get(&mut self, fd: i32, level: i32, name: i32) -> Result<Vec<u8>, Errno> {
        let sock = self.sock(fd)?.clone();
        let stream = sock.kind == Kind::Stream;
        let number = match (level, name) {
            (libc::SOL_SOCKET, libc::SO_RCVTIMEO) => {
                return Ok(bsd::timeval_bytes(sock.receive_timeout));
            }
            (libc::SOL_SOCKET, libc::SO_SNDTIMEO) => {
                return Ok(bsd::timeval_bytes(sock.send_timeout));
            }
            (libc::SOL_SOCKET, libc::SO_LINGER) if stream => {
                return Ok(bsd::linger_bytes(sock.tcp.linger));
            }
            (libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE) if stream => {
                return Ok(bsd::pacing_rate_bytes(sock.tcp.max_pacing_rate, 8));
            }
            (libc::SOL_SOCKET, libc::SO_MEMINFO) if stream => return Ok(self.memory(&sock)),
            (libc::IPPROTO_TCP, libc::TCP_INFO) if stream => return Ok(self.info_bytes(&sock)),
            (libc::IPPROTO_TCP, libc::TCP_CONGESTION) if stream => {
                let default = self.stack.config().tcp.congestion;
                return Ok(bsd::congestion_bytes(sock.tcp.congestion.unwrap_or(default)));
            }
            // Linux has nothing to tell of CUBIC and Reno here, and says so with a length of 0.
            (libc::IPPROTO_TCP, libc::TCP_CC_INFO) if stream => return Ok(Vec::new()),
            (libc::IPPROTO_TCP, TCP_INQ) if stream => sock.inq.into(),
            (libc::IPPROTO_TCP, libc::TCP_FASTOPEN) if stream => small(sock.fast_open.pending_max),
            (libc::SOL_SOCKET, libc::SO_TYPE) if stream => libc::SOCK_STREAM,
            (libc::SOL_SOCKET, libc::SO_TYPE) => libc::SOCK_DGRAM,
            (libc::SOL_SOCKET, libc::SO_PROTOCOL) if stream => libc::IPPROTO_TCP,
            (libc::SOL_SOCKET, libc::SO_PROTOCOL) => libc::IPPROTO_UDP,
            (libc::SOL_SOCKET, libc::SO_DOMAIN) => sock.domain,
            (libc::SOL_SOCKET, libc::SO_REUSEADDR) => sock.reuse.into(),
            (libc::SOL_SOCKET, libc::SO_ACCEPTCONN) => {
                matches!(sock.role, Role::Listener(_)).into()
            }
            (libc::SOL_SOCKET, libc::SO_ERROR) => self.pending_error(fd)?,
            _ if stream => {
                let info = self.info(&sock);
                tcp_option(&sock.tcp, info.as_ref(), level, name)?
            }
            (libc::SOL_SOCKET, libc::SO_BROADCAST) => sock.udp.broadcast.into(),
            (libc::SOL_SOCKET, libc::SO_SNDBUF) => small(sock.udp.send_buffer),
            (libc::SOL_SOCKET, libc::SO_RCVBUF) => small(sock.udp.receive_buffer),
            (libc::IPPROTO_IP, libc::IP_TTL) => sock.udp.ttl.into(),
            (libc::IPPROTO_IP, libc::IP_TOS) => sock.udp.tos.into(),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(number.to_ne_bytes().to_vec())
    }

    fn info_bytes(&mut self, sock: &Sock) -> Vec<u8> {
        if let Role::Listener(id) = sock.role {
            let (pending, backlog) =
                self.stack.listener(id).map_or((0, 0), |it| (it.pending, it.backlog));
            return bsd::listener_info_bytes(pending, backlog);
        }
        match self.info(sock) {
            Some(info) => tcp_info_bytes(&info, self.instant()),
            None => bsd::idle_info_bytes(),
        }
    }

    fn memory(&mut self, sock: &Sock) -> Vec<u8> {
        let mut fields = [0u32; MEMINFO_FIELDS];
        let Some(info) = self.info(sock) else { return vec![0; MEMINFO_FIELDS * 4] };
        for (field, bytes) in [
            (RMEM_ALLOC, info.unread),
            (RCVBUF, info.receive_buffer),
            (WMEM_ALLOC, info.unsent),
            (SNDBUF, info.send_buffer),
            (WMEM_QUEUED, info.unsent),
        ] {
            fields[field] = u32::try_from(bytes).unwrap_or(u32::MAX);
        }
        fields.iter().flat_map(|field| field.to_ne_bytes()).collect()
    }

    fn pending_error(&mut self, fd: i32) -> Result<i32, Errno> {
        let sock = self.sock(fd)?;
        if let Some(errno) = sock.deferred.take() {
            return Ok(errno.number());
        }
        let (role, stream) = (sock.role, sock.stream());
        let error = match role {
            Role::Datagram(id) => {
                self.stack.udp(id).and_then(|mut udp| udp.take_error()).map(Errno::from)
            }
            _ => stream
                .and_then(|id| self.stack.tcp(id))
                .and_then(|mut tcp| tcp.take_error())
                .map(Errno::from),
        };
        Ok(error.map_or(0, Errno::number))
    }

    /// The requests about queues: FIONREAD (SIOCINQ), TIOCOUTQ (SIOCOUTQ), SIOCOUTQNSD.
    fn queued(&mut self, fd: i32, request: u64) -> Result<i32, Errno> {
        let sock = self.sock(fd)?.clone();
        let info = self.info(&sock);
        let bytes = match (request, sock.role) {
            (_, Role::Listener(_)) => return Err(Errno::EINVAL),
            (libc::FIONREAD, Role::Datagram(id)) => {
                self.stack.udp(id).and_then(|udp| udp.next_len()).unwrap_or(0)
            }
            (libc::FIONREAD, _) => info.map_or(0, |info| info.unread),
            (libc::TIOCOUTQ, _) => info.map_or(0, |info| info.unsent),
            (SIOCOUTQNSD, _) => {
                info.map_or(0, |info| info.unsent.saturating_sub(info.in_flight as usize))
            }
            _ => return Err(ENOTTY),
        };
        Ok(small(bytes))
    }
}

/// What an `ioctl` does with its pointer to an int.
pub(crate) enum Request {
    /// Stores this there.
    Store(i32),
    /// Has read it: 0 or not 0 for FIONBIO.
    Taken,
}

impl Door {
    pub(crate) fn setsockopt(
        &self,
        fd: i32,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<(), Errno> {
        self.call(|world| world.set(fd, level, name, value))
    }

    pub(crate) fn getsockopt(&self, fd: i32, level: i32, name: i32) -> Result<Vec<u8>, Errno> {
        self.call(|world| world.get(fd, level, name))
    }

    /// AF_INET or AF_INET6; AF_INET for what is no socket.
    pub(crate) fn domain(&self, fd: i32) -> i32 {
        self.call(|world| world.sock(fd).map_or(libc::AF_INET, |sock| sock.domain))
    }

    pub(crate) fn is_sock(&self, fd: i32) -> bool {
        self.call(|world| world.socks.contains_key(&fd))
    }

    pub(crate) fn ioctl(&self, fd: i32, request: u64, given: i32) -> Result<Request, Errno> {
        self.call(|world| match request {
            libc::FIONBIO => {
                world.sock(fd)?.nonblocking = given != 0;
                Ok(Request::Taken)
            }
            _ => world.queued(fd, request).map(Request::Store),
        })
    }

    pub(crate) fn fcntl(&self, fd: i32, command: i32, argument: i64) -> Result<i32, Errno> {
        let ours = self.is_sock(fd);
        match command {
            libc::F_GETFL if ours => self.call(|world| {
                let nonblocking = world.sock(fd)?.nonblocking;
                Ok(libc::O_RDWR | if nonblocking { libc::O_NONBLOCK } else { 0 })
            }),
            libc::F_SETFL if ours => self.call(|world| {
                world.sock(fd)?.nonblocking = argument & i64::from(libc::O_NONBLOCK) != 0;
                Ok(0)
            }),
            // A copy of the placeholder would be no copy of the socket.
            libc::F_DUPFD | libc::F_DUPFD_CLOEXEC if ours => Err(Errno::EOPNOTSUPP),
            _ => kernel::fcntl(fd, command, argument),
        }
    }
}
