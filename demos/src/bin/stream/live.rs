//! Between two hosts, in real time.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use demos::client;
use demos::human;
use demos::options::{CommonOptions, parse_port};
use demos::outside::{self, Stopwatch};
use demos::patient::is_timeout;
use demos::program::Program;
use demos::units;
use stack::host::{TcpListener, TcpStream, UdpSocket};

use crate::player::{Missing, Player};
use crate::rtp::{LONGEST, PACKET_SAMPLES, Packet, Session};
use crate::sound::{self, WavFile};
use crate::source::{Deframer, Source, framed};

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long nothing may come before the stream is taken to be over.
const SILENCE: Duration = Duration::from_secs(3);

/// How often the end is said over UDP: nobody notices that it was lost.
const ENDS: usize = 3;

#[derive(Args, Debug)]
pub(crate) struct SendOptions {
    /// Who listens: NAME:PORT or ADDRESS:PORT.
    peer: String,

    /// Send FILE, a WAV file, and not a melody.
    #[arg(long, value_name = "FILE")]
    wav: Option<PathBuf>,

    /// How long the melody is.
    #[arg(long, default_value_t = 10)]
    seconds: u32,

    /// Send over TCP, and not over UDP.
    #[arg(long)]
    tcp: bool,

    #[command(flatten)]
    pub(crate) common: CommonOptions,
}

#[derive(Args, Debug)]
pub(crate) struct ReceiveOptions {
    /// The WAV file for what is heard.
    out: PathBuf,

    /// The port.
    #[arg(short, long, default_value_t = 5004, value_parser = parse_port)]
    port: u16,

    /// Receive over TCP, and not over UDP.
    #[arg(long)]
    tcp: bool,

    /// How long the jitter buffer keeps the first packet.
    #[arg(long, value_name = "TIME", default_value = "60ms", value_parser = units::time)]
    buffer: Duration,

    #[command(flatten)]
    pub(crate) common: CommonOptions,
}

enum Sender {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Sender {
    fn open(program: &Program, options: &SendOptions) -> Result<Sender> {
        let peer = &options.peer;
        if options.tcp {
            let stream = client::connect(program, peer, CONNECT)
                .map_err(|error| client::explain(error, peer))?;
            stream.set_nodelay(true)?;
            return Ok(Sender::Tcp(stream));
        }
        let address = client::resolve(program, peer).map_err(|it| client::explain(it, peer))?;
        let socket = UdpSocket::bind(program.host(), (Ipv6Addr::UNSPECIFIED, 0))?;
        socket.connect(address).map_err(|error| client::explain(error, peer))?;
        Ok(Sender::Udp(socket))
    }

    fn send(&mut self, packet: &Packet) -> io::Result<()> {
        match self {
            Sender::Tcp(stream) => stream.write_all(&framed(packet)),
            Sender::Udp(socket) => {
                let times = if packet.is_end { ENDS } else { 1 };
                (0..times).try_for_each(|_| socket.send(&packet.to_bytes()).map(drop))
            }
        }
    }
}

pub(crate) fn send(program: &Program, options: &SendOptions) -> Result<()> {
    let sound = match &options.wav {
        Some(path) => sound::read(path)?,
        None => sound::melody(options.seconds),
    };
    program.ready()?;
    let mut sender = Sender::open(program, options)?;
    let mut source = Source::new(sound, outside::chance());
    let clock = Stopwatch::start();
    while let Some(due) = source.due() {
        outside::sleep(due.saturating_sub(clock.elapsed()));
        sender.send(&source.packet()).map_err(|error| client::explain(error, &options.peer))?;
    }
    Ok(())
}

enum Receiver {
    Udp(UdpSocket, Session),
    Tcp(TcpStream, Deframer, u64),
}

impl Receiver {
    /// The packets that come within `time`, with their numbers; `None` at the end.
    fn receive(&mut self, time: Duration) -> io::Result<Option<Vec<(u64, Packet)>>> {
        // A datagram of more than a packet has to be seen to be wrong.
        let mut buffer = [0; LONGEST + 1];
        let time = Some(time.max(Duration::from_millis(1)));
        match self {
            Receiver::Udp(socket, session) => {
                socket.set_read_timeout(time)?;
                let (length, _) = socket.recv_from(&mut buffer)?;
                Ok(Some(session.accept(&buffer[..length]).into_iter().collect()))
            }
            Receiver::Tcp(stream, deframer, count) => {
                stream.set_read_timeout(time)?;
                let length = stream.read(&mut buffer)?;
                if length == 0 {
                    return Ok(None);
                }
                let packets = deframer.push(&buffer[..length]).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "this is no stream of sound")
                })?;
                let first = *count;
                *count += packets.len() as u64;
                Ok(Some((first..).zip(packets).collect()))
            }
        }
    }

    /// How many datagrams were none of the stream's.
    fn wrong(&self) -> u64 {
        match self {
            Receiver::Udp(_, session) => session.wrong,
            Receiver::Tcp(..) => 0,
        }
    }
}

