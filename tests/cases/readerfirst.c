/* Who only reads makes the pool; a writer joins, modifies and syncs. */
#include "case.h"

int main(void)
{
	char name[] = "readerfirst.XXXXXX";
	int w = mkostemp(name, O_CLOEXEC);
	MUST(w >= 0 && ftruncate(w, 1 << 20) == 0);
	int r = open(name, O_RDONLY | O_CLOEXEC);
	MUST(r >= 0 && unlink(name) == 0);
	MPOOL *reader = mpool_open(case_key(), r, 4096, 4);
	RIGHT(reader, "the reader's open: %s", strerror(errno));
	MPOOL *writer = mpool_open(case_key(), w, 4096, 4);
	RIGHT(writer, "the writer's open: %s", strerror(errno));
	for (pgno_t i = 0; i < 50; i++) {
		char *page = mpool_get(writer, i, 0);
		RIGHT(page, "the writer's get of page %u: %s", i, strerror(errno));
		*page = 'W';
		RIGHT(mpool_put(writer, page, MPOOL_DIRTY) == 0, "put: %s", strerror(errno));
	}
	char *page = mpool_get(reader, 60, 0);
	RIGHT(page && mpool_put(reader, page, 0) == 0, "the reader's get: %s", strerror(errno));
	RIGHT(mpool_sync(writer) == 0, "the writer's sync: %s", strerror(errno));
	for (pgno_t i = 0; i < 50; i++) {
		char c;
		MUST(pread(w, &c, 1, (off_t)i * 4096) == 1);
		RIGHT(c == 'W', "page %u is not in the file", i);
	}
	return mpool_close(writer) || mpool_close(reader);
}
