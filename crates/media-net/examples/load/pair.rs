//! Parties and recorders that are not on this machine as far as its network knows: frames of theirs are written to one end
//! of a veth pair, and what is sent to them is read from a ring there (packet(7)).
//!
//! No socket, route or reception of UDP costs the load's core anything, and each stream has ports of its own. The other end
//! has their hardware address as a permanent neighbour; it is not that of the interface, so that the network drops what
//! comes for them as soon as the ring has it.

use std::ffi::CString;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use crate::wire::{Arrival, Places, Wire};
use crate::{Stream, PACKET};

/// Ports of the first stream's party and recorder; each stream has the next even ones.
const FIRST_PORT: u16 = 10_000;
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const UDP: usize = 8;
/// What goes before each frame on the way to the kernel: struct virtio_net_hdr.
const OFFLOAD: usize = 10;
const HEADERS: usize = OFFLOAD + ETHERNET + IPV4 + UDP;
/// Frames of one system call.
const AT_ONCE: usize = 64;
/// Octets, as the kernel reckons them, of frames that are under way.
static ROOM: libc::c_int = 64 << 20;
/// The ring holds a quarter of a second of 800 000 packets a second.
const BLOCK: usize = 1 << 18;
const BLOCKS: usize = 256;
/// Milliseconds after which a block is handed over that is not full.
const RETIRE_MS: u32 = 1;
/// Only a bound for the kernel: frames of one block lie behind each other.
const FRAME: usize = 1 << 11;

/// Which interface, and who is at its ends.
#[derive(Deserialize)]
pub struct Ends {
    link: String,
    relay: Ipv4Addr,
    relay_hardware: [u8; 6],
    parties: Ipv4Addr,
    recorders: Ipv4Addr,
    hardware: [u8; 6],
}

pub struct Pair {
    ends: Ends,
    out: OwnedFd,
    ring: Ring,
    frames: Vec<[u8; HEADERS + PACKET]>,
}

impl Pair {
    pub fn open(ends: Ends) -> io::Result<Self> {
        let link = CString::new(ends.link.as_str())?;
        // SAFETY: the name is a string with its end.
        let link = unsafe { libc::if_nametoindex(link.as_ptr()) } as libc::c_int;
        if link == 0 {
            return Err(io::Error::last_os_error());
        }
        let out = packet_socket(0, link)?;
        set(&out, libc::PACKET_VNET_HDR, &1)?;
        set(&out, libc::PACKET_QDISC_BYPASS, &1)?;
        make_room(&out)?;
        Ok(Self { ends, out, ring: Ring::open(link)?, frames: Vec::new() })
    }

    fn frame(&self, stream: &Stream, index: usize, packet: &[u8; PACKET]) -> [u8; HEADERS + PACKET] {
        let mut frame = [0; HEADERS + PACKET];
        let (source, destination) = (self.party(index), stream.to);
        let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), destination.ip()) else { return frame };
        // the checksum is left to the hardware, as a socket's on such an interface is: flags, kind, header length, size of
        // segments, where summing starts, where the sum goes
        frame[0] = 1; // VIRTIO_NET_HDR_F_NEEDS_CSUM
        frame[6..8].copy_from_slice(&((ETHERNET + IPV4) as u16).to_ne_bytes());
        frame[8..10].copy_from_slice(&6u16.to_ne_bytes());
        let (_, link) = frame.split_at_mut(OFFLOAD);
        link[..6].copy_from_slice(&self.ends.relay_hardware);
        link[6..12].copy_from_slice(&self.ends.hardware);
        link[12..14].copy_from_slice(&[0x08, 0x00]);
        let (_, ip) = link.split_at_mut(ETHERNET);
        let length = (UDP + PACKET) as u16;
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&(IPV4 as u16 + length).to_be_bytes());
        ip[6] = 0x40; // do not fragment
        ip[8] = 64;
        ip[9] = libc::IPPROTO_UDP as u8;
        ip[12..16].copy_from_slice(&from.octets());
        ip[16..20].copy_from_slice(&to.octets());
        let check = !sum(&ip[..IPV4], 0);
        ip[10..12].copy_from_slice(&check.to_be_bytes());
        // of the checksum there is the part of the addresses (RFC 768)
        let pseudo = sum(&ip[12..IPV4], u32::from(length) + libc::IPPROTO_UDP as u32);
        let (_, udp) = ip.split_at_mut(IPV4);
        udp[..2].copy_from_slice(&source.port().to_be_bytes());
        udp[2..4].copy_from_slice(&destination.port().to_be_bytes());
        udp[4..6].copy_from_slice(&length.to_be_bytes());
        udp[6..8].copy_from_slice(&pseudo.to_be_bytes());
        udp[UDP..].copy_from_slice(packet);
        frame
    }
}

