//! A real TAP, in a network namespace of each test's own. Needs root.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real devices live in real time, and a namespace belongs to a thread"
)]

mod netns;
mod skip;

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use netns::{in_own_netns, ip};
use tapdev::{
    Device, FRAME_OVERHEAD, Fault, Interface, InterfaceDrops, LinkState, NetworkNamespace,
    OpenError, Queues, Tap, TapOptions, Wake, classify, configure,
};

const KERNEL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const STACK: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const STACK_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 2];
const PATIENCE: Duration = Duration::from_secs(5);
const SHORT: Option<Duration> = Some(Duration::from_millis(10));

/// The TAP `name`, which nobody else has: a test beside this one that starts a program holds a
/// copy of a descriptor until that program is there.
fn open(name: &str) -> Tap {
    let end = Instant::now() + PATIENCE;
    loop {
        match Tap::open(TapOptions::named(name)) {
            Err(OpenError::Busy { .. }) if Instant::now() < end => thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Receives until a frame satisfies `wanted`: the kernel also sends frames of its own accord.
fn receive(tap: &impl Device, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let end = Instant::now() + PATIENCE;
    let mut buf = vec![0; tap.mtu() + FRAME_OVERHEAD];
    loop {
        assert!(Instant::now() < end, "the expected frame did not come");
        let _ = tap.wait(Some(PATIENCE)).unwrap();
        match tap.recv(&mut buf) {
            Ok(length) if wanted(&buf[..length]) => return buf[..length].to_vec(),
            Ok(_) => {}
            Err(error) => assert_eq!(classify(&error), Fault::Again),
        }
    }
}

fn ethernet(to: [u8; 6], kind: u16) -> Vec<u8> {
    [&to[..], &STACK_MAC, &kind.to_be_bytes()].concat()
}

fn is_arp_request(frame: &[u8]) -> bool {
    frame.len() >= 42 && frame[12..14] == [0x08, 0x06] && frame[20..22] == [0, 1]
}

/// Who-has `KERNEL`, tell `STACK` (RFC 826).
fn arp_request() -> Vec<u8> {
    let mut frame = ethernet([0xff; 6], 0x0806);
    frame.extend([0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend(STACK_MAC);
    frame.extend(STACK.octets());
    frame.extend([0; 6]);
    frame.extend(KERNEL.octets());
    frame
}

#[test]
fn frames_pass_both_ways() {
    in_own_netns(|| {
        let tap = open("tap0");
        assert_eq!((tap.name(), tap.mtu()), ("tap0", 1500));
        configure("tap0", Some((KERNEL, 24))).unwrap();
        assert_eq!(tap.link_state().unwrap(), LinkState::Up);

        // Out: the kernel answers a question sent in three pieces with its own address.
        let question = arp_request();
        let pieces = [&question[..14], &question[14..20], &question[20..]];
        tap.send(&pieces.map(IoSlice::new)).unwrap();
        let answer = receive(&tap, |frame| frame.len() >= 42 && frame[20..22] == [0, 2]);
        assert_eq!(answer[..6], STACK_MAC);
        assert_eq!(answer[22..28], tap.hardware_address().unwrap());
        assert_eq!(answer[28..32], KERNEL.octets());

        // In: a datagram makes the kernel ask for the stack.
        let socket = UdpSocket::bind((KERNEL, 0)).unwrap();
        socket.send_to(b"hello", (Ipv4Addr::new(192, 0, 2, 9), 9)).unwrap();
        let question = receive(&tap, is_arp_request);
        assert_eq!(question[38..42], [192, 0, 2, 9]);
    });
}

#[test]
fn several_queues_are_one_device() {
    const COUNT: usize = 3;
    const FLOWS: usize = 40;
    in_own_netns(|| {
        let taps = Tap::open_queues(&TapOptions::named("tap0"), COUNT).unwrap();
        let queues = Queues::join(taps).unwrap();
        let set_up = || {
            configure("tap0", Some((KERNEL, 24))).unwrap();
            ip(&format!("neighbor add {STACK} lladdr 02:00:00:00:00:02 dev tap0 nud permanent"));
        };
        set_up();
        queues.send(&[IoSlice::new(&arp_request())]).unwrap();
        receive(&queues, |frame| frame.len() >= 42 && frame[20..22] == [0, 2]);

        // The kernel spreads what it begins, and may lose what it sends before it sees us.
        let hears_all = || {
            let sockets: Vec<_> =
                (0..FLOWS).map(|_| UdpSocket::bind((KERNEL, 0)).unwrap()).collect();
            let mut heard = [false; FLOWS];
            let end = Instant::now() + PATIENCE;
            while heard.contains(&false) {
                assert!(Instant::now() < end, "of these flows some did not come: {heard:?}");
                for (flow, socket) in sockets.iter().enumerate().filter(|&(flow, _)| !heard[flow]) {
                    socket.send_to(&[flow as u8; 8], (STACK, 9)).unwrap();
                }
                let mut frame = [0; 2048];
                while queues.wait(SHORT).unwrap() == Wake::Readable {
                    let length = queues.recv(&mut frame).unwrap();
                    if length == 50 && frame[36..38] == [0, 9] {
                        heard[usize::from(frame[42])] = true;
                    }
                }
            }
        };
        hears_all();
        queues.wake();
        assert_eq!(queues.wait(None).unwrap(), Wake::Woken);

        ip("link delete tap0");
        assert_eq!(queues.wait(Some(PATIENCE)).unwrap(), Wake::Readable, "to say that it is gone");
        assert_eq!(classify(&queues.recv(&mut [0; 2048]).unwrap_err()), Fault::Gone);
        assert!(queues.revive().is_err());
        ip("tuntap add tap0 mode tap multi_queue");
        ip("link set tap0 up");
        queues.revive().unwrap();
        set_up();
        hears_all();
    });
}

#[test]
fn an_existing_persistent_tap_is_attached_and_survives() {
    in_own_netns(|| {
        ip("tuntap add tap0 mode tap");
        ip("link set tap0 mtu 9000 address 02:00:00:00:00:01 up");
        let tap = open("tap0");
        assert_eq!(tap.mtu(), 9000);
        assert_eq!(tap.hardware_address().unwrap(), [2, 0, 0, 0, 0, 1]);
        drop(tap);
        ip("link show tap0");
    });
}

#[test]
fn options_reach_the_kernel_and_keep_outlives_the_program() {
    in_own_netns(|| {
        let tap = Tap::open(TapOptions { mtu: Some(1280), ..TapOptions::default() }).unwrap();
        let name = tap.name().to_owned();
        assert!(!name.is_empty());
        assert_eq!(tap.mtu(), 1280);
        assert_eq!(tap.interface().mtu().unwrap(), 1280);
        tap.interface().set_hardware_address([2, 0, 0, 0, 0, 7]).unwrap();
        assert_eq!(tap.hardware_address().unwrap(), [2, 0, 0, 0, 0, 7]);
        tap.keep().unwrap();
        drop(tap);
        ip(&format!("link show {name}"));
    });
}

#[test]
fn the_kernels_side_takes_both_kinds_of_address() {
    in_own_netns(|| {
        let tap = open("tap0");
        configure("tap0", Some((KERNEL, 20))).unwrap();
        tap.interface().add_ipv6("fd00::1".parse().unwrap(), 64).unwrap();
        let shown = netns::shell("ip addr show tap0");
        assert!(shown.contains("inet 192.0.2.1/20"), "{shown}");
        assert!(shown.contains("inet6 fd00::1/64"), "{shown}");
        let again = tap.interface().add_ipv6("fd00::1".parse().unwrap(), 64).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    });
}

#[test]
fn a_tap_used_with_offloads_is_plain_again() {
    in_own_netns(|| {
        ip("tuntap add tap0 mode tap vnet_hdr");
        let all = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
        {
            let before = open("tap0");
            // SAFETY: TUNSETOFFLOAD takes an integer.
            let done = unsafe { libc::ioctl(raw(&before), libc::TUNSETOFFLOAD, all as u64) };
            assert_eq!(done, 0);
            assert!(netns::is_segmentation_offloaded("tap0"));
        }
        let _tap = open("tap0");
        assert!(!netns::is_segmentation_offloaded("tap0"));
    });
}

fn raw(fd: &impl AsFd) -> i32 {
    fd.as_fd().as_raw_fd()
}

#[test]
fn a_second_program_is_told_that_the_name_is_busy() {
    in_own_netns(|| {
        let _first = open("tap0");
        let error = Tap::open(TapOptions::named("tap0")).unwrap_err();
        assert!(matches!(error, OpenError::Busy { .. }), "{error:?}");
        assert!(error.to_string().contains("another program is attached"), "{error}");
        // The remedy it names finds this very process.
        let look = "grep -l 'iff:.tap0$' /proc/[0-9]*/fdinfo/* 2>/dev/null";
        let found = netns::shell(look);
        let own = format!("/proc/{}/fdinfo/", std::process::id());
        assert!(error.to_string().contains("iff:.tap0$") && found.contains(&own), "{found}");
    });
}

#[test]
fn another_kind_of_interface_is_a_mismatch() {
    in_own_netns(|| {
        ip("tuntap add many mode tap multi_queue");
        ip("tuntap add tun0 mode tun");
        for name in ["many", "tun0", "lo"] {
            let error = Tap::open(TapOptions::named(name)).unwrap_err();
            assert!(matches!(error, OpenError::Mismatch { .. }), "{name}: {error:?}");
            assert!(error.to_string().contains("mode tap"), "{error}");
        }
        let error = Tap::open(TapOptions::named("longer-than-fifteen")).unwrap_err();
        assert!(matches!(error, OpenError::InvalidName { .. }), "{error:?}");
    });
}

#[test]
fn an_inherited_descriptor_is_checked_and_used() {
    in_own_netns(|| {
        let tap = open("tap0");
        let again = Tap::from_fd(tap.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(again.name(), "tap0");
        assert_eq!(Tap::inherited(tap.as_fd().as_raw_fd()).unwrap().name(), "tap0");
        drop(tap);
        configure("tap0", Some((KERNEL, 24))).unwrap();
        again.send(&[IoSlice::new(&arp_request())]).unwrap();

        let other = std::fs::File::open("/dev/null").unwrap();
        let error = Tap::from_fd(other.into()).unwrap_err();
        assert!(matches!(error, OpenError::NotATap { .. }), "{error:?}");
        let error = Tap::inherited(-1).unwrap_err();
        assert!(matches!(error, OpenError::NotATap { .. }), "{error:?}");
    });
}

#[test]
fn down_is_a_fault_that_passes() {
    in_own_netns(|| {
        let tap = open("tap0");
        let down = tap.link_state().unwrap();
        assert!(down.to_string().contains("ip link set tap0 up"), "{down}");
        let frame = arp_request();
        let error = tap.send(&[IoSlice::new(&frame)]).unwrap_err();
        assert_eq!(classify(&error), Fault::Down);
        assert_eq!(classify(&tap.recv(&mut [0; 2000]).unwrap_err()), Fault::Again);
        assert_eq!(tap.wait(SHORT).unwrap(), Wake::TimedOut);

        assert!(!tap.interface().is_running().unwrap());
        tap.bring_up().unwrap();
        tap.send(&[IoSlice::new(&frame)]).unwrap();
        assert!((0..2000).any(|_| {
            let _ = tap.wait(Some(Duration::from_millis(1))).unwrap();
            tap.interface().is_running().unwrap()
        }));
        tap.interface().bring_down().unwrap();
        assert!(!tap.is_up().unwrap());
    });
}

#[test]
fn deleted_is_gone_and_never_a_spin() {
    in_own_netns(|| {
        let tap = Arc::new(open("tap0"));
        tap.bring_up().unwrap();
        let sleeper = Arc::clone(&tap);
        let thread = std::thread::spawn(move || {
            loop {
                // What the kernel sends of its own accord is read and dropped.
                match sleeper.wait(Some(PATIENCE)) {
                    Ok(Wake::Readable) => drop(sleeper.recv(&mut [0; 2000])),
                    other => return other,
                }
            }
        });
        std::thread::sleep(Duration::from_millis(20));
        ip("link delete tap0");
        let asleep = thread.join().unwrap().unwrap_err();
        assert_eq!(classify(&asleep), Fault::Gone);
        for _ in 0..3 {
            assert_eq!(classify(&tap.wait(SHORT).unwrap_err()), Fault::Gone);
        }
        assert_eq!(classify(&tap.recv(&mut [0; 2000]).unwrap_err()), Fault::Gone);
        let error = tap.send(&[IoSlice::new(&arp_request())]).unwrap_err();
        assert_eq!(classify(&error), Fault::Gone);
    });
}

#[test]
fn another_thread_wakes_a_sleeper() {
    in_own_netns(|| {
        let tap = Arc::new(open("tap0"));
        for _ in 0..100 {
            let waker = Arc::clone(&tap);
            let thread = std::thread::spawn(move || {
                waker.wake();
                waker.wake();
            });
            assert_eq!(tap.wait(Some(PATIENCE)).unwrap(), Wake::Woken);
            thread.join().unwrap();
            // The second call may have come after the first was consumed.
            let _ = tap.wait(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!(tap.wait(SHORT).unwrap(), Wake::TimedOut);
        // A wake-up before the wait counts, and leaves a waiting frame readable.
        configure("tap0", Some((KERNEL, 24))).unwrap();
        tap.send(&[IoSlice::new(&arp_request())]).unwrap();
        tap.wake();
        assert_eq!(tap.wait(SHORT).unwrap(), Wake::Woken);
        assert_eq!(tap.wait(SHORT).unwrap(), Wake::Readable);
    });
}

#[test]
fn a_frame_shorter_than_its_header_is_refused() {
    in_own_netns(|| {
        let tap = open("tap0");
        for length in [0, 13] {
            let error = tap.send(&[IoSlice::new(&vec![0; length])]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn without_privilege_the_error_names_the_ways_out() {
    in_own_netns(|| {
        let nobody = netns::as_nobody(|| Tap::open(TapOptions::named("tap0")).unwrap_err());
        let text = nobody.to_string();
        match nobody {
            OpenError::NodeForbidden { .. } => assert!(text.contains("chmod 0666"), "{text}"),
            OpenError::NotPermitted { .. } => assert!(text.contains("--ns"), "{text}"),
            other => panic!("unexpected: {other:?}"),
        }
        assert!(text.contains("sudo"), "{text}");
    });
}

#[test]
fn a_tap_opened_elsewhere_stays_there() {
    in_own_netns(|| {
        // A second namespace, which lives as long as its holder.
        let mut holder = std::process::Command::new("unshare")
            .args(["-n", "cat"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let its = format!("/proc/{}/ns/net", holder.id());
        while std::fs::read_link(&its).unwrap() == own {
            std::thread::sleep(Duration::from_millis(1));
        }
        let there = NetworkNamespace::named(&holder.id().to_string()).unwrap();
        let (tap, mut drops) =
            there.run(|| (open("far0"), InterfaceDrops::of("far0").unwrap())).unwrap();
        assert!(Interface::named("far0").unwrap().mtu().is_err(), "it is not here");
        // Nothing about it needs to be there any more.
        tap.interface().set_ipv4(KERNEL, 24).unwrap();
        tap.bring_up().unwrap();
        tap.send(&[IoSlice::new(&arp_request())]).unwrap();
        receive(&tap, |frame| frame[12..14] == [0x08, 0x06]);
        assert_eq!(drops.count().unwrap(), 0);
        drop(holder.stdin.take());
        holder.wait().unwrap();
    });
}

#[test]
fn what_finds_the_queue_full_is_counted() {
    in_own_netns(|| {
        let tap = open("tap0");
        configure("tap0", Some((KERNEL, 24))).unwrap();
        let mut drops = InterfaceDrops::of("tap0").unwrap();
        ip(&format!("neigh add {STACK} lladdr 02:00:00:00:00:02 dev tap0"));
        let socket = UdpSocket::bind((KERNEL, 0)).unwrap();
        while !tap.interface().is_running().unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(20));
        for _ in 0..1500 {
            let _ = socket.send_to(b"x", (STACK, 9));
        }
        // A queue of 1,000, in which a few frames of the kernel's own may lie.
        let count = drops.count().unwrap();
        assert!((500..600).contains(&count), "{count}");
    });
}
