//! One client: its commands, one after the other, until it or its time is up.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use demos::clients;
use demos::date;
use demos::dialogue::{Dialogue, Line};
use demos::outside::wall_clock;
use demos::patient::{Patient, is_timeout};
use stack::host::TcpStream;

use crate::Site;
use crate::envelope;
use crate::text::{self, Verdict};

/// How long a client may take for one line (RFC 5321 §4.5.3.2.7).
const PATIENCE: Duration = Duration::from_secs(300);

/// The longest line of a text without its end (RFC 5321 §4.5.3.1.6); commands may have as much.
const LONGEST_LINE: usize = 998;

/// The most recipients of a mail, which is the least that a server must take (RFC 5321
/// §4.5.3.1.8).
const MAX_RECIPIENTS: usize = 100;

/// The most commands that are refused before the client is.
const MAX_MISTAKES: usize = 100;

/// Who we are.
const NAME: &str = "tapstack";

struct Session<'a> {
    site: &'a Site,
    dialogue: Dialogue<Patient>,
    client: SocketAddr,
    /// What the client calls itself, and whether it said EHLO.
    hello: Option<(String, bool)>,
    /// Whom the mail is from, and whom for.
    from: Option<String>,
    to: Vec<String>,
}

/// A code and what it means.
type Reply = (u16, String);

fn reply(code: u16, text: impl Into<String>) -> Reply {
    (code, text.into())
}

/// Serves one client.
pub(crate) fn serve(site: &Site, stream: TcpStream, client: SocketAddr) {
    site.totals.clients.add(1);
    let patient = Patient::new(stream, PATIENCE);
    let result = patient.and_then(|patient| {
        let dialogue = Dialogue::new(patient, LONGEST_LINE);
        Session { site, dialogue, client, hello: None, from: None, to: Vec::new() }.talk()
    });
    clients::log_end(client, result);
}

/// Turns a client away because there are too many.
pub(crate) fn turn_away(stream: TcpStream) {
    clients::turn_away(stream, b"421 Too many clients: try again later.\r\n");
}

