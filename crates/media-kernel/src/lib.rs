//! The in-kernel path: plain RTP of steady calls is relayed and forked by a tc-eBPF program before it reaches a socket
//! (docs/topics/kernel-path.md).
//!
//! [`KernelPath::load`] loads the program, and fails with the reason where that cannot be. [`KernelPath::open`] hands a
//! leg over with what the program has to know; [`KernelPath::read`] tells what it has done since; [`KernelPath::close`]
//! takes the leg back: what it tells is final, and no later packet is relayed here. The programs are attached by links,
//! and maps are not pinned: when the process ends, however it does, the kernel removes all of it.

mod attachments;
mod hops;
mod layout;
mod netlink;
mod object;
mod program;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use attachments::Side;
use hops::{Hops, Numbers as MapNumbers};
use layout::{octets, RawFork, RawLeg, RawPlace, RawRoute, RawTally, MAX_LEGS};
use netlink::{has_policies, Monitor, Route, Routes};
use program::Program;

/// Copies of one packet that the program can make.
pub const MAX_FORKS: usize = layout::MAX_FORKS;

/// Packets until the first goes to the engine; further ones are counted by the program.
const FIRST_SAMPLE: u32 = 256;

/// IPv6's least MTU (RFC 8200 §5): what is longer may have to be fragmented on its way, and is no telephone's.
const MAX_PACKET: u32 = 1280;
/// Octets of a header without options (RFC 791 §3.1, RFC 8200 §3).
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;

/// To attach the program, and to load it: the kernel lets its pointers be reckoned with for CAP_PERFMON only.
const NEEDS: &str = "it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and Linux 6.6";

/// Why the in-kernel path cannot be had.
#[derive(Debug)]
pub enum Unavailable {
    /// There was no clang when this was built.
    NotBuilt,
    /// The kernel does not take the program.
    Refused(String),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt => formatter.write_str("this build has no in-kernel path: there was no clang to compile it"),
            Self::Refused(reason) => {
                write!(formatter, "the kernel does not take the program ({NEEDS}): {reason}")
            }
        }
    }
}

/// From where to where a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The local address; unspecified: the one that the routes prefer.
    pub from: SocketAddr,
    /// The destination.
    pub to: SocketAddr,
    /// IPv4's type of service, IPv6's traffic class.
    pub traffic_class: u8,
    /// By which queues sort it, as of the socket (SO_PRIORITY).
    pub priority: u8,
}

/// What a copy has in place of the call's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The SSRC.
    pub ssrc: u32,
    /// Is added to the sequence number.
    pub sequence_offset: u16,
    /// Is added to the time stamp.
    pub timestamp_offset: u32,
}

/// A copy of each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// Its way.
    pub hop: Hop,
    /// Its payload type.
    pub payload_type: u8,
    /// Its numbers; None: those of the call.
    pub numbers: Option<Numbers>,
}

/// A stream that the program relays and forks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Where its packets arrive: the address of the connected socket.
    pub at: SocketAddr,
    /// Whence they come.
    pub from: SocketAddr,
    /// Their SSRC.
    pub ssrc: u32,
    /// Their payload type.
    pub payload_type: u8,
    /// The clock rate of that payload type.
    pub clock_rate: u32,
    /// Where they are relayed.
    pub relay: Option<Hop>,
    /// Where they are copied; at most [`MAX_FORKS`].
    pub forks: Vec<Fork>,
    /// What was counted so far, to go on from: number, time stamp, transit and jitter of the newest packet.
    pub begin: Tally,
}

/// What the program has done for a leg since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets that it relayed.
    pub packets: u64,
    /// Octets of payload in them.
    pub octets: u64,
    /// When the last came, on the monotonic clock.
    pub arrived_ns: u64,
    /// Bit n is set if it relayed the packet n before the newest.
    pub seen: u128,
    /// The newest packet's number.
    pub newest: u16,
    /// Its time stamp.
    pub newest_timestamp: u32,
    /// Its relative transit time, in units of the time stamp (RFC 3550 A.8).
    pub transit: u32,
    /// 16 times the interarrival jitter, in units of the time stamp (RFC 3550 A.8).
    pub jitter_scaled: u32,
    /// Copies that the kernel would not take, of each fork.
    pub unsent: [u32; MAX_FORKS],
}

