//! The end of a host, in good order.

use std::time::Duration;

use super::block::Wish;
use super::reactor::Control;
use super::runtime::Core;
use super::shard::{Engine, Shard};
use super::watch::Key;
use crate::{Instant, Stack, State, TcpId, TcpInfo};

/// How often the ending connections are counted.
const LOOK: Duration = Duration::from_millis(10);

/// Ends everything; the second call finds nothing to do.
pub(super) fn shutdown(core: &Core) {
    let shard = &*core.shard;
    let (mut guard, now) = shard.enter();
    if guard.stopping {
        drop(guard);
        return core.join_reactor();
    }
    guard.stopping = true;
    guard.close_all(now);
    guard.wake_all();
    shard.release(guard, now);
    if !std::thread::panicking() {
        drain(shard, now + core.grace);
    }
    let (mut guard, now) = shard.enter();
    let left = abort_all(&mut guard.stack, now);
    guard.halted = true;
    guard.rouse();
    shard.release(guard, now);
    if left > 0 {
        log::warn!("shutdown: {left} connections had to be reset");
    }
    // An error means that the reactor is gone already.
    let _ = core.control.send(Control::Halt);
    core.join_reactor();
}

/// Waits until all connections have ended.
fn drain(shard: &Shard, deadline: Instant) {
    loop {
        let (guard, now) = shard.enter();
        if now >= deadline || !any_alive(&guard.stack) {
            return shard.release(guard, now);
        }
        let mut look_again = now + LOOK;
        let mut wish = Wish {
            key: Key::Nothing,
            // Parked, it would not be woken by the end of a connection.
            deadline: deadline.min(now + 2 * LOOK),
            despite_stop: true,
            attempt: &mut |engine, now| {
                let due = now >= look_again;
                if due {
                    look_again = now + LOOK;
                }
                due && !any_alive(&engine.stack)
            },
        };
        shard.wait_for(guard, &mut wish, now);
    }
}

fn is_alive(info: &TcpInfo) -> bool {
    !matches!(info.state, State::Listen | State::TimeWait | State::Closed)
}

fn any_alive(stack: &Stack) -> bool {
    stack.connections().any(|(_, info)| is_alive(&info))
}

fn live_ids(stack: &Stack) -> Vec<TcpId> {
    stack.connections().filter(|(_, info)| is_alive(info)).filter_map(|(id, _)| id).collect()
}

fn abort_all(stack: &mut Stack, now: Instant) -> usize {
    let ids = live_ids(stack);
    for &id in &ids {
        if let Some(socket) = stack.tcp(id) {
            socket.abort(now);
        }
    }
    ids.len()
}

impl Engine {
    /// Closes every listener, and every connection for writing. One with text that nobody will
    /// read any more is closed altogether, which resets it (RFC 9293 §3.6.1, RFC 2525 §2.17).
    fn close_all(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.listeners) {
            self.stack.close_listener(now, id);
        }
        for id in live_ids(&self.stack) {
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
        self.rouse();
    }
}
