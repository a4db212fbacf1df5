//! What the stack under the server is doing, as a page, as JSON and as text.

use std::fmt::Write;
use std::time::Duration;

use stack::host::Shards;
use stack::{Limit, State, TcpInfo};

use super::page;
use crate::clients::Total;
use crate::http::{escape_html, escape_json};
use crate::human;
use crate::outside::Stopwatch;

/// The most connections that are shown as rows; all of them are counted.
const MAX_ROWS: usize = 500;

/// What a server has done since its start.
pub struct Served {
    shards: Shards,
    started: Stopwatch,
    /// Clients that came.
    pub connections: Total,
    /// Requests that were answered.
    pub requests: Total,
    /// What was sent to them.
    pub bytes_out: Total,
    /// What they sent.
    pub bytes_in: Total,
}

impl Served {
    /// Nothing yet.
    pub fn by(shards: impl Into<Shards>) -> Served {
        Served {
            shards: shards.into(),
            started: Stopwatch::start(),
            connections: Total::default(),
            requests: Total::default(),
            bytes_out: Total::default(),
            bytes_in: Total::default(),
        }
    }

    /// For one of the targets of this file, the media type and the text.
    pub fn status(&self, target: &str) -> Option<(&'static str, String)> {
        Some(match target.split('?').next()? {
            "/status" => ("text/html; charset=utf-8", self.snapshot().html()),
            "/status.json" => ("application/json", self.snapshot().json()),
            "/status.txt" => ("text/plain; charset=utf-8", self.snapshot().text()),
            _ => return None,
        })
    }

    /// All of it in one line.
    pub fn summary(&self) -> String {
        format!(
            "{} and {}, {} sent and {} received in {}",
            human::count(self.connections.get(), "connection"),
            human::count(self.requests.get(), "request"),
            human::bytes(self.bytes_out.get()),
            human::bytes(self.bytes_in.get()),
            human::time(self.started.elapsed())
        )
    }

    fn snapshot(&self) -> Snapshot {
        let counters = self.shards.counters();
        let mut connections = self.shards.connections();
        // Live connections first, then by the peer.
        connections.sort_by_key(|info| (rank(info.state), info.remote, info.local));
        Snapshot {
            uptime: self.started.elapsed(),
            requests: self.requests.get(),
            bytes_out: self.bytes_out.get(),
            bytes_in: self.bytes_in.get(),
            connections,
            counters: counters
                .iter()
                .filter(|&(_, value)| value != 0)
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        }
    }
}

/// A moment of the server and its stack.
struct Snapshot {
    uptime: Duration,
    requests: u64,
    bytes_out: u64,
    bytes_in: u64,
    /// Every TCP object: listeners, half-open, live and TIME-WAIT.
    connections: Vec<TcpInfo>,
    /// The stack's counters that are not zero.
    counters: Vec<(String, u64)>,
}

impl Snapshot {
    fn html(&self) -> String {
        let mut body = String::new();
        body.push_str("<div class=big>");
        for (figure, what) in [
            (self.connections.len().to_string(), "TCP objects"),
            (self.requests.to_string(), "requests"),
            (human::bytes(self.bytes_out), "sent"),
            (human::bytes(self.bytes_in), "received"),
            (human::time(self.uptime), "up"),
        ] {
            put(&mut body, format_args!("<div><b>{figure}</b>{what}</div>"));
        }
        body.push_str("</div><h2>Connections</h2><div class=wide><table><tr>");
        for (name, _) in COLUMNS {
            let class = if is_number(name) { " class=n" } else { "" };
            put(&mut body, format_args!("<th{class}>{name}"));
        }
        for info in self.connections.iter().take(MAX_ROWS) {
            body.push_str("<tr>");
            for (name, value) in COLUMNS {
                let value = escape_html(&value(info));
                match *name {
                    "state" => put(&mut body, format_args!("<td class=\"state {value}\">{value}")),
                    name if is_number(name) => put(&mut body, format_args!("<td class=n>{value}")),
                    _ => put(&mut body, format_args!("<td>{value}")),
                }
            }
        }
        body.push_str("</table></div>");
        if self.connections.len() > MAX_ROWS {
            put(&mut body, format_args!("<p>and {} more", self.connections.len() - MAX_ROWS));
        }
        body.push_str("<h2>Counters</h2><div class=counters>");
        for (name, value) in &self.counters {
            put(&mut body, format_args!("<div><span>{}</span>{value}</div>", escape_html(name)));
        }
        body.push_str(
            "</div><p>This page refreshes itself. <a href=\"/status.json\">As JSON</a>, \
             <a href=\"/\">the first page</a>.",
        );
        page::html("Tapstack", "<meta http-equiv=refresh content=2>", &body)
    }

