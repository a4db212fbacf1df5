//! The link emulator between real hosts: Linux to Linux, and Linux to Tapstack and back, over the
//! same relay and the same bridge.

use crate::PEER;
use tests::lab::{LEFT, Lab, RIGHT, TAP, TAPSTACK};
use tests::netns::{self, Running, demo_path};

/// What is transferred, bytes: with 2 % of loss there are dozens of losses in it.
const COUNT: u64 = 4 << 20;

/// Two per cent of loss, and 4 ms for a round trip.
const LOSSY: &str = "--delay 2ms --loss 2% --rate 100mbit --queue 100ms --seed 7";

/// The link's summary of one direction after its end: frames in, and the whole line.
fn summary(link: Running, towards: char) -> (u64, String) {
    let said = link.interrupt();
    let line = said.lines().find(|line| line.contains(&format!("to {towards}:")));
    let line = line.unwrap_or_else(|| panic!("no summary: {said}")).to_owned();
    let frames = line.split_whitespace().nth(3).and_then(|word| word.parse().ok());
    (frames.unwrap_or_else(|| panic!("{line}")), line)
}

/// Everything arrived although the link lost some of it, and nothing else lost anything.
fn was_lossy(link: Running, towards: char) {
    let (frames, line) = summary(link, towards);
    assert!(frames > COUNT / 1500, "{line}");
    assert!(line.contains("; lost ") && !line.contains("MISSED"), "{line}");
}

#[test]
fn a_ping_takes_the_delay_of_both_directions() {
    let _turn = netns::turn();
    let Some(lab) = Lab::new() else { return };
    let link = lab.link("--delay 10ms --to-a --delay=30ms");
    let said = lab.left.sh(20, &format!("ping -q -c 20 -i 0.05 {RIGHT}"));
    assert!(said.contains(" 0% packet loss"), "{said}");
    let figures = said.split("mdev = ").nth(1).unwrap_or_else(|| panic!("{said}"));
    let least: f64 = figures.split('/').next().and_then(|text| text.parse().ok()).unwrap();
    assert!((40.0..41.0).contains(&least), "{said}");
    let (frames, line) = summary(link, 'b');
    assert!(frames >= 20 && !line.contains("lost"), "{line}");
}

#[test]
fn linux_to_linux_over_a_lossy_link_is_exact() {
    let _turn = netns::turn();
    let Some(lab) = Lab::new() else { return };
    let link = lab.link(LOSSY);
    let mut taker = lab.right.spawn(PEER, &format!("take {RIGHT}:5000 {COUNT} 1"));
    taker.wait_for("ready");
    lab.left.sh(120, &format!("{PEER} give {RIGHT}:5000 {COUNT} 1"));
    taker.wait_for("ok");
    was_lossy(link, 'b');
}

#[test]
fn linux_to_tapstack_over_a_lossy_link_is_exact() {
    let _turn = netns::turn();
    let Some(lab) = Lab::new() else { return };
    let link = lab.link(LOSSY);
    let nc = demo_path("nc").display().to_string();
    let line = format!(
        "{nc} --tap {TAP} --addr {TAPSTACK}/24 -l 5000 </dev/null | {PEER} check {COUNT} 2"
    );
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| lab.middle.sh(120, &line));
        // Until it listens, it refuses.
        let give = format!("{PEER} give {TAPSTACK}:5000 {COUNT} 2");
        lab.left.sh(120, &format!("for i in 1 2 3 4 5 6 7 8; do {give} && exit; sleep 0.3; done"));
        assert!(taker.join().unwrap().contains("ok"));
    });
    was_lossy(link, 'b');
}

#[test]
fn tapstack_to_linux_over_a_lossy_link_is_exact() {
    let _turn = netns::turn();
    let Some(lab) = Lab::new() else { return };
    let link = lab.link(LOSSY);
    let mut taker = lab.left.spawn(PEER, &format!("take {LEFT}:5000 {COUNT} 3"));
    taker.wait_for("ready");
    let nc = demo_path("nc").display().to_string();
    lab.middle.sh(
        120,
        &format!("{PEER} make {COUNT} 3 | {nc} --tap {TAP} --addr {TAPSTACK}/24 -N {LEFT} 5000"),
    );
    taker.wait_for("ok");
    was_lossy(link, 'a');
}
