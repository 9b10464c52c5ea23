//! Garbage on ports that belong to no call of the load.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::sidestream::{local, Engine};

/// Endpoints that are flooded, on both ports of each.
const ENDPOINTS: usize = 25;
/// Packets between two looks at the clock.
const BURST: u64 = 50;
/// Kinds of garbage, sent in turn.
const KINDS: usize = 8;

pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
    engine: Engine,
    session: String,
}

impl Flood {
    /// Opens endpoints and throws so many packets a second at them, until it is told to end.
    pub fn start(path: &str, per_s: u64) -> Result<Self, Box<dyn Error>> {
        let mut engine = Engine::connect(path)?;
        let session = format!("flooded-{}", std::process::id());
        engine.call(json!({"op": "open_session", "session": session}))?;
        let mut ports = Vec::new();
        for index in 0..ENDPOINTS {
            let name = index.to_string();
            let opened = engine.call(json!({"op": "open_endpoint", "session": session, "endpoint": name}));
            // a session has a limit; its neighbour takes the rest
            let opened = match opened {
                Ok(opened) => opened,
                Err(_) => {
                    let next = format!("{session}-more");
                    engine.call(json!({"op": "open_session", "session": next}))?;
                    engine.call(json!({"op": "open_endpoint", "session": next, "endpoint": name}))?
                }
            };
            let here = Ipv4Addr::LOCALHOST.into();
            ports.extend([local(here, &opened, "rtp")?, local(here, &opened, "rtcp")?]);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let thread = std::thread::spawn(move || throw(&socket, &ports, per_s, &stopped));
        Ok(Self { stop, thread, engine, session })
    }

    /// Ends; how many packets were thrown in a second.
    pub fn end(mut self) -> Result<f64, Box<dyn Error>> {
        self.stop.store(true, Ordering::Relaxed);
        let thrown = self.thread.join().map_err(|_| "the flood failed")?;
        for session in [self.session.clone(), format!("{}-more", self.session)] {
            self.engine.call(json!({"op": "close_session", "session": session}))?;
        }
        Ok(thrown)
    }
}

/// Packets of many kinds, none of which anybody should do anything with.
fn garbage() -> [Vec<u8>; KINDS] {
    let noise: Vec<u8> = (0..1472u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut rtp = noise[..172].to_vec();
    rtp[0] = 0x80;
    let mut csrcs = rtp.clone();
    csrcs[0] = 0x9f;
    let mut report = noise[..28].to_vec();
    report[..4].copy_from_slice(&[0x80, 200, 0, 6]);
    let mut endless = noise.clone();
    endless[..4].copy_from_slice(&[0x9f, 201, 0xff, 0xff]);
    [Vec::new(), vec![0x80], noise[..172].to_vec(), rtp, csrcs, report, endless, noise.repeat(20)]
}

fn throw(socket: &UdpSocket, to: &[SocketAddr], per_s: u64, stop: &AtomicBool) -> f64 {
    let (garbage, begun, mut thrown) = (garbage(), Instant::now(), 0u64);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..BURST {
            let kind = &garbage[(thrown / to.len() as u64) as usize % KINDS];
            // a full buffer loses garbage, which is no loss
            let _ = socket.send_to(kind, to[thrown as usize % to.len()]);
            thrown += 1;
        }
        let due = begun + Duration::from_secs_f64(thrown as f64 / per_s.max(1) as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    thrown as f64 / begun.elapsed().as_secs_f64()
}
