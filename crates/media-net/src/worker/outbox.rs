//! What the registry wants done, done with sockets.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use media_core::{Event, Output, PairKey, Registry};

use crate::ports::Sockets;
use crate::sys::clock;
use crate::sys::udp::{disconnect, send, send_all};
use crate::writer::Writer;

use super::recordings::Recordings;

#[derive(Debug)]
struct Pair {
    key: PairKey,
    sockets: Sockets,
    connected: bool,
}

/// A forked packet that waits for the end of the round.
#[derive(Clone, Copy, Debug)]
struct Queued {
    pair: PairKey,
    to: SocketAddr,
    start: usize,
    end: usize,
}

pub(super) struct Outbox {
    /// By the index of their keys.
    pairs: Vec<Option<Pair>>,
    queue: Vec<Queued>,
    queued_bytes: Vec<u8>,
    /// Arrival of the packet that is being relayed; None for what the engine sends by itself.
    pub(super) arrival_wall_ns: Option<u64>,
    pub(super) latencies: Vec<u64>,
    pub(super) unreachable: Vec<PairKey>,
    pub(super) events: Vec<Event>,
    pub(super) recordings: Recordings,
}

impl Outbox {
    pub(super) fn new(writer: Writer) -> Self {
        Self {
            pairs: Vec::new(),
            queue: Vec::new(),
            queued_bytes: Vec::new(),
            arrival_wall_ns: None,
            latencies: Vec::new(),
            unreachable: Vec::new(),
            events: Vec::new(),
            recordings: Recordings::new(writer),
        }
    }

    pub(super) fn insert(&mut self, key: PairKey, sockets: Sockets) {
        if self.pairs.len() <= key.index() {
            self.pairs.resize_with(key.index() + 1, || None);
        }
        self.pairs[key.index()] = Some(Pair { key, sockets, connected: false });
    }

    pub(super) fn socket(&self, key: PairKey, is_rtcp: bool) -> Option<&UdpSocket> {
        let pair = find(&self.pairs, key)?;
        Some(if is_rtcp { &pair.sockets.rtcp } else { &pair.sockets.rtp })
    }

    /// Sends what was forked in this round: relayed packets have gone before, and packets of one fork go in one call.
    pub(super) fn flush(&mut self, registry: &mut Registry) {
        let mut rest = &self.queue[..];
        while let Some(first) = rest.first() {
            let run = rest.iter().take_while(|queued| (queued.pair, queued.to) == (first.pair, first.to)).count();
            let (now, later) = rest.split_at(run);
            rest = later;
            let Some(pair) = find(&self.pairs, first.pair) else { continue };
            let (rtp, to) = (&pair.sockets.rtp, (!pair.connected).then_some(first.to));
            let mut left = now;
            while let Some(queued) = left.first() {
                let (taken, result) = if left.len() == 1 {
                    let result = send(rtp, to, &self.queued_bytes[queued.start..queued.end]);
                    (usize::from(result.is_ok()), result)
                } else {
                    let mut datagrams = left.iter().map(|queued| &self.queued_bytes[queued.start..queued.end]);
                    send_all(rtp, to, &mut datagrams)
                };
                left = &left[taken..];
                let Err(error) = result else { continue };
                let again = is_of_an_earlier_packet(&error) && {
                    self.unreachable.push(first.pair);
                    send(rtp, to, &self.queued_bytes[queued.start..queued.end]).is_ok()
                };
                if !again {
                    registry.note_send_error(first.pair);
                }
                left = &left[left.len().min(1)..];
            }
        }
        self.queue.clear();
        self.queued_bytes.clear();
    }
}

impl Output for Outbox {
    fn send_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) -> bool {
        let Some(found) = find(&self.pairs, pair) else { return false };
        let to = (!found.connected).then_some(to);
        let mut result = send(&found.sockets.rtp, to, packet);
        if result.as_ref().is_err_and(is_of_an_earlier_packet) {
            self.unreachable.push(pair);
            result = send(&found.sockets.rtp, to, packet);
        }
        if let Some(arrived_ns) = self.arrival_wall_ns {
            self.latencies.push(clock::wall_ns().saturating_sub(arrived_ns));
        }
        result.is_ok()
    }

    fn queue_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        let start = self.queued_bytes.len();
        self.queued_bytes.extend_from_slice(packet);
        self.queue.push(Queued { pair, to, start, end: self.queued_bytes.len() });
    }

    fn send_rtcp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        if let Some(pair) = find(&self.pairs, pair) {
            // RTCP is repeated: what does not go now is not missed
            let _ = send(&pair.sockets.rtcp, Some(to), packet);
        }
    }

    fn settle(&mut self, pair: PairKey, remote: Option<SocketAddr>) {
        let Some(pair) = self.pairs.get_mut(pair.index()).and_then(Option::as_mut).filter(|found| found.key == pair)
        else {
            return;
        };
        // without the kernel's filter all works as well, only slower: a failure is no matter
        pair.connected = match remote {
            Some(remote) => pair.sockets.rtp.connect(remote).is_ok(),
            None => pair.connected && disconnect(&pair.sockets.rtp).is_err(),
        };
    }

    fn release_pair(&mut self, pair: PairKey) {
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
}

fn find(pairs: &[Option<Pair>], key: PairKey) -> Option<&Pair> {
    pairs.get(key.index())?.as_ref().filter(|pair| pair.key == key)
}

/// A socket tells the ICMP error of an earlier packet instead of sending the next one.
fn is_of_an_earlier_packet(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::EHOSTUNREACH | libc::ENETUNREACH))
}
