//! Questions and answers on the wire (RFC 1035 §4). smoltcp's codec cuts messages into records;
//! names are read by `name.rs`, whose rules for pointers are stricter.

use core::net::IpAddr;

use smoltcp::wire::{
    DnsFlags, DnsOpcode, DnsPacket, DnsQueryType, DnsQuestion, DnsRcode, DnsRecord, DnsRecordData,
    DnsRepr,
};

use super::name::DomainName;
use super::{ADDRESSES_MAX, ALIASES_MAX, Family, RECORDS_MAX};

/// A question that was asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) id: u16,
    /// The name on the wire, with its letters in the case that was asked.
    pub(crate) name: Vec<u8>,
    pub(crate) family: Family,
}

/// What a message is to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not its answer.
    Other,
    /// Its answer but for the case of letters: from a server that changes it, or from a stranger.
    OtherCase,
    /// Its answer, which did not fit.
    Truncated,
    /// Its answer, of no use.
    Failed,
    Answer(Answer),
}

/// What a server says. Times to live in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Addresses {
        addresses: Vec<IpAddr>,
        ttl: u32,
    },
    /// It is another name's, whose addresses are not told.
    Alias {
        name: DomainName,
        ttl: u32,
    },
    /// There is no such name: for so long, if that is said (RFC 2308 §5).
    NoName {
        ttl: Option<u32>,
    },
    /// The name has no such address.
    NoData {
        ttl: Option<u32>,
    },
}

impl Question {
    fn type_(&self) -> DnsQueryType {
        match self.family {
            Family::V4 => DnsQueryType::A,
            Family::V6 => DnsQueryType::Aaaa,
        }
    }

    /// The message that asks it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let question = DnsQuestion { name: &self.name, type_: self.type_() };
        let repr = DnsRepr {
            transaction_id: self.id,
            opcode: DnsOpcode::Query,
            flags: DnsFlags::RECURSION_DESIRED,
            question,
        };
        let mut message = vec![0; repr.buffer_len()];
        repr.emit(&mut DnsPacket::new_unchecked(&mut message[..]));
        message
    }

    /// What `message` is to this question (RFC 5452 §9.1).
    pub(crate) fn judge(&self, message: &[u8]) -> Verdict {
        let Ok(packet) = DnsPacket::new_checked(message) else { return Verdict::Other };
        let is_ours = packet.transaction_id() == self.id
            && packet.flags().contains(DnsFlags::RESPONSE)
            && packet.opcode() == DnsOpcode::Query
            && packet.question_count() == 1;
        if !is_ours {
            return Verdict::Other;
        }
        let Ok((rest, asked)) = DnsQuestion::parse(packet.payload()) else { return Verdict::Other };
        if asked.type_ != self.type_() || !asked.name.eq_ignore_ascii_case(&self.name) {
            return Verdict::Other;
        }
        if asked.name != self.name {
            return Verdict::OtherCase;
        }
        if packet.flags().contains(DnsFlags::TRUNCATED) {
            return Verdict::Truncated;
        }
        let mut reader = Reader { message, at: message.len() - rest.len() };
        match packet.rcode() {
            DnsRcode::NoError | DnsRcode::NXDomain => {
                self.read(&packet, &mut reader).map_or(Verdict::Failed, Verdict::Answer)
            }
            _ => Verdict::Failed,
        }
    }

    fn read(&self, packet: &DnsPacket<&[u8]>, reader: &mut Reader<'_>) -> Option<Answer> {
        let mut records = Vec::new();
        let count = packet.answer_record_count();
        for _ in 0..count.min(RECORDS_MAX) {
            records.push(reader.record()?);
        }
        let mut name = DomainName::read(&self.name, 0)?;
        let mut ttl = u32::MAX;
        let mut aliases = 0;
        while let Some((target, its_ttl)) = alias(&records, &name) {
            (name, ttl, aliases) = (target, ttl.min(its_ttl), aliases + 1);
            if aliases > ALIASES_MAX {
                return None;
            }
        }
        let own = records.iter().filter(|record| record.owner == name);
        let found = own.filter_map(|record| match record.data {
            Data::Address(address) if self.family.has(address) => Some((address, record.ttl)),
            _ => None,
        });
        let found: Vec<(IpAddr, u32)> = found.take(ADDRESSES_MAX).collect();
        if !found.is_empty() {
            let ttl = found.iter().map(|(_, ttl)| *ttl).fold(ttl, u32::min);
            let addresses = found.into_iter().map(|(address, _)| address).collect();
            return Some(Answer::Addresses { addresses, ttl });
        }
        let is_missing = packet.rcode() == DnsRcode::NXDomain;
        let authorities = if count > RECORDS_MAX { 0 } else { packet.authority_record_count() };
        match reader.negative_ttl(authorities) {
            negative if is_missing => Some(Answer::NoName { ttl: negative }),
            // An alias alone is the way to go on, unless who knows says that it ends here.
            None if aliases > 0 => Some(Answer::Alias { name, ttl }),
            negative => Some(Answer::NoData { ttl: negative }),
        }
    }
}

