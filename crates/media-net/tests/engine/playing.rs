//! What the engine sends by itself, and what it changes on the way.

use serde_json::{json, Value};

use crate::client::{rtp, Client, Party, Running};
use crate::{address, bridged};
use media_core::rtp::RtpPacket;

fn configure(client: &mut Client, endpoint: &str, party: &Party, formats: Value) {
    client.ok(json!({"op": "configure_endpoint", "session": "s", "endpoint": endpoint, "remote": address(&party.rtp),
        "formats": formats}));
}

fn formats(list: &[(u8, &str)]) -> Value {
    list.iter().map(|(number, name)| json!({"payload_type": number, "encoding": name, "clock_rate": 8000})).collect()
}

#[test]
fn digits_leave_as_events_and_can_be_stopped() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    configure(&mut client, "a", &a, formats(&[(8, "PCMA"), (96, "telephone-event")]));
    let send = |player: &str, digits: &str| {
        json!({"op": "send_digits", "session": "s", "player": player, "endpoint": "a", "digits": digits, "tone_ms": 40,
            "gap_ms": 40})
    };
    client.ok(send("d", "5#"));
    let packets: Vec<Vec<u8>> = (0..8).map(|_| a.receive()).collect();
    let seen: Vec<_> = packets
        .iter()
        .map(|bytes| {
            let packet = RtpPacket::parse(bytes).unwrap();
            assert_eq!(packet.payload_type(), 96);
            (packet.marker(), packet.payload().to_vec())
        })
        .collect();
    let event = |key: u8| {
        [
            (true, vec![key, 10, 0, 160]),
            (false, vec![key, 0x8a, 1, 64]),
            (false, vec![key, 0x8a, 1, 64]),
            (false, vec![key, 0x8a, 1, 64]),
        ]
    };
    assert_eq!(seen, [event(5), event(11)].concat());
    client.event("player_ended", |event| event["player"] == "d" && event["completed"] == true);
    client.ok(send("long", &"1".repeat(100)));
    a.receive();
    client.ok(json!({"op": "stop_player", "session": "s", "player": "long"}));
    client.event("player_ended", |event| event["player"] == "long" && event["completed"] == false);
    assert_eq!(client.refused(send("bad", "5-5")), "bad-field");
    configure(&mut client, "b", &b, formats(&[(18, "G729")]));
    let mut to_b = send("none", "5");
    to_b["endpoint"] = json!("b");
    assert_eq!(client.refused(to_b), "no-format");
}

#[test]
fn tones_sound_and_files_are_sought() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, _b) = bridged(&mut client);
    client.ok(json!({"op": "play", "session": "s", "player": "t", "endpoint": "a", "loops": 0,
        "tones": [{"frequencies_hz": [440, 480], "ms": 200}, {"frequencies_hz": [], "ms": 100}]}));
    let frames: Vec<Vec<u8>> = (0..30).map(|_| a.receive()[12..].to_vec()).collect();
    for (n, frame) in frames.iter().enumerate() {
        assert_eq!(frame.iter().all(|code| *code == 0xff), n % 15 >= 10, "{n}");
    }
    client.ok(json!({"op": "stop_player", "session": "s", "player": "t"}));
    let path = engine.path("steps.wav");
    let codes: Vec<u8> = (0..16_000).map(|n| (n / 160) as u8).collect();
    std::fs::write(&path, crate::client::mu_law_file(&codes)).unwrap();
    client.ok(json!({"op": "play", "session": "s", "player": "f", "endpoint": "a", "path": path, "start_ms": 400}));
    let mut first = a.receive();
    while RtpPacket::parse(&first).unwrap().payload()[0] != 20 {
        first = a.receive();
    }
    client.ok(json!({"op": "seek_player", "session": "s", "player": "f", "position_ms": 1600}));
    let after: Vec<u8> = (0..10).map(|_| a.receive()[12]).collect();
    assert!(after.contains(&80) && after.windows(2).all(|two| two[1] == two[0] + 1 || two[1] == 80), "{after:?}");
    let seek = json!({"op": "seek_player", "session": "s", "player": "x", "position_ms": 0});
    assert_eq!(client.refused(seek), "no-player");
}

#[test]
fn parties_with_other_numbers_and_laws_understand_each_other() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, b) = bridged(&mut client);
    configure(&mut client, "a", &a, formats(&[(0, "PCMU"), (101, "telephone-event")]));
    configure(&mut client, "b", &b, formats(&[(8, "PCMA"), (96, "telephone-event")]));
    a.send(&rtp(0, 1, 1, 160, &[0xff, 0x80]));
    a.send(&rtp(101, 1, 2, 320, &[5, 0x8a, 3, 32]));
    assert_eq!(b.receive(), rtp(8, 1, 1, 160, &[0xd5, 0xaa]));
    assert_eq!(b.receive(), rtp(96, 1, 2, 320, &[5, 0x8a, 3, 32]));
    b.send(&rtp(8, 2, 1, 160, &[0xd5, 0xaa]));
    assert_eq!(a.receive(), rtp(0, 2, 1, 160, &[0xfe, 0x80]));
    client.event("dtmf", |event| event["endpoint"] == "a" && event["digit"] == "5");
}
