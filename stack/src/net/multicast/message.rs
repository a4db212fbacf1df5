//! The messages of IGMP (RFC 1112, 2236, 3376) and MLD (RFC 2710, 3810), in their IP packets: they
//! end at the next router, which is told to look at them.

use super::{Query, Report, Saying, Version};
use crate::net::icmpv6;
use crate::wire::address::Address;
use crate::wire::checksum::{checksum, is_valid};
use crate::wire::extensions;
use crate::wire::parse::{IpPacket, PROTOCOL_ICMPV6, PROTOCOL_IGMP};
use core::time::Duration;
use std::collections::BTreeSet;

/// The first byte of MLD's queries.
pub(crate) const MLD_QUERY: u8 = 130;
const IGMP_QUERY: u8 = 0x11;

/// Who listens to reports of the third version, and to good-byes of the second.
const IGMP_ROUTERS: Address = Address::v4([224, 0, 0, 22]);
const ALL_ROUTERS_V4: Address = Address::v4([224, 0, 0, 2]);
const MLD_ROUTERS: Address = Address::v6(0xff02 << 112 | 0x16);

/// How long the first version of IGMP lets a host take.
const FIRST_WITHIN: Duration = Duration::from_secs(10);

/// Reads a query of IGMP; None for any other message, and for one that did not begin on this link.
pub(crate) fn igmp_query(packet: &IpPacket<'_>) -> Option<Query> {
    let (header, rest) = packet.payload.split_first_chunk::<8>()?;
    let [IGMP_QUERY, code, _, _, group @ ..] = *header else { return None };
    if packet.ttl != 1 || !is_valid(packet.payload) {
        return None;
    }
    let tenths = |count: u32| Duration::from_millis(100) * count;
    let (version, within) = match (rest.len(), code) {
        (0, 0) => (Version::First, FIRST_WITHIN),
        (0, code) => (Version::Second, tenths(code.into())),
        (4.., code) => (Version::Third, tenths(floating(code.into(), 4))),
        _ => return None,
    };
    let sources = sources(rest, Address::v4)?;
    group_query(version, Address::v4(group), sources, within)
}

/// Reads a query of MLD, whose checksum is right; None as above, and for one that does not alert
/// routers (RFC 3810 §6.2).
pub(crate) fn mld_query(packet: &IpPacket<'_>) -> Option<Query> {
    let (header, rest) = packet.payload.split_first_chunk::<24>()?;
    let [MLD_QUERY, _, _, _, high, low, _, _, group @ ..] = *header else { return None };
    if packet.ttl != 1 || !packet.source.is_link_local() || !extensions::alerts_of_mld(packet) {
        return None;
    }
    let code = u16::from_be_bytes([high, low]).into();
    let (version, millis) = match rest.len() {
        0 => (Version::Second, code),
        4.. => (Version::Third, floating(code, 12)),
        _ => return None,
    };
    let address = |octets| Address::v6(u128::from_be_bytes(octets));
    let sources = sources(rest, address)?;
    group_query(version, address(group), sources, Duration::from_millis(millis.into()))
}

/// What stands behind the group in a query of the third version: flags, the querier's interval, and
/// addresses of `N` bytes with their number in front. None where these are less.
fn sources<const N: usize>(
    rest: &[u8],
    address: impl Fn([u8; N]) -> Address,
) -> Option<BTreeSet<Address>> {
    let Some((&[_, _, high, low], list)) = rest.split_first_chunk() else {
        return Some(BTreeSet::new());
    };
    let count = usize::from(u16::from_be_bytes([high, low]));
    let (list, _) = list.as_chunks::<N>();
    Some(list.get(..count)?.iter().map(|octets| address(*octets)).collect())
}

fn group_query(
    version: Version,
    group: Address,
    sources: BTreeSet<Address>,
    within: Duration,
) -> Option<Query> {
    let group = (!group.is_unspecified()).then_some(group);
    // Sources of all groups make no sense (RFC 3376 §4.1.9).
    let sources = if group.is_some() { sources } else { BTreeSet::new() };
    Some(Query { version, group, sources, within })
}

