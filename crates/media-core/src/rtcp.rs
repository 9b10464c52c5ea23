//! RTCP packets (RFC 3550 §6): what the engine sends of its own and reads of others.

use crate::time::Instant;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const CNAME: u8 = 1;
/// A report block's octets.
const BLOCK_LEN: usize = 24;
/// The count field has five bits.
const MAX_COUNT: usize = 31;

/// Why bytes are not a compound RTCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtcpError {
    /// Shorter than a header, or than a length field says.
    Short,
    /// Not version 2.
    Version,
    /// The first packet is neither SR nor RR (RFC 3550 A.2).
    First,
    /// A packet's content does not fit its length.
    Content,
}

/// A sender's part of an SR (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// When, as an NTP time stamp.
    pub ntp: u64,
    /// The same moment on the stream's clock.
    pub rtp_timestamp: u32,
    /// RTP packets sent since the SSRC began.
    pub packets: u32,
    /// Payload octets in them.
    pub octets: u32,
}

/// What a receiver says about one source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source reported on.
    pub ssrc: u32,
    /// Loss since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning; 24 bits, signed.
    pub cumulative_lost: i32,
    /// Highest sequence number with its cycles.
    pub extended_sequence: u32,
    /// Interarrival jitter in units of the time stamp.
    pub jitter: u32,
    /// Middle 32 bits of the last SR's NTP time stamp.
    pub last_sr: u32,
    /// Delay since that SR in 1/65536 s.
    pub delay_since_sr: u32,
}

/// One packet of a compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RtcpPacket {
    /// SR.
    SenderReport {
        /// The sender.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
        /// What it received.
        blocks: Vec<ReportBlock>,
    },
    /// RR.
    ReceiverReport {
        /// The reporter.
        ssrc: u32,
        /// What it received.
        blocks: Vec<ReportBlock>,
    },
    /// SDES; items other than CNAME are left out.
    SourceDescription {
        /// (SSRC, CNAME) of each chunk that has one.
        cnames: Vec<(u32, Vec<u8>)>,
    },
    /// BYE; the reason is left out.
    Goodbye {
        /// The sources that leave.
        ssrcs: Vec<u32>,
    },
    /// APP, feedback or anything newer.
    Other {
        /// The packet type.
        packet_type: u8,
    },
}

fn word(bytes: &[u8], at: usize) -> Result<u32, RtcpError> {
    let word = bytes.get(at..at + 4).ok_or(RtcpError::Content)?;
    Ok(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}

/// Splits and reads a compound packet (RFC 3550 A.2).
pub fn parse_compound(mut bytes: &[u8]) -> Result<Vec<RtcpPacket>, RtcpError> {
    let mut packets = Vec::new();
    while packets.is_empty() || !bytes.is_empty() {
        if bytes.len() < 4 {
            return Err(RtcpError::Short);
        }
        if bytes[0] >> 6 != 2 {
            return Err(RtcpError::Version);
        }
        if packets.is_empty() && !matches!(bytes[1], SENDER_REPORT | RECEIVER_REPORT) {
            return Err(RtcpError::First);
        }
        let length = 4 * (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) + 1);
        let (packet, rest) = bytes.split_at_checked(length).ok_or(RtcpError::Short)?;
        packets.push(parse_one(packet)?);
        bytes = rest;
    }
    Ok(packets)
}

/// Changes the extended highest sequence number of each reception report about a source (RFC 3550 §6.4.1).
///
/// A packet that is cut short is changed as far as it goes.
pub fn renumber_reports(mut bytes: &mut [u8], ssrc: u32, number: impl Fn(u32) -> u32) {
    while let &mut [first, kind, high, low, ..] = bytes {
        let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
        let Some((packet, rest)) = bytes.split_at_mut_checked(length) else { return };
        let start = match kind {
            SENDER_REPORT => 28,
            RECEIVER_REPORT => 8,
            _ => length,
        };
        let blocks = packet.get_mut(start..).unwrap_or_default().chunks_exact_mut(BLOCK_LEN);
        for block in blocks.take(usize::from(first & 0x1f)).filter(|block| block[..4] == ssrc.to_be_bytes()) {
            let highest = u32::from_be_bytes([block[8], block[9], block[10], block[11]]);
            block[8..12].copy_from_slice(&number(highest).to_be_bytes());
        }
        bytes = rest;
    }
}

/// Sender, and middle of the NTP time stamp, of a compound packet that begins with a sender report (RFC 3550 §6.4.1).
pub fn compact_sender_report(compound: &[u8]) -> Option<(u32, u32)> {
    let &[_, SENDER_REPORT, ..] = compound else { return None };
    let (high, low) = (word(compound, 8).ok()?, word(compound, 12).ok()?);
    Some((word(compound, 4).ok()?, (high << 16) | (low >> 16)))
}

