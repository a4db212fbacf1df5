//! Paths that carry less than the link.

use std::time::Duration;

use stack::{
    Autoconfigure, Config, Gso, MtuDiscovery, NetworkErrorKind, PathLimits, Readiness, RxFrame,
    SendError, TcpId, UdpError, UdpOptions, UdpRecvError, UdpSendError,
};

use crate::net::{Net, frames, host, host_with, v4, v6};
use crate::routers::Word;

/// A router's word on `frame`: the IPv4 packet in it does not fit, `mtu` would (RFC 1191 §4).
fn too_big(frame: &[u8], mtu: u16) -> Vec<u8> {
    says(frame, [3, 4], mtu)
}

/// The router 203.0.113.1 says this of the packet in `frame`.
fn says(frame: &[u8], [kind, code]: [u8; 2], mtu: u16) -> Vec<u8> {
    let quoted = &frame[14..14 + 28];
    let [high, low] = mtu.to_be_bytes();
    let mut message = [&[kind, code, 0, 0, 0, 0, high, low][..], quoted].concat();
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    let mut header = vec![0x45, 0, 0, 20 + message.len() as u8, 0, 0, 0, 0, 64, 1, 0, 0];
    header.extend([203, 0, 113, 1]);
    header.extend(&quoted[12..16]);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [&frame[6..12], &frame[..6], &[8, 0], &header, &message].concat()
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum = words.fold(0, |sum, word| (sum + word) % 0xffff);
    (!(sum as u16)).to_be_bytes()
}

/// Host 0 writes `total` octets, host 1 reads them; the routers say what fits, if `tells`. Returns
/// how long it took.
fn transfer(net: &mut Net, ids: (TcpId, TcpId), total: usize, tells: bool) -> Duration {
    let (began, pattern) = (net.now, |i: usize| (i % 251) as u8);
    let (mut sent, mut got, mut out) = (0, 0, vec![0; 100_000]);
    while got < total {
        let chunk: Vec<u8> = (sent..total.min(sent + 50_000)).map(pattern).collect();
        match net.hosts[0].tcp(ids.0).unwrap().send(net.now, &chunk) {
            Ok(n) => sent += n,
            Err(SendError::WouldBlock) => {}
            Err(error) => panic!("{error}"),
        }
        net.pass(Duration::from_millis(10));
        for frame in std::mem::take(&mut net.lost) {
            if tells && frame[12..14] == [8, 0] {
                let word = too_big(&frame, net.carries as u16);
                net.hosts[0].receive(net.now, RxFrame::plain(&word));
            }
        }
        if let Ok(n) = net.hosts[1].tcp(ids.1).unwrap().recv(net.now, &mut out) {
            assert!(out[..n].iter().enumerate().all(|(i, &b)| b == pattern(got + i)));
            got += n;
        }
        assert!(net.now - began < Duration::from_secs(120), "{got} of {total}");
    }
    net.now - began
}

fn send_mss(net: &mut Net, id: TcpId) -> u16 {
    net.hosts[0].tcp(id).unwrap().info().send_mss
}

/// Text that went when the path was wide.
const WARM_UP: usize = 100_000;

#[test]
fn t17_a_path_that_becomes_narrow_in_silence_is_found_out() {
    for (remote, carries, within) in [
        (v4(2, 80), 1_400, 8),
        (v4(2, 80), 1_280, 8),
        (v4(2, 80), 1_064, 8),
        (v4(2, 80), 576, 16),
        (v6(2, 80), 1_400, 8),
        (v6(2, 80), 1_280, 8),
    ] {
        let mut net = Net::new();
        let ids = net.connect(remote);
        transfer(&mut net, ids, WARM_UP, false);
        let rto = net.hosts[0].tcp(ids.0).unwrap().info().rto;
        net.carries = carries;
        let took = transfer(&mut net, ids, 300_000, false);
        assert!(took < rto * within + Duration::from_secs(1), "{took:?}, {rto:?}, {carries}");
        // And then the search, until it is as large as can be.
        transfer(&mut net, ids, 3_000_000, false);
        let headers = if remote.is_ipv4() { 52 } else { 72 };
        let segment = usize::from(send_mss(&mut net, ids.0)) + headers;
        assert!((carries - 8..=carries).contains(&segment), "{segment} of {carries}");
        let counters = net.hosts[0].counters();
        assert!(counters.tcp_mtup_fail <= 8, "{} probes lost", counters.tcp_mtup_fail);
        assert_eq!(
            counters.tcp_mtup_success > 0,
            ![1_064, 576].contains(&carries) && segment != 1_280
        );
    }
}

