//! Requests for what the engine sends by itself (docs/topics/media-protocol.md, section 5.4).

use std::path::PathBuf;

use media_core::{
    render_tones, Audio, DigitTiming, Digits, Playback, Refusal, RefusalCode, Tone, MAX_FREQUENCIES, MAX_TONES,
    MAX_TONES_MS,
};
use serde::Deserialize;

use super::fields::{absolute_path, Name};

/// ITU-T G.711 §3: a sine that is louder is clipped.
const LOUDEST_DBM0: f64 = 3.0;
/// Nobody hears less.
const QUIETEST_DBM0: f64 = -60.0;
/// That of call progress tones (ITU-T E.180 has -10 and some less, with several frequencies at once).
const DEFAULT_DBM0: f64 = -13.0;
/// What G.711 can carry.
const FREQUENCIES_HZ: std::ops::RangeInclusive<u16> = 20..=3999;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireTone {
    frequencies_hz: Vec<u16>,
    ms: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Play {
    pub(crate) session: Name,
    pub(crate) player: Name,
    pub(crate) endpoint: Name,
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    tones: Option<Vec<WireTone>>,
    #[serde(default)]
    level_dbm0: Option<f64>,
    #[serde(default)]
    loops: Option<u32>,
    #[serde(default)]
    start_ms: Option<u64>,
}

/// Where the samples come from.
pub(crate) enum Wanted {
    File(PathBuf),
    Tones(Audio),
}

impl Play {
    /// The file or the tones: one of the two has to be there.
    pub(crate) fn wanted(&self) -> Result<Wanted, Refusal> {
        match (&self.path, &self.tones) {
            (Some(path), None) if self.level_dbm0.is_none() => Ok(Wanted::File(absolute_path(path.clone())?)),
            (None, Some(tones)) => Ok(Wanted::Tones(render(tones, self.level_dbm0.unwrap_or(DEFAULT_DBM0))?)),
            _ => Err(bad_field("either path, or tones and maybe level_dbm0")),
        }
    }

    pub(crate) fn playback(&self, audio: Audio) -> Playback {
        Playback { audio, loops: self.loops.unwrap_or(1), start_ms: self.start_ms.unwrap_or(0) }
    }
}

fn render(wire: &[WireTone], level_dbm0: f64) -> Result<Audio, Refusal> {
    if !(QUIETEST_DBM0..=LOUDEST_DBM0).contains(&level_dbm0) {
        return Err(bad_field(format!("level_dbm0 is {QUIETEST_DBM0} to {LOUDEST_DBM0}")));
    }
    if !(1..=MAX_TONES).contains(&wire.len()) {
        return Err(bad_field(format!("tones: 1 to {MAX_TONES}")));
    }
    let is_heard = |tone: &WireTone| {
        tone.frequencies_hz.len() <= MAX_FREQUENCIES && tone.frequencies_hz.iter().all(|hz| FREQUENCIES_HZ.contains(hz))
    };
    if !wire.iter().all(is_heard) {
        return Err(bad_field(format!("frequencies_hz: at most {MAX_FREQUENCIES}, of 20 to 3999")));
    }
    let total: u64 = wire.iter().map(|tone| u64::from(tone.ms)).sum();
    if !(1..=u64::from(MAX_TONES_MS)).contains(&total) {
        return Err(bad_field(format!("tones last 1 to {MAX_TONES_MS} ms")));
    }
    let tones: Vec<Tone> =
        wire.iter().map(|tone| Tone { frequencies: tone.frequencies_hz.clone(), ms: tone.ms }).collect();
    Ok(Audio::Linear(render_tones(&tones, level_dbm0).into()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendDigits {
    pub(crate) session: Name,
    pub(crate) player: Name,
    pub(crate) endpoint: Name,
    digits: String,
    #[serde(default)]
    tone_ms: Option<u32>,
    #[serde(default)]
    gap_ms: Option<u32>,
}

impl SendDigits {
    pub(crate) fn digits(&self) -> Result<Digits, Refusal> {
        let default = DigitTiming::DEFAULT_MS;
        let timing =
            DigitTiming::new(self.tone_ms.unwrap_or(default), self.gap_ms.unwrap_or(default)).ok_or_else(|| {
                bad_field(format!("tone_ms and gap_ms are {} to {}", DigitTiming::MIN_MS, DigitTiming::MAX_MS))
            })?;
        Digits::new(&self.digits, timing, 0).map_err(|bad| bad_field(bad.to_string()))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeekPlayer {
    pub(crate) session: Name,
    pub(crate) player: Name,
    pub(crate) position_ms: u64,
}

fn bad_field(message: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::BadField, message)
}

#[cfg(test)]
mod tests {
    use super::super::request::{parse, Request};
    use super::*;
    use serde_json::{json, Value};

    fn request(operation: &str, fields: Value) -> Result<Request, &'static str> {
        let mut line = json!({"id": 1, "op": operation, "session": "s", "player": "p"});
        line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        parse(line.to_string().as_bytes()).1.map_err(|refusal| refusal.code.as_str())
    }

    fn play(fields: Value) -> Result<(Option<usize>, u32, u64), &'static str> {
        let mut fields = fields;
        fields["endpoint"] = json!("e");
        let Request::Play(play) = request("play", fields)? else { panic!("not play") };
        let samples = match play.wanted().map_err(|refusal| refusal.code.as_str())? {
            Wanted::File(_) => None,
            Wanted::Tones(audio) => Some(audio.len()),
        };
        let playback = play.playback(Audio::Linear([0; 1].into()));
        Ok((samples, playback.loops, playback.start_ms))
    }

    #[test]
    fn a_player_has_a_file_or_tones() {
        assert_eq!(play(json!({"path": "/a.wav"})), Ok((None, 1, 0)));
        assert_eq!(play(json!({"path": "/a.wav", "loops": 0, "start_ms": 70})), Ok((None, 0, 70)));
        let ringing = json!([{"frequencies_hz": [440, 480], "ms": 2000}, {"frequencies_hz": [], "ms": 4000}]);
        assert_eq!(play(json!({"tones": ringing, "level_dbm0": -19, "loops": 0})), Ok((Some(48_000), 0, 0)));
        for bad in [
            json!({}),
            json!({"path": "relative.wav"}),
            json!({"path": "/a.wav", "tones": ringing}),
            json!({"path": "/a.wav", "level_dbm0": -3}),
            json!({"tones": []}),
            json!({"tones": vec![json!({"frequencies_hz": [440], "ms": 1}); 33]}),
            json!({"tones": [{"frequencies_hz": [440], "ms": 0}]}),
            json!({"tones": [{"frequencies_hz": [440], "ms": 60_001}]}),
            json!({"tones": [{"frequencies_hz": [4000], "ms": 10}]}),
            json!({"tones": [{"frequencies_hz": [400, 500, 600, 700, 800], "ms": 10}]}),
            json!({"tones": ringing, "level_dbm0": 4}),
            json!({"tones": ringing, "level_dbm0": -61}),
            json!({"path": "/a.wav", "start_ms": -1}),
        ] {
            assert_eq!(play(bad.clone()), Err("bad-field"), "{bad}");
        }
    }

    #[test]
    fn digits_are_checked_before_they_are_dialled() {
        let digits = |fields: Value| {
            let mut fields = fields;
            fields["endpoint"] = json!("e");
            let Request::SendDigits(digits) = request("send_digits", fields)? else { panic!("not send_digits") };
            digits.digits().map(|_| ()).map_err(|refusal| refusal.code.as_str())
        };
        assert_eq!(digits(json!({"digits": "ww1234#"})), Ok(()));
        assert_eq!(digits(json!({"digits": "A", "tone_ms": 40, "gap_ms": 1000})), Ok(()));
        for bad in [json!({}), json!({"digits": ""}), json!({"digits": "1-2"}), json!({"digits": "1", "tone_ms": 39})] {
            assert_eq!(digits(bad.clone()), Err("bad-field"), "{bad}");
        }
        assert!(matches!(request("seek_player", json!({"position_ms": 5})), Ok(Request::SeekPlayer(_))));
        assert_eq!(request("seek_player", json!({})).err(), Some("bad-field"));
    }
}
