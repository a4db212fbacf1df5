use super::super::error::{NetworkError, NetworkErrorKind, UdpError};
use super::super::socket::MtuDiscovery;
use super::*;
use crate::random::Seed;
use proptest::prelude::*;

const OURS: Address = Address::v4([192, 0, 2, 2]);
const SECOND: Address = Address::v4([10, 0, 0, 2]);
const PEER: Endpoint = Endpoint::new(Address::v4([192, 0, 2, 1]), 53);
const OTHER: Endpoint = Endpoint::new(Address::v4([192, 0, 2, 9]), 53);
const ALL: Address = Address::UNSPECIFIED_V4;

fn table() -> (UdpTable, Random) {
    with(UdpLimits::default())
}

fn with(limits: UdpLimits) -> (UdpTable, Random) {
    let seed = Seed::from_number(1);
    (UdpTable::new(limits, Secret::derive(&seed, "udp")), Random::new(&seed))
}

fn here(address: Address, port: u16) -> Endpoint {
    Endpoint::new(address, port)
}

fn bind(table: &mut UdpTable, address: Address, port: u16) -> Result<Key<UdpSocket>, BindError> {
    let mut random = Random::new(&Seed::from_number(9));
    table.bind(here(address, port), false, UdpOptions::default(), &mut random)
}

fn way(_: Address) -> Result<Way, UdpSendError> {
    Ok(Way { source: OURS, broadcast: false, mtu: 1_500, only: None })
}

fn send(table: &mut UdpTable, key: Key<UdpSocket>, payload: &[u8]) -> Result<(), UdpSendError> {
    table.send(key, payload, to(PEER), way)
}

const FIRST: InterfaceId = InterfaceId::FIRST;

fn from(from: Endpoint) -> Arrived {
    Arrived { from, to: OURS, ttl: 60, tos: 0, interface: FIRST }
}

fn to(to: Endpoint) -> SendDatagram {
    SendDatagram { to: Some(to.to_socket_addr()), ..SendDatagram::default() }
}

#[test]
fn a_name_is_given_once_and_a_port_for_all_addresses_excludes_the_others() {
    let (mut table, _) = table();
    let specific = bind(&mut table, OURS, 7).unwrap();
    assert_eq!(bind(&mut table, OURS, 7), Err(BindError::AddressInUse));
    assert_eq!(bind(&mut table, ALL, 7), Err(BindError::AddressInUse));
    let second = bind(&mut table, SECOND, 7).unwrap();
    table.close(specific);
    assert_eq!(bind(&mut table, ALL, 7), Err(BindError::AddressInUse));
    table.close(second);
    let all = bind(&mut table, ALL, 7).unwrap();
    assert_eq!(bind(&mut table, OURS, 7), Err(BindError::AddressInUse));
    table.close(all);
    assert!(bind(&mut table, OURS, 7).is_ok());
}

#[test]
fn a_name_of_ipv6_is_for_both_versions_unless_it_says_otherwise() {
    let (mut table, mut random) = table();
    let any = here(Address::UNSPECIFIED_V6, 7);
    let both = table.bind(any, false, UdpOptions::default(), &mut random).unwrap();
    assert_eq!(table.find(FIRST, here(OURS, 7), PEER), Some(both));
    for address in [ALL, OURS, SECOND] {
        assert_eq!(bind(&mut table, address, 7), Err(BindError::AddressInUse));
    }
    assert!(send(&mut table, both, b"to IPv4").is_ok());
    table.close(both);
    assert!(table.names.is_empty());
    let only = UdpOptions { only_v6: true, ..UdpOptions::default() };
    let six = table.bind(any, false, only, &mut random).unwrap();
    assert_eq!(table.find(FIRST, here(OURS, 7), PEER), None);
    assert_eq!(send(&mut table, six, b"to IPv4"), Err(UdpSendError::NetworkUnreachable));
    table.set_options(six, UdpOptions::default());
    assert_eq!(table.find(FIRST, here(OURS, 7), PEER), None, "it is too late to choose");
    let four = bind(&mut table, ALL, 7).unwrap();
    assert_eq!(table.find(FIRST, here(OURS, 7), PEER), Some(four));
    let peer = Endpoint::new(Address::v6(0x2001_0db8 << 96 | 1), 53);
    assert_eq!(table.find(FIRST, here(Address::v6(0x2001_0db8 << 96 | 2), 7), peer), Some(six));
    let refused = table.send(four, b"to IPv6", to(peer), way);
    assert_eq!(refused, Err(UdpSendError::UnsupportedFamily));
}