impl Session<'_> {
    fn talk(&mut self) -> io::Result<()> {
        self.dialogue.say(220, &format!("{NAME} ESMTP"));
        let mut mistakes = 0;
        loop {
            self.dialogue.stream_mut().begin();
            let line = match self.dialogue.read_line() {
                Ok(Some(Line::Whole(line) | Line::Bare(line))) => std::str::from_utf8(line).ok(),
                Ok(Some(Line::TooLong { .. })) => None,
                Ok(None) => return Ok(()),
                Err(error) if is_timeout(&error) => {
                    return self.part(421, "Silent for too long.");
                }
                Err(error) => return Err(error),
            };
            let line = line.map(str::to_owned);
            let Some((code, text)) = self.answer(line.as_deref())? else { return Ok(()) };
            if code == 221 {
                return self.part(code, &text);
            }
            mistakes += usize::from(code >= 500);
            if mistakes > MAX_MISTAKES {
                return self.part(421, "Too many mistakes.");
            }
            self.dialogue.say(code, &text);
        }
    }

    fn part(&mut self, code: u16, text: &str) -> io::Result<()> {
        self.dialogue.say(code, text);
        self.dialogue.flush()?;
        self.dialogue.stream_mut().leave()
    }

    /// The reply to a command; `None` if the client left.
    fn answer(&mut self, line: Option<&str>) -> io::Result<Option<Reply>> {
        let Some(line) = line else { return Ok(Some(reply(500, "This is no command."))) };
        let line = line.trim_end();
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" | "HELO" => self.hello(argument, verb == "EHLO"),
            "MAIL" => self.mail(argument),
            "RCPT" => self.recipient(argument),
            "DATA" => return self.data(argument),
            "RSET" => {
                self.reset();
                reply(250, "Forgotten.")
            }
            "NOOP" => reply(250, "Done."),
            "VRFY" => reply(252, "Anybody is taken here."),
            "HELP" => reply(214, "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT (RFC 5321)."),
            "QUIT" => reply(221, "Good-bye."),
            "EXPN" => reply(502, "There are no lists here."),
            _ => reply(500, "This is not understood: HELP says what is."),
        };
        log::debug!("{} {line:?} {}", self.client, reply.0);
        Ok(Some(reply))
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }

    fn hello(&mut self, name: &str, is_extended: bool) -> Reply {
        if name.is_empty() || name.contains(char::is_control) {
            return reply(501, "Say who you are.");
        }
        self.reset();
        self.hello = Some((name.to_owned(), is_extended));
        let extensions = format!("\nPIPELINING\nSIZE {}\n8BITMIME", self.site.max_size);
        let extensions = if is_extended { extensions } else { String::new() };
        reply(250, format!("{NAME} greets {name}{extensions}"))
    }

    fn mail(&mut self, argument: &str) -> Reply {
        if self.hello.is_none() {
            return reply(503, "EHLO comes first.");
        }
        if self.from.is_some() {
            return reply(503, "There is a mail begun already.");
        }
        let Some(path) = envelope::parse(argument, "FROM") else {
            return reply(501, "Write MAIL FROM:<name@host>.");
        };
        for (key, value) in &path.parameters {
            match (key.as_str(), value.to_ascii_uppercase().as_str(), value.parse::<u64>()) {
                // RFC 1870 §6.1: what is known to be too large need not be sent.
                ("SIZE", _, Ok(size)) if size > self.site.max_size => return too_large(),
                ("SIZE", _, Ok(_)) | ("BODY", "7BIT" | "8BITMIME", _) => {}
                ("SIZE" | "BODY", ..) => return reply(501, format!("{key} has no such value.")),
                _ => return reply(555, format!("{key} is not understood.")),
            }
        }
        self.from = Some(path.mailbox.to_owned());
        reply(250, "From there, then.")
    }

    fn recipient(&mut self, argument: &str) -> Reply {
        if self.from.is_none() {
            return reply(503, "MAIL comes first.");
        }
        let Some(path) = envelope::parse(argument, "TO").filter(|path| !path.mailbox.is_empty())
        else {
            return reply(501, "Write RCPT TO:<name@host>.");
        };
        if let Some((key, _)) = path.parameters.first() {
            return reply(555, format!("{key} is not understood."));
        }
        if self.to.len() >= MAX_RECIPIENTS {
            return reply(452, "Too many recipients: the others with another mail.");
        }
        self.to.push(path.mailbox.to_owned());
        reply(250, "To there, too.")
    }

    fn data(&mut self, argument: &str) -> io::Result<Option<Reply>> {
        if !argument.is_empty() {
            return Ok(Some(reply(501, "DATA stands alone.")));
        }
        let Some(from) = self.from.take().filter(|_| !self.to.is_empty()) else {
            self.reset();
            return Ok(Some(reply(503, "MAIL and RCPT come first.")));
        };
        let head = self.head(&from);
        let begun = self.site.store.begin().and_then(|mut draft| {
            draft.write_all(head.as_bytes())?;
            Ok(draft)
        });
        let mut draft = match begun {
            Ok(draft) => draft,
            Err(error) => {
                log::warn!("mail cannot be kept: {error}");
                self.reset();
                return Ok(Some(reply(451, "It cannot be kept now.")));
            }
        };
        self.dialogue.say(354, "Send it, and a dot alone at its end.");
        // From here on the patience is for each piece, and `text` has one for the whole.
        self.dialogue.stream_mut().end();
        let verdict = text::read(&mut self.dialogue, &mut draft, self.site.max_size)?;
        let Some(verdict) = verdict else { return Ok(None) };
        let reply = match verdict {
            Verdict::Taken(count) => match draft.finish() {
                Ok(()) => {
                    self.site.totals.mails.add(1);
                    self.site.totals.bytes.add(count);
                    reply(250, format!("{count} bytes were kept."))
                }
                Err(error) => {
                    log::warn!("mail cannot be kept: {error}");
                    reply(451, "It cannot be kept now.")
                }
            },
            Verdict::NotStored => reply(452, "There is no room for it."),
            Verdict::TooLarge => too_large(),
            Verdict::LongLine => reply(554, format!("A line has more than {LONGEST_LINE} bytes.")),
            Verdict::BareLineFeed => reply(554, "A line ends without CR."),
        };
        log::info!("{} <{from}> {:?} {}", self.client, self.to, reply.0);
        self.reset();
        Ok(Some(reply))
    }

    /// What stands in front of a mail: its envelope, and how it came here (RFC 5321 §4.4).
    fn head(&self, from: &str) -> String {
        let (name, is_extended) = self.hello.as_ref().map_or(("", false), |it| (&it.0, it.1));
        let with = if is_extended { "ESMTP" } else { "SMTP" };
        let time = date::http(wall_clock()).replace("GMT", "+0000");
        let mut head = format!("Return-Path: <{from}>\r\n");
        for to in &self.to {
            // Writing to a string does not fail.
            let _ = write!(head, "X-Envelope-To: <{to}>\r\n");
        }
        let client = self.client.ip();
        let _ = write!(
            head,
            "Received: from {name} ([{client}]) by {NAME} with {with};\r\n\t{time}\r\n"
        );
        head
    }
}

fn too_large() -> Reply {
    reply(552, "This is more than is taken.")
}
