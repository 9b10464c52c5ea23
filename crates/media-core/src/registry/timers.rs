//! What happens by the clock: players' packets, silence, reports.

use std::cmp::Reverse;
use std::net::SocketAddr;

use crate::event::Event;
use crate::time::{Instant, NS_PER_MS};

use super::kernel;
use super::session::Session;
use super::{ForkPorts, ForkRole, Output, Registry};

/// Sessions are visited in turns, so that many of them are no burst of work: one turn a tick.
const TICK_NS: u64 = 25 * NS_PER_MS;
/// Each session is visited once in so many ticks.
const TURNS: usize = 10;
pub(super) const VISIT_NS: u64 = TURNS as u64 * TICK_NS;
/// What the kernel has done for a session is counted at one of so many visits, once a second, unless something hangs on it:
/// by then it still knows of each packet whether it came.
const LAPS: usize = 4;

/// The regular visit of the sessions.
#[derive(Debug, Default)]
pub(super) struct Tick {
    due_ns: Option<u64>,
    turn: usize,
}

impl Tick {
    pub(super) fn start(&mut self, now_ns: u64) {
        self.due_ns.get_or_insert(now_ns + TICK_NS);
    }
}

/// An address that could not be reached by forks that share their ports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unreachable {
    pub(super) remote: SocketAddr,
    /// Turns until every session has been looked at.
    turns: usize,
}

impl Unreachable {
    pub(super) fn new(remote: SocketAddr) -> Self {
        Self { remote, turns: TURNS }
    }
}

impl Registry {
    /// When [`Registry::handle_timeout`] has to be called next, on the monotonic clock.
    pub fn poll_timeout(&self) -> Option<u64> {
        let player = self.players.peek().map(|Reverse((due, _, _))| *due);
        [player, self.tick.due_ns, self.batches.poll()].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut impl Output) {
        while let Some(Reverse((_, session, player))) =
            self.players.peek().copied().filter(|Reverse((due, _, _))| *due <= now.mono_ns)
        {
            self.players.pop();
            if let Some(due) = self.run_player(session, player, now, out) {
                self.players.push(Reverse((due, session, player)));
            }
        }
        while let Some(due) = self.batches.take(now.mono_ns) {
            let session = self.sessions.get_mut(due.session);
            if let Some(fork) = session.and_then(|session| session.forks.get_mut(due.fork)) {
                fork.flush_since(due.begun_ns, out);
            }
        }
        if self.tick.due_ns.is_some_and(|due| due <= now.mono_ns) {
            let turn = self.tick.turn;
            self.tick.turn = (turn + 1) % (TURNS * LAPS);
            for index in (turn % TURNS..self.sessions.slots()).step_by(TURNS) {
                let session = self.sessions.key_at(index).and_then(|key| self.sessions.get_mut(key));
                if let Some(session) = session {
                    let is_turn = (index / TURNS + turn / TURNS).is_multiple_of(LAPS);
                    if is_turn || has_to_know(session, self.options.silence_ns, now) {
                        kernel::visit(session, &mut self.totals, out);
                    }
                    visit(session, self.options.silence_ns, now, out);
                    tell_unreachable(session, &self.unreachable, now, out);
                }
            }
            self.unreachable.retain_mut(|address| {
                address.turns -= 1;
                address.turns > 0
            });
            self.tick.due_ns = (!self.sessions.is_empty()).then_some(now.mono_ns + TICK_NS);
        }
    }
}

/// Tells of forks whose SRS cannot be reached.
fn tell_unreachable(session: &mut Session, addresses: &[Unreachable], now: Instant, out: &mut impl Output) {
    for address in addresses {
        for fork in session.forks.values_mut() {
            let concerned = fork.ports == ForkPorts::Shared && fork.settings.remote == Some(address.remote);
            if concerned && fork.unreachable.may_repeat(now.mono_ns) {
                out.report(Event::Unreachable { session: session.name.clone(), name: fork.name.clone() });
            }
        }
    }
}

/// True if a session is about to tell something that hangs on the newest counts: a report, or a silence.
fn has_to_know(session: &Session, silence_ns: u64, now: Instant) -> bool {
    session.forks.iter().any(|(_, fork)| fork.is_report_due(now.mono_ns))
        || session
            .endpoints
            .iter()
            .any(|(_, endpoint)| endpoint.is_report_due(now.mono_ns) || endpoint.is_silent(silence_ns, now.mono_ns))
}

/// Looks after silence, ended keys and reports of one session.
fn visit(session: &mut Session, silence_ns: u64, now: Instant, out: &mut impl Output) {
    for endpoint in session.endpoints.values_mut() {
        endpoint.renew();
        if endpoint.is_silent(silence_ns, now.mono_ns) {
            endpoint.silence_reported = true;
            let silent_ns = now.mono_ns.saturating_sub(endpoint.heard_ns);
            let (session, endpoint) = (session.name.clone(), endpoint.name.clone());
            out.report(Event::SilenceTimeout { session, endpoint, silent_ms: silent_ns / NS_PER_MS });
        }
        if endpoint.dtmf.is_waiting() {
            if let Some(digit) = endpoint.dtmf.handle_timeout(now.mono_ns) {
                out.report(Event::Dtmf { session: session.name.clone(), endpoint: endpoint.name.clone(), digit });
            }
        }
        if let Some((to, report)) = endpoint.remote_rtcp.and_then(|to| Some((to, endpoint.report(now)?))) {
            endpoint.send_rtcp(to, &report, out);
            // RFC 7866 §8.2.1: what a translator's SRS hears of players has its reports as well
            for fork in &endpoint.sent {
                let fork = session.forks.get_mut(*fork).filter(|fork| fork.role == ForkRole::Translator);
                if let Some(fork) = fork.filter(|fork| fork.destination().is_some()) {
                    fork.send_rtcp(&report, out);
                }
            }
        }
    }
    session.endpoints.values_mut().for_each(|endpoint| endpoint.keep_alive(now, out));
    for fork in session.forks.values_mut() {
        fork.report(now, out);
    }
}
