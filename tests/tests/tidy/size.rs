//! Law 8: a function fits on a screen, a file is one idea.

use crate::source::{Finding, Source, caught, files, none, passed, product, rust};
use crate::tokens;
use proc_macro2::TokenTree;

const FUNCTION_LINES: usize = 70;
const LINE_COLUMNS: usize = 100;
const FILE_LINES: usize = 600;

fn long_functions(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for function in tokens::functions(&tokens::all(source)) {
            if function.lines() > FUNCTION_LINES {
                let what = format!("`{}` has {} lines", function.name, function.lines());
                findings.push(source.finding(function.first, what));
            }
        }
    }
    findings
}

fn long_lines(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for (number, line) in source.lines() {
            let columns = line.chars().count();
            // A row of a table cannot be broken.
            let is_row = line.starts_with("//! |") || line.starts_with("/// |");
            if columns > LINE_COLUMNS && !is_row {
                findings.push(source.finding(number, format!("{columns} columns")));
            }
        }
    }
    findings
}

/// Code lines without tests, comments and blank lines.
fn long_files(sources: &[Source]) -> Vec<Finding> {
    longer(sources, tokens::product)
}

/// The same of files that are nothing but tests.
fn long_tests(sources: &[Source]) -> Vec<Finding> {
    longer(sources, tokens::all)
}

fn longer(sources: &[Source], counted: fn(&Source) -> Vec<TokenTree>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let lines = tokens::code_lines(&counted(source)).len();
        if lines > FILE_LINES {
            findings.push(source.finding(1, format!("{lines} lines of code")));
        }
    }
    findings
}

#[test]
fn law_8_functions_fit_on_a_screen() {
    none(long_functions(&rust()));
}

#[test]
fn law_8_functions_can_fail() {
    let body = "    f();\n".repeat(FUNCTION_LINES - 1);
    let long = format!("fn g() {{\n{body}}}\n");
    caught(
        "stack/src/x.rs",
        &[
            &long,
            &format!("mod m {{ impl X {{ {long} }} }}"),
            &format!("proptest! {{ #[test] {long} }}"),
            &format!("#[cfg(test)] mod tests {{ #[test] {long} }}"),
        ],
        long_functions,
    );
    let fits = format!("fn g() {{\n{}}}\n", "    f();\n".repeat(FUNCTION_LINES - 2));
    passed("stack/src/x.rs", &[&fits], long_functions);
}

#[test]
fn law_8_lines_fit_on_a_screen() {
    none(long_lines(&rust()));
    let line = "x".repeat(LINE_COLUMNS);
    passed("x.rs", &[&line], long_lines);
    caught("x.rs", &[&format!("{line}y")], long_lines);
}

#[test]
fn law_8_a_file_is_one_idea() {
    let folders =
        ["stack/src", "stack/doors", "tapdev/src", "demos/src", "tests/src", "tests/drill/src"];
    none(long_files(&folders.into_iter().flat_map(product).collect::<Vec<_>>()));
    none(long_tests(&files("tests/tests", ".rs")));
    let code = "fn f() {}\n".repeat(FILE_LINES);
    passed(
        "x.rs",
        &[&format!("// a comment\n\n{code}#[cfg(test)] mod t {{\n{code}}}")],
        long_files,
    );
    caught("x.rs", &[&format!("{code}fn g() {{}}\n")], long_files);
    caught("x.rs", &[&format!("{code}#[test] fn g() {{}}\n")], long_tests);
}

/// The shape that the whole is to keep: half of all functions are very short.
#[test]
fn most_functions_are_short() {
    let mut lengths: Vec<usize> = product("stack/src")
        .iter()
        .flat_map(|source| tokens::functions(&tokens::product(source)))
        .map(|function| function.lines())
        .collect();
    lengths.sort_unstable();
    let (median, tail) = (lengths[lengths.len() / 2], lengths[lengths.len() * 95 / 100]);
    assert!(median <= 10, "the median function has {median} lines");
    assert!(tail <= 42, "one function in twenty has {tail} lines or more");
}