#[test]
fn datagrams_find_the_socket_of_their_address_then_of_all_addresses() {
    let (mut table, _) = table();
    let all = bind(&mut table, ALL, 53).unwrap();
    let ours = bind(&mut table, OURS, 54).unwrap();
    assert_eq!(table.find(FIRST, here(OURS, 53), PEER), Some(all));
    assert_eq!(table.find(FIRST, here(Address::v4([192, 0, 2, 255]), 53), PEER), Some(all));
    assert_eq!(table.find(FIRST, here(OURS, 54), PEER), Some(ours));
    assert_eq!(table.find(FIRST, here(SECOND, 54), PEER), None);
    assert_eq!(table.find(FIRST, here(OURS, 55), PEER), None);
}

#[test]
fn a_connected_socket_hears_its_peer_only_at_the_address_it_speaks_from() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    table.connect(key, OURS, PEER, None);
    assert_eq!(table.socket(key).unwrap().local(), here(OURS, 53));
    assert_eq!(table.find(FIRST, here(OURS, 53), PEER), Some(key));
    assert_eq!(table.find(FIRST, here(SECOND, 53), PEER), None);
    assert_eq!(table.find(FIRST, here(OURS, 53), OTHER), None);
    assert_eq!(table.find(FIRST, here(OURS, 53), Endpoint { port: 54, ..PEER }), None);
    table.disconnect(key);
    assert_eq!(table.socket(key).unwrap().local(), here(ALL, 53));
    assert_eq!(table.find(FIRST, here(SECOND, 53), OTHER), Some(key));
}

#[test]
fn received_datagrams_wait_in_order_and_long_ones_are_cut() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    assert!(table.deliver(key, from(PEER), b"first"));
    assert!(table.deliver(key, from(OTHER), b""));
    let socket = table.socket_mut(key).unwrap();
    assert_eq!((socket.next_len(), socket.is_readable()), (Some(5), true));
    let mut out = [0; 3];
    assert_eq!(socket.peek(&mut out), Ok(from(PEER).received(3)));
    assert_eq!(table.recv(key, &mut out), Ok(from(PEER).received(3)));
    assert_eq!(&out, b"fir");
    assert_eq!(table.recv(key, &mut out), Ok(from(OTHER).received(0)));
    assert_eq!(table.recv(key, &mut out), Err(UdpRecvError::WouldBlock));
    assert_eq!(table.bytes(), 0);
}

#[test]
fn r13_a_flood_to_a_slow_reader_stays_within_its_buffer() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    let mut taken = 0;
    for n in 0..100_000u32 {
        taken += u64::from(table.deliver(key, from(PEER), &n.to_be_bytes()));
        assert!(table.bytes() <= 208 << 10);
    }
    assert_eq!(taken, (208 << 10) / 68);
    assert_eq!(table.dropped(), 100_000 - taken);
    assert_eq!(table.socket(key).unwrap().dropped(), 100_000 - taken);
    // The oldest stay, and there is room again after one is taken.
    let mut out = [9; 4];
    assert_eq!(table.recv(key, &mut out), Ok(from(PEER).received(4)));
    assert_eq!(out, [0; 4]);
    assert!(table.deliver(key, from(PEER), b"more"));
}

#[test]
fn receiving_takes_one_of_any_size_where_none_waits() {
    let (mut table, _) = with(UdpLimits { bytes: 100_000, ..UdpLimits::default() });
    let key = bind(&mut table, ALL, 53).unwrap();
    table.set_options(key, UdpOptions { receive_buffer: 0, ..UdpOptions::default() });
    for _ in 0..3 {
        assert!(table.deliver(key, from(PEER), &[1; 65_507]));
        assert!(!table.deliver(key, from(PEER), b""), "it is full");
        let mut out = vec![0; 65_507];
        assert_eq!(table.recv(key, &mut out), Ok(from(PEER).received(65_507)));
    }
    let other = bind(&mut table, ALL, 54).unwrap();
    assert!(table.deliver(key, from(PEER), &[1; 65_507]));
    assert!(!table.deliver(other, from(PEER), &[1; 65_507]), "all sockets have too much");
}

