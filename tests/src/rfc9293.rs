//! SEGMENT ARRIVES, RFC 9293 §3.10.7, transcribed sentence by sentence: a second opinion.
//!
//! Written from the text of the RFC (with RFC 5961 where it refers there, and RFC 1337 for resets
//! in TIME-WAIT) and not from the engine. Numbers count from the initial sequence numbers and are
//! plain integers, so nothing wraps here. Where the RFC leaves a choice, every permitted outcome
//! is listed.

use stack::State;
use stack::testing::packet::Flags;

/// A connection block, in the RFC's names.
#[derive(Clone, Debug)]
pub struct Block {
    /// The state.
    pub state: State,
    /// Opened by a passive OPEN.
    pub passive: bool,
    /// SND.UNA. ISS is 0.
    pub snd_una: i64,
    /// SND.NXT.
    pub snd_nxt: i64,
    /// The largest window that the peer has offered (RFC 5961 §5).
    pub max_snd_wnd: i64,
    /// RCV.NXT. IRS is 0.
    pub rcv_nxt: i64,
    /// RCV.WND.
    pub rcv_wnd: i64,
    /// A listener stands on the same port.
    pub listener: bool,
}

/// The segment that arrives.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Control bits.
    pub flags: Flags,
    /// SEG.SEQ.
    pub seq: i64,
    /// SEG.ACK.
    pub ack: i64,
    /// Bytes of text.
    pub text: i64,
}

/// What goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Silence.
    Nothing,
    /// `<SEQ=SND.NXT><ACK=n><CTL=ACK>`.
    Ack(i64),
    /// `<SEQ=n><CTL=RST>`.
    Reset(i64),
    /// `<SEQ=0><ACK=n><CTL=RST,ACK>`; the zero is absolute.
    ResetAck(i64),
    /// `<SEQ=ISS><ACK=n><CTL=SYN,ACK>`.
    SynAck(i64),
}

/// What a segment leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The state afterwards.
    pub state: State,
    /// What goes back.
    pub reply: Reply,
    /// Bytes that the application can read.
    pub delivered: i64,
}

impl Arrival {
    fn has(&self, flag: Flags) -> bool {
        self.flags.has(flag)
    }

    /// SEG.LEN.
    fn len(&self) -> i64 {
        self.text + i64::from(self.has(Flags::SYN)) + i64::from(self.has(Flags::FIN))
    }
}

/// Everything that the RFC permits to happen.
pub fn segment_arrives(block: &Block, seg: &Arrival) -> Vec<Outcome> {
    match block.state {
        State::Closed => vec![closed(block, seg)],
        State::Listen => vec![listen(block, seg)],
        State::SynSent => syn_sent(block, seg),
        _ => otherwise(block, seg),
    }
}

/// True when the RFC drops the segment, or ignores its acknowledgment and its window: whatever is
/// said of them moves neither SND.UNA nor SND.WND. In the synchronized states.
pub fn is_dropped(block: &Block, seg: &Arrival) -> bool {
    let early = [State::Closed, State::Listen, State::SynSent, State::SynReceived];
    let refused = !acceptable(block, seg) && heard_all_the_same(block, seg).is_empty();
    let control = !seg.has(Flags::ACK) || seg.has(Flags::RST) || seg.has(Flags::SYN);
    // "If SND.UNA =< SEG.ACK =< SND.NXT, the send window should be updated."
    let stray = seg.ack < block.snd_una || seg.ack > block.snd_nxt;
    !early.contains(&block.state) && (refused || control || stray)
}

fn outcome(state: State, reply: Reply) -> Outcome {
    Outcome { state, reply, delivered: 0 }
}

/// §3.10.7.1: "all data in the incoming segment is discarded. An incoming segment containing a RST
/// is discarded. An incoming segment not containing a RST causes a RST to be sent in response."
fn closed(block: &Block, seg: &Arrival) -> Outcome {
    let reply = if seg.has(Flags::RST) {
        Reply::Nothing
    } else if seg.has(Flags::ACK) {
        Reply::Reset(seg.ack)
    } else {
        Reply::ResetAck(seg.seq + seg.len())
    };
    outcome(block.state, reply)
}

