//! Replies, and how they are written.

use std::fs::File;
use std::io::{self, Read, Write};

use demos::date;
use demos::http::escape_html;
use demos::outside::wall_clock;

/// How much of a file is read and written at once, bytes.
const COPY_SIZE: usize = 256 * 1024;

/// A reply to one request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    fields: Vec<(&'static str, String)>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Text(String),
    /// So many bytes from where the file stands.
    File(File, u64),
}

impl Reply {
    /// A text of that media type.
    pub(crate) fn text(content_type: &'static str, text: String) -> Reply {
        let fields = vec![("Content-Type", content_type.to_owned())];
        Reply { status: 200, fields, content: Content::Text(text) }
    }

    /// `length` bytes of `file` from where it stands.
    pub(crate) fn file(content_type: &'static str, file: File, length: u64) -> Reply {
        let fields = vec![("Content-Type", content_type.to_owned())];
        Reply { status: 200, fields, content: Content::File(file, length) }
    }

    /// A page that says what went wrong.
    pub(crate) fn error(status: u16, why: &str) -> Reply {
        let (reason, why) = (reason(status), escape_html(why));
        let text = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>{status} {reason}</title>\
             <h1>{status} {reason}</h1><p>{why}</p></html>\n"
        );
        Reply { status, ..Reply::text("text/html; charset=utf-8", text) }
    }

    pub(crate) fn with_status(mut self, status: u16) -> Reply {
        self.status = status;
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.fields.push((name, value.into()));
        self
    }

    /// The length of the body, bytes.
    pub(crate) fn length(&self) -> u64 {
        match &self.content {
            Content::Text(text) => text.len() as u64,
            Content::File(_, length) => *length,
        }
    }

    /// Writes the head, and the body unless the request was `HEAD`. Returns the number of bytes
    /// of the body that were written.
    pub(crate) fn write(
        mut self,
        out: &mut impl Write,
        is_head: bool,
        keep_alive: bool,
    ) -> io::Result<u64> {
        let mut head = self.head(keep_alive).into_bytes();
        if is_head {
            out.write_all(&head)?;
            return Ok(0);
        }
        let length = self.length();
        match &mut self.content {
            Content::Text(text) => {
                head.extend_from_slice(text.as_bytes());
                out.write_all(&head)?;
            }
            Content::File(file, _) => copy(head, file, length, out)?,
        }
        Ok(length)
    }

    fn head(&self, keep_alive: bool) -> String {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nServer: Tapstack\r\nDate: {}\r\nContent-Length: {}\r\n\
             Connection: {}\r\n",
            self.status,
            reason(self.status),
            date::http(wall_clock()),
            self.length(),
            if keep_alive { "keep-alive" } else { "close" }
        );
        for (name, value) in &self.fields {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        head
    }
}

/// Writes the head and `length` bytes of the file, the beginning of the file with the head: a
/// small file is one write, and so one segment.
fn copy(head: Vec<u8>, file: &mut File, length: u64, out: &mut impl Write) -> io::Result<()> {
    let mut buffer = head;
    let mut start = buffer.len();
    let mut left = length;
    buffer.resize(COPY_SIZE.max(start), 0);
    loop {
        let room = usize::try_from(left).map_or(COPY_SIZE, |left| left.min(buffer.len() - start));
        let count = file.read(&mut buffer[start..start + room])?;
        if count == 0 && left > 0 {
            // The length is promised: only closing the connection tells the client.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"));
        }
        left -= count as u64;
        out.write_all(&buffer[..start + count])?;
        if left == 0 {
            return Ok(());
        }
        start = 0;
    }
}

/// The words after a status.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Something Else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_its_length_and_a_head_has_no_body() {
        let reply = || Reply::text("text/plain", "hello".into()).with("X-Y", "z");
        let mut out = Vec::new();
        reply().write(&mut out, false, true).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 5\r\nConnection: keep-alive\r\n"), "{text}");
        assert!(text.ends_with("\r\nX-Y: z\r\n\r\nhello"), "{text}");
        let mut out = Vec::new();
        assert_eq!(reply().write(&mut out, true, false).unwrap(), 0);
        assert!(out.ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn what_went_wrong_is_text_and_not_markup() {
        let mut out = Vec::new();
        Reply::error(404, "<script>").write(&mut out, false, false).unwrap();
        assert!(!String::from_utf8(out).unwrap().contains("<script>"));
    }
}
