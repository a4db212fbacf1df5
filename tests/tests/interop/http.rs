//! curl and our httpd, our get and a Linux server.

use crate::{PEER, number};
use tests::netns::{KERNEL, Netns, STACK, demo_path};

const GIB: u64 = 1 << 30;

#[test]
fn curl_downloads_a_gibibyte_byte_for_byte() {
    let Some(ns) = Netns::new() else { return };
    ns.sh(60, &format!("{PEER} make {GIB} 1 >big.bin"));
    let _httpd = ns.serve("httpd", &format!("--port 80 {}", ns.dir().display()));
    ns.sh(300, &format!("curl -sSf http://{STACK}/big.bin | {PEER} check {GIB} 1"));
}

#[test]
fn curl_uploads_a_gibibyte_byte_for_byte() {
    let Some(ns) = Netns::new() else { return };
    ns.sh(60, &format!("{PEER} make {GIB} 2 >big.bin"));
    let sum = ns.sh(60, "sha256sum <big.bin");
    let sum = sum.split_whitespace().next().expect("a checksum");
    let _httpd = ns.serve("httpd", &format!("--port 80 {}", ns.dir().display()));
    let answer = ns.sh(300, &format!("curl -sSf -T big.bin http://{STACK}/upload"));
    assert!(answer.contains(sum), "{sum} is not in {answer}");
    assert_eq!(number(&answer, "bytes"), GIB);
}

#[test]
fn curl_uploads_in_chunks() {
    let Some(ns) = Netns::new() else { return };
    let _httpd = ns.serve("httpd", "--port 80");
    let count = 50_000_001;
    let made = format!("{PEER} make {count} 3");
    let sum = ns.sh(60, &format!("{made} | sha256sum"));
    // Of unknown length, so that curl sends it in chunks.
    let upload = format!("{made} | curl -sSf -T - http://{STACK}/upload/name");
    let answer = ns.sh(60, &upload);
    assert!(answer.contains(sum.split_whitespace().next().expect("a checksum")), "{answer}");
}

