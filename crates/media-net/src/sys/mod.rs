//! System calls that the standard library does not have. All of the workspace's unsafe code is below this module and in
//! `signals`.

mod address;
pub(crate) mod clock;
pub(crate) mod epoll;
pub(crate) mod inherit;
pub(crate) mod process;
pub(crate) mod send;
pub(crate) mod tcp;
pub(crate) mod udp;

use std::io;

/// The result of a system call that returns -1 on failure.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
