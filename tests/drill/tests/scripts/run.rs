//! Runs a script as packetdrill does: its waits, its two threads, its tolerance.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use stack::testing::notation::{Bases, Notation};
use stack::testing::options::TcpOption;
use stack::testing::packet::{Flags, Segment};

use crate::assert::Variables;
use crate::calls::{Machine, PORT, text};
use crate::library::{self, Library};
use crate::script::{Action, Call, Event, When, parse};
use crate::version::{LOCAL, REMOTE, Version};

/// packetdrill's tolerance, microseconds; or an eighth of the time since the last event.
const TOLERANCE: i64 = 4000;
/// packetdrill spins for so long before an event instead of sleeping, microseconds.
const SPIN: i64 = 20;
/// The scripted peer's port.
const PEER_PORT: u16 = 40_000;
/// Window of injected segments that name none.
const WINDOW: u16 = 65_535;

/// A blocking call on its way to the second thread: when, and what.
type Job = (i64, Call);

/// What a blocking call came to: when it ended.
type Outcome = Result<i64, String>;

/// The second thread, as the first sees it.
struct Second {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
    outcomes: Receiver<Outcome>,
    /// The call under way: its line, and when it is to end and with which tolerance.
    pending: Option<(usize, i64, i64)>,
}

/// What the second thread tells of itself.
#[derive(Default)]
struct Shared {
    /// Its number in /proc.
    number: AtomicI32,
    /// It is about to make the call.
    started: AtomicBool,
}

/// A script on its way.
struct Run {
    machine: Arc<Machine>,
    second: Second,
    /// The clock when the script began.
    begin: i64,
    events: usize,
    last: i64,
    last_was_inbound: bool,
    connecting: bool,
    local_port: u16,
    /// Initial sequence numbers: the peer's is the script's.
    local_isn: Option<u32>,
    remote_isn: u32,
    /// What live timestamps are ahead of scripted ones.
    stamp: Option<u32>,
    last_injected: Option<Segment>,
    variables: Variables,
}

/// Runs a script over this IP version.
pub(crate) fn run(text: &str, version: Version) -> Result<(), String> {
    // One at a time: a script's end closes descriptors behind the door's back, and their numbers
    // are another's at once.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let events = parse(text)?;
    let machine = Arc::new(Machine {
        library: Library::open(&version.flags()),
        fds: Mutex::new(BTreeMap::new()),
        moved: Mutex::new(BTreeMap::new()),
        version,
    });
    let begin = (0..10).fold(0, |_, _| clock(&machine.library)) + 250;
    let mut run = Run {
        second: spawn(Arc::clone(&machine), begin),
        machine,
        begin,
        events: 0,
        last: 0,
        last_was_inbound: false,
        connecting: false,
        local_port: PORT,
        local_isn: None,
        remote_isn: 0,
        stamp: None,
        last_injected: None,
        variables: Variables::new(),
    };
    for event in &events {
        run.event(event).map_err(|what| format!("line {}: {what}", event.line))?;
    }
    run.finish()
}

fn clock(library: &Library) -> i64 {
    let mut now = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let answer = (library.gettimeofday)(library.userdata, &mut now, std::ptr::null_mut());
    assert_eq!(answer, 0, "a clock that fails would be waited for for ever");
    now.tv_sec * 1_000_000 + now.tv_usec
}

/// Sleeps until a moment of the script, as packetdrill does: most of it asleep, the rest spinning.
fn wait_until(library: &Library, moment: i64) {
    loop {
        let left = moment - clock(library);
        if left <= 0 {
            return;
        }
        if left > SPIN {
            (library.usleep)(library.userdata, (left - SPIN) as u32);
        }
    }
}

/// The thread of the blocking calls. After a failure it sleeps on in its call, with what it holds.
#[expect(clippy::disallowed_methods, reason = "blocking calls need a thread, as in packetdrill")]
fn spawn(machine: Arc<Machine>, begin: i64) -> Second {
    let (jobs, todo) = channel::<Job>();
    let (done, outcomes) = channel();
    let shared = Arc::new(Shared::default());
    let own = Arc::clone(&shared);
    thread::spawn(move || {
        own.number.store(library::thread_number(), Ordering::SeqCst);
        for (at, call) in todo {
            wait_until(&machine.library, begin + at);
            own.started.store(true, Ordering::SeqCst);
            let result = machine.call(&call);
            let end = clock(&machine.library);
            let _ = done.send(result.map(|()| end - begin));
        }
    });
    Second { shared, jobs, outcomes, pending: None }
}

impl Run {
    fn now(&self) -> i64 {
        clock(&self.machine.library) - self.begin
    }

