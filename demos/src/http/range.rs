//! Byte ranges (RFC 9110 §14).

/// What a `Range` field asks of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// All of it: there is no range, or none that must be heeded.
    Whole,
    /// These bytes.
    Part {
        /// The first one.
        start: u64,
        /// How many: at least one.
        length: u64,
    },
    /// Nothing that exists (status 416).
    Unsatisfiable,
}

/// Reads a `Range` field for a body of `size` bytes.
///
/// Several ranges at once, other units and what cannot be understood are answered with the whole
/// body, which RFC 9110 §14.2 always allows.
pub fn parse_range(field: Option<&str>, size: u64) -> Range {
    let Some(set) = field.and_then(|field| field.trim().strip_prefix("bytes=")) else {
        return Range::Whole;
    };
    let Some((first, last)) = set.trim().split_once('-') else { return Range::Whole };
    let number = |text: &str| -> Option<Option<u64>> {
        if text.is_empty() {
            return Some(None);
        }
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        // A number beyond 64 bits is beyond every body as well.
        is_digits.then(|| Some(text.parse().unwrap_or(u64::MAX)))
    };
    match (number(first), number(last)) {
        (Some(Some(start)), Some(None)) => part(start, u64::MAX, size),
        (Some(Some(start)), Some(Some(end))) if start <= end => part(start, end, size),
        (Some(None), Some(Some(0))) => Range::Unsatisfiable,
        (Some(None), Some(Some(suffix))) => part(size.saturating_sub(suffix), u64::MAX, size),
        _ => Range::Whole,
    }
}

fn part(start: u64, end: u64, size: u64) -> Range {
    if start >= size {
        return Range::Unsatisfiable;
    }
    Range::Part { start, length: end.min(size - 1) - start + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_body() {
        let table = [
            ("bytes=0-0", Range::Part { start: 0, length: 1 }),
            ("bytes=10-", Range::Part { start: 10, length: 90 }),
            ("bytes=10-19", Range::Part { start: 10, length: 10 }),
            ("bytes=90-1000", Range::Part { start: 90, length: 10 }),
            ("bytes=-5", Range::Part { start: 95, length: 5 }),
            ("bytes=-500", Range::Part { start: 0, length: 100 }),
            ("bytes=0-99999999999999999999999", Range::Part { start: 0, length: 100 }),
            ("bytes=100-", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=5-4", Range::Whole),
            ("bytes=0-1,5-6", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("bytes=-", Range::Whole),
            ("lines=1-2", Range::Whole),
        ];
        for (field, expected) in table {
            assert_eq!(parse_range(Some(field), 100), expected, "{field}");
        }
        assert_eq!(parse_range(None, 100), Range::Whole);
    }

    #[test]
    fn an_empty_body_has_no_part() {
        assert_eq!(parse_range(Some("bytes=0-"), 0), Range::Unsatisfiable);
        assert_eq!(parse_range(Some("bytes=-1"), 0), Range::Unsatisfiable);
    }
}
