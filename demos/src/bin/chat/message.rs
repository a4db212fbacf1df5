//! What is said in the group: a datagram is a line, `WHAT NAME` and perhaps a text, so that anybody
//! can join in who can send one.

use std::fmt;

/// The longest name, characters.
const LONGEST_NAME: usize = 32;

/// The longest text, bytes: a datagram that no link cuts.
pub(crate) const LONGEST_TEXT: usize = 1000;

/// A message, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) name: Name,
    pub(crate) what: What,
}

/// What somebody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// I am new.
    Join,
    /// I was here before the new one.
    Here,
    /// A line.
    Say(String),
    /// I go.
    Leave,
}

/// A name: letters, digits and some signs, so that it is a word on everybody's terminal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(text: &str) -> Result<Name, String> {
        let is_sign = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let count = text.chars().count();
        if (1..=LONGEST_NAME).contains(&count) && text.chars().all(is_sign) {
            return Ok(Name(text.to_owned()));
        }
        Err(format!("a name is a word of at most {LONGEST_NAME} letters and digits"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Message {
    /// Reads a datagram; `None` for what is no message.
    pub(crate) fn parse(datagram: &[u8]) -> Option<Message> {
        let line = std::str::from_utf8(datagram).ok()?.trim_end();
        let (word, rest) = line.split_once(' ')?;
        let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let what = match word {
            "JOIN" => What::Join,
            "HERE" => What::Here,
            "LEAVE" => What::Leave,
            "SAY" if text.len() <= LONGEST_TEXT => What::Say(plain(text)),
            _ => return None,
        };
        Some(Message { name: Name::new(name).ok()?, what })
    }

    pub(crate) fn to_datagram(&self) -> String {
        let name = &self.name;
        match &self.what {
            What::Join => format!("JOIN {name}\n"),
            What::Here => format!("HERE {name}\n"),
            What::Leave => format!("LEAVE {name}\n"),
            What::Say(text) => format!("SAY {name} {text}\n"),
        }
    }
}

/// A text without what a terminal would obey.
fn plain(text: &str) -> String {
    text.replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_way() {
        let say = |text: &str| What::Say(text.to_owned());
        for what in [What::Join, What::Here, What::Leave, say("hello  you"), say("")] {
            let message = Message { name: Name::new("Zo\u{eb}_1").unwrap(), what };
            assert_eq!(Message::parse(message.to_datagram().as_bytes()), Some(message));
        }
    }

    #[test]
    fn nothing_else_is_a_message_and_no_terminal_obeys_one() {
        let long = format!("SAY a {}", "x".repeat(LONGEST_TEXT + 1));
        for datagram in ["", "JOIN", "JOIN ", "JOIN \x1b[2J", "SAY", "WHO a", "LEAVE a\0", &long] {
            assert_eq!(Message::parse(datagram.as_bytes()), None, "{datagram:?}");
        }
        assert_eq!(Message::parse(b"JOIN \xff"), None);
        let message = Message::parse("SAY a \x1b[2Jb\r\nJOIN c\n".as_bytes()).unwrap();
        assert_eq!(message.what, What::Say("?[2Jb??JOIN c".to_owned()));
    }
}
