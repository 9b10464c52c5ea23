//! A worker: the thread that owns sessions from socket to socket.

mod kernel;
mod outbox;
mod pacer;
mod recordings;

use std::io;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use media_core::{Histogram, Instant, PairKey, Refusal, RefusalCode, Registry, RegistryOptions, Totals};
use media_kernel::KernelPath;
use serde_json::json;

use crate::command::{Answer, Answers, Command, EventQueue, Reply, Work};
use crate::log;
use crate::ports::{Binder, ForkSockets, PortSocket, Sockets};
use crate::sys::clock;
use crate::sys::epoll::{Epoll, Events, Waker, EDGE, FAILED, READABLE};
use crate::sys::udp::{take_errors, ReceiveBatch, RECEIVE_BATCH};
use crate::writer::Writer;

use outbox::{Doors, Outbox};
use pacer::Pacer;

/// The token of the waker; no pair has it.
const WAKE: u64 = u64::MAX;
/// From here on are the tokens of ports that forks share; no pair lives long enough to have one of them.
const SHARED: u64 = u64::MAX - (1 << 16);
/// Events of one wait; what is left over comes with the next.
const MAX_EVENTS: usize = 256;
/// Batches from a socket in a row, if it takes so many until a leg can go to the kernel: with fewer, a worker that was
/// overloaded once would have packets of each leg waiting at all times, and never be rid of one.
const MAX_BATCHES: usize = 64;
/// Commands of one round, so that a burst of them does not hold packets up.
const MAX_COMMANDS: usize = 8;
/// An arrival time further from now than this is not believed: the wall clock was set.
const MAX_AGE_NS: u64 = 10 * media_core::NS_PER_S;

/// What a worker has done, for all to read.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounts {
    pub(crate) latency: Histogram,
    pub(crate) totals: Totals,
    /// How long rounds have taken: less than the processor's time if others use it, and what packets wait for.
    pub(crate) busy_ns: u64,
}

/// The control thread's side of a worker.
pub(crate) struct WorkerHandle {
    commands: Sender<Command>,
    waker: Waker,
    pub(crate) events: EventQueue,
    pub(crate) counts: Arc<Mutex<WorkerCounts>>,
}

impl WorkerHandle {
    pub(crate) fn send(&self, command: Command) {
        // a worker ends only after its handle is gone
        let _ = self.commands.send(command);
        self.waker.wake();
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        let (nobody, _) = std::sync::mpsc::channel();
        self.commands = nobody;
        self.waker.wake();
    }
}

pub(crate) struct Worker {
    epoll: Arc<Epoll>,
    waker: Waker,
    commands: Receiver<Command>,
    registry: Registry,
    outbox: Outbox,
    batch: ReceiveBatch,
    pacer: Pacer,
    /// Sockets that may have more to read although no event will tell.
    unfinished: Vec<u64>,
    answers: Answers,
    events: EventQueue,
    counts: Arc<Mutex<WorkerCounts>>,
    busy_ns: u64,
}

impl Worker {
    pub(crate) fn new(
        options: RegistryOptions,
        pacing: bool,
        answers: Answers,
        writer: Writer,
        kernel: Option<Arc<KernelPath>>,
        binder: Binder,
    ) -> io::Result<(Self, WorkerHandle)> {
        let (epoll, waker) = (Arc::new(Epoll::new()?), Waker::new()?);
        epoll.add(&waker, WAKE, READABLE | EDGE)?;
        let (sender, commands) = std::sync::mpsc::channel();
        let events = EventQueue::new(answers.waker.clone());
        let counts = Arc::<Mutex<WorkerCounts>>::default();
        let handle =
            WorkerHandle { commands: sender, waker: waker.clone(), events: events.clone(), counts: counts.clone() };
        let mut registry = Registry::new(options);
        registry.use_kernel(kernel.is_some());
        let outbox = Outbox::new(writer, kernel, Doors { epoll: epoll.clone(), binder });
        let worker = Self {
            epoll,
            waker,
            commands,
            registry,
            outbox,
            batch: ReceiveBatch::new(),
            pacer: Pacer::new(pacing),
            unfinished: Vec::new(),
            answers,
            events,
            counts,
            busy_ns: 0,
        };
        Ok((worker, handle))
    }

