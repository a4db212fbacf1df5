//! Addresses that stand for others.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use anyhow::{Context, Result};
use stack::Cidr;

/// Connections to the addresses of one network lead to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    from: Cidr,
    to: IpAddr,
}

impl FromStr for Mapping {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Mapping> {
        let (from, to) =
            text.split_once('=').context("CIDR=IP, such as 198.18.0.0/15=127.0.0.1")?;
        let from = from.parse().with_context(|| format!("{from}: no network"))?;
        let to = to.parse().with_context(|| format!("{to}: no address"))?;
        Ok(Mapping { from, to })
    }
}

/// Where a connection leads: the first mapping counts.
pub(crate) fn apply(map: &[Mapping], to: SocketAddr) -> SocketAddr {
    let found = map.iter().find(|mapping| mapping.from.contains(to.ip()));
    found.map_or(to, |mapping| SocketAddr::new(mapping.to, to.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits_counts_and_the_port_stays() {
        let map: Vec<Mapping> = ["198.18.0.0/16=127.0.0.1", "198.18.0.0/15=::1"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        let mapped = |to: &str| apply(&map, to.parse().unwrap()).to_string();
        assert_eq!(mapped("198.18.5.6:80"), "127.0.0.1:80");
        assert_eq!(mapped("198.19.5.6:80"), "[::1]:80");
        assert_eq!(mapped("198.20.5.6:80"), "198.20.5.6:80");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |text: &str| text.parse::<Mapping>().unwrap_err().to_string();
        assert!(wrong("198.18.0.0/15").contains("CIDR=IP"));
        assert!(wrong("198.18.0.0/99=::1").contains("198.18.0.0/99"));
        assert!(wrong("198.18.0.0/15=nowhere").contains("nowhere"));
    }
}
