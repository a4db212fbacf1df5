//! One connection, from the side of one host: what it may send depends on what it was given.
//!
//! Numbers are unwrapped: offset 0 is the SYN, offset 1 the first byte of text. The referee knows
//! what was delivered to the host and not what the host made of it, so every bound is the loosest
//! that a correct host can need.

use super::frame::Tcp;
use super::{Foul, rule};
use crate::intervals::Intervals;
use std::collections::{BTreeSet, VecDeque};

/// Initial window: ten segments (RFC 6928).
const INITIAL_SEGMENTS: u64 = 10;

/// Segments remembered for a connection that the host has yet to answer.
const EARLY_MAX: usize = 64;

/// SYNs remembered.
const OFFERS_MAX: usize = 8;

#[derive(Clone, Default)]
pub(super) struct Flow {
    /// The host answers SYNs with cookies. One of them may begin several connections, and several
    /// one connection: where that may be, nobody is judged.
    cookies: bool,
    spared: bool,
    /// A reset has been seen in either direction.
    reset: bool,
    /// Segments given, what they acknowledged, and resets sent.
    heard: u64,
    acks: BTreeSet<u32>,
    resets: u64,
    /// A SYN came since the host last sent one: it may have begun the handshake anew, with numbers
    /// of which nothing has come to the wire.
    reopened: bool,
    /// Text that a router had marked was given to the host.
    marked: bool,
    out: Option<Outgoing>,
    /// The other side's initial sequence number, once the host has acknowledged it.
    incoming: Option<Incoming>,
    /// What arrived last: sequence number, length.
    early: VecDeque<(u32, u64)>,
    /// The last SYNs that arrived, with their numbers.
    offers: VecDeque<(u32, Offer)>,
    /// The SYN that this connection goes by.
    agreed: Option<Offer>,
    /// What had been heard when a SYN-ACK left that had waited for the neighbour's address.
    waited: Option<u64>,
}

/// What a SYN said.
#[derive(Clone, Copy, Default, PartialEq)]
struct Offer {
    mss: Option<u16>,
    scale: Option<u8>,
    window: u32,
    timestamps: bool,
    sack: bool,
    /// It asks for ECN, or agrees (RFC 3168 §6.1.1).
    ecn: bool,
    /// Octets of text that came along.
    text: u32,
    /// It acknowledges a SYN.
    answers: bool,
}

impl Offer {
    fn of(tcp: &Tcp<'_>) -> Offer {
        Offer {
            mss: tcp.options.mss,
            scale: tcp.options.window_scale,
            window: tcp.window,
            timestamps: tcp.options.timestamps.is_some(),
            sack: tcp.options.sack_permitted,
            ecn: tcp.ece && tcp.cwr == tcp.ack.is_none(),
            text: tcp.text.len() as u32,
            answers: tcp.ack.is_some(),
        }
    }
}

/// The host's own direction.
#[derive(Clone)]
struct Outgoing {
    iss: u32,
    own: Offer,
    /// One past the highest offset sent.
    sent: u64,
    /// The highest acknowledgment given to the host.
    acked: u64,
    /// The highest right edge given to the host, if its window has been heard at all.
    edge: Option<u64>,
    /// Offset of the FIN.
    fin: Option<u64>,
    /// Text from `acked` on, to compare retransmissions with. None: it never came to the wire.
    text: VecDeque<Option<u8>>,
    text_from: u64,
    /// The host has heard something since it sent its first text.
    answered: bool,
    last_timestamp: Option<u32>,
    /// A SYN of the host's has asked or agreed to ECN; one has not.
    ecn: bool,
    plain: bool,
}

/// The other side's direction.
#[derive(Clone)]
struct Incoming {
    irs: u32,
    given: Intervals,
    /// The highest acknowledgment sent.
    acked: u64,
    /// The highest right edge sent.
    edge: u64,
    last_timestamp: Option<u32>,
}

