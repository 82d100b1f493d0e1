/*
 * join.h - a process makes, joins and leaves a shared pool.
 *
 * Owns nothing.  It goes by the key's lock from finding the object to having joined it
 * (object.h), and by the pool's lock while it enters, recovers or leaves
 * (liveness.h).
 *
 * The file: who makes the pool brings it.  Those who join open it by the path it
 * had, or, should that lead to another file by now, by the descriptor of a process
 * that has it open; device and inode tell that it is the one.
 */
#ifndef MPOOL_JOIN_H
#define MPOOL_JOIN_H

#include "share/object.h"
#include "share/sharing.h"

/*
 * Make, or join, the pool of that key: all of the handle but its serial.  0, or an
 * errno, as mpool_open has it.
 */
int share_open(struct sharing *sh, struct share_key key, int fd, uint32_t pagesize, uint32_t maxcache);
/* Leave it.  `parents`: in a child, whose parent goes on: only give memory and descriptors back. */
void share_close(struct sharing *sh, bool parents);

/* Have the handle's modules use the object that is mapped; `member` is this process's number. */
void object_attach(struct sharing *sh, const struct preamble *p, unsigned member);
/* Of what changes, does that look as this code leaves it which would be followed blindly? */
bool share_sound(struct sharing *sh, const struct preamble *p);

#endif
