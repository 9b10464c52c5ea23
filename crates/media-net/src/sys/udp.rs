//! UDP sockets: what arrives, when it did, and ICMP errors.

use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use media_core::NS_PER_S;

use super::address::read_address;
use super::check;

/// No telephone sends more; longer datagrams are dropped.
pub(crate) const MAX_DATAGRAM: usize = 2048;
/// Datagrams of one receive call. Legs bring one at a time, so this is for bursts only; that the call ends before its
/// vector is full proves the socket empty, which is what makes edge-triggered waiting safe without a second call.
pub(crate) const RECEIVE_BATCH: usize = 8;
/// Room for a timespec in a control message.
const CONTROL_WORDS: usize = 8;
/// linux/in6.h; the libc crate does not have it.
const IPV6_MULTICAST_ALL: libc::c_int = 29;

/// Binds a socket that tells when datagrams arrived and, if `errors`, which could not be delivered.
pub(crate) fn bind(address: SocketAddr, errors: bool) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    set_flag(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, true)?;
    // Bound to every address, a socket would hear all groups that any program of this machine has joined.
    match address.is_ipv6() {
        false => set_flag(&socket, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, false)?,
        true => set_flag(&socket, libc::IPPROTO_IPV6, IPV6_MULTICAST_ALL, false)?,
    }
    if errors {
        want_errors(&socket, address.is_ipv6(), true)?;
    }
    Ok(socket)
}

/// Marks what a socket sends with a DSCP (RFC 2474), 0 to 63.
pub(crate) fn mark(socket: &UdpSocket, is_ipv6: bool, dscp: u8) -> io::Result<()> {
    // RFC 2474 §3: the upper six bits of the octet; the lower two are ECN's
    let class = libc::c_int::from(dscp) << 2;
    match is_ipv6 {
        false => set_option(socket, libc::IPPROTO_IP, libc::IP_TOS, class),
        true => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, class),
    }
}

/// Has a socket told, from now on or no longer, which datagrams could not be delivered; the errors that wait are lost.
pub(crate) fn want_errors(socket: &UdpSocket, is_ipv6: bool, wanted: bool) -> io::Result<()> {
    let (level, option) = match is_ipv6 {
        false => (libc::IPPROTO_IP, libc::IP_RECVERR),
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    set_flag(socket, level, option, wanted)
}

/// Has the kernel hold as little as it can of what arrives.
pub(crate) fn keep_little(socket: &UdpSocket) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 0)
}

pub(super) fn set_flag(socket: &UdpSocket, level: libc::c_int, option: libc::c_int, value: bool) -> io::Result<()> {
    set_option(socket, level, option, libc::c_int::from(value))
}

fn set_option(socket: &UdpSocket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a c_int that lives over the call, and the length is that of a c_int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            mem::size_of_val(&value) as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}

/// True if a datagram waits to be received.
pub(crate) fn has_waiting(socket: &UdpSocket) -> bool {
    let mut octets: libc::c_int = 0;
    // SAFETY: the pointer is to a c_int that lives over the call, as FIONREAD wants it.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut octets) };
    result < 0 || octets > 0
}

/// IPv4's type of service, or IPv6's traffic class, of what a socket sends.
pub(crate) fn traffic_class(socket: &UdpSocket, is_ipv6: bool) -> io::Result<u8> {
    let (level, option) = match is_ipv6 {
        false => (libc::IPPROTO_IP, libc::IP_TOS),
        true => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
    };
    octet(socket, level, option)
}

/// By which queues sort what a socket sends: follows from IPv4's type of service.
pub(crate) fn priority(socket: &UdpSocket) -> io::Result<u8> {
    octet(socket, libc::SOL_SOCKET, libc::SO_PRIORITY)
}