#[test]
fn law6_all_queues_together_stay_within_the_limit() {
    let (mut table, _) = with(UdpLimits { bytes: 10_000, ..UdpLimits::default() });
    let keys: Vec<_> = (1..=20).map(|port| bind(&mut table, ALL, port).unwrap()).collect();
    for key in &keys {
        table.deliver(*key, from(PEER), &[0; 436]);
        let _ = send(&mut table, *key, &[0; 436]);
        assert!(table.bytes() <= 10_000);
    }
    assert_eq!(table.bytes(), 10_000);
    assert_eq!(send(&mut table, keys[19], b""), Err(UdpSendError::WouldBlock));
    assert!(!table.deliver(keys[19], from(PEER), b""));
    assert_eq!(send(&mut table, keys[19], &[0; 10_000]), Err(UdpSendError::WouldBlock));
    keys[1..].iter().for_each(|key| table.close(*key));
    while table.poll_transmit(&mut Vec::new()).is_some() {}
    assert!(table.recv(keys[0], &mut []).is_ok());
    assert_eq!((table.bytes(), table.len()), (0, 1));
    let long = send(&mut table, keys[0], &[0; 10_000]);
    assert_eq!(long, Err(UdpSendError::MessageTooLong), "there will never be more room");
    assert_eq!(send(&mut table, keys[0], &[0; 9_936]), Ok(()));
}

#[test]
fn sending_is_bounded_and_says_when_there_is_room() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    table.set_options(key, UdpOptions { send_buffer: 1_000, ..UdpOptions::default() });
    assert_eq!(send(&mut table, key, &[1; 65_507]), Ok(()), "one is always taken");
    assert_eq!(send(&mut table, key, b""), Err(UdpSendError::WouldBlock));
    assert_eq!(table.poll_event(), Some(key));
    let mut payload = vec![9; 3];
    let datagram = table.poll_transmit(&mut payload).unwrap();
    assert_eq!((datagram.local, datagram.remote, datagram.ttl), (here(OURS, 53), PEER, 64));
    assert_eq!(payload, [1; 65_507]);
    assert_eq!(table.poll_event(), Some(key), "writable again");
    assert_eq!(table.poll_event(), None);
    assert_eq!(table.poll_transmit(&mut payload), None);
    assert_eq!(send(&mut table, key, &[1; 65_508]), Err(UdpSendError::MessageTooLong));
}

#[test]
fn destinations_are_checked() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    let broadcast = |_| Ok(Way { source: OURS, broadcast: true, mtu: 1_500, only: None });
    let none = |_| Err(UdpSendError::NetworkUnreachable);
    assert_eq!(table.send(key, b"", SendDatagram::default(), way), Err(UdpSendError::NotConnected));
    let invalid = Err(UdpSendError::InvalidRemote);
    assert_eq!(table.send(key, b"", to(Endpoint { port: 0, ..PEER }), way), invalid);
    assert_eq!(table.send(key, b"", to(here(ALL, 5)), way), invalid);
    assert_eq!(table.send(key, b"", to(PEER), none), Err(UdpSendError::NetworkUnreachable));
    let denied = Err(UdpSendError::PermissionDenied);
    assert_eq!(table.send(key, b"", to(PEER), broadcast), denied);
    table.set_options(key, UdpOptions { broadcast: true, ..UdpOptions::default() });
    assert_eq!(table.send(key, b"", to(PEER), broadcast), Ok(()));
    table.connect(key, SECOND, OTHER, None);
    assert_eq!(table.send(key, b"", SendDatagram::default(), way), Ok(()));
    let sent: Vec<_> = std::iter::from_fn(|| table.poll_transmit(&mut Vec::new()))
        .map(|datagram| (datagram.local, datagram.remote))
        .collect();
    assert_eq!(sent, [(here(OURS, 53), PEER), (here(SECOND, 53), OTHER)]);
}

#[test]
fn a_datagram_goes_as_it_was_said_when_it_was_given() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    let how =
        SendDatagram { from: Some(SECOND.to_ip()), ttl: Some(3), tos: Some(0xb8), ..to(PEER) };
    table.send(key, b"own", how, way).unwrap();
    send(&mut table, key, b"the socket's").unwrap();
    let wrong = SendDatagram { from: Some([0; 16].into()), ..to(PEER) };
    assert_eq!(table.send(key, b"", wrong, way), Ok(()), "any");
    let wrong = SendDatagram { from: Some(Address::v6(1).to_ip()), ..to(PEER) };
    assert_eq!(table.send(key, b"", wrong, way), Err(UdpSendError::InvalidSource));
    // Too late for what was given before.
    table.set_options(key, UdpOptions { ttl: 9, tos: 1, ..UdpOptions::default() });
    send(&mut table, key, b"later").unwrap();
    let sent: Vec<_> = std::iter::from_fn(|| table.poll_transmit(&mut Vec::new()))
        .map(|it| (it.local.address, it.ttl, it.tos))
        .collect();
    assert_eq!(sent, [(SECOND, 3, 0xb8), (OURS, 64, 0), (OURS, 64, 0), (OURS, 9, 1)]);
}

