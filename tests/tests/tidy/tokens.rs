//! Rust as a tree of tokens: enough to read paths, functions and calls, inside macros too.

use crate::source::Source;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A path as written, `use` groups taken apart: `crate::{a, b::C}` is two of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) is_test: bool,
}

impl Function {
    pub(crate) fn lines(&self) -> usize {
        self.last - self.first + 1
    }
}

/// The tokens of a file, doc comments left out. `None`: it is not Rust.
pub(crate) fn all(source: &Source) -> Vec<TokenTree> {
    let stream: TokenStream =
        source.text.parse().unwrap_or_else(|error| panic!("{}: {error}", source.path));
    without(stream.into_iter().collect(), &|group| first_ident(group) == "doc")
}

/// The tokens that go into the product: without items under `#[cfg(test)]`.
pub(crate) fn product(source: &Source) -> Vec<TokenTree> {
    strip_tests(all(source))
}

fn first_ident(group: &Group) -> String {
    group.stream().into_iter().next().map(|token| token.to_string()).unwrap_or_default()
}

fn is_punct(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn group_at(token: Option<&TokenTree>, delimiter: Delimiter) -> Option<&Group> {
    match token {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

/// Attributes for which `unwanted` holds are left out, here and in every group.
fn without(tokens: Vec<TokenTree>, unwanted: &dyn Fn(&Group) -> bool) -> Vec<TokenTree> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        let inner = usize::from(is_punct(tokens.get(i + 1), '!'));
        let attribute = is_punct(tokens.get(i), '#')
            .then(|| group_at(tokens.get(i + 1 + inner), Delimiter::Bracket))
            .flatten();
        if attribute.is_some_and(unwanted) {
            i += 2 + inner;
            continue;
        }
        kept.push(match &tokens[i] {
            TokenTree::Group(group) => {
                let inside = without(group.stream().into_iter().collect(), unwanted);
                rebuilt(group, inside)
            }
            token => token.clone(),
        });
        i += 1;
    }
    kept
}

fn rebuilt(group: &Group, inside: Vec<TokenTree>) -> TokenTree {
    let mut new = Group::new(group.delimiter(), inside.into_iter().collect());
    new.set_span(group.span());
    TokenTree::Group(new)
}

/// True for `#[cfg(test)]` and `#[cfg(all(test, ..))]`, not for `#[cfg(any(test, ..))]`.
fn is_test_only(attribute: &Group) -> bool {
    let text = attribute.stream().to_string().replace(' ', "");
    text == "test" || text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

fn strip_tests(tokens: Vec<TokenTree>) -> Vec<TokenTree> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        let attribute = is_punct(tokens.get(i), '#')
            .then(|| group_at(tokens.get(i + 1), Delimiter::Bracket))
            .flatten();
        if attribute.is_some_and(is_test_only) {
            i = item_end(&tokens, i + 2);
            continue;
        }
        kept.push(match &tokens[i] {
            TokenTree::Group(group) => {
                rebuilt(group, strip_tests(group.stream().into_iter().collect()))
            }
            token => token.clone(),
        });
        i += 1;
    }
    kept
}

/// The place after the item that starts at `from`: its `;` or its braces, whichever comes first.
fn item_end(tokens: &[TokenTree], from: usize) -> usize {
    let ends = |token: &TokenTree| {
        is_punct(Some(token), ';') || group_at(Some(token), Delimiter::Brace).is_some()
    };
    tokens[from..].iter().position(ends).map_or(tokens.len(), |i| from + i + 1)
}

/// Every path of the tokens, in order.
pub(crate) fn paths(tokens: &[TokenTree]) -> Vec<Path> {
    let mut found = Vec::new();
    collect_paths(tokens, &[], &mut found);
    found
}

fn collect_paths(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<Path>) {
    let mut i = 0;
    while i < tokens.len() {
        match &tokens[i] {
            TokenTree::Ident(ident) => {
                let mut segments = prefix.to_vec();
                segments.push(ident.to_string());
                let line = ident.span().start().line;
                i = follow(tokens, i + 1, line, segments, found);
            }
            TokenTree::Group(group) => {
                let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                collect_paths(&inside, &[], found);
                i += 1;
            }
            _ => i += 1,
        }
    }
}

