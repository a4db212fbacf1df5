//! The sink of `/upload`: reads what is sent, counts it, and says its checksum.

use std::io::{self, Read};

use demos::http::{Body, Connection, Framing, Request};
use demos::site::Receipt;

use crate::reply::Reply;

/// How much is read at once, bytes.
const READ_SIZE: usize = 256 * 1024;

/// True for the targets that take uploads: `/upload`, and `/upload/NAME` as `curl -T` makes it.
pub(crate) fn is_sink(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    path == "/upload" || path.starts_with("/upload/")
}

/// Reads the body and tells what it was. The error is that of the connection, or a bad body.
pub(crate) fn receive<S: Read>(
    connection: &mut Connection<S>,
    request: &Request,
    framing: Framing,
) -> io::Result<(u64, Reply)> {
    let mut body = Body::new(connection, framing);
    let mut receipt = Receipt::begin();
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let count = body.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        receipt.add(&buffer[..count]);
    }
    let total = receipt.total();
    Ok((total, Reply::text("application/json", receipt.sign(&request.target))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_is_counted_and_summed() {
        let text =
            "PUT /upload/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        let mut connection = Connection::new(text.as_bytes());
        let request = connection.read_request().unwrap().unwrap();
        assert!(is_sink(&request.target));
        let (total, reply) = receive(&mut connection, &request, Framing::Chunked).unwrap();
        assert_eq!(total, 3);
        let mut out = Vec::new();
        reply.write(&mut out, false, true).unwrap();
        let text = String::from_utf8(out).unwrap();
        // FIPS 180-2, appendix B.1.
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(text.contains("\"bytes\":3") && text.contains(sum), "{text}");
        assert!(!is_sink("/uploads"));
    }
}