/// A tail loss probe cuts a super-frame's record: what is left of it is short, and the segment that
/// goes again is not.
#[test]
fn t17_what_counts_is_the_segment_that_goes_again() {
    let mut net = Net::of([host_with(1, |config| config.super_frame_max = 65_535), host(2)]);
    let ids = net.connect(v6(2, 80));
    net.carries = 1_280;
    net.hosts[0].tcp(ids.0).unwrap().send(net.now, &[7; 2_000]).unwrap();
    net.pass(Duration::from_secs(10));
    assert_eq!(net.hosts[1].tcp(ids.1).unwrap().recv(net.now, &mut [0; 9_000]), Ok(2_000));
}

#[test]
fn t17_after_an_outage_segments_are_as_large_as_before() {
    let mut net = Net::new();
    let ids = net.connect(v4(2, 80));
    transfer(&mut net, ids, WARM_UP, false);
    net.hosts[0].tcp(ids.0).unwrap().send(net.now, &[0; 5_000]).unwrap();
    net.carries = 60;
    net.pass(Duration::from_secs(5));
    assert_eq!(send_mss(&mut net, ids.0), 536 - 12, "it may be the size");
    net.carries = usize::MAX;
    net.pass(Duration::from_secs(10));
    let mut out = vec![0; 10_000];
    assert_eq!(net.hosts[1].tcp(ids.1).unwrap().recv(net.now, &mut out), Ok(5_000));
    transfer(&mut net, ids, 500_000, false);
    assert_eq!(send_mss(&mut net, ids.0), 1_448);
    assert_eq!(net.hosts[0].counters().tcp_mtup_success, 1, "the first probe asks for all");
}

#[test]
fn rfc1191_6_4_a_router_s_word_costs_no_time_and_is_remembered() {
    let mut net = Net::new();
    let ids = net.connect(v4(2, 80));
    transfer(&mut net, ids, WARM_UP, true);
    net.carries = 1_280;
    let took = transfer(&mut net, ids, 300_000, true);
    assert!(took < Duration::from_millis(700), "{took:?}");
    assert_eq!(send_mss(&mut net, ids.0), 1_280 - 52);
    assert_eq!(net.hosts[0].counters().tcp_timeouts, 0);
    // RFC 8201 §5.2: whoever comes next knows it, for ten minutes.
    let next = net.connect(v4(2, 81));
    assert_eq!(send_mss(&mut net, next.0), 1_280 - 52);
    net.lost.clear();
    transfer(&mut net, next, 100_000, true);
    assert!(net.lost.is_empty());
    net.pass(Duration::from_secs(601));
    let later = net.connect(v4(2, 82));
    assert_eq!(send_mss(&mut net, later.0), 1_448);
    // RFC 1191 §6.3: one that has lasted asks again, and costs a segment if it is as it was.
    transfer(&mut net, next, 300_000, true);
    assert_eq!(send_mss(&mut net, next.0), 1_280 - 52);
    net.carries = 1_500;
    net.pass(Duration::from_secs(601));
    transfer(&mut net, next, 300_000, true);
    assert_eq!(send_mss(&mut net, next.0), 1_448);
    assert_eq!(net.hosts[0].counters().tcp_timeouts, 0);
}

/// Host 0 believes routers, and a connection of it over IPv6 is open.
fn beside_a_router(change: impl FnOnce(&mut Config)) -> (Net, (TcpId, TcpId)) {
    let config = |config: &mut Config| {
        config.autoconfigure = Autoconfigure::On;
        change(config);
    };
    let mut net = Net::of([host_with(1, config), host(2)]);
    net.pass(Duration::from_secs(3));
    let ids = net.connect(v6(2, 80));
    (net, ids)
}

/// A router says what the link carries (RFC 4861 §6.3.4).
fn link_carries(net: &mut Net, mtu: u32) {
    net.hosts[0].receive(net.now, RxFrame::plain(&Word::new().mtu(mtu).frame()));
}

