//! The limit: a sham host that costs what a TAP costs, and nothing else.
//!
//! It has super-frames and unfinished checksums, one constant head, and no buffers, windows or
//! timers. It remembers nothing: each answer follows from the frame that it answers, whose
//! acknowledgment number is where its own stream stands. Only a source knows what it has sent.

use std::io::IoSlice;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tapdev::{Checksum, Debt, Device, Offloads, Tap, TapOptions, Wake};

use crate::rows::{port, read_order};
use crate::stopwatch::work_for;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// Where things are in a frame: no IP options are expected.
const IP: usize = 14;
const TRANSPORT: usize = IP + 20;
const TCP_TEXT: usize = TRANSPORT + 20;
const UDP_TEXT: usize = TRANSPORT + 8;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// MSS 1460, a NOP, and the greatest window scale.
const OPTIONS: [u8; 8] = [2, 4, 0x05, 0xb4, 1, 3, 3, 14];
const MSS: usize = 1460;

/// 2 MiB by that scale: what the queue of a TAP holds in any case.
const WINDOW: u16 = 128;

/// What a source sends at once, bytes: whole segments.
const PORTION: usize = 44 * MSS;

/// A source that hears nothing for so long begins again where it was last acknowledged.
const SILENCE: Duration = Duration::from_millis(200);

/// The one connection of the source.
struct Source {
    /// The last frame that came, which says where to.
    last: Vec<u8>,
    acknowledged: u32,
    next: u32,
    /// The right edge of the peer's window, and its scale.
    edge: u32,
    scale: u8,
}

struct Sham {
    tap: Tap,
    address: [u8; 4],
    content: Vec<u8>,
    source: Option<Source>,
    datagrams: u64,
    bytes: u64,
    /// How long it computes for each request.
    work: Duration,
}

/// Serves until killed.
pub(crate) fn serve(tap: &str, address: Ipv4Addr, work: Duration) -> Result<()> {
    let tap = Tap::open(TapOptions::named(tap))?;
    let granted = tap.negotiate(Offloads::ALL);
    ensure!(granted.checksum && granted.tcp, "this kernel's TAP has no super-frames");
    let mut buffer = vec![0; tap.buffer_len()];
    let content = vec![0x5a; PORTION];
    let address = address.octets();
    let mut sham = Sham { tap, address, content, source: None, datagrams: 0, bytes: 0, work };
    println!("ready");
    loop {
        if let Ok(received) = sham.tap.recv_with_debt(&mut buffer) {
            let segment = received.debt.segment;
            sham.hear(&buffer[received.range()], segment.map_or(usize::MAX, usize::from));
            continue;
        }
        if sham.tap.wait(Some(SILENCE))? == Wake::TimedOut
            && let Some(source) = &mut sham.source
        {
            source.next = source.acknowledged;
            sham.pump();
        }
    }
}

/// Fields of a header.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) << 16 | u32::from(u16_at(bytes, at + 2))
}

impl Sham {
    fn hear(&mut self, frame: &[u8], segment: usize) {
        if frame.len() >= 42 && u16_at(frame, 12) == 0x0806 {
            self.answer_arp(frame);
        } else if frame.len() >= UDP_TEXT && u16_at(frame, 12) == 0x0800 {
            // A short frame may be padded.
            let end = (IP + usize::from(u16_at(frame, IP + 2))).min(frame.len());
            match frame[IP + 9] {
                6 => self.hear_tcp(&frame[..end]),
                17 => self.hear_udp(&frame[..end], segment),
                _ => {}
            }
        }
    }

    fn answer_arp(&mut self, frame: &[u8]) {
        if frame[38..42] != self.address || u16_at(frame, 20) != 1 {
            return;
        }
        let mut answer = [0; 42];
        answer[..6].copy_from_slice(&frame[6..12]);
        answer[6..12].copy_from_slice(&MAC);
        answer[12..22].copy_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
        answer[22..28].copy_from_slice(&MAC);
        answer[28..32].copy_from_slice(&self.address);
        answer[32..42].copy_from_slice(&frame[22..32]);
        self.send(&[&answer], Debt::NONE);
    }

