//! Every state, every set of flags, every place in the sequence and acknowledgment space, with and
//! without text: what the engine does is one of the things that the RFC permits, and what the RFC
//! drops leaves the connection's numbers as they were.

use stack::testing::notation::Number;
use stack::testing::packet::{Flags, Segment};
use stack::testing::rig::Rig;
use stack::{ListenOptions, State, TcpOptions};
use std::collections::BTreeMap;
use std::time::Duration;
use tests::rfc9293::{Arrival, Block, Outcome, Reply, is_dropped, segment_arrives};

/// Bytes in flight in the states that can have some.
const IN_FLIGHT: i64 = 10;

/// Long enough for a delayed acknowledgment, too short for a retransmission.
const PATIENCE: Duration = Duration::from_millis(100);

/// All states in a table, and a match of them which does not compile unless they are all.
macro_rules! states {
    ($($state:ident,)*) => {
        const STATES: &[State] = &[$(State::$state),*];

        fn is_in_the_table(state: State) -> bool {
            match state {
                $(State::$state => STATES.contains(&state),)*
            }
        }
    };
}

states! {
    Closed,
    Listen,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    TimeWait,
}

/// Text in flight makes sense in these.
const WITH_TEXT: [State; 5] =
    [State::Established, State::FinWait1, State::CloseWait, State::Closing, State::LastAck];

/// And these can have a window that is closed, because nobody reads.
const WITH_CLOSED_WINDOW: [State; 3] = [State::Established, State::FinWait1, State::FinWait2];

/// Bytes that close a window.
const UNREAD: i64 = 2048;

/// The peer's window in every cell: another than before, so that it shows where it is believed.
const WINDOW: i64 = 1000;

/// How a state was reached.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// With nothing sent but SYNs and FINs.
    Plain,
    /// Ten bytes of text are in flight.
    InFlight,
    /// As much was received as there is room for.
    Unread,
    /// Both sides have sent a SYN.
    Simultaneous,
}

/// A rig in `state`, and what the RFC's connection block holds there. Both sides' numbers wrap
/// around within the test: the rig begins at that moment.
fn start(state: State, way: Way) -> (Rig, Block) {
    let mut rig = match way {
        Way::Plain => Rig::in_state(state),
        Way::InFlight => with_text(state),
        Way::Unread => with_closed_window(state),
        Way::Simultaneous => simultaneous(),
    };
    rig.forget_rest();
    let synchronized = !matches!(state, State::Closed | State::Listen | State::SynSent);
    let peer_fin = i64::from(matches!(
        state,
        State::CloseWait | State::Closing | State::LastAck | State::TimeWait
    ));
    let host_fin = i64::from(matches!(
        state,
        State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait
    ));
    let all_acked = matches!(state, State::FinWait2 | State::TimeWait);
    let text = if way == Way::InFlight { IN_FLIGHT } else { 0 };
    let unread = if way == Way::Unread { UNREAD } else { 0 };
    let opening = matches!(state, State::SynSent | State::SynReceived);
    let snd_nxt = 1 + text + host_fin;
    let window = if synchronized { i64::from(rig.last().window) } else { 65_535 };
    let block = Block {
        state,
        passive: state != State::SynSent && way != Way::Simultaneous,
        snd_una: if opening {
            0
        } else if all_acked {
            snd_nxt
        } else {
            1
        },
        snd_nxt,
        max_snd_wnd: 65_535,
        rcv_nxt: 1 + unread + peer_fin,
        rcv_wnd: window,
        listener: rig.listener.is_some(),
    };
    (rig, block)
}

/// The state with ten bytes of text in flight before any FIN.
fn with_text(state: State) -> Rig {
    let mut rig = Rig::established();
    rig.send(IN_FLIGHT as usize).expect("P. 1:11(10) ack 1");
    let closes = |rig: &mut Rig| {
        rig.shutdown();
        rig.forget_rest();
    };
    match state {
        State::FinWait1 => closes(&mut rig),
        State::Closing => {
            closes(&mut rig);
            rig.inject("F. 1:1(0) ack 1").expect(". 12:12(0) ack 2");
        }
        State::CloseWait | State::LastAck => {
            rig.inject("F. 1:1(0) ack 1").expect_within(PATIENCE, ". 11:11(0) ack 2");
            if state == State::LastAck {
                closes(&mut rig);
            }
        }
        _ => {}
    }
    rig.state(state);
    rig
}