#[test]
fn rfc4861_6_3_4_open_connections_follow_what_the_link_carries() {
    let (mut net, ids) = beside_a_router(|_| ());
    transfer(&mut net, ids, WARM_UP, false);
    // What is lost while the link becomes narrow goes again in shorter segments.
    net.hosts[0].tcp(ids.0).unwrap().send(net.now, &[7; 5_000]).unwrap();
    assert_eq!(frames(&mut net.hosts[0], net.now)[0].len(), 14 + 1_500);
    link_carries(&mut net, 1_280);
    net.seen.clear();
    net.pass(Duration::from_secs(2));
    assert_eq!(net.hosts[1].tcp(ids.1).unwrap().recv(net.now, &mut [0; 9_000]), Ok(5_000));
    transfer(&mut net, ids, 300_000, false);
    assert!(net.seen.iter().all(|frame| frame.len() <= 14 + 1_280));
    assert_eq!(net.hosts[0].counters().ip_frag_creates, 0);
    assert_eq!(send_mss(&mut net, ids.0), 1_280 - 72);
    // And more again: one segment as long as the link takes asks about the rest of the path.
    link_carries(&mut net, 1_400);
    transfer(&mut net, ids, 300_000, false);
    assert_eq!(send_mss(&mut net, ids.0), 1_400 - 72);
    assert_eq!(net.hosts[0].counters().tcp_mtup_success, 1);
    assert!(net.seen.iter().all(|frame| frame.len() <= 14 + 1_400));
    assert_eq!(net.hosts[0].counters().ip_frag_creates, 0);
}

#[test]
fn rfc4861_6_3_4_super_frames_are_cut_for_the_link_of_today() {
    let (mut net, ids) = beside_a_router(|config| config.super_frame_max = 65_535);
    net.hosts[0].tcp(ids.0).unwrap().send(net.now, &[7; 50_000]).unwrap();
    link_carries(&mut net, 1_280);
    let frame = net.hosts[0].poll_transmit(net.now).unwrap();
    assert_eq!(frame.gso, Some(Gso { segment: 1_280 - 72 }));
}

/// The default remembers 256 paths; here one, and the path after the limit.
#[test]
fn t16_paths_remembered_have_a_limit() {
    let few = |config: &mut Config| {
        config.paths = PathLimits { destinations: 1, ..PathLimits::default() };
    };
    let mut net = Net::of([host_with(1, few), host(2)]);
    let id = net.hosts[0].bind_udp(v4(1, 0)).unwrap();
    for (last, evicted) in [(2, 0), (2, 0), (3, 1), (4, 2), (2, 3)] {
        let mut socket = net.hosts[0].udp(id).unwrap();
        socket.connect(v4(last, 9)).unwrap();
        socket.send_to(net.now, &[0; 1_400], None).unwrap();
        let local = socket.local();
        let mut packet =
            vec![0x45, 0, 5, 0x94, 0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, last];
        packet.extend([&local.port().to_be_bytes()[..], &[0, 9, 5, 0x80, 0, 0]].concat());
        let frame = [&[2, 0, 0, 0, 0, 99, 2, 0, 0, 0, 0, 1, 8, 0][..], &packet].concat();
        net.hosts[0].receive(net.now, RxFrame::plain(&too_big(&frame, 1_300)));
        let socket = net.hosts[0].udp(id).unwrap();
        assert_eq!(socket.path_mtu(net.now), Some(1_300));
        assert_eq!(net.hosts[0].counters().path_mtus_evicted, evicted);
    }
}

