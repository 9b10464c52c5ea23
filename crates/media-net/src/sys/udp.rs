//! UDP sockets: many datagrams in a call, arrival times, ICMP errors.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use media_core::NS_PER_S;

use super::check;

/// No telephone sends more; longer datagrams are dropped.
pub(crate) const MAX_DATAGRAM: usize = 2048;
/// Datagrams of one receive call. Legs bring one at a time, so this is for bursts only; that the call ends before its
/// vector is full proves the socket empty, which is what makes edge-triggered waiting safe without a second call.
pub(crate) const RECEIVE_BATCH: usize = 4;
/// Datagrams of one send call.
const SEND_BATCH: usize = 32;
/// Room for a timespec in a control message.
const CONTROL_WORDS: usize = 8;

const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Binds a socket that tells when datagrams arrived and, if `errors`, which could not be delivered.
pub(crate) fn bind(address: SocketAddr, errors: bool) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    set_flag(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
    if errors {
        match address {
            SocketAddr::V4(_) => set_flag(&socket, libc::IPPROTO_IP, libc::IP_RECVERR)?,
            SocketAddr::V6(_) => set_flag(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR)?,
        }
    }
    Ok(socket)
}

fn set_flag(socket: &UdpSocket, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the pointer is to a c_int that lives over the call, and the length is that of a c_int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}

/// Takes back a `connect`: datagrams come from anybody again. The socket keeps its address, since its port was bound by number.
pub(crate) fn disconnect(socket: &UdpSocket) -> io::Result<()> {
    // SAFETY: sockaddr is plain numbers, for which all zeroes is a value.
    let mut nobody: libc::sockaddr = unsafe { mem::zeroed() };
    nobody.sa_family = libc::AF_UNSPEC as libc::sa_family_t;
    // SAFETY: the pointer and length are those of `nobody`, which lives over the call.
    let result = unsafe {
        libc::connect(socket.as_raw_fd(), &raw const nobody, mem::size_of::<libc::sockaddr>() as libc::socklen_t)
    };
    check(result).map(|_| ())
}

/// Sends a datagram, to `to` unless the socket is connected.
pub(crate) fn send(socket: &UdpSocket, to: Option<SocketAddr>, datagram: &[u8]) -> io::Result<()> {
    let to = to.map(RawAddress::from);
    let (name, length) = to.as_ref().map_or((std::ptr::null(), 0), RawAddress::as_parts);
    // SAFETY: datagram and address (or null with length 0) live over the call with the lengths given.
    let sent =
        unsafe { libc::sendto(socket.as_raw_fd(), datagram.as_ptr().cast(), datagram.len(), SEND_FLAGS, name, length) };
    check(sent as libc::c_int).map(|_| ())
}

/// Sends datagrams that go the same way in as few calls as can be; tells how many were taken before the first error.
pub(crate) fn send_all(
    socket: &UdpSocket,
    to: Option<SocketAddr>,
    datagrams: &mut dyn Iterator<Item = &[u8]>,
) -> (usize, io::Result<()>) {
    let mut to = to.map(RawAddress::from);
    let mut taken = 0;
    loop {
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; SEND_BATCH];
        let mut count = 0;
        for (vector, datagram) in vectors.iter_mut().zip(&mut *datagrams) {
            *vector = libc::iovec { iov_base: datagram.as_ptr().cast_mut().cast(), iov_len: datagram.len() };
            count += 1;
        }
        if count == 0 {
            return (taken, Ok(()));
        }
        // SAFETY: mmsghdr is plain numbers and pointers, for which all zeroes is a value.
        let mut headers: [libc::mmsghdr; SEND_BATCH] = unsafe { mem::zeroed() };
        for (header, vector) in headers.iter_mut().zip(&mut vectors[..count]) {
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if let Some(to) = &mut to {
                header.msg_hdr.msg_name = (&raw mut to.storage).cast();
                header.msg_hdr.msg_namelen = to.length;
            }
        }
        let mut done = 0;
        while done < count {
            let rest = &mut headers[done..count];
            // SAFETY: `rest` are headers whose vectors, datagrams and address live over the call, which only reads them.
            let sent = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, SEND_FLAGS)
            };
            match check(sent) {
                Ok(sent) => done += sent as usize,
                Err(error) => return (taken + done, Err(error)),
            }
        }
        taken += count;
    }
}

