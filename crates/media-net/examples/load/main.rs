//! Load for `benches/media`: calls of two G.711 streams, each relayed and forked, through a relay.
//!
//! `load TARGET CALLS SECONDS PID [NUMBER [PLAN]]` with TARGET `direct` (no relay), `sidestream:SOCKET` or `rtpengine:HOST:PORT`;
//! PID is the relay's, for its processor time; NUMBER of milliseconds has forks of the engine leave in batches; PLAN is a
//! JSON object: `cores`, those of which the use is measured, and `pair`, if the relay is at the other end of a veth pair.
//! Each packet's source, destination and payload are checked. Prints one JSON object.
//!
//! `load flood:SOCKET CALLS SECONDS PID [PACKETS_PER_S]` does the same while garbage is thrown at other ports of the engine.
//! `load full:SOCKET CALLS 0 PID MUXED` opens as many calls as there is room for, with MUXED 1 such whose RTCP shares the RTP port.
//! `load soak:SOCKET CALLS SECONDS PID` has calls come and go all the time, and prints a JSON object for each ten seconds.

mod flood;
mod full;
mod meter;
mod pair;
mod reader;
mod rtpengine;
mod sidestream;
mod soak;
mod wire;

use std::error::Error;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use media_core::rtp::{RtpHeader, RtpPacket, HEADER_LEN};
use media_core::Histogram;
use meter::{Meter, Reading};
use pair::{Ends, Pair};
use serde::Deserialize;
use serde_json::{json, Value};
use wire::{Arrival, Sockets, Wire};

const PAYLOAD: usize = 160;
const PACKET: usize = HEADER_LEN + PAYLOAD;
/// Of the payload: which stream, whether it is measured, when it was sent, which packet of the stream.
const LABEL: usize = 17;
const INTERVAL: Duration = Duration::from_millis(20);
/// Calls that begin in a second: an engine that hands steady ones over to the kernel has to bear the others itself.
const BEGIN_PER_S: f64 = 200.0;
/// Packets of this time after the last call has begun are not measured: legs latch and settle, and caches fill.
const WARM_UP: Duration = Duration::from_millis(1500);
/// A generator further behind than this was held up by the machine; what it is behind with up to here it sends at once.
const MAX_BEHIND: Duration = Duration::from_millis(4);
/// A generator that never paused would be held up by the kernel for using all of its core.
const PAUSE: Duration = Duration::from_micros(10);
/// Packets still under way after the last was sent.
const DRAIN: Duration = Duration::from_millis(300);
/// Packets that leave between two looks at what has come.
const AT_ONCE: usize = 64;
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

/// Source and destination of a stream's packets as they come back.
struct Ways {
    relayed: (SocketAddr, SocketAddr),
    forked: Option<(SocketAddr, SocketAddr)>,
}

#[derive(Default, Deserialize)]
struct Plan {
    #[serde(default)]
    cores: Vec<usize>,
    pair: Option<Ends>,
}

/// Packets of one kind, relayed or forked.
#[derive(Default)]
struct Seen {
    packets: u64,
    latency: Histogram,
    /// Of each stream, the newest packet's number, and which of the 64 up to it came.
    windows: Vec<(u32, u64)>,
}

impl Seen {
    fn of(streams: usize) -> Self {
        Self { windows: vec![(0, 0); streams], ..Self::default() }
    }

    /// Notes a packet; where it is counted if it is not new.
    fn note<'a>(&mut self, stream: usize, number: u32, wrong: &'a mut Wrong) -> Result<(), &'a mut u64> {
        let (newest, window) = &mut self.windows[stream];
        let ahead = number.wrapping_sub(*newest) as i32;
        if ahead > 0 {
            *window = window.checked_shl(ahead as u32).unwrap_or(0) | 1;
            *newest = number;
            return Ok(());
        }
        let Some(bit) = 1u64.checked_shl(ahead.unsigned_abs()) else { return Err(&mut wrong.late) };
        let is_new = *window & bit == 0;
        *window |= bit;
        if is_new {
            Ok(())
        } else {
            Err(&mut wrong.repeated)
        }
    }
}

/// Processor time so far, in seconds.
struct Spent {
    relay: f64,
    /// All processes that are neither the relay's nor this one, outside of the kernel.
    others: f64,
    /// Of the measured cores.
    meters: Vec<Reading>,
}

