//! URLs: as much as a client can use.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use stack::DomainName;

/// `http://HOST[:PORT]/TARGET`, or with `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// How it is fetched.
    pub scheme: Scheme,
    /// Where to connect: NAME:PORT or ADDRESS:PORT.
    pub authority: String,
    /// The host as it stands in the URL, with the port if there is one: for the `Host` field.
    pub host: String,
    /// The path and the query: never empty.
    pub target: String,
}

/// What HTTP goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// TCP.
    Http,
    /// TLS over TCP.
    Https,
}

impl Scheme {
    /// The port where nothing else is said (RFC 9110 §4.2).
    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        })
    }
}

/// Why a URL cannot be fetched, and what could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// Another scheme than `http` and `https`.
    Scheme(String),
    /// A user name before the host.
    UserInfo,
    /// The host is neither a name nor an address.
    Name(String),
    /// The port is no port.
    Port(String),
}

impl Url {
    /// Reads a URL. Without a scheme it is taken to be `http`.
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        let (scheme, rest) = match split_scheme(text) {
            Some((it, rest)) if it.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some((it, rest)) if it.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some((it, _)) => return Err(UrlError::Scheme(it.to_owned())),
            None => (Scheme::Http, text),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, target) = rest.split_at(end);
        if host.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let authority = parse_host(host, scheme.port())?;
        let target = if target.starts_with('/') { target.into() } else { format!("/{target}") };
        Ok(Url { scheme, authority, host: host.to_owned(), target: printable(&target) })
    }

    /// The URL that a `Location` field names, seen from this one (RFC 3986 §5.2.2).
    ///
    /// # Errors
    /// [`UrlError`].
    pub fn join(&self, location: &str) -> Result<Url, UrlError> {
        let whole = match location.strip_prefix("//") {
            Some(rest) => Some(format!("{}://{rest}", self.scheme)),
            None => split_scheme(location).map(|_| location.to_owned()),
        };
        if let Some(whole) = whole {
            let url = Url::parse(&whole)?;
            return Ok(Url { target: without_dot_segments(&url.target), ..url });
        }
        let location = location.split('#').next().unwrap_or_default();
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match location.chars().next() {
            None => return Ok(self.clone()),
            Some('?') => format!("{path}{location}"),
            Some('/') => without_dot_segments(location),
            Some(_) => {
                let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
                without_dot_segments(&format!("{folder}{location}"))
            }
        };
        Ok(Url { target: printable(&target), ..self.clone() })
    }

    /// The name or the address of the server, as its certificate has it.
    pub fn name(&self) -> &str {
        let name = self.authority.rsplit_once(':').map_or("", |(name, _)| name);
        name.trim_matches(['[', ']'])
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.host, self.target)
    }
}

/// The scheme and what follows it. Behind a path, a query or a fragment has begun there is none.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    text.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?', '#']))
}

/// A path that begins with a slash, and its query, without steps to where one is and to the folder
/// above (RFC 3986 §5.2.4).
fn without_dot_segments(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    // Such a step leads into a folder.
    if path.ends_with("/.") || path.ends_with("/..") {
        segments.push("");
    }
    format!("/{}{query}", segments.join("/"))
}

/// With the port that it has, or `usual`.
fn parse_host(host: &str, usual: u16) -> Result<String, UrlError> {
    let wrong = |port: &dyn fmt::Display| UrlError::Port(port.to_string());
    if let Ok(address) = host.parse::<SocketAddr>() {
        return if address.port() > 0 { Ok(address.to_string()) } else { Err(wrong(&0)) };
    }
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, usual).to_string());
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => {
            let some = port.parse().ok().filter(|&port| port > 0);
            (name, some.ok_or_else(|| wrong(&port))?)
        }
        None => (host, usual),
    };
    match name.parse::<DomainName>() {
        Ok(_) => Ok(format!("{name}:{port}")),
        Err(_) => Err(UrlError::Name(host.to_owned())),
    }
}