/// §3.10.7.2.
fn listen(block: &Block, seg: &Arrival) -> Outcome {
    // First, check for a RST: "An incoming RST segment could not be valid [..] Return."
    if seg.has(Flags::RST) {
        return outcome(State::Listen, Reply::Nothing);
    }
    // Second, check for an ACK: "Any acknowledgment is bad if it arrives on a connection still in
    // the LISTEN state."
    if seg.has(Flags::ACK) {
        return outcome(State::Listen, Reply::Reset(seg.ack));
    }
    // Third, check for a SYN. Text and FIN that come with it are left to be sent again.
    if seg.has(Flags::SYN) {
        return outcome(State::SynReceived, Reply::SynAck(seg.seq + 1));
    }
    // Fourth, other data or control: "drop the segment and return."
    outcome(block.state, Reply::Nothing)
}

/// §3.10.7.3.
fn syn_sent(block: &Block, seg: &Arrival) -> Vec<Outcome> {
    let here = |reply| vec![outcome(State::SynSent, reply)];
    // First, check the ACK bit: "If SEG.ACK =< ISS or SEG.ACK > SND.NXT, send a reset (unless the
    // RST bit is set, if so drop the segment and return)".
    let acknowledges = seg.has(Flags::ACK);
    if acknowledges && (seg.ack <= 0 || seg.ack > block.snd_nxt) {
        let silent = seg.has(Flags::RST);
        return here(if silent { Reply::Nothing } else { Reply::Reset(seg.ack) });
    }
    // Second, check the RST bit: "If the ACK was acceptable, then signal to the user 'error:
    // connection reset', drop the segment, enter CLOSED state [..] Otherwise (no ACK), drop".
    if seg.has(Flags::RST) {
        let state = if acknowledges { State::Closed } else { State::SynSent };
        return vec![outcome(state, Reply::Nothing)];
    }
    // Fifth, "if neither of the SYN or RST bits is set, then drop the segment and return."
    if !seg.has(Flags::SYN) {
        return here(Reply::Nothing);
    }
    // Fourth, check the SYN bit: "If SND.UNA > ISS (our SYN has been ACKed), change the connection
    // state to ESTABLISHED, form an ACK segment [..] otherwise, enter SYN-RECEIVED". What else the
    // segment holds is processed from the sixth step on, or is sent again by the peer.
    if !acknowledges {
        return vec![outcome(State::SynReceived, Reply::SynAck(seg.seq + 1))];
    }
    let mut block = block.clone();
    block.state = State::Established;
    block.snd_una = seg.ack;
    block.rcv_nxt = seg.seq + 1;
    let text = Arrival { seq: seg.seq + 1, ..*seg };
    let mut taken = text_and_fin(&block, &text);
    taken.reply = match taken.reply {
        Reply::Nothing => Reply::Ack(block.rcv_nxt),
        reply => reply,
    };
    let left = outcome(State::Established, Reply::Ack(block.rcv_nxt));
    vec![taken, left]
}

/// §3.10.7.4, "Otherwise".
fn otherwise(block: &Block, seg: &Arrival) -> Vec<Outcome> {
    let challenge = Reply::Ack(block.rcv_nxt);
    if let Some(reopened) = reopens(block, seg) {
        return vec![reopened, outcome(block.state, challenge)];
    }
    // First, check sequence number: "If an incoming segment is not acceptable, an acknowledgment
    // should be sent in reply (unless the RST bit is set, if so drop the segment and return)".
    let old = seg.seq < block.rcv_nxt;
    let mut outcomes = Vec::new();
    if seg.has(Flags::RST) {
        outcomes.push(outcome(block.state, Reply::Nothing));
    } else {
        outcomes.push(outcome(block.state, challenge));
        // The peer's SYN again means that the SYN-ACK was lost: it may be sent again instead.
        let again = block.state == State::SynReceived && seg.has(Flags::SYN) && seg.seq == 0;
        outcomes.extend(again.then(|| outcome(block.state, Reply::SynAck(block.rcv_nxt))));
    }
    if !acceptable(block, seg) {
        outcomes.extend(heard_all_the_same(block, seg));
        return outcomes;
    }
    // A segment that is partly old: a half-open connection may leave all of it to be sent again.
    // Elsewhere the old part may be acknowledged even where the rest is dropped.
    let half_open = block.state == State::SynReceived && block.passive;
    let drops = !seg.has(Flags::ACK) && !seg.has(Flags::RST);
    let mut outcomes = if old && (half_open || drops) { outcomes } else { Vec::new() };
    outcomes.extend(within_the_window(block, seg));
    // "TIME-WAIT: The only thing that can arrive in this state is a retransmission of the remote
    // FIN. Acknowledge it": and whatever else it is, but not the peer's last ACK.
    let last_ack = seg.len() == 0 && seg.seq == block.rcv_nxt;
    if block.state == State::TimeWait && !seg.has(Flags::RST) && !last_ack {
        outcomes.push(outcome(block.state, challenge));
    }
    outcomes
}

