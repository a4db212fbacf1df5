//! The options that every demo has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use clap::Args;
use log::LevelFilter;
use stack::{
    Cidr, ConfigError, Congestion, DomainName, EcnMode, Hosts, Mac, ResolverConfig, Route,
};

/// The most queues of a TAP: Linux has 256, and each takes some hundred kilobytes.
const QUEUES_MAX: i64 = 64;

/// Where the stack is plugged in, and who it is there.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The stack and its wire")]
pub struct CommonOptions {
    /// Take options from FILE, a TOML file whose keys are long options; what stands on the command
    /// line goes first.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Use the TAP NAME; it is made if it does not exist and you may make it.
    #[arg(
        long,
        value_name = "NAME",
        group = "wire",
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    pub tap: Option<String>,

    /// Make a TAP in a network namespace of this program's own: needs no root.
    #[arg(long, group = "wire")]
    pub ns: bool,

    /// Use N queues of each TAP; one that exists must have been made with `multi_queue`. httpd and
    /// perf serve run an engine for each, on N cores (which pays where a request takes 10 us of the
    /// program's own work, or more); all other programs have one engine for all.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=QUEUES_MAX)
    )]
    pub queues: u8,

    /// Use the inherited descriptor N, which is attached to a TAP.
    #[arg(long, value_name = "N", group = "wire")]
    pub fd: Option<i32>,

    /// The stack's addresses with their prefix lengths: several times, or with commas.
    #[arg(
        long,
        value_name = "CIDR",
        default_value = "192.0.2.2/24",
        default_value_ifs([
            ("dhcp", "true", None::<&'static str>),
            ("link_local", "true", None::<&'static str>),
        ]),
        value_parser = parse_own,
        value_delimiter = ','
    )]
    pub addr: Vec<Cidr>,

    /// Get IPv6 addresses and routers from the link: router advertisements and SLAAC.
    #[arg(long)]
    pub autoconf: bool,

    /// With --autoconf: addresses that change every day, for what the stack begins (RFC 8981).
    #[arg(long, requires = "autoconf")]
    pub temporary: bool,

    /// With --autoconf: ask DHCPv6 servers for name servers and domains, whatever routers say.
    #[arg(long, requires = "autoconf")]
    pub dhcpv6: bool,

    /// The stack stands for all addresses: for programs that say so, and no option.
    #[arg(skip)]
    pub any_address: bool,

    /// Each queue has an engine of its own: for programs that say so, and no option.
    #[arg(skip)]
    pub sharded: bool,

    /// Ask a DHCP server for an address, beside those of --addr.
    #[arg(long)]
    pub dhcp: bool,

    /// With an IPv4 address of --addr: ask a DHCP server for name servers and domains, and nothing
    /// else.
    #[arg(long, conflicts_with = "dhcp")]
    pub dhcp_inform: bool,

    /// An IPv4 address of the stack's own choice, for the link alone (RFC 3927); with --dhcp as
    /// long as no server answers.
    #[arg(long)]
    pub link_local: bool,

    /// The router to whatever is not on the TAP's own network, one for each IP version.
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub gateway: Vec<IpAddr>,

    /// A further TAP, and the stack's addresses there, or dhcp for one from a server: once for
    /// each.
    #[arg(long, value_name = "TAP:CIDR,...", value_parser = parse_link)]
    pub interface: Vec<Link>,

    /// A VLAN on the wire, and the stack's addresses there, like 7:198.18.7.2/24 or 7:dhcp; on a
    /// further TAP TAP.7:198.18.7.2/24.
    #[arg(long, value_name = "ID:CIDR,...", value_parser = parse_link)]
    pub vlan: Vec<Link>,

    /// A further route, like 203.0.113.0/24=192.0.2.254: several times, or with commas.
    #[arg(
        long,
        value_name = "NETWORK=ROUTER",
        value_parser = parse_route,
        value_delimiter = ','
    )]
    pub route: Vec<Route>,

    /// The stack's Ethernet address (otherwise a random one, locally administered).
    #[arg(long)]
    pub mac: Option<Mac>,

    /// The largest IP packet, bytes (otherwise the TAP's).
    #[arg(long, value_name = "BYTES")]
    pub mtu: Option<usize>,

    /// Congestion control: cubic, reno ... (otherwise the stack's own choice).
    #[arg(long, value_name = "NAME")]
    pub congestion: Option<Congestion>,

    /// Explicit congestion notification: off, on, or when-asked by the peer (the default).
    #[arg(long, value_name = "WHEN")]
    pub ecn: Option<EcnMode>,

    /// Fast Open (RFC 7413), in the bits of Linux's tcp_fastopen: 1 for clients, 1026 for servers.
    #[arg(long, value_name = "BITS", default_value_t = 0)]
    pub fast_open: u32,

    /// A name server that is asked for names, with its port unless that is 53: several times, or
    /// with commas.
    #[arg(long, value_name = "IP", value_parser = parse_server, value_delimiter = ',')]
    pub dns: Vec<SocketAddr>,

    /// Names that are known without asking, as in /etc/hosts.
    #[arg(long, value_name = "FILE")]
    pub hosts: Option<PathBuf>,

    /// A domain in which short names are looked for: several times, or with commas.
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    pub search: Vec<DomainName>,

    /// Record every frame into FILE, which Wireshark opens.
    #[arg(long, value_name = "FILE")]
    pub pcap: Option<PathBuf>,

    /// No offloads: one frame is one packet, with its checksum done.
    #[arg(long)]
    pub plain: bool,

    /// Look for frames for so long before going to sleep, where that has paid of late, microseconds
    /// up to 10,000: answers come sooner where both ends have a core. 0 never does.
    #[arg(
        long,
        value_name = "US",
        default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(..=10_000)
    )]
    pub spin: u32,

    /// Log to standard error: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub log: LevelFilter,

    /// With --ns: run COMMAND on the kernel's side of the wire. A server ends with it, and with its
    /// status; other programs end it when they are done.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// A link beside the first, and the stack's addresses there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// A TAP's name, or a VLAN's number.
    pub name: String,
    /// With their prefix lengths.
    pub addresses: Vec<Cidr>,
    /// A DHCP server is asked for one.
    pub dhcp: bool,
}

