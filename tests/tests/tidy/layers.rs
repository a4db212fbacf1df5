//! Laws 3 and 4: dependencies point one way, organs do not know the body; and the few names that
//! belong to one place only.

use crate::source::{Finding, Source, caught, engine, files, none, passed, product};
use crate::tokens;
use std::collections::BTreeMap;

/// The layers from the ground up. A module may name what stands in an earlier row, and itself.
const LAYERS: &[&[&str]] = &[
    &["time", "random", "counters", "readiness"],
    &["store", "wire"],
    &["net"],
    &["link"],
    &["udp"],
    // The limits of each part are the part's own types, except TCP's, which reads them here.
    &["config"],
    &["tcp"],
    &["socket"],
    &["stack"],
    &["host"],
];

/// Edges that the rows do not allow and that have a reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// The test kit may see everything, the root file re-exports everything.
const ASIDE: &[&str] = &["testing", "lib"];

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// `stack/src/tcp/arrive.rs` is the module tcp::arrive.
fn module_of(source: &Source) -> Vec<String> {
    let path = source.path.trim_start_matches("stack/src/").trim_end_matches(".rs");
    path.trim_end_matches("/mod").split('/').map(str::to_owned).collect()
}

/// The module of the crate's root that a path leads to, if it leads there at all.
fn target<'a>(
    path: &'a tokens::Path,
    module: &[String],
    exports: &'a BTreeMap<String, String>,
) -> Option<&'a str> {
    let ups = path.segments.iter().take_while(|segment| *segment == "super").count();
    let rest = match path.segments.first().map(String::as_str) {
        Some("crate") => &path.segments[1..],
        Some("super") if ups == module.len() => &path.segments[ups..],
        _ => return None,
    };
    let name = rest.first()?;
    Some(exports.get(name).unwrap_or(name))
}

/// Names that `lib.rs` re-exports, each with the module that it comes from.
fn exports(sources: &[Source]) -> BTreeMap<String, String> {
    let Some(lib) = sources.iter().find(|source| source.path == "stack/src/lib.rs") else {
        return BTreeMap::new();
    };
    tokens::paths(&tokens::product(lib))
        .into_iter()
        .filter(|path| path.segments.len() > 1 && rank(&path.segments[0]).is_some())
        .filter_map(|mut path| Some((path.segments.pop()?, path.segments.remove(0))))
        .collect()
}

fn law_3(sources: &[Source]) -> Vec<Finding> {
    let exports = exports(sources);
    let mut findings = Vec::new();
    for source in sources {
        let module = module_of(source);
        let own = module[0].as_str();
        if ASIDE.contains(&own) {
            continue;
        }
        let Some(own_rank) = rank(own) else {
            findings.push(source.finding(1, format!("`{own}` has no place in the layers")));
            continue;
        };
        for path in tokens::paths(&tokens::product(source)) {
            let Some(to) = target(&path, &module, &exports) else { continue };
            let Some(to_rank) = rank(to) else { continue };
            if to != own && to_rank >= own_rank && !EXCEPTIONS.contains(&(own, to)) {
                findings.push(source.finding(path.line, format!("{own} must not know {to}")));
            }
        }
    }
    findings
}

/// The files of the body: the only ones with `impl Tcb`.
const BODY: &[&str] =
    &["open", "arrive", "loss", "timeout", "resize", "fast", "output", "timers", "close", "tcb"];

/// Files of tcp/ which hold or hand out whole connections, and so name the type.
const HOLDERS: &[&str] =
    &["tcp", "layer", "calls", "passive", "early", "forward", "info", "starved", "scrutiny"];

fn law_4(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with("stack/src/tcp/")) {
        if BODY.contains(&source.stem()) {
            continue;
        }
        let row = tokens::flat(&tokens::product(source));
        for (i, (line, token)) in row.iter().enumerate() {
            if token != "Tcb" {
                continue;
            }
            let is_impl = i > 0 && (row[i - 1].1 == "impl" || row[i - 1].1 == "for");
            if is_impl {
                findings.push(source.finding(*line, "`impl Tcb` outside the body"));
            } else if !HOLDERS.contains(&source.stem()) {
                findings.push(source.finding(*line, "an organ names the body"));
            }
        }
    }
    findings
}

