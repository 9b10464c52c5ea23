//! Calls on rtpengine, by its ng protocol: a cookie and a bencoded dictionary in a datagram.

use std::error::Error;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::wire::Places;
use crate::Stream;

pub struct Peer {
    socket: UdpSocket,
    cookie: u32,
}

impl Peer {
    pub fn connect(address: &str) -> Result<Self, Box<dyn Error>> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self { socket, cookie: 0 })
    }

    pub fn open(&mut self, calls: usize, places: &impl Places) -> Result<Vec<Stream>, Box<dyn Error>> {
        let mut streams = Vec::new();
        for call in 0..calls {
            let id = format!("load-{}-{call}", std::process::id());
            let (a, b) = (places.party(2 * call), places.party(2 * call + 1));
            let offered = sdp(a, "sendrecv");
            let to_b = self.call(&[("call-id", &id), ("command", "offer"), ("from-tag", "a"), ("sdp", &offered)])?;
            let answered = sdp(b, "sendrecv");
            let to_a = self.call(&[
                ("call-id", &id),
                ("command", "answer"),
                ("from-tag", "a"),
                ("sdp", &answered),
                ("to-tag", "b"),
            ])?;
            let (at_b, at_a) = (local(places, &to_b)?, local(places, &to_a)?);
            let mut forks = Vec::new();
            for (side, tag) in ["a", "b"].into_iter().enumerate() {
                let copy = self.call(&[("call-id", &id), ("command", "subscribe request"), ("from-tag", tag)])?;
                let to_tag = value(&copy, "to-tag").ok_or("no to-tag")?;
                let accepted = sdp(places.recorder(2 * call + side), "recvonly");
                let answer = [
                    ("call-id", id.as_str()),
                    ("command", "subscribe answer"),
                    ("sdp", &accepted),
                    ("to-tag", &to_tag),
                ];
                self.call(&answer)?;
                forks.push(local(places, &copy)?);
            }
            let stream = |to, relayed_from, other, forked_from| Stream {
                to,
                relayed_from,
                other,
                forked_from: Some(forked_from),
            };
            streams.push(stream(at_a, at_b, 2 * call + 1, forks[0]));
            streams.push(stream(at_b, at_a, 2 * call, forks[1]));
        }
        Ok(streams)
    }

    pub fn close(&mut self, calls: usize) -> Result<(), Box<dyn Error>> {
        for call in 0..calls {
            let id = format!("load-{}-{call}", std::process::id());
            self.call(&[("call-id", &id), ("command", "delete"), ("delete-delay", "0")])?;
        }
        Ok(())
    }

    /// Sends a dictionary, whose keys are in order, and takes the answer.
    fn call(&mut self, fields: &[(&str, &str)]) -> Result<Vec<u8>, Box<dyn Error>> {
        self.cookie += 1;
        // answers are remembered by cookie, so no two runs may share one
        let mut request = format!("{}_{} d", std::process::id(), self.cookie);
        for (key, value) in fields {
            request += &format!("{}:{key}{}:{value}", key.len(), value.len());
        }
        request.push('e');
        self.socket.send(request.as_bytes())?;
        let mut answer = vec![0; 65_536];
        let length = self.socket.recv(&mut answer)?;
        answer.truncate(length);
        match value(&answer, "result").as_deref() {
            Some("ok") => Ok(answer),
            _ => Err(String::from_utf8_lossy(&answer).into_owned().into()),
        }
    }
}

/// The string of a key; good enough for answers in which no string looks like a key.
fn value(answer: &[u8], key: &str) -> Option<String> {
    let text = String::from_utf8_lossy(answer).into_owned();
    let pattern = format!("{}:{key}", key.len());
    let rest = &text[text.find(&pattern)? + pattern.len()..];
    let (length, rest) = rest.split_once(':')?;
    rest.get(..length.parse().ok()?).map(str::to_owned)
}

/// Where the relay listens, by the port in its SDP.
fn local(places: &impl Places, answer: &[u8]) -> Result<SocketAddr, Box<dyn Error>> {
    let sdp = value(answer, "sdp").ok_or("no sdp")?;
    let line = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")).ok_or("no m-line")?;
    let port = line.split(' ').next().ok_or("no port")?.parse()?;
    Ok(SocketAddr::new(places.relay(), port))
}

fn sdp(at: SocketAddr, direction: &str) -> String {
    let (host, port) = (at.ip(), at.port());
    format!(
        "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na={direction}\r\n"
    )
}
