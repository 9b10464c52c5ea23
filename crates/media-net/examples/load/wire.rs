//! Where the load's packets go out and come back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::reader::{read_merged, Reader};
use crate::{Stream, PACKET};

/// Sockets that the streams share on each side, so that none overflows and none is a call's own.
pub const SOCKETS: usize = 16;
/// Who is where.
pub trait Places {
    /// The relay's address.
    fn relay(&self) -> IpAddr;
    /// Where the party that sends stream `index` listens.
    fn party(&self, index: usize) -> SocketAddr;
    /// Where the copy of stream `index` goes.
    fn recorder(&self, index: usize) -> SocketAddr;
}

/// A packet that has come.
pub struct Arrival<'a> {
    pub bytes: &'a [u8],
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// On the clock of [`Wire::now_ns`].
    pub at_ns: u64,
}

pub trait Wire: Places {
    /// How long to pause where there is nothing to do.
    const PAUSE: Duration;

    fn now_ns(&self) -> u64;

    /// Is told once what is going to be sent: the first packet of each stream, of which only the beginning will change.
    fn prepare(&mut self, streams: &[Stream], packets: Vec<[u8; PACKET]>);

    /// Sends the next packets of some streams, after `begin` has written the beginning of each; how many left.
    fn send(&mut self, streams: Range<usize>, begin: impl Fn(usize, &mut [u8])) -> usize;

    /// Takes some of what has come; true if there was any.
    fn receive(&mut self, take: impl FnMut(Arrival)) -> bool;
}

/// Sockets of the parties and of the recorder, on this machine.
pub struct Sockets {
    pub parties: Vec<UdpSocket>,
    pub recorders: Vec<UdpSocket>,
    addresses: [Vec<SocketAddr>; 2],
    reader: Reader,
    begun: Instant,
    targets: Vec<SocketAddr>,
    packets: Vec<[u8; PACKET]>,
}

impl Sockets {
    pub fn bind() -> std::io::Result<Self> {
        let bind = || -> std::io::Result<Vec<UdpSocket>> {
            (0..SOCKETS)
                .map(|_| {
                    let socket = UdpSocket::bind("127.0.0.1:0")?;
                    socket.set_nonblocking(true)?;
                    make_room(&socket);
                    Ok(socket)
                })
                .collect()
        };
        let (parties, recorders) = (bind()?, bind()?);
        let addresses = |sockets: &[UdpSocket]| sockets.iter().map(UdpSocket::local_addr).collect::<Result<_, _>>();
        let addresses = [addresses(&parties)?, addresses(&recorders)?];
        let (reader, begun) = (Reader::new(), Instant::now());
        Ok(Self { parties, recorders, addresses, reader, begun, targets: Vec::new(), packets: Vec::new() })
    }

    /// Has the recorder read what left in one send in one piece. On one machine it is the sender who pays for what is
    /// cut up before that.
    pub fn merge_recordings(self) -> std::io::Result<Self> {
        self.recorders.iter().try_for_each(read_merged)?;
        Ok(self)
    }
}

impl Places for Sockets {
    fn relay(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn party(&self, index: usize) -> SocketAddr {
        self.addresses[0][index % SOCKETS]
    }

    fn recorder(&self, index: usize) -> SocketAddr {
        self.addresses[1][index % SOCKETS]
    }
}

impl Wire for Sockets {
    const PAUSE: Duration = crate::PAUSE;

    fn now_ns(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }

    fn prepare(&mut self, streams: &[Stream], packets: Vec<[u8; PACKET]>) {
        self.targets = streams.iter().map(|stream| stream.to).collect();
        self.packets = packets;
    }

    fn send(&mut self, streams: Range<usize>, begin: impl Fn(usize, &mut [u8])) -> usize {
        let mut sent = 0;
        for index in streams {
            let packet = &mut self.packets[index];
            begin(index, packet);
            sent += usize::from(self.parties[index % SOCKETS].send_to(packet, self.targets[index]).is_ok());
        }
        sent
    }

    fn receive(&mut self, mut take: impl FnMut(Arrival)) -> bool {
        let mut any = false;
        let Self { parties, recorders, addresses, reader, begun, .. } = self;
        for (sockets, addresses) in [parties, recorders].into_iter().zip(addresses) {
            for (socket, destination) in sockets.iter().zip(addresses) {
                any |= reader.read(socket, |source, bytes| {
                    let at_ns = begun.elapsed().as_nanos() as u64;
                    take(Arrival { bytes, source, destination: *destination, at_ns });
                });
            }
        }
        any
    }
}

/// Has a socket hold all that comes while the generator is held up, as far as this process may ask for it: what is
/// lost is to be the relay's doing.
fn make_room(socket: &UdpSocket) {
    let octets: libc::c_int = 16 << 20;
    // SAFETY: the pointer is to a c_int that lives over the call, and the length is that of a c_int.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const octets).cast(),
            std::mem::size_of_val(&octets) as libc::socklen_t,
        );
    }
}
