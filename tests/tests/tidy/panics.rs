//! Laws 7 and 10: what may panic carries its proof, what is unsafe its reason.

use crate::source::{Finding, Source, caught, engine, files, none, passed, rust};
use crate::tokens;

/// Calls that can panic, allowed with a proof: a comment `// why: ..` on the line or just above.
const CALLS: &[&str] = &["unwrap", "expect", "unwrap_err", "expect_err"];
const MACROS: &[&str] = &["panic", "unreachable", "assert", "assert_eq", "assert_ne"];

/// Never, with or without a proof.
const NEVER: &[&str] = &["todo", "unimplemented", "dbg"];

/// How many proofs the engine may lean on. This number only ever falls.
const PROOFS: usize = 10;

/// Lines of the product that can panic.
fn panicking(source: &Source) -> Vec<usize> {
    let row = tokens::flat(&tokens::product(source));
    let at = |i: usize| row.get(i).map_or("", |(_, token)| token.as_str());
    (0..row.len())
        .filter(|&i| {
            let call = CALLS.contains(&at(i)) && at(i + 1) == "(" && i > 0 && at(i - 1) == ".";
            let invoked = MACROS.contains(&at(i)) && at(i + 1) == "!";
            call || invoked && !is_constant(&row, i)
        })
        .map(|i| row[i].0)
        .collect()
}

/// `const _: () = assert!(..)` fails the build and never a run.
fn is_constant(row: &[(usize, String)], i: usize) -> bool {
    let before: Vec<&str> = row[i.saturating_sub(7)..i].iter().map(|(_, t)| t.as_str()).collect();
    before.windows(3).any(|three| three == ["const", "_", ":"])
}

fn has_proof(source: &Source, line: usize) -> bool {
    let above = (1..line).rev().map(|n| source.line(n).trim()).take_while(|l| l.starts_with("//"));
    source.line(line).contains("// why:") || above.into_iter().any(|l| l.starts_with("// why:"))
}

fn unproven(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for line in panicking(source).into_iter().filter(|&line| !has_proof(source, line)) {
            findings.push(source.finding(line, "can panic, and no `// why:` says why it does not"));
        }
    }
    findings
}

fn forbidden_macros(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let row = tokens::flat(&tokens::all(source));
        for pair in row.windows(2) {
            if NEVER.contains(&pair[0].1.as_str()) && pair[1].1 == "!" {
                findings.push(source.finding(pair[0].0, format!("{}!", pair[0].1)));
            }
        }
    }
    findings
}

/// Where `unsafe` may stand (law 10): files, or folders with a `/` at the end.
const UNSAFE: &[&str] = &[
    "stack/tests/allocations.rs",
    "tapdev/src/sys.rs",
    "tapdev/tests/",
    "tests/src/netns.rs",
    "tests/drill/src/abi.rs",
    "tests/drill/src/abi/memory.rs",
    "tests/drill/src/kernel.rs",
    "tests/drill/tests/scripts/library.rs",
    "stack/doors/c/src/",
    "stack/doors/preload/src/",
    "stack/doors/src/channel.rs",
    "stack/doors/src/client/",
    "stack/doors/src/exports.rs",
    "stack/doors/src/sys.rs",
];

fn is_edge(path: &str) -> bool {
    UNSAFE.iter().any(|edge| path == *edge || edge.ends_with('/') && path.starts_with(edge))
}

fn law_10(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let row = tokens::flat(&tokens::all(source));
        for (line, token) in row.iter().filter(|(_, token)| token == "unsafe") {
            let above = (1..*line).rev().map(|n| source.line(n).trim());
            let mut reason = above.take_while(|l| l.starts_with("//") || l.starts_with("#["));
            if !is_edge(&source.path) {
                findings.push(source.finding(*line, "`unsafe` outside the edges"));
            } else if !reason.any(|l| l.contains("SAFETY:") || l == "/// # Safety") {
                findings.push(source.finding(*line, format!("{token} without `// SAFETY:`")));
            }
        }
    }
    findings
}

#[test]
fn law_7_nothing_panics_without_a_proof() {
    none(unproven(&engine()));
    none(forbidden_macros(&rust()));
}

#[test]
fn law_7_proofs_only_become_fewer() {
    let proofs: usize = engine().iter().map(|source| panicking(source).len()).sum();
    assert!(proofs <= PROOFS, "{proofs} lines that can panic, {PROOFS} at most");
}

#[test]
fn law_7_can_fail() {
    caught(
        "stack/src/x.rs",
        &[
            "fn f() { x.unwrap(); }",
            "fn f() { x\n.expect(\"y\"); }",
            "fn f() { panic!(); }",
            "fn f() { match x { _ => unreachable!() } }",
            "fn f() { assert!(x); }",
            "// why: another line\nfn g() {}\nfn f() { x.unwrap(); }",
        ],
        unproven,
    );
    passed(
        "stack/src/x.rs",
        &[
            "fn f() { x.unwrap(); } // why: x was checked above",
            "fn f() {\n// why: it is\n// as it is\nx.unwrap(); }",
            "#[cfg(test)] mod t { fn f() { x.unwrap(); } }",
            "const _: () = assert!(SIZE < 3);",
            "fn f() { x.unwrap_or(3); debug_assert!(x); }",
        ],
        unproven,
    );
    caught("x.rs", &["fn f() { todo!() }", "#[test] fn f() { dbg!(x); }"], forbidden_macros);
}

#[test]
fn law_10_unsafe_stands_at_the_edges_with_its_reason() {
    none(law_10(&rust()));
    let root = files("stack/src", "lib.rs").remove(0);
    assert!(root.text.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn law_10_can_fail() {
    caught("stack/src/host/x.rs", &["// SAFETY: no\nfn f() { unsafe { g() } }"], law_10);
    caught("tapdev/src/sys.rs", &["fn f() { unsafe { g() } }"], law_10);
    passed("tapdev/src/sys.rs", &["fn f() {\n// SAFETY: so\nunsafe { g() } }"], law_10);
    // What a caller must promise is said in the documentation.
    passed("tapdev/src/sys.rs", &["/// # Safety\n/// So.\npub unsafe fn f() {}"], law_10);
}
