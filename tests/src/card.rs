//! A network card that takes work from its host: it cuts super-frames into segments before they
//! reach the wire (TSO), and joins segments that arrive together (GRO).

use stack::testing::packet::{Flags, Segment};
use stack::testing::translate::{LONGER, to_v4, to_v6};
use stack::{Gso, RxChecksum, RxFrame, TxFrame};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Mutex;
use std::time::Duration;
use tapdev::{Checksum, Debt, Device, Wake};

/// Flags of which only the last segment's count.
const LAST: u8 = Flags::FIN.0 | Flags::PSH.0;

/// The longest that is joined.
const JOINED_MAX: usize = 65_535 - LONGER;

/// The card, and what is in it.
#[derive(Default)]
pub(crate) struct Card {
    joins: bool,
    cut: VecDeque<Vec<u8>>,
    joined: Option<Joined>,
}

/// Segments that arrived one behind the other.
struct Joined {
    /// They came over IPv6. Here they are as over IPv4, until the host is given them.
    v6: bool,
    /// The last one of them, and all their text in a frame of the first.
    last: Segment,
    frame: Vec<u8>,
    /// The text of each, and how many they are.
    size: usize,
    count: usize,
}

impl Card {
    pub(crate) fn new(joins: bool) -> Card {
        Card { joins, ..Card::default() }
    }

    /// The host sends a frame: what of it goes on the wire waits in the card.
    pub(crate) fn send(&mut self, frame: &TxFrame<'_>) {
        let parts = [frame.head, frame.body[0], frame.body[1]].map(IoSlice::new);
        let checksum = frame.checksum.map_or(Checksum::Complete, |at| Checksum::Partial {
            start: at.start,
            offset: at.offset,
        });
        let debt = Debt { checksum, segment: frame.gso.map(|gso| gso.segment) };
        let wire = Plain::default();
        wire.send_with_debt(&parts, debt).expect("the card can cut what the stack sends");
        self.cut.extend(wire.0.into_inner().expect("one thread"));
    }

    /// The next frame for the wire.
    pub(crate) fn transmit(&mut self) -> Option<Vec<u8>> {
        self.cut.pop_front()
    }

    /// A frame arrives. Returns whether it waits for more: if not, it is for the host, behind what
    /// [`Card::flush`] holds.
    pub(crate) fn receive(&mut self, frame: &[u8]) -> bool {
        if !self.joins {
            return false;
        }
        let v6 = frame.get(12..14) == Some(&[0x86, 0xdd]);
        let frame = &to_v4(frame)[..];
        let Ok(Some(segment)) = Segment::from_frame(frame) else { return false };
        if let Some(joined) =
            self.joined.as_mut().filter(|joined| joined.v6 == v6 && joined.goes_on(frame, &segment))
        {
            joined.append(segment);
            return true;
        }
        let special = Flags::SYN.0 | Flags::RST.0 | Flags::URG.0;
        let has_options = frame[14] != 0x45;
        if segment.payload.is_empty() || segment.flags.0 & special != 0 || has_options {
            return false;
        }
        if self.joined.is_some() {
            return false;
        }
        // Not what pads a short frame.
        let frame = frame[..14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]))].to_vec();
        let size = segment.payload.len();
        self.joined = Some(Joined { v6, last: segment, frame, size, count: 1 });
        true
    }

    /// Gives `host` what was joined.
    pub(crate) fn flush(&mut self, host: impl FnOnce(RxFrame<'_>)) {
        let Some(joined) = self.joined.take() else { return };
        let frame = if joined.v6 { to_v6(&joined.frame) } else { joined.frame };
        let gso = (joined.count > 1).then_some(Gso { segment: joined.size as u16 });
        // The card has verified each of them; the field is not that of the whole.
        host(RxFrame { bytes: &frame, checksum: RxChecksum::Verified, gso });
    }
}

impl Joined {
    /// `next` in `frame` may be joined, as Linux's GRO sees it.
    fn goes_on(&self, frame: &[u8], next: &Segment) -> bool {
        let last = &self.last;
        // Ethernet's header, and IPv4's up to its length: damage may show in neither checksum.
        if frame[..16] != self.frame[..16] {
            return false;
        }
        let same = (last.source, last.destination, last.ack, last.window, &last.options)
            == (next.source, next.destination, next.ack, next.window, &next.options);
        let follows = next.seq == last.seq.wrapping_add(last.payload.len() as u32);
        same && follows
            && last.flags.0 & LAST == 0
            && last.flags.0 == next.flags.0 & !LAST
            && last.payload.len() == self.size
            && (1..=self.size).contains(&next.payload.len())
            && self.frame.len() - 14 + next.payload.len() <= JOINED_MAX
    }

    fn append(&mut self, next: Segment) {
        self.frame.extend_from_slice(&next.payload);
        self.frame[47] = next.flags.0;
        let total = (self.frame.len() - 14) as u16;
        self.frame[16..18].copy_from_slice(&total.to_be_bytes());
        self.frame[24..26].fill(0);
        let sum = stack::testing::packet::checksum(&[&self.frame[14..34]]);
        self.frame[24..26].copy_from_slice(&sum.to_be_bytes());
        (self.last, self.count) = (next, self.count + 1);
    }
}

/// A device that takes nothing but plain frames: the library cuts for it.
#[derive(Default)]
struct Plain(Mutex<Vec<Vec<u8>>>);

impl Device for Plain {
    fn mtu(&self) -> usize {
        usize::MAX / 2
    }

    fn recv(&self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let frame = parts.iter().flat_map(|part| part.to_vec()).collect();
        self.0.lock().expect("one thread").push(frame);
        Ok(())
    }

    fn wait(&self, _: Option<Duration>) -> io::Result<Wake> {
        Ok(Wake::TimedOut)
    }

    fn wake(&self) {}
}
