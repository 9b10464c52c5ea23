//! Tones, made of sines.

use std::f64::consts::TAU;

use crate::format::TELEPHONE_RATE;

/// Frequencies that sound together; no signal of the telephone has more.
pub const MAX_FREQUENCIES: usize = 4;
/// Tones that follow one another; the longest cadences of ITU-T E.180 have a few.
pub const MAX_TONES: usize = 32;
/// All tones of a sequence together: what takes longer is repeated.
pub const MAX_TONES_MS: u32 = 60_000;
/// The amplitude of a sine of 3.14 dBm0, which is as loud as G.711 goes.
const FULL_AMPLITUDE: f64 = 32_767.0;
#[allow(clippy::approx_constant)] // the level of ITU-T G.711 A-law, which only looks like pi
const FULL_DBM0: f64 = 3.14;

/// Frequencies that sound together for a while; without any, silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tone {
    /// In hertz.
    pub frequencies: Vec<u16>,
    /// How long, in milliseconds.
    pub ms: u32,
}

/// The samples of tones one after the other, at 8 kHz; each frequency has this level in dBm0.
pub fn render(tones: &[Tone], level_dbm0: f64) -> Vec<i16> {
    let count = |tone: &Tone| tone.ms as usize * TELEPHONE_RATE as usize / 1000;
    let mut samples = Vec::with_capacity(tones.iter().map(count).sum());
    for tone in tones {
        samples.extend((0..count(tone) as u32).map(|n| sample(&tone.frequencies, amplitude(level_dbm0), n)));
    }
    samples
}

/// What a sine of this level peaks at.
pub(crate) fn amplitude(level_dbm0: f64) -> f64 {
    FULL_AMPLITUDE * 10f64.powf((level_dbm0 - FULL_DBM0) / 20.0)
}

/// The sample of frequencies that began `n` samples ago, each with this amplitude.
pub(crate) fn sample(frequencies: &[u16], amplitude: f64, n: u32) -> i16 {
    let angle = |frequency: u16| TAU * f64::from(frequency) * f64::from(n) / f64::from(TELEPHONE_RATE);
    // a cast saturates: what is too loud is clipped
    frequencies.iter().map(|frequency| amplitude * angle(*frequency).sin()).sum::<f64>().round() as i16
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The level of a frequency in samples, in dBm0, by one bin of a Fourier transform.
    pub(crate) fn level(samples: &[i16], frequency: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let angle = TAU * frequency * n as f64 / f64::from(TELEPHONE_RATE);
            re += f64::from(*sample) * angle.cos();
            im += f64::from(*sample) * angle.sin();
        }
        let amplitude = 2.0 * re.hypot(im) / samples.len() as f64;
        20.0 * (amplitude / FULL_AMPLITUDE).max(1e-9).log10() + FULL_DBM0
    }

    #[test]
    fn each_frequency_has_the_level_and_nothing_else_sounds() {
        let tone = Tone { frequencies: vec![440, 480], ms: 1000 };
        let samples = render(&[tone], -19.0);
        assert_eq!(samples.len(), 8000);
        for frequency in [440.0, 480.0] {
            assert!((level(&samples, frequency) + 19.0).abs() < 0.05, "{}", level(&samples, frequency));
        }
        for frequency in [400.0, 460.0, 960.0, 1000.0] {
            assert!(level(&samples, frequency) < -60.0);
        }
    }

    #[test]
    fn tones_follow_one_another_and_silence_is_silent() {
        let silence = Tone { frequencies: vec![], ms: 500 };
        let samples = render(&[silence, Tone { frequencies: vec![1000], ms: 1 }], 0.0);
        assert_eq!(samples.len(), 4008);
        assert!(samples[..4000].iter().all(|sample| *sample == 0));
        assert!(samples[4001] > 0);
    }

    #[test]
    fn what_is_too_loud_is_clipped() {
        let samples = render(&[Tone { frequencies: vec![1000, 1000, 1000], ms: 10 }], 3.0);
        assert_eq!(samples.iter().max(), Some(&i16::MAX));
        assert_eq!(samples.iter().min(), Some(&i16::MIN));
    }
}
