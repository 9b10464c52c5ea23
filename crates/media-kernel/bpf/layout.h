/* What the program and the engine both know: the octets of the maps. src/layout.rs says the same in Rust. */
#pragma once

#include <linux/types.h>

/* A packet that leaves in the place of the one that came. Addresses are 16 octets; of IPv4 the first four are used. */
struct route {
	__u32 interface; /* leaves here; 0: there is no such packet */
	__u32 hop; /* which `struct hop` tells of its neighbour; 0: none does */
	__u32 flow; /* the packet's hash, by which cards with several queues choose one */
	__u8 source[16];
	__u8 destination[16];
	__be16 ports[2]; /* source, destination */
	__u8 traffic_class;
	__u8 loopback; /* `interface` is the loopback, which has no neighbours */
	__u8 preferred; /* `source` is what the routes prefer; for the engine */
	__u8 priority; /* by which queues and VLANs sort packets */
};

#define MAX_HOPS 16384

/* What packets to one destination have in front of them, as the kernel wrote it lately. The engine writes the first half
 * before any leg has to do with it; the program the other. */
struct hop {
	__u32 interface;
	__u32 unused;
	__u8 source[16];
	__u8 destination[16];
	__u64 hardware_destination; /* 6 octets, which change all at once */
	__u64 hardware_source;
	__u64 learned_ns; /* on CLOCK_MONOTONIC; 0: never */
};

/* A copy for a recorder. */
struct fork {
	struct route route;
	__u32 ssrc;
	__u32 timestamp_offset;
	__u16 sequence_offset;
	__u8 payload_type;
	__u8 renumbered; /* has an SSRC and numbers of its own; else those of the call */
};

#define MAX_FORKS 4

/* A stream that is relayed and forked here. The engine writes it; nothing but `open` changes then, which the program takes
 * back where it cannot go on. */
struct leg {
	__u32 open;
	__u32 ssrc;
	__u32 clock_rate;
	__u32 arrives; /* the interface to its source: from there only */
	__u32 longest; /* datagram that all its ways take whole */
	__u8 remote[16]; /* only packets from there */
	__be16 remote_port;
	__u8 payload_type;
	__u8 forks;
	struct route relay;
	struct fork fork[MAX_FORKS];
};

/* What the program has seen of a leg. The engine writes the beginning, the program the rest. */
struct tally {
	__u32 lock; /* struct bpf_spin_lock */
	__u32 until_sample; /* packets until one goes to the engine */
	__u64 packets;
	__u64 octets; /* of payload */
	__u64 arrived_ns; /* the last packet, on CLOCK_MONOTONIC */
	__u64 seen[2]; /* bit n, of the second 64 + n: the packet so many before the newest was relayed here */
	__u32 newest_timestamp;
	__u32 transit; /* RFC 3550 A.8 */
	__u32 jitter_scaled; /* RFC 3550 A.8: 16 times the jitter */
	__u32 unsent[MAX_FORKS]; /* copies that the kernel would not take */
	__u16 newest;
	__u16 unused;
};

/* Where packets arrive for a leg. */
struct place {
	__u8 address[16];
	__be16 port;
	__u16 family; /* 4 or 6 */
};
