/* batch.c - see batch.h. */
#include "api/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/engine.h"
#include "os/probe.h"

bool batch_get(struct batch *b, MPOOL *mp, size_t pages)
{
	b->mp = mp;
	b->n = 0;
	b->room = pages < BATCH_PAGES ? (unsigned)pages : BATCH_PAGES;
	b->load = malloc(b->room * (sizeof *b->load + sizeof *b->iov + sizeof *b->reads));
	if (!b->load)
		return false;
	b->reads = (struct io_run *)(void *)(b->load + b->room);
	b->iov = (struct iovec *)(void *)(b->reads + b->room);
	return true;
}

void batch_put(struct batch *b)
{
	free(b->load);
	b->load = NULL;
}

static int by_page(const void *a, const void *b)
{
	const struct load *x = a, *y = b;
	return (x->page > y->page) - (x->page < y->page);
}

void batch_sort(struct batch *b)
{
	unsigned i = 1;
	while (i < b->n && b->load[i - 1].page < b->load[i].page)
		i++;
	if (i < b->n)
		qsort(b->load, b->n, sizeof b->load[0], by_page);
}

unsigned batch_run(const struct batch *b, unsigned from)
{
	unsigned n = 0;
	uint32_t page = b->load[from].page, most = extent_neighbours(&b->mp->io, page);
	struct whose is = whose_page(&b->mp->io, page);
	most = most < RUN_PAGES ? most : RUN_PAGES;
	while (from + n < b->n && n < most && b->load[from + n].page == page + n &&
	       !pageio_unwritten(&is.io->file, is.page + n))
		n++;
	return n;
}

void load_decode(MPOOL *mp, struct load *l)
{
	struct whose is = whose_page(&mp->io, l->page);
	if (!l->error)
		l->error = pageio_decode(&is.io->file, is.page, frame_page(&mp->core.frames, l->frame), false);
}

void loads_finish(MPOOL *mp, struct io_run *read, struct load *l)
{
	uint32_t i = run_finish(read);
	(void)mp; /* without probes */
	MPOOL_PROBE(read, &mp->core, read->page, read->n, i < read->n ? errno : 0);
	for (uint32_t j = 0; j < read->n; j++)
		l[j].read = true;
	while (i < read->n) {
		/* What one page fails with is not its neighbours' error; but a store is not waited for as often as there are pages. */
		l[i++].error = errno;
		if (i < read->n && !pageio_unreached(read->file, errno))
			i += pageio_readv(read->file, read->page + i, read->iov + i, read->n - i, 0);
	}
}

/* The pieces of a read. */
static void point(struct batch *b, unsigned from, unsigned n)
{
	for (unsigned i = from; i < from + n; i++)
		b->iov[i] = (struct iovec){load_bytes(b->mp, &b->load[i]), b->mp->io.file.pagesize};
}

struct io_run read_of(MPOOL *mp, uint32_t page, unsigned n, struct iovec *iov)
{
	struct whose is = whose_page(&mp->io, page);
	return (struct io_run){.file = &is.io->file, .page = is.page, .n = n, .iov = iov};
}

void batch_read(struct batch *b)
{
	unsigned reads = 0;
	for (unsigned i = 0, n; i < b->n; i += n ? n : 1) {
		n = batch_run(b, i);
		if (n == 0)
			memset(load_bytes(b->mp, &b->load[i]), 0, b->mp->io.file.pagesize);
		else
			b->reads[reads++] = read_of(b->mp, b->load[i].page, n, &b->iov[i]);
		point(b, i, n);
	}
	engine_make(&b->mp->io, b->reads, reads);
	for (unsigned i = 0; i < reads; i++)
		loads_finish(b->mp, &b->reads[i], &b->load[b->reads[i].iov - b->iov]);
	for (unsigned i = 0; i < b->n; i++)
		load_decode(b->mp, &b->load[i]);
}