/// The offset of `number` that is nearest to `near`.
fn unwrap(number: u32, initial: u32, near: u64) -> Option<u64> {
    let field = number.wrapping_sub(initial);
    let distance = i64::from(field.wrapping_sub(near as u32) as i32);
    near.checked_add_signed(distance)
}

impl Flow {
    pub(super) fn new(cookies: bool) -> Flow {
        Flow { cookies, ..Flow::default() }
    }

    pub(super) fn received(&mut self, tcp: &Tcp<'_>) {
        self.heard += 1;
        self.acks.extend(tcp.ack);
        // A SYN-ACK counts when it answers the host's SYN.
        let answers = |ack: u32| {
            let acked = |out: &Outgoing| u64::from(ack.wrapping_sub(out.iss));
            self.out.as_ref().is_some_and(|out| (1..=out.sent).contains(&acked(out)))
        };
        if tcp.syn && !tcp.rst && tcp.ack.is_none_or(answers) {
            self.hears_offer((tcp.seq, Offer::of(tcp)));
            self.reopened |= tcp.ack.is_none();
        }
        self.reset |= tcp.rst;
        self.marked |= tcp.ecn == 3 && !tcp.text.is_empty();
        let offer = self.offer();
        if let (Some(out), Some(ack)) = (&mut self.out, tcp.ack) {
            out.heard(ack, tcp, offer);
        }
        if let Some(incoming) = &mut self.incoming {
            incoming.heard(tcp.seq, tcp.len(), tcp.options.timestamps);
        }
        if self.early.len() == EARLY_MAX {
            self.early.pop_front();
        }
        self.early.push_back((tcp.seq, tcp.len()));
    }

    /// Copies of the last SYN do not push out the first, by which a client goes.
    fn hears_offer(&mut self, offer: (u32, Offer)) {
        if self.offers.back() == Some(&offer) {
            return;
        }
        if self.offers.len() == OFFERS_MAX {
            self.offers.pop_front();
        }
        self.offers.push_back(offer);
    }

    fn offer(&self) -> Option<Offer> {
        self.agreed.or(self.offers.back().map(|(_, offer)| *offer))
    }

    pub(super) fn sent(&mut self, tcp: &Tcp<'_>, clock_leaps: bool) -> Result<(), Foul> {
        if tcp.rst {
            // A reset may answer a stranger: it says nothing about the connection here.
            self.reset = true;
            return self.resets(tcp);
        }
        let other = self.out.as_ref().is_some_and(|out| tcp.syn && out.iss != tcp.seq);
        self.spared |= self.cookies && (other || self.is_over() || self.begins_again(tcp));
        if self.spared {
            return Ok(());
        }
        if tcp.syn {
            self.opened(tcp);
            self.reopened = false;
        }
        if let Some(ack) = tcp.ack
            && self.incoming.is_none()
        {
            self.agrees(ack, tcp.syn);
        }
        if tcp.syn {
            self.waited = self.has_waited(tcp).then_some(self.heard);
        }
        let waited = self.waited == Some(self.heard);
        let (own, offer) = (self.out.as_ref().map(|out| out.own), self.offer());
        let Some(out) = &mut self.out else {
            // A TIME-WAIT or a challenge that outlived what the referee knows: bare ACKs only.
            return rule(tcp.len() == 0, || "text on a connection that was never opened".into());
        };
        // A cookie's timestamp holds what a SYN offered, and the next SYN may offer less.
        if clock_leaps || self.cookies && tcp.syn {
            out.last_timestamp = None;
        }
        if self.reopened && tcp.len() == 0 && !out.knows(tcp.seq) {
            return Ok(());
        }
        // Who answers with cookies forgets what he has answered: timestamps are agreed on where the
        // ACK of the handshake has one.
        let mut known = offer;
        if !self.cookies {
            out.uses_ecn(tcp, waited || offer.is_some_and(|offer| offer.ecn), self.marked)?;
        } else if let Some(known) = &mut known {
            known.timestamps &= tcp.options.timestamps.is_some();
        }
        out.sends(tcp, known)?;
        match (tcp.ack, own, &mut self.incoming) {
            (Some(ack), Some(own), Some(incoming)) => {
                let offer = offer.unwrap_or_default();
                // A cookie that came back with the handshake's ACK has begun what had ended unseen.
                let is_first = self.cookies && tcp.seq == out.iss.wrapping_add(1);
                if is_first && incoming.goes_back(tcp, ack, own, offer) {
                    self.spared = true;
                    return Ok(());
                }
                incoming.acks(tcp, ack, own, offer)
            }
            _ => Ok(()),
        }
    }

