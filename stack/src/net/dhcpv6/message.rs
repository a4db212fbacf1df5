//! The two messages of stateless DHCPv6 (RFC 8415 §8), with the options that matter here.

use super::{DOMAINS_MAX, NetworkInformation, SERVERS_MAX};
use crate::net::dns::name::DomainName;
use crate::wire::address::Mac;
use core::net::Ipv6Addr;
use core::time::Duration;

const REPLY: u8 = 7;
const INFORMATION_REQUEST: u8 = 11;

/// Type and transaction.
const FIXED: usize = 4;

/// Options (RFC 8415 §21, RFC 3646).
mod option {
    pub(super) const CLIENT: u16 = 1;
    pub(super) const SERVER: u16 = 2;
    pub(super) const WISHES: u16 = 6;
    pub(super) const ELAPSED: u16 = 8;
    pub(super) const STATUS: u16 = 13;
    pub(super) const DNS: u16 = 23;
    pub(super) const SEARCH: u16 = 24;
    pub(super) const REFRESH: u16 = 32;
    pub(super) const LONGEST_INTERVAL: u16 = 83;
}

/// §21.7: those that a question of this kind always asks for, and those that we want.
const WISHES: [u16; 4] = [option::DNS, option::SEARCH, option::REFRESH, option::LONGEST_INTERVAL];

/// §21.25: outside of these a server has no word about it.
const LONGEST_INTERVALS: core::ops::RangeInclusive<u32> = 60..=86_400;

/// §11.4: who asks, by the link address alone (DUID-LL): nothing has to be kept for it.
fn client(mac: Mac) -> [u8; 10] {
    let [a, b, c, d, e, f] = mac.0;
    [0, 3, 0, 1, a, b, c, d, e, f]
}

/// The question (§18.2.6): `elapsed` is the time since it was first asked.
pub(crate) fn question(transaction: u32, mac: Mac, elapsed: Duration) -> Vec<u8> {
    let mut bytes = transaction.to_be_bytes().to_vec();
    bytes[0] = INFORMATION_REQUEST;
    // §21.9: in hundredths of a second.
    let elapsed = u16::try_from(elapsed.as_millis() / 10).unwrap_or(u16::MAX);
    let wishes = WISHES.map(u16::to_be_bytes);
    let options = [
        (option::CLIENT, &client(mac)[..]),
        (option::WISHES, wishes.as_flattened()),
        (option::ELAPSED, &elapsed.to_be_bytes()),
    ];
    for (kind, data) in options {
        bytes.extend(kind.to_be_bytes());
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
    }
    bytes
}

/// What a server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) information: NetworkInformation,
    /// When to ask again (§21.23).
    pub(crate) refresh: Option<Duration>,
    /// The longest pause between two questions without answer (§21.25).
    pub(crate) longest_interval: Option<Duration>,
}

/// The answer in `bytes` to the question of `transaction` and `mac`. None: it is none (§16.10), or
/// of no use.
pub(crate) fn answer(bytes: &[u8], transaction: u32, mac: Mac) -> Option<Answer> {
    let (fixed, mut options) = bytes.split_first_chunk::<FIXED>()?;
    let [kind, a, b, c] = *fixed;
    if kind != REPLY || u32::from_be_bytes([0, a, b, c]) != transaction {
        return None;
    }
    let (mut answer, mut has_server, mut is_ours) = (Answer::default(), false, false);
    while let Some((head, rest)) = options.split_first_chunk::<4>() {
        let [a, b, c, d] = *head;
        let length = u16::from_be_bytes([c, d]);
        let (data, rest) = rest.split_at_checked(length.into())?;
        match u16::from_be_bytes([a, b]) {
            option::CLIENT if data != client(mac) => return None,
            option::CLIENT => is_ours = true,
            option::STATUS if data.get(..2) != Some(&[0, 0]) => return None,
            option::SERVER => has_server = true,
            kind => answer.read(kind, data),
        }
        options = rest;
    }
    // The question has our name in it: so has its answer.
    (has_server && is_ours && options.is_empty()).then_some(answer)
}

impl Answer {
    fn read(&mut self, kind: u16, data: &[u8]) {
        let number = || data.try_into().ok().map(u32::from_be_bytes);
        match kind {
            option::DNS => {
                let (addresses, _) = data.as_chunks::<16>();
                let servers = addresses.iter().map(|octets| Ipv6Addr::from(*octets));
                let hosts = servers.filter(|it| !it.is_unspecified() && !it.is_multicast());
                self.information.dns = hosts.take(SERVERS_MAX).collect();
            }
            option::SEARCH => self.information.search = DomainName::list(data, DOMAINS_MAX),
            option::REFRESH => self.refresh = number().map(seconds),
            option::LONGEST_INTERVAL => {
                let told = number().filter(|seconds| LONGEST_INTERVALS.contains(seconds));
                self.longest_interval = told.map(seconds);
            }
            _ => {}
        }
    }
}

/// §7.7: all ones is for ever.
fn seconds(seconds: u32) -> Duration {
    if seconds == u32::MAX { Duration::MAX } else { Duration::from_secs(seconds.into()) }
}
