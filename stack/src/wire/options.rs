//! TCP options (RFC 9293 §3.1, RFC 7323, RFC 2018, RFC 7413): read leniently, written in Linux's
//! order.

/// Most ranges that a SACK option can carry beside a timestamp (RFC 2018 §3).
pub(crate) const SACK_BLOCKS: usize = 4;
/// Most bytes that options may take: a data offset of 15 words less the fixed header.
pub(crate) const OPTIONS_MAX: usize = 40;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const FAST_OPEN: u8 = 34;

/// The options of one segment. Also what a segment is to carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Maximum segment size; only meaningful with SYN.
    pub(crate) mss: Option<u16>,
    /// Window scale shift; only meaningful with SYN.
    pub(crate) window_scale: Option<u8>,
    /// SACK permitted; only meaningful with SYN.
    pub(crate) sack_permitted: bool,
    /// TSval and TSecr.
    pub(crate) timestamps: Option<Timestamps>,
    /// Ranges received above the cumulative acknowledgment, most recent first.
    pub(crate) sack: SackBlocks,
    /// A Fast Open cookie, or the request for one; only meaningful with SYN.
    pub(crate) fast_open: Option<FastOpenCookie>,
}

/// A cookie of RFC 7413 §4.1.1: an even number of bytes from 4 to 16; none are a request for one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FastOpenCookie {
    bytes: [u8; FAST_OPEN_COOKIE_MAX],
    len: u8,
}

/// Most bytes of a Fast Open cookie.
const FAST_OPEN_COOKIE_MAX: usize = 16;

impl FastOpenCookie {
    /// The request for a cookie.
    pub(crate) const REQUEST: FastOpenCookie =
        FastOpenCookie { bytes: [0; FAST_OPEN_COOKIE_MAX], len: 0 };

    /// A cookie of these bytes; None for a length that the RFC does not allow.
    pub(crate) fn new(data: &[u8]) -> Option<FastOpenCookie> {
        let legal = data.is_empty() || (4..=16).contains(&data.len());
        if !legal || !data.len().is_multiple_of(2) {
            return None;
        }
        let mut bytes = [0; FAST_OPEN_COOKIE_MAX];
        bytes[..data.len()].copy_from_slice(data);
        Some(FastOpenCookie { bytes, len: data.len() as u8 })
    }

    /// A cookie of eight bytes, as Linux makes it.
    pub(crate) fn from_hash(hash: u64) -> FastOpenCookie {
        let mut bytes = [0; FAST_OPEN_COOKIE_MAX];
        bytes[..8].copy_from_slice(&hash.to_le_bytes());
        FastOpenCookie { bytes, len: 8 }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(crate) fn is_request(&self) -> bool {
        self.len == 0
    }
}

impl core::fmt::Debug for FastOpenCookie {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FastOpenCookie({:02x?})", self.as_slice())
    }
}

/// TSval and TSecr of RFC 7323 §3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timestamps {
    pub(crate) value: u32,
    pub(crate) echo: u32,
}

/// Up to four `[left, right)` ranges of sequence numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SackBlocks {
    blocks: [(u32, u32); SACK_BLOCKS],
    len: u8,
}

impl SackBlocks {
    /// Adds a range; a fifth is ignored.
    pub(crate) fn push(&mut self, left: u32, right: u32) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.len)) {
            *slot = (left, right);
            self.len += 1;
        }
    }

    pub(crate) fn as_slice(&self) -> &[(u32, u32)] {
        &self.blocks[..usize::from(self.len)]
    }
}

impl Options {
    /// Reads the options of a segment. Unknown kinds are skipped (MUST-6); from an illegal length
    /// on the rest is ignored (MUST-7), and what was read before it stands.
    pub(crate) fn parse(bytes: &[u8]) -> Options {
        let mut options = Options::default();
        // Nearly every segment of a connection carries just this (RFC 7323 appendix A).
        if let [NOP, NOP, TIMESTAMPS, 10, data @ ..] = bytes
            && data.len() == 8
        {
            options.timestamps = read_timestamps(data);
            return options;
        }
        let mut rest = bytes;
        while let [kind, tail @ ..] = rest {
            match *kind {
                END => break,
                NOP => rest = tail,
                kind => {
                    let Some((&len, _)) = tail.split_first() else { break };
                    let Some(data) = rest.get(2..usize::from(len)) else { break };
                    if !options.read(kind, data) {
                        break;
                    }
                    rest = &rest[usize::from(len)..];
                }
            }
        }
        options
    }

