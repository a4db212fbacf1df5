//! Captures must open in Wireshark: its own tools are asked, where they are installed.

mod skip;

use std::io::IoSlice;
use std::path::Path;
use std::process::Command;

use skip::skip;
use tapdev::{Device, Direction, PcapngWriter, Tee, pair};

/// What the tool prints about the file, or `None` (said loudly) if it is not installed.
fn ask(tool: &str, arguments: &[&str], file: &Path) -> Option<String> {
    let Ok(output) = Command::new(tool).args(arguments).arg(file).output() else {
        skip(&format!("{tool} is not installed: apt install wireshark-common tshark"));
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool}: {error}");
    Some(text)
}

/// An ARP request of 192.0.2.2 for 192.0.2.1 (RFC 826).
fn arp_request() -> Vec<u8> {
    let mac = [2, 0, 0, 0, 0, 2];
    let arp = [0, 1, 8, 0, 6, 4, 0, 1];
    let ips = [[192, 0, 2, 2], [192, 0, 2, 1]];
    [&[0xff; 6][..], &mac, &[8, 6], &arp, &mac, &ips[0], &[0; 6], &ips[1]].concat()
}

fn file_in_scratch(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn wireshark_reads_every_field() {
    let path = file_in_scratch("fields.pcapng");
    let mut writer = PcapngWriter::new(std::fs::File::create(&path).unwrap(), &["tap0"]).unwrap();
    let frame = arp_request();
    let parts = [IoSlice::new(&frame[..14]), IoSlice::new(&frame[14..])];
    let time_ns = 1_700_000_000_123_456_789;
    writer.packet(0, time_ns, Direction::Out, &parts, Some("a comment")).unwrap();
    writer.packet(0, time_ns + 1, Direction::In, &parts, None).unwrap();
    writer.statistics(0, time_ns + 2, 1, 3).unwrap();
    drop(writer);

    if let Some(text) = ask("capinfos", &[], &path) {
        assert!(text.contains("pcapng"), "{text}");
        assert!(text.contains("nanoseconds (9)"), "{text}");
        assert!(text.contains("Number of packets:   2"), "{text}");
        assert!(text.contains("Name = tap0"), "{text}");
    }
    let fields =
        ["frame.time_epoch", "frame.packet_flags_direction", "frame.comment", "arp.dst.proto_ipv4"];
    let mut arguments = vec!["-T", "fields", "-E", "separator=,"];
    arguments.extend(fields.iter().flat_map(|field| ["-e", *field]));
    arguments.push("-r");
    if let Some(text) = ask("tshark", &arguments, &path) {
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].contains(".123456789,"), "{text}");
        assert!(lines[0].ends_with(",a comment,192.0.2.1"), "{text}");
        let direction = |line: &str| line.split(',').nth(1).unwrap().to_owned();
        assert_ne!(direction(lines[0]), direction(lines[1]), "{text}");
    }
}

#[test]
fn a_capture_without_its_end_is_readable() {
    let path = file_in_scratch("cut.pcapng");
    let (near, _far) = pair(1500, 10);
    let tee = Tee::create(near, "pair", &path).unwrap();
    tee.send(&[IoSlice::new(&arp_request())]).unwrap();
    let _ = tee.wait(Some(std::time::Duration::ZERO)).unwrap();
    // As after a kill: nothing more is written.
    if let Some(text) = ask("capinfos", &["-c"], &path) {
        assert!(text.contains("Number of packets:   1"), "{text}");
    }
}
