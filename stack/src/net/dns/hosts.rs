//! A hosts file: names that are known without asking.

use std::collections::BTreeMap;

use core::net::IpAddr;

use super::ADDRESSES_MAX;
use super::name::DomainName;

/// Names kept; a file with more is read as far as that.
const NAMES_MAX: usize = 65_536;

/// Names and their addresses, as a hosts file has them.
///
/// ```
/// use stack::Hosts;
/// let hosts = Hosts::parse("192.0.2.1  gate gate.example  # the way out\n");
/// assert_eq!(hosts.len(), 2);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    names: BTreeMap<DomainName, Vec<IpAddr>>,
}

impl Hosts {
    /// Reads the text of a hosts file. Lines that cannot be understood are passed over, as by
    /// every other resolver.
    pub fn parse(text: &str) -> Hosts {
        let mut names: BTreeMap<DomainName, Vec<IpAddr>> = BTreeMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse) else { continue };
            for name in words.filter_map(|word| word.parse::<DomainName>().ok()) {
                if names.len() >= NAMES_MAX && !names.contains_key(&name) {
                    continue;
                }
                let addresses = names.entry(name).or_default();
                if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Hosts { names }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn find(&self, name: &DomainName) -> Option<&[IpAddr]> {
        self.names.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_everything_in_it() {
        let text = "# a comment\n192.0.2.1\ta.example a # b\n\n2001:db8::1 A\n192.0.2.1 a\n\
                    nonsense x\n192.0.2.9\n192.0.2.2 b..c d";
        let hosts = Hosts::parse(text);
        let find = |name: &str| {
            let found = hosts.find(&name.parse().unwrap()).unwrap_or_default();
            found.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(find("a"), "192.0.2.1 2001:db8::1");
        assert_eq!(find("a.example"), "192.0.2.1");
        assert_eq!((find("b"), find("x"), find("d")), ("".into(), "".into(), "192.0.2.2".into()));
    }

    #[test]
    fn d2_a_file_without_end_has_an_end() {
        let mut text: String = (0..NAMES_MAX + 5).map(|i| format!("192.0.2.1 n{i}\n")).collect();
        text.extend((0..99).map(|i| format!("192.0.2.{i} n0\n")));
        let hosts = Hosts::parse(&text);
        assert_eq!(hosts.len(), NAMES_MAX);
        assert_eq!(hosts.find(&"n0".parse().unwrap()).unwrap().len(), ADDRESSES_MAX);
    }
}
