//! Where data connections lead, as commands and replies spell it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Why a client's address is not connected to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadAddress {
    /// It cannot be read.
    Malformed,
    /// It is of another protocol than those of RFC 2428 §2.
    UnknownProtocol,
}

/// The argument of PORT: `h1,h2,h3,h4,p1,p2` (RFC 959 §4.1.2).
pub(crate) fn parse_port(text: &str) -> Result<SocketAddr, BadAddress> {
    let numbers: Result<Vec<u8>, _> = text.split(',').map(|it| it.trim().parse()).collect();
    let Ok([a, b, c, d, high, low]) = <[u8; 6]>::try_from(numbers.unwrap_or_default()) else {
        return Err(BadAddress::Malformed);
    };
    Ok(SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low]))))
}

/// The argument of EPRT: `|2|2001:db8::1|6275|`, with any delimiter (RFC 2428 §2).
pub(crate) fn parse_eprt(text: &str) -> Result<SocketAddr, BadAddress> {
    let delimiter = text.chars().next().ok_or(BadAddress::Malformed)?;
    let parts: Vec<&str> = text.split(delimiter).collect();
    let ["", protocol, address, port, ""] = parts[..] else { return Err(BadAddress::Malformed) };
    let ip: Option<IpAddr> = address.parse().ok();
    let ip = match (protocol, ip) {
        ("1", Some(ip)) if ip.is_ipv4() => ip,
        ("2", Some(ip)) if ip.is_ipv6() => ip,
        ("1" | "2", _) => return Err(BadAddress::Malformed),
        _ => return Err(BadAddress::UnknownProtocol),
    };
    let port = port.parse().map_err(|_| BadAddress::Malformed)?;
    Ok(SocketAddr::new(ip, port))
}

/// The reply to PASV has this in its parentheses.
pub(crate) fn passive(ip: Ipv4Addr, port: u16) -> String {
    let [a, b, c, d] = ip.octets();
    let [high, low] = port.to_be_bytes();
    format!("{a},{b},{c},{d},{high},{low}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        let port = |text| parse_port(text).map(|it| it.to_string());
        assert_eq!(port("192,0,2,1,195,80"), Ok("192.0.2.1:50000".to_owned()));
        assert_eq!(passive(Ipv4Addr::new(192, 0, 2, 1), 50000), "192,0,2,1,195,80");
        for text in ["", "192,0,2,1,195", "192,0,2,1,195,80,1", "192,0,2,256,1,1", "192.0.2.1:1"] {
            assert_eq!(port(text), Err(BadAddress::Malformed), "{text}");
        }
        let eprt = |text| parse_eprt(text).map(|it| it.to_string());
        assert_eq!(eprt("|1|192.0.2.1|6275|"), Ok("192.0.2.1:6275".to_owned()));
        assert_eq!(eprt("!2!2001:db8::1!6275!"), Ok("[2001:db8::1]:6275".to_owned()));
        assert_eq!(eprt("|3|x|1|"), Err(BadAddress::UnknownProtocol));
        for text in ["", "|", "|1|192.0.2.1|6275", "|2|192.0.2.1|1|", "|1|192.0.2.1|65536|"] {
            assert_eq!(eprt(text), Err(BadAddress::Malformed), "{text}");
        }
    }
}
