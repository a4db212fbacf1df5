//! What goes over data connections: bytes as they are (TYPE I), or lines that end with CRLF on the
//! way (TYPE A, RFC 959 §3.1.1.1).

use std::io::{self, Read, Write};

/// How much is read and written at once, bytes.
const COPY_SIZE: usize = 128 * 1024;

/// What ended a transfer before its end.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection.
    Connection(io::Error),
    /// The file.
    File(io::Error),
    /// There was more than may be stored.
    TooLarge,
}

/// Sends all of `file`, and returns how many bytes were sent.
pub(crate) fn send(
    mut file: impl Read,
    mut stream: impl Write,
    is_ascii: bool,
) -> Result<u64, Broken> {
    let mut buffer = vec![0; COPY_SIZE];
    let mut sent = 0;
    loop {
        let count = file.read(&mut buffer).map_err(Broken::File)?;
        let lines;
        let bytes = match is_ascii {
            false => &buffer[..count],
            true => {
                lines = with_crlf(&buffer[..count]);
                &lines
            }
        };
        if bytes.is_empty() {
            return Ok(sent);
        }
        stream.write_all(bytes).map_err(Broken::Connection)?;
        sent += bytes.len() as u64;
    }
}

/// Stores what comes until the end, at most `room` bytes, and returns how many bytes came.
pub(crate) fn receive(
    mut stream: impl Read,
    mut file: impl Write,
    is_ascii: bool,
    room: u64,
) -> Result<u64, Broken> {
    let mut buffer = vec![0; COPY_SIZE];
    let mut received = 0;
    // A CR at the end of what was read waits for what follows.
    let mut has_cr = false;
    loop {
        let count = stream.read(&mut buffer).map_err(Broken::Connection)?;
        received += count as u64;
        if received > room {
            return Err(Broken::TooLarge);
        }
        let bytes = &buffer[..count];
        let stored = if is_ascii {
            let lines = without_crlf(bytes, &mut has_cr);
            file.write_all(&lines)
        } else {
            file.write_all(bytes)
        };
        stored.map_err(Broken::File)?;
        if count == 0 {
            return file.flush().map_err(Broken::File).map(|()| received);
        }
    }
}

fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte == b'\n' {
            lines.push(b'\r');
        }
        lines.push(byte);
    }
    lines
}

/// The same with LF for CRLF. Without bytes it is the end, where a CR that waited is one.
fn without_crlf(bytes: &[u8], has_cr: &mut bool) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bytes.len() + 1);
    for &byte in bytes {
        if *has_cr && byte != b'\n' {
            lines.push(b'\r');
        }
        *has_cr = byte == b'\r';
        if !*has_cr {
            lines.push(byte);
        }
    }
    if bytes.is_empty() && *has_cr {
        lines.push(b'\r');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            out[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn lines_change_their_ends_and_bytes_do_not() {
        for (bytes, ascii) in [(&b"a\nb\n"[..], &b"a\r\nb\r\n"[..]), (b"", b""), (b"\n", b"\r\n")] {
            let mut out = Vec::new();
            assert_eq!(send(bytes, &mut out, true).unwrap(), ascii.len() as u64);
            assert_eq!(out, ascii);
            let mut back = Vec::new();
            receive(Drip(&out), &mut back, true, 100).unwrap();
            assert_eq!(back, bytes);
            let mut same = Vec::new();
            send(bytes, &mut same, false).unwrap();
            assert_eq!(same, bytes);
        }
        let mut out = Vec::new();
        receive(Drip(b"a\r\r\nb\rc\r"), &mut out, true, 100).unwrap();
        assert_eq!(out, b"a\r\nb\rc\r");
    }

    #[test]
    fn no_more_is_stored_than_there_is_room() {
        let mut out = Vec::new();
        assert_eq!(receive(Drip(b"12345"), &mut out, false, 5).unwrap(), 5);
        let result = receive(Drip(b"123456"), &mut Vec::new(), false, 5);
        assert!(matches!(result, Err(Broken::TooLarge)));
    }
}
