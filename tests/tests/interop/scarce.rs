//! A server of sockets that may have no more descriptors.

use crate::programs::on_tapstack;
use tests::netns::Netns;

/// A server has a descriptor for each socket of all its programs, of which each has a limit.
#[test]
fn the_limit_of_descriptors_is_the_programs() {
    let Some(ns) = Netns::new() else { return };
    let run = on_tapstack();
    let told = "ulimit -Sn; ulimit -Hn; grep open.files /proc/$PPID/limits";
    std::fs::write(ns.dir().join("told.sh"), told).unwrap();
    let said = ns.sh(20, &format!("ulimit -Sn 300; ulimit -Hn 700; {run} sh told.sh"));
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words, ["300", "700", "Max", "open", "files", "700", "700", "files"]);
}
