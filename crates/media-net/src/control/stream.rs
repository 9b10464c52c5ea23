//! What control processes connect to, and the connections that come of it.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};

use super::tls::{Acceptor, TlsStream};

/// Octets read in one turn.
const READ_CHUNK: usize = 16 * 1024;

/// Where control processes connect to.
pub(crate) enum Listener {
    Unix(UnixListener),
    Tls(TcpListener, Acceptor),
}

impl Listener {
    pub(crate) fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Unix(listener) => listener.set_nonblocking(true),
            Self::Tls(listener, _) => listener.set_nonblocking(true),
        }
    }

    pub(crate) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Stream::Unix(stream))
            }
            Self::Tls(listener, acceptor) => {
                let (stream, _) = listener.accept()?;
                acceptor.accept(stream).map(|stream| Stream::Tls(Box::new(stream)))
            }
        }
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Unix(listener) => listener.as_raw_fd(),
            Self::Tls(listener, _) => listener.as_raw_fd(),
        }
    }
}

/// A connection of a control process, which never blocks.
pub(crate) enum Stream {
    Unix(UnixStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Reads once, and gives what came of it to `take`; `Ok(0)` at the end.
    pub(crate) fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => {
                let mut chunk = [0; READ_CHUNK];
                let count = stream.read(&mut chunk)?;
                take(&chunk[..count]);
                Ok(count)
            }
            Self::Tls(stream) => stream.read(take),
        }
    }

    pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(octets),
            Self::Tls(stream) => stream.write(octets),
        }
    }

    /// Sends what the stream itself holds back.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(_) => Ok(()),
            Self::Tls(stream) => stream.flush(),
        }
    }

    /// True if there is something to be flushed.
    pub(crate) fn wants_write(&self) -> bool {
        match self {
            Self::Unix(_) => false,
            Self::Tls(stream) => stream.wants_write(),
        }
    }

    /// True if the peer has proven that it may command.
    pub(crate) fn is_known(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tls(stream) => stream.is_known(),
        }
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Unix(stream) => stream.as_raw_fd(),
            Self::Tls(stream) => stream.socket().as_raw_fd(),
        }
    }
}
