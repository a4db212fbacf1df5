//! Names. A look-up may wait for name servers for seconds, so each has a thread of its own, which
//! answers when it knows.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use stack::host::{Errno, Resolver};

use crate::channel;
use crate::protocol::{addresses_to_bytes, reply_to_bytes};

/// The most look-ups at a time; beyond it programs are told to try again.
const LOOKUPS_MAX: usize = 64;

/// Looks names up for programs.
pub(super) struct Names {
    resolver: Resolver,
    /// Every look-up that is under way has a clone.
    under_way: Arc<()>,
}

impl Names {
    pub(super) fn new(resolver: &Resolver) -> Names {
        Names { resolver: resolver.clone(), under_way: Arc::default() }
    }

    /// Has the addresses of `name` sent to the channel, or the error.
    #[expect(clippy::disallowed_methods, reason = "a thread that waits for name servers")]
    pub(super) fn look_up(&self, name: &[u8], channel: &Arc<UnixStream>) -> Result<(), Errno> {
        if Arc::strong_count(&self.under_way) > LOOKUPS_MAX {
            log::warn!("more than {LOOKUPS_MAX} names are looked up: one is refused");
            return Err(Errno::EAGAIN);
        }
        let name = str::from_utf8(name).map_err(|_| Errno::EINVAL)?.to_owned();
        let (resolver, under_way) = (self.resolver.clone(), Arc::clone(&self.under_way));
        let channel = Arc::clone(channel);
        let thread = std::thread::Builder::new().name("doors-name".into()).spawn(move || {
            let found = resolver.lookup(&name).inspect_err(|error| log::debug!("{error}"));
            let reply = found.map(|all| addresses_to_bytes(&all)).map_err(|error| errno(&error));
            drop(under_way);
            // Whoever asked may have gone.
            let _ = channel::send(channel.as_fd(), &reply_to_bytes(&reply), None, 0);
        });
        thread.map(drop).map_err(|_| Errno::EAGAIN)
    }
}

/// What the client makes EAI_NONAME of, and what EAI_AGAIN.
fn errno(error: &io::Error) -> Errno {
    match error.kind() {
        io::ErrorKind::NotFound => Errno::ENOENT,
        io::ErrorKind::InvalidInput => Errno::EINVAL,
        _ => Errno::EAGAIN,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    use stack::host::Host;
    use stack::{Config, Hosts, Mac, ResolverConfig};

    use super::*;
    use crate::protocol::{addresses_from_bytes, reply_from_bytes};

    fn told(channel: &UnixStream) -> Result<Vec<std::net::IpAddr>, Errno> {
        let mut message = [0; 64];
        let (length, _) = channel::recv(channel.as_raw_fd(), &mut message, 0).unwrap();
        reply_from_bytes(&message[..length]).map(|it| addresses_from_bytes(&it))
    }

    #[test]
    fn one_too_many_is_told_to_try_again_and_later_ones_are_not() {
        let (device, _silent) = tapdev::pair(1500, 1000);
        let mut config = Config::new(Mac([2, 0, 0, 0, 0, 1]));
        config.addresses.push("192.0.2.2/24".parse().unwrap());
        let host = Host::new(config, device).unwrap();
        let config = ResolverConfig {
            servers: vec!["192.0.2.1:53".parse().unwrap()],
            hosts: Hosts::parse("192.0.2.7 web"),
            timeout: Duration::from_millis(500),
            rounds: 1,
            ..ResolverConfig::default()
        };
        let names = Names::new(&Resolver::new(&host, config).unwrap());
        let pair = || {
            let (client, server) = UnixStream::pair().unwrap();
            (client, Arc::new(server))
        };
        let pairs: Vec<_> = (0..LOOKUPS_MAX).map(|_| pair()).collect();
        for (_, server) in &pairs {
            assert_eq!(names.look_up(b"unknown.test", server), Ok(()));
        }
        let (client, server) = pair();
        assert_eq!(names.look_up(b"web", &server), Err(Errno::EAGAIN));
        for (client, _) in &pairs {
            assert_eq!(told(client), Err(Errno::EAGAIN), "nobody has answered");
        }
        assert_eq!(names.look_up(b"web", &server), Ok(()));
        assert_eq!(told(&client), Ok(vec!["192.0.2.7".parse().unwrap()]));
    }
}
