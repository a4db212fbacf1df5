//! Programs that know nothing of Tapstack, under `tapstack run`, with Linux on the other end.

use crate::PEER;
use tests::netns::{KERNEL, KERNEL_V6, Netns, STACK, STACK_V6, demo_path, have, skip};

/// How a command line begins that runs a program on Tapstack.
pub(crate) fn on_tapstack() -> String {
    let tapstack = demo_path("tapstack");
    format!("timeout 40 {} run --tap tap0 --addr {STACK}/24,{STACK_V6}/64 --", tapstack.display())
}

/// Waits in a shell until the stack's port is open.
fn open(port: u16) -> String {
    format!("for i in $(seq 250); do nc -z {STACK} {port} && break; sleep 0.02; done")
}

/// Waits in a shell until something listens on a port of the kernel's.
fn listening(port: u16) -> String {
    format!(
        "for i in $(seq 500); do ss -Hltn 'sport = {port}' | grep -q . && break; sleep 0.02; done"
    )
}

/// A server on the kernel's side that answers one request with `hello`.
const HELLO: &str =
    "printf 'HTTP/1.0 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nhello\\n' | timeout 20 nc -l -N";

#[test]
fn curl_fetches_over_both_ip_versions() {
    let Some(ns) = Netns::with_ipv6() else { return };
    let (run, wait) = (on_tapstack(), listening(8000));
    for (listen, url) in [
        (format!("{KERNEL} 8000"), format!("http://{KERNEL}:8000/")),
        (format!("-6 {KERNEL_V6} 8000"), format!("http://[{KERNEL_V6}]:8000/")),
    ] {
        let said =
            ns.sh(20, &format!("{HELLO} {listen} >/dev/null & {wait}; {run} curl -sS {url}"));
        assert_eq!(said, "hello\n", "{url}");
    }
}

/// Linux's own server of HTTPS, over both IP versions.
const HTTPS: &str = "
import http.server, socket, ssl
class Server(http.server.ThreadingHTTPServer): address_family = socket.AF_INET6
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'hello\\n')
server = Server(('::', 443), Hello)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem', 'server.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
print('up', flush=True)
server.serve_forever()
";

#[test]
fn curl_fetches_over_https_by_name() {
    let Some(ns) = Netns::with_ipv6() else { return };
    if !have(&["openssl", "python3", "curl"]) {
        return;
    }
    ns.sh(
        20,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test \
         -addext subjectAltName=DNS:four.test,DNS:six.test -days 2 -keyout server.key \
         -out server.pem 2>openssl.log",
    );
    let hosts = format!("{KERNEL} four.test\n{KERNEL_V6} six.test\n");
    std::fs::write(ns.dir().join("hosts"), hosts).unwrap();
    std::fs::write(ns.dir().join("server.py"), HTTPS).unwrap();
    let mut server = ns.spawn("python3", "server.py");
    server.wait_for("up");
    let run = on_tapstack().replace(" --tap", " --hosts hosts --tap");
    for version in ["--tlsv1.3", "--tls-max 1.2"] {
        for name in ["four.test", "six.test"] {
            let curl = format!("curl -sSf --cacert server.pem {version} https://{name}/");
            assert_eq!(ns.sh(20, &format!("{run} {curl}")), "hello\n", "{version} {name}");
        }
    }
}

#[test]
fn curl_says_what_is_wrong() {
    let Some(ns) = Netns::new() else { return };
    let run = on_tapstack();
    let status = |url: &str| ns.try_sh(20, &format!("{run} curl -sS -m 1 {url}")).status.code();
    assert_eq!(status(&format!("http://{KERNEL}:81/")), Some(7), "refused");
    assert_eq!(status("http://192.0.2.77/"), Some(28), "nobody there");
    assert_eq!(status("http://no.such.name.invalid/"), Some(6), "no such name");
}

