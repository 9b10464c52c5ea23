//! Files as packets of 20 ms on an exact schedule.

use std::sync::{Arc, Weak};

use crate::format::TELEPHONE_RATE;
use crate::g711::Law;
use crate::time::NS_PER_MS;
use crate::wav::{Coding, Wav};

/// Samples of a packet.
pub const FRAME_SAMPLES: usize = 160;
/// The time that a packet covers.
pub const FRAME_NS: u64 = 20 * NS_PER_MS;

/// Samples at 8 kHz that are ready to be played; cheap to clone.
#[derive(Clone, Debug)]
pub enum Audio {
    /// 16-bit linear samples.
    Linear(Arc<[i16]>),
    /// Samples in a law, which are sent as they are if the call has the same.
    Coded(Law, Arc<[u8]>),
}

impl From<Wav<'_>> for Audio {
    fn from(wav: Wav<'_>) -> Self {
        match wav.coding {
            Coding::Linear16 => {
                Self::Linear(wav.data.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect())
            }
            Coding::ALaw => Self::Coded(Law::A, wav.data.into()),
            Coding::MuLaw => Self::Coded(Law::Mu, wav.data.into()),
        }
    }
}

/// Audio that may have been played out and dropped.
#[derive(Clone, Debug)]
pub enum WeakAudio {
    /// Of [`Audio::Linear`].
    Linear(Weak<[i16]>),
    /// Of [`Audio::Coded`].
    Coded(Law, Weak<[u8]>),
}

impl WeakAudio {
    /// The audio, if somebody still plays it.
    pub fn upgrade(&self) -> Option<Audio> {
        match self {
            Self::Linear(samples) => samples.upgrade().map(Audio::Linear),
            Self::Coded(law, codes) => codes.upgrade().map(|codes| Audio::Coded(*law, codes)),
        }
    }
}

impl Audio {
    /// A reference that does not keep it.
    pub fn downgrade(&self) -> WeakAudio {
        match self {
            Self::Linear(samples) => WeakAudio::Linear(Arc::downgrade(samples)),
            Self::Coded(law, codes) => WeakAudio::Coded(*law, Arc::downgrade(codes)),
        }
    }

    /// The memory that it takes.
    pub fn octets(&self) -> usize {
        match self {
            Self::Linear(samples) => 2 * samples.len(),
            Self::Coded(_, codes) => codes.len(),
        }
    }

    /// Samples in it.
    pub fn len(&self) -> usize {
        match self {
            Self::Linear(samples) => samples.len(),
            Self::Coded(_, codes) => codes.len(),
        }
    }

    /// True if it sounds the same: the same piece of memory for a file that is played again while it is played, the same
    /// samples for tones.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Linear(mine), Self::Linear(theirs)) => Arc::ptr_eq(mine, theirs) || mine == theirs,
            (Self::Coded(_, mine), Self::Coded(_, theirs)) => Arc::ptr_eq(mine, theirs),
            _ => false,
        }
    }

    /// True if there is nothing to play.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Codes samples from `start` on into `out`; as many as there are, and their number is given.
    fn encode(&self, law: Law, start: usize, out: &mut [u8]) -> usize {
        let count = out.len().min(self.len() - start);
        let out = &mut out[..count];
        match self {
            Self::Linear(samples) => {
                for (code, sample) in out.iter_mut().zip(&samples[start..]) {
                    *code = law.encode(*sample);
                }
            }
            Self::Coded(own, codes) if *own == law => out.copy_from_slice(&codes[start..start + count]),
            Self::Coded(own, codes) => {
                let table = own.to_other();
                for (code, from) in out.iter_mut().zip(&codes[start..]) {
                    *code = table[usize::from(*from)];
                }
            }
        }
        count
    }
}

/// Plays audio some times over.
#[derive(Clone, Debug)]
pub struct Player {
    audio: Audio,
    loops: u32,
    start_ms: u64,
    /// None plays until stopped.
    loops_left: Option<u32>,
    position: usize,
    started_ns: u64,
    frames: u64,
}

impl Player {
    /// A player whose first packet is due now and stands at `start_ms`; `loops` of 0 repeats for ever.
    pub fn new(audio: Audio, loops: u32, start_ms: u64, now_ns: u64) -> Self {
        let loops_left = (loops != 0).then_some(loops);
        let mut player = Self { audio, loops, start_ms, loops_left, position: 0, started_ns: now_ns, frames: 0 };
        if start_ms > 0 {
            player.seek(start_ms);
        }
        player
    }

    /// True if the other was asked to play just the same.
    pub fn is_like(&self, other: &Self) -> bool {
        (self.loops, self.start_ms) == (other.loops, other.start_ms) && self.audio.is_same(&other.audio)
    }

    /// Goes on at another place of the audio, with the next packet; behind its end this turn is over.
    pub fn seek(&mut self, position_ms: u64) {
        let position = position_ms.saturating_mul(u64::from(TELEPHONE_RATE)) / 1000;
        self.position = usize::try_from(position).unwrap_or(usize::MAX).min(self.audio.len());
        self.turn();
    }

    /// When the next packet is due: a whole number of packets after the start, so nothing drifts.
    pub fn due_ns(&self) -> u64 {
        self.started_ns + self.frames * FRAME_NS
    }

