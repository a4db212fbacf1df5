//! curl and our ftpd.

use crate::PEER;
use tests::netns::{Netns, STACK, STACK_V6};

/// The stack has both IP versions.
const ADDRESSES: &str = "--addr 192.0.2.2/24,2001:db8::2/64";

/// What curl says for each of the four ways to a data connection.
const WAYS: [&str; 4] = ["", "--disable-epsv", "-P -", "-P - --disable-eprt"];

const COUNT: u64 = 5_000_001;

/// A directory `site` with `big.bin`, `a folder/hello.txt`, and a link out of it.
fn site(ns: &Netns) {
    std::fs::create_dir_all(ns.dir().join("site/a folder")).unwrap();
    std::fs::write(ns.dir().join("site/a folder/hello.txt"), "one\ntwo\n").unwrap();
    std::fs::write(ns.dir().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink("../secret", ns.dir().join("site/link")).unwrap();
    ns.sh(20, &format!("{PEER} make {COUNT} 1 >site/big.bin"));
}

#[test]
fn curl_downloads_and_lists_in_every_way() {
    let Some(ns) = Netns::with_ipv6() else { return };
    site(&ns);
    let _ftpd = ns.serve("ftpd", &format!("site {ADDRESSES}"));
    for way in WAYS {
        for host in [STACK.to_owned(), format!("[{STACK_V6}]")] {
            if host.starts_with('[') && way.contains("disable") {
                // IPv6 has no other commands.
                continue;
            }
            let curl = format!("curl -sS -g -m 20 {way} ftp://{host}");
            ns.sh(30, &format!("{curl}/big.bin | {PEER} check {COUNT} 1"));
            let list = ns.sh(30, &format!("{curl}/"));
            let lines: Vec<&str> = list.lines().collect();
            assert!(lines[0].starts_with("drwx") && lines[0].ends_with(" a folder"), "{list}");
            assert!(lines[1].contains(&format!(" {COUNT} ")), "{list}");
            let names = ns.sh(30, &format!("{curl}/a%20folder/ -l"));
            assert_eq!(names.trim_end(), "hello.txt", "{way} {host}");
        }
    }
    let curl = format!("curl -sS -m 20 ftp://{STACK}");
    ns.sh(30, &format!("head -c 3000000 site/big.bin >part && {curl}/big.bin -C - -o part"));
    ns.sh(30, &format!("{PEER} check {COUNT} 1 <part"));
    // TYPE A, and a client that goes through directories one by one.
    let lines =
        ns.sh(30, &format!("{curl}/a%20folder/hello.txt --use-ascii --ftp-method multicwd"));
    assert!(lines == "one\r\ntwo\r\n" || lines == "one\ntwo\n", "{lines:?}");
    let head = ns.sh(30, &format!("{curl}/big.bin -I"));
    assert!(head.contains("Last-Modified: ") && head.contains("Content-Length: 5000001"), "{head}");
}

#[test]
fn curl_uploads_and_goes_on() {
    let Some(ns) = Netns::with_ipv6() else { return };
    site(&ns);
    let ftpd = ns.serve("ftpd", &format!("site --upload --max-file 6MB {ADDRESSES}"));
    for (way, host) in [("", STACK.to_owned()), ("-P -", format!("[{STACK_V6}]"))] {
        let curl = format!("curl -sS -g -m 20 {way}");
        let url = format!("ftp://{host}/new/sub/up.bin");
        ns.sh(30, &format!("{curl} --ftp-create-dirs -T site/big.bin {url}"));
        ns.sh(30, &format!("{PEER} check {COUNT} 1 <site/new/sub/up.bin"));
        // A shorter one in its place, and then the rest of it.
        ns.sh(30, &format!("head -c 1000000 site/big.bin | {curl} -T - {url}"));
        ns.sh(30, &format!("{curl} -C - -T site/big.bin {url}"));
        ns.sh(30, &format!("{PEER} check {COUNT} 1 <site/new/sub/up.bin"));
        let gone = ns.sh(30, &format!("{curl} ftp://{host}/new/ -Q '-DELE sub/up.bin'"));
        assert!(gone.contains(" sub"), "{gone}");
        ns.sh(30, "rmdir site/new/sub site/new");
    }
    let large = format!("cat site/big.bin site/big.bin | curl -sS -m 20 -T - ftp://{STACK}/large");
    assert!(!ns.try_sh(30, &large).status.success());
    let size = std::fs::metadata(ns.dir().join("site/large")).unwrap().len();
    assert!(size <= 6_000_000, "{size}");
    let said = ftpd.interrupt();
    assert!(said.contains("ftpd: 9 clients; 0 files sent (0 B) and 6 files received"), "{said}");
}

/// What ftpd says to these commands, one after the other.
fn say(ns: &Netns, commands: &[&str]) -> String {
    let lines: String = commands.iter().map(|line| format!("{line}\r\n")).collect();
    std::fs::write(ns.dir().join("commands"), lines).unwrap();
    ns.sh(20, &format!("nc -N -w 5 {STACK} 21 <commands"))
}

#[test]
fn nobody_gets_out_or_has_others_attacked() {
    let Some(ns) = Netns::new() else { return };
    site(&ns);
    let _ftpd = ns.serve("ftpd", "site --max-clients 2");
    let said = say(
        &ns,
        &[
            "LIST",
            "USER root",
            "USER anonymous",
            "PASS x",
            "TYPE I",
            "SIZE link",
            "SIZE ../../secret",
            "CWD ..",
            "PWD",
            "STOR new",
            "DELE big.bin",
            "RETR big.bin",
            // Another host, a low port, another protocol.
            "PORT 192,0,2,77,195,80",
            "PORT 192,0,2,1,0,22",
            "EPRT |2|2001:db8::1|50000|",
            "EPSV ALL",
            "PORT 192,0,2,1,195,80",
            "REST 1000",
            "XXXX",
            "QUIT",
        ],
    );
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    let expected = "220 530 530 331 230 200 550 550 250 257 550 550 425 504 504 504 200 501 350 \
                    502 221";
    assert_eq!(codes.join(" "), expected, "{said}");
    let long = "x".repeat(5000);
    let said = say(&ns, &[&long, "NOOP", "QUIT"]);
    assert!(said.contains("\r\n500 ") && said.contains("\r\n200 "), "{said}");
    // The third client is one too many.
    let third = format!(
        "nc -d {STACK} 21 >a & one=$!; nc -d {STACK} 21 >b & two=$!; \
         until grep -q 220 a && grep -q 220 b; do sleep 0.02; done; \
         nc -d -w 2 {STACK} 21; kill $one $two"
    );
    assert!(ns.sh(20, &third).starts_with("421 Too many clients"));
}
