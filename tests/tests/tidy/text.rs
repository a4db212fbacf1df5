//! Text: what a file may not contain whatever it means.

use crate::source::{Finding, Source, caught, files, none, passed, rust};

fn written() -> Vec<Source> {
    let mut found = rust();
    for ending in [".md", ".toml", ".sh"] {
        found.extend(files(".", ending));
    }
    found.extend(files("scripts", ""));
    found
}

fn whitespace(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for (number, line) in source.lines() {
            if line.ends_with([' ', '\t']) {
                findings.push(source.finding(number, "space at the end of the line"));
            }
            if line.contains('\t') {
                findings.push(source.finding(number, "a tab"));
            }
            if line.chars().any(|c| c.is_control() && c != '\t') {
                findings.push(source.finding(number, "a control character"));
            }
        }
        if !source.text.is_empty() && !source.text.ends_with('\n') {
            findings.push(source.finding(source.text.lines().count(), "no newline at the end"));
        }
    }
    findings
}

/// Work that is left says whose or why: `TODO(#12): ..`.
fn open_ends(sources: &[Source]) -> Vec<Finding> {
    let marks = ["TODO", "FIXME", "XXX", "HACK"];
    let mut findings = Vec::new();
    for source in sources {
        for (number, line) in source.lines() {
            let comment = line.find("//").map_or("", |at| &line[at..]);
            for mark in marks {
                let loose = comment
                    .match_indices(mark)
                    .any(|(at, _)| !comment[at + mark.len()..].starts_with("(#"));
                if loose {
                    findings.push(source.finding(number, format!("{mark} without its issue")));
                }
            }
        }
    }
    findings
}

/// Comments that read like statements. Doc comments hold examples and are left alone.
fn dead_code(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for (number, line) in source.lines() {
            let Some(comment) = line.trim_start().strip_prefix("// ") else { continue };
            let comment = comment.trim();
            let statement = comment.ends_with(';')
                && (comment.contains("(") && comment.contains(')') && !comment.contains(". ")
                    || comment.starts_with("let ")
                    || comment.starts_with("use ")
                    || comment.starts_with("return "));
            let opening = comment.ends_with('{')
                && ["fn ", "if ", "for ", "while ", "match ", "impl ", "pub "]
                    .iter()
                    .any(|start| comment.starts_with(start));
            if statement || opening || comment.starts_with("#[") {
                findings.push(source.finding(number, "code in a comment"));
            }
        }
    }
    findings
}

/// A file opens by saying what it is; one of tests belongs to the file that names it.
fn unopened(sources: &[Source]) -> Vec<Finding> {
    sources
        .iter()
        .filter(|source| !source.text.starts_with("//!") && !source.path.ends_with("_tests.rs"))
        .map(|source| source.finding(1, "no `//!` at the top says what the file is"))
        .collect()
}

#[test]
fn lines_are_clean() {
    none(whitespace(&written()));
    caught("x.rs", &["a \n", "a\tb\n", "a", "a\u{7}\n"], whitespace);
    passed("x.rs", &["a\n", "", "ä\n"], whitespace);
}

#[test]
fn open_ends_name_their_issue() {
    let own = |source: &Source| source.path.ends_with("tidy/text.rs");
    none(open_ends(&rust().into_iter().filter(|source| !own(source)).collect::<Vec<_>>()));
    caught("x.rs", &["// TODO: later\n", "x(); // FIXME\n", "/// XXX what\n"], open_ends);
    passed("x.rs", &["// TODO(#12): IPv6\n", "let todo = 1;\n"], open_ends);
}

#[test]
fn comments_are_not_code() {
    none(dead_code(&rust()));
    caught(
        "x.rs",
        &["// let x = 1;\n", "    // self.send(x);\n", "// if x {\n", "// #[test]\n"],
        dead_code,
    );
    passed(
        "x.rs",
        &["// a comment; it goes on\n", "/// let x = 1;\n", "// so it is;\n"],
        dead_code,
    );
}

#[test]
fn files_open_with_what_they_are() {
    none(unopened(&rust()));
    caught("x.rs", &["use x;\n"], unopened);
    passed("x.rs", &["//! Why.\n"], unopened);
}
