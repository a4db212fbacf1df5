//! A dialogue in lines, as FTP and SMTP have it: commands and replies that end with CRLF.

use std::io::{self, Read, Write};

/// How much is asked of the stream at once, bytes.
const READ_SIZE: usize = 16 * 1024;

/// A stream that is read line by line. What is said is kept until there is nothing more to be read
/// without waiting, so that the replies to commands that came together leave together.
#[derive(Debug)]
pub struct Dialogue<S> {
    stream: S,
    /// The longest line that is taken, without its end, bytes.
    longest: usize,
    buffer: Vec<u8>,
    /// Where the unread part of `buffer` begins.
    start: usize,
    unsaid: Vec<u8>,
}

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// It ended with CRLF.
    Whole(&'a [u8]),
    /// It ended with LF alone, as lines of people at a terminal do.
    Bare(&'a [u8]),
    /// It was longer than what is taken; what it said is gone.
    TooLong {
        /// Whether it ended with CRLF.
        is_whole: bool,
    },
}

impl<S: Read + Write> Dialogue<S> {
    /// A dialogue that begins, in lines of at most `longest` bytes.
    pub fn new(stream: S, longest: usize) -> Dialogue<S> {
        Dialogue { stream, longest, buffer: Vec::new(), start: 0, unsaid: Vec::new() }
    }

    /// The stream underneath.
    pub fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The next line; `None` at the end of the stream, where a piece of a line counts for nothing.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn read_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut is_too_long = false;
        let mut searched = 0;
        let length = loop {
            let ahead = &self.buffer[self.start..];
            if let Some(at) = ahead[searched..].iter().position(|&byte| byte == b'\n') {
                break searched + at;
            }
            searched = ahead.len();
            // The CR before the end is not yet known to be one.
            if searched > self.longest + 1 {
                is_too_long = true;
                searched = usize::from(ahead.ends_with(b"\r"));
                self.start = self.buffer.len() - searched;
            }
            self.flush()?;
            if self.fill()? == 0 {
                return Ok(None);
            }
        };
        let line = &self.buffer[self.start..self.start + length];
        self.start += length + 1;
        let (text, is_whole) = match line {
            [text @ .., b'\r'] => (text, true),
            text => (text, false),
        };
        is_too_long |= text.len() > self.longest;
        Ok(Some(match (is_too_long, is_whole) {
            (true, is_whole) => Line::TooLong { is_whole },
            (false, true) => Line::Whole(text),
            (false, false) => Line::Bare(text),
        }))
    }

    /// Says a reply: a code and what it means, of which every line is one of the reply's (RFC 959
    /// §4.2, RFC 5321 §4.2.1). A line between the first and the last one that begins with a space
    /// is said as it is: so are the features of a server (RFC 2389 §3.2).
    pub fn say(&mut self, code: u16, text: &str) {
        let mut lines = text.lines().peekable();
        let mut is_first = true;
        while let Some(line) = lines.next() {
            let line = match lines.peek() {
                None => format!("{code} {line}\r\n"),
                Some(_) if line.starts_with(' ') && !is_first => format!("{line}\r\n"),
                Some(_) => format!("{code}-{line}\r\n"),
            };
            is_first = false;
            self.unsaid.extend_from_slice(line.as_bytes());
        }
    }

    /// Sends what was said.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn flush(&mut self) -> io::Result<()> {
        let unsaid = std::mem::take(&mut self.unsaid);
        if unsaid.is_empty() { Ok(()) } else { self.stream.write_all(&unsaid) }
    }

    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + READ_SIZE, 0);
        let result = self.stream.read(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + *result.as_ref().unwrap_or(&0));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces, and keeps what is written.
    struct Script {
        pieces: Vec<&'static [u8]>,
        written: Vec<u8>,
        writes: usize,
    }

    impl Read for Script {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.pieces.is_empty() {
                return Ok(0);
            }
            let piece = self.pieces.remove(0);
            out[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.written.extend_from_slice(bytes);
            self.writes += 1;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn dialogue(pieces: &[&'static [u8]]) -> Dialogue<Script> {
        let pieces = pieces.to_vec();
        Dialogue::new(Script { pieces, written: Vec::new(), writes: 0 }, 8)
    }

    #[test]
    fn lines_are_cut_however_they_arrive() {
        let mut it = dialogue(&[b"one\r\ntw", b"o\r", b"\nthree\n", b"12345678\r\n", b"rest"]);
        assert_eq!(it.read_line().unwrap(), Some(Line::Whole(b"one")));
        assert_eq!(it.read_line().unwrap(), Some(Line::Whole(b"two")));
        assert_eq!(it.read_line().unwrap(), Some(Line::Bare(b"three")));
        assert_eq!(it.read_line().unwrap(), Some(Line::Whole(b"12345678")));
        assert_eq!(it.read_line().unwrap(), None);
    }

    #[test]
    fn a_line_that_is_too_long_takes_no_room_and_the_next_is_read() {
        let mut it = dialogue(&[b"123456789", b"0123", b"4567890123\r\nnext\r\n"]);
        assert_eq!(it.read_line().unwrap(), Some(Line::TooLong { is_whole: true }));
        assert_eq!(it.read_line().unwrap(), Some(Line::Whole(b"next")));
        let mut it = dialogue(&[b"123456789\r\nnext\r\n"]);
        assert_eq!(it.read_line().unwrap(), Some(Line::TooLong { is_whole: true }));
        assert_eq!(it.read_line().unwrap(), Some(Line::Whole(b"next")));
    }

    #[test]
    fn a_line_that_is_too_long_says_how_it_ended() {
        // Its CR may be the last byte of what is thrown away.
        for (pieces, is_whole) in [
            (&[&b"123456789\n"[..]][..], false),
            (&[b"123456789\r\n"], true),
            (&[b"1234567890123\r", b"\n"], true),
            (&[b"1234567890123\r", b"1\n"], false),
            (&[b"1234567890123\r", b"45678901234567\r", b"\n"], true),
            (&[b"1234567890123", b"\n"], false),
        ] {
            let mut it = dialogue(pieces);
            assert_eq!(it.read_line().unwrap(), Some(Line::TooLong { is_whole }), "{pieces:?}");
        }
    }

    #[test]
    fn replies_leave_together_before_anything_is_waited_for() {
        let mut it = dialogue(&[b"a\r\nb\r\n", b"c\r\n"]);
        for _ in 0..3 {
            it.read_line().unwrap();
            it.say(250, "yes");
        }
        assert_eq!((it.stream.writes, it.stream.written.len()), (1, 18));
        it.say(211, "more\nthan one\nend");
        it.flush().unwrap();
        assert!(it.stream.written.ends_with(b"250 yes\r\n211-more\r\n211-than one\r\n211 end\r\n"));
        it.say(211, " all:\n EPSV\n SIZE\n end");
        it.flush().unwrap();
        assert!(it.stream.written.ends_with(b"211- all:\r\n EPSV\r\n SIZE\r\n211  end\r\n"));
    }
}
