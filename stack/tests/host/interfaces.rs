//! A host with two devices.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use stack::host::{Host, TcpListener, TcpStream};
use stack::{Config, InterfaceConfig, InterfaceId, Mac, NewAddress, Seed};

use super::rig::{pattern, pause, read, within};

fn config(last: u8, cidr: &str) -> Config {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![cidr.parse().unwrap()];
    config
}

fn peer(last: u8, cidr: &str, device: tapdev::PairEnd) -> Host {
    let seed = Seed::from_number(last.into());
    let grace = Duration::from_millis(100);
    Host::builder(config(last, cidr)).seed(seed).grace(grace).start(device).unwrap()
}

/// A connection from `host` to the listener at `to`; both ends.
fn meet(host: &Host, listener: &TcpListener, to: &str) -> (TcpStream, TcpStream) {
    let port = listener.local_addr().unwrap().port();
    let to = SocketAddr::new(to.parse().unwrap(), port);
    let near = TcpStream::connect(host, to).unwrap();
    (near, listener.accept().unwrap().0)
}

fn passes(mut from: &TcpStream, to: &TcpStream, length: usize) {
    let text: Vec<u8> = (0..length).map(pattern).collect();
    from.write_all(&text).unwrap();
    assert!(read(to, length) == text);
}

#[test]
fn each_link_serves_and_one_goes_on_without_the_other() {
    within(30, || {
        let ((first, far), (second, farther)) =
            (tapdev::pair(1500, 20_000), tapdev::pair(1500, 20_000));
        let host = Host::builder(config(1, "192.0.2.1/24"))
            .seed(Seed::from_number(1))
            .grace(Duration::from_millis(100))
            .interface(config(11, "198.51.100.1/24"), second)
            .start(first)
            .unwrap();
        let here = peer(2, "192.0.2.2/24", far);
        let there = peer(12, "198.51.100.2/24", farther);
        let listener = TcpListener::bind(&host, "0.0.0.0:0").unwrap();
        let (a, a_host) = meet(&here, &listener, "192.0.2.1");
        let (b, b_host) = meet(&there, &listener, "198.51.100.1");
        assert_eq!(b_host.local_addr().unwrap().ip().to_string(), "198.51.100.1");
        // Not more at once than a send buffer takes: one thread has both ends.
        for (near, far) in [(&a, &a_host), (&a_host, &a), (&b, &b_host), (&b_host, &b)] {
            (0..20).for_each(|_| passes(near, far, 50_000));
        }
        let to_far = TcpListener::bind(&there, "198.51.100.2:0").unwrap();
        let (near, _far) = meet(&host, &to_far, "198.51.100.2");
        assert_eq!(near.local_addr().unwrap().ip().to_string(), "198.51.100.1");
        // The other end of the second cable goes away.
        drop((b, near, _far, to_far));
        there.shutdown();
        drop(there);
        let is_down = || host.with_stack(|stack, _| stack.interfaces().any(|it| !it.up));
        while !is_down() {
            let _ = (&b_host).write(b"x");
            pause(5);
        }
        (0..20).for_each(|_| passes(&a, &a_host, 50_000));
        host.shutdown();
    });
}

#[test]
fn vlans_come_while_a_host_runs() {
    within(30, || {
        let (near, far) = tapdev::pair(1500, 20_000);
        let (left, right) = (peer(1, "192.0.2.1/24", near), peer(2, "192.0.2.2/24", far));
        for (host, cidr) in [(&left, "198.18.7.1/24"), (&right, "198.18.7.2/24")] {
            host.with_stack(|stack, now| {
                let vlan = InterfaceConfig::vlan(InterfaceId::FIRST, 7);
                let id = stack.add_interface(now, vlan).unwrap();
                stack
                    .add_address(now, NewAddress::configured(cidr.parse().unwrap()).on(id))
                    .unwrap();
            });
        }
        let listener = TcpListener::bind(&right, "198.18.7.2:0").unwrap();
        let (a, b) = meet(&left, &listener, "198.18.7.2");
        assert_eq!(a.local_addr().unwrap().ip().to_string(), "198.18.7.1");
        (0..20).for_each(|_| passes(&a, &b, 50_000));
        (0..20).for_each(|_| passes(&b, &a, 50_000));
    });
}
