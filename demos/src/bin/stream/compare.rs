//! The same sound over UDP and over TCP, on the same link, at several rates of loss.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use demos::units;
use stack::{
    ConnectOptions, Instant, ListenOptions, ListenerId, Stack, State, TcpId, TcpOptions, UdpId,
};
use tapdev::LinkConfig;

use crate::player::{Missing, Player, Report};
use crate::rtp::{LONGEST, PACKET_TIME, Packet, Session};
use crate::sound;
use crate::source::{Deframer, Source, framed};
use crate::wire::{Application, LISTENER, Wire};

/// How long after the last packet the last sound may come.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How long the sound is.
    #[arg(long, default_value_t = 600)]
    seconds: u32,

    /// How long a packet is under way, each way.
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = units::time)]
    delay: Duration,

    /// How long the jitter buffer keeps the first packet.
    #[arg(long, value_name = "TIME", default_value = "60ms", value_parser = units::time)]
    buffer: Duration,

    /// The shares of packets that the link loses.
    #[arg(
        long,
        value_name = "SHARE",
        default_value = "0%,1%,2%,5%",
        value_delimiter = ',',
        value_parser = units::share
    )]
    loss: Vec<f64>,

    /// Which packets are lost.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write the figures into FILE, too: a table with tabs, for scripts/plots.
    #[arg(long, value_name = "FILE")]
    tsv: Option<PathBuf>,
}

/// What carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Udp,
    Tcp,
}

/// What became of one stream.
struct Outcome {
    /// From the call that sent it to the call that received it, of each packet that came; in order.
    latencies: Vec<Duration>,
    report: Report,
}

impl Outcome {
    /// The latency that this share of the packets did not exceed.
    fn quantile(&self, share: f64) -> Duration {
        let rank = (self.latencies.len() as f64 * share).ceil() as usize;
        self.latencies.get(rank.max(1) - 1).copied().unwrap_or_default()
    }
}

