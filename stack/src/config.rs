//! Every limit and default of a stack that can be set, by name (law 6). `docs/SECURITY.md` lists
//! the constants, too.

use crate::link::interface::Setup;
use crate::net::cidr::Cidr;
use crate::net::limiter::RateLimits;
use crate::net::route::Route;
use crate::wire::address::{Address, Mac};
use crate::wire::interface::{InterfaceId, InterfaceName};
use core::fmt;
use core::net::IpAddr;
use core::ops::RangeInclusive;
use core::str::FromStr;
use core::time::Duration;

/// What a [`Stack`](crate::Stack) is told about itself and its limits.
///
/// ```
/// use stack::{Config, Mac};
/// let mut config = Config::new(Mac([2, 0, 0, 0, 0, 2]));
/// config.addresses = vec!["192.0.2.2/24".parse()?];
/// config.gateway = Some("192.0.2.1".parse()?);
/// config.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    /// What the first interface is called; None: `eth0`.
    pub name: Option<InterfaceName>,
    /// This host's Ethernet address; not a group address.
    pub mac: Mac,
    /// Largest IP packet on the link, bytes: 576 to 65,535. Default 1,500.
    pub mtu: usize,
    /// The device finishes transport checksums, where
    /// [`TxFrame::checksum`](crate::TxFrame::checksum) says so. Off by default.
    pub device_checksums: bool,
    /// Longest IP packet that the device cuts into segments itself, bytes, at most 65,535; 0: it
    /// does not, and every frame is one segment. Of these it finishes the checksums in any case.
    /// Default 0.
    pub super_frame_max: usize,
    /// The device cuts datagrams too: those of one length that follow each other on one way leave
    /// in one frame, of which it finishes the checksums in any case. Off by default.
    pub device_cuts_datagrams: bool,
    /// This host's addresses, each with the prefix of its network. With one of IPv6 the host also
    /// has an address for the link itself (RFC 4862 §5.3, RFC 7217), drawn from its seed unless one
    /// is given.
    pub addresses: Vec<Cidr>,
    /// It stands for every address: what is sent to addresses of others, by way of this host, is
    /// taken in as if they were its own, for
    /// [`Stack::open_forwarder`](crate::Stack::open_forwarder), and for sockets on all addresses.
    /// Only TCP, UDP, and errors about them; TCP answers from the address that was meant. Nobody is
    /// told by ARP or Neighbor Discovery: others need a route by way of one of its own addresses.
    /// Off by default.
    pub any_address: bool,
    /// What of IPv6 the host finds out by itself. Nothing by default.
    pub autoconfigure: Autoconfigure,
    /// How often others are asked whether they have an address of IPv6 before it is used (RFC 4862
    /// §5.1, DupAddrDetectTransmits), where the host configures itself. Default 1.
    pub duplicate_probes: u8,
    /// Beside each address that a router's prefix has made, one that changes every day, for what
    /// the host begins (RFC 8981). Off by default.
    pub temporary_addresses: bool,
    /// The default gateway of one IP version, on one of those networks; that of the other version
    /// is a route to `0.0.0.0/0` or `::/0`.
    pub gateway: Option<IpAddr>,
    /// Further routes.
    pub routes: Vec<Route>,
    /// Addresses, those configured and all others; more are refused and counted as
    /// `AddressesRefused`. Default 32.
    pub addresses_max: usize,
    /// Interfaces, VLANs among them: 1 to 64; one more is refused (`TooManyInterfaces`).
    /// Default 16.
    pub interfaces_max: usize,
    /// Routes, those to the networks of our own addresses aside; more are refused and counted as
    /// `RoutesRefused`. Default 256.
    pub routes_max: usize,
    /// Groups that sockets are members of on one interface, all together, those of Neighbor
    /// Discovery aside; one more is refused (`TooManyGroups`). Default 64.
    pub groups_max: usize,
    /// Sources that sockets name for their groups on one interface, to hear or not to hear them,
    /// each counted once for each group; one more is refused (`TooManySources`). Default 640.
    pub group_sources_max: usize,
    /// TTL of packets that no socket has set one for (RFC 1122 §3.2.1.7): 1 to 255. Default 64.
    pub ttl: u8,
    /// Control packets waiting to be sent (echo replies, errors, RSTs, ARP); more are dropped and
    /// counted as `RepliesDropped`. Default 1,024.
    pub replies_max: usize,
    /// Bytes of ICMP messages waiting to be sent, long echo replies above all. Default 4 MiB.
    pub replies_bytes_max: usize,
    /// Bytes in frames from this host to itself waiting to be received. Default 4 MiB.
    pub loopback_max: usize,
    /// Limits of TCP.
    pub tcp: TcpConfig,
    /// Limits of UDP.
    pub udp: crate::udp::table::UdpLimits,
    /// Limits of ICMP echo sockets.
    pub echo: crate::udp::echo::EchoLimits,
    /// How often ICMP errors are sent. Default [`RateLimits::icmp`].
    pub icmp: RateLimits,
    /// What is remembered of paths that are narrower than the link.
    pub paths: crate::net::pmtu::PathLimits,
    /// Limits of reassembly.
    pub fragments: crate::net::fragment::FragmentLimits,
    /// Limits of the neighbour table.
    pub neighbors: crate::link::neighbor::NeighborLimits,
}

