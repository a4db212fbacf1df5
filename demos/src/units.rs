//! Quantities as people write them: `10ms`, `1%`, `100mbit`, `64KiB`.

use std::time::Duration;

/// The most bytes of text in a datagram: IPv6 has 65535 with its header of 8.
const LONGEST_TEXT: usize = 65_527;

/// Bytes of text in one datagram.
///
/// # Errors
/// What to write instead.
pub fn text_size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| *size <= LONGEST_TEXT);
    size.ok_or_else(|| format!("a number of bytes from 0 to {LONGEST_TEXT}"))
}

/// A number and the unit behind it.
fn split(text: &str) -> Option<(f64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim().to_owned()))
}

/// A time: `10ms`, `250us`, `1.5s`, `2min`, or `0`.
///
/// # Errors
/// What to write instead.
pub fn time(text: &str) -> Result<Duration, String> {
    let help = || format!("{text:?} is no time: write a number and us, ms, s or min, like 10ms");
    let (number, unit) = split(text).ok_or_else(help)?;
    let second = match unit.as_str() {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "" if number == 0.0 => 1.0,
        _ => return Err(help()),
    };
    Duration::try_from_secs_f64(number * second).map_err(|_| help())
}

/// Seconds without a unit, as in `ping -i 0.2`.
///
/// # Errors
/// What to write instead.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "a number of seconds, like 0.2".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

/// A share of the whole: `1%` or `0.01`.
///
/// # Errors
/// What to write instead.
pub fn share(text: &str) -> Result<f64, String> {
    let help = || format!("{text:?} is no share: write a percentage, like 1%, or 0 to 1");
    let (number, unit) = split(text).ok_or_else(help)?;
    let share = match unit.as_str() {
        "%" => number / 100.0,
        "" => number,
        _ => return Err(help()),
    };
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(help()) }
}

/// Bits a second: `100mbit`, `1.5gbit`, `56kbit/s`.
///
/// # Errors
/// What to write instead.
pub fn rate(text: &str) -> Result<u64, String> {
    let help = || format!("{text:?} is no rate: write bit, kbit, mbit or gbit, like 100mbit");
    let (number, unit) = split(text).ok_or_else(help)?;
    let unit = unit.to_ascii_lowercase();
    let bit = match unit.strip_suffix("/s").unwrap_or(&unit) {
        "bit" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        _ => return Err(help()),
    };
    Ok((number * bit) as u64)
}

/// Room for waiting frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Room {
    /// As many bytes as the wire carries in that time.
    Time(Duration),
    /// Bytes.
    Bytes(usize),
    /// Frames of any size.
    Frames(usize),
}

/// The length of a queue: `100ms`, `64KiB` or `1000p` (packets).
///
/// # Errors
/// What to write instead.
pub fn room(text: &str) -> Result<Room, String> {
    let help = || {
        format!("{text:?} is no length of a queue: write it like 100ms, 64KiB or 1000p (packets)")
    };
    let (number, unit) = split(text).ok_or_else(help)?;
    let unit = unit.to_ascii_lowercase();
    match (unit.as_str(), byte(&unit)) {
        ("p" | "packet" | "packets", _) => Ok(Room::Frames(number as usize)),
        (_, Some(byte)) => Ok(Room::Bytes((number * byte) as usize)),
        _ => time(text).map(Room::Time).map_err(|_| help()),
    }
}

/// A number of bytes: `64KiB`, `1.5GB`, or `100` alone.
///
/// # Errors
/// What to write instead.
pub fn bytes(text: &str) -> Result<u64, String> {
    let help = || format!("{text:?} is no number of bytes: write it like 100, 64KiB or 1.5GB");
    let (number, unit) = split(text).ok_or_else(help)?;
    let byte = if unit.is_empty() { Some(1.0) } else { byte(&unit.to_ascii_lowercase()) };
    byte.map(|byte| (number * byte) as u64).ok_or_else(help)
}

