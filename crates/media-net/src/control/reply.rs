//! Answers and events as they stand on the wire (docs/topics/media-protocol.md, sections 4, 5 and 7).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use media_core::{
    EndpointStatistics, Event, ForkStatistics, Quality, RecorderStatistics, RecordingGap, Refusal, SessionStatistics,
};
use serde_json::{json, Map, Value};

use crate::command::{RecordingInfo, Reply};

/// A whole answer line.
pub(crate) fn answer(id: &Value, result: Result<Value, Refusal>) -> Vec<u8> {
    line(&match result {
        Ok(value) => json!({"id": id, "ok": value}),
        Err(refusal) => json!({"id": id, "error": {"code": refusal.code.as_str(), "message": refusal.message}}),
    })
}

/// A whole line of events; `last` is the number of its last.
pub(crate) fn events(events: &[Value], dropped: u64, last: u64) -> Vec<u8> {
    line(&json!({"events": events, "dropped": dropped, "last_event": last}))
}

fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// What `ok` holds; ports are added by who knows them.
pub(crate) fn value(reply: &Reply) -> Value {
    match reply {
        Reply::Nothing | Reply::Opened => json!({}),
        Reply::Endpoint(statistics) => endpoint(statistics),
        Reply::Fork(statistics) => fork(statistics),
        Reply::Recorder(statistics, info) => recorder(statistics, info.as_ref()),
        Reply::Session(statistics, infos) => session(statistics, infos),
    }
}

fn session(statistics: &SessionStatistics, infos: &HashMap<u64, RecordingInfo>) -> Value {
    let named = |entries: Vec<(String, Value)>| Value::Object(entries.into_iter().collect::<Map<_, _>>());
    json!({
        "endpoints": named(statistics.endpoints.iter().map(|(name, one)| (name.to_string(), endpoint(one))).collect()),
        "forks": named(statistics.forks.iter().map(|(name, one)| (name.to_string(), fork(one))).collect()),
        "recorders": named(
            statistics.recorders.iter().map(|(name, (id, one))| (name.to_string(), recorder(one, infos.get(id)))).collect()
        ),
    })
}

fn endpoint(statistics: &EndpointStatistics) -> Value {
    json!({
        "packets_received": statistics.packets_received,
        "octets_received": statistics.octets_received,
        "packets_sent": statistics.packets_sent,
        "octets_sent": statistics.octets_sent,
        "lost": statistics.lost,
        "jitter_ms": statistics.jitter_ms,
        "strays": statistics.strays,
        "invalid": statistics.invalid,
        "unauthenticated": statistics.unauthenticated,
        "replayed": statistics.replayed,
        "unprotected": statistics.unprotected,
        "quality": quality(&statistics.quality),
    })
}

fn quality(quality: &Quality) -> Value {
    json!({
        "duplicates": quality.duplicates,
        "reordered": quality.reordered,
        "gaps": quality.gaps,
        "longest_gap": quality.longest_gap,
        "bursts": quality.bursts,
        "burst_density": quality.burst_density,
        "burst_ms": quality.burst_ms,
        "gap_density": quality.gap_density,
        "gap_ms": quality.gap_ms,
        "ssrc_changes": quality.ssrc_changes,
        "restarts": quality.restarts,
        "wraps": quality.wraps,
        "skew_ppm": quality.skew_ppm,
        "mos": quality.mos,
    })
}

fn fork(statistics: &ForkStatistics) -> Value {
    json!({
        "packets_sent": statistics.packets_sent,
        "octets_sent": statistics.octets_sent,
        "send_errors": statistics.send_errors,
        "first_packet_ns": statistics.first_packet_ns,
        "packets_filtered": statistics.packets_filtered,
        "reported_lost": statistics.reported_lost,
        "reported_jitter_ms": statistics.reported_jitter_ms,
        "unauthenticated": statistics.unauthenticated,
        "unprotected": statistics.unprotected,
    })
}

