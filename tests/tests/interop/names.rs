//! Names, from dnsmasq.

use crate::PEER;
use tests::netns::{KERNEL, KERNEL_V6, Netns, Running, demo_path, have};

/// The stack has both IP versions, and asks the kernel's end for names.
const OPTIONS: &str = "--tap tap0 --addr 192.0.2.2/24,2001:db8::2/64 --dns 192.0.2.1 --search test";

/// dnsmasq with `arguments`, once it listens; `None`, said on the terminal, where it is missing.
pub(crate) fn dnsmasq(ns: &Netns, arguments: &str) -> Option<Running> {
    if !have(&["dnsmasq"]) {
        return None;
    }
    let common = "--keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
                  --log-facility=- --pid-file= --bind-interfaces";
    let running = ns.spawn("dnsmasq", &format!("{common} {arguments}"));
    ns.sh(10, "until ss -lntu | grep -q ':53 '; do sleep 0.02; done");
    Some(running)
}

#[test]
fn programs_find_names_over_both_versions() {
    let Some(ns) = Netns::with_ipv6() else { return };
    let many: String = (100..140).map(|last| format!(",192.0.2.{last}")).collect();
    let zone = format!(
        "--local=/test/ --host-record=web.test,{KERNEL},{KERNEL_V6} \
         --host-record=four.test,{KERNEL} --host-record=half.test,{KERNEL},2001:db8::dead \
         --cname=alias.test,web.test {}",
        many.split(',')
            .skip(1)
            .map(|ip| format!("--host-record=big.test,{ip} "))
            .collect::<String>()
    );
    let Some(_server) = dnsmasq(&ns, &zone) else { return };
    let [ping, get] = ["ping", "get"].map(|demo| demo_path(demo).display().to_string());
    for (name, address) in
        [("web.test", KERNEL_V6), ("four", KERNEL), ("alias", KERNEL_V6), ("WEB.test.", KERNEL_V6)]
    {
        let said = ns.sh(20, &format!("{ping} {OPTIONS} -c 1 -W 2 {name}"));
        assert!(said.contains(&format!("({address})")) && said.contains("1 received"), "{said}");
    }
    // More than fits into a datagram: over TCP.
    let said = ns.try_sh(20, &format!("{ping} {OPTIONS} -c 1 -W 0.1 big.test"));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("PING big.test (192.0.2.1"), "{said}");
    let said = ns.try_sh(20, &format!("{ping} {OPTIONS} none.test"));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("none.test: there is no such name"), "{said}");
    // Over IPv6, over IPv4, and over IPv4 because IPv6 leads nowhere.
    for name in ["web.test", "four.test", "half.test"] {
        let mut server = ns.spawn(PEER, "redirect [::]:80");
        server.wait_for("ready");
        let said = ns.sh(20, &format!("{get} -s {OPTIONS} http://{name}/"));
        assert_eq!(said, "there\n", "{name}");
    }
}

#[test]
fn those_who_measure_and_trace_find_names() {
    let Some(ns) = Netns::with_ipv6() else { return };
    if !have(&["python3"]) {
        return;
    }
    let zone = format!(
        "--local=/test/ --host-record=web.test,{KERNEL},{KERNEL_V6} \
         --host-record=four.test,{KERNEL}"
    );
    let Some(_server) = dnsmasq(&ns, &zone) else { return };
    let [traceroute, perf] =
        ["traceroute", "perf"].map(|demo| demo_path(demo).display().to_string());
    for (name, address) in [("web.test", KERNEL_V6), ("web", KERNEL_V6), (KERNEL, KERNEL)] {
        let said = ns.sh(20, &format!("{traceroute} {OPTIONS} -I -w 2 {name}"));
        assert!(said.starts_with(&format!("traceroute to {name} ({address}), ")), "{said}");
        assert!(said.contains(&format!("\n 1  {address}  ")), "{said}");
    }
    let sink = "import socket as s\n\
                server = s.create_server(('::', 5001), family=s.AF_INET6, dualstack_ipv6=True)\n\
                print('ready')\n\
                while True:\n\
                \x20   peer, _ = server.accept()\n\
                \x20   while peer.recv(1 << 20): pass\n\
                \x20   peer.close()\n";
    std::fs::write(ns.dir().join("sink.py"), sink).unwrap();
    let mut server = ns.spawn("python3", "-u sink.py");
    server.wait_for("ready");
    for host in ["web.test", "four", KERNEL, KERNEL_V6] {
        let said = ns.sh(20, &format!("{perf} send {OPTIONS} --secs 0.1 {host} 2>&1"));
        assert!(said.contains("sent "), "{host}: {said}");
    }
    for program in [format!("{traceroute} {OPTIONS}"), format!("{perf} rr {OPTIONS}")] {
        let said = ns.try_sh(20, &format!("{program} none.test"));
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains("none.test: there is no such name"), "{said}");
    }
}

#[test]
fn programs_that_know_nothing_of_the_stack_find_names() {
    let Some(ns) = Netns::with_ipv6() else { return };
    if !have(&["curl", "python3"]) {
        return;
    }
    let zone = format!("--local=/test/ --host-record=web.test,{KERNEL},{KERNEL_V6}");
    let Some(_server) = dnsmasq(&ns, &zone) else { return };
    std::fs::write(ns.dir().join("hello.txt"), "hello\n").unwrap();
    let mut server = ns.spawn("python3", "-u -m http.server -b :: 80");
    server.wait_for("Serving");
    std::fs::write(ns.dir().join("hosts"), format!("{KERNEL} local\n")).unwrap();
    let tapstack = demo_path("tapstack").display().to_string();
    let run = format!("timeout 20 {tapstack} run {OPTIONS} --hosts hosts --");
    let curl = |options: &str, name: &str| {
        ns.sh(20, &format!("{run} curl -sS -m 10 {options} http://{name}/hello.txt"))
    };
    for (options, name) in [("", "web.test"), ("", "web"), ("-4", "web"), ("", "local")] {
        assert_eq!(curl(options, name), "hello\n", "{options} {name}");
    }
    let script = format!(
        "import socket as s\n\
         def code(name):\n\
         \x20   try: return s.getaddrinfo(name, 80)\n\
         \x20   except s.gaierror as error: return error.errno\n\
         for name in 'web.test', 'local', '{KERNEL}', '{KERNEL_V6}':\n\
         \x20   print(s.create_connection((name, 80)).getpeername()[0])\n\
         print(s.gethostbyname('web'), s.gethostbyname_ex('web')[2])\n\
         print(code('none.test') == s.EAI_NONAME, code(b'x' * 2000) == s.EAI_NONAME)\n\
         print(s.getnameinfo(('{KERNEL}', 80), s.NI_NUMERICSERV), s.getfqdn('{KERNEL}'))\n"
    );
    std::fs::write(ns.dir().join("names.py"), script).unwrap();
    assert_eq!(
        ns.sh(20, &format!("{run} python3 names.py")),
        format!(
            "{KERNEL_V6}\n{KERNEL}\n{KERNEL}\n{KERNEL_V6}\n{KERNEL} ['{KERNEL}']\n\
             True True\n('{KERNEL}', '80') {KERNEL}\n"
        )
    );
    // A server that does not answer: perhaps later.
    let silent = "--tap tap0 --addr 192.0.2.2/24 --dns 192.0.2.77";
    let line = format!("timeout 30 {tapstack} run {silent} -- curl -sS http://web.test/");
    assert_eq!(ns.try_sh(30, &line).status.code(), Some(6));
}
