//! Names become addresses and connections.
//!
//! One thread does it all, the caller's: it waits for the answers to both questions (IPv4's and
//! IPv6's) and for all attempts to connect in one poller.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::block::Patience;
use super::clock::entropy;
use super::errand::{Errand, Progress, any_port};
use super::errno::Errno;
use super::interest::{Interest, Token};
use super::poller::{Events, Poller};
use super::runtime::Host;
use super::tcp::TcpStream;
use super::udp::UdpSocket;
use crate::net::dns::Family;
use crate::net::dns::cache::Known;
use crate::net::dns::lookup::{Lookup, Shared};
use crate::net::eyeballs::{Move, Race};
use crate::random::Random;
use crate::{ConnectOptions, Instant, ResolveError, ResolverConfig, ResolverCounters};

/// The families asked for, each with the token of its place here.
const FAMILIES: [Family; 2] = [Family::V6, Family::V4];

/// Events taken at once.
const EVENTS: usize = 8;

/// Finds the addresses of names, over its host's own network, and connects to them. Cloning it
/// gives another handle to the same resolver and its cache.
///
/// ```
/// use stack::host::{Host, Resolver};
/// use stack::{Config, Hosts, Mac, ResolverConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (device, _other_end) = tapdev::pair(1500, 1000);
/// let host = Host::new(Config::new(Mac([2, 0, 0, 0, 0, 1])), device)?;
/// let hosts = Hosts::parse("192.0.2.7 web");
/// let resolver = Resolver::new(&host, ResolverConfig { hosts, ..ResolverConfig::default() })?;
/// assert_eq!(resolver.lookup("web")?, ["192.0.2.7".parse::<std::net::IpAddr>()?]);
/// assert!(resolver.lookup("192.0.2.9").is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    host: Host,
    shared: Mutex<Shared>,
}

impl Resolver {
    /// A resolver for programs on `host`.
    ///
    /// # Errors
    /// The operating system's refusal of entropy.
    pub fn new(host: &Host, config: ResolverConfig) -> io::Result<Resolver> {
        let shared = Mutex::new(Shared::new(config, Random::new(&entropy()?)));
        Ok(Resolver { inner: Arc::new(Inner { host: host.clone(), shared }) })
    }

    /// The addresses of `name`, IPv6's first among those that the host has a way to. A literal
    /// address is its own.
    ///
    /// # Errors
    /// `NotFound` if there are none, `TimedOut` if nobody answered; the [`ResolveError`] is its
    /// source. The host has been shut down.
    pub fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut found = Vec::new();
        let mut query = Query::new(self, name)?;
        while let Some((_, known)) = query.next(Instant::FAR_FUTURE)? {
            found.extend(known);
        }
        if found.is_empty() {
            return Err(query.error());
        }
        found.sort_by_key(|address| (!self.has_way_to(*address), address.is_ipv4()));
        Ok(found)
    }

    /// What `target` stands for, `NAME:PORT` or `ADDRESS:PORT`.
    ///
    /// # Errors
    /// Those of [`lookup`](Self::lookup); `InvalidInput` without a port.
    pub fn resolve(&self, target: &str) -> io::Result<Vec<SocketAddr>> {
        let (name, port) = split(target)?;
        let found = self.lookup(name)?;
        Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    /// Connects to `target`, `NAME:PORT` or `ADDRESS:PORT`: to whichever of its addresses answers
    /// first (RFC 8305), IPv6's a quarter of a second earlier. Gives up after `timeout`.
    ///
    /// # Errors
    /// Those of [`resolve`](Self::resolve) and of [`TcpStream::connect`], of the last address
    /// tried; `TimedOut` after `timeout`.
    pub fn connect(&self, target: &str, timeout: Option<Duration>) -> io::Result<TcpStream> {
        let (name, port) = split(target)?;
        let query = Query::new(self, name)?;
        let now = query.now();
        let end = timeout.map_or(Instant::FAR_FUTURE, |timeout| now + timeout);
        Dial { query, port, race: Race::new(), attempts: Vec::new(), error: None }.run(end)
    }

    /// What was done so far.
    pub fn counters(&self) -> ResolverCounters {
        self.inner.shared().counters
    }

    /// RFC 6724 §6, rule 1, as far as it concerns an address that cannot be reached at all.
    fn has_way_to(&self, address: IpAddr) -> bool {
        // Nothing is sent by this; the discard port is only a name for one.
        let target = SocketAddr::new(address, 9);
        let probe = UdpSocket::bind(&self.inner.host, any_port(target));
        probe.and_then(|socket| socket.connect(target)).is_ok()
    }
}

