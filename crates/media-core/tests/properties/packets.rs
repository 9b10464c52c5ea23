//! RTP and RTCP.

use media_core::rtcp::{parse_compound, CompoundBuilder, ReportBlock, RtcpPacket, SenderInfo};
use media_core::rtp::{is_rtcp, RtpError, RtpHeader, RtpPacket, HEADER_LEN};
use media_core::DtmfDetector;
use proptest::collection::vec;
use proptest::prelude::*;

prop_compose! {
    fn headers()(
        marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
    ) -> RtpHeader {
        RtpHeader { marker, payload_type, sequence, timestamp, ssrc }
    }
}

prop_compose! {
    fn blocks()(
        ssrc: u32, fraction_lost: u8, cumulative_lost in -0x80_0000i32..0x80_0000, extended_sequence: u32, jitter: u32,
        last_sr: u32, delay_since_sr: u32,
    ) -> ReportBlock {
        ReportBlock { ssrc, fraction_lost, cumulative_lost, extended_sequence, jitter, last_sr, delay_since_sr }
    }
}

prop_compose! {
    fn infos()(ntp: u64, rtp_timestamp: u32, packets: u32, octets: u32) -> SenderInfo {
        SenderInfo { ntp, rtp_timestamp, packets, octets }
    }
}