    /// G7: one answer at the most to what a stranger says, with a number that he expects; and two
    /// words of the host's own to end what it has opened, in the place where its stream is.
    fn resets(&mut self, tcp: &Tcp<'_>) -> Result<(), Foul> {
        self.resets += 1;
        let own = if self.out.is_some() { 2 } else { 0 };
        rule(self.resets <= self.heard + own, || "a reset that nobody asked for".into())?;
        let answers = match tcp.ack {
            Some(_) => tcp.seq == 0,
            None => self.acks.contains(&tcp.seq),
        };
        let in_place = self.out.as_ref().is_none_or(|out| out.may_reset(tcp.seq));
        rule(answers || in_place || self.spared, || format!("a reset at {}", tcp.seq))
    }

    /// Its segments are no longer judged.
    pub(super) fn is_spared(&self) -> bool {
        self.spared
    }

    /// A SYN-ACK agrees to ECN though the last SYN does not ask for it: it answers one before, and
    /// waited for the neighbour's address while the last came. Text behind it that had waited, too,
    /// is as it was formed (RFC 3168 §6.1.1 says what to set, and not what to take back), until
    /// something is heard.
    fn has_waited(&self, tcp: &Tcp<'_>) -> bool {
        let answered = |(seq, asks): &(u32, Offer)| {
            let acked = tcp.ack.map_or(0, |ack| ack.wrapping_sub(*seq));
            asks.ecn && !asks.answers && (1..=1 + asks.text).contains(&acked)
        };
        let last_is_plain = self.agreed.is_some_and(|offer| !offer.ecn);
        last_is_plain && Offer::of(tcp).ecn && self.offers.iter().any(answered)
    }

    /// It may have ended.
    fn is_over(&self) -> bool {
        self.reset || self.out.as_ref().is_some_and(|out| out.fin.is_some())
    }

    /// A SYN-ACK for less than the host has acknowledged: if it is no fault, the connection has
    /// ended and begins again. With the same number as before within a tick of the clock that gives
    /// initial numbers (RFC 9293 §3.4.1), or from a cookie for the same SYN.
    fn begins_again(&self, tcp: &Tcp<'_>) -> bool {
        let is_less = |incoming: &Incoming| {
            let acked = tcp.ack.and_then(|ack| unwrap(ack, incoming.irs, incoming.acked));
            acked.is_some_and(|acked| acked < incoming.acked)
        };
        tcp.syn && self.incoming.as_ref().is_some_and(is_less)
    }

    /// The host acknowledges a SYN. Of several that can be meant, a listener answers the last, the
    /// text that came along left out or taken too; a SYN of the host's own meets the first, and
    /// text that came after it may be acknowledged with it.
    fn agrees(&mut self, ack: u32, answers: bool) {
        let within = |(seq, _): &(u32, Offer), most| (1..=most).contains(&ack.wrapping_sub(*seq));
        let mut offers = self.offers.iter();
        let offer = if answers {
            let alone = offers.clone().rev().find(|syn| within(syn, 1));
            alone.or_else(|| offers.rev().find(|syn| within(syn, 1 + syn.1.text)))
        } else {
            offers.find(|syn| within(syn, 0xffff))
        };
        let irs = offer.map_or(ack.wrapping_sub(1), |(seq, _)| *seq);
        self.agreed = offer.map(|(_, offer)| *offer);
        // The SYN itself may have come so long ago that it is no longer among what came last.
        let syn = offer.map(|(seq, _)| (*seq, 1));
        self.incoming = Some(Incoming::new(irs, self.early.iter().copied().chain(syn)));
    }

