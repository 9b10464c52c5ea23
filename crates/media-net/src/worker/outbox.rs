//! What the registry wants done, done with sockets.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use media_core::{port_above, Event, HandOver, KernelLeg, KernelTally, Output, PairKey, Registry, NS_PER_S};
use media_kernel::{Hop, KernelPath};

use crate::ports::{Binder, ForkSockets, Sockets};
use crate::sys::clock;
use crate::sys::epoll::Epoll;
use crate::sys::send::{can_cut, is_of_an_earlier_packet, send, Queue, Trouble};
use crate::sys::udp::{disconnect, has_waiting, priority, take_errors, traffic_class, want_errors};
use crate::writer::Writer;

use super::kernel::Kernel;
use super::recordings::Recordings;
use super::{token_of, watch};

/// ICMP errors of a shared port in a second, after which no more are listened to in that second: each makes a send stop
/// half way, and the answer is known.
const MAX_ERRORS: usize = 64;

#[derive(Debug)]
enum Place {
    Own {
        sockets: Sockets,
        connected: bool,
    },
    /// The index of ports that forks share.
    Shared(usize),
}

#[derive(Debug)]
struct Pair {
    key: PairKey,
    place: Place,
}

/// Ports from which many forks send, and what they send in this round.
struct Shared {
    sockets: Sockets,
    queue: Queue<PairKey>,
    errors: usize,
    deaf_until_ns: Option<u64>,
}

/// With what a port is opened again that was closed before its pair.
pub(super) struct Doors {
    pub(super) epoll: Arc<Epoll>,
    pub(super) binder: Binder,
}

pub(super) struct Outbox {
    doors: Doors,
    /// By the index of their keys.
    pairs: Vec<Option<Pair>>,
    shared: Vec<Shared>,
    /// What forks with ports of their own send in this round.
    queue: Queue<PairKey>,
    /// Packets of one source that had arrived together, and are relayed together.
    burst: Queue<PairKey>,
    /// When each of them arrived.
    burst_arrivals: Vec<u64>,
    unsent: Vec<(PairKey, u64)>,
    /// Arrival of the packet that is being relayed; None for what the engine sends by itself.
    pub(super) arrival_wall_ns: Option<u64>,
    /// Packets that arrived after the one that is being relayed are in the worker's hands already.
    pub(super) more_waits: bool,
    /// The leg of the packet that was relayed last would be in the kernel if there were none after it.
    pub(super) is_held_up: bool,
    pub(super) latencies: Vec<u64>,
    pub(super) unreachable: Vec<PairKey>,
    pub(super) events: Vec<Event>,
    pub(super) recordings: Recordings,
    /// None: all goes through sockets.
    kernel: Option<Kernel>,
}

impl Outbox {
    pub(super) fn new(writer: Writer, kernel: Option<Arc<KernelPath>>, doors: Doors) -> Self {
        Self {
            doors,
            pairs: Vec::new(),
            shared: Vec::new(),
            queue: Queue::new(true),
            burst: Queue::impatient(true),
            burst_arrivals: Vec::new(),
            unsent: Vec::new(),
            arrival_wall_ns: None,
            more_waits: false,
            is_held_up: false,
            latencies: Vec::new(),
            unreachable: Vec::new(),
            events: Vec::new(),
            recordings: Recordings::new(writer),
            kernel: kernel.map(Kernel::new),
        }
    }

    /// If routes, addresses or links of the machine have changed: the pairs whose legs in the kernel go other ways now.
    pub(super) fn moved(&mut self) -> Option<Vec<PairKey>> {
        self.kernel.as_mut()?.moved()
    }

    pub(super) fn insert(&mut self, key: PairKey, sockets: ForkSockets) {
        let place = match sockets {
            ForkSockets::Own(sockets) => Place::Own { sockets, connected: false },
            ForkSockets::Shared(index) => Place::Shared(index),
        };
        if self.pairs.len() <= key.index() {
            self.pairs.resize_with(key.index() + 1, || None);
        }
        self.pairs[key.index()] = Some(Pair { key, place });
    }

    /// Takes ports that forks will share; their index is the number of those before.
    pub(super) fn insert_shared(&mut self, sockets: Sockets) -> (usize, &Sockets) {
        let index = self.shared.len();
        let queue = Queue::new(can_cut(&sockets.rtp));
        self.shared.push(Shared { sockets, queue, errors: 0, deaf_until_ns: None });
        (index, &self.shared[index].sockets)
    }

    /// A pair's own socket.
    pub(super) fn socket(&self, key: PairKey, is_rtcp: bool) -> Option<&UdpSocket> {
        port(own(&self.pairs, key)?.0, is_rtcp)
    }

    pub(super) fn shared_socket(&self, index: usize, is_rtcp: bool) -> Option<&UdpSocket> {
        port(&self.shared.get(index)?.sockets, is_rtcp)
    }

