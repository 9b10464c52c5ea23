//! What the machine's routes say, and that they have changed (rtnetlink(7)).

use std::ffi::CStr;
use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Groups of rtnetlink(7): links, addresses, routes and rules of both families.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000;
const HEADER: usize = 16;
const ROUTE_MESSAGE: usize = 12;
const BUFFER: usize = 8192;
/// More messages than come in a turn; the rest is read in the next.
const MAX_MESSAGES: usize = 64;

/// linux/rtnetlink.h: among a route's metrics, the MTU of the way.
const RTAX_MTU: u16 = 2;

/// How an interface frames packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Ethernet,
    Loopback,
}

/// The way out to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) interface: u32,
    pub(crate) link: Link,
    /// The longest packet that leaves whole, with its IP header, as far as is known.
    pub(crate) mtu: u32,
    /// The local address of packets.
    pub(crate) source: IpAddr,
}

/// Groups of NETLINK_XFRM (linux/xfrm.h): policies.
const POLICIES: u32 = 0x8;
/// linux/xfrm.h: asks how many policies there are.
const XFRM_MSG_GETSPDINFO: u16 = 0x25;
const XFRMA_SPD_INFO: u16 = 1;

pub(crate) struct Routes {
    socket: OwnedFd,
}

impl Routes {
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { socket: socket(libc::NETLINK_ROUTE, 0, 0)? })
    }

    /// The way to a destination from a local address; from an unspecified one, that which the routes prefer.
    pub(crate) fn find(&mut self, from: IpAddr, to: IpAddr) -> io::Result<Route> {
        send(&self.socket, request(from, to))?;
        let mut buffer = [0u8; BUFFER];
        let length = check(receive(&self.socket, &mut buffer))?;
        let Answer { kind, interface, preferred, mtu } = parse(&buffer[..length as usize])?;
        if kind != libc::RTN_UNICAST && kind != libc::RTN_LOCAL {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        let source = match from.is_unspecified() {
            true => preferred.ok_or_else(|| io::Error::other("a route without a source"))?,
            false => from,
        };
        let (link, longest) = link_of(interface)?;
        Ok(Route { interface, link, mtu: mtu.map_or(longest, |mtu| mtu.min(longest)), source })
    }
}

/// Hears of changes of links, addresses, routes and rules, and of IPsec policies.
pub(crate) struct Monitor {
    socket: OwnedFd,
    policies: Option<OwnedFd>,
}

impl Monitor {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket(libc::NETLINK_ROUTE, GROUPS, libc::SOCK_NONBLOCK)?;
        Ok(Self { socket, policies: policies(POLICIES, libc::SOCK_NONBLOCK)? })
    }

    /// True if anything has changed since the last time.
    pub(crate) fn has_changed(&mut self) -> bool {
        let is_other = has_messages(&self.socket);
        self.policies.as_ref().is_some_and(has_messages) || is_other
    }
}

fn has_messages(socket: &OwnedFd) -> bool {
    let mut buffer = [0u8; BUFFER];
    let mut any = false;
    for _ in 0..MAX_MESSAGES {
        let length = receive(socket, &mut buffer);
        // an overflow says that there were more changes than fit
        any |= length > 0 || io::Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS);
        if length <= 0 {
            break;
        }
    }
    any
}

/// True if some of the machine's packets have to go by IPsec, or may only come by it.
pub(crate) fn has_policies() -> io::Result<bool> {
    let Some(socket) = policies(0, 0)? else { return Ok(false) };
    let mut request = vec![0; HEADER + 4];
    request[4..6].copy_from_slice(&XFRM_MSG_GETSPDINFO.to_ne_bytes());
    request[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    send(&socket, request)?;
    let mut buffer = [0u8; BUFFER];
    let length = check(receive(&socket, &mut buffer))?;
    let (mut any, mut told) = (false, false);
    each_attribute(buffer.get(HEADER + 4..length as usize).unwrap_or_default(), |kind, value| {
        if kind == XFRMA_SPD_INFO {
            // struct xfrmu_spdinfo: arriving, leaving, forwarded; and those of sockets
            told = value.len() >= 8;
            any = value.iter().take(8).any(|octet| *octet != 0);
        }
        Some(())
    });
    told.then_some(any).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "an answer of xfrm"))
}

