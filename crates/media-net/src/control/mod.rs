//! The control thread: connections, requests, answers and events.

mod admission;
mod connection;
mod directory;
mod few;
mod fields;
mod history;
mod keys;
mod operations;
mod playing;
mod reply;
mod request;
mod stream;
mod tls;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use media_core::{Refusal, RefusalCode};
use serde_json::{json, Value};

use crate::command::Answer;
use crate::log;
use crate::ports::Lease;
use crate::sys::epoll::{Epoll, Events, Waker, HANG_UP, READABLE, WRITABLE};

use connection::{Connection, Line, MAX_LINE};
pub(crate) use operations::Operations;
use operations::Outcome;
use request::Request;
pub(crate) use stream::Listener;
pub(crate) use tls::Acceptor;

const ANSWERS: u64 = 0;
const STOP: u64 = 1;
const FIRST_LISTENER: u64 = 2;
/// Above the tokens of listeners, of which there are few.
const FIRST_CONNECTION: u64 = 1 << 16;

pub(crate) const MAX_CONNECTIONS: usize = 16;
/// Lines of one connection in a turn, so that none starves another.
const MAX_LINES: usize = 64;
const MAX_EVENTS_PER_LINE: usize = 256;
/// Events that wait for a client that does not read.
const MAX_WAITING_EVENTS: usize = 4096;
/// For so long the engine waits for its sessions to be closed when it stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// For so long a client may take to prove who it is: strangers must not hold the few connections that there are.
const PROOF_PATIENCE: Duration = Duration::from_secs(5);

/// What an answer is still waited for.
struct Pending {
    id: Value,
    lease: Option<Lease>,
}

struct Client {
    connection: Connection,
    pending: HashMap<u64, Pending>,
    events: VecDeque<Value>,
    interest: u32,
    since: Instant,
}

pub(crate) struct Control {
    listeners: Vec<Listener>,
    epoll: Epoll,
    answers: Receiver<Answer>,
    answered: Waker,
    stop: Waker,
    operations: Operations,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    refusals: log::Seldom,
    orphan_grace: Duration,
    orphaned: Option<Instant>,
    stopping: Option<Instant>,
}

impl Control {
    pub(crate) fn new(
        listeners: Vec<Listener>,
        answers: Receiver<Answer>,
        answered: Waker,
        stop: Waker,
        operations: Operations,
        orphan_grace: Duration,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        for (token, listener) in (FIRST_LISTENER..).zip(&listeners) {
            listener.set_nonblocking()?;
            epoll.add(listener, token, READABLE)?;
        }
        epoll.add(&answered, ANSWERS, READABLE)?;
        epoll.add(&stop, STOP, READABLE)?;
        Ok(Self {
            listeners,
            epoll,
            answers,
            answered,
            stop,
            operations,
            clients: BTreeMap::new(),
            next_client: FIRST_CONNECTION,
            refusals: log::Seldom::default(),
            orphan_grace,
            orphaned: None,
            stopping: None,
        })
    }

