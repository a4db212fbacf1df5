//! A rig in every state of a connection, reached over the wire.
//!
//! In each of them the peer has sent nothing and the stack has sent nothing, so that the numbers
//! in a test are small: both sides' next byte is number 1, and a FIN takes one more.

use super::{HOST_MAC, LISTEN_PORT, PEER_MAC, Rig, Version};
use crate::{ConnectOptions, EcnMode, Instant, ListenOptions, State};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;

/// What the peer's SYN carries when a test does not say.
const PLAIN: &str = "<mss 1460>";

/// Longer than any acknowledgment is delayed (MUST-40).
const DELAYED_ACK: Duration = Duration::from_millis(500);

/// The initial sequence number that a listening rig would choose at `now`.
pub(super) fn isn_at(now: Instant) -> Option<u32> {
    let mut rig = Rig::begin(now, |_| ()).listen(ListenOptions::default());
    let syn = rig.segment("S 0:0(0) win 65535").to_frame(PEER_MAC, HOST_MAC);
    rig.inject_frame(&syn);
    rig.take_segments().first().map(|segment| segment.seq)
}

impl Rig {
    /// LISTEN.
    pub fn listening() -> Rig {
        Rig::new().listen(ListenOptions::default())
    }

    /// Listens, in a rig that the test has set up.
    #[track_caller]
    pub fn listen(mut self, options: ListenOptions) -> Rig {
        let local = match Version::of_this_run() {
            Version::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, LISTEN_PORT)),
            Version::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, LISTEN_PORT)),
        };
        match self.stack.listen(local, options) {
            Ok(id) => self.listener = Some(id),
            Err(error) => self.fail(&format!("listen: {error:?}")),
        }
        self
    }

    /// SYN-RECEIVED, by a listener.
    #[track_caller]
    pub fn syn_received() -> Rig {
        let mut rig = Rig::listening();
        rig.inject(&format!("S 0:0(0) win 65535 {PLAIN}"));
        rig.expect("S. 0:0(0) ack 1 <...>").state(State::SynReceived);
        rig
    }

    /// ESTABLISHED, accepted from a listener; the peer's SYN carries these options.
    #[track_caller]
    pub fn accepted(options: &str) -> Rig {
        Rig::listening().accept_from(options)
    }

    /// Lets the peer connect to the listener and accepts the connection.
    #[track_caller]
    pub fn accept_from(mut self, options: &str) -> Rig {
        let window = self.window;
        self.inject(&format!("S 0:0(0) win {window} {options}"));
        self.expect("S. 0:0(0) ack 1 <...>");
        self.inject(". 1:1(0) ack 1").accept();
        self.expect_nothing().state(State::Established);
        self
    }

    /// ESTABLISHED, with no option but the MSS.
    #[track_caller]
    pub fn established() -> Rig {
        Rig::accepted(PLAIN)
    }

    /// SYN-SENT.
    #[track_caller]
    pub fn connecting() -> Rig {
        Rig::new().connect(ConnectOptions::default())
    }

    /// Connects to the peer, in a rig that the test has set up.
    #[track_caller]
    pub fn connect(mut self, options: ConnectOptions) -> Rig {
        let asks = self.stack.config().tcp.ecn == EcnMode::On;
        let syn = if asks { "[noecn] SEW 0:0(0) <...>" } else { "S 0:0(0) <...>" };
        self.open(options).expect(syn).state(State::SynSent);
        self
    }

    /// Begins another connection to the peer, from a port of the stack's choice.
    #[track_caller]
    pub fn open(&mut self, options: ConnectOptions) -> &mut Rig {
        self.set_peer_port(8080);
        match self.stack.connect(self.now, Rig::to_stack(self.peer), options) {
            Ok(id) => self.socket = Some(id),
            Err(error) => self.fail(&format!("connect: {error:?}")),
        }
        let port = self.tcp().local().port();
        self.host.set_port(port);
        self.drain()
    }

    /// ESTABLISHED, opened by the stack; the peer's SYN carries these options.
    #[track_caller]
    pub fn connected(options: &str) -> Rig {
        let mut rig = Rig::connecting();
        rig.inject(&format!("S. 0:0(0) ack 1 win 65535 {options}"));
        rig.expect(". 1:1(0) ack 1").state(State::Established);
        rig
    }

    /// FIN-WAIT-1.
    #[track_caller]
    pub fn fin_wait_1() -> Rig {
        let mut rig = Rig::established();
        rig.shutdown();
        rig.expect("F. 1:1(0) ack 1").state(State::FinWait1);
        rig
    }

    /// FIN-WAIT-2.
    #[track_caller]
    pub fn fin_wait_2() -> Rig {
        let mut rig = Rig::fin_wait_1();
        rig.inject(". 1:1(0) ack 2");
        rig.expect_nothing().state(State::FinWait2);
        rig
    }

    /// CLOSE-WAIT.
    #[track_caller]
    pub fn close_wait() -> Rig {
        let mut rig = Rig::established();
        rig.inject("F. 1:1(0) ack 1");
        // The application may close too, and its FIN carry the acknowledgment.
        rig.expect_within(DELAYED_ACK, ". 1:1(0) ack 2");
        rig.state(State::CloseWait);
        rig
    }

    /// CLOSING.
    #[track_caller]
    pub fn closing() -> Rig {
        let mut rig = Rig::fin_wait_1();
        rig.inject("F. 1:1(0) ack 1");
        rig.expect(". 2:2(0) ack 2").state(State::Closing);
        rig
    }

    /// LAST-ACK.
    #[track_caller]
    pub fn last_ack() -> Rig {
        let mut rig = Rig::close_wait();
        rig.shutdown();
        rig.expect("F. 1:1(0) ack 2").state(State::LastAck);
        rig
    }

    /// TIME-WAIT.
    #[track_caller]
    pub fn time_wait() -> Rig {
        let mut rig = Rig::fin_wait_2();
        rig.inject("F. 1:1(0) ack 2");
        rig.expect(". 2:2(0) ack 2").state(State::TimeWait);
        rig
    }

    /// CLOSED: nothing listens, nothing is open.
    pub fn closed() -> Rig {
        Rig::new()
    }

    /// Any state.
    #[track_caller]
    pub fn in_state(state: State) -> Rig {
        match state {
            State::Closed => Rig::closed(),
            State::Listen => Rig::listening(),
            State::SynSent => Rig::connecting(),
            State::SynReceived => Rig::syn_received(),
            State::Established => Rig::established(),
            State::FinWait1 => Rig::fin_wait_1(),
            State::FinWait2 => Rig::fin_wait_2(),
            State::CloseWait => Rig::close_wait(),
            State::Closing => Rig::closing(),
            State::LastAck => Rig::last_ack(),
            State::TimeWait => Rig::time_wait(),
        }
    }
}
