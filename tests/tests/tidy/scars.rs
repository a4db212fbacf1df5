//! `docs/SCARS.md`: bugs that other stacks had, and rows of the threat model, each with the test
//! that keeps it out of here, or the reason why there is none.

use crate::ledger::{cited, every_cited_test_exists, excused, known};
use crate::source::{Finding, Source, files, none, rust};
use std::collections::{BTreeMap, BTreeSet};

const SCARS: &str = "docs/SCARS.md";

/// The threat model's rows: how many of each letter.
const THREATS: [(char, u32); 9] =
    [('P', 13), ('F', 8), ('T', 19), ('S', 6), ('R', 18), ('N', 10), ('X', 8), ('D', 7), ('E', 15)];

/// The rows of the page's tables: line, first cell, the whole.
fn rows(page: &Source) -> Vec<(usize, &str, &str)> {
    let cell = |text: &str| -> bool { text.starts_with('|') && !text.starts_with("|---") };
    let mut rows: Vec<(usize, &str, &str)> = Vec::new();
    let mut header = true;
    for (line, text) in page.lines() {
        if !cell(text) {
            header = !text.starts_with("|---");
        } else if !header {
            rows.push((line, text[1..].split('|').next().unwrap_or("").trim(), text));
        }
    }
    rows
}

fn every_row_is_proven_or_excused(page: &Source) -> Vec<Finding> {
    rows(page)
        .into_iter()
        .filter(|(_, _, text)| cited(text).is_empty() && !excused(text))
        .map(|(line, what, _)| page.finding(line, format!("{what}: neither test nor reason")))
        .collect()
}

fn every_threat_has_a_row(page: &Source) -> Vec<Finding> {
    let held: BTreeSet<&str> = rows(page).into_iter().map(|(_, first, _)| first).collect();
    THREATS
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |n| format!("{letter}-{n}")))
        .filter(|id| !held.contains(id.as_str()))
        .map(|id| page.finding(1, format!("{id} has no row")))
        .collect()
}

/// A test whose name begins with a row's id, `t10_`, stands in that row.
fn every_named_test_is_cited(page: &Source, known: &BTreeSet<String>) -> Vec<Finding> {
    let held: BTreeMap<&str, &str> =
        rows(page).into_iter().map(|(_, first, text)| (first, text)).collect();
    let id_of = |test: &str| {
        let word = test.split("::").nth(1)?.split('_').next()?;
        let letter = word.chars().next()?.to_ascii_uppercase();
        let number: u32 = word.get(1..)?.parse().ok()?;
        let known = THREATS.iter().any(|(it, count)| *it == letter && number <= *count);
        known.then(|| format!("{letter}-{number}"))
    };
    known
        .iter()
        .filter_map(|test| Some((test, id_of(test)?)))
        .filter(|(test, id)| {
            !held.get(id.as_str()).is_some_and(|row| cited(row).contains(&&***test))
        })
        .map(|(test, id)| page.finding(1, format!("{test} is not in the row of {id}")))
        .collect()
}

#[test]
fn scars_have_tests() {
    let page = files("docs", "SCARS.md").into_iter().next().expect(SCARS);
    let known = known(&rust());
    let mut findings = every_row_is_proven_or_excused(&page);
    findings.extend(every_threat_has_a_row(&page));
    findings.extend(every_cited_test_exists(&page, &known));
    findings.extend(every_named_test_is_cited(&page, &known));
    none(findings);
}

#[test]
fn scars_can_fail() {
    let page = |row: &str| Source::new(SCARS, &format!("| a | b |\n|---|---|\n{row}\n"));
    assert_eq!(every_row_is_proven_or_excused(&page("| T-1 | so |")).len(), 1);
    assert!(every_row_is_proven_or_excused(&page("| T-1 | `a::t1_b` |")).is_empty());
    let all: u32 = THREATS.iter().map(|(_, count)| count).sum();
    assert_eq!(every_threat_has_a_row(&page("| T-1 | so |")).len(), all as usize - 1);
    let known = BTreeSet::from(["a::t1_b".to_owned(), "a::t99_c".to_owned()]);
    assert_eq!(every_named_test_is_cited(&page("| T-1 | `a::t2_b` |"), &known).len(), 1);
    assert!(every_named_test_is_cited(&page("| T-1 | `a::t1_b` |"), &known).is_empty());
}
