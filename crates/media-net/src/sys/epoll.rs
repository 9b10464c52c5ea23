//! epoll and eventfd.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::check;

/// Something can be read.
pub(crate) const READABLE: u32 = libc::EPOLLIN as u32;
/// Something can be written.
pub(crate) const WRITABLE: u32 = libc::EPOLLOUT as u32;
/// An error waits in the socket's queue.
pub(crate) const FAILED: u32 = libc::EPOLLERR as u32;
/// Nobody is left on the other side, neither to speak nor to listen.
pub(crate) const HANG_UP: u32 = libc::EPOLLHUP as u32;
/// Tell of changes rather than of states.
pub(crate) const EDGE: u32 = libc::EPOLLET as u32;

/// One wait's worth of events.
pub(crate) struct Events {
    events: Vec<libc::epoll_event>,
    ready: usize,
}

impl Events {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { events: vec![libc::epoll_event { events: 0, u64: 0 }; capacity], ready: 0 }
    }

    /// (token, what happened) of an event of the last wait.
    pub(crate) fn get(&self, index: usize) -> Option<(u64, u32)> {
        self.events[..self.ready].get(index).map(|event| (event.u64, event.events))
    }
}

/// An epoll instance.
pub(crate) struct Epoll {
    fd: OwnedFd,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers; the descriptor that it returns is owned by nobody else.
        let fd = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Self { fd })
    }

    /// Watches a descriptor until it is closed.
    pub(crate) fn add(&self, fd: &impl AsRawFd, token: u64, interest: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd.as_raw_fd(), token, interest)
    }

    /// Watches it for something else.
    pub(crate) fn change(&self, fd: &impl AsRawFd, token: u64, interest: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd.as_raw_fd(), token, interest)
    }

    fn control(&self, operation: libc::c_int, fd: RawFd, token: u64, interest: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest, u64: token };
        // SAFETY: `event` lives over the call, which only reads it; a bad descriptor is reported as an error.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), operation, fd, &mut event) }).map(|_| ())
    }

    /// Waits for events, at most `timeout` (None: for ever); an interrupted wait has none.
    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let timespec = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let timespec = timespec.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the buffer has room for `len` events and lives over the call, as the timespec does; the signal mask is
        // null, in which case its size is not looked at. epoll_pwait2 is Linux 5.11: players need its nanoseconds.
        let ready = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                events.events.as_mut_ptr(),
                events.events.len() as libc::c_int,
                timespec,
                std::ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        events.ready = 0;
        match check(ready as libc::c_int) {
            Ok(ready) => events.ready = ready as usize,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Wakes a thread that waits in epoll; clones wake the same one.
#[derive(Clone, Debug)]
pub(crate) struct Waker {
    file: Arc<File>,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: the call takes no pointers; the descriptor that it returns is owned by nobody else.
        let file = unsafe { File::from_raw_fd(check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?) };
        Ok(Self { file: Arc::new(file) })
    }

    pub(crate) fn wake(&self) {
        // the counter being at its maximum is the only failure, and then the sleeper is awake
        let _ = (&*self.file).write(&1u64.to_ne_bytes());
    }

    /// The waking has been seen.
    pub(crate) fn clear(&self) {
        let _ = (&*self.file).read(&mut [0; 8]);
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