    /// The next packet's payload in `law`, the last one filled up with silence; false if the end has been reached.
    pub fn next_frame(&mut self, law: Law, out: &mut [u8; FRAME_SAMPLES]) -> bool {
        let mut filled = 0;
        while filled < FRAME_SAMPLES && !self.is_over() {
            let count = self.audio.encode(law, self.position, &mut out[filled..]);
            filled += count;
            self.position += count;
            self.turn();
        }
        if filled == 0 {
            return false;
        }
        out[filled..].fill(law.silence());
        self.frames += 1;
        true
    }

    /// At the end of the audio it begins again, if it may.
    fn turn(&mut self) {
        if self.position == self.audio.len() && !self.is_over() {
            self.position = 0;
            self.loops_left = self.loops_left.map(|left| left - 1);
        }
    }

    fn is_over(&self) -> bool {
        self.audio.is_empty() || self.loops_left == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(law: Law, count: usize) -> Audio {
        Audio::Coded(law, (0..count).map(|n| n as u8).collect())
    }

    fn play(mut player: Player, law: Law) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut frame = [0; FRAME_SAMPLES];
        while player.next_frame(law, &mut frame) {
            frames.push(frame.to_vec());
        }
        frames
    }

    #[test]
    fn the_same_law_is_sent_as_it_is_and_the_last_packet_is_filled_with_silence() {
        let frames = play(Player::new(codes(Law::Mu, 200), 1, 0, 0), Law::Mu);
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0], (0..160).collect::<Vec<u8>>());
        assert_eq!(frames[1][..40], (160..200).collect::<Vec<u8>>());
        assert_eq!(frames[1][40..], [0xff; 120]);
    }

    #[test]
    fn loops_join_without_a_gap() {
        let frames = play(Player::new(codes(Law::A, 100), 3, 0, 0), Law::A);
        assert_eq!(frames.concat()[..300], vec![(0..100).collect::<Vec<u8>>(); 3].concat());
        assert_eq!(frames.concat()[300..], [0xd5; 20]);
        let mut endless = Player::new(codes(Law::A, 100), 0, 0, 0);
        assert!((0..1000).all(|_| endless.next_frame(Law::A, &mut [0; FRAME_SAMPLES])));
    }

    #[test]
    fn other_codings_are_converted() {
        let linear = Audio::from(Wav { coding: Coding::Linear16, data: &[0, 0, 0xff, 0x7f] });
        assert_eq!(play(Player::new(linear.clone(), 1, 0, 0), Law::Mu)[0][..3], [0xff, 0x80, 0xff]);
        assert_eq!(play(Player::new(linear, 1, 0, 0), Law::A)[0][..3], [0xd5, 0xaa, 0xd5]);
        let mu = Audio::from(Wav { coding: Coding::MuLaw, data: &[0x80, 0xff] });
        assert_eq!(play(Player::new(mu, 1, 0, 0), Law::A)[0][..2], [0xaa, 0xd5]);
        let a = Audio::from(Wav { coding: Coding::ALaw, data: &[0xaa] });
        assert_eq!(play(Player::new(a, 1, 0, 0), Law::Mu)[0][0], 0x80);
    }

    #[test]
    fn nothing_to_play_ends_at_once_even_for_ever() {
        assert!(play(Player::new(codes(Law::Mu, 0), 0, 0, 0), Law::Mu).is_empty());
    }

    #[test]
    fn packets_are_due_on_the_grid_of_the_start() {
        let mut player = Player::new(codes(Law::Mu, 160), 0, 0, 7);
        for n in 0..100_000 {
            assert_eq!(player.due_ns(), 7 + n * FRAME_NS);
            player.next_frame(Law::Mu, &mut [0; FRAME_SAMPLES]);
        }
    }

    #[test]
    fn a_weak_reference_lasts_as_long_as_somebody_plays() {
        for (audio, octets) in [(codes(Law::A, 3), 3), (Audio::Linear(Arc::new([0; 3])), 6)] {
            assert_eq!(audio.octets(), octets);
            let weak = audio.downgrade();
            assert_eq!(weak.upgrade().map(|audio| audio.len()), Some(3));
            drop(audio);
            assert!(weak.upgrade().is_none());
        }
    }

    #[test]
    fn a_player_goes_on_where_it_is_told_to_and_keeps_its_grid() {
        let mut player = Player::new(codes(Law::Mu, 400), 2, 0, 7);
        let mut frame = [0; FRAME_SAMPLES];
        player.next_frame(Law::Mu, &mut frame);
        player.seek(30);
        assert_eq!(player.due_ns(), 7 + FRAME_NS);
        player.next_frame(Law::Mu, &mut frame);
        assert_eq!(frame[0], 240);
        player.seek(0);
        player.next_frame(Law::Mu, &mut frame);
        assert_eq!(frame[0], 0);
        // behind the end the second turn begins, and behind its end nothing
        player.seek(50);
        player.next_frame(Law::Mu, &mut frame);
        assert_eq!(frame[0], 0);
        player.seek(u64::MAX);
        assert!(!player.next_frame(Law::Mu, &mut frame));
        player.seek(0);
        assert!(!player.next_frame(Law::Mu, &mut frame));
    }
}
