//! Linux on the other end, over IPv6.

use crate::PEER;
use tests::netns::{KERNEL_V6 as KERNEL, Netns, STACK_V6 as STACK, demo_path};

/// The stack has both IP versions.
const ADDRESSES: &str = "--addr 192.0.2.2/24,2001:db8::2/64";

/// One fragment, just two, many, and the most that Linux's ping sends.
const SIZES: [usize; 9] = [0, 1, 56, 1452, 1453, 1500, 8000, 20_000, 65_507];

#[test]
fn linux_pings_us_with_every_kind_of_size() {
    let Some(ns) = Netns::with_ipv6() else { return };
    let _echo = ns.serve("echo", ADDRESSES);
    let mut sizes: Vec<usize> = (0..=65_507).step_by(1_999).chain(SIZES).collect();
    sizes.sort_unstable();
    let sizes: String = sizes.iter().map(|size| format!("{size} ")).collect();
    let line = format!(
        "for size in {sizes}; do ping -6 -c 1 -W 2 -s $size {STACK} 2>&1 || echo lost $size; done"
    );
    let said = ns.sh(120, &line);
    assert!(!said.contains("lost") && !said.contains("wrong data"), "{said}");
    let said = ns.sh(60, &format!("ping -6 -q -f -c 10000 {STACK}"));
    assert!(said.contains("10000 packets transmitted, 10000 received, 0% packet loss"), "{said}");
}

#[test]
fn we_ping_linux_with_every_kind_of_size() {
    let Some(ns) = Netns::with_ipv6() else { return };
    let ping = demo_path("ping").display().to_string();
    for size in SIZES {
        let line = format!("{ping} --tap tap0 {ADDRESSES} -c 2 -i 0.01 -W 2 -s {size} {KERNEL}");
        let said = ns.sh(20, &line);
        assert!(said.contains("2 packets transmitted, 2 received, 0% packet loss"), "{said}");
        assert!(!said.contains("another text"), "{said}");
    }
    let nobody = format!("{ping} --tap tap0 {ADDRESSES} -c 1 -W 5 2001:db8::99");
    let output = ns.try_sh(20, &nobody);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Destination Host Unreachable"), "{said}");
}

#[test]
fn curl_and_httpd_over_both_versions_at_once() {
    const COUNT: u64 = 100_000_001;
    let Some(ns) = Netns::with_ipv6() else { return };
    ns.sh(60, &format!("{PEER} make {COUNT} 1 >big.bin"));
    for plain in ["", " --plain"] {
        let directory = ns.dir().display();
        let _httpd = ns.serve("httpd", &format!("--port 80 {ADDRESSES}{plain} {directory}"));
        for url in [format!("http://[{STACK}]"), "http://192.0.2.2".to_owned()] {
            ns.sh(120, &format!("curl -sSf -g {url}/big.bin | {PEER} check {COUNT} 1"));
            let answer = ns.sh(120, &format!("curl -sSf -g -T big.bin {url}/upload"));
            let sum = ns.sh(60, "sha256sum <big.bin");
            let sum = sum.split_whitespace().next().expect("a checksum");
            assert!(answer.contains(sum), "{sum} is not in {answer}");
        }
    }
}

#[test]
fn we_fetch_from_linux_and_talk_with_it() {
    const COUNT: u64 = 20_000_003;
    let Some(ns) = Netns::with_ipv6() else { return };
    let nc = demo_path("nc").display().to_string();
    let ours = format!("{nc} --tap tap0 {ADDRESSES}");
    let served = format!("{PEER} make {COUNT} 4 | nc -6 -l -N {KERNEL} 5000");
    let fetched = format!("{ours} {KERNEL} 5000 </dev/null | {PEER} check {COUNT} 4");
    ns.sh(60, &format!("({served}) & sleep 0.3; {fetched} && wait"));
    let refused = ns.try_sh(20, &format!("{ours} {KERNEL} 5001 </dev/null"));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("refused"), "{said}");
}

#[test]
fn datagrams_of_every_kind_of_size_come_back() {
    let Some(ns) = Netns::with_ipv6() else { return };
    let _echo = ns.serve("echo", &format!("--port 7 {ADDRESSES}"));
    for size in [1, 1000, 1452, 1453, 9000] {
        let line = format!(
            "{PEER} make {size} 5 | timeout 3 nc -6 -u -w 1 {STACK} 7 | {PEER} check {size} 5"
        );
        ns.sh(20, &line);
    }
}
