//! A way to a state that must not be, made short: what is left out and changes nothing was not
//! needed.

use super::node::{Action, Node};
use super::scenario::Scenario;
use super::search::Failure;
use crate::world::caught;
use stack::testing::trace::Trace;

/// A run in which nothing more goes wrong is over after so many steps.
const STEPS_MAX: usize = 2_000;

/// Follows `way`, leaving out what cannot happen, and then lets everything go well to the end.
///
/// # Errors
/// What went wrong, and what was seen.
pub fn follow(scenario: &Scenario, way: &[Action]) -> Result<(), Box<Failure>> {
    let mut trace = Trace::new(usize::MAX);
    let mut taken = Vec::new();
    let result = caught(|| {
        let mut node = Node::new(scenario, &mut trace)?;
        for &action in way {
            if node.actions().contains(&action) {
                taken.push(action);
                node.happen(action, &mut trace)?;
            }
        }
        trace.note(node.now(), "from here on nothing goes wrong");
        for _ in 0..STEPS_MAX {
            let Some(&action) = node.actions().first() else { return node.is_over() };
            node.happen(action, &mut trace)?;
        }
        Err(format!("it goes on for ever; {}", node.describe()))
    });
    result.map_err(|what| {
        let story = trace.to_string();
        Box::new(Failure { name: scenario.name, what, way: taken, story })
    })
}

/// The shortest way that was found to something wrong: pieces are left out, large ones first
/// (delta debugging; Zeller and Hildebrandt, 2002). `what` is what the search saw.
pub(super) fn shortest(scenario: &Scenario, way: Vec<Action>, what: String) -> Failure {
    let Err(mut best) = follow(scenario, &way) else {
        let story = String::from("it does not happen again\n");
        return Failure { name: scenario.name, what, way, story };
    };
    let mut piece = best.way.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < best.way.len() {
            let mut shorter = best.way.clone();
            shorter.drain(at..(at + piece).min(shorter.len()));
            match follow(scenario, &shorter) {
                Err(failure) if failure.way.len() < best.way.len() => best = failure,
                _ => at += piece,
            }
        }
        piece /= 2;
    }
    *best
}