/// Reads from a client after a while, with little room, and tells how much it was.
const SLOW_READER: &str = "
import socket, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(('192.0.2.1', 5000))
listener.listen()
client, _ = listener.accept()
time.sleep(0.5)
print(sum(len(text) for text in iter(lambda: client.recv(65536), b'')))
";

#[test]
fn what_a_program_wrote_before_its_end_arrives() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    let writer = format!(
        "import socket\nclient = socket.create_connection(('{KERNEL}', 5000))\n\
         client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)\n\
         client.sendall(bytes(200_000))\n"
    );
    std::fs::write(ns.dir().join("reader.py"), SLOW_READER).unwrap();
    std::fs::write(ns.dir().join("writer.py"), writer).unwrap();
    let (run, wait) = (on_tapstack(), listening(5000));
    let said = ns.sh(30, &format!("python3 reader.py & {wait}; {run} python3 writer.py; wait"));
    assert_eq!(said, "200000\n");
}

#[test]
fn netcat_serves_and_every_byte_arrives() {
    let Some(ns) = Netns::new() else { return };
    let run = on_tapstack();
    let said = ns.sh(
        60,
        &format!(
            "({run} nc -l -N 5000 </dev/null | {PEER} check 100000000 1) & sleep 1.5; \
             {PEER} make 100000000 1 | nc -N {STACK} 5000; wait"
        ),
    );
    assert_eq!(said, "ok\n", "to the program");
    let said = ns.sh(
        60,
        &format!(
            "(nc -l {KERNEL} 5000 </dev/null | {PEER} check 100000000 2) & {}; \
             {PEER} make 100000000 2 | {run} nc -N {KERNEL} 5000; wait",
            listening(5000)
        ),
    );
    assert_eq!(said, "ok\n", "from the program");
}

#[test]
fn a_reset_is_told_as_one() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    let run = on_tapstack();
    // The peer closes with text unread: that is a reset, and no end of the stream.
    let server = format!(
        "timeout 15 python3 -c \"import socket,time; s=socket.create_server(('{KERNEL}',5000)); \
         c,_=s.accept(); time.sleep(0.3); c.close()\""
    );
    let client = format!(
        "import socket\n\
         s=socket.create_connection(('{KERNEL}',5000)); s.send(b'unread')\n\
         try: print(s.recv(10))\n\
         except ConnectionResetError: print('reset')"
    );
    std::fs::write(ns.dir().join("client.py"), client).unwrap();
    let said = ns.sh(20, &format!("{server} & {}; {run} python3 client.py", listening(5000)));
    assert_eq!(said, "reset\n");
}

#[test]
fn python_serves_and_fetches() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3", "curl"]) {
        return;
    }
    let run = on_tapstack();
    std::fs::write(ns.dir().join("hello.txt"), "hello\n").unwrap();
    let server = format!("{run} python3 -m http.server -b {STACK} 8000 >/dev/null 2>&1");
    let fetch = format!("curl -sS http://{STACK}:8000/hello.txt");
    let said = ns.sh(20, &format!("{server} & {}; {fetch}; kill $!", open(8000)));
    assert_eq!(said, "hello\n");
    let fetch = format!(
        "import urllib.request as u; print(u.urlopen('http://{KERNEL}:8000/').read().decode())"
    );
    std::fs::write(ns.dir().join("fetch.py"), fetch).unwrap();
    let wait = listening(8000);
    let line = format!("{HELLO} {KERNEL} 8000 >/dev/null & {wait}; {run} python3 fetch.py");
    assert_eq!(ns.sh(20, &line).trim(), "hello");
}

#[test]
fn ping_has_an_echo_socket() {
    let Some(ns) = Netns::with_ipv6() else { return };
    if !have(&["ping"]) {
        return;
    }
    // A copy has no capabilities, with which the loader would not preload.
    let run = on_tapstack();
    for address in [KERNEL, KERNEL_V6] {
        let line =
            format!("cp $(command -v ping) own && {run} ./own -n -c 3 -i 0.1 {address} 2>&1");
        let said = ns.sh(20, &line);
        assert!(said.contains("3 received, 0% packet loss"), "{said}");
        assert!(said.contains("icmp_seq=3 ttl=64 time="), "{said}");
    }
    let said = ns.try_sh(20, &format!("{run} ./own -n -c 1 -W 9 192.0.2.77 2>&1"));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("icmp_seq=1 Destination Host Unreachable"), "{said}");
}