/// Packets that are not as they should be.
#[derive(Default)]
struct Wrong {
    /// Of another content than any that was sent.
    damaged: u64,
    /// From or to where packets of the stream do not go.
    astray: u64,
    /// Such as have come before.
    repeated: u64,
    /// So late that nobody knows whether they have: they are lost, as far as a call is concerned.
    late: u64,
}

impl Wrong {
    /// Those that no delay explains.
    fn all(&self) -> u64 {
        self.damaged + self.astray + self.repeated
    }
}

struct Load<W> {
    wire: W,
    streams: Vec<Stream>,
    ways: Vec<Ways>,
    meters: Vec<Meter>,
    relayed: Seen,
    forked: Seen,
    wrong: Wrong,
}

impl<W: Wire> Load<W> {
    fn new(mut wire: W, streams: Vec<Stream>, meters: Vec<Meter>) -> Self {
        wire.prepare(&streams, (0..streams.len()).map(first_packet).collect());
        let (relayed, forked) = (Seen::of(streams.len()), Seen::of(streams.len()));
        let way = |(index, stream): (usize, &Stream)| Ways {
            relayed: (stream.relayed_from, wire.party(stream.other)),
            forked: stream.forked_from.map(|from| (from, wire.recorder(index))),
        };
        let ways = streams.iter().enumerate().map(way).collect();
        Self { wire, streams, ways, meters, relayed, forked, wrong: Wrong::default() }
    }

    fn run(&mut self, pid: u32, duration: Duration) -> Value {
        let begun = Instant::now();
        let all_begin = Duration::from_secs_f64(self.streams.len() as f64 / 2.0 / BEGIN_PER_S);
        let measured_from = begun + all_begin + WARM_UP;
        let end = measured_from + duration;
        let (mut sent, mut next, mut number, mut before) = (0, 0, 1u32, None);
        let step = INTERVAL.as_secs_f64() / self.streams.len() as f64;
        let mut round = begun;
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let measured = now >= measured_from;
            if measured && before.is_none() {
                before = Some(self.spent(pid));
            }
            // a generator that was held up goes on from now: a burst to catch up would be its own doing, not the relay's
            let behind = now.saturating_duration_since(round + Duration::from_secs_f64(step * next as f64));
            if behind > MAX_BEHIND {
                round += behind;
            }
            let due = (now.saturating_duration_since(round).as_secs_f64() / step) as usize + 1;
            let begun_calls = ((now - begun).as_secs_f64() * BEGIN_PER_S) as usize;
            let talking = self.streams.len().min(2 * begun_calls);
            if now >= round && due > next {
                let until = due.min(next + AT_ONCE).min(talking).max(next);
                sent += self.send(next..until, number, measured) * usize::from(measured);
                next = until.max(due.min(next + AT_ONCE)).min(self.streams.len());
                if next == self.streams.len() {
                    (next, round, number) = (0, round + INTERVAL, number + 1);
                }
            }
            // a pause in which something is due would make this generator late by itself
            if !self.receive() && due <= next {
                std::thread::sleep(W::PAUSE);
            }
        }
        let after = self.spent(pid);
        let before = before.unwrap_or_else(|| self.spent(pid));
        let drained = Instant::now() + DRAIN;
        while Instant::now() < drained {
            self.receive();
        }
        let us = |histogram: &Histogram, quantile| histogram.quantile(quantile) as f64 / 1000.0;
        let percent = |seconds: f64| 100.0 * seconds / duration.as_secs_f64();
        let busy =
            after.meters.iter().zip(&before.meters).map(|(after, before)| after.busy_since(*before).unwrap_or(100.0));
        let wanted = self.streams.len() as f64 * duration.as_secs_f64() / INTERVAL.as_secs_f64();
        json!({
            "sent": sent, "relayed": self.relayed.packets, "forked": self.forked.packets,
            "wrong": self.wrong.all(), "late": self.wrong.late,
            "damaged": self.wrong.damaged, "astray": self.wrong.astray, "repeated": self.wrong.repeated,
            "pace_percent": 100.0 * sent as f64 / wanted,
            "cpu_percent": percent(after.relay - before.relay),
            "others_percent": percent(after.others - before.others),
            "busy_percent": busy.collect::<Vec<_>>(),
            "relay_p50_us": us(&self.relayed.latency, 0.5), "relay_p99_us": us(&self.relayed.latency, 0.99),
            "fork_p50_us": us(&self.forked.latency, 0.5), "fork_p99_us": us(&self.forked.latency, 0.99),
        })
    }

    fn spent(&self, pid: u32) -> Spent {
        let meters = self.meters.iter().map(Meter::read).collect();
        let (relay, own) = (process_s(pid), process_s(std::process::id()));
        Spent { relay: relay.0 + relay.1, others: all_s() - relay.0 - own.0, meters }
    }

    fn send(&mut self, streams: Range<usize>, number: u32, measured: bool) -> usize {
        let sent_ns = self.wire.now_ns();
        self.wire.send(streams, |index, packet| {
            packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&number.wrapping_mul(PAYLOAD as u32).to_be_bytes());
            let label = &mut packet[HEADER_LEN..];
            label[..4].copy_from_slice(&(index as u32).to_be_bytes());
            label[4] = u8::from(measured);
            label[5..13].copy_from_slice(&sent_ns.to_be_bytes());
            label[13..LABEL].copy_from_slice(&number.to_be_bytes());
        })
    }

    /// Takes what has come back; true if anything had.
    fn receive(&mut self) -> bool {
        let Self { wire, ways, relayed, forked, wrong, .. } = self;
        wire.receive(|arrival| {
            // RFC 6263 §4.1: to those who have not been sent anything yet, the engine sends nothing at all from time to time
            if arrival.bytes.is_empty() || media_core::rtp::is_rtcp(arrival.bytes) {
                return;
            }
            if let Err(count) = note(&arrival, ways, relayed, forked, wrong) {
                *count += 1;
            }
        })
    }
}

