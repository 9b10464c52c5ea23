//! What a session holds.

use std::sync::Arc;

use crate::arena::{Arena, Key};
use crate::player::Player;
use crate::recorder::Recorder;
use crate::refusal::{Refusal, RefusalCode};
use crate::statistics::SessionStatistics;

use super::endpoint::Endpoint;
use super::fork::Fork;
use super::Side;

/// Bounds a session's memory; far above what a call needs.
pub(super) const MAX_ENDPOINTS: usize = 16;
pub(super) const MAX_FORKS: usize = 32;
pub(super) const MAX_PLAYERS: usize = 16;
pub(super) const MAX_RECORDERS: usize = 16;

/// Where a packet that an endpoint received goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    /// To the remote of this endpoint.
    Bridge(Key),
    Fork(Key),
    Recorder(Key),
}

#[derive(Debug)]
pub(super) struct PlayerSlot {
    pub(super) name: Arc<str>,
    pub(super) endpoint: Key,
    pub(super) player: Player,
    /// The next packet comes after a gap.
    pub(super) mark_next: bool,
}

#[derive(Debug)]
pub(super) struct RecorderSlot {
    pub(super) name: Arc<str>,
    pub(super) endpoint: Key,
    pub(super) id: u64,
    pub(super) recorder: Recorder,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) name: Arc<str>,
    pub(super) endpoints: Arena<Endpoint>,
    pub(super) forks: Arena<Fork>,
    pub(super) players: Arena<PlayerSlot>,
    pub(super) recorders: Arena<RecorderSlot>,
}

impl Session {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            endpoints: Arena::default(),
            forks: Arena::default(),
            players: Arena::default(),
            recorders: Arena::default(),
        }
    }

    pub(super) fn endpoint(&self, name: &str) -> Result<Key, Refusal> {
        find(&self.endpoints, |endpoint| &*endpoint.name == name).ok_or_else(|| {
            Refusal::new(RefusalCode::NoEndpoint, format!("no endpoint {name} in session {}", self.name))
        })
    }

    pub(super) fn fork(&self, name: &str) -> Option<Key> {
        find(&self.forks, |fork| &*fork.name == name)
    }

    pub(super) fn player(&self, name: &str) -> Option<Key> {
        find(&self.players, |player| &*player.name == name)
    }

    pub(super) fn recorder(&self, name: &str) -> Option<Key> {
        find(&self.recorders, |recorder| &*recorder.name == name)
    }

    /// Works out anew which payload types each fork passes on, after formats or routes have changed.
    pub(super) fn map_forks(&mut self) {
        for fork in self.forks.values_mut() {
            let Some(endpoint) = self.endpoints.get(fork.endpoint) else { continue };
            let mut sources = vec![&endpoint.settings.formats];
            if fork.side == Side::Outbound {
                let routed = self.endpoints.iter().filter(|(_, source)| source.bridge() == Some(fork.endpoint));
                sources.extend(routed.map(|(_, source)| &source.settings.formats));
            }
            fork.map_payload_types(&sources);
        }
    }

    pub(super) fn statistics(&self) -> SessionStatistics {
        SessionStatistics {
            endpoints: self.endpoints.iter().map(|(_, one)| (one.name.clone(), one.statistics())).collect(),
            forks: self.forks.iter().map(|(_, one)| (one.name.clone(), one.statistics())).collect(),
            recorders: self
                .recorders
                .iter()
                .map(|(_, one)| (one.name.clone(), (one.id, one.recorder.statistics())))
                .collect(),
        }
    }
}

fn find<T>(arena: &Arena<T>, wanted: impl Fn(&T) -> bool) -> Option<Key> {
    arena.iter().find(|(_, value)| wanted(value)).map(|(key, _)| key)
}
