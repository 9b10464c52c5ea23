//! What the control process may ask for.

use std::sync::Arc;

use crate::arena::Key;
use crate::recorder::Recorder;
use crate::refusal::{Refusal, RefusalCode};
use crate::statistics::{EndpointStatistics, ForkStatistics, RecorderStatistics, SessionStatistics};
use crate::time::Instant;

use super::endpoint::Endpoint;
use super::fork::Fork;
use super::playing::end_player;
use super::session::{RecorderSlot, Session, Sink, MAX_ENDPOINTS, MAX_FORKS, MAX_RECORDERS};
use super::{
    Cname, EndpointSettings, ForkPorts, ForkSettings, Member, NewFork, Numbers, Output, PairKey, PairOwner, Registry,
    Side,
};

impl Registry {
    /// Opens a session; an open one stays as it is.
    pub fn open_session(&mut self, name: &Arc<str>, now: Instant) {
        if !self.names.contains_key(name) {
            let key = self.sessions.insert(Session::new(name.clone()));
            self.names.insert(name.clone(), key);
            self.tick.start(now.mono_ns);
        }
    }

    /// Closes a session with everything in it; None if it is not open.
    pub fn close_session(&mut self, name: &str, now: Instant, out: &mut impl Output) -> Option<SessionStatistics> {
        let key = self.session_key(name).ok()?;
        let session = self.sessions.get(key)?;
        let statistics = session.statistics();
        let endpoints: Vec<Arc<str>> = session.endpoints.iter().map(|(_, endpoint)| endpoint.name.clone()).collect();
        for endpoint in endpoints {
            self.close_endpoint(name, &endpoint, now, out);
        }
        self.names.remove(name);
        self.sessions.remove(key);
        Some(statistics)
    }

    /// Opens an endpoint, whose own stream begins with `numbers`; the caller binds sockets to the pair.
    pub fn open_endpoint(
        &mut self,
        session: &str,
        endpoint: &Arc<str>,
        numbers: Numbers,
        cname: Cname,
    ) -> Result<PairKey, Refusal> {
        let session_key = self.session_key(session)?;
        let Self { sessions, pairs, .. } = self;
        let session = sessions.get_mut(session_key).ok_or_else(|| no_session(session))?;
        if session.endpoint(endpoint).is_ok() {
            return Err(conflict("endpoint", endpoint));
        }
        within(session.endpoints.len(), MAX_ENDPOINTS, "endpoints")?;
        Ok(pairs.insert_with(|pair| {
            let key = session.endpoints.insert(Endpoint::new(endpoint.clone(), pair, numbers, cname));
            PairOwner { session: session_key, member: Member::Endpoint(key) }
        }))
    }

    /// Sets what offer/answer agreed.
    pub fn configure_endpoint(
        &mut self,
        session: &str,
        endpoint: &str,
        settings: EndpointSettings,
        now: Instant,
        out: &mut impl Output,
    ) -> Result<(), Refusal> {
        let session = self.session_named(session)?;
        let key = session.endpoint(endpoint)?;
        if let Some(endpoint) = session.endpoints.get_mut(key) {
            let is_muxed = settings.rtcp_mux;
            if !is_muxed && !out.open_rtcp(endpoint.pair) {
                let text = format!("the RTCP port of endpoint {} cannot be opened again", endpoint.name);
                return Err(Refusal::new(RefusalCode::NoPorts, text));
            }
            if endpoint.configure(settings, now.mono_ns)? {
                out.settle(endpoint.pair, None);
            }
            if is_muxed {
                // RFC 5761 §5.1.1: once both sides have said so, nothing comes there any more
                out.close_rtcp(endpoint.pair);
            }
        }
        session.map();
        Ok(())
    }