#[test]
fn datagrams_and_the_path() {
    let mut net = Net::new();
    let id = net.hosts[0].bind_udp(v4(1, 0)).unwrap();
    let far = net.hosts[1].bind_udp(v4(2, 9)).unwrap();
    net.hosts[0].udp(id).unwrap().connect(v4(2, 9)).unwrap();
    let go = |net: &mut Net, way: MtuDiscovery, len: usize| {
        let mut socket = net.hosts[0].udp(id).unwrap();
        let _ = socket.take_error();
        socket.set_options(UdpOptions { mtu_discovery: way, ..UdpOptions::default() });
        socket.send_to(net.now, &vec![7; len], None)?;
        net.pass(Duration::from_millis(10));
        let mut out = vec![0; 70_000];
        let heard = net.hosts[1].udp(far).unwrap().recv_from(&mut out);
        assert_eq!(heard.map(|(heard, ..)| heard), Ok(len));
        let sent: Vec<_> = net.seen.drain(..).filter(|frame| frame[12..14] == [8, 0]).collect();
        // Length and the three flags of each.
        Ok(sent.iter().map(|frame| (frame.len() - 14, frame[20] >> 5)).collect::<Vec<_>>())
    };
    let all = MtuDiscovery::ALL;
    let [dont, want, never, probe] = all;
    let refused = Err(UdpSendError::MessageTooLong);
    assert_eq!(go(&mut net, dont, 1_472), Ok(vec![(1_500, 0)]));
    assert_eq!(go(&mut net, want, 1_472), Ok(vec![(1_500, 2)]));
    assert_eq!(go(&mut net, want, 1_473), Ok(vec![(1_500, 1), (21, 0)]));
    assert_eq!(go(&mut net, never, 1_473), refused);
    assert_eq!(go(&mut net, probe, 1_473), refused);
    assert_eq!(go(&mut net, never, 1_472), Ok(vec![(1_500, 2)]));
    // A router says less.
    net.hosts[0].udp(id).unwrap().send_to(net.now, &[7; 1_472], None).unwrap();
    let frame = frames(&mut net.hosts[0], net.now).remove(0);
    for lie in [20, 1_500, 9_000] {
        net.hosts[0].receive(net.now, RxFrame::plain(&too_big(&frame, lie)));
        assert_eq!(net.hosts[0].udp(id).unwrap().path_mtu(net.now), Some(1_500), "{lie}");
    }
    net.hosts[0].receive(net.now, RxFrame::plain(&too_big(&frame, 1_300)));
    assert_eq!(net.hosts[0].udp(id).unwrap().path_mtu(net.now), Some(1_300));
    assert_eq!(net.hosts[0].udp(id).unwrap().take_error(), Some(stack::UdpError::MessageTooLong));
    assert_eq!(go(&mut net, want, 1_472), Ok(vec![(1_300, 1), (220, 0)]));
    assert_eq!(go(&mut net, dont, 1_472), Ok(vec![(1_300, 1), (220, 0)]));
    assert_eq!(go(&mut net, never, 1_273), refused);
    assert_eq!(go(&mut net, never, 1_272), Ok(vec![(1_300, 2)]));
    assert_eq!(go(&mut net, probe, 1_472), Ok(vec![(1_500, 2)]));
    // What was taken before the word came is told, not cut.
    let mut socket = net.hosts[0].udp(id).unwrap();
    socket.set_options(UdpOptions { mtu_discovery: never, ..UdpOptions::default() });
    socket.send_to(net.now, &[7; 1_272], None).unwrap();
    net.hosts[0].receive(net.now, RxFrame::plain(&too_big(&frame, 1_200)));
    let _ = net.hosts[0].udp(id).unwrap().take_error();
    assert_eq!(frames(&mut net.hosts[0], net.now), Vec::<Vec<u8>>::new());
    assert_eq!(net.hosts[0].udp(id).unwrap().take_error(), Some(stack::UdpError::MessageTooLong));
    assert_eq!(net.hosts[0].counters().ip_frag_fails, 1);
    // It ages.
    net.now = net.now + Duration::from_secs(601);
    assert_eq!(go(&mut net, never, 1_472), Ok(vec![(1_500, 2)]));
}

/// RFC 1122 §4.1.3.3, as Linux does it: what may pass is told to those who ask, not to every
/// connected socket.
#[test]
fn a_connected_socket_that_did_not_ask_hears_what_will_not_pass() {
    let mut net = Net::new();
    let id = net.hosts[0].bind_udp(v4(1, 0)).unwrap();
    let mut socket = net.hosts[0].udp(id).unwrap();
    socket.connect(v4(2, 9)).unwrap();
    socket.send_to(net.now, b"?", None).unwrap();
    net.settle();
    let mut out = [0; 9];
    let refused = Err(UdpRecvError::Failed(UdpError::Refused));
    assert_eq!(net.hosts[0].udp(id).unwrap().recv_from(&mut out), refused);
    let frame = net.seen.iter().find(|frame| frame.len() == 14 + 29).unwrap().clone();
    let mut hears = |said, options| {
        net.hosts[0].udp(id).unwrap().set_options(options);
        net.hosts[0].receive(net.now, RxFrame::plain(&says(&frame, said, 0)));
        let mut socket = net.hosts[0].udp(id).unwrap();
        let heard = socket.recv_from(&mut out).unwrap_err();
        (heard != UdpRecvError::WouldBlock, socket.take_network_error().is_some())
    };
    let plain = UdpOptions::default();
    let asks = UdpOptions { network_errors: true, ..plain };
    for said in [[11, 0], [3, 0], [3, 1], [3, 5]] {
        assert_eq!(hears(said, plain), (false, false), "{said:?}");
        assert_eq!(hears(said, asks), (true, true), "{said:?}");
    }
    for said in [[3, 2], [3, 3], [3, 4], [3, 13], [12, 1]] {
        assert_eq!(hears(said, plain), (true, false), "{said:?}");
        assert_eq!(hears(said, asks), (true, true), "{said:?}");
    }
    let cut = UdpOptions { mtu_discovery: MtuDiscovery::Dont, ..plain };
    assert_eq!(hears([3, 4], cut), (false, false), "routers may cut");
}

