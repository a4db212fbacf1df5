//! A real TAP in offload mode, in a network namespace of each test's own. Needs root.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real devices live in real time, and a namespace belongs to a thread"
)]

#[expect(dead_code, reason = "other tests need more of it")]
mod netns;
mod skip;

use std::io::{ErrorKind, IoSlice, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use netns::{in_own_netns, ip};
use tapdev::{Checksum, Debt, Device, HEADROOM, Offloads, Placed, Tap, TapOptions, Tee, configure};

const KERNEL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const STACK: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const STACK_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 2];
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of text, for datagrams of 1,000.
const TEXT: usize = 4_500;

/// An interface with an address and a neighbour, through which frames pass.
fn open() -> Tap {
    open_with(TapOptions::named("tap0"))
}

fn open_with(options: TapOptions) -> Tap {
    let tap = Tap::open(options).unwrap();
    configure("tap0", Some((KERNEL, 24))).unwrap();
    ip(&format!("neigh replace {STACK} lladdr 02:00:00:00:00:02 dev tap0"));
    while !tap.interface().is_running().unwrap() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20));
    tap
}

fn is_datagram(frame: &[u8]) -> bool {
    frame.len() > 42
        && frame[12..14] == [8, 0]
        && frame[23] == 17
        && frame[30..34] == [192, 0, 2, 2]
}

/// Frames with datagrams from the kernel, until they hold [`TEXT`] bytes.
fn receive(device: &dyn Device) -> Vec<(Vec<u8>, Debt)> {
    let end = Instant::now() + PATIENCE;
    let (mut buf, mut frames, mut text) = (vec![0; device.buffer_len()], Vec::new(), 0);
    while text < TEXT {
        assert!(Instant::now() < end, "the datagrams did not come");
        let _ = device.wait(Some(PATIENCE)).unwrap();
        let Ok(received) = device.recv_with_debt(&mut buf) else { continue };
        let frame = &buf[received.range()];
        if is_datagram(frame) {
            text += frame.len() - 42;
            frames.push((frame.to_vec(), received.debt));
        }
    }
    frames
}

fn text() -> Vec<u8> {
    (0..TEXT).map(|i| (i / 1000 * 50 + i % 50) as u8).collect()
}

/// The kernel sends [`TEXT`] bytes as datagrams of 1,000 in one call.
fn kernel_sends() {
    let socket = UdpSocket::bind((KERNEL, 0)).unwrap();
    let size: libc::c_int = 1000;
    // SAFETY: UDP_SEGMENT takes an integer.
    let done = unsafe {
        let value = (&raw const size).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, value, 4)
    };
    assert_eq!(done, 0);
    socket.send_to(&text(), (STACK, 9)).unwrap();
}

/// A super-frame of datagrams to a port of the kernel's, with the sum of its pseudo header.
fn super_frame(tap: &Tap, port: u16) -> (Vec<u8>, Debt) {
    let mut frame = [&tap.hardware_address().unwrap()[..], &STACK_MAC, &[8, 0]].concat();
    let length = (8 + TEXT) as u16;
    frame.extend([0x45, 0]);
    frame.extend((20 + length).to_be_bytes());
    frame.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1]);
    let words = |bytes: &[u8]| -> u32 {
        bytes.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum()
    };
    let fold = |sum: u32| ((sum & 0xffff) + (sum >> 16)) as u16;
    let header = !fold(words(&frame[14..34]));
    frame[24..26].copy_from_slice(&header.to_be_bytes());
    let pseudo = fold(words(&frame[26..34]) + 17 + u32::from(length));
    frame.extend([0x12, 0x34]);
    frame.extend(port.to_be_bytes());
    frame.extend(length.to_be_bytes());
    frame.extend(pseudo.to_be_bytes());
    let checksum = Checksum::Partial { start: 34, offset: 6 };
    (frame, Debt { checksum, segment: Some(1000) })
}

/// What arrives at a socket of the kernel's when `send` is given its port.
fn kernel_receives(send: impl FnOnce(u16)) -> Vec<Vec<u8>> {
    kernel_receives_all(1, send)
}

