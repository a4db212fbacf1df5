//! One client: its commands, one after the other, until it or its time is up.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use demos::clients;
use demos::date;
use demos::dialogue::{Dialogue, Line};
use demos::patient::{Patient, is_timeout};
use stack::host::{TcpListener, TcpStream};

use crate::Site;
use crate::address::{self, BadAddress};
use crate::command::{Command, Reply};
use crate::data::Way;
use crate::listing::{self, Style};
use crate::transfer::{self, Broken};
use crate::tree::place;

/// How long a client may take for one line.
const PATIENCE: Duration = Duration::from_secs(300);

/// The longest line, bytes: a path.
const LONGEST_LINE: usize = 4096;

/// Ports below are of services that a client may not have us talk to (RFC 2577 §3).
const FIRST_PORT: u16 = 1024;

const FEATURES: &str = "Besides RFC 959:\n EPRT\n EPSV\n MDTM\n REST STREAM\n SIZE\n UTF8\nEnd";

const HELP: &str = "These are understood:
 USER PASS QUIT NOOP HELP FEAT OPTS SYST STAT
 CWD CDUP PWD LIST NLST SIZE MDTM
 TYPE MODE STRU PORT PASV EPRT EPSV
 RETR STOR APPE REST ALLO DELE MKD ABOR
End";

/// Who the client says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    Unknown,
    /// Anonymous, if a password comes: any will do.
    Named,
    Anonymous,
}

struct Session<'a> {
    site: &'a Site,
    dialogue: Dialogue<Patient>,
    /// Our address on the way to the client.
    own: IpAddr,
    client: SocketAddr,
    login: Login,
    /// Where the client is: relative to the root.
    here: PathBuf,
    is_ascii: bool,
    /// Where the next transfer begins.
    restart: u64,
    way: Way,
    /// After EPSV ALL there is no other way (RFC 2428 §4).
    only_epsv: bool,
}

/// Serves one client.
pub(crate) fn serve(site: &Site, stream: TcpStream, client: SocketAddr) {
    site.totals.clients.add(1);
    let result = Session::new(site, stream, client).and_then(|mut session| session.talk());
    clients::log_end(client, result);
}

/// Turns a client away because there are too many.
pub(crate) fn turn_away(stream: TcpStream) {
    clients::turn_away(stream, b"421 Too many clients: try again later.\r\n");
}

/// The reply to a command, good or bad.
type Outcome = Result<Reply, Reply>;

