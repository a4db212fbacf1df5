//! curl and python's smtplib, and our smtpd.

use tests::netns::{KERNEL, KERNEL_V6, Netns, STACK, STACK_V6, have};

/// The stack has both IP versions.
const ADDRESSES: &str = "--addr 192.0.2.2/24,2001:db8::2/64";

/// The mails that were kept, in the order of their arrival.
fn mails(ns: &Netns) -> Vec<String> {
    let entries = std::fs::read_dir(ns.dir().join("mail")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.iter().all(|path| path.extension().is_some_and(|it| it == "eml")), "{paths:?}");
    paths.iter().map(|path| String::from_utf8(std::fs::read(path).unwrap()).unwrap()).collect()
}

#[test]
fn curl_sends_over_both_versions() {
    let Some(ns) = Netns::with_ipv6() else { return };
    let smtpd = ns.serve("smtpd", &format!("mail {ADDRESSES}"));
    let text = "Subject: dots\r\n\r\n.\r\n..\r\n.hidden\r\n\r\n\u{e9} is 8 bit\r\n";
    std::fs::write(ns.dir().join("text"), text).unwrap();
    let to = "--mail-rcpt b@there.test --mail-rcpt c@there.test";
    for host in [STACK.to_owned(), format!("[{STACK_V6}]")] {
        let url = format!("smtp://{host}/here.test");
        ns.sh(20, &format!("curl -sS -g -m 10 {url} --mail-from a@here.test {to} -T text"));
    }
    let mails = mails(&ns);
    assert_eq!(mails.len(), 2);
    for (mail, client) in mails.iter().zip([KERNEL, KERNEL_V6]) {
        let (head, rest) = mail.split_once("Subject").unwrap();
        assert_eq!(format!("Subject{rest}"), text);
        let start = "Return-Path: <a@here.test>\r\nX-Envelope-To: <b@there.test>\r\n\
                     X-Envelope-To: <c@there.test>\r\nReceived: from here.test ([";
        assert!(head.starts_with(start) && head.contains(client), "{head}");
    }
    assert!(smtpd.interrupt().contains("smtpd: 2 mails (96 B) from 2 clients"), "the summary");
}

#[test]
fn pythons_smtplib_sends_many_and_is_refused_what_is_wrong() {
    let Some(ns) = Netns::new() else { return };
    if !have(&["python3"]) {
        return;
    }
    let _smtpd = ns.serve("smtpd", "mail --max-size 1MB");
    let script = format!(
        "import smtplib as s\n\
         c = s.SMTP('{STACK}', timeout=10, local_hostname='here.test')\n\
         c.ehlo()\n\
         print(sorted(c.esmtp_features))\n\
         for i in range(20):\n\
         \x20   c.sendmail('a@b', ['c@d'], 'Subject: %d\\n\\n%s' % (i, '.\\n' * 100))\n\
         def code(f, *a):\n\
         \x20   try: return f(*a)\n\
         \x20   except (s.SMTPResponseException) as e: return e.smtp_code\n\
         print(code(c.sendmail, 'a@b', ['c@d'], 'x\\n' * 600000))\n\
         print(code(c.sendmail, 'a@b', ['c@d'], 'x' * 999))\n\
         print(c.docmd('MAIL FROM:<a b>')[0], c.docmd('MAIL FROM:<a@b')[0])\n\
         print(c.docmd('RCPT TO:<a@b>')[0], c.docmd('DATA')[0], c.docmd('X' * 2000)[0])\n\
         print(c.sendmail('', ['c@d'] * 100, 'Subject: last\\n'), c.quit()[0])\n"
    );
    std::fs::write(ns.dir().join("send.py"), script).unwrap();
    let said = ns.sh(30, "python3 send.py");
    let features = "['8bitmime', 'pipelining', 'size']";
    assert_eq!(said, format!("{features}\n552\n554\n501 501\n503 503 500\n{{}} 221\n"));
    let mails = mails(&ns);
    assert_eq!(mails.len(), 21);
    for (number, mail) in mails[..20].iter().enumerate() {
        assert!(mail.ends_with(&format!("Subject: {number}\r\n\r\n{}", ".\r\n".repeat(100))));
    }
}

#[test]
fn commands_that_come_together_are_answered_together() {
    let Some(ns) = Netns::new() else { return };
    let _smtpd = ns.serve("smtpd", "mail --max-clients 1");
    let send = |lines: &str| {
        std::fs::write(ns.dir().join("lines"), lines).unwrap();
        let said = ns.sh(20, &format!("nc -N -w 5 {STACK} 25 <lines"));
        let last = said.lines().filter(|line| line.as_bytes()[3] == b' ');
        last.map(|line| &line[..3]).collect::<Vec<_>>().join(" ")
    };
    let mail = "MAIL FROM:<a@b> SIZE=3 BODY=8BITMIME\r\nRCPT TO:<c@d>\r\nDATA\r\n";
    assert_eq!(
        send(&format!("EHLO x\r\n{mail}one\r\n.\r\n{mail}two\r\n.\r\nNOOP\r\nQUIT\r\n")),
        "220 250 250 250 354 250 250 250 354 250 250 221"
    );
    // A mail within a mail, for servers that take an LF for the end of a line.
    let smuggled = format!("one\r\n\n.\r\n{mail}two\r\n.\r\nQUIT\r\n");
    assert_eq!(send(&format!("HELO x\r\n{mail}{smuggled}")), "220 250 250 250 354 554 221");
    assert_eq!(
        send(
            "MAIL FROM:<a@b>\r\nEHLO x\r\nMAIL FROM:<a@b> SIZE=99999999\r\nMAIL FROM:<a@b> X=1\r\n\
              MAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\nRSET\r\nDATA\r\nVRFY a\r\nTURN\r\nQUIT\r\n"
        ),
        "220 503 250 552 555 250 503 250 503 252 500 221"
    );
    // A client that leaves in the middle leaves nothing; the second one at a time is turned away.
    assert_eq!(send(&format!("EHLO x\r\n{mail}half")), "220 250 250 250 354");
    let second = format!(
        "nc -d {STACK} 25 >a & one=$!; until grep -q 220 a; do sleep 0.02; done; \
         nc -d -w 2 {STACK} 25; kill $one"
    );
    assert!(ns.sh(20, &second).starts_with("421 Too many clients"));
    assert_eq!(mails(&ns).len(), 2);
}
