//! Medians side by side.

use std::fmt::Write;

use crate::cells::{Cell, Who};
use crate::results::Outcome;

/// The median; 0 of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}

/// Of one stack in one cell.
struct Summary {
    mbit: f64,
    /// Per cent of the segments sent again that had arrived already.
    spurious: f64,
    /// Per cent of all segments that were sent again.
    again: f64,
}

fn summary(outcomes: &[Outcome], cell: &Cell, who: Who) -> Option<Summary> {
    let mine: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| outcome.who == who && outcome.cell == *cell).collect();
    if mine.is_empty() {
        return None;
    }
    let sum = |count: fn(&Outcome) -> u64| mine.iter().map(|outcome| count(outcome)).sum::<u64>();
    let share = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let again = sum(|outcome| outcome.retransmitted);
    Some(Summary {
        mbit: median(mine.iter().map(|outcome| outcome.mbit).collect()),
        spurious: share(sum(|outcome| outcome.spurious), again),
        again: share(again, sum(|outcome| outcome.sent)),
    })
}

/// A row for each cell, with smoltcp's goodput at its end if there is any.
fn row(cell: &Cell, linux: &Summary, ours: &Summary, smoltcp: Option<&Summary>) -> String {
    let mut row = format!(
        "{:<26} {:>9.2} {:>9.2} {:>6.2}   {:>7.2} {:>8.2}   {:>7.1} {:>8.1}",
        cell.to_string(),
        linux.mbit,
        ours.mbit,
        ours.mbit / linux.mbit.max(1e-9),
        linux.again,
        ours.again,
        linux.spurious,
        ours.spurious
    );
    if let Some(smoltcp) = smoltcp {
        row.push_str(&format!("   smoltcp {:.2}", smoltcp.mbit));
    }
    row
}

/// One row for each cell, and the median, the least and the greatest ratio at the end.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut cells: Vec<Cell> = Vec::new();
    for outcome in outcomes {
        if !cells.contains(&outcome.cell) {
            cells.push(outcome.cell.clone());
        }
    }
    cells.sort_by(|a, b| a.partial_cmp(b).expect("no NaN in a cell"));
    let mut text = format!(
        "{:<26} {:>9} {:>9} {:>6}   {:>16}   {:>16}\n{:<26} {:>9} {:>9} {:>6}   {:>16}   {:>16}\n",
        "",
        "Linux",
        "Tapstack",
        "",
        "sent again, %",
        "for nothing, %",
        "far end",
        "Mbit/s",
        "Mbit/s",
        "ratio",
        "Linux Tapstack",
        "Linux Tapstack",
    );
    let mut ratios = Vec::new();
    for cell in &cells {
        let find = |who| summary(outcomes, cell, who);
        let (Some(linux), Some(ours)) = (find(Who::Linux), find(Who::Tapstack)) else { continue };
        ratios.push(ours.mbit / linux.mbit.max(1e-9));
        text.push_str(&row(cell, &linux, &ours, find(Who::Smoltcp).as_ref()));
        text.push('\n');
    }
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    // Writing into a String cannot fail.
    let _ = write!(text, "ratio: median {:.2}, {least:.2} to {most:.2}", median(ratios.clone()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![]), 0.0);
    }

    #[test]
    fn stacks_stand_side_by_side() {
        let lines = [
            "send\tcubic\t20\t1\t0\tlinux\t0\t10.0\t1000\t10\t1\t0\t0",
            "send\tcubic\t20\t1\t0\ttapstack\t0\t12.0\t1000\t20\t1\t0\t0",
            "send\tcubic\t20\t1\t0\ttapstack\t1\t14.0\t1000\t20\t1\t0\t0",
        ];
        let outcomes: Vec<Outcome> = lines.iter().map(|line| line.parse().unwrap()).collect();
        let text = table(&outcomes);
        let row = text.lines().nth(2).unwrap();
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words[5..], ["%", "10.00", "13.00", "1.30", "1.00", "2.00", "10.0", "5.0"]);
        assert!(text.ends_with("ratio: median 1.30, 1.30 to 1.30"), "{text}");
    }
}
