//! Streams of RTP through all that looks at single packets: the first octet of each says how long it is and when it came.
#![no_main]

use libfuzzer_sys::fuzz_target;
use media_core::rtp::{is_rtcp, RtpPacket, HEADER_LEN};
use media_core::{DtmfDetector, Instant, Numbering, Reception, Recorder, Rewriter, NS_PER_MS};

fuzz_target!(|data: &[u8]| {
    let mut now = Instant { mono_ns: 1, wall_ns: 1 };
    let (mut recorder, mut dtmf, mut numbering) = (Recorder::default(), DtmfDetector::default(), Numbering::default());
    let (mut rewriter, mut reception) = (Rewriter::new(1, 65_530, u32::MAX - 500), None::<Reception>);
    let mut rest = data;
    while let Some((kind, after)) = rest.split_first() {
        let (bytes, after) = after.split_at(after.len().min(HEADER_LEN - 2 + usize::from(kind & 0x1f)));
        rest = after;
        now = now.after(u64::from(kind >> 5) * 10 * NS_PER_MS);
        is_rtcp(bytes);
        let Ok(packet) = RtpPacket::parse(bytes) else { continue };
        assert!(packet.payload().len() + HEADER_LEN <= bytes.len());
        numbering.number(packet.ssrc(), packet.sequence());
        dtmf.receive(&packet, 8000, now.mono_ns);
        dtmf.handle_timeout(now.mono_ns);
        let reception = reception.get_or_insert_with(|| Reception::new(packet.ssrc(), packet.sequence()));
        reception.receive(packet.sequence());
        reception.receive_timing(packet.timestamp(), now.mono_ns, 8000);
        reception.report();
        if let Some(header) = rewriter.rewrite(&packet, 8, 8000, now.mono_ns) {
            let mut copy = bytes.to_vec();
            header.rewrite(&mut copy);
            let read = RtpPacket::parse(&copy).expect("what was rewritten is still a packet");
            assert_eq!((read.ssrc(), read.sequence(), read.payload()), (1, header.sequence, packet.payload()));
        }
        recorder.place(&packet, packet.payload().len(), now);
        // two seconds is what a file may be ahead of the time that has passed
        assert!(recorder.statistics().samples <= now.mono_ns / NS_PER_MS * 8 + 16_000 + 64);
    }
});