    fn event(&mut self, event: &Event) -> Result<(), String> {
        let inbound = matches!(event.action, Action::Inject(_));
        let base = match event.when {
            When::After(..) if inbound && self.last_was_inbound => self.last,
            When::After(..) => self.now(),
            When::At(..) | When::Any => 0,
        };
        let (at, until) = match event.when {
            When::At(at, until) | When::After(at, until) => {
                (Some(base + at), until.map(|until| base + until))
            }
            When::Any => (None, None),
        };
        let before = self.last;
        match &event.action {
            Action::Inject(line) => {
                self.wait(at, before)?;
                self.inject(line)?;
            }
            Action::Expect(line) => self.expect(line, at, until, before)?,
            Action::Assert(text) => {
                self.wait(at, before)?;
                crate::assert::check(&self.machine, &mut self.variables, text)?;
            }
            Action::Call(call) if call.blocks => self.enqueue(event.line, call, at, until)?,
            Action::Call(call) => {
                self.idle()?;
                self.wait(at, before)?;
                self.note(call);
                self.machine.call(call).map_err(|what| format!("{}: {what}", call.name))?;
            }
        }
        self.events += 1;
        self.last = at.unwrap_or_else(|| self.now());
        self.last_was_inbound = inbound;
        Ok(())
    }

    fn note(&mut self, call: &Call) {
        let flags = call.arguments.get(3).and_then(|flags| flags.int().ok()).unwrap_or(0);
        let fast_open = call.name == "sendto" && flags & i64::from(libc::MSG_FASTOPEN) != 0;
        if (call.name == "connect" || fast_open) && self.local_isn.is_none() {
            self.connecting = true;
        }
    }

    /// Waits for an event's moment, and checks that it has not gone by.
    fn wait(&mut self, at: Option<i64>, before: i64) -> Result<(), String> {
        let Some(at) = at else { return Ok(()) };
        wait_until(&self.machine.library, self.begin + at);
        if self.events == 0 {
            return Ok(());
        }
        on_time("the event", at, None, self.now(), before)
    }

    // The second thread.

    fn enqueue(
        &mut self,
        line: usize,
        call: &Call,
        at: Option<i64>,
        until: Option<i64>,
    ) -> Result<(), String> {
        self.idle()?;
        self.note(call);
        let (at, until) = (at.unwrap_or(0), until.ok_or("a blocking call has an end")?);
        self.second.shared.started.store(false, Ordering::SeqCst);
        self.second.pending = Some((line, until, at));
        self.second.jobs.send((at, call.clone())).map_err(|_| "the second thread is gone")?;
        while !self.second.shared.started.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        // Until it sleeps in the call, or is done with it.
        while !self.sleeps() {
            thread::yield_now();
            if self.collect(Duration::ZERO)? {
                break;
            }
        }
        Ok(())
    }

