//! TCP connections of control processes on other machines.

use std::io;
use std::mem;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use super::check;

/// A peer that is silent for so long is asked whether it is there (s).
const KEEPALIVE_IDLE: libc::c_int = 10;
/// Between two such questions (s).
const KEEPALIVE_INTERVAL: libc::c_int = 5;
/// What is sent and not acknowledged for so long ends the connection (ms): a host that lost its power leaves orphans,
/// which have to be seen as such.
const USER_TIMEOUT: libc::c_int = 20_000;

/// Makes a connection fit for control: nothing waits for company, and a peer that is gone is noticed.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    set(stream, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    set(stream, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, KEEPALIVE_IDLE)?;
    set(stream, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, KEEPALIVE_INTERVAL)?;
    set(stream, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, USER_TIMEOUT)
}

fn set(stream: &TcpStream, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a c_int that lives over the call, and the length is that of a c_int.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            mem::size_of_val(&value) as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}
