//! The two clocks.

use media_core::{Instant, NS_PER_S};

/// This moment on both clocks.
pub(crate) fn now() -> Instant {
    Instant { mono_ns: mono_ns(), wall_ns: wall_ns() }
}

/// This moment on the clock that never steps.
pub(crate) fn mono_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// This moment on the wall clock.
pub(crate) fn wall_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to; these clocks exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * NS_PER_S + time.tv_nsec as u64
}