/// Goes on after a segment: `::` and another one, `::` and a group of them, or the end.
fn follow(
    tokens: &[TokenTree],
    at: usize,
    line: usize,
    mut segments: Vec<String>,
    found: &mut Vec<Path>,
) -> usize {
    if !(is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')) {
        found.push(Path { line, segments });
        return at;
    }
    match tokens.get(at + 2) {
        Some(TokenTree::Ident(ident)) => {
            segments.push(ident.to_string());
            follow(tokens, at + 3, line, segments, found)
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let inside: Vec<TokenTree> = group.stream().into_iter().collect();
            collect_paths(&inside, &segments, found);
            at + 3
        }
        _ => {
            found.push(Path { line, segments });
            at + 2
        }
    }
}

/// Every function with a body, nested ones and those inside macros included.
pub(crate) fn functions(tokens: &[TokenTree]) -> Vec<Function> {
    let mut found = Vec::new();
    collect_functions(tokens, &mut found);
    found
}

fn collect_functions(tokens: &[TokenTree], found: &mut Vec<Function>) {
    let mut is_test = false;
    for (i, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Ident(ident) if ident == "fn" => {
                if let Some(TokenTree::Ident(name)) = tokens.get(i + 1)
                    && let Some(end) = tokens.get(item_end(tokens, i) - 1)
                    && let Some(body) = group_at(Some(end), Delimiter::Brace)
                {
                    let (first, last) = (ident.span().start().line, body.span_close().end().line);
                    let name = name.to_string();
                    found.push(Function { name, first, last, is_test });
                }
                is_test = false;
            }
            TokenTree::Group(group) => {
                let before = i.checked_sub(1).and_then(|i| tokens.get(i));
                if is_punct(before, '#') {
                    is_test |= group.stream().to_string() == "test";
                } else {
                    collect_functions(&group.stream().into_iter().collect::<Vec<_>>(), found);
                }
            }
            _ => {}
        }
    }
}

/// Lines that hold at least one of the tokens.
pub(crate) fn code_lines(tokens: &[TokenTree]) -> std::collections::BTreeSet<usize> {
    let mut lines = std::collections::BTreeSet::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                lines.insert(group.span_open().start().line);
                lines.insert(group.span_close().end().line);
                lines.extend(code_lines(&group.stream().into_iter().collect::<Vec<_>>()));
            }
            token => {
                lines.insert(token.span().start().line);
            }
        }
    }
    lines
}

/// Every token in a flat row, groups opened, with `depth`-first order kept.
pub(crate) fn flat(tokens: &[TokenTree]) -> Vec<(usize, String)> {
    let mut row = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                row.push((group.span_open().start().line, open.into()));
                row.extend(flat(&group.stream().into_iter().collect::<Vec<_>>()));
                row.push((group.span_close().start().line, close.into()));
            }
            token => row.push((token.span().start().line, token.to_string())),
        }
    }
    row
}

#[test]
fn tests_are_not_part_of_the_product() {
    let source = Source::new(
        "x.rs",
        "/// doc\nfn a() { x::y(); }\n#[cfg(test)]\nuse q::r;\n#[cfg(test)]\nmod t { fn b() {} }\n\
         impl T { #[cfg(test)] fn c(&self) {} fn d() {} }\n#[cfg(any(test, k))]\nfn e() {}",
    );
    let names: Vec<String> = functions(&product(&source)).into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["a", "d", "e"]);
    assert!(paths(&product(&source)).iter().all(|path| path.segments[0] != "q"));
}

#[test]
fn groups_in_paths_are_taken_apart() {
    let source =
        Source::new("x.rs", "use crate::{a, b::{C, d}, e as f}; fn g() { super::h::<u8>() }");
    let found: Vec<String> =
        paths(&all(&source)).iter().map(|path| path.segments.join("::")).collect();
    for path in ["crate::a", "crate::b::C", "crate::b::d", "crate::e", "super::h"] {
        assert!(found.iter().any(|found| found == path), "{path} not in {found:?}");
    }
}
