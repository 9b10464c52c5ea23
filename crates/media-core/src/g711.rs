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

/// The mu-law code of a linear sample; a negative one has the code of its magnitude but for the sign.
pub fn mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(MU_LAW_CLIP) + MU_LAW_BIAS;
    let segment = 8 - magnitude.leading_zeros() as u8;
    let step = (magnitude >> (segment + 3)) as u8 & 0x0f;
    !(sign | segment << 4 | step)
}

/// The A-law code of a linear sample; a negative one has the code of its complement but for the sign.
pub fn a_law(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0, !sample as u16) } else { (0x80, sample as u16) };
    // the lowest segment is as wide as two steps of the next: it has no leading bit of its own
    let segment = 8 - magnitude.leading_zeros().min(8) as u8;
    let step = (magnitude >> (segment.max(1) + 3)) as u8 & 0x0f;
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
}