fn parse_one(packet: &[u8]) -> Result<RtcpPacket, RtcpError> {
    let count = usize::from(packet[0] & 0x1f);
    match packet[1] {
        SENDER_REPORT => {
            let info = SenderInfo {
                ntp: (u64::from(word(packet, 8)?) << 32) | u64::from(word(packet, 12)?),
                rtp_timestamp: word(packet, 16)?,
                packets: word(packet, 20)?,
                octets: word(packet, 24)?,
            };
            Ok(RtcpPacket::SenderReport { ssrc: word(packet, 4)?, info, blocks: parse_blocks(packet, 28, count)? })
        }
        RECEIVER_REPORT => {
            Ok(RtcpPacket::ReceiverReport { ssrc: word(packet, 4)?, blocks: parse_blocks(packet, 8, count)? })
        }
        SOURCE_DESCRIPTION => Ok(RtcpPacket::SourceDescription { cnames: parse_cnames(packet, count)? }),
        GOODBYE => {
            let ssrcs = (0..count).map(|n| word(packet, 4 + 4 * n)).collect::<Result<_, _>>()?;
            Ok(RtcpPacket::Goodbye { ssrcs })
        }
        packet_type => Ok(RtcpPacket::Other { packet_type }),
    }
}

fn parse_blocks(packet: &[u8], start: usize, count: usize) -> Result<Vec<ReportBlock>, RtcpError> {
    (0..count)
        .map(|n| {
            let at = start + n * BLOCK_LEN;
            let lost = word(packet, at + 4)?;
            Ok(ReportBlock {
                ssrc: word(packet, at)?,
                fraction_lost: (lost >> 24) as u8,
                cumulative_lost: ((lost << 8) as i32) >> 8,
                extended_sequence: word(packet, at + 8)?,
                jitter: word(packet, at + 12)?,
                last_sr: word(packet, at + 16)?,
                delay_since_sr: word(packet, at + 20)?,
            })
        })
        .collect()
}

/// RFC 3550 §6.5: chunks of an SSRC and items, closed by a null octet and padded to 32 bits.
fn parse_cnames(packet: &[u8], count: usize) -> Result<Vec<(u32, Vec<u8>)>, RtcpError> {
    let mut cnames = Vec::new();
    let mut at = 4;
    for _ in 0..count {
        let ssrc = word(packet, at)?;
        at += 4;
        loop {
            let item = *packet.get(at).ok_or(RtcpError::Content)?;
            if item == 0 {
                at = (at + 4) & !3;
                break;
            }
            let length = usize::from(*packet.get(at + 1).ok_or(RtcpError::Content)?);
            let text = packet.get(at + 2..at + 2 + length).ok_or(RtcpError::Content)?;
            if item == CNAME {
                cnames.push((ssrc, text.to_vec()));
            }
            at += 2 + length;
        }
    }
    Ok(cnames)
}

/// Builds a compound packet; begin with a report and add SDES, as RFC 3550 §6.1 wants of each compound.
#[derive(Clone, Debug, Default)]
pub struct CompoundBuilder {
    bytes: Vec<u8>,
}

impl CompoundBuilder {
    /// A compound that begins with an SR if `info` is given, else with an RR. At most 31 blocks are taken.
    pub fn report(ssrc: u32, info: Option<SenderInfo>, blocks: &[ReportBlock]) -> Self {
        let mut builder = Self::default();
        let blocks = &blocks[..blocks.len().min(MAX_COUNT)];
        let start = builder.begin(if info.is_some() { SENDER_REPORT } else { RECEIVER_REPORT }, blocks.len());
        builder.word(ssrc);
        if let Some(info) = info {
            builder.word((info.ntp >> 32) as u32);
            builder.word(info.ntp as u32);
            builder.word(info.rtp_timestamp);
            builder.word(info.packets);
            builder.word(info.octets);
        }
        for block in blocks {
            let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff;
            builder.word(block.ssrc);
            builder.word((u32::from(block.fraction_lost) << 24) | lost);
            builder.word(block.extended_sequence);
            builder.word(block.jitter);
            builder.word(block.last_sr);
            builder.word(block.delay_since_sr);
        }
        builder.end(start);
        builder
    }

    /// Adds SDES with a CNAME, cut at 255 octets.
    #[must_use]
    pub fn cname(mut self, ssrc: u32, cname: &str) -> Self {
        let cname = &cname.as_bytes()[..cname.len().min(255)];
        let start = self.begin(SOURCE_DESCRIPTION, 1);
        self.word(ssrc);
        self.bytes.extend_from_slice(&[CNAME, cname.len() as u8]);
        self.bytes.extend_from_slice(cname);
        self.bytes.push(0);
        while !(self.bytes.len() - start).is_multiple_of(4) {
            self.bytes.push(0);
        }
        self.end(start);
        self
    }

    /// Adds BYE.
    #[must_use]
    pub fn goodbye(mut self, ssrc: u32) -> Self {
        let start = self.begin(GOODBYE, 1);
        self.word(ssrc);
        self.end(start);
        self
    }

    /// The packet.
    pub fn build(self) -> Vec<u8> {
        self.bytes
    }

