//! Reading many datagrams in one call, and merged ones apart.

use std::mem;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::{io, ptr};

use crate::PACKET;

/// Datagrams of one call.
const AT_ONCE: usize = 16;
/// Most octets of merged datagrams: as many as a kernel cuts one send into.
const MERGED: usize = 64 * PACKET;
/// Room for a control message that holds an int: CMSG_SPACE(4), in words.
const CONTROL_WORDS: usize = 3;

/// Has the kernel hand over as one what left as one (UDP GRO).
pub fn read_merged(socket: &UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the pointer is to a c_int that lives over the call, and the length is that of a c_int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The buffers of a call.
pub struct Reader {
    data: Vec<[u8; MERGED]>,
}

impl Reader {
    pub fn new() -> Self {
        Self { data: vec![[0; MERGED]; AT_ONCE] }
    }

    /// Takes waiting IPv4 datagrams, each with its source; true if there was any.
    pub fn read(&mut self, socket: &UdpSocket, mut take: impl FnMut(SocketAddr, &[u8])) -> bool {
        // SAFETY: all of these are plain numbers and pointers, for which all zeroes is a value.
        let (mut headers, mut vectors, mut names): (
            [libc::mmsghdr; AT_ONCE],
            [libc::iovec; AT_ONCE],
            [libc::sockaddr_in; AT_ONCE],
        ) = unsafe { mem::zeroed() };
        let mut controls = [[0u64; CONTROL_WORDS]; AT_ONCE];
        for (index, header) in headers.iter_mut().enumerate() {
            vectors[index] = libc::iovec { iov_base: self.data[index].as_mut_ptr().cast(), iov_len: MERGED };
            let inner = &mut header.msg_hdr;
            (inner.msg_iov, inner.msg_iovlen) = (&raw mut vectors[index], 1);
            inner.msg_name = (&raw mut names[index]).cast();
            inner.msg_namelen = mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
            inner.msg_control = controls[index].as_mut_ptr().cast();
            inner.msg_controllen = mem::size_of_val(&controls[index]);
        }
        let (most, flags) = (AT_ONCE as libc::c_uint, libc::MSG_DONTWAIT);
        // SAFETY: all buffers that the headers point to live over the call and have the lengths given.
        let count = unsafe { libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), most, flags, ptr::null_mut()) };
        let count = usize::try_from(count).unwrap_or(0);
        for (index, header) in headers[..count].iter().enumerate() {
            let source =
                (Ipv4Addr::from(u32::from_be(names[index].sin_addr.s_addr)), u16::from_be(names[index].sin_port));
            let length = header.msg_len as usize;
            let segment = segment(&header.msg_hdr).unwrap_or(length);
            self.data[index][..length].chunks(segment.max(1)).for_each(|bytes| take(source.into(), bytes));
        }
        count > 0
    }
}

/// The length of each of the datagrams that were merged; None for one alone.
fn segment(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel wrote well-formed control messages into the buffer that the header points to.
    let message = unsafe { libc::CMSG_FIRSTHDR(header).as_ref() }?;
    let is_it = (message.cmsg_level, message.cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO);
    // SAFETY: a message of this type holds an int, whose alignment is not promised.
    is_it.then(|| unsafe { libc::CMSG_DATA(message).cast::<libc::c_int>().read_unaligned() } as usize)
}
