//! Gaps, bursts and scores of streams, against a model that sees all packets at once.

use media_core::{mos, Reception};
use proptest::collection::vec;
use proptest::prelude::*;

/// The longest run of received packets within a burst, and one more (RFC 3611 §4.7.2).
const GAP_MIN: usize = 16;
/// No packet comes later than this many after it; the reception waits for 64.
const DISORDER: usize = 50;

/// A stream of which some packets are lost, one by one and in runs; the first and the last arrive.
fn streams() -> impl Strategy<Value = Vec<bool>> {
    let piece = prop_oneof![
        6 => (1usize..60).prop_map(|count| vec![true; count]),
        2 => Just(vec![false]),
        1 => (2usize..30).prop_map(|count| vec![false; count]),
    ];
    vec(piece, 0..40).prop_map(|pieces| [vec![true], pieces.concat(), vec![true]].concat())
}

/// What the definitions say of a whole stream: gaps, the longest, bursts, packets in bursts, losses in bursts.
fn model(arrived: &[bool]) -> [usize; 5] {
    let runs: Vec<usize> = arrived.split(|arrived| *arrived).map(<[bool]>::len).filter(|run| *run > 0).collect();
    let losses: Vec<usize> = (0..arrived.len()).filter(|index| !arrived[*index]).collect();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for loss in losses {
        match groups.last_mut() {
            Some(group) if loss - group.last().unwrap() - 1 < GAP_MIN => group.push(loss),
            _ => groups.push(vec![loss]),
        }
    }
    groups.retain(|group| group.len() > 1);
    let packets: usize = groups.iter().map(|group| group.last().unwrap() - group[0] + 1).sum();
    [runs.len(), runs.iter().copied().max().unwrap_or(0), groups.len(), packets, groups.iter().map(Vec::len).sum()]
}

proptest! {
    #[test]
    fn gaps_and_bursts_are_what_the_definitions_say(
        base: u16, arrived in streams(), swaps in vec((any::<prop::sample::Index>(), 1..DISORDER, any::<bool>()), 0..20)
    ) {
        let mut order: Vec<usize> = (0..arrived.len()).filter(|index| arrived[*index]).collect();
        let (mut duplicates, mut reordered) = (0, 0);
        for (which, later, again) in swaps {
            // the first stays the first: what comes before it was never expected
            let from = 1 + which.index(order.len() - 1);
            let packet = order[from];
            let to = (from..order.len()).take_while(|at| order[*at] < packet + later).last().unwrap_or(from);
            if again {
                order.insert(to + 1, packet);
            } else {
                order.remove(from);
                order.insert(to, packet);
            }
        }
        let mut reception = Reception::new(1, base);
        let (mut newest, mut seen) = (0, std::collections::BTreeSet::new());
        for index in order {
            duplicates += u64::from(!seen.insert(index));
            reordered += u64::from(index < newest && !seen.is_empty());
            newest = newest.max(index);
            reception.receive(base.wrapping_add(index as u16));
        }
        let quality = reception.quality(8000, true);
        let [gaps, longest, bursts, packets, lost] = model(&arrived).map(|count| count as u64);
        prop_assert_eq!((quality.gaps, quality.longest_gap, quality.bursts), (gaps, longest, bursts));
        prop_assert_eq!(quality.duplicates, duplicates);
        prop_assert!(quality.reordered <= reordered);
        if bursts > 0 {
            prop_assert!((quality.burst_density - lost as f64 / packets as f64).abs() < 1e-9);
            prop_assert!((quality.burst_ms - packets as f64 / bursts as f64 * 20.0).abs() < 1e-6);
        }
        prop_assert_eq!(reception.lost(), arrived.iter().filter(|arrived| !**arrived).count() as u64);
        prop_assert!(quality.mos.is_some_and(|mos| (1.0..=4.5).contains(&mos)));
    }

    #[test]
    fn more_loss_burstier_loss_and_more_delay_never_sound_better(
        loss in 0.0..1.0f64, more in 0.0..1.0f64, ratio in 1.0..20.0f64, delay in 0.0..500.0f64
    ) {
        let score = mos(loss, ratio, delay);
        prop_assert!((1.0..=4.5).contains(&score));
        // the formula of annex B is not monotonous near a rating of 0, where nobody can tell a difference
        let worse = [mos((loss + more).min(1.0), ratio, delay), mos(loss, ratio + more, delay), mos(loss, ratio, delay + more)];
        prop_assert!(worse.iter().all(|worse| *worse <= score + 0.03), "{score} {worse:?}");
    }

    #[test]
    fn any_numbers_and_times_are_survived(packets in vec((any::<u16>(), any::<u32>(), any::<u32>(), 1u32..200_000), 1..300)) {
        let mut reception = Reception::new(1, packets[0].0);
        let mut now_ns = 0u64;
        for (sequence, timestamp, after_us, rate) in packets {
            now_ns += u64::from(after_us) * 1000;
            reception.receive(sequence);
            reception.receive_timing(timestamp, now_ns, rate);
            let quality = reception.quality(rate, true);
            prop_assert!((0.0..=1.0).contains(&quality.burst_density) && (0.0..=1.0).contains(&quality.gap_density));
            prop_assert!(quality.skew_ppm.is_none_or(f64::is_finite) && quality.burst_ms.is_finite());
        }
    }
}
