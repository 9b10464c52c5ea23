//! A control client and call parties for the tests.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use media_core::rtp::{RtpHeader, HEADER_LEN};
use media_net::{Engine, EngineOptions, Interface};
use serde_json::{json, Value};

const PATIENCE: Duration = Duration::from_secs(10);

/// Each engine of this process has a range of its own.
static NEXT_RANGE: AtomicU16 = AtomicU16::new(0);

pub struct Running {
    engine: Option<Engine>,
    options: EngineOptions,
    folder: PathBuf,
}

impl Running {
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    pub fn start_with(adapt: impl FnOnce(&mut EngineOptions)) -> Self {
        let range = NEXT_RANGE.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("sidestream-engine-{}-{range}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let interface =
            Interface { name: "default".into(), bind_host: [127, 0, 0, 1].into(), advertised_host: "127.0.0.1".into() };
        let port_min = 21_000 + 200 * range;
        let mut options = EngineOptions::new(folder.join("media.sock"), vec![interface], port_min, port_min + 199);
        adapt(&mut options);
        let engine = Some(Engine::start(options.clone()).unwrap());
        Self { engine, options, folder }
    }

    /// A client that has said hello and gets events.
    pub fn client(&self) -> Client {
        let mut client = self.connect();
        client.ok(json!({"op": "hello", "protocol": 1, "events": true}));
        client
    }

    pub fn connect(&self) -> Client {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client {
            reader: BufReader::new(stream.try_clone().unwrap()),
            stream,
            next: 0,
            events: Vec::new(),
            last_event: 0,
        }
    }

    pub fn socket(&self) -> &PathBuf {
        self.options.socket_path.as_ref().unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Another engine on the same socket.
    pub fn second(&self) -> std::io::Result<Engine> {
        Engine::start(self.options.clone())
    }

    pub fn stop(&mut self) {
        let engine = self.engine.take().unwrap();
        engine.stop();
        engine.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.engine.take());
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub struct Client {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    next: u64,
    /// All that came.
    pub events: Vec<Value>,
    /// The number of the last event that came.
    pub last_event: u64,
}

impl Client {
    /// Sends a line as it is and reads its answer.
    pub fn raw(&mut self, line: &str) -> Value {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
        self.read_answer()
    }

    /// Sends a request, to which an id is added, and reads its answer.
    pub fn call(&mut self, mut request: Value) -> Value {
        self.next += 1;
        request["id"] = json!(self.next);
        let answer = self.raw(&request.to_string());
        assert_eq!(answer["id"], self.next, "{request} {answer}");
        answer
    }

    pub fn ok(&mut self, request: Value) -> Value {
        let mut answer = self.call(request.clone());
        assert!(answer.get("ok").is_some(), "{request} {answer}");
        answer["ok"].take()
    }

    /// The code with which a request is refused.
    pub fn refused(&mut self, request: Value) -> String {
        let answer = self.call(request.clone());
        assert!(answer.get("error").is_some(), "{request} {answer}");
        answer["error"]["code"].as_str().unwrap().to_owned()
    }

    /// The next line that is no event; events are kept.
    pub fn read_answer(&mut self) -> Value {
        loop {
            let line = self.read_line();
            if line.get("events").is_none() {
                return line;
            }
            self.keep(line);
        }
    }

    /// Waits for an event.
    pub fn event(&mut self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            if let Some(event) = self.events.iter().find(|event| event["event"] == kind && wanted(event)) {
                return event.clone();
            }
            let line = self.read_line();
            self.keep(line);
        }
    }

    /// Asks again and again until something is so.
    pub fn until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let since = Instant::now();
        while !is_so(self) {
            assert!(since.elapsed() < PATIENCE, "it never came to be");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn write_from_another_thread(&self, text: String) {
        let mut stream = self.stream.try_clone().unwrap();
        std::thread::spawn(move || stream.write_all(text.as_bytes()));
    }

    fn read_line(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn keep(&mut self, line: Value) {
        let events = line["events"].as_array().unwrap();
        let last_event = line["last_event"].as_u64().unwrap();
        assert!(last_event >= self.last_event + events.len() as u64, "{line} after {}", self.last_event);
        self.last_event = last_event;
        self.events.extend(events.iter().cloned());
    }
}

/// One who talks to an endpoint.
pub struct Party {
    pub rtp: UdpSocket,
    rtcp: UdpSocket,
    to: (SocketAddr, SocketAddr),
}

impl Party {
    pub fn new(ports: &Value) -> Self {
        let port = |name: &str| SocketAddr::from(([127, 0, 0, 1], ports[name].as_u64().unwrap() as u16));
        let (rtp, rtcp) = bind_pair();
        Self { rtp, rtcp, to: (port("rtp"), port("rtcp")) }
    }

    /// Another one who sends to the same endpoint.
    pub fn stranger(&self) -> Self {
        let (rtp, rtcp) = bind_pair();
        Self { rtp, rtcp, to: self.to }
    }

    /// The port that it sends to.
    pub fn port(&self) -> u16 {
        self.to.0.port()
    }

    pub fn send(&self, packet: &[u8]) {
        self.rtp.send_to(packet, self.to.0).unwrap();
    }

    pub fn receive(&self) -> Vec<u8> {
        receive(&self.rtp)
    }

    pub fn send_rtcp(&self, packet: &[u8]) {
        self.rtcp.send_to(packet, self.to.1).unwrap();
    }

    pub fn receive_rtcp(&self) -> Vec<u8> {
        receive(&self.rtcp)
    }
}

/// Two ports, one above the other.
fn bind_pair() -> (UdpSocket, UdpSocket) {
    loop {
        let rtp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let above = rtp.local_addr().unwrap().port().checked_add(1);
        if let Some(rtcp) = above.and_then(|port| UdpSocket::bind(("127.0.0.1", port)).ok()) {
            rtp.set_read_timeout(Some(PATIENCE)).unwrap();
            rtcp.set_read_timeout(Some(PATIENCE)).unwrap();
            return (rtp, rtcp);
        }
    }
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let length = socket.recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

pub fn pcmu() -> Value {
    json!([{"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000}])
}

pub fn rtp(payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    RtpHeader { marker: false, payload_type, sequence, timestamp, ssrc }.write(bytes.first_chunk_mut().unwrap());
    bytes.extend_from_slice(payload);
    bytes
}

/// A WAV file of mu-law codes.
pub fn mu_law_file(codes: &[u8]) -> Vec<u8> {
    let mut file = media_core::wav::header(0).to_vec();
    file[20] = 7;
    file[34] = 8;
    file[40..44].copy_from_slice(&(codes.len() as u32).to_le_bytes());
    file.extend_from_slice(codes);
    file
}