#[test]
fn what_follows_joins_only_if_it_goes_the_same_way() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    let low = SendDatagram { ttl: Some(3), ..to(PEER) };
    for how in [to(PEER), to(PEER), low, to(PEER)] {
        table.send(key, b"text", how, way).unwrap();
    }
    let mut payload = Vec::new();
    let first = table.poll_transmit(&mut payload).unwrap();
    assert_eq!(table.join(&first, &mut payload, 9_000), 1);
    assert_eq!(payload, b"texttext");
    let second = table.poll_transmit(&mut payload).unwrap();
    assert_eq!((second.ttl, table.join(&second, &mut payload, 9_000)), (3, 0));
}

#[test]
fn one_call_sends_many_datagrams_or_none() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    table.set_options(key, UdpOptions { segment: 4, ..UdpOptions::default() });
    send(&mut table, key, b"onlyfourmore").unwrap();
    send(&mut table, key, b"a tail").unwrap();
    table.send(key, b"whole", SendDatagram { segment: Some(0), ..to(PEER) }, way).unwrap();
    let mut sent = Vec::new();
    let mut payload = Vec::new();
    while table.poll_transmit(&mut payload).is_some() {
        sent.push(String::from_utf8(payload.clone()).unwrap());
    }
    assert_eq!(sent, ["only", "four", "more", "a ta", "il", "whole"]);

    assert_eq!(send(&mut table, key, &[0; 4 * 128]), Ok(()));
    assert_eq!(send(&mut table, key, &[0; 4 * 128 + 1]), Err(UdpSendError::TooManySegments));
    let whole = SendDatagram { segment: Some(1_473), ..to(PEER) };
    let too_long = Err(UdpSendError::MessageTooLong);
    assert_eq!(table.send(key, &[0; 1_474], whole, way), too_long, "nobody cuts what was cut");
    assert_eq!(table.send(key, &[0; 1_473], whole, way), Ok(()), "it is one, and may be cut");
}

/// Who was refused is told when there is room, wherever it was that there was none.
#[test]
fn who_was_refused_hears_of_room() {
    let limits = UdpLimits { bytes: 5_000, ..UdpLimits::default() };
    let (mut table, _) = with(limits);
    let (key, other) = (bind(&mut table, ALL, 53).unwrap(), bind(&mut table, ALL, 54).unwrap());
    while table.poll_event().is_some() {}
    table.set_options(key, UdpOptions { send_buffer: 2_000, ..UdpOptions::default() });
    assert_eq!(send(&mut table, key, &[1; 500]), Ok(()));
    // Three quarters are free, and too little for this.
    assert_eq!(send(&mut table, key, &[1; 1_472]), Err(UdpSendError::WouldBlock));
    assert!(!table.socket(key).unwrap().is_writable());
    assert!(table.poll_transmit(&mut Vec::new()).is_some());
    assert_eq!((table.poll_event(), table.poll_event()), (Some(key), None));
    assert!(table.socket(key).unwrap().is_writable());
    // Of all sockets, the other one holds it all.
    assert_eq!(send(&mut table, other, &[1; 4_500]), Ok(()));
    assert_eq!(send(&mut table, key, &[1; 1_000]), Err(UdpSendError::WouldBlock));
    assert!(!table.socket(key).unwrap().is_writable());
    assert!(table.poll_transmit(&mut Vec::new()).is_some());
    let heard: Vec<_> = core::iter::from_fn(|| table.poll_event()).collect();
    assert!(heard.contains(&key), "{heard:?}");
    assert_eq!(send(&mut table, key, &[1; 1_000]), Ok(()));
    // Closed meanwhile.
    assert_eq!(send(&mut table, key, &[1; 4_900]), Err(UdpSendError::WouldBlock));
    table.close(key);
    while table.poll_transmit(&mut Vec::new()).is_some() {}
    assert_eq!((table.bytes(), table.len()), (0, 1));
}

