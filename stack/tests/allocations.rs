//! The hot path allocates nothing: counted, not believed.

#![expect(unsafe_code, reason = "the allocator's interface is unsafe; this one only counts")]

use stack::{
    Bytes, Config, ConnectOptions, Instant, ListenOptions, Mac, RxChecksum, RxFrame, Seed, Stack,
    TcpId,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: all is passed on to the system's allocator, unchanged.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: what the caller promises is what `System` wants.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as for `alloc`.
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn host(last: u8, super_frame_max: usize) -> Stack {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
    config.device_checksums = super_frame_max > 0;
    config.super_frame_max = super_frame_max;
    Stack::new(config, Seed::from_number(last.into()))
}

/// Two hosts on a cable that itself allocates nothing.
struct Net {
    now: Instant,
    hosts: [Stack; 2],
    buffer: Vec<u8>,
    frames: u64,
}

impl Net {
    fn settle(&mut self) {
        let mut quiet = 0;
        let mut from = 0;
        while quiet < 2 {
            from = 1 - from;
            quiet += 1;
            let [a, b] = &mut self.hosts;
            let (sender, receiver) = if from == 0 { (a, b) } else { (b, a) };
            while let Some(frame) = sender.poll_transmit(self.now) {
                self.buffer.clear();
                for part in [frame.head, frame.body[0], frame.body[1]] {
                    self.buffer.extend_from_slice(part);
                }
                let bytes = &self.buffer[..];
                let (checksum, gso) = (RxChecksum::Verified, frame.gso);
                receiver.receive(self.now, RxFrame { bytes, checksum, gso });
                self.frames += 1;
                quiet = 0;
            }
            while self.hosts[from].poll_event().is_some() {}
        }
    }

    fn connect(&mut self) -> [TcpId; 2] {
        let server = SocketAddr::from(([192, 0, 2, 2], 80));
        let listener = self.hosts[1].listen(server, ListenOptions::default()).unwrap();
        let client = self.hosts[0].connect(self.now, server, ConnectOptions::default()).unwrap();
        self.settle();
        [client, self.hosts[1].accept(listener).unwrap()]
    }

    /// Text goes from one host over to the other and is read, a byte or more.
    fn carry(&mut self, from: usize, ends: [TcpId; 2], text: &[u8], out: &mut [u8]) {
        self.now = self.now + Duration::from_micros(10);
        let _ = self.hosts[from].tcp(ends[from]).unwrap().send(self.now, text);
        self.arrive(from, ends, out);
    }

    /// The same, and the text stays where it is.
    fn carry_shared(&mut self, from: usize, ends: [TcpId; 2], text: &Bytes, out: &mut [u8]) {
        self.now = self.now + Duration::from_micros(10);
        let mut text = text.clone();
        let _ = self.hosts[from].tcp(ends[from]).unwrap().send_shared(self.now, &mut text);
        self.arrive(from, ends, out);
    }

    fn arrive(&mut self, from: usize, ends: [TcpId; 2], out: &mut [u8]) {
        self.settle();
        while self.hosts[1 - from].tcp(ends[1 - from]).unwrap().recv(self.now, out).is_ok() {}
        self.settle();
        self.hosts.iter_mut().for_each(|host| host.advance(self.now));
        self.settle();
    }

    /// How often `work` allocates, and for how many frames, when it is done for the second time:
    /// buffers and lists grow to what it needs.
    fn steady(&mut self, work: impl Fn(&mut Net)) -> (u64, u64) {
        work(self);
        let before = (ALLOCATIONS.load(Ordering::Relaxed), self.frames);
        work(self);
        (ALLOCATIONS.load(Ordering::Relaxed) - before.0, self.frames - before.1)
    }
}

/// One test: what other threads allocate would be counted, too.
#[test]
fn a_frame_allocates_nothing() {
    for super_frame_max in [0, 65_535] {
        let hosts = [host(1, super_frame_max), host(2, super_frame_max)];
        let now = Instant::from_secs(100);
        let mut net = Net { now, hosts, buffer: Vec::with_capacity(70_000), frames: 0 };
        let ends = net.connect();
        let (text, out) = (vec![7; 100_000], RefCell::new(vec![0; 100_000]));
        let (count, frames) = net.steady(|net| {
            (0..2000).for_each(|_| net.carry(0, ends, &text, &mut out.borrow_mut()));
        });
        assert!(frames > 4000, "{frames} frames");
        assert_eq!(count, 0, "for {frames} frames of a transfer");
        let shared = Bytes::from(text.clone());
        let (count, frames) = net.steady(|net| {
            (0..2000).for_each(|_| net.carry_shared(0, ends, &shared, &mut out.borrow_mut()));
        });
        assert!(frames > 4000, "{frames} frames");
        assert_eq!(count, 0, "for {frames} frames of a transfer of shared text");
        let (count, frames) = net.steady(|net| {
            (0..4000).for_each(|i| net.carry(i % 2, ends, &text[..64], &mut out.borrow_mut()));
        });
        assert!(frames >= 4000, "{frames} frames");
        assert_eq!(count, 0, "for {frames} frames of requests and replies");
    }
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    drop(vec![1]);
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), before + 1, "nothing is counted");
}
