//! What happened at a host, as a test beside a rig (`stack::testing::rig`): packets in packet
//! notation, the application's calls, and the time between them.

use super::plan::{HostPlan, Numbers, Plan};
use stack::Instant;
use stack::testing::notation::{Bases, Notation};
use stack::testing::options::first_timestamp;
use stack::testing::packet::{Flags, Segment};
use std::fmt::Write;

/// One thing that happened.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The host was given a frame.
    Received(Vec<u8>),
    /// The host sent a frame.
    Sent(Vec<u8>),
    /// The application did something, in the words of a rig.
    Call(String),
}

/// What the numbers of a plan are called in `stack::Config`, and in `stack::TcpOptions`.
const CONFIG: [(&str, &str); 8] = [
    ("mtu", "config.mtu = N"),
    ("syn_ack_retries", "config.tcp.syn_ack_retries = N"),
    ("delayed_ack_ms", "config.tcp.delayed_ack = ms(N)"),
    ("ranges_max", "config.tcp.ranges_max = N"),
    ("memory_kib", "config.tcp.memory_max = N << 10"),
    ("half_open_max", "config.tcp.half_open_max = N"),
    ("time_wait_ms", "config.tcp.time_wait = ms(N)"),
    ("time_wait_max", "config.tcp.time_wait_max = N"),
];
const OPTIONS: [(&str, &str); 9] = [
    ("nodelay", "nodelay: true"),
    ("cork", "cork: true"),
    ("notsent_lowat", "notsent_lowat: Some(N)"),
    ("congestion", "congestion: Some(Congestion::ALL[N])"),
    ("quick_ack", "quick_ack: true"),
    ("max_segment", "max_segment: Some(N)"),
    ("receive_buffer", "receive_buffer: Some(N)"),
    ("send_buffer", "send_buffer: Some(N)"),
    ("user_timeout_ms", "user_timeout: Some(ms(N))"),
];

fn settings(plan: &HostPlan, names: &[(&str, &str)]) -> Vec<String> {
    let mut plan = plan.clone();
    let changed = plan.each().into_iter().filter(|(_, calm, value)| **value != *calm);
    let said = changed.filter_map(|(name, _, value)| {
        let (_, text) = names.iter().find(|(known, _)| *known == name)?;
        Some(text.replace('N', &value.to_string()))
    });
    said.collect()
}

/// The test: `what` is what went wrong at its end.
pub(super) fn write(plan: &Plan, i: usize, log: &[(Instant, Event)], what: &str) -> String {
    let host = &plan.hosts[i];
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "    {words}").expect("a string takes it");
    let config = settings(host, &CONFIG).into_iter().map(|setting| format!("{setting};"));
    let config = config.collect::<Vec<_>>().join(" ");
    line(format!("let tcp = TcpOptions {{ {}..TcpOptions::default() }};", {
        let options = settings(host, &OPTIONS).into_iter().map(|setting| format!("{setting}, "));
        options.collect::<String>()
    }));
    line(format!("let mut t = Rig::with(|config| {{ {config} }})"));
    let opens = log.iter().any(|(_, event)| matches!(event, Event::Call(call) if call == CONNECT));
    line(match opens {
        true => ".connect(ConnectOptions { tcp, ..ConnectOptions::default() });".into(),
        false => ".listen(ListenOptions { tcp, ..ListenOptions::default() });".into(),
    });
    let mut bases = Known::default();
    let mut last: Option<Instant> = None;
    for (at, event) in log {
        let Some(words) = bases.say(event, opens) else { continue };
        let since = last.map_or(0, |last| (*at - last).as_micros());
        if since > 0 {
            line(format!("t.advance(Duration::from_micros({since}));"));
        }
        last = Some(*at);
        line(words);
    }
    let what = what.lines().next().unwrap_or("");
    let version = if plan.run.ip == 6 { "\n/// With `TAPSTACK_IP=6`." } else { "" };
    let seed = plan.run.seed;
    format!("/// {what}{version}\n#[test]\nfn seed_{seed}_host_{i}() {{\n{text}    // {what}\n}}\n")
}

/// How a connection that the host opens begins.
pub(super) const CONNECT: &str = "connect";

/// Where both directions of the connection count from.
#[derive(Default)]
struct Known {
    own: Option<(u32, u32)>,
    peer: Option<(u32, u32)>,
}

impl Known {
    fn say(&mut self, event: &Event, opens: bool) -> Option<String> {
        let (frame, sent) = match event {
            Event::Call(call) if call == CONNECT => return None,
            Event::Call(call) => return Some(format!("t.{call};")),
            Event::Received(frame) => (frame, false),
            Event::Sent(frame) => (frame, true),
        };
        let segment = match Segment::from_frame(frame) {
            Ok(Some(segment)) => segment,
            // Ethernet and ARP are the rig's business.
            Ok(None) => return None,
            Err(wrong) => return Some(format!("// a damaged frame: {wrong}")),
        };
        let first = self.own.is_none();
        let side = if sent { &mut self.own } else { &mut self.peer };
        if segment.flags.has(Flags::SYN) {
            let stamp = first_timestamp(&segment.options).unwrap_or(0);
            side.get_or_insert((segment.seq, stamp));
        }
        let (own, peer) = (self.own.unwrap_or_default(), self.peer.unwrap_or_default());
        let bases = Bases { seq: own.0, ack: peer.0, val: own.1, ecr: peer.1 };
        if !sent {
            let line = Notation::of(&segment, bases.reversed());
            return Some(format!("t.inject(\"{line}\");"));
        }
        // A rig that connects has expected the SYN already.
        let line = Notation::of(&segment, bases);
        (!(opens && first)).then(|| format!("t.expect(\"{line}\");"))
    }
}
