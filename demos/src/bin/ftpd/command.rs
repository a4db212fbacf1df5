//! Commands and replies.

use std::io;

/// A command: its verb in capital letters, and what follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) verb: String,
    pub(crate) argument: String,
}

impl Command {
    /// Reads a line. What telnet clients put in front of ABOR is left out (RFC 959 §4.1.3): a mark,
    /// and a byte that says what it is.
    pub(crate) fn parse(line: &[u8]) -> Option<Command> {
        const TELNET_MARK: u8 = 0xff;
        let mut bytes = line.iter().copied();
        let mut text = Vec::with_capacity(line.len());
        while let Some(byte) = bytes.next() {
            match byte {
                TELNET_MARK => drop(bytes.next()),
                byte => text.push(byte),
            }
        }
        // RFC 2640 §2: names are UTF-8.
        let text = String::from_utf8(text).ok()?;
        let (verb, argument) = text.split_once(' ').unwrap_or((&text, ""));
        let is_verb =
            (3..=4).contains(&verb.len()) && verb.bytes().all(|b| b.is_ascii_alphabetic());
        let argument = argument.to_owned();
        is_verb.then(|| Command { verb: verb.to_ascii_uppercase(), argument })
    }
}

/// A reply (RFC 959 §4.2); that of several lines has several.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn new(code: u16, text: impl Into<String>) -> Reply {
        Reply { code, text: text.into() }
    }
}

/// Why something in the directory cannot be done.
impl From<io::Error> for Reply {
    fn from(error: io::Error) -> Reply {
        let why = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "There is no such file.",
            io::ErrorKind::PermissionDenied => "This file is not for you.",
            io::ErrorKind::AlreadyExists => "There is something of this name.",
            io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput => {
                "No file has such a name."
            }
            io::ErrorKind::DirectoryNotEmpty => "The directory is not empty.",
            _ => {
                log::warn!("{error}");
                return Reply::new(451, "This cannot be done now.");
            }
        };
        Reply::new(550, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_commands() {
        let parse = |line: &[u8]| Command::parse(line).map(|it| (it.verb, it.argument));
        let is = |verb: &str, argument: &str| Some((verb.to_owned(), argument.to_owned()));
        assert_eq!(parse(b"retr a b"), is("RETR", "a b"));
        assert_eq!(parse(b"CWD  a"), is("CWD", " a"));
        assert_eq!(parse(b"\xff\xf4\xff\xf2ABOR"), is("ABOR", ""));
        assert_eq!(parse(b"STOR \xc3\xa9"), is("STOR", "\u{e9}"));
        for line in [&b""[..], b"GET / HTTP/1.1 ", b"QU", b"QUITE x", b"R\0TR x", b"RETR \xe9"] {
            let is_known = parse(line).is_some_and(|(verb, _)| verb.len() == 4);
            assert!(!is_known, "{line:?}");
        }
    }
}
