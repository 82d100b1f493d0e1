/*
 * plugin.c - a program's plug-in has libmpool.a in it, and is loaded, used and
 * unloaded again and again, by threads that live longer.  No trace is left of it: no
 * key, none of the threads' memory, and no call into what is gone when they end.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <dlfcn.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>

#include "case.h"
#include "plugin.h"

/* More than there are keys; what each leaves behind adds up. */
enum { CYCLES = PTHREAD_KEYS_MAX + 100, WARM = 100, MOST_LEFT = 64 * 1024 };

static const char *path;
static plugin_step *use;
static pthread_barrier_t turn;
static int fd;

static void wait_for_turn(void)
{
	(void)pthread_barrier_wait(&turn);
}

/* Uses the plug-in's pool each time, and never ends before the last. */
static void *other_thread(void *unused)
{
	for (int i = 0; i < CYCLES; i++) {
		wait_for_turn();
		MUST(use(PLUGIN_USE, fd) == 0);
		wait_for_turn();
	}
	return unused;
}

static void cycle(void)
{
	void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!plugin)
		fprintf(stderr, "%s\n", dlerror());
	MUST(plugin);
	*(void **)&use = dlsym(plugin, "plugin");
	MUST(use);
	int error = use(PLUGIN_OPEN, fd);
	RIGHT(error == 0, "the pool cannot be opened: %s", strerror(error));
	RIGHT((error = use(PLUGIN_USE, fd)) == 0, "the pool cannot be used: %s", strerror(error));
	wait_for_turn();
	wait_for_turn();
	MUST(use(PLUGIN_CLOSE, fd) == 0);
	MUST(dlclose(plugin) == 0);
	if (dlopen(path, RTLD_NOW | RTLD_NOLOAD))
		SKIP("here nothing is unloaded");
}

static void *main_thread(void *unused)
{
	size_t warm = 0;
	for (int i = 0; i < CYCLES; i++) {
		if (i == WARM)
			warm = mallinfo2().uordblks;
		cycle();
	}
	size_t left = mallinfo2().uordblks;
	RIGHT(left < warm + MOST_LEFT, "%zu bytes were in use, and %zu are after %d cycles", warm, left, CYCLES - WARM);
	pthread_key_t key;
	RIGHT(pthread_key_create(&key, NULL) == 0, "no key is left for others");
	return unused;
}

int main(int argc, char **argv)
{
	MUST(argc == 2);
	path = argv[1];
	fd = case_file(PLUGIN_PAGE);
	pthread_t threads[2];
	MUST(pthread_barrier_init(&turn, NULL, 2) == 0);
	MUST(pthread_create(&threads[0], NULL, main_thread, NULL) == 0);
	MUST(pthread_create(&threads[1], NULL, other_thread, NULL) == 0);
	for (int i = 0; i < 2; i++)
		MUST(pthread_join(threads[i], NULL) == 0);
	return 0;
}