fn recorder(statistics: &RecorderStatistics, info: Option<&RecordingInfo>) -> Value {
    json!({
        "path": info.map_or_else(String::new, |info| info.path.to_string_lossy().into_owned()),
        "packets": statistics.packets,
        "lost": statistics.lost,
        "duplicates": statistics.duplicates,
        "late": statistics.late,
        "samples": statistics.samples,
        "first_sample_ns": statistics.first_sample_ns,
        "gaps": statistics.gaps.iter().map(gap).collect::<Vec<_>>(),
        "dropped_samples": info.map_or(0, |info| info.dropped.load(Ordering::Relaxed)),
    })
}

fn gap(gap: &RecordingGap) -> Value {
    // the file's rate is 8000 Hz
    json!({"at_ms": gap.at as f64 / 8.0, "length_ms": gap.samples as f64 / 8.0})
}

/// An event.
pub(crate) fn event(event: &Event) -> Value {
    match event {
        Event::FirstPacket { session, endpoint, at_ns } => {
            json!({"event": "first_packet", "session": **session, "endpoint": **endpoint, "at_ns": at_ns})
        }
        Event::Latched { session, endpoint, remote } => {
            json!({"event": "latched", "session": **session, "endpoint": **endpoint, "remote": address(*remote)})
        }
        Event::SilenceTimeout { session, endpoint, silent_ms } => {
            json!({"event": "silence_timeout", "session": **session, "endpoint": **endpoint, "silent_ms": silent_ms})
        }
        Event::Dtmf { session, endpoint, digit } => json!({
            "event": "dtmf", "session": **session, "endpoint": **endpoint, "digit": digit.key,
            "duration_ms": digit.duration_ms
        }),
        Event::SsrcChanged { session, endpoint, old, new } => {
            json!({"event": "ssrc_changed", "session": **session, "endpoint": **endpoint, "old": old, "new": new})
        }
        Event::Unauthenticated { session, endpoint } => {
            json!({"event": "unauthenticated", "session": **session, "endpoint": **endpoint})
        }
        Event::Unreachable { session, name } => {
            json!({"event": "unreachable", "session": **session, "name": **name})
        }
        Event::ForkStarted { session, fork, at_ns } => {
            json!({"event": "fork_started", "session": **session, "fork": **fork, "at_ns": at_ns})
        }
        Event::PlayerEnded { session, player, completed } => {
            json!({"event": "player_ended", "session": **session, "player": **player, "completed": completed})
        }
    }
}

fn address(address: SocketAddr) -> Value {
    json!({"host": address.ip().to_string(), "port": address.port()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use media_core::Digit;

    #[test]
    fn events_stand_as_documented() {
        let (session, endpoint) = (std::sync::Arc::from("s"), std::sync::Arc::from("a"));
        let digit = Digit { key: '#', duration_ms: 90 };
        let dtmf = Event::Dtmf { session, endpoint, digit };
        assert_eq!(
            event(&dtmf),
            json!({"event": "dtmf", "session": "s", "endpoint": "a", "digit": "#", "duration_ms": 90})
        );
        let remote = "[2001:db8::1]:9".parse().unwrap();
        let latched = Event::Latched { session: "s".into(), endpoint: "a".into(), remote };
        assert_eq!(event(&latched)["remote"], json!({"host": "2001:db8::1", "port": 9}));
        let lines = events(&[event(&latched)], 3, 7);
        assert!(lines.ends_with(b"\n") && lines.iter().filter(|byte| **byte == b'\n').count() == 1);
    }

    #[test]
    fn what_was_never_open_is_all_zeroes() {
        let nothing = value(&Reply::Recorder(RecorderStatistics::default(), None));
        assert_eq!((&nothing["path"], &nothing["samples"]), (&json!(""), &json!(0)));
        assert_eq!(nothing["first_sample_ns"], Value::Null);
        let gaps = vec![RecordingGap { at: 8004, samples: 160 }];
        let marked = value(&Reply::Recorder(RecorderStatistics { gaps, ..RecorderStatistics::default() }, None));
        assert_eq!((&nothing["gaps"], &marked["gaps"]), (&json!([]), &json!([{"at_ms": 1000.5, "length_ms": 20.0}])));
        let empty = value(&Reply::Session(SessionStatistics::default(), HashMap::new()));
        assert_eq!(empty, json!({"endpoints": {}, "forks": {}, "recorders": {}}));
    }
}
