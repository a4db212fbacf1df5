//! Segments that belong to no live connection: RSTs, SYN-ACKs, TIME-WAIT's acknowledgments. Inputs
//! queue them (law 2), output sends them.

use super::segment::{Flags, Segment};
use super::seq::Seq;
use crate::wire::address::FlowKey;
use crate::wire::interface::InterfaceId;
use crate::wire::options::Options;
use std::collections::VecDeque;

/// A segment without text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) flow: FlowKey,
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    pub(crate) window: u16,
    pub(crate) options: Options,
    pub(crate) ttl: u8,
    pub(crate) tos: u8,
    /// The interface that its socket is bound to.
    pub(crate) only: Option<InterfaceId>,
}

/// The TTL of segments that no socket speaks for.
const TTL: u8 = 64;

impl Reply {
    /// An empty segment with these numbers.
    pub(crate) fn new(flow: FlowKey, seq: Seq, ack: Seq, flags: Flags) -> Reply {
        let (window, options, ttl, tos, only) = (0, Options::default(), TTL, 0, None);
        Reply { flow, seq, ack, flags, window, options, ttl, tos, only }
    }

    /// The RST that answers a segment for no connection (RFC 9293 §3.10.7.1); None for a RST.
    pub(crate) fn reset_for(flow: FlowKey, seg: &Segment<'_>) -> Option<Reply> {
        if seg.has(Flags::RST) {
            return None;
        }
        Some(if seg.has(Flags::ACK) {
            Reply::new(flow, seg.ack, Seq(0), Flags::RST)
        } else {
            Reply::new(flow, Seq(0), seg.seq + seg.len(), Flags::RST.with(Flags::ACK))
        })
    }
}

/// Replies waiting to be sent, at most `max`.
#[derive(Clone, Debug)]
pub(crate) struct Replies {
    waiting: VecDeque<Reply>,
    max: usize,
    /// Replies dropped at the limit since last asked.
    dropped: u64,
}

impl Replies {
    pub(crate) fn new(max: usize) -> Replies {
        Replies { waiting: VecDeque::new(), max, dropped: 0 }
    }

    /// Queues a reply; at the limit it is dropped and counted: the peer will ask again.
    pub(crate) fn push(&mut self, reply: Reply) {
        if self.waiting.len() < self.max {
            self.waiting.push_back(reply);
        } else {
            self.dropped += 1;
        }
    }

    /// There are none, and no drops to tell of.
    pub(crate) fn is_silent(&self) -> bool {
        self.waiting.is_empty() && self.dropped == 0
    }

    pub(crate) fn pop(&mut self) -> Option<Reply> {
        self.waiting.pop_front()
    }

    pub(crate) fn take_dropped(&mut self) -> u64 {
        core::mem::take(&mut self.dropped)
    }
}
