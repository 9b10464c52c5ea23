//! What an engine is started with.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

/// More threads than any machine that this is meant for has cores.
const MAX_WORKERS: usize = 256;

/// A named address that endpoints and forks may be bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The name that commands use.
    pub name: String,
    /// The local address of the sockets.
    pub bind_host: IpAddr,
    /// The host that goes into SDP; may be a public address in front of a NAT.
    pub advertised_host: String,
}

impl Interface {
    /// Fails as binding a port there does now.
    pub(crate) fn look_for_address(&self) -> io::Result<()> {
        UdpSocket::bind((self.bind_host, 0)).map(drop)
    }
}

/// How control processes on other machines are served: by TLS 1.3, with certificates on both sides.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Where to listen; None: only on TCP sockets that a service manager hands over.
    pub listen: Option<SocketAddr>,
    /// The engine's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub private_key: PathBuf,
    /// Who signs the clients' certificates, PEM.
    pub client_ca: PathBuf,
    /// DNS names or addresses, one of which a client's certificate has to have; empty: any that was signed will do.
    pub peers: Vec<String>,
}

/// Whether the kernel relays steady calls by itself (docs/topics/kernel-path.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelMode {
    /// It does not.
    #[default]
    Off,
    /// It does where it can.
    Auto,
    /// It does, or the engine does not start.
    Require,
}

impl KernelMode {
    /// Its name in options and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Auto => "auto",
            Self::Require => "require",
        }
    }
}

impl std::str::FromStr for KernelMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Off, Self::Auto, Self::Require].into_iter().find(|mode| mode.name() == text);
        known.ok_or_else(|| format!("kernel_path: {text} is none of off, auto and require"))
    }
}

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The control socket's path; a stale socket there is replaced. None: there is none of the engine's own.
    pub socket_path: Option<PathBuf>,
    /// TLS, if other machines may command.
    pub tls: Option<TlsOptions>,
    /// Listen on the sockets that the environment says a service manager hands over (sd_listen_fds(3)), too.
    pub activated: bool,
    /// At least one; names are unique.
    pub interfaces: Vec<Interface>,
    /// First port that may be used.
    pub port_min: u16,
    /// Last port that may be used.
    pub port_max: u16,
    /// Worker threads; a session lives wholly on one of them.
    pub workers: usize,
    /// After this long without a packet an endpoint is reported silent.
    pub silence: Duration,
    /// How long sessions outlive the last control connection.
    pub orphan_grace: Duration,
    /// How long a freed port pair rests.
    pub port_cooldown: Duration,
    /// At most this many sessions are open.
    pub max_sessions: usize,
    /// With so much RTP passing, received and sent, new sessions are refused; None: never for that.
    pub max_bits_per_s: Option<u64>,
    /// What RTP and RTCP are marked with (RFC 2474); 46 is expedited forwarding, 0 no mark.
    pub dscp: u8,
    /// Workers nap for half a millisecond between rounds while the load allows it: less work for the processor, and as
    /// much time at most for a packet on its way.
    pub pacing: bool,
    /// Whether the kernel relays steady calls by itself.
    pub kernel_path: KernelMode,
}

impl EngineOptions {
    /// Fails with `InvalidInput` if an engine could not work with these.
    pub(crate) fn check(&self) -> io::Result<()> {
        let wrong = |text: String| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if self.interfaces.is_empty() {
            return wrong("no interface".into());
        }
        for (index, interface) in self.interfaces.iter().enumerate() {
            if self.interfaces[..index].iter().any(|earlier| earlier.name == interface.name) {
                return wrong(format!("interface {} is named twice", interface.name));
            }
        }
        if self.port_min < 1024 || self.port_max <= self.port_min {
            return wrong(format!("ports {} to {} are no range above 1023", self.port_min, self.port_max));
        }
        if !(1..=MAX_WORKERS).contains(&self.workers) {
            return wrong(format!("{} workers: 1 to {MAX_WORKERS} can be had", self.workers));
        }
        if self.silence.is_zero() || self.max_sessions == 0 || self.max_bits_per_s == Some(0) {
            return wrong("silence, max_sessions and max_bits_per_s cannot be zero".into());
        }
        if self.dscp > 63 {
            return wrong(format!("dscp {} is not 0 to 63", self.dscp));
        }
        let listens = self.tls.as_ref().is_some_and(|tls| tls.listen.is_some());
        if self.socket_path.is_none() && !listens && !self.activated {
            return wrong("nowhere to listen".into());
        }
        Ok(())
    }

    /// Options with the documented defaults.
    pub fn new(socket_path: PathBuf, interfaces: Vec<Interface>, port_min: u16, port_max: u16) -> Self {
        Self {
            socket_path: Some(socket_path),
            tls: None,
            activated: false,
            interfaces,
            port_min,
            port_max,
            workers: 1,
            silence: Duration::from_secs(30),
            orphan_grace: Duration::from_secs(30),
            port_cooldown: Duration::from_secs(4),
            max_sessions: 10_000,
            max_bits_per_s: None,
            dscp: 46,
            pacing: true,
            kernel_path: KernelMode::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_known_by_their_names() {
        for mode in [KernelMode::Off, KernelMode::Auto, KernelMode::Require] {
            assert_eq!(mode.name().parse(), Ok(mode));
        }
        assert!("on".parse::<KernelMode>().is_err());
    }

    #[test]
    fn an_address_that_is_not_there_is_noticed() {
        let named = |host: [u8; 4]| Interface { name: "n".into(), bind_host: host.into(), advertised_host: "h".into() };
        assert!(named([127, 0, 0, 1]).look_for_address().is_ok());
        // RFC 5737 §3: nobody's
        let missing = named([192, 0, 2, 1]).look_for_address().unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let interface =
            Interface { name: "default".into(), bind_host: [127, 0, 0, 1].into(), advertised_host: "h".into() };
        let good = EngineOptions::new("/x".into(), vec![interface.clone()], 4000, 4003);
        assert!(good.check().is_ok());
        let bad: [fn(&mut EngineOptions); 10] = [
            |options| options.interfaces.clear(),
            |options| options.interfaces.extend(options.interfaces.clone()),
            |options| options.port_min = 80,
            |options| options.port_max = 4000,
            |options| options.workers = 0,
            |options| options.max_sessions = 0,
            |options| options.silence = Duration::ZERO,
            |options| options.max_bits_per_s = Some(0),
            |options| options.dscp = 64,
            |options| options.socket_path = None,
        ];
        for spoil in bad {
            let mut options = good.clone();
            spoil(&mut options);
            assert_eq!(options.check().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