#[test]
fn many_datagrams_are_sent_only_if_there_is_room_for_all() {
    let limits = UdpLimits { bytes: 2 * (100 + 64), ..UdpLimits::default() };
    let (mut table, _) = with(limits);
    let key = bind(&mut table, ALL, 53).unwrap();
    table.set_options(key, UdpOptions { segment: 100, ..UdpOptions::default() });
    assert_eq!(send(&mut table, key, &[0; 201]), Err(UdpSendError::MessageTooLong));
    assert_eq!((table.bytes(), table.is_silent()), (0, true));
    assert_eq!(send(&mut table, key, &[0; 200]), Ok(()));
    assert_eq!(table.bytes(), 2 * (100 + 64));
}

#[test]
fn one_call_receives_what_came_alike() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    let texts = [("abcd", PEER), ("efgh", PEER), ("ij", PEER), ("klmn", PEER), ("opqr", OTHER)];
    let deliver = |table: &mut UdpTable| {
        assert!(texts.iter().all(|(text, peer)| table.deliver(key, from(*peer), text.as_bytes())));
    };
    let all = |table: &mut UdpTable, room: usize| {
        let mut out = [0; 64];
        let mut found = Vec::new();
        while let Ok(it) = table.recv(key, &mut out[..room]) {
            found.push((String::from_utf8_lossy(&out[..it.len]).into_owned(), it.segment));
        }
        found
    };
    deliver(&mut table);
    assert_eq!(all(&mut table, 64).len(), 5, "nobody asked");
    table.set_options(key, UdpOptions { join: true, ..UdpOptions::default() });
    deliver(&mut table);
    let told = |text: &str, segment| (text.to_owned(), segment);
    let joined = [told("abcdefghij", Some(4)), told("klmn", None), told("opqr", None)];
    assert_eq!(all(&mut table, 64), joined);
    deliver(&mut table);
    // What does not fit whole stays for the next call.
    let joined = [told("abcdefgh", Some(4)), told("ij", None), told("klmn", None)];
    assert_eq!(all(&mut table, 9)[..3], joined);
    assert_eq!(table.bytes(), 0);
}

#[test]
fn a_datagram_too_long_for_the_path_is_told_to_who_asks() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    let options = UdpOptions { mtu_discovery: MtuDiscovery::Do, ..UdpOptions::default() };
    let too_long = Err(UdpSendError::MessageTooLong);
    table.set_options(key, options);
    assert_eq!(send(&mut table, key, &[0; 1_473]), too_long);
    assert_eq!(table.take_network_error(key), None);
    table.set_options(key, UdpOptions { network_errors: true, ..options });
    assert_eq!(send(&mut table, key, &[0; 1_473]), too_long);
    let said = table.take_network_error(key).unwrap();
    assert_eq!(said.kind, NetworkErrorKind::TooLong { mtu: 1_500 });
    assert_eq!((said.from, said.remote), (OURS.to_ip(), PEER.to_socket_addr()));
    assert_eq!(send(&mut table, key, &[0; 1_472]), Ok(()), "it was told by the call");
    // Who asks no more has nothing to hear, as in Linux.
    assert_eq!(send(&mut table, key, &[0; 1_473]), too_long);
    table.set_options(key, options);
    assert_eq!(table.take_network_error(key), None);
}

#[test]
fn the_pending_error_is_that_of_the_next_in_the_queue() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    table.set_options(key, UdpOptions { network_errors: true, ..UdpOptions::default() });
    let (from, remote) = (SECOND.to_ip(), PEER.to_socket_addr());
    let kinds = [NetworkErrorKind::TimeExceeded, NetworkErrorKind::Port, NetworkErrorKind::Host];
    for kind in kinds {
        assert!(table.on_network_error(FIRST, here(OURS, 53), NetworkError { kind, from, remote }));
    }
    for (kind, next) in
        kinds.into_iter().zip([Some(UdpError::Refused), Some(UdpError::HostUnreachable), None])
    {
        assert_eq!(table.take_network_error(key).unwrap().kind, kind);
        assert_eq!(table.socket(key).unwrap().error, next);
    }
}

