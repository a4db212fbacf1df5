//! Request targets: from `/a%20b?c` to the path of a file below a directory, and back.

use std::path::{Component, Path, PathBuf};

/// A target that names nothing below a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTarget;

/// The path that a target names, relative to the served directory.
///
/// It is percent-decoded first and judged afterwards, so that no encoding hides a `..`. The query
/// is cut off. `.` segments and doubled slashes vanish.
///
/// # Errors
/// [`BadTarget`] for `..`, a NUL, text that is not UTF-8, bad escapes, and what does not begin
/// with a slash.
pub fn decode_path(target: &str) -> Result<PathBuf, BadTarget> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_prefix('/').ok_or(BadTarget)?;
    let decoded = String::from_utf8(decode(path)?).map_err(|_| BadTarget)?;
    if decoded.contains(['\0', '\\']) {
        return Err(BadTarget);
    }
    let mut out = PathBuf::new();
    for component in Path::new(decoded.trim_start_matches('/')).components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(BadTarget);
            }
        }
    }
    Ok(out)
}

/// `name` as one segment of a target.
pub fn encode_path(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[digit as usize])),
            );
        }
    }
    out
}

fn decode(text: &str) -> Result<Vec<u8>, BadTarget> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|d| char::from(d).to_digit(16)).ok_or(BadTarget);
        let value = digit()? * 16 + digit()?;
        out.push(u8::try_from(value).map_err(|_| BadTarget)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_become_paths() {
        for (target, path) in [
            ("/", ""),
            ("/a/b.txt", "a/b.txt"),
            ("/a//b/./c?x=/../y", "a/b/c"),
            ("/a%20b/%C3%A9", "a b/\u{e9}"),
            ("/a%2Fb", "a/b"),
            ("/...", "..."),
            ("//etc/passwd", "etc/passwd"),
        ] {
            assert_eq!(decode_path(target), Ok(PathBuf::from(path)), "{target}");
        }
    }

    #[test]
    fn no_spelling_leads_out() {
        for target in [
            "/..",
            "/../etc/passwd",
            "/a/../../etc/passwd",
            "/%2e%2e/etc/passwd",
            "/%2E./etc/passwd",
            "/..%2fetc%2fpasswd",
            "/a%2f..%2f..%2fetc",
            "/..\\etc",
            "/a%00b",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
            "etc/passwd",
            "*",
            "",
        ] {
            assert_eq!(decode_path(target), Err(BadTarget), "{target}");
        }
    }

    #[test]
    fn a_double_encoding_is_decoded_once() {
        assert_eq!(decode_path("/%252e%252e/x"), Ok(PathBuf::from("%2e%2e/x")));
    }

    #[test]
    fn names_survive_the_round_trip() {
        for name in ["a b", "100%", "\u{e9}#?&", "plain.txt"] {
            assert_eq!(decode_path(&format!("/{}", encode_path(name))), Ok(PathBuf::from(name)));
        }
    }
}
