//! Files below the served directory.

use std::fs::{File, Metadata};
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

use anyhow::Result;
use demos::date;
use demos::directory::Directory;
use demos::http::{Range, Request, content_type, decode_path, parse_range};

use crate::listing;
use crate::reply::Reply;

/// The served directory.
///
/// Nothing outside it is ever read. A path is decoded first and judged afterwards, `..` is
/// refused, and a symbolic link is followed only where it ends inside the directory.
#[derive(Debug)]
pub(crate) struct Files {
    served: Directory,
}

impl Files {
    /// Everything below `root`.
    pub(crate) fn new(root: &Path) -> Result<Files> {
        Ok(Files { served: Directory::new(root)? })
    }

    /// The directory's path.
    pub(crate) fn root(&self) -> &Path {
        self.served.root()
    }

    /// The reply to `GET` or `HEAD`.
    pub(crate) fn get(&self, request: &Request) -> Reply {
        let Ok(relative) = decode_path(&request.target) else {
            return Reply::error(400, "This path leads nowhere.");
        };
        match self.served.find(&relative) {
            Ok((path, meta)) if meta.is_dir() => self.folder(request, &relative, &path),
            Ok((path, meta)) => send(request, &path, &meta).unwrap_or_else(|error| refuse(&error)),
            Err(error) => refuse(&error),
        }
    }

    fn folder(&self, request: &Request, relative: &Path, path: &Path) -> Reply {
        let target = request.target.split('?').next().unwrap_or_default();
        if !target.ends_with('/') {
            // Relative links on the page need the slash. Two of them in front would be a host.
            let location = format!("/{}/", target.trim_start_matches('/'));
            return Reply::error(301, "It is a directory.").with("Location", location);
        }
        if let Ok((index, meta)) = self.served.find(&relative.join("index.html"))
            && meta.is_file()
        {
            return send(request, &index, &meta).unwrap_or_else(|error| refuse(&error));
        }
        match listing::page(relative, path) {
            Ok(page) => Reply::text("text/html; charset=utf-8", page),
            Err(error) => refuse(&error),
        }
    }
}

/// The whole file, or the range of it that is asked for.
fn send(request: &Request, path: &Path, meta: &Metadata) -> io::Result<Reply> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (kind, size) = (content_type(&name), meta.len());
    let mut file = File::open(path)?;
    let range = match request.method.as_str() {
        // RFC 9110 §14.2: a range is defined for GET only.
        "GET" => parse_range(request.headers.get("range"), size),
        _ => Range::Whole,
    };
    let reply = match range {
        Range::Whole => Reply::file(kind, file, size),
        Range::Part { start, length } => {
            file.seek(SeekFrom::Start(start))?;
            let field = format!("bytes {start}-{}/{size}", start + length - 1);
            Reply::file(kind, file, length).with_status(206).with("Content-Range", field)
        }
        Range::Unsatisfiable => Reply::error(416, "The file is shorter.")
            .with("Content-Range", format!("bytes */{size}")),
    };
    let reply = reply.with("Accept-Ranges", "bytes");
    Ok(match meta.modified() {
        Ok(time) => reply.with("Last-Modified", date::http(time)),
        Err(_) => reply,
    })
}

fn refuse(error: &io::Error) -> Reply {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Reply::error(404, "There is no such file.")
        }
        io::ErrorKind::PermissionDenied => Reply::error(403, "This file is not for you."),
        io::ErrorKind::InvalidFilename => Reply::error(404, "No file has such a name."),
        _ => {
            log::warn!("{error}");
            Reply::error(500, "The file cannot be read.")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use demos::http::Connection;

    use super::*;

    /// A directory with a file, a folder, and links inside and outside.
    fn files(name: &str) -> Files {
        let base = std::env::temp_dir().join(format!("httpd-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        let root = base.join("root");
        fs::create_dir_all(root.join("folder")).unwrap();
        fs::write(base.join("secret"), "secret").unwrap();
        fs::write(root.join("hello.txt"), "0123456789").unwrap();
        fs::write(root.join("folder/a b"), "ab").unwrap();
        std::os::unix::fs::symlink("hello.txt", root.join("inside")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("outside")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        Files::new(&root).unwrap()
    }

    fn get(files: &Files, target: &str, fields: &str) -> (u16, String) {
        let text = format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
        let request = Connection::new(text.as_bytes()).read_request().unwrap().unwrap();
        let reply = files.get(&request);
        let (status, mut out) = (reply.status, Vec::new());
        reply.write(&mut out, false, false).unwrap();
        (status, String::from_utf8(out).unwrap())
    }

    #[test]
    fn files_are_served_whole_and_in_parts() {
        let files = files("parts");
        let (status, text) = get(&files, "/hello.txt?x", "");
        assert_eq!(status, 200);
        assert!(text.ends_with("\r\n\r\n0123456789"), "{text}");
        let (status, text) = get(&files, "/inside", "Range: bytes=2-4\r\n");
        assert_eq!(status, 206);
        assert!(text.contains("Content-Range: bytes 2-4/10\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n234"), "{text}");
        let (status, text) = get(&files, "/hello.txt", "Range: bytes=10-\r\n");
        assert_eq!(status, 416);
        assert!(text.contains("Content-Range: bytes */10\r\n"), "{text}");
        fs::remove_dir_all(files.root().parent().unwrap()).unwrap();
    }

    #[test]
    fn folders_are_listed_behind_a_slash() {
        let files = files("folders");
        let (status, text) = get(&files, "/folder", "");
        assert_eq!(status, 301);
        assert!(text.contains("\r\nLocation: /folder/\r\n"), "{text}");
        let (_, text) = get(&files, "//folder", "");
        assert!(text.contains("\r\nLocation: /folder/\r\n"), "{text}");
        let (status, text) = get(&files, "/folder/", "");
        assert_eq!(status, 200);
        assert!(text.contains("href=\"a%20b\""), "{text}");
        fs::write(files.root().join("folder/index.html"), "the index").unwrap();
        assert!(get(&files, "/folder/", "").1.ends_with("the index"));
        fs::remove_dir_all(files.root().parent().unwrap()).unwrap();
    }

    #[test]
    fn nothing_outside_is_read() {
        let files = files("outside");
        for (target, expected) in [
            ("/outside", 403),
            ("/up/secret", 403),
            ("/../secret", 400),
            ("/%2e%2e/secret", 400),
            ("/folder/..%2f..%2fsecret", 400),
            ("/hello.txt/x", 404),
            ("/nothing", 404),
        ] {
            let (status, text) = get(&files, target, "");
            assert_eq!(status, expected, "{target}");
            assert!(!text.ends_with("secret"), "{target}");
        }
        fs::remove_dir_all(files.root().parent().unwrap()).unwrap();
    }
}
