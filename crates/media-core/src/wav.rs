//! RIFF/WAVE: what players read and recorders write.

/// Octets before the samples of a file that is written here.
pub const HEADER_LEN: usize = 44;

const PCM: u16 = 1;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// How the samples of a file are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// 16-bit little-endian linear.
    Linear16,
    /// 8-bit A-law.
    ALaw,
    /// 8-bit mu-law.
    MuLaw,
}

/// A file of 8 kHz mono audio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wav<'a> {
    /// How `data` is coded.
    pub coding: Coding,
    /// The samples' octets.
    pub data: &'a [u8],
}

/// Reads a file; an error says what is wrong with it.
pub fn parse(bytes: &[u8]) -> Result<Wav<'_>, &'static str> {
    if bytes.len() < 12 || &bytes[..4] != b"RIFF" || &bytes[8..12] != b"WAVE" {
        return Err("no RIFF/WAVE file");
    }
    let mut rest = &bytes[12..];
    let mut coding = None;
    while rest.len() >= 8 {
        let length = u32::from_le_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize;
        let (name, body) = (&rest[..4], &rest[8..]);
        // a writer that streams leaves the length open: the data ends with the file
        let body = &body[..length.min(body.len())];
        match name {
            b"fmt " => coding = Some(parse_format(body)?),
            b"data" => {
                let coding = coding.ok_or("data before fmt")?;
                let whole = if coding == Coding::Linear16 { body.len() & !1 } else { body.len() };
                return Ok(Wav { coding, data: &body[..whole] });
            }
            _ => {}
        }
        // chunks are padded to even lengths
        rest = rest.get(8 + length + (length & 1)..).unwrap_or(&[]);
    }
    Err("no data chunk")
}

fn parse_format(body: &[u8]) -> Result<Coding, &'static str> {
    if body.len() < 16 {
        return Err("short fmt chunk");
    }
    let short = |at: usize| u16::from_le_bytes([body[at], body[at + 1]]);
    if short(2) != 1 {
        return Err("not mono");
    }
    if u32::from_le_bytes([body[4], body[5], body[6], body[7]]) != 8000 {
        return Err("not at 8000 Hz");
    }
    let tag = match short(0) {
        EXTENSIBLE if body.len() >= 26 => short(24),
        tag => tag,
    };
    match (tag, short(14)) {
        (PCM, 16) => Ok(Coding::Linear16),
        (A_LAW, 8) => Ok(Coding::ALaw),
        (MU_LAW, 8) => Ok(Coding::MuLaw),
        _ => Err("neither 16-bit PCM, A-law nor mu-law"),
    }
}

/// The header of an 8 kHz mono 16-bit file with so many samples; a file too long for its 32-bit sizes gets the largest.
pub fn header(samples: u64) -> [u8; HEADER_LEN] {
    let data = u32::try_from(samples * 2).unwrap_or(u32::MAX - 37) & !1;
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&(data + 36).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16u32.to_le_bytes());
    header[20..22].copy_from_slice(&PCM.to_le_bytes());
    header[22..24].copy_from_slice(&1u16.to_le_bytes());
    header[24..28].copy_from_slice(&8000u32.to_le_bytes());
    header[28..32].copy_from_slice(&16_000u32.to_le_bytes());
    header[32..34].copy_from_slice(&2u16.to_le_bytes());
    header[34..36].copy_from_slice(&16u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..44].copy_from_slice(&data.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tag: u16, bits: u16, extra: &[u8], data: &[u8]) -> Vec<u8> {
        let mut bytes = header(0).to_vec();
        bytes.truncate(36);
        bytes[20..22].copy_from_slice(&tag.to_le_bytes());
        bytes[34..36].copy_from_slice(&bits.to_le_bytes());
        bytes.extend_from_slice(extra);
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn a_written_header_is_read() {
        let mut bytes = header(3).to_vec();
        bytes.extend_from_slice(&[1, 2, 3, 4, 5, 6, 99]);
        assert_eq!(parse(&bytes), Ok(Wav { coding: Coding::Linear16, data: &[1, 2, 3, 4, 5, 6] }));
        bytes[4..8].copy_from_slice(&[0xff; 4]);
        bytes[40..44].copy_from_slice(&[0xff; 4]);
        assert_eq!(parse(&bytes).unwrap().data.len(), 6);
    }

    #[test]
    fn laws_extensible_and_chunks_between_are_read() {
        assert_eq!(parse(&file(A_LAW, 8, b"", b"abc")), Ok(Wav { coding: Coding::ALaw, data: b"abc" }));
        let odd = [&b"LIST"[..], &3u32.to_le_bytes(), b"odd\0"].concat();
        assert_eq!(parse(&file(MU_LAW, 8, &odd, b"x")), Ok(Wav { coding: Coding::MuLaw, data: b"x" }));
        let mut extensible = file(EXTENSIBLE, 16, &[0; 24], b"yyyy");
        extensible[16] = 40;
        extensible[44] = 1;
        assert_eq!(parse(&extensible).unwrap().coding, Coding::Linear16);
    }

    #[test]
    fn other_files_are_refused_with_the_reason() {
        let mut stereo = file(PCM, 16, b"", b"");
        stereo[22] = 2;
        let mut fast = file(PCM, 16, b"", b"");
        fast[24] = 0;
        let no_format = [&b"RIFF\0\0\0\0WAVEdata"[..], &[0; 4]].concat();
        let mut short_format = file(PCM, 16, b"", b"");
        short_format[16] = 4;
        for (bytes, reason) in [
            (&b"RIFF"[..], "no RIFF/WAVE file"),
            (&stereo, "not mono"),
            (&fast, "not at 8000 Hz"),
            (&file(PCM, 8, b"", b""), "neither 16-bit PCM, A-law nor mu-law"),
            (&no_format, "data before fmt"),
            (&short_format, "short fmt chunk"),
            (&header(0)[..36], "no data chunk"),
        ] {
            assert_eq!(parse(bytes), Err(reason));
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let mut random = crate::rtcp::tests::Random::new(5);
        for _ in 0..100_000 {
            let mut bytes = file(A_LAW, 8, b"", b"abcdefgh");
            for _ in 0..random.below(5) {
                let at = random.below(bytes.len());
                bytes[at] = random.next() as u8;
            }
            bytes.truncate(random.below(bytes.len() + 1));
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn sizes_saturate() {
        assert_eq!(header(u64::MAX / 4)[40..44], ((u32::MAX - 37) & !1).to_le_bytes());
    }
}
