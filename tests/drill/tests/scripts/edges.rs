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

const V6: &str = "local=2001:db8::2 remote=2001:db8::1";

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
    // Nor does a host of IPv6 say a word that the script would see, whatever it tells its link.
    for flags in ["", V6] {
        let library = Library::open(flags);
        assert_eq!(receive(&library), [0x40], "{flags}");
    }
}

#[test]
fn flags_that_make_no_sense_fail_every_call() {
    for (flags, expected) in [
        ("local=2001:db8::2 remote=192.0.2.1", libc::EINVAL),
        ("local=2001:db8::2 remote=2001:db8::1 prefix=129", libc::EINVAL),
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

/// A `struct sockaddr_in6`.
fn six(address: &str, port: u16) -> libc::sockaddr_in6 {
    let ip: std::net::Ipv6Addr = address.parse().unwrap();
    libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as u16,
        sin6_port: port.to_be(),
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: ip.octets() },
        sin6_scope_id: 0,
    }
}

#[test]
fn a_connection_begins_at_once_over_ipv6_wherever_it_goes() {
    // On the link, behind the gateway, and where no gateway is named.
    for (to, flags) in [
        ("2001:db8::1", "prefix=64"),
        ("2001:db8::1", "prefix=128"),
        ("2001:db8:9::1", "gateway=fe80::1"),
        ("2001:db8:9::1", ""),
    ] {
        let library = Library::open(&format!("{V6} {flags}"));
        let (user, peer) = (library.userdata, six(to, 8080));
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
        let fd = (library.socket)(user, libc::AF_INET6, kind, 0);
        let (at, length) = ((&raw const peer).cast(), size_of_val(&peer) as u32);
        assert_eq!((library.connect)(user, fd, at, length), -1);
        assert_eq!(errno(), libc::EINPROGRESS);
        let before = now(&library);
        let syn = receive(&library);
        assert_eq!(
            now(&library) - before,
            1,
            "no duplicate is looked for, no neighbour waited for"
        );
        assert_eq!((syn[0] >> 4, syn[6]), (6, 6), "TCP over IPv6");
        let own = six("2001:db8::2", 0);
        let ends = [own, peer].map(|end| end.sin6_addr.s6_addr).concat();
        assert_eq!(syn[8..40], ends);
        assert_eq!(syn[53], 2, "a SYN");
        assert_eq!((library.close)(user, fd), 0);
    }
}

#[test]
fn a_socket_of_ipv4_takes_no_address_of_ipv6() {
    let library = Library::open(V6);
    let (user, own) = (library.userdata, six("2001:db8::2", 8080));
    let (at, length) = ((&raw const own).cast(), size_of_val(&own) as u32);
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
        let fd = (library.socket)(user, libc::AF_INET, kind, 0);
        for call in [library.bind, library.connect] {
            assert_eq!(call(user, fd, at, length), -1);
            assert_eq!(errno(), libc::EAFNOSUPPORT);
        }
        assert_eq!((library.close)(user, fd), 0);
    }
}
