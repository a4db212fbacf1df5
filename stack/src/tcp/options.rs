//! What an application may set on a connection.

use crate::config::{Congestion, TcpConfig};
use crate::net::reach::Reach;
use crate::wire::address::Address;
use crate::wire::interface::InterfaceId;
use core::time::Duration;

/// Options of a TCP socket, with Linux's defaults. A listener's are inherited by what it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Send at once, without Nagle's algorithm (`TCP_NODELAY`, MUST-17).
    pub nodelay: bool,
    /// Send full segments only, until this is off again; what is left waits for 200 ms at most
    /// (`TCP_CORK`).
    pub cork: bool,
    /// The socket is writable while less than half of so many bytes have never been sent
    /// (`TCP_NOTSENT_LOWAT`): what is written late can still be chosen late. None, or 0 as in
    /// Linux: no limit but the send buffer.
    pub notsent_lowat: Option<u32>,
    /// Acknowledge at once (`TCP_QUICKACK`, but lasting).
    pub quick_ack: bool,
    /// Probe an idle peer (`SO_KEEPALIVE`, MUST-24); off by default (MUST-25).
    pub keepalive: bool,
    /// Idle time before the first keepalive probe (`TCP_KEEPIDLE`): 1 s at least. Default 2 hours
    /// (MUST-28).
    pub keepalive_idle: Duration,
    /// Time between keepalive probes (`TCP_KEEPINTVL`): 1 s at least. Default 75 s.
    pub keepalive_interval: Duration,
    /// Unanswered keepalive probes that end the connection (`TCP_KEEPCNT`): 1 at least. Default 9.
    /// With a `user_timeout`, that decides instead.
    pub keepalive_count: u8,
    /// How long sent text may stay unacknowledged (`TCP_USER_TIMEOUT`, MUST-21); any time is taken
    /// as it is. None, the default: `TcpConfig::give_up`, and `connect_give_up` for a SYN.
    pub user_timeout: Option<Duration>,
    /// `SO_LINGER`. Some(zero): close resets the connection. Longer times are waited for by the
    /// shell; the engine never waits.
    pub linger: Option<Duration>,
    /// TTL of the connection's packets (`IP_TTL`, MUST-49): 1 at least. Default 64.
    pub ttl: u8,
    /// Diffserv octet (`IP_TOS`, MUST-48). The ECN bits belong to TCP and are masked out.
    pub tos: u8,
    /// Most bytes held for the application to read, and so the greatest window (`SO_RCVBUF`).
    /// 2 KiB to 64 MiB. None: it grows with the rate at which the application reads, from
    /// `TcpConfig::receive_buffer` to `receive_buffer_max`. The window scale is fixed in the
    /// handshake, so a later rise is limited.
    pub receive_buffer: Option<usize>,
    /// Most bytes held until the peer acknowledges them (`SO_SNDBUF`). 2 KiB to 64 MiB. None: it
    /// grows with the windows, from `TcpConfig::send_buffer` to `send_buffer_max`.
    pub send_buffer: Option<usize>,
    /// Greatest segment to send and to announce (`TCP_MAXSEG`), bytes: 88 at least, and at most
    /// what the MTU allows. None, the default: as much.
    pub max_segment: Option<u16>,
    /// Congestion control (`TCP_CONGESTION`); None: the stack's `TcpConfig::congestion`.
    pub congestion: Option<Congestion>,
    /// Greatest rate at which text is sent, bytes a second (`SO_MAX_PACING_RATE`). With one, also a
    /// window of CUBIC or Reno is spread over its round trip. None: no limit, and only controllers
    /// that live on rates pace.
    pub max_pacing_rate: Option<u64>,
    /// `connect` leaves the SYN to the first `send`, whose text goes with it if the server's
    /// cookie is known; if not, the SYN goes at once and asks for one (`TCP_FASTOPEN_CONNECT`).
    /// Nothing of this without `FastOpen::CLIENT` in `TcpConfig::fast_open`. The text may reach the
    /// server's application twice (RFC 7413 §2.1).
    pub fast_open_connect: bool,
    /// Text goes with the SYN without a cookie, and comes so (`TCP_FASTOPEN_NO_COOKIE`).
    pub fast_open_no_cookie: bool,
    /// What the network says of segments is told at once (`IP_RECVERR`, `IPV6_RECVERR`): the next
    /// call fails with it, and the connection goes on; an attempt to connect ends. Otherwise it is
    /// told when the connection is given up, if it is.
    pub network_errors: bool,
    /// A listener on `::` takes no connections over IPv4 (`IPV6_V6ONLY`); off by default, as in
    /// Linux.
    pub only_v6: bool,
    /// It hears what comes in by this interface, and sends by it, only (`SO_BINDTODEVICE`). Of a
    /// listener it counts from the start, and others may listen where it does on other interfaces,
    /// or on none in particular.
    pub interface: Option<InterfaceId>,
}

