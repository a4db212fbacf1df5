//! What kind of link: options for both directions, and for one.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser};
use demos::units::{self, Room};
use log::LevelFilter;
use tapdev::{GilbertElliott, LinkConfig, QueueLimit, Reorder};

/// Connects two TAPs by a bad link: whatever one side's kernel sends comes out at the other side,
/// late, out of order, damaged, twice or not at all.
#[derive(Parser, Debug)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Options {
    /// One end: a TAP, which is made if it does not exist, here or in the network namespace NETNS
    /// (a name of `ip netns`, or the number of a process in it).
    #[arg(long, value_name = "[NETNS/]TAP")]
    pub(crate) a: String,

    /// The other end.
    #[arg(long, value_name = "[NETNS/]TAP")]
    pub(crate) b: String,

    /// Options of the link for frames towards a only, in place of those for both directions, like
    /// --to-a '--loss 5% --rate 1mbit'.
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, value_parser = parse_link)]
    pub(crate) to_a: Option<LinkOptions>,

    /// The same for frames towards b.
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true, value_parser = parse_link)]
    pub(crate) to_b: Option<LinkOptions>,

    /// The dice: the same seed loses the same frames, by their number.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Say each second what happened.
    #[arg(long)]
    pub(crate) stats: bool,

    /// Record every frame as it comes, with its fate, and as it goes into FILE, which Wireshark
    /// opens.
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,

    /// Log to standard error: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    pub(crate) log: LevelFilter,

    #[command(flatten)]
    pub(crate) both: LinkOptions,
}

const AFTER_HELP: &str = "\
Two hosts of this machine's kernel, 20 ms and 1 % of loss apart (as root):
  ip netns add left; ip netns add right
  lossy --a left/tap0 --b right/tap0 --delay 10ms --loss 1% --rate 100mbit &
  ip -n left address add 192.0.2.1/24 dev tap0
  ip -n right address add 192.0.2.2/24 dev tap0
  ip netns exec left ping 192.0.2.2

Ctrl-C ends it and says what happened to the frames.";

/// One direction of the link.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "The link, in each direction")]
pub(crate) struct LinkOptions {
    /// Time on the way: half of what is added to a round trip.
    #[arg(long, value_name = "TIME", value_parser = units::time)]
    delay: Option<Duration>,

    /// The delay varies by up to TIME both ways, frames staying in order.
    #[arg(long, value_name = "TIME", value_parser = units::time)]
    jitter: Option<Duration>,

    /// Frames that are lost, each for itself.
    #[arg(long, value_name = "SHARE", value_parser = units::share)]
    loss: Option<f64>,

    /// Frames that are lost in bursts (Gilbert-Elliott), beside --loss.
    #[arg(long, value_name = "SHARE", value_parser = units::share)]
    burst_loss: Option<f64>,

    /// Frames of a burst, on average (otherwise 10).
    #[arg(long, value_name = "FRAMES")]
    burst_length: Option<u32>,

    /// Frames that are held back, so that others overtake them.
    #[arg(long, value_name = "SHARE", value_parser = units::share)]
    reorder: Option<f64>,

    /// For how long they are held back (otherwise 3ms..20ms).
    #[arg(long, value_name = "LEAST..MOST", value_parser = units::times)]
    late: Option<(Duration, Duration)>,

    /// Frames that arrive twice.
    #[arg(long, value_name = "SHARE", value_parser = units::share)]
    duplicate: Option<f64>,

    /// Frames of which one bit is flipped, wherever it is: an ARP reply has no checksum that would
    /// tell.
    #[arg(long, value_name = "SHARE", value_parser = units::share)]
    corrupt: Option<f64>,

    /// Bits a second, Ethernet headers included (otherwise at once).
    #[arg(long, value_name = "RATE", value_parser = units::rate)]
    rate: Option<u64>,

    /// The room for what waits for --rate, as time, bytes or packets (otherwise 1000p). What does
    /// not fit is dropped.
    #[arg(long, value_name = "ROOM", value_parser = units::room)]
    queue: Option<Room>,

    /// Packets that know ECN are marked where more than so many bytes wait (otherwise never).
    #[arg(long, value_name = "BYTES")]
    mark_above: Option<usize>,
}

/// Bytes of the longest frame of a device with MTU 1500: a shorter queue would let nothing through.
const FRAME: usize = 1514;

/// How long frames are late that are to be overtaken.
const LATE: (Duration, Duration) = (Duration::from_millis(3), Duration::from_millis(20));

const BURST_LENGTH: u32 = 10;

/// The options of one direction, as they stand in one word of the command line.
fn parse_link(text: &str) -> Result<LinkOptions, String> {
    #[derive(Parser)]
    #[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
    struct Words {
        #[command(flatten)]
        link: LinkOptions,
    }
    let words = Words::try_parse_from(text.split_whitespace()).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.trim_start_matches("error: ").to_owned()
    })?;
    Ok(words.link)
}

impl LinkOptions {
    /// These, and where one is missing that of `others`.
    pub(crate) fn or(&self, others: &LinkOptions) -> LinkOptions {
        LinkOptions {
            delay: self.delay.or(others.delay),
            jitter: self.jitter.or(others.jitter),
            loss: self.loss.or(others.loss),
            burst_loss: self.burst_loss.or(others.burst_loss),
            burst_length: self.burst_length.or(others.burst_length),
            reorder: self.reorder.or(others.reorder),
            late: self.late.or(others.late),
            duplicate: self.duplicate.or(others.duplicate),
            corrupt: self.corrupt.or(others.corrupt),
            rate: self.rate.or(others.rate),
            queue: self.queue.or(others.queue),
            mark_above: self.mark_above.or(others.mark_above),
        }
    }