/// Spaces and control characters would end the request line: they are escaped.
fn printable(target: &str) -> String {
    let mut out = String::with_capacity(target.len());
    for byte in target.bytes() {
        if byte.is_ascii_graphic() {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::Scheme(scheme) => {
                write!(f, "{scheme}: is not spoken here, only http: and https:")
            }
            UrlError::UserInfo => write!(f, "user names in a URL are not supported"),
            UrlError::Name(name) => write!(
                f,
                "{name:?} is neither a name nor an address: write one like \
                 http://192.0.2.1:8000/path"
            ),
            UrlError::Port(port) => write!(f, "{port:?} is not a port: 1 to 65535"),
        }
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (String, String) {
        let url = Url::parse(text).unwrap();
        (url.authority, url.target)
    }

    #[test]
    fn urls_are_taken_apart() {
        for (text, address, target) in [
            ("http://192.0.2.1", "192.0.2.1:80", "/"),
            ("HTTP://192.0.2.1:8080/a?b#c", "192.0.2.1:8080", "/a?b"),
            ("192.0.2.1:81/x y", "192.0.2.1:81", "/x%20y"),
            ("http://192.0.2.1?q", "192.0.2.1:80", "/?q"),
            ("http://[2001:db8::1]:8/", "[2001:db8::1]:8", "/"),
            ("http://web.example:8/a", "web.example:8", "/a"),
            ("web", "web:80", "/"),
            ("http://[2001:db8::1]/", "[2001:db8::1]:80", "/"),
            ("https://192.0.2.1", "192.0.2.1:443", "/"),
            ("https://[2001:db8::1]/", "[2001:db8::1]:443", "/"),
            ("https://web/a", "web:443", "/a"),
            ("https://web:80/a", "web:80", "/a"),
            ("host/a?u=http://x", "host:80", "/a?u=http://x"),
            ("host?u=http://x", "host:80", "/?u=http://x"),
            ("host#http://x", "host:80", "/"),
        ] {
            assert_eq!(shown(text), (address.into(), target.into()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_fetched_is_named() {
        let error = |text| Url::parse(text).unwrap_err();
        assert_eq!(error("ftp://192.0.2.1/"), UrlError::Scheme("ftp".into()));
        assert_eq!(error("http://exa_mple..com/"), UrlError::Name("exa_mple..com".into()));
        assert_eq!(error("http://a@192.0.2.1/"), UrlError::UserInfo);
        assert_eq!(error("http://192.0.2.1:99999/"), UrlError::Port("99999".into()));
        for host in ["192.0.2.1:0", "[2001:db8::1]:0", "web.test:0"] {
            let text = format!("http://{host}/");
            assert_eq!(Url::parse(&text), Err(UrlError::Port("0".into())), "{host}");
        }
    }

    #[test]
    fn a_certificate_has_no_brackets_and_no_port() {
        for (text, name) in [
            ("https://[2001:db8::1]:8/", "2001:db8::1"),
            ("https://192.0.2.1", "192.0.2.1"),
            ("https://web.example", "web.example"),
        ] {
            assert_eq!(Url::parse(text).unwrap().name(), name);
        }
    }

    #[test]
    fn redirects_are_joined() {
        let base = Url::parse("http://192.0.2.1:8080/a/b?c").unwrap();
        for (location, whole) in [
            ("/x", "http://192.0.2.1:8080/x"),
            ("x/", "http://192.0.2.1:8080/a/x/"),
            ("http://192.0.2.3/y", "http://192.0.2.3/y"),
            ("//192.0.2.3/y", "http://192.0.2.3/y"),
            ("?p=2", "http://192.0.2.1:8080/a/b?p=2"),
            ("", "http://192.0.2.1:8080/a/b?c"),
            ("#d", "http://192.0.2.1:8080/a/b?c"),
            ("/in?to=http://x", "http://192.0.2.1:8080/in?to=http://x"),
            ("in?to=http://x", "http://192.0.2.1:8080/a/in?to=http://x"),
            ("x?q=/../y", "http://192.0.2.1:8080/a/x?q=/../y"),
        ] {
            assert_eq!(base.join(location).unwrap().to_string(), whole, "{location}");
        }
        let base = Url::parse("https://192.0.2.1/a").unwrap();
        assert_eq!(base.join("//192.0.2.3/y").unwrap().to_string(), "https://192.0.2.3/y");
        assert_eq!(base.join("b").unwrap().to_string(), "https://192.0.2.1/b");
    }

    /// The examples of RFC 3986 §5.4 that concern paths.
    #[test]
    fn dot_segments_lead_up_and_not_out() {
        let base = Url::parse("http://a/b/c/d;p?q").unwrap();
        for (location, target) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            (";x", "/b/c/;x"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("..g", "/b/c/..g"),
            ("./g/.", "/b/c/g/"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("a//b", "/b/c/a//b"),
        ] {
            assert_eq!(base.join(location).unwrap().target, target, "{location}");
        }
        assert_eq!(base.join("http://x/a/../b").unwrap().target, "/b");
    }
}
