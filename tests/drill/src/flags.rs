//! The flags string: `local=192.0.2.2 remote=192.0.2.1 gateway=192.0.2.1 mtu=1500 prefix=24 tfo=3`,
//! and the same with addresses of IPv6.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use stack::Cidr;
use stack::host::Errno;

/// A buffer whose window needs a scale of 8, which is what scripts for a modern stack expect.
const RECEIVE_BUFFER: usize = 0xffff << 8;

/// Packets so long every link carries (RFC 791, RFC 8200 §5).
const MTU_MIN_V4: usize = 576;
const MTU_MIN_V6: usize = 1280;
const MTU_MAX: usize = 65_535;

/// What the flags string says. Everything has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// `local`: the stack's address; 192.0.2.2. It decides the IP version.
    pub local: IpAddr,
    /// `remote`: the address of the scripted peer; 192.0.2.1.
    pub remote: IpAddr,
    /// `gateway`: checked and not needed, for every address is one hop away from the door.
    pub gateway: Option<IpAddr>,
    /// `prefix`: the length of the local network's; 24, or 64 of IPv6.
    pub prefix: Option<u8>,
    /// `mtu`: bytes in an IP packet, 576 to 65535, for IPv6 at least 1280; 1500.
    pub mtu: usize,
    /// `rcvbuf`: bytes that a receive buffer may grow to; so many that the window scale is 8.
    pub receive_buffer: usize,
    /// `tfo`: the bits of Linux's `net.ipv4.tcp_fastopen`; 0.
    pub fast_open: u32,
    /// `tfo_key`: 32 hexadecimal digits, the key of the listeners' cookies.
    pub fast_open_key: Option<[u8; 16]>,
}

impl Default for Flags {
    fn default() -> Flags {
        Flags {
            local: IpAddr::from([192, 0, 2, 2]),
            remote: IpAddr::from([192, 0, 2, 1]),
            gateway: None,
            prefix: None,
            mtu: 1500,
            receive_buffer: RECEIVE_BUFFER,
            fast_open: 0,
            fast_open_key: None,
        }
    }
}

/// What is wrong with a flags string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagsError {
    /// A word is not `key=value`, or its key is not known.
    Unknown(String),
    /// A key's value cannot be read, or is out of range.
    Value(String),
    /// The addresses are not of one version.
    MixedVersions,
}

impl fmt::Display for FlagsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlagsError::Unknown(word) => {
                f.write_str(
                    "not local=, remote=, gateway=, prefix=, mtu=, rcvbuf=, tfo= or tfo_key=",
                )?;
                write!(f, ": `{word}`")
            }
            FlagsError::Value(word) => write!(f, "`{word}`: the value makes no sense"),
            FlagsError::MixedVersions => f.write_str("the addresses are not of one IP version"),
        }
    }
}

impl std::error::Error for FlagsError {}

impl From<&FlagsError> for Errno {
    fn from(_: &FlagsError) -> Errno {
        Errno::EINVAL
    }
}

/// An address; IPv4 in IPv6's clothes is IPv4.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

impl FromStr for Flags {
    type Err = FlagsError;

    fn from_str(text: &str) -> Result<Flags, FlagsError> {
        let mut flags = Flags::default();
        for word in text.split_whitespace() {
            let Some((key, value)) = word.split_once('=') else {
                return Err(FlagsError::Unknown(word.into()));
            };
            let known = flags.set(key, value).ok_or_else(|| FlagsError::Value(word.into()))?;
            if !known {
                return Err(FlagsError::Unknown(word.into()));
            }
        }
        flags.check()
    }
}

impl Flags {
    /// Notes one flag. None: the value cannot be read; false: no such key.
    fn set(&mut self, key: &str, value: &str) -> Option<bool> {
        match key {
            "local" => self.local = address(value)?,
            "remote" => self.remote = address(value)?,
            "gateway" => self.gateway = Some(address(value)?),
            "prefix" => self.prefix = Some(value.parse().ok()?),
            "mtu" => self.mtu = value.parse().ok().filter(|it| *it <= MTU_MAX)?,
            "rcvbuf" => self.receive_buffer = value.parse().ok()?,
            "tfo" => self.fast_open = value.parse().ok()?,
            "tfo_key" if value.len() == 32 => {
                let key = u128::from_str_radix(value, 16).ok()?;
                self.fast_open_key = Some(key.to_be_bytes());
            }
            "tfo_key" => return None,
            _ => return Some(false),
        }
        Some(true)
    }