/// An open leg.
#[derive(Debug)]
pub struct Place {
    number: u32,
    raw: RawPlace,
    leg: Box<RawLeg>,
}

struct Inner {
    program: Program,
    routes: Routes,
    monitor: Monitor,
    numbers: MapNumbers,
    hops: Hops,
    open: usize,
    /// Packets of this machine are IPsec's business, of which the program knows nothing.
    has_policies: bool,
}

/// The loaded program and its maps, for all workers.
pub struct KernelPath {
    inner: Mutex<Inner>,
    changes: AtomicU64,
}

impl KernelPath {
    /// Loads the program; nothing is attached until a leg is opened.
    pub fn load() -> Result<Self, Unavailable> {
        let refused = |error: io::Error| Unavailable::Refused(error.to_string());
        let program = Program::load()?;
        let routes = Routes::open().map_err(refused)?;
        let monitor = Monitor::open().map_err(refused)?;
        let (numbers, hops) = (MapNumbers::new(0..MAX_LEGS), Hops::new());
        // asked after whoever tells of changes is listening
        let has_policies = has_policies().map_err(refused)?;
        let inner = Inner { program, routes, monitor, numbers, hops, open: 0, has_policies };
        Ok(Self { inner: Mutex::new(inner), changes: AtomicU64::new(0) })
    }

