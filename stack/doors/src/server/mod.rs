//! The server: it owns the stack, and carries bytes between it and the descriptors of programs.
//!
//! Two threads: one waits for the kernel (what programs write and ask), one for the stack (what
//! comes from the network). Each does all the work that its event makes possible, under the lock
//! of the socket concerned.

mod carry;
mod datagram;
mod listen;
mod names;
mod requests;
mod socket;
mod want;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use stack::host::bsd::{Bsd, SHUT_RDWR};
use stack::host::{Errno, Events, Host, Interest, Poller, Resolver, Token};

use crate::channel;
use crate::protocol::{MESSAGE_MAX, Op, Request, reply_to_bytes};
use crate::sys::{self, Epoll};
use names::Names;
use socket::{Phase, Socket};
use want::Want;

/// The most channels: one for each thread of a program that asks for something.
const CHANNELS_MAX: usize = 4096;

/// The most sockets whose connection has failed, and that the program may still ask about.
const DEAD_MAX: usize = 1024;

/// Events of the stack that are handled in one go.
const EVENTS: usize = 256;

/// How long a server that ends waits for a stack that takes no text, and how often it looks.
const FINISH: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(2);

/// What a program's end of a socket is watched for.
const WATCHED: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;

/// The tokens of the listener for channels, of the wake-up, and of the pause in want.
const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;
const WANT: u64 = u64::MAX - 2;
/// Set in the tokens of channels.
const CHANNEL: u64 = 1 << 62;

/// A running server. Dropping it has the stack take what programs have written, ends its threads,
/// and closes every socket.
pub struct Server {
    shared: Arc<Shared>,
    path: PathBuf,
    wake: UnixStream,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    bsd: Bsd,
    poller: Poller,
    epoll: Epoll,
    /// Watches programs' own ends, none of which the server has open.
    held: Epoll,
    names: Names,
    want: Want,
    sockets: Mutex<Sockets>,
    last: AtomicU64,
    is_stopping: AtomicBool,
}

/// By token. Whoever answers later has no descriptor of its own for that.
type Channels = HashMap<u64, Arc<UnixStream>>;

#[derive(Default)]
struct Sockets {
    by_token: HashMap<u64, Arc<Socket>>,
    by_number: HashMap<u64, Arc<Socket>>,
    /// Those that have failed, oldest first.
    dead: VecDeque<u64>,
}

impl Server {
    /// Serves the sockets of `host`, and the names that `resolver` knows or finds, to whoever may
    /// open the Unix socket at `path`, which is made.
    ///
    /// # Errors
    /// The socket cannot be made, or the system refuses threads.
    #[expect(clippy::disallowed_methods, reason = "the server's own threads")]
    pub fn start(host: &Host, resolver: &Resolver, path: &Path) -> io::Result<Server> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        let (wake, woken) = UnixStream::pair()?;
        let shared = Arc::new(Shared {
            bsd: Bsd::new(host),
            poller: Poller::new(host),
            epoll: Epoll::new()?,
            held: Epoll::new()?,
            names: Names::new(resolver),
            want: Want::new()?,
            sockets: Mutex::default(),
            last: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
        });
        shared.epoll.add(listener.as_fd(), libc::EPOLLIN | libc::EPOLLET, LISTENER)?;
        shared.epoll.add(shared.want.timer.as_fd(), libc::EPOLLIN, WANT)?;
        shared.epoll.add(woken.as_fd(), libc::EPOLLIN, WAKE)?;
        let (kernel, stack) = (Arc::clone(&shared), Arc::clone(&shared));
        let named = |name: &str| std::thread::Builder::new().name(name.into());
        let threads = vec![
            named("doors-kernel").spawn(move || kernel.serve_kernel(&listener, &woken))?,
            named("doors-stack").spawn(move || stack.serve_stack())?,
        ];
        Ok(Server { shared, path: path.to_owned(), wake, threads })
    }
}

