//! Passive opens: LISTEN (RFC 9293 §3.10.7.2), the backlog, and the queue of finished connections.

use super::forward::Forwards;
use super::options::TcpOptions;
use super::segment::{Flags, Segment};
use super::syncache::AGE;
use super::tcb::ACCEPT;
use crate::config::FastOpenKeys;
use crate::net::reach::Reach;
use crate::store::queue::{Link, Linked, Queue};
use crate::time::Instant;
use crate::wire::address::Endpoint;
use std::collections::VecDeque;
use std::sync::Arc;

/// The queue of listeners whose readiness may have changed.
pub(crate) const LISTENER_CHANGED: usize = 0;

/// What an application asks of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// Finished connections that may wait for `accept`; further ones wait in the handshake.
    pub backlog: usize,
    /// Options that accepted connections start with.
    pub tcp: TcpOptions,
    /// Others may listen where it does that say so, too (`SO_REUSEPORT`): each connection goes to
    /// one of them.
    pub reuse_port: bool,
    /// What Fast Open may do here, if `FastOpen::SERVER` is on.
    pub fast_open: ListenFastOpen,
}

/// What a listener does with text that comes with a SYN (RFC 7413).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenFastOpen {
    /// Connections that such SYNs have opened and whose handshake is not finished (`TCP_FASTOPEN`);
    /// beyond, handshakes are the ordinary ones. 0: no Fast Open.
    pub pending_max: usize,
    /// The keys of its cookies (`TCP_FASTOPEN_KEY`); None: those of all listeners.
    pub keys: Option<FastOpenKeys>,
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        let (tcp, fast_open) = (TcpOptions::default(), ListenFastOpen::default());
        ListenOptions { backlog: 128, tcp, reuse_port: false, fast_open }
    }
}

/// A listener: no buffers, no sequence numbers.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) local: Endpoint,
    pub(crate) options: ListenOptions,
    /// `options.tcp`, for all connections.
    pub(crate) shared: Arc<TcpOptions>,
    /// Finished connections, waiting to be accepted.
    pub(crate) accept: Queue<ACCEPT>,
    /// Half-open connections, oldest first.
    pub(crate) half_open: Queue<AGE>,
    /// Until when a third segment may bring a cookie back.
    pub(crate) cookies_until: Instant,
    /// Connections opened by a SYN with text, whose handshake is not finished.
    pub(crate) early: usize,
    /// Until when those that were reset count as if they were: first the oldest, at most
    /// `fast_open.pending_max`.
    pub(crate) early_resets: VecDeque<Instant>,
    /// It stands for all addresses and ports where nobody else listens.
    pub(crate) forwards: Option<Forwards>,
    pub(crate) changed: Link,
}

impl Linked<LISTENER_CHANGED> for Listener {
    fn link(&mut self) -> &mut Link {
        &mut self.changed
    }
}

/// What LISTEN does with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Begin a handshake.
    Open,
    /// The third segment of a handshake that is not remembered: of a cookie, or of none.
    Acknowledged,
    /// Answer with a RST.
    Reset,
    /// Drop it.
    Ignore,
}

impl Listener {
    pub(crate) fn new(local: Endpoint, options: ListenOptions) -> Listener {
        Listener {
            local,
            options,
            shared: Arc::new(options.tcp),
            accept: Queue::default(),
            half_open: Queue::default(),
            cookies_until: Instant::ZERO,
            early: 0,
            early_resets: VecDeque::new(),
            forwards: None,
            changed: Link::default(),
        }
    }

    /// What waits for the application: finished connections, or SYNs to decide on.
    pub(crate) fn pending(&self) -> usize {
        self.accept.len() + self.forwards.as_ref().map_or(0, |forwards| forwards.fresh.len())
    }

    /// The addresses it listens on.
    pub(crate) fn reach(&self) -> Reach {
        self.options.tcp.reach(self.local.address)
    }

    /// RFC 9293 §3.10.7.2, first to fourth.
    pub(crate) fn judge(seg: &Segment<'_>) -> Verdict {
        if seg.has(Flags::RST) {
            return Verdict::Ignore;
        }
        if seg.has(Flags::ACK) {
            return if seg.has(Flags::SYN) { Verdict::Reset } else { Verdict::Acknowledged };
        }
        if seg.has(Flags::SYN) { Verdict::Open } else { Verdict::Ignore }
    }

    /// The accept queue has no room: a handshake must not finish.
    pub(crate) fn is_full(&self) -> bool {
        self.accept.len() >= self.options.backlog.max(1)
    }
}
