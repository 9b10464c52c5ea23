//! SRTP allocates when keys are set and when a source is first heard, and for no packet after that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use media_core::srtp::{CryptoSuite, Rollover, SrtpKeys, SrtpSession};

thread_local! {
    /// What this thread has asked for: tests run beside each other.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: all is passed on to the system's allocator as it came; counting neither allocates nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; the pointer came from `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

#[test]
fn no_packet_allocates() {
    for suite in CryptoSuite::ALL {
        let keys = SrtpKeys::new(suite, &vec![7; suite.key_len() + suite.salt_len()]).expect("the right length");
        let keys = keys.with_mki(&[1, 2, 3, 4]).expect("a short one");
        let (mut near, mut far) = (SrtpSession::default(), SrtpSession::default());
        near.set_sending_keys(&keys, Rollover::Restart).expect("good keys");
        far.set_receiving_keys(&keys).expect("good keys");
        assert!(allocations() > 0, "allocations are counted");
        let before = allocations();
        // the room for two sources is made with the keys
        for (ssrc, sequence) in (0..500u16).flat_map(|sequence| [(1, sequence), (2, sequence)]) {
            let mut rtp = [0; 220];
            rtp[0] = 0x80;
            rtp[2..4].copy_from_slice(&sequence.to_be_bytes());
            rtp[11] = ssrc;
            let mut rtcp = [0; 100];
            rtcp[..4].copy_from_slice(&[0x80, 201, 0, 1]);
            rtcp[7] = ssrc;
            let len = near.protect_rtp(&mut rtp, 172).expect("a packet that may be sent");
            let rtcp_len = near.protect_rtcp(&mut rtcp, 8).expect("a packet that may be sent");
            assert_eq!(far.unprotect_rtp(&mut rtp[..len]), Ok(172));
            assert_eq!(far.unprotect_rtcp(&mut rtcp[..rtcp_len]), Ok(8));
            // and what is refused allocates nothing either
            assert!(far.unprotect_rtp(&mut rtp[..len]).is_err());
        }
        assert_eq!(allocations() - before, 0, "{suite:?}");
    }
}
