//! A failing plan made small: what is left out and changes nothing was not needed. What remains is
//! printed as a plan, and as a packet script of the host at fault.

use super::plan::{ConnectionPlan, HostPlan, Numbers, Plan};
use super::{FRAMES_TOLD, World};
use super::{Failure, caught, run, script};
use std::fmt;

/// Runs at the most.
const TRIES_MAX: u32 = 3_000;

/// A failure, and the least that still leads to it.
pub struct Shrunk {
    /// The failure of the smallest plan found.
    pub failure: Box<Failure>,
    /// That plan.
    pub plan: Plan,
    /// What the host at fault was given and did, as a test beside a rig.
    pub script: String,
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shrunk { failure, plan, script } = self;
        writeln!(f, "{failure}\n\nthe least of it (vopr --plan FILE):\n{plan}")?;
        write!(f, "as a test:\n\n{script}")
    }
}

/// Makes the failing `plan` small.
pub fn shrink(plan: &Plan, failure: Box<Failure>) -> Shrunk {
    let (plan, failure) = smallest(plan, failure, &|plan| run(plan).err());
    let script = script_of(&mut World::new(&plan, FRAMES_TOLD));
    Shrunk { failure, plan, script }
}

/// Says how a plan fails, if it does.
type Fails<'a> = &'a dyn Fn(&Plan) -> Option<Box<Failure>>;

/// The smallest plan found that fails as `plan` does, and how.
pub(super) fn smallest(
    plan: &Plan,
    failure: Box<Failure>,
    fails: Fails<'_>,
) -> (Plan, Box<Failure>) {
    let kind = kind(&failure.what);
    let mut search = Search { best: plan.clone(), failure, tries: 0, kind, fails };
    loop {
        let improved = [Search::drop_connections, Search::calm_numbers, Search::halve_numbers]
            .map(|step| step(&mut search));
        if !improved.contains(&true) || search.tries >= TRIES_MAX {
            return (search.best, search.failure);
        }
    }
}

/// What is wrong without its numbers: the time, the place and the values may change.
fn kind(what: &str) -> String {
    let what = what.split_once("s: ").map_or(what, |(_, what)| what);
    let words = what.split([';', '\n', '{']).next().unwrap_or("").split_whitespace();
    let is_word = |word: &&str| !word.contains(|c: char| c.is_ascii_digit());
    words.filter(is_word).take(8).collect::<Vec<_>>().join(" ")
}

struct Search<'a> {
    best: Plan,
    failure: Box<Failure>,
    tries: u32,
    /// What the failure is called.
    kind: String,
    fails: Fails<'a>,
}

impl Search<'_> {
    /// Takes `plan` if it fails in the same way.
    fn accepts(&mut self, plan: Plan) -> bool {
        if self.tries >= TRIES_MAX || plan == self.best {
            return false;
        }
        self.tries += 1;
        let failure = (self.fails)(&plan).filter(|failure| kind(&failure.what) == self.kind);
        let Some(failure) = failure else { return false };
        (self.best, self.failure) = (plan, failure);
        true
    }

    fn drop_connections(&mut self) -> bool {
        let mut improved = false;
        for i in (0..self.best.connections.len()).rev() {
            let mut plan = self.best.clone();
            plan.connections.remove(i);
            improved |= self.accepts(plan);
        }
        improved
    }

    /// Sets each number to its calm value.
    fn calm_numbers(&mut self) -> bool {
        self.each_number(|value, calm| (value != calm).then_some(calm))
    }

    /// Moves each number half the way to its calm value.
    fn halve_numbers(&mut self) -> bool {
        self.each_number(|value, calm| {
            let half = if value > calm { calm + (value - calm) / 2 } else { value };
            (half != value).then_some(half)
        })
    }

    fn each_number(&mut self, change: impl Fn(u64, u64) -> Option<u64>) -> bool {
        let mut improved = false;
        for part in 0..parts(&mut self.best).len() {
            for number in 0..parts(&mut self.best)[part].len() {
                let mut plan = self.best.clone();
                let (name, calm, place) = &mut parts(&mut plan)[part][number];
                let Some(value) = change(**place, *calm).filter(|_| *name != "seed") else {
                    continue;
                };
                **place = value;
                improved |= self.accepts(plan);
            }
        }
        improved
    }
}

/// The numbers of a plan, part by part.
fn parts(plan: &mut Plan) -> Vec<Vec<(&'static str, u64, &mut u64)>> {
    let Plan { run, hosts, wires, connections } = plan;
    let mut parts = vec![run.each()];
    parts.extend(hosts.iter_mut().map(HostPlan::each));
    parts.extend(wires.iter_mut().map(Numbers::each));
    for ConnectionPlan { open, sides } in connections {
        parts.push(open.each());
        parts.extend(sides.iter_mut().map(Numbers::each));
    }
    parts
}

/// Runs the world and writes down what happened at the host at fault, or at both.
pub(super) fn script_of(world: &mut World<'_>) -> String {
    world.hosts.iter_mut().for_each(|host| host.log = Some(Vec::new()));
    let what = caught(|| world.run()).err().unwrap_or_default();
    let at_fault = (0..2).find(|i| what.contains(&format!("host {i}")));
    let hosts = at_fault.map_or(0..2, |i| i..i + 1);
    let scripts = hosts.filter_map(|i| {
        let log = world.hosts[i].log.take()?;
        Some(script::write(world.plan, i, &log, &what))
    });
    scripts.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_no_numbers() {
        let one = kind("12.5s: byte 7 of the stream is wrong");
        assert_eq!(one, kind("0.1s: byte 99 of the stream is wrong"));
        assert_ne!(one, kind("1.0s: not in time: the applications are through"));
    }
}