impl Server {
    /// Waits until the stack has what programs have written, as a kernel would after their end.
    #[expect(clippy::disallowed_methods, reason = "the server's own time")]
    fn finish(&self) {
        for _ in 0..FINISH.as_millis() / LOOK.as_millis() {
            if !self.shared.has_text() {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.finish();
        self.shared.is_stopping.store(true, Ordering::Release);
        self.shared.poller.waker().wake();
        let _ = sys::send(self.wake.as_fd(), &[0]);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread of the server has panicked");
            }
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Shared {
    /// The thread that waits for programs.
    fn serve_kernel(&self, listener: &UnixListener, _woken: &UnixStream) {
        let mut channels = Channels::new();
        let mut found = Vec::new();
        while !self.is_stopping.load(Ordering::Acquire) {
            if let Err(error) = self.epoll.wait(&mut found) {
                log::error!("waiting for programs: {error}");
                return;
            }
            for &(token, bits) in &found {
                if token == LISTENER {
                    self.take_channels(listener, &mut channels);
                } else if token == WANT {
                    self.try_again(|token| match token {
                        LISTENER => self.take_channels(listener, &mut channels),
                        token => self.on_kernel(token, libc::EPOLLIN),
                    });
                } else if token & CHANNEL == 0 {
                    self.on_kernel(token, bits);
                } else if let Some(channel) = channels.get(&token)
                    && self.answer(channel).is_err()
                {
                    // A look-up may still have it, so closing it would not end the watch.
                    let _ = self.epoll.remove(channel.as_fd());
                    channels.remove(&token);
                }
            }
        }
    }

    /// The thread that waits for the network.
    fn serve_stack(&self) {
        let mut events = Events::with_capacity(EVENTS);
        while !self.is_stopping.load(Ordering::Acquire) {
            if let Err(error) = self.poller.wait(&mut events, None) {
                log::debug!("waiting for the stack: {error}");
                return;
            }
            for event in &events {
                let socket = self.lock().by_token.get(&(event.token.0 as u64)).cloned();
                if let Some(socket) = socket {
                    self.carry(&socket, event.is_writable(), event.is_readable());
                }
            }
        }
    }

    fn take_channels(&self, listener: &UnixListener, channels: &mut Channels) {
        loop {
            let channel = match listener.accept().map_err(|error| errno(&error)) {
                Ok((channel, _)) => channel,
                Err(error) if sys::is_want(error) => return self.want.wait(LISTENER, error),
                Err(_) => return,
            };
            if channels.len() >= CHANNELS_MAX {
                log::warn!("more than {CHANNELS_MAX} threads ask: one is refused");
                continue;
            }
            let token = CHANNEL | self.last.fetch_add(1, Ordering::Relaxed);
            match self.epoll.add(channel.as_fd(), libc::EPOLLIN, token) {
                Ok(()) => drop(channels.insert(token, Arc::new(channel))),
                Err(error) => log::warn!("a channel cannot be watched: {error}"),
            }
        }
    }

    /// Answers one request, or has it answered; an error ends the channel.
    fn answer(&self, channel: &Arc<UnixStream>) -> Result<(), Errno> {
        let mut message = [0; MESSAGE_MAX];
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        let (length, passed) = match channel::recv(channel.as_raw_fd(), &mut message, flags) {
            Ok((0, _)) => return Err(Errno::EPIPE),
            Err(Errno::EAGAIN) => return Ok(()),
            answer => answer?,
        };
        let (reply, pass) = match Request::from_bytes(&message[..length]) {
            Some(request) if request.op == Op::Resolve => {
                match self.names.look_up(&request.data, channel) {
                    Ok(()) => return Ok(()),
                    Err(error) => (Err(error), None),
                }
            }
            Some(request) if matches!(request.op, Op::AwaitError | Op::AwaitConnection) => {
                match self.have_told(&request, channel) {
                    Ok(()) => return Ok(()),
                    Err(error) => (Err(error), None),
                }
            }
            Some(request) => self.handle(&request, passed),
            None => (Err(Errno::EINVAL), None),
        };
        let pass = pass.as_ref().map(AsFd::as_fd);
        channel::send(channel.as_fd(), &reply_to_bytes(&reply), pass, 0).map(drop)
    }

    /// Something happened at the program's end of a socket.
    fn on_kernel(&self, token: u64, bits: i32) {
        let socket = self.lock().by_token.get(&token).cloned();
        let Some(socket) = socket else { return };
        if bits & (libc::EPOLLHUP | libc::EPOLLERR) != 0 {
            self.hang_up(&socket);
        }
        let ended = bits & (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR);
        self.carry(&socket, ended != 0, bits & libc::EPOLLOUT != 0);
    }

    /// A program has closed its end, or both directions of the pair have been shut down.
    fn hang_up(&self, socket: &Socket) {
        // Its own end has hung up, too, and is watched until nobody has it any more.
        let is_held = self.held.has(socket.token);
        let mut state = socket.state();
        match state.phase {
            // The attempt ends with the wish to use it.
            Phase::Connecting { .. } => state.is_gone = true,
            Phase::Listener if is_held => {
                // It may have ended by itself.
                let _ = self.bsd.shutdown(socket.fd, SHUT_RDWR);
                (state.phase, state.accepted) = (Phase::Idle, None);
            }
            _ => state.is_gone |= !is_held,
        }
    }

    /// Takes in a socket of [`Bsd`]; the program's end of it is returned.
    fn adopt(&self, socket: Socket, far: OwnedFd) -> Result<OwnedFd, Errno> {
        let (token, number) = (socket.token, socket.number);
        let socket = Arc::new(socket);
        {
            let mut sockets = self.lock();
            sockets.by_token.insert(token, Arc::clone(&socket));
            sockets.by_number.insert(number, Arc::clone(&socket));
        }
        let watched = {
            let mut state = socket.state();
            self.watch(&socket, &mut state);
            match &state.end {
                Some(end) => self.epoll.add(end.as_fd(), WATCHED, token),
                None => Ok(()),
            }
            .and_then(|()| self.held.add(far.as_fd(), 0, token))
        };
        if let Err(error) = watched {
            self.release(&socket);
            return Err(error);
        }
        Ok(far)
    }

    /// Has the stack tell of the socket, as soon as it knows it.
    fn watch(&self, socket: &Socket, state: &mut socket::State) {
        if !state.is_watched {
            let both = (Interest::READABLE | Interest::WRITABLE).edge();
            let token = Token(socket.token as usize);
            state.is_watched = self.bsd.watch(&self.poller, socket.fd, token, both).is_ok();
        }
    }

    /// Forgets a socket that no program has any more.
    fn release(&self, socket: &Socket) {
        let known = {
            let mut sockets = self.lock();
            sockets.by_number.remove(&socket.number);
            sockets.by_token.remove(&socket.token).is_some()
        };
        socket.state().end = None;
        if known {
            let _ = self.bsd.close(socket.fd);
        }
    }

    /// Keeps a socket whose connection has failed for a while, for the program's questions.
    fn bury(&self, socket: &Socket) {
        let oldest = {
            let mut sockets = self.lock();
            sockets.dead.push_back(socket.number);
            let full = sockets.dead.len() > DEAD_MAX;
            let oldest = if full { sockets.dead.pop_front() } else { None };
            oldest.and_then(|number| sockets.by_number.get(&number).cloned())
        };
        if let Some(oldest) = oldest {
            self.release(&oldest);
        }
    }

    /// A program may have an interface's number from the kernel, which has others: one that none
    /// has here is no wish.
    fn in_scope(&self, address: SocketAddr) -> SocketAddr {
        match address {
            SocketAddr::V6(v6) if self.bsd.interface_name(v6.scope_id()).is_err() => {
                SocketAddrV6::new(*v6.ip(), v6.port(), v6.flowinfo(), 0).into()
            }
            _ => address,
        }
    }

    /// A program has written what the stack has not yet taken.
    fn has_text(&self) -> bool {
        let sockets: Vec<_> = self.lock().by_token.values().cloned().collect();
        sockets.iter().any(|socket| {
            let state = socket.state();
            let carries = matches!(state.phase, Phase::Stream | Phase::Datagram);
            let waits = |end: &OwnedFd| !state.outgoing.is_empty() || sys::unread(end.as_fd()) > 0;
            carries && !state.has_finished && state.end.as_ref().is_some_and(waits)
        })
    }

    /// No code panics under this lock: a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Sockets> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of an error of the system's.
fn errno(error: &io::Error) -> Errno {
    Errno::from_number(error.raw_os_error().unwrap_or(libc::EIO))
}
