//! The octets of the maps, as `bpf/layout.h` has them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Copies of one packet that the program can make.
pub(crate) const MAX_FORKS: usize = 4;
/// Legs that the maps hold.
pub(crate) const MAX_LEGS: u32 = 16_384;
/// Destinations that they hold; number 0 is none.
pub(crate) const MAX_HOPS: u32 = 16_384;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawRoute {
    pub(crate) interface: u32,
    pub(crate) hop: u32,
    pub(crate) flow: u32,
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) ports: [[u8; 2]; 2],
    pub(crate) traffic_class: u8,
    pub(crate) loopback: u8,
    pub(crate) preferred: u8,
    pub(crate) priority: u8,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawHop {
    pub(crate) interface: u32,
    pub(crate) unused: u32,
    pub(crate) source: [u8; 16],
    pub(crate) destination: [u8; 16],
    pub(crate) hardware_destination: u64,
    pub(crate) hardware_source: u64,
    pub(crate) learned_ns: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawFork {
    pub(crate) route: RawRoute,
    pub(crate) ssrc: u32,
    pub(crate) timestamp_offset: u32,
    pub(crate) sequence_offset: u16,
    pub(crate) payload_type: u8,
    pub(crate) renumbered: u8,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawLeg {
    pub(crate) open: u32,
    pub(crate) ssrc: u32,
    pub(crate) clock_rate: u32,
    pub(crate) arrives: u32,
    pub(crate) longest: u32,
    pub(crate) remote: [u8; 16],
    pub(crate) remote_port: [u8; 2],
    pub(crate) payload_type: u8,
    pub(crate) forks: u8,
    pub(crate) relay: RawRoute,
    pub(crate) fork: [RawFork; MAX_FORKS],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RawTally {
    pub(crate) lock: u32,
    pub(crate) until_sample: u32,
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) arrived_ns: u64,
    pub(crate) seen: [u64; 2],
    pub(crate) newest_timestamp: u32,
    pub(crate) transit: u32,
    pub(crate) jitter_scaled: u32,
    pub(crate) unsent: [u32; MAX_FORKS],
    pub(crate) newest: u16,
    pub(crate) unused: u16,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawPlace {
    pub(crate) address: [u8; 16],
    pub(crate) port: [u8; 2],
    pub(crate) family: u16,
}

impl From<SocketAddr> for RawPlace {
    fn from(address: SocketAddr) -> Self {
        let family = if address.is_ipv4() { 4 } else { 6 };
        Self { address: octets(address.ip()), port: address.port().to_be_bytes(), family }
    }
}

/// An address as the maps hold it.
pub(crate) fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => {
            let mut octets = [0; 16];
            octets[..4].copy_from_slice(&v4.octets());
            octets
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// An address as the maps hold it, of a family: 4 or 6.
pub(crate) fn address(octets: [u8; 16], family: u16) -> IpAddr {
    match (family, octets) {
        (4, [a, b, c, d, ..]) => Ipv4Addr::new(a, b, c, d).into(),
        _ => octets.into(),
    }
}

// SAFETY: all are plain numbers without padding (`layouts_have_no_holes`), so any octets are a value.
unsafe impl aya::Pod for RawLeg {}
// SAFETY: as above.
unsafe impl aya::Pod for RawTally {}
// SAFETY: as above.
unsafe impl aya::Pod for RawHop {}
// SAFETY: as above.
unsafe impl aya::Pod for RawPlace {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_written() {
        for text in ["192.0.2.1", "2001:db8::1"] {
            let host: IpAddr = text.parse().unwrap();
            assert_eq!(address(octets(host), RawPlace::from(SocketAddr::new(host, 1)).family), host);
        }
    }

    #[test]
    fn layouts_have_no_holes() {
        assert_eq!(size_of::<RawRoute>(), 12 + 16 + 16 + 4 + 4);
        assert_eq!(size_of::<RawHop>(), 8 + 16 + 16 + 24);
        assert_eq!(size_of::<RawFork>(), size_of::<RawRoute>() + 12);
        assert_eq!(size_of::<RawLeg>(), 20 + 20 + size_of::<RawRoute>() + MAX_FORKS * size_of::<RawFork>());
        assert_eq!(size_of::<RawTally>(), 8 + 40 + 12 + 4 * MAX_FORKS + 4);
        assert_eq!(size_of::<RawPlace>(), 20);
    }
}