impl Inner {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// The name or address in `target`, and the port behind it.
fn split(target: &str) -> io::Result<(&str, u16)> {
    let parts = target.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    let (name, port) = parts.filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        let why = format!("`{target}` is not a name or an address with a port, like name:80");
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })?;
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    Ok((bare.unwrap_or(name), port))
}

/// Both questions about one name, and the poller that waits for their answers.
struct Query {
    inner: Arc<Inner>,
    name: String,
    poller: Poller,
    events: Events,
    errands: [Option<Errand>; 2],
    /// Answers that nobody has been told of.
    news: Vec<(Family, Vec<IpAddr>)>,
    failure: Option<ResolveError>,
}

impl Query {
    fn new(resolver: &Resolver, name: &str) -> io::Result<Query> {
        let inner = Arc::clone(&resolver.inner);
        let mut query = Query {
            poller: Poller::new(&inner.host),
            name: name.to_owned(),
            events: Events::with_capacity(EVENTS),
            errands: [None, None],
            news: Vec::new(),
            failure: None,
            inner,
        };
        if let Ok(address) = name.parse::<IpAddr>() {
            let has = |family: &Family| family.has(address);
            query.news = FAMILIES
                .map(|family| (family, if has(&family) { vec![address] } else { Vec::new() }))
                .into();
            return Ok(query);
        }
        let shared = query.inner.shared();
        let errand = |family| Lookup::new(name, family, &shared.config).map(Errand::new);
        let errands = FAMILIES.map(errand);
        drop(shared);
        for (place, errand) in query.errands.iter_mut().zip(errands) {
            *place = Some(errand.map_err(|error| explain(name, error))?);
        }
        Ok(query)
    }

    fn now(&self) -> Instant {
        self.inner.host.core.shard.call(|_, now| now)
    }

    /// Lets both look-ups go on, and tells when the next of them has to.
    fn drive(&mut self) -> Instant {
        let (now, mut next) = (self.now(), Instant::FAR_FUTURE);
        for (index, family) in FAMILIES.into_iter().enumerate() {
            let Some(Some(errand)) = self.errands.get_mut(index) else { continue };
            let mut shared = self.inner.shared();
            let host = &self.inner.host;
            match errand.drive(host, &self.poller, Token(index), now, &mut shared) {
                Progress::Until(until) => next = next.min(until),
                Progress::Done(known) => {
                    drop(shared);
                    if let Some(place) = self.errands.get_mut(index) {
                        *place = None;
                    }
                    self.learn(family, known);
                }
            }
        }
        next
    }

    fn learn(&mut self, family: Family, known: Known) {
        let found = known.unwrap_or_else(|error| {
            // What is wrong with one question tells more than that the other has no answer.
            if self.failure.is_none() || error != ResolveError::NoAddress {
                self.failure = Some(error);
            }
            Vec::new()
        });
        self.news.push((family, found));
    }

    /// Something may have happened: waits for it until then at most.
    fn wait(&mut self, until: Instant) -> io::Result<()> {
        let now = self.now();
        let timeout = (!until.is_never()).then(|| until - now);
        self.poller.wait(&mut self.events, timeout).map(|_| ())
    }

