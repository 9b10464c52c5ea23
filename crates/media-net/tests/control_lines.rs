//! What holds of every line of the control protocol: it is read or refused, and the refusal is one line that says so.

use media_net::check_request;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{json, Map, Value};

/// Operations with all the fields that they have.
fn requests() -> impl Strategy<Value = Value> {
    let key =
        json!({"suite": "AES_CM_128_HMAC_SHA1_80", "key": "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj", "mki": "01"});
    let formats = json!([{"payload_type": 0, "encoding": "PCMU", "clock_rate": 8000, "channels": 1}]);
    let remote = json!({"host": "192.0.2.1", "port": 4000});
    proptest::sample::select(vec![
        json!({"op": "hello", "protocol": 1, "events": true}),
        json!({"op": "open_session", "session": "s"}),
        json!({"op": "open_endpoint", "session": "s", "endpoint": "a", "interface": "default"}),
        json!({"op": "configure_endpoint", "session": "s", "endpoint": "a", "remote": remote, "remote_rtcp": remote,
            "formats": formats, "latch": true, "send": true, "receive": false, "send_key": key, "receive_key": key}),
        json!({"op": "set_route", "session": "s", "source": "a", "sink": null}),
        json!({"op": "open_fork", "session": "s", "fork": "f", "endpoint": "a", "side": "inbound", "cname": "c",
            "role": "translator", "fork_ports": "own", "fork_batch_ms": 80}),
        json!({"op": "configure_fork", "session": "s", "fork": "f", "remote": remote, "active": true, "formats": formats}),
        json!({"op": "play", "session": "s", "player": "p", "endpoint": "a", "path": "/a.wav", "loops": 2}),
        json!({"op": "open_recorder", "session": "s", "recorder": "r", "endpoint": "a", "path": "/r.wav"}),
        json!({"op": "session_statistics", "session": "s"}),
        json!({"op": "list_sessions"}),
    ])
}

/// Any JSON, as a client that errs might send it.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,140}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-z_]{1,10}", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The error code of a refusal, which has to be a line of JSON with this id.
fn refused_with(line: &[u8], id: &Value) -> Option<String> {
    let answer = check_request(line).err()?;
    let text = std::str::from_utf8(&answer).expect("an answer is text");
    assert_eq!(text.find('\n'), Some(text.len() - 1), "one line");
    let answer: Value = serde_json::from_str(text).expect("an answer is JSON");
    assert_eq!(&answer["id"], id);
    assert!(answer["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
    Some(answer["error"]["code"].as_str().expect("a code").to_owned())
}

proptest! {
    #[test]
    fn good_requests_are_read_with_any_id(request in requests(), number: i64, text in ".{0,20}", is_text: bool) {
        let mut request = request;
        request["id"] = if is_text { json!(text) } else { json!(number) };
        prop_assert_eq!(check_request(request.to_string().as_bytes()), Ok(()));
    }

    #[test]
    fn a_field_too_many_is_refused(request in requests(), name in "[a-z]{11,20}", value in values()) {
        let mut request = request;
        request["id"] = json!(1);
        request[&name] = value;
        let code = refused_with(request.to_string().as_bytes(), &json!(1));
        prop_assert_eq!(code.as_deref(), Some("bad-field"));
    }

    #[test]
    fn a_changed_field_is_read_or_refused(request in requests(), which: prop::sample::Index, value in values()) {
        let mut request = request;
        let names: Vec<String> = request.as_object().unwrap().keys().cloned().collect();
        request["id"] = json!("x");
        request[which.get(&names)] = value;
        let code = refused_with(request.to_string().as_bytes(), &json!("x"));
        prop_assert!(code.is_none_or(|code| ["bad-field", "unknown-operation"].contains(&code.as_str())));
    }

    #[test]
    fn any_json_and_any_octets_are_refused(value in values(), bytes in vec(any::<u8>(), 0..200)) {
        let object: Map<String, Value> = [("id".into(), json!(7)), ("op".into(), value.clone())].into_iter().collect();
        prop_assert!(refused_with(Value::Object(object).to_string().as_bytes(), &json!(7)).is_some());
        prop_assert!(check_request(&bytes).is_err());
        prop_assert!(check_request(value.to_string().as_bytes()).is_err());
    }

    #[test]
    fn a_line_that_was_cut_is_refused(request in requests(), at: prop::sample::Index) {
        let mut request = request;
        request["id"] = json!(1);
        let line = request.to_string();
        let cut = &line.as_bytes()[..at.index(line.len())];
        let code = refused_with(cut, &Value::Null);
        prop_assert_eq!(code.as_deref(), Some("bad-json"));
    }

    #[test]
    fn keys_are_never_told_in_a_refusal(key in "[A-Za-z0-9+/]{38,42}", suite in "[A-Z_0-9]{1,30}") {
        let wrong = json!({"suite": suite, "key": key});
        let request = json!({"id": 1, "op": "configure_endpoint", "session": "s", "endpoint": "a", "send_key": wrong,
            "receive_key": wrong, "oops": 1});
        let answer = check_request(request.to_string().as_bytes()).unwrap_err();
        prop_assert!(!String::from_utf8(answer).unwrap().contains(&key));
    }
}
