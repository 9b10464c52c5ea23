//! Calls that come and go for a long time, and what the engine holds meanwhile.
//!
//! Each call lasts from five to sixty seconds; another takes its place at once, on other ports. Its parties are late to
//! notice the end and go on sending for a moment: what they send has to reach nobody. Packets name the call and the stream
//! that they are of, so that any packet that comes to another is found.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use media_core::rtp::{RtpHeader, RtpPacket, HEADER_LEN};
use serde_json::{json, Value};

use crate::sidestream::Engine;
use crate::wire::{Sockets, SOCKETS};
use crate::{Stream, INTERVAL, PAUSE, PAYLOAD};

/// How long calls last, in seconds: from the first, and less than the second more.
const LASTS_S: (u64, u64) = (5, 55);
/// After its last packet a call is closed: what is under way arrives before.
const QUIET: Duration = Duration::from_millis(300);
/// So long its parties go on sending to the ports that were its own; less than the engine lets ports rest.
const DEAF: Duration = Duration::from_secs(2);
/// Marks what they send, as the fifth octet of the payload.
const STRAY: u8 = 1;
/// How often what the engine holds is looked at.
const LOOK: Duration = Duration::from_secs(10);
/// Calls that are opened in one go at the beginning.
const AT_ONCE: usize = 50;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Talking,
    Quiet,
}

/// A place for calls, one after the other.
struct Place {
    call: usize,
    streams: [Stream; 2],
    phase: Phase,
    until: Instant,
    sent: [u64; 2],
    relayed: [u64; 2],
    forked: [u64; 2],
}

#[derive(Default)]
struct Counts {
    calls: u64,
    sent: u64,
    lost: u64,
    wrong: u64,
    stray: u64,
}

struct Soak {
    engine: Engine,
    sockets: Sockets,
    places: Vec<Place>,
    /// The places of the calls that go on.
    calls: HashMap<usize, usize>,
    /// Calls that are over, to the ports of which their parties still send.
    deaf: VecDeque<Place>,
    next_call: usize,
    chance: u64,
    counts: Counts,
}

/// Soaks the engine and prints what it holds; an error if it did something wrong or holds something in the end.
pub fn run(path: &str, calls: usize, duration: Duration, pid: u32, sockets: Sockets) -> Result<(), Box<dyn Error>> {
    let mut engine = Engine::connect(path)?;
    // ports that forks share are opened for the first of them, and stay
    let first = calls.min(AT_ONCE);
    engine.open_some(0..first, 0, &sockets)?;
    engine.close_some(0..first)?;
    let mut soak = Soak {
        engine,
        sockets,
        places: Vec::new(),
        calls: HashMap::new(),
        deaf: VecDeque::new(),
        next_call: first,
        chance: 1,
        counts: Counts::default(),
    };
    soak.tell("before", Instant::now(), pid)?;
    for first in (0..calls).step_by(AT_ONCE) {
        let many = AT_ONCE.min(calls - first);
        soak.open(many)?;
    }
    let begun = Instant::now();
    soak.go_on(begun, begun + duration, pid)?;
    soak.close()?;
    soak.tell("after", begun, pid)?;
    Ok(())
}

/// What the engine has in hand.
fn held(engine: &mut Engine, pid: u32) -> Result<Value, Box<dyn Error>> {
    let found = engine.statistics()?;
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    Ok(json!({
        "sessions": found["sessions"], "resident_bytes": found["resident_bytes"], "descriptors": descriptors,
        "ports_free": found["ports_free"], "ports_cooling": found["ports_cooling"],
    }))
}

impl Soak {
    /// Opens calls, each in a new place.
    fn open(&mut self, many: usize) -> Result<(), Box<dyn Error>> {
        for (n, streams) in self.streams(many)?.into_iter().enumerate() {
            let call = self.next_call - many + n;
            let place = self.place(call, streams);
            self.calls.insert(call, self.places.len());
            self.places.push(place);
        }
        Ok(())
    }

    fn streams(&mut self, many: usize) -> Result<Vec<[Stream; 2]>, Box<dyn Error>> {
        let first = self.next_call;
        self.next_call += many;
        self.counts.calls += many as u64;
        let streams = self.engine.open_some(first..first + many, 0, &self.sockets)?;
        Ok(streams.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect())
    }

    fn place(&mut self, call: usize, streams: [Stream; 2]) -> Place {
        // chance that is the same on every run
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lasts = Duration::from_millis(1000 * LASTS_S.0 + (self.chance >> 33) % (1000 * LASTS_S.1));
        let until = Instant::now() + lasts;
        Place { call, streams, phase: Phase::Talking, until, sent: [0; 2], relayed: [0; 2], forked: [0; 2] }
    }

