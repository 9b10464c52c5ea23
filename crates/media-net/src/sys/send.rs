//! Sending datagrams: one at once, or a round's worth of them in as few calls as can be.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::address::RawAddress;
use super::check;

/// Datagrams of one call. More make it no cheaper, and hold what has arrived meanwhile up.
const SEND_BATCH: usize = 64;
/// Most datagrams that one send is cut into: what kernels before 6.9 take (UDP_MAX_SEGMENTS).
const MAX_SEGMENTS: usize = 64;
/// Most octets of such a send: an IPv4 datagram's worth, less the longest header.
const MAX_CUT: usize = 65_507 - 40;
/// How long a full send buffer is waited for, once in a round.
const PATIENCE: Duration = Duration::from_millis(1);
const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
/// Words of a control message that holds one u16: CMSG_SPACE(2).
const CONTROL_WORDS: usize = 3;

/// Sends a datagram, to `to` unless the socket is connected.
pub(crate) fn send(socket: &UdpSocket, to: Option<SocketAddr>, datagram: &[u8]) -> io::Result<()> {
    send_to(socket, to.map(RawAddress::from).as_ref(), datagram)
}

/// True if the kernel cuts one send into datagrams (UDP GSO, Linux 4.18).
pub(crate) fn can_cut(socket: &UdpSocket) -> bool {
    let (mut value, mut length): (libc::c_int, _) = (0, mem::size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: value and length live over the call and tell each other's size.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, (&raw mut value).cast(), &raw mut length)
    };
    result == 0
}

/// True for the ICMP error of an earlier packet, which a socket tells instead of sending the next one.
pub(crate) fn is_of_an_earlier_packet(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH))
}

/// Datagrams, or runs of them that are cut apart, on their way to somebody.
#[derive(Clone, Copy)]
struct Entry<T> {
    tag: T,
    to: Option<RawAddress>,
    start: usize,
    end: usize,
    segment: usize,
}

impl<T> Entry<T> {
    fn datagrams(&self) -> u64 {
        (self.end - self.start).div_ceil(self.segment.max(1)) as u64
    }

    fn is_run(&self) -> bool {
        self.end - self.start > self.segment
    }
}

impl<T: PartialEq> Entry<T> {
    /// True if datagrams of `segment` octets, up to `end`, can be a part of the same send.
    fn goes_on(&self, tag: T, to: Option<&RawAddress>, segment: usize, end: usize) -> bool {
        let octets = end - self.start;
        let (fits, is_whole) = (octets <= MAX_CUT, (self.end - self.start).is_multiple_of(self.segment.max(1)));
        segment > 0
            && fits
            && is_whole
            && segment == self.segment
            && tag == self.tag
            && octets.div_ceil(segment) <= MAX_SEGMENTS
            && to == self.to.as_ref()
    }
}

/// What did not leave as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// An earlier packet from that socket met an ICMP error.
    Unreachable,
    /// So many datagrams were not sent.
    Unsent(u64),
}

/// Datagrams that leave at the end of a round, each tagged with whose it is.
pub(crate) struct Queue<T> {
    entries: Vec<Entry<T>>,
    bytes: Vec<u8>,
    /// The kernel cuts runs of shorter datagrams than this: of as long ones, it has refused to.
    cut_limit: usize,
    /// A full send buffer is waited for, a little.
    patient: bool,
}

impl<T: Copy + PartialEq> Queue<T> {
    pub(crate) fn new(cuts: bool) -> Self {
        Self { entries: Vec::new(), bytes: Vec::new(), cut_limit: if cuts { usize::MAX } else { 0 }, patient: true }
    }

    /// A queue of what is better lost than late.
    pub(crate) fn impatient(cuts: bool) -> Self {
        Self { patient: false, ..Self::new(cuts) }
    }

