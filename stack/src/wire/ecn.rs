//! The two bits of an IP header that routers mark instead of dropping (RFC 3168 §5).

/// A packet's ECN codepoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Codepoint {
    /// The transport does not know ECN.
    #[default]
    NotEct,
    Ect1,
    Ect0,
    /// Congestion experienced.
    Ce,
}

impl Codepoint {
    /// From the octet that once was the type of service.
    pub(crate) const fn of_tos(tos: u8) -> Codepoint {
        match tos & 0b11 {
            0 => Codepoint::NotEct,
            1 => Codepoint::Ect1,
            2 => Codepoint::Ect0,
            _ => Codepoint::Ce,
        }
    }

    /// Of an IP header. IPv6 has the octet after four bits of version (RFC 8200 §3).
    pub(crate) fn of_header(header: &[u8]) -> Codepoint {
        match *header {
            [first, second, ..] if first >> 4 == 6 => Codepoint::of_tos(second >> 4),
            [_, tos, ..] => Codepoint::of_tos(tos),
            _ => Codepoint::NotEct,
        }
    }

    /// The bits.
    pub(crate) const fn bits(self) -> u8 {
        self as u8
    }
}

/// The codepoints of a datagram's fragments (§5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(u8);

impl Seen {
    pub(crate) fn add(&mut self, codepoint: Codepoint) {
        self.0 |= 1 << codepoint.bits();
    }

    /// The datagram's: CE if one has it. None for a mixture that no honest path makes, of those who
    /// know ECN and those who do not: as Linux, the datagram is dropped.
    pub(crate) fn combined(self) -> Option<Codepoint> {
        let has = |codepoint: Codepoint| self.0 & 1 << codepoint.bits() != 0;
        let ect = has(Codepoint::Ect0) || has(Codepoint::Ect1);
        match (has(Codepoint::NotEct), has(Codepoint::Ce)) {
            (true, ce) => (!ce && !ect).then_some(Codepoint::NotEct),
            (false, true) => Some(Codepoint::Ce),
            (false, false) if has(Codepoint::Ect0) => Some(Codepoint::Ect0),
            (false, false) => Some(Codepoint::Ect1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3168_section_5_3_fragments_combine() {
        use Codepoint::{Ce, Ect0, Ect1, NotEct};
        for (fragments, whole) in [
            (&[NotEct, NotEct][..], Some(NotEct)),
            (&[Ect0, Ect0], Some(Ect0)),
            (&[Ect1], Some(Ect1)),
            (&[Ect0, Ce, Ect0], Some(Ce)),
            (&[Ect1, Ce], Some(Ce)),
            (&[Ce], Some(Ce)),
            (&[NotEct, Ce], None),
            (&[Ect0, NotEct], None),
            (&[Ect0, NotEct, Ce], None),
        ] {
            let mut seen = Seen::default();
            fragments.iter().for_each(|&fragment| seen.add(fragment));
            assert_eq!(seen.combined(), whole, "{fragments:?}");
        }
        assert!((0..=255).all(|tos| Codepoint::of_tos(tos).bits() == tos & 3));
    }
}
