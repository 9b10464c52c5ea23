//! The program on the loopback: what is relayed, forked, counted and left alone.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use media_kernel::{Fork, Hop, KernelPath, Leg, Numbers, Place, Tally};

const SSRC: u32 = 0x0102_0304;

/// None, and said why, where the program cannot be loaded.
fn loaded() -> Option<KernelPath> {
    match KernelPath::load() {
        Ok(path) => Some(path),
        Err(reason) => {
            eprintln!("skipped: {reason}");
            None
        }
    }
}

/// A party, the engine's two ports, the other party and a recorder.
struct Call {
    party: UdpSocket,
    here: UdpSocket,
    there: UdpSocket,
    other: UdpSocket,
    recorder: UdpSocket,
}

impl Call {
    fn new(host: &str) -> Self {
        let bind = || {
            let socket = UdpSocket::bind(SocketAddr::new(host.parse().unwrap(), 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            socket
        };
        let call = Self { party: bind(), here: bind(), there: bind(), other: bind(), recorder: bind() };
        call.here.connect(at(&call.party)).unwrap();
        call
    }

    fn leg(&self, forks: usize) -> Leg {
        let hop = |to: &UdpSocket| Hop { from: at(&self.there), to: at(to), traffic_class: 0xb8, priority: 6 };
        let numbers = |n| Numbers { ssrc: 99 + n as u32, sequence_offset: 0xffff, timestamp_offset: 1000 };
        let fork = |n| Fork { hop: hop(&self.recorder), payload_type: 8, numbers: (n > 0).then(|| numbers(n)) };
        Leg {
            at: at(&self.here),
            from: at(&self.party),
            ssrc: SSRC,
            payload_type: 0,
            clock_rate: 8000,
            relay: Some(hop(&self.other)),
            forks: (0..forks).map(fork).collect(),
            begin: Tally { newest: 9, newest_timestamp: 1440, ..Tally::default() },
        }
    }

    fn send(&self, packet: &[u8]) {
        self.party.send_to(packet, at(&self.here)).unwrap();
    }

    /// True if the packet comes to the engine's socket and nowhere else.
    fn is_left_alone(&self, packet: &[u8]) -> bool {
        self.send(packet);
        receive(&self.here).is_some_and(|(got, from)| got == packet && from == at(&self.party))
            && is_silent(&self.other)
            && is_silent(&self.recorder)
    }
}

fn at(socket: &UdpSocket) -> SocketAddr {
    socket.local_addr().unwrap()
}

fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 2048];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    Some((buffer[..length].to_vec(), from))
}

fn is_silent(socket: &UdpSocket) -> bool {
    socket.set_nonblocking(true).unwrap();
    let silent = receive(socket).is_none();
    socket.set_nonblocking(false).unwrap();
    silent
}

fn packet(second: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, second];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..161u8).map(|n| n ^ sequence as u8)); // of odd length
    packet
}

fn take_all(path: &KernelPath, call: &Call, forks: usize) -> (Place, Leg) {
    let leg = call.leg(forks);
    (open(path, &leg), leg)
}

/// Opens a leg, as soon as the program is attached.
fn open(path: &KernelPath, leg: &Leg) -> Place {
    for _ in 0..1000 {
        match path.open(leg, || true) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => std::thread::sleep(Duration::from_millis(5)),
            other => return other.unwrap(),
        }
    }
    panic!("the program is never attached");
}

