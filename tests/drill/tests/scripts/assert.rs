//! `%{ assert tcpi_snd_cwnd == 10 }%`: numbers of a connection, as scripts write them in Python;
//! of which assertions, assignments and `print` are understood.

use std::collections::BTreeMap;

use crate::calls::Machine;
use crate::library;

/// Fields of Linux's `struct tcp_info`: where, and how many bytes.
const FIELDS: &[(&str, usize, usize)] = &[
    ("tcpi_state", 0, 1),
    ("tcpi_ca_state", 1, 1),
    ("tcpi_retransmits", 2, 1),
    ("tcpi_probes", 3, 1),
    ("tcpi_backoff", 4, 1),
    ("tcpi_options", 5, 1),
    ("tcpi_rto", 8, 4),
    ("tcpi_ato", 12, 4),
    ("tcpi_snd_mss", 16, 4),
    ("tcpi_rcv_mss", 20, 4),
    ("tcpi_unacked", 24, 4),
    ("tcpi_sacked", 28, 4),
    ("tcpi_lost", 32, 4),
    ("tcpi_retrans", 36, 4),
    ("tcpi_last_data_sent", 44, 4),
    ("tcpi_last_data_recv", 52, 4),
    ("tcpi_last_ack_recv", 56, 4),
    ("tcpi_pmtu", 60, 4),
    ("tcpi_rtt", 68, 4),
    ("tcpi_rttvar", 72, 4),
    ("tcpi_snd_ssthresh", 76, 4),
    ("tcpi_snd_cwnd", 80, 4),
    ("tcpi_advmss", 84, 4),
    ("tcpi_reordering", 88, 4),
    ("tcpi_total_retrans", 100, 4),
    ("tcpi_bytes_acked", 120, 8),
    ("tcpi_bytes_received", 128, 8),
    ("tcpi_segs_out", 136, 4),
    ("tcpi_segs_in", 140, 4),
    ("tcpi_notsent_bytes", 144, 4),
    ("tcpi_min_rtt", 148, 4),
    ("tcpi_data_segs_in", 152, 4),
    ("tcpi_data_segs_out", 156, 4),
    ("tcpi_busy_time", 168, 8),
    ("tcpi_rwnd_limited", 176, 8),
    ("tcpi_sndbuf_limited", 184, 8),
    ("tcpi_delivered", 192, 4),
    ("tcpi_bytes_sent", 200, 8),
    ("tcpi_bytes_retrans", 208, 8),
    ("tcpi_dsack_dups", 216, 4),
    ("tcpi_reord_seen", 220, 4),
    ("tcpi_snd_wnd", 228, 4),
];

/// Numbers with names.
const CONSTANTS: &[(&str, i64)] = &[
    ("TCP_CA_Open", 0),
    ("TCP_CA_Disorder", 1),
    ("TCP_CA_CWR", 2),
    ("TCP_CA_Recovery", 3),
    ("TCP_CA_Loss", 4),
    ("TCPI_OPT_TIMESTAMPS", 1),
    ("TCPI_OPT_SACK", 2),
    ("TCPI_OPT_WSCALE", 4),
    ("TCPI_OPT_SYN_DATA", 32),
];

/// What a script has assigned.
pub(crate) type Variables = BTreeMap<String, i64>;

/// Runs every statement of `code`, with the numbers of the stream that was opened last.
///
/// packetdrill asks libc for the numbers, and not the door: with the library preloaded, libc's
/// `getsockopt` is ours.
pub(crate) fn check(
    machine: &Machine,
    variables: &mut Variables,
    code: &str,
) -> Result<(), String> {
    let fds = machine.fds.lock().unwrap().clone();
    let info = fds.values().rev().find_map(|fd| library::tcp_info(*fd).ok());
    let info = info.ok_or("no stream to tell of")?;
    let code = code.replace("\\\n", " ");
    for line in code.split(['\n', ';']) {
        let line = line.split('#').next().unwrap_or("").trim();
        statement(line, variables, &info)?;
    }
    Ok(())
}

fn statement(line: &str, variables: &mut Variables, info: &[u8]) -> Result<(), String> {
    if line.is_empty() || line.starts_with("print(") {
        return Ok(());
    }
    if let Some(claim) = line.strip_prefix("assert ") {
        let mut reader = Expression::new(claim, variables, info);
        return match reader.comparison()? {
            0 => Err(format!("{claim}: {:?}", reader.seen)),
            _ => Ok(()),
        };
    }
    let (name, value) = line.split_once('=').ok_or(format!("`{line}` is no statement"))?;
    let value = Expression::new(value, variables, info).sum()?;
    match name.trim().strip_suffix('+') {
        Some(name) => *variables.entry(name.trim().into()).or_default() += value,
        None => drop(variables.insert(name.trim().into(), value)),
    }
    Ok(())
}

/// An expression, read from the left.
struct Expression<'a> {
    rest: &'a str,
    variables: &'a Variables,
    info: &'a [u8],
    /// The names that it has, and what they stand for: for who reads a failure.
    seen: Vec<(&'a str, i64)>,
}

impl<'a> Expression<'a> {
    fn new(text: &'a str, variables: &'a Variables, info: &'a [u8]) -> Expression<'a> {
        Expression { rest: text.trim_start(), variables, info, seen: Vec::new() }
    }

    fn take(&mut self, sign: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        self.rest = rest.trim_start();
        true
    }

    /// `a < b <= c`: each with its neighbour. Without a comparison the number itself.
    fn comparison(&mut self) -> Result<i64, String> {
        let mut left = self.sum()?;
        let mut verdict = None;
        loop {
            let sign = ["==", "!=", "<=", ">=", "<", ">"].into_iter().find(|it| self.take(it));
            let Some(sign) = sign else { return Ok(verdict.map_or(left, i64::from)) };
            let right = self.sum()?;
            let holds = match sign {
                "==" => left == right,
                "!=" => left != right,
                "<=" => left <= right,
                ">=" => left >= right,
                "<" => left < right,
                _ => left > right,
            };
            verdict = Some(verdict.unwrap_or(true) && holds);
            left = right;
        }
    }

    fn sum(&mut self) -> Result<i64, String> {
        let mut sum = self.factor()?;
        loop {
            sum = match () {
                () if self.take("+") => sum + self.factor()?,
                () if self.take("-") => sum - self.factor()?,
                () if self.take("*") => sum * self.factor()?,
                () if self.take("&") => sum & self.factor()?,
                () => return Ok(sum),
            };
        }
    }

    fn factor(&mut self) -> Result<i64, String> {
        if self.take("(") {
            let inside = self.comparison()?;
            return if self.take(")") { Ok(inside) } else { Err("`(` without `)`".into()) };
        }
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        if let Some(digits) = word.strip_prefix("0x") {
            return i64::from_str_radix(digits, 16).map_err(|_| format!("`{word}`"));
        }
        if let Ok(number) = word.parse() {
            return Ok(number);
        }
        let value = self.named(word).ok_or(format!("`{word}` is no field and no number"))?;
        self.seen.push((word, value));
        Ok(value)
    }

    fn named(&self, word: &str) -> Option<i64> {
        if let Some(value) = self.variables.get(word) {
            return Some(*value);
        }
        if let Some((_, value)) = CONSTANTS.iter().find(|(name, _)| *name == word) {
            return Some(*value);
        }
        let (_, at, length) = FIELDS.iter().find(|(name, ..)| *name == word)?;
        let mut wide = [0; 8];
        wide[..*length].copy_from_slice(self.info.get(*at..at + length)?);
        Some(i64::from_le_bytes(wide))
    }
}
