//! Law 9: `docs/RFCS.md` and the tests say the same.
//!
//! A row of the ledger starts with an id (`MUST-10`, `SHLD-2`) and holds the tests that prove it,
//! in backticks as `file::name`, or `not yet:` or `not here:` with the reason.

use crate::source::{Finding, Source, files, none, rust};
use crate::tokens;
use std::collections::{BTreeMap, BTreeSet};

const LEDGER: &str = "docs/RFCS.md";

struct Row<'a> {
    line: usize,
    ids: Vec<String>,
    text: &'a str,
}

/// Every test of the workspace as `file::name`.
fn known(sources: &[Source]) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for source in sources {
        for function in tokens::functions(&tokens::all(source)) {
            if function.is_test {
                known.insert(format!("{}::{}", source.stem(), function.name));
            }
        }
    }
    known
}

fn rows(ledger: &Source) -> Vec<Row<'_>> {
    let is_id = |word: &&str| {
        ["MUST-", "SHLD-", "MAY-", "REC-"].iter().any(|kind| {
            word.strip_prefix(kind).is_some_and(|n| n.chars().all(|c| c.is_ascii_digit()))
        })
    };
    ledger
        .lines()
        .filter_map(|(line, text)| {
            let first = text.strip_prefix('|')?.split('|').next()?;
            let ids: Vec<String> =
                first.split([' ', ',']).filter(is_id).map(str::to_owned).collect();
            (!ids.is_empty()).then_some(Row { line, ids, text })
        })
        .collect()
}

/// `file::name` between backticks.
fn cited(text: &str) -> Vec<&str> {
    let is_name = |word: &&str| {
        word.split("::").count() == 2
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            && word.chars().next().is_some_and(|c| c.is_ascii_lowercase())
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

/// The words after `not yet:` or `not here:`.
fn excused(text: &str) -> bool {
    ["not yet: ", "not here: "]
        .iter()
        .any(|mark| text.split(mark).nth(1).is_some_and(|reason| reason.trim().len() > 10))
}

fn every_id_has_a_row(ledger: &Source) -> Vec<Finding> {
    let held: BTreeSet<String> = rows(ledger).into_iter().flat_map(|row| row.ids).collect();
    let wanted = (1..=69).map(|n| format!("MUST-{n}")).chain((1..=31).map(|n| format!("SHLD-{n}")));
    wanted
        .filter(|id| !held.contains(id))
        .map(|id| ledger.finding(1, format!("{id} has no row")))
        .collect()
}

fn every_row_is_proven_or_excused(ledger: &Source) -> Vec<Finding> {
    rows(ledger)
        .into_iter()
        .filter(|row| cited(row.text).is_empty() && !excused(row.text))
        .map(|row| ledger.finding(row.line, format!("{} has neither test nor reason", row.ids[0])))
        .collect()
}

fn every_cited_test_exists(ledger: &Source, known: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in ledger.lines() {
        for name in cited(text).into_iter().filter(|name| !known.contains(*name)) {
            findings.push(ledger.finding(line, format!("no test is called {name}")));
        }
    }
    findings
}

/// A test whose name says `must_10` stands in the row of MUST-10.
fn every_named_test_is_cited(ledger: &Source, known: &BTreeSet<String>) -> Vec<Finding> {
    let mut by_id: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for row in rows(ledger) {
        for id in row.ids {
            by_id.entry(id).or_default().extend(cited(row.text));
        }
    }
    let id_of = |test: &str| {
        let mut words = test.split("::").nth(1)?.split('_');
        let kind = words.next().filter(|kind| ["must", "shld"].contains(kind))?;
        let number: u32 = words.next()?.parse().ok()?;
        Some(format!("{}-{number}", kind.to_uppercase()))
    };
    known
        .iter()
        .filter_map(|test| Some((test, id_of(test)?)))
        .filter(|(test, id)| !by_id.get(id).is_some_and(|row| row.contains(test.as_str())))
        .map(|(test, id)| ledger.finding(1, format!("{test} is not in the row of {id}")))
        .collect()
}

fn law_9(ledger: &Source, known: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = every_id_has_a_row(ledger);
    findings.extend(every_row_is_proven_or_excused(ledger));
    findings.extend(every_cited_test_exists(ledger, known));
    findings.extend(every_named_test_is_cited(ledger, known));
    findings
}

#[test]
fn law_9_every_must_has_a_test_or_a_reason() {
    let ledger = files("docs", "RFCS.md").into_iter().next().expect(LEDGER);
    none(law_9(&ledger, &known(&rust())));
}

#[test]
fn law_9_can_fail() {
    let known = BTreeSet::from(["open::must_10_simultaneous_open".to_owned()]);
    let ledger = |line: &str| Source::new(LEDGER, line);
    let whole = ledger("| MUST-1 | so | `open::must_10_simultaneous_open` |\n");
    assert_eq!(every_id_has_a_row(&whole).len(), 69 + 31 - 1);
    assert!(every_row_is_proven_or_excused(&whole).is_empty());
    assert!(every_cited_test_exists(&whole, &known).is_empty());
    assert_eq!(every_named_test_is_cited(&whole, &known).len(), 1, "cited in the wrong row");
    for row in ["| MUST-1 | so | |", "| MUST-1 | so | not yet: |", "| MUST-1 | `Type::x` |"] {
        assert_eq!(every_row_is_proven_or_excused(&ledger(row)).len(), 1, "{row}");
    }
    assert!(excused("| MUST-1 | not yet: no urgent data before issue 9 |"));
    assert_eq!(every_cited_test_exists(&ledger("`open::gone`"), &known).len(), 1);
}
