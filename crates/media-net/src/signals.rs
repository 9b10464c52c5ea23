//! SIGTERM and SIGINT as a wake-up.
//!
//! The engine runs inside a Python process whose interpreter is blocked in `run_engine`: Python's own handlers would not
//! run before it returns. So the engine handles the two signals itself while it runs, and gives them back after.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::sys::epoll::Waker;

const SIGNALS: [libc::c_int; 2] = [libc::SIGTERM, libc::SIGINT];

/// The descriptor that the handler writes to; the one state a signal handler can have.
static WAKE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn handle(_signal: libc::c_int) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: write is async-signal-safe, and the buffer lives over the call; a closed descriptor is an ignored error.
    unsafe { libc::write(WAKE.load(Ordering::Relaxed), one.as_ptr().cast(), one.len()) };
}

/// Handles the signals until it is dropped.
pub(crate) struct Signals {
    before: [libc::sigaction; SIGNALS.len()],
    /// Keeps the descriptor open for as long as the handler may write to it.
    _waker: Waker,
}

impl Signals {
    /// Each signal wakes `waker` from now on.
    pub(crate) fn install(waker: &Waker) -> io::Result<Self> {
        WAKE.store(waker.as_raw_fd(), Ordering::Relaxed);
        // SAFETY: sigaction is plain numbers and pointers, for which all zeroes is a value.
        let mut before: [libc::sigaction; SIGNALS.len()] = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handle as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        for (signal, before) in SIGNALS.iter().zip(&mut before) {
            // SAFETY: both structures live over the call, and the handler does nothing that a handler may not.
            if unsafe { libc::sigaction(*signal, &raw const action, before) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Self { before, _waker: waker.clone() })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (signal, before) in SIGNALS.iter().zip(&self.before) {
            // SAFETY: `before` is what sigaction gave when the handler was installed.
            unsafe { libc::sigaction(*signal, before, std::ptr::null_mut()) };
        }
        WAKE.store(-1, Ordering::Relaxed);
    }
}
