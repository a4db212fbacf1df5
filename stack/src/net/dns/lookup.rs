//! The life of one look-up: which names to try, whom to ask, and what to make of what comes.
//!
//! One question is under way at a time, each with an id, a case of letters and (by its holder) a
//! port of its own. What is not its answer is passed over and the waiting goes on; a server that
//! fails or is silent is followed by the next.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::cache::{Cache, Known};
use super::message::{Answer, Question, Verdict};
use super::name::DomainName;
use super::{
    ALIASES_MAX, Family, QUESTIONS_MAX, ResolveError, ResolverConfig, ResolverCounters, SEARCH_MAX,
    SERVERS_MAX,
};
use crate::random::Random;
use crate::time::Instant;

/// How a question travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Udp,
    Tcp,
}

/// What its holder has to do for a look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send `message` to `server` from a fresh socket; all earlier ones may be closed.
    Ask {
        server: SocketAddr,
        via: Via,
        message: Vec<u8>,
    },
    /// Hand in what arrives, and come back then at the latest.
    Wait(Instant),
    Done(Known),
}

/// What all look-ups of a resolver share.
pub(crate) struct Shared {
    pub(crate) config: ResolverConfig,
    pub(crate) cache: Cache,
    pub(crate) random: Random,
    pub(crate) counters: ResolverCounters,
}

/// One name and one family on the way to an answer.
#[derive(Debug)]
pub(crate) struct Lookup {
    family: Family,
    /// Names still to be tried, the next one last.
    candidates: Vec<DomainName>,
    /// The name tried, and the one that it is known to lead to.
    tried: DomainName,
    target: DomainName,
    aliases: u8,
    /// The shortest time to live of the aliases so far, seconds.
    ttl: u32,
    /// Turns of the present question: servers in a ring.
    turn: usize,
    questions: u8,
    /// A name was there, without an address.
    exists: bool,
    /// A server has answered, with nothing of use.
    failed: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The target is to be looked for.
    Begin,
    /// It is to be asked for.
    Ask(Via),
    Waiting {
        question: Question,
        server: SocketAddr,
        via: Via,
        deadline: Instant,
    },
    Done(Known),
}

impl Shared {
    pub(crate) fn new(config: ResolverConfig, random: Random) -> Shared {
        let cache = Cache::new(config.cache_max);
        Shared { config, cache, random, counters: ResolverCounters::default() }
    }

    /// The servers asked, in turn.
    fn server(&self, turn: usize) -> Option<SocketAddr> {
        let count = self.config.servers.len().min(SERVERS_MAX);
        let round = turn.checked_div(count)?;
        let server = self.config.servers.get(turn.checked_rem(count)?)?;
        (round < usize::from(self.config.rounds.max(1))).then_some(*server)
    }

    /// How long the answer of that turn is waited for.
    fn patience(&self, turn: usize) -> Duration {
        let count = self.config.servers.len().clamp(1, SERVERS_MAX);
        let round = u32::try_from(turn / count).unwrap_or(u32::MAX).min(8);
        self.config.timeout.saturating_mul(1 << round)
    }

    fn time(&self, ttl: u32, max: Duration) -> Duration {
        Duration::from_secs(ttl.into()).min(max)
    }
}

impl Lookup {
    /// A look-up of `text`: as it stands if it ends in a dot, otherwise in the domains too that
    /// are searched.
    pub(crate) fn new(
        text: &str,
        family: Family,
        config: &ResolverConfig,
    ) -> Result<Lookup, ResolveError> {
        let name: DomainName = text.parse().map_err(ResolveError::BadName)?;
        let mut candidates: Vec<DomainName> = Vec::new();
        if !text.ends_with('.') {
            let domains = config.search.iter().take(SEARCH_MAX);
            candidates.extend(domains.filter_map(|domain| name.within(domain)));
        }
        let is_known = name.is_localhost() || config.hosts.find(&name).is_some();
        let whole_first = is_known || name.dots() >= usize::from(config.ndots);
        let place = if whole_first { 0 } else { candidates.len() };
        candidates.insert(place, name.clone());
        candidates.reverse();
        let first = candidates.pop().unwrap_or(name);
        Ok(Lookup {
            family,
            candidates,
            tried: first.clone(),
            target: first,
            aliases: 0,
            ttl: u32::MAX,
            turn: 0,
            questions: 0,
            exists: false,
            failed: false,
            state: State::Begin,
        })
    }

    /// What to do now.
    pub(crate) fn step(&mut self, now: Instant, shared: &mut Shared) -> Step {
        // Each name costs a look into what is known at most, and there are few.
        while let State::Begin = self.state {
            self.begin(now, shared);
        }
        if let State::Waiting { deadline, .. } = self.state
            && now >= deadline
        {
            shared.counters.timed_out += 1;
            self.next_server();
        }
        match &self.state {
            State::Begin => Step::Wait(now),
            State::Ask(via) => self.ask(now, *via, shared),
            State::Waiting { deadline, .. } => Step::Wait(*deadline),
            State::Done(known) => Step::Done(known.clone()),
        }
    }

