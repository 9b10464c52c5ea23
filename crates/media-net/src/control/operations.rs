//! What each request does: some are answered at once, the others become commands for a worker.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use media_core::{ForkPorts, FormatShelf, Histogram, NewFork, Refusal, RefusalCode, Totals};
use serde_json::{json, Value};

use crate::command::{Afterwards, Command, Entered, Origin, RecordingInfo, Reply, Work};
use crate::descriptors::{Descriptors, Seated};
use crate::kernel::KernelState;
use crate::options::EngineOptions;
use crate::ports::{Binder, ForkSockets, InterfaceNumber, Lease, Ports};
use crate::sys::{clock, process};
use crate::worker::WorkerHandle;
use crate::writer::Writer;
use crate::{files, random};

use super::admission::{Admission, Sample};
use super::directory::{Directory, ForkEntry, ForkKind, RecorderEntry, SessionEntry};
use super::history::History;
use super::playing::{self, Wanted};
use super::reply;
use super::request::{self, Request, Resume};

/// Where no interface is named.
const FIRST_INTERFACE: InterfaceNumber = 0;
/// What a call takes: RTP and RTCP of two legs. One that would find no room for its second leg is better not begun.
const SESSION_DESCRIPTORS: usize = 4;

/// What becomes of a request.
pub(crate) enum Outcome {
    Answered(Result<Value, Refusal>),
    /// The worker's answer will come, and has these ports added if it is `ok`.
    Sent(Option<Lease>),
}

impl From<Result<Outcome, Refusal>> for Outcome {
    fn from(result: Result<Outcome, Refusal>) -> Self {
        result.unwrap_or_else(|refusal| Self::Answered(Err(refusal)))
    }
}

/// The engine as the control thread sees it.
pub(crate) struct Operations {
    options: EngineOptions,
    workers: Vec<WorkerHandle>,
    writer: Writer,
    kernel: KernelState,
    descriptors: Descriptors,
    ports: Ports,
    directory: Directory,
    shelf: files::AudioShelf,
    formats: FormatShelf,
    admission: Admission,
    next_recorder: u64,
    started_ns: u64,
    /// Tells one life of an engine from another: numbers of events are of this one.
    instance: String,
    pub(crate) history: History,
    pub(crate) events_dropped: u64,
    /// Commands that are not answered.
    pub(crate) in_flight: usize,
    stopping: bool,
}

impl Operations {
    pub(crate) fn new(
        options: EngineOptions,
        workers: Vec<WorkerHandle>,
        writer: Writer,
        kernel: KernelState,
        binder: Binder,
    ) -> io::Result<Self> {
        let started_ns = clock::mono_ns();
        Ok(Self {
            admission: Admission::new(options.max_bits_per_s, sample(&workers, started_ns)),
            descriptors: binder.descriptors().clone(),
            ports: Ports::new(&options, binder),
            directory: Directory::new(workers.len()),
            options,
            workers,
            writer,
            kernel,
            shelf: files::AudioShelf::default(),
            formats: FormatShelf::default(),
            next_recorder: 0,
            started_ns,
            instance: random::instance()?,
            history: History::default(),
            events_dropped: 0,
            in_flight: 0,
            stopping: false,
        })
    }

    pub(crate) fn workers(&self) -> &[WorkerHandle] {
        &self.workers
    }

    pub(crate) fn sessions(&self) -> usize {
        self.directory.len()
    }

    /// How long until the load wants to be looked at; None while there is none.
    pub(crate) fn until_observed(&self) -> Option<Duration> {
        (self.directory.len() > 0).then(|| self.admission.until_due(clock::mono_ns()))
    }

    /// Looks at the load, if it is time.
    pub(crate) fn observe(&mut self) {
        let now_ns = clock::mono_ns();
        if self.admission.until_due(now_ns).is_zero() {
            self.admission.observe(sample(&self.workers, now_ns));
        }
    }

    /// The number of the event that a client had last, if it had it from this engine.
    pub(crate) fn is_mine(&self, resume: &Resume) -> Option<u64> {
        (resume.instance == self.instance).then_some(resume.last_event)
    }

    /// What the greeting tells.
    pub(crate) fn greeting(&self) -> Value {
        let interfaces: Vec<Value> = self
            .ports
            .interfaces()
            .map(|interface| {
                json!({"name": interface.name, "bind_host": interface.bind_host.to_string(),
                    "advertised_host": interface.advertised_host})
            })
            .collect();
        json!({
            "protocol": crate::PROTOCOL, "engine": crate::VERSION, "pid": std::process::id(),
            "sessions": self.directory.len(), "interfaces": interfaces, "port_min": self.options.port_min,
            "port_max": self.options.port_max, "workers": self.workers.len(),
            "kernel_path": self.kernel.describe(), "instance": self.instance, "last_event": self.history.last(),
        })
    }

