//! A real engine on a socket of its own, with real UDP on 127.0.0.1.

mod client;
mod forks;
mod garbage;
mod playing;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use client::{pcmu, rtp, Client, Party, Running};

fn address(socket: &UdpSocket) -> Value {
    json!({"host": "127.0.0.1", "port": socket.local_addr().unwrap().port()})
}

/// A session `s` with endpoints `a` and `b`, bridged, each with a party.
fn bridged(client: &mut Client) -> (Party, Party) {
    client.ok(json!({"op": "open_session", "session": "s"}));
    let [a, b] = ["a", "b"].map(|name| {
        let ports = client.ok(json!({"op": "open_endpoint", "session": "s", "endpoint": name}));
        let party = Party::new(&ports);
        client.ok(json!({"op": "configure_endpoint", "session": "s", "endpoint": name,
            "remote": address(&party.rtp), "formats": pcmu()}));
        party
    });
    client.ok(json!({"op": "set_route", "session": "s", "source": "a", "sink": "b"}));
    client.ok(json!({"op": "set_route", "session": "s", "source": "b", "sink": "a"}));
    (a, b)
}

fn payload(seed: usize) -> Vec<u8> {
    (0..160).map(|n| (n * 7 + seed * 13) as u8).collect()
}

#[test]
fn a_call_is_relayed_forked_both_ways_and_recorded_octet_for_octet() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);

    // the recorder is another session of the same engine, as the bundled SRS is
    client.ok(json!({"op": "open_session", "session": "srs"}));
    let mut forks = Vec::new();
    for side in ["inbound", "outbound"] {
        let srs = client.ok(json!({"op": "open_endpoint", "session": "srs", "endpoint": side}));
        client.ok(json!({"op": "configure_endpoint", "session": "srs", "endpoint": side, "remote": null,
            "formats": pcmu(), "send": false}));
        let path = engine.path(&format!("{side}.wav"));
        client.ok(json!({"op": "open_recorder", "session": "srs", "recorder": side, "endpoint": side, "path": path}));
        let open = json!({"op": "open_fork", "session": "s", "fork": format!("SR1/{side}"), "endpoint": "a",
            "side": side, "cname": "x@y"});
        let ports = client.ok(open.clone());
        assert_eq!(client.ok(open), ports);
        client.ok(json!({"op": "configure_fork", "session": "s", "fork": format!("SR1/{side}"), "active": true,
            "remote": {"host": "127.0.0.1", "port": srs["rtp"]}, "formats": pcmu()}));
        forks.push((ports, path));
    }

    for n in 0..50u16 {
        let (from_a, from_b) = (payload(usize::from(n)), payload(1000 + usize::from(n)));
        let there = rtp(0, 1, n, u32::from(n) * 160, &from_a);
        let back = rtp(0, 2, 900 + n, 7_000 + u32::from(n) * 160, &from_b);
        a.send(&there);
        b.send(&back);
        assert_eq!(b.receive(), there);
        assert_eq!(a.receive(), back);
    }
    // one second of talk was sent at once; the recorder places it by its time stamps
    client.until(|client| {
        let srs = client.ok(json!({"op": "session_statistics", "session": "srs"}));
        ["inbound", "outbound"].iter().all(|side| srs["endpoints"][side]["packets_received"] == 50)
    });
    let of_call = client.ok(json!({"op": "session_statistics", "session": "s"}));
    for side in ["a", "b"] {
        let endpoint = &of_call["endpoints"][side];
        assert_eq!((&endpoint["packets_received"], &endpoint["octets_sent"]), (&json!(50), &json!(8000)));
        assert_eq!(endpoint["lost"], 0);
    }
    let recorded = client.ok(json!({"op": "close_recorder", "session": "srs", "recorder": "inbound"}));
    assert_eq!((&recorded["packets"], &recorded["samples"], &recorded["lost"]), (&json!(50), &json!(8000), &json!(0)));
    assert_eq!(recorded["path"], json!(forks[0].1));
    let closed = client.ok(json!({"op": "close_fork", "session": "s", "fork": "SR1/inbound"}));
    assert_eq!(
        (&closed["packets_sent"], &closed["octets_sent"], &closed["send_errors"]),
        (&json!(50), &json!(8000), &json!(0))
    );
    assert!(closed["first_packet_ns"].as_u64().unwrap() <= recorded["first_sample_ns"].as_u64().unwrap());
    let closed = client.ok(json!({"op": "close_session", "session": "srs"}));
    assert_eq!(closed["recorders"]["outbound"]["samples"], 8000);
    for (index, (_, path)) in forks.iter().enumerate() {
        let file = std::fs::read(path).unwrap();
        let wav = media_core::wav::parse(&file).unwrap();
        let expected: Vec<u8> = (0..50)
            .flat_map(|n| payload(index * 1000 + n))
            .flat_map(|code| media_core::g711::MU_LAW_TO_LINEAR[usize::from(code)].to_le_bytes())
            .collect();
        assert!(wav.data == expected, "recording {index} differs");
    }

    let totals = client.ok(json!({"op": "engine_statistics"}));
    assert_eq!((&totals["packets_relayed"], &totals["packets_forked"]), (&json!(100), &json!(100)));
    assert!(totals["latency_p50_us"].as_f64().unwrap() > 0.0);
    assert!(totals["latency_p99_us"].as_f64().unwrap() >= totals["latency_p50_us"].as_f64().unwrap());
    assert!(totals["resident_bytes"].as_u64().unwrap() > 100_000);
    client.event("fork_started", |event| event["fork"] == "SR1/inbound" && event["at_ns"].is_u64());
    client.event("first_packet", |event| event["session"] == "s" && event["endpoint"] == "a");
    client.event("latched", |event| event["session"] == "srs" && event["remote"]["port"] == forks[0].0["rtp"]);
    assert_eq!(client.ok(json!({"op": "list_sessions"})), json!({"sessions": ["s"]}));
}

