//! Sockets for async programs. They bring no executor and need none in particular: a future that
//! has to wait leaves its waker with the host, whose own thread drives meanwhile.
//!
//! The sockets are those of [`host`](super), and a stream can become one of those and back. With
//! the feature `futures` they have `AsyncRead`, `AsyncWrite` and `Stream` of the futures project,
//! with the feature `tokio` the traits of tokio: hyper takes such a stream as it is, and
//! `axum::serve` a type of one's own around a listener (`demos/src/bin/web/door.rs`).
//!
//! Every future here may be dropped at any time, and nothing is lost: no byte, no datagram, no
//! connection, and no wake-up that another future waits for. What a stream has reported as
//! written is written. Only a `connect` that is dropped takes its connection along.
//!
//! ```
//! use stack::host::futures::{TcpListener, TcpStream};
//! use stack::host::Host;
//! # use stack::{Config, Mac};
//!
//! async fn greet(server: &Host, client: &Host) -> std::io::Result<()> {
//!     let listener = TcpListener::bind(server, "192.0.2.1:7")?;
//!     let near = TcpStream::connect(client, "192.0.2.1:7").await?;
//!     let (far, _) = listener.accept().await?;
//!     assert_eq!(near.write(b"hello").await?, 5);
//!     let mut text = [0; 5];
//!     assert_eq!(far.read(&mut text).await?, 5);
//!     assert_eq!(&text, b"hello");
//!     Ok(())
//! }
//! # fn host(last: u8, device: tapdev::PairEnd) -> Host {
//! #     let mut config = Config::new(Mac([2, 0, 0, 0, 0, last]));
//! #     config.addresses = vec![format!("192.0.2.{last}/24").parse().unwrap()];
//! #     Host::new(config, device).unwrap()
//! # }
//! # struct Unpark(std::thread::Thread);
//! # impl std::task::Wake for Unpark {
//! #     fn wake(self: std::sync::Arc<Self>) {
//! #         self.0.unpark();
//! #     }
//! # }
//! # fn main() -> std::io::Result<()> {
//! # let (left, right) = tapdev::pair(1500, 1000);
//! # let (server, client) = (host(1, left), host(2, right));
//! # let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
//! # let mut cx = std::task::Context::from_waker(&waker);
//! # let mut future = std::pin::pin!(greet(&server, &client));
//! # loop {
//! #     if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut cx) {
//! #         return done;
//! #     }
//! #     std::thread::park();
//! # }
//! # }
//! ```

#[cfg(feature = "futures")]
mod for_futures;
#[cfg(feature = "tokio")]
mod for_tokio;
mod listener;
mod tcp;
mod udp;

pub use listener::TcpListener;
pub use tcp::TcpStream;
pub use udp::UdpSocket;