    /// Takes the ICMP errors of ports that forks share.
    pub(super) fn take_shared_errors(&mut self, index: usize, registry: &mut Registry, now_ns: u64) {
        let Some(shared) = self.shared.get_mut(index) else { return };
        let rtp = &shared.sockets.rtp;
        take_errors(rtp, |remote| {
            shared.errors += 1;
            registry.receive_shared_unreachable(remote);
        });
        if shared.errors > MAX_ERRORS && shared.deaf_until_ns.is_none() && listen_to_errors(rtp, false) {
            shared.deaf_until_ns = Some(now_ns + NS_PER_S);
        }
    }

    /// Listens to ICMP errors again where that was given up for a while.
    pub(super) fn listen_again(&mut self, now_ns: u64) {
        for shared in self.shared.iter_mut().filter(|shared| shared.deaf_until_ns.is_some_and(|until| until <= now_ns))
        {
            if listen_to_errors(&shared.sockets.rtp, true) {
                (shared.errors, shared.deaf_until_ns) = (0, None);
            }
        }
    }

    /// Sends what was forked in this round: relayed packets have gone before.
    pub(super) fn flush(&mut self, registry: &mut Registry) {
        self.flush_all();
        for (pair, packets) in self.unsent.drain(..) {
            registry.note_send_errors(pair, packets);
        }
    }

    /// Sends what was relayed of packets that had arrived together. At a usual load no two have; the more a worker falls
    /// behind, the more have, and the less each of them costs.
    pub(super) fn flush_burst(&mut self) {
        if self.burst.is_empty() {
            return;
        }
        let Self { pairs, burst, unsent, unreachable, .. } = self;
        send_own(pairs, burst, unsent, unreachable);
        let now_ns = clock::wall_ns();
        self.latencies.extend(self.burst_arrivals.drain(..).map(|arrived_ns| now_ns.saturating_sub(arrived_ns)));
    }

    fn flush_all(&mut self) {
        self.flush_burst();
        self.flush_own();
        for shared in self.shared.iter_mut().filter(|shared| !shared.queue.is_empty()) {
            let rtp = &*shared.sockets.rtp;
            shared.queue.flush(
                |_| Some(rtp),
                |pair, trouble| {
                    // whose the ICMP error is, its queue tells
                    if let Trouble::Unsent(packets) = trouble {
                        self.unsent.push((pair, packets));
                    }
                },
            );
        }
    }

    fn flush_own(&mut self) {
        let Self { pairs, queue, unsent, unreachable, .. } = self;
        send_own(pairs, queue, unsent, unreachable);
    }
}

/// Sends a queue from the ports of whom its packets are tagged with.
fn send_own(
    pairs: &[Option<Pair>],
    queue: &mut Queue<PairKey>,
    unsent: &mut Vec<(PairKey, u64)>,
    unreachable: &mut Vec<PairKey>,
) {
    if !queue.is_empty() {
        queue.flush(
            |pair| own(pairs, pair).map(|(sockets, _)| &*sockets.rtp),
            |pair, trouble| match trouble {
                Trouble::Unreachable => unreachable.push(pair),
                Trouble::Unsent(packets) => unsent.push((pair, packets)),
            },
        );
    }
}