/// What a packet of this load bears: its stream, whether it is measured, when it was sent, and its number.
fn label_of(bytes: &[u8]) -> Option<(usize, bool, u64, u32)> {
    let payload = RtpPacket::parse(bytes).ok()?.payload();
    let (label, body) = payload.split_at_checked(LABEL).filter(|_| payload.len() == PAYLOAD)?;
    let index = u32::from_be_bytes(label[..4].try_into().ok()?) as usize;
    let sent_ns = u64::from_be_bytes(label[5..13].try_into().ok()?);
    let number = u32::from_be_bytes(label[13..].try_into().ok()?);
    body.iter().all(|octet| *octet == index as u8).then_some((index, label[4] == 1, sent_ns, number))
}

/// Notes a packet that is as it should be; where it is counted if it is not.
fn note<'a>(
    arrival: &Arrival,
    ways: &[Ways],
    relayed: &mut Seen,
    forked: &mut Seen,
    wrong: &'a mut Wrong,
) -> Result<(), &'a mut u64> {
    let Some((index, measured, sent_ns, number)) = label_of(arrival.bytes).filter(|label| label.0 < ways.len()) else {
        return Err(&mut wrong.damaged);
    };
    let (way, expected) = ((arrival.source, arrival.destination), &ways[index]);
    let seen = match way {
        _ if way == expected.relayed => relayed,
        _ if Some(way) == expected.forked => forked,
        _ => return Err(&mut wrong.astray),
    };
    seen.note(index, number, wrong)?;
    if measured {
        seen.packets += 1;
        seen.latency.record(arrival.at_ns.saturating_sub(sent_ns));
    }
    Ok(())
}

/// A stream's packet, of which the beginning up to the label is still to be written.
fn first_packet(index: usize) -> [u8; PACKET] {
    let mut packet = [index as u8; PACKET];
    let header = RtpHeader { marker: false, payload_type: 0, sequence: 0, timestamp: 0, ssrc: index as u32 + 1 };
    if let Some(first) = packet.first_chunk_mut() {
        header.write(first);
    }
    packet
}

/// Processor seconds that a process has used, outside of the kernel and in it; none for one that is gone.
fn process_s(pid: u32) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let mut ticks =
        after_name.split_whitespace().skip(11).map(|field| field.parse::<f64>().unwrap_or(0.0) / TICKS_PER_S);
    (ticks.next().unwrap_or(0.0), ticks.next().unwrap_or(0.0))
}

/// Processor seconds of all processes, outside of the kernel.
fn all_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let user_and_nice = stat.split_whitespace().skip(1).take(2);
    user_and_nice.map(|field| field.parse::<f64>().unwrap_or(0.0) / TICKS_PER_S).sum()
}

