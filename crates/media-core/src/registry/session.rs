//! What a session holds.

use std::sync::Arc;

use crate::arena::{Arena, Key};
use crate::recorder::Recorder;
use crate::refusal::{Refusal, RefusalCode};
use crate::statistics::SessionStatistics;
use crate::translation::Translation;

use super::endpoint::Endpoint;
use super::fork::Fork;
use super::playing::Source;
use super::Side;

/// Bounds a session's memory; far above what a call needs.
pub(super) const MAX_ENDPOINTS: usize = 16;
pub(super) const MAX_FORKS: usize = 32;
pub(super) const MAX_PLAYERS: usize = 16;
pub(super) const MAX_RECORDERS: usize = 16;

/// Where a packet that an endpoint received goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    /// To the remote of this endpoint, as it is.
    Bridge(Key),
    /// To the remote of this endpoint, which takes it with other payload types, in the other law or with other numbers.
    Translate(Key),
    Fork(Key),
    Recorder(Key),
}

impl Sink {
    /// The endpoint that it relays to.
    pub(super) fn bridge(self) -> Option<Key> {
        match self {
            Self::Bridge(to) | Self::Translate(to) => Some(to),
            Self::Fork(_) | Self::Recorder(_) => None,
        }
    }
}

#[derive(Debug)]
pub(super) struct PlayerSlot {
    pub(super) name: Arc<str>,
    pub(super) endpoint: Key,
    pub(super) source: Source,
    /// The next packet comes after a gap.
    pub(super) mark_next: bool,
    /// Its packets become part of the stream that is relayed to the endpoint.
    pub(super) spliced: bool,
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

    /// Works out anew what has to change on each route and which payload types each fork passes on, after formats or
    /// routes have changed: no packet has to ask.
    pub(super) fn map(&mut self) {
        self.map_routes();
        self.map_forks();
    }

    pub(super) fn map_routes(&mut self) {
        let routes: Vec<(Key, Key)> =
            self.endpoints.iter().filter_map(|(from, source)| Some((from, source.bridge()?))).collect();
        for (from, to) in routes {
            let (Some(source), Some(sink)) = (self.endpoints.get(from), self.endpoints.get(to)) else { continue };
            let translation = Translation::between(&source.settings.formats, sink.settings.sent());
            let changes = translation.is_some() || sink.splice.is_some();
            let Some(source) = self.endpoints.get_mut(from) else { continue };
            source.translation = translation.map(Box::new);
            for sink in source.received.iter_mut().filter(|sink| sink.bridge().is_some()) {
                *sink = if changes { Sink::Translate(to) } else { Sink::Bridge(to) };
            }
        }
    }

    fn map_forks(&mut self) {
        for fork in self.forks.values_mut() {
            let Some(endpoint) = self.endpoints.get(fork.endpoint) else { continue };
            let mut sources = vec![&endpoint.settings.formats];
            if fork.side == Side::Outbound {
                sources = vec![endpoint.settings.sent()];
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
