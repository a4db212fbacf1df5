//! DHCPINFORM: one question, on the thread of who asks.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::clock::entropy;
use super::dhcp::{CLIENT_PORT, SERVER_PORT};
use super::keeper::Talk;
use super::runtime::Host;
use crate::net::dhcp::inform::Inform;
use crate::random::Random;
use crate::{AddressInfo, AddressState, DhcpInformation, InterfaceId, UdpOptions};

/// Asks DHCP servers what they know of the network of an interface whose IPv4 address was
/// configured (DHCPINFORM, RFC 2131 §3.4): name servers and domains. Waits for the first answer;
/// None if there is none in time.
///
/// ```no_run
/// use std::time::Duration;
/// use stack::InterfaceId;
/// use stack::host::{Host, dhcp_inform};
/// # fn ask(host: &Host) -> std::io::Result<()> {
/// if let Some(known) = dhcp_inform(host, InterfaceId::FIRST, Duration::from_secs(10))? {
///     println!("names from {:?}", known.dns);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `NotFound` if the interface is not there or has no IPv4 address; `AddrInUse` while a
/// [`DhcpClient`](super::DhcpClient) is on its link; the operating system's refusal of entropy;
/// the host has been shut down.
pub fn dhcp_inform(
    host: &Host,
    interface: InterfaceId,
    timeout: Duration,
) -> io::Result<Option<DhcpInformation>> {
    let found = host.with_stack(|stack, now| {
        let mac = stack.interfaces().find(|it| it.id == interface)?.mac;
        let own = stack.addresses().find_map(|info| own_address(&info, interface))?;
        Some((now, mac, own))
    });
    let missing = "the interface has no IPv4 address to ask with: configure one";
    let missing = || io::Error::new(io::ErrorKind::NotFound, missing);
    let (began, mac, own) = found.ok_or_else(missing)?;
    let there = UdpOptions { interface: Some(interface), ..UdpOptions::default() };
    let mut talk = Talk::open(host, (Ipv4Addr::UNSPECIFIED, CLIENT_PORT), SERVER_PORT, there)?;
    talk.socket().set_broadcast(true)?;
    let mut inform = Inform::new(began, mac, own, Random::new(&entropy()?));
    let end = began + timeout;
    loop {
        let now = host.with_stack(|_, now| now);
        let mut known = None;
        talk.hear(|message, _| known = known.take().or_else(|| inform.on_message(message)));
        if known.is_some() || now >= end {
            return Ok(known);
        }
        if let Some(question) = inform.advance(now) {
            talk.socket().send_to(&question, (Ipv4Addr::BROADCAST, SERVER_PORT))?;
        }
        talk.wait(inform.next_timeout().min(end) - now)?;
    }
}

fn own_address(info: &AddressInfo, interface: InterfaceId) -> Option<Ipv4Addr> {
    let is_usable = matches!(info.state, AddressState::Preferred | AddressState::Deprecated);
    match info.cidr.address {
        IpAddr::V4(own) if is_usable && info.interface == interface => Some(own),
        _ => None,
    }
}