    fn begin(&mut self, packet_type: u8, count: usize) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0x80 | count as u8, packet_type, 0, 0]);
        start
    }

    fn word(&mut self, word: u32) {
        self.bytes.extend_from_slice(&word.to_be_bytes());
    }

    fn end(&mut self, start: usize) {
        let words = ((self.bytes.len() - start) / 4 - 1) as u16;
        self.bytes[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }
}

/// The middle 32 bits of an NTP time stamp, for LSR and DLSR (RFC 3550 §4).
pub fn compact_ntp(now: Instant) -> u32 {
    (now.ntp() >> 16) as u32
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small generator of repeatable noise (xorshift64*).
    pub(crate) struct Random(u64);

    impl Random {
        pub(crate) fn new(seed: u64) -> Self {
            Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
        }

        pub(crate) fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
        }

        pub(crate) fn below(&mut self, bound: usize) -> usize {
            (self.next() >> 33) as usize % bound
        }

        pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
            let length = self.below(most + 1);
            (0..length).map(|_| self.next() as u8).collect()
        }
    }

    const INFO: SenderInfo =
        SenderInfo { ntp: 0x0123_4567_89ab_cdef, rtp_timestamp: 4_000_000_000, packets: 50, octets: 8000 };
    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 7,
        fraction_lost: 255,
        cumulative_lost: -3,
        extended_sequence: 0x0001_ffff,
        jitter: 12,
        last_sr: 0x4567_89ab,
        delay_since_sr: 65_536,
    };

    #[test]
    fn a_compound_reads_as_it_was_built() {
        let bytes = CompoundBuilder::report(42, Some(INFO), &[BLOCK]).cname(42, "a@b").goodbye(42).build();
        assert_eq!(
            parse_compound(&bytes).unwrap(),
            [
                RtcpPacket::SenderReport { ssrc: 42, info: INFO, blocks: vec![BLOCK] },
                RtcpPacket::SourceDescription { cnames: vec![(42, b"a@b".to_vec())] },
                RtcpPacket::Goodbye { ssrcs: vec![42] },
            ]
        );
    }

    #[test]
    fn an_empty_receiver_report_with_cnames_of_each_length_is_whole_words() {
        for length in 0..=300 {
            let cname = "c".repeat(length);
            let bytes = CompoundBuilder::report(1, None, &[]).cname(1, &cname).build();
            assert_eq!(bytes.len() % 4, 0);
            let kept = vec![b'c'; length.min(255)];
            assert_eq!(
                parse_compound(&bytes).unwrap(),
                [
                    RtcpPacket::ReceiverReport { ssrc: 1, blocks: vec![] },
                    RtcpPacket::SourceDescription { cnames: vec![(1, kept)] }
                ]
            );
        }
    }

    #[test]
    fn at_most_31_blocks_fit_and_loss_is_clamped_to_24_bits() {
        let block = ReportBlock { cumulative_lost: i32::MIN, ..BLOCK };
        let bytes = CompoundBuilder::report(1, None, &[block; 40]).build();
        let [RtcpPacket::ReceiverReport { blocks, .. }] = &parse_compound(&bytes).unwrap()[..] else { panic!() };
        assert_eq!(blocks.len(), 31);
        assert_eq!(blocks[0].cumulative_lost, -0x80_0000);
    }

    #[test]
    fn unknown_types_after_the_first_are_passed_over() {
        let mut bytes = CompoundBuilder::report(1, None, &[]).build();
        bytes.extend_from_slice(&[0x80, 204, 0, 0]);
        assert_eq!(parse_compound(&bytes).unwrap()[1], RtcpPacket::Other { packet_type: 204 });
    }

    #[test]
    fn bad_compounds_are_told_apart() {
        let good = CompoundBuilder::report(42, Some(INFO), &[BLOCK]).cname(42, "a@b").build();
        let mut wrong_version = good.clone();
        wrong_version[0] = 0x40;
        let mut too_many_blocks = good.clone();
        too_many_blocks[0] = 0x9f;
        let unfinished_sdes = [0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, b'a', b'b'];
        let cases: [(&[u8], RtcpError); 7] = [
            (&[], RtcpError::Short),
            (&good[..good.len() - 1], RtcpError::Short),
            (&good[..good.len() - 14], RtcpError::Short),
            (&wrong_version, RtcpError::Version),
            (&good[52..], RtcpError::First),
            (&too_many_blocks, RtcpError::Content),
            (&unfinished_sdes, RtcpError::Content),
        ];
        for (bytes, error) in cases {
            assert_eq!(parse_compound(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let mut random = Random::new(2);
        let good = CompoundBuilder::report(42, Some(INFO), &[BLOCK]).cname(42, "a@b").goodbye(42).build();
        for _ in 0..200_000 {
            let mut bytes = if random.below(2) == 0 { random.bytes(80) } else { good.clone() };
            for _ in 0..random.below(4) {
                if let Some(byte) = (!bytes.is_empty()).then(|| random.below(bytes.len())) {
                    bytes[byte] = random.next() as u8;
                }
            }
            let _ = parse_compound(&bytes);
        }
    }
}