/// A packet with everything that RFC 3550 §5.1 allows: CSRCs, an extension, padding.
fn written(
    header: RtpHeader,
    csrcs: &[u32],
    extension: Option<&[u32]>,
    payload: &[u8],
    padding: Option<u8>,
) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    header.write(bytes.first_chunk_mut().expect("there is room"));
    bytes[0] |= csrcs.len() as u8;
    csrcs.iter().for_each(|csrc| bytes.extend_from_slice(&csrc.to_be_bytes()));
    if let Some(words) = extension {
        bytes[0] |= 0x10;
        bytes.extend_from_slice(&[0xbe, 0xde]);
        bytes.extend_from_slice(&(words.len() as u16).to_be_bytes());
        words.iter().for_each(|word| bytes.extend_from_slice(&word.to_be_bytes()));
    }
    bytes.extend_from_slice(payload);
    if let Some(count) = padding {
        bytes[0] |= 0x20;
        bytes.resize(bytes.len() + usize::from(count) - 1, 0);
        bytes.push(count);
    }
    bytes
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        header in headers(), csrcs in vec(any::<u32>(), 0..16), extension in proptest::option::of(vec(any::<u32>(), 0..40)),
        payload in vec(any::<u8>(), 0..300), padding in proptest::option::of(1u8..),
    ) {
        let bytes = written(header, &csrcs, extension.as_deref(), &payload, padding);
        let packet = RtpPacket::parse(&bytes).unwrap();
        let read = RtpHeader {
            marker: packet.marker(), payload_type: packet.payload_type(), sequence: packet.sequence(),
            timestamp: packet.timestamp(), ssrc: packet.ssrc(),
        };
        prop_assert_eq!(read, header);
        prop_assert_eq!(packet.payload(), &payload[..]);
        prop_assert_eq!(packet.bytes(), &bytes[..]);
    }

    #[test]
    fn a_header_is_rewritten_and_nothing_else(
        before in headers(), after in headers(), csrcs in vec(any::<u32>(), 0..16), payload in vec(any::<u8>(), 0..100),
        padding in proptest::option::of(1u8..),
    ) {
        let mut bytes = written(before, &csrcs, None, &payload, padding);
        let expected = written(after, &csrcs, None, &payload, padding);
        after.rewrite(&mut bytes);
        prop_assert_eq!(bytes, expected);
    }

    #[test]
    fn a_packet_that_was_cut_is_refused_or_shorter(
        header in headers(), csrcs in vec(any::<u32>(), 0..16), extension in vec(any::<u32>(), 0..10),
        payload in vec(any::<u8>(), 0..20), at: prop::sample::Index,
    ) {
        let bytes = written(header, &csrcs, Some(&extension), &payload, None);
        let cut = &bytes[..at.index(bytes.len())];
        let begin = bytes.len() - payload.len();
        match RtpPacket::parse(cut) {
            Ok(packet) => prop_assert_eq!(packet.payload(), &bytes[begin..cut.len()]),
            Err(error) => {
                prop_assert_eq!(error, RtpError::Short);
                prop_assert!(cut.len() < begin);
            }
        }
    }

    #[test]
    fn any_octets_are_read_or_refused(bytes in vec(any::<u8>(), 0..400), version in proptest::option::of(Just(0x80u8))) {
        let mut bytes = bytes;
        if let (Some(version), Some(first)) = (version, bytes.first_mut()) {
            *first = version | (*first & 0x3f);
        }
        if let Ok(packet) = RtpPacket::parse(&bytes) {
            prop_assert!(packet.payload().len() + HEADER_LEN <= bytes.len());
            prop_assert!(bytes[0] >> 6 == 2);
            DtmfDetector::default().receive(&packet, 8000, 0);
        }
        if let Ok(packets) = parse_compound(&bytes) {
            prop_assert!(is_rtcp(&bytes) || bytes.len() < 8, "what can be read is told from RTP");
            prop_assert!(!packets.is_empty());
        }
    }

    #[test]
    fn any_telephone_events_give_keys_that_exist(
        events in vec((vec(any::<u8>(), 0..6), 0u32..1600, any::<bool>(), 0u64..700), 0..60), rate in 0u32..96_000,
    ) {
        let (mut detector, mut now_ns, mut timestamp) = (DtmfDetector::default(), 0, 0u32);
        let count = events.len();
        let mut digits = Vec::new();
        for (payload, step, marker, ms) in events {
            timestamp = timestamp.wrapping_add(step);
            now_ns += ms * 1_000_000;
            let header = RtpHeader { marker, payload_type: 101, sequence: 0, timestamp, ssrc: 1 };
            let bytes = written(header, &[], None, &payload, None);
            digits.extend(detector.receive(&RtpPacket::parse(&bytes).unwrap(), rate, now_ns));
            digits.extend(detector.handle_timeout(now_ns));
        }
        prop_assert!(digits.len() <= count);
        prop_assert!(digits.iter().all(|digit| "0123456789*#ABCD".contains(digit.key)));
    }

    #[test]
    fn reports_are_read_as_they_were_built(
        ssrc: u32, info in proptest::option::of(infos()), blocks in vec(blocks(), 0..40), cname in "[ -~]{0,300}", leaves: bool,
    ) {
        let mut builder = CompoundBuilder::report(ssrc, info, &blocks).cname(ssrc, &cname);
        if leaves {
            builder = builder.goodbye(ssrc);
        }
        let bytes = builder.build();
        prop_assert_eq!(bytes.len() % 4, 0);
        prop_assert!(is_rtcp(&bytes));
        let packets = parse_compound(&bytes).unwrap();
        let blocks = blocks[..blocks.len().min(31)].to_vec();
        let report = match info {
            Some(info) => RtcpPacket::SenderReport { ssrc, info, blocks },
            None => RtcpPacket::ReceiverReport { ssrc, blocks },
        };
        prop_assert_eq!(&packets[0], &report);
        let cname = cname.as_bytes()[..cname.len().min(255)].to_vec();
        prop_assert_eq!(&packets[1], &RtcpPacket::SourceDescription { cnames: vec![(ssrc, cname)] });
        let goodbye = leaves.then(|| RtcpPacket::Goodbye { ssrcs: vec![ssrc] });
        prop_assert_eq!(packets.get(2), goodbye.as_ref());
    }

    #[test]
    fn a_report_that_was_changed_is_read_or_refused(
        blocks in vec(blocks(), 0..6), cname in "[ -~]{0,20}", changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        length: prop::sample::Index,
    ) {
        let mut bytes = CompoundBuilder::report(1, None, &blocks).cname(1, &cname).goodbye(1).build();
        for (at, octet) in changes {
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        bytes.truncate(length.index(bytes.len() + 1));
        if let Ok(packets) = parse_compound(&bytes) {
            prop_assert!(packets.len() <= bytes.len() / 4);
        }
    }
}
