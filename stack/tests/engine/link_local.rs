//! An address of IPv4 that the host gives itself (RFC 3927), and others on the link.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use stack::{
    AddressOrigin, AddressState, Config, ConnectOptions, Instant, RecvError, RxFrame, Seed, Stack,
    TcpError,
};

use crate::net::{balanced, frames, mac};

const BROADCAST: [u8; 6] = [0xff; 6];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

struct Alone {
    stack: Stack,
    now: Instant,
    /// What it has said since last asked: when, and the frame.
    said: Vec<(Instant, Vec<u8>)>,
}

impl Alone {
    fn new() -> Alone {
        let stack = Stack::new(Config::new(mac(1)), Seed::from_number(1));
        let mut host = Alone { stack, now: Instant::ZERO, said: Vec::new() };
        host.stack.begin_link_local_v4(host.now);
        host
    }

    /// One that has its address.
    fn ready() -> (Alone, Ipv4Addr) {
        let mut host = Alone::new();
        host.pass(secs(12));
        assert_eq!(host.own().unwrap().1, AddressState::Preferred);
        host.said.clear();
        let (address, _) = host.own().unwrap();
        (host, address)
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            self.stack.advance(self.now);
            let said = frames(&mut self.stack, self.now);
            self.said.extend(said.into_iter().map(|frame| (self.now, frame)));
            let next = self.stack.next_timeout().filter(|&next| next <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
        }
        self.now = end;
    }

    fn own(&self) -> Option<(Ipv4Addr, AddressState)> {
        let made = |info: &stack::AddressInfo| info.origin == AddressOrigin::LinkLocal;
        self.stack.addresses().filter(made).find_map(|info| match info.cidr.address {
            IpAddr::V4(address) => Some((address, info.state)),
            IpAddr::V6(_) => None,
        })
    }

    /// Station 9 says: `operation`, from `sender`, about `target`.
    fn hear(&mut self, operation: u8, sender: Ipv4Addr, target: Ipv4Addr) {
        let frame = [
            &BROADCAST[..],
            &mac(9).0,
            &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation],
            &mac(9).0,
            &sender.octets(),
            &[0; 6],
            &target.octets(),
        ]
        .concat();
        self.stack.receive(self.now, RxFrame::plain(&frame));
        balanced(&self.stack);
        self.pass(Duration::ZERO);
    }

    /// ARP that it has said: when, its operation, sender and target; all to everybody.
    fn arp(&mut self) -> Vec<(Instant, u8, Ipv4Addr, Ipv4Addr)> {
        let address = |octets: &[u8]| Ipv4Addr::from(<[u8; 4]>::try_from(octets).unwrap());
        let read = |(at, frame): (Instant, Vec<u8>)| {
            assert_eq!(frame[..6], BROADCAST);
            (at, frame[21], address(&frame[28..32]), address(&frame[38..42]))
        };
        let said = std::mem::take(&mut self.said);
        said.into_iter().filter(|(_, frame)| frame[12..14] == [8, 6]).map(read).collect()
    }
}

const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

#[test]
fn rfc3927_2_2_three_questions_and_two_announcements() {
    let mut host = Alone::new();
    let (address, state) = host.own().unwrap();
    assert_eq!(state, AddressState::Tentative);
    host.pass(secs(12));
    assert_eq!(host.own(), Some((address, AddressState::Preferred)));
    let said = host.arp();
    let wanted = [NOBODY, NOBODY, NOBODY, address, address];
    assert_eq!(said.iter().map(|(_, _, sender, _)| *sender).collect::<Vec<_>>(), wanted);
    assert!(said.iter().all(|(_, operation, _, target)| (*operation, *target) == (1, address)));
    // Asking again for what is there changes nothing.
    host.stack.begin_link_local_v4(host.now);
    host.pass(secs(12));
    assert_eq!((host.own(), host.arp().len()), (Some((address, AddressState::Preferred)), 0));
}

#[test]
fn rfc3927_2_2_1_conflicts_lead_to_others_and_many_to_patience() {
    let mut host = Alone::new();
    let mut seen = Vec::new();
    for n in 0..9 {
        let (address, _) = host.own().unwrap();
        assert!(!seen.contains(&address));
        seen.push(address);
        // Another has it, or wants it, too.
        let (operation, sender) = if n % 2 == 0 { (2, address) } else { (1, NOBODY) };
        host.hear(operation, sender, address);
    }
    assert_eq!(host.stack.counters().addresses_duplicate, 9);
    let (address, _) = host.own().unwrap();
    host.hear(2, address, address);
    assert_eq!(host.own(), None, "MAX_CONFLICTS");
    host.pass(secs(59));
    assert_eq!(host.own(), None);
    host.pass(secs(15));
    let (last, state) = host.own().unwrap();
    assert_eq!((state, seen.contains(&last)), (AddressState::Preferred, false));
}

#[test]
fn rfc3927_2_5_it_is_defended_once_and_then_given_up() {
    let (mut host, address) = Alone::ready();
    let near = Ipv4Addr::new(169, 254, 1, 1);
    let remote = (near, 80).into();
    let id = host.stack.connect(host.now, remote, ConnectOptions::default()).unwrap();
    assert_eq!(host.stack.tcp(id).unwrap().local().ip(), IpAddr::from(address));
    host.pass(Duration::ZERO);
    // Questions and answers for it go to everybody.
    host.hear(1, near, address);
    let said: Vec<_> = host.arp().iter().map(|(_, op, from, to)| (*op, *from, *to)).collect();
    assert_eq!(said, [(1, address, near), (2, address, near)]);
    host.hear(2, address, address);
    let said: Vec<_> = host.arp().iter().map(|(_, _, from, to)| (*from, *to)).collect();
    assert_eq!(said, [(address, address)]);
    assert_eq!(host.own(), Some((address, AddressState::Preferred)));
    host.pass(secs(9));
    host.hear(2, address, address);
    let (other, state) = host.own().unwrap();
    assert_eq!((other != address, state), (true, AddressState::Tentative));
    let lost = host.stack.tcp(id).unwrap().recv(host.now, &mut [0; 9]);
    assert_eq!(lost, Err(RecvError::Failed(TcpError::AddressLost)));
}

#[test]
fn rfc3927_1_9_a_better_address_ends_it() {
    let (mut host, address) = Alone::ready();
    host.stack.end_link_local_v4(host.now);
    assert_eq!(host.own(), Some((address, AddressState::Deprecated)));
    host.pass(secs(299));
    assert_eq!(host.own(), Some((address, AddressState::Deprecated)));
    host.pass(secs(1));
    assert_eq!((host.own(), host.stack.next_timeout()), (None, None));
    // And it comes again, the same.
    host.stack.begin_link_local_v4(host.now);
    host.pass(secs(12));
    assert_eq!(host.own(), Some((address, AddressState::Preferred)));
}
