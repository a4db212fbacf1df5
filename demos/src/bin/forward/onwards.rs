//! The way onwards: this machine's own sockets, straight or through a SOCKS5 proxy (RFC 1928).

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result};

/// How long a connection onwards may take: less than a client's SYN waits for the decision.
const PATIENCE: Duration = Duration::from_secs(20);

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// How connections are made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Onwards {
    Direct,
    Proxy(SocketAddr),
}

impl Onwards {
    /// Through the proxy at `HOST:PORT`, which is looked up once.
    pub(crate) fn by_proxy(proxy: &str) -> Result<Onwards> {
        let found = proxy.to_socket_addrs().with_context(|| format!("--socks {proxy}"))?.next();
        Ok(Onwards::Proxy(found.with_context(|| format!("--socks {proxy}: no address"))?))
    }

    /// A connection to `target`.
    pub(crate) fn connect(self, target: SocketAddr) -> io::Result<TcpStream> {
        let first = match self {
            Onwards::Direct => target,
            Onwards::Proxy(proxy) => proxy,
        };
        let mut stream = TcpStream::connect_timeout(&first, PATIENCE)?;
        stream.set_nodelay(true)?;
        if let Onwards::Proxy(_) = self {
            stream.set_read_timeout(Some(PATIENCE))?;
            ask(&mut stream, target)?;
            stream.set_read_timeout(None)?;
        }
        Ok(stream)
    }
}

/// Asks a proxy to connect, and waits until it has (RFC 1928 §3 to §6).
fn ask(proxy: &mut (impl Read + Write), target: SocketAddr) -> io::Result<()> {
    proxy.write_all(&[VERSION, 1, NO_AUTHENTICATION])?;
    let mut method = [0; 2];
    proxy.read_exact(&mut method)?;
    if method != [VERSION, NO_AUTHENTICATION] {
        return Err(io::Error::other("the proxy wants a password, or is none of SOCKS5"));
    }
    let mut request = vec![VERSION, CONNECT, 0];
    match target.ip() {
        IpAddr::V4(ip) => {
            request.push(IPV4);
            request.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            request.push(IPV6);
            request.extend(ip.octets());
        }
    }
    request.extend(target.port().to_be_bytes());
    proxy.write_all(&request)?;
    let mut reply = [0; 4];
    proxy.read_exact(&mut reply)?;
    let [_, code, _, kind] = reply;
    skip_address(proxy, kind)?;
    if code == 0 { Ok(()) } else { Err(io::Error::other(meaning(code))) }
}

/// The address and port that the proxy has connected from.
fn skip_address(proxy: &mut impl Read, kind: u8) -> io::Result<()> {
    let mut bytes = [0; 255 + 2];
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let mut length = [0];
            proxy.read_exact(&mut length)?;
            length[0].into()
        }
        _ => return Err(io::Error::other("the proxy's reply is none of SOCKS5")),
    };
    proxy.read_exact(&mut bytes[..length + 2])
}

/// RFC 1928 §6.
fn meaning(code: u8) -> &'static str {
    match code {
        2 => "the proxy does not allow it",
        3 => "the proxy has no route to the network",
        4 => "the proxy has no route to the host",
        5 => "the proxy says: connection refused",
        6 => "the proxy says: TTL expired",
        _ => "the proxy cannot do it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A proxy that has said all before it is asked.
    struct Script {
        says: io::Cursor<Vec<u8>>,
        heard: Vec<u8>,
    }

    impl Read for Script {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.says.read(out)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.heard.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn asked(target: &str, says: &[u8]) -> (io::Result<()>, Vec<u8>, usize) {
        let mut script = Script { says: io::Cursor::new(says.to_vec()), heard: Vec::new() };
        let answer = ask(&mut script, target.parse().unwrap());
        let left = says.len() - script.says.position() as usize;
        (answer, script.heard, left)
    }

    #[test]
    fn rfc1928_4_the_request_names_the_target() {
        let says = [5, 0, 5, 0, 0, 1, 127, 0, 0, 1, 0, 9, b'!'];
        let (answer, heard, left) = asked("198.18.0.9:443", &says);
        assert!(answer.is_ok());
        assert_eq!(heard, [5, 1, 0, 5, 1, 0, 1, 198, 18, 0, 9, 1, 187]);
        assert_eq!(left, 1, "what follows the reply is the server's");
        let (_, heard, _) = asked("[2001:db8::9]:80", &says);
        assert_eq!(heard[3..9], [5, 1, 0, 4, 0x20, 0x01]);
        assert_eq!(heard.len(), 3 + 4 + 16 + 2);
    }

    #[test]
    fn rfc1928_6_every_kind_of_address_is_passed_over() {
        let v6 = [&[5, 0, 5, 0, 0, 4][..], &[0; 18]].concat();
        let name = [&[5, 0, 5, 0, 0, 3, 4][..], b"host", &[0; 2]].concat();
        for says in [v6, name] {
            let (answer, _, left) = asked("198.18.0.9:443", &says);
            assert!(answer.is_ok() && left == 0);
        }
    }

    #[test]
    fn rfc1928_3_6_a_refusal_is_one() {
        let refused = [5, 0, 5, 5, 0, 1, 0, 0, 0, 0, 0, 0];
        let no_method = [5, 0xff];
        let cut = [5, 0, 5, 0];
        let nonsense = [5, 0, 5, 0, 0, 9];
        for says in [&refused[..], &no_method, &cut, &nonsense] {
            assert!(asked("198.18.0.9:443", says).0.is_err(), "{says:?}");
        }
    }
}
