//! Calls on the media engine, by its own protocol.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use media_core::rtp::{RtpHeader, HEADER_LEN};
use serde_json::{json, Value};

use crate::{Sockets, Stream};

/// Times that a fork is paused and resumed to see how soon it flows.
const RESUMES: usize = 20;

pub struct Engine {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Engine {
    pub fn connect(path: &str) -> Result<Self, Box<dyn Error>> {
        let stream = UnixStream::connect(path)?;
        let mut engine = Self { reader: BufReader::new(stream.try_clone()?), stream };
        engine.call(json!({"op": "hello", "protocol": 1}))?;
        Ok(engine)
    }

    pub fn open(&mut self, calls: usize, sockets: &Sockets) -> Result<Vec<Stream>, Box<dyn Error>> {
        let mut streams = Vec::new();
        for call in 0..calls {
            let session = format!("load-{call}");
            self.call(json!({"op": "open_session", "session": session}))?;
            let mut ports = Vec::new();
            for (side, name) in ["a", "b"].iter().enumerate() {
                let open = json!({"op": "open_endpoint", "session": session, "endpoint": name});
                ports.push(local(&self.call(open)?, "rtp")?);
                let remote = remote(sockets.party(2 * call + side));
                self.call(json!({"op": "configure_endpoint", "session": session, "endpoint": name, "remote": remote,
                    "formats": formats()}))?;
            }
            let mut forks = Vec::new();
            for (side, name) in ["inbound", "outbound"].iter().enumerate() {
                let open = json!({"op": "open_fork", "session": session, "fork": name, "endpoint": "a", "side": name,
                    "cname": "load"});
                forks.push(local(&self.call(open)?, "rtp")?);
                let remote = remote(sockets.recorder(2 * call + side));
                self.call(fork(&session, name, &remote, true))?;
            }
            self.call(json!({"op": "set_route", "session": session, "source": "a", "sink": "b"}))?;
            self.call(json!({"op": "set_route", "session": session, "source": "b", "sink": "a"}))?;
            let stream = |to, relayed_from, forked_from| Stream { to, relayed_from, forked_from: Some(forked_from) };
            streams.push(stream(ports[0], ports[1], forks[0]));
            streams.push(stream(ports[1], ports[0], forks[1]));
        }
        Ok(streams)
    }

    pub fn close(&mut self, calls: usize) -> Result<(), Box<dyn Error>> {
        for call in 0..calls {
            self.call(json!({"op": "close_session", "session": format!("load-{call}")}))?;
        }
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
            self.call(fork("load-0", "inbound", &target, false))?;
            while recorder.recv(&mut [0; 2048]).is_ok() {}
            let since = Instant::now();
            self.send(&fork("load-0", "inbound", &target, true))?;
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

    fn call(&mut self, request: Value) -> Result<Value, Box<dyn Error>> {
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

fn fork(session: &str, name: &str, remote: &Value, active: bool) -> Value {
    json!({"op": "configure_fork", "session": session, "fork": name, "remote": remote, "active": active,
        "formats": formats()})
}

fn formats() -> Value {
    json!([{"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000}])
}

fn remote(address: SocketAddr) -> Value {
    json!({"host": address.ip().to_string(), "port": address.port()})
}

fn local(ports: &Value, name: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let port = ports[name].as_u64().and_then(|port| u16::try_from(port).ok()).ok_or("no port")?;
    Ok(SocketAddr::from(([127, 0, 0, 1], port)))
}