#[test]
fn a_leg_with_packets_that_wait_elsewhere_is_not_opened() {
    let Some(path) = loaded() else { return };
    let call = Call::new("127.0.0.1");
    path.close(open(&path, &call.leg(1))).unwrap();
    assert_eq!(path.open(&call.leg(1), || false).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(path.is_empty());
}

#[test]
fn a_packet_that_comes_while_a_leg_is_opened_is_not_overtaken() {
    let Some(path) = loaded() else { return };
    let call = Call::new("127.0.0.1");
    path.close(open(&path, &call.leg(1))).unwrap();
    // after the last look: it waits, and the leg is closed again
    let looks = Cell::new(0);
    let clear = || looks.replace(looks.get() + 1) == 0;
    assert_eq!(path.open(&call.leg(1), clear).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!((looks.get(), path.len()), (2, 0));
    assert!(call.is_left_alone(&packet(0, 10, 1600, SSRC)));
    // the one after it was relayed by then: that cannot be undone, and is counted
    let looks = Cell::new(0);
    let clear = || {
        let is_first = looks.replace(looks.get() + 1) == 0;
        if !is_first {
            call.send(&packet(0, 11, 11 * 160, SSRC));
        }
        is_first
    };
    let place = path.open(&call.leg(1), clear).unwrap();
    call.send(&packet(0, 12, 12 * 160, SSRC));
    for n in [11, 12] {
        assert_eq!(receive(&call.other).expect("it is relayed").0, packet(0, n, u32::from(n) * 160, SSRC));
    }
    let tally = path.close(place).unwrap();
    assert_eq!((tally.packets, tally.newest, path.len()), (2, 12, 0));
}

#[test]
fn packets_are_relayed_and_forked_with_their_numbers() {
    let Some(path) = loaded() else { return };
    for host in ["127.0.0.1", "::1"] {
        let call = Call::new(host);
        let (place, _) = take_all(&path, &call, 4);
        assert!(path.moved([((), &place)]).is_empty(), "routes are as they were");
        for (n, marker) in [(10u16, 0x80), (11, 0), (13, 0)] {
            let sent = packet(marker, n, u32::from(n) * 160, SSRC);
            call.send(&sent);
            let (relayed, from) = receive(&call.other).expect("it is relayed");
            assert_eq!((relayed, from), (sent.clone(), at(&call.there)), "{host}");
            for fork in 0..4u32 {
                let (copy, from) = receive(&call.recorder).expect("it is forked");
                let mut expected = match fork {
                    0 => packet(0, n, u32::from(n) * 160, SSRC),
                    _ => packet(0, n - 1, u32::from(n) * 160 + 1000, 99 + fork),
                };
                expected[1] = marker | 8;
                expected[12..].copy_from_slice(&sent[12..]);
                assert_eq!((copy, from), (expected, at(&call.there)), "{host}");
            }
        }
        assert!(is_silent(&call.here));
        let tally = path.close(place).unwrap();
        assert_eq!((tally.packets, tally.octets, tally.newest, tally.newest_timestamp), (3, 483, 13, 13 * 160));
        assert_eq!((tally.seen, tally.unsent), (0b1101, [0; media_kernel::MAX_FORKS]));
        assert!(tally.arrived_ns > 0);
        // closed: all goes to the socket again
        assert!(call.is_left_alone(&packet(0, 14, 14 * 160, SSRC)));
    }
}

#[test]
fn what_is_not_as_expected_goes_to_the_engine() {
    let Some(path) = loaded() else { return };
    let call = Call::new("127.0.0.1");
    let (place, _) = take_all(&path, &call, 1);
    let good = packet(0, 10, 1600, SSRC);
    let odd = |change: fn(&mut Vec<u8>)| {
        let mut packet = good.clone();
        change(&mut packet);
        packet
    };
    let cases = [
        ("another SSRC", packet(0, 10, 1600, SSRC + 1)),
        ("a telephone event", packet(101, 10, 1600, SSRC)),
        ("a number that came before", packet(0, 9, 1600, SSRC)),
        ("a jump of numbers", packet(0, 9 + 3000, 1600, SSRC)),
        ("a jump of time", packet(0, 10, 1440 + 16_001, SSRC)),
        ("a jump back in time", packet(0, 10, 1440u32.wrapping_sub(16_001), SSRC)),
        ("RTCP", odd(|packet| packet[1] = 200)),
        ("an extension", odd(|packet| packet[0] = 0x90)),
        ("padding", odd(|packet| packet[0] = 0xa0)),
        ("no RTP", odd(|packet| packet[0] = 0)),
        ("a short one", good[..11].to_vec()),
        ("a very long one", odd(|packet| packet.resize(1300, 0))),
        ("nothing at all", Vec::new()),
    ];
    for (name, packet) in cases {
        assert!(call.is_left_alone(&packet), "{name}");
    }
    // a stranger's packet is not even the connected socket's
    call.recorder.send_to(&good, at(&call.here)).unwrap();
    assert!(is_silent(&call.here) && is_silent(&call.other));
    call.send(&good);
    assert_eq!(receive(&call.other).unwrap().0, good);
    assert_eq!(path.close(place).unwrap().packets, 1);
}

#[test]
fn one_packet_of_many_is_shown_to_the_engine() {
    let Some(path) = loaded() else { return };
    let call = Call::new("127.0.0.1");
    let (place, _) = take_all(&path, &call, 0);
    for n in 10..=600u16 {
        call.send(&packet(0, n, u32::from(n) * 160, SSRC));
    }
    let shown: Vec<u16> =
        std::iter::from_fn(|| receive(&call.here)).map(|(got, _)| u16::from(got[2]) << 8 | u16::from(got[3])).collect();
    assert_eq!(shown, [265, 521]);
    let tally = path.read(&place).unwrap();
    assert_eq!((tally.packets, tally.newest), (589, 600));
    assert_eq!(path.close(place).unwrap(), tally);
}

#[test]
fn a_leg_without_a_relay_is_forked_only() {
    let Some(path) = loaded() else { return };
    let call = Call::new("127.0.0.1");
    let leg = Leg { relay: None, ..call.leg(1) };
    let place = open(&path, &leg);
    call.send(&packet(0, 10, 1600, SSRC));
    assert!(receive(&call.recorder).is_some());
    assert!(is_silent(&call.here) && is_silent(&call.other));
    path.close(place).unwrap();
}

#[test]
fn legs_that_the_program_cannot_take_are_refused() {
    let Some(path) = loaded() else { return };
    let call = Call::new("127.0.0.1");
    let elsewhere = |to: &str| {
        let mut leg = call.leg(1);
        leg.forks[0].hop.to = to.parse().unwrap();
        leg
    };
    let refused = [
        ("another family", elsewhere("[::1]:5000")),
        ("multicast", elsewhere("224.0.0.9:5000")),
        ("too many forks", call.leg(media_kernel::MAX_FORKS + 1)),
    ];
    for (name, leg) in refused {
        assert_eq!(path.open(&leg, || true).unwrap_err().kind(), ErrorKind::Unsupported, "{name}");
    }
    assert!(path.is_empty());
    assert!(call.is_left_alone(&packet(0, 10, 1600, SSRC)));
}

#[test]
fn jitter_is_counted_as_the_engine_counts_it() {
    let Some(path) = loaded() else { return };
    let call = Call::new("127.0.0.1");
    let place = open(&path, &Leg { begin: Tally { transit: 0, ..call.leg(0).begin }, ..call.leg(0) });
    // packets that come at once though their time stamps are 20 ms apart: each adds 160 samples of jitter
    for n in 10..200u16 {
        call.send(&packet(0, n, u32::from(n) * 160, SSRC));
    }
    let tally = path.close(place).unwrap();
    assert!((140..=165).contains(&(tally.jitter_scaled >> 4)), "{}", tally.jitter_scaled >> 4);
}
