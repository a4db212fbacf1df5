//! The end of a host, in good order.

use std::time::Duration;

use super::block::Wish;
use super::reactor::Control;
use super::runtime::Core;
use super::shard::{Engine, Shard};
use super::watch::Key;
use crate::{Instant, Stack, State};

/// How often the ending connections are counted.
const LOOK: Duration = Duration::from_millis(10);
/// How long a peer that has everything may take to end its half. After that, waiting would only
/// be for its program, which may never close.
const PEERS_TURN: Duration = Duration::from_millis(200);

/// Ends everything; the second call finds nothing to do.
pub(super) fn shutdown(core: &Core) {
    let shard = &*core.shard;
    let (mut guard, now) = shard.enter();
    if guard.stopping {
        drop(guard);
        return core.join_threads();
    }
    guard.stopping = true;
    guard.close_all(now);
    guard.wake_all();
    shard.release(guard, now);
    if !std::thread::panicking() {
        drain(shard, now, core.grace);
    }
    let (mut guard, now) = shard.enter();
    let left = guard.stack.abort_all(now);
    guard.halted = true;
    guard.rouse();
    shard.release(guard, now);
    if left > 0 {
        log::warn!("shutdown: {left} connections had to be reset");
    }
    shard.further.iter().for_each(|device| device.wake());
    // An error means that the reactor is gone already.
    let _ = core.control.send(Control::Halt);
    core.join_threads();
}

/// Waits until every connection has sent all it had, and had an acknowledgment for its FIN; and a
/// little longer for the FINs of the peers.
fn drain(shard: &Shard, start: Instant, grace: Duration) {
    let (peers, deadline) = (start + PEERS_TURN.min(grace), start + grace);
    loop {
        let (guard, now) = shard.enter();
        if now >= deadline || !any_busy(&guard.stack, now < peers) {
            return shard.release(guard, now);
        }
        let mut look_again = now + LOOK;
        let mut wish = Wish {
            key: Key::Nothing,
            // Parked, it would not be woken by the end of a connection.
            deadline: deadline.min(now + 2 * LOOK),
            despite_stop: true,
            called: false,
            attempt: &mut |engine, now| {
                let due = now >= look_again;
                if due {
                    look_again = now + LOOK;
                }
                due && !any_busy(&engine.stack, now < peers)
            },
        };
        shard.wait_for(guard, &mut wish, now);
    }
}

/// Some connection still has something to do. In FIN-WAIT-2 that is only to wait for the peer.
fn any_busy(stack: &Stack, for_peers: bool) -> bool {
    stack.connections().any(|(_, info)| match info.state {
        State::Listen | State::TimeWait | State::Closed => false,
        State::FinWait2 => for_peers,
        _ => true,
    })
}

impl Engine {
    /// Closes every listener, and every connection for writing. One with text that nobody will
    /// read any more is closed altogether, which resets it (RFC 9293 §3.6.1, RFC 2525 §2.17).
    fn close_all(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.listeners) {
            self.stack.close_listener(now, id);
        }
        let ids: Vec<_> = self.stack.connections().filter_map(|(id, _)| id).collect();
        for id in ids {
            let Some(mut socket) = self.stack.tcp(id) else { continue };
            if socket.unread() > 0 || socket.shutdown_write(now).is_err() {
                socket.close(now);
            }
        }
    }

    /// Makes every blocked call look: it will find that the host stops.
    fn wake_all(&mut self) {
        while let Some(parker) = self.wakes.parked.take_latest() {
            self.wakes.threads.push(parker);
        }
        self.watch.take_all_tasks(&mut self.wakes.tasks);
        self.rouse();
    }
}
