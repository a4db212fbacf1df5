//! What a Fast Open client remembers of servers (RFC 7413 §4.1.3): cookie, MSS, and whether SYNs
//! with text vanish on the way. At most so many; the one unused longest makes room. An organ.

use super::fast_open::{Learnt, Path};
use crate::counters::Counters;
use crate::store::arena::{Arena, Key};
use crate::store::queue::{Link, Linked, Queue};
use crate::time::Instant;
use crate::wire::address::Address;
use crate::wire::options::FastOpenCookie;
use core::time::Duration;
use std::collections::BTreeMap;

/// The queue of servers by their last use.
const USE: usize = 0;
/// Pauses are doubled so often.
const DOUBLINGS_MAX: u8 = 6;

#[derive(Clone)]
struct Server {
    address: Address,
    cookie: Option<FastOpenCookie>,
    mss: Option<u16>,
    /// SYNs with text that vanished since one got through.
    losses: u8,
    paused_until: Instant,
    used: Link,
}

impl Linked<USE> for Server {
    fn link(&mut self) -> &mut Link {
        &mut self.used
    }
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) cookie: Option<FastOpenCookie>,
    pub(crate) mss: Option<u16>,
    /// SYNs with text vanish on the way to it.
    pub(crate) paused: bool,
}

/// The servers.
#[derive(Clone)]
pub(crate) struct Servers {
    arena: Arena<Server>,
    keys: BTreeMap<Address, Key<Server>>,
    used: Queue<USE>,
    pause: Duration,
}

impl Servers {
    pub(crate) fn new(max: usize, pause: Duration) -> Servers {
        Servers { arena: Arena::new(max), keys: BTreeMap::new(), used: Queue::default(), pause }
    }

    /// What is known of the server at `address`, which is used now.
    pub(crate) fn look_up(&mut self, now: Instant, address: Address) -> Known {
        let Some(&key) = self.keys.get(&address) else { return Known::default() };
        self.used.remove(&mut self.arena, key);
        self.used.push(&mut self.arena, key);
        self.arena.get(key).map_or_else(Known::default, |server| Known {
            cookie: server.cookie,
            mss: server.mss,
            paused: now < server.paused_until,
        })
    }

    /// Remembers what a handshake has said.
    pub(crate) fn learn(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        address: Address,
        learnt: Learnt,
    ) {
        let pause = self.pause;
        let Some(server) = self.entry(counters, address) else { return };
        server.cookie = learnt.cookie.or(server.cookie);
        server.mss = learnt.mss.or(server.mss);
        match learnt.path {
            Path::Untried => return,
            Path::Passed => {
                server.losses = 0;
                return;
            }
            Path::Dropped => server.losses = server.losses.saturating_add(1),
            // That is more than chance, the first time too.
            Path::BlackHole => server.losses = server.losses.saturating_add(1).max(2),
        }
        if server.losses > 1 {
            let doublings = (server.losses - 2).min(DOUBLINGS_MAX);
            server.paused_until = now + pause * (1 << doublings);
            counters.tcp_fast_open_blackhole += 1;
        }
    }

    fn entry(&mut self, counters: &mut Counters, address: Address) -> Option<&mut Server> {
        if let Some(&key) = self.keys.get(&address) {
            return self.arena.get_mut(key);
        }
        if self.arena.len() >= self.arena.limit()
            && let Some(oldest) = self.used.pop(&mut self.arena)
            && let Some(server) = self.arena.remove(oldest)
        {
            self.keys.remove(&server.address);
            counters.tcp_fast_open_forgotten += 1;
        }
        let server = Server {
            address,
            cookie: None,
            mss: None,
            losses: 0,
            paused_until: Instant::ZERO,
            used: Link::default(),
        };
        let key = self.arena.insert(server).ok()?;
        self.keys.insert(address, key);
        self.used.push(&mut self.arena, key);
        self.arena.get_mut(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn address(last: u8) -> Address {
        Address::v4([192, 0, 2, last])
    }

    fn learnt(path: Path) -> Learnt {
        Learnt { cookie: FastOpenCookie::new(&[1; 8]), mss: Some(1400), path }
    }

    #[test]
    fn the_one_unused_longest_makes_room() {
        let (mut servers, mut counters) = (Servers::new(2, HOUR), Counters::default());
        let now = Instant::ZERO;
        for last in [1, 2] {
            servers.learn(now, &mut counters, address(last), learnt(Path::Untried));
        }
        assert!(servers.look_up(now, address(1)).cookie.is_some());
        servers.learn(now, &mut counters, address(3), learnt(Path::Untried));
        let known = [1, 2, 3].map(|last| servers.look_up(now, address(last)).cookie.is_some());
        assert_eq!(known, [true, false, true]);
        assert_eq!((counters.tcp_fast_open_forgotten, servers.keys.len()), (1, 2));
        assert_eq!(Servers::new(0, HOUR).look_up(now, address(1)), Known::default());
    }

    #[test]
    fn a_second_loss_pauses_and_each_further_one_twice_as_long() {
        let (mut servers, mut counters) = (Servers::new(2, HOUR), Counters::default());
        let mut now = Instant::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..10 {
            servers.learn(now, &mut counters, address(1), learnt(Path::Dropped));
            let start = now;
            while servers.look_up(now, address(1)).paused {
                now = now + HOUR / 2;
            }
            pauses.push((now - start).as_secs() / 3600);
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 32, 64, 64, 64]);
        servers.learn(now, &mut counters, address(1), learnt(Path::Passed));
        servers.learn(now, &mut counters, address(1), learnt(Path::Dropped));
        assert!(!servers.look_up(now, address(1)).paused, "one loss may be chance");
        servers.learn(now, &mut counters, address(2), learnt(Path::BlackHole));
        assert!(servers.look_up(now, address(2)).paused);
        assert_eq!(counters.tcp_fast_open_blackhole, 10);
    }
}
