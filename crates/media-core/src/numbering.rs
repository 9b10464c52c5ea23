//! Sequence numbers of streams of others that go on as SRTP.
//!
//! SRTP counts the wraps of the sequence number without sending the count, so a receiver loses a stream that jumps
//! (RFC 3711 §3.3.1). A phone that begins anew under its old SSRC does jump; behind this, no stream ever does.

use crate::rtp::sequence_delta;

/// A larger step forward is a restart of the source rather than loss (RFC 3550 A.1).
const MAX_DROPOUT: i16 = 3000;
/// A larger step back is a restart of the source rather than reordering (RFC 3550 A.1).
const MAX_MISORDER: i16 = 100;
/// Streams that are told apart. What SRTP has sent of one it must not forget while its key lives, so a source beyond
/// them goes on under the SSRC of the one that has been silent longest.
const MAX_STREAMS: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Stream {
    /// The SSRC that it comes with.
    source: u32,
    /// The SSRC that it goes on with.
    ssrc: u32,
    newest: u16,
    offset: u16,
    /// The turn in which it was last heard.
    heard: u64,
    /// Its next number begins a new count.
    begins: bool,
}

impl Stream {
    /// The number after the highest so far.
    fn next(&self) -> u16 {
        self.newest.wrapping_add(self.offset).wrapping_add(1)
    }

    fn join(&mut self, sequence: u16, number: u16) {
        self.newest = sequence;
        self.offset = number.wrapping_sub(sequence);
    }
}

/// Gives streams numbers without jumps. SSRCs and numbers stay what they are as long as they can.
#[derive(Clone, Debug, Default)]
pub struct Numbering {
    streams: Vec<Stream>,
    turn: u64,
}

impl Numbering {
    /// SSRC and sequence number under which a packet goes on.
    pub fn number(&mut self, source: u32, sequence: u16) -> (u32, u16) {
        self.turn += 1;
        let heard = self.turn;
        let stream = match self.streams.iter().position(|stream| stream.source == source) {
            Some(at) => &mut self.streams[at],
            None => self.enter(source, sequence),
        };
        stream.heard = heard;
        let step = sequence_delta(stream.newest, sequence);
        if stream.begins {
            stream.begins = false;
            stream.join(sequence, first(stream.next()));
        } else if (1..MAX_DROPOUT).contains(&step) {
            stream.newest = sequence;
        } else if !(-MAX_MISORDER..=0).contains(&step) {
            stream.join(sequence, stream.next());
        }
        (stream.ssrc, sequence.wrapping_add(stream.offset))
    }

    /// Every stream begins a new count: its receiver knows nothing of the packets so far.
    pub fn restart(&mut self) {
        self.streams.iter_mut().for_each(|stream| stream.begins = true);
    }

    /// What was added to the numbers of the streams that go on under other ones: (SSRC, offset).
    pub fn offsets(&self) -> impl Iterator<Item = (u32, u16)> + '_ {
        self.streams.iter().filter(|stream| stream.offset != 0).map(|stream| (stream.ssrc, stream.offset))
    }

    fn enter(&mut self, source: u32, sequence: u16) -> &mut Stream {
        if self.streams.len() < MAX_STREAMS {
            let offset = first(sequence).wrapping_sub(sequence);
            self.streams.push(Stream { source, ssrc: source, newest: sequence, offset, heard: 0, begins: false });
            let last = self.streams.len() - 1;
            return &mut self.streams[last];
        }
        let silent = (0..MAX_STREAMS).min_by_key(|at| self.streams[*at].heard).unwrap_or(0);
        let stream = &mut self.streams[silent];
        stream.source = source;
        stream.join(sequence, stream.next());
        stream
    }
}

/// RFC 4568 §6.4: a stream begins below 2^15, or its receiver could miss the first wrap.
fn first(number: u16) -> u16 {
    number & 0x7fff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(numbering: &mut Numbering, source: u32, sequences: &[u16]) -> Vec<u16> {
        sequences.iter().map(|sequence| numbering.number(source, *sequence).1).collect()
    }

    #[test]
    fn numbers_below_half_stay_what_they_are_and_wrap() {
        let mut numbering = Numbering::default();
        assert_eq!(numbers(&mut numbering, 1, &[7, 8, 10, 9, 10]), [7, 8, 10, 9, 10]);
        assert_eq!(numbers(&mut numbering, 2, &[0x7fff, 0x8000]), [0x7fff, 0x8000]);
    }

    #[test]
    fn a_stream_begins_below_half() {
        let mut numbering = Numbering::default();
        assert_eq!(numbers(&mut numbering, 1, &[0xfffe, 0xffff, 0]), [0x7ffe, 0x7fff, 0x8000]);
        numbering.number(2, 5);
        assert_eq!(numbering.offsets().collect::<Vec<_>>(), [(1, 0x8000)]);
    }

    #[test]
    fn a_source_that_begins_anew_goes_on() {
        let mut numbering = Numbering::default();
        assert_eq!(numbers(&mut numbering, 1, &[100, 20_000, 20_001, 5, 4, 6]), [100, 101, 102, 103, 102, 104]);
    }

    #[test]
    fn a_restart_moves_each_stream_below_half() {
        let mut numbering = Numbering::default();
        for sequence in (0..0x9000).step_by(0x800) {
            numbering.number(1, sequence);
        }
        numbering.number(2, 9);
        numbering.restart();
        assert_eq!(numbers(&mut numbering, 1, &[0x8801, 0x8802]), [0x0801, 0x0802]);
        assert_eq!(numbers(&mut numbering, 2, &[10]), [10]);
    }

    #[test]
    fn one_source_too_many_goes_on_as_the_one_that_was_silent_longest() {
        let mut numbering = Numbering::default();
        for source in 0..MAX_STREAMS as u32 {
            assert_eq!(numbering.number(source, 50), (source, 50));
        }
        numbering.number(0, 51);
        assert_eq!(numbering.number(99, 3000), (1, 51));
        assert_eq!(numbering.number(99, 3001), (1, 52));
        assert_eq!(numbering.number(1, 60), (2, 51));
    }

    #[test]
    fn whatever_comes_no_stream_jumps() {
        let mut random = crate::rtcp::tests::Random::new(9);
        let mut numbering = Numbering::default();
        let mut newest: std::collections::HashMap<u32, u16> = Default::default();
        let mut sequence = 0u16;
        for _ in 0..200_000 {
            sequence = sequence.wrapping_add(1);
            if random.below(50) == 0 {
                sequence = random.next() as u16;
            }
            let (ssrc, number) = numbering.number(random.below(40) as u32, sequence);
            let newest = newest.entry(ssrc).or_insert(number);
            let step = sequence_delta(*newest, number);
            assert!((-MAX_MISORDER..MAX_DROPOUT).contains(&step), "{newest} {number}");
            if step > 0 {
                *newest = number;
            }
        }
        assert!(newest.len() <= MAX_STREAMS);
    }
}