#[test]
fn sockets_take_turns() {
    let (mut table, _) = table();
    let keys: Vec<_> = (1..=3).map(|port| bind(&mut table, ALL, port).unwrap()).collect();
    for _ in 0..3 {
        send(&mut table, keys[0], b"a").unwrap();
    }
    send(&mut table, keys[1], b"b").unwrap();
    send(&mut table, keys[2], b"c").unwrap();
    let turns: Vec<_> =
        std::iter::from_fn(|| table.poll_transmit(&mut Vec::new())).map(|d| d.id).collect();
    assert_eq!(turns, [keys[0], keys[1], keys[2], keys[0], keys[0]]);
}

#[test]
fn rfc1122_4_1_3_3_errors_reach_the_connected_socket_once() {
    let refuse = |table: &mut UdpTable, port, remote: Endpoint| {
        let (kind, remote) = (NetworkErrorKind::Port, remote.to_socket_addr());
        let said = NetworkError { kind, from: remote.ip(), remote };
        assert!(table.on_network_error(FIRST, here(OURS, port), said));
    };
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    refuse(&mut table, 53, PEER);
    assert!(!table.socket(key).unwrap().has_error(), "not connected");
    table.connect(key, OURS, PEER, None);
    while table.poll_event().is_some() {}
    refuse(&mut table, 53, OTHER);
    refuse(&mut table, 54, PEER);
    assert_eq!(table.poll_event(), None);
    let raise = |table: &mut UdpTable| {
        refuse(table, 53, PEER);
        assert!(table.socket(key).unwrap().is_readable());
        assert_eq!((table.poll_event(), table.poll_event()), (Some(key), None));
    };
    raise(&mut table);
    assert_eq!(table.recv(key, &mut []), Err(UdpRecvError::Failed(UdpError::Refused)));
    assert_eq!(table.recv(key, &mut []), Err(UdpRecvError::WouldBlock));
    raise(&mut table);
    let failed = UdpSendError::Failed(UdpError::Refused);
    assert_eq!(table.send(key, b"x", SendDatagram::default(), way), Err(failed));
    assert_eq!(table.send(key, b"x", SendDatagram::default(), way), Ok(()));
    raise(&mut table);
    assert_eq!(table.take_error(key), Some(UdpError::Refused));
    assert_eq!(table.take_error(key), None);
}

#[test]
fn a_closed_socket_sends_what_it_was_given_and_its_key_names_nothing() {
    let (mut table, _) = table();
    let key = bind(&mut table, ALL, 53).unwrap();
    send(&mut table, key, b"last").unwrap();
    table.deliver(key, from(PEER), b"unread");
    table.close(key);
    assert!(table.socket(key).is_none());
    assert_eq!(table.poll_event(), None);
    assert_eq!(table.find(FIRST, here(OURS, 53), PEER), None);
    assert!(!table.deliver(key, from(PEER), b"late"));
    let next = bind(&mut table, ALL, 53).unwrap();
    let mut payload = Vec::new();
    assert_eq!(table.poll_transmit(&mut payload).map(|d| d.id), Some(key));
    assert_eq!((&payload[..], table.len(), table.bytes()), (&b"last"[..], 1, 0));
    assert!(table.socket(next).is_some());
}

#[test]
fn rfc6056_ephemeral_ports_are_scattered_and_end() {
    let limits = UdpLimits { ephemeral_ports: (40_000, 40_099), ..UdpLimits::default() };
    let (mut table, mut random) = with(limits);
    let mut ports = vec![];
    while let Ok(key) = table.bind(here(ALL, 0), false, UdpOptions::default(), &mut random) {
        ports.push(table.socket(key).unwrap().local().port);
    }
    let steps = ports.windows(2).filter(|pair| pair[1].wrapping_sub(pair[0]) == 1).count();
    assert!(steps < 10, "{ports:?}");
    assert!(ports.iter().all(|port| (40_000..=40_099).contains(port)));
    ports.sort_unstable();
    ports.dedup();
    assert!(ports.len() >= 95, "{}", ports.len());
    assert_eq!(table.len(), ports.len());
}

#[test]
fn x3_ephemeral_ports_are_uniform() {
    let (mut table, mut random) = table();
    let mut buckets = [0u32; 16];
    for _ in 0..16_000 {
        let key = table.bind(here(ALL, 0), false, UdpOptions::default(), &mut random).unwrap();
        let port = table.socket(key).unwrap().local().port;
        buckets[usize::from(port - 32_768) * 16 / 28_232] += 1;
        table.close(key);
    }
    let chi: f64 = buckets.iter().map(|n| (f64::from(*n) - 1_000.0).powi(2) / 1_000.0).sum();
    assert!(chi < 37.7, "chi square with 15 degrees of freedom, p = 0.001: {chi}");
}

