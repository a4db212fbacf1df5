//! Every limit at its ends: either `validate` refuses it, or the host does what it can within it.

use std::net::SocketAddr;
use std::time::Duration;

use stack::{Config, Congestion, ConnectOptions, ListenOptions, RxFrame, Seed, Stack, TcpOptions};

use crate::net::{self, Net, mac, v4, v6};

/// Something of a configuration, or of options, that has a least and a greatest value.
enum Field<S> {
    Rate(fn(&mut S) -> &mut u64),
    Count(fn(&mut S) -> &mut usize),
    Small(fn(&mut S) -> &mut u32),
    Short(fn(&mut S) -> &mut u16),
    Byte(fn(&mut S) -> &mut u8),
    Span(fn(&mut S) -> &mut Duration),
}

impl<S> Field<S> {
    /// How many values there are to try.
    const ENDS: usize = 4;

    fn set(&self, of: &mut S, end: usize) {
        match self {
            Field::Rate(at) => *at(of) = [0, 1, u64::MAX / 2, u64::MAX][end],
            Field::Count(at) => *at(of) = [0, 1, usize::MAX / 2, usize::MAX][end],
            Field::Small(at) => *at(of) = [0, 1, u32::MAX / 2, u32::MAX][end],
            Field::Short(at) => *at(of) = [0, 1, u16::MAX / 2, u16::MAX][end],
            Field::Byte(at) => *at(of) = [0, 1, u8::MAX / 2, u8::MAX][end],
            Field::Span(at) => {
                let spans = [Duration::ZERO, Duration::from_nanos(1), YEARS, Duration::MAX];
                *at(of) = spans[end];
            }
        }
    }
}

/// Longer than the time in 64 bits of nanoseconds.
const YEARS: Duration = Duration::from_secs(1000 * 365 * 86_400);

macro_rules! fields {
    ($($kind:ident: $($($name:tt).+),+;)+) => {
        [$($((
            stringify!($($name).+),
            Field::$kind(|config: &mut Config| &mut config.$($name).+),
        ),)+)+]
    };
}

fn fields() -> impl IntoIterator<Item = (&'static str, Field<Config>)> {
    fields! {
        Count: mtu, super_frame_max, addresses_max, interfaces_max, routes_max, groups_max,
            group_sources_max, replies_max, replies_bytes_max, loopback_max;
        Byte: ttl, duplicate_probes, tcp.syn_ack_retries;
        Short: tcp.mss_min, tcp.ephemeral_ports.0, tcp.ephemeral_ports.1, udp.ephemeral_ports.0,
            udp.ephemeral_ports.1;
        Count: tcp.connections_max, tcp.listeners_max, tcp.half_open_max,
            tcp.half_open_per_listener, tcp.forward_max, tcp.forward_per_source, tcp.backlog_max,
            tcp.time_wait_max, tcp.memory_max, tcp.receive_buffer, tcp.receive_buffer_max,
            tcp.send_buffer, tcp.send_buffer_max, tcp.ranges_max, tcp.records_max,
            tcp.fast_open_servers_max, tcp.resets.targets, icmp.targets;
        Span: tcp.forward_decision, tcp.time_wait, tcp.fin_wait_2, tcp.orphan, tcp.give_up,
            tcp.connect_give_up, tcp.delayed_ack, tcp.delayed_ack_min, tcp.challenge_interval,
            tcp.fast_open_key_life, tcp.fast_open_pause, tcp.fast_open_reset_hold,
            tcp.resets.target_interval, tcp.resets.global_interval, icmp.target_interval,
            icmp.global_interval, paths.life, fragments.timeout;
        Small: tcp.resets.target_burst, tcp.resets.global_burst, icmp.target_burst,
            icmp.global_burst;
        Count: udp.sockets, udp.bytes, udp.buffer, udp.errors, udp.groups, udp.sources,
            echo.sockets, echo.send_buffer, echo.receive_buffer, echo.errors, paths.destinations,
            fragments.bytes, fragments.source_bytes, fragments.source_datagrams,
            fragments.fair_bytes, neighbors.entries, neighbors.incomplete, neighbors.held_packets,
            neighbors.held_bytes, neighbors.held_bytes_total;
    }
}

#[test]
fn a_host_lives_within_any_limit() {
    for (name, field) in fields() {
        for (end, host) in (0..Field::<Config>::ENDS).flat_map(|end| [(end, 0), (end, 1)]) {
            let mut configs = [1, 2].map(config);
            field.set(&mut configs[host], end);
            if configs[host].validate().is_ok() {
                eprintln!("{name}, value {end}, of host {host}");
                live(configs, Default::default());
            }
        }
    }
}

#[test]
fn a_connection_lives_with_any_option() {
    let fields: [(_, Field<TcpOptions>); _] = [
        ("notsent_lowat", Field::Small(|options| options.notsent_lowat.get_or_insert_default())),
        ("keepalive_idle", Field::Span(|options| &mut options.keepalive_idle)),
        ("keepalive_interval", Field::Span(|options| &mut options.keepalive_interval)),
        ("keepalive_count", Field::Byte(|options| &mut options.keepalive_count)),
        ("user_timeout", Field::Span(|options| options.user_timeout.get_or_insert_default())),
        ("linger", Field::Span(|options| options.linger.get_or_insert_default())),
        ("ttl", Field::Byte(|options| &mut options.ttl)),
        ("tos", Field::Byte(|options| &mut options.tos)),
        ("receive_buffer", Field::Count(|options| options.receive_buffer.get_or_insert_default())),
        ("send_buffer", Field::Count(|options| options.send_buffer.get_or_insert_default())),
        ("max_segment", Field::Short(|options| options.max_segment.get_or_insert_default())),
        ("max_pacing_rate", Field::Rate(|options| options.max_pacing_rate.get_or_insert_default())),
    ];
    for (name, field) in fields {
        for (end, host) in (0..Field::<TcpOptions>::ENDS).flat_map(|end| [(end, 0), (end, 1)]) {
            for congestion in Congestion::ALL {
                eprintln!("{name}, value {end}, of host {host}, {congestion}");
                let mut options = [TcpOptions::default(); 2];
                options[host].keepalive = true;
                options[host].congestion = Some(congestion);
                field.set(&mut options[host], end);
                live([1, 2].map(config), options);
            }
        }
    }
}

