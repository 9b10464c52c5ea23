//! Digits that are dialled into a call: telephone events (RFC 4733), or tones (ITU-T Q.23) for who takes no events.

use std::fmt;

use crate::g711::Law;
use crate::player::{FRAME_NS, FRAME_SAMPLES};
use crate::time::NS_PER_MS;
use crate::tone;

/// The events that are keys, in the order of RFC 4733 §3.2.
pub(crate) const KEYS: &[u8; 16] = b"0123456789*#ABCD";
/// A string of digits is at most so long: card numbers and pauses of half a minute fit.
const MAX_DIGITS: usize = 256;
/// Twilio's `w`.
const SHORT_PAUSE_NS: u64 = 500 * NS_PER_MS;
/// Twilio's `W`.
const LONG_PAUSE_NS: u64 = 1000 * NS_PER_MS;
/// RFC 4733 §2.5.1.4: the final packet is sent three times.
const FINAL_PACKETS: u32 = 3;
/// RFC 4733 §2.3.3: the level in -dBm0; a receiver must take what is louder than -36 (ITU-T Q.24).
const VOLUME: u8 = 10;
/// Of each of a key's two tones: together they stay 4 dB below what is clipped.
const TONE_DBM0: f64 = -7.0;
/// ITU-T Q.23: the frequencies of rows and columns.
const ROWS: [u16; 4] = [697, 770, 852, 941];
const COLUMNS: [u16; 4] = [1209, 1336, 1477, 1633];
/// Row and column of each key, in the order of [`KEYS`].
const PLACES: [(u8, u8); 16] = [
    (3, 1), // 0
    (0, 0),
    (0, 1),
    (0, 2),
    (1, 0),
    (1, 1),
    (1, 2),
    (2, 0),
    (2, 1),
    (2, 2),
    (3, 0), // *
    (3, 2), // #
    (0, 3), // A
    (1, 3),
    (2, 3),
    (3, 3),
];

/// How long keys are held and let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigitTiming {
    tone_frames: u32,
    gap_frames: u32,
}

impl DigitTiming {
    /// ITU-T Q.24: a receiver needs at least 40 ms of tone, and as much between two.
    pub const MIN_MS: u32 = 40;
    /// Longer than anybody waits for a key; a duration of RFC 4733 has 16 bits even at 48 kHz.
    pub const MAX_MS: u32 = 1000;
    /// What phones send.
    pub const DEFAULT_MS: u32 = 100;

    /// Both in milliseconds, rounded up to whole packets; None outside of the bounds.
    pub fn new(tone_ms: u32, gap_ms: u32) -> Option<Self> {
        let frames = |ms: u32| {
            (Self::MIN_MS..=Self::MAX_MS).contains(&ms).then(|| (u64::from(ms) * NS_PER_MS).div_ceil(FRAME_NS) as u32)
        };
        Some(Self { tone_frames: frames(tone_ms)?, gap_frames: frames(gap_ms)? })
    }
}

impl Default for DigitTiming {
    fn default() -> Self {
        let frames = (u64::from(Self::DEFAULT_MS) * NS_PER_MS).div_ceil(FRAME_NS) as u32;
        Self { tone_frames: frames, gap_frames: frames }
    }
}

/// A key or a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    /// By the number of its event.
    Key(u8),
    /// So many packets.
    Pause(u32),
}

impl Symbol {
    fn of(letter: char) -> Option<Self> {
        let frames = |ns: u64| Some(Self::Pause((ns / FRAME_NS) as u32));
        match letter {
            'w' => frames(SHORT_PAUSE_NS),
            'W' => frames(LONG_PAUSE_NS),
            _ => {
                let key = u8::try_from(letter).ok()?.to_ascii_uppercase();
                KEYS.iter().position(|known| *known == key).map(|event| Self::Key(event as u8))
            }
        }
    }
}

/// A string that has something else in it than keys and pauses, or too much, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadDigits;

impl fmt::Display for BadDigits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "digits are 1 to {MAX_DIGITS} of 0-9 * # A-D w W")
    }
}

/// What the next 20 ms hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A payload of G.711.
    Audio,
    /// A telephone event that began `age` packets ago.
    Event { payload: [u8; 4], age: u32 },
    /// Nothing is sent.
    Nothing,
}

/// How a key goes out; it does not change before the next key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    Events,
    Tones,
}

/// Digits on their way.
#[derive(Clone, Debug)]
pub struct Digits {
    symbols: Vec<Symbol>,
    /// How many of them have begun.
    begun: usize,
    timing: DigitTiming,
    /// What is being sent, how, and for how many packets already.
    current: Option<(Symbol, Means, u32)>,
    started_ns: u64,
    frames: u64,
}

impl Digits {
    /// Reads a string of `0-9 * # A-D`, `w` for half a second and `W` for a second; the first packet is due at `now_ns`.
    pub fn new(text: &str, timing: DigitTiming, now_ns: u64) -> Result<Self, BadDigits> {
        let symbols: Vec<Symbol> = text.chars().map(Symbol::of).collect::<Option<_>>().ok_or(BadDigits)?;
        if !(1..=MAX_DIGITS).contains(&symbols.len()) {
            return Err(BadDigits);
        }
        Ok(Self { symbols, begun: 0, timing, current: None, started_ns: now_ns, frames: 0 })
    }

