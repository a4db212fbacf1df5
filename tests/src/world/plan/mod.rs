//! Everything about a run, as numbers with names. A number that is left alone has its calm value,
//! and a plan of calm values is a quiet afternoon: so a plan can be written down as the few
//! numbers that matter, read back, and made smaller one number at a time.

mod draw;
mod text;

pub use draw::Mix;
use stack::testing::translate::address_v6;
use stack::{Instant, Mac};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// A part of a plan.
pub trait Numbers: Clone + Default {
    /// Each number: its name, its calm value, its place.
    fn each(&mut self) -> Vec<(&'static str, u64, &mut u64)>;
}

macro_rules! numbers {
    ($(#[doc = $about:literal])+ $part:ident {
        $($(#[doc = $doc:literal])+ $field:ident = $calm:expr,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $part {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl Default for $part {
            fn default() -> $part {
                $part { $($field: $calm,)+ }
            }
        }

        impl Numbers for $part {
            fn each(&mut self) -> Vec<(&'static str, u64, &mut u64)> {
                vec![$((stringify!($field), $calm, &mut self.$field),)+]
            }
        }
    };
}

numbers! {
    /// What belongs to the whole run.
    RunPlan {
        /// The seed of everything that is still drawn while the world runs.
        seed = 1,
        /// How long the faults last, milliseconds.
        faults_ms = 1_000,
        /// The version of IP: 4 or 6.
        ip = 4,
        /// How often a router of IPv6 says something else, while there are faults; 0: never.
        router_every_ms = 0,
        /// 1: ARP crosses without faults. It gives up after three requests, and a connection
        /// that could not be opened is a fair outcome, but no byte.
        spares_arp = 0,
    }
}

numbers! {
    /// One host. From `mtu` to `last_port` as in `stack::Config` and `stack::TcpOptions`.
    HostPlan {
        /// 0: this project's stack, 1: smoltcp.
        kind = 0,
        /// The host's own randomness.
        seed = 1,
        /// What the host's clock shows when the run begins, microseconds.
        epoch_us = 0,
        /// Largest IP packet.
        mtu = 1500,
        /// Largest packet that the network card cuts into segments; 0: none, and no checksums.
        super_frame = 0,
        /// 1: the card joins segments that arrive together.
        joins = 0,
        /// Bytes that a connection may hold for its reader; 0: as many as it thinks fit.
        receive_buffer = 0,
        /// Bytes that a connection may hold for its writer; 0: as many as it thinks fit.
        send_buffer = 0,
        /// 1: no Nagle.
        nodelay = 0,
        /// 1: full segments only, until there is nothing more to say.
        cork = 0,
        /// Text that is not sent before the socket is no longer writable; 0: any.
        notsent_lowat = 0,
        /// Congestion control, by its place in `stack`'s list.
        congestion = 0,
        /// ECN, with Linux's numbers: 0 never, 1 asks and accepts, 2 accepts.
        ecn = 2,
        /// 1: every segment is acknowledged at once.
        quick_ack = 0,
        /// Largest segment; 0: what the MTU allows.
        max_segment = 0,
        /// Idle time before a keepalive and between keepalives; 0: none.
        keepalive_ms = 0,
        /// How long text may stay unacknowledged; 0: as long as the stack thinks fit.
        user_timeout_ms = 0,
        /// 1: asks whether its addresses are free, and does as routers say (IPv6).
        autoconfigure = 0,
        /// Fast Open, in Linux's bits; this project's stack only.
        fast_open = 0,
        /// 1: offers timestamps (smoltcp only: this project's stack always does).
        timestamps = 1,
        /// SYN-ACKs sent again before a handshake is forgotten.
        syn_ack_retries = 3,
        /// Longest delay of an acknowledgment.
        delayed_ack_ms = 40,
        /// Ranges out of order that a connection keeps.
        ranges_max = 128,
        /// Memory of all buffers, KiB.
        memory_kib = 1 << 20,
        /// Calls in which the ledger refuses whatever is asked of it, parts per million.
        refusals = 0,
        /// Connections that may wait to be accepted.
        backlog = 64,
        /// Handshakes before cookies.
        half_open_max = 16_384,
        /// 2 MSL.
        time_wait_ms = 60_000,
        /// Connections in TIME-WAIT.
        time_wait_max = 131_072,
        /// How long a connection that its application has closed may go without progress. The
        /// stack's own 100 s are less than what two samples of a slow route make of the time-out.
        orphan_ms = 600_000,
        /// First port for connections that name none.
        first_port = 32_768,
        /// Last port for connections that name none.
        last_port = 60_999,
        /// Timers fire late, at multiples of this; 0: in time.
        tick_us = 0,
        /// 1: frames that arrive together are all given before the host may answer.
        batches = 0,
        /// When the machine stands still: neither host nor applications run, and frames wait.
        asleep_at_ms = 0,
        /// For how long.
        asleep_ms = 0,
        /// When the host's clock leaps.
        leap_at_ms = 0,
        /// By how much, seconds.
        leap_s = 0,
        /// When the host loses all that it knows..
        crash_at_ms = 0,
        /// ..and how long after that it is back; 0: it does not crash.
        crash_ms = 0,
        /// When the device takes no frames.
        refuses_at_ms = 0,
        /// For how long.
        refuses_ms = 0,
        /// 0: frames wait until it does again, 1: each is an error, and lost.
        refuses_how = 0,
        /// When the host is given another address, and its first one is deprecated..
        moves_at_ms = 0,
        /// ..and how long after that the first is taken away; 0: it keeps it.
        moves_ms = 0,
    }
}

numbers! {
    /// The way from one host to the other. Shares are in parts per million.
    WirePlan {
        /// Delay of the sound link.
        delay_us = 1_000,
        /// Rate; 0: any.
        rate_kbit = 0,
        /// Room in front of the link, frames.
        queue = 1_000,
        /// What a middlebox takes from SYNs: 1 SACK, 2 timestamps, 4 scale, 8 MSS, 16 Fast Open;
        /// 32: it drops those with text.
        strips = 0,
        /// Bytes in the queue above which packets are marked instead (RFC 3168); 0: never.
        mark_above = 0,
        /// What a middlebox does with ECN: 1 clears the IP header's bits, 2 clears the flags of
        /// SYNs, 3 marks whatever can be marked, 4 whatever cannot, too.
        ecn_box = 0,
        /// Frames lost, each for itself.
        loss = 0,
        /// Chance that a burst of losses begins with a frame.
        bursts = 0,
        /// Mean length of such a burst, frames.
        burst_frames = 1,
        /// Frames that come twice.
        duplicate = 0,
        /// Frames that bring an old one along..
        replay = 0,
        /// ..which comes up to so much later.
        replay_ms = 0,
        /// Frames with damage.
        damage = 0,
        /// Kinds of damage, a bit for each: see `world::damage`.
        damage_kinds = 1,
        /// Frames that give a stranger the idea to send one in the same name: see `world::hostile`.
        hostile = 0,
        /// Variation of the delay.
        jitter_us = 0,
        /// Frames that are held back, for a time..
        late = 0,
        /// ..of up to this.
        late_us = 1,
        /// Frames that are held back, for a number of others..
        overtaken = 0,
        /// ..of up to this.
        overtaken_by = 1,
        /// When the route changes; 0: never.
        route_at_ms = 0,
        /// The delay of the new one.
        route_delay_us = 0,
        /// When the route changes back; 0: never before the faults end.
        route_back_at_ms = 0,
        /// When the link carries nothing.
        cut_at_ms = 0,
        /// For how long.
        cut_ms = 0,
        /// How often that happens again; 0: never.
        cut_every_ms = 0,
        /// From when large packets no longer pass.
        narrow_at_ms = 0,
        /// Largest packet then; 0: any.
        narrow_mtu = 0,
        /// 1: a router says so (RFC 1191), and it stays so when the faults have ended.
        narrow_told = 0,
    }
}

numbers! {
    /// How a connection begins.
    OpenPlan {
        /// The host that opens it.
        client = 0,
        /// When.
        at_ms = 0,
        /// Its port; 0: the stack chooses.
        port = 0,
    }
}

numbers! {
    /// How one side of a connection behaves.
    SidePlan {
        /// Bytes to send.
        bytes = 0,
        /// Largest write.
        write = 4_096,
        /// Largest read.
        read = 4_096,
        /// After this many reads and writes in a row the application does something else..
        burst = 64,
        /// ..for up to this long.
        pause_us = 0,
        /// After so many bytes in both directions it does nothing..
        stall_after = 0,
        /// ..for so long.
        stall_ms = 0,
        /// How it ends: one of [`Ending`].
        ending = 0,
        /// After so many bytes in both directions, if `ending` is sudden.
        ending_after = 0,
    }
}

/// Which stack a host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// This project's.
    Ours,
    /// smoltcp.
    Smol,
}

/// How one side of a connection ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// 0: says that all is sent, reads to the end, closes.
    Orderly,
    /// 1: closes when everything is sent and everything expected was read.
    WhenDone,
    /// 2: closes after so many bytes in both directions, whatever is missing.
    Vanish(u64),
    /// 3: resets after so many bytes in both directions.
    Abort(u64),
}

/// A stretch of a run.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From when.
    pub from: Instant,
    /// Until when.
    pub to: Instant,
}

