//! A service: answers GET on port 80 of its host, a thread for each client, until it is stopped.

use std::io::{self, Write};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use demos::clients::Clients;
use demos::http::{Connection, HeadError};
use demos::outside;
use demos::patient::Patient;
use stack::host::{Events, Host, Interest, PollWaker, Poller, TcpListener, TcpStream, Token};

/// The port of all services.
pub(crate) const PORT: u16 = 80;

/// The most clients at a time.
const MAX_CLIENTS: usize = 64;

/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a service answers to a path: JSON, or nothing where there is nothing.
pub(crate) type Answer = Arc<dyn Fn(&Host, &str) -> Option<String> + Send + Sync>;

/// A service that runs until this is dropped. Then its port is closed, and whoever comes is
/// refused.
pub(crate) struct Service {
    is_stopped: Arc<AtomicBool>,
    waker: PollWaker,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    pub(crate) fn start(host: &Host, answer: Answer) -> io::Result<Service> {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
        let listener = TcpListener::bind(host, any)?;
        listener.set_nonblocking(true)?;
        let poller = Poller::new(host);
        poller.register(&listener, Token(0), Interest::READABLE)?;
        let (waker, is_stopped) = (poller.waker(), Arc::<AtomicBool>::default());
        let (stopped, host) = (Arc::clone(&is_stopped), host.clone());
        let thread = outside::spawn("service", move || {
            let clients = Clients::new(MAX_CLIENTS);
            let mut events = Events::with_capacity(1);
            while !stopped.load(Ordering::Acquire) {
                if let Ok((stream, peer)) = listener.accept() {
                    let (host, answer) = (host.clone(), Arc::clone(&answer));
                    clients.admit(stream, peer, drop, move |stream| {
                        if let Err(error) = serve(&host, stream, &answer) {
                            log::debug!("{peer}: {error}");
                        }
                    });
                } else if poller.wait(&mut events, None).is_err() {
                    return;
                }
            }
        })?;
        Ok(Service { is_stopped, waker, thread: Some(thread) })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // It does not panic, and nothing else can be wrong with it.
            let _ = thread.join();
        }
    }
}

/// One request and its answer.
fn serve(host: &Host, stream: TcpStream, answer: &Answer) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let mut connection = Connection::new(Patient::new(stream, PATIENCE)?);
    connection.stream_mut().begin();
    let (status, body) = match connection.read_request() {
        Ok(None) | Err(HeadError::Truncated) => return Ok(()),
        Err(HeadError::Io(error)) => return Err(error),
        Err(_) => ("400 Bad Request", None),
        Ok(Some(request)) if request.method != "GET" => ("405 Method Not Allowed", None),
        Ok(Some(request)) => match answer(host, &request.target) {
            Some(body) => ("200 OK", Some(body)),
            None => ("404 Not Found", None),
        },
    };
    let body = body.unwrap_or_default();
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    connection.stream_mut().write_all(reply.as_bytes())?;
    connection.stream_mut().leave()
}
