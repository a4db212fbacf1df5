//! Who waits, who drives, and who leaves.

use std::time::Duration;

use shuttle::thread::{self, JoinHandle};
use stack::host::Errno;

use crate::SocketId;
use crate::host::block::{GaveUp, Patience};
use crate::host::interest::{Interest, Token};
use crate::host::watch::Key;
use crate::orders::check;
use crate::scene::Scene;

const WAITERS: u16 = 3;

/// Threads of one scene.
fn crowd<T: Send + 'static>(
    scene: &Scene,
    ports: impl Iterator<Item = u16>,
    role: impl Fn(&Scene, u16) -> T + Clone + Send + 'static,
) -> Vec<JoinHandle<T>> {
    let start = |port| {
        let (scene, role) = (scene.clone(), role.clone());
        thread::spawn(move || role(&scene, port))
    };
    ports.map(start).collect()
}

fn all<T>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn a_driver_leaves_and_another_takes_over() {
    check(|| {
        let scene = Scene::new();
        let sockets: Vec<_> = (1..=WAITERS).map(|port| scene.bind(port)).collect();
        let waiters = crowd(&scene, 0..WAITERS, move |scene, index| {
            // The second time somebody else may be driving.
            [(); 2].map(|()| scene.recv(sockets[usize::from(index)], Patience::Forever))
        });
        for port in (1..=WAITERS).chain(1..=WAITERS) {
            scene.deliver(port);
        }
        assert!(all(waiters).iter().flatten().all(|it| *it == Ok(5)));
    });
}

#[test]
fn each_of_those_who_wait_for_one_socket_is_served() {
    check(|| {
        let scene = Scene::new();
        let socket = scene.bind(7);
        let receive = move |scene: &Scene, _| scene.recv(socket, Patience::Forever);
        let waiters = crowd(&scene, 1..=WAITERS, receive);
        (0..WAITERS).for_each(|_| scene.deliver(7));
        assert!(all(waiters).iter().all(|it| *it == Ok(5)));
    });
}

#[test]
fn one_who_gives_up_leaves_the_seat_to_others() {
    check(|| {
        let scene = Scene::new();
        let sockets = [scene.bind(1), scene.bind(2)];
        let impatient = crowd(&scene, 0..2, move |scene, _| {
            scene.recv(sockets[0], Patience::For(Duration::from_micros(500)))
        });
        let patient = move |scene: &Scene, _| scene.recv(sockets[1], Patience::Forever);
        let patient = crowd(&scene, 0..2, patient);
        (0..2).for_each(|_| scene.deliver(2));
        assert!(all(patient).iter().all(|it| *it == Ok(5)));
        assert!(all(impatient).iter().all(|it| *it == Err(GaveUp::TimedOut)));
    });
}

#[test]
fn stopping_ends_every_wait() {
    check(|| {
        let scene = Scene::new();
        let (first, second) = (scene.bind(1), scene.bind(2));
        let receive = move |scene: &Scene, _| scene.recv(first, Patience::Forever);
        let waiters = crowd(&scene, 1..=WAITERS, receive);
        let futures = crowd(&scene, 0..1, move |scene, _| scene.recv_as_a_future(second));
        scene.host.shutdown();
        assert!(all(waiters).iter().all(|it| *it == Err(GaveUp::Stopped)));
        assert!(all(futures).iter().all(|it| *it == Err(Errno::ESHUTDOWN)));
    });
}

#[test]
fn futures_are_woken_beside_threads_and_alone() {
    check(|| {
        let scene = Scene::new();
        let sockets = [scene.bind(1), scene.bind(2)];
        let futures = crowd(&scene, 0..2, move |scene, _| scene.recv_as_a_future(sockets[0]));
        let thread = crowd(&scene, 0..1, move |scene, _| scene.recv(sockets[1], Patience::Forever));
        for port in [1, 2, 1] {
            scene.deliver(port);
        }
        assert!(all(futures).iter().all(|it| *it == Ok(5)));
        assert!(all(thread).iter().all(|it| *it == Ok(5)));
    });
}

#[test]
fn what_another_thread_does_is_seen_by_the_driver_and_by_those_who_sleep() {
    check(|| {
        let scene = Scene::new();
        let (sender, sockets) = (scene.bind(9), [scene.bind(1), scene.bind(2)]);
        let waiters = crowd(&scene, 0..2, move |scene, index| {
            scene.recv(sockets[usize::from(index)], Patience::Forever)
        });
        for port in [2, 1] {
            scene.send_to_itself(sender, port);
        }
        assert!(all(waiters).iter().all(|it| *it == Ok(5)));
    });
}

