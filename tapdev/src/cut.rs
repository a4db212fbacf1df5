//! Paying a frame's [`Debt`] in software: for devices that take none, and for kernels that refuse
//! one.

use std::io::{self, IoSlice};

use crate::debt::{Checksum, Debt, Placed};
use crate::device::{Device, ETHERNET_HEADER, HEADROOM};

/// The tag of a VLAN, bytes.
const VLAN_TAG: usize = 4;

/// Room for the headers of a packet: Ethernet with a tag, IPv4 with options or IPv6, TCP with
/// options.
const HEAD_MAX: usize = ETHERNET_HEADER + VLAN_TAG + 60 + 60;

/// Parts of which a frame is gathered at most, one more than its sender may give.
pub(crate) const PARTS_MAX: usize = 8;

const TCP: u8 = 6;
const UDP: u8 = 17;

const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

/// Where the headers of a packet lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) is_v6: bool,
    protocol: u8,
    /// Where the header of IP begins, the transport header, and the payload.
    network: usize,
    transport: usize,
    payload: usize,
}

impl Layout {
    /// Reads the headers of a packet of TCP or UDP, of which all must be in `head`.
    pub(crate) fn of(head: &[u8]) -> Option<Layout> {
        let tag = if head.get(12..14)? == [0x81, 0x00] { VLAN_TAG } else { 0 };
        let network = ETHERNET_HEADER + tag;
        let (is_v6, protocol, transport) = match head.get(network - 2..network)? {
            [0x08, 0x00] => {
                let length = usize::from(*head.get(network)? & 0x0f) * 4;
                (false, *head.get(network + 9)?, network + length.max(20))
            }
            [0x86, 0xdd] => (true, *head.get(network + 6)?, network + 40),
            _ => return None,
        };
        let length = match protocol {
            TCP => usize::from(*head.get(transport + 12)? >> 4) * 4,
            UDP => 8,
            _ => return None,
        };
        let payload = transport + length;
        let least = if protocol == TCP { 20 } else { 8 };
        let fits = length >= least && payload <= head.len() && payload <= HEAD_MAX;
        fits.then_some(Layout { is_v6, protocol, network, transport, payload })
    }

    pub(crate) fn is_udp(self) -> bool {
        self.protocol == UDP
    }

    /// The length of all headers, bytes.
    pub(crate) fn payload(self) -> usize {
        self.payload
    }

    /// The sum of the pseudo header (RFC 9293 §3.1, RFC 8200 §8.1).
    fn pseudo_header(self, head: &[u8], length: usize) -> Sum {
        let mut sum = Sum::default();
        let addresses = if self.is_v6 { 8..40 } else { 12..20 };
        sum.add(&head[self.network..][addresses]);
        sum.add(&(length as u32).to_be_bytes());
        sum.add(&[0, self.protocol]);
        sum
    }
}

/// The one's complement sum of RFC 1071, over pieces that may have odd lengths.
///
/// Words are added as this machine reads them, 32 bits at a time: the sum of 16-bit words comes out
/// of that by folding, with its bytes where they belong (RFC 1071 §2(B)).
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    sum: u64,
    odd: bool,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let mut bytes = bytes;
        if self.odd
            && let Some((&first, rest)) = bytes.split_first()
        {
            self.sum += u64::from(u16::from_ne_bytes([0, first]));
            self.odd = false;
            bytes = rest;
        }
        let (words, rest) = bytes.as_chunks::<4>();
        // Fewer than 2^31 of them: no overflow. Adds that cannot panic become vector adds.
        let add = |sum: u64, word: &[u8; 4]| sum.wrapping_add(u32::from_ne_bytes(*word).into());
        self.sum += words.iter().fold(0, add);
        let (words, rest) = rest.as_chunks::<2>();
        self.sum += words.iter().map(|word| u64::from(u16::from_ne_bytes(*word))).sum::<u64>();
        if let [last] = rest {
            self.sum += u64::from(u16::from_ne_bytes([*last, 0]));
            self.odd = true;
        }
    }

    /// The checksum field. Zero, which to UDP would mean none, goes as all ones (RFC 768): to TCP
    /// the two are the same.
    fn finish(self) -> [u8; 2] {
        let mut sum = self.sum;
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        match !(sum as u16) {
            0 => [0xff, 0xff],
            sum => sum.to_ne_bytes(),
        }
    }
}