    /// How often routes, addresses or links of this machine have changed: of legs that were opened before the last change,
    /// those that [`moved`](Self::moved) have to be taken back.
    pub fn changes(&self) -> u64 {
        let mut inner = self.lock();
        if inner.monitor.has_changed() {
            inner.program.attachments.forget_gone();
            // whoever cannot tell leaves packets to those who know
            inner.has_policies = has_policies().unwrap_or(true);
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        self.changes.load(Ordering::Relaxed)
    }

    /// Which of some legs would not be opened today as they were, by the machine's routes, addresses and links.
    pub fn moved<'a, K>(&self, places: impl IntoIterator<Item = (K, &'a Place)>) -> Vec<K> {
        let mut inner = self.lock();
        let mut known = HashMap::new();
        let moved = places.into_iter().filter(|(_, place)| !inner.is_as_it_was(place, &mut known));
        moved.map(|(key, _)| key).collect()
    }

    /// Why no leg can be opened for now.
    pub fn hindrance(&self) -> Option<&'static str> {
        self.lock().has_policies.then_some("this machine has IPsec policies")
    }

    /// Legs that are open.
    pub fn len(&self) -> usize {
        self.lock().open
    }

    /// True if no leg is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands a leg over, if at the last moment it is `clear` that no earlier packet waits elsewhere. Fails with
    /// `WouldBlock` if it is not, and with `ResourceBusy` if the program is not attached where it has to be: it will be
    /// soon. Fails with `Unsupported` for a leg that the program cannot take, and otherwise with what the kernel says.
    pub fn open(&self, leg: &Leg, clear: impl Fn() -> bool) -> io::Result<Place> {
        let mut inner = self.lock();
        let (raw_leg, tally) = inner.prepare(leg)?;
        let mut place = Place { number: 0, raw: leg.at.into(), leg: Box::new(raw_leg) };
        let Inner { hops, program, .. } = &mut *inner;
        hops.enter(&mut place.leg, Instant::now(), |number, hop| program.set_hop(number, hop).is_ok());
        let opened = inner.open_if(&mut place, &tally, &clear);
        if opened.is_err() {
            inner.hops.leave(&mut place.leg, Instant::now());
        }
        opened.map(|()| place)
    }

    /// What the program has done for a leg so far.
    pub fn read(&self, place: &Place) -> io::Result<Tally> {
        self.lock().program.read(place.number).map(Tally::from)
    }

    /// Takes a leg back; what it did for it.
    pub fn close(&self, mut place: Place) -> io::Result<Tally> {
        let mut inner = self.lock();
        inner.hops.leave(&mut place.leg, Instant::now());
        inner.close_at(&mut place).map(Tally::from)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Opens a leg that is ready in all, if at the last moment it is `clear`.
    fn open_if(&mut self, place: &mut Place, tally: &RawTally, clear: &impl Fn() -> bool) -> io::Result<()> {
        self.open_at(place, tally, clear)?;
        if clear() {
            return Ok(());
        }
        // what came while the leg was opened is in front of what comes now
        let done = self.close_at(place)?;
        if done.packets == tally.packets {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // it has been overtaken: too late to go back, and those that were relayed count
        self.open_at(place, &done, || true)
    }

    /// Opens a leg under a number that nobody has read for long enough.
    fn open_at(&mut self, place: &mut Place, tally: &RawTally, clear: impl FnOnce() -> bool) -> io::Result<()> {
        let full = || io::Error::new(io::ErrorKind::OutOfMemory, "no place in the maps");
        place.number = self.numbers.take(Instant::now()).ok_or_else(full)?;
        place.leg.open = 1;
        let opened = self.program.open(place.number, &place.leg, tally, &place.raw, clear);
        match opened {
            Ok(()) => self.open += 1,
            Err(_) => self.numbers.give_back(place.number, Instant::now()),
        }
        opened
    }

    fn close_at(&mut self, place: &mut Place) -> io::Result<RawTally> {
        place.leg.open = 0;
        let tally = self.program.close(place.number, &place.leg, &place.raw);
        self.open -= 1;
        self.numbers.give_back(place.number, Instant::now());
        tally
    }

    /// What the maps get, with all interfaces ready.
    fn prepare(&mut self, leg: &Leg) -> io::Result<(RawLeg, RawTally)> {
        if self.has_policies {
            return Err(unsupported("this machine has IPsec policies"));
        }
        if leg.forks.len() > MAX_FORKS {
            return Err(unsupported("too many forks"));
        }
        check_address(leg.at, leg.at)?;
        let arrives = self.route(leg.at, leg.at, leg.from)?.interface;
        let mut mtu = MAX_PACKET;
        let relay = match &leg.relay {
            Some(hop) => self.raw_route(leg.at, hop, &mut mtu)?,
            None => RawRoute::default(),
        };
        let mut raw = RawLeg {
            open: 1,
            ssrc: leg.ssrc,
            clock_rate: leg.clock_rate,
            arrives,
            remote: octets(leg.from.ip()),
            remote_port: leg.from.port().to_be_bytes(),
            payload_type: leg.payload_type,
            forks: leg.forks.len() as u8,
            relay,
            ..RawLeg::default()
        };
        for (raw, fork) in raw.fork.iter_mut().zip(&leg.forks) {
            let route = self.raw_route(leg.at, &fork.hop, &mut mtu)?;
            *raw = RawFork { route, payload_type: fork.payload_type, ..RawFork::default() };
            if let Some(numbers) = fork.numbers {
                raw.renumbered = 1;
                raw.ssrc = numbers.ssrc;
                raw.sequence_offset = numbers.sequence_offset;
                raw.timestamp_offset = numbers.timestamp_offset;
            }
        }
        raw.longest = longest(mtu, leg.at.is_ipv4());
        // all are asked for before the first that is not there yet is an answer
        let mut ready = vec![self.program.attachments.want(arrives, Side::Relay)];
        ready.extend(leaves(&raw).map(|interface| self.program.attachments.want(interface, Side::Leave)));
        ready.into_iter().collect::<io::Result<()>>()?;
        let Tally { newest, newest_timestamp, transit, jitter_scaled, .. } = leg.begin;
        let begin = RawTally {
            until_sample: FIRST_SAMPLE,
            newest,
            newest_timestamp,
            transit,
            jitter_scaled,
            ..RawTally::default()
        };
        Ok((raw, begin))
    }

    /// The way of a packet, which may make `mtu` less.
    fn raw_route(&mut self, at: SocketAddr, hop: &Hop, mtu: &mut u32) -> io::Result<RawRoute> {
        let route = self.route(at, hop.from, hop.to)?;
        *mtu = route.mtu.min(*mtu);
        Ok(RawRoute {
            interface: route.interface,
            hop: 0,
            flow: RandomState::new().build_hasher().finish() as u32,
            source: octets(route.source),
            destination: octets(hop.to.ip()),
            ports: [hop.from.port().to_be_bytes(), hop.to.port().to_be_bytes()],
            traffic_class: hop.traffic_class,
            loopback: u8::from(route.link == netlink::Link::Loopback),
            preferred: u8::from(hop.from.ip().is_unspecified()),
            priority: hop.priority,
        })
    }

    /// True if a leg's ways are those that it was opened with; `known` are ways that were asked for already.
    fn is_as_it_was(&mut self, place: &Place, known: &mut HashMap<(IpAddr, IpAddr), Option<Route>>) -> bool {
        let (at, family) = (place.raw.address, place.raw.family);
        let mut find = |from: [u8; 16], to: [u8; 16]| {
            let way = (layout::address(from, family), layout::address(to, family));
            *known.entry(way).or_insert_with(|| self.routes.find(way.0, way.1).ok())
        };
        let mut mtu = MAX_PACKET;
        let mut goes = |route: &RawRoute| {
            let from = if route.preferred == 1 { [0; 16] } else { route.source };
            find(from, route.destination).is_some_and(|found| {
                mtu = found.mtu.min(mtu);
                let is_loopback = found.link == netlink::Link::Loopback;
                (found.interface, octets(found.source)) == (route.interface, route.source)
                    && u8::from(is_loopback) == route.loopback
            })
        };
        let RawLeg { arrives, relay, fork, forks, remote, .. } = &*place.leg;
        let forks = &fork[..usize::from(*forks)];
        let all_go = (relay.interface == 0 || goes(relay)) && forks.iter().all(|fork| goes(&fork.route));
        let attachments = &self.program.attachments;
        let is_ready = |interface, side| attachments.want(interface, side).is_ok();
        all_go
            && !self.has_policies
            && longest(mtu, family == 4) == place.leg.longest
            && find(at, *remote).is_some_and(|found| found.interface == *arrives)
            && is_ready(*arrives, Side::Relay)
            && leaves(&place.leg).all(|interface| is_ready(interface, Side::Leave))
    }

    /// Finds the way out, for a packet of the same family as arrives at `at`.
    fn route(&mut self, at: SocketAddr, from: SocketAddr, to: SocketAddr) -> io::Result<netlink::Route> {
        check_address(at, from)?;
        check_address(at, to)?;
        self.routes.find(from.ip(), to.ip())
    }
}

impl From<RawTally> for Tally {
    fn from(raw: RawTally) -> Self {
        let RawTally { packets, octets, arrived_ns, seen, newest, newest_timestamp, .. } = raw;
        let RawTally { transit, jitter_scaled, unsent, .. } = raw;
        let seen = u128::from(seen[1]) << 64 | u128::from(seen[0]);
        Self { packets, octets, arrived_ns, seen, newest, newest_timestamp, transit, jitter_scaled, unsent }
    }
}

/// The interfaces by which a leg's packets leave.
fn leaves(leg: &RawLeg) -> impl Iterator<Item = u32> + '_ {
    let forks = leg.fork[..usize::from(leg.forks)].iter().map(|fork| &fork.route);
    forks.chain([&leg.relay]).map(|route| route.interface).filter(|interface| *interface != 0)
}

/// The longest datagram in packets of so many octets.
fn longest(mtu: u32, is_ipv4: bool) -> u32 {
    mtu.saturating_sub(if is_ipv4 { IPV4_HEADER } else { IPV6_HEADER })
}

/// The program changes no packet's family, and knows no scopes.
fn check_address(at: SocketAddr, other: SocketAddr) -> io::Result<()> {
    let fits = match other.ip() {
        IpAddr::V4(v4) => at.is_ipv4() && !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => {
            at.is_ipv6() && v6.to_ipv4_mapped().is_none() && !v6.is_unicast_link_local() && !v6.is_multicast()
        }
    };
    fits.then_some(()).ok_or_else(|| unsupported("addresses of another family, or of one link"))
}

fn unsupported(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, text)
}