/// Takes the waiting ICMP errors off a socket; true if there was one.
pub(crate) fn take_errors(socket: &UdpSocket) -> bool {
    let mut any = false;
    loop {
        // SAFETY: msghdr is plain numbers and pointers, for which all zeroes is a value: no name, data or control is
        // wanted, only that the error is taken off the queue.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        // SAFETY: `header` lives over the call and points to no buffers.
        let taken =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
        if taken < 0 {
            return any;
        }
        any = true;
    }
}

/// A datagram that arrived.
pub(crate) struct Received<'a> {
    pub(crate) source: SocketAddr,
    pub(crate) bytes: &'a [u8],
    /// When the kernel got it, on the wall clock.
    pub(crate) wall_ns: Option<u64>,
}

/// The buffers of a receive call.
pub(crate) struct ReceiveBatch {
    data: Box<[[u8; MAX_DATAGRAM]; RECEIVE_BATCH]>,
    names: [libc::sockaddr_storage; RECEIVE_BATCH],
    controls: [[u64; CONTROL_WORDS]; RECEIVE_BATCH],
    lengths: [(usize, libc::socklen_t, usize, libc::c_int); RECEIVE_BATCH],
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        Self {
            data: Box::new([[0; MAX_DATAGRAM]; RECEIVE_BATCH]),
            // SAFETY: sockaddr_storage is plain numbers, for which all zeroes is a value.
            names: unsafe { mem::zeroed() },
            controls: [[0; CONTROL_WORDS]; RECEIVE_BATCH],
            lengths: [(0, 0, 0, 0); RECEIVE_BATCH],
        }
    }

    /// Takes waiting datagrams; fewer than [`RECEIVE_BATCH`] means that no more are waiting.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; RECEIVE_BATCH];
        // SAFETY: mmsghdr is plain numbers and pointers, for which all zeroes is a value.
        let mut headers: [libc::mmsghdr; RECEIVE_BATCH] = unsafe { mem::zeroed() };
        for (index, header) in headers.iter_mut().enumerate() {
            vectors[index] = libc::iovec { iov_base: self.data[index].as_mut_ptr().cast(), iov_len: MAX_DATAGRAM };
            header.msg_hdr.msg_iov = &raw mut vectors[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut self.names[index]).cast();
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_control = self.controls[index].as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = mem::size_of_val(&self.controls[index]);
        }
        // SAFETY: all buffers that the headers point to live over the call and have the lengths given.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                RECEIVE_BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let received = check(received)? as usize;
        for (lengths, header) in self.lengths.iter_mut().zip(&headers[..received]) {
            let inner = &header.msg_hdr;
            *lengths = (header.msg_len as usize, inner.msg_namelen, inner.msg_controllen, inner.msg_flags);
        }
        Ok(received)
    }

    /// A datagram of the last call; None if it was cut or has no address.
    pub(crate) fn get(&self, index: usize) -> Option<Received<'_>> {
        let (length, _, control_length, flags) = self.lengths[index];
        if flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let source = read_address(&self.names[index])?;
        let wall_ns = self.arrival(index, control_length);
        Some(Received { source, bytes: &self.data[index][..length], wall_ns })
    }

    fn arrival(&self, index: usize, control_length: usize) -> Option<u64> {
        // SAFETY: msghdr is plain numbers and pointers, for which all zeroes is a value.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_control = self.controls[index].as_ptr().cast_mut().cast();
        header.msg_controllen = control_length;
        // SAFETY: the kernel wrote `control_length` octets of well-formed control messages into the aligned buffer.
        let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header).as_ref() }?;
        if (first.cmsg_level, first.cmsg_type) != (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) {
            return None;
        }
        // SAFETY: a message of this type holds a timespec, whose alignment is not promised.
        let time = unsafe { libc::CMSG_DATA(first).cast::<libc::timespec>().read_unaligned() };
        Some(time.tv_sec as u64 * NS_PER_S + time.tv_nsec as u64)
    }
}

