//! Plans on paper: only what is not calm is written.
//!
//! ```text
//! run seed 7 faults_ms 3000
//! host 1 mtu 576
//! wire 0 loss 200000
//! open client 1 at_ms 12
//! client bytes 1000
//! server bytes 50 ending 3 ending_after 20
//! ```

use super::{ConnectionPlan, Numbers, Plan};
use std::fmt;
use std::str::FromStr;

fn line<N: Numbers>(f: &mut fmt::Formatter<'_>, name: &str, part: &N, always: bool) -> fmt::Result {
    let mut part = part.clone();
    let mut told = part.each();
    told.retain(|(_, calm, value)| **value != *calm);
    if told.is_empty() && !always {
        return Ok(());
    }
    write!(f, "{name}")?;
    for (name, _, value) in told {
        write!(f, " {name} {value}")?;
    }
    writeln!(f)
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "run", &self.run, true)?;
        for i in 0..2 {
            line(f, &format!("host {i}"), &self.hosts[i], false)?;
        }
        for i in 0..2 {
            line(f, &format!("wire {i}"), &self.wires[i], false)?;
        }
        for connection in &self.connections {
            line(f, "open", &connection.open, true)?;
            line(f, "client", &connection.sides[0], false)?;
            line(f, "server", &connection.sides[1], false)?;
        }
        Ok(())
    }
}

/// Sets the numbers that `words` name.
fn read<'a, N: Numbers>(part: &mut N, words: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let words: Vec<&str> = words.collect();
    for pair in words.chunks(2) {
        let mut all = part.each();
        let known = all.iter_mut().find(|(name, ..)| *name == pair[0]);
        let Some((.., place)) = known else { return Err(format!("no number is a `{}`", pair[0])) };
        let value = pair.get(1).and_then(|word| word.parse().ok());
        **place = value.ok_or_else(|| format!("`{}` wants a number", pair[0]))?;
    }
    Ok(())
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Plan, String> {
        let mut plan = Plan::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or("");
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            let mut index = || match words.next() {
                Some("0") => Ok(0),
                Some("1") => Ok(1),
                _ => Err(format!("`{first}` 0 or 1?")),
            };
            match first {
                "run" => read(&mut plan.run, words)?,
                "host" => read(&mut plan.hosts[index()?], words)?,
                "wire" => read(&mut plan.wires[index()?], words)?,
                "open" => {
                    plan.connections.push(ConnectionPlan::default());
                    read(&mut last(&mut plan)?.open, words)?;
                }
                "client" => read(&mut last(&mut plan)?.sides[0], words)?,
                "server" => read(&mut last(&mut plan)?.sides[1], words)?,
                other => return Err(format!("`{other}` is no part of a plan")),
            }
        }
        Ok(plan)
    }
}

fn last(plan: &mut Plan) -> Result<&mut ConnectionPlan, String> {
    plan.connections.last_mut().ok_or_else(|| "a side before `open`".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::plan::Mix;

    #[test]
    fn what_is_written_is_read() {
        for seed in 0..200 {
            let plan = Plan::draw(seed, Mix::Any);
            let text = plan.to_string();
            assert_eq!(text.parse::<Plan>(), Ok(plan), "{text}");
        }
        assert_eq!(Plan::default().to_string(), "run\n");
    }

    #[test]
    fn what_makes_no_sense_is_not() {
        for (text, wrong) in [
            ("host 2 mtu 9", "0 or 1"),
            ("host 0 hat 9", "`hat`"),
            ("wire 1 loss", "wants a number"),
            ("client bytes 1", "before `open`"),
            ("hello", "`hello`"),
        ] {
            let error = text.parse::<Plan>().expect_err(text);
            assert!(error.contains(wrong), "{error}");
        }
        assert_eq!("# nothing\n\nrun # at all".parse(), Ok(Plan::default()));
    }
}