#[test]
fn reports_pass_between_the_parties() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    let report = media_core::rtcp::CompoundBuilder::report(1, None, &[]).cname(1, "a@call").build();
    a.send_rtcp(&report);
    assert_eq!(b.receive_rtcp(), report);
    b.send_rtcp(&report);
    assert_eq!(a.receive_rtcp(), report);
}

#[test]
fn a_player_keeps_its_schedule_and_reports_its_end() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, _b) = bridged(&mut client);
    let path = engine.path("prompt.wav");
    let codes: Vec<u8> = (0..20).flat_map(payload).collect();
    std::fs::write(&path, client::mu_law_file(&codes)).unwrap();
    client.ok(json!({"op": "play", "session": "s", "player": "p", "endpoint": "a", "path": path, "loops": 2}));
    let mut played = Vec::new();
    let mut times = Vec::new();
    for n in 0..40 {
        let packet = a.receive();
        times.push(Instant::now());
        let parsed = media_core::rtp::RtpPacket::parse(&packet).unwrap();
        assert_eq!(parsed.marker(), n == 0);
        played.extend_from_slice(parsed.payload());
    }
    assert_eq!(played, [&codes[..], &codes[..]].concat());
    let spread = times[39].duration_since(times[0]).as_millis();
    assert!((700..1200).contains(&spread), "{spread} ms for 780");
    client.event("player_ended", |event| event["player"] == "p" && event["completed"] == true);

    client.ok(json!({"op": "play", "session": "s", "player": "q", "endpoint": "a", "path": path, "loops": 0}));
    a.receive();
    client.ok(json!({"op": "stop_player", "session": "s", "player": "q"}));
    client.event("player_ended", |event| event["player"] == "q" && event["completed"] == false);
    client.ok(json!({"op": "stop_player", "session": "s", "player": "q"}));
    std::fs::write(&path, b"no wav").unwrap();
    let play = json!({"op": "play", "session": "s", "player": "r", "endpoint": "a", "path": path});
    assert_eq!(client.refused(play), "bad-file");
    let play = json!({"op": "play", "session": "s", "player": "r", "endpoint": "x", "path": path});
    assert_eq!(client.refused(play), "no-endpoint");
}

#[test]
fn strays_unreachable_remotes_and_silence_are_noticed() {
    let engine = Running::start_with(|options| options.silence = Duration::from_millis(300));
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    a.send(&rtp(0, 1, 1, 0, b"x"));
    b.receive();
    let stranger = a.stranger();
    for n in 0..3 {
        stranger.send(&rtp(0, 9, n, 0, b"stray"));
    }
    client.until(|client| {
        client.ok(json!({"op": "session_statistics", "session": "s"}))["endpoints"]["a"]["strays"] == 3
    });
    client.event("silence_timeout", |event| event["endpoint"] == "a" && event["silent_ms"].as_u64() >= Some(300));
    drop(b);
    for n in 2..20 {
        a.send(&rtp(0, 1, n, 0, b"x"));
        std::thread::sleep(Duration::from_millis(2));
    }
    client.event("unreachable", |event| event["name"] == "b");
}

