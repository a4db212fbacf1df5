//! Every state that can be reached, each once: depth first, with the way to it; and after that,
//! whether each of them comes to a good end when nothing goes wrong any more.

use super::node::{Action, Node};
use super::scenario::Scenario;
use super::shrink;
use crate::world::caught;
use stack::testing::trace::Trace;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

/// Longer than any run can be: beyond, it goes on for ever.
const DEPTH_MAX: usize = 2_000;

/// How a state was reached, and what follows when nothing goes wrong.
struct Visit {
    from: u64,
    by: Option<Action>,
    /// The fingerprint of what follows; its own at the end of a run.
    next: u64,
}

/// A hasher for what is hashed already.
#[derive(Default)]
struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {}
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

type Prints<T> = HashMap<u64, T, BuildHasherDefault<Same>>;

/// What an exploration came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Distinct states, whatever faults were left.
    pub states: u64,
    /// States, told apart by the faults that were left, too.
    pub visits: u64,
    /// What happened from all of them.
    pub steps: u64,
    /// The longest way.
    pub depth: usize,
    /// Ends.
    pub ends: u64,
    /// It was stopped before everything was seen.
    pub cut: bool,
}

/// A state that must not be.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The scenario's name.
    pub name: &'static str,
    /// What is wrong.
    pub what: String,
    /// The way there.
    pub way: Vec<Action>,
    /// What was seen on it.
    pub story: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way: Vec<String> = self.way.iter().map(Action::to_string).collect();
        let Failure { name, what, story, .. } = self;
        writeln!(f, "{story}{what}\nexplored: {name} (commit {})", crate::commit())?;
        write!(f, "again: follow({name:?}, {:?})", way.join(" "))
    }
}

/// A state on the way that is being explored, and what may happen to it that has not yet.
struct Step {
    node: Node,
    print: u64,
    actions: Vec<Action>,
}

struct Search {
    visits: Prints<Visit>,
    states: HashSet<u64, BuildHasherDefault<Same>>,
    way: Vec<Step>,
    report: Report,
}

/// Explores `scenario`, up to so many visits.
///
/// # Errors
/// A state that must not be, with a short way there.
pub fn explore(scenario: &Scenario, visits_max: u64) -> Result<Report, Box<Failure>> {
    let mut search = Search {
        visits: Prints::default(),
        states: HashSet::default(),
        way: Vec::new(),
        report: Report::default(),
    };
    // What the search saw last is where a panic happened.
    let result = caught(|| search.run(scenario, visits_max));
    let Err(what) = result else { return Ok(search.report) };
    let way = match what.strip_prefix(DEAD) {
        Some(print) => search.way_to(print.parse().unwrap_or(0)),
        None => search.way_now(),
    };
    Err(Box::new(shrink::shortest(scenario, way, what)))
}

/// What the search says of a state from which no good end is reached.
const DEAD: &str = "no good end: ";

impl Search {
    fn run(&mut self, scenario: &Scenario, visits_max: u64) -> Result<(), String> {
        self.enter(Node::new(scenario, &mut Trace::default())?, 0, None)?;
        while let Some(step) = self.way.last_mut() {
            let Some(action) = step.actions.pop() else {
                self.way.pop();
                continue;
            };
            let (mut node, from) = (step.node.clone(), step.print);
            // Until it has happened without a fault it is where the search is.
            step.actions.push(action);
            node.happen(action, &mut Trace::default())?;
            self.report.steps += 1;
            let step = self.way.last_mut().expect("it is there");
            step.actions.pop();
            let print = print(&node);
            if step.actions.is_empty() {
                // The last to be taken stands first in the list: nothing goes wrong.
                self.visits.get_mut(&from).expect("visited").next = print;
            }
            if self.visits.contains_key(&print) {
                continue;
            }
            if self.report.visits >= visits_max {
                self.report.cut = true;
                continue;
            }
            self.enter(node, from, Some(action))?;
        }
        self.report.states = self.states.len() as u64;
        self.all_end_well()
    }

    fn enter(&mut self, node: Node, from: u64, by: Option<Action>) -> Result<(), String> {
        let print = print(&node);
        self.visits.insert(print, Visit { from, by, next: print });
        self.states.insert(node.print());
        self.report.visits += 1;
        let mut actions = node.actions();
        actions.reverse();
        if actions.is_empty() {
            self.report.ends += 1;
            node.is_over()?;
        }
        self.way.push(Step { node, print, actions });
        self.report.depth = self.report.depth.max(self.way.len());
        if self.way.len() > DEPTH_MAX {
            return Err("it goes on for ever".into());
        }
        Ok(())
    }

    /// G6: from each state the run without further faults comes to an end. Ends are known to be
    /// good; what follows a state that was not explored any more is not known.
    fn all_end_well(&self) -> Result<(), String> {
        let mut good: HashSet<u64, BuildHasherDefault<Same>> = HashSet::default();
        for &start in self.visits.keys() {
            let (mut at, mut path) = (start, Vec::new());
            while !good.contains(&at) {
                path.push(at);
                let Some(visit) = self.visits.get(&at) else { break };
                if visit.next == at {
                    break;
                }
                at = visit.next;
                if path.len() > self.visits.len() {
                    return Err(format!("{DEAD}{start}"));
                }
            }
            good.extend(path);
        }
        Ok(())
    }

    /// The way that is being explored, and what happens now.
    fn way_now(&self) -> Vec<Action> {
        let Some(step) = self.way.last() else { return Vec::new() };
        let mut way = self.way_to(step.print);
        way.extend(step.actions.last());
        way
    }

    fn way_to(&self, mut print: u64) -> Vec<Action> {
        let mut way = Vec::new();
        while let Some(visit) = self.visits.get(&print)
            && let Some(action) = visit.by
        {
            way.push(action);
            print = visit.from;
        }
        way.reverse();
        way
    }
}

/// The fingerprint of a state and the faults that are left.
fn print(node: &Node) -> u64 {
    let mut hash = DefaultHasher::new();
    (node.print(), node.left()).hash(&mut hash);
    hash.finish()
}
