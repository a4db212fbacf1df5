//! A DHCP client on one host, and a server on the other.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stack::host::{
    DhcpClient, DhcpOptions, Host, TcpListener, TcpStream, UdpSocket, WithoutServer, dhcp_inform,
};
use stack::{Config, InterfaceId, Mac, NewAddress};

use crate::rig::{LEFT, RIGHT, address, host, host_with, pause, timed, within};

const YOURS: [u8; 4] = [192, 0, 2, 77];
const MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// How the server behaves.
const SERVES: u8 = 0;
const REFUSES: u8 = 1;
const IS_SILENT: u8 = 2;

/// A server on `host` that lends `yours` to the station `mac`: ten seconds, to be renewed after
/// four, and then three seconds, to be renewed after one. It takes three until the address is known
/// to be free. It tells the kinds of messages that it got.
#[expect(clippy::disallowed_methods, reason = "the server runs beside the test")]
fn serve_to(host: &Host, (mac, yours): (Mac, [u8; 4]), mood: Arc<AtomicU8>) -> Arc<Mutex<Vec<u8>>> {
    let socket = UdpSocket::bind(host, "0.0.0.0:67").unwrap();
    socket.set_broadcast(true).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kinds = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut text = [0; 600];
        while let Ok((_, from)) = socket.recv_from(&mut text) {
            if text[28..34] != mac.0 {
                continue;
            }
            let kind = text[242];
            kinds.lock().unwrap().push(kind);
            let answer = match (kind, mood.load(Ordering::Relaxed)) {
                (_, IS_SILENT) => continue,
                (1, _) => 2,
                (3, SERVES) => 5,
                (3, _) => 6,
                _ => continue,
            };
            let mut out = text[..240].to_vec();
            out[0] = 2;
            out[16..20].copy_from_slice(&yours);
            let [a, b, c, _] = yours;
            out.extend([53, 1, answer, 54, 4, a, b, c, 1, 1, 4, 255, 255, 255, 0]);
            let is_known = !from.ip().is_unspecified();
            let lease = if is_known { 9 } else { 10 };
            out.extend([51, 4, 0, 0, 0, lease, 58, 4, 0, 0, 0, 4, 59, 4, 0, 0, 0, 8]);
            out.extend([3, 4, a, b, c, 1, 255]);
            let to = if is_known { from.ip() } else { Ipv4Addr::BROADCAST.into() };
            socket.send_to(&out, (to, 68)).unwrap();
        }
    });
    heard
}

fn serve(host: &Host, mood: Arc<AtomicU8>) -> Arc<Mutex<Vec<u8>>> {
    serve_to(host, (MAC, YOURS), mood)
}

/// A server, and a host without an address.
fn pair() -> (Host, Host) {
    let (left, right) = tapdev::pair(1500, 1000);
    let config = Config::new(MAC);
    let right = Host::builder(config).grace(Duration::from_millis(100)).start(right).unwrap();
    (host(1, left), right)
}

fn has_address(host: &Host) -> bool {
    host.addresses().iter().any(|info| info.cidr.address == IpAddr::from(YOURS))
}

