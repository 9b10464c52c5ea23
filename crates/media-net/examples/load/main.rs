//! Load for `benches/media.py`: calls of two G.711 streams, each relayed and forked, through a relay on this machine.
//!
//! `load TARGET CALLS SECONDS PID [BATCH_MS]` with TARGET `direct` (no relay), `sidestream:SOCKET` or `rtpengine:HOST:PORT`; PID is
//! the relay's, for its processor time; BATCH_MS has forks of the engine leave in batches. Each packet's source,
//! destination and payload are checked. Prints one JSON object.
//!
//! `load flood:SOCKET CALLS SECONDS PID [PACKETS_PER_S]` does the same while garbage is thrown at other ports of the engine.
//! `load full:SOCKET CALLS 0 PID MUXED` opens as many calls as there is room for, with MUXED 1 such whose RTCP shares the RTP port.
//! `load soak:SOCKET CALLS SECONDS PID` has calls come and go all the time, and prints a JSON object for each ten seconds.

mod flood;
mod full;
mod rtpengine;
mod sidestream;
mod soak;

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use media_core::rtp::{RtpHeader, RtpPacket, HEADER_LEN};
use media_core::Histogram;
use serde_json::json;

const PAYLOAD: usize = 160;
const INTERVAL: Duration = Duration::from_millis(20);
/// Sockets that the streams share on each side, so that none overflows and none is a call's own.
const SOCKETS: usize = 16;
/// Packets of the first part of a run are not measured: legs latch and settle, and caches fill.
const WARM_UP: Duration = Duration::from_millis(1200);
/// A generator further behind than this was held up by the machine.
const MAX_BEHIND: Duration = Duration::from_millis(1);
/// A generator that never paused would be held up by the kernel for using all of its core.
const PAUSE: Duration = Duration::from_micros(10);
/// Packets still under way after the last was sent.
const DRAIN: Duration = Duration::from_millis(300);
/// The clock ticks of /proc/PID/stat.
const TICKS_PER_S: f64 = 100.0;

/// One direction of a call.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// Where its packets are sent.
    to: SocketAddr,
    /// Whence they come back to the other party.
    relayed_from: SocketAddr,
    /// The stream of that other party.
    other: usize,
    /// Whence the copy comes; None without a fork.
    forked_from: Option<SocketAddr>,
}

/// The sockets of the parties and of the recorder.
pub struct Sockets {
    parties: Vec<UdpSocket>,
    recorders: Vec<UdpSocket>,
}

impl Sockets {
    fn bind() -> std::io::Result<Self> {
        let bind = || -> std::io::Result<Vec<UdpSocket>> {
            (0..SOCKETS)
                .map(|_| {
                    let socket = UdpSocket::bind("127.0.0.1:0")?;
                    socket.set_nonblocking(true)?;
                    make_room(&socket);
                    Ok(socket)
                })
                .collect()
        };
        Ok(Self { parties: bind()?, recorders: bind()? })
    }

    /// Where the party that sends stream `index` listens.
    pub fn party(&self, index: usize) -> SocketAddr {
        address(&self.parties[index % SOCKETS])
    }

    /// Where the copy of stream `index` goes.
    pub fn recorder(&self, index: usize) -> SocketAddr {
        address(&self.recorders[index % SOCKETS])
    }
}

/// Has a socket hold all that comes while the generator is held up, as far as this process may ask for it: what is
/// lost is to be the relay's doing.
fn make_room(socket: &UdpSocket) {
    let octets: libc::c_int = 16 << 20;
    // SAFETY: the pointer is to a c_int that lives over the call, and the length is that of a c_int.
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            (&raw const octets).cast(),
            std::mem::size_of_val(&octets) as libc::socklen_t,
        );
    }
}

fn address(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().expect("a bound socket has an address")
}

#[derive(Default)]
struct Seen {
    packets: u64,
    wrong: u64,
    latency: Histogram,
}

