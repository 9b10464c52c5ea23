//! Pairs of bound sockets out of the port pools, one pool an interface.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use media_core::{PortPool, Refusal, RefusalCode};

use crate::descriptors::{Descriptors, Seat, Seated};
use crate::options::{EngineOptions, Interface};
use crate::sys::udp;

/// So many ports may be in use by others before the search ends.
const MAX_ATTEMPTS: usize = 64;
/// A pair that somebody goes on sending to rests so many times, a minute by default, and is used all the same then: who
/// sends to every port must not take them all away.
const MAX_RESTS: u32 = 15;

/// A bound socket, on its seat.
pub(crate) type PortSocket = Seated<UdpSocket>;

/// The sockets of an endpoint or fork.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) rtp: PortSocket,
    /// None while RTCP shares the RTP port.
    pub(crate) rtcp: Option<PortSocket>,
}

/// Binds sockets as all of the engine's are.
#[derive(Clone, Debug)]
pub(crate) struct Binder {
    descriptors: Descriptors,
    dscp: u8,
}

impl Binder {
    pub(crate) fn new(descriptors: Descriptors, dscp: u8) -> Self {
        Self { descriptors, dscp }
    }

    pub(crate) fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    /// Binds the RTCP port of a pair.
    pub(crate) fn bind_rtcp(&self, address: SocketAddr) -> io::Result<PortSocket> {
        let seat = self.descriptors.take().ok_or_else(|| io::Error::other("no descriptor is free"))?;
        // a remote that takes no RTCP is common and no reason for an event: errors are wanted for RTP only
        Ok(Seated::new(self.bind(address, false)?, seat))
    }

    fn bind_pair(&self, rtp: SocketAddr) -> io::Result<(UdpSocket, UdpSocket)> {
        let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
        Ok((self.bind(rtp, true)?, self.bind(rtcp, false)?))
    }

    fn bind(&self, address: SocketAddr, errors: bool) -> io::Result<UdpSocket> {
        let socket = udp::bind(address, errors)?;
        // marked badly is better than not sent
        let _ = udp::mark(&socket, address.is_ipv6(), self.dscp);
        Ok(socket)
    }
}

/// Where a fork, or an endpoint, sends from.
#[derive(Debug)]
pub(crate) enum ForkSockets {
    /// Sockets of its own.
    Own(Sockets),
    /// Those of this number that its worker has for all forks.
    Shared(usize),
}

/// The place of an interface in the engine's list.
pub(crate) type InterfaceNumber = u16;

/// A pair of ports that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) interface: InterfaceNumber,
    pub(crate) rtp_port: u16,
}

pub(crate) struct Ports {
    interfaces: Vec<InterfacePorts>,
    binder: Binder,
}

struct InterfacePorts {
    interface: Interface,
    pool: PortPool,
    /// Sockets at RTP ports that rest, which show whether the remote of the call before still sends there.
    resting: BTreeMap<u16, PortSocket>,
}

impl InterfacePorts {
    fn wake(&mut self, now_ns: u64, descriptors: &Descriptors) {
        let Self { interface, pool, resting } = self;
        pool.wake(now_ns, |port, rests| {
            let is_in_use = rests < MAX_RESTS && resting.get(&port).is_some_and(|socket| udp::has_waiting(socket));
            resting.remove(&port);
            if is_in_use {
                // one that is bound anew has nothing waiting
                resting.extend(listen(interface, port, descriptors).map(|socket| (port, socket)));
            }
            is_in_use
        });
    }
}

/// Who sends to a port that rests is heard here, and nowhere else; without a socket to spare nobody is.
fn listen(interface: &Interface, rtp_port: u16, descriptors: &Descriptors) -> Option<PortSocket> {
    let seat = descriptors.take()?;
    let socket = udp::bind(SocketAddr::new(interface.bind_host, rtp_port), false).ok()?;
    // a packet or two tell as much as a full buffer, whose memory is better spent on calls
    udp::keep_little(&socket).ok().map(|()| Seated::new(socket, seat))
}