    fn hear_tcp(&mut self, frame: &[u8]) {
        let tcp = &frame[TRANSPORT..];
        if tcp.len() < 20 || tcp[13] & RST != 0 {
            self.source = None;
            return;
        }
        let text = &tcp[usize::from(tcp[12] >> 4) * 4..];
        let (seq, ack, flags) = (u32_at(tcp, 4), u32_at(tcp, 8), tcp[13]);
        let service = u16_at(tcp, 2);
        let end = seq.wrapping_add(text.len() as u32);
        if flags & SYN != 0 {
            let scale = tcp.windows(3).rev().find(|option| option[..2] == [3, 3]);
            let scale = scale.map_or(0, |option| option[2]);
            if service == port::SOURCE {
                let (last, edge) = (frame.to_vec(), 0);
                self.source = Some(Source { last, acknowledged: 0, next: 0, edge, scale });
            }
            self.tcp(frame, SYN | ACK, (0, seq.wrapping_add(1)), 0);
        } else if flags & FIN != 0 {
            self.tcp(frame, FIN | ACK, (ack, end.wrapping_add(1)), 0);
        } else if service == port::ECHO && !text.is_empty() {
            work_for(self.work);
            self.content[..text.len()].copy_from_slice(text);
            self.tcp(frame, PSH | ACK, (ack, end), text.len());
        } else if !text.is_empty() {
            self.tcp(frame, ACK, (ack, end), 0);
        } else if service == port::SOURCE {
            self.acknowledged(frame, ack, u16_at(tcp, 14));
        }
    }

    /// The source's peer has spoken: there may be room for more.
    fn acknowledged(&mut self, frame: &[u8], ack: u32, window: u16) {
        let Some(source) = &mut self.source else { return };
        source.last.clear();
        source.last.extend_from_slice(frame);
        source.acknowledged = ack;
        source.next = source.next.max(ack);
        source.edge = ack.wrapping_add(u32::from(window) << source.scale);
        self.pump();
    }

    /// What the peer's window has room for, in large portions.
    fn pump(&mut self) {
        while let Some(source) = &mut self.source {
            let room = source.edge.wrapping_sub(source.next) as usize;
            let idle = source.next == source.acknowledged;
            let portion = if idle { room.min(PORTION) } else { PORTION };
            if portion == 0 || room < portion || room > 1 << 30 {
                return;
            }
            let ack = u32_at(&source.last, TRANSPORT + 4);
            let (last, seq) = (std::mem::take(&mut source.last), source.next);
            source.next = seq.wrapping_add(portion as u32);
            self.tcp(&last, PSH | ACK, (seq, ack), portion);
            if let Some(source) = &mut self.source {
                source.last = last;
            }
        }
    }

    /// Answers a segment with these flags, numbers and so many bytes of content.
    fn tcp(&mut self, to: &[u8], flags: u8, (seq, ack): (u32, u32), text: usize) {
        let mut head = [0; TCP_TEXT + OPTIONS.len()];
        let options: &[u8] = if flags & SYN != 0 { &OPTIONS } else { &[] };
        let length = TCP_TEXT + options.len();
        self.envelope(&mut head, to, 6, length + text - TRANSPORT);
        let tcp = &mut head[TRANSPORT..length];
        tcp[4..8].copy_from_slice(&seq.to_be_bytes());
        tcp[8..12].copy_from_slice(&ack.to_be_bytes());
        tcp[12..14].copy_from_slice(&[((20 + options.len()) as u8 / 4) << 4, flags]);
        // A SYN's is not scaled (RFC 7323 §2.2).
        let window = if flags & SYN != 0 { u16::MAX } else { WINDOW };
        tcp[14..16].copy_from_slice(&window.to_be_bytes());
        tcp[20..].copy_from_slice(options);
        let sum = pseudo_sum(&head, length + text - TRANSPORT);
        head[TRANSPORT + 16..TRANSPORT + 18].copy_from_slice(&sum);
        let segment = (text > MSS).then_some(MSS as u16);
        let checksum = Checksum::Partial { start: TRANSPORT as u16, offset: 16 };
        self.send(&[&head[..length], &self.content[..text]], Debt { checksum, segment });
    }

