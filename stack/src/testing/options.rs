//! TCP options as text: `mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 7,sack 1:2 5:6,eol`,
//! `FO HEX` for a Fast Open cookie, `opt KIND HEX` for any other well-formed option and `raw HEX`
//! for bytes that are not one.

use super::notation::{Bases, NotationError, Number, number, wrong};
use core::fmt;

/// One option, relative numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpOption {
    /// End of the option list.
    End,
    /// One byte of nothing.
    Nop,
    /// Maximum segment size.
    Mss(u16),
    /// Window scale (RFC 7323).
    WindowScale(u8),
    /// SACK permitted (RFC 2018).
    SackPermitted,
    /// Selective acknowledgments: ranges of the other side's sequence space.
    Sack(Vec<(Number, Number)>),
    /// Timestamps (RFC 7323); None, written `*`: any value.
    Timestamps {
        /// TSval.
        val: Option<u32>,
        /// TSecr.
        ecr: Option<u32>,
    },
    /// A Fast Open cookie, or the request for one (RFC 7413).
    FastOpen(Vec<u8>),
    /// Any other kind, with its data.
    Other(u8, Vec<u8>),
    /// Bytes that do not make an option: the rest of the list.
    Raw(Vec<u8>),
}

/// Reads what stands between `<` and `>`; None for `...`.
pub(super) fn parse(list: &str) -> Result<Option<Vec<TcpOption>>, NotationError> {
    match list.trim() {
        "..." => Ok(None),
        "" => Ok(Some(Vec::new())),
        list => list.split(',').map(parse_one).collect::<Result<_, _>>().map(Some),
    }
}

fn parse_one(text: &str) -> Result<TcpOption, NotationError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words[..] {
        ["eol"] => TcpOption::End,
        ["nop"] => TcpOption::Nop,
        ["sackOK"] => TcpOption::SackPermitted,
        ["mss", value] => TcpOption::Mss(number(value)?),
        ["wscale", value] => TcpOption::WindowScale(number(value)?),
        ["TS", "val", val, "ecr", ecr] => {
            TcpOption::Timestamps { val: timestamp(val)?, ecr: timestamp(ecr)? }
        }
        ["sack", ref blocks @ ..] => TcpOption::Sack(
            blocks.iter().map(|block| parse_block(block)).collect::<Result<_, _>>()?,
        ),
        ["FO"] => TcpOption::FastOpen(Vec::new()),
        ["FO", data] => TcpOption::FastOpen(hex(data)?),
        ["opt", kind] => TcpOption::Other(number(kind)?, Vec::new()),
        ["opt", kind, data] => TcpOption::Other(number(kind)?, hex(data)?),
        ["raw", data] => TcpOption::Raw(hex(data)?),
        _ => return wrong(format!("`{text}` among the options")),
    })
}

fn timestamp(text: &str) -> Result<Option<u32>, NotationError> {
    if text == "*" { Ok(None) } else { number(text).map(Some) }
}

fn parse_block(text: &str) -> Result<(Number, Number), NotationError> {
    match text.split_once(':') {
        Some((from, to)) => Ok((from.parse()?, to.parse()?)),
        None => wrong(format!("`{text}` where `first:end` belongs")),
    }
}

fn hex(text: &str) -> Result<Vec<u8>, NotationError> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return wrong(format!("`{text}` is not hexadecimal"));
    }
    let digits = |i| u8::from_str_radix(&text[i..i + 2], 16);
    let bytes: Result<Vec<u8>, _> = (0..text.len()).step_by(2).map(digits).collect();
    bytes.or_else(|_| wrong(format!("`{text}` is not hexadecimal")))
}

/// The header bytes of a list. A SACK block names the receiver's own incoming stream, so it
/// counts from the same base as the acknowledgment.
pub(super) fn write(list: &[TcpOption], bases: Bases) -> Vec<u8> {
    let mut bytes = Vec::new();
    for option in list {
        match option {
            TcpOption::End => bytes.push(0),
            TcpOption::Nop => bytes.push(1),
            TcpOption::Mss(size) => {
                bytes.extend([2, 4]);
                bytes.extend(size.to_be_bytes());
            }
            TcpOption::WindowScale(shift) => bytes.extend([3, 3, *shift]),
            TcpOption::SackPermitted => bytes.extend([4, 2]),
            TcpOption::Sack(blocks) => {
                bytes.extend([5, (2 + 8 * blocks.len()) as u8]);
                for (from, to) in blocks {
                    bytes.extend(from.absolute(bases.ack).to_be_bytes());
                    bytes.extend(to.absolute(bases.ack).to_be_bytes());
                }
            }
            TcpOption::Timestamps { val, ecr } => {
                bytes.extend([8, 10]);
                bytes.extend(val.unwrap_or(0).wrapping_add(bases.val).to_be_bytes());
                bytes.extend(ecr.unwrap_or(0).wrapping_add(bases.ecr).to_be_bytes());
            }
            TcpOption::FastOpen(data) => {
                bytes.extend([34, (2 + data.len()) as u8]);
                bytes.extend(data);
            }
            TcpOption::Other(kind, data) => {
                bytes.extend([*kind, (2 + data.len()) as u8]);
                bytes.extend(data);
            }
            TcpOption::Raw(data) => bytes.extend(data),
        }
    }
    bytes
}

