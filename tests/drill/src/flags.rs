//! The flags string: `local=192.0.2.2 remote=192.0.2.1 gateway=192.0.2.1 mtu=1500 prefix=24 tfo=3`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use stack::Cidr;
use stack::host::Errno;

/// A buffer whose window needs a scale of 8, which is what scripts for a modern stack expect.
const RECEIVE_BUFFER: usize = 0xffff << 8;

/// What the flags string says. Everything has a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// `local`: the stack's address; 192.0.2.2.
    pub local: IpAddr,
    /// `remote`: the address of the scripted peer; 192.0.2.1.
    pub remote: IpAddr,
    /// `gateway`: checked and not needed, for every address is one hop away from the door.
    pub gateway: Option<IpAddr>,
    /// `prefix`: the length of the local network's; 24.
    pub prefix: u8,
    /// `mtu`: bytes in an IP packet, 576 to 65535; 1500.
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
            prefix: 24,
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
    /// The addresses are IPv6, which the engine does not speak yet.
    Ipv6,
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
            FlagsError::Ipv6 => f.write_str("IPv6 is not implemented yet: use IPv4 addresses"),
        }
    }
}

impl std::error::Error for FlagsError {}

impl From<&FlagsError> for Errno {
    fn from(error: &FlagsError) -> Errno {
        match error {
            FlagsError::Ipv6 => Errno::EOPNOTSUPP,
            _ => Errno::EINVAL,
        }
    }
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
            "local" => self.local = value.parse().ok()?,
            "remote" => self.remote = value.parse().ok()?,
            "gateway" => self.gateway = Some(value.parse().ok()?),
            "prefix" => self.prefix = value.parse().ok()?,
            "mtu" => self.mtu = value.parse().ok().filter(|it| (576..=65_535).contains(it))?,
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
        if self.local.is_ipv6() {
            return Err(FlagsError::Ipv6);
        }
        if self.prefix > 32 {
            return Err(FlagsError::Value(format!("prefix={}", self.prefix)));
        }
        Ok(self)
    }

    /// The stack's address with its network.
    pub fn cidr(&self) -> Cidr {
        Cidr::new(self.local, self.prefix)
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
        assert_eq!((flags.mtu, flags.prefix, flags.receive_buffer), (9000, 16, 65_535));
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
    fn ipv6_is_refused_by_name() {
        let v6 = "local=2001:db8::2 remote=2001:db8::1 prefix=64";
        assert_eq!(read(v6), Err(FlagsError::Ipv6));
        assert_eq!(Errno::from(&FlagsError::Ipv6), Errno::EOPNOTSUPP);
        assert_eq!(read("local=2001:db8::2"), Err(FlagsError::MixedVersions));
    }
}
