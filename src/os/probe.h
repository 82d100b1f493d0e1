/*
 * probe.h - places where a tracer may look at what the library does (USDT, by systemtap's <sys/sdt.h>).
 *
 * Owns no state.  A probe is one instruction that does nothing, until a tracer puts a
 * breakpoint there, and a note in the library which says where it is and where its arguments are.
 * Without <sys/sdt.h> there are none.  A hit has none in any case.
 *
 *   miss        pool, page                   a get becomes the loader of a page
 *   read        pool, page, pages, errno     a read of adjacent pages is done
 *   write       pool, page, pages, errno     the same of a write
 *   evict       pool, page                   a page has left memory
 *   sync_start  pool                         mpool_sync is called
 *   sync_done   pool, errno                  ... and returns
 *   wait        pool, what, number           a thread goes to sleep: 0, until a page is loaded by
 *                                            another, the page's number; 1, until a frame's claim is
 *                                            dropped, the frame's; or, with 2^32 - 1, until no thread syncs
 *   wait_done   pool, what, number           ... and is awake again
 *
 * `pool` is what mpool_open has returned; an errno is 0 if all went well.
 */
#ifndef MPOOL_PROBE_H
#define MPOOL_PROBE_H

#if defined(MPOOL_SDT) && MPOOL_SDT
#define SDT_USE_VARIADIC
#include <sys/sdt.h>
#define MPOOL_PROBE(name, ...) STAP_PROBEV(mpool, name, __VA_ARGS__)
#else
#define MPOOL_PROBE(name, ...) ((void)0)
#endif

#endif
