// extern_c.cpp - the header in an extern "C" of the program's own, as where a C project's
// headers are taken in at once.
//
// SPDX-License-Identifier: BSD-2-Clause
extern "C" {
#include "case.h"
}

int main()
{
	int fd = case_file(0);
	char key[64];
	pgno_t pgno;
	snprintf(key, sizeof key, "%s", case_key());
	MPOOL *mp = mpool_open(key, fd, 512, 4), *none = mpool_open(&fd, fd, 512, 4);
	MUST(mp && none);
	for (pgno_t i = 0; i < 3; i++) {
		void *page = i == 0   ? mpool_new(mp, &pgno)
		             : i == 1 ? mpool_new(mp, &pgno, MPOOL_PAGE_NEXT)
		                      : mpool_newf(mp, &pgno, MPOOL_PAGE_NEXT);
		RIGHT(page && pgno == i, "page %u", pgno);
		MUST(mpool_put(mp, page, 0) == 0);
	}
	MUST(mpool_close(mp) == 0 && mpool_close(none) == 0);
	return 0;
}