struct Record {
    owner: DomainName,
    ttl: u32,
    data: Data,
}

enum Data {
    Address(IpAddr),
    Alias(DomainName),
    /// SOA's last field, MINIMUM.
    Authority(u32),
    Other,
}

fn alias(records: &[Record], name: &DomainName) -> Option<(DomainName, u32)> {
    records.iter().filter(|record| record.owner == *name).find_map(|record| match &record.data {
        Data::Alias(target) => Some((target.clone(), record.ttl)),
        _ => None,
    })
}

/// Goes through the records of a message.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn record(&mut self) -> Option<Record> {
        let bytes = self.message.get(self.at..)?;
        let (rest, record) = DnsRecord::parse(bytes).ok()?;
        let end = self.message.len() - rest.len();
        let owner = DomainName::read(self.message, self.at)?;
        let data = match record.data {
            DnsRecordData::A(address) => Data::Address(address.into()),
            DnsRecordData::Aaaa(address) => Data::Address(address.into()),
            DnsRecordData::Cname(data) => {
                Data::Alias(DomainName::read(self.message, end - data.len())?)
            }
            DnsRecordData::Other(DnsQueryType::Soa, data) => {
                Data::Authority(u32::from_be_bytes(*data.last_chunk()?))
            }
            DnsRecordData::Other(..) => Data::Other,
        };
        self.at = end;
        // RFC 2181 §8: what has the highest bit set is zero.
        let ttl = if record.ttl > i32::MAX as u32 { 0 } else { record.ttl };
        Some(Record { owner, ttl, data })
    }

    /// RFC 2308 §5: the smaller of SOA's TTL and its MINIMUM. Authority that cannot be read says
    /// nothing.
    fn negative_ttl(&mut self, count: u16) -> Option<u32> {
        (0..count.min(RECORDS_MAX)).find_map(|_| match self.record()? {
            Record { ttl, data: Data::Authority(minimum), .. } => Some(ttl.min(minimum)),
            _ => None,
        })
    }
}

/// Answers as a server would write them, for tests.
#[cfg(test)]
pub(crate) mod writing {
    use super::*;

    /// Flags and code of a sound answer.
    pub(crate) const SOUND: u16 = 0x8180;

    /// A record of an answer: its owner, type, TTL and data.
    pub(crate) type Line = (String, u16, u32, Vec<u8>);

    pub(crate) fn address(owner: &str, address: &str, ttl: u32) -> Line {
        match address.parse().unwrap() {
            IpAddr::V4(it) => (owner.into(), 1, ttl, it.octets().into()),
            IpAddr::V6(it) => (owner.into(), 28, ttl, it.octets().into()),
        }
    }

    pub(crate) fn cname(owner: &str, target: &str, ttl: u32) -> Line {
        let target: DomainName = target.parse().unwrap();
        (owner.into(), 5, ttl, target.wire().into())
    }

    pub(crate) fn soa(owner: &str, ttl: u32, minimum: u32) -> Line {
        let mut data = vec![0, 0];
        data.extend([0; 16]);
        data.extend(minimum.to_be_bytes());
        (owner.into(), 6, ttl, data)
    }

