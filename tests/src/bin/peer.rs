//! The kernel's end of the interop tests: clients and checks on Linux sockets.
//!
//! ```text
//! peer make BYTES [SEED]              a pattern on standard output
//! peer check BYTES [SEED]             standard input must be that pattern
//! peer give ADDRESS BYTES SEED        a pattern into a connection, and then its end
//! peer take ADDRESS BYTES SEED        listens for one connection, which must bring that pattern
//! peer crowd ADDRESS COUNT BYTES      so many echo connections at once, each with its own pattern
//! peer sequence ADDRESS COUNT PATH    so many HTTP requests, each on a connection of its own
//! peer reset ADDRESS PATH             an HTTP request whose answer is refused with a RST
//! peer answer ADDRESS                 listens for one connection, and says it all back at its end
//! peer socks ADDRESS                  a SOCKS5 proxy, on which everything leads to this machine
//! peer redirect ADDRESS               an HTTP server that lets its first client come again
//! peer udp-echo ADDRESS FROM TO STEP  datagrams of these sizes, each echoed
//! peer udp-refused ADDRESS            a datagram to a closed port: ECONNREFUSED
//! peer udp-flood ADDRESS SIZE         asks perf's source for datagrams of that size, for 0.3 s
//! ```
#![expect(clippy::print_stdout, reason = "a command line program")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tests::pattern::{self, Pattern};

/// Nothing here takes so long, so nothing here hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a connection of a crowd says before it listens, bytes.
const SAYING: usize = 4096;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let what: String = argument(1)?;
    match what.as_str() {
        "make" => {
            // Nothing but the pattern goes to standard output.
            let out = &mut io::stdout().lock();
            return Ok(pattern::make(argument(3).unwrap_or(0), argument(2)?, out)?);
        }
        "check" => {
            let (count, seed) = (argument(2)?, argument(3).unwrap_or(0));
            pattern::check(seed, count, &mut io::stdin().lock()).map_err(anyhow::Error::msg)?;
        }
        "give" => give(argument(2)?, argument(3)?, argument(4)?)?,
        "take" => take(argument(2)?, argument(3)?, argument(4)?)?,
        "crowd" => crowd(argument(2)?, argument(3)?, argument(4)?)?,
        "sequence" => sequence(argument(2)?, argument(3)?, &argument::<String>(4)?)?,
        "reset" => reset(argument(2)?, &argument::<String>(3)?)?,
        "answer" => answer(argument(2)?)?,
        "socks" => socks(argument(2)?)?,
        "redirect" => redirect(argument(2)?)?,
        "udp-echo" => udp_echo(argument(2)?, argument(3)?, argument(4)?, argument(5)?)?,
        "udp-refused" => udp_refused(argument(2)?)?,
        "udp-flood" => udp_flood(argument(2)?, argument(3)?)?,
        _ => bail!(
            "{what}: not one of make, check, give, take, crowd, sequence, reset, answer, socks, \
             redirect, udp-*"
        ),
    }
    println!("ok");
    Ok(())
}

fn argument<T: FromStr>(index: usize) -> Result<T> {
    let text = std::env::args().nth(index).context("an argument is missing: see the source")?;
    text.parse().ok().with_context(|| format!("{text:?} is not understood"))
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).context("connect")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Waits until the other side has read everything and closed, too.
fn give(address: SocketAddr, bytes: u64, seed: u64) -> Result<()> {
    let mut stream = connect(address)?;
    pattern::make(seed, bytes, &mut stream)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    ensure!(stream.read(&mut [0; 1]).context("the end")? == 0, "an answer to nothing");
    Ok(())
}

fn take(address: SocketAddr, bytes: u64, seed: u64) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("ready");
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    pattern::check(seed, bytes, &mut stream).map_err(anyhow::Error::msg)
}

/// A proxy (RFC 1928) for one client at a time, to whatever port it asks for, of this machine.
fn socks(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("ready");
    for client in listener.incoming() {
        let mut client = client?;
        let mut hello = [0; 3];
        client.read_exact(&mut hello)?;
        ensure!(hello == [5, 1, 0], "{hello:?} is no greeting");
        client.write_all(&[5, 0])?;
        let mut head = [0; 4];
        client.read_exact(&mut head)?;
        let mut target = vec![0; if head[3] == 1 { 4 + 2 } else { 16 + 2 }];
        client.read_exact(&mut target)?;
        let port = u16::from_be_bytes([target[target.len() - 2], target[target.len() - 1]]);
        println!("asked {:?}", &target[..target.len() - 2]);
        let server = TcpStream::connect(SocketAddr::new(address.ip(), port));
        let code = if server.is_ok() { 0 } else { 5 };
        client.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0])?;
        let Ok(server) = server else { continue };
        // Whoever is gone has no need to be told.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _ = io::copy(&mut &server, &mut &client);
                let _ = client.shutdown(std::net::Shutdown::Write);
            });
            let _ = io::copy(&mut &client, &mut &server);
            let _ = server.shutdown(std::net::Shutdown::Write);
        });
    }
    Ok(())
}