/// A further interface of a host. Its addresses and routes are added when it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// What it is called; None: `eth1` and so on, by the order in which interfaces come, and a VLAN
    /// by its parent and its number, like `eth0.7`.
    pub name: Option<InterfaceName>,
    /// What carries its frames.
    pub wire: Wire,
    /// What of IPv6 it finds out by itself.
    pub autoconfigure: Autoconfigure,
    /// As [`Config::temporary_addresses`].
    pub temporary_addresses: bool,
}

impl InterfaceConfig {
    /// An interface with a device of its own that carries packets of 1500 bytes.
    pub const fn new(mac: Mac) -> InterfaceConfig {
        InterfaceConfig::on(Wire::Device { mac, mtu: 1500, device_checksums: false })
    }

    /// A VLAN on the device of `parent`.
    pub const fn vlan(parent: InterfaceId, tag: u16) -> InterfaceConfig {
        InterfaceConfig::on(Wire::Vlan { parent, tag })
    }

    const fn on(wire: Wire) -> InterfaceConfig {
        let (autoconfigure, temporary_addresses) = (Autoconfigure::Off, false);
        InterfaceConfig { name: None, wire, autoconfigure, temporary_addresses }
    }
}

/// What carries the frames of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A device of its own.
    Device {
        /// This host's Ethernet address there.
        mac: Mac,
        /// As [`Config::mtu`].
        mtu: usize,
        /// As [`Config::device_checksums`]. Whether super-frames are cut is one for all devices.
        device_checksums: bool,
    },
    /// The device of another interface, in frames with a tag (IEEE 802.1Q). Its Ethernet address
    /// and its MTU are those of the other.
    Vlan {
        /// An interface with a device of its own.
        parent: InterfaceId,
        /// The VLAN's number, 1 to 4094.
        tag: u16,
    },
}

/// What of IPv6 a host finds out by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Autoconfigure {
    /// Nothing: it has the addresses and routes that it is given, and says nothing unasked.
    #[default]
    Off,
    /// Whether anybody has an address already (RFC 4862 §5.4); an address for the link, whether or
    /// not another is given; and, from routers, addresses (§5.5), routes (RFC 4861 §6.3), and
    /// servers of names (RFC 8106).
    On,
}