#[test]
fn a_timer_that_another_thread_sets_is_kept() {
    check(|| {
        let scene = Scene::new();
        let idle = scene.bind(1);
        let driver = crowd(&scene, 0..1, move |scene, _| scene.recv(idle, Patience::Forever));
        // Nobody answers for this address: the error comes by a timer, and there is no frame.
        all(crowd(&scene, 0..1, |scene, _| scene.connect_to_nobody()));
        scene.deliver(1);
        assert!(all(driver).iter().all(|it| *it == Ok(5)));
    });
}

#[test]
fn threads_in_one_poller_share_its_events() {
    check(|| {
        let scene = Scene::new();
        let sockets = [scene.bind(1), scene.bind(2)];
        let poller = scene.host.core.shard.call(|engine, _| {
            let poller = engine.polls.open();
            for (index, socket) in sockets.into_iter().enumerate() {
                let (id, token) = (SocketId::Udp(socket), Token(index));
                let (edge, watch) = (Interest::READABLE.edge(), &mut engine.watch);
                let registration = engine.polls.add(poller, id, token, edge, watch);
                engine.offer_now(registration, id);
            }
            poller
        });
        let waiters = crowd(&scene, 0..2, move |scene, _| {
            let mut events = Vec::new();
            let (key, shard) = (Key::Poller(poller), &scene.host.core.shard);
            let waited = shard.block_on(key, Patience::Forever, |engine, _| {
                engine.polls.collect(poller, &mut engine.stack, 1, &mut events);
                if engine.polls.has_work(poller) {
                    engine.wake_poller(poller);
                }
                (!events.is_empty()).then_some(())
            });
            waited.map(|()| events[0].token.0)
        });
        scene.deliver(1);
        scene.deliver(2);
        let mut served = all(waiters);
        served.sort_by_key(|it| it.unwrap());
        assert_eq!(served, [Ok(0), Ok(1)]);
    });
}

#[test]
fn a_reactor_in_deep_sleep_is_called_when_the_seat_is_left() {
    check(|| {
        let scene = Scene::new();
        let sockets = [scene.bind(1), scene.bind(2)];
        let driver = crowd(&scene, 0..1, move |scene, _| scene.recv(sockets[0], Patience::Forever));
        let future = crowd(&scene, 0..1, move |scene, _| scene.recv_as_a_future(sockets[1]));
        scene.let_the_reactor_sleep();
        scene.deliver(1);
        // Nobody but the reactor can take it in now.
        scene.deliver(2);
        assert!(all(driver).iter().all(|it| *it == Ok(5)));
        assert!(all(future).iter().all(|it| *it == Ok(5)));
    });
}

#[test]
fn a_thread_that_leaves_the_seat_to_nobody_calls_the_reactor() {
    const ROUNDS: usize = 6;
    check(|| {
        let scene = Scene::new();
        let sockets = [scene.bind(1), scene.bind(2)];
        let busy = crowd(&scene, 0..1, move |scene, _| {
            (0..ROUNDS).all(|_| scene.recv(sockets[0], Patience::Forever) == Ok(5))
        });
        let quiet = crowd(&scene, 0..1, move |scene, _| scene.recv(sockets[1], Patience::Forever));
        // Its vacancies do no harm, so that it promotes nobody any more when it ends.
        (1..ROUNDS).for_each(|_| scene.deliver(1));
        scene.let_the_reactor_sleep();
        scene.deliver(1);
        scene.deliver(2);
        assert_eq!(all(busy), [true]);
        assert!(all(quiet).iter().all(|it| *it == Ok(5)));
    });
}

#[test]
fn a_driver_that_only_wakes_others_leaves_the_seat_to_them() {
    const ROUNDS: usize = 12;
    check(|| {
        let scene = Scene::new();
        let sockets = [scene.bind(1), scene.bind(2)];
        let idle = crowd(&scene, 0..1, move |scene, _| scene.recv(sockets[1], Patience::Forever));
        let busy = crowd(&scene, 0..1, move |scene, _| {
            (0..ROUNDS).all(|_| scene.recv(sockets[0], Patience::Forever) == Ok(5))
        });
        (0..ROUNDS).for_each(|_| scene.deliver(1));
        assert_eq!(all(busy), [true]);
        scene.deliver(2);
        assert!(all(idle).iter().all(|it| *it == Ok(5)));
    });
}

#[test]
fn one_who_was_called_to_the_seat_and_needs_it_no_more_calls_the_next() {
    check(|| {
        let scene = Scene::new();
        let sender = scene.bind(9);
        let sockets = [scene.bind(1), scene.bind(2), scene.bind(3)];
        let waiters = crowd(&scene, 0..3, move |scene, index| {
            scene.recv(sockets[usize::from(index)], Patience::Forever)
        });
        scene.let_the_reactor_sleep();
        scene.deliver(1);
        // It may have been called when the first one left.
        scene.send_to_itself(sender, 2);
        scene.deliver(3);
        assert!(all(waiters).iter().all(|it| *it == Ok(5)));
    });
}
