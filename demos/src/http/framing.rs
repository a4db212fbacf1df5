//! Framing: how one tells where a body ends (RFC 9112 §6.3).

use super::head::Headers;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks, the last of which is empty.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

impl Framing {
    pub(super) fn of_request(headers: &Headers) -> Result<Framing, String> {
        // RFC 9112 §6.3: a request without either field has no body.
        Ok(Framing::declared(headers)?.unwrap_or(Framing::Length(0)))
    }

    pub(super) fn of_response(
        method: &str,
        status: u16,
        headers: &Headers,
    ) -> Result<Framing, String> {
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        Ok(Framing::declared(headers)?.unwrap_or(Framing::UntilClose))
    }

    /// What the fields say. Whatever two readers could understand differently is an error: a
    /// proxy before us that reads the other way would let one client's text become another's
    /// request (RFC 9112 §11.2).
    fn declared(headers: &Headers) -> Result<Option<Framing>, String> {
        // A value that is no text must not be as if it were absent.
        for name in ["Transfer-Encoding", "Content-Length"] {
            if !headers.all_bytes(name).all(<[u8]>::is_ascii) {
                return Err(format!("a value of {name} that is not ASCII"));
            }
        }
        let mut codings = headers.all("transfer-encoding").flat_map(|value| value.split(','));
        let mut lengths = headers.all("content-length").flat_map(|value| value.split(','));
        match (codings.next(), lengths.next()) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err("both Transfer-Encoding and Content-Length".into()),
            (Some(coding), None) => {
                let is_chunked = coding.trim().eq_ignore_ascii_case("chunked");
                if is_chunked && codings.next().is_none() {
                    Ok(Some(Framing::Chunked))
                } else {
                    Err(format!("a transfer coding other than chunked: {coding}"))
                }
            }
            (None, Some(first)) => {
                if lengths.any(|other| other.trim() != first.trim()) {
                    return Err("several values of Content-Length".into());
                }
                decimal(first.trim())
                    .map(|length| Some(Framing::Length(length)))
                    .ok_or_else(|| format!("Content-Length is not a number: {first:?}"))
            }
        }
    }
}

/// A number of digits only: `parse` alone would take a sign.
fn decimal(text: &str) -> Option<u64> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::head::Connection;
    use super::*;

    fn request(fields: impl AsRef<[u8]>) -> Result<Framing, String> {
        let text = [b"PUT / HTTP/1.1\r\n", fields.as_ref(), b"\r\n"].concat();
        Connection::new(text.as_slice()).read_request().unwrap().unwrap().framing()
    }

    #[test]
    fn requests_say_where_their_bodies_end() {
        assert_eq!(request(""), Ok(Framing::Length(0)));
        assert_eq!(request("Content-Length: 17\r\n"), Ok(Framing::Length(17)));
        assert_eq!(request("Content-Length: 5, 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(request("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: \r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
        ] {
            assert!(request(fields).is_err(), "{fields}");
        }
        // What is no text is not as if it were absent.
        for fields in [
            &b"Content-Length: 40\xff\r\n"[..],
            b"Content-Length: \xff\r\n",
            b"Content-Length: 5\r\nContent-Length: 5\xff\r\n",
            b"Transfer-Encoding: chunked, \xff\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: \xff\r\n",
            b"Content-Length: 5\r\nTransfer-Encoding: \xff\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: \xff\r\n",
            b"Content-Length: 5\xc2\xa0\r\n",
        ] {
            assert!(request(fields).is_err(), "{}", fields.escape_ascii());
        }
    }

    #[test]
    fn some_responses_never_have_a_body() {
        let fields = Headers::default();
        assert_eq!(Framing::of_response("GET", 200, &fields), Ok(Framing::UntilClose));
        assert_eq!(Framing::of_response("HEAD", 200, &fields), Ok(Framing::Length(0)));
        assert_eq!(Framing::of_response("GET", 304, &fields), Ok(Framing::Length(0)));
    }
}
