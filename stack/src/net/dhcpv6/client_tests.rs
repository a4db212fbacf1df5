//! A server's answers, by hand.

use super::NetworkInformation;
use super::client::Client;
use crate::random::{Random, Secret, Seed};
use crate::time::Instant;
use crate::wire::address::Mac;
use core::time::Duration;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn client() -> Client {
    let random = Random::from_secret(Secret::derive(&Seed::from_number(1), "test"));
    Client::new(Instant::ZERO, MAC, random)
}

/// The next question, and when it comes.
fn next(client: &mut Client) -> (Instant, Vec<u8>) {
    let now = client.next_timeout();
    (now, client.advance(now).unwrap())
}

fn option(kind: u8, data: &[u8]) -> Vec<u8> {
    [&[0, kind, 0, data.len() as u8][..], data].concat()
}

const DUID: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 1];

/// A reply to `question` with the server's name and these options.
fn reply_to_nobody(question: &[u8], options: &[Vec<u8>]) -> Vec<u8> {
    [&[7], &question[1..4], &option(2, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 9]), &options.concat()].concat()
}

/// The same with the name of who asked behind the server's.
fn reply(question: &[u8], options: &[Vec<u8>]) -> Vec<u8> {
    reply_to_nobody(question, &[&[option(1, &DUID)], options].concat())
}

fn server() -> Vec<u8> {
    let mut octets = [0; 16];
    (octets[0], octets[1], octets[15]) = (0xfd, 1, 53);
    option(23, &octets)
}

fn known() -> NetworkInformation {
    NetworkInformation {
        dns: vec!["fd01::35".parse().unwrap()],
        search: ["a.example", "b"].map(|name| name.parse().unwrap()).into(),
    }
}

#[test]
fn rfc8415_18_2_6_the_question() {
    let (_, question) = next(&mut client());
    assert_eq!(question[0], 11);
    let wanted =
        [option(1, &DUID), option(6, &[0, 23, 0, 24, 0, 32, 0, 83]), option(8, &[0, 0])].concat();
    assert_eq!(question[4..], wanted);
}

#[test]
fn rfc8415_15_questions_are_repeated_ever_less_often() {
    let mut client = client();
    let (mut before, first) = next(&mut client);
    assert!(before <= Instant::from_secs(1), "INF_MAX_DELAY");
    let mut expected = 1.0_f64;
    for n in 1..20 {
        let (at, again) = next(&mut client);
        let gap = (at - before).as_secs_f64();
        assert!((0.9 * expected..=1.1 * expected).contains(&gap), "{gap}, about {expected}");
        assert_eq!(again[..4], first[..4], "the same transaction");
        let elapsed = u16::from_be_bytes([again[again.len() - 2], again[again.len() - 1]]);
        assert!(elapsed > 0 && (n < 12 || elapsed == u16::MAX));
        (before, expected) = (at, (2.0 * gap).min(3600.0));
    }
}

#[test]
fn rfc8415_21_23_what_was_learnt_is_asked_for_again() {
    let search = option(24, b"\x01a\x07example\x00\x01b\x00");
    let day = 86_400;
    for (told, later) in [(None, day), (Some(7_200_u32), 7_200), (Some(5), 600)] {
        let mut client = client();
        let (now, question) = next(&mut client);
        let refresh = told.map(|told| option(32, &told.to_be_bytes())).unwrap_or_default();
        let bytes = reply(&question, &[server(), search.clone(), refresh]);
        assert_eq!(client.on_message(now, &bytes), Some(known()));
        assert_eq!(client.on_message(now, &bytes), None, "an answer is one");
        let (again, another) = next(&mut client);
        let pause = again - now - Duration::from_secs(later);
        assert!(pause <= Duration::from_secs(1), "{pause:?} after {later} s");
        assert_ne!(question[1..4], another[1..4]);
    }
    let mut client = client();
    let (now, question) = next(&mut client);
    let never = option(32, &u32::MAX.to_be_bytes());
    assert!(client.on_message(now, &reply(&question, &[never])).is_some());
    assert!(client.next_timeout().is_never());
}

#[test]
fn rfc8415_21_25_a_server_says_how_often_it_may_be_asked() {
    for (told, longest) in [(59_u32, 3600.0), (60, 60.0), (86_401, 3600.0)] {
        let mut client = client();
        let (now, question) = next(&mut client);
        let word = option(83, &told.to_be_bytes());
        assert!(client.on_message(now, &reply(&question, &[word])).is_some());
        let times: Vec<Instant> = (0..16).map(|_| next(&mut client).0).collect();
        let gap = (times[15] - times[14]).as_secs_f64();
        assert!((0.9 * longest..=1.1 * longest).contains(&gap), "{told}: {gap}");
    }
}

#[test]
fn rfc8415_16_10_what_is_no_answer() {
    let mut client = client();
    let (now, question) = next(&mut client);
    let good = reply(&question, &[server()]);
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes
    };
    let bad = [
        with(|bytes| bytes[0] = 2),
        with(|bytes| bytes[3] ^= 1),
        with(|bytes| bytes.truncate(bytes.len() - 1)),
        with(|bytes| bytes.push(0)),
        // Without the server's name.
        with(|bytes| drop(bytes.drain(4..18))),
        // Without our name, and with another's.
        reply_to_nobody(&question, &[server()]),
        reply_to_nobody(&question, &[option(1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 2]), server()]),
        reply(&question, &[option(1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 2])]),
        reply(&question, &[option(13, &[0, 1])]),
        reply(&question, &[option(13, &[])]),
    ];
    for bytes in &bad {
        assert_eq!(client.on_message(now, bytes), None, "{bytes:?}");
    }
    // Cut between two options it is another answer.
    for len in (0..good.len()).filter(|len| ![18, 32].contains(len)) {
        assert_eq!(client.on_message(now, &good[..len]), None);
    }
    // Nothing of it has ended the question.
    let dns = known().dns;
    let plain = NetworkInformation { dns, search: Vec::new() };
    assert_eq!(client.on_message(now, &good), Some(plain));
}

#[test]
fn d5_lists_of_any_length_are_read_to_their_limits() {
    let mut client = client();
    let (now, question) = next(&mut client);
    let many = option(23, &[0x20; 16 * 15]);
    let names = option(24, &b"\x01a\x00".repeat(80));
    let heard = client.on_message(now, &reply(&question, &[many, names])).unwrap();
    assert_eq!((heard.dns.len(), heard.search.len()), (8, 8));
}
