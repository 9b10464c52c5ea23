//! TLS for control processes on other machines: both sides show a certificate, and the client's names it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use serde_json::json;

use crate::log;
use crate::options::TlsOptions;

/// Octets of one read of plain text.
const CHUNK: usize = 4096;

/// What a listener for TLS needs.
#[derive(Clone)]
pub(crate) struct Acceptor {
    config: Arc<ServerConfig>,
    peers: Arc<Peers>,
}

struct Peers {
    /// Who may command; whoever has a certificate, if there are none.
    names: Vec<ServerName<'static>>,
    refusals: log::Seldom,
}

impl Acceptor {
    /// Fails with `InvalidInput` for files that do not fit, or a peer's name that is none.
    pub(crate) fn new(options: &TlsOptions) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&options.client_ca)? {
            roots.add(certificate).map_err(|error| unfit(&options.client_ca, error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| unfit(&options.client_ca, error))?;
        let chain = certificates(&options.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&read(&options.private_key)?)
            .map_err(|error| unfit(&options.private_key, error))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|builder| builder.with_client_cert_verifier(verifier).with_single_cert(chain, key))
            .map_err(|error| unfit(&options.certificate, error))?;
        let names = options.peers.iter().map(|name| {
            ServerName::try_from(name.clone())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is no name of a peer")))
        });
        let peers = Peers { names: names.collect::<io::Result<_>>()?, refusals: log::Seldom::default() };
        Ok(Self { config: Arc::new(config), peers: Arc::new(peers) })
    }

    pub(crate) fn accept(&self, stream: TcpStream) -> io::Result<TlsStream> {
        stream.set_nonblocking(true)?;
        crate::sys::tcp::prepare(&stream)?;
        let connection = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        Ok(TlsStream { stream, connection, peers: self.peers.clone(), known: false })
    }
}

/// A connection whose peer has to prove who it is before anything that it says is read.
pub(crate) struct TlsStream {
    stream: TcpStream,
    connection: ServerConnection,
    peers: Arc<Peers>,
    /// The handshake is over, and the peer is one of those that may command.
    known: bool,
}

impl TlsStream {
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known
    }

    /// Reads once from the network, and all that is plain text by then; `Ok(0)` at the end.
    pub(crate) fn read(&mut self, mut take: impl FnMut(&[u8])) -> io::Result<usize> {
        let octets = self.connection.read_tls(&mut self.stream)?;
        if let Err(error) = self.connection.process_new_packets() {
            // the peer is told why, if it still listens
            let _ = self.flush();
            self.peers.refusals.warning("control_peer_refused", json!({"reason": error.to_string()}));
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        if !self.known && !self.connection.is_handshaking() {
            self.check_peer()?;
        }
        let mut chunk = [0; CHUNK];
        loop {
            match self.connection.reader().read(&mut chunk) {
                Ok(0) => return Ok(0),
                Ok(count) => take(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(octets),
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes octets to send; fails with `WouldBlock` when it holds as many as it may.
    pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let taken = self.connection.writer().write(octets)?;
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Err(error) if taken == 0 => Err(error),
            _ => Ok(taken),
        }
    }

    /// Sends what waits; fails with `WouldBlock` if not all of it went.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.stream)?;
        }
        Ok(())
    }

    pub(crate) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    /// RFC 9525 §6: the peer is who one of its certificate's subject alternative names says.
    fn check_peer(&mut self) -> io::Result<()> {
        let certificate = self.connection.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.and_then(|der| webpki::EndEntityCert::try_from(der).ok());
        let certificate = certificate.ok_or_else(|| io::Error::other("no certificate of the peer"))?;
        let may = |name: &ServerName<'_>| certificate.verify_is_valid_for_subject_name(name).is_ok();
        let names: Vec<&str> = certificate.valid_dns_names().collect();
        if !self.peers.names.is_empty() && !self.peers.names.iter().any(may) {
            self.peers.refusals.warning(
                "control_peer_refused",
                json!({"reason": "its certificate names no peer that may", "names": names}),
            );
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        log::info("control_peer", json!({"names": names}));
        self.known = true;
        Ok(())
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unfit(path, "no certificate in it")),
        Err(error) => Err(unfit(path, error)),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn unfit(path: &Path, reason: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {reason}", path.display()))
}