    /// Notes one option; false for an illegal length.
    fn read(&mut self, kind: u8, data: &[u8]) -> bool {
        match (kind, data) {
            (MSS, &[high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            // RFC 7323 §2.3: a shift above 14 is used as 14.
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift.min(14)),
            (SACK_PERMITTED, []) => self.sack_permitted = true,
            (TIMESTAMPS, data) if data.len() == 8 => self.timestamps = read_timestamps(data),
            (SACK, data) if !data.is_empty() && data.len().is_multiple_of(8) => {
                for block in data.chunks_exact(8) {
                    self.sack.push(be32(&block[..4]), be32(&block[4..]));
                }
            }
            // An illegal length, or a second option, is no cookie (§4.1.1): it is passed over.
            (FAST_OPEN, data) => {
                self.fast_open = self.fast_open.or_else(|| FastOpenCookie::new(data));
            }
            (MSS | WINDOW_SCALE | SACK_PERMITTED | TIMESTAMPS | SACK, _) => return false,
            _ => {}
        }
        true
    }

    /// Bytes that [`Options::write`] will take, a multiple of four.
    pub(crate) fn len(&self) -> usize {
        let mut len = 0;
        if self.mss.is_some() {
            len += 4;
        }
        // SACK permitted hides in the padding of the timestamps, as Linux writes it.
        if self.timestamps.is_some() {
            len += 12;
        } else if self.sack_permitted {
            len += 4;
        }
        if self.window_scale.is_some() {
            len += 4;
        }
        if let Some(cookie) = &self.fast_open {
            len += (2 + cookie.as_slice().len()).next_multiple_of(4);
        }
        match self.sack.as_slice().len() {
            0 => len,
            blocks => len + 4 + 8 * blocks,
        }
    }

    /// Writes the options, padded to a multiple of four; returns the length. The order is that of
    /// Linux: MSS, SACK permitted, timestamps, NOP and window scale, SACK, Fast Open and NOPs.
    pub(crate) fn write(&self, out: &mut [u8]) -> usize {
        let mut w = Writer { out, at: 0 };
        if let Some(mss) = self.mss {
            w.put(&[MSS, 4]);
            w.put(&mss.to_be_bytes());
        }
        if let Some(ts) = self.timestamps {
            w.put(if self.sack_permitted { &[SACK_PERMITTED, 2] } else { &[NOP, NOP] });
            w.put(&[TIMESTAMPS, 10]);
            w.put(&ts.value.to_be_bytes());
            w.put(&ts.echo.to_be_bytes());
        } else if self.sack_permitted {
            w.put(&[NOP, NOP, SACK_PERMITTED, 2]);
        }
        if let Some(shift) = self.window_scale {
            w.put(&[NOP, WINDOW_SCALE, 3, shift]);
        }
        let blocks = self.sack.as_slice();
        if !blocks.is_empty() {
            w.put(&[NOP, NOP, SACK, 2 + 8 * blocks.len() as u8]);
            for (left, right) in blocks {
                w.put(&left.to_be_bytes());
                w.put(&right.to_be_bytes());
            }
        }
        if let Some(cookie) = &self.fast_open {
            let bytes = cookie.as_slice();
            w.put(&[FAST_OPEN, 2 + bytes.len() as u8]);
            w.put(bytes);
            if bytes.len().is_multiple_of(4) {
                w.put(&[NOP, NOP]);
            }
        }
        w.at
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |word, &byte| word << 8 | u32::from(byte))
}

fn read_timestamps(data: &[u8]) -> Option<Timestamps> {
    let (value, rest) = data.split_first_chunk()?;
    let echo = rest.first_chunk()?;
    Some(Timestamps { value: u32::from_be_bytes(*value), echo: u32::from_be_bytes(*echo) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(options: Options) {
        let mut bytes = [0xee; OPTIONS_MAX];
        let len = options.write(&mut bytes);
        assert_eq!(len, options.len());
        assert_eq!(len % 4, 0);
        assert_eq!(Options::parse(&bytes[..len]), options);
    }

    #[test]
    fn what_is_written_is_read() {
        let timestamps = Some(Timestamps { value: 7, echo: 0xffff_fffe });
        let mut sack = SackBlocks::default();
        for i in 0..3 {
            sack.push(i * 100, i * 100 + 50);
        }
        for bits in 0..32u8 {
            for cookie in [None, FastOpenCookie::new(&[]), FastOpenCookie::new(&[7; 8])] {
                let on = |bit: u8| bits & (1 << bit) != 0;
                round_trip(Options {
                    mss: on(0).then_some(1460),
                    window_scale: on(1).then_some(8),
                    sack_permitted: on(2),
                    timestamps: timestamps.filter(|_| on(3)),
                    sack: if on(4) && !on(0) && !on(1) { sack } else { SackBlocks::default() },
                    fast_open: cookie.filter(|_| !on(4)),
                });
            }
        }
    }

    #[test]
    fn a_syn_looks_like_linux_s() {
        let options = Options {
            mss: Some(1460),
            window_scale: Some(8),
            sack_permitted: true,
            timestamps: Some(Timestamps { value: 1, echo: 0 }),
            ..Options::default()
        };
        let mut bytes = [0; OPTIONS_MAX];
        let len = options.write(&mut bytes);
        let expected = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 8];
        assert_eq!(&bytes[..len], expected);
    }

    #[test]
    fn must_6_unknown_kinds_are_skipped() {
        let bytes = [253, 4, 0, 0, 1, 158, 2, 2, 4, 5, 180];
        assert_eq!(Options::parse(&bytes).mss, Some(1460));
    }

    #[test]
    fn must_7_illegal_lengths_end_the_list() {
        for bad in
            [&[253, 0][..], &[253, 1], &[253, 40, 0], &[2, 3, 5], &[8, 9, 0], &[253], &[3, 4]]
        {
            let mut bytes = vec![2, 4, 5, 180];
            bytes.extend_from_slice(bad);
            bytes.extend_from_slice(&[4, 2]);
            let options = Options::parse(&bytes);
            assert_eq!(options.mss, Some(1460), "{bad:?}");
        }
    }

    #[test]
    fn p4_every_kind_and_length_is_survived() {
        for kind in 0..=255u8 {
            for len in 0..=41u8 {
                for room in [0usize, 1, 2, 3, 10, 38] {
                    let mut bytes = vec![kind, len];
                    bytes.resize(2 + room, 0xff);
                    let _: Options = Options::parse(&bytes);
                }
            }
        }
    }

    /// RFC 7413 §4.1.1.
    #[test]
    fn cookies_have_4_to_16_bytes_an_even_number() {
        for len in 0..=38u8 {
            let mut bytes = vec![34, 2 + len];
            bytes.resize(2 + usize::from(len), 7);
            bytes.extend([2, 4, 5, 180]);
            let options = Options::parse(&bytes);
            let cookie = options.fast_open.map(|cookie| cookie.as_slice().len());
            let legal = len == 0 || (4..=16).contains(&len) && len % 2 == 0;
            assert_eq!(cookie, legal.then_some(usize::from(len)));
            assert_eq!(options.mss, Some(1460), "what follows it stands");
        }
        // The longest leaves no byte over beside everything else that a SYN carries.
        let longest = Options {
            mss: Some(1460),
            window_scale: Some(8),
            sack_permitted: true,
            timestamps: Some(Timestamps { value: 1, echo: 0 }),
            fast_open: FastOpenCookie::new(&[7; 16]),
            ..Options::default()
        };
        assert_eq!(longest.len(), OPTIONS_MAX);
        round_trip(longest);
    }

    #[test]
    fn a_shift_above_14_is_14() {
        assert_eq!(Options::parse(&[3, 3, 255]).window_scale, Some(14));
    }
}