impl Ports {
    pub(crate) fn new(options: &EngineOptions, binder: Binder) -> Self {
        let cooldown_ns = options.port_cooldown.as_nanos() as u64;
        let pool = || PortPool::new(options.port_min, options.port_max, cooldown_ns);
        let ports = |interface: &Interface| InterfacePorts {
            interface: interface.clone(),
            pool: pool(),
            resting: BTreeMap::new(),
        };
        Self { interfaces: options.interfaces.iter().map(ports).collect(), binder }
    }

    /// Binds a pair on an interface.
    pub(crate) fn take(&mut self, number: InterfaceNumber, now_ns: u64) -> Result<(Lease, Sockets), Refusal> {
        let index = usize::from(number);
        self.interfaces[index].wake(now_ns, &self.binder.descriptors);
        let (rtp_seat, rtcp_seat) = self.seats()?;
        let InterfacePorts { interface, pool, .. } = &mut self.interfaces[index];
        let mut last: Option<io::Error> = None;
        for _ in 0..MAX_ATTEMPTS {
            let Some(port) = pool.take() else { break };
            match self.binder.bind_pair(SocketAddr::new(interface.bind_host, port)) {
                Ok((rtp, rtcp)) => {
                    let sockets = Sockets { rtp: Seated::new(rtp, rtp_seat), rtcp: Some(Seated::new(rtcp, rtcp_seat)) };
                    return Ok((Lease { interface: number, rtp_port: port }, sockets));
                }
                Err(error) => {
                    pool.give_back(port, now_ns);
                    last = Some(error);
                }
            }
        }
        let reason = last.map_or_else(|| "all are in use or cooling down".into(), |error| error.to_string());
        Err(Refusal::new(RefusalCode::NoPorts, format!("no port pair on {}: {reason}", interface.name)))
    }

    /// Refuses what will need so many descriptors, if they cannot be had.
    pub(crate) fn check_room(&self, wanted: usize) -> Result<(), Refusal> {
        let (taken, most) = self.binder.descriptors.counts();
        let resting: usize = self.interfaces.iter().map(|ports| ports.resting.len()).sum();
        if taken.saturating_sub(resting) + wanted > most {
            return Err(self.binder.descriptors.refusal(wanted));
        }
        Ok(())
    }

    /// Seats for a pair. Calls come first: ports that rest are listened to no longer where their sockets are in the way.
    fn seats(&mut self) -> Result<(Seat, Seat), Refusal> {
        let descriptors = &self.binder.descriptors;
        loop {
            if let (Some(rtp), Some(rtcp)) = (descriptors.take(), descriptors.take()) {
                return Ok((rtp, rtcp));
            }
            if !self.interfaces.iter_mut().any(|ports| ports.resting.pop_first().is_some()) {
                return Err(descriptors.refusal(2));
            }
        }
    }

    /// Lets a pair whose sockets are closed cool down.
    pub(crate) fn give_back(&mut self, lease: Lease, now_ns: u64) {
        let InterfacePorts { interface, pool, resting } = &mut self.interfaces[usize::from(lease.interface)];
        pool.give_back(lease.rtp_port, now_ns);
        let socket = listen(interface, lease.rtp_port, &self.binder.descriptors);
        resting.extend(socket.map(|socket| (lease.rtp_port, socket)));
    }

    /// The number of an interface.
    pub(crate) fn number(&self, interface: &str) -> Result<InterfaceNumber, Refusal> {
        self.interfaces
            .iter()
            .position(|known| known.interface.name == interface)
            .and_then(|index| InterfaceNumber::try_from(index).ok())
            .ok_or_else(|| Refusal::new(RefusalCode::NoInterface, format!("no interface {interface}")))
    }

