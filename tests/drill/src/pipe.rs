//! `pipe` and `splice`: the pipes are the kernel's, and text is copied between them and a socket.

use stack::host::Errno;

use crate::door::Door;
use crate::kernel;

/// Most bytes that one `splice` moves: what a pipe of Linux's holds.
const SPLICE_MAX: usize = 65_536;

impl Door {
    pub(crate) fn pipe(&self) -> Result<[i32; 2], Errno> {
        kernel::pipe()
    }

    /// Moves bytes from a pipe to a socket or from a socket to a pipe.
    pub(crate) fn splice(
        &self,
        from: i32,
        to: i32,
        length: usize,
        flags: u32,
    ) -> Result<usize, Errno> {
        let dont_wait = match flags & libc::SPLICE_F_NONBLOCK {
            0 => 0,
            _ => libc::MSG_DONTWAIT,
        };
        let length = length.min(SPLICE_MAX);
        match (self.is_sock(from), self.is_sock(to)) {
            (true, false) => {
                let bytes = self.recv(from, length, dont_wait)?.bytes;
                kernel::write(to, &bytes)
            }
            (false, true) => {
                // What is not there cannot be waited for: the script's own thread would write it.
                let length = length.min(kernel::unread(from)?);
                if length == 0 {
                    return Err(Errno::EAGAIN);
                }
                let mut bytes = vec![0; length];
                let count = kernel::read(from, &mut bytes)?;
                self.send(to, &bytes[..count], dont_wait, None)
            }
            _ => Err(Errno::EINVAL),
        }
    }
}