#[test]
fn a_settled_leg_goes_on_and_moves_when_it_is_configured_anew() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    for n in 0..600 {
        a.send(&rtp(0, 1, n, 0, b"there"));
        b.receive();
        b.send(&rtp(0, 2, n, 0, b"back"));
        a.receive();
    }
    let moved = b.stranger();
    client.ok(json!({"op": "configure_endpoint", "session": "s", "endpoint": "b",
        "remote": address(&moved.rtp), "formats": pcmu()}));
    a.send(&rtp(0, 1, 700, 0, b"there"));
    assert_eq!(moved.receive(), rtp(0, 1, 700, 0, b"there"));
    moved.send(&rtp(0, 2, 700, 0, b"back"));
    assert_eq!(a.receive(), rtp(0, 2, 700, 0, b"back"));
}

#[test]
fn bursts_are_taken_whole() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    client
        .ok(json!({"op": "open_fork", "session": "s", "fork": "f", "endpoint": "a", "side": "inbound", "cname": "c"}));
    let srs = a.stranger();
    client.ok(json!({"op": "configure_fork", "session": "s", "fork": "f", "remote": address(&srs.rtp), "active": true,
        "formats": pcmu()}));
    for n in 0..100 {
        a.send(&rtp(0, 1, n, u32::from(n) * 160, &payload(usize::from(n))));
    }
    for n in 0..100 {
        assert_eq!(b.receive()[12..], payload(n)[..]);
        assert_eq!(srs.receive()[12..], payload(n)[..]);
    }
}

#[test]
fn ports_rest_before_they_are_used_again_and_run_out() {
    let engine = Running::start_with(|options| {
        options.port_max = options.port_min + 7;
        options.port_cooldown = Duration::from_millis(500);
    });
    let mut client = engine.client();
    client.ok(json!({"op": "open_session", "session": "s"}));
    let open =
        |client: &mut Client, name: &str| client.call(json!({"op": "open_endpoint", "session": "s", "endpoint": name}));
    let first = open(&mut client, "0")["ok"].clone();
    assert_eq!(first["rtp"].as_u64().unwrap() % 2, 0);
    assert_eq!(first["rtcp"].as_u64().unwrap(), first["rtp"].as_u64().unwrap() + 1);
    assert_eq!(open(&mut client, "0")["ok"], first);
    let mut opened = 1;
    while open(&mut client, &opened.to_string()).get("ok").is_some() {
        opened += 1;
    }
    // another test may hold some of the ports
    assert!((2..=4).contains(&opened));
    assert_eq!(open(&mut client, "more")["error"]["code"], "no-ports");
    let since = Instant::now();
    client.ok(json!({"op": "close_endpoint", "session": "s", "endpoint": "0"}));
    client.until(|client| open(client, "again").get("ok").is_some());
    assert!(since.elapsed() >= Duration::from_millis(500));
    assert_eq!(open(&mut client, "again")["ok"]["rtp"], first["rtp"]);
}