/// Limits and defaults of TCP.
#[derive(Clone, Debug)]
pub struct TcpConfig {
    /// Live connections, orphans included; beyond, `connect` fails and handshakes do not finish.
    /// Default 1,048,576.
    pub connections_max: usize,
    /// Listeners. `listen` fails beyond. Default 1,024.
    pub listeners_max: usize,
    /// Half-open connections of all listeners; beyond, SYNs are answered with cookies. Default
    /// 16,384.
    pub half_open_max: usize,
    /// Half-open connections of one listener; beyond, SYNs are answered with cookies. Default
    /// 1,024.
    pub half_open_per_listener: usize,
    /// At the limit of half-open connections SYNs are answered with cookies (RFC 4987 §3.6).
    /// Without them the listener's oldest handshake is evicted for the newer one. On by default.
    pub syn_cookies: bool,
    /// SYNs that wait for a forwarder's decision, and connections it has accepted whose handshakes
    /// are not finished, all together. At the limit the oldest of the latter makes room; without
    /// any, a SYN is dropped, and may find room when it is sent again. Default 4,096.
    pub forward_max: usize,
    /// Of one source; beyond, its SYNs are dropped. Default 1,024.
    pub forward_per_source: usize,
    /// How long a SYN waits for a forwarder's decision; then it is forgotten. As long as a good
    /// connection onwards may take. Default 60 s.
    pub forward_decision: Duration,
    /// Greatest backlog; greater ones are cut to it, as by Linux's `somaxconn`. 0 counts as 1.
    /// Default 4,096.
    pub backlog_max: usize,
    /// TIME-WAIT entries; the oldest is evicted for a newer one. Default 131,072.
    pub time_wait_max: usize,
    /// 2 MSL (MUST-13). Default 60 s, as Linux.
    pub time_wait: Duration,
    /// How long an orphan may stay in FIN-WAIT-2. Default 60 s.
    pub fin_wait_2: Duration,
    /// How long an orphan may go without progress in any state. Default 100 s.
    pub orphan: Duration,
    /// Bytes of memory for all send and receive buffers; beyond, buffers do not grow.
    /// Default 1 GiB.
    pub memory_max: usize,
    /// Receive buffer of a connection that has not asked for another, to begin with; bytes. Default
    /// 128 KiB.
    pub receive_buffer: usize,
    /// Receive buffer that such a connection may grow to; bytes. The default, 6 MiB, lets a path of
    /// 300 ms carry 160 Mbit/s.
    pub receive_buffer_max: usize,
    /// Send buffer of a connection that has not asked for another, to begin with; bytes. Default
    /// 128 KiB.
    pub send_buffer: usize,
    /// Send buffer that such a connection may grow to; bytes. A writer is woken when a third is
    /// free: the default, 8 MiB, lets one that waits for that fill a path of 300 ms with
    /// 140 Mbit/s.
    pub send_buffer_max: usize,
    /// Out-of-order ranges of one connection, of eight bytes each; text that would need more is
    /// dropped. By default every other segment of the greatest window can be missing, as after a
    /// slow start that overflows a queue. Default 4,096.
    pub ranges_max: usize,
    /// Records of one connection's flight, of about a hundred bytes: one for each segment sent and
    /// unacknowledged, and more where reports cut them. At the limit no new text is sent, and a
    /// report that would cut a record is believed only for the others. Default 65,536.
    pub records_max: usize,
    /// R2 for data (RFC 9293 §3.8.3): a connection without progress for so long fails. SHLD-11
    /// wants at least 100 s. Default 924 s, about as long as Linux's 15 retransmissions take.
    pub give_up: Duration,
    /// R2 for a SYN: at least 3 minutes (MUST-23). Default 190 s.
    pub connect_give_up: Duration,
    /// SYN-ACK retransmissions of a half-open connection (THREATS R-16). Default 3.
    pub syn_ack_retries: u8,
    /// Longest delay of an acknowledgment, below 0.5 s (MUST-40). Default 40 ms.
    pub delayed_ack: Duration,
    /// Shortest delay of an acknowledgment that may wait at all: how long a sender is held up who
    /// waits for it while the application has nothing to answer. Default 3 ms.
    pub delayed_ack_min: Duration,
    /// Least time between two challenge ACKs, or ACKs of text-free segments outside the window, on
    /// one connection or handshake (RFC 5961 §7). There is no limit common to connections: it
    /// would be a side channel (CVE-2016-5696). Default 500 ms.
    pub challenge_interval: Duration,
    /// RSTs to segments of no connection (THREATS R-15). Default [`RateLimits::resets`].
    pub resets: RateLimits,
    /// Smallest segment that is sent, whatever MSS the peer claims (THREATS R-8); 48 to 536.
    /// Default 88.
    pub mss_min: u16,
    /// Explicit Congestion Notification (RFC 3168), as Linux's `tcp_ecn`. By default others who ask
    /// are agreed to.
    pub ecn: EcnMode,
    /// Congestion control of sockets that choose none. Default CUBIC.
    pub congestion: Congestion,
    /// First and last port given to sockets that name none (RFC 6056). Default 32,768 to 60,999.
    pub ephemeral_ports: (u16, u16),
    /// Which sides of Fast Open are on (RFC 7413); none, to begin with.
    pub fast_open: FastOpen,
    /// The keys of the cookies that listeners give; None: the stack's own, which change each
    /// `fast_open_key_life`. The last key's cookies are good as well. None by default.
    pub fast_open_keys: Option<FastOpenKeys>,
    /// How long the stack's own key makes cookies: one is good for once to twice as long.
    /// Default a day.
    pub fast_open_key_life: Duration,
    /// Servers whose cookies are remembered; the one unused longest makes room, and is counted.
    /// Default 1,024.
    pub fast_open_servers_max: usize,
    /// How long a server gets no text with the SYN after SYNs with text have vanished on the way
    /// to it twice running. Doubled each further time, up to 64 times. Default an hour.
    pub fast_open_pause: Duration,
    /// How long a handshake with text that was reset counts as one that is under way: a flood's
    /// victims reset what they have not begun (RFC 7413 §5.1). Default 60 s.
    pub fast_open_reset_hold: Duration,
}