    /// The host sends a SYN: the same one again, or a new life of these two ports.
    fn opened(&mut self, tcp: &Tcp<'_>) {
        let again = self.out.as_ref().is_some_and(|out| out.iss == tcp.seq)
            && !(self.reset && self.begins_again(tcp));
        let other = |incoming: &Incoming| tcp.ack != Some(incoming.irs.wrapping_add(1));
        if !again {
            self.agreed = None;
            if tcp.ack.is_none() {
                // What came before belongs to an earlier life of these two ports, but for a SYN
                // that this one met while it waited for the neighbour's address.
                let asks = |(_, offer): &&(u32, Offer)| !offer.answers;
                let met = self.offers.iter().rev().find(asks).copied().filter(|_| self.reopened);
                self.offers.clear();
                self.early.retain(|(seq, _)| met.as_ref().is_some_and(|(syn, _)| seq == syn));
                self.offers.extend(met);
            }
            self.out = Some(Outgoing::new(tcp, self.offer().filter(|_| tcp.ack.is_some())));
        }
        if let Some(out) = &mut self.out {
            let offers = Offer::of(tcp).ecn;
            (out.ecn, out.plain) = (out.ecn || offers, out.plain || !offers);
        }
        if !again || self.incoming.as_ref().is_some_and(other) {
            self.incoming = None;
        }
    }
}

impl Outgoing {
    fn new(tcp: &Tcp<'_>, offer: Option<Offer>) -> Outgoing {
        Outgoing {
            iss: tcp.seq,
            own: Offer::of(tcp),
            sent: 0,
            acked: 0,
            edge: offer.map(|offer| 1 + u64::from(offer.window)),
            fin: None,
            text: VecDeque::new(),
            text_from: 1,
            answered: false,
            last_timestamp: None,
            ecn: false,
            plain: false,
        }
    }

    /// The number is of this stream, as far as it has been sent.
    fn knows(&self, seq: u32) -> bool {
        u64::from(seq.wrapping_sub(self.iss)) <= self.sent
    }

    /// The number is of this stream. The host need not have believed every acknowledgment, and not
    /// all that it has sent need have come to the wire.
    fn may_reset(&self, seq: u32) -> bool {
        let most = self.edge.map_or(self.sent, |edge| edge.max(self.sent)) + 1;
        u64::from(seq.wrapping_sub(self.iss)) <= most
    }

    /// The host is given an acknowledgment and a window.
    fn heard(&mut self, ack: u32, tcp: &Tcp<'_>, offer: Option<Offer>) {
        let Some(acked) = unwrap(ack, self.iss, self.acked).filter(|acked| *acked <= self.sent)
        else {
            return;
        };
        self.answered |= self.sent > 1;
        let offer = offer.unwrap_or_default();
        let shift = match (tcp.syn, self.own.scale, offer.scale) {
            (false, Some(_), Some(shift)) => shift.min(14),
            _ => 0,
        };
        let edge = acked + (u64::from(tcp.window) << shift);
        self.edge = Some(self.edge.map_or(edge, |known| known.max(edge)));
        if acked > self.acked {
            self.acked = acked;
            let done = acked.saturating_sub(self.text_from).min(self.text.len() as u64);
            self.text.drain(..done as usize);
            self.text_from += done;
        }
    }