/// A socket to the kernel's IPsec; None if it has none.
fn policies(groups: u32, flags: libc::c_int) -> io::Result<Option<OwnedFd>> {
    match socket(libc::NETLINK_XFRM, groups, flags) {
        Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => Ok(None),
        other => other.map(Some),
    }
}

/// The name of an interface.
pub(crate) fn interface_name(interface: u32) -> io::Result<String> {
    let mut name = [0; libc::IFNAMSIZ];
    // SAFETY: the buffer has the room that if_indextoname(3) asks for.
    if unsafe { libc::if_indextoname(interface, name.as_mut_ptr()) }.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: on success the buffer holds a string with its end.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    name.to_str().map(str::to_owned).map_err(io::Error::other)
}

/// How an interface frames packets, and its MTU.
fn link_of(interface: u32) -> io::Result<(Link, u32)> {
    let name = interface_name(interface)?;
    // SAFETY: ifreq is plain numbers and pointers, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: a plain system call; a valid descriptor is owned below.
    let any = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) } as isize)?;
    // SAFETY: the descriptor was just made and is nobody else's.
    let any = unsafe { OwnedFd::from_raw_fd(any as libc::c_int) };
    // SAFETY: the request is an ifreq that lives over the call, as SIOCGIFHWADDR wants it.
    check(unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCGIFHWADDR as _, &raw mut request) } as isize)?;
    // SAFETY: on success the kernel wrote the hardware address.
    let link = match unsafe { request.ifr_ifru.ifru_hwaddr.sa_family } {
        libc::ARPHRD_ETHER => Link::Ethernet,
        libc::ARPHRD_LOOPBACK => Link::Loopback,
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{name} is no Ethernet"))),
    };
    // SAFETY: as above, for SIOCGIFMTU.
    check(unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCGIFMTU as _, &raw mut request) } as isize)?;
    // SAFETY: on success the kernel wrote the MTU.
    Ok((link, unsafe { request.ifr_ifru.ifru_mtu } as u32))
}

fn socket(family: libc::c_int, groups: u32, flags: libc::c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | flags;
    // SAFETY: a plain system call; a valid descriptor is owned below.
    let raw = check(unsafe { libc::socket(libc::AF_NETLINK, kind, family) } as isize)?;
    // SAFETY: the descriptor was just made and is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(raw as libc::c_int) };
    // SAFETY: sockaddr_nl is plain numbers, for which all zeroes is a value.
    let mut address: libc::sockaddr_nl = unsafe { mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address.nl_groups = groups;
    let length = mem::size_of_val(&address) as libc::socklen_t;
    // SAFETY: the pointer and length are those of `address`, which lives over the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) } as isize)?;
    Ok(socket)
}

/// Sends a message, whose length is written into it.
fn send(socket: &OwnedFd, mut message: Vec<u8>) -> io::Result<()> {
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_ne_bytes());
    // SAFETY: the pointer and length are those of `message`, which lives over the call.
    check(unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) })?;
    Ok(())
}

fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> isize {
    // SAFETY: the pointer and length are those of `buffer`, which lives over the call.
    unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) }
}