/// etherparse stands behind one door, so that the engine's types are its own. Tests beside the
/// code may call it as a witness.
fn one_door(sources: &[Source]) -> Vec<Finding> {
    sources
        .iter()
        .filter(|source| source.path != "stack/src/wire/parse.rs")
        .flat_map(|source| {
            let names = tokens::paths(&tokens::product(source));
            names
                .into_iter()
                .filter(|path| path.segments[0] == "etherparse")
                .map(|path| source.finding(path.line, "only wire/parse.rs names etherparse"))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Law 1, for what clippy's list of methods cannot see.
const AMBIENT: &[&str] = &[
    "std::time::Instant",
    "std::time::SystemTime",
    "std::thread",
    "std::fs",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::env",
    "std::process",
    "std::io::stdin",
    "std::collections::hash_map::RandomState",
    "std::hash::RandomState",
    "std::sync",
];

/// Sharing what nobody changes needs no lock and no thread.
const NOT_AMBIENT: &str = "std::sync::Arc";

fn law_1(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for path in tokens::paths(&tokens::product(source)) {
            let text = path.segments.join("::");
            if text == NOT_AMBIENT || text.starts_with(&format!("{NOT_AMBIENT}::")) {
                continue;
            }
            let ambient = |name: &&&str| text == **name || text.starts_with(&format!("{name}::"));
            if let Some(name) = AMBIENT.iter().find(ambient) {
                findings.push(source.finding(path.line, format!("{name} in the engine (law 1)")));
            }
        }
    }
    findings
}

#[test]
fn law_1_the_engine_has_no_clock_thread_file_or_entropy() {
    none(law_1(&engine()));
}

#[test]
fn law_1_can_fail() {
    caught(
        "stack/src/tcp/rtt.rs",
        &[
            "use std::time::Instant;",
            "use std::{time::{Duration, SystemTime}};",
            "fn f() { std::thread::spawn(|| ()); }",
            "use std::sync::Mutex;",
        ],
        law_1,
    );
    passed("stack/src/tcp/rtt.rs", &["use std::time::Duration; use crate::Instant;"], law_1);
}

#[test]
fn law_3_dependencies_point_one_way() {
    none(law_3(&product("stack/src")));
}

#[test]
fn law_3_can_fail() {
    caught(
        "stack/src/store/ring.rs",
        &[
            "use crate::tcp::seq::Seq;",
            "use crate::{time, wire::frame::RxFrame, store::arena};",
            "fn f() { crate::net::route() }",
            "use super::super::udp;",
            "fn f() { matches!(x, crate::socket::Id(_)); }",
        ],
        law_3,
    );
    caught("stack/src/novel/mod.rs", &["struct A;"], law_3);
    passed(
        "stack/src/tcp/arrive.rs",
        &["use crate::wire; use super::seq; use crate::tcp::x; #[cfg(test)] use crate::stack;"],
        law_3,
    );
    let exported = [
        Source::new("stack/src/lib.rs", "pub use stack::Stack; pub use time::{Instant};"),
        Source::new("stack/src/tcp/open.rs", "use crate::{Instant, Stack};"),
    ];
    assert_eq!(law_3(&exported).len(), 1, "a re-export is no way around");
}

#[test]
fn law_4_organs_do_not_know_the_body() {
    none(law_4(&engine()));
}

#[test]
fn law_4_can_fail() {
    caught(
        "stack/src/tcp/rtt.rs",
        &["impl Tcb { }", "fn f(tcb: &mut super::tcb::Tcb) {}", "impl Drop for Tcb {}"],
        law_4,
    );
    caught("stack/src/tcp/listener.rs", &["impl Tcb { }"], law_4);
    passed("stack/src/tcp/arrive.rs", &["impl Tcb { }"], law_4);
}

#[test]
fn etherparse_has_one_door() {
    none(one_door(&files("stack/src", ".rs")));
    caught("stack/src/net/ipv4.rs", &["use etherparse::TcpSlice;"], one_door);
}