    fn check(self) -> Result<Flags, FlagsError> {
        let others = [Some(self.remote), self.gateway];
        if others.iter().flatten().any(|it| it.is_ipv4() != self.local.is_ipv4()) {
            return Err(FlagsError::MixedVersions);
        }
        let (prefix_max, mtu_min) = match self.local {
            IpAddr::V4(_) => (32, MTU_MIN_V4),
            IpAddr::V6(_) => (128, MTU_MIN_V6),
        };
        if let Some(prefix) = self.prefix.filter(|it| *it > prefix_max) {
            return Err(FlagsError::Value(format!("prefix={prefix}")));
        }
        if self.mtu < mtu_min {
            return Err(FlagsError::Value(format!("mtu={}", self.mtu)));
        }
        Ok(self)
    }

    /// The stack's address with its network.
    pub fn cidr(&self) -> Cidr {
        let usual = if self.local.is_ipv4() { 24 } else { 64 };
        Cidr::new(self.local, self.prefix.unwrap_or(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Flags, FlagsError> {
        text.parse()
    }

    #[test]
    fn every_key_is_read() {
        let text = "local=198.18.0.2 remote=198.18.0.9  gateway=198.18.0.1 mtu=9000 prefix=16 \
                    rcvbuf=65535 tfo=3 tfo_key=000102030405060708090a0b0c0d0e0f";
        let flags = read(text).unwrap();
        assert_eq!(flags.local, IpAddr::from([198, 18, 0, 2]));
        assert_eq!(flags.remote, IpAddr::from([198, 18, 0, 9]));
        assert_eq!(flags.gateway, Some(IpAddr::from([198, 18, 0, 1])));
        assert_eq!((flags.mtu, flags.prefix, flags.receive_buffer), (9000, Some(16), 65_535));
        let key = core::array::from_fn(|i| i as u8);
        assert_eq!((flags.fast_open, flags.fast_open_key), (3, Some(key)));
        assert_eq!(flags.cidr().to_string(), "198.18.0.2/16");
    }

    #[test]
    fn nothing_is_the_default() {
        assert_eq!(read(""), Ok(Flags::default()));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for word in ["local", "colour=red", "mtu"] {
            assert_eq!(read(word), Err(FlagsError::Unknown(word.into())));
        }
        for word in
            ["local=me", "mtu=575", "mtu=70000", "prefix=-1", "prefix=33", "rcvbuf=x", "tfo_key=1"]
        {
            assert_eq!(read(word), Err(FlagsError::Value(word.into())), "{word}");
        }
    }

    #[test]
    fn ipv6_has_a_network_of_64_bits_unless_told() {
        let flags = read("local=2001:db8::2 remote=2001:db8::1 gateway=fe80::1").unwrap();
        assert_eq!(flags.cidr().to_string(), "2001:db8::2/64");
        assert_eq!(flags.remote, "2001:db8::1".parse::<IpAddr>().unwrap());
        assert_eq!(flags.gateway, Some("fe80::1".parse().unwrap()));
        let flags = read("prefix=128 local=2001:db8::2 remote=2001:db8::1").unwrap();
        assert_eq!(flags.cidr().to_string(), "2001:db8::2/128");
        assert_eq!(read("").unwrap().cidr().to_string(), "192.0.2.2/24");
    }

    #[test]
    fn ipv6_has_limits_of_its_own() {
        let six = |more: &str| read(&format!("local=2001:db8::2 remote=2001:db8::1 {more}"));
        for word in ["prefix=129", "mtu=1279"] {
            assert_eq!(six(word), Err(FlagsError::Value(word.into())), "{word}");
        }
        assert!(six("prefix=0 mtu=1280").is_ok());
    }

    #[test]
    fn addresses_of_two_versions_are_refused_by_name() {
        for text in [
            "local=2001:db8::2",
            "remote=2001:db8::1",
            "gateway=2001:db8::1",
            "local=2001:db8::2 remote=2001:db8::1 gateway=192.0.2.1",
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error, FlagsError::MixedVersions, "{text}");
            assert_eq!(error.to_string(), "the addresses are not of one IP version");
        }
    }

    #[test]
    fn ipv4_in_ipv6_s_clothes_is_ipv4() {
        let flags = read("local=::ffff:198.18.0.2 remote=198.18.0.1").unwrap();
        assert_eq!(flags.cidr().to_string(), "198.18.0.2/24");
    }
}