/// How many bytes a unit stands for.
fn byte(unit: &str) -> Option<f64> {
    Some(match unit {
        "b" | "byte" | "bytes" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "kib" | "k" => 1024.0,
        "mib" | "m" => 1024.0 * 1024.0,
        "gib" | "g" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

/// Two times: `3ms..20ms`, `3..20ms`, or `20ms` alone for one from zero.
///
/// # Errors
/// What to write instead.
pub fn times(text: &str) -> Result<(Duration, Duration), String> {
    let Some((first, last)) = text.split_once("..") else {
        return Ok((Duration::ZERO, time(text)?));
    };
    let unit = last.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let least = time(first).or_else(|_| time(&format!("{first}{unit}")))?;
    let most = time(last)?;
    if least > most {
        return Err(format!("{text:?}: the first time is the shorter one, like 3ms..20ms"));
    }
    Ok((least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, micros) in [
            ("0", 0),
            ("10ms", 10_000),
            ("250us", 250),
            ("1.5 s", 1_500_000),
            ("2min", 120_000_000),
        ] {
            assert_eq!(time(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for (text, value) in [("1%", 0.01), ("0.25", 0.25), ("100%", 1.0), ("0", 0.0), ("1", 1.0)] {
            assert_eq!(share(text), Ok(value), "{text}");
        }
        for (text, bits) in [("100mbit", 100_000_000), ("1.5Gbit/s", 1_500_000_000), ("9 bit", 9)] {
            assert_eq!(rate(text), Ok(bits), "{text}");
        }
        assert_eq!(room("100ms"), Ok(Room::Time(Duration::from_millis(100))));
        assert_eq!(room("64KiB"), Ok(Room::Bytes(65_536)));
        assert_eq!(room("1500B"), Ok(Room::Bytes(1500)));
        assert_eq!(room("1000p"), Ok(Room::Frames(1000)));
        for (text, count) in [("100", 100), ("64KiB", 65_536), ("1.5GB", 1_500_000_000)] {
            assert_eq!(bytes(text), Ok(count), "{text}");
        }
        let millis = |least, most| Ok((Duration::from_millis(least), Duration::from_millis(most)));
        assert_eq!(times("3..20ms"), millis(3, 20));
        assert_eq!(
            times("900us..20ms"),
            Ok((Duration::from_micros(900), Duration::from_millis(20)))
        );
        assert_eq!(times("20ms"), millis(0, 20));
    }

    #[test]
    fn what_is_not_understood_is_explained() {
        for text in ["", "10", "ms", "10 parsecs", "-1ms", "1e400s", "1.2.3s"] {
            assert!(time(text).unwrap_err().contains("like 10ms"), "{text}");
        }
        for text in ["", "5", "101%", "-1%", "x%", "nan"] {
            assert!(share(text).unwrap_err().contains("like 1%"), "{text}");
        }
        // In `tc` bps are bytes, elsewhere bits: neither is guessed.
        for text in ["", "100", "100mbps", "mbit"] {
            assert!(rate(text).unwrap_err().contains("like 100mbit"), "{text}");
        }
        for text in ["", "100", "100 yards"] {
            assert!(room(text).unwrap_err().contains("64KiB"), "{text}");
        }
        for text in ["", "1 day", "many"] {
            assert!(bytes(text).unwrap_err().contains("64KiB"), "{text}");
        }
        assert!(times("20ms..3ms").unwrap_err().contains("shorter"));
        assert!(times("3ms..x").is_err());
    }

    #[test]
    fn a_text_fits_into_a_datagram() {
        assert_eq!((text_size("0"), text_size("65527")), (Ok(0), Ok(65_527)));
        for wrong in ["65528", "18446744073709551615", "-1", ""] {
            assert!(text_size(wrong).unwrap_err().contains("65527"), "{wrong}");
        }
    }
}
