//! getsockopt and setsockopt: values are bytes in Linux's layouts. An option that is not
//! supported is ENOPROTOOPT, never a silent success.

use std::time::Duration;

use super::interfaces::bound;
use super::ping::{get_ping_int, set_ping_int};
use super::socket::{Kind, Role, Sock, State};
use super::tcp_info;
use super::*;
use crate::host::errno::Errno;
use crate::{
    Congestion, FastOpen, FastOpenKeys, InterfaceId, ListenFastOpen, MtuDiscovery, TcpConfig,
    TcpInfo, TcpOptions, UdpOptions,
};

/// The largest of the keepalive times, seconds, as in Linux.
const KEEP_SECONDS_MAX: i32 = 32_767;
const KEEP_COUNT_MAX: i32 = 127;

/// Linux doubles what it is asked for, for it counts what it needs beside the text, and programs
/// that read a buffer's size expect that (socket(7)). It needs little in sending, so the buffer
/// holds nearly twice as much text; in receiving the window is half.
const OVERHEAD: usize = 2;

/// What datagrams have at least, as in Linux on a machine of 64 bits: SOCK_MIN_RCVBUF, one short
/// datagram with all that it costs there, and SOCK_MIN_SNDBUF.
const RECEIVE_LEAST: usize = 2304;
const SEND_LEAST: usize = 2 * RECEIVE_LEAST;

/// Linux's TCP_CA_NAME_MAX.
const CONGESTION_NAME_MAX: usize = 16;

impl Bsd {
    /// Sets an option from the bytes that C programs would give.
    ///
    /// # Errors
    /// EBADF, ENOPROTOOPT for an option that is not supported or cannot be set, EINVAL for a value
    /// too short or out of range, EDOM for such a time-out, ENOENT for an unknown congestion
    /// control.
    pub fn setsockopt(&self, fd: i32, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        let sock = self.sock(fd)?;
        match (level, name) {
            (SOL_SOCKET, SO_RCVTIMEO) => sock.modes.set_read_timeout(timeval(value)?),
            (SOL_SOCKET, SO_SNDTIMEO) => sock.modes.set_write_timeout(timeval(value)?),
            (SOL_SOCKET, SO_LINGER) => {
                let linger = linger(value)?;
                change_tcp(&sock, |options| {
                    options.linger = linger;
                    Ok(())
                })
            }
            (SOL_SOCKET, SO_MAX_PACING_RATE) => {
                let rate = pacing_rate(value)?;
                change_tcp(&sock, |options| {
                    options.max_pacing_rate = rate;
                    Ok(())
                })
            }
            (IPPROTO_TCP, TCP_CONGESTION) => {
                let algorithm = congestion(value)?;
                change_tcp(&sock, |options| {
                    options.congestion = Some(algorithm);
                    Ok(())
                })
            }
            (IPPROTO_TCP, TCP_FASTOPEN) => {
                let most = usize::try_from(int(value, 0)?).map_err(|_| Errno::EINVAL)?;
                change_listener(&sock, |it| it.pending_max = most)
            }
            (IPPROTO_TCP, TCP_FASTOPEN_KEY) => {
                let keys = fast_open_keys(value)?;
                change_listener(&sock, |it| it.keys = Some(keys))
            }
            (IPPROTO_TCP, TCP_FASTOPEN_CONNECT) if sock.kind == Kind::Stream => {
                self.has_fast_open()?;
                set_int(&sock, level, name, int(value, 0)?)
            }
            _ => {
                let set = self.set_interface(&sock, level, name, value);
                let set = set.or_else(|| self.set_group(&sock, level, name, value));
                let set = set.or_else(|| self.set_sources(&sock, level, name, value));
                set.unwrap_or_else(|| set_int(&sock, level, name, number(level, value)?))
            }
        }
    }

