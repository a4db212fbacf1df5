//! Law 9: `docs/RFCS.md` and the tests say the same.
//!
//! A row of the ledger starts with an id (`MUST-10`, `SHLD-2`; `6298-5` for the fifth point of
//! RFC 6298) and holds the tests that prove it, in backticks as `file::name`, or `not yet:` or
//! `not here:` with the reason. A MUST or SHLD is proven by a test that bears its number.

use crate::source::{Finding, Source, files, none, rust};
use crate::tokens;
use std::collections::{BTreeMap, BTreeSet};

const LEDGER: &str = "docs/RFCS.md";

/// How many requirements of RFC 9293 are counted of each kind, and of the other RFCs.
const POINTS: &[(&str, u32)] = &[
    ("MUST", 69),
    ("SHLD", 31),
    ("MAY", 18),
    ("REC", 1),
    ("768", 2),
    ("791", 5),
    ("826", 2),
    ("1035", 3),
    ("1122", 14),
    ("1123", 1),
    ("1191", 10),
    ("1337", 1),
    ("2018", 10),
    ("2131", 5),
    ("2308", 1),
    ("2675", 1),
    ("3168", 6),
    ("3376", 6),
    ("3442", 1),
    ("3465", 1),
    ("3493", 1),
    ("3522", 1),
    ("3708", 1),
    ("3927", 4),
    ("4022", 1),
    ("4039", 1),
    ("4443", 4),
    ("4861", 5),
    ("4862", 3),
    ("4987", 2),
    ("5452", 1),
    ("5482", 1),
    ("5681", 10),
    ("5682", 2),
    ("5961", 4),
    ("6056", 1),
    ("6191", 1),
    ("6298", 10),
    ("6437", 1),
    ("6528", 1),
    ("6582", 4),
    ("6633", 1),
    ("6724", 1),
    ("6761", 1),
    ("6891", 1),
    ("6937", 3),
    ("7126", 1),
    ("7323", 9),
    ("7413", 1),
    ("8200", 7),
    ("8201", 1),
    ("8305", 1),
    ("8415", 2),
    ("8511", 1),
    ("8985", 7),
    ("9406", 1),
    ("9438", 6),
    ("9768", 1),
];

struct Row<'a> {
    line: usize,
    ids: Vec<String>,
    text: &'a str,
}