/// The state with a receive buffer that is full.
fn with_closed_window(state: State) -> Rig {
    let tcp = TcpOptions { receive_buffer: Some(UNREAD as usize), ..TcpOptions::default() };
    let options = ListenOptions { tcp, ..ListenOptions::default() };
    let mut rig = Rig::new().listen(options).accept_from("<mss 1460>");
    rig.inject(". 1:1025(1024) ack 1").expect_within(PATIENCE, ". 1:1(0) ack 1025 win 1024");
    rig.inject(". 1025:2049(1024) ack 1").expect_within(PATIENCE, ". 1:1(0) ack 2049 win 0");
    if state != State::Established {
        rig.shutdown();
        rig.expect("F. 1:1(0) ack 2049 win 0");
    }
    if state == State::FinWait2 {
        rig.inject(". 2049:2049(0) ack 2");
    }
    rig.state(state);
    rig
}

/// SYN-RECEIVED from SYN-SENT.
fn simultaneous() -> Rig {
    let mut rig = Rig::connecting();
    rig.inject("S 0:0(0) win 65535 <mss 1460>").expect("S. 0:0(0) ack 1 <...>");
    rig.state(State::SynReceived);
    rig
}

fn arrivals(block: &Block) -> Vec<Arrival> {
    let (nxt, wnd) = (block.rcv_nxt, block.rcv_wnd);
    let (una, snd_nxt, max) = (block.snd_una, block.snd_nxt, block.max_snd_wnd);
    let mut seqs = vec![nxt - 100_000, nxt - 10, nxt - 5, nxt - 1, nxt, nxt + 1, nxt + 100_000];
    seqs.extend([nxt + wnd - 5, nxt + wnd - 1, nxt + wnd]);
    let mut acks = vec![una - max - 1, una - max, una - 1, una, una + 1, snd_nxt - 1, snd_nxt];
    acks.extend([snd_nxt + 1, snd_nxt + 100_000]);
    for places in [&mut seqs, &mut acks] {
        places.sort_unstable();
        places.dedup();
    }
    let mut found = Vec::new();
    for flags in (0..=255).map(Flags) {
        for &seq in &seqs {
            // Without the ACK bit the field means nothing.
            let acks = if flags.has(Flags::ACK) { &acks[..] } else { &acks[..1] };
            for &ack in acks {
                for text in [0, 10] {
                    found.push(Arrival { flags, seq, ack, text });
                }
            }
        }
    }
    found
}

/// The cell's line in packet notation.
fn line(seg: &Arrival) -> String {
    let Arrival { flags, seq, ack, text } = *seg;
    let ack = if flags.has(Flags::ACK) { format!(" ack {ack}") } else { String::new() };
    format!("{flags} {seq}:{}({text}){ack} win {WINDOW}", seq + text)
}

/// What a segment moves that the connection listens to: SND.WND, and with SND.UNA what is in
/// flight, unacknowledged and acknowledged.
fn numbers(rig: &Rig) -> Option<(u32, u32, usize, u64)> {
    let info = rig.info()?;
    Some((info.send_window, info.in_flight, info.unsent, info.bytes_acked))
}

