//! Files of the workspace as the rules see them.

use std::fmt;
use std::path::{Path, PathBuf};

/// One file.
pub(crate) struct Source {
    /// Its path from the workspace's root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// What a rule has against a line.
pub(crate) struct Finding {
    place: String,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    pub(crate) fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { place: format!("{}:{line}", self.path), what: what.into() }
    }

    /// Lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(i, line)| (i + 1, line))
    }

    pub(crate) fn line(&self, number: usize) -> &str {
        self.text.lines().nth(number - 1).unwrap_or("")
    }

    /// `arrive` for `stack/src/tcp/arrive.rs`, `tcp` for `stack/src/tcp/mod.rs`.
    pub(crate) fn stem(&self) -> &str {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.rsplit('/').next().unwrap_or(path)
    }
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files under `folder` whose names end in `ending`, in order of their paths.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root(), Path::new(folder), ending, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(root: &Path, folder: &Path, ending: &str, found: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        if name == "target" || name.starts_with(".git") {
            continue;
        }
        if entry.path().is_dir() {
            collect(root, &path, ending, found);
        } else if name.ends_with(ending) {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let path = path.to_string_lossy().trim_start_matches("./").to_owned();
            found.push(Source { path, text });
        }
    }
}

/// Every Rust file of the workspace.
pub(crate) fn rust() -> Vec<Source> {
    let found: Vec<Source> =
        ["stack", "tapdev", "demos", "tests"].iter().flat_map(|f| files(f, ".rs")).collect();
    assert!(found.len() > 20, "the rules read nothing: {} files", found.len());
    found
}

/// Rust files under `folder` without those which hold tests only: `.._tests.rs`.
pub(crate) fn product(folder: &str) -> Vec<Source> {
    let sources = files(folder, ".rs").into_iter();
    sources.filter(|source| !source.path.ends_with("_tests.rs")).collect()
}

/// The engine's files: the crate `stack` without its shell and its test kit.
pub(crate) fn engine() -> Vec<Source> {
    let aside = ["stack/src/host", "stack/src/testing"];
    let is_engine = |source: &Source| !aside.iter().any(|folder| source.path.starts_with(folder));
    product("stack/src").into_iter().filter(is_engine).collect()
}

/// Fails with every finding on a line of its own.
#[track_caller]
pub(crate) fn none(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}

/// Fails unless the rule finds something in each snippet.
#[track_caller]
pub(crate) fn caught(path: &str, snippets: &[&str], rule: impl Fn(&[Source]) -> Vec<Finding>) {
    for snippet in snippets {
        let findings = rule(&[Source::new(path, snippet)]);
        assert!(!findings.is_empty(), "nothing found in {snippet:?}");
    }
}

/// Fails when the rule finds something in a snippet that is good.
#[track_caller]
pub(crate) fn passed(path: &str, snippets: &[&str], rule: impl Fn(&[Source]) -> Vec<Finding>) {
    for snippet in snippets {
        none(rule(&[Source::new(path, snippet)]));
    }
}
