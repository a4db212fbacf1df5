//! What happened, in numbers, under the names that Linux gives them (`/proc/net/snmp`,
//! `/proc/net/netstat`), and where each received frame ended (law 7: the books balance exactly).

use core::fmt;

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident = $name:literal,)+) => {
        /// Counters of one stack. They only grow, except `TcpCurrEstab`, which is a gauge.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $field: u64,)+
            /// Frames that ended at each [`DropReason`].
            pub drops: Drops,
        }

        impl Counters {
            /// Every counter with its Linux-style name, drop reasons last.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
                let named = [$(($name, self.$field),)+];
                named.into_iter().chain(self.drops.iter().map(|(reason, n)| (reason.name(), n)))
            }

            /// Adds those of another stack.
            pub fn add(&mut self, other: &Counters) {
                $(self.$field += other.$field;)+
                for (n, more) in self.drops.0.iter_mut().zip(other.drops.0) {
                    *n += more;
                }
            }
        }
    };
}

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident,)+) => {
        /// Why a received frame went no further.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum DropReason { $($(#[doc = $doc])+ $variant,)+ }

        impl DropReason {
            /// Every reason, in order.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant,)+];

            /// The reason's name, as counters print it.
            pub const fn name(self) -> &'static str {
                match self { $(DropReason::$variant => concat!("Drop", stringify!($variant)),)+ }
            }
        }
    };
}