    /// Refuses all from now on, and closes every session.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.close_all();
    }

    /// Closes every session on the engine's own account.
    pub(crate) fn close_all(&mut self) {
        for name in self.directory.names() {
            self.close_session(None, &name);
        }
    }

    /// Puts right what a finished command leaves to do; the ports to name in the answer.
    pub(crate) fn settle(&mut self, session: &str, afterwards: &Afterwards, result: &Result<Reply, Refusal>) {
        self.in_flight -= 1;
        let now_ns = clock::now().mono_ns;
        for lease in &afterwards.freed {
            self.ports.give_back(*lease, now_ns);
        }
        if let (Some(entered), Err(_)) = (&afterwards.entered, result) {
            if let Some(lease) = self.directory.undo(session, entered) {
                self.ports.give_back(lease, now_ns);
            }
        }
    }

    /// A lease as LocalPorts.
    pub(crate) fn local_ports(&self, lease: Lease) -> Value {
        let host = &self.ports.interface(lease).advertised_host;
        json!({"host": host, "rtp": lease.rtp_port, "rtcp": lease.rtp_port + 1})
    }

    /// Does what a request asks for.
    pub(crate) fn perform(&mut self, origin: Origin, request: Request) -> Outcome {
        if self.stopping {
            return Outcome::Answered(Err(Refusal::new(RefusalCode::Stopping, "the engine is shutting down")));
        }
        match request {
            Request::Hello(_) => Outcome::Answered(Ok(self.greeting())),
            Request::ListSessions => Outcome::Answered(Ok(json!({"sessions": self.directory.names()
                .iter().map(|name| name.to_string()).collect::<Vec<_>>()}))),
            Request::EngineStatistics => Outcome::Answered(Ok(self.engine_statistics())),
            Request::OpenSession(request) => self.open_session(origin, &request.session.0).into(),
            Request::CloseSession(request) => self.close_session(origin, &request.session.0),
            Request::SessionStatistics(request) => {
                self.send(origin, &request.session.0, Work::SessionStatistics, Afterwards::default()).into()
            }
            Request::OpenEndpoint(request) => self.open_endpoint(origin, request).into(),
            Request::ConfigureEndpoint(request) => self.configure_endpoint(origin, request).into(),
            Request::CloseEndpoint(request) => self.close_endpoint(origin, request),
            Request::SetRoute(request) => {
                let work = Work::SetRoute { source: request.source.0, sink: request.sink.map(|sink| sink.0) };
                self.send(origin, &request.session.0, work, Afterwards::default()).into()
            }
            Request::OpenFork(request) => self.open_fork(origin, request).into(),
            Request::ConfigureFork(request) => self.configure_fork(origin, request).into(),
            Request::CloseFork(request) => self.close_fork(origin, request),
            Request::Play(request) => self.play(origin, request).into(),
            Request::SendDigits(request) => self.send_digits(origin, request).into(),
            Request::SeekPlayer(request) => {
                let work = Work::SeekPlayer { player: request.player.0, position_ms: request.position_ms };
                self.send(origin, &request.session.0, work, Afterwards::default()).into()
            }
            Request::StopPlayer(request) => {
                let work = Work::StopPlayer { player: request.player.0 };
                self.send(origin, &request.session.0, work, Afterwards::default())
                    .unwrap_or(Outcome::Answered(Ok(json!({}))))
            }
            Request::OpenRecorder(request) => self.open_recorder(origin, request).into(),
            Request::CloseRecorder(request) => self.close_recorder(origin, request),
        }
    }

    fn open_session(&mut self, origin: Origin, name: &Arc<str>) -> Result<Outcome, Refusal> {
        if self.directory.get_mut(name).is_some() {
            return Ok(Outcome::Answered(Ok(json!({}))));
        }
        if self.directory.len() >= self.options.max_sessions {
            let text = format!("{} sessions are open already", self.options.max_sessions);
            return Err(Refusal::new(RefusalCode::Limit, text));
        }
        self.ports.check_room(SESSION_DESCRIPTORS)?;
        self.admission.admit(self.directory.calmest())?;
        self.directory.enter(name);
        self.send(origin, name, Work::OpenSession, Afterwards::default())
    }

    fn close_session(&mut self, origin: Origin, name: &Arc<str>) -> Outcome {
        let Some(entry) = self.directory.remove(name) else {
            return Outcome::Answered(Ok(reply::value(&Reply::Session(Default::default(), Default::default()))));
        };
        let afterwards = Afterwards { freed: entry.leases(), entered: None };
        self.send_to(entry.worker, Command { origin, session: entry.name, work: Work::CloseSession, afterwards })
    }

    fn open_endpoint(&mut self, origin: Origin, request: request::OpenEndpoint) -> Result<Outcome, Refusal> {
        let (session, endpoint) = (request.session.0, request.endpoint.0);
        let interface = self.interface(request.interface.as_deref());
        if let Some(lease) = self.session(&session)?.endpoints.get(&endpoint).copied() {
            return same(interface.is_ok_and(|interface| interface == lease.interface), "endpoint", &endpoint)
                .map(|()| Outcome::Answered(Ok(self.local_ports(lease))));
        }
        let (lease, sockets) = self.ports.take(interface?, clock::mono_ns())?;
        let (numbers, cname) =
            random::numbers().and_then(|numbers| Ok((numbers, random::cname()?))).map_err(internal)?;
        self.session(&session)?.endpoints.insert(endpoint.clone(), lease);
        let entered = Some(Entered::Endpoint(endpoint.clone(), lease));
        let work = Work::OpenEndpoint { endpoint, sockets, numbers, cname };
        self.send(origin, &session, work, Afterwards { freed: Vec::new(), entered })?;
        Ok(Outcome::Sent(Some(lease)))
    }

    fn configure_endpoint(&mut self, origin: Origin, request: request::ConfigureEndpoint) -> Result<Outcome, Refusal> {
        let mut settings = request.settings()?;
        let (session, endpoint) = (request.session.0, request.endpoint.0);
        if let Some(lease) = self.session(&session)?.endpoints.get(&endpoint).copied() {
            self.check_family(lease, [settings.remote, settings.remote_rtcp.as_deref().copied()])?;
        }
        settings.formats = self.formats.share(settings.formats);
        settings.send_formats = settings.send_formats.map(|formats| self.formats.share(formats));
        self.send(origin, &session, Work::ConfigureEndpoint { endpoint, settings }, Afterwards::default())
    }

    fn close_endpoint(&mut self, origin: Origin, request: request::CloseEndpoint) -> Outcome {
        let nothing = || Outcome::Answered(Ok(reply::value(&Reply::Endpoint(Default::default()))));
        let Some(session) = self.directory.get_mut(&request.session.0) else { return nothing() };
        let afterwards = Afterwards { freed: session.remove_endpoint(&request.endpoint.0), entered: None };
        let work = Work::CloseEndpoint { endpoint: request.endpoint.0 };
        self.send(origin, &request.session.0, work, afterwards).unwrap_or_else(|_| nothing())
    }

    fn open_fork(&mut self, origin: Origin, request: request::OpenFork) -> Result<Outcome, Refusal> {
        let ports = request.ports()?;
        let interface = self.interface(request.interface.as_deref());
        let (session, fork) = (request.session.0, request.fork.0);
        let entry = self.session(&session)?;
        if interface.is_err() && entry.forks.get(&fork).is_some() {
            same(false, "fork", &fork)?;
        }
        let interface = interface?;
        // of what is there already, the name is there too
        let endpoint = entry.endpoints.name(&request.endpoint.0).unwrap_or(request.endpoint.0);
        let kind = ForkKind {
            endpoint: endpoint.clone(),
            side: request.side,
            role: request.role,
            cname: request.cname.clone(),
            ports,
            batch_ns: request.batch_ns,
            drop_dtmf: request.drop_dtmf,
            interface,
        };
        if let Some(open) = entry.forks.get(&fork) {
            let lease = open.lease;
            return same(open.kind == kind, "fork", &fork).map(|()| Outcome::Answered(Ok(self.local_ports(lease))));
        }
        has_endpoint(entry, &kind.endpoint)?;
        let numbers = random::numbers().map_err(internal)?;
        let (lease, sockets) = self.fork_sockets(&session, &kind)?;
        let (ports, batch_ns, drop_dtmf) = (kind.ports, kind.batch_ns, kind.drop_dtmf);
        self.session(&session)?.forks.insert(fork.clone(), ForkEntry { kind, lease });
        let entered = Some(Entered::Fork(fork.clone(), lease));
        let (side, role, cname) = (request.side, request.role, request.cname);
        let new = NewFork { name: fork, endpoint, side, role, ports, batch_ns, drop_dtmf, cname, numbers };
        let work = Work::OpenFork { new, sockets };
        self.send(origin, &session, work, Afterwards { freed: Vec::new(), entered })?;
        Ok(Outcome::Sent(Some(lease)))
    }

    fn configure_fork(&mut self, origin: Origin, request: request::ConfigureFork) -> Result<Outcome, Refusal> {
        let mut settings = request.settings()?;
        let (session, fork) = (request.session.0, request.fork.0);
        if let Some(lease) = self.session(&session)?.forks.get(&fork).map(|entry| entry.lease) {
            self.check_family(lease, [settings.remote, settings.remote_rtcp.as_deref().copied()])?;
        }
        settings.formats = self.formats.share(settings.formats);
        self.send(origin, &session, Work::ConfigureFork { fork, settings }, Afterwards::default())
    }

    /// Refuses remotes that nothing can be sent to from such ports: a socket of IPv4 reaches no address of IPv6.
    fn check_family(&self, lease: Lease, remotes: [Option<SocketAddr>; 2]) -> Result<(), Refusal> {
        let interface = self.ports.interface(lease);
        if remotes.iter().flatten().all(|remote| remote.is_ipv4() == interface.bind_host.is_ipv4()) {
            return Ok(());
        }
        let text = format!("interface {} has no such addresses: its own is {}", interface.name, interface.bind_host);
        Err(Refusal::new(RefusalCode::BadField, text))
    }

    /// Ports of its own for a fork, or such as forks of its worker share.
    fn fork_sockets(&mut self, session: &Arc<str>, kind: &ForkKind) -> Result<(Lease, ForkSockets), Refusal> {
        if kind.ports == ForkPorts::Own {
            let (lease, sockets) = self.ports.take(kind.interface, clock::mono_ns())?;
            return Ok((lease, ForkSockets::Own(sockets)));
        }
        if let Some((number, lease)) = self.directory.shared_for(session, kind.interface) {
            return Ok((lease, ForkSockets::Shared(number)));
        }
        let (lease, sockets) = self.ports.take(kind.interface, clock::mono_ns())?;
        let worker = self.session(session)?.worker;
        let number = self.directory.share(worker, lease);
        let work = Work::ShareSockets { sockets };
        self.send_to(
            worker,
            Command { origin: None, session: session.clone(), work, afterwards: Afterwards::default() },
        );
        Ok((lease, ForkSockets::Shared(number)))
    }

    fn close_fork(&mut self, origin: Origin, request: request::CloseFork) -> Outcome {
        let nothing = || Outcome::Answered(Ok(reply::value(&Reply::Fork(Default::default()))));
        let Some(session) = self.directory.get_mut(&request.session.0) else { return nothing() };
        let freed = session.forks.remove(&request.fork.0).and_then(|entry| entry.freed()).into_iter().collect();
        let work = Work::CloseFork { fork: request.fork.0 };
        self.send(origin, &request.session.0, work, Afterwards { freed, entered: None }).unwrap_or_else(|_| nothing())
    }

    fn play(&mut self, origin: Origin, request: playing::Play) -> Result<Outcome, Refusal> {
        has_endpoint(self.session(&request.session.0)?, &request.endpoint.0)?;
        let audio = match request.wanted()? {
            Wanted::File(path) => self.shelf.load(&path)?,
            Wanted::Tones(audio) => audio,
        };
        let playback = request.playback(audio);
        let work = Work::Play { player: request.player.0, endpoint: request.endpoint.0, playback };
        self.send(origin, &request.session.0, work, Afterwards::default())
    }

    fn send_digits(&mut self, origin: Origin, request: playing::SendDigits) -> Result<Outcome, Refusal> {
        let digits = request.digits()?;
        has_endpoint(self.session(&request.session.0)?, &request.endpoint.0)?;
        let work = Work::SendDigits { player: request.player.0, endpoint: request.endpoint.0, digits };
        self.send(origin, &request.session.0, work, Afterwards::default())
    }

    fn open_recorder(&mut self, origin: Origin, request: request::OpenRecorder) -> Result<Outcome, Refusal> {
        let (session, recorder) = (request.session.0, request.recorder.0);
        let kind = RecorderEntry { endpoint: request.endpoint.0, path: request.path };
        let entry = self.session(&session)?;
        if let Some(open) = entry.recorders.get(&recorder) {
            return same(*open == kind, "recorder", &recorder).map(|()| Outcome::Answered(Ok(json!({}))));
        }
        has_endpoint(entry, &kind.endpoint)?;
        let seat = self.descriptors.take().ok_or_else(|| self.descriptors.refusal(1))?;
        let file = Seated::new(files::create_recording(&kind.path)?, seat);
        let info = RecordingInfo { path: kind.path.clone(), dropped: Arc::<AtomicU64>::default() };
        self.next_recorder += 1;
        let id = self.next_recorder;
        self.writer.open(id, file, info.clone());
        let endpoint = kind.endpoint.clone();
        self.session(&session)?.recorders.insert(recorder.clone(), kind);
        let entered = Some(Entered::Recorder(recorder.clone()));
        let work = Work::OpenRecorder { recorder, endpoint, id, info };
        self.send(origin, &session, work, Afterwards { freed: Vec::new(), entered })
    }

    fn close_recorder(&mut self, origin: Origin, request: request::CloseRecorder) -> Outcome {
        let nothing = || Outcome::Answered(Ok(reply::value(&Reply::Recorder(Default::default(), None))));
        let Some(session) = self.directory.get_mut(&request.session.0) else { return nothing() };
        session.recorders.remove(&request.recorder.0);
        let work = Work::CloseRecorder { recorder: request.recorder.0 };
        self.send(origin, &request.session.0, work, Afterwards::default()).unwrap_or_else(|_| nothing())
    }

    fn engine_statistics(&mut self) -> Value {
        let (mut latency, mut totals) = (Histogram::default(), Totals::default());
        for worker in &self.workers {
            let counts = worker.counts.lock().unwrap_or_else(PoisonError::into_inner);
            latency.merge(&counts.latency);
            totals.packets_relayed += counts.totals.packets_relayed;
            totals.packets_forked += counts.totals.packets_forked;
        }
        let now_ns = clock::now().mono_ns;
        let (free, cooling) = self.ports.counts(now_ns);
        let (descriptors, most_descriptors) = self.descriptors.counts();
        let microseconds = |quantile| latency.quantile(quantile) as f64 / 1000.0;
        json!({
            "sessions": self.directory.len(),
            "packets_relayed": totals.packets_relayed,
            "packets_forked": totals.packets_forked,
            "latency_p50_us": microseconds(0.5),
            "latency_p99_us": microseconds(0.99),
            "resident_bytes": process::resident_bytes(),
            "cpu_ns": process::cpu_ns(),
            "uptime_ns": now_ns - self.started_ns,
            "bits_per_s": self.admission.bits_per_s(),
            "busy_percent": self.admission.busiest_percent(),
            "ports_free": free,
            "ports_cooling": cooling,
            "descriptors_used": descriptors,
            "descriptors_most": most_descriptors,
            "events_dropped": self.events_dropped,
            "samples_dropped": self.writer.dropped(),
            "kernel_path": self.kernel.describe(),
        })
    }

    fn interface(&self, name: Option<&str>) -> Result<InterfaceNumber, Refusal> {
        name.map_or(Ok(FIRST_INTERFACE), |name| self.ports.number(name))
    }

    fn session(&mut self, name: &str) -> Result<&mut SessionEntry, Refusal> {
        self.directory.get_mut(name).ok_or_else(|| Refusal::new(RefusalCode::NoSession, format!("no session {name}")))
    }

    fn send(&mut self, origin: Origin, session: &str, work: Work, afterwards: Afterwards) -> Result<Outcome, Refusal> {
        let entry = self.session(session)?;
        let (worker, session) = (entry.worker, entry.name.clone());
        Ok(self.send_to(worker, Command { origin, session, work, afterwards }))
    }

    fn send_to(&mut self, worker: usize, command: Command) -> Outcome {
        self.in_flight += 1;
        self.workers[worker].send(command);
        Outcome::Sent(None)
    }
}

/// What the workers have counted.
fn sample(workers: &[WorkerHandle], at_ns: u64) -> Sample {
    let mut sample = Sample { at_ns, ..Sample::default() };
    for worker in workers {
        let counts = worker.counts.lock().unwrap_or_else(PoisonError::into_inner);
        sample.octets += counts.totals.octets;
        sample.busy_ns.push(counts.busy_ns);
    }
    sample
}

fn has_endpoint(session: &SessionEntry, endpoint: &str) -> Result<(), Refusal> {
    if session.endpoints.get(endpoint).is_some() {
        return Ok(());
    }
    let text = format!("no endpoint {endpoint} in session {}", session.name);
    Err(Refusal::new(RefusalCode::NoEndpoint, text))
}

fn same(same: bool, what: &str, name: &str) -> Result<(), Refusal> {
    if same {
        return Ok(());
    }
    Err(Refusal::new(RefusalCode::Conflict, format!("{what} {name} is open with other parameters")))
}

fn internal(error: std::io::Error) -> Refusal {
    Refusal::new(RefusalCode::Internal, error.to_string())
}
