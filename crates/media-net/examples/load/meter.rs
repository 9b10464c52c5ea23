//! How much of a core nobody uses: a thread of the least priority reads the clock there all the time, and what passes
//! between two readings without a gap was free.
//!
//! The kernel of most machines charges what it does for packets, outside of any process, by where its tick falls; the gaps
//! are all of it. A core with a meter hardly ever sleeps, so waking it is in no figure. If the load runs before all other
//! processes (chrt), so do its meters, and what those others do is not taken for the relay's.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Reading the clock takes far less; an interrupt, more.
const GAP: Duration = Duration::from_nanos(400);
/// How long a meter before other processes watches, and then lets them go: the kernel takes a core for them by itself,
/// and from relay and load, that has not been theirs for a twentieth of a second.
const WATCH: Duration = Duration::from_millis(18);
const REST: Duration = Duration::from_millis(2);

/// Nanoseconds that a meter has watched, and that were free of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    watched: u64,
    free: u64,
}

impl Reading {
    /// How much of the core was used since another reading, in per cent; None if the meter never had it.
    pub fn busy_since(self, before: Self) -> Option<f64> {
        let watched = self.watched - before.watched;
        (watched > 0).then(|| 100.0 - 100.0 * (self.free - before.free) as f64 / watched as f64)
    }
}

#[derive(Default)]
struct Shared {
    watched: AtomicU64,
    free: AtomicU64,
    stop: AtomicBool,
}

pub struct Meter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Meter {
    pub fn start(core: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let told = shared.clone();
        let thread = std::thread::Builder::new().name("meter".into()).spawn(move || {
            // first away from the core of this process, which keeps a meter of its own core going
            if let Ok(rest) = pin(core).and_then(|()| step_back()) {
                watch(&told, rest);
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub fn read(&self) -> Reading {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Reading { watched: read(&self.shared.watched), free: read(&self.shared.free) }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(shared: &Shared, rest: Duration) {
    let (mut watched, mut free) = (Duration::ZERO, Duration::ZERO);
    while !shared.stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let mut last = begun;
        while last - begun < WATCH {
            let now = Instant::now();
            let gap = now - last;
            if gap < GAP {
                free += gap;
            }
            last = now;
        }
        watched += last - begun;
        shared.watched.store(watched.as_nanos() as u64, Ordering::Relaxed);
        shared.free.store(free.as_nanos() as u64, Ordering::Relaxed);
        std::thread::sleep(rest);
    }
}

/// Lets the load and the relay go first; and, unless those go before all others, all others too. How long to rest.
fn step_back() -> io::Result<Duration> {
    // SAFETY: a plain system call; 0 is the calling thread.
    let is_realtime = unsafe { libc::sched_getscheduler(0) } == libc::SCHED_FIFO;
    // SAFETY: sched_param is plain numbers, for which all zeroes is a value.
    let mut parameters: libc::sched_param = unsafe { mem::zeroed() };
    parameters.sched_priority = libc::c_int::from(is_realtime);
    let policy = if is_realtime { libc::SCHED_FIFO } else { libc::SCHED_IDLE };
    // SAFETY: the pointer is to a sched_param that lives over the call; 0 is the calling thread.
    done(unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) })?;
    Ok(if is_realtime { REST } else { Duration::ZERO })
}

fn pin(core: usize) -> io::Result<()> {
    // SAFETY: cpu_set_t is plain numbers, for which all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the set lives over the call, which refuses a number that it has no place for.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the pointer and length are those of the set; 0 is the calling thread.
    done(unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &raw const set) })
}

fn done(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
