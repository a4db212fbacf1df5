//! Names: a resolver on one host, a name server and web servers on the other.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stack::host::{Host, Resolver, TcpListener, UdpSocket};
use stack::{Hosts, ResolverConfig};

use crate::rig::{LEFT, RIGHT, hosts, timed, within};

/// What the name server knows: names as on the wire, and their addresses. `big` does not fit.
const ZONE: &[(&str, &[&str])] = &[
    ("\x03web\x04test\0", &["192.0.2.1", "2001:db8::1"]),
    ("\x04dead\x04test\0", &["192.0.2.1", "2001:db8::dead"]),
    ("\x03big\x04test\0", &["192.0.2.1"]),
    ("\x04gone\x04test\0", &["192.0.2.99"]),
];

/// The answer to `question`.
fn answer(question: &[u8], is_tcp: bool) -> Vec<u8> {
    let mut out = question.to_vec();
    let (name, type_) = (&question[12..question.len() - 4], question[question.len() - 3]);
    let found = ZONE.iter().find(|(owner, _)| name.eq_ignore_ascii_case(owner.as_bytes()));
    let code = if found.is_some() { 0 } else { 3 };
    (out[2], out[3]) = (0x81, 0x80 | code);
    if name.len() == 10 && name[1].eq_ignore_ascii_case(&b'b') && !is_tcp {
        out[2] |= 2;
        return out;
    }
    for address in found.map_or(&[][..], |(_, all)| all) {
        let (kind, bytes) = match address.parse().unwrap() {
            IpAddr::V4(it) => (1, it.octets().to_vec()),
            IpAddr::V6(it) => (28, it.octets().to_vec()),
        };
        if kind == type_ {
            out[7] += 1;
            out.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, bytes.len() as u8]);
            out.extend(bytes);
        }
    }
    out
}

#[expect(clippy::disallowed_methods, reason = "servers run beside the test")]
fn spawn(work: impl FnOnce() + Send + 'static) {
    std::thread::spawn(work);
}

/// A name server on `host`, and the ports that it was asked from.
fn serve(host: &Host) -> Arc<Mutex<Vec<SocketAddr>>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (socket, seen) = (UdpSocket::bind(host, (LEFT, 53)).unwrap(), Arc::clone(&asked));
    spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            seen.lock().unwrap().push(from);
            let _ = socket.send_to(&answer(&question[..length], false), from);
        }
    });
    let listener = TcpListener::bind(host, (LEFT, 53)).unwrap();
    spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut question).unwrap();
            let answer = answer(&question, true);
            // In pieces, so that the other side has to put them together.
            stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
            stream.write_all(&answer[..7]).unwrap();
            stream.write_all(&answer[7..]).unwrap();
        }
    });
    asked
}

fn resolver(host: &Host, change: impl FnOnce(&mut ResolverConfig)) -> Resolver {
    let mut config = ResolverConfig {
        servers: vec![format!("{LEFT}:53").parse().unwrap()],
        search: vec!["test".parse().unwrap()],
        timeout: Duration::from_millis(500),
        ..ResolverConfig::default()
    };
    change(&mut config);
    Resolver::new(host, config).unwrap()
}

fn shown(addresses: Vec<IpAddr>) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn names_are_asked_for_over_udp_and_tcp() {
    within(20, || {
        let (left, right) = hosts();
        let asked = serve(&left);
        let names = resolver(&right, |_| ());
        assert_eq!(shown(names.lookup("web").unwrap()), "2001:db8::1 192.0.2.1");
        assert_eq!(shown(names.lookup("web.test.").unwrap()), "2001:db8::1 192.0.2.1");
        assert_eq!(shown(names.lookup("big.test").unwrap()), "192.0.2.1");
        assert_eq!((names.counters().over_tcp, names.counters().cached), (2, 2));
        let error = names.lookup("nobody.test.").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), "nobody.test.: there is no such name");
        let target = names.resolve("big.test:80").unwrap();
        assert_eq!(target, [SocketAddr::from(([192, 0, 2, 1], 80))]);
        let ports: BTreeSet<u16> = asked.lock().unwrap().iter().map(SocketAddr::port).collect();
        assert_eq!(ports.len(), asked.lock().unwrap().len(), "each question has its own port");
    });
}

#[test]
fn a_connection_goes_to_a_name() {
    within(20, || {
        let (left, right) = hosts();
        serve(&left);
        let listener = TcpListener::bind(&left, "[::]:80").unwrap();
        let names = resolver(&right, |_| ());
        let near = names.connect("web:80", None).unwrap();
        assert_eq!(near.peer_addr().unwrap().to_string(), "[2001:db8::1]:80");
        let (mut far, from) = listener.accept().unwrap();
        assert_eq!(from, near.local_addr().unwrap());
        (&near).write_all(b"hello").unwrap();
        let mut text = [0; 5];
        far.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"hello");
        drop((near, far));
        let literal = names.connect(&format!("{LEFT}:80"), None).unwrap();
        assert_eq!(literal.peer_addr().unwrap().ip().to_string(), LEFT);
    });
}

/// RFC 8305: an address of IPv6 that nobody has costs a quarter of a second.
#[test]
fn rfc8305_a_dead_address_costs_a_moment() {
    within(20, || {
        let (left, right) = hosts();
        serve(&left);
        let _listener = TcpListener::bind(&left, (LEFT, 80)).unwrap();
        let names = resolver(&right, |_| ());
        let (near, time) = timed(|| names.connect("dead:80", None).unwrap());
        assert_eq!(near.peer_addr().unwrap().ip().to_string(), LEFT);
        assert!((Duration::from_millis(200)..Duration::from_millis(1500)).contains(&time));
        let error = names.connect("web:81", None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let patience = Some(Duration::from_millis(300));
        let error = names.connect("gone:80", patience).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    });
}

#[test]
fn servers_that_are_not_there() {
    within(20, || {
        let (_left, right) = hosts();
        // Nothing listens: the network says so, and nobody waits.
        let names = resolver(&right, |config| config.timeout = Duration::from_secs(15));
        let (error, time) = timed(|| names.lookup("web").unwrap_err());
        assert!(time < Duration::from_secs(10), "{time:?}");
        assert!(error.to_string().contains("gave an answer of use"), "{error}");
        let names = resolver(&right, |config| config.servers.clear());
        assert!(names.lookup("web").unwrap_err().to_string().contains("no name server to ask"));
        let _silent = UdpSocket::bind(&_left, (LEFT, 53)).unwrap();
        let names = resolver(&right, |config| config.timeout = Duration::from_millis(50));
        assert_eq!(names.lookup("web").unwrap_err().kind(), io::ErrorKind::TimedOut);
        let names = resolver(&right, |config| config.hosts = Hosts::parse("192.0.2.2 me"));
        assert_eq!(shown(names.lookup("me").unwrap()), RIGHT);
        right.shutdown();
        assert!(names.lookup("web").is_err());
    });
}