fn octet(socket: &UdpSocket, level: libc::c_int, option: libc::c_int) -> io::Result<u8> {
    let (mut value, mut length): (libc::c_int, _) = (0, mem::size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: value and length live over the call and tell each other's size.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut length) })?;
    u8::try_from(value).map_err(io::Error::other)
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

/// Takes the waiting ICMP errors off a socket and tells whither the packets went that they are about, where it is known.
/// True if there was one.
pub(crate) fn take_errors(socket: &UdpSocket, mut tell: impl FnMut(SocketAddr)) -> bool {
    let mut any = false;
    loop {
        // SAFETY: sockaddr_storage is plain numbers, for which all zeroes is a value.
        let mut name: libc::sockaddr_storage = unsafe { mem::zeroed() };
        // SAFETY: msghdr is plain numbers and pointers, for which all zeroes is a value: no data or control is wanted.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_name = (&raw mut name).cast();
        header.msg_namelen = mem::size_of_val(&name) as libc::socklen_t;
        // SAFETY: `header` and the name that it points to live over the call; it points to no other buffers.
        let taken =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
        if taken < 0 {
            return any;
        }
        any = true;
        if let Some(destination) = read_address(&name) {
            tell(destination);
        }
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
    lengths: [(usize, usize, libc::c_int); RECEIVE_BATCH],
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        Self {
            data: Box::new([[0; MAX_DATAGRAM]; RECEIVE_BATCH]),
            // SAFETY: sockaddr_storage is plain numbers, for which all zeroes is a value.
            names: unsafe { mem::zeroed() },
            controls: [[0; CONTROL_WORDS]; RECEIVE_BATCH],
            lengths: [(0, 0, 0); RECEIVE_BATCH],
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
            *lengths = (header.msg_len as usize, inner.msg_controllen, inner.msg_flags);
        }
        Ok(received)
    }

    /// A datagram of the last call; None if it was cut or has no address.
    pub(crate) fn get(&self, index: usize) -> Option<Received<'_>> {
        let (length, control_length, flags) = self.lengths[index];
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::send::send;

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
            datagrams.iter().for_each(|datagram| send(&a, Some(b.local_addr().unwrap()), datagram).unwrap());
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
    fn what_waits_is_seen_until_it_is_taken() {
        let (a, b) = pair("127.0.0.1");
        assert!(!has_waiting(&b));
        send(&a, Some(b.local_addr().unwrap()), b"hello").unwrap();
        wait(&b);
        assert!(has_waiting(&b));
        ReceiveBatch::new().receive(&b).unwrap();
        assert!(!has_waiting(&b));
    }

    #[test]
    fn the_traffic_class_is_what_was_set() {
        for (host, level, option) in
            [("127.0.0.1", libc::IPPROTO_IP, libc::IP_TOS), ("::1", libc::IPPROTO_IPV6, libc::IPV6_TCLASS)]
        {
            let (a, _) = pair(host);
            assert_eq!(traffic_class(&a, host == "::1").unwrap(), 0);
            let class: libc::c_int = 0xb8;
            let length = mem::size_of_val(&class) as libc::socklen_t;
            // SAFETY: the pointer and length are those of `class`, which lives over the call.
            check(unsafe { libc::setsockopt(a.as_raw_fd(), level, option, (&raw const class).cast(), length) })
                .unwrap();
            assert_eq!(traffic_class(&a, host == "::1").unwrap(), 0xb8);
            // linux/pkt_sched.h: TC_PRIO_INTERACTIVE_BULK; IPv6's class changes nothing
            assert_eq!(priority(&a).unwrap(), if host == "::1" { 0 } else { 4 });
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
        let mut told = Vec::new();
        assert!(!take_errors(&a, |_| ()));
        send(&a, Some(nowhere), b"hello").unwrap();
        wait(&a);
        assert!(take_errors(&a, |destination| told.push(destination)));
        assert!(!take_errors(&a, |_| ()));
        assert_eq!(told, [nowhere]);
        want_errors(&a, false, false).unwrap();
        (0..3).for_each(|_| send(&a, Some(nowhere), b"hello").unwrap());
        assert!(!take_errors(&a, |_| ()));
    }
}
