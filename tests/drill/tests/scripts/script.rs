//! Scripts in packetdrill's language, as much of it as the scripts here use.

use std::collections::BTreeMap;

use stack::testing::notation::Notation;

use crate::value::{Reader, Value, symbols};

/// When something is to happen: microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    /// Since the script's beginning, and, of a blocking call, when it ends; of a packet, at the
    /// latest.
    At(i64, Option<i64>),
    /// Since the last event, likewise.
    After(i64, Option<i64>),
    /// `*`
    Any,
}

/// A call and what it must answer.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Value>,
    pub(crate) result: i64,
    pub(crate) errno: Option<i64>,
    /// It is expected to block: `0.1...0.2`.
    pub(crate) blocks: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// `< ...`
    Inject(Notation),
    /// `> ...`
    Expect(Notation),
    Call(Call),
    /// `%{ assert tcpi_cwnd == 10 }%`
    Assert(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) line: usize,
    pub(crate) when: When,
    pub(crate) action: Action,
}

/// Reads a script. Settings (`--mss=1000`) and shell commands in backticks, which prepare a kernel,
/// mean nothing here and are passed over.
pub(crate) fn parse(text: &str) -> Result<Vec<Event>, String> {
    let symbols = symbols();
    let mut events: Vec<Event> = Vec::new();
    for (line, text) in statements(&without_comments(text)) {
        let at = |what: String| format!("{line}: {what}");
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
        let (when, blocks) = time(word).map_err(at)?;
        let rest = rest.trim();
        let code = rest.strip_prefix("%{").and_then(|body| body.strip_suffix("}%"));
        let action = match code {
            Some(code) => Action::Assert(code.into()),
            None if rest.starts_with('`') => continue,
            None => action(rest, blocks, &symbols).map_err(at)?,
        };
        events.push(Event { line, when, action });
    }
    Ok(events)
}

/// The script's statements, each with its first line's number: a statement goes on while a
/// bracket, a piece of code or a command is open.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut all = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (line, text) in text.lines().enumerate().map(|(i, text)| (i + 1, text.trim())) {
        let (begun, so_far) = match open.take() {
            Some((begun, so_far)) => (begun, format!("{so_far}\n{text}")),
            None => (line, text.to_owned()),
        };
        let count = |what: &str| so_far.matches(what).count();
        let is_code = so_far.contains("%{");
        let is_open = match is_code {
            true => !so_far.contains("}%"),
            false => count("`") % 2 == 1 || count("(") != count(")"),
        };
        if is_open {
            open = Some((begun, so_far));
        } else if !(so_far.is_empty() || so_far.starts_with("--") || so_far.starts_with('`')) {
            all.push((begun, so_far));
        }
    }
    all.extend(open);
    all
}

/// Comments become blanks, so that lines keep their numbers.
fn without_comments(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find("/*") {
        let end = rest[begin..].find("*/").map_or(rest.len(), |end| begin + end + 2);
        out.push_str(&rest[..begin]);
        out.extend(rest[begin..end].matches('\n'));
        rest = &rest[end..];
    }
    out.push_str(rest);
    let line = |line: &str| line.split("//").next().unwrap_or("").to_owned();
    out.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn micros(text: &str) -> Result<i64, String> {
    let seconds: f64 = Some(text)
        .filter(|text| text.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
        .unwrap_or("")
        .parse()
        .map_err(|_| format!("`{text}` is no time"))?;
    Ok((seconds * 1e6).round() as i64)
}

/// The first word of a line, and whether the call behind it is to block.
fn time(word: &str) -> Result<(When, bool), String> {
    if word == "*" {
        return Ok((When::Any, false));
    }
    let blocks = word.contains("...");
    let (from, to) = match (word.split_once("..."), word.split_once('~')) {
        (Some((from, to)), _) => (from, Some(micros(to)?)),
        // Both ends of a range count from the same moment.
        (None, Some((from, to))) => {
            let to = if from.starts_with('+') { to.strip_prefix('+') } else { Some(to) };
            (from, Some(micros(to.ok_or(format!("`{word}` is no range"))?)?))
        }
        (None, None) => (word, None),
    };
    let when = match from.strip_prefix('+') {
        Some(from) => When::After(micros(from)?, to),
        None => When::At(micros(from)?, to),
    };
    Ok((when, blocks))
}

fn action(
    text: &str,
    blocks: bool,
    symbols: &BTreeMap<&'static str, i64>,
) -> Result<Action, String> {
    let notation = |text: &str| text.parse::<Notation>().map_err(|error| error.to_string());
    if let Some(packet) = text.strip_prefix('<') {
        return notation(packet.trim()).map(Action::Inject);
    }
    if let Some(packet) = text.strip_prefix('>') {
        return notation(packet.trim()).map(Action::Expect);
    }
    let mut reader = Reader::new(text, symbols);
    let name = reader.word().to_owned();
    if !reader.take("(") {
        return Err(format!("`{text}` is no call"));
    }
    let arguments = reader.values(")")?;
    if !reader.take("=") {
        return Err(format!("`{text}` has no result"));
    }
    let result = reader.number().map_err(|_| format!("`{text}`: what result?"))?;
    // Behind the result, in brackets, stands what people call it.
    let errno = match reader.rest().is_empty() || reader.rest().starts_with('(') {
        true => None,
        false => Some(*symbols.get(reader.word()).ok_or(format!("`{text}`: what errno?"))?),
    };
    Ok(Action::Call(Call { name, arguments, result, errno, blocks }))
}