impl Link {
    /// Of a VLAN: the further TAP that it is on, if it is on one, and its number.
    ///
    /// # Errors
    /// It has no number.
    pub fn vlan(&self) -> anyhow::Result<(Option<&str>, u16)> {
        let (tap, tag) = match self.name.rsplit_once('.') {
            Some((tap, tag)) => (Some(tap), tag),
            None => (None, &*self.name),
        };
        let wrong = |what| anyhow!("--vlan {}: {what}, like 7:198.18.7.2/24", self.name);
        Ok((tap, parse_tag(tag).map_err(wrong)?))
    }

    /// As [`CommonOptions::kernel_address`], for this link.
    pub fn kernel_address(&self) -> Option<(Ipv4Addr, u8)> {
        kernel_address(&self.addresses, &[])
    }
}

impl CommonOptions {
    /// How names are to be resolved.
    ///
    /// # Errors
    /// The hosts file cannot be read.
    pub fn resolver(&self) -> anyhow::Result<ResolverConfig> {
        let hosts = match &self.hosts {
            None => Hosts::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path);
                Hosts::parse(&text.with_context(|| format!("{}: cannot be read", path.display()))?)
            }
        };
        let (servers, search) = (self.dns.clone(), self.search.clone());
        Ok(ResolverConfig { servers, search, hosts, ..ResolverConfig::default() })
    }

    /// The address for the kernel's side of a TAP in own namespaces: the gateway if that is on
    /// the wire, otherwise the first of the network that is not the stack's.
    pub fn kernel_address(&self) -> Option<(Ipv4Addr, u8)> {
        kernel_address(&self.addr, &self.gateway)
    }

    /// The same for IPv6, if the stack speaks it.
    pub fn kernel_address_v6(&self) -> Option<(Ipv6Addr, u8)> {
        let (own, prefix) = self.addr.iter().find_map(|cidr| match cidr.network() {
            IpAddr::V6(network) => Some((*cidr, network)),
            IpAddr::V4(_) => None,
        })?;
        let gateway = self.gateway.iter().find_map(|gateway| match gateway {
            IpAddr::V6(gateway) if own.contains((*gateway).into()) => Some(*gateway),
            _ => None,
        });
        let free = |last: u128| Ipv6Addr::from(u128::from(prefix) | last);
        let other = [1, 2].map(free).into_iter().find(|other| own.address != *other);
        let address = gateway.or(other).filter(|_| own.prefix <= 126)?;
        Some((address, own.prefix))
    }
}