    /// Closes an endpoint with its routes, forks, recorders and players; None if it is not open.
    pub fn close_endpoint(
        &mut self,
        session: &str,
        endpoint: &str,
        now: Instant,
        out: &mut impl Output,
    ) -> Option<EndpointStatistics> {
        let session = self.session_named(session).ok()?;
        let key = session.endpoint(endpoint).ok()?;
        let statistics = session.endpoints.get(key).map(Endpoint::statistics);
        let forks: Vec<Key> =
            session.forks.iter().filter(|(_, fork)| fork.endpoint == key).map(|(fork, _)| fork).collect();
        let recorders: Vec<Key> =
            session.recorders.iter().filter(|(_, one)| one.endpoint == key).map(|(recorder, _)| recorder).collect();
        if let Some(player) = session.endpoints.get(key).and_then(|endpoint| endpoint.player) {
            end_player(session, player, false, out);
        }
        let removed: Vec<Fork> = forks.into_iter().filter_map(|fork| remove_fork(session, fork, now, out)).collect();
        for recorder in recorders {
            remove_recorder(session, recorder, out);
        }
        let mut pair = None;
        if let Some(mut endpoint) = session.endpoints.remove(key) {
            if let (Some(to), Some(timestamp)) = (endpoint.remote_rtcp, endpoint.own.stream.timestamp_at(now.mono_ns)) {
                let goodbye = endpoint.own.reporter.goodbye(now, Some(timestamp));
                endpoint.send_rtcp(to, &goodbye, out);
            }
            out.release_pair(endpoint.pair);
            pair = Some(endpoint.pair);
        }
        for other in session.endpoints.values_mut() {
            other.received.retain(|sink| sink.bridge() != Some(key));
        }
        session.map();
        pair.and_then(|pair| self.pairs.remove(pair));
        removed.iter().for_each(|fork| self.forget(fork));
        statistics
    }

    /// Relays what `source` receives to the remote of `sink`; None cuts the relay.
    pub fn set_route(&mut self, session: &str, source: &str, sink: Option<&str>) -> Result<(), Refusal> {
        let session = self.session_named(session)?;
        let source = session.endpoint(source)?;
        let sink = sink.map(|sink| session.endpoint(sink)).transpose()?;
        if let Some(endpoint) = session.endpoints.get_mut(source) {
            endpoint.received.retain(|sink| sink.bridge().is_none());
            // the call comes first: its party hears a packet before it is forked or recorded
            if let Some(sink) = sink {
                endpoint.received.reserve_exact(1);
                endpoint.received.insert(0, Sink::Bridge(sink));
            }
        }
        session.map();
        Ok(())
    }

    /// Opens a fork; the caller binds sockets to the pair, or knows which sockets it shares.
    pub fn open_fork(&mut self, session: &str, mut new: NewFork) -> Result<PairKey, Refusal> {
        let session_key = self.session_key(session)?;
        let Self { sessions, pairs, shared, .. } = self;
        let session = sessions.get_mut(session_key).ok_or_else(|| no_session(session))?;
        let of = session.endpoint(&new.endpoint)?;
        if session.fork(&new.name).is_some() {
            return Err(conflict("fork", &new.name));
        }
        within(session.forks.len(), MAX_FORKS, "forks")?;
        // RFC 3550 §8: two streams from one address must not have one SSRC
        while new.ports == ForkPorts::Shared && shared.contains_key(&new.numbers.ssrc) {
            new.numbers.ssrc = new.numbers.ssrc.wrapping_add(1);
        }
        let pair = pairs.insert_with(|pair| {
            let fork = session.forks.insert(Fork::new(&new, pair, of));
            if let Some(endpoint) = session.endpoints.get_mut(of) {
                // thousands of endpoints have one or two, for which the usual four places are too many
                match new.side {
                    Side::Inbound => {
                        endpoint.received.reserve_exact(1);
                        endpoint.received.push(Sink::Fork(fork));
                    }
                    Side::Outbound => {
                        endpoint.sent.reserve_exact(1);
                        endpoint.sent.push(fork);
                    }
                }
            }
            PairOwner { session: session_key, member: Member::Fork(fork) }
        });
        if new.ports == ForkPorts::Shared {
            shared.insert(new.numbers.ssrc, pair);
        }
        session.map();
        Ok(pair)
    }

    /// Points a fork at the SRS, pauses or resumes it.
    pub fn configure_fork(
        &mut self,
        session: &str,
        fork: &str,
        settings: ForkSettings,
        out: &mut impl Output,
    ) -> Result<(), Refusal> {
        let session = self.session_named(session)?;
        let key = session
            .fork(fork)
            .ok_or_else(|| Refusal::new(RefusalCode::NoFork, format!("no fork {fork} in session {}", session.name)))?;
        if let Some(fork) = session.forks.get_mut(key) {
            let (before, after) = (fork.settings.remote, settings.remote);
            fork.configure(settings, out)?;
            if before != after {
                out.settle(fork.pair, after);
            }
        }
        session.map();
        Ok(())
    }

    /// Closes a fork; None if it is not open.
    pub fn close_fork(
        &mut self,
        session: &str,
        fork: &str,
        now: Instant,
        out: &mut impl Output,
    ) -> Option<ForkStatistics> {
        let session = self.session_named(session).ok()?;
        let key = session.fork(fork)?;
        let fork = remove_fork(session, key, now, out)?;
        self.forget(&fork);
        Some(fork.statistics())
    }

