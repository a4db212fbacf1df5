//! The calendar (from httpdate), for times that any file may have.
#![expect(clippy::disallowed_types, reason = "the times of files are the system's")]

use std::time::{Duration, SystemTime};

/// The last second of the year 9999, from 1970 on: the calendar goes no further.
const LAST: Duration = Duration::from_secs(253_402_300_799);

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`. What is before 1970 or after 9999
/// becomes the nearest that is not.
pub fn http(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since.min(LAST))
}

/// A time as FTP writes it (RFC 3659 §2.3): `19941106084937`.
pub fn ftp(time: SystemTime) -> String {
    let text = http(time);
    let (day, month, year, clock) = (&text[5..7], &text[8..11], &text[12..16], &text[17..25]);
    let month = 1 + MONTHS.iter().position(|name| *name == month).unwrap_or_default();
    format!("{year}{month:02}{day}{}", clock.replace(':', ""))
}

/// A time as in lists of files: with the time of day if it is within half a year of `now`,
/// `Nov 06 08:49`, and otherwise with the year, `Nov 06  1994`.
pub fn list(time: SystemTime, now: SystemTime) -> String {
    const HALF_A_YEAR: Duration = Duration::from_secs(182 * 24 * 3600);
    let text = http(time);
    let (day, month, year, clock) = (&text[5..7], &text[8..11], &text[12..16], &text[17..22]);
    let is_recent = now.duration_since(time).is_ok_and(|age| age < HALF_A_YEAR);
    if is_recent { format!("{month} {day} {clock}") } else { format!("{month} {day}  {year}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_time_has_three_spellings() {
        let time = at(784_111_777);
        assert_eq!(http(time), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(ftp(time), "19941106084937");
        assert_eq!(list(time, at(784_200_000)), "Nov 06 08:49");
        assert_eq!(list(time, at(884_111_777)), "Nov 06  1994");
        // In the future.
        assert_eq!(list(time, at(0)), "Nov 06  1994");
    }

    #[test]
    fn no_file_is_too_old_or_too_young() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(http(before), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(ftp(at(u64::from(u32::MAX) * 1000)), "99991231235959");
    }
}