    /// Serves until it is told to stop and all is closed.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(MAX_CONNECTIONS + 8);
        loop {
            self.epoll.wait(&mut events, self.timeout())?;
            let mut index = 0;
            while let Some((token, what)) = events.get(index) {
                index += 1;
                match token {
                    ANSWERS => self.answered.clear(),
                    STOP => self.begin_stop(),
                    FIRST_CONNECTION.. => self.serve(token, what),
                    _ => self.accept(token),
                }
            }
            let waiting: Vec<u64> =
                self.clients.iter().filter(|(_, client)| client.connection.has_lines()).map(|(id, _)| *id).collect();
            waiting.into_iter().for_each(|id| self.obey(id));
            self.deliver_answers();
            self.deliver_events();
            self.write_all();
            self.look_after_orphans();
            self.forget_strangers();
            self.operations.observe();
            let patient = self.stopping.is_some_and(|since| since.elapsed() < STOP_PATIENCE);
            if self.stopping.is_some() && (self.operations.in_flight == 0 || !patient) {
                return Ok(());
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if self.clients.values().any(|client| client.connection.has_lines()) {
            return Some(Duration::ZERO);
        }
        let orphaned = self.orphaned.map(|since| self.orphan_grace.saturating_sub(since.elapsed()));
        let stopping = self.stopping.map(|since| STOP_PATIENCE.saturating_sub(since.elapsed()));
        let strangers = self.clients.values().filter(|client| !client.connection.stream().is_known());
        let proof = strangers.map(|client| PROOF_PATIENCE.saturating_sub(client.since.elapsed())).min();
        [orphaned, stopping, proof, self.operations.until_observed()].into_iter().flatten().min()
    }

    fn accept(&mut self, token: u64) {
        let listener = usize::try_from(token - FIRST_LISTENER).ok().and_then(|index| self.listeners.get(index));
        let Some(Ok(stream)) = listener.map(Listener::accept) else { return };
        if self.clients.len() >= MAX_CONNECTIONS && !self.forget_a_stranger() {
            self.refusals.warning("connection_refused", json!({"reason": "too many", "most": MAX_CONNECTIONS}));
            return;
        }
        let id = self.next_client;
        let connection = Connection::new(stream);
        if self.epoll.add(connection.stream(), id, READABLE).is_ok() {
            self.next_client += 1;
            let (pending, events) = (HashMap::new(), VecDeque::new());
            let client = Client { connection, pending, events, interest: READABLE, since: Instant::now() };
            self.clients.insert(id, client);
        }
    }

    fn serve(&mut self, id: u64, what: u32) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        // a hang-up is seen by reading, whatever else is told
        let lost = what & !WRITABLE != 0 && client.connection.may_read() && client.connection.read().is_err();
        // nobody is left to get an answer
        if lost || (what & HANG_UP != 0 && client.connection.has_ended()) {
            self.clients.remove(&id);
            return;
        }
        self.obey(id);
    }

    fn obey(&mut self, id: u64) {
        for _ in 0..MAX_LINES {
            let Some(client) = self.clients.get_mut(&id) else { return };
            let Some((number, line)) = client.connection.next_line() else { return };
            let (request_id, request) = match line {
                Line::Text(text) => request::parse(&text),
                Line::TooLong => {
                    let text = format!("a line has at most {MAX_LINE} octets");
                    (Value::Null, Err(Refusal::new(RefusalCode::LineTooLong, text)))
                }
            };
            let request = request.and_then(|request| greet(&mut client.connection, request));
            if let Ok(Request::Hello(hello)) = &request {
                client.events.clear();
                if let Some(number) = hello.resume.as_ref().and_then(|resume| self.operations.is_mine(resume)) {
                    let (missed, dropped) = self.operations.history.after(number);
                    client.events.extend(missed.map(reply::event));
                    client.connection.dropped = dropped;
                }
            }
            let outcome = match request {
                Ok(request) => self.operations.perform(Some((id, number)), request),
                Err(refusal) => Outcome::Answered(Err(refusal)),
            };
            let Some(client) = self.clients.get_mut(&id) else { return };
            match outcome {
                Outcome::Answered(result) => client.connection.answer(number, reply::answer(&request_id, result)),
                Outcome::Sent(lease) => drop(client.pending.insert(number, Pending { id: request_id, lease })),
            }
        }
    }

    fn deliver_answers(&mut self) {
        while let Ok(answer) = self.answers.try_recv() {
            self.operations.settle(&answer.session, &answer.afterwards, &answer.result);
            let Some((id, number)) = answer.origin else { continue };
            let Some(client) = self.clients.get_mut(&id) else { continue };
            let Some(pending) = client.pending.remove(&number) else { continue };
            let result = answer.result.map(|reply| match pending.lease {
                Some(lease) => self.operations.local_ports(lease),
                None => reply::value(&reply),
            });
            client.connection.answer(number, reply::answer(&pending.id, result));
        }
    }