fn kernel_address(own: &[Cidr], gateways: &[IpAddr]) -> Option<(Ipv4Addr, u8)> {
    let (own, prefix) = own.iter().find_map(|cidr| match cidr.address {
        IpAddr::V4(address) => Some((address, cidr.prefix)),
        IpAddr::V6(_) => None,
    })?;
    let gateway = gateways.iter().find_map(|gateway| match gateway {
        IpAddr::V4(gateway) => Some(*gateway),
        IpAddr::V6(_) => None,
    });
    if let Some(gateway) = gateway {
        return Some((gateway, prefix));
    }
    let host_bits = 32_u32.checked_sub(prefix.into()).filter(|&bits| bits >= 1)?;
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
    let network = u32::from(own) & mask;
    // RFC 3021: a network of two addresses has no broadcast address, both are hosts.
    let first = if host_bits == 1 { network } else { network + 1 };
    let other = if first == u32::from(own) { first + 1 } else { first };
    Some((Ipv4Addr::from(other), prefix))
}

fn parse_link(text: &str) -> Result<Link, String> {
    let (name, addresses) = text.split_once(':').filter(|(name, _)| !name.is_empty()).ok_or(
        "write the TAP or the VLAN, a colon, and the stack's addresses there, like \
         tap1:198.51.100.2/24 or tap1:dhcp",
    )?;
    let (words, addresses): (Vec<&str>, Vec<&str>) =
        addresses.split(',').partition(|word| *word == "dhcp");
    let addresses = addresses.into_iter().map(parse_own).collect::<Result<_, _>>()?;
    Ok(Link { name: name.to_owned(), addresses, dhcp: !words.is_empty() })
}

/// A port at which somebody can be.
///
/// # Errors
/// What to write.
pub fn parse_port(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|&port| port > 0);
    port.ok_or_else(|| format!("{text:?} is not a port: 1 to 65535"))
}

/// The number of a VLAN.
pub(crate) fn parse_tag(text: &str) -> Result<u16, String> {
    let tag = text.parse().ok().filter(|tag| (1..4095).contains(tag));
    tag.ok_or_else(|| "a number from 1 to 4094".to_owned())
}

pub(crate) fn parse_route(text: &str) -> Result<Route, String> {
    let (network, router) = text.split_once('=').ok_or_else(|| {
        "write the network, a sign of equality, and the router, like 203.0.113.0/24=192.0.2.254"
            .to_owned()
    })?;
    let router = router.parse().map_err(|_| format!("{router} is no router's address"))?;
    Ok(Route::new(parse_cidr(network)?, Some(router)))
}

/// An address of the stack's own.
pub(crate) fn parse_own(text: &str) -> Result<Cidr, String> {
    let own = parse_cidr(text)?;
    if own.is_for_a_host() { Ok(own) } else { Err(ConfigError::NotForHosts(own).to_string()) }
}

fn parse_cidr(text: &str) -> Result<Cidr, String> {
    text.parse().map_err(|error| {
        format!("{error}; write the address and its prefix length, like 192.0.2.2/24")
    })
}