/// The options in header bytes. Padding after an end of list is left out when it is zero, and
/// everything from the first byte that makes no sense is one `raw`.
pub(super) fn read(mut bytes: &[u8], bases: Bases) -> Vec<TcpOption> {
    let mut list = Vec::new();
    while let [kind, rest @ ..] = bytes {
        match (kind, rest) {
            (0, padding) if padding.iter().all(|&byte| byte == 0) => {
                list.push(TcpOption::End);
                break;
            }
            (1, _) => {
                list.push(TcpOption::Nop);
                bytes = rest;
            }
            (_, [len, _tail @ ..]) if (2..=bytes.len()).contains(&usize::from(*len)) => {
                let (option, tail) = bytes.split_at(usize::from(*len));
                list.push(read_one(*kind, &option[2..], bases));
                bytes = tail;
            }
            _ => {
                list.push(TcpOption::Raw(bytes.to_vec()));
                break;
            }
        }
    }
    list
}

fn read_one(kind: u8, data: &[u8], bases: Bases) -> TcpOption {
    let long = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|i| data[at + i]));
    match (kind, data) {
        (2, [high, low]) => TcpOption::Mss(u16::from_be_bytes([*high, *low])),
        (3, [shift]) => TcpOption::WindowScale(*shift),
        (4, []) => TcpOption::SackPermitted,
        (5, _) if data.len().is_multiple_of(8) => TcpOption::Sack(
            (0..data.len())
                .step_by(8)
                .map(|i| (long(i), long(i + 4)))
                .map(|(a, b)| (Number::relative(a, bases.ack), Number::relative(b, bases.ack)))
                .collect(),
        ),
        (8, [_, _, _, _, _, _, _, _]) => TcpOption::Timestamps {
            val: Some(long(0).wrapping_sub(bases.val)),
            ecr: Some(long(4).wrapping_sub(bases.ecr)),
        },
        (34, _) => TcpOption::FastOpen(data.to_vec()),
        _ => TcpOption::Other(kind, data.to_vec()),
    }
}

/// True when `seen` is what `expected` says, in the same order.
pub(super) fn describe(expected: &[TcpOption], seen: &[TcpOption]) -> bool {
    let same = |(expected, seen): (&TcpOption, &TcpOption)| match (expected, seen) {
        (
            TcpOption::Timestamps { val, ecr },
            TcpOption::Timestamps { val: seen_val, ecr: seen_ecr },
        ) => (val.is_none() || val == seen_val) && (ecr.is_none() || ecr == seen_ecr),
        _ => expected == seen,
    };
    expected.len() == seen.len() && expected.iter().zip(seen).all(same)
}

impl fmt::Display for TcpOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |data: &[u8]| data.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let stamp = |value: &Option<u32>| value.map_or("*".into(), |value| value.to_string());
        match self {
            TcpOption::End => f.write_str("eol"),
            TcpOption::Nop => f.write_str("nop"),
            TcpOption::Mss(size) => write!(f, "mss {size}"),
            TcpOption::WindowScale(shift) => write!(f, "wscale {shift}"),
            TcpOption::SackPermitted => f.write_str("sackOK"),
            TcpOption::Sack(blocks) => {
                f.write_str("sack")?;
                blocks.iter().try_for_each(|(from, to)| write!(f, " {from}:{to}"))
            }
            TcpOption::Timestamps { val, ecr } => {
                write!(f, "TS val {} ecr {}", stamp(val), stamp(ecr))
            }
            TcpOption::FastOpen(data) if data.is_empty() => f.write_str("FO"),
            TcpOption::FastOpen(data) => write!(f, "FO {}", hex(data)),
            TcpOption::Other(kind, data) if data.is_empty() => write!(f, "opt {kind}"),
            TcpOption::Other(kind, data) => write!(f, "opt {kind} {}", hex(data)),
            TcpOption::Raw(data) => write!(f, "raw {}", hex(data)),
        }
    }
}

impl TcpOption {
    /// The options in a segment's header bytes.
    pub fn list(bytes: &[u8]) -> Vec<TcpOption> {
        read(bytes, Bases::default())
    }
}

/// The TSval in a segment's options.
pub fn first_timestamp(bytes: &[u8]) -> Option<u32> {
    TcpOption::list(bytes).into_iter().find_map(|option| match option {
        TcpOption::Timestamps { val, .. } => val,
        _ => None,
    })
}