    fn deliver_events(&mut self) {
        let (mut happened, mut dropped) = (Vec::new(), 0);
        for worker in self.operations.workers() {
            let (waiting, lost) = worker.events.take();
            happened.extend(waiting);
            dropped += lost;
        }
        self.operations.events_dropped += dropped;
        self.operations.history.add(&happened);
        let events: Vec<Value> = happened.iter().map(reply::event).collect();
        for client in self.clients.values_mut().filter(|client| client.connection.wants_events) {
            client.connection.dropped += dropped;
            client.events.extend(events.iter().cloned());
            while !client.events.is_empty() && !client.connection.is_choked() {
                let count = client.events.len().min(MAX_EVENTS_PER_LINE);
                let batch: Vec<Value> = client.events.drain(..count).collect();
                let lost = std::mem::take(&mut client.connection.dropped);
                let last = self.operations.history.last() - client.events.len() as u64;
                client.connection.queue(&reply::events(&batch, lost, last));
            }
            let excess = client.events.len().saturating_sub(MAX_WAITING_EVENTS);
            client.events.drain(..excess);
            client.connection.dropped += excess as u64;
            self.operations.events_dropped += excess as u64;
        }
    }

    fn write_all(&mut self) {
        let epoll = &self.epoll;
        self.clients.retain(|id, client| {
            if client.connection.write().is_err() || client.connection.is_over() {
                return false;
            }
            let mut interest = if client.connection.may_read() { READABLE } else { 0 };
            if client.connection.has_unsent() {
                interest |= WRITABLE;
            }
            if interest != client.interest {
                client.interest = interest;
                return epoll.change(client.connection.stream(), *id, interest).is_ok();
            }
            true
        });
    }

    fn forget_strangers(&mut self) {
        self.clients
            .retain(|_, client| client.connection.stream().is_known() || client.since.elapsed() < PROOF_PATIENCE);
    }

    /// Makes room for one more: who has not proven itself for longest makes way. Else whoever reaches the port could keep
    /// control processes out, for as long as it connects anew.
    fn forget_a_stranger(&mut self) -> bool {
        // numbers grow, so the first is the oldest
        let oldest = self.clients.iter().find(|(_, client)| !client.connection.stream().is_known()).map(|(id, _)| *id);
        oldest.is_some_and(|id| self.clients.remove(&id).is_some())
    }

    fn look_after_orphans(&mut self) {
        if self.clients.values().any(|client| client.connection.greeted) || self.operations.sessions() == 0 {
            self.orphaned = None;
            return;
        }
        let since = *self.orphaned.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.orphan_grace {
            log::warning("orphans_closed", json!({"sessions": self.operations.sessions()}));
            self.operations.close_all();
            self.orphaned = None;
        }
    }

    fn begin_stop(&mut self) {
        self.stop.clear();
        if self.stopping.is_none() {
            self.stopping = Some(Instant::now());
            log::info("stopping", json!({"sessions": self.operations.sessions()}));
            self.operations.stop();
        }
    }
}

/// Reads a request as the engine does that gets it, without its end of line: the whole answer line, if it is refused for
/// how it stands there.
pub fn check_request(line: &[u8]) -> Result<(), Vec<u8>> {
    let (id, request) = request::parse(line);
    let read = request.and_then(|request| match request {
        Request::ConfigureEndpoint(request) => request.settings().map(drop),
        Request::ConfigureFork(request) => request.settings().map(drop),
        Request::OpenFork(request) => request.ports().map(drop),
        _ => Ok(()),
    });
    read.map_err(|refusal| reply::answer(&id, Err(refusal)))
}

/// Sees to it that the greeting comes first.
fn greet(connection: &mut Connection, request: Request) -> Result<Request, Refusal> {
    match &request {
        Request::Hello(hello) if hello.protocol != crate::PROTOCOL => {
            connection.greeted = false;
            let text = format!("protocol {} is not spoken, {} is", hello.protocol, crate::PROTOCOL);
            Err(Refusal::new(RefusalCode::BadVersion, text))
        }
        Request::Hello(hello) => {
            connection.greeted = true;
            connection.wants_events = hello.events.unwrap_or(false);
            Ok(request)
        }
        _ if !connection.greeted => Err(Refusal::new(RefusalCode::HelloRequired, "say hello first")),
        _ => Ok(request),
    }
}
