//! A client of stateless DHCPv6: the thread and its socket.

use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::clock::entropy;
use super::keeper::{Keeper, Shared, Talk};
use super::runtime::Host;
use crate::net::dhcpv6::client::Client;
use crate::random::Random;
use crate::{Instant, NetworkInformation, UdpOptions};

/// RFC 8415 §7.1, §7.2: all servers and relays on the link, and the ports.
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const SERVER_PORT: u16 = 547;
const CLIENT_PORT: u16 = 546;

/// Asks DHCPv6 servers what they know of the network besides addresses (RFC 8415 §6.1), and again
/// when that is to be renewed. Routers say whether there is something to be asked for
/// ([`Stack::routers_recommend_dhcp`](crate::Stack::routers_recommend_dhcp)).
///
/// ```no_run
/// use std::time::Duration;
/// use stack::host::{Dhcpv6Client, Host};
/// # fn start(host: &Host) -> std::io::Result<()> {
/// let client = Dhcpv6Client::start(host)?;
/// if let Some(information) = client.wait(Duration::from_secs(5)) {
///     println!("names from {:?}", information.dns);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Dhcpv6Client {
    keeper: Keeper<NetworkInformation>,
}

impl Dhcpv6Client {
    /// Begins to ask, from the host's address on the link.
    ///
    /// # Errors
    /// `AddrInUse` if the host has a client already; the operating system's refusal of entropy or
    /// a thread; the host has been shut down.
    pub fn start(host: &Host) -> io::Result<Dhcpv6Client> {
        let local = (Ipv6Addr::UNSPECIFIED, CLIENT_PORT);
        let talk = Talk::open(host, local, SERVER_PORT, UdpOptions::default())?;
        let waker = talk.waker();
        let random = Random::new(&entropy()?);
        let (now, mac) = host.with_stack(|stack, now| (now, stack.config().mac));
        let client = Client::new(now, mac, random);
        let mut worker = Worker { host: host.clone(), talk, client };
        let keeper = Keeper::start("dhcpv6", waker, move |shared| worker.run(shared))?;
        Ok(Dhcpv6Client { keeper })
    }

    /// What a server has said, if one has.
    pub fn information(&self) -> Option<NetworkInformation> {
        self.keeper.get()
    }

    /// Waits until a server has said something.
    pub fn wait(&self, timeout: Duration) -> Option<NetworkInformation> {
        self.keeper.wait(timeout)
    }
}

impl fmt::Debug for Dhcpv6Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dhcpv6Client").field("information", &self.information()).finish()
    }
}

/// What the thread has.
struct Worker {
    host: Host,
    talk: Talk,
    client: Client,
}

impl Worker {
    fn run(&mut self, shared: &Shared<NetworkInformation>) {
        while !shared.is_stopping() {
            let now = self.host.with_stack(|_, now| now);
            self.take_in(now, shared);
            if let Some(question) = self.client.advance(now)
                && let Err(error) = self.talk.socket().send_to(&question, (SERVERS, SERVER_PORT))
            {
                log::debug!("DHCPv6: {error}");
            }
            let until = self.client.next_timeout() - now;
            if let Err(error) = self.talk.wait(until) {
                return log::debug!("DHCPv6 ends: {error}");
            }
        }
    }

    fn take_in(&mut self, now: Instant, shared: &Shared<NetworkInformation>) {
        self.talk.hear(|message, from| {
            if let Some(information) = self.client.on_message(now, message) {
                log::info!("DHCPv6: {information:?} from {from}");
                shared.set(Some(information));
            }
        });
    }
}