#[test]
fn d7_a_lease_is_kept_and_what_uses_it_ends_with_it() {
    within(30, || {
        let (left, right) = pair();
        let mood = Arc::new(AtomicU8::new(SERVES));
        let heard = serve(&left, Arc::clone(&mood));
        let client = DhcpClient::start(&right, None).unwrap();
        let lease = client.wait(Duration::from_secs(5)).expect("a lease within five seconds");
        assert_eq!(lease.address.to_string(), "192.0.2.77/24");
        assert!(has_address(&right) && right.routes().len() == 1);
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let near = TcpStream::connect(&right, (LEFT, 7)).unwrap();
        let _far = listener.accept().unwrap();
        // It is renewed again and again, and the connection lives.
        near.set_read_timeout(Some(Duration::from_millis(9500))).unwrap();
        let error = (&near).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(heard.lock().unwrap().iter().filter(|kind| **kind == 3).count() >= 3);
        // The next renewal is refused.
        mood.store(REFUSES, Ordering::Relaxed);
        near.set_read_timeout(None).unwrap();
        assert_eq!(client.lease().map(|lease| lease.time), Some(Duration::from_secs(9)));
        let (error, time) = timed(|| (&near).read(&mut [0]).unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(time < Duration::from_secs(5), "{time:?}");
        assert!(!has_address(&right) && right.routes().is_empty());
    });
}

/// Takes ten seconds: a lease that nobody renews.
#[test]
fn rfc2131_4_4_5_a_lease_that_is_not_renewed_ends_in_time() {
    within(40, || {
        let (left, right) = pair();
        let mood = Arc::new(AtomicU8::new(SERVES));
        let heard = serve(&left, Arc::clone(&mood));
        let client = DhcpClient::start(&right, None).unwrap();
        client.wait(Duration::from_secs(15)).expect("a lease");
        mood.store(IS_SILENT, Ordering::Relaxed);
        let listener = TcpListener::bind(&left, (LEFT, 7)).unwrap();
        let near = TcpStream::connect(&right, (LEFT, 7)).unwrap();
        let _far = listener.accept().unwrap();
        let (error, time) = timed(|| (&near).read(&mut [0]).unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(time < Duration::from_secs(15), "{time:?}");
        // The address has gone by itself, and the client follows.
        while client.lease().is_some() {
            pause(1);
        }
        assert!(!has_address(&right) && right.routes().is_empty());
        assert!(heard.lock().unwrap().iter().filter(|kind| **kind == 3).count() >= 2, "T1 or T2");
    });
}

#[test]
fn rfc2131_4_4_1_an_address_that_another_has_is_declined() {
    within(10, || {
        let (left, right) = pair();
        left.add_address(NewAddress::configured("192.0.2.77/24".parse().unwrap())).unwrap();
        let heard = serve(&left, Arc::new(AtomicU8::new(SERVES)));
        let client = DhcpClient::start(&right, None).unwrap();
        assert_eq!(client.wait(Duration::from_secs(4)), None);
        assert_eq!(heard.lock().unwrap()[..], [1, 3, 4], "a discover, a request, a decline");
        assert!(!has_address(&right) && right.routes().is_empty());
    });
}

#[test]
fn without_a_server_there_is_no_lease_and_no_harm() {
    within(20, || {
        let (_left, right) = pair();
        let client = DhcpClient::start(&right, Some(YOURS.into())).unwrap();
        assert_eq!(client.wait(Duration::from_millis(1500)), None);
        let error = DhcpClient::start(&right, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        right.shutdown();
        assert_eq!(client.wait(Duration::from_secs(10)), None);
    });
}

/// The second interface, and who is on its link.
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 12]);

fn other_server(farther: tapdev::PairEnd) -> Host {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, 11]));
    config.addresses = vec!["198.51.100.1/24".parse().unwrap()];
    host_with(11, farther, config)
}

/// A server lends what the host has on another link.
#[test]
fn what_another_link_has_stays_there() {
    within(10, || {
        let ((first, _far), (second, farther)) = (tapdev::pair(1500, 100), tapdev::pair(1500, 100));
        let mut config = Config::new(MAC);
        config.addresses = vec!["198.51.100.77/24".parse().unwrap()];
        let builder = Host::builder(config).grace(Duration::from_millis(100));
        let host = builder.interface(Config::new(OTHER), second).start(first).unwrap();
        let server = other_server(farther);
        let good = Arc::new(AtomicU8::new(SERVES));
        let heard = serve_to(&server, (OTHER, [198, 51, 100, 77]), good);
        let interface = host.with_stack(|stack, _| stack.interfaces().last().unwrap().id);
        let how = DhcpOptions { interface, ..DhcpOptions::default() };
        let client = DhcpClient::start_with(&host, how).unwrap();
        while heard.lock().unwrap().last() != Some(&3) {
            pause(1);
        }
        assert!(client.wait(Duration::from_millis(300)).is_none());
        let there = host.addresses();
        assert_eq!(there.len(), 1);
        assert_ne!(there[0].interface, interface);
    });
}