    /// The link that they describe.
    pub(crate) fn config(&self) -> Result<LinkConfig> {
        let config = LinkConfig {
            delay: self.delay.unwrap_or_default(),
            jitter: self.jitter.unwrap_or_default(),
            loss: self.loss.unwrap_or_default(),
            burst: self.burst()?,
            reorder: self.reorder(),
            duplicate: self.duplicate.unwrap_or_default(),
            corrupt: self.corrupt.unwrap_or_default(),
            rate_bits_per_s: self.rate,
            queue: self.queue()?,
            mark_above: self.mark_above,
        };
        config.validate()?;
        Ok(config)
    }

    /// Bursts of the wanted length which together lose the wanted share: within them everything is
    /// lost, between them nothing.
    fn burst(&self) -> Result<Option<GilbertElliott>> {
        let length = self.burst_length.unwrap_or(BURST_LENGTH);
        ensure!(length > 0, "a burst is at least 1 frame long");
        let Some(share) = self.burst_loss.filter(|&share| share > 0.0) else { return Ok(None) };
        let p_bad_to_good = 1.0 / f64::from(length);
        // Of the two states' balance: share * p_bad_to_good = (1 - share) * p_good_to_bad.
        let p_good_to_bad = p_bad_to_good * share / (1.0 - share);
        ensure!(
            p_good_to_bad <= 1.0,
            "bursts of {length} frames cannot lose {}%: give a --burst-length of at least {}, or \
             use --loss",
            share * 100.0,
            (share / (1.0 - share)).ceil()
        );
        Ok(Some(GilbertElliott { p_good_to_bad, p_bad_to_good, loss_good: 0.0, loss_bad: 1.0 }))
    }

    fn reorder(&self) -> Option<Reorder> {
        let probability = self.reorder?;
        let (least, extra) = self.late.unwrap_or(LATE);
        Some(Reorder { probability, least, extra })
    }

    fn queue(&self) -> Result<QueueLimit> {
        let unlimited = QueueLimit { frames: usize::MAX, bytes: usize::MAX };
        let bytes = match self.queue {
            None => return Ok(QueueLimit::default()),
            Some(Room::Frames(frames)) => return Ok(QueueLimit { frames, ..unlimited }),
            Some(Room::Bytes(bytes)) => bytes,
            Some(Room::Time(time)) => {
                let rate = self.rate.context("a --queue in time needs a --rate")?;
                (time.as_secs_f64() * rate as f64 / 8.0) as usize
            }
        };
        ensure!(bytes >= FRAME, "a --queue of {bytes} B has no room for a frame of {FRAME} B");
        Ok(QueueLimit { bytes, ..unlimited })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        let words = ["lossy", "--a", "left/tap0", "--b", "tap1"];
        Options::try_parse_from(words.into_iter().chain(line.split('|').filter(|w| !w.is_empty())))
    }

    fn config(line: &str) -> Result<LinkConfig> {
        parse(line)?.both.config()
    }

    #[test]
    fn the_definition_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn without_options_it_is_a_perfect_cable() {
        assert_eq!(config("").unwrap(), LinkConfig::default());
    }

    #[test]
    fn one_direction_may_differ() {
        let line = "--delay|10ms|--loss|1%|--to-a|--loss 5% --rate 1mbit";
        let options = parse(line).unwrap();
        let to_a = options.to_a.unwrap().or(&options.both).config().unwrap();
        assert_eq!(to_a.delay, Duration::from_millis(10));
        assert_eq!((to_a.loss, to_a.rate_bits_per_s), (0.05, Some(1_000_000)));
        assert_eq!(options.both.config().unwrap().loss, 0.01);
        let error = parse("--to-b|--lose 5%").unwrap_err().to_string();
        assert!(error.contains("--lose"), "{error}");
    }

    #[test]
    fn bursts_lose_the_share_in_the_length() {
        let burst = config("--burst-loss|2%|--burst-length|5").unwrap().burst.unwrap();
        assert_eq!((burst.p_bad_to_good, burst.loss_bad, burst.loss_good), (0.2, 1.0, 0.0));
        let balance = burst.p_good_to_bad / (burst.p_good_to_bad + burst.p_bad_to_good);
        assert!((balance - 0.02).abs() < 1e-9, "{balance}");
        let error = config("--burst-loss|75%|--burst-length|1").unwrap_err().to_string();
        assert!(error.contains("at least 3"), "{error}");
    }

    #[test]
    fn a_queue_has_one_limit() {
        let queue = |line| config(line).unwrap().queue;
        assert_eq!(queue("--rate|100mbit|--queue|100ms").bytes, 1_250_000);
        assert_eq!(queue("--queue|64KiB"), QueueLimit { frames: usize::MAX, bytes: 65_536 });
        assert_eq!(queue("--queue|7p"), QueueLimit { frames: 7, bytes: usize::MAX });
        for (line, words) in [
            ("--queue|100ms", "needs a --rate"),
            ("--rate|1mbit|--queue|1ms", "no room for a frame"),
            ("--queue|0p", "lets nothing through"),
            ("--rate|0bit", "lets nothing through"),
            ("--delay|1ms|--jitter|2ms", "jitter is at most delay"),
        ] {
            let error = config(line).unwrap_err().to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
    }

    #[test]
    fn reordering_has_its_times() {
        let reorder = config("--reorder|10%").unwrap().reorder.unwrap();
        assert_eq!((reorder.least, reorder.extra), LATE);
        let reorder = config("--reorder|10%|--late|1..2ms").unwrap().reorder.unwrap();
        assert_eq!(reorder.extra, Duration::from_millis(2));
    }
}