/// Which sides of Fast Open (RFC 7413) are on, in the bits of Linux's `net.ipv4.tcp_fastopen`.
///
/// ```
/// use stack::FastOpen;
/// let both = FastOpen::CLIENT.with(FastOpen::SERVER);
/// assert_eq!((both, FastOpen::default()), (FastOpen(3), FastOpen(0)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastOpen(pub u32);

impl FastOpen {
    /// Sockets that ask for it send text with their SYN, once they have a cookie.
    pub const CLIENT: FastOpen = FastOpen(0x1);
    /// Listeners that ask for it give cookies, and take text with a SYN that carries one.
    pub const SERVER: FastOpen = FastOpen(0x2);
    /// Clients send text with or without a cookie.
    pub const CLIENT_NO_COOKIE: FastOpen = FastOpen(0x4);
    /// Servers take text with or without a cookie: only where no address can be forged.
    pub const SERVER_NO_COOKIE: FastOpen = FastOpen(0x200);
    /// All listeners do as if they had asked for it.
    pub const ALL_LISTENERS: FastOpen = FastOpen(0x400);

    /// Both.
    #[must_use]
    pub const fn with(self, other: FastOpen) -> FastOpen {
        FastOpen(self.0 | other.0)
    }

    /// All of `other` is on.
    pub const fn has(self, other: FastOpen) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Keys of Fast Open's cookies. Whoever has the same keys gives the same cookies, Linux too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FastOpenKeys {
    /// Makes cookies.
    pub current: [u8; 16],
    /// Its cookies are good still.
    pub previous: Option<[u8; 16]>,
}

impl fmt::Debug for FastOpenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastOpenKeys").finish_non_exhaustive()
    }
}

