/* header.c - see header.h. */
#include "share/header.h"

void header_attach(struct sharing *sh, struct header *h, enum barrier barrier, unsigned member)
{
	const struct core_states st = {&h->table, &h->epoch, &h->pin, &h->wait, &h->members, &h->latch};
	core_attach(sh->core, &st, barrier, member);
	sh->io->torn = &h->torn;
	sh->evict->clock = &h->clock;
	sh->header = h;
}