    /// The answer to the question in the message `asked`.
    pub(crate) fn answer(
        asked: &[u8],
        flags: u16,
        answers: &[Line],
        authority: &[Line],
    ) -> Vec<u8> {
        let mut out = asked.to_vec();
        out[2..4].copy_from_slice(&flags.to_be_bytes());
        out[6..8].copy_from_slice(&(answers.len() as u16).to_be_bytes());
        out[8..10].copy_from_slice(&(authority.len() as u16).to_be_bytes());
        for (owner, type_, ttl, data) in answers.iter().chain(authority) {
            out.extend(owner.parse::<DomainName>().unwrap().wire());
            out.extend(type_.to_be_bytes());
            out.extend([0, 1]);
            out.extend(ttl.to_be_bytes());
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(data);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::writing::*;
    use super::*;
    use proptest::prelude::*;

    fn question(family: Family) -> Question {
        let name = b"\x03wWw\x07eXample\x03coM\0".to_vec();
        Question { id: 0x1234, name, family }
    }

    #[test]
    fn rfc1035_4_1_a_question() {
        let message = question(Family::V6).encode();
        let expected = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03wWw\x07eXample\x03coM\0\0\x1c\0\x01";
        assert_eq!(message, expected);
    }

    #[test]
    fn addresses_and_the_aliases_that_lead_to_them() {
        let asked = question(Family::V4);
        let records = [
            address("web.example.net", "192.0.2.7", 60),
            cname("www.example.com", "Web.Example.net", 30),
            address("web.example.net", "2001:db8::7", 1),
            address("other.example.net", "192.0.2.66", 1),
            address("web.example.net", "192.0.2.8", 90),
        ];
        let answer = answer(&asked.encode(), SOUND, &records, &[]);
        let addresses = ["192.0.2.7", "192.0.2.8"].map(|text| text.parse().unwrap()).to_vec();
        let expected = Answer::Addresses { addresses, ttl: 30 };
        assert_eq!(asked.judge(&answer), Verdict::Answer(expected));
        for cut in 12..answer.len() {
            let verdict = asked.judge(&answer[..cut]);
            assert!(matches!(verdict, Verdict::Other | Verdict::Failed), "{cut}: {verdict:?}");
        }
    }

    #[test]
    fn rfc2308_what_is_not_there_and_for_how_long() {
        let asked = question(Family::V4);
        let says = |flags, answers: &[_], authority: &[_]| {
            asked.judge(&answer(&asked.encode(), flags, answers, authority))
        };
        let soa = [soa("example.com", 100, 50)];
        let no_name = Answer::NoName { ttl: Some(50) };
        assert_eq!(says(SOUND | 3, &[], &soa), Verdict::Answer(no_name));
        assert_eq!(says(SOUND, &[], &[]), Verdict::Answer(Answer::NoData { ttl: None }));
        let alias = [cname("www.example.com", "a.example", 9)];
        let name = "a.example".parse().unwrap();
        assert_eq!(says(SOUND, &alias, &[]), Verdict::Answer(Answer::Alias { name, ttl: 9 }));
        assert_eq!(
            says(SOUND, &alias, &soa),
            Verdict::Answer(Answer::NoData { ttl: Some(50) }),
            "RFC 2308 §2.2: the alias has none"
        );
        for code in [1, 2, 4, 5, 6, 15] {
            assert_eq!(says(SOUND | code, &[], &soa), Verdict::Failed);
        }
    }

    #[test]
    fn d3_counts_and_lengths_that_lie() {
        let asked = question(Family::V4);
        let whole = answer(&asked.encode(), SOUND, &[address("a.b", "192.0.2.1", 1)], &[]);
        for count in 2..=u16::MAX {
            let mut lie = whole.clone();
            lie[6..8].copy_from_slice(&count.to_be_bytes());
            assert_eq!(asked.judge(&lie), Verdict::Failed);
        }
        let at = whole.len() - 6;
        for length in (0..=u16::MAX).filter(|length| *length != 4) {
            let mut lie = whole.clone();
            lie[at..at + 2].copy_from_slice(&length.to_be_bytes());
            assert_eq!(asked.judge(&lie), Verdict::Failed, "{length}");
        }
        let circle = [cname("www.example.com", "a.b", 1), cname("a.b", "www.example.com", 1)];
        assert_eq!(asked.judge(&answer(&asked.encode(), SOUND, &circle, &[])), Verdict::Failed);
        let many: Vec<_> = (0..500)
            .map(|i| address("www.example.com", &format!("192.0.2.{}", i % 250), 1))
            .collect();
        let verdict = asked.judge(&answer(&asked.encode(), SOUND, &many, &[]));
        let Verdict::Answer(Answer::Addresses { addresses, .. }) = verdict else { panic!() };
        assert_eq!(addresses.len(), ADDRESSES_MAX);
    }

    #[test]
    fn only_the_answer_to_the_question_is_one() {
        let asked = question(Family::V4);
        let right = answer(&asked.encode(), SOUND, &[], &[]);
        let changed = |at: usize, byte: u8| {
            let mut message = right.clone();
            message[at] = byte;
            asked.judge(&message)
        };
        for (at, byte) in [(0, 0x13), (1, 0x35), (2, 0x01), (2, 0x89), (5, 0), (5, 2), (4, 1)] {
            assert_eq!(changed(at, byte), Verdict::Other, "{at}");
        }
        assert_eq!(changed(14, b'x'), Verdict::Other, "another name");
        let end = right.len();
        assert_eq!(changed(end - 3, 28), Verdict::Other, "another type");
        assert_eq!(changed(end - 1, 3), Verdict::Other, "another class");
        assert_eq!(changed(13, b'W'), Verdict::OtherCase);
        assert_eq!(changed(2, 0x83), Verdict::Truncated);
    }

    proptest! {
        #[test]
        fn d3_no_message_does_harm(bytes: Vec<u8>, counts: [u8; 8], random: bool) {
            let asked = question(Family::V4);
            let mut message = asked.encode();
            message[2] = 0x80;
            message[4..12].copy_from_slice(&counts);
            message[4..6].copy_from_slice(&[0, 1]);
            message.extend(&bytes);
            let _ = asked.judge(if random { &bytes } else { &message });
        }
    }
}
