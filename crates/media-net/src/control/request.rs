//! Requests as they stand on the wire (docs/topics/media-protocol.md, sections 4 and 5).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use media_core::srtp::SrtpKeys;
use media_core::{EndpointSettings, ForkPorts, ForkRole, ForkSettings, Formats, Latch, Refusal, RefusalCode, Side};
use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::fields::{
    bad_field, cname, drop_dtmf, endpoint_role, fork_batch_ns, fork_ports, formats, latch, latch_each, recording_path,
    role, send_formats, side, Address, Name,
};
use super::keys;
use super::playing::{Play, SeekPlayer, SendDigits};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hello {
    pub(crate) protocol: u64,
    #[serde(default)]
    pub(crate) events: Option<bool>,
    #[serde(default)]
    pub(crate) resume: Option<Resume>,
}

/// Where a client that lost its connection was.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resume {
    /// Of the greeting.
    pub(crate) instance: String,
    /// The number of the event that it got last.
    pub(crate) last_event: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfSession {
    pub(crate) session: Name,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenEndpoint {
    pub(crate) session: Name,
    pub(crate) endpoint: Name,
    #[serde(default)]
    pub(crate) interface: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigureEndpoint {
    pub(crate) session: Name,
    pub(crate) endpoint: Name,
    #[serde(default)]
    remote: Option<Address>,
    #[serde(default)]
    remote_rtcp: Option<Address>,
    #[serde(default, deserialize_with = "formats")]
    formats: Formats,
    #[serde(default, deserialize_with = "send_formats")]
    send_formats: Option<Formats>,
    #[serde(default = "latch_each", deserialize_with = "latch")]
    latch: Latch,
    #[serde(default)]
    send: Option<bool>,
    #[serde(default)]
    receive: Option<bool>,
    #[serde(default)]
    rtcp_mux: Option<bool>,
    #[serde(default, deserialize_with = "keys::key")]
    send_key: Option<SrtpKeys>,
    #[serde(default, deserialize_with = "keys::key")]
    receive_key: Option<SrtpKeys>,
}

impl ConfigureEndpoint {
    pub(crate) fn settings(&self) -> Result<EndpointSettings, Refusal> {
        Ok(EndpointSettings {
            remote: self.remote.map(SocketAddr::from),
            remote_rtcp: self.remote_rtcp.map(|address| Box::new(address.into())),
            formats: self.formats.clone(),
            send_formats: self.send_formats.clone(),
            latch: self.latch,
            send: self.send.unwrap_or(true),
            receive: self.receive.unwrap_or(true),
            rtcp_mux: self.rtcp_mux.unwrap_or(false),
            keys: keys::both(self.send_key.as_ref(), self.receive_key.as_ref())?,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloseEndpoint {
    pub(crate) session: Name,
    pub(crate) endpoint: Name,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetRoute {
    pub(crate) session: Name,
    pub(crate) source: Name,
    #[serde(default)]
    pub(crate) sink: Option<Name>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenFork {
    pub(crate) session: Name,
    pub(crate) fork: Name,
    pub(crate) endpoint: Name,
    #[serde(deserialize_with = "side")]
    pub(crate) side: Side,
    #[serde(deserialize_with = "cname")]
    pub(crate) cname: Arc<str>,
    #[serde(default)]
    pub(crate) interface: Option<String>,
    #[serde(default = "endpoint_role", deserialize_with = "role")]
    pub(crate) role: ForkRole,
    #[serde(default, deserialize_with = "fork_ports")]
    fork_ports: Option<ForkPorts>,
    #[serde(default, rename = "fork_batch_ms", deserialize_with = "fork_batch_ns")]
    pub(crate) batch_ns: u64,
    #[serde(default, rename = "dtmf", deserialize_with = "drop_dtmf")]
    pub(crate) drop_dtmf: bool,
}

impl OpenFork {
    /// Which ports it sends from. A translator's are its own: what an SRS reports to it is about SSRCs of the call, which
    /// do not tell one fork from another.
    pub(crate) fn ports(&self) -> Result<ForkPorts, Refusal> {
        match (self.role, self.fork_ports) {
            (ForkRole::Translator, Some(ForkPorts::Shared)) => {
                Err(Refusal::new(RefusalCode::BadField, "fork_ports: those of a translator are its own"))
            }
            (ForkRole::Translator, _) => Ok(ForkPorts::Own),
            (ForkRole::Endpoint, ports) => Ok(ports.unwrap_or(ForkPorts::Shared)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigureFork {
    pub(crate) session: Name,
    pub(crate) fork: Name,
    #[serde(default)]
    remote: Option<Address>,
    #[serde(default)]
    remote_rtcp: Option<Address>,
    active: bool,
    #[serde(default, deserialize_with = "formats")]
    formats: Formats,
    #[serde(default, deserialize_with = "keys::key")]
    send_key: Option<SrtpKeys>,
    #[serde(default, deserialize_with = "keys::key")]
    receive_key: Option<SrtpKeys>,
}

impl ConfigureFork {
    pub(crate) fn settings(&self) -> Result<ForkSettings, Refusal> {
        Ok(ForkSettings {
            remote: self.remote.map(SocketAddr::from),
            remote_rtcp: self.remote_rtcp.map(|address| Box::new(address.into())),
            active: self.active,
            formats: self.formats.clone(),
            keys: keys::both(self.send_key.as_ref(), self.receive_key.as_ref())?,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloseFork {
    pub(crate) session: Name,
    pub(crate) fork: Name,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StopPlayer {
    pub(crate) session: Name,
    pub(crate) player: Name,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenRecorder {
    pub(crate) session: Name,
    pub(crate) recorder: Name,
    pub(crate) endpoint: Name,
    #[serde(deserialize_with = "recording_path")]
    pub(crate) path: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloseRecorder {
    pub(crate) session: Name,
    pub(crate) recorder: Name,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

#[derive(Debug)]
pub(crate) enum Request {
    Hello(Hello),
    OpenSession(OfSession),
    CloseSession(OfSession),
    OpenEndpoint(OpenEndpoint),
    ConfigureEndpoint(ConfigureEndpoint),
    CloseEndpoint(CloseEndpoint),
    SetRoute(SetRoute),
    OpenFork(OpenFork),
    ConfigureFork(ConfigureFork),
    CloseFork(CloseFork),
    Play(Play),
    SendDigits(SendDigits),
    SeekPlayer(SeekPlayer),
    StopPlayer(StopPlayer),
    OpenRecorder(OpenRecorder),
    CloseRecorder(CloseRecorder),
    SessionStatistics(OfSession),
    EngineStatistics,
    ListSessions,
}

/// Reads a line: the id for the answer (null if it has none that can be used), and the request.
pub(crate) fn parse(line: &[u8]) -> (Value, Result<Request, Refusal>) {
    let mut fields: Map<String, Value> = match serde_json::from_slice(line) {
        Ok(fields) => fields,
        Err(error) => return (Value::Null, Err(Refusal::new(RefusalCode::BadJson, error.to_string()))),
    };
    let id = match fields.remove("id") {
        Some(id) if id.is_string() || id.is_i64() || id.is_u64() => id,
        _ => return (Value::Null, Err(bad_field("id: an integer or a string is required"))),
    };
    let operation = match fields.remove("op") {
        Some(Value::String(operation)) => operation,
        _ => return (id, Err(bad_field("op: a string is required"))),
    };
    (id, parse_operation(&operation, fields))
}

fn parse_operation(operation: &str, fields: Map<String, Value>) -> Result<Request, Refusal> {
    match operation {
        "hello" => typed(fields).map(Request::Hello),
        "open_session" => typed(fields).map(Request::OpenSession),
        "close_session" => typed(fields).map(Request::CloseSession),
        "open_endpoint" => typed(fields).map(Request::OpenEndpoint),
        "configure_endpoint" => typed(fields).map(Request::ConfigureEndpoint),
        "close_endpoint" => typed(fields).map(Request::CloseEndpoint),
        "set_route" => typed(fields).map(Request::SetRoute),
        "open_fork" => typed(fields).map(Request::OpenFork),
        "configure_fork" => typed(fields).map(Request::ConfigureFork),
        "close_fork" => typed(fields).map(Request::CloseFork),
        "play" => typed(fields).map(Request::Play),
        "send_digits" => typed(fields).map(Request::SendDigits),
        "seek_player" => typed(fields).map(Request::SeekPlayer),
        "stop_player" => typed(fields).map(Request::StopPlayer),
        "open_recorder" => typed(fields).map(Request::OpenRecorder),
        "close_recorder" => typed(fields).map(Request::CloseRecorder),
        "session_statistics" => typed(fields).map(Request::SessionStatistics),
        "engine_statistics" => typed(fields).map(|Nothing {}| Request::EngineStatistics),
        "list_sessions" => typed(fields).map(|Nothing {}| Request::ListSessions),
        _ => Err(Refusal::new(RefusalCode::UnknownOperation, format!("no operation {operation:?}"))),
    }
}

fn typed<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Refusal> {
    // a second reading of the text would not name fields better, and this one is of what is parsed already
    serde_json::from_value(Value::Object(fields)).map_err(|error| bad_field(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use media_core::Format;
    use serde_json::json;

    fn code(line: &str) -> (Value, &'static str) {
        let (id, result) = parse(line.as_bytes());
        (id, result.err().map_or("ok", |refusal| refusal.code.as_str()))
    }

    #[test]
    fn bad_lines_are_told_apart_and_keep_their_id() {
        let cases = [
            (r#"{"id":1,"op":"list_sessions"}"#, json!(1), "ok"),
            (r#"{"id":"x","op":"open_session","session":"SR01/inbound"}"#, json!("x"), "ok"),
            ("nonsense", Value::Null, "bad-json"),
            ("[1]", Value::Null, "bad-json"),
            ("\u{fffd}\"", Value::Null, "bad-json"),
            (r#"{"op":"list_sessions"}"#, Value::Null, "bad-field"),
            (r#"{"id":{},"op":"list_sessions"}"#, Value::Null, "bad-field"),
            (r#"{"id":1}"#, json!(1), "bad-field"),
            (r#"{"id":1,"op":"dance"}"#, json!(1), "unknown-operation"),
            (r#"{"id":1,"op":"list_sessions","more":1}"#, json!(1), "bad-field"),
            (r#"{"id":1,"op":"open_session"}"#, json!(1), "bad-field"),
            (r#"{"id":1,"op":"open_session","session":""}"#, json!(1), "bad-field"),
            (r#"{"id":1,"op":"open_session","session":"a\nb"}"#, json!(1), "bad-field"),
            (r#"{"id":1,"op":"open_session","session":7}"#, json!(1), "bad-field"),
            (
                r#"{"id":1,"op":"open_recorder","session":"s","recorder":"r","endpoint":"e","path":"rel"}"#,
                json!(1),
                "bad-field",
            ),
        ];
        for (line, id, expected) in cases {
            assert_eq!(code(line), (id, expected), "{line}");
        }
        assert_eq!(parse(b"{\"id\":1,\"op\":\"\xff\"}").1.unwrap_err().code.as_str(), "bad-json");
        let deep = "[".repeat(50_000);
        assert_eq!(code(&deep).1, "bad-json");
    }

    /// The schema that is published, which Python's tests hold every exchange against.
    fn schema() -> Value {
        serde_json::from_str(include_str!("../../../../docs/topics/media-protocol.schema.json")).unwrap()
    }

    #[test]
    fn the_schema_has_the_operations_and_fields_that_are_understood() {
        let schema = schema();
        for (operation, request) in schema["$defs"]["requests"].as_object().unwrap() {
            let line = json!({"id": 1, "op": operation, "no such field": 1}).to_string();
            let refusal = parse(line.as_bytes()).1.unwrap_err();
            // serde names every field that there is
            let mut understood: Vec<&str> = refusal.message.split('`').skip(3).step_by(2).collect();
            understood.extend(["id", "op"]);
            understood.sort_unstable();
            let known: Vec<&String> = request["properties"].as_object().unwrap().keys().collect();
            assert_eq!(known, understood, "{operation}: {}", refusal.message);
        }
        let listed = schema["$defs"]["request"]["oneOf"].as_array().unwrap().len();
        assert_eq!(listed, schema["$defs"]["requests"].as_object().unwrap().len());
        let line = json!({"id": 1, "op": "dance"}).to_string();
        assert_eq!(parse(line.as_bytes()).1.unwrap_err().code, RefusalCode::UnknownOperation);
    }

    #[test]
    fn an_id_is_an_integer_or_a_string_since_others_are_not_the_same_when_they_come_back() {
        for id in ["1.5", "18446744073709551616", "1e3", "null", "true", "[]", "{}"] {
            let (told, request) = parse(format!(r#"{{"id": {id}, "op": "list_sessions"}}"#).as_bytes());
            assert_eq!((told, request.unwrap_err().code), (Value::Null, RefusalCode::BadField), "{id}");
        }
        for id in [json!(-1), json!(u64::MAX), json!(i64::MIN), json!(""), json!("a")] {
            let (told, request) = parse(json!({"id": id, "op": "list_sessions"}).to_string().as_bytes());
            assert!(request.is_ok() && told == id, "{id}");
        }
    }

    #[test]
    fn the_schema_has_the_codes_of_refusals() {
        let schema = schema();
        let known: Vec<&str> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(schema["$defs"]["error"]["properties"]["code"]["enum"], json!(known));
    }

    #[test]
    fn settings_have_the_documented_defaults_and_bounds() {
        let request = |fields: Value| {
            let mut line = json!({"id": 1, "op": "configure_endpoint", "session": "s", "endpoint": "e"});
            line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            match parse(line.to_string().as_bytes()).1 {
                Ok(Request::ConfigureEndpoint(request)) => request.settings().map_err(|refusal| refusal.code.as_str()),
                Ok(other) => panic!("{other:?}"),
                Err(refusal) => Err(refusal.code.as_str()),
            }
        };
        let plain = request(json!({"remote": null, "formats": null, "latch": null})).unwrap();
        assert_eq!((plain.remote, plain.remote_rtcp, plain.formats.is_empty()), (None, None, true));
        assert_eq!((plain.latch, plain.send, plain.receive, plain.rtcp_mux), (Latch::Each, true, true, false));
        let format = json!({"payload_type": 0, "encoding": "pcmu", "clock_rate": 8000});
        let full = request(json!({
            "remote": {"host": "::1", "port": 9}, "remote_rtcp": {"host": "127.0.0.1", "port": 10},
            "formats": [format], "latch": false, "send": false, "receive": false
        }))
        .unwrap();
        assert_eq!(full.remote.unwrap().to_string(), "[::1]:9");
        assert_eq!(full.formats.find(0), Some(&Format::new(0, "PCMU", 8000, 1)));
        assert_eq!((full.latch, full.send, full.receive), (Latch::Signalled, false, false));
        let told = |latch: Value| request(json!({"latch": latch, "rtcp_mux": true})).unwrap();
        assert_eq!((told(json!("first")).latch, told(json!("each")).latch), (Latch::First, Latch::Each));
        assert!(told(json!("signalled")).rtcp_mux);
        assert_eq!((full.keys, full.send_formats), (None, None));
        let sent = request(
            json!({"formats": [format], "send_formats": [{"payload_type": 8, "encoding": "pcma", "clock_rate": 8000}]}),
        );
        assert!(sent.unwrap().send_formats.unwrap().find(8).is_some());
        let key = json!({"suite": "AEAD_AES_128_GCM", "key": "A".repeat(38)});
        assert!(request(json!({"send_key": key, "receive_key": key})).unwrap().keys.is_some());
        for bad in [
            json!({"remote": {"host": "example.org", "port": 9}}),
            json!({"remote": {"host": "127.0.0.1", "port": 0}}),
            json!({"remote": {"host": "127.0.0.1", "port": 65536}}),
            json!({"remote": {"host": "127.0.0.1"}}),
            json!({"formats": [{"payload_type": 128, "encoding": "X", "clock_rate": 8000}]}),
            json!({"formats": [{"payload_type": 0, "encoding": "", "clock_rate": 8000}]}),
            json!({"formats": [{"payload_type": 0, "encoding": "X", "clock_rate": 0}]}),
            json!({"formats": [{"payload_type": 0, "encoding": "X", "clock_rate": 8000, "channels": 0}]}),
            json!({"formats": vec![format; 33]}),
            json!({"latch": 1}),
            json!({"latch": "any"}),
            json!({"rtcp_mux": "yes"}),
            json!({"send_key": key}),
            json!({"receive_key": key}),
        ] {
            assert_eq!(request(bad.clone()), Err("bad-field"), "{bad}");
        }
    }

    #[test]
    fn forks_have_a_side_a_cname_and_maybe_a_role() {
        let request = |side: &str, cname: &str, role: Value| {
            let line = json!({"id": 1, "op": "open_fork", "session": "s", "fork": "f", "endpoint": "e", "side": side,
                "cname": cname, "role": role});
            match parse(line.to_string().as_bytes()).1 {
                Ok(Request::OpenFork(fork)) => Ok((fork.side, fork.role)),
                Ok(other) => panic!("{other:?}"),
                Err(refusal) => Err(refusal.code.as_str()),
            }
        };
        assert_eq!(request("inbound", "c", Value::Null), Ok((Side::Inbound, ForkRole::Endpoint)));
        assert_eq!(request("outbound", "c", json!("translator")), Ok((Side::Outbound, ForkRole::Translator)));
        assert_eq!(request("both", "c", Value::Null), Err("bad-field"));
        assert_eq!(request("inbound", "", Value::Null), Err("bad-field"));
        assert_eq!(request("inbound", "c", json!("mixer")), Err("bad-field"));
        for (dtmf, expected) in [("forward", Ok(false)), ("drop", Ok(true)), ("mute", Err("bad-field"))] {
            let line = json!({"id": 1, "op": "open_fork", "session": "s", "fork": "f", "endpoint": "e",
                "side": "inbound", "cname": "c", "dtmf": dtmf});
            let dropped = match parse(line.to_string().as_bytes()).1 {
                Ok(Request::OpenFork(fork)) => Ok(fork.drop_dtmf),
                other => Err(other.unwrap_err().code.as_str()),
            };
            assert_eq!(dropped, expected);
        }
    }
}
