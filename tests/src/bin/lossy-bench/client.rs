//! The kernel's end of a transfer, on its own sockets: a client, and the services that Tapstack's
//! `perf serve` has (a sink and a source).
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a measurement lives in real time"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;

/// The ports of the services.
pub(crate) const SINK: u16 = 5001;
pub(crate) const SOURCE: u16 = 5002;

/// What is read or written at once, bytes.
const PORTION: usize = 64 * 1024;

/// How long connecting may take: several SYNs may be lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// No read or write takes longer, so that a stalled connection is seen at the end of its time.
const LOOK: Duration = Duration::from_millis(50);

/// A client that reads.
#[derive(Args, Debug)]
pub(crate) struct PullOptions {
    /// Sources: so many connections to each.
    #[arg(long)]
    count: usize,
    /// How long to read, seconds.
    #[arg(long)]
    secs: f64,
    /// For how long nothing is counted before, seconds.
    #[arg(long, default_value_t = 0.0)]
    settle: f64,
    #[arg(required = true)]
    from: Vec<SocketAddr>,
}

/// A client that writes.
#[derive(Args, Debug)]
pub(crate) struct PushOptions {
    #[arg(long)]
    secs: f64,
    to: SocketAddr,
}

/// A sink and a source, until killed.
pub(crate) fn serve() -> Result<()> {
    let listen = |port| TcpListener::bind(("0.0.0.0", port)).context("listening");
    let (sink, source) = (listen(SINK)?, listen(SOURCE)?);
    println!("ready");
    thread::spawn(move || {
        for stream in sink.incoming().flatten() {
            thread::spawn(move || drain(stream));
        }
    });
    for stream in source.incoming().flatten() {
        thread::spawn(move || fill(stream));
    }
    Ok(())
}

/// Reads to the end. An error is one, too.
fn drain(mut stream: TcpStream) {
    let mut buffer = vec![0; PORTION];
    while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {}
}

/// Writes until nobody reads any more.
fn fill(mut stream: TcpStream) {
    let content = vec![0x5a; PORTION];
    while stream.write_all(&content).is_ok() {}
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("connecting to {address}"))?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.set_write_timeout(Some(LOOK))?;
    Ok(stream)
}

/// Prints the bytes that each connection brought, in the order of the sources.
pub(crate) fn pull(options: &PullOptions) -> Result<()> {
    let mut streams = Vec::new();
    for _ in 0..options.count {
        for &address in &options.from {
            streams.push(connect(address)?);
        }
    }
    let from = Instant::now() + Duration::from_secs_f64(options.settle);
    let to = from + Duration::from_secs_f64(options.secs);
    let counts = thread::scope(|scope| {
        let readers: Vec<_> =
            streams.iter().map(|stream| scope.spawn(move || read(stream, from, to))).collect();
        readers
            .into_iter()
            .map(|reader| reader.join().expect("no panic"))
            .collect::<Result<Vec<_>>>()
    })?;
    // Of a row for each address.
    for which in 0..options.from.len() {
        let row = counts.iter().skip(which).step_by(options.from.len());
        println!("{}", row.map(u64::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}

/// Reads until a time, and counts what came after another.
fn read(mut stream: &TcpStream, from: Instant, to: Instant) -> Result<u64> {
    let mut buffer = vec![0; PORTION];
    let mut total = 0;
    loop {
        let result = stream.read(&mut buffer);
        let now = Instant::now();
        if now >= to {
            return Ok(total);
        }
        match result {
            Ok(count) => {
                ensure!(count > 0, "the source has run dry");
                if now >= from {
                    total += count as u64;
                }
            }
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error).context("reading"),
        }
    }
}

/// Prints the bytes that the other side has acknowledged.
pub(crate) fn push(options: &PushOptions) -> Result<()> {
    let mut stream = connect(options.to)?;
    let content = vec![0x5a; PORTION];
    let to = Instant::now() + Duration::from_secs_f64(options.secs);
    while Instant::now() < to {
        match stream.write(&content) {
            Ok(_) => {}
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error).context("writing"),
        }
    }
    let port = stream.local_addr()?.port();
    let output = Command::new("ss")
        .args(["-Htin", "sport", "=", &format!(":{port}")])
        .output()
        .context("ss (of iproute2)")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let acked = text.split_whitespace().find_map(|word| word.strip_prefix("bytes_acked:"));
    println!("{}", acked.with_context(|| format!("ss said {text}"))?);
    Ok(())
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
