//! get: fetches one thing over HTTP/1.1, with TLS or without.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use demos::client;
use demos::config;
use demos::http::{Body, Connection, Framing, Response, Scheme, Url};
use demos::human;
use demos::options::CommonOptions;
use demos::outside::Stopwatch;
use demos::program::{Program, Role};
use demos::tls::{self, Stream, Trust};
use stack::host::TcpStream;
use stack::{ConnectOptions, FastOpen};

/// How much is read at once, bytes.
const READ_SIZE: usize = 256 * 1024;

/// How many redirections are followed.
const MAX_REDIRECTS: usize = 10;

/// A body from which on its rate is shown, bytes.
const WORTH_A_RATE: u64 = 1 << 20;

/// A transfer that is done before that needs no progress report.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// How often progress is reported.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Fetches a URL: http://HOST[:PORT]/PATH, or https.
#[derive(Parser, Debug)]
#[command(version)]
struct Options {
    /// What to fetch.
    #[arg(value_parser = Url::parse)]
    url: Url,

    /// Write the body into FILE instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Ask for the head only (HEAD), and print it.
    #[arg(short = 'I', long)]
    head: bool,

    /// Show what is said to and by the server.
    #[arg(short, long)]
    verbose: bool,

    /// No figures at the end and no progress.
    #[arg(short, long)]
    silent: bool,

    /// Give up after so many seconds of silence.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,

    /// Believe a server of https only what the certificates in FILE (PEM) vouch for, instead of
    /// those that the system trusts.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,

    /// Take whoever answers for the server: encrypted, but with nobody knows whom.
    #[arg(long, conflicts_with = "cacert")]
    insecure: bool,

    #[command(flatten)]
    common: CommonOptions,
}

impl Options {
    fn trust(&self) -> Trust {
        match &self.cacert {
            Some(path) => Trust::Only(path.clone()),
            None if self.insecure => Trust::Anyone,
            None => Trust::System,
        }
    }
}

/// A server, encrypted or not.
type Server = Connection<Stream<TcpStream>>;

/// When what happened.
struct Timing {
    clock: Stopwatch,
    connected: Duration,
    first_byte: Duration,
}

fn main() -> ExitCode {
    let options = config::parse::<Options>();
    Program::run_with_status("get", Role::Client, &options.common, |program| {
        program.ready()?;
        get(program, &options)
    })
}

/// Fetches, following redirections. The status is success for replies below 400.
fn get(program: &Program, options: &Options) -> Result<ExitCode> {
    let mut url = options.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let (mut connection, response, timing) = ask(program, options, &url)?;
        match location(&response, &url)? {
            Some(next) => {
                if options.verbose {
                    eprintln!("* {} leads to {next}", response.status);
                }
                url = next;
            }
            None => {
                take(options, &mut connection, &response, &timing)?;
                // Everything is here: a server that has gone already does not matter.
                let _ = connection.stream_mut().close_notify();
                let is_fine = response.status < 400;
                return Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
        }
    }
    bail!("more than {MAX_REDIRECTS} redirections: the server sends us around in circles")
}

/// Where a redirection leads.
fn location(response: &Response, url: &Url) -> Result<Option<Url>> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers.get("location") else { return Ok(None) };
    let next = url.join(location);
    next.map(Some).with_context(|| format!("the server redirects to {location}"))
}

/// Sends the request and reads the head of the reply.
fn ask(program: &Program, options: &Options, url: &Url) -> Result<(Server, Response, Timing)> {
    let clock = Stopwatch::start();
    let request = request(options, url);
    let (mut stream, connected) = match url.scheme {
        Scheme::Http => {
            let (stream, connected) = connect(program, options, url, request.as_bytes(), clock)?;
            (Stream::new(stream, None), connected)
        }
        Scheme::Https => {
            let mut session = tls::client(&options.trust(), url.name())?;
            let mut hello = Vec::new();
            session.write_tls(&mut hello)?;
            let (stream, connected) = connect(program, options, url, &hello, clock)?;
            let mut stream = Stream::new(stream, Some(session));
            let agreed = stream.handshake().and_then(|()| stream.write_all(request.as_bytes()));
            agreed.map_err(|error| anyhow!(tls::explain(&error, &url.authority)))?;
            (stream, connected)
        }
    };
    if options.verbose {
        stream.description().iter().for_each(|agreed| eprintln!("* {agreed}"));
        request.trim_end().lines().for_each(|line| eprintln!("> {line}"));
    }
    stream.flush().context("sending the request")?;
    let mut connection = Connection::new(stream);
    let response = response(options, &mut connection)?;
    Ok((connection, response, Timing { clock, connected, first_byte: clock.elapsed() }))
}

