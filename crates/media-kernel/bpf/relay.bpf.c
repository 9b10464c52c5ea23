// Relays and forks RTP of calls that run steadily, before the packets reach a socket.
//
// A packet is relayed here only if everything about it is as the engine has been told to expect; all else goes on to
// the engine's sockets, untouched, and the engine decides. What is relayed is counted under a lock, so that the engine
// takes a leg back without losing a packet or a number.
#include "helpers.h"
#include "layout.h"
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#define TCX_NEXT -1
#define TCX_DROP 2

#define swap16(value) __builtin_bswap16(value)
#define swap32(value) __builtin_bswap32(value)

#define MAX_LEGS 16384
/* The engine sees every so manieth packet (5 s of 20 ms): stateful firewalls and NAT on this machine keep knowing the
 * flows, and neighbours and routes that the engine's sockets use stay fresh. */
#define SAMPLE 256
/* RFC 3550 A.1: a larger step is a restart of the source. */
#define MAX_DROPOUT 3000
/* A larger step of the time stamp, in seconds, is a new beginning of the source, or follows a pause. */
#define TIMESTAMP_JUMP_S 2
#define RTP_HEADER 12
#define NS_PER_S 1000000000ULL
/* So long a neighbour is what it was when the kernel last wrote a packet's header for it. One packet in this time goes by the
 * kernel's own routes and neighbours, so that these are used as by a socket, and what has become of them is seen. */
#define LEARNED_NS (NS_PER_S / 10)
#define DONT_FRAGMENT 0x4000
#define FRAGMENTED 0x3fff
#define HOPS 64
/* Since Linux 6.16: the checksum of an IPv6 packet's octets does not cover its addresses twice. */
#define L4_CSUM_IPV6 (1ULL << 7)

#define LEGS_MAP(map, value_type)                 \
	struct {                                  \
		MAP_UINT(type, BPF_MAP_TYPE_ARRAY); \
		MAP_UINT(max_entries, MAX_LEGS);  \
		MAP_TYPE(key, __u32);             \
		MAP_TYPE(value, value_type);      \
	} map SECTION(".maps")

/* `struct tally` of layout.h, with the lock in its kernel's clothes. */
struct locked_tally {
	struct bpf_spin_lock lock;
	__u32 until_sample;
	__u64 packets;
	__u64 octets;
	__u64 arrived_ns;
	__u64 seen[2];
	__u32 newest_timestamp;
	__u32 transit;
	__u32 jitter_scaled;
	__u32 unsent[MAX_FORKS];
	__u16 newest;
	__u16 unused;
};
_Static_assert(sizeof(struct locked_tally) == sizeof(struct tally), "one layout");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_HASH);
	MAP_UINT(max_entries, MAX_LEGS);
	MAP_TYPE(key, struct place);
	MAP_TYPE(value, __u32);
} places SECTION(".maps");
LEGS_MAP(legs, struct leg);
LEGS_MAP(tallies, struct locked_tally);
struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, MAX_HOPS);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct hop);
} hops SECTION(".maps");

/* Set by `leave` when it has got a copy that `relay` marked, and is sending it on. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, __u32);
} taken SECTION(".maps");

/* Marks copies on their way from `relay` to `leave`; chosen at random when the program is loaded. */
const volatile __u32 MARK = 0;

struct rtp {
	__u8 first;
	__u8 second; /* marker and payload type */
	__be16 sequence;
	__be32 timestamp;
	__be32 ssrc;
};

/* The fields of a packet that change, and that its checksum covers. */
struct image {
	__u8 source[16];
	__u8 destination[16];
	__be16 ports[2];
	struct rtp rtp;
};