    /// A message has come from `from`, over what the question went over.
    pub(crate) fn on_message(
        &mut self,
        now: Instant,
        from: SocketAddr,
        message: &[u8],
        shared: &mut Shared,
    ) {
        let State::Waiting { question, server, via, .. } = &self.state else { return };
        let verdict = if from == *server { question.judge(message) } else { Verdict::Other };
        match (verdict, *via) {
            (Verdict::Other, Via::Udp) => shared.counters.ignored += 1,
            // Over TCP nobody else speaks: the letters need not be the same.
            (Verdict::Truncated | Verdict::OtherCase, Via::Udp) => {
                self.state = State::Ask(Via::Tcp);
            }
            (Verdict::Answer(answer), _) => self.on_answer(now, answer, shared),
            _ => {
                shared.counters.failed += 1;
                self.failed = true;
                self.next_server();
            }
        }
    }

    /// The present question cannot be asked, or its server is not there.
    pub(crate) fn on_failure(&mut self, shared: &mut Shared) {
        if let State::Waiting { .. } = self.state {
            shared.counters.failed += 1;
            self.failed = true;
            self.next_server();
        }
    }

    /// Looks for the target where nobody has to be asked.
    fn begin(&mut self, now: Instant, shared: &mut Shared) {
        if self.target.is_localhost() {
            self.state = State::Done(Ok(vec![loopback(self.family)]));
        } else if let Some(known) = shared.config.hosts.find(&self.target) {
            let own = known.iter().copied().filter(|address| self.family.has(*address));
            let own: Vec<IpAddr> = own.collect();
            let known = if own.is_empty() { Err(ResolveError::NoAddress) } else { Ok(own) };
            self.settle(known);
        } else if let Some(known) = shared.cache.find(now, &self.target, self.family) {
            shared.counters.cached += 1;
            self.settle(known.clone());
        } else {
            self.state = State::Ask(Via::Udp);
        }
    }

    /// The target is this, or not there: then the next candidate is tried.
    fn settle(&mut self, known: Known) {
        self.exists |= known == Err(ResolveError::NoAddress);
        self.state = match (known, self.candidates.pop()) {
            (Err(ResolveError::NoSuchName | ResolveError::NoAddress), Some(next)) => {
                self.tried = next.clone();
                self.aim(next, 0, u32::MAX);
                State::Begin
            }
            (Err(ResolveError::NoSuchName), None) if self.exists => {
                State::Done(Err(ResolveError::NoAddress))
            }
            (known, _) => State::Done(known),
        };
    }

    fn aim(&mut self, target: DomainName, aliases: u8, ttl: u32) {
        (self.target, self.aliases, self.ttl) = (target, aliases, ttl);
        (self.turn, self.failed) = (0, false);
    }

    fn next_server(&mut self) {
        self.turn += 1;
        self.state = State::Ask(Via::Udp);
    }

    fn ask(&mut self, now: Instant, via: Via, shared: &mut Shared) -> Step {
        let server = shared.server(self.turn).filter(|_| self.questions < QUESTIONS_MAX);
        let Some(server) = server else {
            let why = match (shared.config.servers.is_empty(), self.failed) {
                (true, _) => ResolveError::NoServers,
                (false, true) => ResolveError::ServersFailed,
                (false, false) => ResolveError::TimedOut,
            };
            // Not the next candidate: it could be somebody else's than the one that was meant.
            self.state = State::Done(Err(why.clone()));
            return Step::Done(Err(why));
        };
        self.questions += 1;
        shared.counters.questions += 1;
        let name = match via {
            Via::Udp => self.target.in_random_case(&mut shared.random),
            Via::Tcp => self.target.wire().to_vec(),
        };
        shared.counters.over_tcp += u64::from(via == Via::Tcp);
        let id = (shared.random.next_u32() >> 16) as u16;
        let question = Question { id, name, family: self.family };
        let message = question.encode();
        let deadline = now + shared.patience(self.turn);
        self.state = State::Waiting { question, server, via, deadline };
        Step::Ask { server, via, message }
    }

    fn on_answer(&mut self, now: Instant, answer: Answer, shared: &mut Shared) {
        let negative = shared.config.negative_ttl_max;
        let (known, time) = match answer {
            Answer::Addresses { addresses, ttl } => {
                let time = shared.time(ttl.min(self.ttl), shared.config.ttl_max);
                (Ok(addresses), time)
            }
            Answer::NoName { ttl } => {
                let ttl = ttl.unwrap_or(0).min(self.ttl);
                (Err(ResolveError::NoSuchName), shared.time(ttl, negative))
            }
            Answer::NoData { ttl } => {
                let ttl = ttl.unwrap_or(0).min(self.ttl);
                (Err(ResolveError::NoAddress), shared.time(ttl, negative))
            }
            Answer::Alias { name, ttl } if self.aliases < ALIASES_MAX => {
                self.aim(name, self.aliases + 1, ttl.min(self.ttl));
                self.state = State::Begin;
                return;
            }
            Answer::Alias { .. } => {
                self.state = State::Done(Err(ResolveError::ServersFailed));
                return;
            }
        };
        let evicted = shared.cache.insert(now, &self.tried, self.family, known.clone(), time);
        shared.counters.evicted += u64::from(evicted);
        self.settle(known);
    }
}

/// RFC 6761 §6.3: never asked for.
fn loopback(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(core::net::Ipv4Addr::LOCALHOST),
        Family::V6 => IpAddr::V6(core::net::Ipv6Addr::LOCALHOST),
    }
}