counters! {
    /// Frames handed to `Stack::receive`.
    frames_in = "FramesIn",
    /// Frames that reached a protocol which used them.
    frames_delivered = "FramesDelivered",
    /// Frames handed out by `Stack::poll_transmit`.
    frames_out = "FramesOut",
    /// IP packets received.
    ip_in_receives = "IpInReceives",
    /// IP packets delivered to a transport.
    ip_in_delivers = "IpInDelivers",
    /// IP packets that local transports asked to send.
    ip_out_requests = "IpOutRequests",
    /// Outgoing packets without a route.
    ip_out_no_routes = "IpOutNoRoutes",
    /// Outgoing packets given up: the neighbour did not answer, packets were waiting for it up to a
    /// limit or it was forgotten for one, or their address was lost.
    ip_out_discards = "IpOutDiscards",
    /// IP packets received that know no ECN (RFC 3168).
    ip_in_no_ect_pkts = "IpExtInNoECTPkts",
    /// IP packets received with ECT(1).
    ip_in_ect1_pkts = "IpExtInECT1Pkts",
    /// IP packets received with ECT(0).
    ip_in_ect0_pkts = "IpExtInECT0Pkts",
    /// IP packets received that a router has marked.
    ip_in_ce_pkts = "IpExtInCEPkts",
    /// Fragments received.
    ip_reasm_reqds = "IpReasmReqds",
    /// Datagrams reassembled.
    ip_reasm_oks = "IpReasmOKs",
    /// Reassemblies that failed: time, limits, overlap.
    ip_reasm_fails = "IpReasmFails",
    /// Reassemblies given up to keep within limits.
    ip_reasm_evicted = "IpReasmEvicted",
    /// Fragments made.
    ip_frag_creates = "IpFragCreates",
    /// Paths narrower than the link that were forgotten to make room for others.
    path_mtus_evicted = "PathMtusEvicted",
    /// Datagrams not sent because they may not be cut, and the path carries less.
    ip_frag_fails = "IpFragFails",
    /// ICMP messages received.
    icmp_in_msgs = "IcmpInMsgs",
    /// ICMP echo requests answered.
    icmp_in_echos = "IcmpInEchos",
    /// ICMP messages sent.
    icmp_out_msgs = "IcmpOutMsgs",
    /// ICMP errors not sent because of the rate limit.
    icmp_out_rate_limited = "IcmpOutRateLimitGlobal",
    /// UDP datagrams delivered.
    udp_in_datagrams = "UdpInDatagrams",
    /// UDP datagrams for a port that nobody has.
    udp_no_ports = "UdpNoPorts",
    /// UDP datagrams dropped because the socket's receive buffer was full.
    udp_rcvbuf_errors = "UdpRcvbufErrors",
    /// Words of the network on datagrams whose sockets had as many as they may keep.
    udp_errors_dropped = "UdpErrorsDropped",
    /// Words of the network on echo requests whose sockets had as many as they may keep.
    echo_errors_dropped = "EchoErrorsDropped",
    /// What routers were told of groups that sockets have joined or left.
    group_reports = "GroupReports",
    /// UDP datagrams sent.
    udp_out_datagrams = "UdpOutDatagrams",
    /// Connections opened by `connect`.
    tcp_active_opens = "TcpActiveOpens",
    /// Connections opened through a listener.
    tcp_passive_opens = "TcpPassiveOpens",
    /// Opens that ended before ESTABLISHED (RFC 4022 `tcpAttemptFails`).
    tcp_attempt_fails = "TcpAttemptFails",
    /// Connections that went from ESTABLISHED or CLOSE-WAIT straight to CLOSED (RFC 4022).
    tcp_estab_resets = "TcpEstabResets",
    /// Connections in ESTABLISHED or CLOSE-WAIT now (a gauge).
    tcp_curr_estab = "TcpCurrEstab",
    /// Segments received, bad ones included.
    tcp_in_segs = "TcpInSegs",
    /// Segments sent, without what is sent again (RFC 4022); as in Linux, with SYN-ACKs that are.
    tcp_out_segs = "TcpOutSegs",
    /// Segments retransmitted.
    tcp_retrans_segs = "TcpRetransSegs",
    /// RSTs sent.
    tcp_out_rsts = "TcpOutRsts",
    /// RSTs not sent because of the rate limit.
    tcp_resets_limited = "TcpResetsLimited",
    /// SYNs and handshakes dropped at a limit, those of `TcpExtListenOverflows` among them.
    tcp_listen_drops = "TcpExtListenDrops",
    /// Those dropped because the accept queue was full, or there were `connections_max` already.
    tcp_listen_overflows = "TcpExtListenOverflows",
    /// Half-open connections evicted to make room for newer ones.
    tcp_half_open_evicted = "TcpExtTCPReqQFullDrop",
    /// SYNs for a forwarder that were dropped at its limits, `forward_max` or
    /// `forward_per_source`.
    tcp_forward_drops = "TcpForwardDrops",
    /// Connections that a forwarder's program had accepted, whose peers had not yet finished the
    /// handshake, and that ended to make room for newer ones.
    tcp_forward_evicted = "TcpForwardEvicted",
    /// SYNs for a forwarder on which nobody decided in time.
    tcp_forward_expired = "TcpForwardExpired",
    /// SYNs that found the handshakes at their limit, and cookies allowed.
    tcp_req_q_full_do_cookies = "TcpExtTCPReqQFullDoCookies",
    /// SYNs answered with a cookie.
    tcp_cookies_sent = "TcpExtSyncookiesSent",
    /// Handshakes that a cookie finished.
    tcp_cookies_received = "TcpExtSyncookiesRecv",
    /// Third segments whose number was no cookie, or an old one.
    tcp_cookies_failed = "TcpExtSyncookiesFailed",
    /// Octets delivered by acknowledgments that echoed a router's mark. What Linux counts by this
    /// name are segments.
    tcp_delivered_ce = "TcpExtTCPDeliveredCE",
    /// SYNs whose text the server took (RFC 7413).
    tcp_fast_open_active = "TcpExtTCPFastOpenActive",
    /// SYNs whose text the server did not take, or not whole: it was sent again.
    tcp_fast_open_active_fail = "TcpExtTCPFastOpenActiveFail",
    /// Connections that a SYN with a good cookie opened.
    tcp_fast_open_passive = "TcpExtTCPFastOpenPassive",
    /// SYNs whose cookie was not good, or that found no room for a connection.
    tcp_fast_open_passive_fail = "TcpExtTCPFastOpenPassiveFail",
    /// SYNs whose cookie was made with the previous key.
    tcp_fast_open_passive_alt_key = "TcpExtTCPFastOpenPassiveAltKey",
    /// SYNs that found as many such connections unfinished as the listener allows.
    tcp_fast_open_listen_overflow = "TcpExtTCPFastOpenListenOverflow",
    /// SYNs that asked for a cookie.
    tcp_fast_open_cookie_reqd = "TcpExtTCPFastOpenCookieReqd",
    /// Servers that get no text with the SYN for a while, because SYNs with text vanish.
    tcp_fast_open_blackhole = "TcpExtTCPFastOpenBlackhole",
    /// Servers forgotten to make room for others.
    tcp_fast_open_forgotten = "TcpExtTCPFastOpenForgotten",
    /// Retransmission timeouts.
    tcp_timeouts = "TcpExtTCPTimeouts",
    /// Segments sent again in fast recovery.
    tcp_fast_retrans = "TcpExtTCPFastRetrans",
    /// Segments sent again in slow start, after a time-out.
    tcp_slow_start_retrans = "TcpExtTCPSlowStartRetrans",
    /// Recoveries that began by SACK and RACK (RFC 8985).
    tcp_sack_recovery = "TcpExtTCPSackRecovery",
    /// Recoveries that began by duplicate acknowledgments, without SACK (RFC 6582).
    tcp_reno_recovery = "TcpExtTCPRenoRecovery",
    /// Retransmissions that were lost and found so by RACK.
    tcp_lost_retransmit = "TcpExtTCPLostRetransmit",
    /// Tail loss probes sent (RFC 8985 §7).
    tcp_loss_probes = "TcpExtTCPLossProbes",
    /// Times that the first octets were sent once more in recovery, for nothing had come back.
    tcp_rescue_probes = "TcpExtTCPRescueProbes",
    /// Losses that a tail loss probe repaired.
    tcp_loss_probe_recovery = "TcpExtTCPLossProbeRecovery",
    /// Times that text was delivered out of order and never sent again.
    tcp_sack_reorder = "TcpExtTCPSACKReorder",
    /// SACK blocks that no honest peer sends.
    tcp_sack_discard = "TcpExtTCPSACKDiscard",
    /// Peers that took back what they had reported as received (RFC 2018 §8).
    tcp_sack_reneging = "TcpExtTCPSACKReneging",
    /// Reports of text received twice, sent to peers (RFC 2883).
    tcp_dsack_old_sent = "TcpExtTCPDSACKOldSent",
    /// Reports of text received twice, acknowledged before (RFC 2883).
    tcp_dsack_recv = "TcpExtTCPDSACKRecv",
    /// Reports of text received twice, out of order.
    tcp_dsack_ofo_recv = "TcpExtTCPDSACKOfoRecv",
    /// Reports of text received twice that cannot be of our retransmissions.
    tcp_dsack_ignored = "TcpExtTCPDSACKIgnoredDubious",
    /// Reductions undone because every retransmission was a duplicate (RFC 3708).
    tcp_dsack_undo = "TcpExtTCPDSACKUndo",
    /// Reductions undone because everything believed lost was delivered (RFC 3522).
    tcp_full_undo = "TcpExtTCPFullUndo",
    /// The same while other text was still believed lost.
    tcp_partial_undo = "TcpExtTCPPartialUndo",
    /// Time-outs undone (RFC 4015, RFC 5682).
    tcp_loss_undo = "TcpExtTCPLossUndo",
    /// Time-outs that were for nothing.
    tcp_spurious_rtos = "TcpExtTCPSpuriousRTOs",
    /// Probes of the path MTU that arrived: segments are larger (RFC 4821).
    tcp_mtup_success = "TcpExtTCPMTUPSuccess",
    /// Probes of the path MTU that were lost.
    tcp_mtup_fail = "TcpExtTCPMTUPFail",
    /// Zero-window probes sent.
    tcp_win_probe = "TcpExtTCPWinProbe",
    /// Keepalive probes sent.
    tcp_keep_alive = "TcpExtTCPKeepAlive",
    /// Pure ACKs sent by the delayed-ACK timer.
    tcp_delayed_acks = "TcpExtDelayedACKs",
    /// Challenge ACKs sent (RFC 5961).
    tcp_challenge_ack = "TcpExtTCPChallengeACK",
    /// Challenge ACKs and duplicate ACKs withheld by a connection's own rate limit.
    tcp_ack_skipped = "TcpExtTCPACKSkipped",
    /// Segments queued out of order.
    tcp_ofo_queue = "TcpExtTCPOFOQueue",
    /// Segments with text that the memory ledger refused.
    tcp_rcv_q_drop = "TcpExtTCPRcvQDrop",
    /// Connections given up after retransmissions or keepalives went unanswered.
    tcp_abort_on_timeout = "TcpExtTCPAbortOnTimeout",
    /// Connections that the application closed with data unread.
    tcp_abort_on_close = "TcpExtTCPAbortOnClose",
    /// Connections that were closed with a linger time of zero, or to which text came when nobody
    /// would read it any more.
    tcp_abort_on_data = "TcpExtTCPAbortOnData",
    /// Connections that entered TIME-WAIT.
    tcp_time_waited = "TcpExtTW",
    /// TIME-WAITs ended early by a newer SYN (RFC 6191).
    tcp_time_wait_recycled = "TcpExtTWRecycled",
    /// TIME-WAITs evicted because the table was full.
    tcp_time_wait_overflow = "TcpExtTCPTimeWaitOverflow",
    /// Addresses refused because there were as many as `Config::addresses_max` allows.
    addresses_refused = "AddressesRefused",
    /// Addresses of ours that somebody else was found to have.
    addresses_duplicate = "AddressesDuplicate",
    /// Routers, prefixes, name servers and domains that were too many.
    routers_refused = "RoutersRefused",
    /// Routes refused because there were as many as `Config::routes_max` allows.
    routes_refused = "RoutesRefused",
    /// Replies dropped because as many wait as may: RSTs and others of TCP, ICMP messages, answers
    /// of ARP and Neighbor Discovery.
    replies_dropped = "RepliesDropped",
}