impl Span {
    /// The stretch that begins at `at_ms` and lasts `ms`.
    pub fn of(at_ms: u64, ms: u64) -> Span {
        Span { from: Instant::from_millis(at_ms), to: Instant::from_millis(at_ms + ms) }
    }

    /// True when `at` lies in it.
    pub fn contains(&self, at: Instant) -> bool {
        at >= self.from && at < self.to
    }

    /// The end of the stretch, if `at` lies in it; otherwise `at`.
    pub fn end(&self, at: Instant) -> Instant {
        if self.contains(at) { self.to } else { at }
    }
}

/// One connection: how it begins, and its sides, that of the client first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionPlan {
    /// How it begins.
    pub open: OpenPlan,
    /// Its two sides.
    pub sides: [SidePlan; 2],
}

/// Everything about a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What belongs to the whole run.
    pub run: RunPlan,
    /// The two hosts.
    pub hosts: [HostPlan; 2],
    /// The wire from each host to the other.
    pub wires: [WirePlan; 2],
    /// The connections.
    pub connections: Vec<ConnectionPlan>,
}

/// The address for the link itself of the host with this one.
pub fn link_local(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b] = address.segments();
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, a, b)
}

impl RunPlan {
    /// The station and the address of host `i`. Over IPv6 it is the one that stands for
    /// [`HostPlan::place`]'s (RFC 7915).
    pub fn place(&self, i: usize) -> (Mac, IpAddr) {
        let (mac, address) = HostPlan::place(i);
        if self.ip == 6 { (mac, address_v6(address).into()) } else { (mac, address.into()) }
    }

