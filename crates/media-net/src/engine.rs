//! An engine: its threads, from start to stop.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use media_core::RegistryOptions;
use serde_json::json;

use crate::command::Answers;
use crate::control::{Acceptor, Control, Listener, Operations, MAX_CONNECTIONS};
use crate::descriptors::Descriptors;
use crate::kernel::KernelState;
use crate::log;
use crate::options::EngineOptions;
use crate::ports::Binder;
use crate::signals::Signals;
use crate::sys::epoll::Waker;
use crate::sys::inherit::{self, Family};
use crate::sys::process;
use crate::worker::Worker;
use crate::writer::{write_recordings, Writer};

/// Descriptors of the engine itself that are opened after it has counted what it has: the control thread's epoll.
const OWN: usize = 1;
/// Those of a worker: its epoll and what wakes it.
const OWN_OF_WORKER: usize = 2;

/// Runs an engine until SIGTERM or SIGINT.
///
/// Fails with `InvalidInput` for options that make no sense or files that do not fit, and with `AddrInUse` if an engine
/// listens on the socket.
pub fn run(options: EngineOptions) -> io::Result<()> {
    let stop = Waker::new()?;
    let signals = Signals::install(&stop)?;
    let outcome = Engine::start_with(options, stop).and_then(Engine::wait);
    drop(signals);
    outcome
}

/// A running engine; dropping it stops it.
pub struct Engine {
    stop: Waker,
    control: Option<JoinHandle<io::Result<()>>>,
}

impl Engine {
    /// Starts an engine; it listens when this returns.
    pub fn start(options: EngineOptions) -> io::Result<Self> {
        Self::start_with(options, Waker::new()?)
    }

    fn start_with(options: EngineOptions, stop: Waker) -> io::Result<Self> {
        options.check()?;
        for interface in &options.interfaces {
            // no reason not to start: an address may move between two machines, and calls may use the other interfaces
            if let Err(error) = interface.look_for_address() {
                let host = interface.bind_host.to_string();
                log::warning(
                    "interface_unusable",
                    json!({"name": interface.name, "bind_host": host, "reason": error.to_string()}),
                );
            }
        }
        let listeners = listeners(&options)?;
        let path = options.socket_path.clone();
        let started = Self::start_threads(options, listeners, stop.clone());
        if let (Err(_), Some(path)) = (&started, path) {
            let _ = fs::remove_file(path);
        }
        Ok(Self { stop, control: Some(started?) })
    }

    fn start_threads(
        options: EngineOptions,
        listeners: Vec<Listener>,
        stop: Waker,
    ) -> io::Result<JoinHandle<io::Result<()>>> {
        let answered = Waker::new()?;
        let (sender, receiver) = std::sync::mpsc::channel();
        let answers = Answers { sender, waker: answered.clone() };
        let (writer, writer_side) = Writer::new();
        let kernel = KernelState::load(options.kernel_path)?;
        let registry = RegistryOptions { silence_ns: options.silence.as_nanos() as u64 };
        let kept = MAX_CONNECTIONS + OWN + options.workers * OWN_OF_WORKER;
        let binder = Binder::new(Descriptors::new(kept)?, options.dscp);
        let (mut handles, mut threads) = (Vec::new(), Vec::new());
        for index in 0..options.workers {
            let (worker, handle) =
                Worker::new(registry, options.pacing, answers.clone(), writer.clone(), kernel.path(), binder.clone())?;
            threads.push(spawn(&format!("media-{index}"), move || worker.run())?);
            handles.push(handle);
        }
        let writer_answers = answers.clone();
        threads.push(spawn("media-writer", move || write_recordings(writer_side, writer_answers))?);
        let (path, orphan_grace) = (options.socket_path.clone(), options.orphan_grace);
        log::info(
            "started",
            json!({"version": crate::VERSION, "workers": options.workers, "descriptors": binder.descriptors().counts().1,
                "kernel_path": kernel.describe()}),
        );
        let operations = Operations::new(options, handles, writer, kernel, binder)?;
        let control = Control::new(listeners, receiver, answered, stop, operations, orphan_grace)?;
        std::thread::Builder::new().name("media-control".into()).spawn(move || {
            let outcome = control.run();
            // with the control thread's senders gone the workers end, and then the writer when it has written all
            for thread in threads {
                if thread.join().is_err() {
                    log::warning("thread_failed", json!({}));
                }
            }
            if let Some(path) = path {
                let _ = fs::remove_file(path);
            }
            log::info("stopped", json!({}));
            outcome
        })
    }

    /// Asks the engine to stop; returns at once.
    pub fn stop(&self) {
        self.stop.wake();
    }

    /// Waits until the engine has stopped.
    pub fn wait(mut self) -> io::Result<()> {
        self.join()
    }

    fn join(&mut self) -> io::Result<()> {
        match self.control.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(io::Error::other("the control thread failed")),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
        let _ = self.join();
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(work)
}

/// Everything that the options say to listen on. The path comes last: after it nothing fails that would leave it behind.
fn listeners(options: &EngineOptions) -> io::Result<Vec<Listener>> {
    let acceptor = options.tls.as_ref().map(Acceptor::new).transpose()?;
    let mut listeners = Vec::new();
    if options.activated {
        for (fd, family) in inherit::take(|name| std::env::var(name).ok(), std::process::id())? {
            listeners.push(match (family, &acceptor) {
                (Family::Unix, _) => Listener::Unix(fd.into()),
                (Family::Tcp, Some(acceptor)) => Listener::Tls(fd.into(), acceptor.clone()),
                (Family::Tcp, None) => {
                    let text = "a TCP socket was handed over, and there are no certificates for TLS";
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
                }
            });
        }
    }
    if let (Some(address), Some(acceptor)) = (options.tls.as_ref().and_then(|tls| tls.listen), &acceptor) {
        let listener =
            TcpListener::bind(address).map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
        listeners.push(Listener::Tls(listener, acceptor.clone()));
    }
    if let Some(path) = &options.socket_path {
        listeners.push(Listener::Unix(listen(path)?));
    }
    if listeners.is_empty() {
        let text = "no service manager has handed over a socket";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(listeners)
}

/// Listens on a path, for the owner only; a socket that nobody listens on any more is replaced.
fn listen(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(named(io::ErrorKind::AddrInUse, path, "an engine listens there"));
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(named(io::ErrorKind::AlreadyExists, path, "is no socket")),
        Err(_) => {}
    }
    process::with_private_umask(|| UnixListener::bind(path)).map_err(|error| named(error.kind(), path, error))
}

fn named(kind: io::ErrorKind, path: &Path, text: impl std::fmt::Display) -> io::Error {
    io::Error::new(kind, format!("{}: {text}", PathBuf::from(path).display()))
}
