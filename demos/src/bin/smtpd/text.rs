//! The text of a mail (RFC 5321 §4.1.1.4): lines until one that is a dot alone.

use std::io::{self, Read, Write};
use std::time::Duration;

use demos::dialogue::{Dialogue, Line};
use demos::outside::Stopwatch;

/// How long a whole mail may take.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What became of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All of it was written: so many bytes.
    Taken(u64),
    /// It has more bytes than a mail may have.
    TooLarge,
    /// It has a longer line than a mail may have (RFC 5321 §4.5.3.1.6).
    LongLine,
    /// It has an LF without CR, which other servers may take for the end of a line: what is a mail
    /// here and two there is none.
    BareLineFeed,
    /// It could not be written.
    NotStored,
}

/// Reads the text to its end, whatever is wrong with it, and writes it. `None`: the client left.
pub(crate) fn read<S: Read + Write>(
    dialogue: &mut Dialogue<S>,
    out: &mut impl Write,
    max_size: u64,
) -> io::Result<Option<Verdict>> {
    let since = Stopwatch::start();
    let mut wrong = None;
    let mut count = 0;
    let mut is_at_line = true;
    loop {
        if since.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let Some(line) = dialogue.read_line()? else { return Ok(None) };
        let line = match line {
            // Only behind a line that ended as lines do.
            Line::Whole(b".") if is_at_line => {
                return Ok(Some(wrong.unwrap_or(Verdict::Taken(count))));
            }
            Line::Whole(line) => {
                is_at_line = true;
                line
            }
            Line::Bare(_) => {
                is_at_line = false;
                wrong.get_or_insert(Verdict::BareLineFeed);
                continue;
            }
            Line::TooLong { is_whole } => {
                is_at_line = is_whole;
                wrong.get_or_insert(Verdict::LongLine);
                continue;
            }
        };
        // RFC 5321 §4.5.2: a dot in front was put there by the sender.
        let line = line.strip_prefix(b".").unwrap_or(line);
        count += line.len() as u64 + 2;
        if count > max_size {
            wrong.get_or_insert(Verdict::TooLarge);
        }
        if wrong.is_none() && out.write_all(line).and_then(|()| out.write_all(b"\r\n")).is_err() {
            wrong = Some(Verdict::NotStored);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that says this and listens to nothing.
    struct Client<'a>(&'a [u8]);

    impl Read for Client<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0.read(out)
        }
    }

    impl Write for Client<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn take(text: &str) -> (Option<Verdict>, String, bool) {
        let mut dialogue = Dialogue::new(Client(text.as_bytes()), 20);
        let mut out = Vec::new();
        let verdict = read(&mut dialogue, &mut out, 40).unwrap();
        let is_next_there = dialogue.read_line().unwrap() == Some(Line::Whole(b"QUIT"));
        (verdict, String::from_utf8(out).unwrap(), is_next_there)
    }

    #[test]
    fn dots_in_front_are_doubled_on_the_way() {
        let (verdict, text, is_next_there) = take("a\r\n..b\r\n...\r\n.c\r\n\r\n.\r\nQUIT\r\n");
        assert_eq!((verdict, is_next_there), (Some(Verdict::Taken(16)), true));
        assert_eq!(text, "a\r\n.b\r\n..\r\nc\r\n\r\n");
        assert_eq!(take(".\r\nQUIT\r\n").0, Some(Verdict::Taken(0)));
    }

    #[test]
    fn what_is_wrong_is_read_to_its_end() {
        let long = format!("{}\r\nx\r\n.\r\nQUIT\r\n", "x".repeat(21));
        let large = format!("{}.\r\nQUIT\r\n", "0123456789\r\n".repeat(4));
        let long_bare = format!("{}\n.\r\nMAIL\r\n.\r\nQUIT\r\n", "x".repeat(21));
        for (text, expected) in [
            (long.as_str(), Verdict::LongLine),
            // A line is none the more whole for being long.
            (&long_bare, Verdict::LongLine),
            (&large, Verdict::TooLarge),
            ("a\nb\r\n.\r\nQUIT\r\n", Verdict::BareLineFeed),
            // None of these dots is an end but the last.
            ("a\n.\r\nMAIL\r\n.\r\nQUIT\r\n", Verdict::BareLineFeed),
            ("a\r\n.\nMAIL\r\n.\r\nQUIT\r\n", Verdict::BareLineFeed),
        ] {
            let (verdict, _, is_next_there) = take(text);
            assert_eq!((verdict, is_next_there), (Some(expected), true), "{text}");
        }
        assert_eq!(take("a\r\n").0, None);
    }

    #[test]
    fn a_text_that_cannot_be_written_is_read_all_the_same() {
        let mut dialogue = Dialogue::new(Client(b"a\r\nb\r\n.\r\n"), 20);
        let mut full = [0; 3];
        let verdict = read(&mut dialogue, &mut full.as_mut_slice(), 40).unwrap();
        assert_eq!(verdict, Some(Verdict::NotStored));
    }
}