fn check(result: isize) -> io::Result<isize> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// RTM_GETROUTE for a destination and, unless it is unspecified, a source.
fn request(from: IpAddr, to: IpAddr) -> Vec<u8> {
    let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut bytes = vec![0; HEADER + ROUTE_MESSAGE];
    bytes[4..6].copy_from_slice(&libc::RTM_GETROUTE.to_ne_bytes());
    bytes[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    bytes[HEADER] = family as u8;
    let to = octets(to);
    bytes[HEADER + 1] = 8 * to.len() as u8;
    attribute(&mut bytes, libc::RTA_DST, &to);
    if !from.is_unspecified() {
        let from = octets(from);
        bytes[HEADER + 2] = 8 * from.len() as u8;
        attribute(&mut bytes, libc::RTA_SRC, &from);
    }
    bytes
}

fn attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend_from_slice(&(4 + value.len() as u16).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    kind: u8,
    interface: u32,
    preferred: Option<IpAddr>,
    mtu: Option<u32>,
}

/// Reads what RTM_GETROUTE was answered.
fn parse(bytes: &[u8]) -> io::Result<Answer> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "an answer of rtnetlink");
    let message = u16::from_ne_bytes(bytes.get(4..6).and_then(|two| two.try_into().ok()).ok_or_else(malformed)?);
    if message == libc::NLMSG_ERROR as u16 {
        let error = bytes.get(HEADER..HEADER + 4).and_then(|four| four.try_into().ok()).ok_or_else(malformed)?;
        return Err(io::Error::from_raw_os_error(-i32::from_ne_bytes(error)));
    }
    let kind = *bytes.get(HEADER + 7).filter(|_| message == libc::RTM_NEWROUTE).ok_or_else(malformed)?;
    let (mut interface, mut preferred, mut mtu) = (None, None, None);
    let number = |value: &[u8]| value.try_into().ok().map(u32::from_ne_bytes);
    each_attribute(bytes.get(HEADER + ROUTE_MESSAGE..).ok_or_else(malformed)?, |kind, value| {
        match (kind, value.len()) {
            (libc::RTA_OIF, 4) => interface = number(value),
            (libc::RTA_METRICS, _) => each_attribute(value, |kind, value| {
                if kind == RTAX_MTU {
                    mtu = number(value);
                }
                Some(())
            })?,
            (libc::RTA_PREFSRC, 4) => {
                preferred = <[u8; 4]>::try_from(value).ok().map(|octets| Ipv4Addr::from(octets).into());
            }
            (libc::RTA_PREFSRC, 16) => {
                preferred = <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).into());
            }
            _ => {}
        }
        Some(())
    })
    .ok_or_else(malformed)?;
    Ok(Answer { kind, interface: interface.ok_or_else(malformed)?, preferred, mtu })
}

/// Takes each attribute, its kind and value; None if one is cut off, or not taken.
fn each_attribute(mut rest: &[u8], mut take: impl FnMut(u16, &[u8]) -> Option<()>) -> Option<()> {
    while let Some((head, _)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        take(u16::from_ne_bytes([head[2], head[3]]), rest.get(4..length)?)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_this_machine_is_the_loopback() {
        let mut routes = Routes::open().unwrap();
        for host in ["127.0.0.1", "::1"] {
            let to: IpAddr = host.parse().unwrap();
            let route = routes.find(to, to).unwrap();
            assert_eq!((route.link, route.mtu, route.source), (Link::Loopback, 65_536, to));
            assert_eq!(interface_name(route.interface).unwrap(), "lo");
        }
        let anybody = Ipv4Addr::UNSPECIFIED.into();
        assert_eq!(routes.find(anybody, Ipv4Addr::LOCALHOST.into()).unwrap().source, Ipv4Addr::LOCALHOST);
    }

    #[test]
    fn where_no_route_leads_is_an_error() {
        let mut routes = Routes::open().unwrap();
        let anybody = Ipv4Addr::UNSPECIFIED.into();
        assert!(routes.find(anybody, Ipv4Addr::BROADCAST.into()).is_err());
        assert!(routes.find(anybody, Ipv4Addr::new(224, 0, 0, 1).into()).is_err());
    }

    #[test]
    fn answers_that_are_cut_off_are_errors() {
        let mut whole = vec![0; HEADER + ROUTE_MESSAGE];
        whole[4..6].copy_from_slice(&libc::RTM_NEWROUTE.to_ne_bytes());
        whole[HEADER + 7] = libc::RTN_UNICAST;
        attribute(&mut whole, libc::RTA_OIF, &7u32.to_ne_bytes());
        attribute(&mut whole, libc::RTA_PREFSRC, &[192, 0, 2, 1]);
        let preferred = Some(Ipv4Addr::new(192, 0, 2, 1).into());
        let kind = libc::RTN_UNICAST;
        assert_eq!(parse(&whole).unwrap(), Answer { kind, interface: 7, preferred, mtu: None });
        let mut metrics = Vec::new();
        attribute(&mut metrics, 1, &1u32.to_ne_bytes());
        attribute(&mut metrics, RTAX_MTU, &1400u32.to_ne_bytes());
        attribute(&mut whole, libc::RTA_METRICS, &metrics);
        assert_eq!(parse(&whole).unwrap(), Answer { kind, interface: 7, preferred, mtu: Some(1400) });
        let end = whole.len() - 1;
        assert!(parse(&whole[..end]).is_err());
        for length in 0..HEADER + ROUTE_MESSAGE + 8 {
            assert!(parse(&whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_quiet_machine_changes_nothing() {
        let mut monitor = Monitor::open().unwrap();
        monitor.has_changed();
        assert!(monitor.socket.as_raw_fd() > 0);
    }
}
