//! Every case runs over both IP versions: this program runs itself once more, with IPv6 between
//! the stack and its peer (`stack::testing::rig::Version`).

use stack::testing::rig::Version;
use std::process::Command;

/// What is about IPv4 itself.
const OF_IPV4: &[(&str, &str)] = &[
    ("rfc1122::", "the host requirements of IPv4 and ARP"),
    ("rfc3168::section_5_3_a_marked_fragment_marks_the_datagram", "fragments of IPv4"),
    ("failure::must_20_the_next_hop_is_checked", "looks for ARP"),
    ("interfaces::a_smaller_path_makes_smaller_segments", "a path below 1280 bytes"),
    ("interfaces::must_50_unknown_ip_options_are_ignored", "options of IPv4"),
    ("interfaces::shld_26_hard_errors_end_an_attempt_to_connect", "IPv6 has no such message"),
    ("threats::p3_no_ip_option_does_harm", "options of IPv4"),
    ("versions::", "this file"),
];

/// This program with these arguments: what it says, if it passes.
fn again(arguments: &[&str]) -> Result<String, String> {
    let mut again = Command::new(std::env::current_exe().expect("this program"));
    let output = again.env("TAPSTACK_IP", "6").args(arguments).output().expect("this program runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// The cases that are not about IPv4 itself.
fn of_both() -> usize {
    let all = again(&["--list"]).expect("a list");
    let ignored = again(&["--list", "--ignored"]).expect("a list");
    let names = |list: &str| {
        let cases = list.lines().filter_map(|line| line.strip_suffix(": test"));
        cases.filter(|case| OF_IPV4.iter().all(|(name, _)| !case.contains(name))).count()
    };
    names(&all) - names(&ignored)
}

#[test]
fn every_case_over_ipv6() {
    if Version::of_this_run() == Version::V6 {
        return;
    }
    let skipped: Vec<&str> = OF_IPV4.iter().flat_map(|(name, _why)| ["--skip", name]).collect();
    let said = again(&skipped).unwrap_or_else(|said| panic!("{said}"));
    let result = said.lines().find_map(|line| line.strip_prefix("test result: ok. "));
    let passed = result.and_then(|text| text.split(' ').next()).and_then(|n| n.parse().ok());
    assert_eq!(passed, Some(of_both()), "cases over IPv6");
}

/// Each exception has a reason to be one: over IPv6 its case fails.
#[test]
fn what_is_about_ipv4_is_known() {
    for (name, why) in OF_IPV4.iter().filter(|(name, _)| !name.ends_with("::")) {
        let said = again(&[name]).unwrap_or_else(|said| said);
        assert!(said.contains("1 failed"), "{name} passes over IPv6: no need to skip it ({why})");
    }
}
