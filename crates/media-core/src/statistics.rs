//! Counts, as the media protocol tells them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::quality::Quality;

/// What an endpoint received and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EndpointStatistics {
    /// RTP packets from the remote.
    pub packets_received: u64,
    /// Payload octets in them.
    pub octets_received: u64,
    /// RTP packets to the remote.
    pub packets_sent: u64,
    /// Payload octets in them.
    pub octets_sent: u64,
    /// Packets lost on the way here, over all SSRCs.
    pub lost: u64,
    /// Interarrival jitter of the current SSRC.
    pub jitter_ms: f64,
    /// Packets from an unexpected source.
    pub strays: u64,
    /// Datagrams that were no RTP.
    pub invalid: u64,
    /// SRTP and SRTCP packets that the key does not fit.
    pub unauthenticated: u64,
    /// SRTP and SRTCP packets that came again, or far too late.
    pub replayed: u64,
    /// Packets that could not be protected, and were not sent.
    pub unprotected: u64,
    /// How well it arrived, over all SSRCs.
    pub quality: Quality,
}

/// What a fork sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ForkStatistics {
    /// RTP packets to the SRS.
    pub packets_sent: u64,
    /// Payload octets in them.
    pub octets_sent: u64,
    /// Packets that the kernel would not take.
    pub send_errors: u64,
    /// Wall clock of the first packet.
    pub first_packet_ns: Option<u64>,
    /// Packets of formats that were not agreed.
    pub packets_filtered: u64,
    /// Cumulative loss by the SRS's last receiver report.
    pub reported_lost: Option<i32>,
    /// Jitter by the SRS's last receiver report.
    pub reported_jitter_ms: Option<f64>,
    /// SRTCP packets of the SRS that the key does not fit.
    pub unauthenticated: u64,
    /// Packets that could not be protected, and were not sent.
    pub unprotected: u64,
}

/// Silence in a file that stands for lost packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordingGap {
    /// The position of its first sample in the file.
    pub at: u64,
    /// Its length.
    pub samples: u64,
}

/// What a recorder wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecorderStatistics {
    /// Packets placed in the file.
    pub packets: u64,
    /// Packets lost on the way here.
    pub lost: u64,
    /// Packets seen before.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub late: u64,
    /// The file's length.
    pub samples: u64,
    /// Wall clock of the file's first sample.
    pub first_sample_ns: Option<u64>,
    /// Where the file is silent because packets were lost, in order; bounded, `lost` counts on.
    pub gaps: Vec<RecordingGap>,
}

/// All of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionStatistics {
    /// By name.
    pub endpoints: BTreeMap<Arc<str>, EndpointStatistics>,
    /// By name.
    pub forks: BTreeMap<Arc<str>, ForkStatistics>,
    /// By name, each with the id that it was opened with.
    pub recorders: BTreeMap<Arc<str>, (u64, RecorderStatistics)>,
}
