//! Throughput of one connection.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use demos::client;
use demos::human;
use demos::outside::Stopwatch;
use demos::program::Program;
use stack::host::TcpStream;

use crate::{ClientOptions, port};

/// What is written or read at once, bytes.
const PORTION: usize = 128 * 1024;

/// How long connecting may take, and silence may last.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends to a sink.
pub(crate) fn send(program: &Program, options: &ClientOptions) -> Result<()> {
    let mut stream = connect(program, options, port::SINK)?;
    let content = vec![0x5a; PORTION];
    let clock = Stopwatch::start();
    let mut total = 0;
    while clock.elapsed() < options.secs {
        stream.write_all(&content).context("sending")?;
        total += content.len() as u64;
    }
    let info = stream.info()?;
    stream.shutdown(Shutdown::Write)?;
    // The sink closes when it has read everything.
    if stream.read(&mut [0; 1]).context("waiting for the sink")? != 0 {
        bail!("the sink has something to say: it is none");
    }
    report(program, "sent", total, clock.elapsed());
    program.say(&format!(
        "round trip {}, congestion window {}, {}",
        human::time(info.rtt),
        human::bytes(info.cwnd.into()),
        human::count(info.retransmits, "retransmission")
    ));
    Ok(())
}

/// Receives from a source.
pub(crate) fn receive(program: &Program, options: &ClientOptions) -> Result<()> {
    let mut stream = connect(program, options, port::SOURCE)?;
    let mut buffer = vec![0; PORTION];
    let clock = Stopwatch::start();
    let mut total = 0;
    while clock.elapsed() < options.secs {
        let count = stream.read(&mut buffer).context("receiving")?;
        if count == 0 {
            bail!("the source has run dry: it is none");
        }
        total += count as u64;
    }
    report(program, "received", total, clock.elapsed());
    Ok(())
}

/// A connection to a service, with time limits.
pub(crate) fn connect(
    program: &Program,
    options: &ClientOptions,
    service: u16,
) -> Result<TcpStream> {
    let target = options.target(service);
    let stream = client::connect(program, &target, PATIENCE)
        .map_err(|error| client::explain(error, &target))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn report(program: &Program, what: &str, total: u64, time: Duration) {
    let (bytes, rate) = (human::bytes(total), human::rate(total, time));
    program.say(&format!("{what} {bytes} in {}: {rate}", human::time(time)));
}
