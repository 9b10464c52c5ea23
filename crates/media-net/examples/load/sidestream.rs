//! Calls on the media engine, by its own protocol.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use media_core::rtp::{RtpHeader, HEADER_LEN};
use serde_json::{json, Value};

use crate::wire::{Places, Sockets};
use crate::Stream;

/// Times that a fork is paused and resumed to see how soon it flows.
const RESUMES: usize = 20;
/// Calls that are opened without waiting for answers; their commands and answers fit the socket's buffers.
const AT_ONCE: usize = 50;

pub struct Engine {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    /// RTCP of the calls that are opened shares the RTP port.
    pub muxed: bool,
}

impl Engine {
    pub fn connect(path: &str) -> Result<Self, Box<dyn Error>> {
        let stream = UnixStream::connect(path)?;
        let mut engine = Self { reader: BufReader::new(stream.try_clone()?), stream, muxed: false };
        engine.call(json!({"op": "hello", "protocol": 1}))?;
        Ok(engine)
    }

    pub fn open(&mut self, calls: usize, batch_ms: u64, places: &impl Places) -> Result<Vec<Stream>, Box<dyn Error>> {
        let mut streams = Vec::new();
        for first in (0..calls).step_by(AT_ONCE) {
            streams.extend(self.open_some(first..calls.min(first + AT_ONCE), batch_ms, places)?);
        }
        Ok(streams)
    }

    /// Opens calls without waiting for answers between them: at most [`AT_ONCE`]. Two streams of each.
    pub fn open_some(
        &mut self,
        calls: Range<usize>,
        batch_ms: u64,
        places: &impl Places,
    ) -> Result<Vec<Stream>, Box<dyn Error>> {
        let requests: Vec<Value> =
            calls.clone().flat_map(|call| commands(call, batch_ms, self.muxed, places)).collect();
        let answers = self.call_all(&requests)?;
        let mut streams = Vec::new();
        let each = requests.len() / calls.len().max(1);
        for (call, answers) in calls.zip(answers.chunks(each)) {
            let ports = answers.iter().filter(|answer| answer.get("rtp").is_some());
            let ports: Vec<SocketAddr> =
                ports.map(|ports| local(places.relay(), ports, "rtp")).collect::<Result<_, _>>()?;
            let [a, b, inbound, outbound] = ports[..] else {
                return Err("four pairs of ports were to come".into());
            };
            let (to_b, to_a) = (2 * call + 1, 2 * call);
            streams.push(Stream { to: a, relayed_from: b, other: to_b, forked_from: Some(inbound) });
            streams.push(Stream { to: b, relayed_from: a, other: to_a, forked_from: Some(outbound) });
        }
        Ok(streams)
    }

    pub fn close(&mut self, calls: usize) -> Result<(), Box<dyn Error>> {
        for first in (0..calls).step_by(AT_ONCE) {
            self.close_some(first..calls.min(first + AT_ONCE))?;
        }
        Ok(())
    }

    /// Closes calls without waiting for answers between them.
    pub fn close_some(&mut self, calls: Range<usize>) -> Result<(), Box<dyn Error>> {
        let close = |call| json!({"id": 0, "op": "close_session", "session": name(call)});
        self.call_all(&calls.map(close).collect::<Vec<_>>())?;
        Ok(())
    }

    pub fn statistics(&mut self) -> Result<Value, Box<dyn Error>> {
        self.call(json!({"op": "engine_statistics"}))
    }