#[test]
fn bad_requests_are_answered_and_harm_nobody() {
    let engine = Running::start_with(|options| options.max_sessions = 2);
    let mut client = engine.client();
    let codes = [
        ("not json at all", "bad-json"),
        ("{\"id\":1,\"op\":\"dance\"}", "unknown-operation"),
        ("{\"id\":1,\"op\":\"open_session\"}", "bad-field"),
        ("{\"id\":1,\"op\":\"session_statistics\",\"session\":\"x\"}", "no-session"),
        ("{\"op\":\"list_sessions\"}", "bad-field"),
    ];
    for (line, code) in codes {
        assert_eq!(client.raw(line)["error"]["code"], code, "{line}");
    }
    let long = format!("{{\"id\":1,\"op\":\"{}\"}}", "x".repeat(70_000));
    let answer = client.raw(&long);
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!("line-too-long"), &Value::Null));
    let mut noise = 1u64;
    for _ in 0..300 {
        let line: String = (0..40)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b' ' + (noise >> 58) as u8)
            })
            .collect();
        assert!(client.raw(&format!("x{line}")).get("error").is_some());
    }
    for (session, expected) in [("1", "ok"), ("2", "ok"), ("1", "ok"), ("3", "error")] {
        assert!(client.call(json!({"op": "open_session", "session": session})).get(expected).is_some());
    }
    assert_eq!(client.refused(json!({"op": "open_session", "session": "3"})), "limit");
    client.ok(json!({"op": "open_endpoint", "session": "1", "endpoint": "a"}));
    client.ok(
        json!({"op": "open_fork", "session": "1", "fork": "of a", "endpoint": "a", "side": "inbound", "cname": "c"}),
    );
    let elsewhere = json!({"host": "::1", "port": 9});
    let here = json!({"host": "127.0.0.1", "port": 9});
    for (request, code) in [
        // nothing can be sent there from an interface of IPv4
        (json!({"op": "configure_endpoint", "session": "1", "endpoint": "a", "remote": elsewhere}), "bad-field"),
        (
            json!({"op": "configure_endpoint", "session": "1", "endpoint": "a", "remote": here, "remote_rtcp": elsewhere}),
            "bad-field",
        ),
        (
            json!({"op": "configure_fork", "session": "1", "fork": "of a", "active": true, "remote": elsewhere}),
            "bad-field",
        ),
        (json!({"op": "open_endpoint", "session": "1", "endpoint": "a", "interface": "other"}), "conflict"),
        (json!({"op": "open_endpoint", "session": "1", "endpoint": "b", "interface": "other"}), "no-interface"),
        (json!({"op": "open_endpoint", "session": "9", "endpoint": "a"}), "no-session"),
        (json!({"op": "configure_endpoint", "session": "1", "endpoint": "b"}), "no-endpoint"),
        (json!({"op": "set_route", "session": "1", "source": "a", "sink": "b"}), "no-endpoint"),
        (json!({"op": "configure_fork", "session": "1", "fork": "f", "active": true}), "no-fork"),
        (
            json!({"op": "open_fork", "session": "1", "fork": "f", "endpoint": "b", "side": "inbound", "cname": "c"}),
            "no-endpoint",
        ),
        (json!({"op": "play", "session": "1", "player": "p", "endpoint": "a", "path": "/etc/hostname"}), "bad-file"),
        (json!({"op": "play", "session": "1", "player": "p", "endpoint": "a", "path": "/"}), "bad-file"),
        (
            json!({"op": "open_recorder", "session": "1", "recorder": "r", "endpoint": "a", "path": "/no/such/file"}),
            "bad-file",
        ),
        (
            json!({"op": "open_recorder", "session": "1", "recorder": "r", "endpoint": "x", "path": "/no/such/file"}),
            "no-endpoint",
        ),
    ] {
        assert_eq!(client.refused(request.clone()), code, "{request}");
    }
    // closing what is not open is no error
    for request in [
        json!({"op": "close_session", "session": "9"}),
        json!({"op": "close_endpoint", "session": "9", "endpoint": "a"}),
        json!({"op": "close_fork", "session": "1", "fork": "f"}),
        json!({"op": "close_fork", "session": "9", "fork": "f"}),
        json!({"op": "close_recorder", "session": "1", "recorder": "r"}),
        json!({"op": "stop_player", "session": "9", "player": "p"}),
    ] {
        client.ok(request);
    }
    let ports = client.ok(json!({"op": "engine_statistics"}));
    assert_eq!(ports["sessions"], 2);
}

#[test]
fn the_greeting_comes_first_and_answers_come_in_order() {
    let engine = Running::start();
    let mut client = engine.connect();
    assert_eq!(client.refused(json!({"op": "list_sessions"})), "hello-required");
    assert_eq!(client.refused(json!({"op": "hello", "protocol": 2})), "bad-version");
    assert_eq!(client.refused(json!({"op": "list_sessions"})), "hello-required");
    let greeting = client.ok(json!({"op": "hello", "protocol": 1}));
    assert_eq!((&greeting["protocol"], &greeting["interfaces"][0]["name"]), (&json!(1), &json!("default")));

    let mut many = engine.client();
    let mut lines = String::new();
    for n in 0..3000 {
        let request = match n % 3 {
            0 => json!({"id": n, "op": "open_session", "session": format!("s{}", n % 50)}),
            1 => json!({"id": n, "op": "list_sessions"}),
            _ => json!({"id": n, "op": "open_endpoint", "session": format!("s{}", (n - 2) % 50), "endpoint": "a"}),
        };
        lines += &format!("{request}\n");
    }
    many.write_from_another_thread(lines);
    for n in 0..3000 {
        assert_eq!(many.read_answer()["id"], n);
    }
}

