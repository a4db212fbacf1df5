//! Linux's end of every measurement, on its own sockets.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mio::{Events, Interest, Poll, Token};

use crate::rows::{DATAGRAM, What, order, port};
use crate::stopwatch::{Count, Stopwatch};

/// What is read or written at once, bytes.
const PORTION: usize = 128 * 1024;

/// No answer takes so long.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is still under way after a flood has arrived by then.
const AFTERMATH: Duration = Duration::from_millis(300);

pub(crate) fn measure(what: What, at: Ipv4Addr, time: Duration) -> Result<Count> {
    match what {
        What::Up => up(at, time),
        What::Down => down(at, time),
        What::Requests { size, connections: 1 } => requests(at, size, time),
        What::Requests { size, connections } => many_requests(at, size, connections, time),
        What::Connects { parallel } => connects(at, parallel, time),
        What::Datagrams => datagrams(at, time),
        What::FloodUp => flood_up(at, time),
        What::FloodDown => flood_down(at, time),
    }
}

fn connect(at: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((at, port)), PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The clock stops when the sink has read everything, which its FIN says.
fn up(at: Ipv4Addr, time: Duration) -> Result<Count> {
    let mut stream = connect(at, port::SINK)?;
    let content = vec![0x5a; PORTION];
    let watch = Stopwatch::start()?;
    let mut bytes = 0;
    while watch.elapsed() < time {
        stream.write_all(&content).context("writing")?;
        bytes += PORTION as u64;
    }
    stream.shutdown(Shutdown::Write)?;
    ensure!(stream.read(&mut [0]).context("the sink's end")? == 0, "a sink that speaks");
    watch.stop(bytes)
}

fn down(at: Ipv4Addr, time: Duration) -> Result<Count> {
    let mut stream = connect(at, port::SOURCE)?;
    let mut buffer = vec![0; PORTION];
    let watch = Stopwatch::start()?;
    let mut bytes = 0;
    while watch.elapsed() < time {
        let count = stream.read(&mut buffer).context("reading")?;
        ensure!(count > 0, "the source has run dry");
        bytes += count as u64;
    }
    watch.stop(bytes)
}

fn requests(at: Ipv4Addr, size: usize, time: Duration) -> Result<Count> {
    let mut stream = connect(at, port::ECHO)?;
    let mut text = vec![1; size];
    let watch = Stopwatch::start()?;
    let mut count = 0;
    while watch.elapsed() < time {
        stream.write_all(&text).context("a request")?;
        stream.read_exact(&mut text).context("its answer")?;
        count += 1;
    }
    watch.stop(count)
}

/// One thread for all: an answer is followed by the next request.
fn many_requests(at: Ipv4Addr, size: usize, connections: usize, time: Duration) -> Result<Count> {
    let mut poll = Poll::new()?;
    let mut streams = Vec::new();
    for number in 0..connections {
        let stream = connect(at, port::ECHO)?;
        stream.set_nonblocking(true)?;
        let mut stream = mio::net::TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
        streams.push((stream, 0));
    }
    let mut text = vec![1; size];
    let watch = Stopwatch::start()?;
    for (stream, _) in &mut streams {
        stream.write_all(&text).context("a first request")?;
    }
    let mut events = Events::with_capacity(connections);
    let mut count = 0;
    while watch.elapsed() < time {
        poll.poll(&mut events, Some(PATIENCE))?;
        ensure!(!events.is_empty(), "no answers");
        for event in &events {
            let (stream, got) = &mut streams[event.token().0];
            // No answer is longer than its request, so that one read takes all there is.
            *got += stream.read(&mut text).context("an answer")?;
            if *got == size {
                (*got, count) = (0, count + 1);
                stream.write_all(&text).context("a request")?;
            }
        }
    }
    watch.stop(count)
}

fn connects(at: Ipv4Addr, parallel: usize, time: Duration) -> Result<Count> {
    let watch = Stopwatch::start()?;
    let once = || -> io::Result<()> {
        let mut stream = connect(at, port::ECHO)?;
        stream.write_all(&[1])?;
        stream.read_exact(&mut [0])
    };
    let toil = || -> Result<u64> {
        let mut count = 0;
        while watch.elapsed() < time {
            once().context("a connection")?;
            count += 1;
        }
        Ok(count)
    };
    let count = thread::scope(|scope| {
        let workers: Vec<_> = (0..parallel).map(|_| scope.spawn(toil)).collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).sum::<Result<u64>>()
    })?;
    watch.stop(count)
}

fn udp(at: Ipv4Addr, port: u16) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((at, port))?;
    socket.set_read_timeout(Some(AFTERMATH))?;
    Ok(socket)
}

/// A datagram that is lost has cost its time.
fn datagrams(at: Ipv4Addr, time: Duration) -> Result<Count> {
    let socket = udp(at, port::UDP_ECHO)?;
    let mut text = [1; DATAGRAM];
    let watch = Stopwatch::start()?;
    let mut count = 0;
    while watch.elapsed() < time {
        socket.send(&text)?;
        count += u64::from(socket.recv(&mut text).is_ok());
    }
    watch.stop(count)
}

fn flood_up(at: Ipv4Addr, time: Duration) -> Result<Count> {
    let socket = udp(at, port::UDP_SINK)?;
    let text = [0x33; DATAGRAM];
    arrived(&socket)?;
    let watch = Stopwatch::start()?;
    while watch.elapsed() < time {
        for _ in 0..16 {
            // A full queue is one of the things that are measured.
            let _ = socket.send(&text);
        }
    }
    let count = watch.stop(0)?;
    thread::sleep(AFTERMATH);
    Ok(Count { count: arrived(&socket)?, ..count })
}

/// How many datagrams the sink has counted since it was last asked.
fn arrived(socket: &UdpSocket) -> Result<u64> {
    let mut answer = [0; 16];
    for _ in 0..5 {
        socket.send(b"STAT")?;
        if socket.recv(&mut answer).is_ok() {
            let (count, _) = answer.split_first_chunk().context("a short answer")?;
            return Ok(u64::from_be_bytes(*count));
        }
    }
    anyhow::bail!("the sink does not tell its count")
}

/// The flood outlasts the clock: with one of just that time the clock would run on while the last
/// `recv` waits in vain.
fn flood_down(at: Ipv4Addr, time: Duration) -> Result<Count> {
    let socket = udp(at, port::UDP_SOURCE)?;
    let mut text = [0; 2 * DATAGRAM];
    socket.send(&order(time + 2 * AFTERMATH))?;
    socket.recv(&mut text).context("the first of a flood")?;
    let watch = Stopwatch::start()?;
    let mut count = 0;
    while watch.elapsed() < time {
        socket.recv(&mut text).context("a flood that ends too early")?;
        count += 1;
    }
    watch.stop(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux;

    #[test]
    fn the_clock_stops_while_the_flood_goes_on() {
        // Others may run this test on this machine.
        let [.., high, low] = std::process::id().to_be_bytes();
        let at = Ipv4Addr::new(127, 53, high, low);
        let source = UdpSocket::bind((at, port::UDP_SOURCE)).unwrap();
        thread::spawn(move || linux::flood(&source));
        let time = Duration::from_millis(100);
        let Count { count, secs, .. } = flood_down(at, time).unwrap();
        assert!(count > 0);
        let spread = time.as_secs_f64()..(time + AFTERMATH).as_secs_f64();
        assert!(spread.contains(&secs), "{secs} s");
    }
}