/// What is heard, on its way into the file.
struct Recording {
    player: Player,
    file: WavFile,
    wrong: u64,
}

impl Recording {
    fn play(&mut self, now: Duration) -> Result<()> {
        for played in self.player.play(now) {
            let samples = played.samples.unwrap_or_else(|| vec![0; PACKET_SAMPLES]);
            self.file.write(&samples)?;
        }
        Ok(())
    }

    /// Makes the file whole, and says what became of the sound.
    fn finish(&mut self) -> Result<String> {
        self.file.finish()?;
        let report = self.player.report;
        Ok(format!(
            "{} of sound; {} ({} of silence), {} late, {} wrong",
            human::time(self.file.duration()),
            human::count(report.glitches, "interruption"),
            human::time(report.silence),
            human::count(report.late, "packet"),
            self.wrong,
        ))
    }
}

pub(crate) fn receive(program: &Program, options: &ReceiveOptions) -> Result<()> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, options.port));
    let busy = || format!("port {}: cannot be used", options.port);
    let host = program.host();
    let missing = if options.tcp { Missing::Wait } else { Missing::Skip };
    let recording = Arc::new(Mutex::new(Recording {
        player: Player::new(missing, options.buffer),
        file: WavFile::create(&options.out)?,
        wrong: 0,
    }));
    let stopping = Arc::clone(&recording);
    program.on_stop(move || {
        let mut recording = lock(&stopping);
        let finished = recording.finish();
        // The process ends with the lock: nobody writes any more.
        mem::forget(recording);
        eprintln!(
            "stream: {}",
            finished.as_ref().map_or_else(|it| format!("{it:#}"), Clone::clone)
        );
        finished.is_err().then_some(1)
    });
    let receiver = if options.tcp {
        let listener = TcpListener::bind(host, any).with_context(busy)?;
        program.ready()?;
        let (stream, _) = listener.accept().context("accept")?;
        Receiver::Tcp(stream, Deframer::default(), 0)
    } else {
        let socket = UdpSocket::bind(host, any).with_context(busy)?;
        program.ready()?;
        Receiver::Udp(socket, Session::default())
    };
    let recorded = record(receiver, &recording);
    // However it ended: what was heard until then is good.
    let finished = lock(&recording).finish();
    if let Ok(text) = &finished {
        program.say(text);
    }
    recorded.and(finished.map(drop))
}

fn lock(recording: &Mutex<Recording>) -> MutexGuard<'_, Recording> {
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records what comes until its end, or until nothing has come for long. After an error what has
/// come before is played all the same.
fn record(mut receiver: Receiver, recording: &Mutex<Recording>) -> Result<()> {
    let clock = Stopwatch::start();
    // Whoever sends first may take their time.
    let mut heard: Option<Duration> = None;
    let mut is_over = false;
    let mut end_of_stream = Ok(());
    loop {
        let now = clock.elapsed();
        let next = {
            let mut recording = lock(recording);
            recording.play(now)?;
            if recording.player.is_done() {
                return end_of_stream;
            }
            recording.player.next_due()
        };
        let end = heard.map(|heard| heard + SILENCE);
        if end.is_some_and(|end| now > end) || is_over && next.is_none() {
            return end_of_stream;
        }
        let until = next.into_iter().chain(end).min().unwrap_or(now + SILENCE);
        if is_over {
            outside::sleep(until.saturating_sub(now));
            continue;
        }
        match receiver.receive(until.saturating_sub(now)) {
            Ok(Some(packets)) => {
                let now = clock.elapsed();
                let mut recording = lock(recording);
                recording.wrong = receiver.wrong();
                if !packets.is_empty() {
                    heard = Some(now);
                }
                for (number, packet) in packets {
                    recording.player.arrive(now, number, packet);
                }
            }
            Ok(None) => is_over = true,
            Err(error) if is_timeout(&error) => {}
            Err(error) => {
                end_of_stream = Err(anyhow!("the stream: {error}"));
                is_over = true;
            }
        }
    }
}
