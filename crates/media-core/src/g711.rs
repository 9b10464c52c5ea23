//! G.711: the tables of ITU-T G.711 mu-law and A-law, to and from 16-bit linear samples.

/// A silent mu-law sample.
pub const MU_LAW_SILENCE: u8 = 0xff;
/// A silent A-law sample.
pub const A_LAW_SILENCE: u8 = 0xd5;

/// Mu-law segments begin here on the 16-bit scale, so that each is twice as wide as the one before.
const MU_LAW_BIAS: u16 = 0x84;
/// The largest magnitude that mu-law can code.
const MU_LAW_CLIP: u16 = 32_635;

/// Linear value of each mu-law code.
pub static MU_LAW_TO_LINEAR: [i16; 256] = mu_law_table();
/// Linear value of each A-law code.
pub static A_LAW_TO_LINEAR: [i16; 256] = a_law_table();

/// ITU-T G.711 table 3: the number of the A-law value, counted from 1, that stands for each mu-law value, from 0.
#[rustfmt::skip]
const A_LAW_OF_MU_LAW: [u8; 128] = [
    1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8,
    9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
    25, 27, 29, 31, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44,
    46, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62,
    64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79,
    80, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 96,
    97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112,
    113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128,
];

/// ITU-T G.711 table 4: the number of the mu-law value, from 0, that stands for each A-law value, counted from 1.
#[rustfmt::skip]
const MU_LAW_OF_A_LAW: [u8; 128] = [
    1, 3, 5, 7, 9, 11, 13, 15, 16, 17, 18, 19, 20, 21, 22, 23,
    24, 25, 26, 27, 28, 29, 30, 31, 32, 32, 33, 33, 34, 34, 35, 35,
    36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 48, 49, 49,
    50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64, 64,
    65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80,
    80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95,
    96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111,
    112, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127,
];

/// A-law code of each mu-law code, as the two networks agreed on it; it is not always the nearest value.
pub static MU_LAW_TO_A_LAW: [u8; 256] = mu_law_to_a_law_table();
/// Mu-law code of each A-law code.
pub static A_LAW_TO_MU_LAW: [u8; 256] = a_law_to_mu_law_table();

/// The two laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// PCMU.
    Mu,
    /// PCMA.
    A,
}

impl Law {
    /// The law of an encoding's upper-case name.
    pub fn of(encoding: &str) -> Option<Self> {
        match encoding {
            "PCMU" => Some(Self::Mu),
            "PCMA" => Some(Self::A),
            _ => None,
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Mu => Self::A,
            Self::A => Self::Mu,
        }
    }

    /// The code of silence.
    pub fn silence(self) -> u8 {
        match self {
            Self::Mu => MU_LAW_SILENCE,
            Self::A => A_LAW_SILENCE,
        }
    }

    /// The code of a linear sample.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => mu_law(sample),
            Self::A => a_law(sample),
        }
    }

    /// Codes of this law to codes of the other.
    pub fn to_other(self) -> &'static [u8; 256] {
        match self {
            Self::Mu => &MU_LAW_TO_A_LAW,
            Self::A => &A_LAW_TO_MU_LAW,
        }
    }
}

/// The mu-law code of a linear sample; a negative one has the code of its magnitude but for the sign.
pub const fn mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs();
    let magnitude = if magnitude < MU_LAW_CLIP { magnitude } else { MU_LAW_CLIP } + MU_LAW_BIAS;
    let segment = 8 - magnitude.leading_zeros() as u8;
    let step = (magnitude >> (segment + 3)) as u8 & 0x0f;
    !(sign | segment << 4 | step)
}

/// The A-law code of a linear sample; a negative one has the code of its complement but for the sign.
pub const fn a_law(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0, !sample as u16) } else { (0x80, sample as u16) };
    // the lowest segment is as wide as two steps of the next: it has no leading bit of its own
    let segment = if magnitude < 0x100 { 0 } else { 8 - magnitude.leading_zeros() as u8 };
    let step = (magnitude >> (if segment == 0 { 1 } else { segment } + 3)) as u8 & 0x0f;
    (sign | segment << 4 | step) ^ 0x55
}

const fn mu_law_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let inverted = !(code as u8);
        let segment = (inverted >> 4) & 7;
        let magnitude = ((((inverted & 0x0f) as i32) << 3) + 0x84) << segment;
        let value = magnitude - 0x84;
        table[code] = if inverted & 0x80 != 0 { -value } else { value } as i16;
        code += 1;
    }
    table
}

const fn a_law_table() -> [i16; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let toggled = code as u8 ^ 0x55;
        let segment = (toggled >> 4) & 7;
        let step = (((toggled & 0x0f) as i32) << 4) + 8;
        let value = if segment == 0 { step } else { (step + 0x100) << (segment - 1) };
        table[code] = if toggled & 0x80 != 0 { value } else { -value } as i16;
        code += 1;
    }
    table
}

// a code's last seven bits number its value from the middle: mu-law with all bits inverted, A-law with every other one

const fn mu_law_to_a_law_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let sign = code as u8 & 0x80;
        table[code] = (sign | (A_LAW_OF_MU_LAW[!code & 0x7f] - 1)) ^ 0x55;
        code += 1;
    }
    table
}