/// Gives the rig the segment and watches what happens.
fn observe(rig: &mut Rig, block: &Block, seg: &Arrival) -> Result<Outcome, String> {
    let (before, isn) = (numbers(rig), rig.bases().seq);
    rig.inject(&line(seg));
    rig.advance(PATIENCE);
    let after = numbers(rig);
    let mut replies = Vec::new();
    while rig.unexpected() > 0 {
        replies.push(rig.next_segment());
    }
    let state = rig.current_state();
    if rig.socket.is_none() && !matches!(state, State::Listen | State::SynReceived) {
        // A connection that the segment has established waits to be accepted.
        if let Some(Ok(id)) = rig.listener.map(|listener| rig.stack.accept(listener)) {
            rig.socket = Some(id);
        }
    }
    let delivered = read(rig, block);
    // Reading may open the window; the reply is what came before.
    rig.forget_rest();
    let asks = seg.flags.has(Flags::SYN.with(Flags::ECE).with(Flags::CWR));
    if is_dropped(block, seg) && state == block.state && before != after {
        return Err(format!("dropped, but {before:?} became {after:?}"));
    }
    let reply = reply(rig, block, &replies, asks)?;
    if let (Reply::SynAck(_), [answer]) = (reply, &replies[..]) {
        has_iss(block, answer.seq.wrapping_sub(isn))?;
    }
    Ok(Outcome { state, reply, delivered })
}

/// A SYN of the connection's own has the number that it has always had; one that opens it anew has
/// a number behind all of it (RFC 1122 §4.2.2.13).
fn has_iss(block: &Block, seq: u32) -> Result<(), String> {
    let right = match block.state {
        State::Listen => true,
        State::TimeWait => i64::from(seq as i32) >= block.snd_nxt,
        _ => seq == 0,
    };
    if right { Ok(()) } else { Err(format!("a SYN-ACK with SEQ {seq}")) }
}

/// Bytes that the application can read, but for those that waited before. What they are is not
/// asked: in SYN-SENT the cell itself decides where the peer's stream begins.
fn read(rig: &mut Rig, block: &Block) -> i64 {
    let (now, mut bytes) = (rig.now(), [0; 2 * UNREAD as usize]);
    let mut tcp = match rig.socket.and_then(|id| rig.stack.tcp(id)) {
        Some(tcp) => tcp,
        None => return 0,
    };
    let read = tcp.recv(now, &mut bytes).unwrap_or(0) as i64;
    if block.rcv_wnd == 0 { (read - UNREAD).max(0) } else { read }
}

/// What the segments that came back are, in the RFC's words. `asks`: it may agree to ECN (RFC 3168
/// §6.1.1), which changes nothing else.
fn reply(rig: &Rig, block: &Block, replies: &[Segment], asks: bool) -> Result<Reply, String> {
    let bases = rig.bases();
    let [reply] = replies else {
        return match replies {
            [] => Ok(Reply::Nothing),
            many => Err(format!("{} replies", many.len())),
        };
    };
    let relative = |field: u32, base: u32| match Number::relative(field, base) {
        Number::Relative(n) => n,
        Number::Absolute(n) => i64::from(n),
    };
    let (seq, ack) = (relative(reply.seq, bases.seq), relative(reply.ack, bases.ack));
    if !reply.payload.is_empty() {
        return Err("a reply with text".into());
    }
    match reply.flags {
        flags if flags == Flags::ACK && seq == block.snd_nxt => Ok(Reply::Ack(ack)),
        flags if flags == Flags::ACK => Err(format!("ACK with SEQ {seq}, not SND.NXT")),
        flags if flags == Flags::RST => Ok(Reply::Reset(seq)),
        flags if flags == Flags::RST.with(Flags::ACK) && reply.seq == 0 => Ok(Reply::ResetAck(ack)),
        flags if flags == Flags::SYN.with(Flags::ACK) => Ok(Reply::SynAck(ack)),
        flags if asks && flags == Flags::SYN.with(Flags::ACK).with(Flags::ECE) => {
            Ok(Reply::SynAck(ack))
        }
        flags => Err(format!("a reply with the flags {flags}")),
    }
}

