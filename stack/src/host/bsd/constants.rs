//! Linux's numbers for socket calls, so that programs need no other crate for them.

/// IPv4.
pub const AF_INET: i32 = 2;
/// IPv6, and IPv4 in its dress unless IPV6_V6ONLY is set.
pub const AF_INET6: i32 = 10;

/// A stream: TCP.
pub const SOCK_STREAM: i32 = 1;
/// Datagrams: UDP; with IPPROTO_ICMP or IPPROTO_ICMPV6 echo requests and replies.
pub const SOCK_DGRAM: i32 = 2;
/// In `socket` and `accept4`: the new socket does not block.
pub const SOCK_NONBLOCK: i32 = 0o4000;
/// In `socket` and `accept4`: accepted, and without effect, since nothing here survives `exec`.
pub const SOCK_CLOEXEC: i32 = 0o2_000_000;

/// Protocol number and option level of IP.
pub const IPPROTO_IP: i32 = 0;
/// Protocol number of ICMP.
pub const IPPROTO_ICMP: i32 = 1;
/// Protocol number and option level of TCP.
pub const IPPROTO_TCP: i32 = 6;
/// Protocol number and option level of UDP.
pub const IPPROTO_UDP: i32 = 17;
/// What is sent in one call is datagrams of so many bytes; 0 is one datagram (int).
pub const UDP_SEGMENT: i32 = 103;
/// Several datagrams of one length may be received in one call (int, 0 or 1).
pub const UDP_GRO: i32 = 104;
/// Option level of IPv6.
pub const IPPROTO_IPV6: i32 = 41;
/// Protocol number of ICMPv6.
pub const IPPROTO_ICMPV6: i32 = 58;
/// Option level of sockets.
pub const SOL_SOCKET: i32 = 1;

/// Several sockets may have one address and port, if all of them say so: of streams those that do
/// not listen; of datagram sockets the one that came last receives. Connections in TIME-WAIT are in
/// nobody's way in any case.
pub const SO_REUSEADDR: i32 = 2;
/// SOCK_STREAM or SOCK_DGRAM.
pub const SO_TYPE: i32 = 3;
/// The pending error, which reading clears.
pub const SO_ERROR: i32 = 4;
/// Datagrams may go to broadcast addresses.
pub const SO_BROADCAST: i32 = 6;
/// The send buffer, bytes. What is read is what is in force; Linux answers twice that.
pub const SO_SNDBUF: i32 = 7;
/// The receive buffer, bytes. What is read is what is in force; Linux answers twice that.
pub const SO_RCVBUF: i32 = 8;
/// Idle connections are probed.
pub const SO_KEEPALIVE: i32 = 9;
/// Urgent data stand among the others: there is nothing else here.
pub const SO_OOBINLINE: i32 = 10;
/// What closing does: two ints, on or off and seconds.
pub const SO_LINGER: i32 = 13;
/// Several sockets may have one address and port, if all of them say so: connections, and the
/// datagrams of one sender, go to one of them.
pub const SO_REUSEPORT: i32 = 15;
/// How long a receive may block: a timeval.
pub const SO_RCVTIMEO: i32 = 20;
/// How long a send or connect may block: a timeval.
pub const SO_SNDTIMEO: i32 = 21;
/// The interface that the socket is bound to, by its name: it hears and sends by no other. No name:
/// any. Set before the socket has an address.
pub const SO_BINDTODEVICE: i32 = 25;
/// The socket listens.
pub const SO_ACCEPTCONN: i32 = 30;
/// IPPROTO_TCP or IPPROTO_UDP.
pub const SO_PROTOCOL: i32 = 38;
/// AF_INET or AF_INET6.
pub const SO_DOMAIN: i32 = 39;
/// Bytes a second that a stream sends at most, an unsigned int or 64 bits; all ones: no limit.
pub const SO_MAX_PACING_RATE: i32 = 47;
/// `SO_BINDTODEVICE` by the interface's number; 0: any.
pub const SO_BINDTOIFINDEX: i32 = 62;

