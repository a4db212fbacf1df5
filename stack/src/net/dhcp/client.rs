//! The life of a lease (RFC 2131 §4.4, figure 5).

use std::collections::VecDeque;

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::message::{Kind, Message, Reply};
use super::{Lease, RENEW_MIN};
use crate::random::Random;
use crate::time::Instant;
use crate::wire::address::Mac;

/// §4.1: the first repetition comes after four seconds, later ones after twice as long each, up to
/// 64 s, all a second more or less.
const BACKOFF_MIN: u32 = 4;
const BACKOFF_MAX: u32 = 64;

/// §4.4.5: no renewal is repeated sooner.
const RENEWAL_MIN: Duration = Duration::from_secs(60);

/// §3.1.5: how long to wait after a conflict, at least.
const AFTER_CONFLICT: Duration = Duration::from_secs(10);

/// A request that so many times was not answered is given up.
const REQUESTS_MAX: u32 = 4;

/// After so many questions that no server answered in their time there seems to be none.
const ALONE_AFTER: u32 = 1;

/// §4.4.1: machines that start together do not ask together.
const START_MAX_MILLIS: u32 = 1000;

/// What the network has to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// The server, or everybody.
    pub(crate) to: Ipv4Addr,
    pub(crate) message: Vec<u8>,
}

/// What has become of the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaseEvent {
    /// The lease is ours, or ours for longer: from that moment on.
    Bound(Lease, Instant),
    /// The address is no longer ours.
    Lost(Ipv4Addr),
}

/// A client on one link.
pub(crate) struct Client {
    mac: Mac,
    random: Random,
    state: State,
    xid: u32,
    /// When the present attempt to get or keep a lease began.
    began: Instant,
    /// When the present state asked first: from then on a lease counts that comes of it.
    asked: Instant,
    /// From when on the lease counts.
    since: Instant,
    /// Messages of the present state that were not answered.
    tries: u32,
    /// Refusals and conflicts in a row.
    refusals: u32,
    deadline: Instant,
    out: VecDeque<Outgoing>,
    events: VecDeque<LeaseEvent>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Init,
    Selecting,
    Requesting(Lease),
    /// INIT-REBOOT and REBOOTING: asking for an address from an earlier life.
    Rebooting(Ipv4Addr),
    Bound(Lease),
    Renewing(Lease),
    Rebinding(Lease),
    Stopped,
}

impl Client {
    /// A client that begins shortly. It asks for `previous` first, an address that it had.
    pub(crate) fn new(
        now: Instant,
        mac: Mac,
        previous: Option<Ipv4Addr>,
        mut random: Random,
    ) -> Client {
        let delay = Duration::from_millis(random.below(START_MAX_MILLIS).into());
        Client {
            mac,
            state: previous.map_or(State::Init, State::Rebooting),
            xid: random.next_u32(),
            random,
            began: now,
            asked: now,
            since: now,
            tries: 0,
            refusals: 0,
            deadline: now + delay,
            out: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Outgoing> {
        self.out.pop_front()
    }

    pub(crate) fn poll_event(&mut self) -> Option<LeaseEvent> {
        self.events.pop_front()
    }

    pub(crate) fn next_timeout(&self) -> Instant {
        self.deadline
    }

    /// The lease, while it is ours.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Bound(lease) | State::Renewing(lease) | State::Rebinding(lease) => Some(lease),
            _ => None,
        }
    }

    /// No server answers, and the host has to help itself (RFC 3927 §1.9, §2.11).
    pub(crate) fn is_alone(&self) -> bool {
        self.state == State::Selecting && self.tries > ALONE_AFTER
    }

    /// It is done, and says nothing any more.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    /// Time has passed.
    pub(crate) fn advance(&mut self, now: Instant) {
        if now < self.deadline {
            return;
        }
        match self.state.clone() {
            State::Init => self.enter(now, State::Selecting),
            State::Selecting => self.repeat(now),
            State::Requesting(_) | State::Rebooting(_) if self.tries >= REQUESTS_MAX => {
                self.enter(now, State::Selecting);
            }
            State::Requesting(_) | State::Rebooting(_) => self.repeat(now),
            State::Bound(lease) | State::Renewing(lease) | State::Rebinding(lease)
                if now >= self.since + lease.time =>
            {
                self.lose(&lease);
                self.run_out(now, &lease);
            }
            State::Bound(lease) | State::Renewing(lease) if now >= self.since + lease.rebind => {
                self.enter(now, State::Rebinding(lease));
            }
            State::Bound(lease) => self.enter(now, State::Renewing(lease)),
            State::Renewing(_) | State::Rebinding(_) => self.repeat(now),
            State::Stopped => self.deadline = Instant::FAR_FUTURE,
        }
    }

    /// A datagram from a server's port has come.
    pub(crate) fn on_message(&mut self, now: Instant, bytes: &[u8]) {
        let Some(reply) = Reply::parse(bytes, self.xid, self.mac) else { return };
        match (reply, self.state.clone()) {
            // The first offer is taken: servers that come later hear of it by the request.
            (Reply::Offer(offer), State::Selecting) => self.enter(now, State::Requesting(offer)),
            (Reply::Ack(lease), State::Requesting(offer))
                if lease.server == offer.server && lease.address == offer.address =>
            {
                self.bind(now, lease);
            }
            (Reply::Ack(lease), State::Rebooting(wanted)) if lease.address.address == wanted => {
                self.bind(now, lease);
            }
            (Reply::Ack(lease), State::Renewing(old))
                if lease.server == old.server && lease.address == old.address =>
            {
                self.bind(now, lease);
            }
            (Reply::Ack(lease), State::Rebinding(old)) if lease.address == old.address => {
                self.bind(now, lease);
            }
            (Reply::Nak(server), State::Requesting(old) | State::Renewing(old))
                if server == old.server =>
            {
                self.refused(now);
            }
            (Reply::Nak(_), State::Rebooting(_) | State::Rebinding(_)) => self.refused(now),
            _ => (),
        }
    }

