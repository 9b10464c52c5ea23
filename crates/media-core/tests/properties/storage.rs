//! WAV files and G.711.

use media_core::g711::{a_law, mu_law, A_LAW_TO_LINEAR, MU_LAW_TO_LINEAR};
use media_core::wav::{header, parse, Coding, HEADER_LEN};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_file_that_was_written_is_read(samples in vec(any::<i16>(), 0..2000)) {
        let mut bytes = header(samples.len() as u64).to_vec();
        samples.iter().for_each(|sample| bytes.extend_from_slice(&sample.to_le_bytes()));
        let wav = parse(&bytes).unwrap();
        prop_assert_eq!((wav.coding, wav.data), (Coding::Linear16, &bytes[HEADER_LEN..]));
    }

    #[test]
    fn a_file_that_was_changed_or_cut_is_read_or_refused(
        samples in vec(any::<u8>(), 0..100), changes in vec((0usize..60, any::<u8>()), 0..8), length: prop::sample::Index,
    ) {
        let mut bytes = header(50).to_vec();
        bytes.extend_from_slice(&samples);
        for (at, octet) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = octet;
            }
        }
        bytes.truncate(length.index(bytes.len() + 1));
        if let Ok(wav) = parse(&bytes) {
            prop_assert!(wav.data.len() + 12 < bytes.len());
            prop_assert!(wav.coding != Coding::Linear16 || wav.data.len() % 2 == 0);
        }
    }

    #[test]
    fn chunks_of_any_length_are_passed_over(
        chunks in vec(("[a-zA-Z ]{4}", vec(any::<u8>(), 0..30)), 0..6), length: u32, data in vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = b"RIFF\0\0\0\0WAVE".to_vec();
        for (name, body) in chunks.iter().filter(|(name, _)| name != "data" && name != "fmt ") {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
            bytes.extend_from_slice(body);
            bytes.resize(bytes.len() + body.len() % 2, 0);
        }
        bytes.extend_from_slice(&header(0)[12..36]);
        bytes.extend_from_slice(b"data");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&data);
        let whole = data.len().min(length as usize) & !1;
        prop_assert_eq!(parse(&bytes).unwrap().data, &data[..whole]);
    }

    #[test]
    fn a_law_and_mu_law_are_near_what_was_said(sample: i16) {
        // a segment's step is at most a 16th of the value (ITU-T G.711), and half of it the error
        let limit = |floor: i32| i32::from(sample).abs() / 16 + floor;
        let error = |table: &[i16; 256], code: u8| (i32::from(table[usize::from(code)]) - i32::from(sample)).abs();
        prop_assert!(error(&MU_LAW_TO_LINEAR, mu_law(sample)) <= limit(700));
        prop_assert!(error(&A_LAW_TO_LINEAR, a_law(sample)) <= limit(16));
    }
}
