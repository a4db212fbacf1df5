//! One frame of IPv6, by itself: lengths, checksums, fields.

use super::frame::{Packet, Tcp, foul, read_udp, same_sum};
use super::{Foul, rule};
use etherparse::{Icmpv6Slice, IpNumber, Ipv6Slice};
use std::net::{IpAddr, Ipv6Addr};

/// Errors are the types below this (RFC 4443 §2.1).
const INFORMATIONAL: u8 = 128;

/// MLD: reports of either version, and good-byes of the first.
const MEMBERSHIP: [u8; 3] = [131, 132, 143];

/// The fragment header (RFC 8200 §4.5).
const FRAGMENT: u8 = 44;

/// Neighbor Discovery (RFC 4861 §4), and the length of what comes before a message's options.
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const BEFORE_OPTIONS: [(u8, usize); 4] =
    [(133, 8), (134, 16), (SOLICITATION, 24), (ADVERTISEMENT, 24)];

impl<'a> Packet<'a> {
    pub(super) fn read_ipv6(bytes: &'a [u8]) -> Result<Packet<'a>, Foul> {
        let packet = Ipv6Slice::from_slice(bytes).map_err(foul)?;
        let header = packet.header();
        // Only a jumbogram has no length, and nobody here speaks of these (RFC 2675).
        rule(header.payload_length() > 0, || "IPv6 payload length 0".into())?;
        let (from, to) = (header.source_addr(), header.destination_addr());
        rule(!from.is_multicast(), || format!("from {from}"))?;
        let (source, payload) = (IpAddr::V6(from), packet.payload());
        if payload.fragmented {
            // Segments are made as short as the path is (RFC 8201 §5.4).
            rule(payload.ip_number != IpNumber::TCP, || "a segment in fragments".into())?;
            // Where the fragment header stands first, as in what this project sends.
            let more = bytes[6] == FRAGMENT && bytes[43] & 1 == 1;
            let whole = !more || payload.payload.len().is_multiple_of(8);
            rule(whole, || "a fragment that is no multiple of eight".into())?;
            return Ok(Packet::Other { source });
        }
        match payload.ip_number {
            IpNumber::TCP => {
                let mut tcp = Tcp::read(source, IpAddr::V6(to), payload.payload)?;
                tcp.ecn = header.ecn().value();
                Ok(Packet::Tcp(tcp))
            }
            IpNumber::UDP => read_udp(source, IpAddr::V6(to), payload.payload),
            IpNumber::IPV6_ICMP => read_icmpv6((from, to), header.hop_limit(), payload.payload),
            _ => Ok(Packet::Other { source }),
        }
    }
}

fn read_icmpv6<'a>(
    (from, to): (Ipv6Addr, Ipv6Addr),
    hops: u8,
    bytes: &[u8],
) -> Result<Packet<'a>, Foul> {
    let icmp = Icmpv6Slice::from_slice(bytes).map_err(foul)?;
    let sum = icmp.icmp_type().calc_checksum(from.octets(), to.octets(), icmp.payload());
    let sum = sum.map_err(foul)?;
    rule(same_sum(sum, icmp.checksum()), || "ICMPv6 checksum".into())?;
    let (kind, source) = (icmp.type_u8(), IpAddr::V6(from));
    if let Some((_, before)) = BEFORE_OPTIONS.iter().find(|(known, _)| *known == kind) {
        // RFC 4861 §6.1.1, §7.1.1: it has crossed no router.
        rule(hops == 255, || format!("Neighbor Discovery with hop limit {hops}"))?;
        let options = bytes.get(*before..).ok_or_else(|| Foul("a message cut short".into()))?;
        let claims = (kind == ADVERTISEMENT).then(|| address(&bytes[8..24]));
        return Ok(Packet::Neighbor { source, claims, station: station(options)? });
    }
    if MEMBERSHIP.contains(&kind) {
        // RFC 3810 §5: no router passes it on, and it comes from this link or from nobody.
        let of_link = from.is_unspecified() || from.is_unicast_link_local();
        rule(hops == 1 && of_link, || format!("MLD from {from} with hop limit {hops}"))?;
        return Ok(Packet::Membership { source });
    }
    if kind < INFORMATIONAL {
        let quoted = Ipv6Slice::from_slice_lax(icmp.payload()).ok();
        let about_error = quoted.is_some_and(|packet| {
            packet.payload().ip_number == IpNumber::IPV6_ICMP
                && packet.payload().payload.first().is_some_and(|&kind| kind < INFORMATIONAL)
        });
        rule(!about_error, || "an ICMPv6 error about an ICMPv6 error".into())?;
        // RFC 4443 §2.4 (c).
        rule(bytes.len() + 40 <= 1280, || "an ICMPv6 error beyond 1280 bytes".into())?;
    }
    Ok(Packet::Other { source })
}

fn address(octets: &[u8]) -> IpAddr {
    let octets: [u8; 16] = octets.try_into().unwrap_or_default();
    IpAddr::V6(octets.into())
}

/// The sender's station, or the target's (RFC 4861 §4.6.1).
fn station(mut options: &[u8]) -> Result<Option<[u8; 6]>, Foul> {
    let mut station = None;
    while let [kind, words, ..] = *options {
        let len = usize::from(words) * 8;
        rule(len > 0 && len <= options.len(), || "an option cut short".into())?;
        if matches!(kind, 1 | 2) && len == 8 {
            station = options[2..8].try_into().ok();
        }
        options = &options[len..];
    }
    rule(options.is_empty(), || "an option cut short".into())?;
    Ok(station)
}