/// Connects, and says `first`: with Fast Open in the SYN, if the server's cookie is known.
fn connect(
    program: &Program,
    options: &Options,
    url: &Url,
    first: &[u8],
    clock: Stopwatch,
) -> Result<(TcpStream, Duration)> {
    let limit = Duration::from_secs(options.timeout.max(1));
    let early = FastOpen(options.common.fast_open).has(FastOpen::CLIENT);
    let stream = if early {
        early_connect(program, url, first)
    } else {
        client::connect(program, &url.authority, limit)
    };
    let mut stream = stream.map_err(|error| client::explain(error, &url.authority))?;
    let connected = clock.elapsed();
    if options.verbose {
        eprintln!("* connected to {} in {}", url.authority, human::time(connected));
    }
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    if !early {
        stream.write_all(first).context("sending the request")?;
    }
    Ok((stream, connected))
}

/// Connects with `first` in the SYN.
fn early_connect(program: &Program, url: &Url, first: &[u8]) -> io::Result<TcpStream> {
    let address = client::resolve(program, &url.authority)?;
    TcpStream::connect_and_send(program.host(), address, ConnectOptions::default(), first)
}

fn request(options: &Options, url: &Url) -> String {
    let method = method(options);
    format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Tapstack get\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n",
        url.target, url.host
    )
}

fn method(options: &Options) -> &'static str {
    if options.head { "HEAD" } else { "GET" }
}

/// The head of the final reply: those before it (100 to 199) are passed over.
fn response(options: &Options, connection: &mut Server) -> Result<Response> {
    loop {
        let response = connection
            .read_response()
            .map_err(|error| anyhow!("the server's reply: {error}"))?
            .context("the server closed the connection without a reply")?;
        if options.verbose {
            eprintln!("< HTTP/1.{} {}", response.minor_version, status_line(&response));
            response.headers.lines().for_each(|line| eprintln!("< {line}"));
        }
        if response.status >= 200 {
            return Ok(response);
        }
    }
}

fn status_line(response: &Response) -> String {
    format!("{} {}", response.status, response.reason)
}

/// Writes the body to where it belongs, and says how it went.
fn take(
    options: &Options,
    connection: &mut Server,
    response: &Response,
    timing: &Timing,
) -> Result<()> {
    let mut out = output(options)?;
    if options.head {
        let lines = response.headers.lines().map(|line| format!("{line}\n"));
        let head = format!("HTTP/1.1 {}\n{}", status_line(response), lines.collect::<String>());
        out.write_all(head.as_bytes())?;
    }
    let framing =
        response.framing(method(options)).map_err(|why| anyhow!("the reply has {why}"))?;
    let total = match framing {
        Framing::Length(length) => Some(length),
        Framing::Chunked | Framing::UntilClose => None,
    };
    let body_clock = Stopwatch::start();
    let count = copy(options, Body::new(connection, framing), total, &mut out)?;
    out.flush().context("writing")?;
    if !options.silent {
        // The rate of a few bytes says nothing.
        let rate = match count {
            0..WORTH_A_RATE => String::new(),
            _ => format!(" ({})", human::rate(count, body_clock.elapsed())),
        };
        eprintln!(
            "get: {}, {} in {}{rate}; connected after {}, first byte after {}",
            status_line(response),
            human::bytes(count),
            human::time(timing.clock.elapsed()),
            human::time(timing.connected),
            human::time(timing.first_byte)
        );
    }
    Ok(())
}

fn output(options: &Options) -> Result<Box<dyn Write>> {
    Ok(match &options.output {
        None => Box::new(io::stdout().lock()),
        Some(path) => Box::new(
            File::create(path).with_context(|| format!("{}: cannot be written", path.display()))?,
        ),
    })
}

fn copy(
    options: &Options,
    mut body: impl Read,
    total: Option<u64>,
    out: &mut impl Write,
) -> Result<u64> {
    let is_watched = !options.silent && io::stderr().is_terminal();
    let clock = Stopwatch::start();
    let mut reported = PROGRESS_AFTER;
    let mut buffer = vec![0; READ_SIZE];
    let mut count = 0;
    loop {
        let now = body.read(&mut buffer).with_context(|| {
            format!("after {} of the body: the rest did not come", human::bytes(count))
        })?;
        if now == 0 {
            break;
        }
        out.write_all(&buffer[..now]).context("writing")?;
        count += now as u64;
        if is_watched && clock.elapsed() >= reported {
            reported = clock.elapsed() + PROGRESS_EVERY;
            progress(count, total, clock.elapsed());
        }
    }
    if reported > PROGRESS_AFTER {
        eprint!("\r\x1b[K");
    }
    Ok(count)
}

fn progress(count: u64, total: Option<u64>, time: Duration) {
    let share = match total {
        Some(total) if total > 0 => {
            let percent = count.saturating_mul(100) / total;
            format!("{percent:3} % of {}", human::bytes(total))
        }
        _ => String::new(),
    };
    eprint!("\r\x1b[K{}  {share}  {}", human::bytes(count), human::rate(count, time));
}
