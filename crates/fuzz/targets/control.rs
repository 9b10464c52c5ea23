//! Lines of the control protocol: each is read, or refused with an answer that is one line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for line in data.split(|octet| *octet == b'\n') {
        if let Err(answer) = media_net::check_request(line) {
            let (end, text) = answer.split_last().expect("an answer is never empty");
            assert!(*end == b'\n' && !text.contains(&b'\n') && std::str::from_utf8(text).is_ok());
        }
    }
});
