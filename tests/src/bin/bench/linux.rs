//! Linux's own sockets as the other end: what the stacks are compared with.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::rows::{port, read_order};
use crate::stopwatch::work_for;

/// What is read or written at once, bytes.
const PORTION: usize = 128 * 1024;

/// The services, each in a thread, until killed.
pub(crate) fn serve(work: Duration) -> Result<()> {
    let listen = |port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).context("listening");
    let bind = |port| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).context("binding");
    let (sinks, sources) = (listen(port::SINK)?, listen(port::SOURCE)?);
    let echoes = listen(port::ECHO)?;
    let (sink, source) = (bind(port::UDP_SINK)?, bind(port::UDP_SOURCE)?);
    let echo = bind(port::UDP_ECHO)?;
    thread::spawn(move || sinks.incoming().flatten().for_each(drain));
    thread::spawn(move || sources.incoming().flatten().for_each(fill));
    thread::spawn(move || count(&sink));
    thread::spawn(move || reflect(&echo));
    thread::spawn(move || flood(&source));
    println!("ready");
    converse(echoes, work)
}

fn drain(mut stream: std::net::TcpStream) {
    let mut buffer = vec![0; PORTION];
    while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {}
}

fn fill(mut stream: std::net::TcpStream) {
    let content = vec![0x5a; PORTION];
    while stream.write_all(&content).is_ok() {}
}

/// The echo: one thread for all connections, woken by epoll.
fn converse(listener: TcpListener, work: Duration) -> Result<()> {
    const LISTENER: Token = Token(usize::MAX);
    listener.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(256);
    let (mut streams, mut free) = (Vec::<Option<TcpStream>>::new(), Vec::new());
    let mut buffer = vec![0; PORTION];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() != LISTENER {
                let stream = &mut streams[event.token().0];
                if !answer(stream, &mut buffer, event.is_read_closed(), work) {
                    *stream = None;
                    free.push(event.token());
                }
                continue;
            }
            while let Ok((mut stream, _)) = listener.accept() {
                stream.set_nodelay(true)?;
                let place = free.pop().unwrap_or_else(|| {
                    streams.push(None);
                    Token(streams.len() - 1)
                });
                poll.registry().register(&mut stream, place, Interest::READABLE)?;
                streams[place.0] = Some(stream);
            }
        }
    }
}

/// Says back what has come. One read is enough, unless the end has come with it. False at the end.
fn answer(stream: &mut Option<TcpStream>, buffer: &mut [u8], closed: bool, work: Duration) -> bool {
    let Some(stream) = stream else { return true };
    loop {
        let read = stream.read(buffer);
        if matches!(read, Ok(count) if count > 0) {
            work_for(work);
        }
        match read {
            Ok(0) => return false,
            Ok(count) if stream.write_all(&buffer[..count]).is_err() => return false,
            Ok(_) if closed => {}
            Ok(_) => return true,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn count(socket: &UdpSocket) {
    let (mut datagrams, mut bytes) = (0_u64, 0_u64);
    let mut buffer = [0; 2048];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        if &buffer[..length] == b"STAT" {
            let _ = socket.send_to(&[datagrams.to_be_bytes(), bytes.to_be_bytes()].concat(), peer);
            (datagrams, bytes) = (0, 0);
        } else {
            (datagrams, bytes) = (datagrams + 1, bytes + length as u64);
        }
    }
}

fn reflect(socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        let _ = socket.send_to(&buffer[..length], peer);
    }
}

pub(crate) fn flood(socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        let Some((size, time)) = read_order(&buffer[..length]) else { continue };
        let begun = Instant::now();
        while begun.elapsed() < time {
            for _ in 0..16 {
                let _ = socket.send_to(&buffer[..size.min(2048)], peer);
            }
        }
    }
}