    fn sends(&mut self, tcp: &Tcp<'_>, offer: Option<Offer>) -> Result<(), Foul> {
        let first = unwrap(tcp.seq, self.iss, self.sent)
            .ok_or_else(|| Foul(format!("sequence number {} before the SYN", tcp.seq)))?;
        let end = first + tcp.len();
        rule(tcp.syn == (first == 0 && tcp.len() > 0), || "a SYN out of place".into())?;
        if let Some(edge) = self.edge.filter(|_| !tcp.syn) {
            // A probe of a closed window may hold one byte (RFC 9293 §3.8.6.1).
            let probe = u64::from(tcp.text.len() == 1);
            let past_fin = u64::from(tcp.fin);
            // A gap may be what a neighbour's queue had no room for, but not beyond the window.
            let bound =
                if tcp.len() > 0 { edge + probe + past_fin } else { edge.max(self.sent) + 1 };
            rule(end <= bound, || format!("sends up to {end}, the window ends at {edge}"))?;
        }
        self.keeps_the_stream(tcp, first + u64::from(tcp.syn), end)?;
        // An MSS of zero says nothing (THREATS R-8).
        let said = offer.and_then(|offer| offer.mss).filter(|&mss| mss != 0);
        let default = if tcp.source.is_ipv4() { 536 } else { 1220 };
        let mss = u64::from(said.unwrap_or(default).max(88));
        rule(tcp.text.len() as u64 <= mss || tcp.syn, || {
            format!("{} bytes of text, MSS {mss}", tcp.text.len())
        })?;
        if !self.answered && !tcp.text.is_empty() {
            // One more as a tail loss probe, whatever the window says (RFC 8985 §7.3). Or two for
            // the handshake's last acknowledgment come twice, while the first text waits for the
            // address of a neighbour, unseen (RFC 3042).
            rule(end - 1 <= (INITIAL_SEGMENTS + 2) * mss + 1, || format!("{end} bytes at once"))?;
        }
        self.stamps(tcp, offer)?;
        self.sent = self.sent.max(end);
        Ok(())
    }

    /// ECN by agreement only; what was sent before is not ECT (RFC 3168 §6.1.1, §6.1.5).
    fn uses_ecn(&self, tcp: &Tcp<'_>, asked: bool, marked: bool) -> Result<(), Foul> {
        if tcp.syn {
            return Ok(());
        }
        let agreed = self.ecn && asked;
        rule(!tcp.ece || (agreed && marked), || "ECE for nothing".into())?;
        rule(!tcp.cwr || (agreed && !tcp.text.is_empty()), || "CWR out of place".into())?;
        if tcp.ecn == 0 {
            return Ok(());
        }
        rule(agreed && !self.plain, || "ECT without agreement".into())?;
        let first = unwrap(tcp.seq, self.iss, self.sent);
        rule(first.is_none_or(|first| first >= self.sent), || "ECT on old text".into())
    }

    /// A byte that was sent keeps its place and its value, and nothing follows a FIN.
    fn keeps_the_stream(&mut self, tcp: &Tcp<'_>, first: u64, end: u64) -> Result<(), Foul> {
        let held = (first + tcp.text.len() as u64).saturating_sub(self.text_from) as usize;
        if held > self.text.len() {
            self.text.resize(held, None);
        }
        for (place, &byte) in (first..).zip(tcp.text) {
            let Some(at) = place.checked_sub(self.text_from) else { continue };
            let before = *self.text[at as usize].get_or_insert(byte);
            rule(before == byte, || format!("byte {place} has changed"))?;
        }
        if tcp.fin {
            let fin = *self.fin.get_or_insert(end - 1);
            rule(fin == end - 1, || format!("FIN at {fin}, then at {}", end - 1))?;
        }
        rule(self.fin.is_none_or(|fin| end <= fin + 1), || "text after the FIN".into())
    }

    /// Timestamps in every segment or in none (RFC 7323 §3.2), and never backwards.
    fn stamps(&mut self, tcp: &Tcp<'_>, offer: Option<Offer>) -> Result<(), Foul> {
        let agreed = self.own.timestamps && offer.is_some_and(|offer| offer.timestamps);
        let stamp = tcp.options.timestamps;
        if !tcp.syn {
            rule(stamp.is_some() == agreed, || format!("timestamps {stamp:?}, agreed {agreed}"))?;
        }
        if let Some((val, _)) = stamp {
            let back = |last: u32| (val.wrapping_sub(last) as i32) < 0;
            rule(!self.last_timestamp.is_some_and(back), || format!("TSval goes back to {val}"))?;
            self.last_timestamp = Some(val);
        }
        Ok(())
    }
}