impl Default for TcpConfig {
    fn default() -> TcpConfig {
        TcpConfig {
            connections_max: 1 << 20,
            listeners_max: 1024,
            half_open_max: 16_384,
            half_open_per_listener: 1024,
            syn_cookies: true,
            forward_max: 4096,
            forward_per_source: 1024,
            forward_decision: Duration::from_secs(60),
            backlog_max: 4096,
            time_wait_max: 131_072,
            time_wait: Duration::from_secs(60),
            fin_wait_2: Duration::from_secs(60),
            orphan: Duration::from_secs(100),
            memory_max: 1 << 30,
            receive_buffer: 128 << 10,
            receive_buffer_max: 6 << 20,
            send_buffer: 128 << 10,
            send_buffer_max: 8 << 20,
            ranges_max: 4096,
            records_max: 65_536,
            give_up: Duration::from_secs(924),
            connect_give_up: Duration::from_secs(190),
            syn_ack_retries: 3,
            delayed_ack: Duration::from_millis(40),
            delayed_ack_min: Duration::from_millis(3),
            challenge_interval: Duration::from_millis(500),
            resets: RateLimits::resets(),
            mss_min: 88,
            ecn: EcnMode::WhenAsked,
            congestion: Congestion::Cubic,
            ephemeral_ports: (32_768, 60_999),
            fast_open: FastOpen::default(),
            fast_open_keys: None,
            fast_open_key_life: Duration::from_secs(86_400),
            fast_open_servers_max: 1024,
            fast_open_pause: Duration::from_secs(3600),
            fast_open_reset_hold: Duration::from_secs(60),
        }
    }
}

/// Who may agree on ECN (RFC 3168), with Linux's numbers of `net.ipv4.tcp_ecn`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EcnMode {
    /// 0: nobody.
    Off,
    /// 1: our SYNs ask for it, and those of others are agreed to.
    On,
    /// 2: others who ask are agreed to.
    #[default]
    WhenAsked,
}

impl EcnMode {
    /// Every mode, by Linux's number.
    pub const ALL: [EcnMode; 3] = [EcnMode::Off, EcnMode::On, EcnMode::WhenAsked];

    /// Our SYNs ask.
    pub(crate) const fn asks(self) -> bool {
        matches!(self, EcnMode::On)
    }

    /// Others may ask.
    pub(crate) const fn accepts(self) -> bool {
        !matches!(self, EcnMode::Off)
    }
}

/// There is no such way to use ECN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownEcnMode;

impl FromStr for EcnMode {
    type Err = UnknownEcnMode;
    fn from_str(name: &str) -> Result<EcnMode, UnknownEcnMode> {
        match name {
            "off" | "0" => Ok(EcnMode::Off),
            "on" | "1" => Ok(EcnMode::On),
            "when-asked" | "2" => Ok(EcnMode::WhenAsked),
            _ => Err(UnknownEcnMode),
        }
    }
}

impl fmt::Display for UnknownEcnMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such way to use ECN: try off, on, when-asked")
    }
}

impl core::error::Error for UnknownEcnMode {}

/// The congestion control algorithms (`TCP_CONGESTION`).
///
/// ```
/// use stack::Congestion;
/// assert_eq!("reno".parse(), Ok(Congestion::Reno));
/// assert_eq!(Congestion::default().to_string(), "cubic");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Congestion {
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406).
    #[default]
    Cubic,
    /// Reno (RFC 5681).
    Reno,
    /// BBR, version 3 (draft-ietf-ccwg-bbr).
    Bbr,
}

/// No congestion control algorithm has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCongestion;

impl Congestion {
    /// Every algorithm.
    pub const ALL: [Congestion; 3] = [Congestion::Cubic, Congestion::Reno, Congestion::Bbr];

    /// The name, as Linux spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Congestion::Cubic => "cubic",
            Congestion::Reno => "reno",
            Congestion::Bbr => "bbr",
        }
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Congestion {
    type Err = UnknownCongestion;
    fn from_str(name: &str) -> Result<Congestion, UnknownCongestion> {
        let mut all = Congestion::ALL.into_iter();
        all.find(|algorithm| algorithm.name() == name).ok_or(UnknownCongestion)
    }
}

impl fmt::Display for UnknownCongestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such congestion control: try ")?;
        let names = Congestion::ALL.map(Congestion::name).join(", ");
        f.write_str(&names)
    }
}

