//! The calls of a script, made through the door's table.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::net::IpAddr;
use std::sync::Mutex;

use libc::{epoll_event, iovec, msghdr, pollfd, sockaddr, socklen_t};

use crate::library::{Library, errno};
use crate::script::Call;
use crate::value::Value;
use crate::version::Version;

/// The stack's port, and the port to which it connects.
pub(crate) const PORT: u16 = 8080;

/// What calls work on.
pub(crate) struct Machine {
    pub(crate) library: Library,
    /// The script's descriptors, and the live ones.
    pub(crate) fds: Mutex<BTreeMap<i64, i32>>,
    /// What was written to each live descriptor and read from it, in bytes.
    pub(crate) moved: Mutex<BTreeMap<i32, Moved>>,
    pub(crate) version: Version,
}

/// Bytes of the two streams of a connection.
#[derive(Clone, Copy, Default)]
pub(crate) struct Moved {
    written: u64,
    read: u64,
}

/// The byte at this place of the stack's text, and of its peer's.
pub(crate) fn text(offset: u64) -> u8 {
    (offset % 251) as u8
}

/// What stands in a buffer that nobody has written to.
const UNTOUCHED: u8 = 0xee;

/// A `struct sockaddr_in` or `sockaddr_in6`, as bytes.
fn address(ip: IpAddr, port: u16) -> Vec<u8> {
    let port = port.to_be_bytes();
    match ip {
        IpAddr::V4(ip) => {
            [&(libc::AF_INET as u16).to_ne_bytes()[..], &port, &ip.octets(), &[0; 8]].concat()
        }
        IpAddr::V6(ip) => {
            let family = (libc::AF_INET6 as u16).to_ne_bytes();
            [&family[..], &port, &[0; 4], &ip.octets(), &[0; 4]].concat()
        }
    }
}

/// The same without its port.
fn host(mut address: Vec<u8>) -> Vec<u8> {
    address[2..4].fill(0);
    address
}

/// A `struct epoll_event` from `{events=.., fd=..}`: the datum is the script's number.
fn epoll(value: &Value) -> Result<epoll_event, String> {
    let events = value.field("events")?.int()? as u32;
    let datum = ["fd", "u32", "u64", "ptr"].iter().find_map(|key| value.field(key).ok());
    Ok(epoll_event { events, u64: datum.ok_or("no datum")?.int()? as u64 })
}

impl Machine {
    /// Makes a call and checks its answer.
    pub(crate) fn call(&self, call: &Call) -> Result<(), String> {
        let result = self.make(call)?;
        let found = if result < 0 { Some(i64::from(errno())) } else { None };
        let opens = matches!(call.name.as_str(), "socket" | "accept" | "epoll_create");
        if opens && result >= 0 && call.result >= 0 {
            self.fds.lock().unwrap().insert(call.result, result as i32);
        } else if result != call.result {
            return Err(format!("answered {result} (errno {found:?}), not {}", call.result));
        }
        match call.errno {
            Some(wanted) if found != Some(wanted) => {
                Err(format!("failed with errno {found:?}, not {wanted}"))
            }
            _ => Ok(()),
        }
    }