#[test]
fn the_number_of_sockets_is_limited() {
    let (mut table, _) = with(UdpLimits { sockets: 2, ..UdpLimits::default() });
    let first = bind(&mut table, ALL, 1).unwrap();
    bind(&mut table, ALL, 2).unwrap();
    assert_eq!(bind(&mut table, ALL, 3), Err(BindError::TooManySockets));
    table.close(first);
    assert!(bind(&mut table, ALL, 3).is_ok());
}

const SHARE_ADDRESS: UdpOptions = shared(true, false);
const SHARE_PORT: UdpOptions = shared(false, true);
const SHARE_BOTH: UdpOptions = shared(true, true);

const fn shared(address: bool, port: bool) -> UdpOptions {
    UdpOptions {
        reuse_address: address,
        reuse_port: port,
        ttl: 64,
        multicast_ttl: 1,
        multicast_loop: true,
        tos: 0,
        broadcast: false,
        receive_buffer: 0,
        send_buffer: 0,
        network_errors: false,
        mtu_discovery: MtuDiscovery::Want,
        segment: 0,
        join: false,
        only_v6: false,
        interface: None,
        unicast_interface: None,
        multicast_interface: None,
    }
}

fn bind_with(
    table: &mut UdpTable,
    address: Address,
    options: UdpOptions,
) -> Result<Key<UdpSocket>, BindError> {
    let mut random = Random::new(&Seed::from_number(9));
    table.bind(here(address, 53), false, options, &mut random)
}

/// Linux: both must say it, and the same.
#[test]
fn a_name_is_shared_by_those_that_all_say_so() {
    let alone = UdpOptions::default();
    let all = [alone, SHARE_ADDRESS, SHARE_PORT, SHARE_BOTH];
    let works = [
        [false, false, false, false],
        [false, true, false, true],
        [false, false, true, true],
        [false, true, true, true],
    ];
    for (first, row) in all.into_iter().zip(works) {
        for (second, works) in all.into_iter().zip(row) {
            for (one, other) in [(OURS, OURS), (ALL, OURS), (OURS, ALL), (ALL, ALL)] {
                let (mut table, _) = table();
                let key = bind_with(&mut table, one, first).unwrap();
                assert_eq!(bind_with(&mut table, other, second).is_ok(), works);
                // Said later, it holds for those that come then.
                table.set_options(key, alone);
                assert!(bind_with(&mut table, other, SHARE_BOTH).is_err());
            }
        }
    }
}

#[test]
fn of_those_that_share_an_address_the_last_to_come_is_meant() {
    let (mut table, _) = table();
    let keys: Vec<_> = (0..3).map(|_| bind_with(&mut table, ALL, SHARE_ADDRESS).unwrap()).collect();
    let find = |table: &UdpTable| table.find(FIRST, here(OURS, 53), PEER);
    assert_eq!(find(&table), Some(keys[2]));
    let exact = bind_with(&mut table, OURS, SHARE_ADDRESS).unwrap();
    assert_eq!(find(&table), Some(exact), "its address is the more exact");
    table.close(exact);
    table.close(keys[2]);
    assert_eq!(find(&table), Some(keys[1]));
    table.close(keys[0]);
    assert_eq!(find(&table), Some(keys[1]));
    table.close(keys[1]);
    assert_eq!(find(&table), None);
    assert!(table.names.is_empty());
}

#[test]
fn of_those_that_share_a_port_the_flow_decides() {
    let (mut table, _) = table();
    let mut keys: Vec<_> =
        (0..4).map(|_| bind_with(&mut table, ALL, SHARE_PORT).unwrap()).collect();
    while !keys.is_empty() {
        let mut counts = vec![0; keys.len()];
        for port in 0..4_000 {
            let peer = Endpoint { port, ..PEER };
            let key = table.find(FIRST, here(OURS, 53), peer).unwrap();
            assert_eq!(table.find(FIRST, here(OURS, 53), peer), Some(key), "always the same");
            counts[keys.iter().position(|it| *it == key).unwrap()] += 1;
        }
        let fair = 4_000 / keys.len();
        assert!(
            counts.iter().all(|count| (fair * 4 / 5..=fair * 6 / 5).contains(count)),
            "{counts:?}"
        );
        table.close(keys.remove(keys.len() / 2));
    }
    assert!(table.names.is_empty());
}