/// What the arguments say beside the target.
struct Order {
    calls: usize,
    duration: Duration,
    pid: u32,
    number: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (required, optional) = arguments.split_at_checked(4).ok_or("TARGET CALLS SECONDS PID [NUMBER [PLAN]]")?;
    let [target, calls, seconds, pid] = required else { unreachable!("it was split after four") };
    let order = Order {
        calls: calls.parse()?,
        duration: Duration::from_secs_f64(seconds.parse()?),
        pid: pid.parse()?,
        number: optional.first().map_or(Ok(0), |text| text.parse())?,
    };
    let plan: Plan = optional.get(1).map_or(Ok(Plan::default()), |text| serde_json::from_str(text))?;
    if let Some(path) = target.strip_prefix("soak:") {
        return soak::run(path, order.calls, order.duration, order.pid, Sockets::bind()?);
    }
    if let Some(path) = target.strip_prefix("full:") {
        return full::run(path, order.calls, order.pid, order.number == 1, Sockets::bind()?);
    }
    let meters = plan.cores.into_iter().map(Meter::start).collect::<Result<_, _>>()?;
    let result = match plan.pair {
        Some(ends) => measure(target, &order, Pair::open(ends)?, meters, |_, _, _| Ok(None)),
        None => measure(target, &order, Sockets::bind()?.merge_recordings()?, meters, |engine, sockets, to| {
            engine.first_fork_ms(sockets, to).map(Some)
        }),
    }?;
    println!("{result}");
    Ok(())
}

/// Opens the calls, has them talk, and closes them; `first_fork_ms` tells how soon a fork flows, where that can be seen.
fn measure<W: Wire>(
    target: &str,
    order: &Order,
    wire: W,
    meters: Vec<Meter>,
    first_fork_ms: impl Fn(&mut sidestream::Engine, &W, SocketAddr) -> Result<Option<f64>, Box<dyn Error>>,
) -> Result<Value, Box<dyn Error>> {
    let calls = order.calls;
    let flood_path = target.strip_prefix("flood:");
    let batch_ms = if flood_path.is_some() { 0 } else { order.number };
    let (mut before, mut resident_before) = (Instant::now(), json!(null));
    let (mut engine, mut peer) = (None, None);
    let streams = match target.split_once(':') {
        None if target == "direct" => {
            let to = |index| {
                let (to, relayed_from, other) = (wire.party(index + 1), wire.party(index), index + 1);
                Stream { to, relayed_from, other, forked_from: None }
            };
            (0..2 * calls).map(to).collect()
        }
        Some(("sidestream" | "flood", path)) => {
            let engine = engine.insert(sidestream::Engine::connect(path)?);
            resident_before = engine.statistics()?["resident_bytes"].clone();
            before = Instant::now();
            engine.open(calls, batch_ms, &wire)?
        }
        Some(("rtpengine", at)) => peer.insert(rtpengine::Peer::connect(at)?).open(calls, &wire)?,
        _ => return Err("TARGET is direct, sidestream:SOCKET or rtpengine:HOST:PORT".into()),
    };
    let setup_ms = before.elapsed().as_secs_f64() * 1000.0;
    let first_to = streams.first().map(|stream: &Stream| stream.to).ok_or("no calls")?;
    let mut load = Load::new(wire, streams, meters);
    let flood = flood_path.map(|path| flood::Flood::start(path, order.number)).transpose()?;
    let mut result = load.run(order.pid, order.duration);
    if let Some(flood) = flood {
        result["garbage_per_s"] = json!(flood.end()?);
    }
    result["setup_ms"] = json!(setup_ms);
    result["calls"] = json!(calls);
    if let Some(engine) = &mut engine {
        let held = engine.statistics()?;
        result["kernel_legs"] = held["kernel_path"]["legs"].clone();
        result["resident_bytes"] = held["resident_bytes"].clone();
        result["resident_before_bytes"] = resident_before;
        if batch_ms == 0 {
            result["first_fork_ms"] = json!(first_fork_ms(engine, &load.wire, first_to)?);
        }
        engine.close(calls)?;
    }
    if let Some(peer) = &mut peer {
        peer.close(calls)?;
    }
    Ok(result)
}