#[test]
fn curl_gets_what_http_promises() {
    let Some(ns) = Netns::new() else { return };
    std::fs::create_dir(ns.dir().join("site")).unwrap();
    std::fs::write(ns.dir().join("site/hello.txt"), "0123456789").unwrap();
    std::fs::write(ns.dir().join("secret"), "secret").unwrap();
    let site = ns.dir().join("site");
    let _httpd = ns.serve("httpd", &format!("--port 80 {}", site.display()));
    let curl = |arguments: &str| ns.sh(20, &format!("curl -sS -m 10 {arguments}"));
    let url = format!("http://{STACK}");

    assert_eq!(curl(&format!("{url}/hello.txt")), "0123456789");
    assert_eq!(curl(&format!("-r 3-5 {url}/hello.txt")), "345");
    assert_eq!(curl(&format!("-r -2 {url}/hello.txt")), "89");
    let head = curl(&format!("-I {url}/hello.txt"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Length: 10\r\n"), "{head}");
    // One connection for all of them.
    let connects = curl(&format!("-w '%{{num_connects}}' -o /dev/null '{url}/hello.txt?[1-10]'"));
    assert_eq!(connects, "1000000000");
    assert!(curl(&format!("{url}/")).contains("hello.txt"));

    let status = |arguments: &str| curl(&format!("-o /dev/null -w '%{{http_code}}' {arguments}"));
    assert_eq!(status(&format!("{url}/nothing")), "404");
    assert_eq!(status(&format!("-r 10- {url}/hello.txt")), "416");
    assert_eq!(status(&format!("-X DELETE {url}/hello.txt")), "405");
    assert_eq!(status(&format!("--path-as-is {url}/../secret")), "400");
    assert_eq!(status(&format!("--path-as-is {url}/%2e%2e/secret")), "400");
    let long = "x".repeat(20_000);
    assert_eq!(status(&format!("-H 'X: {long}' {url}/")), "431");
}

/// Asks with a field of the arguments' hexadecimal digits, and says the statuses of all answers.
const ASK: &str = "import re, socket, sys
s = socket.create_connection((sys.argv[1], 80), timeout=10)
field = bytes.fromhex(sys.argv[2])
s.sendall(sys.argv[3].encode() + b' / HTTP/1.1\\r\\nHost: x\\r\\n' + field + b'\\r\\n\\r\\n')
s.sendall(b'GET /smuggled HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
print(*re.findall(rb'HTTP/1.1 (\\d+)', b''.join(iter(lambda: s.recv(9999), b''))))
";

#[test]
fn after_a_body_of_which_nobody_knows_the_end_no_request_is_read() {
    let Some(ns) = Netns::new() else { return };
    std::fs::write(ns.dir().join("ask.py"), ASK).unwrap();
    let _httpd = ns.serve("httpd", &format!("--port 80 {}", ns.dir().display()));
    for field in [&b"Content-Length: 40\xff"[..], b"Transfer-Encoding: chunked, \xff"] {
        let field: String = field.iter().map(|byte| format!("{byte:02x}")).collect();
        for method in ["GET", "PUT"] {
            let ask = format!("python3 ask.py {STACK} {field} {method}");
            assert_eq!(ns.sh(20, &ask).trim(), "b'400'", "{method} {field}");
        }
    }
}

#[test]
fn the_status_page_shows_its_own_connection() {
    let Some(ns) = Netns::new() else { return };
    let _httpd = ns.serve("httpd", "--port 80");
    let page = ns.sh(20, &format!("curl -sSf http://{STACK}/status"));
    assert!(page.contains("ESTABLISHED") && page.contains("LISTEN"), "{page}");
    assert!(page.contains(KERNEL), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "foreign resources: {page}");
    let json = ns.sh(20, &format!("curl -sSf http://{STACK}/status.json"));
    assert!(number(&json, "TcpInSegs") > 0, "{json}");
    assert_eq!(number(&json, "ESTABLISHED"), 1, "{json}");
}

/// Answers one connection of the kernel's with a text, and closes.
fn served(ns: &Netns, reply: &str, arguments: &str) -> (Option<i32>, String, String) {
    std::fs::write(ns.dir().join("reply"), reply).unwrap();
    let get = demo_path("get").display().to_string();
    let output = ns.try_sh(
        20,
        &format!(
            "nc -l -N {KERNEL} 8000 <reply >request & \
             until ss -Hltn 'sport = 8000' | grep -q .; do sleep 0.02; done; \
             {get} --tap tap0 {arguments} http://{KERNEL}:8000/x?y; status=$?; wait; exit $status"
        ),
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn get_understands_every_framing() {
    let Some(ns) = Netns::new() else { return };
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nhello",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello",
    ] {
        let (status, body, said) = served(&ns, reply, "");
        assert_eq!((status, body.as_str()), (Some(0), "hello"), "{reply}: {said}");
        assert!(said.contains("200 OK, 5 B"), "{said}");
    }
    let request = std::fs::read_to_string(ns.dir().join("request")).unwrap();
    assert!(request.starts_with("GET /x?y HTTP/1.1\r\nHost: 192.0.2.1:8000\r\n"), "{request}");
}

#[test]
fn get_says_what_went_wrong() {
    let Some(ns) = Netns::new() else { return };
    let (status, _, said) = served(&ns, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("404 Not Found"), "{said}");
    let (status, _, said) = served(&ns, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("before the end of the body"), "{said}");
    let reply = "HTTP/1.1 301 Moved\r\nLocation: ftp://192.0.2.1/\r\n\r\n";
    let (status, _, said) = served(&ns, reply, "");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("only http: and https:"), "{said}");
    let get = demo_path("get").display().to_string();
    let output = ns.try_sh(20, &format!("{get} --tap tap0 http://{KERNEL}:81/"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("connection refused"), "{said}");
}

#[test]
fn httpd_is_configured_by_a_file() {
    let Some(ns) = Netns::new() else { return };
    std::fs::write(ns.dir().join("hello.txt"), "hello").unwrap();
    let text = "tap = 'tap0'\naddr = '192.0.2.2/24'\nport = 80\n";
    std::fs::write(ns.dir().join("site.toml"), text).unwrap();
    let mut httpd = ns.spawn(demo_path("httpd"), "--config site.toml");
    httpd.wait_for("ready");
    assert_eq!(ns.sh(10, &format!("curl -sSf http://{STACK}/hello.txt")), "hello");
    drop(httpd);
    std::fs::write(ns.dir().join("site.toml"), format!("{text}prot = 1\n")).unwrap();
    let program = demo_path("httpd").display().to_string();
    let refused = ns.try_sh(10, &format!("{program} --config site.toml"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("site.toml:4: prot: there is no such key; did you mean port?"), "{said}");
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_server_says_which_port_it_has_got() {
    let Some(ns) = Netns::new() else { return };
    std::fs::write(ns.dir().join("hello.txt"), "hello").unwrap();
    let httpd = ns.serve("httpd", "--port 0");
    let log = httpd.log();
    let url = log.split_whitespace().find(|word| word.starts_with("http://192.0.2.2:")).unwrap();
    assert_eq!(ns.sh(20, &format!("curl -sSf {url}hello.txt")), "hello");
}