#[test]
fn a_connected_socket_has_its_peer_and_the_others_the_rest() {
    let (mut table, _) = table();
    let listener = bind_with(&mut table, ALL, SHARE_BOTH).unwrap();
    let [one, other] = [PEER, OTHER].map(|peer| {
        let key = bind_with(&mut table, ALL, SHARE_BOTH).unwrap();
        assert!(table.connect(key, OURS, peer, None));
        key
    });
    let third = Endpoint { port: 9, ..PEER };
    let find =
        |table: &UdpTable| [PEER, OTHER, third].map(|peer| table.find(FIRST, here(OURS, 53), peer));
    assert_eq!(find(&table), [Some(one), Some(other), Some(listener)]);
    assert!(!table.connect(listener, OURS, PEER, None), "there is one who has this peer");
    assert!(table.connect(one, OURS, PEER, None), "itself");
    assert!(table.connect(one, OURS, third, None));
    assert_eq!(find(&table), [Some(listener), Some(other), Some(one)]);
    table.disconnect(other);
    table.disconnect(other);
    table.close(listener);
    assert_eq!(find(&table), [Some(other), Some(other), Some(one)]);
    table.close(other);
    table.close(one);
    assert!(table.names.is_empty());
}

#[test]
fn each_interface_may_have_a_socket_with_this_peer() {
    let (mut table, mut random) = table();
    let ids = [1, 2, 3].map(|index| InterfaceId::from_index(index).unwrap());
    let owners = [Some(ids[0]), Some(ids[1]), None];
    let keys = owners.map(|interface| {
        let options = UdpOptions { interface, ..UdpOptions::default() };
        let key = table.bind(here(OURS, 53), false, options, &mut random).unwrap();
        assert!(table.connect(key, OURS, PEER, None), "{interface:?}");
        key
    });
    let find = |table: &UdpTable| ids.map(|id| table.find(id, here(OURS, 53), PEER));
    assert_eq!(find(&table), keys.map(Some));
    table.close(keys[0]);
    assert_eq!(find(&table), [Some(keys[2]), Some(keys[1]), Some(keys[2])]);
    table.close(keys[2]);
    assert_eq!(find(&table), [None, Some(keys[1]), None]);
    table.close(keys[1]);
    assert!(table.names.is_empty());
}

proptest! {
    /// Sockets of an interface, and those of none, are in nobody's way but their own kind's.
    #[test]
    fn names_agree_with_a_list(
        ops in prop::collection::vec((0usize..3, 1u16..4, 0usize..3, any::<bool>()), 0..60),
    ) {
        let (mut table, mut random) = table();
        let ids = [FIRST, InterfaceId::at(1)];
        let mut list: Vec<(Endpoint, Option<InterfaceId>, Key<UdpSocket>)> = vec![];
        for (which, port, of, open) in ops {
            let name = here([ALL, OURS, SECOND][which], port);
            let interface = ids.get(of).copied();
            if open {
                let overlap = |a: Address, b: Address| a == b || a == ALL || b == ALL;
                let clash = list.iter().any(|(other, only, _)| {
                    let same = other.port == port && *only == interface;
                    same && overlap(other.address, name.address)
                });
                let options = UdpOptions { interface, ..UdpOptions::default() };
                let got = table.bind(name, false, options, &mut random);
                prop_assert_eq!(got.is_err(), clash);
                list.extend(got.ok().map(|key| (name, interface, key)));
            } else if let Some(at) =
                list.iter().position(|(other, only, _)| (*other, *only) == (name, interface))
            {
                table.close(list.remove(at).2);
            }
            for local in [1, 2, 3].map(|port| [OURS, SECOND].map(|a| here(a, port))).concat() {
                for id in ids {
                    let hears = |(it, only, _): &&(Endpoint, Option<InterfaceId>, _)| {
                        let there = *it == local || *it == here(ALL, local.port);
                        there && only.is_none_or(|only| only == id)
                    };
                    let exact = |(it, only, _): &&(Endpoint, Option<InterfaceId>, _)| {
                        (it.address != ALL, only.is_some())
                    };
                    let wanted = list.iter().filter(hears).max_by_key(exact);
                    prop_assert_eq!(table.find(id, local, PEER), wanted.map(|(.., key)| *key));
                }
            }
        }
    }
}
