// tsan_abi.cpp - what the compiler calls for each access of the library.
//
// The library's objects are compiled with -fsanitize=thread and linked without
// ThreadSanitizer's runtime: these functions take its place.  So the explored
// code is the shipped source, to the letter, with the orders that it asks for,
// and the shipped build knows nothing of it.
//
// SPDX-License-Identifier: BSD-2-Clause
#include "memory.hpp"

using namespace explore;

#define CODE __builtin_return_address(0)

static Order order_of(int order)
{
	switch (order) {
	case __ATOMIC_RELAXED:
		return Order::relaxed;
	case __ATOMIC_CONSUME:
	case __ATOMIC_ACQUIRE:
		return Order::acquire;
	case __ATOMIC_RELEASE:
		return Order::release;
	case __ATOMIC_ACQ_REL:
		return Order::acq_rel;
	default:
		return Order::seq_cst;
	}
}

static uint64_t to_exchange(uint64_t, uint64_t v)
{
	return v;
}
static uint64_t to_add(uint64_t old, uint64_t v)
{
	return old + v;
}
static uint64_t to_sub(uint64_t old, uint64_t v)
{
	return old - v;
}
static uint64_t to_and(uint64_t old, uint64_t v)
{
	return old & v;
}
static uint64_t to_or(uint64_t old, uint64_t v)
{
	return old | v;
}
static uint64_t to_xor(uint64_t old, uint64_t v)
{
	return old ^ v;
}

extern "C" {

void __tsan_init();
void __tsan_init()
{
}
void __tsan_func_entry(void *);
void __tsan_func_entry(void *)
{
}
void __tsan_func_exit();
void __tsan_func_exit()
{
}
// What the library tells of orders that go through other processes: here nothing is hidden.
void __tsan_acquire(void *);
void __tsan_acquire(void *)
{
}
void __tsan_release(void *);
void __tsan_release(void *)
{
}

#define PLAIN(n)                                 \
	void __tsan_read##n(void *);             \
	void __tsan_read##n(void *at)            \
	{                                        \
		plain_read(at, n, CODE);         \
	}                                        \
	void __tsan_write##n(void *);            \
	void __tsan_write##n(void *at)           \
	{                                        \
		plain_write(at, n, CODE);        \
	}                                        \
	void __tsan_unaligned_read##n(void *);   \
	void __tsan_unaligned_read##n(void *at)  \
	{                                        \
		plain_read(at, n, CODE);         \
	}                                        \
	void __tsan_unaligned_write##n(void *);  \
	void __tsan_unaligned_write##n(void *at) \
	{                                        \
		plain_write(at, n, CODE);        \
	}

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *, unsigned long);
void __tsan_read_range(void *at, unsigned long n)
{
	plain_read(at, n, CODE);
}
void __tsan_write_range(void *, unsigned long);
void __tsan_write_range(void *at, unsigned long n)
{
	plain_write(at, n, CODE);
}

#define MODIFY(bits, name)                                                                                     \
	uint##bits##_t __tsan_atomic##bits##_##name(uint##bits##_t *, uint##bits##_t, int);                    \
	uint##bits##_t __tsan_atomic##bits##_##name(uint##bits##_t *at, uint##bits##_t v, int order)           \
	{                                                                                                      \
		return static_cast<uint##bits##_t>(modify(at, bits / 8, to_##name, v, order_of(order), CODE)); \
	}
#define to_fetch_add to_add
#define to_fetch_sub to_sub
#define to_fetch_and to_and
#define to_fetch_or  to_or
#define to_fetch_xor to_xor

#define CAS(bits, strength)                                                                                  \
	int __tsan_atomic##bits##_compare_exchange_##strength(                                               \
		uint##bits##_t *, uint##bits##_t *, uint##bits##_t, int, int);                               \
	int __tsan_atomic##bits##_compare_exchange_##strength(                                               \
		uint##bits##_t *at, uint##bits##_t *expected, uint##bits##_t v, int order, int failure)      \
	{                                                                                                    \
		uint64_t e = *expected;                                                                      \
		bool same = compare_exchange(at, bits / 8, &e, v, order_of(order), order_of(failure), CODE); \
		*expected = static_cast<uint##bits##_t>(e);                                                  \
		return same;                                                                                 \
	}

/* clang's: what was there is returned. */
#define CAS_VAL(bits)                                                                                  \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                     \
		uint##bits##_t *, uint##bits##_t, uint##bits##_t, int, int);                           \
	uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(                                     \
		uint##bits##_t *at, uint##bits##_t expected, uint##bits##_t v, int order, int failure) \
	{                                                                                              \
		uint64_t e = expected;                                                                 \
		compare_exchange(at, bits / 8, &e, v, order_of(order), order_of(failure), CODE);       \
		return static_cast<uint##bits##_t>(e);                                                 \
	}

#define ATOMIC(bits)                                                                           \
	uint##bits##_t __tsan_atomic##bits##_load(const uint##bits##_t *, int);                \
	uint##bits##_t __tsan_atomic##bits##_load(const uint##bits##_t *at, int order)         \
	{                                                                                      \
		return static_cast<uint##bits##_t>(load(at, bits / 8, order_of(order), CODE)); \
	}                                                                                      \
	void __tsan_atomic##bits##_store(uint##bits##_t *, uint##bits##_t, int);               \
	void __tsan_atomic##bits##_store(uint##bits##_t *at, uint##bits##_t v, int order)      \
	{                                                                                      \
		store(at, bits / 8, v, order_of(order), CODE);                                 \
	}                                                                                      \
	MODIFY(bits, exchange)                                                                 \
	MODIFY(bits, fetch_add)                                                                \
	MODIFY(bits, fetch_sub)                                                                \
	MODIFY(bits, fetch_and)                                                                \
	MODIFY(bits, fetch_or)                                                                 \
	MODIFY(bits, fetch_xor)                                                                \
	CAS(bits, strong)                                                                      \
	CAS(bits, weak)                                                                        \
	CAS_VAL(bits)

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int);
void __tsan_atomic_thread_fence(int)
{
	fence();
}
void __tsan_atomic_signal_fence(int);
void __tsan_atomic_signal_fence(int)
{
}
void explore_fence();
void explore_fence()
{
	fence();
}
}