    /// Clients may use Fast Open.
    pub(super) fn has_fast_open(&self) -> Result<(), Errno> {
        let modes = self.core.shard.lock().stack.config().tcp.fast_open;
        if modes.has(FastOpen::CLIENT) { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
    }

    /// The keys of a listener's cookies, or of what will be one.
    fn listen_keys(&self, sock: &Sock) -> FastOpenKeys {
        let own = sock.state().fast_open.keys;
        let common = || self.core.shard.call(|engine, now| engine.stack.fast_open_keys(now, None));
        own.unwrap_or_else(common)
    }

    /// `setsockopt` of an int.
    ///
    /// # Errors
    /// Those of [`setsockopt`](Self::setsockopt).
    pub fn set_int(&self, fd: i32, level: i32, name: i32, value: i32) -> Result<(), Errno> {
        self.setsockopt(fd, level, name, &value.to_ne_bytes())
    }

    /// Reads an option into `out`, cut to its length, and returns how many bytes that were. Of
    /// `IP_MSFILTER` and `MCAST_MSFILTER` it says before of which group, and how many sources it
    /// has room for.
    ///
    /// # Errors
    /// EBADF, ENOPROTOOPT for an option that is not supported, EOPNOTSUPP where none of its level
    /// is; EADDRNOTAVAIL for a group that was not joined.
    pub fn getsockopt(
        &self,
        fd: i32,
        level: i32,
        name: i32,
        out: &mut [u8],
    ) -> Result<usize, Errno> {
        let sock = self.sock(fd)?;
        if let Some(told) = self.sources(&sock, level, name, out) {
            return told;
        }
        let value = match (level, name) {
            (SOL_SOCKET, SO_RCVTIMEO) => timeval_bytes(sock.modes.read_timeout()),
            (SOL_SOCKET, SO_SNDTIMEO) => timeval_bytes(sock.modes.write_timeout()),
            (SOL_SOCKET, SO_LINGER) => linger_bytes(tcp_options(&sock)?.linger),
            (SOL_SOCKET, SO_MAX_PACING_RATE) => {
                pacing_rate_bytes(tcp_options(&sock)?.max_pacing_rate, out.len())
            }
            (SOL_SOCKET, SO_BINDTODEVICE) => self.bound_name(&sock)?,
            (IPPROTO_IP, IP_MULTICAST_IF) if sock.kind == Kind::Datagram => {
                sock.state().multicast_address.octets().to_vec()
            }
            (IPPROTO_TCP, TCP_INFO) => info_bytes(&sock)?,
            (IPPROTO_TCP, TCP_CONGESTION) => congestion_bytes(self.congestion(&sock)?),
            (IPPROTO_TCP, TCP_FASTOPEN) if sock.kind == Kind::Stream => {
                let most = sock.state().fast_open.pending_max;
                i32::try_from(most).unwrap_or(i32::MAX).to_ne_bytes().to_vec()
            }
            (IPPROTO_TCP, TCP_FASTOPEN_KEY) if sock.kind == Kind::Stream => {
                fast_open_key_bytes(&self.listen_keys(&sock))
            }
            _ if !has_level(&sock, level) => return Err(Errno::EOPNOTSUPP),
            _ => get_int(&sock, level, name)?.to_ne_bytes().to_vec(),
        };
        let length = value.len().min(out.len());
        out[..length].copy_from_slice(&value[..length]);
        Ok(length)
    }

    /// `getsockopt` of an int.
    ///
    /// # Errors
    /// Those of [`getsockopt`](Self::getsockopt).
    pub fn get_int(&self, fd: i32, level: i32, name: i32) -> Result<i32, Errno> {
        let mut value = [0; 4];
        self.getsockopt(fd, level, name, &mut value)?;
        Ok(i32::from_ne_bytes(value))
    }

    /// The congestion control of a connection, or of what will be one.
    fn congestion(&self, sock: &Sock) -> Result<Congestion, Errno> {
        let default = || self.core.shard.ask(|engine| engine.stack.config().tcp.congestion);
        Ok(tcp_options(sock)?.congestion.unwrap_or_else(default))
    }

    /// Bytes that can be received without blocking: of a stream all, of datagrams the next
    /// (Linux's FIONREAD).
    ///
    /// # Errors
    /// EBADF, EINVAL for a listener.
    pub fn unread(&self, fd: i32) -> Result<usize, Errno> {
        match &self.sock(fd)?.state().role {
            Role::Idle => Ok(0),
            Role::Connecting(socket) | Role::Stream(socket) => socket.with(|it, _| it.unread()),
            Role::Datagram(socket) => socket.with(|it| it.next_len().unwrap_or(0)),
            Role::Ping(socket) => socket.unread(),
            Role::Listener(_) => Err(Errno::EINVAL),
        }
    }
}

/// Whether the socket has options of this level.
fn has_level(sock: &Sock, level: i32) -> bool {
    match level {
        SOL_SOCKET | IPPROTO_IP => true,
        IPPROTO_IPV6 => sock.family == Family::V6,
        IPPROTO_TCP => sock.kind == Kind::Stream,
        IPPROTO_UDP => sock.kind == Kind::Datagram,
        _ => false,
    }
}

/// The int at `index` of a value.
pub(super) fn int(value: &[u8], index: usize) -> Result<i32, Errno> {
    let bytes = value.get(index * 4..index * 4 + 4).and_then(|bytes| bytes.try_into().ok());
    Ok(i32::from_ne_bytes(bytes.ok_or(Errno::EINVAL)?))
}

/// An int, or of IPv4's options a byte, as in BSD and Linux.
fn number(level: i32, value: &[u8]) -> Result<i32, Errno> {
    match value {
        [byte, ..] if level == IPPROTO_IP && value.len() < 4 => Ok((*byte).into()),
        _ => int(value, 0),
    }
}

fn long(value: &[u8], index: usize) -> Result<i64, Errno> {
    let bytes = value.get(index * 8..index * 8 + 8).and_then(|bytes| bytes.try_into().ok());
    Ok(i64::from_ne_bytes(bytes.ok_or(Errno::EINVAL)?))
}

/// The time-out in a `struct timeval`; zero is none.
///
/// # Errors
/// EINVAL for a value too short, EDOM for microseconds out of range.
pub fn timeval(value: &[u8]) -> Result<Option<Duration>, Errno> {
    let (seconds, micros) = (long(value, 0)?, long(value, 1)?);
    let micros = u32::try_from(micros).ok().filter(|&it| it < 1_000_000).ok_or(Errno::EDOM)?;
    // A negative time is no time at all, in Linux: the call does not block. One nanosecond is.
    let Ok(seconds) = u64::try_from(seconds) else { return Ok(Some(Duration::from_nanos(1))) };
    let time = Duration::new(seconds, micros * 1000);
    Ok((!time.is_zero()).then_some(time))
}

/// A time-out as a `struct timeval`.
pub fn timeval_bytes(time: Option<Duration>) -> Vec<u8> {
    let time = time.unwrap_or_default();
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    [seconds.to_ne_bytes(), i64::from(time.subsec_micros()).to_ne_bytes()].concat()
}

/// What a `struct linger` says: `TcpOptions::linger`.
///
/// # Errors
/// EINVAL for a value too short.
pub fn linger(value: &[u8]) -> Result<Option<Duration>, Errno> {
    let (on, seconds) = (int(value, 0)?, int(value, 1)?);
    let seconds = u64::try_from(seconds).unwrap_or(0);
    Ok((on != 0).then(|| Duration::from_secs(seconds)))
}

/// `TcpOptions::linger` as a `struct linger`.
pub fn linger_bytes(linger: Option<Duration>) -> Vec<u8> {
    let seconds = linger.unwrap_or_default().as_secs();
    let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
    [i32::from(linger.is_some()).to_ne_bytes(), seconds.to_ne_bytes()].concat()
}

/// `TcpOptions::max_pacing_rate` from an unsigned int, or from 64 bits where there are so many.
///
/// # Errors
/// EINVAL for a value too short.
pub fn pacing_rate(value: &[u8]) -> Result<Option<u64>, Errno> {
    let short = int(value, 0)? as u32;
    let rate = match long(value, 0) {
        Ok(rate) => rate as u64,
        Err(_) if short == u32::MAX => u64::MAX,
        Err(_) => short.into(),
    };
    Ok((rate != u64::MAX).then_some(rate))
}

/// `TcpOptions::max_pacing_rate` for a place of `room` bytes.
pub fn pacing_rate_bytes(rate: Option<u64>, room: usize) -> Vec<u8> {
    let rate = rate.unwrap_or(u64::MAX);
    if room >= 8 {
        return rate.to_ne_bytes().to_vec();
    }
    u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes().to_vec()
}

/// The keys of Fast Open's cookies: 16 bytes for one, 32 for one and the one before it.
///
/// # Errors
/// EINVAL for another length.
pub fn fast_open_keys(value: &[u8]) -> Result<FastOpenKeys, Errno> {
    let (current, previous) = value.split_first_chunk().ok_or(Errno::EINVAL)?;
    let previous = match previous {
        [] => None,
        key => Some(key.try_into().map_err(|_| Errno::EINVAL)?),
    };
    Ok(FastOpenKeys { current: *current, previous })
}

/// The keys of Fast Open's cookies, as [`fast_open_keys`] reads them.
pub fn fast_open_key_bytes(keys: &FastOpenKeys) -> Vec<u8> {
    [&keys.current[..], keys.previous.as_ref().map_or(&[], |key| &key[..])].concat()
}

/// The congestion control that a name of at most 15 bytes means, which may end with a zero.
///
/// # Errors
/// ENOENT for a name that no algorithm has.
pub fn congestion(value: &[u8]) -> Result<Congestion, Errno> {
    let name = value.iter().take(CONGESTION_NAME_MAX - 1).take_while(|&&byte| byte != 0);
    let name: Vec<u8> = name.copied().collect();
    let name = core::str::from_utf8(&name).map_err(|_| Errno::ENOENT)?;
    name.parse().map_err(|_| Errno::ENOENT)
}

/// The name of a congestion control, with zeros up to 16 bytes.
pub fn congestion_bytes(algorithm: Congestion) -> Vec<u8> {
    let mut name = algorithm.name().as_bytes().to_vec();
    name.resize(CONGESTION_NAME_MAX, 0);
    name
}

/// Changes TCP options, of the connection or of what will be one.
fn change_tcp(
    sock: &Sock,
    change: impl FnOnce(&mut TcpOptions) -> Result<(), Errno>,
) -> Result<(), Errno> {
    if sock.kind != Kind::Stream {
        return Err(Errno::ENOPROTOOPT);
    }
    let mut state = sock.state();
    let mut options = state.tcp_options()?;
    change(&mut options)?;
    state.tcp = options;
    match &state.role {
        Role::Connecting(socket) | Role::Stream(socket) => {
            socket.adjust(|current| *current = options)
        }
        Role::Listener(_) => {
            state.changed = true;
            Ok(())
        }
        Role::Idle | Role::Datagram(_) | Role::Ping(_) => Ok(()),
    }
}

/// Changes what a listener, or what will be one, does with Fast Open.
fn change_listener(sock: &Sock, change: impl FnOnce(&mut ListenFastOpen)) -> Result<(), Errno> {
    if sock.kind != Kind::Stream {
        return Err(Errno::ENOPROTOOPT);
    }
    let mut state = sock.state();
    match &state.role {
        Role::Idle | Role::Listener(_) => change(&mut state.fast_open),
        _ => return Err(Errno::EINVAL),
    }
    if let Role::Listener(listener) = &state.role {
        listener.set_fast_open(state.fast_open)?;
    }
    Ok(())
}

/// Changes UDP options, of the socket or of what will be one.
pub(super) fn change_udp(sock: &Sock, change: impl FnOnce(&mut UdpOptions)) -> Result<(), Errno> {
    let mut state = sock.state();
    let mut options = state.udp_options()?;
    change(&mut options);
    state.udp = options;
    match &state.role {
        Role::Datagram(socket) => socket.adjust(|current| *current = options),
        _ => Ok(()),
    }
}

fn tcp_options(sock: &Sock) -> Result<TcpOptions, Errno> {
    match sock.kind {
        Kind::Stream => sock.state().tcp_options(),
        Kind::Datagram | Kind::Ping => Err(Errno::ENOPROTOOPT),
    }
}

impl State {
    pub(super) fn tcp_options(&self) -> Result<TcpOptions, Errno> {
        match &self.role {
            Role::Connecting(socket) | Role::Stream(socket) => socket.options(),
            _ => Ok(self.tcp),
        }
    }