/// All connections are open before the first of them says a word, and all talk at once.
fn crowd(address: SocketAddr, count: usize, bytes: usize) -> Result<()> {
    let streams = (0..count)
        .map(|number| connect(address).with_context(|| format!("connection {number}")))
        .collect::<Result<Vec<TcpStream>>>()?;
    let barrier = Barrier::new(count);
    std::thread::scope(|scope| {
        let talks: Vec<_> = streams
            .into_iter()
            .enumerate()
            .map(|(seed, stream)| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    talk(stream, seed as u64, bytes).with_context(|| format!("connection {seed}"))
                })
            })
            .collect();
        talks.into_iter().try_for_each(|talk| talk.join().expect("no panic"))
    })
}

fn talk(mut stream: TcpStream, seed: u64, bytes: usize) -> Result<()> {
    let (mut said, mut heard) = (Pattern::new(seed), Pattern::new(seed));
    let mut buffer = [0; SAYING];
    let mut left = bytes;
    while left > 0 {
        let now = &mut buffer[..left.min(SAYING)];
        said.fill(now);
        stream.write_all(now).context("write")?;
        stream.read_exact(now).context("read")?;
        if let Err(at) = heard.check(now) {
            bail!("byte {at} of the echo is another");
        }
        left -= now.len();
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    ensure!(stream.read(&mut buffer)? == 0, "more bytes than were sent");
    Ok(())
}

/// The client closes first, so that the server keeps no TIME-WAIT.
fn sequence(address: SocketAddr, count: usize, path: &str) -> Result<()> {
    let mut length = None;
    for number in 0..count {
        let got = fetch(address, path).with_context(|| format!("request {number}"))?;
        ensure!(*length.get_or_insert(got) == got, "answer {number} has {got} bytes");
    }
    Ok(())
}

fn fetch(address: SocketAddr, path: &str) -> Result<usize> {
    let mut stream = connect(address)?;
    ask(&mut stream, address, path)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).context("read")?;
        ensure!(count > 0, "closed after {} bytes", answer.len());
        answer.extend_from_slice(&buffer[..count]);
        if let Some(length) = whole(&answer) {
            return Ok(length);
        }
    }
}

/// One write, and so one segment.
fn ask(stream: &mut TcpStream, address: SocketAddr, path: &str) -> io::Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
}

/// The length of the body, once all of it is there.
fn whole(answer: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })?;
    (body.len() >= length).then_some(length)
}

/// Linux answers with a RST when a socket is closed that holds unread text.
fn reset(address: SocketAddr, path: &str) -> Result<()> {
    let mut stream = connect(address)?;
    ask(&mut stream, address, path)?;
    let mut first = [0; 1];
    ensure!(stream.peek(&mut first)? == 1, "no answer");
    Ok(())
}

/// Says nothing before the other side has said everything.
fn answer(address: SocketAddr) -> Result<()> {
    let (mut stream, _) = TcpListener::bind(address)?.accept()?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    stream.write_all(&text)?;
    Ok(())
}

/// Two requests, each on a connection of its own: the answer to the first is to come again.
fn redirect(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("ready");
    for answer in ["302 Found\r\nLocation: /there", "200 OK"] {
        let (mut stream, _) = listener.accept()?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 1024];
            let count = stream.read(&mut bytes)?;
            ensure!(count > 0, "no whole request: {}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&bytes[..count]);
        }
        let head = format!("HTTP/1.1 {answer}\r\nContent-Length: 6\r\nConnection: close\r\n\r\n");
        stream.write_all(format!("{head}there\n").as_bytes())?;
    }
    Ok(())
}

fn udp_echo(address: SocketAddr, from: usize, to: usize, step: usize) -> Result<()> {
    let socket = udp_socket(address)?;
    let mut buffer = vec![0; 65_535];
    for size in (from..=to).step_by(step.max(1)) {
        let mut sent = vec![0; size];
        Pattern::new(size as u64).fill(&mut sent);
        socket.send(&sent).with_context(|| format!("send {size}"))?;
        let count = socket.recv(&mut buffer).with_context(|| format!("receive {size}"))?;
        ensure!(buffer[..count] == sent, "{size} bytes came back as {count}, or as others");
    }
    Ok(())
}

/// Some of a flood may be lost in our own buffer, but nothing else comes of it.
fn udp_flood(address: SocketAddr, size: u32) -> Result<()> {
    let socket = udp_socket(address)?;
    let millis = 300_u32;
    let order = [&b"SEND"[..], &size.to_be_bytes(), &millis.to_be_bytes()].concat();
    socket.send(&order)?;
    let expected = vec![0x33; size as usize];
    let mut buffer = vec![0; 65_535];
    for n in 0..200 {
        let count = socket.recv(&mut buffer).with_context(|| format!("receive no. {n}"))?;
        ensure!(buffer[..count] == expected, "a datagram of {count} bytes");
    }
    Ok(())
}

fn udp_refused(address: SocketAddr) -> Result<()> {
    let socket = udp_socket(address)?;
    socket.send(b"anybody?")?;
    match socket.recv(&mut [0; 16]) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        other => bail!("expected ECONNREFUSED and got {other:?}"),
    }
}

fn udp_socket(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(socket)
}