const fn a_law_to_mu_law_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        let sign = code as u8 & 0x80;
        table[code] = sign | (!MU_LAW_OF_A_LAW[(code ^ 0x55) & 0x7f] & 0x7f);
        code += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_recommendation() {
        assert_eq!(MU_LAW_TO_LINEAR[0x00], -32_124);
        assert_eq!(MU_LAW_TO_LINEAR[0x80], 32_124);
        assert_eq!((MU_LAW_TO_LINEAR[0x7f], MU_LAW_TO_LINEAR[0xff]), (0, 0));
        assert_eq!(A_LAW_TO_LINEAR[0xd5], 8);
        assert_eq!(A_LAW_TO_LINEAR[0x55], -8);
        assert_eq!(A_LAW_TO_LINEAR[0xaa], 32_256);
        assert_eq!(A_LAW_TO_LINEAR[0x2a], -32_256);
        assert_eq!((mu_law(0), a_law(0)), (MU_LAW_SILENCE, A_LAW_SILENCE));
        assert_eq!((mu_law(i16::MAX), mu_law(i16::MIN)), (0x80, 0x00));
        assert_eq!((a_law(i16::MAX), a_law(i16::MIN)), (0xaa, 0x2a));
    }

    #[test]
    fn decision_values_lie_half_way_on_both_sides() {
        // ITU-T G.711 table 2: between the outputs 340 and 356 the decision is at 348
        for (sample, value) in [(347, 340), (348, 356), (-346, -340), (-347, -340), (-348, -356)] {
            assert_eq!(MU_LAW_TO_LINEAR[usize::from(mu_law(sample))], value);
        }
        for (sample, value) in [(15, 8), (16, 24), (-16, -8), (-17, -24), (511, 504), (512, 528), (-513, -528)] {
            assert_eq!(A_LAW_TO_LINEAR[usize::from(a_law(sample))], value);
        }
    }

    #[test]
    fn each_code_survives_a_round_trip() {
        for code in 0..=255u8 {
            // mu-law has two zeros; the negative one comes back as the positive
            let expected = if code == 0x7f { 0xff } else { code };
            assert_eq!(mu_law(MU_LAW_TO_LINEAR[usize::from(code)]), expected, "mu-law {code:#x}");
            assert_eq!(a_law(A_LAW_TO_LINEAR[usize::from(code)]), code, "A-law {code:#x}");
        }
    }

    #[test]
    fn the_error_of_each_sample_stays_within_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(sample).abs();
            for decoded in [MU_LAW_TO_LINEAR[usize::from(mu_law(sample))], A_LAW_TO_LINEAR[usize::from(a_law(sample))]]
            {
                let error = (i32::from(decoded) - i32::from(sample)).abs();
                assert!(error <= 16 + magnitude / 30, "{sample} became {decoded}");
            }
        }
    }

    #[test]
    fn conversions_are_those_of_the_recommendation() {
        // ITU-T G.711 tables 3 and 4, at the ends and where the next value would have been nearer
        for (mu, a) in
            [(0xff, 0xd5), (0xfe, 0xd5), (0xfd, 0xd4), (0xcf, 0xf8), (0xae, 0x84), (0x80, 0xaa), (0x7f, 0x55)]
        {
            assert_eq!(MU_LAW_TO_A_LAW[mu], a, "{mu:#x}");
        }
        for (a, mu) in [(0xd5, 0xfe), (0x55, 0x7e), (0xd4, 0xfc), (0xaa, 0x80), (0x2a, 0x00)] {
            assert_eq!(A_LAW_TO_MU_LAW[a], mu, "{a:#x}");
        }
    }

    #[test]
    fn a_conversion_is_off_by_a_step_at_most_and_keeps_the_order() {
        for law in [Law::Mu, Law::A] {
            let (from, to) = match law {
                Law::Mu => (&MU_LAW_TO_LINEAR, &A_LAW_TO_LINEAR),
                Law::A => (&A_LAW_TO_LINEAR, &MU_LAW_TO_LINEAR),
            };
            let mut pairs: Vec<(i16, i16)> =
                (0..256).map(|code| (from[code], to[usize::from(law.to_other()[code])])).collect();
            pairs.sort_unstable();
            assert!(pairs.windows(2).all(|two| two[0].1 <= two[1].1));
            for (before, after) in pairs {
                let nearest = to[usize::from(law.other().encode(before))];
                let step = 16 + i32::from(before).abs() / 16;
                assert!((i32::from(after) - i32::from(nearest)).abs() <= step, "{before} {after} {nearest}");
            }
        }
    }

    #[test]
    fn there_and_back_only_the_finest_steps_are_lost() {
        let changed = |law: Law| {
            (0..=255u8)
                .filter(move |code| law.other().to_other()[usize::from(law.to_other()[usize::from(*code)])] != *code)
        };
        // of each sign, eight values share one of the other law with a neighbour
        assert_eq!((changed(Law::Mu).count(), changed(Law::A).count()), (16, 16));
    }

    #[test]
    fn only_g711_has_a_law() {
        assert_eq!([Law::of("PCMU"), Law::of("PCMA"), Law::of("G729")], [Some(Law::Mu), Some(Law::A), None]);
    }
}
