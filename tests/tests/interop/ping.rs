//! ICMP echo, both ways.

use tests::netns::{KERNEL, Netns, STACK, demo_path};

/// One fragment, just two, many, and the most that IPv4 can carry.
const SIZES: [usize; 8] = [0, 1, 56, 1472, 1473, 8000, 20_000, 65_507];

/// A step that meets every remainder of the fragment size sooner or later.
const STRIDE: usize = 997;

fn all_sizes() -> String {
    let mut sizes: Vec<usize> = (0..=65_507).step_by(STRIDE).chain(SIZES).collect();
    sizes.sort_unstable();
    sizes.iter().map(|size| format!("{size} ")).collect()
}

#[test]
fn linux_pings_us_with_every_kind_of_size() {
    let Some(ns) = Netns::new() else { return };
    let _echo = ns.serve("echo", "");
    let sizes = all_sizes();
    // "wrong data byte" is a warning of ping's and not an error.
    let said = ns.sh(
        120,
        &format!(
            "for size in {sizes}; do ping -c 1 -W 2 -s $size {STACK} 2>&1 || echo lost $size; done"
        ),
    );
    assert!(!said.contains("lost") && !said.contains("wrong data"), "{said}");
}

#[test]
fn a_flood_of_ten_thousand_pings_loses_none() {
    let Some(ns) = Netns::new() else { return };
    let _echo = ns.serve("echo", "");
    let said = ns.sh(120, &format!("ping -q -f -c 10000 {STACK}"));
    assert!(said.contains("10000 packets transmitted, 10000 received, 0% packet loss"), "{said}");
}

#[test]
fn we_ping_linux_with_every_kind_of_size() {
    let Some(ns) = Netns::new() else { return };
    let ping = demo_path("ping").display().to_string();
    for size in SIZES {
        let line = format!("{ping} --tap tap0 -c 2 -i 0.01 -W 2 -s {size} {KERNEL}");
        let said = ns.sh(20, &line);
        assert!(said.contains("2 packets transmitted, 2 received, 0% packet loss"), "{said}");
        assert!(!said.contains("another text"), "{said}");
    }
}

/// No time between two requests means as fast as replies come.
#[test]
fn a_flood_of_ours_loses_none() {
    let Some(ns) = Netns::new() else { return };
    let ping = demo_path("ping").display().to_string();
    let said = ns.sh(120, &format!("{ping} --tap tap0 -q -c 20000 -i 0 {KERNEL}"));
    assert!(said.contains("20000 packets transmitted, 20000 received, 0% packet loss"), "{said}");
}

#[test]
fn pinging_nobody_fails_and_says_why() {
    let Some(ns) = Netns::new() else { return };
    let ping = demo_path("ping").display().to_string();
    let line = format!("{ping} --tap tap0 -c 1 -W 5 192.0.2.99");
    let output = ns.try_sh(20, &line);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("0 received") && said.contains("100% packet loss"), "{said}");
    // Off the link and without a gateway: known at once.
    let output = ns.try_sh(20, &format!("{ping} --tap tap0 -c 1 -W 5 198.18.0.1"));
    assert_ne!(output.status.code(), Some(0));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--gateway"), "{said}");
}
