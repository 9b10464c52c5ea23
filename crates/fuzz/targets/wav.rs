//! Files that players are given.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media_core::wav::{parse, Coding};

fuzz_target!(|data: &[u8]| {
    if let Ok(wav) = parse(data) {
        assert!(wav.data.len() < data.len());
        assert!(wav.coding != Coding::Linear16 || wav.data.len() % 2 == 0);
    }
});