    /// Adds datagrams of `segment` octets each, to `to` unless the socket is connected. Those that follow others of their
    /// size on the same way leave with them, in one send.
    pub(crate) fn push(&mut self, tag: T, to: Option<SocketAddr>, datagrams: &[u8], segment: usize) {
        let (start, to) = (self.bytes.len(), to.map(RawAddress::from));
        self.bytes.extend_from_slice(datagrams);
        let end = self.bytes.len();
        match self.entries.last_mut().filter(|last| last.goes_on(tag, to.as_ref(), segment, end)) {
            Some(last) => last.end = end,
            None => self.entries.push(Entry { tag, to, start, end, segment }),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Sends all, from the socket of each tag; those of one socket in as few calls as can be if they stand together.
    pub(crate) fn flush<'s>(
        &mut self,
        socket_of: impl Fn(T) -> Option<&'s UdpSocket>,
        mut tell: impl FnMut(T, Trouble),
    ) {
        let entries = mem::take(&mut self.entries);
        let mut rest = &entries[..];
        let mut patient = self.patient;
        while let Some(first) = rest.first() {
            let socket = socket_of(first.tag);
            let same = |entry: &&Entry<T>| match (socket_of(entry.tag), socket) {
                (Some(one), Some(other)) => std::ptr::eq(one, other),
                _ => false,
            };
            let run = rest[1..].iter().take_while(same).count() + 1;
            if let Some(socket) = socket {
                self.send_run(socket, &rest[..run], &mut patient, &mut tell);
            }
            rest = &rest[run..];
        }
        self.entries = entries;
        self.entries.clear();
        self.bytes.clear();
    }

    fn send_run(
        &mut self,
        socket: &UdpSocket,
        run: &[Entry<T>],
        patient: &mut bool,
        tell: &mut impl FnMut(T, Trouble),
    ) {
        let mut left = run;
        while let Some(first) = left.first() {
            let single = left.len() == 1 || self.goes_one_by_one(first);
            let sent = if single { 0 } else { self.send_many(socket, left) };
            left = &left[sent..];
            // what is alone, or what the call above stopped at
            if let Some(entry) = left.first().filter(|_| single || sent < SEND_BATCH) {
                self.send_one(socket, entry, patient, tell);
                left = &left[1..];
            }
        }
    }

    /// Sends up to [`SEND_BATCH`] entries in one call; how many were taken before the first error.
    fn send_many(&self, socket: &UdpSocket, entries: &[Entry<T>]) -> usize {
        let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; SEND_BATCH];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; SEND_BATCH];
        let mut controls = [const { MaybeUninit::<[u64; CONTROL_WORDS]>::uninit() }; SEND_BATCH];
        let mut count = 0;
        for (index, entry) in entries.iter().take(SEND_BATCH).enumerate() {
            if self.goes_one_by_one(entry) {
                break;
            }
            let bytes = &self.bytes[entry.start..entry.end];
            let vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            headers[index].write(header(vectors[index].write(vector), &mut controls[index], entry));
            count += 1;
        }
        // SAFETY: the first `count` headers were written above, and the vectors, control messages, addresses and
        // datagrams that they point to live over the call, which only reads them.
        let sent = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr().cast(), count as libc::c_uint, SEND_FLAGS)
        };
        usize::try_from(sent).unwrap_or(0)
    }

    /// True for several datagrams that the kernel would not cut apart: it may not at all, or not such as are longer than
    /// what the way takes.
    fn goes_one_by_one(&self, entry: &Entry<T>) -> bool {
        entry.is_run() && entry.segment >= self.cut_limit
    }

    fn send_one(
        &mut self,
        socket: &UdpSocket,
        entry: &Entry<T>,
        patient: &mut bool,
        tell: &mut impl FnMut(T, Trouble),
    ) {
        let mut attempt = |datagrams: u64, send: &dyn Fn() -> io::Result<()>| {
            let mut result = send();
            if result.as_ref().is_err_and(is_of_an_earlier_packet) {
                tell(entry.tag, Trouble::Unreachable);
                result = send();
            }
            if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) && mem::take(patient) {
                wait_for_room(socket);
                result = send();
            }
            let refused = result.as_ref().is_err_and(|error| datagrams > 1 && refuses_to_cut(error));
            if result.is_err() && !refused {
                tell(entry.tag, Trouble::Unsent(datagrams));
            }
            refused
        };
        let bytes = &self.bytes[entry.start..entry.end];
        if entry.is_run() && !self.goes_one_by_one(entry) {
            if !attempt(entry.datagrams(), &|| send_run(socket, entry, bytes)) {
                return;
            }
            self.cut_limit = entry.segment;
        }
        for datagram in bytes.chunks(entry.segment.max(1)) {
            attempt(1, &|| send_to(socket, entry.to.as_ref(), datagram));
        }
    }
}

