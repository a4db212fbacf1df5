//! `Host::together`: when what is written leaves.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use stack::host::{Host, TcpStream, UdpSocket};

use crate::rig::{LEFT, RIGHT, address, connection, echo, hosts, pause, read, within};

const SOON: Option<Duration> = Some(Duration::from_secs(5));

/// `count` connections, of which the first half is an end at `left`, without Nagle's rule.
fn connections(left: &Host, right: &Host, count: usize) -> Vec<(TcpStream, TcpStream)> {
    let fresh = |_| {
        let (far, near) = connection(left, right);
        far.set_nodelay(true).unwrap();
        (far, near)
    };
    (0..count).map(fresh).collect()
}

/// Frames that left until `work` was done, and from then until it had been left.
fn frames_of(host: &Host, work: impl Fn()) -> (u64, u64) {
    let before = host.stats().frames_out;
    let within = host.together(|| {
        work();
        host.stats().frames_out
    });
    (within - before, host.stats().frames_out - within)
}

/// Repeats what another thread, the reactor, may disturb by driving at that moment.
fn undisturbed(host: &Host, work: impl Fn()) -> (u64, u64) {
    let tries = (0..50).map(|_| {
        let found = frames_of(host, &work);
        pause(2);
        found
    });
    tries.min_by_key(|&(early, _)| early).unwrap()
}

#[test]
fn answers_to_many_leave_at_the_end() {
    within(30, || {
        let (left, right) = hosts();
        let ends = connections(&left, &right, 3);
        let write = || ends.iter().for_each(|(far, _)| (&mut &*far).write_all(b"answer").unwrap());
        assert_eq!(undisturbed(&left, write), (0, 3));
        assert!(left.stats().held_back >= 150, "{:?}", left.stats());
        for (_, near) in &ends {
            assert_eq!(read(near, 6), b"answer");
        }
    });
}

#[test]
fn pieces_for_one_connection_share_a_segment() {
    within(30, || {
        let (left, right) = hosts();
        let ends = connections(&left, &right, 1);
        let write = || (0..10).for_each(|n| (&mut &ends[0].0).write_all(&[n]).unwrap());
        assert_eq!(undisturbed(&left, write), (0, 1));
        assert_eq!(read(&ends[0].1, 20), (0..10).chain(0..10).collect::<Vec<u8>>());
    });
}

#[test]
fn much_leaves_at_once_and_takes_along_what_waits() {
    within(30, || {
        let (left, right) = hosts();
        let ends = connections(&left, &right, 2);
        let write = || {
            (&ends[0].0).write_all(b"small").unwrap();
            (&ends[1].0).write_all(&[7; 256]).unwrap();
        };
        assert_eq!(undisturbed(&left, write), (2, 0));
        let near = UdpSocket::bind(&left, (LEFT, 0)).unwrap();
        let to = address(RIGHT, 9);
        let _far = UdpSocket::bind(&right, to).unwrap();
        let send = || {
            near.send_to(b"small", to).unwrap();
            near.send_to(&[7; 256], to).unwrap();
        };
        assert_eq!(undisturbed(&left, send), (2, 0));
        let many = || assert_eq!(near.send_many_to([(&[7; 128][..], to); 2]).unwrap(), 2);
        assert_eq!(undisturbed(&left, many), (1, 0), "joined");
    });
}

#[test]
fn what_others_have_written_does_not_count() {
    within(30, || {
        let (left, right) = hosts();
        let ends = connections(&left, &right, 1);
        let tries = (0..50).map(|_| {
            (&ends[0].0).write_all(&[7; 256]).unwrap();
            let found = frames_of(&left, || (&ends[0].0).write_all(b"small").unwrap());
            pause(2);
            found
        });
        assert_eq!(tries.min(), Some((0, 1)));
    });
}

#[test]
fn the_first_call_has_the_time() {
    within(30, || {
        let (left, _right) = hosts();
        let time = || left.with_stack(|_, now| now);
        let before = time();
        pause(60);
        left.together(|| {
            let first = time();
            assert!(first - before >= Duration::from_millis(60));
            pause(60);
            let last = (0..70).map(|_| time()).max().unwrap();
            assert!(last - first >= Duration::from_millis(60), "the first of the next ones, too");
        });
    });
}