#[test]
fn python_pings() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    let script = format!(
        "import socket as s\n\
         p = s.socket(s.AF_INET, s.SOCK_DGRAM, s.IPPROTO_ICMP); p.settimeout(5); p.bind(('', 77))\n\
         p.connect(('{KERNEL}', 0)); p.send(bytes([8, 0, 0, 0, 0, 0, 0, 5]) + b'hello')\n\
         text, who = p.recvfrom(99); print(p.getsockname()[1], text[:2], text[4:], who)\n"
    );
    std::fs::write(ns.dir().join("ping.py"), script).unwrap();
    let said = ns.sh(20, &format!("{} python3 ping.py", on_tapstack()));
    assert_eq!(said, format!("77 b'\\x00\\x00' b'\\x00M\\x00\\x05hello' ('{KERNEL}', 0)\n"));
}

#[test]
fn what_the_kernel_moves_arrives_and_pollers_nest() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    let server = format!(
        "import socket
c, _ = socket.create_server(('{KERNEL}', 5000)).accept()
count = 0
while text := c.recv(65536): count += len(text)
c.send(str(count).encode())
"
    );
    let client = format!(
        "import os, select, socket as s
c = s.create_connection(('{KERNEL}', 5000))
open('text', 'wb').write(b'x' * 1000000)
file, sent = os.open('text', os.O_RDONLY), 0
while sent < 1000000: sent += os.sendfile(c.fileno(), file, sent, 1000000 - sent)
r, w = os.pipe(); os.write(w, b'spliced'); os.splice(r, c.fileno(), 7)
inner, outer = select.epoll(), select.epoll()
inner.register(c, select.EPOLLIN); outer.register(inner.fileno(), select.EPOLLIN)
print(outer.poll(0)); c.shutdown(s.SHUT_WR)
print(len(outer.poll(10)), len(inner.poll(0)))
os.splice(c.fileno(), w, 100); print(os.read(r, 100))
"
    );
    std::fs::write(ns.dir().join("server.py"), server).unwrap();
    std::fs::write(ns.dir().join("client.py"), client).unwrap();
    let (run, wait) = (on_tapstack(), listening(5000));
    let said = ns.sh(30, &format!("python3 server.py & {wait}; {run} python3 client.py; wait"));
    assert_eq!(said, "[]\n1 1\nb'1000007'\n");
}

#[test]
fn a_signal_leaves_nothing_behind() {
    let Some(ns) = Netns::new() else { return };
    let place = ns.dir().join("place");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(ns.dir().join("wait.sh"), "echo up; exec sleep 30").unwrap();
    let line = format!(
        "TMPDIR={} {} run --tap tap0 --addr {STACK}/24 -- sh wait.sh",
        place.display(),
        demo_path("tapstack").display()
    );
    let left = || std::fs::read_dir(&place).unwrap().count();
    for signal in ["INT", "TERM"] {
        let mut running = ns.spawn("env", &line);
        running.wait_for("up");
        assert_eq!(left(), 1, "the server's socket has its place");
        running.signal(signal);
        running.finish();
        assert_eq!(left(), 0, "{signal}");
    }
}

#[test]
fn the_status_is_the_programs() {
    let Some(ns) = Netns::new() else { return };
    std::fs::write(ns.dir().join("text"), "").unwrap();
    let run = on_tapstack();
    for (command, status) in
        [("sh -c 'exit 7'", 7), ("sh -c 'kill -9 $$'", 137), ("./absent", 127), ("./text", 126)]
    {
        let output = ns.try_sh(20, &format!("{run} {command}"));
        assert_eq!(output.status.code(), Some(status), "{command}");
    }
}