/// Type of service.
pub const IP_TOS: i32 = 1;
/// Time to live.
pub const IP_TTL: i32 = 2;
/// The interface and address that datagrams came to, with each of them.
pub const IP_PKTINFO: i32 = 8;
/// What the network says of datagrams is in the queue of MSG_ERRQUEUE; what it says of a stream
/// fails the next call.
pub const IP_RECVERR: i32 = 11;
/// The time to live of datagrams, with each of them.
pub const IP_RECVTTL: i32 = 12;
/// The type of service of datagrams, with each of them.
pub const IP_RECVTOS: i32 = 13;
/// What is done where a path carries less than a datagram: an `IP_PMTUDISC_...`.
pub const IP_MTU_DISCOVER: i32 = 10;
/// The longest packet that the path to the peer carries, as far as is known.
pub const IP_MTU: i32 = 14;
/// The interface that datagrams to groups leave by.
pub const IP_MULTICAST_IF: i32 = 32;
/// The time to live of datagrams to groups.
pub const IP_MULTICAST_TTL: i32 = 33;
/// Datagrams to groups come back to members on this host.
pub const IP_MULTICAST_LOOP: i32 = 34;
/// Join a group: a `struct ip_mreq` or `ip_mreqn`.
pub const IP_ADD_MEMBERSHIP: i32 = 35;
/// Leave a group.
pub const IP_DROP_MEMBERSHIP: i32 = 36;
/// Hear a blocked source again: a `struct ip_mreq_source`.
pub const IP_UNBLOCK_SOURCE: i32 = 37;
/// Do not hear a source of a group.
pub const IP_BLOCK_SOURCE: i32 = 38;
/// Join a group for one source.
pub const IP_ADD_SOURCE_MEMBERSHIP: i32 = 39;
/// Hear a joined source no longer.
pub const IP_DROP_SOURCE_MEMBERSHIP: i32 = 40;
/// All sources of a joined group at once, in reading too: a `struct ip_msfilter`.
pub const IP_MSFILTER: i32 = 41;
/// Join a group of either IP version: a `struct group_req` (RFC 3678 §5.1).
pub const MCAST_JOIN_GROUP: i32 = 42;
/// Do not hear a source of a group: a `struct group_source_req`.
pub const MCAST_BLOCK_SOURCE: i32 = 43;
/// Hear a blocked source again.
pub const MCAST_UNBLOCK_SOURCE: i32 = 44;
/// Leave a group.
pub const MCAST_LEAVE_GROUP: i32 = 45;
/// Join a group for one source.
pub const MCAST_JOIN_SOURCE_GROUP: i32 = 46;
/// Hear a joined source no longer.
pub const MCAST_LEAVE_SOURCE_GROUP: i32 = 47;
/// All sources of a joined group at once, in reading too: a `struct group_filter`.
pub const MCAST_MSFILTER: i32 = 48;
/// In these: all sources are heard but those of the list.
pub const MCAST_EXCLUDE: u32 = 0;
/// Those of the list are heard; none: the group is left.
pub const MCAST_INCLUDE: u32 = 1;
/// `IP_MTU_DISCOVER`: routers may cut.
pub const IP_PMTUDISC_DONT: i32 = 0;
/// `IP_MTU_DISCOVER`: only this host cuts.
pub const IP_PMTUDISC_WANT: i32 = 1;
/// `IP_MTU_DISCOVER`: nobody cuts, EMSGSIZE instead.
pub const IP_PMTUDISC_DO: i32 = 2;
/// `IP_MTU_DISCOVER`: nobody cuts, and what is known of the path is not looked at.
pub const IP_PMTUDISC_PROBE: i32 = 3;

/// Hop limit.
pub const IPV6_UNICAST_HOPS: i32 = 16;
/// The interface that datagrams to one host leave by, its number in network byte order; 0: any.
pub const IP_UNICAST_IF: i32 = 50;
/// `IP_UNICAST_IF` of IPv6.
pub const IPV6_UNICAST_IF: i32 = 76;
/// `IP_MULTICAST_IF` of IPv6.
pub const IPV6_MULTICAST_IF: i32 = 17;
/// `IP_MULTICAST_TTL` of IPv6.
pub const IPV6_MULTICAST_HOPS: i32 = 18;
/// `IP_MULTICAST_LOOP` of IPv6.
pub const IPV6_MULTICAST_LOOP: i32 = 19;
/// Join a group of IPv6: a `struct ipv6_mreq`.
pub const IPV6_JOIN_GROUP: i32 = 20;
/// Leave a group of IPv6.
pub const IPV6_LEAVE_GROUP: i32 = 21;
/// `IP_MTU_DISCOVER` of IPv6.
pub const IPV6_MTU_DISCOVER: i32 = 23;
/// `IP_RECVERR` of IPv6.
pub const IPV6_RECVERR: i32 = 25;
/// `IP_PKTINFO` of IPv6 (RFC 3542 §6.1).
pub const IPV6_RECVPKTINFO: i32 = 49;
/// The hop limit of datagrams, with each of them (RFC 3542 §6.3).
pub const IPV6_RECVHOPLIMIT: i32 = 51;
/// The traffic class of datagrams, with each of them (RFC 3542 §6.5).
pub const IPV6_RECVTCLASS: i32 = 66;
/// `IP_MTU` of IPv6.
pub const IPV6_MTU: i32 = 24;
/// Nothing is cut: EMSGSIZE instead (RFC 3542 §11.2).
pub const IPV6_DONTFRAG: i32 = 62;
/// The socket does not speak IPv4.
pub const IPV6_V6ONLY: i32 = 26;
/// Traffic class.
pub const IPV6_TCLASS: i32 = 67;