/// The ACK of a FIN or a probe that stands just before RCV.NXT may be processed, as "special
/// allowance should be made to accept valid ACKs" (draft-gont-tcpm-tcp-seq-validation §3), and so
/// may that of an empty segment just behind the window, as in Linux and BSD; and "if the RCV.WND is
/// zero, no segments will be acceptable, but special allowance should be made".
fn heard_all_the_same(block: &Block, seg: &Arrival) -> Vec<Outcome> {
    // "To accept valid ACKs, URGs, and RSTs"; and a FIN by itself needs no room, either.
    let closed = seg.seq == block.rcv_nxt && block.rcv_wnd == 0;
    if closed && seg.has(Flags::RST) {
        return vec![reset(block, seg)];
    }
    let controls = [Flags::SYN, Flags::RST].into_iter().any(|flag| seg.has(flag));
    let before = seg.seq + 1 == block.rcv_nxt && seg.len() <= 1;
    let behind = seg.seq == block.rcv_nxt + block.rcv_wnd && seg.len() == 0;
    if !(before || behind || closed)
        || controls
        || !seg.has(Flags::ACK)
        || block.state == State::TimeWait
    {
        return Vec::new();
    }
    let heard = Arrival { flags: Flags::ACK, seq: block.rcv_nxt, text: 0, ..*seg };
    let replied = |outcome: Outcome| match outcome.reply {
        Reply::Nothing => Outcome { reply: Reply::Ack(block.rcv_nxt), ..outcome },
        _ => outcome,
    };
    let mut outcomes = within_the_window(block, &heard);
    if closed && seg.has(Flags::FIN) && seg.text == 0 {
        let fin = Arrival { flags: Flags::ACK.with(Flags::FIN), ..heard };
        outcomes.extend(within_the_window(&Block { rcv_wnd: 1, ..block.clone() }, &fin));
    }
    outcomes.iter().copied().chain(outcomes.iter().copied().map(replied)).collect()
}

/// From the second step on, for an acceptable segment.
fn within_the_window(block: &Block, seg: &Arrival) -> Vec<Outcome> {
    let here = |reply| vec![outcome(block.state, reply)];
    let challenge = Reply::Ack(block.rcv_nxt);
    // Second, check the RST bit (RFC 5961 §3): "If the RST bit is set and the sequence number
    // exactly matches the next expected sequence number (RCV.NXT), then [..] reset [..]; does not
    // exactly match [..], yet is within the current receive window, [..] challenge ACK".
    if seg.has(Flags::RST) {
        return vec![reset(block, seg)];
    }
    // Fourth, check the SYN bit: "SYN-RECEIVED: If the connection was initiated with a passive
    // OPEN, then return this connection to the LISTEN state and return." Otherwise, and by RFC
    // 5961 there too: a challenge ACK.
    if seg.has(Flags::SYN) {
        let mut outcomes = here(challenge);
        if block.state == State::SynReceived && block.passive {
            outcomes.push(outcome(State::Listen, Reply::Nothing));
        }
        return outcomes;
    }
    // Fifth, check the ACK field: "if the ACK bit is off, drop the segment and return".
    if !seg.has(Flags::ACK) {
        return here(Reply::Nothing);
    }
    acknowledged(block, seg)
}

/// In TIME-WAIT a SYN beyond everything seen may open the connection anew (RFC 1122 §4.2.2.13).
fn reopens(block: &Block, seg: &Arrival) -> Option<Outcome> {
    let others = Flags::RST.with(Flags::ACK);
    let is_syn = seg.has(Flags::SYN) && seg.flags.0 & others.0 == 0;
    let beyond = seg.seq > block.rcv_nxt && block.state == State::TimeWait && block.listener;
    (is_syn && beyond).then(|| outcome(State::SynReceived, Reply::SynAck(seg.seq + 1)))
}

/// The four cases of the acceptability test (§3.4).
fn acceptable(block: &Block, seg: &Arrival) -> bool {
    let (nxt, wnd) = (block.rcv_nxt, block.rcv_wnd);
    let within = |n: i64| nxt <= n && n < nxt + wnd;
    match (seg.len(), wnd) {
        (0, 0) => seg.seq == nxt,
        (0, _) => within(seg.seq),
        (_, 0) => false,
        (len, _) => within(seg.seq) || within(seg.seq + len - 1),
    }
}

