/*
 * sharedpools - a process opens and closes many shared pools.  What that costs grows
 * as their number does; there is one thread for all, one instance of inotify, and no
 * more in a core file for them.
 */
#include <dirent.h>
#include <sys/resource.h>

#include "case.h"

/* Four times as many take four times as long, or six at the most. */
enum { FEW = 100, TIMES = 4, TIMES_AS_LONG = 6, PAGE = 4096, TRIES = 6 };

static int file;

/* Of this process, in microseconds. */
static double used(void)
{
	struct rusage u;
	MUST(getrusage(RUSAGE_SELF, &u) == 0);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* Entries of a directory; or links in it to what has `what` in its name. */
static int entries(const char *path, const char *what)
{
	int n = 0;
	DIR *d = opendir(path);
	MUST(d);
	for (struct dirent *e; (e = readdir(d));) {
		char link[64] = "", name[300];
		snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		n += what ? readlink(name, link, sizeof link - 1) > 0 && strstr(link, what) : e->d_name[0] != '.';
	}
	closedir(d);
	return n;
}

/* No mapping of an object is dumped: each says so in its flags. */
static void check_mappings(int pools)
{
	char line[4096 + 256];
	int objects = 0, kept = 0, its = 0;
	FILE *f = fopen("/proc/self/smaps", "re");
	MUST(f);
	while (fgets(line, sizeof line, f))
		if (strstr(line, "/dev/shm/mpool-") && !strstr(line, "---s"))
			objects += its = 1;
		else if (strncmp(line, "VmFlags:", 8) == 0) {
			kept += its && strstr(line, " dd ");
			its = 0;
		}
	fclose(f);
	RIGHT(objects >= pools && kept == objects, "%d of %d mappings are left out of a core file", kept, objects);
}

static double cost(int pools, int look)
{
	MPOOL *mp[FEW * TIMES];
	char key[96];
	double before = used();
	for (int i = 0; i < pools; i++) {
		snprintf(key, sizeof key, "%s.%d", case_key(), i);
		MUST((mp[i] = mpool_open(key, file, PAGE, 4)));
	}
	if (look) {
		double at = used();
		int threads = entries("/proc/self/task", NULL), told = entries("/proc/self/fd", "inotify");
		RIGHT(threads <= 2 + look - 1 && told <= 1, "%d pools: %d threads, %d instances of inotify", pools,
			threads, told);
		check_mappings(pools);
		before += used() - at;
	}
	for (int i = 0; i < pools; i++)
		mpool_close(mp[i]);
	return used() - before;
}

int main(void)
{
	struct rlimit files;
	MUST(getrlimit(RLIMIT_NOFILE, &files) == 0);
	files.rlim_cur = files.rlim_max;
	MUST(setrlimit(RLIMIT_NOFILE, &files) == 0);
	if (files.rlim_cur < FEW * TIMES * 8)
		SKIP("few descriptors");
	file = case_file(4 * PAGE);
	/* What a sanitizer has is not counted. */
	int own = entries("/proc/self/task", NULL);
	cost(1, 0);
	double few = 0, many = 0, ratio = 1e9;
	for (int i = 0; i < TRIES && ratio > TIMES_AS_LONG; i++) {
		few = cost(FEW, own);
		many = cost(FEW * TIMES, own);
		ratio = ratio < many / few ? ratio : many / few;
	}
	printf("processor time of a pool: %.0f us of %d, %.0f us of %d\n", few / FEW, FEW, many / (FEW * TIMES),
		FEW * TIMES);
	RIGHT(ratio <= TIMES_AS_LONG, "%d times as many pools take %.1f times as long", TIMES, ratio);
	return 0;
}
