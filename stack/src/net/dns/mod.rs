//! The resolver's organs (RFC 1034, 1035, 2308): names, messages, the cache, the hosts file, and
//! the life of one question. They are handed bytes, time and chance; the shell has the sockets.
//!
//! No EDNS is spoken: an answer of more than 512 bytes is asked for again over TCP, where nobody
//! off the path can put in a word and no fragment can be exchanged.

pub(crate) mod cache;
pub(crate) mod hosts;
pub(crate) mod lookup;
pub(crate) mod message;
pub(crate) mod name;

#[cfg(test)]
mod lookup_tests;

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use hosts::Hosts;
use name::DomainName;

/// Servers that a resolver asks, and domains that it searches: more are not looked at.
pub(crate) const SERVERS_MAX: usize = 8;
pub(crate) const SEARCH_MAX: usize = 8;

/// Records read of one answer, and addresses kept of them.
pub(crate) const RECORDS_MAX: u16 = 64;
pub(crate) const ADDRESSES_MAX: usize = 16;

/// Names that lead to another name, one after the other, before the last is given up.
pub(crate) const ALIASES_MAX: u8 = 8;

/// Questions asked for one name, over all servers, searched domains and aliases.
pub(crate) const QUESTIONS_MAX: u8 = 32;

/// Which addresses a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn has(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Family::V4)
    }
}

/// What a resolver is told: whom to ask, how patiently, and what it knows already.
///
/// ```
/// use stack::ResolverConfig;
/// let config = ResolverConfig {
///     servers: vec!["192.0.2.53:53".parse()?],
///     search: vec!["example.com".parse()?],
///     ..ResolverConfig::default()
/// };
/// assert_eq!(config.ndots, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResolverConfig {
    /// Recursive servers, asked in this order; the first eight count. None by default.
    pub servers: Vec<SocketAddr>,
    /// Domains in which a short name is looked for; the first eight count. None by default.
    pub search: Vec<DomainName>,
    /// A name with so many dots is tried as it stands before it is searched for. Default 1.
    pub ndots: u8,
    /// Names that are known without asking. None by default.
    pub hosts: Hosts,
    /// How long the first answer is waited for; twice as long in every further round. Default 2 s.
    pub timeout: Duration,
    /// How often every server is asked. Default 2.
    pub rounds: u8,
    /// Answers remembered; that which ends soonest is forgotten for a newer one. 0: none. Default
    /// 1,024.
    pub cache_max: usize,
    /// The longest that an address is remembered, whatever its TTL says. Default a day.
    pub ttl_max: Duration,
    /// The longest that the absence of a name is remembered (RFC 2308 §5). Default 15 minutes.
    pub negative_ttl_max: Duration,
}

impl Default for ResolverConfig {
    fn default() -> ResolverConfig {
        ResolverConfig {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            hosts: Hosts::default(),
            timeout: Duration::from_secs(2),
            rounds: 2,
            cache_max: 1024,
            ttl_max: Duration::from_secs(86_400),
            negative_ttl_max: Duration::from_secs(900),
        }
    }
}

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveError {
    /// There is no such name.
    NoSuchName,
    /// The name exists, without an address of the kind that was asked for.
    NoAddress,
    /// No server has answered.
    TimedOut,
    /// No server gave an answer of use: all refused or failed, or contradict themselves.
    ServersFailed,
    /// There is no server to ask.
    NoServers,
    /// It is no name.
    BadName(name::NameError),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolveError::NoSuchName => f.write_str("there is no such name"),
            ResolveError::NoAddress => f.write_str("the name has no address"),
            ResolveError::TimedOut => f.write_str("no name server has answered"),
            ResolveError::ServersFailed => f.write_str("no name server gave an answer of use"),
            ResolveError::NoServers => f.write_str("there is no name server to ask"),
            ResolveError::BadName(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for ResolveError {}

/// What a resolver has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResolverCounters {
    /// Questions sent, over UDP and TCP.
    pub questions: u64,
    /// Questions sent over TCP, because the answer did not fit or the server changes letters.
    pub over_tcp: u64,
    /// Messages that were not the answer to the question: late or forged.
    pub ignored: u64,
    /// Questions that nobody answered in time.
    pub timed_out: u64,
    /// Answers of no use.
    pub failed: u64,
    /// Questions answered by the cache.
    pub cached: u64,
    /// Answers forgotten before their time, because the cache was full.
    pub evicted: u64,
}
