//! A DHCP client on one host, and a server on the other.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stack::host::{DhcpClient, Host, TcpListener, TcpStream, UdpSocket};
use stack::{Config, Mac, NewAddress};

use crate::rig::{LEFT, host, timed, within};

const YOURS: [u8; 4] = [192, 0, 2, 77];

/// How the server behaves.
const SERVES: u8 = 0;
const REFUSES: u8 = 1;

/// A server on `host` with leases of ten seconds, renewed after four, and then of three seconds,
/// renewed after one: it takes three until the address is known to be free. It tells the kinds of
/// messages that it got.
#[expect(clippy::disallowed_methods, reason = "the server runs beside the test")]
fn serve(host: &Host, mood: Arc<AtomicU8>) -> Arc<Mutex<Vec<u8>>> {
    let socket = UdpSocket::bind(host, "0.0.0.0:67").unwrap();
    socket.set_broadcast(true).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kinds = Arc::clone(&heard);
    std::thread::spawn(move || {
        let mut text = [0; 600];
        while let Ok((_, from)) = socket.recv_from(&mut text) {
            let kind = text[242];
            kinds.lock().unwrap().push(kind);
            let answer = match (kind, mood.load(Ordering::Relaxed)) {
                (1, _) => 2,
                (3, SERVES) => 5,
                (3, _) => 6,
                _ => continue,
            };
            let mut out = text[..240].to_vec();
            out[0] = 2;
            out[16..20].copy_from_slice(&YOURS);
            out.extend([53, 1, answer, 54, 4, 192, 0, 2, 1, 1, 4, 255, 255, 255, 0]);
            let is_known = !from.ip().is_unspecified();
            let [lease, t1, t2] = if is_known { [3, 1, 2] } else { [10, 4, 8] };
            out.extend([51, 4, 0, 0, 0, lease, 58, 4, 0, 0, 0, t1, 59, 4, 0, 0, 0, t2]);
            out.extend([3, 4, 192, 0, 2, 1, 255]);
            let to = if is_known { from.ip() } else { Ipv4Addr::BROADCAST.into() };
            socket.send_to(&out, (to, 68)).unwrap();
        }
    });
    heard
}

/// A server, and a host without an address.
fn pair() -> (Host, Host) {
    let (left, right) = tapdev::pair(1500, 1000);
    let config = Config::new(Mac([2, 0, 0, 0, 0, 2]));
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
        near.set_read_timeout(Some(Duration::from_millis(4500))).unwrap();
        let error = (&near).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(heard.lock().unwrap().iter().filter(|kind| **kind == 3).count() >= 3);
        // The next renewal is refused.
        mood.store(REFUSES, Ordering::Relaxed);
        near.set_read_timeout(None).unwrap();
        assert_eq!(client.lease().map(|lease| lease.time), Some(Duration::from_secs(3)));
        let (error, time) = timed(|| (&near).read(&mut [0]).unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(time < Duration::from_secs(2), "{time:?}");
        assert!(!has_address(&right) && right.routes().is_empty());
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
