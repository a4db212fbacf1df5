//! Domain names (RFC 1035 §3.1): at most 255 bytes in labels of at most 63.

use core::fmt;
use core::str::FromStr;

use crate::random::Random;

/// Bytes of a name on the wire, the last zero included (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// Pointers followed in one name; all lead backwards (RFC 9267 §2).
const JUMPS_MAX: usize = 16;

/// A domain name, from its own label to the root. Letters have no case.
///
/// ```
/// use stack::DomainName;
/// let name: DomainName = "WWW.Example.com".parse()?;
/// assert_eq!(name.to_string(), "www.example.com");
/// assert!("no..name".parse::<DomainName>().is_err());
/// # Ok::<(), stack::NameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName {
    /// As on the wire, in lower case.
    wire: Vec<u8>,
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing, or nothing between two dots.
    EmptyLabel,
    /// More than 63 bytes between two dots.
    LabelTooLong,
    /// More than 253 characters.
    TooLong,
    /// A character that no host's name has: the letters of other scripts are written in Punycode.
    Character(char),
}

impl DomainName {
    /// The name on the wire, in lower case.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// Dots between the labels.
    pub(crate) fn dots(&self) -> usize {
        self.labels().count().saturating_sub(1)
    }

    /// This name within `domain`, if that is not too long.
    pub(crate) fn within(&self, domain: &DomainName) -> Option<DomainName> {
        let own = self.wire.len().saturating_sub(1);
        let wire: Vec<u8> = self.wire.iter().take(own).chain(&domain.wire).copied().collect();
        (wire.len() <= NAME_MAX).then_some(DomainName { wire })
    }

    /// The last label says that it is this machine (RFC 6761 §6.3).
    pub(crate) fn is_localhost(&self) -> bool {
        self.labels().last() == Some(&b"localhost"[..])
    }

    /// The name on the wire with letters of random case, which an answer must repeat.
    pub(crate) fn in_random_case(&self, random: &mut Random) -> Vec<u8> {
        let mut dice = 0;
        let mut left = 0;
        let mut wire = self.wire.clone();
        for byte in &mut wire {
            if left == 0 {
                (dice, left) = (random.next_u64(), 64);
            }
            // A length is never a letter: it is 63 at most.
            if byte.is_ascii_lowercase() && dice & 1 == 1 {
                byte.make_ascii_uppercase();
            }
            (dice, left) = (dice >> 1, left - 1);
        }
        wire
    }

    /// The name that begins at `at` in `message`. Pointers lead strictly backwards, so that no two
    /// of them make a circle.
    pub(crate) fn read(message: &[u8], at: usize) -> Option<DomainName> {
        Self::read_to_end(message, at).map(|(name, _)| name)
    }

    /// The same, and where what stands behind it begins.
    pub(crate) fn read_to_end(message: &[u8], at: usize) -> Option<(DomainName, usize)> {
        let mut wire = Vec::new();
        let (mut at, mut jumps, mut earliest, mut end) = (at, 0, at, None);
        loop {
            let length = *message.get(at)?;
            match length >> 6 {
                0 => {
                    let label = message.get(at..=at + usize::from(length))?;
                    wire.extend(label.iter().map(u8::to_ascii_lowercase));
                    if wire.len() > NAME_MAX {
                        return None;
                    }
                    if length == 0 {
                        return Some((DomainName { wire }, end.unwrap_or(at + 1)));
                    }
                    at += label.len();
                }
                0b11 => {
                    let low = *message.get(at + 1)?;
                    end = end.or(Some(at + 2));
                    at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                    jumps += 1;
                    if at >= earliest || jumps > JUMPS_MAX {
                        return None;
                    }
                    earliest = at;
                }
                _ => return None,
            }
        }
    }

    /// The names that stand one behind another, up to `most` of them, to the first that is none or
    /// empty: what fills an option up.
    pub(crate) fn list(bytes: &[u8], most: usize) -> Vec<DomainName> {
        let (mut names, mut at) = (Vec::new(), 0);
        while names.len() < most
            && let Some((name, end)) = DomainName::read_to_end(bytes, at)
            && name.labels().next().is_some()
        {
            names.push(name);
            at = end;
        }
        names
    }

    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.wire[..];
        core::iter::from_fn(move || {
            let (length, after) = rest.split_first().filter(|(length, _)| **length > 0)?;
            let (label, next) = after.split_at_checked(usize::from(*length))?;
            rest = next;
            Some(label)
        })
    }
}

