//! A stack driven by hand over an Ethernet device: the whole driver of an echo server.
//!
//! `cargo run -p stack --example by_hand` puts a host with ordinary sockets on the other end of a
//! cable in memory. With the name of a TAP, whose other end has 192.0.2.1/24, Linux is there:
//!
//! ```text
//! ip tuntap add tap0 mode tap && ip addr add 192.0.2.1/24 dev tap0 && ip link set tap0 up
//! cargo run -p stack --example by_hand tap0 & sleep 3; echo hello | nc -N 192.0.2.2 7
//! ```
#![expect(clippy::print_stdout, reason = "it shows what it does")]
#![expect(clippy::disallowed_methods, reason = "the driver is where time and threads come from")]
#![expect(clippy::disallowed_types, reason = "the driver is where time comes from")]

use std::error::Error;
use std::io::{IoSlice, Read, Write};
use std::net::Shutdown;

use stack::host::{Host, TcpStream};
use stack::{
    Config, Instant, ListenOptions, Mac, RecvError, RxFrame, Seed, SendError, SocketId, Stack,
    TcpId,
};
use tapdev::{Device, FRAME_OVERHEAD, Fault, Tap, TapOptions, classify};

type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// An echo server on port 7: all that holds a stack in a program. It ends with its device.
fn serve(device: &dyn Device, stack: &mut Stack) -> Answer<()> {
    let start = std::time::Instant::now();
    let listener = stack.listen("0.0.0.0:7".parse()?, ListenOptions::default())?;
    let mut bytes = vec![0; device.mtu() + FRAME_OVERHEAD];
    loop {
        // Sleep until a frame comes, or until the stack's own deadline.
        let now = Instant::ZERO + start.elapsed();
        let _ = device.wait(stack.next_timeout().map(|deadline| deadline - now))?;

        // Inputs: every frame that is there, and the time.
        let now = Instant::ZERO + start.elapsed();
        loop {
            match device.recv(&mut bytes) {
                Ok(length) => stack.receive(now, RxFrame::plain(&bytes[..length])),
                Err(error) if classify(&error) == Fault::Again => break,
                Err(error) => return Err(error.into()),
            }
        }
        stack.advance(now);

        // Outputs: frames, then an event, whose calls may make frames; until there is neither.
        loop {
            while let Some(frame) = stack.poll_transmit(now) {
                device.send(&[frame.head, frame.body[0], frame.body[1]].map(IoSlice::new))?;
            }
            match stack.poll_event().map(|event| event.socket) {
                Some(SocketId::Listener(_)) => while stack.accept(listener).is_ok() {},
                Some(SocketId::Tcp(id)) => echo(stack, id, now),
                Some(SocketId::Udp(_) | SocketId::Echo(_)) => {}
                None => break,
            }
        }
    }
}

/// Sends back what has arrived, as far as there is room; where it ends, the connection does.
fn echo(stack: &mut Stack, id: TcpId, now: Instant) {
    let mut text = [0; 4096];
    while let Some(mut tcp) = stack.tcp(id) {
        // When there is room again another event says so.
        let room = tcp.send_room().min(text.len());
        if room == 0 {
            break;
        }
        match tcp.recv(now, &mut text[..room]) {
            Ok(0) => {
                println!("{} has said all it had to say", tcp.remote());
                tcp.close(now);
            }
            Ok(length) => {
                // Should it have failed, the next `recv` tells of the end.
                let _: Result<usize, SendError> = tcp.send(now, &text[..length]);
            }
            Err(RecvError::WouldBlock) => break,
            Err(error) => {
                println!("{}: {error}", tcp.remote());
                tcp.close(now);
            }
        }
    }
}

fn config(last: u8) -> Answer<Config> {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![format!("192.0.2.{last}/24").parse()?];
    Ok(config)
}

pub(crate) fn main() -> Answer<()> {
    // A program takes `Seed::from_bytes` of 32 bytes that nobody can guess.
    let mut stack = Stack::new(config(2)?, Seed::from_number(1));
    if let Some(name) = std::env::args().nth(1).filter(|name| name.starts_with("tap")) {
        return serve(&Tap::open(TapOptions::named(&name))?, &mut stack);
    }
    let (near, far) = tapdev::pair(1500, 1000);
    let server = std::thread::spawn(move || serve(&near, &mut stack));

    let host = Host::new(config(1)?, far)?;
    let mut stream = TcpStream::connect(&host, "192.0.2.2:7")?;
    stream.write_all(b"hello, stack")?;
    stream.shutdown(Shutdown::Write)?;
    let mut back = String::new();
    stream.read_to_string(&mut back)?;
    println!("it came back: {back}");
    assert_eq!(back, "hello, stack");

    // Without a device there is no cable: the server ends.
    drop((stream, host));
    match server.join().expect("the server does not panic") {
        Err(error) if is_gone(&*error) => Ok(()),
        other => other,
    }
}

fn is_gone(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(|error| classify(error) == Fault::Gone)
}