    fn make(&self, call: &Call) -> Result<i64, String> {
        let argument = |i: usize| call.arguments.get(i).ok_or(format!("no argument {i}"));
        let int = |i: usize| argument(i)?.int().map(|it| it as i32);
        let size = |i: usize| argument(i)?.int().map(|it| it as usize);
        let fd = |i: usize| self.live(argument(i)?.int()?);
        let (lib, user) = (&self.library, self.library.userdata);
        let own = address(self.version.local(), PORT);
        let peer = address(self.version.remote(), PORT);
        let at = |address: &[u8]| address.as_ptr().cast::<sockaddr>();
        let length = own.len() as socklen_t;
        let answer = match call.name.as_str() {
            "socket" => {
                let domain = argument(0)?.int().unwrap_or(self.version.domain().into()) as i32;
                (lib.socket)(user, domain, int(1)?, int(2)?).into()
            }
            "bind" => (lib.bind)(user, fd(0)?, at(&own), length).into(),
            "connect" => {
                let nobody = [&[0; 2], &peer[2..]].concat();
                let nowhere = argument(1)? == &Value::Int(libc::AF_UNSPEC.into());
                let to = if nowhere { at(&nobody) } else { at(&peer) };
                // Another connection begins at zero.
                self.moved.lock().unwrap().remove(&fd(0)?);
                (lib.connect)(user, fd(0)?, to, length).into()
            }
            "listen" => (lib.listen)(user, fd(0)?, int(1)?).into(),
            "accept" => self.accept(fd(0)?)?,
            "close" => {
                let live = fd(0)?;
                self.fds.lock().unwrap().remove(&argument(0)?.int()?);
                self.moved.lock().unwrap().remove(&live);
                (lib.close)(user, live).into()
            }
            "shutdown" => (lib.shutdown)(user, fd(0)?, int(1)?).into(),
            "fcntl" => {
                let value = call.arguments.get(2).map_or(Ok(0), Value::int)?;
                (lib.fcntl)(user, fd(0)?, int(1)?, value).into()
            }
            "setsockopt" => self.set_option(fd(0)?, int(1)?, int(2)?, argument(3)?)?,
            "getsockopt" => self.get_option(fd(0)?, int(1)?, int(2)?, argument(3)?)?,
            "ioctl" => {
                let mut value = -1;
                let answer = (lib.ioctl)(user, fd(0)?, argument(1)?.int()? as u64, &mut value);
                let wanted = int(2)?;
                if answer == 0 && value != wanted {
                    return Err(format!("stored {value}, not {wanted}"));
                }
                answer.into()
            }
            "read" | "recv" | "recvfrom" | "write" | "send" | "sendto" => {
                let flags = if call.arguments.len() > 3 { int(3)? } else { 0 };
                let nowhere = argument(1)? == &Value::Int(0);
                let to = matches!(argument(4), Ok(Value::Dots)).then_some(&peer[..]);
                self.transfer(&call.name, fd(0)?, nowhere, (size(2)?, flags), to)?
            }
            "readv" | "writev" | "sendmsg" | "recvmsg" => self.vector(call, fd(0)?)?,
            "poll" => self.poll(argument(0)?, int(2)?)?,
            "epoll_create" => (lib.epoll_create)(user, int(0)?).into(),
            "epoll_ctl" => {
                let mut event = epoll(argument(3)?)?;
                (lib.epoll_ctl)(user, fd(0)?, int(1)?, fd(2)?, &mut event).into()
            }
            "epoll_wait" => self.epoll_wait(fd(0)?, argument(1)?, int(2)?, int(3)?)?,
            "pipe" => self.pipe(argument(0)?)?,
            "splice" => self.splice((fd(0)?, fd(2)?), size(4)?, size(5)? as u32),
            other => return Err(format!("`{other}` is no call that the runner knows")),
        };
        Ok(answer)
    }

    fn live(&self, fd: i64) -> Result<i32, String> {
        let fds = self.fds.lock().unwrap();
        fds.get(&fd).copied().ok_or(format!("the script has no descriptor {fd}"))
    }

    fn accept(&self, listener: i32) -> Result<i64, String> {
        let expected = address(self.version.remote(), 0);
        let mut from = vec![UNTOUCHED; expected.len()];
        let mut length = from.len() as socklen_t;
        let (lib, at) = (&self.library, from.as_mut_ptr().cast());
        let accepted = (lib.accept)(lib.userdata, listener, at, &mut length);
        let told = length as usize == expected.len() && host(from.clone()) == expected;
        if accepted >= 0 && !told {
            return Err(format!("accepted from {from:?}"));
        }
        Ok(accepted.into())
    }

    fn moved(&self, fd: i32) -> Moved {
        self.moved.lock().unwrap().get(&fd).copied().unwrap_or_default()
    }

    fn advance(&self, fd: i32, change: impl FnOnce(&mut Moved)) {
        change(self.moved.lock().unwrap().entry(fd).or_default());
    }

    /// What comes next in the text for the descriptor, `length` bytes of it.
    fn to_write(&self, fd: i32, length: usize) -> Vec<u8> {
        (self.moved(fd).written..).take(length).map(text).collect()
    }

    /// A call that reads has answered: what it was to bring stands in the buffer, and nothing else.
    fn has_read(&self, fd: i32, room: &[u8], answer: i64, flags: i32) -> Result<(), String> {
        let (from, count) = (self.moved(fd).read, answer.max(0) as usize);
        let brings = if flags & libc::MSG_TRUNC == 0 { count } else { 0 };
        let wanted = (from..).map(text).take(brings).chain(std::iter::repeat(UNTOUCHED));
        if let Some(at) = room.iter().zip(wanted).position(|(found, wanted)| *found != wanted) {
            return Err(format!("read {count} bytes from {from}, and {at} behind that is wrong"));
        }
        if flags & libc::MSG_PEEK == 0 {
            self.advance(fd, |moved| moved.read += count as u64);
        }
        Ok(())
    }