impl Output for Outbox {
    fn send_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) -> bool {
        let Some((sockets, connected)) = own(&self.pairs, pair) else { return false };
        let to = (!connected).then_some(to);
        if self.more_waits || !self.burst.is_empty() {
            self.burst.push(pair, to, packet, packet.len());
            self.burst_arrivals.extend(self.arrival_wall_ns);
            return true;
        }
        let mut result = send(&sockets.rtp, to, packet);
        if result.as_ref().is_err_and(is_of_an_earlier_packet) {
            self.unreachable.push(pair);
            result = send(&sockets.rtp, to, packet);
        }
        if let Some(arrived_ns) = self.arrival_wall_ns {
            self.latencies.push(clock::wall_ns().saturating_sub(arrived_ns));
        }
        result.is_ok()
    }

    fn queue_rtp(&mut self, pair: PairKey, to: SocketAddr, packets: &[u8], segment: usize) {
        match find(&self.pairs, pair).map(|pair| &pair.place) {
            Some(Place::Own { connected, .. }) => {
                self.queue.push(pair, (!connected).then_some(to), packets, segment);
            }
            Some(Place::Shared(index)) => self.shared[*index].queue.push(pair, Some(to), packets, segment),
            None => {}
        }
    }

    fn send_beside_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        if let Some((sockets, connected)) = own(&self.pairs, pair) {
            // it is repeated: what does not go now is not missed
            let _ = send(&sockets.rtp, (!connected).then_some(to), packet);
        }
    }

    fn send_rtcp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        let sockets = match find(&self.pairs, pair).map(|pair| &pair.place) {
            Some(Place::Own { sockets, .. }) => sockets,
            Some(Place::Shared(index)) => &self.shared[*index].sockets,
            None => return,
        };
        if let Some(rtcp) = &sockets.rtcp {
            // RTCP is repeated: what does not go now is not missed
            let _ = send(rtcp, Some(to), packet);
        }
    }

    fn open_rtcp(&mut self, pair: PairKey) -> bool {
        let Some(Place::Own { sockets, .. }) = place_mut(&mut self.pairs, pair) else { return true };
        if sockets.rtcp.is_some() {
            return true;
        }
        let Ok(rtp) = sockets.rtp.local_addr() else { return false };
        let Doors { epoll, binder } = &self.doors;
        let opened = port_above(rtp).and_then(|rtcp| binder.bind_rtcp(rtcp).ok());
        sockets.rtcp = opened.filter(|rtcp| watch(epoll, rtcp, token_of(pair, true)).is_ok());
        sockets.rtcp.is_some()
    }

    fn close_rtcp(&mut self, pair: PairKey) {
        if let Some(Place::Own { sockets, .. }) = place_mut(&mut self.pairs, pair) {
            sockets.rtcp = None;
        }
    }

    fn settle(&mut self, pair: PairKey, remote: Option<SocketAddr>) {
        self.flush_burst();
        self.flush_own();
        let Some(Place::Own { sockets, connected }) = place_mut(&mut self.pairs, pair) else { return };
        // without the kernel's filter all works as well, only slower: a failure is no matter
        *connected = match remote {
            Some(remote) => sockets.rtp.connect(remote).is_ok(),
            None => *connected && disconnect(&sockets.rtp).is_err(),
        };
    }

    fn release_pair(&mut self, pair: PairKey) {
        self.flush_own();
        if let Some(kernel) = &mut self.kernel {
            kernel.leave(pair);
        }
        if find(&self.pairs, pair).is_some() {
            self.pairs[pair.index()] = None;
        }
    }

    fn write(&mut self, recorder: u64, at: u64, samples: &[i16]) {
        self.recordings.write(recorder, at, samples);
    }

    fn release_recorder(&mut self, recorder: u64, samples: u64) {
        self.recordings.close(recorder, samples);
    }

    fn report(&mut self, event: Event) {
        self.events.push(event);
    }

    fn enter_kernel(&mut self, pair: PairKey, leg: &KernelLeg, begin: &KernelTally) -> HandOver {
        if self.kernel.is_none() {
            return HandOver::Refused;
        }
        self.is_held_up =
            self.more_waits || own(&self.pairs, pair).is_some_and(|(sockets, _)| has_waiting(&sockets.rtp));
        if self.is_held_up {
            return HandOver::NotYet;
        }
        // what the kernel relays or forks next must not overtake what waits here
        self.flush_all();
        let Some(kernel) = &mut self.kernel else { return HandOver::Refused };
        // without the filter of a connected socket a stranger's packet could come in between
        let Some((sockets, true)) = own(&self.pairs, pair) else { return HandOver::Refused };
        let Ok(at) = sockets.rtp.local_addr() else { return HandOver::Refused };
        let (pairs, shared) = (&self.pairs, &self.shared);
        kernel.enter(
            pair,
            at,
            leg,
            begin,
            |pair, to| {
                let rtp = match &find(pairs, pair)?.place {
                    Place::Own { sockets, .. } => &*sockets.rtp,
                    Place::Shared(index) => &*shared[*index].sockets.rtp,
                };
                let from = rtp.local_addr().ok()?;
                let traffic_class = traffic_class(rtp, from.is_ipv6()).ok()?;
                Some(Hop { from, to, traffic_class, priority: priority(rtp).ok()? })
            },
            || !has_waiting(&sockets.rtp),
        )
    }

    fn read_kernel(&mut self, pair: PairKey) -> Option<KernelTally> {
        self.kernel.as_ref()?.read(pair)
    }

    fn leave_kernel(&mut self, pair: PairKey) -> Option<KernelTally> {
        self.kernel.as_mut()?.leave(pair)
    }
}

fn port(sockets: &Sockets, is_rtcp: bool) -> Option<&UdpSocket> {
    if is_rtcp {
        return sockets.rtcp.as_deref();
    }
    Some(&sockets.rtp)
}

fn find(pairs: &[Option<Pair>], key: PairKey) -> Option<&Pair> {
    pairs.get(key.index())?.as_ref().filter(|pair| pair.key == key)
}

fn place_mut(pairs: &mut [Option<Pair>], key: PairKey) -> Option<&mut Place> {
    let found = pairs.get_mut(key.index())?.as_mut().filter(|pair| pair.key == key)?;
    Some(&mut found.place)
}

fn own(pairs: &[Option<Pair>], key: PairKey) -> Option<(&Sockets, bool)> {
    match &find(pairs, key)?.place {
        Place::Own { sockets, connected } => Some((sockets, *connected)),
        Place::Shared(_) => None,
    }
}

fn listen_to_errors(socket: &UdpSocket, wanted: bool) -> bool {
    socket.local_addr().is_ok_and(|address| want_errors(socket, address.is_ipv6(), wanted).is_ok())
}