    /// The interface of a lease.
    pub(crate) fn interface(&self, lease: Lease) -> &Interface {
        &self.interfaces[usize::from(lease.interface)].interface
    }

    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().map(|ports| &ports.interface)
    }

    /// (free, cooling) pairs of all interfaces.
    pub(crate) fn counts(&mut self, now_ns: u64) -> (usize, usize) {
        let counts = self.interfaces.iter_mut().map(|ports| {
            ports.wake(now_ns, &self.binder.descriptors);
            ports.pool.counts()
        });
        counts.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use media_core::NS_PER_S;

    use super::*;

    /// One pair.
    fn on_loopback(rtp_port: u16) -> EngineOptions {
        let host = std::net::Ipv4Addr::LOCALHOST;
        let interface = Interface { name: "default".into(), bind_host: host.into(), advertised_host: host.to_string() };
        EngineOptions::new("unused.sock".into(), vec![interface], rtp_port, rtp_port + 1)
    }

    fn ports(options: &EngineOptions, descriptors: &Descriptors) -> Ports {
        Ports::new(options, Binder::new(descriptors.clone(), 0))
    }

    /// Ports whose only pair rests since the first second, and where its RTP port is.
    fn resting(options: &EngineOptions) -> (Ports, Lease, SocketAddr) {
        let mut ports = ports(options, &Descriptors::with_most(100));
        let (lease, sockets) = ports.take(0, NS_PER_S).unwrap();
        let host = sockets.rtp.local_addr().unwrap();
        drop(sockets);
        ports.give_back(lease, NS_PER_S);
        (ports, lease, host)
    }

    #[test]
    fn without_a_descriptor_to_spare_pairs_rest_unheard_and_calls_are_refused() {
        let options = EngineOptions { port_max: 43_235, ..on_loopback(43_230) };
        let descriptors = Descriptors::with_most(4);
        let mut ports = ports(&options, &descriptors);
        let [(one, first), (_, mut second)] = [1, 2].map(|n| ports.take(0, n).unwrap());
        let refusal = ports.take(0, 3).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::Limit);
        assert!(refusal.message.contains("4 of 4"), "{}", refusal.message);
        assert_eq!(ports.check_room(1).unwrap_err().code, RefusalCode::Limit);
        assert!(ports.check_room(0).is_ok());
        drop(first);
        ports.give_back(one, 4);
        assert_eq!(descriptors.counts(), (3, 4));
        assert!(ports.check_room(2).is_ok() && ports.check_room(3).is_err());
        let _third = ports.take(0, 5).unwrap();
        assert_eq!(descriptors.counts(), (4, 4));
        // where RTCP shares the port there is room for another
        second.rtcp = None;
        let above = SocketAddr::new(options.interfaces[0].bind_host, second.rtp.local_addr().unwrap().port() + 1);
        let binder = Binder::new(descriptors.clone(), 0);
        second.rtcp = Some(binder.bind_rtcp(above).unwrap());
        assert!(binder.bind_rtcp(above).is_err());
        assert_eq!(descriptors.counts(), (4, 4));
        assert_eq!(ports.counts(6), (0, 1));
    }

    #[test]
    fn a_pair_rests_for_as_long_as_somebody_sends_there() {
        let options = on_loopback(43_210);
        let rest_ns = options.port_cooldown.as_nanos() as u64;
        let (mut ports, lease, host) = resting(&options);
        let still_talking = UdpSocket::bind((host.ip(), 0)).unwrap();
        let mut now_ns = NS_PER_S;
        for _ in 0..3 {
            still_talking.send_to(&[0x80; 172], host).unwrap();
            sleep(Duration::from_millis(20)); // the loopback's own time
            now_ns += rest_ns;
            assert!(ports.take(0, now_ns).is_err());
        }
        assert_eq!(ports.counts(now_ns + rest_ns), (1, 0));
        assert_eq!(ports.take(0, now_ns + rest_ns).unwrap().0, lease);
    }

    #[test]
    fn nobody_can_keep_a_pair_for_ever() {
        let options = on_loopback(43_220);
        let rest_ns = options.port_cooldown.as_nanos() as u64;
        let (mut ports, _, host) = resting(&options);
        let flooding = UdpSocket::bind((host.ip(), 0)).unwrap();
        let mut rests = 0;
        while ports.counts(NS_PER_S + rests * rest_ns) == (0, 1) {
            flooding.send_to(b"flood", host).unwrap();
            sleep(Duration::from_millis(5));
            rests += 1;
        }
        assert_eq!(rests, u64::from(MAX_RESTS));
    }
}