#[test]
fn sessions_outlive_their_control_connection_for_a_while() {
    let engine = Running::start_with(|options| options.orphan_grace = Duration::from_millis(400));
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    drop(client);
    std::thread::sleep(Duration::from_millis(100));
    a.send(&rtp(0, 1, 1, 0, b"still there"));
    assert_eq!(b.receive(), rtp(0, 1, 1, 0, b"still there"));
    let mut client = engine.client();
    assert_eq!(client.ok(json!({"op": "list_sessions"}))["sessions"], json!(["s"]));
    drop(client);
    std::thread::sleep(Duration::from_millis(1200));
    let mut client = engine.client();
    assert_eq!(client.ok(json!({"op": "list_sessions"}))["sessions"], json!([]));
}

#[test]
fn a_client_that_comes_back_gets_the_events_that_it_missed() {
    let engine = Running::start();
    let mut client = engine.connect();
    let greeting = client.ok(json!({"op": "hello", "protocol": 1, "events": true}));
    assert_eq!(greeting["last_event"], 0);
    client.ok(json!({"op": "open_session", "session": "s"}));
    let parties = ["a", "b", "c"]
        .map(|name| Party::new(&client.ok(json!({"op": "open_endpoint", "session": "s", "endpoint": name}))));
    let speak = |index: usize| parties[index].send(&rtp(0, 1, 1, 0, b"hello"));
    let is_of = |name: &'static str| move |event: &Value| event["endpoint"] == name;
    speak(0);
    client.event("first_packet", is_of("a"));
    let seen = client.last_event;
    drop(client);
    speak(1);
    let mut watch = engine.client();
    watch.until(|client| {
        client.ok(json!({"op": "session_statistics", "session": "s"}))["endpoints"]["b"]["packets_received"] == 1
    });

    let resume = |instance: &Value| json!({"instance": instance, "last_event": seen});
    let mut back = engine.connect();
    back.ok(json!({"op": "hello", "protocol": 1, "events": true, "resume": resume(&greeting["instance"])}));
    let mut stranger = engine.connect();
    let again = stranger.ok(json!({"op": "hello", "protocol": 1, "events": true, "resume": resume(&json!("another"))}));
    assert_eq!((&again["instance"], again["last_event"].as_u64()), (&greeting["instance"], Some(seen + 1)));
    speak(2);
    for (client, wanted) in [(&mut back, vec!["b", "c"]), (&mut stranger, vec!["c"])] {
        client.event("first_packet", is_of("c"));
        let heard: Vec<&Value> = client.events.iter().map(|event| &event["endpoint"]).collect();
        assert_eq!(heard, wanted);
        assert_eq!(client.last_event, seen + 2);
    }
}

#[test]
fn a_place_where_it_cannot_listen_is_named() {
    let interface =
        media_net::Interface { name: "default".into(), bind_host: [127, 0, 0, 1].into(), advertised_host: "h".into() };
    let options = media_net::EngineOptions::new("/nowhere/media.sock".into(), vec![interface], 4000, 4003);
    let error = media_net::Engine::start(options).err().map(|error| error.to_string());
    assert!(error.is_some_and(|text| text.starts_with("/nowhere/media.sock: ")));
}

#[test]
fn stopping_completes_recordings_and_removes_the_socket() {
    let mut engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    let path = engine.path("r.wav");
    client.ok(json!({"op": "open_recorder", "session": "s", "recorder": "r", "endpoint": "a", "path": path}));
    let again = json!({"op": "open_recorder", "session": "s", "recorder": "q", "endpoint": "a", "path": path});
    assert_eq!(client.refused(again), "bad-file");
    a.send(&rtp(0, 1, 1, 0, &[0x80; 160]));
    b.receive();
    assert!(engine.second().is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse));
    engine.stop();
    let file = std::fs::read(&path).unwrap();
    assert_eq!(media_core::wav::parse(&file).unwrap().data, [0x7c, 0x7d].repeat(160));
    assert!(!engine.socket().exists());
}
