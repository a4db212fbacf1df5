//! `assert tcpi_cwnd == 10`: numbers of a connection, as scripts write them in Python.

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
    ("tcpi_bytes_sent", 200, 8),
    ("tcpi_bytes_retrans", 208, 8),
];

/// Checks every assertion in `text` on the descriptor that was opened last.
///
/// packetdrill asks libc for the numbers, and not the door: with the library preloaded, libc's
/// `getsockopt` is ours.
pub(crate) fn check(machine: &Machine, text: &str) -> Result<(), String> {
    let fds = machine.fds.lock().unwrap();
    let fd = *fds.values().next_back().ok_or("no descriptor")?;
    drop(fds);
    let info = library::tcp_info(fd)?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        // Behind a comma stands what Python prints when the assertion fails.
        let claim = line.strip_prefix("assert ").ok_or(format!("`{line}` is no assertion"))?;
        let claim = claim.split(',').next().unwrap_or("");
        let words: Vec<&str> = claim.split_whitespace().collect();
        let [left, sign, right] = words[..] else { return Err(format!("`{claim}`: what?")) };
        let (a, b) = (number(left, &info)?, number(right, &info)?);
        let holds = match sign {
            "==" => a == b,
            "!=" => a != b,
            "<" => a < b,
            "<=" => a <= b,
            ">" => a > b,
            ">=" => a >= b,
            _ => return Err(format!("`{sign}` compares nothing")),
        };
        if !holds {
            return Err(format!("{claim}: {left} is {a}"));
        }
    }
    Ok(())
}

fn number(word: &str, info: &[u8]) -> Result<u64, String> {
    if let Some((_, at, length)) = FIELDS.iter().find(|(name, ..)| *name == word) {
        let bytes = info.get(*at..at + length).ok_or(format!("{word} is not told"))?;
        let mut wide = [0; 8];
        wide[..*length].copy_from_slice(bytes);
        return Ok(u64::from_le_bytes(wide));
    }
    word.parse().map_err(|_| format!("`{word}` is no field and no number"))
}