    /// `nowhere`: the script passes NULL.
    fn transfer(
        &self,
        name: &str,
        fd: i32,
        nowhere: bool,
        (length, flags): (usize, i32),
        to: Option<&[u8]>,
    ) -> Result<i64, String> {
        let (lib, user) = (&self.library, self.library.userdata);
        let reads = matches!(name, "read" | "recv" | "recvfrom");
        let mut room = if reads { vec![UNTOUCHED; length] } else { self.to_write(fd, length) };
        let none = std::ptr::null_mut();
        let at: *mut c_void = if nowhere { std::ptr::null_mut() } else { room.as_mut_ptr().cast() };
        let answer = match name {
            "read" => (lib.read)(user, fd, at, length),
            "recv" => (lib.recv)(user, fd, at, length, flags),
            "recvfrom" => (lib.recvfrom)(user, fd, at, length, flags, none, std::ptr::null_mut()),
            "write" => (lib.write)(user, fd, at, length),
            "send" => (lib.send)(user, fd, at, length, flags),
            _ => {
                let long = to.map_or(0, |to| to.len() as socklen_t);
                let to = to.map_or(std::ptr::null(), |to| to.as_ptr().cast());
                (lib.sendto)(user, fd, at, length, flags, to, long)
            }
        };
        match reads {
            true => self.has_read(fd, &room, answer as i64, flags)?,
            false => self.advance(fd, |moved| moved.written += answer.max(0) as u64),
        }
        Ok(answer as i64)
    }

    /// Calls over several buffers, and messages.
    fn vector(&self, call: &Call, fd: i32) -> Result<i64, String> {
        let (lib, user) = (&self.library, self.library.userdata);
        let is_message = call.name.ends_with("msg");
        let list = match is_message {
            true => call.arguments[1].field("msg_iov")?.list()?,
            false => call.arguments[1].list()?,
        };
        let lengths: Result<Vec<usize>, String> = list
            .iter()
            .map(|it| match it {
                Value::Struct(fields) if fields.len() == 2 => fields[1].1.int().map(|n| n as usize),
                other => Err(format!("{other:?} is no buffer")),
            })
            .collect();
        let lengths = lengths?;
        let (whole, reads) = (lengths.iter().sum(), matches!(&call.name[..], "readv" | "recvmsg"));
        let mut room = if reads { vec![UNTOUCHED; whole] } else { self.to_write(fd, whole) };
        let mut rest = &mut room[..];
        let mut buffers = Vec::new();
        for length in lengths {
            let (buffer, behind) = rest.split_at_mut(length);
            buffers.push(iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: length });
            rest = behind;
        }
        let count = buffers.len();
        if !is_message {
            let function = if reads { lib.readv } else { lib.writev };
            let answer = function(user, fd, buffers.as_ptr(), count as i32) as i64;
            match reads {
                true => self.has_read(fd, &room, answer, 0)?,
                false => self.advance(fd, |moved| moved.written += answer.max(0) as u64),
            }
            return Ok(answer);
        }
        let flags = call.arguments[2].int()? as i32;
        let mut control = [0u64; 16];
        let mut message = msghdr {
            msg_name: std::ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: buffers.as_mut_ptr(),
            msg_iovlen: count,
            msg_control: control.as_mut_ptr().cast(),
            msg_controllen: if call.name == "recvmsg" { size_of_val(&control) } else { 0 },
            msg_flags: 0,
        };
        if call.name == "sendmsg" {
            let answer = (lib.sendmsg)(user, fd, &message, flags) as i64;
            self.advance(fd, |moved| moved.written += answer.max(0) as u64);
            return Ok(answer);
        }
        let answer = (lib.recvmsg)(user, fd, &mut message, flags) as i64;
        self.has_read(fd, &room, answer, flags)?;
        check_message(&call.arguments[1], &message, &control)?;
        Ok(answer)
    }

    fn splice(&self, (from, to): (i32, i32), length: usize, flags: u32) -> i64 {
        let (lib, mut places) = (&self.library, (0, 0));
        let (out_of, into) = (&mut places.0, &mut places.1);
        let answer = (lib.splice)(lib.userdata, from, out_of, to, into, length, flags) as i64;
        self.advance(from, |moved| moved.read += answer.max(0) as u64);
        self.advance(to, |moved| moved.written += answer.max(0) as u64);
        answer
    }

    fn set_option(&self, fd: i32, level: i32, name: i32, value: &Value) -> Result<i64, String> {
        let bytes = option_bytes(value)?;
        let (lib, at) = (&self.library, bytes.as_ptr().cast());
        Ok((lib.setsockopt)(lib.userdata, fd, level, name, at, bytes.len() as socklen_t).into())
    }

    fn get_option(&self, fd: i32, level: i32, name: i32, wanted: &Value) -> Result<i64, String> {
        let wanted = option_bytes(wanted)?;
        let mut room = vec![0xee; wanted.len()];
        let mut length = room.len() as socklen_t;
        let (lib, at) = (&self.library, room.as_mut_ptr().cast());
        let answer = (lib.getsockopt)(lib.userdata, fd, level, name, at, &mut length);
        room.truncate(length as usize);
        if answer == 0 && room != wanted {
            return Err(format!("told {room:?}, not {wanted:?}"));
        }
        Ok(answer.into())
    }

    fn poll(&self, list: &Value, millis: i32) -> Result<i64, String> {
        let mut fds = Vec::new();
        for it in list.list()? {
            let fd = self.live(it.field("fd")?.int()?)?;
            fds.push(pollfd { fd, events: it.field("events")?.int()? as i16, revents: 0 });
        }
        let (lib, at) = (&self.library, fds.as_mut_ptr());
        let answer = (lib.poll)(lib.userdata, at, fds.len() as u64, millis);
        for (it, found) in list.list()?.iter().zip(&fds) {
            let wanted = it.field("revents")?.int()?;
            if i64::from(found.revents) != wanted {
                return Err(format!("revents {:#x}, not {wanted:#x}", found.revents));
            }
        }
        Ok(answer.into())
    }

    fn epoll_wait(&self, fd: i32, wanted: &Value, most: i32, millis: i32) -> Result<i64, String> {
        let mut events = vec![epoll_event { events: 0, u64: 0 }; most as usize];
        let (lib, at) = (&self.library, events.as_mut_ptr());
        let answer = (lib.epoll_wait)(lib.userdata, fd, at, most, millis);
        let wanted = epoll(wanted)?;
        let (found, datum) = (events[0].events, events[0].u64);
        let expected = (wanted.events, wanted.u64);
        if answer > 0 && (found, datum) != expected {
            return Err(format!("told of {found:#x} with {datum}, not {expected:?}"));
        }
        Ok(answer.into())
    }

    fn pipe(&self, numbers: &Value) -> Result<i64, String> {
        let mut ends = [-1; 2];
        let answer = (self.library.pipe)(self.library.userdata, ends.as_mut_ptr());
        for (number, end) in numbers.list()?.iter().zip(ends) {
            self.fds.lock().unwrap().insert(number.int()?, end);
        }
        Ok(answer.into())
    }
}