/// Nagle's rule is off.
pub const TCP_NODELAY: i32 = 1;
/// The largest segment, bytes.
pub const TCP_MAXSEG: i32 = 2;
/// Only full segments are sent, until this is off.
pub const TCP_CORK: i32 = 3;
/// Seconds of silence before the first keepalive probe.
pub const TCP_KEEPIDLE: i32 = 4;
/// Seconds between keepalive probes.
pub const TCP_KEEPINTVL: i32 = 5;
/// Unanswered keepalive probes that end a connection.
pub const TCP_KEEPCNT: i32 = 6;
/// Linux's `struct tcp_info`.
pub const TCP_INFO: i32 = 11;
/// Acknowledgments are not delayed.
pub const TCP_QUICKACK: i32 = 12;
/// The congestion control, by its name.
pub const TCP_CONGESTION: i32 = 13;
/// Milliseconds that text may stay unacknowledged; 0: the default.
pub const TCP_USER_TIMEOUT: i32 = 18;

/// Of a listener: how many connections with text in their SYN may be unfinished; 0: no Fast Open.
pub const TCP_FASTOPEN: i32 = 23;
/// `connect` leaves the SYN to the first send, whose text goes along.
pub const TCP_FASTOPEN_CONNECT: i32 = 30;
/// The key of Fast Open's cookies, 16 bytes; and of those that are good still, 16 more.
pub const TCP_FASTOPEN_KEY: i32 = 33;
/// Fast Open without cookies.
pub const TCP_FASTOPEN_NO_COOKIE: i32 = 34;
/// Bytes that may wait to be sent before a socket is not writable; 0: no limit.
pub const TCP_NOTSENT_LOWAT: i32 = 25;

/// Leave the bytes where they are.
pub const MSG_PEEK: i32 = 0x2;
/// Of a datagram, return the whole length even if the buffer was shorter.
pub const MSG_TRUNC: i32 = 0x20;
/// Receive an error from the queue of IP_RECVERR. It never blocks, and no text comes with it.
pub const MSG_ERRQUEUE: i32 = 0x2000;
/// Do not block, this once.
pub const MSG_DONTWAIT: i32 = 0x40;
/// Block until the buffer is full.
pub const MSG_WAITALL: i32 = 0x100;
/// No SIGPIPE: there is none in any case.
pub const MSG_NOSIGNAL: i32 = 0x4000;
/// More follows: what does not fill a segment waits for it.
pub const MSG_MORE: i32 = 0x8000;

/// Connect, and send this with the SYN.
pub const MSG_FASTOPEN: i32 = 0x2000_0000;

/// `shutdown` of receiving.
pub const SHUT_RD: i32 = 0;
/// `shutdown` of sending.
pub const SHUT_WR: i32 = 1;
/// `shutdown` of both.
pub const SHUT_RDWR: i32 = 2;

/// `poll`: there is something to receive or accept, or an end.
pub const POLLIN: i16 = 0x1;
/// `poll`: urgent data; never reported.
pub const POLLPRI: i16 = 0x2;
/// `poll`: there is room to send.
pub const POLLOUT: i16 = 0x4;
/// `poll`: an error is pending; always reported.
pub const POLLERR: i16 = 0x8;
/// `poll`: both directions have ended; always reported.
pub const POLLHUP: i16 = 0x10;
/// `poll`: no such descriptor; always reported.
pub const POLLNVAL: i16 = 0x20;
/// `poll`: the other end will send no more.
pub const POLLRDHUP: i16 = 0x2000;