    /// True if the other was asked to dial just the same.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.symbols, self.timing) == (&other.symbols, other.timing)
    }

    /// Moves the begin, before the first packet.
    pub(crate) fn start(&mut self, now_ns: u64) {
        self.started_ns = now_ns;
    }

    /// When the next packet is due.
    pub(crate) fn due_ns(&self) -> u64 {
        self.started_ns + self.frames * FRAME_NS
    }

    /// What the next packet is; None if all is sent. Audio is written into `out`, in `law`; `event_rate` is the clock of
    /// telephone events, if the other side takes any.
    pub(crate) fn next_frame(
        &mut self,
        law: Option<Law>,
        event_rate: Option<u32>,
        out: &mut [u8; FRAME_SAMPLES],
    ) -> Option<Frame> {
        let (symbol, means, age) = match self.current.take() {
            Some(current) => current,
            None => {
                let means = if event_rate.is_some() { Means::Events } else { Means::Tones };
                let symbol = *self.symbols.get(self.begun)?;
                self.begun += 1;
                (symbol, means, 0)
            }
        };
        if age + 1 < self.length(symbol, means) {
            self.current = Some((symbol, means, age + 1));
        }
        self.frames += 1;
        let (Symbol::Key(key), tone_frames) = (symbol, self.timing.tone_frames) else { return Some(silence(law, out)) };
        Some(match means {
            Means::Events if age < tone_frames + FINAL_PACKETS - 1 => event(key, age, tone_frames, event_rate),
            Means::Tones if age < tone_frames => tone(key, age, law, out),
            _ => silence(law, out),
        })
    }

    /// How many packets a symbol takes. After the last key there is no gap, but its final packets are sent.
    fn length(&self, symbol: Symbol, means: Means) -> u32 {
        match symbol {
            Symbol::Pause(frames) => frames,
            Symbol::Key(_) if self.begun < self.symbols.len() => self.timing.tone_frames + self.timing.gap_frames,
            Symbol::Key(_) if means == Means::Events => self.timing.tone_frames + FINAL_PACKETS - 1,
            Symbol::Key(_) => self.timing.tone_frames,
        }
    }
}

/// RFC 4733 §2.3: event, E R volume, duration so far.
fn event(key: u8, age: u32, tone_frames: u32, event_rate: Option<u32>) -> Frame {
    // an event format that has gone meanwhile has no packets; the key is over by itself
    let Some(rate) = event_rate else { return Frame::Nothing };
    let frames = (age + 1).min(tone_frames);
    let ended = if age + 1 >= tone_frames { 0x80 } else { 0 };
    let duration = (u64::from(frames) * FRAME_NS * u64::from(rate) / crate::time::NS_PER_S).min(0xffff) as u16;
    let [high, low] = duration.to_be_bytes();
    Frame::Event { payload: [key, ended | VOLUME, high, low], age }
}

fn tone(key: u8, age: u32, law: Option<Law>, out: &mut [u8; FRAME_SAMPLES]) -> Frame {
    let Some(law) = law else { return Frame::Nothing };
    let (row, column) = PLACES[usize::from(key & 0x0f)];
    let frequencies = [ROWS[usize::from(row)], COLUMNS[usize::from(column)]];
    let (amplitude, first) = (tone::amplitude(TONE_DBM0), age * FRAME_SAMPLES as u32);
    for (n, code) in (first..).zip(out.iter_mut()) {
        *code = law.encode(tone::sample(&frequencies, amplitude, n));
    }
    Frame::Audio
}

