//! The state machine of a connection (RFC 9293 §3.3.2) as one total table.
//!
//! The table is the only place where a state changes. The diagram in `docs/TCP.md` is drawn from
//! it by [`diagram`], and a test keeps the two equal.

use core::fmt;

/// The eleven states of RFC 9293 §3.3.2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for a connection request.
    Listen,
    /// Waiting for a matching request after having sent one.
    SynSent,
    /// Waiting for the acknowledgment of a request after having both received and sent one.
    SynReceived,
    /// Open: text flows both ways.
    Established,
    /// We closed; neither our FIN's acknowledgment nor the peer's FIN has come.
    FinWait1,
    /// We closed and the peer knows; its own FIN has not come.
    FinWait2,
    /// The peer closed; our application has not.
    CloseWait,
    /// Both closed at once; our FIN's acknowledgment has not come.
    Closing,
    /// The peer closed, then we; our FIN's acknowledgment has not come.
    LastAck,
    /// Both closed; waiting until no old segment can be about.
    TimeWait,
}

/// What can change the state of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// The application opens passively.
    PassiveOpen,
    /// The application opens actively; a SYN is due.
    ActiveOpen,
    /// A SYN without an acceptable ACK arrived.
    RcvSyn,
    /// A SYN with the ACK of ours arrived.
    RcvSynAck,
    /// Our SYN was acknowledged.
    AckOfSyn,
    /// The application closes its half; a FIN is due.
    Close,
    /// Our FIN was acknowledged.
    AckOfFin,
    /// The peer's FIN arrived, all text before it being here.
    RcvFin,
    /// A RST, an abort, or a time-out ends it.
    Abort,
    /// 2 MSL have passed.
    TimeWaitOver,
}

impl State {
    /// All states, in the order of the RFC.
    pub const ALL: [State; 11] = [
        State::Listen,
        State::SynSent,
        State::SynReceived,
        State::Established,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::TimeWait,
        State::Closed,
    ];

    /// The next state (RFC 9293 figure 5). An event that means nothing to a state leaves it.
    #[must_use]
    pub(crate) const fn on(self, event: Event) -> State {
        use Event as E;
        use State as S;
        match (self, event) {
            (S::Closed, E::PassiveOpen) => S::Listen,
            (S::Closed, E::ActiveOpen) => S::SynSent,
            (S::Listen, E::RcvSyn) => S::SynReceived,
            (S::Listen, E::Close) => S::Closed,
            (S::SynSent, E::RcvSynAck) => S::Established,
            (S::SynSent, E::RcvSyn) => S::SynReceived,
            (S::SynSent, E::Close) => S::Closed,
            (S::SynReceived, E::AckOfSyn) => S::Established,
            (S::SynReceived, E::Close) => S::FinWait1,
            (S::SynReceived, E::RcvFin) => S::CloseWait,
            (S::Established, E::Close) => S::FinWait1,
            (S::Established, E::RcvFin) => S::CloseWait,
            (S::FinWait1, E::AckOfFin) => S::FinWait2,
            (S::FinWait1, E::RcvFin) => S::Closing,
            (S::FinWait2, E::RcvFin) => S::TimeWait,
            (S::CloseWait, E::Close) => S::LastAck,
            (S::Closing, E::AckOfFin) => S::TimeWait,
            (S::LastAck, E::AckOfFin) => S::Closed,
            (S::TimeWait, E::TimeWaitOver) => S::Closed,
            (_, E::Abort) => S::Closed,
            (state, _) => state,
        }
    }

    /// Established or later, and not closed: both sides know each other's sequence numbers.
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::Listen | State::SynSent | State::SynReceived)
    }

    /// The application may still send: its half is open.
    pub const fn may_send(self) -> bool {
        matches!(self, State::Established | State::CloseWait)
    }

    /// The peer may still send: no FIN has come from it.
    pub const fn may_receive(self) -> bool {
        matches!(self, State::Established | State::FinWait1 | State::FinWait2)
    }

    /// The RFC's name, as `ss` and `netstat` readers know it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::Listen => "LISTEN",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::Established => "ESTABLISHED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::CloseWait => "CLOSE-WAIT",
            State::Closing => "CLOSING",
            State::LastAck => "LAST-ACK",
            State::TimeWait => "TIME-WAIT",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state diagram in Mermaid's notation, drawn from the table: `docs/TCP.md` shows it.
pub fn diagram() -> String {
    use Event as E;
    const EVENTS: [(Event, &str); 9] = [
        (E::PassiveOpen, "passive OPEN"),
        (E::ActiveOpen, "active OPEN / send SYN"),
        (E::RcvSyn, "receive SYN / send SYN,ACK"),
        (E::RcvSynAck, "receive SYN,ACK / send ACK"),
        (E::AckOfSyn, "receive ACK of SYN"),
        (E::Close, "CLOSE / send FIN"),
        (E::AckOfFin, "receive ACK of FIN"),
        (E::RcvFin, "receive FIN / send ACK"),
        (E::TimeWaitOver, "2 MSL pass"),
    ];
    let id = |state: State| state.name().replace('-', "_");
    let mut text = String::from("stateDiagram-v2\n    [*] --> CLOSED\n");
    for from in State::ALL {
        for (event, label) in EVENTS {
            let to = from.on(event);
            if to != from {
                let label = match (event, to) {
                    (E::Close, State::Closed) => "CLOSE / delete TCB",
                    _ => label,
                };
                text.push_str(&format!("    {} --> {}: {label}\n", id(from), id(to)));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_ends_every_state() {
        assert!(State::ALL.iter().all(|state| state.on(Event::Abort) == State::Closed));
    }

    #[test]
    fn both_closing_orders_end_closed() {
        use Event::*;
        let run = |events: &[Event]| events.iter().fold(State::Established, |s, &e| s.on(e));
        assert_eq!(run(&[Close, AckOfFin, RcvFin]), State::TimeWait);
        assert_eq!(run(&[Close, RcvFin, AckOfFin]), State::TimeWait);
        assert_eq!(run(&[RcvFin, Close, AckOfFin]), State::Closed);
        assert_eq!(run(&[Close, RcvFin, AckOfFin, TimeWaitOver]), State::Closed);
    }

    #[test]
    fn the_diagram_in_the_documentation_is_drawn_from_the_code() {
        let page = include_str!("../../../docs/TCP.md");
        assert!(
            page.contains(&diagram()),
            "docs/TCP.md must hold this diagram:\n```mermaid\n{}```",
            diagram()
        );
    }
}
