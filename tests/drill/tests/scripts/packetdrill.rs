//! packetdrill itself, where there is one: `TAPSTACK_PACKETDRILL`, or the first in `PATH`.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::version::Version;
use crate::{ONLY_V4, folder, library};

/// The program, if the machine has it.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("TAPSTACK_PACKETDRILL").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        || std::env::split_paths(&path).map(|it| it.join("packetdrill")).find(|it| it.is_file());
    named.or_else(found)
}

#[test]
fn packetdrill_runs_every_script() {
    let Some(program) = program() else {
        // Not `eprintln!`: the test harness would swallow it. In one piece: others write, too.
        let _ = std::io::stderr().write_all(
            b"SKIPPED packetdrill_runs_every_script: no packetdrill here; build it from its own \
              repository and put it into PATH, or name it in TAPSTACK_PACKETDRILL\n",
        );
        return;
    };
    let library = library::path();
    let mut failed = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("the folder of scripts").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|it| it != "pkt") {
            continue;
        }
        let is_only_v4 = path.file_stem().is_some_and(|it| ONLY_V4.iter().any(|name| it == *name));
        let versions = if is_only_v4 { &[Version::V4][..] } else { &[Version::V4, Version::V6] };
        for version in versions {
            let output = Command::new(&program)
                .arg(format!("--so_filename={}", library.display()))
                .arg(format!("--so_flags={}", version.flags()))
                .args(version.arguments())
                .arg(&path)
                .env("LD_PRELOAD", &library)
                .output()
                .expect("packetdrill runs");
            if !output.status.success() {
                let told = String::from_utf8_lossy(&output.stderr);
                failed.push(format!("{version:?}: {told}"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
