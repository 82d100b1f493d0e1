/*
 * hands.h - one worker, and what it does to one page.
 *
 * Owns the rules of every get and put in this program: a page is locked while
 * its bytes are looked at or changed, must show the last version, and is put as
 * it was used.
 */
#ifndef STRESS_HANDS_H
#define STRESS_HANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "churn.h"
#include "handover.h"
#include "truth.h"

struct worker {
	struct churn *run;
	unsigned place;
	uint64_t name;   /* what its pages say of their writer */
	uint64_t random; /* state of the generator; never 0 */
	unsigned weights;
	struct tally tally;
	unsigned held_count;
	struct pin held[];
};

unsigned below(struct worker *w, unsigned n); /* a random number from 0 to n - 1 */
bool flip(struct worker *w);
enum truth_access any_access(struct worker *w);

/* Any page, the first ones often: many threads must meet at one page.  False: there is none. */
bool choose_page(struct worker *w, pgno_t *pgno);

void lock_page(struct worker *w, pgno_t pgno, enum truth_access access);
void unlock_page(struct worker *w, pgno_t pgno);

/* mpool_get; NULL is a fault, and reported. */
void *get_page(struct worker *w, pgno_t pgno, unsigned flags);
/* The same of a page that is pinned: it has one address, whoever gets it. */
void *get_again(struct worker *w, const struct pin *pin);
void put_page(struct worker *w, const struct pin *pin);

/* Under the page's lock: it must show exactly the last version. */
void check_page(struct worker *w, const char *where, pgno_t pgno, const void *page);
/* Under the page's write lock: the next version. */
void write_page(struct worker *w, struct pin *pin);
/* Checks a locked page, and writes it where the lock allows and chance wills. */
void use_page(struct worker *w, const char *where, struct pin *pin, enum truth_access access);

/* Gets and locks a page, in either order: users do both.  False: no page, no lock. */
bool enter_page(struct worker *w, pgno_t pgno, enum truth_access access, struct pin *pin);
/* While other locks are held: only if nobody has this one. */
bool enter_further_page(struct worker *w, pgno_t pgno, enum truth_access access, struct pin *pin);
/* Puts and unlocks it, in either order. */
void leave_page(struct worker *w, const struct pin *pin);

#endif
