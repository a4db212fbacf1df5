//! As much of HTTP/1.1 (RFC 9110 and RFC 9112) as a small server and a small client need.
//!
//! Heads are parsed by `httparse`; what surrounds them is here: reading a head within a limit,
//! bodies in their three framings, targets, and byte ranges. Nothing in here knows sockets:
//! everything works on `Read` and `Write`.

mod body;
mod content_type;
mod escape;
mod framing;
mod head;
mod range;
mod target;
mod url;

pub use body::Body;
pub use content_type::content_type;
pub use escape::{escape_html, escape_json};
pub use framing::Framing;
pub use head::{Connection, HeadError, Headers, MAX_HEAD, Request, Response};
pub use range::{Range, parse_range};
pub use target::{BadTarget, decode_path, encode_path};
pub use url::{Scheme, Url, UrlError};
