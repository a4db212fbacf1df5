//! The shared object, opened as packetdrill opens it.

use std::ffi::{CString, c_char};
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::path::PathBuf;

use tapstack_packetdrill::abi::Interface;

/// The door, open.
pub(crate) struct Library {
    table: Interface,
}

// SAFETY: packetdrill calls the functions from two threads, and the door is made for that.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

/// Cargo puts the library beside its tests.
pub(crate) fn path() -> PathBuf {
    let tests = std::env::current_exe().expect("a test has a path");
    tests.with_file_name("libtapstack_packetdrill.so")
}

/// A name in the shared object.
fn symbol(name: &str) -> *mut libc::c_void {
    let path = CString::new(path().to_str().expect("a path")).expect("a path without zeros");
    let flags = libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_NODELETE | libc::RTLD_DEEPBIND;
    // SAFETY: the path is a C string; the library's initialisers do nothing.
    let handle = unsafe { libc::dlopen(path.as_ptr(), flags) };
    assert!(!handle.is_null(), "{path:?} cannot be opened");
    let name = CString::new(name).expect("a name without zeros");
    // SAFETY: the handle is open and stays so, the name is a C string.
    let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
    assert!(!symbol.is_null(), "the library does not export {name:?}");
    symbol
}

impl Library {
    /// Opens the library with these flags.
    pub(crate) fn open(flags: &str) -> Library {
        // SAFETY: the caller passes a C string and room for the table.
        type Init = unsafe extern "C" fn(*const c_char, *mut Interface);
        let init = symbol("packetdrill_interface_init");
        // SAFETY: that is the function's type, by the boundary's contract.
        let init: Init = unsafe { std::mem::transmute(init) };
        let flags = CString::new(flags).expect("flags without zeros");
        let mut table = MaybeUninit::<Interface>::zeroed();
        // SAFETY: a C string and room for the table.
        unsafe { init(flags.as_ptr(), table.as_mut_ptr()) };
        // SAFETY: the function has filled it in; a null function would end the test right here.
        Library { table: unsafe { table.assume_init() } }
    }
}

impl Deref for Library {
    type Target = Interface;
    fn deref(&self) -> &Interface {
        &self.table
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        (self.table.free)(self.table.userdata);
    }
}

/// The calling thread's error number.
pub(crate) fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// The number of the calling thread, as /proc shows it.
pub(crate) fn thread_number() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::gettid() }
}

/// Closes a descriptor behind the door's back, as the end of a script does.
pub(crate) fn close(fd: i32) -> i32 {
    // SAFETY: the script that opened it is over.
    unsafe { libc::close(fd) }
}

/// The `struct tcp_info` of a socket, through the `getsockopt` that the library preloads.
pub(crate) fn tcp_info(fd: i32) -> Result<Vec<u8>, String> {
    type Out = *mut libc::c_void;
    type Length = *mut libc::socklen_t;
    // SAFETY: the caller promises what getsockopt(2) asks for.
    type GetSockOpt = unsafe extern "C" fn(i32, i32, i32, Out, Length) -> i32;
    let getsockopt = symbol("getsockopt");
    // SAFETY: the library exports libc's function under libc's name, with libc's type.
    let getsockopt: GetSockOpt = unsafe { std::mem::transmute(getsockopt) };
    let mut room = vec![0; 512];
    let mut length = room.len() as libc::socklen_t;
    let (at, size) = (room.as_mut_ptr().cast(), &raw mut length);
    // SAFETY: the room is as long as is said.
    let answer = unsafe { getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, at, size) };
    room.truncate(length as usize);
    if answer == 0 { Ok(room) } else { Err(format!("TCP_INFO: errno {}", errno())) }
}