/// A Ctrl-C comes to the program from the terminal, once, and need not end it; a signal to
/// `tapstack` alone is passed on.
#[test]
fn signals_are_the_programs_own() {
    let Some(ns) = Netns::new() else { return };
    let program = r#"
import signal, sys
heard = []
def hear(number, _):
    heard.append(number)
    print('heard', heard, flush=True)
    if number == signal.SIGTERM:
        sys.exit(5)
for number in [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]:
    signal.signal(number, hear)
print('up', flush=True)
while True:
    signal.pause()
"#;
    let terminal = r#"
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
said = b''
def wait_for(text):
    global said
    while text not in said:
        said += os.read(terminal, 1000)
wait_for(b'up')
for count in [1, 2]:
    os.write(terminal, b'\x03')
    wait_for(b'heard [%s]' % b', '.join([b'2'] * count))
for number, heard in [(signal.SIGHUP, b'[2, 2, 1]'), (signal.SIGTERM, b'[2, 2, 1, 15]')]:
    os.kill(pid, number)
    wait_for(heard)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;
    std::fs::write(ns.dir().join("program.py"), program).unwrap();
    std::fs::write(ns.dir().join("terminal.py"), terminal).unwrap();
    // `timeout` passes on what it gets, too.
    let run = on_tapstack().split_once("timeout 40 ").unwrap().1.to_owned();
    let line = format!("python3 terminal.py {run} python3 program.py");
    assert_eq!(ns.sh(20, &line), "5\n");
}

#[test]
fn iperf3_measures_both_ways() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["iperf3"]) {
        return;
    }
    let run = on_tapstack();
    for options in ["", "-R", "-P 8", "-u -b 20M"] {
        let server = format!("timeout 20 iperf3 -s -1 -B {KERNEL} >/dev/null");
        let wait = listening(5201);
        let said = ns.sh(
            30,
            &format!("{server} & {wait}; {run} iperf3 -c {KERNEL} -t 1 -J {options}; wait"),
        );
        assert!(!said.contains("\"error\""), "{options}: {said}");
        if options.is_empty() {
            // TCP_INFO is alive: retransmissions and the window are told of each interval.
            assert!(said.contains("\"retransmits\":"), "{said}");
            let window = said.split_once("\"snd_cwnd\":").expect("a window").1.trim_start();
            let digits: String = window.chars().take_while(char::is_ascii_digit).collect();
            assert!(digits.parse::<u64>().unwrap() > 1000, "{said}");
        }
    }
    for options in ["-P 8", "-R", "-u -b 20M", "-u -b 20M -R"] {
        let server = format!("{run} iperf3 -s -1 >/dev/null");
        let client = format!("iperf3 -c {STACK} -t 1 -J {options}");
        let said = ns.sh(30, &format!("{server} & sleep 1.5; {client}; wait"));
        assert!(!said.contains("\"error\""), "{options}: {said}");
    }
}

#[test]
fn redis_stands_its_benchmark() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["redis-server", "redis-benchmark"]) {
        return;
    }
    let run = on_tapstack();
    let server = format!(
        "{run} redis-server --port 6379 --bind {STACK} --save '' --protected-mode no >/dev/null"
    );
    let plain = format!("redis-benchmark -h {STACK} -c 20 -n 2000 -q --csv");
    let piped = format!("redis-benchmark -h {STACK} -c 20 -n 20000 -P 16 -t set,get -q --csv");
    let said = ns.sh(60, &format!("{server} & {}; {plain} && {piped}; kill $!", open(6379)));
    assert!(said.contains("LRANGE_600") && said.matches("\"GET\"").count() == 2, "{said}");
}