impl Places for Pair {
    fn relay(&self) -> IpAddr {
        self.ends.relay.into()
    }

    fn party(&self, index: usize) -> SocketAddr {
        (self.ends.parties, FIRST_PORT + 2 * index as u16).into()
    }

    fn recorder(&self, index: usize) -> SocketAddr {
        (self.ends.recorders, FIRST_PORT + 2 * index as u16).into()
    }
}

impl Wire for Pair {
    /// The kernel says when frames came, so that it does not matter when they are read; and as a network's card does, this
    /// hands over what comes within so long together.
    const PAUSE: Duration = Duration::from_micros(50);

    /// The clock by which the ring says when frames came.
    fn now_ns(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
    }

    fn prepare(&mut self, streams: &[Stream], packets: Vec<[u8; PACKET]>) {
        let frame = |(index, (stream, packet))| self.frame(stream, index, packet);
        self.frames = streams.iter().zip(&packets).enumerate().map(frame).collect();
    }

    fn send(&mut self, streams: Range<usize>, begin: impl Fn(usize, &mut [u8])) -> usize {
        let first = streams.start;
        // SAFETY: mmsghdr and iovec are plain numbers and pointers, for which all zeroes is a value.
        let (mut messages, mut parts): ([libc::mmsghdr; AT_ONCE], [libc::iovec; AT_ONCE]) = unsafe { mem::zeroed() };
        let mut left = 0usize;
        for (n, frame) in self.frames[streams].iter_mut().take(AT_ONCE).enumerate() {
            begin(first + n, &mut frame[HEADERS..]);
            parts[n] = libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame.len() };
            messages[n].msg_hdr.msg_iov = &raw mut parts[n];
            messages[n].msg_hdr.msg_iovlen = 1;
            left += 1;
        }
        let mut rest = &mut messages[..left];
        while !rest.is_empty() {
            let many = rest.len() as libc::c_uint;
            // SAFETY: the messages point to parts, and those to frames, all of which live over the call.
            let sent = unsafe { libc::sendmmsg(self.out.as_raw_fd(), rest.as_mut_ptr(), many, libc::MSG_DONTWAIT) };
            // a frame for which the queue of the other end has no room is sent, and lost there
            rest = &mut rest[usize::try_from(sent).unwrap_or(0).max(1).min(many as usize)..];
        }
        left
    }

    fn receive(&mut self, mut take: impl FnMut(Arrival)) -> bool {
        let Ends { parties, recorders, .. } = self.ends;
        self.ring.turn(|frame, at_ns| {
            let Some((source, destination, bytes)) = datagram(frame) else { return };
            if destination.ip() == parties || destination.ip() == recorders {
                take(Arrival { bytes, source, destination, at_ns });
            }
        })
    }
}

/// Source, destination and content of a frame with UDP over IPv4 of which the header's checksum is right.
fn datagram(frame: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    let (link, ip) = frame.split_at_checked(ETHERNET)?;
    let (header, udp) = ip.split_at_checked(IPV4)?;
    let is_udp = link[12..] == [0x08, 0x00] && header[0] == 0x45 && header[9] == libc::IPPROTO_UDP as u8;
    if !is_udp || sum(header, 0) != 0xffff {
        return None;
    }
    let word = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    let (ports, _) = udp.split_at_checked(UDP)?;
    let bytes = udp.get(UDP..usize::from(word(&ports[4..])))?;
    Some(((address(12), word(ports)).into(), (address(16), word(&ports[2..])).into(), bytes))
}

