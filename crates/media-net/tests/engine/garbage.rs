//! What nobody asked for: floods, loops, packets with absurd lengths and from absurd places. Live calls beside it go on.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use super::client::{pcmu, rtp, Client, Party, Running};
use super::{bridged, payload};

/// How long a call has to go on beside what is thrown at others.
const SECONDS: u64 = 1;

/// Speaks both ways for a while; every packet has to come, and nothing else.
fn talk(a: &Party, b: &Party, first: u16) {
    let begun = Instant::now();
    for n in first..first + 50 * SECONDS as u16 {
        let (there, back) =
            (rtp(0, 1, n, u32::from(n) * 160, &payload(1)), rtp(0, 2, n, u32::from(n) * 160, &payload(2)));
        a.send(&there);
        b.send(&back);
        assert_eq!(b.receive(), there);
        assert_eq!(a.receive(), back);
        let due = begun + Duration::from_millis(20) * u32::from(n - first + 1);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

/// Throws packets at ports as fast as it can; ends, and tells how many it threw, when it is told to.
fn throw(ports: Vec<u16>, kinds: Vec<Vec<u8>>, stop: &'static AtomicBool) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut thrown = 0u64;
        while !stop.load(Ordering::Relaxed) {
            let port = ports[thrown as usize % ports.len()];
            let kind = &kinds[(thrown as usize / ports.len()) % kinds.len()];
            let _ = socket.send_to(kind, ("127.0.0.1", port));
            thrown += 1;
        }
        thrown
    })
}

/// RTP that is plausible and not, RTCP that promises more than there is, nothing, and the longest datagram there can be.
fn kinds() -> Vec<Vec<u8>> {
    let noise: Vec<u8> = (0..65_507u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut endless = noise[..1200].to_vec();
    endless[..4].copy_from_slice(&[0x9f, 201, 0xff, 0xff]);
    let mut extended = rtp(0, 9, 1, 1, &[0; 20]);
    extended[0] |= 0x1f;
    vec![
        rtp(0, 9, 1, 1, &[0; 160]),
        Vec::new(),
        vec![0x80],
        noise[..172].to_vec(),
        endless,
        extended,
        rtp(0, 9, 1, 1, &[0; 2036]),
        rtp(0, 9, 1, 1, &[0; 2037]),
        noise,
    ]
}

fn ports_of(opened: &Value) -> [u16; 2] {
    ["rtp", "rtcp"].map(|name| opened[name].as_u64().unwrap() as u16)
}

#[test]
fn a_flood_onto_fifty_ports_costs_a_live_call_nothing() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    let mut ports = Vec::new();
    for n in 0..25 {
        let session = format!("flooded-{}", n / 10);
        client.ok(json!({"op": "open_session", "session": session}));
        let name = n.to_string();
        ports.extend(ports_of(&client.ok(json!({"op": "open_endpoint", "session": session, "endpoint": name}))));
        // some of them are of calls that wait for their first packet, and are bridged
        if n % 2 == 1 {
            client.ok(json!({"op": "configure_endpoint", "session": session, "endpoint": name, "formats": pcmu()}));
            let sink = if n % 10 == 1 { Value::Null } else { json!((n - 2).to_string()) };
            client.ok(json!({"op": "set_route", "session": session, "source": name, "sink": sink}));
        }
    }
    let flood = throw(ports, kinds(), &STOP);
    talk(&a, &b, 0);
    STOP.store(true, Ordering::Relaxed);
    assert!(flood.join().unwrap() > 5_000 * SECONDS, "that was no flood");
    let found = client.ok(json!({"op": "session_statistics", "session": "s"}));
    for endpoint in ["a", "b"] {
        assert_eq!(
            (&found["endpoints"][endpoint]["lost"], &found["endpoints"][endpoint]["strays"]),
            (&json!(0), &json!(0))
        );
    }
}

#[test]
fn a_flood_onto_a_live_call_from_elsewhere_reaches_nobody() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    // both have been heard: from now on nobody else is
    a.send(&rtp(0, 1, 0, 0, &payload(1)));
    b.receive();
    b.send(&rtp(0, 2, 0, 0, &payload(2)));
    a.receive();
    // a stranger with all kinds, on the ports of the call itself
    let flood = throw(vec![a.port(), b.port()], kinds(), &STOP);
    std::thread::sleep(Duration::from_millis(200));
    STOP.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    // what still waits in the sockets is read, so that there is room for the call's own
    let mut strays =
        || client.ok(json!({"op": "session_statistics", "session": "s"}))["endpoints"]["a"]["strays"].as_u64();
    let mut seen = None;
    while seen != strays() {
        seen = strays();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(seen > Some(0));
    talk(&a, &b, 1);
}

