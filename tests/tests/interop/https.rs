//! httpd and get over TLS, with curl, Python and a browser on the other end: OpenSSL's and
//! BoringSSL's idea of TLS, not rustls's.

use crate::{PEER, browser};
use tests::netns::{KERNEL, Netns, STACK, demo_path, have};

/// Makes `NAME.pem` and `NAME.key` of somebody with that address, in the test's directory.
fn certificate(ns: &Netns, name: &str, address: &str) {
    certificate_with(ns, name, address, "-addext basicConstraints=critical,CA:FALSE");
}

fn certificate_with(ns: &Netns, name: &str, address: &str, options: &str) {
    ns.sh(
        20,
        &format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -subj /CN={name} -addext subjectAltName=IP:{address} {options} -days 2 \
             -keyout {name}.key -out {name}.pem 2>openssl.log"
        ),
    );
}

#[test]
fn curl_fetches_and_uploads_over_https() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["openssl"]) {
        return;
    }
    certificate(&ns, "server", STACK);
    certificate(&ns, "other", STACK);
    ns.sh(20, &format!("{PEER} make 50000001 1 >big.bin"));
    let dir = ns.dir().display();
    let options = format!("--port 443 --tls --cert {dir}/server.pem --key {dir}/server.key {dir}");
    let httpd = ns.serve("httpd", &options);
    let curl = "curl -sSf -m 40 --cacert server.pem";
    for version in ["--tlsv1.3", "--tls-max 1.2"] {
        let line = format!("{curl} {version} https://{STACK}/big.bin | {PEER} check 50000001 1");
        assert_eq!(ns.sh(50, &line), "ok\n", "{version}");
    }
    let sum = ns.sh(20, "sha256sum <big.bin");
    let answer = ns.sh(50, &format!("{curl} -T big.bin https://{STACK}/upload"));
    assert!(answer.contains(sum.split_whitespace().next().expect("a checksum")), "{answer}");
    // Of several requests on one connection none is lost.
    let line = format!("{curl} -w '%{{num_connects}}' -o /dev/null 'https://{STACK}/status?[1-9]'");
    assert_eq!(ns.sh(20, &line), "100000000");
    let line = format!("curl -sS -m 9 --cacert other.pem https://{STACK}/");
    assert_eq!(ns.try_sh(10, &line).status.code(), Some(60), "another's certificate");
    let plain = ns.try_sh(10, &format!("curl -sS -m 9 http://{STACK}:443/"));
    assert!(!plain.status.success(), "plain text is not answered");
    let said = httpd.interrupt();
    assert!(said.contains(&format!("https://{STACK}:443/ is")), "{said}");
}

#[test]
fn a_certificate_made_at_the_start_goes_by_its_fingerprint() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["openssl", "python3"]) {
        return;
    }
    let httpd = ns.serve("httpd", "--tls");
    let url = format!("https://{STACK}:8443/status.txt");
    assert_eq!(ns.try_sh(10, &format!("curl -sS -m 9 {url}")).status.code(), Some(60));
    ns.sh(10, &format!("curl -sSk -m 9 -o /dev/null -w '%{{certs}}' {url} >certs.pem"));
    assert!(ns.sh(10, &format!("curl -sSf -m 9 --cacert certs.pem {url}")).contains("ESTABLISHED"));
    let shown = ns.sh(10, "openssl x509 -in certs.pem -noout -fingerprint -sha256");
    let fingerprint = shown.trim().split_once('=').expect("a fingerprint").1;
    // close_notify before the end: Python takes an end without it for an error.
    let script = format!(
        "import socket, ssl\n\
         c = ssl.create_default_context(cafile='certs.pem')\n\
         s = socket.create_connection(('{STACK}', 8443))\n\
         s = c.wrap_socket(s, server_hostname='{STACK}', suppress_ragged_eofs=False)\n\
         s.sendall(b'GET /status.txt HTTP/1.0\\r\\n\\r\\n')\n\
         while s.recv(9999): pass\n\
         print('whole')\n"
    );
    std::fs::write(ns.dir().join("whole.py"), script).unwrap();
    assert_eq!(ns.sh(10, "python3 whole.py"), "whole\n");
    let said = httpd.interrupt();
    assert!(said.contains(fingerprint), "{fingerprint}: {said}");
}

