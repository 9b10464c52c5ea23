//! `sidestream._native`: conversions only. The stub is `src/sidestream/_native.pyi`.

#![deny(unsafe_code)]

mod sip;

use std::path::PathBuf;
use std::time::Duration;

use media_net::{EngineOptions, Interface, TlsOptions};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Where to listen, if anywhere; certificate, private key, the clients' authority, and the clients' names.
type Tls = (Option<String>, PathBuf, PathBuf, PathBuf, Vec<String>);

/// Run the media engine until SIGTERM or SIGINT.
#[pyfunction]
#[pyo3(signature = (
    socket_path, *, interfaces, port_min, port_max, workers = 1, silence_ms = 30_000, orphan_grace_s = 30.0,
    port_cooldown_ms = 4_000, max_sessions = 10_000, pacing = true, max_bits_per_s = None,
    dscp = 46, tls = None, activated = false, kernel_path = "off"
))]
#[allow(clippy::too_many_arguments)] // the keyword arguments of one Python function
fn run_engine(
    py: Python<'_>,
    socket_path: Option<PathBuf>,
    interfaces: Vec<(String, String, String)>,
    port_min: u16,
    port_max: u16,
    workers: usize,
    silence_ms: u64,
    orphan_grace_s: f64,
    port_cooldown_ms: u64,
    max_sessions: usize,
    pacing: bool,
    max_bits_per_s: Option<u64>,
    dscp: u8,
    tls: Option<Tls>,
    activated: bool,
    kernel_path: &str,
) -> PyResult<()> {
    let interfaces = interfaces
        .into_iter()
        .map(|(name, bind_host, advertised_host)| match bind_host.parse() {
            Ok(bind_host) => Ok(Interface { name, bind_host, advertised_host }),
            Err(_) => Err(PyValueError::new_err(format!("interface {name}: {bind_host} is no IP address"))),
        })
        .collect::<PyResult<Vec<_>>>()?;
    let mut options = EngineOptions::new(PathBuf::new(), interfaces, port_min, port_max);
    options.workers = workers;
    options.silence = Duration::from_millis(silence_ms);
    options.orphan_grace = Duration::try_from_secs_f64(orphan_grace_s)
        .map_err(|_| PyValueError::new_err(format!("orphan_grace_s: {orphan_grace_s} is no duration")))?;
    options.port_cooldown = Duration::from_millis(port_cooldown_ms);
    options.max_sessions = max_sessions;
    options.pacing = pacing;
    options.socket_path = socket_path;
    options.max_bits_per_s = max_bits_per_s;
    options.dscp = dscp;
    options.activated = activated;
    options.tls = tls
        .map(|(listen, certificate, private_key, client_ca, peers)| {
            let listen = listen
                .map(|listen| {
                    listen.parse().map_err(|_| PyValueError::new_err(format!("{listen} is no address to listen on")))
                })
                .transpose()?;
            Ok::<_, PyErr>(TlsOptions { listen, certificate, private_key, client_ca, peers })
        })
        .transpose()?;
    options.kernel_path = kernel_path.parse().map_err(PyValueError::new_err)?;
    py.allow_threads(|| media_net::run(options))?;
    Ok(())
}

/// The engine's version.
#[pyfunction]
fn engine_version() -> &'static str {
    media_net::VERSION
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run_engine, module)?)?;
    module.add_function(wrap_pyfunction!(engine_version, module)?)?;
    sip::register(module)
}