/// All cells of one state. Returns how many there were.
fn sweep(state: State, way: Way) -> usize {
    let (rig, block) = start(state, way);
    drop(rig);
    let cells = arrivals(&block);
    let mut wrong: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for seg in &cells {
        let (mut rig, block) = start(state, way);
        let permitted = segment_arrives(&block, seg);
        let seen = observe(&mut rig, &block, seg);
        if seen.as_ref().is_ok_and(|seen| permitted.contains(seen)) {
            continue;
        }
        // One example of each kind says more than ten thousand cells.
        let short = seen.as_ref().map(|seen| (seen.state, seen.reply));
        let kind = format!("{short:?} not {permitted:?}");
        let example = format!("{}\n   permitted {permitted:?}\n   seen      {seen:?}", line(seg));
        wrong.entry(kind).or_insert((0, example)).0 += 1;
    }
    let examples: Vec<String> =
        wrong.values().take(20).map(|(count, example)| format!("{count} like {example}")).collect();
    let total: usize = wrong.values().map(|(count, _)| count).sum();
    assert!(total == 0, "{state}: {total} of {} cells:\n{}", cells.len(), examples.join("\n"));
    cells.len()
}

#[test]
fn every_segment_in_closed() {
    sweep(State::Closed, Way::Plain);
}

#[test]
fn every_segment_in_listen() {
    sweep(State::Listen, Way::Plain);
}

#[test]
fn every_segment_in_syn_sent() {
    sweep(State::SynSent, Way::Plain);
}

#[test]
fn every_segment_in_syn_received() {
    sweep(State::SynReceived, Way::Plain);
}

#[test]
fn every_segment_in_established() {
    sweep(State::Established, Way::Plain);
}

#[test]
fn every_segment_in_fin_wait_1() {
    sweep(State::FinWait1, Way::Plain);
}

#[test]
fn every_segment_in_fin_wait_2() {
    sweep(State::FinWait2, Way::Plain);
}

#[test]
fn every_segment_in_close_wait() {
    sweep(State::CloseWait, Way::Plain);
}

#[test]
fn every_segment_in_closing() {
    sweep(State::Closing, Way::Plain);
}

#[test]
fn every_segment_in_last_ack() {
    sweep(State::LastAck, Way::Plain);
}

#[test]
fn every_segment_in_time_wait() {
    sweep(State::TimeWait, Way::Plain);
}

#[test]
fn every_segment_with_text_in_flight() {
    for state in WITH_TEXT {
        sweep(state, Way::InFlight);
    }
}

#[test]
fn every_segment_at_a_closed_window() {
    for state in WITH_CLOSED_WINDOW {
        sweep(state, Way::Unread);
    }
}

#[test]
fn every_segment_in_a_simultaneous_open() {
    sweep(State::SynReceived, Way::Simultaneous);
}

/// The sweep is as large as it claims, and reaches every state there is.
#[test]
fn the_table_is_whole() {
    let cells = |state| arrivals(&start(state, Way::Plain).1).len();
    assert!(is_in_the_table(State::Closed), "and it compiles: so are all others");
    let total: usize = STATES.iter().map(|state| cells(*state)).sum();
    assert!(total > 180_000, "{total} cells");
}

/// The transcription can tell right from wrong: each of these outcomes is a classic bug.
#[test]
fn the_transcription_can_fail() {
    let block = start(State::Established, Way::Plain).1;
    let permits = |line: (Flags, i64, i64, i64), seen: Outcome| {
        let (flags, seq, ack, text) = line;
        segment_arrives(&block, &Arrival { flags, seq, ack, text }).contains(&seen)
    };
    let seen = |state, reply, delivered| Outcome { state, reply, delivered };
    let blind = (Flags::RST, block.rcv_nxt + 1, 0, 0);
    assert!(!permits(blind, seen(State::Closed, Reply::Nothing, 0)));
    assert!(permits(blind, seen(State::Established, Reply::Ack(1), 0)));
    let syn = (Flags::SYN, 1, 0, 0);
    assert!(!permits(syn, seen(State::Closed, Reply::Reset(0), 0)));
    let text = (Flags::ACK, 1, 1, 10);
    assert!(permits(text, seen(State::Established, Reply::Ack(11), 10)));
    assert!(!permits(text, seen(State::Established, Reply::Ack(11), 9)));
    assert!(!permits(text, seen(State::Established, Reply::Nothing, 10)));
    let ghost = (Flags::ACK, 1, 2, 10);
    assert!(!permits(ghost, seen(State::Established, Reply::Ack(11), 10)));
}
