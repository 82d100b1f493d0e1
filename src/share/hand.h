/*
 * hand.h - descriptors handed from one process of a shared pool to another.
 *
 * Owns this process's door, a socket in the directory of the objects (object.h), the list of
 * pools whose files' witnesses are handed out by it, and the lock under which a file's witnesses
 * change.  There is a door while the list is not empty and the watch (watch.h) can wait for
 * its messages; its name is in the members' records.
 *
 *   the asker   makes a pair of sockets, and sends one of them, and which pool it asks for,
 *               in one datagram to the door of each member that has what is wanted
 *   the door    answers by that socket, at once, with the descriptors, and never blocks: an
 *               answer that cannot be sent is dropped
 *   the asker   takes the first answer, or gives up after ANSWER_MS: all of them may be
 *               stopped
 *
 * A door lasts as long as its process: those of dead processes are removed when a pool is
 * made.  All is in the directory that only the user may enter.
 */
#ifndef MPOOL_HAND_H
#define MPOOL_HAND_H

#include <stdbool.h>
#include <stdint.h>

#include "io/pageio.h"
#include "share/sharing.h"

#define ANSWER_MS 500

/* Descriptors that were handed over. */
struct handed {
	uint64_t name; /* of the first */
	uint32_t generation;
	unsigned n;
	int fd[WITNESSES];
};

/* From now on this process hands out the pool's witnesses, if it can. */
void hand_begin(struct sharing *sh);
/* When it returns it does not. */
void hand_end(struct sharing *sh);

/* Ask the members that have them for the file's witnesses.  False: nobody answers. */
bool hand_ask(struct sharing *sh, struct io *io, struct handed *h);
/* They are not wanted after all. */
void hand_drop(struct handed *h);
/*
 * The name of a file's witnesses: of an attached one's by its slot and generation, for who is late cannot ask the slot, which may be
 * another's by now.
 */
uint64_t hand_name(const struct sharing *sh, const struct io *io, uint64_t generation);

/* While a file's witnesses change. */
void hand_lock(void);
void hand_unlock(void);

/* Remove the doors of processes that are gone.  `dir`: the directory of the objects. */
void hand_remove_stale(int dir);

/* The child of a fork: it has no door.  hand_lock is taken before a fork. */
void hand_after_fork_child(void);

#endif