fn reset(block: &Block, seg: &Arrival) -> Outcome {
    // RFC 1337 §3: TIME-WAIT is not assassinated; a RST is ignored there.
    if block.state == State::TimeWait {
        return outcome(State::TimeWait, Reply::Nothing);
    }
    if seg.seq != block.rcv_nxt {
        return outcome(block.state, Reply::Ack(block.rcv_nxt));
    }
    let returns = block.state == State::SynReceived && block.passive;
    outcome(if returns { State::Listen } else { State::Closed }, Reply::Nothing)
}

/// From the fifth step on, with the ACK bit on.
fn acknowledged(block: &Block, seg: &Arrival) -> Vec<Outcome> {
    let here = |reply| vec![outcome(block.state, reply)];
    let is_new = block.snd_una < seg.ack && seg.ack <= block.snd_nxt;
    // "SYN-RECEIVED: If SND.UNA < SEG.ACK =< SND.NXT, then enter ESTABLISHED state [..] If the
    // segment acknowledgment is not acceptable, form a reset segment <SEQ=SEG.ACK><CTL=RST>".
    if block.state == State::SynReceived && !is_new {
        return here(Reply::Reset(seg.ack));
    }
    // "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the
    // segment, and return"; RFC 5961 §5 the same below SND.UNA - MAX.SND.WND.
    if seg.ack > block.snd_nxt || seg.ack < block.snd_una - block.max_snd_wnd {
        let mut outcomes = here(Reply::Ack(block.rcv_nxt));
        // TIME-WAIT need not look at acknowledgments any more.
        outcomes.extend((block.state == State::TimeWait).then(|| here(Reply::Nothing)[0]));
        return outcomes;
    }
    let found = in_order(block, seg);
    let mut outcomes = vec![found];
    // "This should not occur since a FIN has been received from the remote side. Ignore the
    // segment text": whether that is worth an acknowledgment is not said.
    if matches!(block.state, State::CloseWait | State::Closing | State::LastAck | State::TimeWait) {
        outcomes.push(Outcome { reply: Reply::Nothing, ..found });
    }
    // An acknowledgment from before the SYN is no old one but a forged one, whatever the window.
    if seg.ack <= 0 {
        outcomes.extend(here(Reply::Ack(block.rcv_nxt)));
    }
    outcomes
}

/// States after an acceptable acknowledgment, then text and FIN.
fn in_order(block: &Block, seg: &Arrival) -> Outcome {
    let fin_acked = seg.ack == block.snd_nxt;
    let mut block = block.clone();
    block.state = match block.state {
        State::SynReceived => State::Established,
        // "if the FIN segment is now acknowledged, then enter FIN-WAIT-2".
        State::FinWait1 if fin_acked => State::FinWait2,
        // "if the ACK acknowledges our FIN, then enter the TIME-WAIT state".
        State::Closing if fin_acked => State::TimeWait,
        // "If our FIN is now acknowledged, delete the TCB, enter the CLOSED state, and return."
        State::LastAck if fin_acked => return outcome(State::Closed, Reply::Nothing),
        state => state,
    };
    text_and_fin(&block, seg)
}

/// Seventh, process the segment text; eighth, check the FIN bit. The segment has passed the
/// sequence check and is cut to the window here.
fn text_and_fin(block: &Block, seg: &Arrival) -> Outcome {
    let edge = block.rcv_nxt + block.rcv_wnd;
    let (first, end) = (seg.seq.max(block.rcv_nxt), (seg.seq + seg.text).min(edge));
    let fin_fits = seg.has(Flags::FIN) && seg.seq + seg.text < edge;
    let reads = matches!(block.state, State::Established | State::FinWait1 | State::FinWait2);
    let mut found = outcome(block.state, Reply::Nothing);
    let mut nxt = block.rcv_nxt;
    if seg.text > 0 || seg.has(Flags::FIN) {
        found.reply = Reply::Ack(nxt);
    }
    if reads && first == nxt && end > nxt {
        found.delivered = end - nxt;
        nxt = end;
        found.reply = Reply::Ack(nxt);
    }
    if !fin_fits || seg.seq + seg.text != nxt {
        return found;
    }
    // "If the FIN bit is set, signal the user 'connection closing' [..], advance RCV.NXT over the
    // FIN, and send an acknowledgment for the FIN."
    let entered = match block.state {
        State::SynReceived | State::Established => State::CloseWait,
        State::FinWait1 => State::Closing,
        State::FinWait2 => State::TimeWait,
        state => return Outcome { state, ..found },
    };
    Outcome { state: entered, reply: Reply::Ack(nxt + 1), ..found }
}
