/* The kernel's helper functions that the program calls, by their numbers in linux/bpf.h. */
#pragma once

#include <linux/bpf.h>

#define SECTION(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))

/* How map definitions are spelled for the BTF that a loader reads. */
#define MAP_UINT(name, value) int(*name)[value]
#define MAP_TYPE(name, value) typeof(value) *name

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;
static long (*const bpf_l4_csum_replace)(struct __sk_buff *, __u32 offset, __u64 from, __u64 to,
					 __u64 flags) = (void *)BPF_FUNC_l4_csum_replace;
static long (*const bpf_clone_redirect)(struct __sk_buff *, __u32 interface,
					__u64 flags) = (void *)BPF_FUNC_clone_redirect;
static long (*const bpf_redirect)(__u32 interface, __u64 flags) = (void *)BPF_FUNC_redirect;
static long (*const bpf_skb_pull_data)(struct __sk_buff *, __u32 length) = (void *)BPF_FUNC_skb_pull_data;
static long (*const bpf_set_hash)(struct __sk_buff *, __u32 hash) = (void *)BPF_FUNC_set_hash;
static long (*const bpf_spin_lock)(struct bpf_spin_lock *) = (void *)BPF_FUNC_spin_lock;
static long (*const bpf_spin_unlock)(struct bpf_spin_lock *) = (void *)BPF_FUNC_spin_unlock;
static long (*const bpf_redirect_neigh)(__u32 interface, void *next_hop, int size,
					__u64 flags) = (void *)BPF_FUNC_redirect_neigh;