#[test]
fn legs_that_send_to_each_other_in_a_ring_do_not_spin() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    // two sessions, each leg of the one the remote of the other's: what comes in never gets out
    let mut legs = Vec::new();
    for session in ["one", "two"] {
        client.ok(json!({"op": "open_session", "session": session}));
        for endpoint in ["a", "b"] {
            legs.push((
                session,
                endpoint,
                client.ok(json!({"op": "open_endpoint", "session": session, "endpoint": endpoint})),
            ));
        }
        for (source, sink) in [("a", "b"), ("b", "a")] {
            client.ok(json!({"op": "set_route", "session": session, "source": source, "sink": sink}));
        }
    }
    for (leg, other) in [(0, 2), (1, 3), (2, 0), (3, 1)] {
        let (session, endpoint, _) = &legs[leg];
        let remote = json!({"host": "127.0.0.1", "port": legs[other].2["rtp"]});
        client.ok(json!({"op": "configure_endpoint", "session": session, "endpoint": endpoint, "remote": remote,
            "formats": pcmu()}));
    }
    let relayed =
        |client: &mut Client| client.ok(json!({"op": "engine_statistics"}))["packets_relayed"].as_u64().unwrap();
    let path = engine.path("prompt.wav");
    std::fs::write(&path, super::client::mu_law_file(&vec![0x55; 8000])).unwrap();
    // a second of speech enters the ring
    client.ok(json!({"op": "play", "session": "one", "player": "p", "endpoint": "a", "path": path, "loops": 1}));
    talk(&a, &b, 0);
    client.event("player_ended", |event| event["player"] == "p");
    let before = relayed(&mut client);
    talk(&a, &b, 50);
    let in_ring = relayed(&mut client) - before - 100 * SECONDS;
    // four legs, of which each takes so many packets in a quarter of a second
    assert!(in_ring <= 4 * 1000 * (4 * SECONDS + 1), "{in_ring} packets in the ring");
}

#[test]
fn a_leg_whose_remote_is_itself_does_not_spin() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    client.ok(json!({"op": "open_session", "session": "self"}));
    let own = client.ok(json!({"op": "open_endpoint", "session": "self", "endpoint": "a"}));
    client.ok(json!({"op": "configure_endpoint", "session": "self", "endpoint": "a", "formats": pcmu(),
        "remote": {"host": "127.0.0.1", "port": own["rtp"]}}));
    client.ok(json!({"op": "set_route", "session": "self", "source": "a", "sink": "a"}));
    let path = engine.path("prompt.wav");
    std::fs::write(&path, super::client::mu_law_file(&vec![0x55; 1600])).unwrap();
    client.ok(json!({"op": "play", "session": "self", "player": "p", "endpoint": "a", "path": path, "loops": 1}));
    talk(&a, &b, 0);
    let found = client.ok(json!({"op": "session_statistics", "session": "self"}));
    let received = found["endpoints"]["a"]["packets_received"].as_u64().unwrap();
    assert!(received <= 1000 * (4 * SECONDS + 2), "{received}");
}

#[test]
fn nobody_has_the_engine_send_to_a_group() {
    let engine = Running::start();
    let mut client = engine.client();
    bridged(&mut client);
    client
        .ok(json!({"op": "open_fork", "session": "s", "fork": "f", "endpoint": "a", "side": "inbound", "cname": "c"}));
    for host in ["224.0.0.1", "239.255.255.250", "255.255.255.255", "0.0.0.0", "::", "ff02::1", "::ffff:224.0.0.1"] {
        let remote = json!({"host": host, "port": 4000});
        let request = json!({"op": "configure_endpoint", "session": "s", "endpoint": "a", "remote": remote});
        assert_eq!(client.refused(request), "bad-field", "{host}");
        let request = json!({"op": "configure_endpoint", "session": "s", "endpoint": "a", "remote_rtcp": remote});
        assert_eq!(client.refused(request), "bad-field", "{host}");
        let request = json!({"op": "configure_fork", "session": "s", "fork": "f", "remote": remote, "active": true});
        assert_eq!(client.refused(request), "bad-field", "{host}");
    }
}

#[test]
fn the_whole_of_127_8_is_heard_as_what_it_is() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    a.send(&rtp(0, 1, 0, 0, &payload(1)));
    b.receive();
    for host in ["127.0.0.2", "127.255.255.254", "127.1.2.3"] {
        let stranger = UdpSocket::bind((host, 0)).unwrap();
        stranger.send_to(&rtp(0, 1, 1, 160, &payload(9)), ("127.0.0.1", a.port())).unwrap();
    }
    client.until(|client| {
        client.ok(json!({"op": "session_statistics", "session": "s"}))["endpoints"]["a"]["strays"] == 3
    });
    let there = rtp(0, 1, 1, 160, &payload(1));
    a.send(&there);
    assert_eq!(b.receive(), there);
}