    /// Records what an endpoint receives into the file that the caller knows by `id`.
    pub fn open_recorder(&mut self, session: &str, name: &Arc<str>, endpoint: &str, id: u64) -> Result<(), Refusal> {
        let session = self.session_named(session)?;
        let key = session.endpoint(endpoint)?;
        if session.recorder(name).is_some() {
            return Err(conflict("recorder", name));
        }
        within(session.recorders.len(), MAX_RECORDERS, "recorders")?;
        let slot = RecorderSlot { name: name.clone(), endpoint: key, id, recorder: Recorder::default() };
        let recorder = session.recorders.insert(slot);
        if let Some(endpoint) = session.endpoints.get_mut(key) {
            endpoint.received.push(Sink::Recorder(recorder));
        }
        Ok(())
    }

    /// Closes a recorder; None if it is not open.
    pub fn close_recorder(
        &mut self,
        session: &str,
        recorder: &str,
        out: &mut impl Output,
    ) -> Option<RecorderStatistics> {
        let session = self.session_named(session).ok()?;
        let key = session.recorder(recorder)?;
        remove_recorder(session, key, out)
    }

    /// The statistics of all that is open in a session.
    pub fn session_statistics(&self, session: &str) -> Result<SessionStatistics, Refusal> {
        let key = self.session_key(session)?;
        self.sessions.get(key).map(Session::statistics).ok_or_else(|| no_session(session))
    }

    /// Queued packets of this pair could not be sent after all.
    pub fn note_send_errors(&mut self, pair: PairKey, packets: u64) {
        let Some(owner) = self.pairs.get(pair).copied() else { return };
        let Some(session) = self.sessions.get_mut(owner.session) else { return };
        let total = match owner.member {
            Member::Fork(key) => {
                let Some(fork) = session.forks.get_mut(key) else { return };
                fork.count_send_errors(packets);
                &mut self.totals.packets_forked
            }
            Member::Endpoint(key) => {
                let Some(endpoint) = session.endpoints.get_mut(key) else { return };
                endpoint.count_unsent(packets);
                &mut self.totals.packets_relayed
            }
        };
        *total = total.saturating_sub(packets);
    }

    fn forget(&mut self, fork: &Fork) {
        self.pairs.remove(fork.pair);
        if fork.ports == ForkPorts::Shared {
            self.shared.remove(&fork.ssrc());
        }
    }

    pub(super) fn session_key(&self, name: &str) -> Result<Key, Refusal> {
        self.names.get(name).copied().ok_or_else(|| no_session(name))
    }

    pub(super) fn session_mut(&mut self, key: Key) -> Result<&mut Session, Refusal> {
        self.sessions.get_mut(key).ok_or_else(|| no_session("that was just found"))
    }

    pub(super) fn session_named(&mut self, name: &str) -> Result<&mut Session, Refusal> {
        let key = self.session_key(name)?;
        self.session_mut(key)
    }
}

fn remove_fork(session: &mut Session, key: Key, now: Instant, out: &mut impl Output) -> Option<Fork> {
    let mut fork = session.forks.remove(key)?;
    fork.flush(out);
    if let Some(endpoint) = session.endpoints.get_mut(fork.endpoint) {
        endpoint.received.retain(|sink| *sink != Sink::Fork(key));
        endpoint.sent.retain(|sink| *sink != key);
    }
    fork.goodbye(now, out);
    out.release_pair(fork.pair);
    Some(fork)
}

fn remove_recorder(session: &mut Session, key: Key, out: &mut impl Output) -> Option<RecorderStatistics> {
    let slot = session.recorders.remove(key)?;
    if let Some(endpoint) = session.endpoints.get_mut(slot.endpoint) {
        endpoint.received.retain(|sink| *sink != Sink::Recorder(key));
    }
    let statistics = slot.recorder.statistics();
    out.release_recorder(slot.id, statistics.samples);
    Some(statistics)
}

pub(super) fn within(count: usize, most: usize, what: &str) -> Result<(), Refusal> {
    if count < most {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::Limit, format!("the session has {most} {what} already")))
}

pub(super) fn conflict(what: &str, name: &str) -> Refusal {
    Refusal::new(RefusalCode::Conflict, format!("{what} {name} is open already"))
}

fn no_session(name: &str) -> Refusal {
    Refusal::new(RefusalCode::NoSession, format!("no session {name}"))
}
