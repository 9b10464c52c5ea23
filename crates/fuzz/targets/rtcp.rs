//! Compound RTCP packets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media_core::rtcp::{parse_compound, CompoundBuilder, RtcpPacket};
use media_core::rtp::is_rtcp;

fuzz_target!(|data: &[u8]| {
    let Ok(packets) = parse_compound(data) else { return };
    assert!(!packets.is_empty() && 4 * packets.len() <= data.len());
    assert!(is_rtcp(data) || data.len() < 8);
    // a report that is built from what was read is read as that again
    let (ssrc, info, blocks) = match &packets[0] {
        RtcpPacket::SenderReport { ssrc, info, blocks } => (*ssrc, Some(*info), blocks),
        RtcpPacket::ReceiverReport { ssrc, blocks } => (*ssrc, None, blocks),
        other => panic!("a compound begins with {other:?}"),
    };
    let built = CompoundBuilder::report(ssrc, info, blocks).build();
    assert_eq!(parse_compound(&built).expect("it is well-formed")[0], packets[0]);
});
