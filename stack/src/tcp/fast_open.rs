//! TCP Fast Open (RFC 7413): the cookies that a server gives, and what a connection remembers of a
//! handshake that carries text. An organ.
//!
//! A cookie is a keyed hash of the two addresses, the same as Linux's under the same key. It is
//! good under the current key and the one before it; then the SYN-ACK carries a new one.

use super::listener::Listener;
use crate::config::{FastOpenKeys, TcpConfig};
use crate::random::{Secret, Seed};
use crate::store::arena::Key;
use crate::time::Instant;
use crate::wire::address::FlowKey;
use crate::wire::options::{FastOpenCookie, Options};
use core::time::Duration;

/// Makes a server's cookies and knows its own again.
#[derive(Clone)]
pub(crate) struct CookieKeys {
    /// Keys that somebody has chosen.
    fixed: Option<FastOpenKeys>,
    /// The root of those that nobody has.
    secret: Secret,
    life: Duration,
}

/// The key under which a cookie is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MadeWith {
    Current,
    Previous,
}

impl CookieKeys {
    pub(crate) fn new(config: &TcpConfig, seed: &Seed) -> CookieKeys {
        CookieKeys {
            fixed: config.fast_open_keys,
            secret: Secret::derive(seed, "fast open"),
            life: config.fast_open_key_life,
        }
    }

    /// The keys in force, unless a listener has its own.
    pub(crate) fn keys(&self, now: Instant) -> FastOpenKeys {
        self.fixed.unwrap_or_else(|| {
            let span =
                now.as_nanos() / u64::try_from(self.life.as_nanos()).unwrap_or(u64::MAX).max(1);
            let key = |span| self.secret.numbered(span).to_bytes();
            FastOpenKeys { current: key(span), previous: span.checked_sub(1).map(key) }
        })
    }
}

/// The cookie for the client of `flow`.
pub(crate) fn cookie(keys: &FastOpenKeys, flow: &FlowKey) -> FastOpenCookie {
    FastOpenCookie::from_hash(hash(keys.current, flow))
}

/// Under which key the client's cookie is good, if under any.
pub(crate) fn check(
    keys: &FastOpenKeys,
    flow: &FlowKey,
    given: &FastOpenCookie,
) -> Option<MadeWith> {
    let made = |key| FastOpenCookie::from_hash(hash(key, flow)) == *given;
    if made(keys.current) {
        return Some(MadeWith::Current);
    }
    keys.previous.filter(|&key| made(key)).map(|_| MadeWith::Previous)
}

/// SipHash-2-4 of the client's address and the server's.
fn hash(key: [u8; 16], flow: &FlowKey) -> u64 {
    let secret = Secret::from_bytes(key);
    let (client, server) = (flow.remote.address, flow.local.address);
    match (client.as_v4(), server.as_v4()) {
        (Some(client), Some(server)) => secret.hash(&[client, server].concat()),
        _ => secret.hash(&[*client.octets(), *server.octets()].concat()),
    }
}

/// What a connection remembers of Fast Open.
#[derive(Clone, Debug, Default)]
pub(crate) struct FastOpen {
    /// Until the handshake is over.
    pub(crate) opening: Option<Box<Opening>>,
    /// The SYN carried text, and it was taken (`TCPI_OPT_SYN_DATA`).
    pub(crate) syn_data: bool,
    /// Our SYN asked for a cookie, or carried one, or text.
    pub(crate) attempted: bool,
    /// Why our SYN's text did not get through, if it did not.
    pub(crate) failed: Option<FastOpenFailure>,
}

/// Why Fast Open did not work for a client (`tcpi_fastopen_client_fail`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FastOpenFailure {
    /// The server's cookie was not known: the SYN asked for it.
    CookieUnavailable = 1,
    /// The server did not take the text, or not all of it.
    DataNotAcked = 2,
    /// The SYN had to be sent again, then without text.
    SynRetransmitted = 3,
}

/// What became of the text that our SYN carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SynText {
    /// There was none.
    None,
    /// It is acknowledged.
    Taken,
    /// It is not, or not whole.
    Refused,
}

/// What only matters until the handshake is over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opening {
    /// The SYN waits for the first text.
    pub(crate) waits: bool,
    /// The option of our first SYN or SYN-ACK.
    pub(crate) cookie: Option<FastOpenCookie>,
    /// MSS of the peer, as far as it is known: what bounds the SYN's text.
    pub(crate) mss: u16,
    /// The listener among whose unfinished connections this one counts.
    pub(crate) listener: Option<Key<Listener>>,
    /// What is to be remembered of the server.
    pub(crate) learnt: Option<Learnt>,
}

/// What a handshake says about a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learnt {
    pub(crate) cookie: Option<FastOpenCookie>,
    pub(crate) mss: Option<u16>,
    pub(crate) path: Path,
}

/// How the path took a SYN with text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Path {
    /// Nothing is known of that.
    #[default]
    Untried,
    /// The text was taken.
    Passed,
    /// It seems that only the SYN without text arrived.
    Dropped,
    /// Nothing comes back at all.
    BlackHole,
}

impl FastOpen {
    /// The SYN waits for the first text.
    pub(crate) fn is_waiting(&self) -> bool {
        self.opening.as_ref().is_some_and(|opening| opening.waits)
    }

    /// The peer opens, too, while our SYN waits: it waits no longer, and answers like any other.
    pub(crate) fn on_crossing(&mut self) {
        if let Some(opening) = self.opening.as_mut().filter(|opening| opening.waits) {
            (opening.waits, opening.cookie) = (false, None);
            self.attempted = false;
        }
    }

    /// A SYN-ACK arrives, with these options, and says this of our SYN's text; `expiries` times the
    /// SYN had been sent again.
    pub(crate) fn on_syn_ack(&mut self, options: &Options, text: SynText, expiries: u8) {
        let Some(opening) = &mut self.opening else { return };
        let cookie = options.fast_open.filter(|cookie| !cookie.is_request());
        let resent = expiries > 0;
        let path = match text {
            SynText::Taken => Path::Passed,
            SynText::Refused if resent && cookie.is_none() => Path::Dropped,
            SynText::Refused | SynText::None => Path::Untried,
        };
        opening.learnt = Some(Learnt { cookie, mss: options.mss, path });
        match text {
            SynText::Taken => self.syn_data = true,
            SynText::Refused if resent => self.failed = Some(FastOpenFailure::SynRetransmitted),
            SynText::Refused => self.failed = Some(FastOpenFailure::DataNotAcked),
            SynText::None => {}
        }
    }

    /// The retransmission timer has expired `expiries` times in a row before. Where our SYN tried
    /// Fast Open, a third time says that the path may not bear it, during the handshake or after
    /// it (RFC 7413 §4.1.3.1).
    pub(crate) fn on_timeout(&mut self, expiries: u8) {
        if expiries == 2 {
            self.note_black_hole();
        }
    }

    /// The connection is given up for want of answers.
    pub(crate) fn on_give_up(&mut self, expiries: u8) {
        if expiries < 2 {
            self.note_black_hole();
        }
    }

    fn note_black_hole(&mut self) {
        if self.attempted {
            let opening = self.opening.get_or_insert_default();
            opening.learnt = Some(Learnt { path: Path::BlackHole, ..Learnt::default() });
        }
    }

    /// A SYN with a good cookie has opened the connection, and the handshake is not finished.
    pub(crate) fn is_early(&self) -> bool {
        self.opening.as_ref().is_some_and(|opening| opening.listener.is_some())
    }
}