    /// Milliseconds from sending the command that resumes a fork to its first packet, on a stream of one packet each
    /// millisecond: the longest of some.
    pub fn first_fork_ms(&mut self, sockets: &Sockets, to: SocketAddr) -> Result<f64, Box<dyn Error>> {
        let (party, recorder) = (&sockets.parties[0], &sockets.recorders[0]);
        let target = remote(sockets.recorder(0));
        let (mut longest, mut sequence) = (0.0f64, 30_000u16);
        for _ in 0..RESUMES {
            self.call(fork(&name(0), "inbound", &target, false))?;
            while recorder.recv(&mut [0; 2048]).is_ok() {}
            let since = Instant::now();
            self.send(&fork(&name(0), "inbound", &target, true))?;
            while recorder.recv(&mut [0; 2048]).is_err() {
                if since.elapsed() > Duration::from_secs(2) {
                    return Err("a resumed fork sends nothing".into());
                }
                let mut packet = [0; HEADER_LEN + 160];
                let header = RtpHeader { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 1 };
                if let Some(first) = packet.first_chunk_mut() {
                    header.write(first);
                }
                party.send_to(&packet, to)?;
                sequence = sequence.wrapping_add(1);
                std::thread::sleep(Duration::from_millis(1));
            }
            longest = longest.max(since.elapsed().as_secs_f64() * 1000.0);
            self.read()?;
        }
        Ok(longest)
    }

    /// Sends requests without waiting for answers between them.
    fn call_all(&mut self, requests: &[Value]) -> Result<Vec<Value>, Box<dyn Error>> {
        let lines: String = requests.iter().map(|request| format!("{request}\n")).collect();
        self.stream.write_all(lines.as_bytes())?;
        requests.iter().map(|_| self.read()).collect()
    }

    pub fn call(&mut self, request: Value) -> Result<Value, Box<dyn Error>> {
        self.send(&request)?;
        self.read()
    }

    fn send(&mut self, request: &Value) -> Result<(), Box<dyn Error>> {
        let mut request = request.clone();
        request["id"] = json!(0);
        Ok(self.stream.write_all(format!("{request}\n").as_bytes())?)
    }

    fn read(&mut self) -> Result<Value, Box<dyn Error>> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let mut answer: Value = serde_json::from_str(&line)?;
        match answer.get_mut("ok") {
            Some(value) => Ok(value.take()),
            None => Err(line.into()),
        }
    }
}

/// What opens a call.
fn commands(call: usize, batch_ms: u64, muxed: bool, places: &impl Places) -> Vec<Value> {
    let session = name(call);
    let mut commands = vec![json!({"op": "open_session", "session": session})];
    for (side, name) in ["a", "b"].iter().enumerate() {
        commands.push(json!({"op": "open_endpoint", "session": session, "endpoint": name}));
        commands.push(json!({"op": "configure_endpoint", "session": session, "endpoint": name,
            "remote": remote(places.party(2 * call + side)), "formats": formats(), "rtcp_mux": muxed}));
    }
    for (side, name) in ["inbound", "outbound"].iter().enumerate() {
        commands.push(json!({"op": "open_fork", "session": session, "fork": name, "endpoint": "a", "side": name,
            "cname": "load", "fork_batch_ms": batch_ms}));
        commands.push(fork(&session, name, &remote(places.recorder(2 * call + side)), true));
    }
    commands.push(json!({"op": "set_route", "session": session, "source": "a", "sink": "b"}));
    commands.push(json!({"op": "set_route", "session": session, "source": "b", "sink": "a"}));
    commands.iter_mut().for_each(|command| command["id"] = json!(0));
    commands
}

fn fork(session: &str, name: &str, remote: &Value, active: bool) -> Value {
    json!({"op": "configure_fork", "session": session, "fork": name, "remote": remote, "active": active,
        "formats": formats()})
}

/// A session's name; runs that failed may have left some open.
fn name(call: usize) -> String {
    format!("load-{}-{call}", std::process::id())
}

fn formats() -> Value {
    json!([{"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000}])
}

fn remote(address: SocketAddr) -> Value {
    json!({"host": address.ip().to_string(), "port": address.port()})
}

pub fn local(host: IpAddr, ports: &Value, name: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let port = ports[name].as_u64().and_then(|port| u16::try_from(port).ok()).ok_or("no port")?;
    Ok(SocketAddr::new(host, port))
}
