//! The application's side of the rig: calls on the one socket.

use super::{Rig, host_byte, peer_byte};
use crate::{RecvError, SendError, Tcp, TcpError};

impl Rig {
    /// The socket.
    #[track_caller]
    pub fn tcp(&mut self) -> Tcp<'_> {
        let id = self.socket.expect("the test holds a socket");
        self.stack.tcp(id).expect("the socket is alive")
    }

    /// Accepts the connection that waits.
    #[track_caller]
    pub fn accept(&mut self) -> &mut Rig {
        let listener = self.listener.expect("the test has a listener");
        match self.stack.accept(listener) {
            Ok(id) => self.socket = Some(id),
            Err(error) => self.fail(&format!("accept: {error:?}")),
        }
        self
    }

    /// Writes the next `count` bytes of the stack's stream; all of them have to be taken.
    #[track_caller]
    pub fn send(&mut self, count: usize) -> &mut Rig {
        let taken = self.try_send(count);
        if taken != Ok(count) {
            self.fail(&format!("send({count}) gave {taken:?}"));
        }
        self
    }

    /// Writes up to `count` bytes of the stack's stream.
    #[track_caller]
    pub fn try_send(&mut self, count: usize) -> Result<usize, SendError> {
        let first = self.written as u32;
        let bytes: Vec<u8> = (0..count as u32).map(|i| host_byte(first.wrapping_add(i))).collect();
        let now = self.now;
        let taken = self.tcp().send(now, &bytes)?;
        self.written += taken as u64;
        self.drain();
        Ok(taken)
    }

    /// Reads once, up to `count` bytes, and checks them against the peer's stream.
    #[track_caller]
    pub fn try_recv(&mut self, count: usize) -> Result<usize, RecvError> {
        let mut bytes = vec![0; count];
        let now = self.now;
        let moved = self.tcp().recv(now, &mut bytes)?;
        for (i, byte) in bytes[..moved].iter().enumerate() {
            if *byte != peer_byte((self.read + i as u64) as u32) {
                self.fail(&format!("byte {} that was read is wrong", self.read + i as u64));
            }
        }
        self.read += moved as u64;
        self.drain();
        Ok(moved)
    }

    /// Reads until there is nothing more, and returns how many bytes came.
    #[track_caller]
    pub fn recv_all(&mut self) -> usize {
        let mut total = 0;
        while let Ok(moved @ 1..) = self.try_recv(4096) {
            total += moved;
        }
        total
    }

    /// Reads `count` bytes of those that are there.
    #[track_caller]
    pub fn expect_some(&mut self, count: usize) -> &mut Rig {
        let got = self.try_recv(count);
        if got != Ok(count) {
            self.fail(&format!("expected {count} bytes to read\n     got {got:?}"));
        }
        self
    }

    /// Reads everything that is there: `count` bytes.
    #[track_caller]
    pub fn expect_read(&mut self, count: usize) -> &mut Rig {
        let total = self.recv_all();
        if total != count {
            self.fail(&format!("expected {count} bytes to read\n     got {total}"));
        }
        self
    }

    /// The next read says that the stream is over.
    #[track_caller]
    pub fn expect_end(&mut self) -> &mut Rig {
        let got = self.try_recv(1);
        if got != Ok(0) {
            self.fail(&format!("expected the end of the stream\n     got {got:?}"));
        }
        self
    }

    /// The next read would wait.
    #[track_caller]
    pub fn expect_would_block(&mut self) -> &mut Rig {
        let got = self.try_recv(1);
        if got != Err(RecvError::WouldBlock) {
            self.fail(&format!("expected a read that waits\n     got {got:?}"));
        }
        self
    }

    /// The next read fails with this error.
    #[track_caller]
    pub fn expect_error(&mut self, error: TcpError) -> &mut Rig {
        let got = self.try_recv(1);
        if got != Err(RecvError::Failed(error)) {
            self.fail(&format!("expected a read that fails with {error:?}\n     got {got:?}"));
        }
        self
    }

    /// Nothing more will be written.
    #[track_caller]
    pub fn shutdown(&mut self) -> &mut Rig {
        let now = self.now;
        if let Err(error) = self.tcp().shutdown_write(now) {
            self.fail(&format!("shutdown: {error:?}"));
        }
        self.drain()
    }

    /// Gives the socket up; the connection finishes by itself.
    #[track_caller]
    pub fn close(&mut self) -> &mut Rig {
        let now = self.now;
        self.tcp().close(now);
        self.socket = None;
        self.drain()
    }

    /// Gives the socket up with a reset.
    #[track_caller]
    pub fn abort(&mut self) -> &mut Rig {
        let now = self.now;
        self.tcp().abort(now);
        self.socket = None;
        self.drain()
    }
}