    /// Works until its handle is dropped.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(MAX_EVENTS);
        let mut more_commands = false;
        loop {
            let timeout =
                if more_commands || !self.unfinished.is_empty() { Some(Duration::ZERO) } else { self.timeout() };
            if let Err(error) = self.epoll.wait(&mut events, timeout) {
                // only a broken kernel or a bug of ours can end here; not to spin, and to be seen
                log::warning("wait_failed", json!({"reason": error.to_string()}));
                std::thread::sleep(Duration::from_millis(10));
            }
            let now = clock::now();
            self.tick(now);
            for token in std::mem::take(&mut self.unfinished) {
                self.receive(token, now);
            }
            let mut index = 0;
            while let Some((token, what)) = events.get(index) {
                index += 1;
                if token == WAKE {
                    self.waker.clear();
                    continue;
                }
                if what & FAILED != 0 {
                    self.take_errors(token, now);
                }
                if what & READABLE != 0 {
                    self.receive(token, now);
                }
            }
            match self.obey(now) {
                Some(more) => more_commands = more,
                None => return,
            }
            self.finish_round(now);
            let ended_ns = clock::mono_ns();
            self.busy_ns += ended_ns.saturating_sub(now.mono_ns);
            if !more_commands && self.unfinished.is_empty() {
                let due_ns = self.registry.poll_timeout();
                if let Some(nap) = self.pacer.finish_round(now.mono_ns, due_ns, ended_ns) {
                    std::thread::sleep(nap);
                }
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let due_ns = self.registry.poll_timeout()?;
        Some(Duration::from_nanos(due_ns.saturating_sub(clock::mono_ns())))
    }

    fn tick(&mut self, now: Instant) {
        if self.registry.poll_timeout().is_some_and(|due_ns| due_ns <= now.mono_ns) {
            self.outbox.arrival_wall_ns = None;
            if let Some(moved) = self.outbox.moved() {
                self.registry.ways_have_changed(&moved, &mut self.outbox);
            }
            self.registry.handle_timeout(now, &mut self.outbox);
            self.outbox.listen_again(now.mono_ns);
            self.outbox.recordings.flush_old(now.mono_ns);
        }
    }

    /// Takes what has arrived on a socket: some of it, or all that waits before a leg that the kernel would take.
    fn receive(&mut self, token: u64, now: Instant) {
        if token >= SHARED {
            return self.receive_shared(token);
        }
        let (key, is_rtcp) = key_of(token);
        self.receive_batch(key, is_rtcp, now);
        for _ in 1..MAX_BATCHES {
            if !std::mem::take(&mut self.outbox.is_held_up) {
                break;
            }
            self.unfinished.pop_if(|last| *last == token);
            self.receive_batch(key, is_rtcp, now);
        }
        self.outbox.is_held_up = false;
    }

    fn receive_batch(&mut self, key: PairKey, is_rtcp: bool, now: Instant) {
        let Some(socket) = self.outbox.socket(key, is_rtcp) else { return };
        // an error is one of ICMP, which comes as an event of its own, or says that nothing has arrived
        let Ok(count) = self.batch.receive(socket) else { return };
        for index in 0..count {
            let Some(received) = self.batch.get(index) else { continue };
            let arrival = arrival(received.wall_ns, now);
            self.outbox.arrival_wall_ns = Some(arrival.wall_ns);
            self.outbox.more_waits = index + 1 < count;
            if is_rtcp {
                self.registry.receive_rtcp(key, received.source, received.bytes, arrival, &mut self.outbox);
            } else {
                self.pacer.count_packet();
                self.registry.receive_rtp(key, received.source, received.bytes, arrival, &mut self.outbox);
            }
        }
        self.outbox.more_waits = false;
        self.outbox.flush_burst();
        if count == RECEIVE_BATCH {
            self.unfinished.push(token_of(key, is_rtcp));
        }
    }

    /// Takes what has arrived on a port that forks share: reports of SRSs, on either port of a pair.
    fn receive_shared(&mut self, token: u64) {
        let (index, is_rtcp) = shared_of(token);
        let Some(socket) = self.outbox.shared_socket(index, is_rtcp) else { return };
        let Ok(count) = self.batch.receive(socket) else { return };
        for received in (0..count).filter_map(|index| self.batch.get(index)) {
            self.registry.receive_shared_rtcp(received.source, received.bytes);
        }
        if count == RECEIVE_BATCH {
            self.unfinished.push(token);
        }
    }

    fn take_errors(&mut self, token: u64, now: Instant) {
        if token >= SHARED {
            return self.outbox.take_shared_errors(shared_of(token).0, &mut self.registry, now.mono_ns);
        }
        let (key, is_rtcp) = key_of(token);
        let any = self.outbox.socket(key, is_rtcp).is_some_and(|socket| take_errors(socket, |_| ()));
        if any && !is_rtcp {
            self.registry.receive_unreachable(key, now, &mut self.outbox);
        }
    }

    /// Obeys waiting commands; true if there may be more, None if there will never be.
    fn obey(&mut self, now: Instant) -> Option<bool> {
        self.outbox.arrival_wall_ns = None;
        for _ in 0..MAX_COMMANDS {
            match self.commands.try_recv() {
                Ok(command) => self.obey_one(command, now),
                Err(TryRecvError::Empty) => return Some(false),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
        Some(true)
    }

    fn obey_one(&mut self, command: Command, now: Instant) {
        let Command { origin, session, work, afterwards } = command;
        let result = self.work(&session, work, now);
        // ports are given back when this answer arrives: their last packets have to be out by then
        self.outbox.flush(&mut self.registry);
        let answer = Answer { origin, session, result, afterwards };
        if self.outbox.recordings.has_closed() {
            self.outbox.recordings.forget_closed();
            self.outbox.recordings.writer.answer(answer);
        } else {
            self.answers.send(answer);
        }
    }

    fn work(&mut self, session: &Arc<str>, work: Work, now: Instant) -> Result<Reply, Refusal> {
        let Self { registry, outbox, .. } = self;
        match work {
            Work::SessionStatistics => registry.update_from_kernel(session, outbox),
            // whatever it changes, the kernel was told otherwise
            _ => registry.leave_kernel(session, outbox),
        }
        match work {
            Work::OpenSession => registry.open_session(session, now),
            Work::CloseSession => {
                let statistics = registry.close_session(session, now, outbox).unwrap_or_default();
                let infos = outbox.recordings.infos(&statistics);
                return Ok(Reply::Session(statistics, infos));
            }
            Work::OpenEndpoint { endpoint, sockets, numbers, cname } => {
                let pair = registry.open_endpoint(session, &endpoint, numbers, cname)?;
                if let Err(refusal) = self.watch(pair, ForkSockets::Own(sockets)) {
                    self.registry.close_endpoint(session, &endpoint, now, &mut self.outbox);
                    return Err(refusal);
                }
                return Ok(Reply::Opened);
            }
            Work::ConfigureEndpoint { endpoint, settings } => {
                registry.configure_endpoint(session, &endpoint, settings, now, outbox)?;
            }
            Work::CloseEndpoint { endpoint } => {
                let statistics = registry.close_endpoint(session, &endpoint, now, outbox).unwrap_or_default();
                return Ok(Reply::Endpoint(statistics));
            }
            Work::SetRoute { source, sink } => registry.set_route(session, &source, sink.as_deref())?,
            Work::ShareSockets { sockets } => {
                let (index, sockets) = outbox.insert_shared(sockets);
                watch_both(&self.epoll, sockets, |is_rtcp| shared_token(index, is_rtcp)).map_err(unwatched)?;
            }
            Work::OpenFork { new, sockets } => {
                let name = new.name.clone();
                let pair = registry.open_fork(session, new)?;
                if let Err(refusal) = self.watch(pair, sockets) {
                    self.registry.close_fork(session, &name, now, &mut self.outbox);
                    return Err(refusal);
                }
                return Ok(Reply::Opened);
            }
            Work::ConfigureFork { fork, settings } => registry.configure_fork(session, &fork, settings, outbox)?,
            Work::CloseFork { fork } => {
                let statistics = registry.close_fork(session, &fork, now, outbox);
                return Ok(Reply::Fork(statistics.unwrap_or_default()));
            }
            Work::Play { player, endpoint, playback } => {
                registry.play(session, &player, &endpoint, playback, now, outbox)?;
            }
            Work::SendDigits { player, endpoint, digits } => {
                registry.send_digits(session, &player, &endpoint, digits, now, outbox)?;
            }
            Work::SeekPlayer { player, position_ms } => registry.seek_player(session, &player, position_ms)?,
            Work::StopPlayer { player } => registry.stop_player(session, &player, outbox),
            Work::OpenRecorder { recorder, endpoint, id, info } => {
                registry.open_recorder(session, &recorder, &endpoint, id)?;
                outbox.recordings.open(id, info);
            }
            Work::CloseRecorder { recorder } => {
                let id =
                    registry.session_statistics(session).ok().and_then(|all| Some(all.recorders.get(&recorder)?.0));
                let statistics = registry.close_recorder(session, &recorder, outbox).unwrap_or_default();
                return Ok(Reply::Recorder(statistics, id.and_then(|id| outbox.recordings.info(id))));
            }
            Work::SessionStatistics => {
                let statistics = registry.session_statistics(session)?;
                let infos = outbox.recordings.infos(&statistics);
                return Ok(Reply::Session(statistics, infos));
            }
        }
        Ok(Reply::Nothing)
    }

    fn watch(&mut self, pair: PairKey, sockets: ForkSockets) -> Result<(), Refusal> {
        let watched = match &sockets {
            ForkSockets::Shared(_) => Ok(()),
            ForkSockets::Own(own) => watch_both(&self.epoll, own, |is_rtcp| token_of(pair, is_rtcp)),
        };
        self.outbox.insert(pair, sockets);
        watched.map_err(unwatched)
    }

    fn finish_round(&mut self, now: Instant) {
        self.outbox.flush(&mut self.registry);
        for pair in std::mem::take(&mut self.outbox.unreachable) {
            self.registry.receive_unreachable(pair, now, &mut self.outbox);
        }
        self.events.push_all(&mut self.outbox.events);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.outbox.latencies.drain(..).for_each(|ns| counts.latency.record(ns));
        counts.totals = self.registry.totals();
        counts.busy_ns = self.busy_ns;
    }
}

fn watch_both(epoll: &Epoll, sockets: &Sockets, token: impl Fn(bool) -> u64) -> io::Result<()> {
    watch(epoll, &sockets.rtp, token(false))?;
    sockets.rtcp.as_ref().map_or(Ok(()), |rtcp| watch(epoll, rtcp, token(true)))
}

fn watch(epoll: &Epoll, socket: &PortSocket, token: u64) -> io::Result<()> {
    epoll.add(&**socket, token, READABLE | EDGE)
}

/// The moment of arrival on both clocks, from the kernel's time stamp and the begin of this round.
fn arrival(wall_ns: Option<u64>, now: Instant) -> Instant {
    let wall_ns = wall_ns.unwrap_or(now.wall_ns);
    let age_ns = now.wall_ns as i64 - wall_ns as i64;
    if age_ns.unsigned_abs() > MAX_AGE_NS {
        return now;
    }
    Instant { mono_ns: now.mono_ns.saturating_add_signed(-age_ns), wall_ns }
}

fn token_of(pair: PairKey, is_rtcp: bool) -> u64 {
    (pair.to_bits() << 1) | u64::from(is_rtcp)
}

fn shared_token(index: usize, is_rtcp: bool) -> u64 {
    SHARED + 2 * index as u64 + u64::from(is_rtcp)
}

fn shared_of(token: u64) -> (usize, bool) {
    ((token - SHARED) as usize / 2, (token - SHARED) % 2 == 1)
}

fn unwatched(error: io::Error) -> Refusal {
    Refusal::new(RefusalCode::Internal, format!("cannot watch a socket: {error}"))
}

fn key_of(token: u64) -> (PairKey, bool) {
    (PairKey::from_bits(token >> 1), token & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrival_is_as_old_on_both_clocks_unless_the_wall_clock_was_set() {
        let now = Instant { mono_ns: 1000, wall_ns: 50_000_000_000 };
        assert_eq!(arrival(None, now), now);
        assert_eq!(arrival(Some(49_999_999_900), now), Instant { mono_ns: 900, wall_ns: 49_999_999_900 });
        assert_eq!(arrival(Some(50_000_000_007), now), Instant { mono_ns: 1007, wall_ns: 50_000_000_007 });
        assert_eq!(arrival(Some(1), now), now);
    }

    #[test]
    fn tokens_name_pair_and_port() {
        let key = PairKey::from_bits((7 << 32) | 9);
        for is_rtcp in [false, true] {
            assert_eq!(key_of(token_of(key, is_rtcp)), (key, is_rtcp));
            assert!(token_of(key, is_rtcp) < SHARED);
            assert_eq!(shared_of(shared_token(3, is_rtcp)), (3, is_rtcp));
            assert!((SHARED..WAKE).contains(&shared_token(1000, is_rtcp)));
        }
    }
}