drop_reasons! {
    /// Shorter than an Ethernet header.
    FrameTooShort,
    /// An Ethernet type that the stack does not speak.
    EtherType,
    /// For a VLAN that the device does not have.
    VlanUnknown,
    /// By an interface that is not there, or has no device of its own.
    NoInterface,
    /// Sent to another station.
    NotOurMac,
    /// An ARP packet that is malformed.
    ArpMalformed,
    /// An ARP packet that says nothing to this host.
    ArpIgnored,
    /// A message of Neighbor Discovery that is malformed or not from this link.
    NdpMalformed,
    /// A message of Neighbor Discovery that says nothing to this host.
    NdpIgnored,
    /// An IP header that is malformed or cut off.
    IpMalformed,
    /// A wrong IP header checksum.
    IpChecksum,
    /// For an address that is not ours.
    IpNotForUs,
    /// For another part of this host (`Stack::become_part`).
    OtherPart,
    /// From an address that cannot be a sender (RFC 1122 §3.2.1.3).
    IpBadSource,
    /// A source route, which hosts do not follow (RFC 7126).
    IpSourceRoute,
    /// IPv6 extension headers that are malformed, too many, or not to be followed.
    IpExtension,
    /// A transport protocol that the stack does not speak.
    IpProtocol,
    /// A fragment refused by the reassembler.
    IpFragment,
    /// An ICMP message that is malformed or has a wrong checksum.
    IcmpMalformed,
    /// An ICMP message that is known and ignored, or quotes nothing of ours.
    IcmpIgnored,
    /// A message of IGMP that asks this host nothing.
    IgmpIgnored,
    /// A UDP datagram that is malformed.
    UdpMalformed,
    /// A wrong UDP checksum.
    UdpChecksum,
    /// A UDP datagram for this host alone, in a frame for a group of stations.
    UdpBadAddress,
    /// A UDP port that nobody has.
    UdpNoPort,
    /// A datagram for a group, from a source that no socket wants.
    GroupSource,
    /// A UDP socket's receive buffer is full.
    UdpBufferFull,
    /// A TCP header that is malformed.
    TcpMalformed,
    /// A wrong TCP checksum.
    TcpChecksum,
    /// A TCP segment to or from a broadcast or multicast address, or port 0.
    TcpBadAddress,
    /// A segment for a connection that is bound to another interface.
    TcpElsewhere,
    /// A segment for no connection and no listener.
    TcpNoConnection,
    /// A segment that a listener does not accept.
    TcpListener,
    /// A SYN refused because a queue is full.
    TcpListenQueue,
    /// A segment outside the receive window.
    TcpSequence,
    /// A segment with an old timestamp (PAWS, RFC 7323 §5).
    TcpPaws,
    /// A segment without the timestamp that was negotiated.
    TcpNoTimestamp,
    /// A RST that does not prove itself (RFC 5961 §3).
    TcpReset,
    /// A SYN inside a connection (RFC 5961 §4).
    TcpSyn,
    /// A segment without an ACK where one is due.
    TcpNoAck,
    /// An unacceptable acknowledgment.
    TcpAck,
    /// Text for a connection whose application has gone.
    TcpClosed,
    /// Text that memory or the out-of-order limit had no room for.
    TcpMemory,
    /// A segment for a connection in TIME-WAIT.
    TcpTimeWait,
    /// The loopback queue was full.
    Loopback,
    /// A super-frame of something that has no segments.
    SuperFrame,
}

/// Frames ended, by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Default for Drops {
    fn default() -> Drops {
        Drops([0; DropReason::ALL.len()])
    }
}

impl Drops {
    /// Frames that ended for `reason`.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Frames that ended for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().copied().zip(self.0.iter().copied())
    }

    pub(crate) fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }
}

impl fmt::Display for Counters {
    /// One `Name value` line for each counter that is not zero, like `nstat`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter().filter(|&(_, value)| value != 0) {
            writeln!(f, "{name:<32}{value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_listed_under_their_names() {
        let mut counters = Counters { tcp_in_segs: 3, ..Counters::default() };
        counters.drops.count(DropReason::TcpChecksum);
        counters.drops.count(DropReason::TcpChecksum);
        let text = counters.to_string();
        assert!(text.contains("TcpInSegs"), "{text}");
        assert!(text.contains("DropTcpChecksum                 2"), "{text}");
        assert_eq!(counters.drops.total(), 2);
        counters.add(&counters.clone());
        assert_eq!((counters.tcp_in_segs, counters.drops.total()), (6, 4));
    }
}
