//! Who sends a mail to whom, as MAIL and RCPT say it (RFC 5321 §4.1.1.2, §4.1.1.3).

/// The longest path, with its brackets (RFC 5321 §4.5.3.1.3).
const LONGEST_PATH: usize = 256;

/// The argument of MAIL or RCPT behind its colon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// The mailbox between the brackets; a source route in front of it is left out (RFC 5321,
    /// appendix C). Nobody is the empty one.
    pub(crate) mailbox: &'a str,
    /// Parameters: a key in capital letters, and its value.
    pub(crate) parameters: Vec<(String, &'a str)>,
}

/// Reads `FROM:<mailbox> KEY=value`, where `keyword` is FROM or TO; `None` if that is not one.
pub(crate) fn parse<'a>(argument: &'a str, keyword: &str) -> Option<Path<'a>> {
    let (word, rest) = argument.split_once(':')?;
    // Many clients write a space where the grammar has none.
    let rest = rest.trim_start().strip_prefix('<')?;
    if !word.trim_end().eq_ignore_ascii_case(keyword) {
        return None;
    }
    let end = closing_bracket(rest)?;
    let (path, parameters) = (&rest[..end], &rest[end + 1..]);
    if end + 2 > LONGEST_PATH || !(parameters.is_empty() || parameters.starts_with(' ')) {
        return None;
    }
    let mailbox = match path.strip_prefix('@') {
        Some(route) => route.split_once(':')?.1,
        None => path,
    };
    let parameters = parameters.split_ascii_whitespace().map(|parameter| {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        (key.to_ascii_uppercase(), value)
    });
    Some(Path { mailbox, parameters: parameters.collect() })
}

/// Where the bracket is that closes a path: not within quotes, nor behind a backslash there.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '>' if !is_quoted => return Some(at),
            ' ' | '<' if !is_quoted => return None,
            c if c.is_control() => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_their_parameters() {
        for (argument, mailbox) in [
            ("FROM:<a@b.test>", "a@b.test"),
            ("from:<>", ""),
            ("FROM: <a@b>", "a@b"),
            ("FROM:<@x,@y:a@b>", "a@b"),
            ("FROM:<\"a > \\\" b\"@c>", "\"a > \\\" b\"@c"),
        ] {
            let path = parse(argument, "FROM").unwrap();
            assert_eq!((path.mailbox, path.parameters.len()), (mailbox, 0), "{argument}");
        }
        let path = parse("FROM:<a@b> size=100 BODY=8BITMIME X", "FROM").unwrap();
        let keys: Vec<&str> = path.parameters.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["SIZE", "BODY", "X"]);
        assert_eq!(path.parameters[1].1, "8BITMIME");
    }

    #[test]
    fn what_is_no_path() {
        let long = format!("FROM:<{}@b>", "x".repeat(260));
        for argument in
            ["", "FROM", "FROM:", "FROM:a@b", "FROM:<a@b", "FROM:<a b>", "FROM:<a@b>x", "TO:<a@b>"]
                .into_iter()
                .chain(["FROM:<@x>", "FROM:<a\r@b>", "FROM:<\"a>", &long])
        {
            assert_eq!(parse(argument, "FROM"), None, "{argument}");
        }
    }
}