/// Runs all, and returns the table.
pub(crate) fn run(options: &Options) -> Result<String> {
    let mut table = format!(
        "{:>5}  {:<4}  {:>7}  {:>7}  {:>7}  {:>8}  {}\n",
        "loss", "over", "median", "99 %", "worst", "glitches", "missing or late"
    );
    let mut tsv =
        "loss\tprotocol\tmedian_ms\tp99_ms\tworst_ms\tglitches\tmissing_ms\tsound_ms\n".to_owned();
    let sound = Duration::from_secs(options.seconds.into());
    for &loss in &options.loss {
        for (protocol, name) in [(Protocol::Udp, "UDP"), (Protocol::Tcp, "TCP")] {
            let outcome = stream(options, loss, protocol)?;
            let percent = loss * 100.0;
            let [median, most, worst] =
                [0.5, 0.99, 1.0].map(|share| outcome.quantile(share).as_millis());
            let Report { glitches, silence, .. } = outcome.report;
            let share = 100.0 * silence.as_secs_f64() / sound.as_secs_f64();
            let silence = silence.as_millis();
            // Writing to a string does not fail.
            let _ = writeln!(
                table,
                "{percent:>3} %  {name:<4}  {median:>4} ms  {most:>4} ms  {worst:>4} ms  \
                 {glitches:>8}  {silence} ms ({share:.1} %)"
            );
            let _ = writeln!(
                tsv,
                "{percent}\t{name}\t{median}\t{most}\t{worst}\t{glitches}\t{silence}\t{}",
                sound.as_millis()
            );
        }
    }
    if let Some(path) = &options.tsv {
        fs::write(path, tsv).with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    Ok(table)
}

fn stream(options: &Options, loss: f64, protocol: Protocol) -> Result<Outcome> {
    let link = LinkConfig { delay: options.delay, loss, ..LinkConfig::default() };
    let mut wire = Wire::new(&link, options.seed)?;
    let mut call = Call {
        source: Source::new(sound::melody(options.seconds), options.seed),
        start: None,
        // One that waited would miss nothing over TCP, and be later with each thing it waited for.
        player: Player::new(Missing::Skip, options.buffer),
        channel: Channel::open(protocol, &mut wire)?,
        latencies: Vec::new(),
    };
    wire.run(&mut call, Duration::from_secs(options.seconds.into()) + PATIENCE);
    call.latencies.sort();
    Ok(Outcome { latencies: call.latencies, report: call.player.report })
}

/// A sound on its way from one host to the other.
struct Call {
    source: Source,
    /// When the first packet was sent.
    start: Option<Instant>,
    player: Player,
    channel: Channel,
    latencies: Vec<Duration>,
}

enum Channel {
    Udp {
        from: UdpId,
        to: UdpId,
        session: Session,
    },
    Tcp {
        from: TcpId,
        listener: ListenerId,
        to: Option<TcpId>,
        unsent: Vec<u8>,
        deframer: Deframer,
        received: u64,
    },
}

impl Application for Call {
    fn work(&mut self, now: Instant, hosts: &mut [Stack; 2]) -> Option<Instant> {
        let [speaker, listener] = hosts;
        if self.start.is_none() && self.channel.is_open(speaker) {
            self.start = Some(now);
        }
        let Some(start) = self.start else {
            self.channel.receive(now, listener);
            return None;
        };
        let elapsed = now - start;
        let mut last = None;
        while self.source.due().is_some_and(|due| due <= elapsed) {
            let packet = self.source.packet();
            self.channel.send(now, speaker, &packet);
            last = packet.is_end.then_some(packet);
        }
        if let (Some(end), Channel::Udp { .. }) = (last, &self.channel) {
            // Its loss would not be noticed.
            (0..9).for_each(|_| self.channel.send(now, speaker, &end));
        }
        self.channel.flush(now, speaker);
        for (number, packet) in self.channel.receive(now, listener) {
            if !packet.is_end {
                self.latencies.push(elapsed.saturating_sub(PACKET_TIME * number as u32));
            }
            self.player.arrive(elapsed, number, packet);
        }
        let _ = self.player.play(elapsed);
        let next = self.source.due().into_iter().chain(self.player.next_due()).min();
        next.map(|next| start + next)
    }

    fn is_done(&self) -> bool {
        self.player.is_done()
    }
}

impl Channel {
    fn open(protocol: Protocol, wire: &mut Wire) -> Result<Channel> {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, LISTENER.port()));
        let [speaker, listener] = &mut wire.hosts;
        Ok(match protocol {
            Protocol::Udp => Channel::Udp {
                from: speaker.bind_udp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?,
                to: listener.bind_udp(any)?,
                session: Session::default(),
            },
            Protocol::Tcp => {
                let tcp = TcpOptions { nodelay: true, ..TcpOptions::default() };
                let options = ConnectOptions { tcp, ..ConnectOptions::default() };
                Channel::Tcp {
                    listener: listener.listen(any, ListenOptions::default())?,
                    from: speaker.connect(wire.now, LISTENER, options)?,
                    to: None,
                    unsent: Vec::new(),
                    deframer: Deframer::default(),
                    received: 0,
                }
            }
        })
    }

    fn is_open(&self, speaker: &mut Stack) -> bool {
        match self {
            Channel::Udp { .. } => true,
            Channel::Tcp { from, .. } => {
                speaker.tcp(*from).is_some_and(|tcp| tcp.state() == State::Established)
            }
        }
    }

    fn send(&mut self, now: Instant, speaker: &mut Stack, packet: &Packet) {
        match self {
            Channel::Udp { from, .. } => {
                if let Some(mut udp) = speaker.udp(*from) {
                    // What does not fit is lost, as on the way.
                    let _ = udp.send_to(now, &packet.to_bytes(), Some(LISTENER));
                }
            }
            Channel::Tcp { unsent, .. } => unsent.extend(framed(packet)),
        }
    }

    fn flush(&mut self, now: Instant, speaker: &mut Stack) {
        if let Channel::Tcp { from, unsent, .. } = self
            && !unsent.is_empty()
            && let Some(mut tcp) = speaker.tcp(*from)
        {
            // What there is no room for now is tried again.
            let sent = tcp.send(now, unsent).unwrap_or(0);
            unsent.drain(..sent);
        }
    }

    /// The packets that came, with their numbers.
    fn receive(&mut self, now: Instant, host: &mut Stack) -> Vec<(u64, Packet)> {
        let mut packets = Vec::new();
        let mut buffer = [0; LONGEST * 16];
        match self {
            Channel::Udp { to, session, .. } => {
                let Some(mut udp) = host.udp(*to) else { return packets };
                while let Ok((length, _)) = udp.recv_from(&mut buffer) {
                    packets.extend(session.accept(&buffer[..length]));
                }
            }
            Channel::Tcp { to, listener, deframer, received, .. } => {
                if to.is_none() {
                    *to = host.accept(*listener).ok();
                }
                let Some(mut tcp) = to.and_then(|id| host.tcp(id)) else { return packets };
                while let Ok(length @ 1..) = tcp.recv(now, &mut buffer) {
                    for packet in deframer.push(&buffer[..length]).unwrap_or_default() {
                        packets.push((*received, packet));
                        *received += 1;
                    }
                }
            }
        }
        packets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(seed: u64) -> Options {
        let (delay, buffer) = (Duration::from_millis(50), Duration::from_millis(60));
        let loss = vec![0.0, 0.01, 0.02, 0.05];
        Options { seconds: 60, delay, buffer, loss, seed, tsv: None }
    }

    fn outcome(loss: f64, protocol: Protocol) -> Outcome {
        stream(&options(1), loss, protocol).unwrap()
    }

    #[test]
    fn a_loss_costs_udp_a_packet_and_tcp_what_comes_behind_it_too() {
        let way = options(1).delay;
        let mut before = [Duration::ZERO; 2];
        for loss in options(1).loss {
            let [udp, tcp] = [Protocol::Udp, Protocol::Tcp].map(|it| outcome(loss, it));
            // All that comes over UDP comes at once, and there is silence for what does not.
            assert_eq!((udp.quantile(0.01), udp.quantile(1.0)), (way, way), "{loss}");
            let lost = 3000 - udp.latencies.len() as u32;
            assert_eq!(udp.report.silence, PACKET_TIME * lost, "{loss}");
            assert!(f64::from(lost) / 3000.0 < 2.0 * loss + 1e-9, "{lost} at {loss}");
            // All comes over TCP, but not in time.
            assert_eq!((tcp.latencies.len(), tcp.quantile(0.01)), (3000, way), "{loss}");
            let now = [udp, tcp].map(|it| (it.report.silence, it.quantile(0.99), it.quantile(1.0)));
            if loss == 0.0 {
                assert_eq!(now, [(Duration::ZERO, way, way); 2]);
            } else {
                assert!(now[0].0 > before[0] && now[1].0 > before[1], "{now:?} at {loss}");
                assert!(now[1].0 > now[0].0 * 2 && now[1].1 > way * 3 / 2, "{now:?} at {loss}");
            }
            before = now.map(|it| it.0);
        }
    }

    #[test]
    fn a_seed_says_everything() {
        let table = |seed| run(&Options { seconds: 5, ..options(seed) }).unwrap();
        assert_eq!(table(1), table(1));
        assert_ne!(table(1), table(2));
    }
}
