//! lossy: two TAPs connected by a bad link.

mod end;
mod options;
mod report;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use demos::outside::{self, Stopwatch};
use demos::program::conclude;
use demos::signals;
use tapdev::{Capture, Direction, Link, LinkConfig, LinkStats, Relay, Sight};

use crate::end::End;
use crate::options::Options;
use crate::report::Account;

/// How often --stats speaks, and a capture is written.
const TICK: Duration = Duration::from_secs(1);

/// The interfaces' numbers in a capture.
const A: u32 = 0;
const B: u32 = 1;

/// Why the program ends.
enum Ending {
    /// It was told to.
    Asked,
    /// A device is gone.
    Failed(std::io::Error),
}

/// One direction: a relay, and what is not in its own statistics.
struct OneWay {
    towards: char,
    from: Arc<End>,
    to: Arc<End>,
    /// The interfaces' numbers in a capture.
    numbers: (u32, u32),
    relay: Relay,
    bytes: AtomicU64,
}

/// The program, shared by its threads.
struct Lossy {
    ways: [OneWay; 2],
    capture: Option<Capture>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    env_logger::Builder::new().filter_level(options.log).init();
    conclude("lossy", run(&options).map(|()| ExitCode::SUCCESS))
}

fn run(options: &Options) -> Result<()> {
    let config = |own: &Option<options::LinkOptions>| match own {
        Some(own) => own.or(&options.both).config(),
        None => options.both.config(),
    };
    let to_a = config(&options.to_a).context("towards a")?;
    let to_b = config(&options.to_b).context("towards b")?;
    let a = Arc::new(End::open(&options.a).with_context(|| format!("--a {}", options.a))?);
    let b = Arc::new(End::open(&options.b).with_context(|| format!("--b {}", options.b))?);
    end::check_pair(&a, &b)?;
    let capture = match &options.pcap {
        None => None,
        Some(path) => {
            let capture = Capture::create(path, &[&options.a, &options.b]);
            Some(capture.with_context(|| format!("{}: cannot be written", path.display()))?)
        }
    };
    let lossy = Arc::new(Lossy {
        ways: [
            // The other direction's dice are others.
            OneWay::new('b', (&a, A), (&b, B), to_b, options.seed)?,
            OneWay::new('a', (&b, B), (&a, A), to_a, !options.seed)?,
        ],
        capture,
    });
    let (tell, ending) = mpsc::channel();
    lossy.start(&tell)?;
    a.await_carrier();
    b.await_carrier();
    say_ready();
    lossy.watch(&ending, options.stats)
}

impl OneWay {
    fn new(
        towards: char,
        (from, from_number): (&Arc<End>, u32),
        (to, to_number): (&Arc<End>, u32),
        config: LinkConfig,
        seed: u64,
    ) -> Result<OneWay> {
        Ok(OneWay {
            towards,
            from: Arc::clone(from),
            to: Arc::clone(to),
            numbers: (from_number, to_number),
            relay: Relay::new(Link::new(config, seed)?),
            bytes: AtomicU64::new(0),
        })
    }

    fn run(&self, capture: Option<&Capture>) -> std::io::Result<()> {
        self.relay.run(self.from.tap(), self.to.tap(), |sight| {
            if let Sight::Goes(frame) = sight {
                self.bytes.fetch_add(frame.len() as u64, Ordering::Relaxed);
            }
            let Some(capture) = capture else { return };
            match sight {
                Sight::Came(frame, fate) => {
                    let parts = [std::io::IoSlice::new(frame)];
                    let comment = describe(fate);
                    capture.packet(self.numbers.0, Direction::In, &parts, comment.as_deref());
                }
                Sight::Goes(frame) => {
                    let parts = [std::io::IoSlice::new(frame)];
                    capture.packet(self.numbers.1, Direction::Out, &parts, None);
                }
            }
        })
    }

    fn account(&self) -> Account {
        Account {
            towards: self.towards,
            stats: self.relay.stats(),
            bytes: self.bytes.load(Ordering::Relaxed),
            missed: self.from.missed(),
        }
    }
}

impl Lossy {
    /// Starts the two directions, and listens for signals.
    fn start(self: &Arc<Self>, tell: &Sender<Ending>) -> Result<()> {
        for way in 0..self.ways.len() {
            let (lossy, tell) = (Arc::clone(self), tell.clone());
            outside::spawn("relay", move || {
                let ended = lossy.ways[way].run(lossy.capture.as_ref());
                // The program may be ending already, and then nobody listens.
                let _ = tell.send(ended.map_or_else(Ending::Failed, |()| Ending::Asked));
            })
            .context("no thread for the link")?;
        }
        let (lossy, tell) = (Arc::clone(self), tell.clone());
        signals::watch(move |_| {
            lossy.stop();
            let _ = tell.send(Ending::Asked);
        })
        .context("signals cannot be handled")
    }

    fn stop(&self) {
        for way in &self.ways {
            way.relay.stop();
            way.from.tap().wake();
        }
    }

    /// Says what happens, until the end, and then what has happened.
    fn watch(&self, ending: &Receiver<Ending>, speaks: bool) -> Result<()> {
        let clock = Stopwatch::start();
        let mut before = self.accounts();
        let end = loop {
            match ending.recv_timeout(TICK) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(end) => break end,
                Err(RecvTimeoutError::Disconnected) => break Ending::Asked,
            }
            if let Some(capture) = &self.capture {
                capture.flush();
            }
            let now = self.accounts();
            if speaks {
                for (now, before) in now.iter().zip(&before) {
                    eprintln!("{}", now.since(before).line(TICK));
                }
            }
            before = now;
        };
        self.stop();
        for account in self.accounts() {
            eprintln!("lossy: {}", account.line(clock.elapsed()));
        }
        if let Some(capture) = &self.capture {
            capture.flush();
        }
        match end {
            Ending::Asked => Ok(()),
            Ending::Failed(error) => Err(error).context("the link is cut, a TAP is gone"),
        }
    }

    fn accounts(&self) -> [Account; 2] {
        [self.ways[0].account(), self.ways[1].account()]
    }
}

/// What became of a frame, if there is something to say.
fn describe(fate: LinkStats) -> Option<String> {
    let words = [
        (fate.lost, "lost"),
        (fate.dropped, "dropped: the queue is full"),
        (fate.corrupted, "damaged"),
        (fate.reordered, "held back"),
        (fate.duplicated, "sent twice"),
    ];
    let words: Vec<&str> =
        words.into_iter().filter(|(count, _)| *count > 0).map(|(_, word)| word).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Says that frames pass. Nobody may be listening, and that is no reason to end.
fn say_ready() {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "ready").and_then(|()| out.flush());
}
