//! Pairs of bound sockets out of the port pools, one pool an interface.

use std::net::{SocketAddr, UdpSocket};

use media_core::{PortPool, Refusal, RefusalCode};

use crate::options::{EngineOptions, Interface};
use crate::sys::udp;

/// So many ports may be in use by others before the search ends.
const MAX_ATTEMPTS: usize = 64;

/// The sockets of an endpoint or fork.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
}

/// Where a fork, or an endpoint, sends from.
#[derive(Debug)]
pub(crate) enum ForkSockets {
    /// Sockets of its own.
    Own(Sockets),
    /// Those of this number that its worker has for all forks.
    Shared(usize),
}

/// A pair of ports that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) interface: usize,
    pub(crate) rtp_port: u16,
}

pub(crate) struct Ports {
    interfaces: Vec<(Interface, PortPool)>,
    dscp: u8,
}

impl Ports {
    pub(crate) fn new(options: &EngineOptions) -> Self {
        let cooldown_ns = options.port_cooldown.as_nanos() as u64;
        let pool = || PortPool::new(options.port_min, options.port_max, cooldown_ns);
        let interfaces = options.interfaces.iter().map(|interface| (interface.clone(), pool())).collect();
        Self { interfaces, dscp: options.dscp }
    }

    /// Binds a pair on an interface.
    pub(crate) fn take(&mut self, index: usize, now_ns: u64) -> Result<(Lease, Sockets), Refusal> {
        let (interface, pool) = &mut self.interfaces[index];
        let mut last: Option<std::io::Error> = None;
        for _ in 0..MAX_ATTEMPTS {
            let Some(port) = pool.take(now_ns) else { break };
            let bind = |port, errors| -> std::io::Result<UdpSocket> {
                let socket = udp::bind(SocketAddr::new(interface.bind_host, port), errors)?;
                // marked badly is better than not sent
                let _ = udp::mark(&socket, interface.bind_host.is_ipv6(), self.dscp);
                Ok(socket)
            };
            // a remote that takes no RTCP is common and no reason for an event: errors are wanted for RTP only
            match bind(port, true).and_then(|rtp| Ok(Sockets { rtp, rtcp: bind(port + 1, false)? })) {
                Ok(sockets) => return Ok((Lease { interface: index, rtp_port: port }, sockets)),
                Err(error) => {
                    pool.give_back(port, now_ns);
                    last = Some(error);
                }
            }
        }
        let reason = last.map_or_else(|| "all are in use or cooling down".into(), |error| error.to_string());
        Err(Refusal::new(RefusalCode::NoPorts, format!("no port pair on {}: {reason}", interface.name)))
    }

    /// Lets a pair whose sockets are closed cool down.
    pub(crate) fn give_back(&mut self, lease: Lease, now_ns: u64) {
        self.interfaces[lease.interface].1.give_back(lease.rtp_port, now_ns);
    }

    /// The number of an interface.
    pub(crate) fn index(&self, interface: &str) -> Result<usize, Refusal> {
        self.interfaces
            .iter()
            .position(|(known, _)| known.name == interface)
            .ok_or_else(|| Refusal::new(RefusalCode::NoInterface, format!("no interface {interface}")))
    }

    /// The interface of a lease.
    pub(crate) fn interface(&self, lease: Lease) -> &Interface {
        &self.interfaces[lease.interface].0
    }

    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &Interface> {
        self.interfaces.iter().map(|(interface, _)| interface)
    }

    /// (free, cooling) pairs of all interfaces.
    pub(crate) fn counts(&mut self, now_ns: u64) -> (usize, usize) {
        self.interfaces.iter_mut().map(|(_, pool)| pool.counts(now_ns)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }
}