    fn sleeps(&self) -> bool {
        let number = self.second.shared.number.load(Ordering::SeqCst);
        let stat = std::fs::read_to_string(format!("/proc/self/task/{number}/stat"));
        // The state stands behind the name, which stands in brackets.
        stat.is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, it)| it.starts_with(" S")))
    }

    /// Takes the outcome of a blocking call, if there is one. True when none is under way.
    fn collect(&mut self, patience: Duration) -> Result<bool, String> {
        let Some((line, until, at)) = self.second.pending else { return Ok(true) };
        let Ok(outcome) = self.second.outcomes.recv_timeout(patience) else { return Ok(false) };
        self.second.pending = None;
        let end = outcome.map_err(|what| format!("the call of line {line} {what}"))?;
        on_time(&format!("the return of line {line}"), until, None, end, at)?;
        Ok(true)
    }

    /// Waits, in real time, until no blocking call is under way.
    fn idle(&mut self) -> Result<(), String> {
        match self.collect(Duration::from_secs(1))? {
            true => Ok(()),
            false => Err("a blocking call is still under way".into()),
        }
    }

    // Packets.

    /// From whom to whom the peer sends: addresses of IPv4 stand for both versions.
    fn flow(&self) -> (SocketAddrV4, SocketAddrV4) {
        let peer = if self.connecting { PORT } else { PEER_PORT };
        (SocketAddrV4::new(REMOTE, peer), SocketAddrV4::new(LOCAL, self.local_port))
    }

    fn bases(&self) -> Bases {
        Bases {
            seq: self.local_isn.unwrap_or(0),
            ack: self.remote_isn,
            val: self.stamp.unwrap_or(0),
            ecr: 0,
        }
    }

    fn inject(&mut self, line: &Notation) -> Result<(), String> {
        let segment = line
            .to_segment(self.flow(), self.bases().reversed(), WINDOW, |offset| text(offset.into()));
        self.send(&segment)?;
        self.last_injected = Some(segment);
        Ok(())
    }

    fn send(&self, segment: &Segment) -> Result<(), String> {
        let (lib, packet) = (&self.machine.library, self.machine.version.packet(segment));
        match (lib.netdev_send)(lib.userdata, packet.as_ptr().cast(), packet.len()) {
            0 => Ok(()),
            _ => Err("the packet was refused".into()),
        }
    }

    /// The next packet of this connection, and when it was sent.
    fn next(&mut self) -> Result<(Segment, i64), String> {
        loop {
            let mut room = vec![0; 66_000];
            let (mut length, mut at) = (room.len(), 0);
            let lib = &self.machine.library;
            let into = room.as_mut_ptr().cast();
            if (lib.netdev_receive)(lib.userdata, into, &mut length, &mut at) != 0 {
                continue;
            }
            room.truncate(length);
            if room == [0x40] {
                return Err("got nothing".into());
            }
            let Some(segment) = self.machine.version.segment(&room)? else { continue };
            let (peer, own) = self.flow();
            if self.connecting && self.local_isn.is_none() && segment.destination == peer {
                self.local_port = segment.source.port();
            } else if (segment.source, segment.destination) != (own, peer) {
                continue;
            }
            return Ok((segment, at - self.begin));
        }
    }

    fn expect(
        &mut self,
        line: &Notation,
        at: Option<i64>,
        until: Option<i64>,
        before: i64,
    ) -> Result<(), String> {
        let (mut segment, sent) = self.next().map_err(|what| format!("expected {line}\n{what}"))?;
        // A script may expect what is sent in several pieces as one.
        while (segment.payload.len() as u32) < line.len && line.len > 0 {
            let (next, _) = self.next()?;
            if next.seq != segment.seq.wrapping_add(segment.payload.len() as u32) {
                let found = Notation::of(&next, self.bases());
                return Err(format!("expected {line}\n     got {found}, which is no part of it"));
            }
            segment.payload.extend(&next.payload);
            (segment.flags, segment.options) = (next.flags, next.options);
        }
        self.learn(line, &segment);
        if !line.describes(&segment, self.bases()) {
            return Err(format!(
                "expected {line}\n     got {}",
                Notation::of(&segment, self.bases())
            ));
        }
        let syn = u32::from(!segment.flags.has(Flags::SYN));
        let from = segment.seq.wrapping_sub(self.bases().seq).wrapping_sub(syn);
        let wanted = (from.into()..).map(text);
        if segment.payload.iter().zip(wanted).any(|(found, wanted)| *found != wanted) {
            return Err(format!("{line}: the text is not what was written"));
        }
        match at {
            Some(at) => on_time(&line.to_string(), at, until, sent, before),
            None => Ok(()),
        }
    }

    fn learn(&mut self, line: &Notation, segment: &Segment) {
        if segment.flags.has(Flags::SYN) {
            self.local_isn = Some(segment.seq);
        }
        let stamps = |options: &Option<Vec<TcpOption>>| {
            options.iter().flatten().find_map(|option| match option {
                TcpOption::Timestamps { val, .. } => *val,
                _ => None,
            })
        };
        let seen = Notation::of(segment, Bases::default());
        if let (Some(live), Some(scripted), None) =
            (stamps(&seen.options), stamps(&line.options), self.stamp)
        {
            self.stamp = Some(live.wrapping_sub(scripted));
        }
    }

    /// What the stack has sent by now, the script has seen. What a timer sends later it may leave.
    fn has_seen_all(&mut self) -> Result<(), String> {
        let now = self.now();
        match self.next() {
            Ok((segment, sent)) if sent <= now => {
                Err(format!("at the end, unseen: {}", Notation::of(&segment, self.bases())))
            }
            _ => Ok(()),
        }
    }

    /// The end: the second thread has nothing to do, the connection is reset, and the descriptors
    /// are closed behind the door's back.
    fn finish(mut self) -> Result<(), String> {
        self.idle()?;
        self.has_seen_all()?;
        if let Some(mut last) = self.last_injected.take() {
            last.seq = last.seq.wrapping_add(last.len());
            last.flags = Flags::RST.with(Flags::ACK);
            (last.options, last.payload) = (Vec::new(), Vec::new());
            self.send(&last)?;
        }
        let fds = std::mem::take(&mut *self.machine.fds.lock().unwrap());
        match fds.values().find(|fd| library::close(**fd) != 0) {
            Some(fd) => Err(format!("{fd} is no descriptor of the kernel's")),
            None => Ok(()),
        }
    }
}

/// Something happened at `actual` and was to happen at `at`, or between `at` and `until`.
fn on_time(
    what: &str,
    at: i64,
    until: Option<i64>,
    actual: i64,
    before: i64,
) -> Result<(), String> {
    let tolerance = TOLERANCE.max((at - before) / 8);
    let latest = until.unwrap_or(at);
    if (at - tolerance..=latest + tolerance).contains(&actual) {
        return Ok(());
    }
    let seconds = |micros: i64| micros as f64 / 1e6;
    Err(format!("{what}\nat {:.6} s, and expected at {:.6} s", seconds(actual), seconds(at)))
}
