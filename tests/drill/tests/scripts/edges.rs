//! The table's shape, and what happens where nothing good can.

use std::mem::{offset_of, size_of};

use tapstack_packetdrill::abi::Interface;

use crate::library::{Library, errno};

#[test]
fn the_table_has_33_pointers_in_packetdrill_s_order() {
    assert_eq!(size_of::<Interface>(), 264);
    macro_rules! offsets {
        ($($field:ident)*) => { [$(offset_of!(Interface, $field)),*] };
    }
    let offsets = offsets! {
        userdata free socket bind listen accept connect read readv recv recvfrom recvmsg write
        writev send sendto sendmsg fcntl ioctl close shutdown getsockopt setsockopt poll
        netdev_send netdev_receive usleep gettimeofday epoll_create epoll_ctl epoll_wait pipe splice
    };
    let expected: Vec<usize> = (0..33).map(|i| i * 8).collect();
    assert_eq!(offsets.to_vec(), expected);
}

fn receive(library: &Library) -> Vec<u8> {
    let mut room = vec![0; 2000];
    let (mut length, mut at) = (room.len(), 0);
    let into = room.as_mut_ptr().cast();
    assert_eq!((library.netdev_receive)(library.userdata, into, &mut length, &mut at), 0);
    room.truncate(length);
    room
}

fn now(library: &Library) -> i64 {
    let mut now = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let zone = std::ptr::null_mut();
    assert_eq!((library.gettimeofday)(library.userdata, &mut now, zone), 0);
    now.tv_sec * 1_000_000 + now.tv_usec
}

#[test]
fn where_no_packet_comes_a_single_byte_0x40_does() {
    let library = Library::open("");
    assert_eq!(receive(&library), [0x40]);
}

#[test]
fn flags_that_make_no_sense_fail_every_call() {
    for (flags, expected) in [
        ("local=2001:db8::2 remote=2001:db8::1 prefix=64", libc::EOPNOTSUPP),
        ("colour=red", libc::EINVAL),
    ] {
        let library = Library::open(flags);
        let made = (library.socket)(library.userdata, libc::AF_INET, libc::SOCK_STREAM, 0);
        assert_eq!((made, errno()), (-1, expected), "{flags}");
        assert_eq!(receive(&library), [0x40], "{flags}");
    }
}

#[test]
fn what_is_no_packet_is_refused() {
    let library = Library::open("");
    for packet in [&[][..], &[0x15, 0, 0]] {
        let at = packet.as_ptr().cast();
        let answer = (library.netdev_send)(library.userdata, at, packet.len());
        assert_eq!((answer, errno()), (-1, libc::EINVAL));
    }
}

#[test]
fn a_packet_larger_than_the_mtu_is_taken() {
    let library = Library::open("mtu=1500");
    let packet = [&[0x45; 1][..], &[0; 8999]].concat();
    let answer = (library.netdev_send)(library.userdata, packet.as_ptr().cast(), packet.len());
    assert_eq!(answer, 0);
}

#[test]
fn null_pointers_are_efault() {
    let library = Library::open("");
    let user = library.userdata;
    let fd = (library.socket)(user, libc::AF_INET, libc::SOCK_STREAM, 0);
    assert!(fd >= 0);
    let (none, at) = (std::ptr::null_mut(), std::ptr::null_mut());
    let answer = (library.getsockopt)(user, fd, 1, 4, at, std::ptr::null_mut());
    assert_eq!((answer, errno()), (-1, libc::EFAULT));
    assert_eq!((library.poll)(user, std::ptr::null_mut(), 3, 0), -1);
    assert_eq!(errno(), libc::EFAULT);
    assert_eq!((library.write)(user, fd, none, 10), -1);
    assert_eq!(errno(), libc::EFAULT);
    assert_eq!((library.close)(user, fd), 0);
    assert_eq!((library.close)(user, fd), -1, "it was the kernel's, and is closed");
}

#[test]
fn a_call_that_would_block_the_clock_for_ever_fails() {
    let library = Library::open("");
    let user = library.userdata;
    let fd = (library.socket)(user, libc::AF_INET, libc::SOCK_STREAM, 0);
    assert_eq!((library.listen)(user, fd, 1), 0);
    let nobody = std::ptr::null_mut();
    assert_eq!((library.accept)(user, fd, nobody, std::ptr::null_mut()), -1);
    assert_eq!(errno(), libc::EDEADLK);
    assert_eq!((library.close)(user, fd), 0);
}

#[test]
fn time_moves_only_when_it_is_asked_for() {
    let library = Library::open("");
    let clock = || now(&library);
    let begin = clock();
    assert_eq!(clock() - begin, 1, "a reading takes a microsecond");
    assert_eq!((library.usleep)(library.userdata, 3_600_000_000), 0);
    assert_eq!(clock() - begin, 3_600_000_002, "an hour, at once");
}

#[test]
fn a_read_gives_up_when_its_time_is_over() {
    let library = Library::open("");
    let user = library.userdata;
    let fd = (library.socket)(user, libc::AF_INET, libc::SOCK_DGRAM, 0);
    let limit = libc::timeval { tv_sec: 1800, tv_usec: 0 };
    let size = size_of::<libc::timeval>() as u32;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_RCVTIMEO);
    let at = (&raw const limit).cast();
    assert_eq!((library.setsockopt)(user, fd, level, name, at, size), 0);
    let mut room = [0u8; 10];
    let before = now(&library);
    assert_eq!((library.read)(user, fd, room.as_mut_ptr().cast(), room.len()), -1);
    assert_eq!(errno(), libc::EAGAIN);
    assert_eq!(now(&library) - before, 1_800_000_001, "of virtual time");
    assert_eq!((library.close)(user, fd), 0);
}