/// An address as the kernel reads it.
struct RawAddress {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl RawAddress {
    fn as_parts(&self) -> (*const libc::sockaddr, libc::socklen_t) {
        ((&raw const self.storage).cast(), self.length)
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        // SAFETY: sockaddr_storage is plain numbers, for which all zeroes is a value.
        let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
        let length = match address {
            SocketAddr::V4(v4) => {
                let raw = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                };
                // SAFETY: sockaddr_storage is large enough and aligned for any address.
                unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(raw) };
                mem::size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                // SAFETY: sockaddr_storage is large enough and aligned for any address.
                unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(raw) };
                mem::size_of::<libc::sockaddr_in6>()
            }
        };
        Self { storage, length: length as libc::socklen_t }
    }
}

/// An address that the kernel wrote; without flow and scope, so that equal means the same host and port.
fn read_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in; the storage is aligned for any address.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(raw.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in6; the storage is aligned for any address.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            Some(SocketAddr::new(IpAddr::V6(ip), u16::from_be(raw.sin6_port)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(host: &str) -> (UdpSocket, UdpSocket) {
        let address = SocketAddr::new(host.parse().unwrap(), 0);
        (bind(address, true).unwrap(), bind(address, true).unwrap())
    }

    fn wait(socket: &UdpSocket) {
        let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd that lives over the call.
        assert!(unsafe { libc::poll(&raw mut poll, 1, 2000) } > 0);
    }

    #[test]
    fn datagrams_arrive_with_source_and_time_over_both_families() {
        for host in ["127.0.0.1", "::1"] {
            let (a, b) = pair(host);
            let before = crate::sys::clock::wall_ns();
            let datagrams: Vec<Vec<u8>> = (0..70u8).map(|n| vec![n; usize::from(n) + 1]).collect();
            let (sent, result) = send_all(&a, Some(b.local_addr().unwrap()), &mut datagrams.iter().map(Vec::as_slice));
            assert_eq!((sent, result.is_ok()), (70, true));
            wait(&b);
            let mut batch = ReceiveBatch::new();
            let mut seen = Vec::new();
            while let Ok(count) = batch.receive(&b) {
                for index in 0..count {
                    let received = batch.get(index).unwrap();
                    assert_eq!(received.source, a.local_addr().unwrap());
                    assert!((before..before + NS_PER_S).contains(&received.wall_ns.unwrap()));
                    seen.push(received.bytes.to_vec());
                }
                if count < RECEIVE_BATCH {
                    break;
                }
            }
            assert_eq!(seen, datagrams);
        }
    }

    #[test]
    fn what_is_too_long_is_dropped() {
        let (a, b) = pair("127.0.0.1");
        send(&a, Some(b.local_addr().unwrap()), &[0; MAX_DATAGRAM + 1]).unwrap();
        wait(&b);
        let mut batch = ReceiveBatch::new();
        assert_eq!(batch.receive(&b).unwrap(), 1);
        assert!(batch.get(0).is_none());
    }

    #[test]
    fn connecting_can_be_taken_back() {
        let (a, b) = pair("127.0.0.1");
        let (c, _) = pair("127.0.0.1");
        // a port that the kernel chose would be lost: engines choose theirs
        let port = b.local_addr().unwrap();
        drop(b);
        let b = bind(port, true).unwrap();
        b.connect(a.local_addr().unwrap()).unwrap();
        disconnect(&b).unwrap();
        assert_eq!(b.local_addr().unwrap(), port);
        send(&c, Some(port), b"anybody").unwrap();
        wait(&b);
        assert_eq!(ReceiveBatch::new().receive(&b).unwrap(), 1);
    }

    #[test]
    fn an_unreachable_port_is_an_error_in_the_queue() {
        let (a, b) = pair("127.0.0.1");
        let nowhere = b.local_addr().unwrap();
        drop(b);
        assert!(!take_errors(&a));
        send(&a, Some(nowhere), b"hello").unwrap();
        wait(&a);
        assert!(take_errors(&a));
        assert!(!take_errors(&a));
    }
}