    fn go_on(&mut self, begun: Instant, end: Instant, pid: u32) -> Result<(), Box<dyn Error>> {
        let step = INTERVAL / self.places.len() as u32;
        let (mut due, mut at, mut look) = (begun, 0, begun + LOOK);
        loop {
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            if now >= look {
                look += LOOK;
                self.tell("during", begun, pid)?;
            }
            // who was held up goes on from now
            due = due.max(now.checked_sub(INTERVAL).unwrap_or(now));
            if due <= now {
                due += step;
                self.turn(at, now)?;
                at = (at + 1) % self.places.len();
            }
            if !self.receive() && due > now {
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// A place's turn comes once in 20 ms.
    fn turn(&mut self, at: usize, now: Instant) -> Result<(), Box<dyn Error>> {
        let place = &mut self.places[at];
        match place.phase {
            Phase::Talking if now < place.until => {
                for side in 0..2 {
                    let sequence = place.sent[side] as u16;
                    send(&self.sockets, 2 * place.call + side, place.streams[side].to, (sequence, 0));
                    place.sent[side] += 1;
                }
                self.counts.sent += 2;
            }
            Phase::Talking => {
                place.phase = Phase::Quiet;
                place.until = now + QUIET;
            }
            Phase::Quiet if now >= place.until => self.replace(at, now)?,
            Phase::Quiet => {}
        }
        while self.deaf.front().is_some_and(|over| over.until < now) {
            self.counts.lost += self.deaf.pop_front().as_ref().map_or(0, lost);
        }
        // as often as they would have sent in the call
        if let Some(over) = self.deaf.get(at) {
            for (side, stream) in over.streams.iter().enumerate() {
                send(&self.sockets, 2 * over.call + side, stream.to, (0, STRAY));
            }
            self.counts.stray += 2;
        }
        Ok(())
    }

    /// Closes a place's call and opens the next.
    fn replace(&mut self, at: usize, now: Instant) -> Result<(), Box<dyn Error>> {
        let call = self.places[at].call;
        self.engine.close_some(call..call + 1)?;
        self.calls.remove(&call);
        let streams = self.streams(1)?;
        let next = self.place(self.next_call - 1, streams[0]);
        self.calls.insert(next.call, at);
        let over = std::mem::replace(&mut self.places[at], next);
        self.deaf.push_back(Place { until: now + DEAF, ..over });
        Ok(())
    }

    fn receive(&mut self) -> bool {
        let (mut buffer, mut any) = ([0; 2048], false);
        for (sockets, is_fork) in [(&self.sockets.parties, false), (&self.sockets.recorders, true)] {
            for (socket_at, socket) in sockets.iter().enumerate() {
                for _ in 0..8 {
                    let Ok((length, source)) = socket.recv_from(&mut buffer) else { break };
                    any = true;
                    if media_core::rtp::is_rtcp(&buffer[..length]) {
                        continue;
                    }
                    let noted = of(&buffer[..length]).and_then(|stream| {
                        let call = stream / 2;
                        // what was under way when a call ended may still come to its party
                        let place = match self.calls.get(&call) {
                            Some(at) => &mut self.places[*at],
                            None => self.deaf.iter_mut().find(|over| over.call == call)?,
                        };
                        note(place, stream, (source, socket_at), is_fork)
                    });
                    if noted.is_none() {
                        self.counts.wrong += 1;
                        let known =
                            RtpPacket::parse(&buffer[..length]).map(|packet| (packet.ssrc(), packet.sequence()));
                        eprintln!("wrong: from {source} to {socket_at}, fork {is_fork}: {length} octets, {known:?}");
                    }
                }
            }
        }
        any
    }

    fn tell(&mut self, when: &str, begun: Instant, pid: u32) -> Result<(), Box<dyn Error>> {
        let held = held(&mut self.engine, pid)?;
        let Counts { calls, sent, lost, wrong, stray } = self.counts;
        println!(
            "{}",
            json!({"when": when, "seconds": begun.elapsed().as_secs(), "held": held, "calls": calls, "sent": sent, "lost": lost,
                "wrong": wrong, "stray": stray})
        );
        Ok(())
    }

    fn close(&mut self) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + QUIET;
        while Instant::now() < until {
            self.receive();
        }
        self.counts.lost += self.deaf.iter().chain(&self.places).map(lost).sum::<u64>();
        for place in std::mem::take(&mut self.places) {
            self.engine.close_some(place.call..place.call + 1)?;
        }
        Ok(())
    }
}

/// Packets of a call that is over that did not come, relayed or forked.
fn lost(place: &Place) -> u64 {
    (0..2).map(|side| 2 * place.sent[side] - place.relayed[side] - place.forked[side]).sum()
}

fn send(sockets: &Sockets, stream: usize, to: SocketAddr, (sequence, mark): (u16, u8)) {
    let mut packet = [stream as u8; HEADER_LEN + PAYLOAD];
    let timestamp = u32::from(sequence).wrapping_mul(PAYLOAD as u32);
    let header = RtpHeader { marker: false, payload_type: 0, sequence, timestamp, ssrc: stream as u32 + 1 };
    if let Some(first) = packet.first_chunk_mut() {
        header.write(first);
    }
    packet[HEADER_LEN..HEADER_LEN + 4].copy_from_slice(&(stream as u32).to_be_bytes());
    packet[HEADER_LEN + 4] = mark;
    // a full buffer is a loss, which shows
    let _ = sockets.parties[stream % SOCKETS].send_to(&packet, to);
}

/// Which stream a packet is of; None if it is of none, or one that was sent when its call was over.
fn of(bytes: &[u8]) -> Option<usize> {
    let payload = RtpPacket::parse(bytes).ok()?.payload();
    let ([a, b, c, d, mark], body) = payload.split_first_chunk::<5>()?;
    let stream = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    let is_whole = payload.len() == PAYLOAD && body.iter().all(|octet| *octet == stream as u8);
    (is_whole && *mark != STRAY).then_some(stream)
}

/// Notes a packet with the call that it is of; None if it came by another way than it should.
fn note(place: &mut Place, stream: usize, way: (SocketAddr, usize), is_fork: bool) -> Option<()> {
    let side = stream % 2;
    let found = &place.streams[side];
    let expected = match is_fork {
        true => (found.forked_from?, stream % SOCKETS),
        false => (found.relayed_from, found.other % SOCKETS),
    };
    if way != expected {
        return None;
    }
    *(if is_fork { &mut place.forked[side] } else { &mut place.relayed[side] }) += 1;
    Some(())
}