    /// The next answer, until both have been told.
    fn next(&mut self, end: Instant) -> io::Result<Option<(Family, Vec<IpAddr>)>> {
        loop {
            let next = self.drive();
            if let Some(news) = self.news.pop() {
                return Ok(Some(news));
            }
            if self.errands.iter().all(Option::is_none) {
                return Ok(None);
            }
            self.wait(next.min(end))?;
        }
    }

    fn error(&self) -> io::Error {
        explain(&self.name, self.failure.clone().unwrap_or(ResolveError::NoAddress))
    }
}

/// The error of a call about `name`.
fn explain(name: &str, error: ResolveError) -> io::Error {
    let kind = match error {
        ResolveError::NoSuchName | ResolveError::NoAddress => io::ErrorKind::NotFound,
        ResolveError::TimedOut => io::ErrorKind::TimedOut,
        ResolveError::BadName(_) => io::ErrorKind::InvalidInput,
        ResolveError::ServersFailed | ResolveError::NoServers => io::ErrorKind::Other,
    };
    io::Error::new(kind, Failure { name: name.to_owned(), error })
}

/// An error and the name that it is about.
#[derive(Debug)]
struct Failure {
    name: String,
    error: ResolveError,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.error)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// A race to connect to the addresses of a name.
struct Dial {
    query: Query,
    port: u16,
    race: Race,
    attempts: Vec<TcpStream>,
    error: Option<io::Error>,
}

impl Dial {
    /// The first connection that is established; all others are closed.
    fn run(mut self, end: Instant) -> io::Result<TcpStream> {
        loop {
            let answers = self.query.drive();
            let now = self.query.now();
            while let Some((family, found)) = self.query.news.pop() {
                self.race.on_resolved(now, family, &found);
            }
            if let Some(stream) = self.winner(now) {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            let attempts = match self.race.step(now) {
                Move::Start(address) => {
                    self.start(now, address);
                    continue;
                }
                Move::Lost => return Err(self.error.unwrap_or_else(|| self.query.error())),
                Move::Wait(until) => until,
            };
            if now >= end {
                return Err(Errno::ETIMEDOUT.into());
            }
            self.query.wait(attempts.min(answers).min(end))?;
        }
    }

    fn start(&mut self, now: Instant, address: IpAddr) {
        let address = SocketAddr::new(address, self.port);
        let host = &self.query.inner.host;
        let begun = TcpStream::connect_nonblocking(host, address, ConnectOptions::default());
        let begun = begun.and_then(|stream| {
            let token = Token(FAMILIES.len() + self.attempts.len());
            self.query.poller.register(&stream, token, Interest::WRITABLE.edge())?;
            Ok(stream)
        });
        match begun {
            Ok(stream) => self.attempts.push(stream),
            Err(error) => {
                self.error = Some(error);
                self.race.on_failed(now);
            }
        }
    }

    /// Drops the attempts that have failed, and takes the first that has not.
    fn winner(&mut self, now: Instant) -> Option<TcpStream> {
        let mut at = 0;
        while let Some(attempt) = self.attempts.get(at) {
            match attempt.socket.finish_connect(Patience::None) {
                Ok(()) => {
                    let stream = self.attempts.swap_remove(at);
                    let _ = self.query.poller.deregister(&stream);
                    return Some(stream);
                }
                Err(Errno::EAGAIN) => at += 1,
                Err(errno) => {
                    self.attempts.remove(at);
                    self.error = Some(errno.into());
                    self.race.on_failed(now);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_taken_apart() {
        for (text, name, port) in [
            ("web:80", "web", 80),
            ("192.0.2.1:7", "192.0.2.1", 7),
            ("[2001:db8::1]:443", "2001:db8::1", 443),
        ] {
            assert_eq!(split(text).unwrap(), (name, port));
        }
        for text in ["web", ":80", "web:", "web:99999", ""] {
            assert_eq!(split(text).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{text}");
        }
    }
}