/// IP_RECVERR: a socket that asks for it hears who said what of which datagram, connected or not.
#[test]
fn what_the_network_says_of_datagrams_is_kept_for_those_who_ask() {
    let mut net = Net::new();
    let id = net.hosts[0].bind_udp(v4(1, 0)).unwrap();
    let mut socket = net.hosts[0].udp(id).unwrap();
    socket.send_to(net.now, b"?", Some(v4(2, 9))).unwrap();
    net.settle();
    let frame = net.seen.iter().find(|frame| frame.len() == 14 + 29).unwrap().clone();
    let expired = says(&frame, [11, 0], 0);
    net.hosts[0].receive(net.now, RxFrame::plain(&expired));
    let mut socket = net.hosts[0].udp(id).unwrap();
    assert_eq!(socket.take_network_error(), None, "nobody asked");
    assert_eq!(socket.recv_from(&mut [0; 9]), Err(UdpRecvError::WouldBlock));
    socket.set_options(UdpOptions { network_errors: true, ..UdpOptions::default() });
    let rows = [
        ([11, 0], NetworkErrorKind::TimeExceeded, UdpError::HostUnreachable),
        ([3, 0], NetworkErrorKind::Network, UdpError::NetworkUnreachable),
        ([3, 1], NetworkErrorKind::Host, UdpError::HostUnreachable),
        ([3, 2], NetworkErrorKind::Protocol, UdpError::ProtocolUnreachable),
        ([3, 3], NetworkErrorKind::Port, UdpError::Refused),
        ([3, 4], NetworkErrorKind::TooBig { mtu: 0 }, UdpError::MessageTooLong),
        ([3, 13], NetworkErrorKind::Prohibited, UdpError::Prohibited),
        (
            [12, 1],
            NetworkErrorKind::ParameterProblem { code: 1, pointer: 0 },
            UdpError::ParameterProblem,
        ),
    ];
    for (said, kind, error) in rows {
        net.hosts[0].receive(net.now, RxFrame::plain(&says(&frame, said, 0)));
        let mut socket = net.hosts[0].udp(id).unwrap();
        assert!(socket.readiness().contains(Readiness::ERROR));
        assert_eq!(socket.recv_from(&mut [0; 9]), Err(UdpRecvError::Failed(error)));
        let heard = socket.take_network_error().unwrap();
        assert_eq!((heard.kind, heard.remote), (kind, v4(2, 9)));
        assert_eq!(heard.from.to_string(), "203.0.113.1");
        assert!(!socket.readiness().contains(Readiness::ERROR));
    }
    // Of what another socket sent, nothing.
    let mut other = frame.clone();
    other[34] ^= 1;
    net.hosts[0].receive(net.now, RxFrame::plain(&says(&other, [3, 3], 0)));
    assert_eq!(net.hosts[0].udp(id).unwrap().take_network_error(), None);
    // So many are kept and no more; and what comes after the limit.
    for _ in 0..100 {
        net.hosts[0].receive(net.now, RxFrame::plain(&expired));
    }
    assert_eq!(net.hosts[0].counters().udp_errors_dropped, 100 - 64);
    let mut socket = net.hosts[0].udp(id).unwrap();
    let kept = std::iter::from_fn(|| socket.take_network_error()).count();
    assert_eq!(kept, 64);
    net.hosts[0].receive(net.now, RxFrame::plain(&expired));
    assert!(net.hosts[0].udp(id).unwrap().take_network_error().is_some());
}