#[test]
fn many_calls_leave_before_the_end() {
    within(30, || {
        let (left, right) = hosts();
        let ends = connections(&left, &right, 1);
        let write = || (0..65).for_each(|n| (&ends[0].0).write_all(&[n]).unwrap());
        assert_eq!(undisturbed(&left, write), (1, 0));
    });
}

#[test]
fn a_call_that_waits_sends_first() {
    within(30, || {
        let (left, right) = hosts();
        let (far, near) = connection(&left, &right);
        thread::scope(|scope| {
            scope.spawn(|| echo(near));
            left.together(|| {
                for round in 0..20 {
                    (&far).write_all(&[round; 9]).unwrap();
                    assert_eq!(read(&far, 9), [round; 9]);
                }
            });
            drop(far);
        });
    });
}

#[test]
fn what_a_wait_brings_is_acknowledged_with_the_answer() {
    within(30, || {
        let (left, right) = hosts();
        let ends = connections(&left, &right, 1);
        let (far, near) = &ends[0];
        let exchange = || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    pause(5);
                    (&mut &*near).write_all(&[7; 4000]).unwrap();
                });
                // Of several segments, which are acknowledged at once.
                assert_eq!(read(far, 4000), [7; 4000]);
                (&mut &*far).write_all(b"answer").unwrap();
            });
        };
        assert_eq!(undisturbed(&left, exchange), (0, 1));
        assert_eq!(read(near, 6), b"answer");
    });
}

#[test]
fn it_leaves_after_a_panic_too() {
    within(30, || {
        let (left, right) = hosts();
        let ends = connections(&left, &right, 1);
        let work = || {
            left.together(|| {
                (&ends[0].0).write_all(b"before").unwrap();
                panic!("on purpose");
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(work)).is_err());
        assert_eq!(read(&ends[0].1, 6), b"before");
        let write = || (&ends[0].0).write_all(b"after").unwrap();
        let (before, ()) = (left.stats().frames_out, write());
        assert!(left.stats().frames_out > before, "the panic has ended it");
    });
}

#[test]
fn it_is_of_one_host_and_of_one_thread() {
    within(30, || {
        let (left, right) = hosts();
        let ends = connections(&left, &right, 2);
        left.together(|| {
            (&ends[0].1).write_all(b"other host").unwrap();
            assert_eq!(read(&ends[0].0, 10), b"other host");
            right.together(|| (&ends[0].1).write_all(b"nested").unwrap());
            assert_eq!(read(&ends[0].0, 6), b"nested");
            thread::scope(|scope| {
                scope.spawn(|| (&ends[1].0).write_all(b"other thread").unwrap());
            });
            assert_eq!(read(&ends[1].1, 12), b"other thread");
        });
        let inner = || {
            right.together(|| ());
            left.together(|| (&ends[0].0).write_all(b"twice").unwrap());
        };
        assert_eq!(undisturbed(&left, inner), (0, 1), "the outer end is the end");
    });
}

#[test]
fn a_burst_of_short_and_long_keeps_its_order() {
    within(30, || {
        let (left, right) = hosts();
        let near = UdpSocket::bind(&left, (LEFT, 0)).unwrap();
        let far = UdpSocket::bind(&right, (RIGHT, 9)).unwrap();
        far.set_read_timeout(SOON).unwrap();
        let lengths = [1, 200, 1400, 2, 1472, 1471, 3, 4, 5, 999, 6];
        let texts = lengths.map(|length| vec![length as u8; length]);
        // The first asks who has the address; all that come before the answer would share a place.
        near.send_to(b"", (RIGHT, 9)).unwrap();
        far.recv(&mut [0; 1]).unwrap();
        let to = address(RIGHT, 9);
        assert_eq!(near.send_many_to(texts.iter().map(|text| (&text[..], to))).unwrap(), 11);
        for length in lengths {
            let mut text = [0; 2000];
            let got = far.recv(&mut text).unwrap();
            assert_eq!((got, text[0]), (length, length as u8));
        }
    });
}