impl<'a> Session<'a> {
    fn new(site: &'a Site, stream: TcpStream, client: SocketAddr) -> io::Result<Session<'a>> {
        let own = stream.local_addr()?.ip();
        Ok(Session {
            site,
            dialogue: Dialogue::new(Patient::new(stream, PATIENCE)?, LONGEST_LINE),
            own,
            client,
            login: Login::Unknown,
            here: PathBuf::new(),
            is_ascii: true,
            restart: 0,
            way: Way::None,
            only_epsv: false,
        })
    }

    fn talk(&mut self) -> io::Result<()> {
        self.dialogue.say(220, "Tapstack ftpd.");
        loop {
            self.dialogue.stream_mut().begin();
            let command = match self.dialogue.read_line() {
                Ok(Some(Line::Whole(line) | Line::Bare(line))) => Command::parse(line),
                Ok(Some(Line::TooLong { .. })) => None,
                Ok(None) => return Ok(()),
                Err(error) if is_timeout(&error) => {
                    self.dialogue.say(421, "Silent for too long.");
                    return self.dialogue.flush();
                }
                Err(error) => return Err(error),
            };
            let is_end = command.as_ref().is_some_and(|command| command.verb == "QUIT");
            let reply = match command {
                Some(command) => {
                    let reply = self.answer(&command).unwrap_or_else(|refusal| refusal);
                    let Command { verb, argument } = &command;
                    let argument = if verb == "PASS" { "..." } else { argument };
                    log::info!("{} {verb} {argument:?} {}", self.client, reply.code);
                    reply
                }
                None => Reply::new(500, "This is no command."),
            };
            self.dialogue.say(reply.code, &reply.text);
            if is_end {
                self.dialogue.flush()?;
                return self.dialogue.stream_mut().leave();
            }
        }
    }

    fn answer(&mut self, command: &Command) -> Outcome {
        let argument = command.argument.as_str();
        match command.verb.as_str() {
            "USER" => self.user(argument),
            "PASS" => self.password(),
            "QUIT" => Ok(Reply::new(221, "Good-bye.")),
            "NOOP" => Ok(Reply::new(200, "Done.")),
            "FEAT" => Ok(Reply::new(211, FEATURES)),
            "HELP" => Ok(Reply::new(214, HELP)),
            "SYST" => Ok(Reply::new(215, "UNIX Type: L8")),
            "OPTS" if argument.eq_ignore_ascii_case("UTF8 ON") => Ok(Reply::new(200, "Always.")),
            "OPTS" => Err(Reply::new(501, "There is no such option.")),
            _ if self.login != Login::Anonymous => Err(Reply::new(530, "Say USER anonymous.")),
            "CWD" => self.change_directory(argument),
            "CDUP" => self.change_directory(".."),
            "PWD" => Ok(Reply::new(257, format!("{} is where you are.", quoted(&self.here)))),
            "TYPE" => self.representation(argument),
            "MODE" => only(argument, "S"),
            "STRU" => only(argument, "F"),
            "ALLO" => Ok(Reply::new(202, "There is no need to.")),
            "STAT" => Ok(Reply::new(211, "Everything is well.")),
            "ABOR" => Ok(Reply::new(226, "Nothing is being transferred.")),
            "PORT" => self.active(address::parse_port(argument)),
            "EPRT" => self.active(address::parse_eprt(argument)),
            "PASV" => self.passive(),
            "EPSV" => self.extended_passive(argument),
            "REST" => self.restart(argument),
            "SIZE" => self.size(argument),
            "MDTM" => self.modified(argument),
            "LIST" => self.list(argument, Style::Long),
            "NLST" => self.list(argument, Style::Names),
            "RETR" => self.retrieve(argument),
            "STOR" => self.store(argument, false),
            "APPE" => self.store(argument, true),
            "DELE" => self.delete(argument),
            "MKD" => self.make_directory(argument),
            _ => Err(Reply::new(502, "This is not understood: HELP says what is.")),
        }
    }

    fn user(&mut self, name: &str) -> Outcome {
        let is_known = ["anonymous", "ftp"].iter().any(|it| name.eq_ignore_ascii_case(it));
        self.login = if is_known { Login::Named } else { Login::Unknown };
        if is_known {
            Ok(Reply::new(331, "Any password will do."))
        } else {
            Err(Reply::new(530, "Only anonymous is served here."))
        }
    }

    fn password(&mut self) -> Outcome {
        if self.login == Login::Unknown {
            return Err(Reply::new(503, "USER comes first."));
        }
        self.login = Login::Anonymous;
        Ok(Reply::new(230, "Welcome."))
    }

    fn change_directory(&mut self, name: &str) -> Outcome {
        let there = place(&self.here, name);
        self.site.tree.directory(&there)?;
        self.here = there;
        Ok(Reply::new(250, format!("You are at {}.", quoted(&self.here))))
    }

    fn representation(&mut self, argument: &str) -> Outcome {
        self.is_ascii = match argument.to_ascii_uppercase().as_str() {
            "A" | "A N" => true,
            "I" | "L 8" => false,
            _ => return Err(Reply::new(504, "A or I.")),
        };
        Ok(Reply::new(200, if self.is_ascii { "Lines." } else { "Bytes." }))
    }

    fn active(&mut self, address: Result<SocketAddr, BadAddress>) -> Outcome {
        if self.only_epsv {
            return Err(Reply::new(501, "Only EPSV, as you said."));
        }
        let address = address.map_err(|error| match error {
            BadAddress::Malformed => Reply::new(501, "This is no address."),
            BadAddress::UnknownProtocol => Reply::new(522, "Only protocols (1,2)."),
        })?;
        if address.ip() != self.client.ip() || address.port() < FIRST_PORT {
            return Err(Reply::new(504, "Only to your own address, and to no low port."));
        }
        self.way = Way::Active(address);
        Ok(Reply::new(200, "The connection will come."))
    }

    fn passive(&mut self) -> Outcome {
        let (false, IpAddr::V4(own)) = (self.only_epsv, self.own) else {
            return Err(Reply::new(501, "Say EPSV."));
        };
        let port = self.listen()?;
        let text = format!("Entering Passive Mode ({}).", address::passive(own, port));
        Ok(Reply::new(227, text))
    }

    fn extended_passive(&mut self, argument: &str) -> Outcome {
        let own = if self.own.is_ipv4() { "1" } else { "2" };
        match argument {
            "" => {}
            argument if argument == own => {}
            argument if argument.eq_ignore_ascii_case("ALL") => {
                self.only_epsv = true;
                return Ok(Reply::new(200, "EPSV only from now on."));
            }
            _ => return Err(Reply::new(522, format!("Only the protocol ({own})."))),
        }
        let port = self.listen()?;
        Ok(Reply::new(229, format!("Entering Extended Passive Mode (|||{port}|).")))
    }

    fn listen(&mut self) -> Result<u16, Reply> {
        let no_port = |error| {
            log::warn!("no port for data: {error}");
            Reply::new(421, "There is no port for data.")
        };
        let address = SocketAddr::new(self.own, 0);
        let listener = TcpListener::bind(&self.site.host, address).map_err(no_port)?;
        let port = listener.local_addr().map_err(no_port)?.port();
        self.way = Way::Passive(listener);
        Ok(port)
    }

    fn restart(&mut self, argument: &str) -> Outcome {
        // RFC 3659 §5: markers are numbers of bytes, and lines have none.
        match (argument.parse(), self.is_ascii) {
            (Ok(at), false) => self.restart = at,
            (Ok(_), true) => return Err(Reply::new(504, "Not with TYPE A.")),
            (Err(_), _) => return Err(Reply::new(501, "This is no number of bytes.")),
        }
        Ok(Reply::new(350, format!("The next transfer begins at {argument}.")))
    }

    fn size(&self, name: &str) -> Outcome {
        let (_, meta) = self.site.tree.file(&place(&self.here, name))?;
        if self.is_ascii {
            return Err(Reply::new(550, "Not with TYPE A."));
        }
        Ok(Reply::new(213, meta.len().to_string()))
    }

    fn modified(&self, name: &str) -> Outcome {
        let (_, meta) = self.site.tree.file(&place(&self.here, name))?;
        Ok(Reply::new(213, date::ftp(meta.modified()?)))
    }

    fn list(&mut self, argument: &str, style: Style) -> Outcome {
        let name = listing::name(argument);
        let there = place(&self.here, name);
        let (path, _) = self.site.tree.find(&there)?;
        let lines = listing::list(&path, name, style)?;
        let stream = self.open_data("The list follows.")?;
        finish(transfer::send(lines.as_bytes(), &stream, false))?;
        Ok(Reply::new(226, "That was the list."))
    }

    fn retrieve(&mut self, name: &str) -> Outcome {
        let at = std::mem::take(&mut self.restart);
        let (path, meta) = self.site.tree.file(&place(&self.here, name))?;
        let mut file = File::open(path)?;
        seek(&mut file, at, meta.len())?;
        let stream = self.open_data(&format!("{} bytes follow.", meta.len() - at))?;
        let count = finish(transfer::send(file, &stream, self.is_ascii))?;
        let totals = &self.site.totals;
        totals.files_out.add(1);
        totals.bytes_out.add(count);
        Ok(Reply::new(226, format!("{count} bytes were sent.")))
    }

    fn store(&mut self, name: &str, is_append: bool) -> Outcome {
        let at = std::mem::take(&mut self.restart);
        let most = self.may_write()?;
        let mut file = self.site.tree.create(&place(&self.here, name))?;
        let length = file.metadata()?.len();
        let at = if is_append { length } else { at };
        seek(&mut file, at, length)?;
        let stream = self.open_data("Send.")?;
        file.set_len(at)?;
        let room = most.saturating_sub(at);
        let count = finish(transfer::receive(&stream, file, self.is_ascii, room))?;
        let totals = &self.site.totals;
        totals.files_in.add(1);
        totals.bytes_in.add(count);
        Ok(Reply::new(226, format!("{count} bytes were stored.")))
    }

    fn delete(&mut self, name: &str) -> Outcome {
        self.may_write()?;
        self.site.tree.remove(&place(&self.here, name))?;
        Ok(Reply::new(250, "It is gone."))
    }

    fn make_directory(&mut self, name: &str) -> Outcome {
        self.may_write()?;
        let there = place(&self.here, name);
        self.site.tree.create_directory(&there)?;
        Ok(Reply::new(257, format!("{} was made.", quoted(&there))))
    }

    /// The largest file that may be made.
    fn may_write(&self) -> Result<u64, Reply> {
        self.site.upload.ok_or_else(|| Reply::new(550, "Nothing can be written here."))
    }

    /// Says that a transfer begins, and opens its connection.
    fn open_data(&mut self, text: &str) -> Result<TcpStream, Reply> {
        let way = std::mem::take(&mut self.way);
        if matches!(way, Way::None) {
            return Err(Reply::new(425, "Say PASV, EPSV, PORT or EPRT first."));
        }
        self.dialogue.say(150, text);
        let opened = self
            .dialogue
            .flush()
            .and_then(|()| way.open(&self.site.host, self.own, self.client.ip()));
        opened.map_err(|error| {
            log::info!("{}: no data connection: {error}", self.client);
            Reply::new(425, "There is no data connection.")
        })
    }
}

/// Moves to where a transfer begins, if that is in the file.
fn seek(file: &mut File, at: u64, length: u64) -> Result<(), Reply> {
    if at > length {
        return Err(Reply::new(554, format!("The file has only {length} bytes.")));
    }
    file.seek(SeekFrom::Start(at))?;
    Ok(())
}

fn finish(result: Result<u64, Broken>) -> Result<u64, Reply> {
    result.map_err(|broken| match broken {
        Broken::Connection(error) => Reply::new(426, format!("The connection broke: {error}.")),
        Broken::File(error) => {
            log::warn!("{error}");
            Reply::new(451, "The file cannot be read or written.")
        }
        Broken::TooLarge => Reply::new(552, "This is more than is taken."),
    })
}

/// The only value that a parameter may have.
fn only(argument: &str, value: &str) -> Outcome {
    if argument.eq_ignore_ascii_case(value) {
        return Ok(Reply::new(200, "As always."));
    }
    Err(Reply::new(504, format!("Only {value}.")))
}

/// A place as the client sees it, in quotes (RFC 959, appendix II).
fn quoted(place: &Path) -> String {
    format!("\"/{}\"", place.display().to_string().replace('"', "\"\""))
}