#[test]
fn each_link_has_a_client_of_its_own() {
    within(10, || {
        let ((first, far), (second, farther)) = (tapdev::pair(1500, 100), tapdev::pair(1500, 100));
        let builder = Host::builder(Config::new(MAC)).grace(Duration::from_millis(100));
        let host = builder.interface(Config::new(OTHER), second).start(first).unwrap();
        let near = self::host(1, far);
        let other = other_server(farther);
        let good = || Arc::new(AtomicU8::new(SERVES));
        let heard = [serve(&near, good()), serve_to(&other, (OTHER, [198, 51, 100, 77]), good())];
        let ids: Vec<_> = host.with_stack(|stack, _| stack.interfaces().map(|it| it.id).collect());
        let on = |interface| DhcpOptions { interface, ..DhcpOptions::default() };
        let clients = [0, 1].map(|at| DhcpClient::start_with(&host, on(ids[at])).unwrap());
        let leases = clients.each_ref().map(|client| client.wait(Duration::from_secs(5)).unwrap());
        let addresses = leases.map(|lease| lease.address.to_string());
        assert_eq!(addresses, ["192.0.2.77/24", "198.51.100.77/24"]);
        let places = || host.addresses().iter().map(|info| info.interface).collect::<Vec<_>>();
        let ways = || host.routes().iter().map(|route| route.interface).collect::<Vec<_>>();
        places().iter().for_each(|id| assert!(ids.contains(id)));
        assert_eq!((places().len(), ways().len()), (2, 2));
        // One is refused a second client on the link, and a link that is not there.
        let refusal = |how| DhcpClient::start_with(&host, how).unwrap_err().kind();
        assert_eq!(refusal(on(ids[1])), io::ErrorKind::AddrInUse);
        assert_eq!(refusal(on(InterfaceId::from_index(9).unwrap())), io::ErrorKind::NotFound);
        let without_server = WithoutServer::HelpsItself;
        let alone = DhcpOptions { without_server, ..on(ids[1]) };
        assert_eq!(refusal(alone), io::ErrorKind::InvalidInput);
        // What one gives back the other keeps. The server is told of it, whose Ethernet address
        // has to be asked for first.
        let [one, _other] = clients;
        drop(one);
        assert_eq!((places(), ways()), (vec![ids[1]], vec![Some(ids[1])]));
        let told = |at: usize| heard[at].lock().unwrap().clone();
        while told(0).last() != Some(&7) {
            pause(1);
        }
        assert_eq!([told(0), told(1)], [vec![1, 3, 7], vec![1, 3]]);
    });
}

/// RFC 2131 §4.4.6: a farewell waits for its way, and nobody waits for it for ever.
#[test]
fn rfc2131_4_4_6_a_server_that_is_gone_is_not_waited_for() {
    within(20, || {
        let (left, right) = pair();
        let _heard = serve(&left, Arc::new(AtomicU8::new(SERVES)));
        let client = DhcpClient::start(&right, None).unwrap();
        client.wait(Duration::from_secs(5)).expect("a lease");
        left.remove_address(LEFT.parse().unwrap()).unwrap();
        let ((), time) = timed(|| drop(client));
        assert!(time < Duration::from_secs(8), "{time:?}");
        assert!(!has_address(&right));
    });
}

/// RFC 2131 §3.4: an address by hand, and what else there is to know from a server.
#[test]
#[expect(clippy::disallowed_methods, reason = "the server runs beside the test")]
fn rfc2131_3_4_who_has_an_address_asks_for_the_rest() {
    within(20, || {
        let (left, right) = tapdev::pair(1500, 100);
        let (left, right) = (host(1, left), host(2, right));
        let ask = |host: &Host, millis| {
            dhcp_inform(host, InterfaceId::FIRST, Duration::from_millis(millis))
        };
        assert_eq!(ask(&right, 50).unwrap(), None, "there is no server yet");
        let server = UdpSocket::bind(&left, "0.0.0.0:67").unwrap();
        std::thread::spawn(move || {
            let mut text = [0; 600];
            while let Ok((_, from)) = server.recv_from(&mut text) {
                assert_eq!((text[242], from), (8, address(RIGHT, 68)));
                let mut out = text[..240].to_vec();
                out[0] = 2;
                out.extend([53, 1, 5, 54, 4, 192, 0, 2, 1, 6, 4, 192, 0, 2, 53, 15, 4]);
                out.extend(b"test\xff");
                server.send_to(&out, from).unwrap();
            }
        });
        let known = ask(&right, 15_000).unwrap().expect("an answer");
        assert_eq!(known.server.to_string(), LEFT);
        assert_eq!(known.dns, [Ipv4Addr::new(192, 0, 2, 53)]);
        assert_eq!(known.search, ["test".parse().unwrap()]);
        right.remove_address(RIGHT.parse().unwrap()).unwrap();
        assert_eq!(ask(&right, 50).unwrap_err().kind(), io::ErrorKind::NotFound);
    });
}
