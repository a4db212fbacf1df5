//! `scripts/rustc`, through which cargo runs the compiler: what it is told. The compiler is
//! `echo`.

use std::process::Command;

/// What the compiler is told when cargo, or a cache of compilers, calls with these arguments.
fn told(arguments: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/rustc");
    let mut call = Command::new(script);
    call.args(arguments.split_whitespace()).env("RUSTC", "echo");
    let answer = call.output().expect("scripts/rustc runs");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).expect("text").trim_end().to_owned()
}

#[test]
fn release_builds_of_what_is_hot_are_laid_out_by_the_profile() {
    for name in ["stack", "tapdev", "perf"] {
        let told = told(&format!("echo --crate-name {name} -C opt-level=3 -C metadata=77 a.rs"));
        let begins =
            format!("--crate-name {name} -C opt-level=3 -C metadata=hot a.rs -Cprofile-use=");
        assert!(told.starts_with(&begins), "{told}");
        assert!(told.contains("/.cargo/hot.profdata -C"), "{told}");
    }
}

#[test]
fn all_else_is_built_as_ever() {
    for arguments in [
        "--crate-name stack -C opt-level=1 -C metadata=77",
        "--crate-name stack -C metadata=77",
        "--crate-name demos -C opt-level=3 -C metadata=77",
        "- --crate-name ___ --print=file-names",
    ] {
        assert_eq!(told(&format!("echo {arguments}")), arguments);
    }
}

/// Two profiles at once, or one beside counters, are an error of the compiler.
#[test]
fn who_measures_for_himself_has_his_way() {
    for own in ["-Cinstrument-coverage", "-Cprofile-generate=/tmp/x", "-Cprofile-use=/tmp/x"] {
        let told = told(&format!("echo --crate-name stack -C opt-level=3 -C metadata=77 {own}"));
        assert_eq!(told, format!("--crate-name stack -C opt-level=3 -C metadata=hot {own}"));
    }
}

/// sccache asks whatever stands before the compiler.
#[test]
fn who_asks_for_the_version_is_told() {
    assert_eq!(told("-vV"), "-vV");
}