/// Smallest and greatest buffer that an option may ask for.
const BUFFER: core::ops::RangeInclusive<usize> = 2048..=64 << 20;

impl Default for TcpOptions {
    fn default() -> TcpOptions {
        TcpOptions {
            nodelay: false,
            cork: false,
            notsent_lowat: None,
            quick_ack: false,
            keepalive: false,
            keepalive_idle: Duration::from_secs(7200),
            keepalive_interval: Duration::from_secs(75),
            keepalive_count: 9,
            user_timeout: None,
            linger: None,
            ttl: 64,
            tos: 0,
            receive_buffer: None,
            send_buffer: None,
            max_segment: None,
            congestion: None,
            max_pacing_rate: None,
            fast_open_connect: false,
            fast_open_no_cookie: false,
            network_errors: false,
            only_v6: false,
            interface: None,
        }
    }
}

impl TcpOptions {
    /// The addresses that a listener named `address` has.
    pub(crate) fn reach(&self, address: Address) -> Reach {
        let all = Reach::of(address);
        if self.only_v6 { all.without_v4() } else { all }
    }

    /// The options with every value inside its range.
    pub(crate) fn clamped(mut self) -> TcpOptions {
        let clamped = |bytes: usize| bytes.clamp(*BUFFER.start(), *BUFFER.end());
        self.receive_buffer = self.receive_buffer.map(clamped);
        self.send_buffer = self.send_buffer.map(clamped);
        self.keepalive_idle = self.keepalive_idle.max(Duration::from_secs(1));
        self.keepalive_interval = self.keepalive_interval.max(Duration::from_secs(1));
        self.keepalive_count = self.keepalive_count.max(1);
        self.ttl = self.ttl.max(1);
        self.tos &= !0b11;
        self.notsent_lowat = self.notsent_lowat.filter(|most| *most > 0);
        self.max_segment = self.max_segment.map(|mss| mss.max(88));
        self.max_pacing_rate = self.max_pacing_rate.map(|rate| rate.max(1));
        self
    }

    /// Bytes of the receive buffer that a connection begins with.
    pub(crate) fn first_receive_buffer(&self, config: &TcpConfig) -> usize {
        self.receive_buffer.unwrap_or(config.receive_buffer)
    }

    /// Bytes of the send buffer that a connection begins with.
    pub(crate) fn first_send_buffer(&self, config: &TcpConfig) -> usize {
        self.send_buffer.unwrap_or(config.send_buffer)
    }

    /// The smallest window scale that can announce the whole receive buffer (RFC 7323 §2.3), or
    /// what it may grow to.
    pub(crate) fn window_scale(&self, config: &TcpConfig) -> u8 {
        let most = self.receive_buffer.unwrap_or(config.receive_buffer_max);
        (0..14).find(|shift| most >> shift <= 0xffff).unwrap_or(14)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_scale_reaches_the_buffer() {
        let config = TcpConfig::default();
        let scale = |receive_buffer| {
            TcpOptions { receive_buffer, ..Default::default() }.window_scale(&config)
        };
        let fixed = [65_535, 65_536, 1 << 20, 64 << 20].map(|bytes| scale(Some(bytes)));
        assert_eq!((fixed, scale(None)), ([0, 1, 5, 11], 7));
    }
}