    fn hear_udp(&mut self, frame: &[u8], segment: usize) {
        let text = &frame[UDP_TEXT..];
        match u16_at(frame, TRANSPORT + 2) {
            port::UDP_SINK if text == b"STAT" => {
                let told = [self.datagrams.to_be_bytes(), self.bytes.to_be_bytes()].concat();
                (self.datagrams, self.bytes) = (0, 0);
                self.udp(frame, &told);
            }
            port::UDP_SINK => {
                self.datagrams += text.len().div_ceil(segment) as u64;
                self.bytes += text.len() as u64;
            }
            port::UDP_ECHO => self.udp(frame, text),
            port::UDP_SOURCE => {
                let Some((size, time)) = read_order(text) else { return };
                let begun = Instant::now();
                while begun.elapsed() < time {
                    (0..16).for_each(|_| self.udp(frame, &self.content[..size.min(1472)]));
                }
            }
            _ => {}
        }
    }

    fn udp(&self, to: &[u8], text: &[u8]) {
        let mut head = [0; UDP_TEXT];
        let length = 8 + text.len();
        self.envelope(&mut head, to, 17, length);
        head[TRANSPORT + 4..TRANSPORT + 6].copy_from_slice(&(length as u16).to_be_bytes());
        let sum = pseudo_sum(&head, length);
        head[TRANSPORT + 6..TRANSPORT + 8].copy_from_slice(&sum);
        let checksum = Checksum::Partial { start: TRANSPORT as u16, offset: 6 };
        self.send(&[&head, text], Debt { checksum, segment: None });
    }

    /// Ethernet and IPv4 headers and the ports of an answer to `to`.
    fn envelope(&self, head: &mut [u8], to: &[u8], protocol: u8, payload: usize) {
        head[..6].copy_from_slice(&to[6..12]);
        head[6..12].copy_from_slice(&MAC);
        head[12..16].copy_from_slice(&[8, 0, 0x45, 0]);
        head[16..18].copy_from_slice(&(20 + payload as u16).to_be_bytes());
        head[18..24].copy_from_slice(&[0, 0, 0x40, 0, 64, protocol]);
        head[26..30].copy_from_slice(&self.address);
        head[30..34].copy_from_slice(&to[26..30]);
        let sum = !fold(sum(&head[IP..TRANSPORT]));
        head[24..26].copy_from_slice(&sum.to_be_bytes());
        head[34..36].copy_from_slice(&to[36..38]);
        head[36..38].copy_from_slice(&to[34..36]);
    }

    /// What the TAP does not take is lost.
    fn send(&self, parts: &[&[u8]], debt: Debt) {
        let _ = match *parts {
            [head, text] => {
                self.tap.send_with_debt(&[IoSlice::new(head), IoSlice::new(text)], debt)
            }
            _ => self.tap.send(&parts.iter().map(|part| IoSlice::new(part)).collect::<Vec<_>>()),
        };
    }
}

/// What the checksum field holds while the checksum is the device's to finish.
fn pseudo_sum(head: &[u8], length: usize) -> [u8; 2] {
    let protocol = u32::from(head[IP + 9]);
    fold(sum(&head[26..34]) + protocol + length as u32).to_be_bytes()
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|pair| u32::from(u16_at(pair, 0))).sum()
}

fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum + (sum >> 16)) as u16
}
