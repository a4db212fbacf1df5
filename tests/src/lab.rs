//! Three hosts around one bad link: two of Linux's, and a place for one of Tapstack's.
//!
//! ```text
//!  left: 192.0.2.1 on near ==[ lossy ]== far --+ bridge +-- veth -- right: 192.0.2.3
//!                                              +--------+-- plug: Tapstack, 192.0.2.2
//! ```
//!
//! What left sends to right, and what it sends to Tapstack, goes through the same relay and the
//! same bridge, so the two can be compared. The queues of all TAPs are long: frames are lost only
//! where the link says so. IPv6 is off, so that nobody speaks unasked.

use std::process::Command;

use crate::netns::{Netns, Running, demo_path, skipped};

/// The address of the Linux host at the near end of the link.
pub const LEFT: &str = "192.0.2.1";

/// The address of Tapstack at the far end.
pub const TAPSTACK: &str = "192.0.2.2";

/// The address of the Linux host at the far end.
pub const RIGHT: &str = "192.0.2.3";

/// The TAP for Tapstack, in `middle`. (`ip` would take shorter names for words of its own.)
pub const TAP: &str = "plug";

/// The hosts. The link between them is there while a [`Running`] of [`Lab::link`] is.
#[derive(Debug)]
pub struct Lab {
    /// The Linux host at the near end.
    pub left: Netns,
    /// Where the link, the bridge and Tapstack live.
    pub middle: Netns,
    /// The Linux host at the far end.
    pub right: Netns,
}

/// In every namespace: no IPv6, and nothing remembered of one connection for the next.
const QUIET: &str = "cd /proc/sys/net && for name in ipv6/conf/all/disable_ipv6 \
     ipv6/conf/default/disable_ipv6 ipv4/tcp_no_metrics_save; \
     do [ ! -e $name ] || echo 1 >$name; done";

impl Lab {
    /// The three places, or `None` with a word on the terminal where they cannot be had.
    pub fn new() -> Option<Lab> {
        let middle = Netns::empty().or_else(skipped)?;
        let (left, right) = (middle.beside(), middle.beside());
        for ns in [&left, &middle, &right] {
            ns.sh(10, QUIET);
        }
        let hub = "ip link add dev hub type bridge forward_delay 0 mcast_snooping 0";
        if !middle.try_sh(10, hub).status.success() {
            return skipped();
        }
        left.sh(10, "ip tuntap add dev near mode tap && ip link set dev near txqueuelen 10000");
        left.sh(10, &format!("ip address add {LEFT}/24 dev near && ip link set dev near up"));
        middle.sh(10, "ip link set dev hub up");
        let there = right.id();
        middle.sh(10, &format!("ip link add dev cable type veth peer name eth netns {there}"));
        middle.sh(10, &format!("for tap in far {TAP}; do ip tuntap add dev $tap mode tap; done"));
        middle.sh(
            10,
            &format!(
                "for port in far {TAP} cable; \
                 do ip link set dev $port txqueuelen 10000 master hub up; done"
            ),
        );
        right.sh(10, &format!("ip address add {RIGHT}/24 dev eth && ip link set dev eth up"));
        Some(Lab { left, middle, right })
    }

    /// Starts the link, with these options of `lossy`. Its end a is at `left`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn link(&self, options: &str) -> Running {
        let ends = format!("--a {}/near --b far {options}", self.left.id());
        let mut relay = self.middle.spawn(demo_path("lossy"), &ends);
        relay.wait_for("ready");
        relay
    }

    /// A demo as the host Tapstack, to be run to its end.
    pub fn tapstack(&self, seconds: u32, demo: &str) -> Command {
        let mut command = self.middle.command(seconds, demo_path(demo));
        command.args(["--tap", TAP, "--addr", &format!("{TAPSTACK}/24")]);
        command
    }

    /// A demo as the host Tapstack which serves: it has printed `ready`.
    ///
    /// # Panics
    /// When it ends before.
    pub fn tapstack_serve(&self, demo: &str, arguments: &str) -> Running {
        let line = format!("{arguments} --tap {TAP} --addr {TAPSTACK}/24");
        let mut server = self.middle.spawn(demo_path(demo), &line);
        server.wait_for("ready");
        server
    }
}