struct Load {
    sockets: Sockets,
    streams: Vec<Stream>,
    begun: Instant,
    relayed: Seen,
    forked: Seen,
}

impl Load {
    fn run(&mut self, pid: u32, duration: Duration) -> serde_json::Value {
        let measured_from = self.begun + WARM_UP;
        let end = measured_from + duration;
        let (mut sent, mut next, mut sequence, mut busy_before) = (0u64, 0usize, 0u16, None);
        let step = INTERVAL / self.streams.len() as u32;
        let mut round = self.begun;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let measured = now >= measured_from;
            if measured && busy_before.is_none() {
                busy_before = Some(busy_s(pid));
            }
            // a generator that was held up goes on from now: a burst to catch up would be its own doing, not the relay's
            let behind = now.saturating_duration_since(round + step * next as u32);
            if behind > MAX_BEHIND {
                round += behind;
            }
            for _ in 0..16 {
                if round + step * next as u32 > now {
                    break;
                }
                sent += u64::from(self.send(next, sequence, measured) && measured);
                next += 1;
                if next == self.streams.len() {
                    (next, round, sequence) = (0, round + INTERVAL, sequence.wrapping_add(1));
                }
            }
            if !self.receive() {
                std::thread::sleep(PAUSE);
            }
        }
        let busy = busy_s(pid) - busy_before.unwrap_or(0.0);
        let drained = Instant::now() + DRAIN;
        while Instant::now() < drained {
            self.receive();
        }
        let us = |histogram: &Histogram, quantile| histogram.quantile(quantile) as f64 / 1000.0;
        json!({
            "sent": sent, "relayed": self.relayed.packets, "forked": self.forked.packets,
            "wrong": self.relayed.wrong + self.forked.wrong,
            "cpu_percent": 100.0 * busy / duration.as_secs_f64(),
            "relay_p50_us": us(&self.relayed.latency, 0.5), "relay_p99_us": us(&self.relayed.latency, 0.99),
            "fork_p50_us": us(&self.forked.latency, 0.5), "fork_p99_us": us(&self.forked.latency, 0.99),
        })
    }

    fn send(&self, index: usize, sequence: u16, measured: bool) -> bool {
        let mut packet = [index as u8; HEADER_LEN + PAYLOAD];
        let header = RtpHeader {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp: u32::from(sequence).wrapping_mul(PAYLOAD as u32),
            ssrc: index as u32 + 1,
        };
        if let Some(first) = packet.first_chunk_mut() {
            header.write(first);
        }
        let payload = &mut packet[HEADER_LEN..];
        payload[..4].copy_from_slice(&(index as u32).to_be_bytes());
        payload[4] = u8::from(measured);
        payload[5..13].copy_from_slice(&(self.begun.elapsed().as_nanos() as u64).to_be_bytes());
        self.sockets.parties[index % SOCKETS].send_to(&packet, self.streams[index].to).is_ok()
    }

    /// Takes what has come back; true if anything had.
    fn receive(&mut self) -> bool {
        let (mut buffer, mut any) = ([0; 2048], false);
        let sides =
            [(&self.sockets.parties, &mut self.relayed, false), (&self.sockets.recorders, &mut self.forked, true)];
        for (sockets, seen, is_fork) in sides {
            for (at, socket) in sockets.iter().enumerate() {
                for _ in 0..8 {
                    let Ok((length, source)) = socket.recv_from(&mut buffer) else { break };
                    any = true;
                    let now_ns = self.begun.elapsed().as_nanos() as u64;
                    match check(&buffer[..length], (source, at), &self.streams, is_fork) {
                        None => seen.wrong += 1,
                        Some((false, _)) => {}
                        Some((true, sent_ns)) => {
                            seen.packets += 1;
                            seen.latency.record(now_ns.saturating_sub(sent_ns));
                        }
                    }
                }
            }
        }
        any
    }
}