/* Where a packet's datagram begins. */
INLINE __u32 datagram_at(int is_v6)
{
	return sizeof(struct ethhdr) + (is_v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

/* The headers of a packet, after their bounds have been checked. */
struct headers {
	struct ethhdr *link;
	struct iphdr *v4;
	struct ipv6hdr *v6;
	struct udphdr *udp;
	struct rtp *rtp;
};

INLINE int find_headers(struct __sk_buff *skb, int is_v6, struct headers *at)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	at->link = data;
	at->v4 = data + sizeof(struct ethhdr);
	at->v6 = data + sizeof(struct ethhdr);
	at->udp = data + datagram_at(is_v6);
	at->rtp = (void *)at->udp + sizeof(struct udphdr);
	return (void *)(at->rtp + 1) <= end;
}

INLINE __u16 header_sum(const struct iphdr *header)
{
	const __u16 *words = (const void *)header;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

INLINE void copy(void *to, const void *from, int words)
{
#pragma unroll
	for (int i = 0; i < words; i++)
		((__u32 *)to)[i] = ((const __u32 *)from)[i];
}

INLINE int is_same(const void *one, const void *other)
{
	__u32 difference = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		difference |= ((const __u32 *)one)[i] ^ ((const __u32 *)other)[i];
	return difference == 0;
}

/* The sum of what is in one place instead of another (RFC 1624 §3). */
INLINE __u64 changed(__u64 sum, const void *from, const void *to, int words)
{
#pragma unroll
	for (int i = 0; i < words; i++)
		sum += (__u64)(__u32)~((const __u32 *)from)[i] + ((const __u32 *)to)[i];
	return sum;
}

INLINE __u32 folded(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

/* Turns the packet from `now` into `next`, with correct checksums; false if it cannot be written. */
INLINE int rewrite(struct __sk_buff *skb, int is_v6, struct image *now, const struct image *next, __u8 traffic_class)
{
	__u32 at = datagram_at(is_v6) + __builtin_offsetof(struct udphdr, check);
	int words = is_v6 ? 4 : 1;
	__u64 addresses = folded(
		changed(changed(0, now->source, next->source, words), now->destination, next->destination, words));
	__u64 rest = folded(changed(changed(0, now->ports, next->ports, 1), &now->rtp, &next->rtp, 3));
	struct headers found;

	if (!is_v6) {
		/* a UDP checksum of 0 says that there is none, and must not be made by accident (RFC 768) */
		if (bpf_l4_csum_replace(skb, at, 0, addresses, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0) ||
		    bpf_l4_csum_replace(skb, at, 0, rest, BPF_F_MARK_MANGLED_0))
			return 0;
	} else {
		/* there always is one, and one of 0 is written as its complement (RFC 8200 §8.1) */
		__u64 flags = BPF_F_MARK_ENFORCE | BPF_F_MARK_MANGLED_0, pseudo = flags | BPF_F_PSEUDO_HDR;

		if (bpf_l4_csum_replace(skb, at, 0, addresses, pseudo | L4_CSUM_IPV6) &&
		    bpf_l4_csum_replace(skb, at, 0, addresses, pseudo))
			return 0;
		if (bpf_l4_csum_replace(skb, at, 0, rest, flags))
			return 0;
	}
	if (!find_headers(skb, is_v6, &found))
		return 0;
	if (is_v6) {
		copy(&found.v6->saddr, next->source, 4);
		copy(&found.v6->daddr, next->destination, 4);
		found.v6->hop_limit = HOPS;
		found.v6->priority = traffic_class >> 4;
		found.v6->flow_lbl[0] = (traffic_class & 0x0f) << 4;
		found.v6->flow_lbl[1] = 0;
		found.v6->flow_lbl[2] = 0;
	} else {
		copy(&found.v4->saddr, next->source, 1);
		copy(&found.v4->daddr, next->destination, 1);
		found.v4->ttl = HOPS;
		found.v4->tos = traffic_class;
		found.v4->frag_off = swap16(DONT_FRAGMENT);
		found.v4->check = 0;
		found.v4->check = ~header_sum(found.v4);
	}
	copy(&found.udp->source, next->ports, 1);
	copy(found.rtp, &next->rtp, 3);
	*now = *next;
	return 1;
}

INLINE int is_local(const struct __sk_buff *skb, const struct route *route)
{
	return route->loopback && skb->ifindex == route->interface;
}

/* Writes the header for the next hop if it is known; else the kernel has to find out, and `leave` learns from it. */
INLINE int has_header(struct __sk_buff *skb, int is_v6, const struct route *route, __u64 now_ns)
{
	struct hop *hop = bpf_map_lookup_elem(&hops, &route->hop);
	struct headers found;

	if (!hop || now_ns - hop->learned_ns >= LEARNED_NS || !find_headers(skb, is_v6, &found))
		return 0;

	__u64 destination = hop->hardware_destination, source = hop->hardware_source;

	__builtin_memcpy(found.link->h_dest, &destination, ETH_ALEN);
	__builtin_memcpy(found.link->h_source, &source, ETH_ALEN);
	return 1;
}

INLINE void sort(struct __sk_buff *skb, const struct route *route)
{
	bpf_set_hash(skb, route->flow);
	skb->priority = route->priority;
}

/* Sends a copy of the packet as it is now to a neighbour that `leave` finds; false if the kernel would not take it. */
INLINE int send_by_neighbour(struct __sk_buff *skb, int is_v6, struct leg *leg, const struct route *route)
{
	__u32 first = 0;
	__u32 *is_taken = bpf_map_lookup_elem(&taken, &first);
	struct headers found;
	long result;

	if (!is_taken || !find_headers(skb, is_v6, &found))
		return 0;
	*is_taken = 0;
	/* nobody's address: if another program lets it go by `leave`, nobody gets it */
	__builtin_memset(found.link->h_dest, 0, ETH_ALEN);
	skb->mark = MARK;
	skb->tc_index = route->hop;
	result = bpf_clone_redirect(skb, route->interface, 0);
	skb->mark = 0;
	skb->tc_index = 0;
	if (result != 0)
		return 0;
	/* copies cannot go this way: the engine sees to those of the next packets */
	if (!*is_taken)
		leg->open = 0;
	return *is_taken != 0;
}

/* Sends a copy of the packet as it is now; false if the kernel would not take it. */
INLINE int send_copy(struct __sk_buff *skb, int is_v6, struct leg *leg, const struct route *route, __u64 now_ns)
{
	sort(skb, route);
	/* what comes over the loopback has its route already */
	if (is_local(skb, route) || has_header(skb, is_v6, route, now_ns))
		return bpf_clone_redirect(skb, route->interface, 0) == 0;
	return send_by_neighbour(skb, is_v6, leg, route);
}

INLINE void readdress(struct image *image, int is_v6, const struct route *route)
{
	copy(image->source, route->source, is_v6 ? 4 : 1);
	copy(image->destination, route->destination, is_v6 ? 4 : 1);
	copy(image->ports, route->ports, 1);
}

/* Moves what was seen of the last 128 packets on by a step, of one at least, to the packet that is here. */
INLINE void shift_window(__u64 *seen, __s32 step)
{
	if (step < 64) {
		seen[1] = seen[1] << (step & 63) | seen[0] >> ((64 - step) & 63);
		seen[0] = seen[0] << (step & 63) | 1;
	} else {
		seen[1] = step < 128 ? seen[0] << (step & 63) : 0;
		seen[0] = 1;
	}
}

/* Counts a packet that will be relayed here `now`; false if it is one for the engine. */
INLINE int account(const struct leg *leg, struct locked_tally *tally, __u64 now, __u16 sequence, __u32 timestamp,
		   __u32 octets)
{
	__u32 rate = leg->clock_rate;
	__u32 transit = (__u32)(now / NS_PER_S * rate + now % NS_PER_S * rate / NS_PER_S) - timestamp;
	int relayed = 0;

	bpf_spin_lock(&tally->lock);
	__s32 step = (__s16)(sequence - tally->newest);
	__s32 jump = (__s32)(timestamp - tally->newest_timestamp);
	__s32 limit = TIMESTAMP_JUMP_S * rate;

	if (!leg->open || step < 1 || step >= MAX_DROPOUT || jump > limit || jump < -limit)
		goto out;
	if (tally->until_sample <= 1) {
		tally->until_sample = SAMPLE;
		goto out;
	}
	tally->until_sample--;
	tally->packets++;
	tally->octets += octets;
	tally->arrived_ns = now;
	shift_window(tally->seen, step);
	tally->newest = sequence;
	tally->newest_timestamp = timestamp;

	__s32 difference = transit - tally->transit;

	if (difference < 0)
		difference = -difference;
	if ((__u32)difference > rate)
		difference = rate;
	tally->jitter_scaled += difference - ((tally->jitter_scaled + 8) >> 4);
	tally->transit = transit;
	relayed = 1;
out:
	bpf_spin_unlock(&tally->lock);
	return relayed;
}

/* Sends the packet on to all that are to have it. */
INLINE int distribute(struct __sk_buff *skb, int is_v6, struct leg *leg, struct locked_tally *tally, struct image *now,
		      __u64 now_ns)
{
	struct image next;
	struct rtp rtp = now->rtp;

#pragma unroll
	for (int i = 0; i < MAX_FORKS; i++) {
		const struct fork *fork = &leg->fork[i];

		if (i >= leg->forks)
			break;
		readdress(&next, is_v6, &fork->route);
		next.rtp = rtp;
		next.rtp.second = (rtp.second & 0x80) | fork->payload_type;
		if (fork->renumbered) {
			next.rtp.sequence = swap16((__u16)(swap16(rtp.sequence) + fork->sequence_offset));
			next.rtp.timestamp = swap32(swap32(rtp.timestamp) + fork->timestamp_offset);
			next.rtp.ssrc = swap32(fork->ssrc);
		}
		if (!rewrite(skb, is_v6, now, &next, fork->route.traffic_class) ||
		    !send_copy(skb, is_v6, leg, &fork->route, now_ns)) {
			bpf_spin_lock(&tally->lock);
			tally->unsent[i]++;
			bpf_spin_unlock(&tally->lock);
		}
	}
	if (!leg->relay.interface)
		return TCX_DROP;
	readdress(&next, is_v6, &leg->relay);
	next.rtp = rtp;
	if (!rewrite(skb, is_v6, now, &next, leg->relay.traffic_class))
		return TCX_DROP;
	sort(skb, &leg->relay);
	skb->mark = 0;
	if (is_local(skb, &leg->relay) || has_header(skb, is_v6, &leg->relay, now_ns))
		return bpf_redirect(leg->relay.interface, 0);
	skb->tc_index = leg->relay.hop;
	return bpf_redirect_neigh(leg->relay.interface, 0, 0, 0);
}

INLINE int receive(struct __sk_buff *skb, int is_v6)
{
	struct headers at;
	struct image now = {};
	struct place place = {};
	__u32 length;

	if (!find_headers(skb, is_v6, &at)) {
		if (bpf_skb_pull_data(skb, sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + sizeof(struct udphdr) +
						   RTP_HEADER) ||
		    !find_headers(skb, is_v6, &at))
			return TCX_NEXT;
	}
	if (is_v6) {
		if (at.v6->version != 6 || at.v6->nexthdr != IPPROTO_UDP || at.udp->check == 0)
			return TCX_NEXT;
		length = swap16(at.v6->payload_len);
		copy(now.source, &at.v6->saddr, 4);
		copy(now.destination, &at.v6->daddr, 4);
		place.family = 6;
	} else {
		if (at.v4->version != 4 || at.v4->ihl != 5 || at.v4->protocol != IPPROTO_UDP ||
		    at.v4->frag_off & swap16(FRAGMENTED) || header_sum(at.v4) != 0xffff)
			return TCX_NEXT;
		length = swap16(at.v4->tot_len) - sizeof(struct iphdr);
		copy(now.source, &at.v4->saddr, 1);
		copy(now.destination, &at.v4->daddr, 1);
		place.family = 4;
	}
	if (length != swap16(at.udp->len) || length < sizeof(struct udphdr) + RTP_HEADER ||
	    skb->len < datagram_at(is_v6) + length)
		return TCX_NEXT;
	copy(place.address, now.destination, 4);
	place.port = at.udp->dest;

	__u32 *number = bpf_map_lookup_elem(&places, &place);

	if (!number)
		return TCX_NEXT;
	struct leg *leg = bpf_map_lookup_elem(&legs, number);
	struct locked_tally *tally = bpf_map_lookup_elem(&tallies, number);

	if (!leg || !tally || !leg->open || !is_same(now.source, leg->remote) || at.udp->source != leg->remote_port ||
	    skb->ifindex != leg->arrives || length > leg->longest)
		return TCX_NEXT;
	copy(now.ports, &at.udp->source, 1);
	copy(&now.rtp, at.rtp, 3);
	/* version 2, and neither padding nor extension nor contributing sources */
	if (now.rtp.first != 0x80 || (now.rtp.second & 0x7f) != leg->payload_type ||
	    now.rtp.ssrc != swap32(leg->ssrc))
		return TCX_NEXT;
	__u64 now_ns = bpf_ktime_get_ns();

	if (!account(leg, tally, now_ns, swap16(now.rtp.sequence), swap32(now.rtp.timestamp),
		     length - sizeof(struct udphdr) - RTP_HEADER))
		return TCX_NEXT;
	return distribute(skb, is_v6, leg, tally, &now, now_ns);
}

SECTION("classifier")
int relay(struct __sk_buff *skb)
{
	/* with its tag still on, the packet comes again to the VLAN's own interface; many packets in one go the usual way, and
	 * what is another host's is not for us */
	if (skb->vlan_present || skb->gso_size || skb->pkt_type != PACKET_HOST)
		return TCX_NEXT;
	if (skb->protocol == swap16(ETH_P_IP))
		return receive(skb, 0);
	if (skb->protocol == swap16(ETH_P_IPV6))
		return receive(skb, 1);
	return TCX_NEXT;
}

/* Notes what the kernel has written in front of a packet to a destination that legs have; false if it is none of those. */
INLINE int learn(struct __sk_buff *skb, __u32 number)
{
	int is_v6 = skb->protocol == swap16(ETH_P_IPV6);
	struct hop *hop = bpf_map_lookup_elem(&hops, &number);
	struct headers at;
	int is_theirs;

	if (!hop || hop->interface != skb->ifindex || !find_headers(skb, is_v6, &at) ||
	    at.link->h_proto != skb->protocol)
		return 0;
	/* other programs have uses for the number that brought us here: what counts is to whom the packet goes */
	if (is_v6)
		is_theirs = is_same(&at.v6->saddr, hop->source) && is_same(&at.v6->daddr, hop->destination);
	else
		is_theirs = at.v4->saddr == *(__be32 *)hop->source && at.v4->daddr == *(__be32 *)hop->destination;
	if (!is_theirs)
		return 0;

	__u64 destination = 0, source = 0;

	__builtin_memcpy(&destination, at.link->h_dest, ETH_ALEN);
	__builtin_memcpy(&source, at.link->h_source, ETH_ALEN);
	hop->hardware_destination = destination;
	hop->hardware_source = source;
	hop->learned_ns = bpf_ktime_get_ns();
	return 1;
}

/* A packet is about to leave an interface. For a copy of `relay`'s that has no next hop yet, the kernel's routes and
 * neighbours say which; with that, it comes here once more. */
SECTION("classifier")
int leave(struct __sk_buff *skb)
{
	__u32 number = skb->tc_index;

	if (MARK != 0 && skb->mark == MARK) {
		__u32 first = 0;
		__u32 *is_taken = bpf_map_lookup_elem(&taken, &first);

		if (is_taken)
			*is_taken = 1;
		skb->mark = 0;
		return bpf_redirect_neigh(skb->ifindex, 0, 0, 0);
	}
	/* of a packet of another engine, the number is left to that one */
	if (number != 0 && learn(skb, number))
		skb->tc_index = 0;
	return TCX_NEXT;
}

/* Some of the functions above are for programs under this licence only. */
char LICENSE[] SECTION("license") = "Dual MIT/GPL";