impl Incoming {
    fn new(irs: u32, early: impl Iterator<Item = (u32, u64)>) -> Incoming {
        let mut incoming =
            Incoming { irs, given: Intervals::default(), acked: 0, edge: 0, last_timestamp: None };
        for (seq, len) in early {
            incoming.heard(seq, len, None);
        }
        incoming
    }

    fn heard(&mut self, seq: u32, len: u64, stamps: Option<(u32, u32)>) {
        // A segment may begin before the SYN and still hold something new.
        let before = (0..len.min(0xffff))
            .find(|skip| unwrap(seq.wrapping_add(*skip as u32), self.irs, self.acked).is_some());
        if let Some(skip) = before
            && let Some(first) = unwrap(seq.wrapping_add(skip as u32), self.irs, self.acked)
        {
            self.given.insert(first, first + len - skip);
        }
        if let Some((val, _)) = stamps {
            let newer = |last: u32| (val.wrapping_sub(last) as i32) > 0;
            if self.last_timestamp.is_none_or(newer) {
                self.last_timestamp = Some(val);
            }
        }
    }

    /// It acknowledges less than before, or takes the window back.
    fn goes_back(&self, tcp: &Tcp<'_>, ack: u32, own: Offer, offer: Offer) -> bool {
        unwrap(ack, self.irs, self.acked).is_some_and(|acked| {
            let (edge, unit) = edge_of(tcp, acked, own, offer);
            acked < self.acked || edge + unit <= self.edge
        })
    }

    fn acks(&mut self, tcp: &Tcp<'_>, ack: u32, own: Offer, offer: Offer) -> Result<(), Foul> {
        let acked = unwrap(ack, self.irs, self.acked)
            .ok_or_else(|| Foul(format!("acknowledgment {ack} before the SYN")))?;
        rule(acked >= self.acked, || format!("acknowledges {acked} after {}", self.acked))?;
        let given = self.given.end_of_run(0);
        rule(acked <= given, || format!("acknowledges {acked}, was given {given}"))?;
        self.acked = acked;
        // Rounding down to the scale's unit is no retraction (RFC 7323 §2.4), nor is a SYN that
        // comes again and cannot say more than 64 KiB (§2.2).
        let (edge, unit) = edge_of(tcp, acked, own, offer);
        rule(tcp.syn || edge + unit > self.edge, || {
            format!("takes the window back from {} to {edge}", self.edge)
        })?;
        self.edge = self.edge.max(edge);
        self.reports(tcp, acked, own.sack && offer.sack)
    }

    /// SACK blocks name what was given to the host (RFC 2018 §4), and are sent only by agreement.
    fn reports(&self, tcp: &Tcp<'_>, acked: u64, agreed: bool) -> Result<(), Foul> {
        let blocks = &tcp.options.sack;
        rule(blocks.is_empty() || agreed, || "SACK without agreement".into())?;
        for (i, (left, right)) in blocks.iter().enumerate() {
            let ends = [*left, *right].map(|number| unwrap(number, self.irs, acked));
            let [Some(left), Some(right)] = ends else {
                return Err(Foul(format!("SACK block {left}:{right} before the SYN")));
            };
            rule(left < right, || format!("SACK block {left}:{right}"))?;
            rule(self.given.covers(left, right), || format!("SACK {left}:{right} not given"))?;
            // Only the first may be a duplicate's (RFC 2883 §4).
            rule(i == 0 || left > acked, || format!("SACK {left}:{right} below {acked}"))?;
        }
        Ok(())
    }
}

/// Where the window ends that a segment announces, and the unit in which it is told.
fn edge_of(tcp: &Tcp<'_>, acked: u64, own: Offer, offer: Offer) -> (u64, u64) {
    let shift = match (tcp.syn, own.scale, offer.scale) {
        (false, Some(shift), Some(_)) => shift.min(14),
        _ => 0,
    };
    (acked + (u64::from(tcp.window) << shift), 1 << shift)
}
