//! As many calls as an engine may have: how fast they are set up, what each of them takes, and that each of them works.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use crate::sidestream::Engine;
use crate::wire::Sockets;
use crate::Load;

/// Packets of each stream: the first is latched to, and all are relayed and forked.
const SWEEPS: u32 = 5;
/// So many packets a second at most: whether each leg works is asked here, and not how many do at one time.
const PACKETS_PER_S: u32 = 25_000;
/// What comes of the last of them.
const DRAIN: Duration = Duration::from_secs(1);

/// Opens calls, sends through all of them and closes them. `muxed`: their RTCP shares the RTP port; without that no more are
/// opened than there are descriptors for, and one more is asked for.
pub fn run(path: &str, calls: usize, pid: u32, muxed: bool, sockets: Sockets) -> Result<(), Box<dyn Error>> {
    let mut engine = Engine::connect(path)?;
    engine.muxed = muxed;
    // ports that forks share are opened for the first of them, and stay
    engine.open_some(0..1, 0, &sockets)?;
    engine.close_some(0..1)?;
    let before = held(&mut engine, pid)?;
    let count = |name: &str| before[name].as_u64().unwrap_or(0);
    // the sockets of ports that rest give way
    let left = count("descriptors_most") + count("ports_cooling") - count("descriptors_used");
    let calls = if muxed { calls } else { calls.min((left / 4) as usize) };
    let since = Instant::now();
    let streams = engine.open(calls, 0, &sockets)?;
    let setup_ms = since.elapsed().as_secs_f64() * 1000.0;
    let refused =
        engine.call(json!({"op": "open_session", "session": "one more"})).err().map(|error| error.to_string());
    let mut load = Load::new(sockets, streams, Vec::new());
    let sent = sweep(&mut load);
    // by now each call has all that it needs to work
    let during = held(&mut engine, pid)?;
    let since = Instant::now();
    engine.close(calls)?;
    let close_ms = since.elapsed().as_secs_f64() * 1000.0;
    println!(
        "{}",
        json!({"calls": calls, "setup_ms": setup_ms, "close_ms": close_ms, "before": before, "during": during,
            "refused": refused, "sent": sent, "relayed": load.relayed.packets, "forked": load.forked.packets,
            "wrong": load.wrong.all()})
    );
    Ok(())
}

/// Sends some packets on each stream, one stream after the other; how many.
fn sweep(load: &mut Load<Sockets>) -> u64 {
    let (mut sent, begun) = (0, Instant::now());
    for number in 1..=SWEEPS {
        for index in 0..load.streams.len() {
            while begun + Duration::from_secs(1) / PACKETS_PER_S * sent as u32 > Instant::now() {
                load.receive();
            }
            sent += load.send(index..index + 1, number, true) as u64;
        }
    }
    let drained = Instant::now() + DRAIN;
    while Instant::now() < drained {
        load.receive();
    }
    sent
}

fn held(engine: &mut Engine, pid: u32) -> Result<Value, Box<dyn Error>> {
    let mut found = engine.statistics()?;
    found["open"] = json!(fs::read_dir(format!("/proc/{pid}/fd"))?.count());
    Ok(found)
}