/// [`kernel_receives`] of so many super-frames.
fn kernel_receives_all(count: usize, send: impl FnOnce(u16)) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind((KERNEL, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    send(socket.local_addr().unwrap().port());
    let mut buf = [0; 2000];
    (0..count * TEXT.div_ceil(1000))
        .map(|_| {
            let (length, from) = socket.recv_from(&mut buf).unwrap();
            assert_eq!(from.ip(), STACK);
            buf[..length].to_vec()
        })
        .collect()
}

#[test]
fn the_kernel_hands_out_what_was_negotiated() {
    in_own_netns(|| {
        let tap = open();
        kernel_sends();
        let plain = receive(&tap);
        assert_eq!((plain.len(), tap.buffer_len()), (5, 1528));
        assert!(plain.iter().all(|(_, debt)| !debt.is_owed()), "nothing was asked for");

        let granted = tap.negotiate(Offloads::ALL);
        assert!(granted.checksum && granted.tcp, "{granted:?}");
        if !granted.udp {
            return skip::skip("this kernel has no USO");
        }
        kernel_sends();
        let frames = receive(&tap);
        assert_eq!(frames.len(), 1);
        let (frame, debt) = &frames[0];
        assert_eq!(debt.checksum, Checksum::Partial { start: 34, offset: 6 });
        assert_eq!((debt.segment, &frame[42..]), (Some(1000), &text()[..]));

        tap.negotiate(Offloads { udp: false, ..Offloads::ALL });
        kernel_sends();
        let frames = receive(&tap);
        assert_eq!(frames.len(), 5);
        assert!(frames.iter().all(|(_, debt)| debt.segment.is_none()));
    });
}

#[test]
fn the_kernel_takes_super_frames_and_what_it_refuses_is_cut_here() {
    in_own_netns(|| {
        let (tap, text) = (open(), text());
        tap.negotiate(Offloads::ALL);
        let datagrams: Vec<_> = text.chunks(1000).map(<[u8]>::to_vec).collect();
        let send = |spoil: &dyn Fn(&mut Debt)| {
            kernel_receives(|port| {
                let (head, mut debt) = super_frame(&tap, port);
                spoil(&mut debt);
                let parts = [&head[..], &text[..100], &text[100..]].map(IoSlice::new);
                tap.send_with_debt(&parts, debt).unwrap();
            })
        };
        assert_eq!(send(&|_| ()), datagrams);
        assert_eq!(tap.offload_faults().refused, 0);
        // A checksum that is none of UDP's.
        let refused = send(&|debt| debt.checksum = Checksum::Partial { start: 34, offset: 8 });
        assert_eq!(refused, datagrams);
        assert_eq!(tap.offload_faults().refused, 1);
    });
}

/// What is no frame ends a row; what the kernel refuses, or a plain TAP cannot cut, does not.
#[test]
fn a_row_goes_on_behind_what_is_finished_here() {
    for plain in [false, true] {
        in_own_netns(move || {
            let tap = open_with(TapOptions { plain, ..TapOptions::named("tap0") });
            tap.negotiate(Offloads::ALL);
            let text = text();
            let arrived = kernel_receives_all(3, |port| {
                let (mut bytes, mut row) = (Vec::new(), Vec::new());
                let (head, debt) = super_frame(&tap, port);
                let spoiled = Checksum::Partial { start: 34, offset: 8 };
                let frame = [&head[..], &text].concat();
                for (frame, debt) in [
                    (&frame[..], debt),
                    (&frame[..13], Debt::NONE),
                    (&frame, Debt { checksum: spoiled, ..debt }),
                    (&frame, debt),
                ] {
                    bytes.extend([0; HEADROOM]);
                    row.push(Placed { start: bytes.len(), length: frame.len(), debt });
                    bytes.extend(frame);
                }
                let (sent, answer) = tap.send_row(&mut bytes, &row);
                let errno = answer.unwrap_err().raw_os_error();
                assert_eq!((sent, errno), (1, Some(libc::EINVAL)), "plain: {plain}");
                let (sent, answer) = tap.send_row(&mut bytes, &row[2..]);
                assert!(sent == 2 && answer.is_ok(), "{sent} {answer:?}");
            });
            assert_eq!(arrived.concat(), [&text[..], &text, &text].concat());
            assert_eq!(tap.offload_faults().refused, u64::from(!plain));
        });
    }
}

#[test]
fn a_row_holds_what_the_kernel_has() {
    for plain in [false, true] {
        in_own_netns(move || {
            let tap = open_with(TapOptions { plain, ..TapOptions::named("tap0") });
            kernel_sends();
            if !plain {
                // No room for what stands before a frame: none is lost for it.
                let error = tap.recv_with_debt(&mut [0; 9]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                let (count, answer) = tap.recv_row(&mut [0; 9], &mut [Placed::NOTHING; 2]);
                assert_eq!((count, answer.unwrap_err().kind()), (0, ErrorKind::InvalidInput));
            }
            let (mut buf, mut row) = (vec![0; 64 << 10], [Placed::NOTHING; 40]);
            let (count, answer) = tap.recv_row(&mut buf, &mut row);
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::WouldBlock);
            let frames = row[..count].iter().map(|it| &buf[it.range()]);
            let got: Vec<_> = frames.filter(|it| is_datagram(it)).map(|it| &it[42..]).collect();
            assert_eq!(got, text().chunks(1000).collect::<Vec<_>>(), "plain: {plain}");
        });
    }
}

#[test]
fn a_plain_tap_is_given_what_it_can_send() {
    in_own_netns(|| {
        let options = TapOptions { plain: true, ..TapOptions::named("tap0") };
        let tap = Tap::open(options).unwrap();
        configure("tap0", Some((KERNEL, 24))).unwrap();
        assert!(tap.is_plain());
        let cut_in_software = Offloads { checksum: false, ..Offloads::ALL };
        assert_eq!(tap.negotiate(Offloads::ALL), cut_in_software);
        let text = text();
        let arrived = kernel_receives(|port| {
            let (head, debt) = super_frame(&tap, port);
            tap.send_with_debt(&[IoSlice::new(&head), IoSlice::new(&text)], debt).unwrap();
        });
        assert_eq!(arrived.concat(), text);
    });
}

#[test]
fn what_others_left_behind_does_not_matter() {
    in_own_netns(|| {
        ip("tuntap add tap0 mode tap");
        {
            let before = open();
            before.negotiate(Offloads::ALL);
            assert!(netns::is_segmentation_offloaded("tap0"));
            let longer: libc::c_int = 12;
            // SAFETY: TUNSETVNETHDRSZ reads an integer.
            let done = unsafe {
                libc::ioctl(before.as_fd().as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const longer)
            };
            assert_eq!(done, 0);
        }
        let tap = open();
        assert!(!tap.is_plain() && !netns::is_segmentation_offloaded("tap0"));
        kernel_sends();
        assert_eq!(receive(&tap).len(), 5);
        // Who only knows plain frames never hears of the rest.
        tap.negotiate(Offloads::ALL);
        kernel_sends();
        let mut buf = vec![0; 70_000];
        let _ = tap.wait(Some(PATIENCE)).unwrap();
        while tap.recv(&mut buf).is_ok_and(|length| !is_datagram(&buf[..length])) {}
        assert!(tap.offload_faults().malformed >= 1);
    });
}

#[test]
fn an_inherited_descriptor_decides_about_the_mode() {
    in_own_netns(|| {
        for plain in [false, true] {
            let options = TapOptions { plain, ..TapOptions::named("tap0") };
            let tap = Tap::open(options).unwrap();
            let again = Tap::from_fd(tap.as_fd().try_clone_to_owned().unwrap()).unwrap();
            assert_eq!(again.is_plain(), plain);
        }
    });
}

/// A file in memory.
#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The frames in a capture.
fn recorded(file: &File) -> Vec<Vec<u8>> {
    let file = file.0.lock().unwrap();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let (mut frames, mut at) = (Vec::new(), 0);
    while at < file.len() {
        if word(at) == 6 {
            let length = word(at + 20) as usize;
            frames.push(file[at + 28..at + 28 + length].to_vec());
        }
        at += word(at + 4) as usize;
    }
    frames
}

/// The checksum of a datagram, by the book (RFC 768): all ones for one that is right.
fn sum_of_datagram(frame: &[u8]) -> u16 {
    let length = (frame.len() - 34) as u16;
    let covered = [&frame[26..34], &[0, 17], &length.to_be_bytes(), &frame[34..]].concat();
    let words = covered
        .chunks(2)
        .map(|word| u64::from(word[0]) << 8 | word.get(1).map_or(0, |&b| b.into()));
    let mut sum = words.sum::<u64>();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[test]
fn a_capture_holds_finished_checksums() {
    in_own_netns(|| {
        let (file, text) = (File::default(), text());
        let tee = Tee::new(open(), "tap0", file.clone()).unwrap();
        tee.negotiate(Offloads::ALL);
        kernel_sends();
        let came = receive(&tee);
        assert!(came.iter().all(|(_, debt)| !matches!(debt.checksum, Checksum::Partial { .. })));
        kernel_receives(|port| {
            let (head, debt) = super_frame(tee.device(), port);
            tee.send_with_debt(&[IoSlice::new(&head), IoSlice::new(&text)], debt).unwrap();
        });
        drop(tee);
        let datagrams: Vec<_> =
            recorded(&file).into_iter().filter(|frame| frame[23] == 17).collect();
        let lengths: Vec<_> = datagrams.iter().map(Vec::len).collect();
        assert!(lengths.ends_with(&[42 + TEXT]), "the one sent: {lengths:?}");
        assert!(datagrams.iter().all(|frame| sum_of_datagram(frame) == 0xffff));
    });
}
