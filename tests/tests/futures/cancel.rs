//! What becomes of wakers, and of futures that are dropped.

use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use stack::host::Errno;
use stack::host::futures::{TcpListener, TcpStream, UdpSocket};

use crate::rig::{Bell, SERVER, at_once, connection, hosts, pause, poll, within};

#[test]
fn a_read_that_is_dropped_loses_no_byte() {
    within(10, async || {
        let (server, client) = hosts();
        let (far, near) = connection(&server, &client).await;
        let (bell, mut text) = (Bell::new(), [0; 8]);
        {
            let mut reading = pin!(far.read(&mut text));
            assert!(poll(reading.as_mut(), &bell).is_pending());
            near.write(b"hello").await.unwrap();
            bell.wait();
        }
        assert_eq!(text, [0; 8]);
        assert_eq!(far.read(&mut text).await.unwrap(), 5);
        assert_eq!(&text[..5], b"hello");
    });
}

#[test]
fn an_accept_that_is_dropped_after_its_wake_up_passes_it_on() {
    within(10, async || {
        let (server, client) = hosts();
        let listener = TcpListener::bind(&server, (SERVER, 7)).unwrap();
        let (first, second) = (Bell::new(), Bell::new());
        let mut patient = pin!(listener.accept());
        {
            let mut fickle = pin!(listener.accept());
            assert!(poll(fickle.as_mut(), &first).is_pending());
            assert!(poll(patient.as_mut(), &second).is_pending());
            let _near = TcpStream::connect(&client, (SERVER, 7)).await.unwrap();
            first.wait();
            assert_eq!(second.rung(), 0, "one connection wakes one future");
        }
        second.wait();
        assert!(poll(patient.as_mut(), &second).is_ready());
    });
}

#[test]
fn an_accept_that_is_dropped_before_takes_no_wake_up() {
    within(10, async || {
        let (server, client) = hosts();
        let listener = TcpListener::bind(&server, (SERVER, 7)).unwrap();
        let (first, second) = (Bell::new(), Bell::new());
        let mut patient = pin!(listener.accept());
        {
            let mut fickle = pin!(listener.accept());
            assert!(poll(fickle.as_mut(), &first).is_pending());
            assert!(poll(patient.as_mut(), &second).is_pending());
        }
        let _near = TcpStream::connect(&client, (SERVER, 7)).await.unwrap();
        second.wait();
        assert_eq!(first.rung(), 0);
    });
}

#[test]
fn every_one_of_many_accepts_is_woken_for_one_connection() {
    within(10, async || {
        let (server, client) = hosts();
        let listener = TcpListener::bind(&server, (SERVER, 7)).unwrap();
        let connect = async {
            let mut all = Vec::new();
            for _ in 0..20 {
                all.push(TcpStream::connect(&client, (SERVER, 7)).await.unwrap());
            }
            all
        };
        let half = || async {
            let mut all = Vec::new();
            for _ in 0..10 {
                all.push(listener.accept().await.unwrap());
            }
            all
        };
        let halves = futures_lite::future::zip(half(), half());
        let (accepted, connected) = futures_lite::future::zip(halves, connect).await;
        assert_eq!(accepted.0.len() + accepted.1.len(), connected.len());
    });
}

#[test]
fn a_connect_that_is_dropped_gives_up() {
    within(10, async || {
        let (_server, client) = hosts();
        {
            // Nobody has this address: it is asked for, and nobody answers.
            let mut connecting = pin!(TcpStream::connect(&client, "192.0.2.9:7"));
            assert!(poll(connecting.as_mut(), &Bell::new()).is_pending());
            assert_eq!(client.connections().len(), 1);
        }
        assert_eq!(client.connections().len(), 0);
    });
}