/// So that the tests above try something.
#[test]
fn a_host_with_the_default_limits_does_all_of_it() {
    let streams = 2 * 19 * 4000;
    let datagrams = 3000 + 19 * "again".len();
    assert_eq!(live([1, 2].map(config), Default::default()), 2 * (streams + datagrams + 3000));
}

fn config(last: u8) -> Config {
    let mut config = Config::new(mac(last));
    let addresses = [format!("192.0.2.{last}/24"), format!("2001:db8::{last}/64")];
    config.addresses = addresses.map(|text| text.parse().unwrap()).to_vec();
    config
}

/// Two hosts do a little of all that hosts do; who is refused something does without. How many
/// octets were heard.
fn live(configs: [Config; 2], options: [TcpOptions; 2]) -> usize {
    let hosts = [1, 2].into_iter().zip(configs);
    let hosts = hosts.map(|(seed, config)| Stack::new(config, Seed::from_number(seed)));
    let mut net = Net::of(<[Stack; 2]>::try_from(hosts.collect::<Vec<_>>()).ok().unwrap());
    let heard = [v4(2, 7), v6(2, 7)].map(|remote| talk(&mut net, remote, options)).iter().sum();
    for remote in [v4(2, 9), v6(2, 9)] {
        // Nobody is there.
        let _ = net.hosts[0].connect(net.now, remote, ConnectOptions::default());
        if let Ok(id) = net.hosts[0].bind_udp(any_of(remote)) {
            let mut socket = net.hosts[0].udp(id).unwrap();
            let _ = socket.send_to(net.now, b"?", Some(remote));
        }
    }
    run(&mut net, Duration::from_secs(400));
    net.hosts.iter().for_each(net::balanced);
    heard
}

/// A stream, datagrams, the first in fragments, and a long echo, there and back.
fn talk(net: &mut Net, remote: SocketAddr, [ours, theirs]: [TcpOptions; 2]) -> usize {
    let Net { now, hosts: [near, far], .. } = net;
    let listener = far.listen(remote, ListenOptions { tcp: theirs, ..Default::default() }).ok();
    let client = near.connect(*now, remote, ConnectOptions { tcp: ours, ..Default::default() });
    let client = client.ok();
    let datagrams = [near.bind_udp(any_of(remote)).ok(), far.bind_udp(remote).ok()];
    let echo = near.bind_echo(None).ok();
    if let Some(mut echo) = echo.and_then(|echo| near.echo(echo)) {
        let _ = echo.send(*now, remote.ip(), 1, &[0; 3000], None);
    }
    if let Some(mut socket) = datagrams[0].and_then(|id| near.udp(id)) {
        let _ = socket.send_to(*now, &[0; 3000], Some(remote));
    }
    run(net, Duration::from_secs(1));

    let server = listener.and_then(|id| net.hosts[1].accept(id).ok());
    let answer = echo.and_then(|id| net.hosts[0].echo(id)?.recv(&mut [0; 4000]));
    let mut heard = answer.map_or(0, |answer| answer.len);
    for _ in 0..20 {
        for (host, id) in net.hosts.iter_mut().zip([client, server]) {
            let Some(mut socket) = id.and_then(|id| host.tcp(id)) else { continue };
            heard += socket.recv(net.now, &mut [0; 4000]).unwrap_or(0);
            let _ = socket.send(net.now, &[7; 5000]);
        }
        for (host, id) in net.hosts.iter_mut().zip(datagrams) {
            let Some(mut socket) = id.and_then(|id| host.udp(id)) else { continue };
            if let Ok((len, from)) = socket.recv_from(&mut [0; 4000]) {
                heard += len;
                let _ = socket.send_to(net.now, b"again", Some(from));
            }
        }
        run(net, Duration::from_millis(100));
    }
    let now = net.now;
    if let Some(id) = listener {
        net.hosts[1].close_listener(now, id);
    }
    for (host, id) in net.hosts.iter_mut().zip([client, server]) {
        if let Some(socket) = id.and_then(|id| host.tcp(id)) {
            socket.close(now);
        }
    }
    run(net, Duration::from_secs(5));
    heard
}

fn any_of(remote: SocketAddr) -> SocketAddr {
    let any = if remote.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    any.parse().unwrap()
}

/// Lets time pass, and fails where it stands still.
fn run(net: &mut Net, span: Duration) {
    let end = net.now + span;
    for _ in 0..100_000 {
        if carry(net) {
            continue;
        }
        let next = net.hosts.iter().filter_map(Stack::next_timeout).min();
        let Some(next) = next.filter(|&next| next <= end) else {
            net.now = end;
            return;
        };
        net.now = net.now.max(next);
        net.hosts.iter_mut().for_each(|host| host.advance(net.now));
    }
    panic!("no end of work at {:?}", net.now);
}

/// Carries what the hosts have to say now, once.
fn carry(net: &mut Net) -> bool {
    let mut carried = false;
    for from in 0..2 {
        for frame in net::frames(&mut net.hosts[from], net.now) {
            net.hosts[1 - from].receive(net.now, RxFrame::plain(&frame));
            carried = true;
        }
        while net.hosts[from].poll_event().is_some() {}
    }
    carried
}
