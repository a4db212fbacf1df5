//! A device that is a queue of frames: what is sent into it is forgotten.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::time::Duration;

use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;
use tapdev::{Device, Wake};

#[derive(Default)]
pub(crate) struct Cable {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Vec<u8>>,
    woken: bool,
    /// Somebody waits: only the holder of the seat may.
    taken: bool,
}

impl Cable {
    /// A frame arrives.
    pub(crate) fn deliver(&self, frame: Vec<u8>) {
        self.state.lock().unwrap().frames.push_back(frame);
        self.changed.notify_all();
    }
}

impl Device for Cable {
    fn mtu(&self) -> usize {
        1500
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let frame = self.state.lock().unwrap().frames.pop_front();
        let frame = frame.ok_or(io::ErrorKind::WouldBlock)?;
        buf[..frame.len()].copy_from_slice(&frame);
        Ok(frame.len())
    }

    fn send(&self, _: &[IoSlice<'_>]) -> io::Result<()> {
        Ok(())
    }

    fn wait(&self, timeout: Option<Duration>) -> io::Result<Wake> {
        let mut state = self.state.lock().unwrap();
        assert!(!std::mem::replace(&mut state.taken, true), "two threads wait for the device");
        let why = loop {
            if std::mem::take(&mut state.woken) {
                break Wake::Woken;
            }
            if !state.frames.is_empty() {
                break Wake::Readable;
            }
            if timeout.is_some() {
                drop(state);
                thread::yield_now();
                state = self.state.lock().unwrap();
                break Wake::TimedOut;
            }
            state = self.changed.wait(state).unwrap();
        };
        state.taken = false;
        Ok(why)
    }

    fn wake(&self) {
        self.state.lock().unwrap().woken = true;
        self.changed.notify_all();
    }
}