fn silence(law: Option<Law>, out: &mut [u8; FRAME_SAMPLES]) -> Frame {
    let Some(law) = law else { return Frame::Nothing };
    out.fill(law.silence());
    Frame::Audio
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::g711::{A_LAW_TO_LINEAR, MU_LAW_SILENCE};
    use crate::tone::tests::level;

    const EVENTS: Option<u32> = Some(8000);

    fn digits(text: &str) -> Digits {
        Digits::new(text, DigitTiming::new(60, 60).unwrap(), 0).unwrap()
    }

    fn frames(digits: &mut Digits, law: Option<Law>, event_rate: Option<u32>) -> Vec<Frame> {
        let mut out = [0; FRAME_SAMPLES];
        std::iter::from_fn(|| digits.next_frame(law, event_rate, &mut out)).collect()
    }

    /// An event's packet as (event, end, duration, age).
    fn parts(frame: &Frame) -> Option<(u8, bool, u16, u32)> {
        match frame {
            Frame::Event { payload: [event, flags, high, low], age } => {
                assert_eq!(flags & 0x7f, VOLUME);
                Some((*event, flags & 0x80 != 0, u16::from_be_bytes([*high, *low]), *age))
            }
            _ => None,
        }
    }

    #[test]
    fn only_keys_and_pauses_are_taken() {
        assert!(Digits::new("0123456789*#ABCDabcdwW", DigitTiming::default(), 0).is_ok());
        for bad in ["", "12 3", "e", "+1", "\u{661}", &"1".repeat(MAX_DIGITS + 1)] {
            assert_eq!(Digits::new(bad, DigitTiming::default(), 0).unwrap_err(), BadDigits, "{bad}");
        }
        assert_eq!(BadDigits.to_string(), "digits are 1 to 256 of 0-9 * # A-D w W");
    }

    #[test]
    fn timing_is_in_whole_packets_and_bounded() {
        assert_eq!(DigitTiming::new(41, 1000), Some(DigitTiming { tone_frames: 3, gap_frames: 50 }));
        assert_eq!(DigitTiming::new(100, 100), Some(DigitTiming::default()));
        assert_eq!((DigitTiming::new(39, 100), DigitTiming::new(100, 1001)), (None, None));
    }

    #[test]
    fn an_event_grows_and_ends_three_times() {
        let sent = frames(&mut digits("7"), Some(Law::Mu), EVENTS);
        let expected =
            [(7, false, 160, 0), (7, false, 320, 1), (7, true, 480, 2), (7, true, 480, 3), (7, true, 480, 4)];
        assert_eq!(sent.iter().filter_map(parts).collect::<Vec<_>>(), expected);
        assert_eq!(sent.len(), expected.len());
    }

    #[test]
    fn the_gap_runs_from_the_keys_end() {
        let sent = frames(&mut digits("#5"), Some(Law::Mu), EVENTS);
        let begins: Vec<usize> = sent
            .iter()
            .enumerate()
            .filter(|(_, frame)| parts(frame).is_some_and(|one| one.3 == 0))
            .map(|(at, _)| at)
            .collect();
        assert_eq!(begins, [0, 6]);
        assert_eq!(sent[5], Frame::Audio);
        assert_eq!(parts(&sent[0]).unwrap().0, 11);
    }

    #[test]
    fn pauses_take_their_time_in_silence_or_without_a_packet() {
        let mut out = [0; FRAME_SAMPLES];
        let mut pausing = digits("wW1");
        assert!((0..75).all(|_| pausing.next_frame(Some(Law::Mu), EVENTS, &mut out) == Some(Frame::Audio)));
        assert_eq!((out, pausing.due_ns()), ([MU_LAW_SILENCE; FRAME_SAMPLES], 1500 * NS_PER_MS));
        assert!(parts(&pausing.next_frame(Some(Law::Mu), EVENTS, &mut out).unwrap()).is_some());
        let sent = frames(&mut digits("w1"), None, EVENTS);
        assert_eq!(sent.iter().filter(|frame| **frame == Frame::Nothing).count(), 25);
    }

    #[test]
    fn durations_are_in_the_clock_of_the_events() {
        let sent = frames(&mut digits("1"), None, Some(48_000));
        assert_eq!(sent.iter().filter_map(parts).map(|one| one.2).collect::<Vec<_>>(), [960, 1920, 2880, 2880, 2880]);
        let mut long = Digits::new("1", DigitTiming::new(1000, 40).unwrap(), 0).unwrap();
        assert_eq!(frames(&mut long, None, Some(96_000)).iter().filter_map(parts).next_back().unwrap().2, 0xffff);
    }

    #[test]
    fn without_events_each_key_has_its_two_tones() {
        for (event, (row, column)) in PLACES.iter().enumerate() {
            let mut one = digits(&char::from(KEYS[event]).to_string());
            let (mut out, mut samples) = ([0; FRAME_SAMPLES], Vec::new());
            while one.next_frame(Some(Law::A), None, &mut out).is_some() {
                samples.extend(out.iter().map(|code| A_LAW_TO_LINEAR[usize::from(*code)]));
            }
            assert_eq!(samples.len(), 3 * FRAME_SAMPLES);
            for (at, frequency) in ROWS.iter().chain(&COLUMNS).enumerate() {
                let heard = level(&samples, f64::from(*frequency));
                if at == usize::from(*row) || at == 4 + usize::from(*column) {
                    assert!((heard - TONE_DBM0).abs() < 1.0, "{event} {frequency} {heard}");
                } else {
                    assert!(heard < TONE_DBM0 - 6.0, "{event} {frequency} {heard}");
                }
            }
        }
        let mut two = frames(&mut digits("12"), Some(Law::Mu), None);
        assert_eq!((two.len(), two.pop()), (9, Some(Frame::Audio)));
    }

    #[test]
    fn a_key_ends_as_it_began_when_the_formats_change() {
        let mut out = [0; FRAME_SAMPLES];
        let mut changing = digits("12");
        changing.next_frame(Some(Law::Mu), EVENTS, &mut out);
        assert_eq!(changing.next_frame(Some(Law::Mu), None, &mut out), Some(Frame::Nothing));
        for _ in 0..4 {
            changing.next_frame(Some(Law::Mu), None, &mut out);
        }
        assert_eq!(changing.next_frame(Some(Law::Mu), EVENTS, &mut out).and_then(|frame| parts(&frame)).unwrap().0, 2);
    }
}
