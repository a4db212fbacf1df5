//! axum and hyper on our sockets, with curl, Python and a browser on the other end.

use crate::{PEER, browser};
use tests::netns::{KERNEL, Netns, Running, STACK, demo_path, have};

fn serve(ns: &Netns, arguments: &str) -> Running {
    let mut web = ns.spawn(demo_path("web"), &format!("serve --tap tap0 {arguments}"));
    web.wait_for("ready");
    web
}

/// Fetches fifty times the same at the same time, and compares.
fn fifty_at_a_time(ns: &Netns, options: &str, server: &str) {
    let url = format!("{server}/count/20000?[1-50]");
    ns.sh(30, &format!("curl -sSf -m 20 {options} -Z --parallel-max 50 -o 'got#1' '{url}'"));
    ns.sh(10, "seq 20000 >whole; for i in $(seq 50); do cmp got$i whole || exit; done; rm got*");
}

#[test]
fn curl_speaks_both_versions_of_http_with_axum() {
    let Some(ns) = Netns::new() else { return };
    let web = serve(&ns, "--port 80");
    let url = format!("http://{STACK}");
    let (count, made) = (5_000_001, format!("{PEER} make 5000001 1"));
    let sum = ns.sh(20, &format!("{made} | sha256sum"));
    let sum = sum.split_whitespace().next().expect("a checksum");
    // curl 7.88 cannot use an HTTP/2 connection without TLS a second time, nginx's neither.
    for (option, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
        let curl = |arguments: &str| ns.sh(30, &format!("curl -sS -m 20 {option} {arguments}"));
        assert!(curl(&format!("{url}/status")).contains("ESTABLISHED"), "{version}");
        let json = r#"-H 'Content-Type: application/json' -d '{"a": [1, null, "x"]}'"#;
        assert_eq!(curl(&format!("{json} {url}/echo")), r#"{"a":[1,null,"x"]}"#, "{version}");
        let status =
            |arguments: &str| curl(&format!("-o /dev/null -w '%{{http_code}}' {arguments}"));
        assert_eq!(status(&format!("{url}/nothing")), "404", "{version}");
        assert_eq!(status(&format!("-X DELETE {url}/echo")), "405", "{version}");
        assert_eq!(status(&format!("-H 'Content-Type: application/json' -d x {url}/echo")), "400");
        // Of unknown length, so that curl sends it in chunks or frames.
        let upload = format!("{made} | curl -sSf -m 20 {option} -T - {url}/upload/name");
        let answer = ns.sh(30, &upload);
        assert!(answer.contains(sum), "{version}: {sum} is not in {answer}");
        assert_eq!(crate::number(&answer, "bytes"), count);
    }
    fifty_at_a_time(&ns, "--http1.1", &url);
    let said = web.interrupt();
    assert!(said.contains("connections and 62 requests"), "{said}");
}

#[test]
fn curl_and_axum_agree_on_a_version_in_tls() {
    let Some(ns) = Netns::new() else { return };
    let _web = serve(&ns, "--tls");
    let url = format!("https://{STACK}:8443/count/3?[1-3]");
    for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let said = "-w '%{num_connects} %{http_version};'";
        let answer = ns.sh(20, &format!("curl -sSfk -m 10 {option} {said} '{url}'"));
        // One connection for all of them, one after the other.
        let expected = [1, 0, 0].map(|connects| format!("1\n2\n3\n{connects} {version};"));
        assert_eq!(answer, expected.concat());
    }
    fifty_at_a_time(&ns, "-k --http2", &format!("https://{STACK}:8443"));
    // Who begins and never ends a handshake holds up nobody.
    let (silent, url) = (format!("nc -d {STACK} 8443"), format!("https://{STACK}:8443/count/1"));
    ns.sh(
        8,
        &format!("{silent} & sleep 0.2; curl -sSfk -m 5 {url}; status=$?; kill $!; exit $status"),
    );
}

#[test]
fn a_browser_shows_the_status_page_of_axum_over_https() {
    let Some(ns) = Netns::new() else { return };
    let web = serve(&ns, "--tls --port 443 --log info");
    let Some(page) = browser::show(&ns, &format!("https://{STACK}/status")) else { return };
    assert!(page.contains("ESTABLISHED") && page.contains(KERNEL), "{page}");
    let said = web.interrupt();
    assert!(said.contains("GET /status HTTP/2.0 200"), "{said}");
}

#[test]
fn an_answer_that_has_begun_outlives_ctrl_c() {
    let Some(ns) = Netns::new() else { return };
    let web = serve(&ns, "--port 80");
    let mut curl = ns.spawn("curl", &format!("-sSfN http://{STACK}/count/20/every/50"));
    curl.wait_for("1");
    let said = web.interrupt();
    assert!(said.contains("1 connection and 1 request"), "{said}");
    let (status, rest) = curl.finish();
    assert!(status.success());
    assert!(rest.ends_with("\n19\n20\n"), "{rest}");
}

#[test]
fn hyper_fetches_from_python() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    ns.sh(20, &format!("{PEER} make 5000001 1 >big.bin"));
    std::fs::write(ns.dir().join("small"), "hello\n").unwrap();
    let web = demo_path("web").display().to_string();
    // HTTP/1.0 has a connection for each request, HTTP/1.1 one for all.
    for (protocol, connections) in [("HTTP/1.0", "3 connections"), ("HTTP/1.1", "1 connection")] {
        let server = format!(
            "python3 -c \"import http.server as h; H = h.SimpleHTTPRequestHandler; \
             H.protocol_version = '{protocol}'; \
             h.ThreadingHTTPServer(('{KERNEL}', 5000), H).serve_forever()\" 2>python.log"
        );
        let url = format!("http://{KERNEL}:5000");
        let output = ns.try_sh(
            30,
            &format!(
                "timeout 20 {server} & {}; \
                 {web} get --tap tap0 {url}/small {url}/big.bin {url}/small >got; \
                 status=$?; kill $!; wait; exit $status",
                crate::LISTENING
            ),
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{protocol}: {said}");
        assert!(said.contains(&format!("3 answers over {connections}")), "{protocol}: {said}");
        ns.sh(10, "cat small big.bin small | cmp - got");
    }
    let nobody = ns.try_sh(10, &format!("{web} get --tap tap0 http://{KERNEL}:5000/"));
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert_eq!(nobody.status.code(), Some(1), "{said}");
    assert!(said.contains("connection refused"), "{said}");
}