    /// Somebody else has the address (§3.1.5, §4.4.1).
    pub(crate) fn on_conflict(&mut self, now: Instant) {
        let Some(lease) = self.lease().cloned() else { return };
        self.say(now, Kind::Decline, Names::wanted(&lease), Ipv4Addr::BROADCAST);
        self.lose(&lease);
        self.start_over(now, AFTER_CONFLICT);
    }

    /// The address is given back (§4.4.6), and the client is done.
    pub(crate) fn release(&mut self, now: Instant) {
        if let Some(lease) = self.lease().cloned() {
            let names = Names { server: Some(lease.server), ..Names::own(&lease) };
            self.say(now, Kind::Release, names, lease.server);
            self.lose(&lease);
        }
        (self.state, self.deadline) = (State::Stopped, Instant::FAR_FUTURE);
    }

    /// A new state begins with its message.
    fn enter(&mut self, now: Instant, state: State) {
        // The request repeats the offer's transaction (§4.4.1), all others have their own.
        if !matches!(state, State::Requesting(_)) {
            self.xid = self.random.next_u32();
            self.began = now;
        }
        (self.state, self.asked, self.tries) = (state, now, 0);
        self.repeat(now);
    }

    /// The message of the present state, and when it comes again.
    fn repeat(&mut self, now: Instant) {
        let all = Ipv4Addr::BROADCAST;
        match self.state.clone() {
            State::Selecting => self.say(now, Kind::Discover, Names::NONE, all),
            State::Requesting(offer) => self.say(now, Kind::Request, Names::wanted(&offer), all),
            State::Rebooting(wanted) => {
                let names = Names { wanted: Some(wanted), ..Names::NONE };
                self.say(now, Kind::Request, names, all);
            }
            State::Renewing(lease) => {
                self.say(now, Kind::Request, Names::own(&lease), lease.server);
                return self.wait_for_half(now, self.since + lease.rebind);
            }
            State::Rebinding(lease) => {
                self.say(now, Kind::Request, Names::own(&lease), all);
                return self.wait_for_half(now, self.since + lease.time);
            }
            State::Init | State::Bound(_) | State::Stopped => return,
        }
        self.deadline = now + backoff(&mut self.random, self.tries);
        self.tries = self.tries.saturating_add(1);
    }

    /// §4.4.5: half of what is left until `end`, and a minute at least.
    fn wait_for_half(&mut self, now: Instant, end: Instant) {
        self.deadline = end.min(now + ((end - now) / 2).max(RENEWAL_MIN));
    }

    fn say(&mut self, now: Instant, kind: Kind, names: Names, to: Ipv4Addr) {
        let seconds = u16::try_from((now - self.began).as_secs()).unwrap_or(u16::MAX);
        let Names { own, wanted, server } = names;
        let message = Message { kind, xid: self.xid, mac: self.mac, seconds, own, wanted, server };
        self.out.push_back(Outgoing { to, message: message.encode() });
    }

    fn bind(&mut self, now: Instant, lease: Lease) {
        (self.since, self.refusals) = (self.asked, 0);
        self.deadline = self.since + lease.renew;
        // An answer that was so long under way has nothing left to lend.
        if now >= self.since + lease.time {
            return self.run_out(now, &lease);
        }
        self.events.push_back(LeaseEvent::Bound(lease.clone(), self.since));
        self.state = State::Bound(lease);
    }

    /// The lease has come to its end: however short it was, the next is asked for in due time.
    fn run_out(&mut self, now: Instant, lease: &Lease) {
        self.start_over(now, RENEW_MIN.saturating_sub(lease.time));
    }

    /// A server says no. The second time in a row, and later ones, cost more and more time: two
    /// servers that contradict each other make no storm.
    fn refused(&mut self, now: Instant) {
        if let Some(lease) = self.lease().cloned() {
            self.lose(&lease);
        }
        self.refusals = self.refusals.saturating_add(1);
        let pause = match self.refusals {
            0 | 1 => Duration::ZERO,
            more => backoff(&mut self.random, more - 2),
        };
        self.start_over(now, pause);
    }

    fn lose(&mut self, lease: &Lease) {
        self.events.push_back(LeaseEvent::Lost(address(lease)));
    }

    fn start_over(&mut self, now: Instant, pause: Duration) {
        let jitter = Duration::from_millis(self.random.below(START_MAX_MILLIS).into());
        (self.state, self.deadline) = (State::Init, now + pause + jitter);
    }
}

/// How long to wait for an answer that did not come so many times before.
pub(super) fn backoff(random: &mut Random, tries: u32) -> Duration {
    let seconds = BACKOFF_MIN.saturating_mul(1 << tries.min(8)).min(BACKOFF_MAX);
    let millis = seconds.saturating_sub(1) * 1000 + random.below(2000);
    Duration::from_millis(millis.into())
}

/// The addresses that a message names (§4.3.6, table 4).
#[derive(Clone, Copy)]
struct Names {
    own: Ipv4Addr,
    wanted: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

impl Names {
    const NONE: Names = Names { own: Ipv4Addr::UNSPECIFIED, wanted: None, server: None };

    fn wanted(lease: &Lease) -> Names {
        Names { wanted: Some(address(lease)), server: Some(lease.server), ..Names::NONE }
    }

    fn own(lease: &Lease) -> Names {
        Names { own: address(lease), ..Names::NONE }
    }
}

fn address(lease: &Lease) -> Ipv4Addr {
    match lease.address.address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}