/// Answers TLS connections, one after the other; told to, without close_notify at the end.
fn server(ending: &str) -> String {
    format!(
        "import socket, ssl\n\
         c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n\
         c.load_cert_chain('server.pem', 'server.key')\n\
         l = socket.create_server(('{KERNEL}', 443))\n\
         big = open('big.bin', 'rb').read()\n\
         while True:\n\
        \x20   try:\n\
        \x20       s = c.wrap_socket(l.accept()[0], server_side=True)\n\
        \x20       s.recv(9999)\n\
        \x20       s.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\n' + big)\n\
        \x20       {ending}\n\
        \x20       s.close()\n\
        \x20   except OSError: pass\n"
    )
}

#[test]
fn get_fetches_over_https_and_notices_what_was_cut_off() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["openssl", "python3"]) {
        return;
    }
    certificate(&ns, "server", KERNEL);
    certificate(&ns, "elsewhere", "192.0.2.77");
    ns.sh(20, &format!("{PEER} make 8000001 1 >big.bin"));
    std::fs::write(ns.dir().join("server.py"), server("s.unwrap()")).unwrap();
    std::fs::write(ns.dir().join("cut.py"), server("pass")).unwrap();
    let get = |script: &str, arguments: &str| {
        let get = demo_path("get").display().to_string();
        let wait = "until ss -Hltn 'sport = 443' | grep -q .; do sleep 0.02; done";
        let line = format!(
            "timeout 20 python3 {script} & {wait}; \
             {get} --tap tap0 {arguments} -o got https://{KERNEL}/x; \
             status=$?; kill $!; exit $status"
        );
        let output = ns.try_sh(20, &line);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, said) = get("server.py", "--cacert server.pem");
    assert_eq!(status, Some(0), "{said}");
    ns.sh(10, "cmp got big.bin");
    let (status, said) = get("server.py", "--insecure -v");
    assert_eq!(status, Some(0), "{said}");
    let shown = ns.sh(10, "openssl x509 -in server.pem -noout -fingerprint -sha256");
    let fingerprint = shown.trim().split_once('=').expect("a fingerprint").1;
    assert!(said.contains("TLS 1.3") && said.contains(fingerprint), "{said}");
    let (status, said) = get("server.py", "--cacert elsewhere.pem");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("--cacert FILE") && said.contains("--insecure"), "{said}");
    ns.sh(10, "cp elsewhere.pem server.pem && cp elsewhere.key server.key");
    let (status, said) = get("server.py", "--cacert elsewhere.pem");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("its certificate is that of"), "{said}");
    assert!(said.contains("192.0.2.77"), "{said}");
    certificate_with(&ns, "server", KERNEL, "");
    let (status, said) = get("server.py", "--cacert server.pem");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("CA:FALSE"), "{said}");
    let (status, said) = get("cut.py", "--insecure");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("close_notify"), "{said}");
}

#[test]
fn what_is_wrong_with_tls_is_said() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["openssl"]) {
        return;
    }
    certificate(&ns, "one", STACK);
    certificate(&ns, "two", STACK);
    let (httpd, get) = (demo_path("httpd"), demo_path("get"));
    let (httpd, get) = (httpd.display(), get.display());
    let told = |line: String| {
        let output = ns.try_sh(10, &line);
        assert!(!output.status.success(), "{line}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    for (files, what) in [
        ("--cert one.pem --key two.key", "the key is another certificate's"),
        ("--cert one.key --key one.key", "one.key: has no certificate"),
        ("--cert one.pem --key one.pem", "one.pem: has no private key"),
        ("--cert none.pem --key one.key", "none.pem: cannot be read"),
        ("--cert one.pem", "--key <FILE>"),
    ] {
        let said = told(format!("{httpd} --tap tap0 --tls {files}"));
        assert!(said.contains(what), "{files}: {said}");
    }
    let plain = "printf 'HTTP/1.0 400 What\\r\\n\\r\\n' | timeout 9 nc -l -N 192.0.2.1 5000 >plain";
    let wait = crate::LISTENING;
    let url = format!("https://{KERNEL}:5000/");
    let said = told(format!("{plain} & {wait}; {get} --tap tap0 --insecure {url}"));
    assert!(said.contains("does not speak TLS"), "{said}");
}

#[test]
fn a_browser_shows_the_status_page_over_https() {
    let Some(ns) = Netns::new() else { return };
    let _httpd = ns.serve("httpd", "--tls --port 443");
    let Some(page) = browser::show(&ns, &format!("https://{STACK}/status")) else { return };
    assert!(page.contains("ESTABLISHED") && page.contains(KERNEL), "{page}");
}