/// (is measured, when sent) of a packet that is as it should be; None if it is not.
fn check(bytes: &[u8], way: (SocketAddr, usize), streams: &[Stream], is_fork: bool) -> Option<(bool, u64)> {
    if media_core::rtp::is_rtcp(bytes) {
        return Some((false, 0));
    }
    let payload = RtpPacket::parse(bytes).ok()?.payload();
    let (head, body) = payload.split_at_checked(13).filter(|_| payload.len() == PAYLOAD)?;
    let index = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let stream = streams.get(index)?;
    let expected = match is_fork {
        true => (stream.forked_from?, index % SOCKETS),
        false => (stream.relayed_from, stream.other % SOCKETS),
    };
    if way != expected || body.iter().any(|octet| *octet != index as u8) {
        return None;
    }
    Some((head[4] == 1, u64::from_be_bytes(head[5..13].try_into().ok()?)))
}

/// Processor seconds that a process has used; 0 for none.
fn busy_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / TICKS_PER_S
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (required, optional) = arguments.split_at_checked(4).ok_or("TARGET CALLS SECONDS PID [NUMBER]")?;
    let [target, calls, seconds, pid] = required else { unreachable!("it was split after four") };
    let number: u64 = optional.first().map_or(Ok(0), |text| text.parse())?;
    let calls: usize = calls.parse()?;
    let sockets = Sockets::bind()?;
    if let Some(path) = target.strip_prefix("soak:") {
        return soak::run(path, calls, Duration::from_secs_f64(seconds.parse()?), pid.parse()?, sockets);
    }
    if let Some(path) = target.strip_prefix("full:") {
        return full::run(path, calls, pid.parse()?, number == 1, sockets);
    }
    let flood_path = target.strip_prefix("flood:");
    let batch_ms = if flood_path.is_some() { 0 } else { number };
    let (mut before, mut resident_before) = (Instant::now(), json!(null));
    let (mut direct, mut engine, mut peer) = (Vec::new(), None, None);
    let streams = match target.split_once(':') {
        None if target == "direct" => {
            let to = |index| {
                let (to, relayed_from, other) = (sockets.party(index + 1), sockets.party(index), index + 1);
                Stream { to, relayed_from, other, forked_from: None }
            };
            direct.extend((0..2 * calls).map(to));
            direct
        }
        Some(("sidestream" | "flood", path)) => {
            let engine = engine.insert(sidestream::Engine::connect(path)?);
            resident_before = engine.statistics()?["resident_bytes"].clone();
            before = Instant::now();
            engine.open(calls, batch_ms, &sockets)?
        }
        Some(("rtpengine", at)) => peer.insert(rtpengine::Peer::connect(at)?).open(calls, &sockets)?,
        _ => return Err("TARGET is direct, sidestream:SOCKET or rtpengine:HOST:PORT".into()),
    };
    let setup_ms = before.elapsed().as_secs_f64() * 1000.0;
    let (relayed, forked) = (Seen::default(), Seen::default());
    let mut load = Load { sockets, streams, begun: Instant::now(), relayed, forked };
    let flood = flood_path.map(|path| flood::Flood::start(path, number)).transpose()?;
    let mut result = load.run(pid.parse()?, Duration::from_secs_f64(seconds.parse()?));
    if let Some(flood) = flood {
        result["garbage_per_s"] = json!(flood.end()?);
    }
    result["setup_ms"] = json!(setup_ms);
    result["calls"] = json!(calls);
    if let Some(engine) = &mut engine {
        result["resident_bytes"] = engine.statistics()?["resident_bytes"].clone();
        result["resident_before_bytes"] = resident_before;
        if batch_ms == 0 {
            result["first_fork_ms"] = json!(engine.first_fork_ms(&load.sockets, load.streams[0].to)?);
        }
        engine.close(calls)?;
    }
    if let Some(peer) = &mut peer {
        peer.close(calls)?;
    }
    println!("{result}");
    Ok(())
}