/// A number whose uppermost bit says that it has an exponent of three bits, and `bits` of mantissa
/// (RFC 3376 §4.1.1, RFC 3810 §5.1.3).
fn floating(code: u32, bits: u32) -> u32 {
    if code >> (bits + 3) == 0 {
        return code;
    }
    let (exponent, mantissa) = (code >> bits & 7, code & ((1 << bits) - 1));
    (mantissa | 1 << bits) << (exponent + 3)
}

/// Where a report goes, and its packet; None where its version has no words for it.
pub(crate) fn packet(report: &Report, source: Address) -> Option<(Address, Vec<u8>)> {
    let Report { group, version, .. } = *report;
    let v4 = group.is_v4();
    let (to, mut message) = match version {
        Version::Third if v4 => (IGMP_ROUTERS, record(report)),
        Version::Third => (MLD_ROUTERS, record(report)),
        _ => older(report)?,
    };
    if !v4 {
        icmpv6::finish(source, to, &mut message);
        return Some((to, ipv6(source, to, &message)));
    }
    let sum = checksum(&message);
    message.get_mut(2..4)?.copy_from_slice(&sum);
    Some((to, ipv4(source, to, &message)?))
}

/// A report with one record (RFC 3376 §4.2, RFC 3810 §5.2).
fn record(report: &Report) -> Vec<u8> {
    let kind = if report.group.is_v4() { 0x22 } else { 143 };
    let [high, low] = (report.sources.len() as u16).to_be_bytes();
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 1, report.saying as u8, 0, high, low];
    for address in core::iter::once(&report.group).chain(&report.sources) {
        message.extend(name(address));
    }
    message
}

/// Where a message of an older version goes, and the message (RFC 2236 §2, RFC 2710 §3): they know
/// no sources.
fn older(report: &Report) -> Option<(Address, Vec<u8>)> {
    let Report { group, saying, .. } = *report;
    let v4 = group.is_v4();
    let (to, kind) = match (report.version, saying == Saying::ToInclude, v4) {
        (Version::First, true, _) => return None,
        (Version::First, false, _) => (group, 0x12),
        (_, true, true) => (ALL_ROUTERS_V4, 0x17),
        (_, true, false) => (Address::ALL_ROUTERS, 132),
        (_, false, true) => (group, 0x16),
        (_, false, false) => (group, 131),
    };
    // MLD has room for a delay.
    let delay: &[u8] = if v4 { &[] } else { &[0; 4] };
    Some((to, [&[kind, 0, 0, 0], delay, &name(&group)].concat()))
}

/// An address in as many bytes as its version has.
fn name(address: &Address) -> Vec<u8> {
    address.as_v4().map_or(address.octets().to_vec(), |octets| octets.to_vec())
}

/// With the option Router Alert (RFC 2113).
fn ipv4(source: Address, to: Address, message: &[u8]) -> Option<Vec<u8>> {
    let [high, low] = (24 + message.len() as u16).to_be_bytes();
    let mut packet = vec![0x46, 0xc0, high, low, 0, 0, 0x40, 0, 1, PROTOCOL_IGMP, 0, 0];
    packet.extend(source.as_v4()?);
    packet.extend(to.as_v4()?);
    packet.extend([0x94, 4, 0, 0]);
    let sum = checksum(&packet);
    packet.get_mut(10..12)?.copy_from_slice(&sum);
    packet.extend(message);
    Some(packet)
}

/// The same (RFC 2711).
fn ipv6(source: Address, to: Address, message: &[u8]) -> Vec<u8> {
    let [high, low] = (8 + message.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, high, low, 0, 1];
    let alert = [PROTOCOL_ICMPV6, 0, 5, 2, 0, 0, 1, 0];
    [&header[..], source.octets(), to.octets(), &alert, message].concat()
}