    /// The address that host `i` moves to.
    pub fn second_address(&self, i: usize) -> IpAddr {
        self.place(i + 2).1
    }

    /// When the faults end.
    pub fn faults_end(&self) -> Instant {
        Instant::from_millis(self.faults_ms)
    }
}

impl HostPlan {
    /// Which stack it runs.
    pub fn kind(&self) -> Kind {
        if self.kind == 0 { Kind::Ours } else { Kind::Smol }
    }

    /// The addresses of host `i`, in a /24 with the other one's.
    pub fn place(i: usize) -> (Mac, Ipv4Addr) {
        (Mac([2, 0, 0, 0, 0, i as u8 + 1]), Ipv4Addr::new(192, 0, 2, i as u8 + 1))
    }

    /// When the machine stands still.
    pub fn asleep(&self) -> Span {
        Span::of(self.asleep_at_ms, self.asleep_ms)
    }

    /// When the machine is down; at the beginning it forgets everything.
    pub fn down(&self) -> Span {
        Span::of(self.crash_at_ms, self.crash_ms)
    }

    /// When the host has two addresses; before it the first, after it the second.
    pub fn moves(&self) -> Span {
        Span::of(self.moves_at_ms, self.moves_ms)
    }

    /// When the device takes no frames.
    pub fn refuses(&self) -> Span {
        Span::of(self.refuses_at_ms, self.refuses_ms)
    }

    /// The host may come to its limit of handshakes, and answers with cookies then.
    pub fn has_cookies(&self) -> bool {
        self.half_open_max < HostPlan::default().half_open_max
    }

    /// The host has reasons of its own to give connections up: it is impatient, or its clock runs
    /// away from it.
    pub fn may_time_out(&self) -> bool {
        self.user_timeout_ms > 0 || self.keepalive_ms > 0 || self.leap_s >= 10
    }
}

impl WirePlan {
    /// True when the link carries nothing at `at`.
    pub fn is_cut(&self, at: Instant) -> bool {
        let from = Instant::from_millis(self.cut_at_ms);
        if self.cut_ms == 0 || at < from {
            return false;
        }
        let since = (at - from).as_nanos() as u64;
        let every = Duration::from_millis(self.cut_every_ms.max(self.cut_ms + 1)).as_nanos() as u64;
        let within = if self.cut_every_ms == 0 { since } else { since % every };
        within < Duration::from_millis(self.cut_ms).as_nanos() as u64
    }

    /// The largest packet that passes at `at`, if there is a limit.
    pub fn narrow(&self, at: Instant, faults_end: Instant) -> Option<usize> {
        let is_on = at >= Instant::from_millis(self.narrow_at_ms)
            && (at < faults_end || self.narrow_told == 1);
        (is_on && self.narrow_mtu > 0).then_some(self.narrow_mtu as usize)
    }
}

impl SidePlan {
    /// How it ends.
    pub fn ending(&self) -> Ending {
        match self.ending {
            0 => Ending::Orderly,
            1 => Ending::WhenDone,
            2 => Ending::Vanish(self.ending_after),
            _ => Ending::Abort(self.ending_after),
        }
    }

    /// For how long the application may do nothing between two bursts.
    pub fn pause(&self) -> Duration {
        Duration::from_micros(self.pause_us)
    }
}