/// Every test of the workspace as `file::name`.
pub(crate) fn known(sources: &[Source]) -> BTreeSet<String> {
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
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let is_id = |word: &&str| {
        word.split_once('-').is_some_and(|(kind, n)| {
            let kinds = ["MUST", "SHLD", "MAY", "REC"];
            (kinds.contains(&kind) || is_number(kind)) && is_number(n)
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
pub(crate) fn cited(text: &str) -> Vec<&str> {
    let is_name = |word: &&str| {
        word.split("::").count() == 2
            && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            && word.chars().next().is_some_and(|c| c.is_ascii_lowercase())
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

/// The words after `not yet:` or `not here:`.
pub(crate) fn excused(text: &str) -> bool {
    ["not yet: ", "not here: "]
        .iter()
        .any(|mark| text.split(mark).nth(1).is_some_and(|reason| reason.trim().len() > 10))
}

/// Every id that there has to be.
fn counted() -> BTreeSet<String> {
    POINTS.iter().flat_map(|(of, n)| (1..=*n).map(move |i| format!("{of}-{i}"))).collect()
}

/// What is not counted could go, and nobody would miss it.
fn every_id_is_counted(ledger: &Source) -> Vec<Finding> {
    let (rows, counted) = (rows(ledger), counted());
    let ids = rows.iter().flat_map(|row| row.ids.iter().map(|id| (row.line, id)));
    ids.filter(|(_, id)| !counted.contains(*id))
        .map(|(line, id)| ledger.finding(line, format!("{id} is not counted")))
        .collect()
}

fn every_id_has_a_row(ledger: &Source) -> Vec<Finding> {
    let held: BTreeSet<String> = rows(ledger).into_iter().flat_map(|row| row.ids).collect();
    counted()
        .into_iter()
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

pub(crate) fn every_cited_test_exists(ledger: &Source, known: &BTreeSet<String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (line, text) in ledger.lines() {
        for name in cited(text).into_iter().filter(|name| !known.contains(*name)) {
            findings.push(ledger.finding(line, format!("no test is called {name}")));
        }
    }
    findings
}

/// A MUST or SHLD that is not excused is proven by a test whose name says so.
fn every_number_is_borne_by_a_test(ledger: &Source) -> Vec<Finding> {
    let is_borne = |row: &Row<'_>, id: &str| {
        let name = format!("::{}_", id.to_lowercase().replace('-', "_"));
        cited(row.text).iter().any(|test| test.contains(&name))
    };
    let mut findings = Vec::new();
    for row in rows(ledger).iter().filter(|row| !excused(row.text)) {
        let numbers = row.ids.iter().filter(|id| id.starts_with("MUST") || id.starts_with("SHLD"));
        for id in numbers.filter(|id| !is_borne(row, id)) {
            findings.push(ledger.finding(row.line, format!("no test of its row bears {id}")));
        }
    }
    findings
}

/// A test in the file of an RFC, `rfc6298.rs`, stands in some row.
fn every_test_of_an_rfc_is_cited(ledger: &Source, known: &BTreeSet<String>) -> Vec<Finding> {
    let held: BTreeSet<&str> = rows(ledger).iter().flat_map(|row| cited(row.text)).collect();
    let is_of_an_rfc = |test: &str| test.strip_prefix("rfc").is_some_and(|it| it.contains("::"));
    known
        .iter()
        .filter(|test| is_of_an_rfc(test) && !held.contains(test.as_str()))
        .map(|test| ledger.finding(1, format!("{test} stands in no row")))
        .collect()
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
    findings.extend(every_id_is_counted(ledger));
    findings.extend(every_row_is_proven_or_excused(ledger));
    findings.extend(every_cited_test_exists(ledger, known));
    findings.extend(every_named_test_is_cited(ledger, known));
    findings.extend(every_number_is_borne_by_a_test(ledger));
    findings.extend(every_test_of_an_rfc_is_cited(ledger, known));
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
    let all: u32 = POINTS.iter().map(|(_, n)| n).sum();
    assert_eq!(every_id_has_a_row(&whole).len(), all as usize - 1);
    assert!(every_id_is_counted(&whole).is_empty());
    for row in ["| MUST-70 | so |", "| 6298-11 | so |", "| MUST-1, 9999-1 | so |"] {
        assert_eq!(every_id_is_counted(&ledger(row)).len(), 1, "{row}");
    }
    assert!(every_row_is_proven_or_excused(&whole).is_empty());
    assert!(every_cited_test_exists(&whole, &known).is_empty());
    assert_eq!(every_named_test_is_cited(&whole, &known).len(), 1, "cited in the wrong row");
    for row in ["| MUST-1 | so | |", "| MUST-1 | so | not yet: |", "| MUST-1 | `Type::x` |"] {
        assert_eq!(every_row_is_proven_or_excused(&ledger(row)).len(), 1, "{row}");
    }
    assert!(excused("| MUST-1 | not yet: no urgent data before issue 9 |"));
    assert_eq!(every_cited_test_exists(&ledger("`open::gone`"), &known).len(), 1);
    assert_eq!(every_number_is_borne_by_a_test(&whole).len(), 1, "a test of another number");
    let right = ledger("| MUST-10 | so | `open::must_10_simultaneous_open` |\n");
    assert!(every_number_is_borne_by_a_test(&right).is_empty());
    let known = BTreeSet::from(["rfc6298::never_too_early".to_owned()]);
    assert_eq!(every_test_of_an_rfc_is_cited(&whole, &known).len(), 1);
    let right = ledger("| 6298-8 | so | `rfc6298::never_too_early` |\n");
    assert!(every_test_of_an_rfc_is_cited(&right, &known).is_empty());
}
