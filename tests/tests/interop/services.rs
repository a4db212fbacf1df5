//! Three services that call each other, by our stack alone: this needs no namespace.

use std::process::Command;

use tests::netns::demo_path;

#[test]
fn services_cope_without_each_other_and_come_back() {
    let mut command = Command::new("timeout");
    let output = command.arg("60").arg(demo_path("services")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{errors}");
    let acts: Vec<&str> = said.split("==> ").skip(1).collect();
    assert_eq!(acts.len(), 5, "{said}");
    let whole =
        r#"{"user":"Ada","orders":{"goods":["tea","punched cards"],"to":"London"},"missing":[]}"#;
    for (act, expected) in acts.iter().zip([
        whole,
        r#""orders":null,"missing":["orders: refused (2 attempts)"]}"#,
        whole,
        r#"{"user":null,"orders":{"goods":["tea","punched cards"],"to":null},"missing":["users: "#,
        whole,
    ]) {
        assert!(act.contains(expected), "{expected} is not in: {act}");
    }
}
