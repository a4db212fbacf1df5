//! An address from a DHCP server.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use stack::host::DhcpClient;
use stack::{DhcpInformation, Lease, NetworkInformation};

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the host has an address on `link`.
pub(crate) fn obtain(client: &DhcpClient, link: &str) -> Result<Lease> {
    client.wait(PATIENCE).ok_or_else(|| missing(link))
}

fn missing(link: &str) -> Error {
    let patience = PATIENCE.as_secs();
    anyhow!("no DHCP server on {link} has lent an address in {patience} s")
}

/// What was obtained, on one line.
pub(crate) fn describe(lease: &Lease) -> String {
    let mut line = format!("{} from {}", lease.address, lease.server);
    if lease.time != Duration::MAX {
        add(&mut line, "for", vec![format!("{} s", lease.time.as_secs())]);
    }
    let gateways = lease.routes.iter().filter_map(|route| route.gateway);
    add(&mut line, "router", gateways.map(|it| it.to_string()).collect());
    add(&mut line, "names from", strings(&lease.dns));
    add(&mut line, "in", strings(&lease.search));
    add(&mut line, "MTU", lease.mtu.iter().map(|it| it.to_string()).collect());
    line
}

/// What a DHCP server knows beside addresses, on one line.
pub(crate) fn describe_known(known: &DhcpInformation) -> String {
    let mut line = format!("DHCP, from {}", known.server);
    add(&mut line, "names from", strings(&known.dns));
    add(&mut line, "in", strings(&known.search));
    line
}

/// What a DHCPv6 server knows, on one line.
pub(crate) fn describe_information(known: &NetworkInformation) -> String {
    let mut line = "DHCPv6".to_owned();
    add(&mut line, "names from", strings(&known.dns));
    add(&mut line, "in", strings(&known.search));
    line
}

fn strings(items: &[impl ToString]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn add(line: &mut String, what: &str, items: Vec<String>) {
    if !items.is_empty() {
        // Writing to a string does not fail.
        let _ = write!(line, ", {what} {}", items.join(" "));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn who_waits_in_vain_is_told_where() {
        let said = super::missing("VLAN 7").to_string();
        assert_eq!(said, "no DHCP server on VLAN 7 has lent an address in 30 s");
    }
}
