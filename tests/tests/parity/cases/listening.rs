//! Listeners: their names, their queue, their end.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;

use stack::host::Errno;

use super::net;
use super::pairs::{listener, read};
use crate::rig::{SHORT, fails, pause, timed, until, within};

#[test]
fn port_0_is_some_free_port() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (_one, first) = listener(&net, ip);
            let (_other, second) = listener(&net, ip);
            assert_eq!((first.ip(), second.ip()), (ip, ip));
            assert_ne!(first.port(), 0);
            assert_ne!(first, second);
        }
    });
}

#[test]
fn a_name_is_had_once_and_then_again() {
    within(10, || {
        let net = net();
        for ip in net.ips() {
            let (listener, address) = listener(&net, ip);
            fails(net.listen(address), Errno::EADDRINUSE);
            let near = net.connect(address).unwrap();
            let far = listener.accept().unwrap().0;
            // This side closes first, and its connection lingers in TIME-WAIT.
            drop(far);
            assert_eq!((&near).read(&mut [0; 8]).unwrap(), 0);
            drop(near);
            drop(listener);
            net.listen(address).unwrap();
        }
    });
}

#[test]
fn another_hosts_address_cannot_be_had() {
    within(10, || {
        let net = net();
        let foreign = SocketAddr::from(([198, 18, 0, 1], 0));
        fails(net.listen(foreign), Errno::EADDRNOTAVAIL);
        fails(net.udp(foreign), Errno::EADDRNOTAVAIL);
        // The first that can be had is taken.
        let own = SocketAddr::new(net.ips()[0], 0);
        assert_eq!(net.listen(&[foreign, own][..]).unwrap().local_addr().unwrap().ip(), own.ip());
    });
}

#[test]
fn nonblocking_accept_does_not_wait() {
    within(10, || {
        let net = net();
        let (listener, address) = listener(&net, net.ips()[0]);
        listener.set_nonblocking(true).unwrap();
        fails(listener.accept(), Errno::EAGAIN);
        fails(listener.incoming().next().unwrap(), Errno::EAGAIN);
        let mut near = net.connect(address).unwrap();
        let (mut far, _) = until(|| listener.accept().ok());
        fails(listener.accept(), Errno::EAGAIN);
        // What is accepted blocks.
        far.set_read_timeout(Some(SHORT)).unwrap();
        let (answer, took) = timed(|| far.read(&mut [0; 8]));
        fails(answer, Errno::EAGAIN);
        assert!(took >= SHORT, "{took:?}");
        near.write_all(b"x").unwrap();
        assert_eq!(read(&far, 1), b"x");
    });
}

#[test]
fn an_acceptor_waits_for_who_comes() {
    within(10, || {
        let net = net();
        let (listener, address) = listener(&net, net.ips()[0]);
        thread::scope(|scope| {
            let acceptor = scope.spawn(|| listener.accept().unwrap().1);
            pause(20);
            let near = net.connect(address).unwrap();
            assert_eq!(acceptor.join().unwrap(), near.local_addr().unwrap());
        });
    });
}

#[test]
fn incoming_goes_on_and_on() {
    within(10, || {
        let net = net();
        let (listener, address) = listener(&net, net.ips()[0]);
        let near: Vec<_> = (0..5).map(|_| net.connect(address).unwrap()).collect();
        let far: Vec<_> = listener.incoming().take(5).map(Result::unwrap).collect();
        for (near, far) in near.iter().zip(&far) {
            assert_eq!(near.local_addr().unwrap(), far.peer_addr().unwrap());
        }
    });
}

#[test]
fn a_clone_is_the_same_listener() {
    within(10, || {
        let net = net();
        let (listener, address) = listener(&net, net.ips()[0]);
        let clone = listener.try_clone().unwrap();
        assert_eq!(clone.local_addr().unwrap(), address);
        clone.set_nonblocking(true).unwrap();
        fails(listener.accept(), Errno::EAGAIN);
        drop(listener);
        let _near = net.connect(address).unwrap();
        until(|| clone.accept().ok());
        assert!(clone.take_error().unwrap().is_none());
        drop(clone);
        fails(net.connect(address), Errno::ECONNREFUSED);
    });
}

#[test]
fn who_was_not_accepted_is_reset() {
    within(10, || {
        let net = net();
        let (listener, address) = listener(&net, net.ips()[0]);
        let mut near = net.connect(address).unwrap();
        drop(listener);
        fails(near.read(&mut [0; 8]), Errno::ECONNRESET);
    });
}

#[test]
fn who_has_gone_already_is_accepted() {
    within(10, || {
        let net = net();
        let (listener, address) = listener(&net, net.ips()[0]);
        net.connect(address).unwrap().write_all(b"farewell").unwrap();
        let mut far = listener.accept().unwrap().0;
        let mut text = String::new();
        far.read_to_string(&mut text).unwrap();
        assert_eq!(text, "farewell");
    });
}
