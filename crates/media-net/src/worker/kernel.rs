//! Legs that the kernel relays and forks (docs/topics/kernel-path.md).

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use media_core::{HandOver, KernelLeg, KernelTally, PairKey};
use media_kernel::{Fork, Hop, KernelPath, Leg, Numbers, Place, Tally};
use serde_json::json;

use crate::log;

/// One worker's legs in the kernel.
pub(super) struct Kernel {
    path: Arc<KernelPath>,
    places: HashMap<PairKey, Place>,
    changes: u64,
}

impl Kernel {
    pub(super) fn new(path: Arc<KernelPath>) -> Self {
        let changes = path.changes();
        Self { path, places: HashMap::new(), changes }
    }

    /// If the ways of packets may be others since this was asked last: the pairs whose legs have others now.
    pub(super) fn moved(&mut self) -> Option<Vec<PairKey>> {
        let changes = self.path.changes();
        if std::mem::replace(&mut self.changes, changes) == changes {
            return None;
        }
        Some(self.path.moved(self.places.iter().map(|(pair, place)| (*pair, place))))
    }

    /// Hands over what arrives at `at`, if it is `clear` that no packet waits; `hop` tells how a pair's packets leave.
    pub(super) fn enter(
        &mut self,
        pair: PairKey,
        at: SocketAddr,
        leg: &KernelLeg,
        begin: &KernelTally,
        hop: impl Fn(PairKey, SocketAddr) -> Option<Hop>,
        clear: impl Fn() -> bool,
    ) -> HandOver {
        let Some(leg) = translate(at, leg, begin, hop) else { return HandOver::Refused };
        match self.path.open(&leg, clear) {
            Ok(place) => {
                self.places.insert(pair, place);
                HandOver::Taken
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => HandOver::NotYet,
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => HandOver::Later,
            // addresses that the program does not deal with are nobody's fault
            Err(error) if error.kind() == io::ErrorKind::Unsupported => HandOver::Refused,
            Err(error) => {
                log::warning("kernel_path_refused", json!({"reason": error.to_string()}));
                HandOver::Refused
            }
        }
    }

    pub(super) fn read(&self, pair: PairKey) -> Option<KernelTally> {
        self.path.read(self.places.get(&pair)?).ok().map(core_tally)
    }

    pub(super) fn leave(&mut self, pair: PairKey) -> Option<KernelTally> {
        match self.path.close(self.places.remove(&pair)?) {
            Ok(tally) => Some(core_tally(tally)),
            Err(error) => {
                log::warning("kernel_path_failed", json!({"reason": error.to_string()}));
                None
            }
        }
    }
}

fn translate(
    at: SocketAddr,
    leg: &KernelLeg,
    begin: &KernelTally,
    hop: impl Fn(PairKey, SocketAddr) -> Option<Hop>,
) -> Option<Leg> {
    let relay = match leg.relay {
        Some((pair, to)) => Some(hop(pair, to)?),
        None => None,
    };
    let fork = |fork: &media_core::KernelFork| {
        let numbers = |(ssrc, sequence_offset, timestamp_offset)| Numbers { ssrc, sequence_offset, timestamp_offset };
        Some(Fork {
            hop: hop(fork.pair, fork.to)?,
            payload_type: fork.payload_type,
            numbers: fork.numbers.map(numbers),
        })
    };
    Some(Leg {
        at,
        from: leg.from,
        ssrc: leg.ssrc,
        payload_type: leg.payload_type,
        clock_rate: leg.clock_rate,
        relay,
        forks: leg.forks.iter().map(fork).collect::<Option<_>>()?,
        begin: Tally {
            newest: begin.newest,
            newest_timestamp: begin.newest_timestamp,
            transit: begin.transit,
            jitter_scaled: begin.jitter_scaled,
            ..Tally::default()
        },
    })
}

fn core_tally(tally: Tally) -> KernelTally {
    let Tally { packets, octets, arrived_ns, seen, newest, newest_timestamp, transit, jitter_scaled, unsent } = tally;
    KernelTally { packets, octets, arrived_ns, seen, newest, newest_timestamp, transit, jitter_scaled, unsent }
}
