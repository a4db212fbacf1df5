//! Two hosts on a cable, a watchdog, and a waker that counts.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use stack::host::Host;
use stack::host::futures::{TcpListener, TcpStream};
use stack::{Config, Mac, Seed};

pub(crate) const SERVER: &str = "192.0.2.1";

fn host(last: u8, device: tapdev::PairEnd) -> Host {
    let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
    config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
    let seed = Seed::from_number(u64::from(last));
    Host::builder(config).seed(seed).grace(Duration::from_secs(2)).start(device).unwrap()
}

/// A server, at [`SERVER`], and a client.
pub(crate) fn hosts() -> (Host, Host) {
    let (left, right) = tapdev::pair(1500, 20_000);
    (host(1, left), host(2, right))
}

/// A connection: the end at the listener, then the one that connected.
pub(crate) async fn connection(server: &Host, client: &Host) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(server, (SERVER, 0)).unwrap();
    let near = TcpStream::connect(client, listener.local_addr().unwrap()).await.unwrap();
    let (far, from) = listener.accept().await.unwrap();
    assert_eq!(from, near.get_ref().local_addr().unwrap());
    (far, near)
}

/// Runs `test` to its end on a thread of its own, and fails if that has not come in time.
#[expect(clippy::disallowed_methods, reason = "the watchdog watches another thread")]
pub(crate) fn within(seconds: u64, test: impl AsyncFnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        futures_lite::future::block_on(test());
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(seconds)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running after {seconds} s"),
        // The thread has ended or panicked; its panic is this test's.
        _ => thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why)),
    }
}

/// A waker that counts how often it was used.
#[derive(Default)]
pub(crate) struct Bell {
    rung: AtomicUsize,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    pub(crate) fn new() -> Arc<Bell> {
        Arc::default()
    }

    pub(crate) fn rung(&self) -> usize {
        self.rung.load(Ordering::SeqCst)
    }

    /// Waits until it has been used, for some seconds.
    pub(crate) fn wait(&self) {
        for _ in 0..5000 {
            if self.rung() > 0 {
                return;
            }
            pause(1);
        }
        panic!("nobody was woken");
    }
}

/// Polls once, with `bell` as the waker.
pub(crate) fn poll<F: Future>(future: Pin<&mut F>, bell: &Arc<Bell>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(bell));
    future.poll(&mut Context::from_waker(&waker))
}

/// The answer of a future that must have one already.
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match poll(pin!(future), &Bell::new()) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have a clock")]
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