impl core::error::Error for UnknownCongestion {}

impl Config {
    /// The defaults for a host with this Ethernet address and no IP address yet.
    pub fn new(mac: Mac) -> Config {
        Config {
            name: None,
            mac,
            mtu: 1500,
            device_checksums: false,
            super_frame_max: 0,
            device_cuts_datagrams: false,
            addresses: Vec::new(),
            any_address: false,
            autoconfigure: Autoconfigure::Off,
            duplicate_probes: 1,
            temporary_addresses: false,
            gateway: None,
            routes: Vec::new(),
            addresses_max: 32,
            interfaces_max: 16,
            routes_max: 256,
            groups_max: 64,
            group_sources_max: 640,
            ttl: 64,
            replies_max: 1024,
            replies_bytes_max: 4 << 20,
            loopback_max: 4 << 20,
            tcp: TcpConfig::default(),
            udp: Default::default(),
            echo: Default::default(),
            icmp: RateLimits::icmp(),
            paths: Default::default(),
            fragments: Default::default(),
            neighbors: Default::default(),
        }
    }

    /// How often others are asked whether they have `address` before it is used.
    pub(crate) fn probes(&self, address: IpAddr) -> u8 {
        let asks = self.autoconfigure == Autoconfigure::On && address.is_ipv6();
        if asks { self.duplicate_probes } else { 0 }
    }

    /// What the first interface begins with.
    pub(crate) fn interface(&self) -> Setup {
        Setup {
            name: self.name.unwrap_or_else(|| InterfaceName::numbered(0)),
            mac: self.mac,
            device_checksums: self.device_checksums,
            neighbors: self.neighbors,
            groups_max: self.groups_max,
            group_sources_max: self.group_sources_max,
            autoconfigures: self.autoconfigure == Autoconfigure::On,
            temporary_addresses: self.temporary_addresses,
            vlan: None,
        }
    }

    /// `routes`, and the one through `gateway`.
    pub(crate) fn all_routes(&self) -> impl Iterator<Item = Route> + '_ {
        self.routes.iter().copied().chain(self.gateway.map(Route::default_via))
    }

    /// Checks that the values make sense together.
    pub fn validate(&self) -> Result<(), ConfigError> {
        check_link(self.mac, self.mtu)?;
        if !(1..=INTERFACES_MAX).contains(&self.interfaces_max) {
            return Err(ConfigError::Interfaces(self.interfaces_max));
        }
        if self.super_frame_max > 65_535 {
            return Err(ConfigError::SuperFrame(self.super_frame_max));
        }
        let speaks_v6 = self.autoconfigure == Autoconfigure::On
            || self.addresses.iter().any(|cidr| cidr.address.is_ipv6());
        if speaks_v6 && self.mtu < 1280 {
            return Err(ConfigError::MtuOfIpv6(self.mtu));
        }
        if let Some(bad) = self.addresses.iter().find(|cidr| !cidr.is_for_a_host()) {
            return Err(ConfigError::NotForHosts(*bad));
        }
        if let Some(gateway) = self.gateway
            && self.addresses.iter().any(|cidr| cidr.address == gateway)
        {
            return Err(ConfigError::OwnGateway(gateway));
        }
        if let Some(gateway) = self.gateway
            && !self.addresses.iter().any(|cidr| cidr.contains(gateway))
            && !(speaks_v6 && Address::from(gateway).is_link_local())
        {
            return Err(ConfigError::GatewayOffLink(gateway));
        }
        if self.addresses.len() > self.addresses_max || self.all_routes().count() > self.routes_max
        {
            return Err(ConfigError::TooManyAddresses);
        }
        for (first, last) in [self.tcp.ephemeral_ports, self.udp.ephemeral_ports] {
            if first == 0 || first > last {
                return Err(ConfigError::EphemeralPorts(first, last));
            }
        }
        if !LEAST_SEGMENTS.contains(&self.tcp.mss_min) {
            return Err(ConfigError::LeastSegment(self.tcp.mss_min));
        }
        if self.tcp.delayed_ack >= Duration::from_millis(500) {
            return Err(ConfigError::DelayedAck(self.tcp.delayed_ack));
        }
        if self.ttl == 0 {
            return Err(ConfigError::Ttl);
        }
        Ok(())
    }
}

