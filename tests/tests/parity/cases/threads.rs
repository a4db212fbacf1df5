//! One socket in several threads.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use super::net;
use super::pairs::{datagrams, listener, read, streams};
use crate::rig::{pause, within};

#[test]
fn clones_write_from_several_threads() {
    within(20, || {
        let net = net();
        let (far, near) = streams(&net);
        const EACH: usize = 500;
        thread::scope(|scope| {
            for writer in 0..4_u8 {
                let mut clone = near.try_clone().unwrap();
                scope.spawn(move || (0..EACH).for_each(|_| clone.write_all(&[writer; 8]).unwrap()));
            }
            // Short writes do not mix.
            let mut counts = [0; 4];
            for _ in 0..4 * EACH {
                let word = read(&far, 8);
                assert!(word.iter().all(|byte| *byte == word[0]), "{word:?}");
                counts[usize::from(word[0])] += 1;
            }
            assert_eq!(counts, [EACH; 4]);
        });
    });
}

#[test]
fn clones_read_in_several_threads() {
    within(20, || {
        let net = net();
        let (mut far, near) = streams(&net);
        thread::scope(|scope| {
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let mut clone = near.try_clone().unwrap();
                    scope.spawn(move || {
                        let mut text = Vec::new();
                        clone.read_to_end(&mut text).unwrap();
                        text.iter().map(|&byte| u64::from(byte)).sum::<u64>()
                    })
                })
                .collect();
            let sent: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
            far.write_all(&sent).unwrap();
            far.shutdown(Shutdown::Write).unwrap();
            // All of them are told the end, and each byte was read once.
            let sum: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
            assert_eq!(sum, sent.iter().map(|&byte| u64::from(byte)).sum::<u64>());
        });
    });
}

#[test]
fn one_direction_each() {
    within(20, || {
        let net = net();
        let (far, near) = streams(&net);
        let sent = vec![5; 400_000];
        thread::scope(|scope| {
            for mut stream in [&far, &near] {
                let sent = &sent;
                scope.spawn(move || stream.write_all(sent).unwrap());
                scope.spawn(move || assert!(read(stream, sent.len()) == *sent));
            }
        });
    });
}

#[test]
fn several_threads_accept() {
    within(20, || {
        let net = net();
        let (listener, address) = listener(&net, net.ips()[0]);
        thread::scope(|scope| {
            let acceptors: Vec<_> = (0..4)
                .map(|_| {
                    let clone = listener.try_clone().unwrap();
                    scope.spawn(move || clone.accept().unwrap().1)
                })
                .collect();
            pause(20);
            let near: Vec<_> = (0..4).map(|_| net.connect(address).unwrap()).collect();
            let came: BTreeSet<_> = near.iter().map(|it| it.local_addr().unwrap()).collect();
            let met: BTreeSet<_> = acceptors.into_iter().map(|it| it.join().unwrap()).collect();
            assert_eq!(came, met);
        });
    });
}

#[test]
fn a_shutdown_wakes_who_reads() {
    within(20, || {
        let net = net();
        for how in [Shutdown::Read, Shutdown::Both] {
            let (_far, near) = streams(&net);
            thread::scope(|scope| {
                let reader = scope.spawn(|| (&near).read(&mut [0; 8]).unwrap());
                let peeker = scope.spawn(|| near.peek(&mut [0; 8]).unwrap());
                pause(20);
                near.shutdown(how).unwrap();
                assert_eq!((reader.join().unwrap(), peeker.join().unwrap()), (0, 0));
            });
        }
    });
}

#[test]
fn a_shutdown_wakes_who_writes() {
    within(20, || {
        let net = net();
        let (_far, near) = streams(&net);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let chunk = vec![0; 1 << 20];
                loop {
                    if let Err(error) = (&near).write(&chunk) {
                        return error.kind();
                    }
                }
            });
            pause(50);
            near.shutdown(Shutdown::Write).unwrap();
            assert_eq!(writer.join().unwrap(), std::io::ErrorKind::BrokenPipe);
        });
    });
}

#[test]
fn each_datagram_goes_to_one_thread() {
    within(20, || {
        let net = net();
        let ip = net.ips()[0];
        let (server, client) = datagrams(&net, ip);
        let to = server.local_addr().unwrap();
        // The neighbour is found before the crowd comes.
        client.send_to(b"x", to).unwrap();
        server.recv(&mut [0; 8]).unwrap();
        thread::scope(|scope| {
            let readers: Vec<_> = (0..4)
                .map(|_| {
                    let clone = server.try_clone().unwrap();
                    scope.spawn(move || {
                        let mut text = [0; 8];
                        let mut got = BTreeSet::new();
                        // A datagram of nothing ends it.
                        while clone.recv(&mut text).unwrap() > 0 {
                            got.insert(text[0]);
                        }
                        got
                    })
                })
                .collect();
            for number in 0..100 {
                client.send_to(&[number], to).unwrap();
            }
            for _ in 0..4 {
                client.send_to(&[], to).unwrap();
            }
            let got: Vec<u8> =
                readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
            assert_eq!(got.len(), 100);
            assert_eq!(got.into_iter().collect::<BTreeSet<_>>().len(), 100);
        });
    });
}
