//! Networks as people write them: an address and the length of its prefix.

use crate::wire::address::Address;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// An address and the length of its network's prefix: `192.0.2.2/24` (RFC 4632 §3.1).
///
/// The address may have host bits: as an interface's address it is the host's own, and the
/// network is what the prefix leaves of it.
///
/// ```
/// use stack::Cidr;
/// let home: Cidr = "192.0.2.2/24".parse().unwrap();
/// assert!(home.contains("192.0.2.77".parse().unwrap()));
/// assert_eq!(home.network().to_string(), "192.0.2.0");
/// assert_eq!(home.broadcast().unwrap().to_string(), "192.0.2.255");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// Leading bits that all addresses of the network share: 0..=32 for IPv4, 0..=128 for IPv6.
    /// A larger number means the largest.
    pub prefix: u8,
}

impl Cidr {
    /// The network of `address` with `prefix` leading bits in common.
    pub const fn new(address: IpAddr, prefix: u8) -> Cidr {
        Cidr { address, prefix }
    }

    /// True when `address` is of the same IP version and lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u32::from(own) ^ u32::from(other)) & self.mask_v4() == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (u128::from(own) ^ u128::from(other)) & self.mask_v6() == 0
            }
            _ => false,
        }
    }

    /// The first address of the network: the host bits are zero.
    pub fn network(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(own) => Ipv4Addr::from(u32::from(own) & self.mask_v4()).into(),
            IpAddr::V6(own) => Ipv6Addr::from(u128::from(own) & self.mask_v6()).into(),
        }
    }

    /// The network's broadcast address (RFC 919 §7). None for IPv6, which has no broadcast, and
    /// for networks of one or two addresses (RFC 3021 §2.2).
    pub fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(own) if self.prefix < 31 => {
                Some(Ipv4Addr::from(u32::from(own) | !self.mask_v4()))
            }
            _ => None,
        }
    }

    /// One host can have the address: it is not unspecified, loopback or a group, and of IPv4 not
    /// "this network", class E, the network's own or its broadcast, which old hosts take for each
    /// other (RFC 1122 §3.2.1.3, §3.3.6).
    pub fn is_for_a_host(&self) -> bool {
        let broadcast = self.broadcast().map(IpAddr::V4);
        let all_hosts = broadcast.is_some_and(|it| [it, self.network()].contains(&self.address));
        Address::from(self.address).is_valid_source() && !all_hosts
    }

    /// The prefix, held to what the version allows.
    pub(crate) fn length(&self) -> u8 {
        self.prefix.min(if self.address.is_ipv4() { 32 } else { 128 })
    }

    fn mask_v4(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0)
    }

    fn mask_v6(&self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.prefix.min(128))).unwrap_or(0)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = CidrParseError;
    fn from_str(text: &str) -> Result<Cidr, CidrParseError> {
        let (address, prefix) = text.split_once('/').ok_or(CidrParseError::NoPrefix)?;
        let address: IpAddr = address.parse().map_err(|_| CidrParseError::Address)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|&prefix| digits && prefix <= longest);
        Ok(Cidr { address, prefix: prefix.ok_or(CidrParseError::Prefix { longest })? })
    }
}

/// The text is not a [`Cidr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CidrParseError {
    /// No `/` in the text.
    NoPrefix,
    /// What stands before the `/` is no IP address.
    Address,
    /// What stands after the `/` is no number from 0 to `longest`.
    Prefix {
        /// The longest prefix that the address allows.
        longest: u8,
    },
}

impl fmt::Display for CidrParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CidrParseError::NoPrefix => f.write_str(
                "the prefix length is missing: write an address and its network's prefix, \
                 like 192.0.2.2/24 or 2001:db8::2/64",
            ),
            CidrParseError::Address => f.write_str(
                "not an IP address before the slash: write one like 192.0.2.2/24 or \
                 2001:db8::2/64",
            ),
            CidrParseError::Prefix { longest } => {
                write!(f, "the prefix length after the slash must be a number from 0 to {longest}")
            }
        }
    }
}

impl core::error::Error for CidrParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in ["192.0.2.2/24", "0.0.0.0/0", "10.0.0.1/32", "2001:db8::2/64", "::/0"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn errors_say_what_to_write() {
        let error = |text: &str| text.parse::<Cidr>().unwrap_err();
        assert_eq!(error("192.0.2.2"), CidrParseError::NoPrefix);
        assert_eq!(error("192.0.2/24"), CidrParseError::Address);
        for bad in ["1.2.3.4/33", "1.2.3.4/", "1.2.3.4/+8", "1.2.3.4/-1", "1.2.3.4/999"] {
            assert_eq!(error(bad), CidrParseError::Prefix { longest: 32 }, "{bad}");
        }
        assert_eq!(error("::/129"), CidrParseError::Prefix { longest: 128 });
        assert!(error("192.0.2.2").to_string().contains("192.0.2.2/24"));
    }

    #[test]
    fn what_one_host_can_have() {
        let is_good = |text: &str| text.parse::<Cidr>().unwrap().is_for_a_host();
        for good in ["192.0.2.1/24", "192.0.2.0/31", "192.0.2.255/32", "192.0.3.0/23", "fe80::1/64"]
        {
            assert!(is_good(good), "{good}");
        }
        for bad in ["192.0.2.0/24", "192.0.2.255/24", "127.0.0.1/8", "240.0.0.1/8", "::1/128"] {
            assert!(!is_good(bad), "{bad}");
        }
    }

    #[test]
    fn edges_of_the_prefix() {
        let all: Cidr = "1.2.3.4/0".parse().unwrap();
        assert!(all.contains("255.255.255.255".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
        let one: Cidr = "1.2.3.4/32".parse().unwrap();
        assert!(one.contains("1.2.3.4".parse().unwrap()));
        assert!(!one.contains("1.2.3.5".parse().unwrap()));
        assert_eq!(one.broadcast(), None);
        let pair: Cidr = "1.2.3.4/31".parse().unwrap();
        assert_eq!(pair.broadcast(), None);
        let four: Cidr = "1.2.3.4/30".parse().unwrap();
        assert_eq!(four.broadcast(), Some("1.2.3.7".parse().unwrap()));
        let wild = Cidr::new("1.2.3.4".parse().unwrap(), 255);
        assert_eq!((wild.network(), wild.length()), ("1.2.3.4".parse().unwrap(), 32));
    }
}