/// Room for all options and some text; no more than every host takes.
const LEAST_SEGMENTS: RangeInclusive<u16> = 48..=536;

/// Who is down has a bit in a word of 64.
const INTERFACES_MAX: usize = 64;

/// Checks what a device is said to be.
pub(crate) fn check_link(mac: Mac, mtu: usize) -> Result<(), ConfigError> {
    if mac.is_multicast() {
        return Err(ConfigError::GroupMac(mac));
    }
    if !(576..=65_535).contains(&mtu) {
        return Err(ConfigError::Mtu(mtu));
    }
    Ok(())
}

/// A configuration that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The Ethernet address is a group address.
    GroupMac(Mac),
    /// The MTU is out of range.
    Mtu(usize),
    /// The MTU is less than what every link of IPv6 carries (RFC 8200 §5).
    MtuOfIpv6(usize),
    /// Super-frames are longer than an IP packet.
    SuperFrame(usize),
    /// An address that no single host can have.
    NotForHosts(Cidr),
    /// The gateway is on none of the networks.
    GatewayOffLink(IpAddr),
    /// The gateway is the host itself.
    OwnGateway(IpAddr),
    /// More addresses or routes than `addresses_max` and `routes_max` allow.
    TooManyAddresses,
    /// The range of ephemeral ports is empty.
    EphemeralPorts(u16, u16),
    /// Acknowledgments would be delayed longer than RFC 9293 allows.
    DelayedAck(Duration),
    /// The smallest segment leaves no room for text beside its options, or is none that every host
    /// takes.
    LeastSegment(u16),
    /// A TTL of zero never leaves the host.
    Ttl,
    /// No host has so many interfaces, or none.
    Interfaces(usize),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::GroupMac(mac) => {
                write!(f, "{mac} is a group address: the first octet must be even, like 02")
            }
            ConfigError::Mtu(mtu) => write!(f, "an MTU of {mtu} is not within 576 to 65535"),
            ConfigError::MtuOfIpv6(mtu) => {
                write!(
                    f,
                    "an MTU of {mtu} is too little for IPv6: at least 1280, or no IPv6 address"
                )
            }
            ConfigError::SuperFrame(most) => {
                write!(f, "super-frames of {most} bytes: at most 65535")
            }
            ConfigError::NotForHosts(cidr) => {
                write!(f, "{cidr} is no address of a single host: choose another of its network")
            }
            ConfigError::OwnGateway(gateway) => {
                write!(f, "the gateway {gateway} is the host itself: name the router's address")
            }
            ConfigError::GatewayOffLink(gateway) => {
                write!(f, "the gateway {gateway} is on none of the host's networks: check --addr")
            }
            ConfigError::TooManyAddresses => {
                f.write_str("more addresses or routes than addresses_max and routes_max allow")
            }
            ConfigError::EphemeralPorts(first, last) => {
                write!(f, "the ephemeral ports {first} to {last} are no range above 0")
            }
            ConfigError::DelayedAck(delay) => {
                write!(f, "a delayed ACK of {delay:?} is not below 500 ms")
            }
            ConfigError::LeastSegment(octets) => {
                let (least, most) = (LEAST_SEGMENTS.start(), LEAST_SEGMENTS.end());
                write!(f, "an mss_min of {octets} is not within {least} to {most}")
            }
            ConfigError::Interfaces(most) => {
                write!(f, "interfaces_max of {most} is not within 1 to {INTERFACES_MAX}")
            }
            ConfigError::Ttl => f.write_str("a TTL of 0 never leaves the host: use 1 to 255"),
        }
    }
}

impl core::error::Error for ConfigError {}
