//! The media engine's rules without sockets, clocks or threads: `now` comes in, actions go out.
//!
//! [`Registry`] holds one worker's sessions. It is told what arrives ([`Registry::receive_rtp`],
//! [`Registry::receive_rtcp`], [`Registry::receive_unreachable`]) and that time has passed
//! ([`Registry::handle_timeout`]); what it wants done goes to an [`Output`] at once rather than into a queue, because
//! a packet is relayed from the very buffer it arrived in.
#![forbid(unsafe_code)]

mod arena;
mod batch;
mod digits;
mod dtmf;
mod event;
mod fork;
mod format;
pub mod g711;
mod histogram;
mod numbering;
mod player;
mod ports;
mod quality;
mod reception;
mod recorder;
mod refusal;
mod registry;
mod report;
pub mod rtcp;
pub mod rtp;
pub mod srtp;
mod statistics;
mod time;
mod tone;
mod translation;
pub mod wav;

pub use arena::{Arena, Key};
pub use batch::MAX_BATCH_NS;
pub use digits::{BadDigits, DigitTiming, Digits};
pub use dtmf::{Digit, DtmfDetector};
pub use event::Event;
pub use fork::{Rewriter, Rewritten};
pub use format::{Format, FormatShelf, Formats};
pub use g711::Law;
pub use histogram::Histogram;
pub use numbering::Numbering;
pub use player::{Audio, Player, WeakAudio, FRAME_NS, FRAME_SAMPLES};
pub use ports::PortPool;
pub use quality::{mos, Bursts, Drift, Quality, Tally};
pub use reception::{Arrived, Reception};
pub use recorder::{Placement, Recorder};
pub use refusal::{Refusal, RefusalCode};
pub use registry::{
    port_above, Cname, EndpointSettings, ForkPorts, ForkRole, ForkSettings, HandOver, KernelFork, KernelLeg,
    KernelTally, Latch, MediaKeys, NewFork, Numbers, Output, PairKey, Playback, Registry, RegistryOptions, Side,
    Totals, MAX_KERNEL_FORKS,
};
pub use statistics::{EndpointStatistics, ForkStatistics, RecorderStatistics, RecordingGap, SessionStatistics};
pub use time::{samples_in, Instant, NS_PER_MS, NS_PER_S};
pub use tone::{render as render_tones, Tone, MAX_FREQUENCIES, MAX_TONES, MAX_TONES_MS};
pub use translation::Translation;