    fn json(&self) -> String {
        let mut out = String::from("{");
        put(
            &mut out,
            format_args!(
                "\"uptime_seconds\":{:.3},\"requests\":{},\"bytes_out\":{},\"bytes_in\":{},\
                 \"tcp_objects\":{},\"states\":{{",
                self.uptime.as_secs_f64(),
                self.requests,
                self.bytes_out,
                self.bytes_in,
                self.connections.len()
            ),
        );
        let states = count_states(&self.connections);
        join(&mut out, states, |out, (state, count)| {
            put(out, format_args!("\"{state}\":{count}"));
        });
        out.push_str("},\"connections\":[");
        join(&mut out, self.connections.iter().take(MAX_ROWS), connection_json);
        out.push_str("],\"counters\":{");
        join(&mut out, &self.counters, |out, (name, value)| {
            put(out, format_args!("\"{}\":{value}", escape_json(name)));
        });
        out.push_str("}}\n");
        out
    }

    fn text(&self) -> String {
        let rows: Vec<Vec<String>> =
            std::iter::once(COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect())
                .chain(
                    self.connections
                        .iter()
                        .take(MAX_ROWS)
                        .map(|info| COLUMNS.iter().map(|(_, value)| value(info)).collect()),
                )
                .collect();
        let widths: Vec<usize> = (0..COLUMNS.len())
            .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for row in rows {
            for ((cell, &width), (name, _)) in row.iter().zip(&widths).zip(COLUMNS) {
                match is_number(name) {
                    true => put(&mut out, format_args!("{cell:>width$}  ")),
                    false => put(&mut out, format_args!("{cell:<width$}  ")),
                }
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        out
    }
}

/// What is shown of a connection.
type Column = (&'static str, fn(&TcpInfo) -> String);

const COLUMNS: &[Column] = &[
    ("state", |info| info.state.to_string()),
    ("peer", |info| or_dash(is_connected(info), || info.remote.to_string())),
    ("port", |info| info.local.port().to_string()),
    ("cwnd", |info| or_dash(is_live(info), || human::bytes(info.cwnd.into()))),
    ("in flight", |info| or_dash(is_live(info), || human::bytes(info.in_flight as u64))),
    ("RTT", |info| or_dash(is_live(info), || human::time(info.rtt))),
    ("RTO", |info| or_dash(is_live(info), || human::time(info.rto))),
    ("sent", |info| or_dash(is_live(info), || human::bytes(info.bytes_sent))),
    ("received", |info| or_dash(is_live(info), || human::bytes(info.bytes_received))),
    ("retransmits", |info| or_dash(is_live(info), || info.retransmits.to_string())),
    ("held back by", |info| or_dash(is_live(info), || held_back(info))),
];

/// What has held the sender back most, and its share of the time in which there was something to
/// send.
fn held_back(info: &TcpInfo) -> String {
    let (limited, until) = (info.limited, info.limited.since());
    let busy = limited.busy(until).as_micros();
    let most = Limit::ALL.into_iter().max_by_key(|&limit| limited.time(limit, until));
    match most {
        Some(limit) if busy > 0 => {
            let share = limited.time(limit, until).as_micros() * 100 / busy;
            format!("{limit} {share} %")
        }
        _ => "-".into(),
    }
}

fn is_number(column: &str) -> bool {
    !matches!(column, "state" | "peer" | "held back by")
}

fn or_dash(is_known: bool, value: impl Fn() -> String) -> String {
    if is_known { value() } else { "-".into() }
}

fn is_connected(info: &TcpInfo) -> bool {
    info.state != State::Listen
}

/// Whether it has send and receive state; the others are small entries that do not.
fn is_live(info: &TcpInfo) -> bool {
    !matches!(info.state, State::Listen | State::SynReceived | State::TimeWait | State::Closed)
}

fn rank(state: State) -> u8 {
    match state {
        State::Listen => 0,
        State::Established => 1,
        State::TimeWait | State::Closed => 3,
        _ => 2,
    }
}

fn count_states(connections: &[TcpInfo]) -> std::collections::BTreeMap<String, usize> {
    let mut states = std::collections::BTreeMap::new();
    for info in connections {
        *states.entry(info.state.to_string()).or_insert(0) += 1;
    }
    states
}

fn connection_json(out: &mut String, info: &TcpInfo) {
    put(
        out,
        format_args!(
            "{{\"state\":\"{}\",\"local\":\"{}\",\"remote\":\"{}\",\"cwnd\":{},\
             \"ssthresh\":{},\"in_flight\":{},\"rtt_us\":{},\"rto_us\":{},\"bytes_sent\":{},\
             \"bytes_received\":{},\"retransmits\":{},\"unread\":{},\"unsent\":{},\
             \"held_back_us\":{{",
            info.state,
            info.local,
            info.remote,
            info.cwnd,
            info.ssthresh,
            info.in_flight,
            info.rtt.as_micros(),
            info.rto.as_micros(),
            info.bytes_sent,
            info.bytes_received,
            info.retransmits,
            info.unread,
            info.unsent
        ),
    );
    let (limited, until) = (info.limited, info.limited.since());
    join(out, Limit::ALL, |out, limit| {
        put(out, format_args!("\"{limit}\":{}", limited.time(limit, until).as_micros()));
    });
    out.push_str("}}");
}

/// Writes every item, with commas between them.
fn join<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item);
    }
}

/// Writing to a string cannot fail.
fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(what);
}