impl FromStr for DomainName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<DomainName, NameError> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            let odd = |c: &char| !(c.is_ascii_alphanumeric() || *c == '-' || *c == '_');
            if let Some(character) = label.chars().find(odd) {
                return Err(NameError::Character(character));
            }
            let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
            match usize::from(length) {
                0 => return Err(NameError::EmptyLabel),
                1..=LABEL_MAX => wire.push(length),
                _ => return Err(NameError::LabelTooLong),
            }
            wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
        }
        wire.push(0);
        if wire.len() > NAME_MAX { Err(NameError::TooLong) } else { Ok(DomainName { wire }) }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, label) in self.labels().enumerate() {
            let dot = if index > 0 { "." } else { "" };
            write!(f, "{dot}{}", label.escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::EmptyLabel => f.write_str("a name has something before and after a dot"),
            NameError::LabelTooLong => f.write_str("a name has 63 characters between two dots"),
            NameError::TooLong => f.write_str("a name has at most 253 characters"),
            NameError::Character(character) => write!(f, "no name has {character:?} in it"),
        }
    }
}

impl core::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use proptest::prelude::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_read_and_said() {
        for (text, dots) in [("a", 0), ("a.b", 1), ("a-1._tcp.Example.COM", 3), ("a.b.", 1)] {
            assert_eq!(name(text).dots(), dots);
            assert_eq!(name(text).to_string(), text.trim_end_matches('.').to_lowercase());
        }
        assert_eq!(name("a").within(&name("b.c")), Some(name("a.b.c")));
        assert!(name("x.localhost").is_localhost() && !name("localhost.x").is_localhost());
    }

    #[test]
    fn d2_limits_of_names() {
        let long = |count: usize| "a".repeat(count);
        assert_eq!(long(64).parse::<DomainName>(), Err(NameError::LabelTooLong));
        assert_eq!(long(300).parse::<DomainName>(), Err(NameError::LabelTooLong));
        let most = [long(63), long(63), long(63), long(61)].join(".");
        assert_eq!(name(&most).wire().len(), NAME_MAX);
        assert_eq!(format!("{most}a").parse::<DomainName>(), Err(NameError::TooLong));
        assert_eq!(name(&most).within(&name("a")), None);
        for text in ["", ".", "a..b", ".a"] {
            assert_eq!(text.parse::<DomainName>(), Err(NameError::EmptyLabel), "{text:?}");
        }
        assert_eq!("a b".parse::<DomainName>(), Err(NameError::Character(' ')));
    }

    #[test]
    fn d2_every_length_byte_and_every_cut() {
        for length in 0..=255_u8 {
            let mut message = vec![length];
            message.extend([b'a'; 70]);
            message[usize::from(length).min(69) + 1] = 0;
            let read = DomainName::read(&message, 0);
            assert_eq!(read.is_some(), length <= 63, "{length}");
            for cut in 0..usize::from(length.min(63)) + 2 {
                let whole = length == 0 && cut > 0;
                assert_eq!(DomainName::read(&message[..cut], 0).is_some(), whole);
            }
        }
        let labels = [&[63; 64][..]; 4].concat();
        assert_eq!(DomainName::read(&[&labels[..], &[0]].concat(), 0), None, "256 bytes");
    }

    #[test]
    fn d1_pointers_lead_backwards() {
        let message = [1, b'a', 0, 1, b'b', 0xc0, 0, 0xc0, 3, 0xc0, 9, 0xc0, 13, 0];
        assert_eq!(DomainName::read(&message, 3), Some(name("b.a")));
        assert_eq!(DomainName::read(&message, 7), Some(name("b.a")));
        assert_eq!(DomainName::read(&message, 9), None, "to itself");
        assert_eq!(DomainName::read(&message, 11), None, "forward");
        assert_eq!(DomainName::read(&[1, b'a', 0xc0, 0], 0), None, "around");
        assert_eq!(DomainName::read(&[0xc0], 0), None);
        for jumps in 1..300_u16 {
            let mut message = vec![0];
            for jump in 0..jumps {
                let to = if jump == 0 { 0 } else { jump * 2 - 1 };
                message.extend((0xc000 | to).to_be_bytes());
            }
            let read = DomainName::read(&message, message.len() - 2);
            assert_eq!(read.is_some(), usize::from(jumps) <= JUMPS_MAX, "{jumps}");
        }
    }

    #[test]
    fn cases_are_random_and_mean_nothing() {
        let mut random = Random::new(&Seed::from_number(1));
        let one = name("a-long-name.of.letters.example.com");
        let cases: Vec<_> = (0..8).map(|_| one.in_random_case(&mut random)).collect();
        assert!(cases.windows(2).all(|two| two[0] != two[1]));
        assert!(cases.iter().all(|wire| DomainName::read(wire, 0).as_ref() == Some(&one)));
    }

    proptest! {
        #[test]
        fn d1_d2_no_bytes_do_harm(bytes: Vec<u8>, at in 0..300_usize) {
            if let Some(name) = DomainName::read(&bytes, at) {
                prop_assert!(name.wire().len() <= NAME_MAX);
                prop_assert_eq!(DomainName::read(name.wire(), 0), Some(name));
            }
        }
    }
}
