//! G.711: the tables of ITU-T G.711 mu-law and A-law, to and from 16-bit linear samples.

/// A silent mu-law sample.
pub const MU_LAW_SILENCE: u8 = 0xff;
/// A silent A-law sample.
pub const A_LAW_SILENCE: u8 = 0xd5;

/// Linear value of each mu-law code.
pub static MU_LAW_TO_LINEAR: [i16; 256] = mu_law_table();
/// Linear value of each A-law code.
pub static A_LAW_TO_LINEAR: [i16; 256] = a_law_table();

static LINEAR_TO_MU_LAW: [u8; 1 << 14] = mu_law_codes();
static LINEAR_TO_A_LAW: [u8; 1 << 13] = a_law_codes();

/// The mu-law code of a linear sample, of which the upper 14 bits count.
pub fn mu_law(sample: i16) -> u8 {
    LINEAR_TO_MU_LAW[usize::from(sample as u16 >> 2)]
}

/// The A-law code of a linear sample, of which the upper 13 bits count.
pub fn a_law(sample: i16) -> u8 {
    LINEAR_TO_A_LAW[usize::from(sample as u16 >> 3)]
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

const fn mu_law_codes() -> [u8; 1 << 14] {
    let mut codes = [0; 1 << 14];
    let mut index = 0;
    while index < codes.len() {
        let sample = ((index << 2) as u16 as i16) as i32;
        let sign = if sample < 0 { 0x80 } else { 0 };
        let mut magnitude = if sample < 0 { -sample } else { sample };
        if magnitude > 32_635 {
            magnitude = 32_635;
        }
        magnitude += 0x84;
        let mut segment = 0;
        while segment < 7 && magnitude >> (segment + 8) != 0 {
            segment += 1;
        }
        let step = (magnitude >> (segment + 3)) & 0x0f;
        codes[index] = !(sign | (segment << 4) as u8 | step as u8);
        index += 1;
    }
    codes
}

const fn a_law_codes() -> [u8; 1 << 13] {
    let mut codes = [0; 1 << 13];
    let mut index = 0;
    while index < codes.len() {
        let sample = ((index << 3) as u16 as i16) as i32;
        let (sign, magnitude) = if sample < 0 { (0, -sample - 1) } else { (0x80, sample) };
        let mut segment = 0;
        while segment < 7 && magnitude >> (segment + 8) != 0 {
            segment += 1;
        }
        let step = magnitude >> if segment == 0 { 4 } else { segment + 3 };
        codes[index] = (sign | (segment << 4) as u8 | (step & 0x0f) as u8) ^ 0x55;
        index += 1;
    }
    codes
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