#[test]
fn each_direction_has_its_own_waker_and_the_latest_is_woken() {
    within(10, async || {
        let (server, client) = hosts();
        let (mut far, mut near) = connection(&server, &client).await;
        let [read_first, read_last, write] = [Bell::new(), Bell::new(), Bell::new()];
        let waker = |bell: &Arc<Bell>| Waker::from(Arc::clone(bell));
        let mut text = vec![0; 1 << 20];
        for bell in [&read_first, &read_last] {
            let waker = waker(bell);
            assert!(near.poll_read(&mut Context::from_waker(&waker), &mut text).is_pending());
        }
        let filler = std::io::IoSlice::new(&[7; 100_000]);
        let write_waker = waker(&write);
        let mut cx = Context::from_waker(&write_waker);
        while near.poll_write(&mut cx, &[filler]).is_ready() {}
        assert_eq!(read_last.rung(), 0);
        // The other end reads until there is room again.
        while write.rung() == 0 {
            futures_lite::future::poll_fn(|cx| far.poll_read(cx, &mut text)).await.unwrap();
        }
        assert_eq!(read_last.rung(), 0);
        far.write(b"!").await.unwrap();
        read_last.wait();
        assert_eq!(read_first.rung(), 0);
    });
}

#[test]
fn a_write_in_part_leaves_no_waker_behind() {
    within(10, async || {
        let (server, client) = hosts();
        let (mut far, near) = connection(&server, &client).await;
        let (bell, big) = (Bell::new(), vec![7; 64 << 20]);
        let count = match poll(pin!(near.write(&big)), &bell) {
            std::task::Poll::Ready(count) => count.unwrap(),
            std::task::Poll::Pending => panic!("there was room"),
        };
        assert!(count > 0 && count < big.len());
        let (mut left, mut text) = (count, vec![0; 1 << 20]);
        while left > 0 {
            let reading = futures_lite::future::poll_fn(|cx| far.poll_read(cx, &mut text));
            left -= reading.await.unwrap();
        }
        pause(20);
        assert_eq!(bell.rung(), 0);
    });
}

#[test]
fn a_waker_may_be_the_last_to_hold_a_socket() {
    struct Owner(#[expect(dead_code, reason = "it is only dropped")] UdpSocket);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    within(10, async || {
        let (server, _client) = hosts();
        let mut socket = UdpSocket::bind(&server, (SERVER, 7)).unwrap();
        let owner = || {
            let owned = UdpSocket::bind(&server, (SERVER, 0)).unwrap();
            Waker::from(Arc::new(Owner(owned)))
        };
        let mut text = [0; 8];
        for _ in 0..3 {
            let waker = owner();
            let mut cx = Context::from_waker(&waker);
            assert!(socket.poll_recv_from(&mut cx, &mut text).is_pending());
        }
        drop(socket);
    });
}

#[test]
fn a_host_that_stops_wakes_every_future() {
    within(10, async || {
        let (server, client) = hosts();
        let listener = TcpListener::bind(&server, (SERVER, 7)).unwrap();
        let socket = UdpSocket::bind(&server, (SERVER, 7)).unwrap();
        let (far, _near) = connection(&server, &client).await;
        let (mut text, mut datagram) = ([0; 8], [0; 8]);
        let bells: [Arc<Bell>; 3] = std::array::from_fn(|_| Bell::new());
        let mut accepting = pin!(listener.accept());
        let mut receiving = pin!(socket.recv(&mut datagram));
        let mut reading = pin!(far.read(&mut text));
        assert!(poll(accepting.as_mut(), &bells[0]).is_pending());
        assert!(poll(receiving.as_mut(), &bells[1]).is_pending());
        assert!(poll(reading.as_mut(), &bells[2]).is_pending());
        server.shutdown();
        bells.iter().for_each(|bell| bell.wait());
        for error in [
            at_once(accepting.as_mut()).unwrap_err(),
            at_once(receiving.as_mut()).unwrap_err(),
            at_once(reading.as_mut()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), std::io::Error::from(Errno::ESHUTDOWN).kind());
        }
        assert!(far.get_ref().write(b"x").is_err());
    });
}