fn parse_server(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 53)));
    with_port.map_err(|_| "a name server's address, like 192.0.2.53 or [2001:db8::1]:53".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Demo {
        #[command(flatten)]
        common: CommonOptions,
    }

    fn parse(line: &str) -> Result<CommonOptions, clap::Error> {
        let words = std::iter::once("demo").chain(line.split_whitespace());
        Demo::try_parse_from(words).map(|demo| demo.common)
    }

    #[test]
    fn the_definition_is_sound() {
        Demo::command().debug_assert();
    }

    #[test]
    fn one_wire_at_a_time_and_a_command_behind_two_dashes() {
        assert!(parse("--tap a --ns").is_err());
        let options = parse("--ns --addr 198.18.0.5/30 -- curl -s x").unwrap();
        assert_eq!(options.command, ["curl", "-s", "x"]);
    }

    #[test]
    fn the_kernel_gets_the_first_address_that_is_free() {
        let table = [
            ("", "192.0.2.1/24"),
            ("--addr 192.0.2.1/24", "192.0.2.2/24"),
            ("--addr 198.18.0.5/30", "198.18.0.6/30"),
            ("--addr 198.18.0.1/31", "198.18.0.0/31"),
            ("--gateway 192.0.2.99", "192.0.2.99/24"),
        ];
        for (line, expected) in table {
            let (address, prefix) = parse(line).unwrap().kernel_address().unwrap();
            assert_eq!(format!("{address}/{prefix}"), expected, "{line}");
        }
        assert_eq!(parse("--addr 198.18.0.1/32").unwrap().kernel_address(), None);
    }

    #[test]
    fn both_ip_versions_at_once() {
        let options = parse("--addr 192.0.2.9/24,2001:db8::1/64 --gateway 192.0.2.1").unwrap();
        assert_eq!(options.addr.len(), 2);
        let (address, prefix) = options.kernel_address_v6().unwrap();
        assert_eq!(format!("{address}/{prefix}"), "2001:db8::2/64");
        let options = parse("--addr 2001:db8::9/64 --gateway 2001:db8::77,192.0.2.1").unwrap();
        assert_eq!(options.kernel_address_v6().unwrap().0.to_string(), "2001:db8::77");
        assert_eq!((options.gateway.len(), options.kernel_address()), (2, None));
        assert_eq!(parse("").unwrap().kernel_address_v6(), None);
    }

    #[test]
    fn further_links_have_their_addresses() {
        let line = "--interface tap1:198.51.100.2/24,2001:db8:1::2/64 --vlan 7:198.18.7.2/24 \
                    --vlan tap1.9:2001:db8:9::2/64 --route 203.0.113.0/24=198.51.100.1";
        let options = parse(line).unwrap();
        assert_eq!(
            (&*options.interface[0].name, options.interface[0].addresses.len()),
            ("tap1", 2)
        );
        let (kernel, _) = options.interface[0].kernel_address().unwrap();
        assert_eq!(kernel.to_string(), "198.51.100.1");
        let vlans: Vec<_> = options.vlan.iter().map(|vlan| vlan.vlan().unwrap()).collect();
        assert_eq!(vlans, [(None, 7), (Some("tap1"), 9)]);
        assert_eq!(options.route[0].gateway.unwrap().to_string(), "198.51.100.1");
        for (line, remedy) in [
            ("--interface tap1", "like tap1:198.51.100.2/24"),
            ("--vlan 7:198.18.7.2", "like 192.0.2.2/24"),
            ("--route 192.0.2.1", "like 203.0.113.0/24=192.0.2.254"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(remedy), "{error}");
        }
        let options = parse("--interface tap1:dhcp,2001:db8:1::2/64 --vlan 7:dhcp").unwrap();
        let (tap, vlan) = (&options.interface[0], &options.vlan[0]);
        assert_eq!((tap.dhcp, tap.addresses.len(), vlan.dhcp), (true, 1, true));
        assert_eq!((tap.kernel_address(), vlan.addresses.len()), (None, 0));
        let error = parse("--vlan tap1:192.0.2.1/24").unwrap().vlan[0].vlan().unwrap_err();
        assert!(error.to_string().contains("from 1 to 4094"), "{error}");
    }

    #[test]
    fn with_dhcp_no_address_goes_without_saying() {
        assert_eq!(parse("--dhcp").unwrap().addr, []);
        assert_eq!(parse("--dhcp --addr 2001:db8::1/64").unwrap().addr.len(), 1);
    }

    #[test]
    fn congestion_control_goes_by_its_name() {
        assert_eq!(parse("--congestion reno").unwrap().congestion, Some(Congestion::Reno));
        let error = parse("--congestion vegas").unwrap_err().to_string();
        assert!(error.contains("cubic"), "{error}");
    }

    #[test]
    fn spinning_has_a_bound() {
        assert_eq!((parse("").unwrap().spin, parse("--spin 0").unwrap().spin), (50, 0));
        let error = parse("--spin 10001").unwrap_err().to_string();
        assert!(error.contains("0..=10000"), "{error}");
    }

    #[test]
    fn ecn_goes_by_its_name_or_by_linuxs_number() {
        assert_eq!(parse("--ecn on").unwrap().ecn, Some(EcnMode::On));
        assert_eq!(parse("--ecn 0").unwrap().ecn, Some(EcnMode::Off));
        let error = parse("--ecn maybe").unwrap_err().to_string();
        assert!(error.contains("when-asked"), "{error}");
    }

    #[test]
    fn names_have_servers_files_and_domains() {
        let options = parse("--dns 192.0.2.1,2001:db8::1 --dns 192.0.2.2:5353 --search a.b,c");
        let config = options.unwrap().resolver().unwrap();
        let servers: Vec<String> = config.servers.iter().map(SocketAddr::to_string).collect();
        assert_eq!(servers, ["192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.2:5353"]);
        assert_eq!((config.search.len(), config.hosts.len()), (2, 0));
        assert!(parse("--dns name").unwrap_err().to_string().contains("like 192.0.2.53"));
        assert!(parse("--search a..b").is_err());
        let error = parse("--hosts /nowhere/at/all").unwrap().resolver().unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }

    #[test]
    fn a_bad_address_is_explained() {
        let error = parse("--addr 192.0.2.2").unwrap_err().to_string();
        assert!(error.contains("like 192.0.2.2/24"), "{error}");
    }
}