/// Sends datagrams by one call, for the kernel to cut apart.
fn send_run<T>(socket: &UdpSocket, entry: &Entry<T>, bytes: &[u8]) -> io::Result<()> {
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = MaybeUninit::uninit();
    let header = header(&mut vector, &mut control, entry);
    // SAFETY: the vector, control message, address and datagrams that the header points to live over the call, which only
    // reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header.msg_hdr, SEND_FLAGS) };
    check(sent as libc::c_int).map(|_| ())
}

/// The header of an entry, which points to the vector, to the control message and to the entry's address.
fn header<T>(
    vector: &mut libc::iovec,
    control: &mut MaybeUninit<[u64; CONTROL_WORDS]>,
    entry: &Entry<T>,
) -> libc::mmsghdr {
    // SAFETY: mmsghdr is plain numbers and pointers, for which all zeroes is a value.
    let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
    let inner = &mut header.msg_hdr;
    inner.msg_iov = vector;
    inner.msg_iovlen = 1;
    if let Some(to) = &entry.to {
        let (name, length) = to.as_parts();
        inner.msg_name = name.cast_mut().cast();
        inner.msg_namelen = length;
    }
    if entry.is_run() {
        inner.msg_control = control.write([0; CONTROL_WORDS]).as_mut_ptr().cast();
        inner.msg_controllen = mem::size_of::<[u64; CONTROL_WORDS]>();
        // SAFETY: the control buffer is aligned for a cmsghdr and as long as the header says, which is CMSG_SPACE(2):
        // so there is a first message, with room for two octets of data.
        unsafe {
            let message = libc::CMSG_FIRSTHDR(inner);
            (*message).cmsg_level = libc::SOL_UDP;
            (*message).cmsg_type = libc::UDP_SEGMENT;
            (*message).cmsg_len = libc::CMSG_LEN(2) as usize;
            libc::CMSG_DATA(message).cast::<u16>().write_unaligned(entry.segment as u16);
        }
    }
    header
}

fn send_to(socket: &UdpSocket, to: Option<&RawAddress>, datagram: &[u8]) -> io::Result<()> {
    let (name, length) = to.map_or((std::ptr::null(), 0), RawAddress::as_parts);
    // SAFETY: datagram and address (or null with length 0) live over the call with the lengths given.
    let sent =
        unsafe { libc::sendto(socket.as_raw_fd(), datagram.as_ptr().cast(), datagram.len(), SEND_FLAGS, name, length) };
    check(sent as libc::c_int).map(|_| ())
}

/// True if the kernel, the device or the route cannot have a send cut apart.
fn refuses_to_cut(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP | libc::ENOPROTOOPT)
    )
}

