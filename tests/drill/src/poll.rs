//! `poll` and `epoll`.

use std::collections::BTreeMap;
use std::time::Duration;

use stack::host::Errno;
use stack::host::bsd::poll_bits;

use crate::door::{Door, GaveUp, Patience};
use crate::kernel;
use crate::world::World;

/// Errors and the end are told in any case.
const ALWAYS: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
const EDGE: u32 = libc::EPOLLET as u32;
const ONE_SHOT: u32 = libc::EPOLLONESHOT as u32;
/// Events that are understood; another one is EINVAL, never ignored.
const KNOWN: u32 = (libc::EPOLLIN
    | libc::EPOLLOUT
    | libc::EPOLLRDHUP
    | libc::EPOLLPRI
    | libc::EPOLLRDNORM
    | libc::EPOLLWRNORM) as u32
    | ALWAYS
    | EDGE
    | ONE_SHOT;

/// One registration.
#[derive(Clone, Copy, Debug)]
struct Item {
    events: u32,
    data: u64,
    /// Something has happened since it was last told.
    edge: bool,
    /// Told once, and not to be told again until it is changed (EPOLLONESHOT).
    spent: bool,
}

/// One epoll instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Epoll {
    items: BTreeMap<i32, Item>,
}

impl Epoll {
    pub(crate) fn on_edge(&mut self, fd: i32) {
        if let Some(item) = self.items.get_mut(&fd) {
            item.edge = true;
        }
    }

    pub(crate) fn forget(&mut self, fd: i32) {
        self.items.remove(&fd);
    }

    fn control(&mut self, operation: i32, fd: i32, given: Option<Wanted>) -> Result<(), Errno> {
        let known = self.items.contains_key(&fd);
        match operation {
            libc::EPOLL_CTL_ADD if known => return Err(Errno::from_number(libc::EEXIST)),
            libc::EPOLL_CTL_MOD | libc::EPOLL_CTL_DEL if !known => {
                return Err(Errno::from_number(libc::ENOENT));
            }
            libc::EPOLL_CTL_DEL => {
                self.items.remove(&fd);
            }
            libc::EPOLL_CTL_ADD | libc::EPOLL_CTL_MOD => {
                let Wanted { events, data } = given.ok_or(Errno::from_number(libc::EFAULT))?;
                if events & !KNOWN != 0 {
                    return Err(Errno::EINVAL);
                }
                self.items.insert(fd, Item { events, data, edge: true, spent: false });
            }
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }
}

/// What a registration wants to be told of, and what it wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) events: u32,
    pub(crate) data: u64,
}

/// One descriptor of a `poll`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Polled {
    pub(crate) fd: i32,
    pub(crate) events: i16,
    pub(crate) revents: i16,
}

/// Milliseconds as `poll` and `epoll_wait` take them: a negative number is for ever.
fn patience(millis: i32) -> Patience {
    match u64::try_from(millis) {
        Ok(0) => Patience::None,
        Ok(millis) => Patience::For(Duration::from_millis(millis)),
        Err(_) => Patience::Forever,
    }
}

impl World {
    /// What `poll` says of a descriptor; None if it is not a socket of ours.
    fn bits(&mut self, fd: i32) -> Option<u32> {
        let bits = poll_bits(self.readiness(fd)?);
        Some(u32::from(bits.cast_unsigned()))
    }

    /// How many of the descriptors are ready.
    fn look(&mut self, fds: &mut [Polled]) -> usize {
        let always = libc::POLLERR | libc::POLLHUP;
        for polled in fds.iter_mut() {
            polled.revents = match self.bits(polled.fd) {
                _ if polled.fd < 0 => 0,
                None => libc::POLLNVAL,
                Some(bits) => (bits as i16) & (polled.events | always),
            };
        }
        fds.iter().filter(|polled| polled.revents != 0).count()
    }

    /// The registrations that have something to tell.
    fn collect(&mut self, epfd: i32, most: usize) -> Result<Vec<Wanted>, Errno> {
        let mut epoll = self.epolls.remove(&epfd).ok_or(Errno::EBADF)?;
        let mut told = Vec::new();
        for (fd, item) in &mut epoll.items {
            let events = self.bits(*fd).unwrap_or(0) & (item.events | ALWAYS);
            let silent = item.spent || (item.events & EDGE != 0 && !item.edge);
            if events == 0 || silent || told.len() == most {
                continue;
            }
            told.push(Wanted { events, data: item.data });
            item.edge = false;
            item.spent = item.events & ONE_SHOT != 0;
        }
        self.epolls.insert(epfd, epoll);
        Ok(told)
    }
}

impl Door {
    pub(crate) fn poll(&self, fds: &mut [Polled], millis: i32) -> Result<usize, Errno> {
        let found =
            self.block(patience(millis), |world| Some(world.look(fds)).filter(|ready| *ready > 0));
        match found {
            Ok(ready) => Ok(ready),
            Err(GaveUp::TimedOut) => Ok(0),
            Err(why) => Err(why.into()),
        }
    }

    pub(crate) fn epoll_create(&self, size: i32) -> Result<i32, Errno> {
        if size <= 0 {
            return Err(Errno::EINVAL);
        }
        self.call(|world| {
            let fd = kernel::placeholder()?;
            world.epolls.insert(fd, Epoll::default());
            Ok(fd)
        })
    }

    pub(crate) fn epoll_ctl(
        &self,
        epfd: i32,
        operation: i32,
        fd: i32,
        given: Option<Wanted>,
    ) -> Result<(), Errno> {
        self.call(|world| {
            world.sock(fd)?;
            let epoll = world.epolls.get_mut(&epfd).ok_or(Errno::EINVAL)?;
            epoll.control(operation, fd, given)
        })
    }

    pub(crate) fn epoll_wait(
        &self,
        epfd: i32,
        most: usize,
        millis: i32,
    ) -> Result<Vec<Wanted>, Errno> {
        if most == 0 {
            return Err(Errno::EINVAL);
        }
        let found = self.block(patience(millis), |world| match world.collect(epfd, most) {
            Ok(told) if told.is_empty() => None,
            answer => Some(answer),
        });
        match found {
            Ok(answer) => answer,
            Err(GaveUp::TimedOut) => Ok(Vec::new()),
            Err(why) => Err(why.into()),
        }
    }
}
