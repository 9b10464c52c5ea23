//! What passes between the control thread, the workers and the writer.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use media_core::{
    Cname, Digits, EndpointSettings, EndpointStatistics, Event, ForkSettings, ForkStatistics, NewFork, Numbers,
    Playback, RecorderStatistics, Refusal, SessionStatistics,
};

use crate::ports::{ForkSockets, Lease, Sockets};
use crate::sys::epoll::Waker;

/// Events that may wait for the control thread; then the oldest are dropped and counted.
const MAX_WAITING_EVENTS: usize = 4096;

/// Whose request it is: a connection, and the place of the answer in its order. None: the engine's own.
pub(crate) type Origin = Option<(u64, u64)>;

/// Work for the worker on which a session lives.
pub(crate) struct Command {
    pub(crate) origin: Origin,
    pub(crate) session: Arc<str>,
    pub(crate) work: Work,
    pub(crate) afterwards: Afterwards,
}

/// What the control thread has to put right when a command is done.
#[derive(Debug, Default)]
pub(crate) struct Afterwards {
    /// Ports that the command frees.
    pub(crate) freed: Vec<Lease>,
    /// What was entered in the directory and has to go if the command is refused.
    pub(crate) entered: Option<Entered>,
}

/// Something that a command opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    /// With its ports, as is a fork: they are what two of one name differ in.
    Endpoint(Arc<str>, Lease),
    Fork(Arc<str>, Lease),
    Recorder(Arc<str>),
}

pub(crate) enum Work {
    OpenSession,
    CloseSession,
    OpenEndpoint {
        endpoint: Arc<str>,
        sockets: Sockets,
        numbers: Numbers,
        cname: Cname,
    },
    ConfigureEndpoint {
        endpoint: Arc<str>,
        settings: EndpointSettings,
    },
    CloseEndpoint {
        endpoint: Arc<str>,
    },
    SetRoute {
        source: Arc<str>,
        sink: Option<Arc<str>>,
    },
    /// Sockets that forks of this worker will share: the next number is theirs.
    ShareSockets {
        sockets: Sockets,
    },
    OpenFork {
        new: NewFork,
        sockets: ForkSockets,
    },
    ConfigureFork {
        fork: Arc<str>,
        settings: ForkSettings,
    },
    CloseFork {
        fork: Arc<str>,
    },
    Play {
        player: Arc<str>,
        endpoint: Arc<str>,
        playback: Playback,
    },
    SendDigits {
        player: Arc<str>,
        endpoint: Arc<str>,
        digits: Digits,
    },
    SeekPlayer {
        player: Arc<str>,
        position_ms: u64,
    },
    StopPlayer {
        player: Arc<str>,
    },
    OpenRecorder {
        recorder: Arc<str>,
        endpoint: Arc<str>,
        id: u64,
        info: RecordingInfo,
    },
    CloseRecorder {
        recorder: Arc<str>,
    },
    SessionStatistics,
}

/// What the registry does not know of a recording.
#[derive(Clone, Debug)]
pub(crate) struct RecordingInfo {
    pub(crate) path: PathBuf,
    /// Samples that the disk could not follow.
    pub(crate) dropped: Arc<AtomicU64>,
}

/// The outcome of a command.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) origin: Origin,
    pub(crate) session: Arc<str>,
    pub(crate) result: Result<Reply, Refusal>,
    pub(crate) afterwards: Afterwards,
}

#[derive(Debug)]
pub(crate) enum Reply {
    Nothing,
    /// Ports of these were bound before; the control thread knows them.
    Opened,
    Endpoint(EndpointStatistics),
    Fork(ForkStatistics),
    Recorder(RecorderStatistics, Option<RecordingInfo>),
    Session(SessionStatistics, HashMap<u64, RecordingInfo>),
}

/// The way of answers to the control thread.
#[derive(Clone)]
pub(crate) struct Answers {
    pub(crate) sender: Sender<Answer>,
    pub(crate) waker: Waker,
}

impl Answers {
    pub(crate) fn send(&self, answer: Answer) {
        // the control thread outlives those who answer; if it is gone nobody wants to know
        let _ = self.sender.send(answer);
        self.waker.wake();
    }
}

/// Events on their way to the control thread.
#[derive(Clone)]
pub(crate) struct EventQueue {
    waiting: Arc<Mutex<VecDeque<Event>>>,
    dropped: Arc<AtomicU64>,
    waker: Waker,
}

impl EventQueue {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { waiting: Arc::default(), dropped: Arc::default(), waker }
    }

    pub(crate) fn push_all(&self, events: &mut Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(events.drain(..));
        let excess = waiting.len().saturating_sub(MAX_WAITING_EVENTS);
        waiting.drain(..excess);
        drop(waiting);
        self.dropped.fetch_add(excess as u64, Ordering::Relaxed);
        self.waker.wake();
    }

    /// The waiting events, and how many were dropped since the last time.
    pub(crate) fn take(&self) -> (VecDeque<Event>, u64) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        (waiting, self.dropped.swap(0, Ordering::Relaxed))
    }
}