/// RFC 1071 §1, from the sum of other words on, of an even number of octets.
fn sum(octets: &[u8], other: u32) -> u16 {
    let words = octets.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut total = words.sum::<u32>() + other;
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// Frames that arrive at an interface, in memory that the kernel writes (PACKET_RX_RING, TPACKET_V3).
struct Ring {
    _socket: OwnedFd,
    memory: NonNull<u8>,
    block: usize,
}

impl Ring {
    fn open(link: libc::c_int) -> io::Result<Self> {
        let socket = packet_socket(0, link)?;
        set(&socket, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as libc::c_int))?;
        set(&socket, libc::PACKET_IGNORE_OUTGOING, &1)?;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK as u32,
            tp_block_nr: BLOCKS as u32,
            tp_frame_size: FRAME as u32,
            tp_frame_nr: (BLOCK / FRAME * BLOCKS) as u32,
            tp_retire_blk_tov: RETIRE_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(&socket, libc::PACKET_RX_RING, &request)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        // SAFETY: a new mapping of a ring of this size, at an address of the kernel's choice.
        let memory = unsafe { libc::mmap(ptr::null_mut(), BLOCK * BLOCKS, protection, flags, socket.as_raw_fd(), 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        // frames come from now on
        bind(&socket, libc::ETH_P_ALL, link)?;
        Ok(Self { _socket: socket, memory, block: 0 })
    }

    /// Takes a block of frames and when each came, by the clock of the day; false if none is ready.
    fn turn(&mut self, mut take: impl FnMut(&[u8], u64)) -> bool {
        // SAFETY: the block lies in the mapping, which begins at a page.
        let block = unsafe { self.memory.add(self.block * BLOCK) };
        let description: NonNull<libc::tpacket_block_desc> = block.cast();
        // SAFETY: a block begins with its description, in which the status is written by the kernel at any time.
        let status = unsafe { AtomicU32::from_ptr(&raw mut (*description.as_ptr()).hdr.bh1.block_status) };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return false;
        }
        // SAFETY: until the status is given back, the kernel writes nothing else of the block.
        let (many, mut at) = unsafe {
            let found = (*description.as_ptr()).hdr.bh1;
            (found.num_pkts, found.offset_to_first_pkt as usize)
        };
        for _ in 0..many {
            // SAFETY: the kernel puts so many frames into the block, each where the one before it says, with its header.
            let (found, frame) = unsafe {
                let header: NonNull<libc::tpacket3_hdr> = block.add(at).cast();
                let found = header.read();
                let frame = block.add(at + usize::from(found.tp_mac));
                (found, std::slice::from_raw_parts(frame.as_ptr(), found.tp_snaplen as usize))
            };
            take(frame, u64::from(found.tp_sec) * 1_000_000_000 + u64::from(found.tp_nsec));
            at += found.tp_next_offset as usize;
        }
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.block = (self.block + 1) % BLOCKS;
        true
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping is this ring's, and nothing of it is used after it.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), BLOCK * BLOCKS) };
    }
}

fn packet_socket(protocol: libc::c_int, link: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: a plain system call; a valid descriptor is owned below.
    let raw = check(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the descriptor was just made and is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    bind(&socket, protocol, link)?;
    Ok(socket)
}

/// Frames are this socket's until the relay's core has taken them: what that core is behind with is to be lost there, where
/// it is counted for the relay, and not to be refused here.
fn make_room(socket: &OwnedFd) -> io::Result<()> {
    let length = mem::size_of_val(&ROOM) as libc::socklen_t;
    let value = (&raw const ROOM).cast();
    // SAFETY: the pointer and length are those of a constant c_int.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, value, length) })?;
    Ok(())
}

fn bind(socket: &OwnedFd, protocol: libc::c_int, link: libc::c_int) -> io::Result<()> {
    // SAFETY: sockaddr_ll is plain numbers, for which all zeroes is a value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (protocol as u16).to_be();
    address.sll_ifindex = link;
    let length = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and length are those of `address`, which lives over the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(())
}

/// An option of a packet socket, whose value is plain numbers.
fn set<T>(socket: &OwnedFd, option: libc::c_int, value: &T) -> io::Result<()> {
    let length = mem::size_of_val(value) as libc::socklen_t;
    // SAFETY: the pointer and length are those of `value`, which lives over the call.
    check(unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, ptr::from_ref(value).cast(), length)
    })?;
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(result),
    }
}
