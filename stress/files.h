/*
 * files.h - the file that a run changes.
 *
 * Owns which file that may be: a new one, an empty one, one that this program made,
 * any with --force, or one without a name, which cannot stay behind.
 */
#ifndef STRESS_FILES_H
#define STRESS_FILES_H

#include "options.h"

struct files {
	int fd;       /* the pool's */
	int plain_fd; /* the same file, for reading around the pool */
};

void files_open(const struct options *o, struct files *f);

#endif
