//! Medians, their spread, and what they are beside Linux's.

use std::fmt::Write;

use crate::results::{Outcome, Who};
use crate::rows::{ROWS, Row};

/// A median and its range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Middle {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// All rounds of one row by one stack.
pub(crate) struct Cell {
    pub(crate) row: Row,
    pub(crate) who: Who,
    pub(crate) rate: Middle,
    pub(crate) cost: Middle,
    /// `rate` in Linux's, if that was measured.
    pub(crate) ratio: Option<Middle>,
}

/// What the outcomes say, row by row.
pub(crate) fn cells(outcomes: &[Outcome]) -> Vec<Cell> {
    let pairs = ROWS.iter().flat_map(|row| Who::ALL.map(|who| (row, who)));
    pairs.filter_map(|(row, who)| cell(outcomes, row, who)).collect()
}

fn cell(outcomes: &[Outcome], row: &Row, who: Who) -> Option<Cell> {
    let mine = || outcomes.iter().filter(|o| o.row.name == row.name && o.who == who);
    let rate = middle(mine().map(Outcome::rate))?;
    let cost = middle(mine().map(Outcome::cost))?;
    // Of the same round: what disturbs the machine for longer disturbs both.
    let linux = |o: &Outcome| {
        outcomes.iter().find(|other| {
            other.row.name == row.name && other.who == Who::Linux && other.round == o.round
        })
    };
    let ratio = middle(mine().filter_map(|o| Some(o.rate() / linux(o)?.rate())));
    Some(Cell { row: *row, who, rate, cost, ratio })
}

fn middle(values: impl Iterator<Item = f64>) -> Option<Middle> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (&least, &most) = (values.first()?, values.last()?);
    let median = values[values.len() / 2].midpoint(values[(values.len() - 1) / 2]);
    Some(Middle { median, least, most })
}

/// Two tables as Markdown: the rates with their spread and their ratios, and the work.
pub(crate) fn tables(cells: &[Cell]) -> String {
    let rates = grid(cells, |cell| {
        let Middle { median, least, most } = cell.rate;
        let spread = (most - least) / 2.0 / median * 100.0;
        let rate = match cell.row.is_bulk() {
            true => format!("{median:.1}"),
            false => thousands(median),
        };
        let ratio = cell.ratio.filter(|_| cell.who != Who::Linux);
        let ratio = ratio.map_or(String::new(), |ratio| format!(" = **{:.2}**", ratio.median));
        format!("{rate} ±{spread:.0} %{ratio}")
    });
    let costs = grid(cells, |cell| format!("{:.2}", cell.cost.median));
    format!(
        "Gbit/s (`up`, `down`), otherwise how often in a second; half the range of all rounds; \
         and the median of the rounds' ratios to Linux:\n\n{rates}\n\
         Work of all processors: seconds for a GB (`up`, `down`), otherwise microseconds each \
         time:\n\n{costs}"
    )
}

/// A line for each row, and a column for each stack.
fn grid(cells: &[Cell], say: impl Fn(&Cell) -> String) -> String {
    let measured = |who: &Who| cells.iter().any(|cell| cell.who == *who);
    let who: Vec<Who> = Who::ALL.into_iter().filter(measured).collect();
    let names: Vec<_> = who.iter().map(|who| who.name()).collect();
    let mut text = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(who.len()));
    for row in ROWS {
        let mine = |who| cells.iter().find(|cell| cell.row.name == row.name && cell.who == who);
        let words: Vec<_> = who.iter().map(|&who| mine(who).map_or(String::new(), &say)).collect();
        if words.iter().any(|word| !word.is_empty()) {
            let _ = writeln!(text, "| {row} | {} |", words.join(" | "));
        }
    }
    text
}

/// As people write numbers.
fn thousands(value: f64) -> String {
    let digits = (value.round() as u64).to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results;
    use crate::stopwatch::Count;

    #[test]
    fn ratios_are_those_of_a_round() {
        let outcome = |round, who, count| Outcome {
            round,
            row: Row::named("rr1").unwrap(),
            who,
            count: Count { count, secs: 2.0, busy: 1.0 },
        };
        // The machine is twice as fast in the second round, and three times in the third.
        let outcomes: Vec<Outcome> = (1..=3)
            .flat_map(|round| {
                let speed = u64::from(round);
                let (linux, mine) = (2000 * speed, 3000 * speed);
                [outcome(round, Who::Linux, linux), outcome(round, Who::Tapstack, mine)]
            })
            .collect();
        let cells = cells(&outcomes);
        let steady = Middle { median: 1.5, least: 1.5, most: 1.5 };
        assert_eq!(cells[1].ratio, Some(steady));
        assert_eq!(cells[1].rate, Middle { median: 3000.0, least: 1500.0, most: 4500.0 });
        let text = tables(&cells);
        assert!(text.contains("| rr1 | 2,000 ±50 % | 3,000 ±50 % = **1.50** |"), "{text}");
    }

    #[test]
    fn numbers_are_grouped() {
        let written = [0.4, 999.4, 999.5, 1002.0, 654_321.0, 1_234_567.0, 1e9].map(thousands);
        let wanted = ["0", "999", "1,000", "1,002", "654,321", "1,234,567", "1,000,000,000"];
        assert_eq!(written, wanted);
    }

    #[test]
    fn what_is_written_is_read() {
        let outcome: Outcome = "2\tup\tplain\t1000000000\t2.000000\t1.50".parse().unwrap();
        assert_eq!((outcome.rate(), outcome.cost()), (4.0, 1.5));
        let path = std::env::temp_dir().join(format!("bench-{}", std::process::id()));
        // The second run leaves nothing of the first.
        for _ in 0..2 {
            results::begin(&path).unwrap();
            results::append(&path, &outcome).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, "2\tup\tplain\t1000000000\t2.000000\t1.50\n");
        assert!("2\tup\tnobody\t1\t1\t1".parse::<Outcome>().is_err());
    }
}