fn wait_for_room(socket: &UdpSocket) {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd that lives over the call. Whatever it returns, the send is tried once more.
    unsafe { libc::poll(&raw mut poll, 1, PATIENCE.as_millis() as libc::c_int) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::udp::{bind, set_flag};

    fn socket(host: &str) -> UdpSocket {
        bind(SocketAddr::new(host.parse().unwrap(), 0), true).unwrap()
    }

    fn received(socket: &UdpSocket, count: usize) -> Vec<Vec<u8>> {
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut buffer = [0; 2048];
        (0..count)
            .map(|_| {
                let length = socket.recv(&mut buffer).unwrap();
                buffer[..length].to_vec()
            })
            .collect()
    }

    fn no_trouble(_: usize, trouble: Trouble) {
        panic!("{trouble:?}");
    }

    #[test]
    fn a_round_leaves_in_order_over_both_families_cut_and_whole() {
        for host in ["127.0.0.1", "::1"] {
            let (from, to) = (socket(host), socket(host));
            assert!(can_cut(&from));
            for cuts in [true, false] {
                let mut queue = Queue::new(cuts);
                let mut expected = Vec::new();
                for n in 0..100u8 {
                    let segment = 20 + usize::from(n % 7);
                    let datagrams = vec![n; segment * (1 + usize::from(n % 3))];
                    queue.push(usize::from(n), Some(to.local_addr().unwrap()), &datagrams, segment);
                    expected.extend(datagrams.chunks(segment).map(<[u8]>::to_vec));
                }
                queue.flush(|_| Some(&from), no_trouble);
                assert!(queue.is_empty());
                assert_eq!(received(&to, expected.len()), expected);
            }
        }
    }

    #[test]
    fn what_follows_on_the_same_way_leaves_in_one_send() {
        let (from, to, other) = (socket("127.0.0.1"), socket("127.0.0.1"), socket("127.0.0.1"));
        let [to_one, to_other] = [&to, &other].map(|socket| socket.local_addr().ok());
        let mut queue = Queue::new(true);
        for (tag, to, datagrams, segment) in [
            (1, to_one, &[1; 9][..], 9),
            (1, to_one, &[2; 18], 9),
            (1, to_one, &[3; 4], 9),
            (1, to_one, &[4; 9], 9),
            (2, to_one, &[5; 9], 9),
            (2, to_other, &[6; 9], 9),
            (2, to_other, &[7; 8], 8),
        ] {
            queue.push(tag, to, datagrams, segment);
        }
        let sends: Vec<usize> = queue.entries.iter().map(|entry| entry.end - entry.start).collect();
        assert_eq!(sends, [31, 9, 9, 9, 8]);
        queue.flush(|_| Some(&from), no_trouble);
        let seen: Vec<(u8, usize)> = received(&to, 6).iter().map(|one| (one[0], one.len())).collect();
        assert_eq!(seen, [(1, 9), (2, 9), (2, 9), (3, 4), (4, 9), (5, 9)]);
        assert_eq!(received(&other, 2), [vec![6; 9], vec![7; 8]]);
    }

    #[test]
    fn no_send_is_longer_than_a_kernel_cuts() {
        let (from, to) = (socket("127.0.0.1"), socket("127.0.0.1"));
        let here = to.local_addr().ok();
        for (segment, count) in [(20, 100), (2000, 40)] {
            let mut queue = Queue::new(true);
            (0..count).for_each(|n| queue.push(7, here, &vec![n as u8; segment], segment));
            assert!(queue.entries.iter().all(|entry| entry.datagrams() <= 64 && entry.end - entry.start < 65_500));
            queue.flush(|_| Some(&from), no_trouble);
            assert_eq!(queue.cut_limit, usize::MAX);
            let seen: Vec<u8> = received(&to, count).iter().map(|datagram| datagram[0]).collect();
            assert_eq!(seen, (0..count).map(|n| n as u8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn each_tag_has_its_socket_and_connected_ones_need_no_address() {
        let (a, b, to) = (socket("127.0.0.1"), socket("127.0.0.1"), socket("127.0.0.1"));
        a.connect(to.local_addr().unwrap()).unwrap();
        b.connect(to.local_addr().unwrap()).unwrap();
        let mut queue = Queue::new(true);
        for (tag, byte) in [(0, 1), (0, 2), (1, 3), (2, 4), (0, 5)] {
            queue.push(tag, None, &[byte; 9], 3);
        }
        queue.flush(|tag| [Some(&a), Some(&b), None][tag], no_trouble);
        let seen: Vec<u8> = received(&to, 12).iter().map(|datagram| datagram[0]).collect();
        assert_eq!(seen, [1, 1, 1, 2, 2, 2, 3, 3, 3, 5, 5, 5]);
    }

    #[test]
    fn where_cutting_is_refused_datagrams_leave_one_by_one() {
        let (from, to) = (socket("127.0.0.1"), socket("127.0.0.1"));
        // a kernel that computes no checksums does not cut either
        set_flag(&from, libc::SOL_SOCKET, libc::SO_NO_CHECK, true).unwrap();
        let mut queue = Queue::new(true);
        for n in 0..3 {
            queue.push(n, Some(to.local_addr().unwrap()), &[n as u8; 8], 4);
        }
        queue.flush(|_| Some(&from), no_trouble);
        assert_eq!(queue.cut_limit, 4);
        assert_eq!(received(&to, 6).concat(), [[0; 8], [1; 8], [2; 8]].concat());
    }

    #[test]
    fn what_is_refused_for_its_length_costs_shorter_ones_nothing() {
        let (odd, from, to) = (socket("127.0.0.1"), socket("127.0.0.1"), socket("127.0.0.1"));
        set_flag(&odd, libc::SOL_SOCKET, libc::SO_NO_CHECK, true).unwrap();
        let here = to.local_addr().ok();
        let mut queue = Queue::new(true);
        for _ in 0..2 {
            queue.push(0, here, &[0; 3000], 1500);
            queue.push(1, here, &[1; 516], 172);
            queue.flush(|tag| Some([&odd, &from][tag]), no_trouble);
            assert_eq!(queue.cut_limit, 1500);
        }
        let seen: Vec<usize> = received(&to, 10).iter().map(Vec::len).collect();
        assert_eq!(seen, [1500, 1500, 172, 172, 172, 1500, 1500, 172, 172, 172]);
    }

    #[test]
    fn each_of_datagrams_that_leave_one_by_one_has_its_own_trouble() {
        let (from, dead) = (socket("127.0.0.1"), socket("127.0.0.1"));
        from.connect(dead.local_addr().unwrap()).unwrap();
        drop(dead);
        let mut queue = Queue::new(false);
        queue.push(7, None, &[0; 16], 4);
        let mut troubles = Vec::new();
        queue.flush(|_| Some(&from), |tag, trouble| troubles.push((tag, trouble)));
        // each but the first hears of the one before, and leaves then
        assert_eq!(troubles, [(7, Trouble::Unreachable); 3]);
    }

    #[test]
    fn a_dead_address_costs_the_others_nothing() {
        let (from, to, dead) = (socket("127.0.0.1"), socket("127.0.0.1"), socket("127.0.0.1"));
        let nowhere = dead.local_addr().unwrap();
        drop(dead);
        let mut queue = Queue::new(true);
        for n in 0..20usize {
            let address = if n % 2 == 0 { nowhere } else { to.local_addr().unwrap() };
            queue.push(n, Some(address), &[n as u8; 4], 4);
        }
        let mut troubles = Vec::new();
        queue.flush(|_| Some(&from), |tag, trouble| troubles.push((tag, trouble)));
        assert!(troubles.iter().all(|(_, trouble)| *trouble == Trouble::Unreachable));
        let seen: Vec<u8> = received(&to, 10).iter().map(|datagram| datagram[0]).collect();
        assert_eq!(seen, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    }

    #[test]
    fn what_cannot_be_sent_is_told() {
        let from = socket("127.0.0.1");
        let mut queue = Queue::new(true);
        queue.push(7, Some("[::1]:9".parse().unwrap()), &[0; 12], 4);
        let mut troubles = Vec::new();
        queue.flush(|_| Some(&from), |tag, trouble| troubles.push((tag, trouble)));
        assert_eq!(troubles, [(7, Trouble::Unsent(3))]);
    }
}