/// Finishes the checksum of a frame in one piece. False if it cannot be where the debt says.
pub(crate) fn finish_checksum(frame: &mut [u8], start: u16, offset: u16) -> bool {
    let (start, at) = (usize::from(start), usize::from(start) + usize::from(offset));
    if at + 2 > frame.len() {
        return false;
    }
    let mut sum = Sum::default();
    sum.add(&frame[start..]);
    frame[at..at + 2].copy_from_slice(&sum.finish());
    true
}

/// Makes a received frame a plain one, for somebody who takes no other. None for a super-frame, and
/// for one that contradicts its debt: it is to be dropped.
pub(crate) fn plain(frame: &mut [u8], debt: Debt) -> Option<usize> {
    match debt {
        Debt { segment: Some(_), .. } => None,
        Debt { checksum: Checksum::Partial { start, offset }, .. } => {
            finish_checksum(frame, start, offset).then_some(frame.len())
        }
        Debt { .. } => Some(frame.len()),
    }
}

/// The frame as it is with its checksum finished: its headers, changed, for the front of `parts`.
/// None if the checksum is not among them.
pub(crate) fn finished_head(parts: &[IoSlice<'_>], start: u16, offset: u16) -> Option<Vec<u8>> {
    let (start, at) = (usize::from(start), usize::from(start) + usize::from(offset));
    let (head, rest) = parts.split_first()?;
    let mut head = head.to_vec();
    let mut sum = Sum::default();
    sum.add(head.get(start..)?);
    rest.iter().for_each(|part| sum.add(part));
    head.get_mut(at..at + 2)?.copy_from_slice(&sum.finish());
    Some(head)
}

/// Gives `device` the plain frames that a frame with a debt stands for. The headers must be whole
/// in the first of its parts.
///
/// # Errors
/// That of the last frame that failed: the others are sent nevertheless. `InvalidInput` for what
/// can stand for no plain frames.
pub(crate) fn pay<D: Device + ?Sized>(
    parts: &[IoSlice<'_>],
    debt: Debt,
    device: &D,
) -> io::Result<()> {
    match (debt.segment, debt.checksum) {
        (Some(segment), _) => cut(parts, segment, device),
        (None, Checksum::Partial { start, offset }) => {
            let head = finished_head(parts, start, offset).ok_or(io::ErrorKind::InvalidInput)?;
            let mut whole = [IoSlice::new(&[]); PARTS_MAX];
            let rest = parts.get(1..).unwrap_or(&[]);
            let whole = whole.get_mut(..parts.len()).ok_or(io::ErrorKind::InvalidInput)?;
            whole[0] = IoSlice::new(&head);
            whole[1..].copy_from_slice(rest);
            device.send(whole)
        }
        (None, _) => device.send(parts),
    }
}

/// Where ordinary frames are made, bytes: sixteen of them, all of which are still in the
/// processor's first cache when they are sent.
const ORDINARY: usize = 24 << 10;

/// Where long ones are: the longest there is has what the length fields of IP can say behind all
/// headers.
const LONG: usize = HEADROOM + HEAD_MAX + 65_535;

/// The most frames that are made in a row.
const ROW_MAX: usize = 64;

/// Cuts a super-frame as a network card does.
fn cut<D: Device + ?Sized>(parts: &[IoSlice<'_>], segment: u16, device: &D) -> io::Result<()> {
    let head = parts.first().map_or(&[][..], |part| part);
    let layout = Layout::of(head).filter(|_| segment > 0 && parts.len() < PARTS_MAX);
    let layout = layout.ok_or(io::ErrorKind::InvalidInput)?;
    match HEADROOM + layout.payload + usize::from(segment) {
        ..=ORDINARY => cut_in::<ORDINARY, D>(parts, layout, segment, device),
        _ => cut_in::<LONG, D>(parts, layout, segment, device),
    }
}

/// Makes as many frames as `N` bytes hold, and sends them in a row: the next one is there before
/// its receiver, woken by the first, falls asleep again. A device takes a frame most cheaply in one
/// piece, and what has just been copied is summed up from the processor's cache. Not inlined: the
/// place is not for the stack of who has nothing to cut.
#[inline(never)]
fn cut_in<const N: usize, D: Device + ?Sized>(
    parts: &[IoSlice<'_>],
    layout: Layout,
    segment: u16,
    device: &D,
) -> io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let (text, segment) = (length - layout.payload, usize::from(segment));
    let stride = HEADROOM + layout.payload + segment;
    let (count, burst) = (text.div_ceil(segment).max(1), (N / stride).min(ROW_MAX));
    let (mut place, mut row) = ([0; N], [Placed::NOTHING; ROW_MAX]);
    let mut result = Ok(());
    for first in (0..count).step_by(burst) {
        let row = &mut row[..burst.min(count - first)];
        for (index, placed) in row.iter_mut().enumerate() {
            let piece = Piece::of(text, segment, first + index);
            let (start, length) = (HEADROOM + index * stride, layout.payload + piece.length);
            *placed = Placed { start, length, debt: Debt::NONE };
            make(parts, layout, piece, &mut place[placed.range()]);
        }
        result = send_whole_row(device, &mut place, row).and(result);
    }
    result
}

/// Sends all frames of a row that the device takes.
fn send_whole_row<D: Device + ?Sized>(
    device: &D,
    bytes: &mut [u8],
    mut row: &[Placed],
) -> io::Result<()> {
    let mut result = Ok(());
    while !row.is_empty() {
        let (sent, Err(error)) = device.send_row(bytes, row) else { break };
        result = Err(error);
        row = row.get(sent + 1..).unwrap_or_default();
    }
    result
}

/// Makes the packet that `piece` of a super-frame is.
fn make(parts: &[IoSlice<'_>], layout: Layout, piece: Piece, frame: &mut [u8]) {
    let (head, body) = frame.split_at_mut(layout.payload);
    head.copy_from_slice(&parts[0][..layout.payload]);
    copy_out(parts, layout.payload + piece.at, body);
    rewrite(frame, layout, piece);
}

/// Fills `out` with what `parts` are together from `start` on.
fn copy_out(parts: &[IoSlice<'_>], start: usize, mut out: &mut [u8]) {
    let mut skip = start;
    for part in parts {
        let rest = &part[skip.min(part.len())..];
        skip = skip.saturating_sub(part.len());
        let (filled, left) = out.split_at_mut(rest.len().min(out.len()));
        filled.copy_from_slice(&rest[..filled.len()]);
        out = left;
    }
}

/// Which of its packets a super-frame is cut to.
#[derive(Debug, Clone, Copy)]
struct Piece {
    index: u16,
    /// Where its text begins in that of the super-frame, and its length; bytes.
    at: usize,
    length: usize,
    is_last: bool,
}

impl Piece {
    /// The one at `index` of `text` bytes cut after every `segment`.
    fn of(text: usize, segment: usize, index: usize) -> Piece {
        let at = index * segment;
        let end = text.min(at + segment);
        Piece { index: index as u16, at, length: end - at, is_last: end == text }
    }
}

/// Makes the headers of `frame`, which are those of a super-frame, its own.
fn rewrite(frame: &mut [u8], layout: Layout, piece: Piece) {
    let length = frame.len() - layout.transport;
    let ip = &mut frame[layout.network..layout.transport];
    if layout.is_v6 {
        ip[4..6].copy_from_slice(&(length as u16).to_be_bytes());
    } else {
        let total = ip.len() + length;
        ip[2..4].copy_from_slice(&(total as u16).to_be_bytes());
        let id = u16::from_be_bytes([ip[4], ip[5]]).wrapping_add(piece.index);
        ip[4..6].copy_from_slice(&id.to_be_bytes());
        ip[10..12].fill(0);
        let mut sum = Sum::default();
        sum.add(ip);
        let sum = sum.finish();
        ip[10..12].copy_from_slice(&sum);
    }
    let mut sum = layout.pseudo_header(frame, length);
    let transport = &mut frame[layout.transport..];
    if layout.is_udp() {
        transport[4..6].copy_from_slice(&(length as u16).to_be_bytes());
    } else {
        let first = u32::from_be_bytes([transport[4], transport[5], transport[6], transport[7]]);
        let seq = first.wrapping_add(piece.at as u32);
        transport[4..8].copy_from_slice(&seq.to_be_bytes());
        // The end and the push are those of the last, the answer to ECE (RFC 3168 §6.1.2) is that
        // of the first.
        let not_last = if piece.is_last { 0 } else { FIN_PSH };
        let not_first = if piece.index == 0 { 0 } else { CWR };
        transport[13] &= !(not_last | not_first);
    }
    let field = if layout.is_udp() { 6 } else { 16 };
    transport[field..field + 2].fill(0);
    sum.add(transport);
    transport[field..field + 2].copy_from_slice(&sum.finish());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::tests::Notebook;

    /// A packet of IPv4 or IPv6 with nothing but zeros where cutting has something to write.
    fn head(is_v6: bool, protocol: u8, flags: u8) -> Vec<u8> {
        let mut head = vec![2; 12];
        if is_v6 {
            head.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, protocol, 64]);
            head.extend((1..=32).collect::<Vec<u8>>());
        } else {
            head.extend([8, 0, 0x45, 0, 0, 0, 0xff, 0xff, 0x40, 0, 64, protocol, 0, 0]);
            head.extend([192, 0, 2, 2, 192, 0, 2, 1]);
        }
        head.extend([0x80, 1, 0, 80]);
        if protocol == UDP {
            head.extend([0; 4]);
        } else {
            // From number 2^32 - 1000 on, with 4 bytes of options.
            head.extend([0xff, 0xff, 0xfc, 0x18, 0, 0, 0, 1, 0x60, flags, 1, 0, 0, 0, 0, 0]);
            head.extend([1, 1, 1, 0]);
        }
        head
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|i| (i * 7 + i / 256) as u8).collect()
    }

    /// What `parts` are cut to.
    fn cut_all(parts: &[&[u8]], segment: u16) -> Vec<Vec<u8>> {
        let parts: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let debt = Debt { segment: Some(segment), ..Debt::NONE };
        let device = Notebook::default();
        pay(&parts, debt, &device).unwrap();
        device.frames()
    }

    /// All ones: a packet with a right checksum (RFC 1071).
    fn is_whole(frame: &[u8]) -> bool {
        let layout = Layout::of(frame).unwrap();
        let transport = &frame[layout.transport..];
        let mut sum = layout.pseudo_header(frame, transport.len());
        sum.add(transport);
        let mut header = Sum::default();
        header.add(&frame[ETHERNET_HEADER..layout.transport]);
        sum.finish() == [0xff; 2] && (layout.is_v6 || header.finish() == [0xff; 2])
    }

    #[test]
    fn tcp_is_cut_into_numbered_segments() {
        let text = text(2500);
        for is_v6 in [false, true] {
            let head = head(is_v6, TCP, CWR | 0x10 | FIN_PSH);
            let frames = cut_all(&[&head, &text[..700], &text[700..]], 1000);
            assert_eq!(frames.len(), 3);
            let layout = Layout::of(&head).unwrap();
            for (i, frame) in frames.iter().enumerate() {
                assert!(is_whole(frame), "{i}: {frame:?}");
                let transport = &frame[layout.transport..];
                let seq = (i as u32 * 1000).wrapping_sub(1000);
                assert_eq!(transport[4..8], seq.to_be_bytes());
                let flags = [CWR | 0x10, 0x10, 0x10 | FIN_PSH][i];
                assert_eq!(transport[13], flags);
                assert_eq!(transport[20..24], [1, 1, 1, 0]);
                assert_eq!(frame[layout.payload..], text[i * 1000..2500.min(i * 1000 + 1000)]);
                let ip_len = frame.len() - ETHERNET_HEADER;
                let (field, length) = if is_v6 { (18, ip_len - 40) } else { (16, ip_len) };
                assert_eq!(frame[field..field + 2], (length as u16).to_be_bytes());
                assert!(
                    is_v6 || frame[18..20] == (0xffff_u16.wrapping_add(i as u16)).to_be_bytes()
                );
            }
        }
    }

    #[test]
    fn udp_is_cut_into_datagrams_and_one_piece_is_as_good_as_many() {
        let text = text(1001);
        for is_v6 in [false, true] {
            let head = head(is_v6, UDP, 0);
            let whole = [&head[..], &text].concat();
            let frames = cut_all(&[&whole], 500);
            assert_eq!(frames, cut_all(&[&head, &text], 500));
            let lengths: Vec<_> = frames.iter().map(|frame| frame.len() - head.len()).collect();
            assert_eq!(lengths, [500, 500, 1]);
            assert!(frames.iter().all(|frame| is_whole(frame)));
            let last = &frames[2][frames[2].len() - 5..];
            assert_eq!((last[1], last[4]), (9, text[1000]), "{last:?}");
        }
    }

    #[test]
    fn pieces_of_any_length_come_in_their_order_and_number() {
        let (head, text) = (head(false, TCP, 0x10), text(60_001));
        let layout = Layout::of(&head).unwrap();
        for segment in [100, 536, 1460, 9000, 24_000, 24_512, 60_000, 60_001, 65_535] {
            let frames = cut_all(&[&head, &text[..12_345], &text[12_345..]], segment);
            assert!(frames.iter().all(|frame| is_whole(frame)), "{segment}");
            let bodies: Vec<_> = frames.iter().map(|frame| &frame[head.len()..]).collect();
            assert_eq!(bodies, text.chunks(segment.into()).collect::<Vec<_>>(), "{segment}");
            let starts = (0..).step_by(segment.into()).map(|at: u32| at.wrapping_sub(1000));
            for (frame, seq) in frames.iter().zip(starts) {
                assert_eq!(frame[layout.transport + 4..][..4], seq.to_be_bytes(), "{segment}");
            }
        }
    }

    #[test]
    fn ieee802_1q_a_tag_stands_before_each_piece() {
        let text = text(2500);
        let tagged = |frame: &[u8]| [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat();
        for (is_v6, protocol) in [(false, TCP), (true, TCP), (false, UDP), (true, UDP)] {
            let head = head(is_v6, protocol, 0x10);
            let frames = cut_all(&[&head, &text], 1000);
            let frames: Vec<_> = frames.iter().map(|frame| tagged(frame)).collect();
            assert_eq!(cut_all(&[&tagged(&head), &text], 1000), frames);
        }
    }

    #[test]
    fn a_checksum_is_finished_in_place_and_in_parts() {
        let (head, text) = (head(false, TCP, 0x10), text(333));
        let mut plain = cut_all(&[&head, &text], 1000).remove(0);
        let layout = Layout::of(&plain).unwrap();
        // The field holds the pseudo header's sum, which is the complement of what finish gives.
        let pseudo = layout.pseudo_header(&plain, plain.len() - layout.transport).finish();
        let mut owing = plain.clone();
        owing[50] = !pseudo[0];
        owing[51] = !pseudo[1];
        let parts = [&owing[..60], &owing[60..61], &owing[61..]].map(IoSlice::new);
        let debt = Debt { checksum: Checksum::Partial { start: 34, offset: 16 }, segment: None };
        let device = Notebook::default();
        pay(&parts, debt, &device).unwrap();
        let far = Debt { checksum: Checksum::Partial { start: 34, offset: 60 }, segment: None };
        assert!(pay(&parts, far, &device).is_err());
        assert_eq!(device.frames(), [plain.clone()]);
        assert!(finish_checksum(&mut owing, 34, 16));
        assert_eq!(owing, plain);
        assert!(!finish_checksum(&mut plain[..50], 34, 15), "beyond the end");
    }

    #[test]
    fn what_cannot_be_cut_is_refused_and_a_failure_does_not_keep_the_rest() {
        let (head, text) = (head(false, TCP, 0), text(100));
        let debt = |segment| Debt { segment: Some(segment), ..Debt::NONE };
        let mut arp = head.clone();
        arp[13] = 6;
        for (front, segment) in [(&arp[..], 10), (&head[..40], 10), (&head[..], 0), (&[], 10)] {
            let device = Notebook::default();
            let error = pay(&[IoSlice::new(front)], debt(segment), &device);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidInput);
            assert!(device.frames().is_empty());
        }
        let (whole, device) = (cut_all(&[&head, &text], 10), Notebook::refusing(2));
        let result = pay(&[IoSlice::new(&head), IoSlice::new(&text)], debt(10), &device);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(whole.len(), 10);
        assert_eq!(device.frames(), [&whole[..2], &whole[3..]].concat());
    }
}