/// A configuration for nginx, in the test's directory, which is returned.
fn configure_nginx(ns: &Netns, address: &str, workers: u32) -> String {
    let dir = ns.dir().display().to_string();
    std::fs::write(ns.dir().join("hello.txt"), "hello\n").unwrap();
    let config = format!(
        "daemon off; user root; worker_processes {workers}; error_log {dir}/error.log; \
         pid {dir}/pid; events {{ worker_connections 1024; }} \
         http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; \
         fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; \
         server {{ listen {address}:80; location / {{ root {dir}; }} }} }}"
    );
    std::fs::write(ns.dir().join("nginx.conf"), config).unwrap();
    dir
}

#[test]
fn wrk_loads_a_server_on_linux() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["nginx", "wrk"]) {
        return;
    }
    let (run, wait) = (on_tapstack(), listening(80));
    let dir = configure_nginx(&ns, KERNEL, 1);
    let load = format!("{run} wrk -t 2 -c 50 -d 1s http://{KERNEL}/hello.txt");
    let server = format!("nginx -c {dir}/nginx.conf -g 'master_process off;'");
    let said = ns.sh(30, &format!("{server} & {wait}; {load}; kill $(cat {dir}/pid); wait"));
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
    assert!(said.contains("Requests/sec"), "{said}");
}

#[test]
fn nginx_serves_with_one_process_and_with_workers() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["nginx", "wrk"]) {
        return;
    }
    let run = on_tapstack();
    for workers in [1, 2] {
        let dir = configure_nginx(&ns, STACK, workers);
        let alone = if workers == 1 { "-g 'master_process off;'" } else { "" };
        let server = format!("{run} nginx -c {dir}/nginx.conf {alone}");
        let load = format!("wrk -t 2 -c 100 -d 10s http://{STACK}/hello.txt");
        let said =
            ns.sh(60, &format!("{server} & {}; {load}; kill $(cat {dir}/pid); wait", open(80)));
        assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{workers}: {said}");
        assert!(said.contains("Requests/sec"), "{workers}: {said}");
    }
}

#[test]
fn a_child_of_a_fork_serves_a_connection() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["socat"]) {
        return;
    }
    let run = on_tapstack();
    let server = format!("{run} socat TCP-LISTEN:7,fork,reuseaddr EXEC:cat");
    let ask = format!("for i in 1 2 3; do echo hello | nc -N {STACK} 7; done");
    let said = ns.sh(20, &format!("{server} & {}; {ask}; kill $!", open(7)));
    assert_eq!(said, "hello\nhello\nhello\n");
}

#[test]
fn wget_and_node_are_clients() {
    let Some(ns) = Netns::new() else { return };
    let run = on_tapstack();
    let fetch = [
        ("wget", format!("wget -qO- http://{KERNEL}:8000/")),
        (
            "node",
            format!(
                "node -e \"require('http').get('http://{KERNEL}:8000/', r => \
             r.on('data', d => process.stdout.write(d)))\""
            ),
        ),
    ];
    for (program, line) in fetch {
        if have(&[program]) {
            let wait = listening(8000);
            let serve = format!("{HELLO} {KERNEL} 8000 >/dev/null & {wait}");
            assert_eq!(ns.sh(20, &format!("{serve}; {run} {line}")), "hello\n", "{program}");
        }
    }
}

#[test]
fn node_serves() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["node"]) {
        return;
    }
    let run = on_tapstack();
    let script = "require('http').createServer((q, s) => s.end('hello\\n')).listen(8080)";
    std::fs::write(ns.dir().join("server.js"), script).unwrap();
    let fetch = format!("curl -sS http://{STACK}:8080/");
    let line = format!("{run} node server.js & {}; {fetch}; kill $!", open(8080));
    assert_eq!(ns.sh(20, &line), "hello\n");
}