/// An int, or the ints of a structure in their order.
fn option_bytes(value: &Value) -> Result<Vec<u8>, String> {
    let as_int = |value: &Value| value.int().map(|it| (it as i32).to_ne_bytes().to_vec());
    match value {
        Value::Struct(fields) if fields.iter().any(|(key, _)| key == "tv_sec") => {
            let long = |value: &Value| value.int().map(|it| it.to_ne_bytes().to_vec());
            Ok([long(value.field("tv_sec")?)?, long(value.field("tv_usec")?)?].concat())
        }
        Value::Struct(fields) => fields
            .iter()
            .map(|(_, it)| as_int(it))
            .collect::<Result<Vec<_>, _>>()
            .map(|it| it.concat()),
        Value::Text(text) => Ok([text.as_bytes(), &[0]].concat()),
        Value::List(list) => match list.as_slice() {
            [Value::Text(text)] => Ok([text.as_bytes(), &[0]].concat()),
            _ => as_int(value),
        },
        other => as_int(other),
    }
}

/// The flags and the control message of a received message.
fn check_message(wanted: &Value, message: &msghdr, control: &[u64]) -> Result<(), String> {
    let flags = wanted.field("msg_flags")?.int()?;
    if i64::from(message.msg_flags) != flags {
        return Err(format!("msg_flags {:#x}, not {flags:#x}", message.msg_flags));
    }
    let Ok(list) = wanted.field("msg_control") else {
        return match message.msg_controllen {
            0 => Ok(()),
            length => Err(format!("{length} bytes of control messages")),
        };
    };
    let cmsg = &list.list()?[0];
    let part = |key: &str| cmsg.field(key)?.int();
    let level_and_type = part("cmsg_level")? as u64 | (part("cmsg_type")? as u64) << 32;
    let expected = [20, level_and_type, part("cmsg_data")? as u64];
    match control[..3] == expected && message.msg_controllen == 24 {
        true => Ok(()),
        false => Err(format!("control message {:?}, not {expected:?}", &control[..3])),
    }
}