    fn udp_options(&self) -> Result<UdpOptions, Errno> {
        match &self.role {
            Role::Datagram(socket) => socket.with(|it| it.options()),
            _ => Ok(self.udp),
        }
    }
}

/// `value`, if it lies in the range.
fn within(value: i32, low: i32, high: i32) -> Result<i32, Errno> {
    if (low..=high).contains(&value) { Ok(value) } else { Err(Errno::EINVAL) }
}

fn seconds(value: i32) -> Result<Duration, Errno> {
    Ok(Duration::from_secs(within(value, 1, KEEP_SECONDS_MAX)?.unsigned_abs().into()))
}

fn set_int(sock: &Sock, level: i32, name: i32, value: i32) -> Result<(), Errno> {
    match (level, name, sock.kind) {
        (SOL_SOCKET, SO_REUSEADDR, Kind::Stream) => {
            sock.state().reuse.address = value != 0;
            Ok(())
        }
        (SOL_SOCKET, SO_REUSEPORT, Kind::Stream) => {
            sock.state().reuse.port = value != 0;
            Ok(())
        }
        (IPPROTO_IPV6, _, _) if sock.family == Family::V4 => Err(Errno::ENOPROTOOPT),
        (IPPROTO_IPV6, IPV6_V6ONLY, _) => set_only_v6(sock, value),
        (_, _, Kind::Stream) => {
            change_tcp(sock, |options| set_tcp_option(options, level, name, value))
        }
        (_, _, Kind::Datagram) => set_udp_int(sock, level, name, value),
        (_, _, Kind::Ping) => set_ping_int(sock, level, name, value),
    }
}

/// Sets an option of a stream that is an int: for [`Bsd`], and for other faces of the engine.
///
/// # Errors
/// ENOPROTOOPT for an option that is not supported or cannot be set, EINVAL for a value out of
/// range.
pub fn set_tcp_option(
    options: &mut TcpOptions,
    level: i32,
    name: i32,
    value: i32,
) -> Result<(), Errno> {
    match (level, name) {
        (SOL_SOCKET, SO_KEEPALIVE) => options.keepalive = value != 0,
        (SOL_SOCKET, SO_OOBINLINE) if value != 0 => {}
        (SOL_SOCKET, SO_SNDBUF) => options.send_buffer = Some(OVERHEAD * buffer(value)),
        (SOL_SOCKET, SO_RCVBUF) => options.receive_buffer = Some(buffer(value)),
        (IPPROTO_IP, IP_TTL) | (IPPROTO_IPV6, IPV6_UNICAST_HOPS) => {
            options.ttl = ttl(value, TcpOptions::default().ttl)?;
        }
        (IPPROTO_IP, IP_TOS) => options.tos = value as u8,
        (IPPROTO_IPV6, IPV6_TCLASS) => options.tos = traffic_class(value)?,
        (IPPROTO_IP, IP_RECVERR) | (IPPROTO_IPV6, IPV6_RECVERR) => {
            options.network_errors = value != 0;
        }
        (IPPROTO_TCP, TCP_NODELAY) => options.nodelay = value != 0,
        (IPPROTO_TCP, TCP_CORK) => options.cork = value != 0,
        (IPPROTO_TCP, TCP_NOTSENT_LOWAT) => {
            // As in Linux the int is unsigned, and 0 is the default: no limit, like -1.
            options.notsent_lowat = Some(value as u32).filter(|&it| it != 0);
        }
        (IPPROTO_TCP, TCP_QUICKACK) => options.quick_ack = value != 0,
        (IPPROTO_TCP, TCP_FASTOPEN_CONNECT) => {
            options.fast_open_connect = within(value, 0, 1)? == 1;
        }
        (IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE) => {
            options.fast_open_no_cookie = within(value, 0, 1)? == 1;
        }
        (IPPROTO_TCP, TCP_MAXSEG) => options.max_segment = Some(within(value, 88, 32_767)? as u16),
        (IPPROTO_TCP, TCP_KEEPIDLE) => options.keepalive_idle = seconds(value)?,
        (IPPROTO_TCP, TCP_KEEPINTVL) => options.keepalive_interval = seconds(value)?,
        (IPPROTO_TCP, TCP_KEEPCNT) => {
            options.keepalive_count = within(value, 1, KEEP_COUNT_MAX)? as u8;
        }
        (IPPROTO_TCP, TCP_USER_TIMEOUT) => {
            let millis = u64::try_from(value).map_err(|_| Errno::EINVAL)?;
            options.user_timeout = (millis > 0).then(|| Duration::from_millis(millis));
        }
        _ => return Err(Errno::ENOPROTOOPT),
    }
    Ok(())
}

/// What a socket speaks is settled when it is bound.
fn set_only_v6(sock: &Sock, value: i32) -> Result<(), Errno> {
    let mut state = sock.state();
    if state.bound.is_some() || !matches!(state.role, Role::Idle) {
        return Err(Errno::EINVAL);
    }
    (state.tcp.only_v6, state.udp.only_v6) = (value != 0, value != 0);
    Ok(())
}

fn set_udp_int(sock: &Sock, level: i32, name: i32, value: i32) -> Result<(), Errno> {
    match (level, name) {
        (SOL_SOCKET, SO_BROADCAST) => change_udp(sock, |it| it.broadcast = value != 0),
        (SOL_SOCKET, SO_REUSEADDR) => change_udp(sock, |it| it.reuse_address = value != 0),
        (SOL_SOCKET, SO_REUSEPORT) => change_udp(sock, |it| it.reuse_port = value != 0),
        (SOL_SOCKET, SO_SNDBUF) => {
            let bytes = (OVERHEAD * buffer(value)).max(SEND_LEAST);
            change_udp(sock, |it| it.send_buffer = bytes)
        }
        (SOL_SOCKET, SO_RCVBUF) => {
            let bytes = (OVERHEAD * buffer(value)).max(RECEIVE_LEAST);
            change_udp(sock, |it| it.receive_buffer = bytes)
        }
        (IPPROTO_IP, IP_TTL) | (IPPROTO_IPV6, IPV6_UNICAST_HOPS) => {
            let ttl = ttl(value, UdpOptions::default().ttl)?;
            change_udp(sock, |it| it.ttl = ttl)
        }
        (IPPROTO_IP, IP_TOS) => change_udp(sock, |it| it.tos = value as u8),
        (IPPROTO_IPV6, IPV6_TCLASS) => {
            let class = traffic_class(value)?;
            change_udp(sock, |it| it.tos = class)
        }
        (IPPROTO_IP, IP_MULTICAST_TTL) | (IPPROTO_IPV6, IPV6_MULTICAST_HOPS) => {
            let hops = within(value, -1, 255)?;
            let hops = u8::try_from(hops).unwrap_or(UdpOptions::default().multicast_ttl);
            change_udp(sock, |it| it.multicast_ttl = hops)
        }
        (IPPROTO_IP, IP_MULTICAST_LOOP) | (IPPROTO_IPV6, IPV6_MULTICAST_LOOP) => {
            change_udp(sock, |it| it.multicast_loop = value != 0)
        }
        (IPPROTO_IP, IP_MTU_DISCOVER) | (IPPROTO_IPV6, IPV6_MTU_DISCOVER) => {
            let number = usize::try_from(value).map_err(|_| Errno::EINVAL)?;
            let way = MtuDiscovery::ALL.get(number).copied().ok_or(Errno::EINVAL)?;
            change_udp(sock, |it| it.mtu_discovery = way)
        }
        (IPPROTO_IP, IP_RECVERR) | (IPPROTO_IPV6, IPV6_RECVERR) => {
            change_udp(sock, |it| it.network_errors = value != 0)
        }
        (IPPROTO_UDP, UDP_SEGMENT) => {
            let size = u16::try_from(value).map_err(|_| Errno::EINVAL)?;
            change_udp(sock, |it| it.segment = size)
        }
        (IPPROTO_UDP, UDP_GRO) => change_udp(sock, |it| it.join = value != 0),
        (IPPROTO_IPV6, IPV6_DONTFRAG) => {
            let way = if value == 0 { MtuDiscovery::default() } else { MtuDiscovery::Do };
            change_udp(sock, |it| it.mtu_discovery = way)
        }
        _ => {
            *sock.state().asked.option(level, name)? = value != 0;
            Ok(())
        }
    }
}

/// A buffer size: the engine moves it into its range.
fn buffer(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

/// A time to live; -1 is the default, as in Linux.
fn ttl(value: i32, default: u8) -> Result<u8, Errno> {
    match value {
        -1 => Ok(default),
        _ => Ok(within(value, 1, 255)? as u8),
    }
}

/// -1 is the default, none (RFC 3542 §6.5).
fn traffic_class(value: i32) -> Result<u8, Errno> {
    Ok(within(value, -1, 255)?.max(0) as u8)
}

fn get_int(sock: &Sock, level: i32, name: i32) -> Result<i32, Errno> {
    let stream = sock.kind == Kind::Stream;
    match (level, name) {
        (SOL_SOCKET, SO_TYPE) => Ok(if stream { SOCK_STREAM } else { SOCK_DGRAM }),
        (SOL_SOCKET, SO_PROTOCOL) => Ok(match sock.kind {
            Kind::Stream => IPPROTO_TCP,
            Kind::Datagram => IPPROTO_UDP,
            Kind::Ping => sock.family.icmp(),
        }),
        (SOL_SOCKET, SO_DOMAIN) => Ok(sock.family.domain()),
        (SOL_SOCKET, SO_BINDTOIFINDEX) => Ok(index(bound(sock)).cast_signed()),
        (IPPROTO_IPV6, IPV6_V6ONLY) => Ok(sock.state().tcp.only_v6.into()),
        (SOL_SOCKET, SO_REUSEADDR) if stream => Ok(sock.state().reuse.address.into()),
        (SOL_SOCKET, SO_REUSEPORT) if stream => Ok(sock.state().reuse.port.into()),
        (SOL_SOCKET, SO_ERROR) => pending_error(sock),
        (SOL_SOCKET, SO_ACCEPTCONN) => Ok(matches!(sock.state().role, Role::Listener(_)).into()),
        _ => match sock.kind {
            Kind::Stream => get_tcp_int(sock, level, name),
            Kind::Datagram => get_udp_int(sock, level, name),
            Kind::Ping => get_ping_int(sock, level, name),
        },
    }
}

fn pending_error(sock: &Sock) -> Result<i32, Errno> {
    let error = match &sock.state().role {
        Role::Connecting(socket) | Role::Stream(socket) => socket.take_error()?,
        Role::Datagram(socket) => socket.with(|it| it.take_error())?.map(Errno::from),
        Role::Idle | Role::Listener(_) | Role::Ping(_) => None,
    };
    Ok(error.map_or(0, Errno::number))
}

fn get_tcp_int(sock: &Sock, level: i32, name: i32) -> Result<i32, Errno> {
    let options = tcp_options(sock)?;
    let info = sock.stream(Errno::ENOTCONN).and_then(|socket| socket.info()).ok();
    tcp_option(&options, info.as_ref(), level, name)
}

/// Reads an option of a stream that is an int. `info` is the connection's, if there is one.
///
/// # Errors
/// ENOPROTOOPT for an option that is not supported.
pub fn tcp_option(
    options: &TcpOptions,
    info: Option<&TcpInfo>,
    level: i32,
    name: i32,
) -> Result<i32, Errno> {
    let number = match (level, name) {
        (SOL_SOCKET, SO_BROADCAST) => 0,
        (SOL_SOCKET, SO_OOBINLINE) => 1,
        (SOL_SOCKET, SO_KEEPALIVE) => options.keepalive.into(),
        (SOL_SOCKET, SO_SNDBUF) => buffers(options, info).1 as u64,
        (SOL_SOCKET, SO_RCVBUF) => (OVERHEAD * buffers(options, info).0) as u64,
        (IPPROTO_IP, IP_TTL) | (IPPROTO_IPV6, IPV6_UNICAST_HOPS) => options.ttl.into(),
        (IPPROTO_IP, IP_TOS) | (IPPROTO_IPV6, IPV6_TCLASS) => options.tos.into(),
        (IPPROTO_IP, IP_RECVERR) | (IPPROTO_IPV6, IPV6_RECVERR) => options.network_errors.into(),
        (IPPROTO_TCP, TCP_NODELAY) => options.nodelay.into(),
        (IPPROTO_TCP, TCP_CORK) => options.cork.into(),
        (IPPROTO_TCP, TCP_NOTSENT_LOWAT) => {
            return Ok(options.notsent_lowat.unwrap_or(0).cast_signed());
        }
        (IPPROTO_TCP, TCP_QUICKACK) => options.quick_ack.into(),
        (IPPROTO_TCP, TCP_FASTOPEN_CONNECT) => options.fast_open_connect.into(),
        (IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE) => options.fast_open_no_cookie.into(),
        (IPPROTO_TCP, TCP_MAXSEG) => max_segment(options, info),
        (IPPROTO_TCP, TCP_KEEPIDLE) => options.keepalive_idle.as_secs(),
        (IPPROTO_TCP, TCP_KEEPINTVL) => options.keepalive_interval.as_secs(),
        (IPPROTO_TCP, TCP_KEEPCNT) => options.keepalive_count.into(),
        (IPPROTO_TCP, TCP_USER_TIMEOUT) => {
            u64::try_from(options.user_timeout.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
        }
        _ => return Err(Errno::ENOPROTOOPT),
    };
    Ok(i32::try_from(number).unwrap_or(i32::MAX))
}

fn get_udp_int(sock: &Sock, level: i32, name: i32) -> Result<i32, Errno> {
    let options = sock.state().udp_options()?;
    let number = match (level, name) {
        (SOL_SOCKET, SO_BROADCAST) => usize::from(options.broadcast),
        (SOL_SOCKET, SO_REUSEADDR) => options.reuse_address.into(),
        (SOL_SOCKET, SO_REUSEPORT) => options.reuse_port.into(),
        (SOL_SOCKET, SO_SNDBUF) => options.send_buffer,
        (SOL_SOCKET, SO_RCVBUF) => options.receive_buffer,
        (IPPROTO_IP, IP_TTL) | (IPPROTO_IPV6, IPV6_UNICAST_HOPS) => options.ttl.into(),
        (IPPROTO_IP, IP_TOS) | (IPPROTO_IPV6, IPV6_TCLASS) => options.tos.into(),
        (IPPROTO_IP, IP_MTU_DISCOVER) | (IPPROTO_IPV6, IPV6_MTU_DISCOVER) => {
            options.mtu_discovery as usize
        }
        (IPPROTO_IP, IP_UNICAST_IF) | (IPPROTO_IPV6, IPV6_UNICAST_IF) => {
            return Ok(index(options.unicast_interface).to_be().cast_signed());
        }
        (IPPROTO_IPV6, IPV6_MULTICAST_IF) => index(options.multicast_interface) as usize,
        (IPPROTO_UDP, UDP_SEGMENT) => options.segment.into(),
        (IPPROTO_UDP, UDP_GRO) => options.join.into(),
        (IPPROTO_IPV6, IPV6_DONTFRAG) => (options.mtu_discovery == MtuDiscovery::Do).into(),
        (IPPROTO_IP, IP_MTU) | (IPPROTO_IPV6, IPV6_MTU) => path_mtu(sock)?,
        (IPPROTO_IP, IP_RECVERR) | (IPPROTO_IPV6, IPV6_RECVERR) => options.network_errors.into(),
        (IPPROTO_IP, IP_MULTICAST_TTL) | (IPPROTO_IPV6, IPV6_MULTICAST_HOPS) => {
            options.multicast_ttl.into()
        }
        (IPPROTO_IP, IP_MULTICAST_LOOP) | (IPPROTO_IPV6, IPV6_MULTICAST_LOOP) => {
            options.multicast_loop.into()
        }
        _ => (*sock.state().asked.option(level, name)?).into(),
    };
    Ok(i32::try_from(number).unwrap_or(i32::MAX))
}

/// The number of an interface; 0: any.
fn index(interface: Option<InterfaceId>) -> u32 {
    interface.map_or(0, InterfaceId::index)
}

/// Only a connected socket has a path.
fn path_mtu(sock: &Sock) -> Result<usize, Errno> {
    match &sock.state().role {
        Role::Datagram(socket) => socket.path_mtu()?.ok_or(Errno::ENOTCONN),
        _ => Err(Errno::ENOTCONN),
    }
}

/// The receive and the send buffer: of a connection what they are now, before that what was asked
/// for, or what one begins with.
fn buffers(options: &TcpOptions, info: Option<&TcpInfo>) -> (usize, usize) {
    match info {
        Some(info) if info.send_buffer > 0 => (info.receive_buffer, info.send_buffer),
        _ => {
            let default = TcpConfig::default();
            let receive = options.receive_buffer.unwrap_or(default.receive_buffer);
            (receive, options.send_buffer.unwrap_or(default.send_buffer))
        }
    }
}

/// Of a connection what is in force, before that what was asked for, or RFC 9293's default.
fn max_segment(options: &TcpOptions, info: Option<&TcpInfo>) -> u64 {
    match info {
        Some(info) if info.send_mss > 0 => info.send_mss.into(),
        _ => options.max_segment.unwrap_or(536).into(),
    }
}

fn info_bytes(sock: &Sock) -> Result<Vec<u8>, Errno> {
    if sock.kind != Kind::Stream {
        return Err(Errno::ENOPROTOOPT);
    }
    let role = sock.state().role.clone();
    match role {
        Role::Connecting(socket) | Role::Stream(socket) => {
            let (info, now) = socket.with(|it, now| (it.info(), now))?;
            Ok(tcp_info::tcp_info_bytes(&info, now))
        }
        Role::Listener(socket) => {
            let status = socket.status()?;
            Ok(tcp_info::listener_info_bytes(status.pending, status.backlog))
        }
        Role::Idle | Role::Datagram(_) | Role::Ping(_) => Ok(tcp_info::idle_info_bytes()),
    }
}
