//! What an engine is started with.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

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

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The control socket's path; a stale socket there is replaced.
    pub socket_path: PathBuf,
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
}

impl EngineOptions {
    /// Options with the documented defaults.
    pub fn new(socket_path: PathBuf, interfaces: Vec<Interface>, port_min: u16, port_max: u16) -> Self {
        Self {
            socket_path,
            interfaces,
            port_min,
            port_max,
            workers: 1,
            silence: Duration::from_secs(30),
            orphan_grace: Duration::from_secs(30),
            port_cooldown: Duration::from_secs(4),
            max_sessions: 10_000,
        }
    }
}