/// sshd for a test, as shell lines: the command that runs it with what is in front, and options for
/// its clients. None where it cannot run.
fn sshd(ns: &Netns, run: &str, listen: &str) -> Option<(String, &'static str)> {
    if !have(&["sshd", "ssh", "scp", "ssh-keygen"]) {
        return None;
    }
    // sshd wants a directory of its own in /run, and to change its groups.
    if !ns.try_sh(10, "unshare -m true && setpriv --clear-groups true").status.success() {
        skip("sshd needs root");
        return None;
    }
    let dir = ns.dir().display().to_string();
    let config = format!(
        "ListenAddress {listen}\nPort 2222\nHostKey {dir}/host\nPidFile none\nUsePAM no\n\
         AuthorizedKeysFile {dir}/key.pub\nStrictModes no\nSubsystem sftp internal-sftp\n"
    );
    std::fs::write(ns.dir().join("sshd_config"), config).unwrap();
    ns.sh(20, "for it in key host; do ssh-keygen -q -t ed25519 -N '' -f $it; done");
    let server = format!(
        "unshare -m sh -c 'mount -t tmpfs none /run && mkdir /run/sshd && \
         exec timeout 40 {run} $(command -v sshd) -D -e -f {dir}/sshd_config' 2>sshd.log"
    );
    let options = "-F none -i key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
                   -o BatchMode=yes -o LogLevel=error";
    Some((server, options))
}

/// Logs in, and copies there and back, as shell lines; `run` stands in front of the clients.
fn log_in_and_copy(ns: &Netns, run: &str, options: &str, server: &str) -> String {
    let dir = ns.dir().display().to_string();
    let copy = format!("{run} scp -q {options} -P 2222");
    format!(
        "{run} ssh {options} -p 2222 root@{server} 'echo $SSH_CONNECTION' && \
         {PEER} make 8000000 3 >sent && {copy} sent root@{server}:{dir}/there && \
         {copy} root@{server}:{dir}/there back && cmp sent there && cmp sent back && echo same"
    )
}

#[test]
fn ssh_logs_in_and_scp_copies_both_ways() {
    let Some(ns) = Netns::new() else { return };
    let Some((server, options)) = sshd(&ns, "", KERNEL) else { return };
    let clients = log_in_and_copy(&ns, &on_tapstack(), options, KERNEL);
    let said = ns.sh(60, &format!("{server} & {}; {clients}; kill $!; wait", listening(2222)));
    assert!(said.starts_with(&format!("{STACK} ")) && said.ends_with("\nsame\n"), "{said}");
}

#[test]
fn sshd_lets_in_and_copies_both_ways() {
    let Some(ns) = Netns::new() else { return };
    let Some((server, options)) = sshd(&ns, &on_tapstack(), STACK) else { return };
    let clients = log_in_and_copy(&ns, "", options, STACK);
    let said = ns.sh(60, &format!("{server} & {}; {clients}; kill $!; wait", open(2222)));
    assert!(said.starts_with(&format!("{KERNEL} ")) && said.ends_with("\nsame\n"), "{said}");
}

#[test]
fn java_serves_and_fetches() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["java", "javac"]) {
        return;
    }
    let run = on_tapstack();
    let program = "
import com.sun.net.httpserver.HttpServer;
import java.net.*;
public class Hello {
    public static void main(String[] urls) throws Exception {
        if (urls.length > 0) {
            try (var in = new URL(urls[0]).openStream()) { in.transferTo(System.out); }
            return;
        }
        var server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext(\"/\", it -> {
            it.sendResponseHeaders(200, 6);
            it.getResponseBody().write(\"hello\\n\".getBytes());
            it.close();
        });
        server.start();
    }
}";
    std::fs::write(ns.dir().join("Hello.java"), program).unwrap();
    let fetch = format!("curl -sS http://{STACK}:8080/");
    let line = format!("{run} java Hello.java & {}; {fetch}; kill $!", open(8080));
    assert_eq!(ns.sh(40, &line), "hello\n", "a server");
    let wait = listening(8000);
    let serve = format!("{HELLO} {KERNEL} 8000 >/dev/null & {wait}");
    let line = format!("{serve}; {run} java Hello.java http://{KERNEL}:8000/");
    assert_eq!(ns.sh(40, &line), "hello\n", "a client");
}
