//! Sockets that a service manager listens on and hands over (sd_listen_fds(3)).

use std::io;
use std::mem;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::check;

/// The first descriptor that is handed over.
const FIRST: RawFd = 3;
/// No service hands over more; a wild number in the environment must not make us close what is not ours.
const MOST: usize = 64;

/// What a descriptor that was handed over is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Unix,
    Tcp,
}

/// The sockets that the environment says are ours, each with its family. It may be called once in a process.
///
/// `pid`: of this process. Fails with `InvalidInput` for what is no listening stream socket.
pub(crate) fn take(variable: impl Fn(&str) -> Option<String>, pid: u32) -> io::Result<Vec<(OwnedFd, Family)>> {
    (0..count(variable, pid)?)
        .map(|index| {
            let fd = FIRST + index as RawFd;
            let family = listening_family(fd)?;
            // SAFETY: the call takes no pointers; a bad descriptor is reported as an error.
            check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
            // SAFETY: the service manager opened the descriptor for this process, and nobody else here takes it.
            Ok((unsafe { OwnedFd::from_raw_fd(fd) }, family))
        })
        .collect()
}

/// How many sockets the environment hands over to process `pid`.
fn count(variable: impl Fn(&str) -> Option<String>, pid: u32) -> io::Result<usize> {
    if variable("LISTEN_PID").and_then(|text| text.parse().ok()) != Some(pid) {
        return Ok(0);
    }
    match variable("LISTEN_FDS").and_then(|text| text.parse().ok()) {
        Some(count) if count <= MOST => Ok(count),
        _ => Err(invalid("LISTEN_FDS is no number of sockets")),
    }
}

fn listening_family(fd: RawFd) -> io::Result<Family> {
    if socket_option(fd, libc::SO_ACCEPTCONN)? != 1 || socket_option(fd, libc::SO_TYPE)? != libc::SOCK_STREAM {
        return Err(invalid("a descriptor that was handed over is no listening stream socket"));
    }
    match socket_option(fd, libc::SO_DOMAIN)? {
        libc::AF_UNIX => Ok(Family::Unix),
        libc::AF_INET | libc::AF_INET6 => Ok(Family::Tcp),
        _ => Err(invalid("a socket that was handed over is of no family that is served")),
    }
}

fn socket_option(fd: RawFd, option: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: both pointers are to values that live over the call, and the length is that of a c_int.
    let result = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut length) };
    check(result).map(|_| value)
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixListener;

    fn counted(pid: &str, fds: &str) -> io::Result<usize> {
        let (pid, fds) = (pid.to_owned(), fds.to_owned());
        count(move |name| Some(if name == "LISTEN_PID" { pid.clone() } else { fds.clone() }), 7)
    }

    #[test]
    fn sockets_are_ours_if_they_are_handed_to_this_process() {
        assert_eq!(counted("7", "2").unwrap(), 2);
        assert_eq!(counted("8", "2").unwrap(), 0);
        assert_eq!(counted("7", "65").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(counted("7", "-1").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(take(|_| None, 7).unwrap().is_empty());
    }

    #[test]
    fn only_listening_stream_sockets_are_taken() {
        let path = std::env::temp_dir().join(format!("sidestream-inherit-{}", std::process::id()));
        let unix = UnixListener::bind(&path).unwrap();
        let tcp = TcpListener::bind("[::1]:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(listening_family(unix.as_raw_fd()).unwrap(), Family::Unix);
        assert_eq!(listening_family(tcp.as_raw_fd()).unwrap(), Family::Tcp);
        assert_eq!(listening_family(udp.as_raw_fd()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        std::fs::remove_file(path).unwrap();
    }
}
