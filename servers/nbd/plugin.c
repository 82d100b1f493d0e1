/*
 * plugin.c - nbdkit's side of the server: options, what clients are offered, and errors.
 *
 * The file is opened before nbdkit goes into the background and changes its user, and the
 * pool tried, so that what is wrong is said where it can be read; the pool that serves is
 * opened after, as there are no threads of the old process then.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "disk.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

enum {
	PAGE_DEFAULT = 4096,
	PAGE_MIN = 512,
	PAGE_MAX = 1 << 20,
	CLEANERS_DEFAULT = 4,
	CLEANERS_MAX = 64,
	REQUEST_MAX = 32 << 20, /* what clients are told; nbdkit itself takes twice that */
};
static const uint64_t CACHE_DEFAULT = 256ull << 20;

static struct {
	struct disk_options options;
	char *file;
	struct disk disk;
	bool opened, started;
} server = {.options = {.page = PAGE_DEFAULT, .cleaners = CLEANERS_DEFAULT}};

/* ---- options --------------------------------------------------------------------- */

static int take_file(const char *value)
{
	free(server.file);
	server.file = nbdkit_realpath(value);
	server.options.file = server.file;
	return server.file != NULL ? 0 : -1;
}

static int take_cache(const char *value)
{
	int64_t bytes = nbdkit_parse_size(value);
	if (bytes < 0)
		return -1;
	server.options.cache = (uint64_t)bytes;
	if (bytes > 0)
		return 0;
	nbdkit_error("cache=%s: there must be room for a page", value);
	return -1;
}

static int take_page(const char *value)
{
	int64_t bytes = nbdkit_parse_size(value);
	if (bytes < 0)
		return -1;
	server.options.page = (uint32_t)bytes;
	if (bytes >= PAGE_MIN && bytes <= PAGE_MAX && (bytes & (bytes - 1)) == 0)
		return 0;
	nbdkit_error("page=%s: it must be a power of two from %d to %d", value, PAGE_MIN, PAGE_MAX);
	return -1;
}

static int take_direct(const char *value)
{
	int direct = nbdkit_parse_bool(value);
	server.options.direct = direct == 1;
	return direct < 0 ? -1 : 0;
}

static int take_key(const char *value)
{
	server.options.key = value;
	if (*value != '\0' && strlen(value) <= MPOOL_KEY_MAX)
		return 0;
	nbdkit_error("key=: it must have 1 to %d bytes", MPOOL_KEY_MAX);
	return -1;
}

static int take_cleaners(const char *value)
{
	if (nbdkit_parse_uint32_t("cleaners", value, &server.options.cleaners) != 0)
		return -1;
	if (server.options.cleaners <= CLEANERS_MAX)
		return 0;
	nbdkit_error("cleaners=%s: there can be %d at most", value, CLEANERS_MAX);
	return -1;
}

static const struct option {
	const char *name;
	int (*take)(const char *value);
} options[] = {
	{"file", take_file},     {"cache", take_cache}, {"page", take_page},
	{"direct", take_direct}, {"key", take_key},     {"cleaners", take_cleaners},
};

static int server_config(const char *key, const char *value)
{
	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (strcmp(key, options[i].name) == 0)
			return options[i].take(value);
	nbdkit_error("unknown parameter '%s'", key);
	return -1;
}

static int server_config_complete(void)
{
	struct disk_options *o = &server.options;
	if (o->file == NULL) {
		nbdkit_error("you must supply the file=<FILENAME> parameter after the plugin name on the command line");
		return -1;
	}
	if (o->cache == 0)
		o->cache = CACHE_DEFAULT;
	if (o->cache >= o->page)
		return 0;
	nbdkit_error("cache=%llu is less than a page of %u bytes", (unsigned long long)o->cache, (unsigned)o->page);
	return -1;
}

#define CONFIG_HELP                                                                \
	"[file=]<FILENAME>     (required) The file or block device to serve.\n"    \
	"cache=<SIZE>          What is kept in memory (default: 256M).\n"          \
	"cleaners=<N>          Threads that write ahead of need (default: 4).\n"   \
	"direct=<BOOL>         Read and write with O_DIRECT (default: false).\n"   \
	"key=<NAME>            Serve from the cache of all servers of that key.\n" \
	"page=<SIZE>           Bytes of a page of the cache (default: 4096)."

static void server_dump_plugin(void)
{
	printf("mpool_version=%s\n", MPOOL_VERSION);
	printf("mpool_page_default=%d\nmpool_page_min=%d\nmpool_page_max=%d\n", PAGE_DEFAULT, PAGE_MIN, PAGE_MAX);
	printf("mpool_cache_default=%llu\n", (unsigned long long)CACHE_DEFAULT);
	printf("mpool_cleaners_default=%d\n", CLEANERS_DEFAULT);
	printf("mpool_direct=yes\nmpool_key=yes\n");
}

/* ---- start and end ---------------------------------------------------------------- */

static int start(void)
{
	char why[DISK_WHY_MAX];
	if (disk_start(&server.disk, why) == 0)
		return 0;
	nbdkit_error("%s", why);
	return -1;
}

static int server_get_ready(void)
{
	char why[DISK_WHY_MAX];
	if (disk_open(&server.disk, &server.options, why) != 0) {
		nbdkit_error("%s", why);
		return -1;
	}
	server.opened = true;
	if (start() != 0)
		return -1;
	disk_stop(&server.disk);
	return 0;
}

static int server_after_fork(void)
{
	server.started = start() == 0;
	return server.started ? 0 : -1;
}

/* All connections are closed. */
static void server_cleanup(void)
{
	if (!server.started)
		return;
	if (server.disk.writable && disk_flush(&server.disk) != 0)
		nbdkit_error("%s: flush: %m", server.file);
	disk_stop(&server.disk);
	server.started = false;
}

static void server_unload(void)
{
	if (server.opened)
		disk_close(&server.disk);
	free(server.file);
}

/* ---- what clients are offered ----------------------------------------------------- */

static void *server_open(int readonly)
{
	(void)readonly;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t server_get_size(void *handle)
{
	(void)handle;
	return (int64_t)server.disk.size;
}

static int server_block_size(void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
	(void)handle;
	*minimum = 1;
	*preferred = server.options.page;
	*maximum = REQUEST_MAX;
	return 0;
}

static int server_can_write(void *handle)
{
	(void)handle;
	return server.disk.writable;
}

static int server_yes(void *handle)
{
	(void)handle;
	return 1;
}

static int server_can_fua(void *handle)
{
	(void)handle;
	return NBDKIT_FUA_NATIVE;
}

static int server_can_cache(void *handle)
{
	(void)handle;
	return NBDKIT_CACHE_NATIVE;
}

/* ---- requests --------------------------------------------------------------------- */

/* Only some errors have a number in the protocol; nbdkit makes EINVAL, a client's fault, of the others. */
static int failed(const char *what, uint64_t bytes, uint64_t offset)
{
	int error = errno;
	nbdkit_error("%s: %s of %llu bytes at %llu: %m", server.file, what, (unsigned long long)bytes,
	             (unsigned long long)offset);
	switch (error) {
	case ENOMEM:
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
	case EPERM:
		nbdkit_set_error(error);
		break;
	default:
		nbdkit_set_error(EIO);
	}
	return -1;
}

static int flush_if(uint32_t flags, uint64_t bytes, uint64_t offset)
{
	return flags & NBDKIT_FLAG_FUA ? disk_flush_range(&server.disk, bytes, offset) : 0;
}

static int server_pread(void *handle, void *to, uint32_t bytes, uint64_t offset, uint32_t flags)
{
	(void)handle, (void)flags;
	return disk_read(&server.disk, to, bytes, offset) == 0 ? 0 : failed("read", bytes, offset);
}

static int server_pwrite(void *handle, const void *from, uint32_t bytes, uint64_t offset, uint32_t flags)
{
	(void)handle;
	if (disk_write(&server.disk, from, bytes, offset) != 0 || flush_if(flags, bytes, offset) != 0)
		return failed("write", bytes, offset);
	return 0;
}

static int server_flush(void *handle, uint32_t flags)
{
	(void)handle, (void)flags;
	if (!server.disk.writable || disk_flush(&server.disk) == 0)
		return 0;
	return failed("flush", server.disk.size, 0);
}

static int server_zero(void *handle, uint32_t bytes, uint64_t offset, uint32_t flags)
{
	bool holes = flags & NBDKIT_FLAG_MAY_TRIM;
	(void)handle;
	if (flags & NBDKIT_FLAG_FAST_ZERO && !(holes && disk_punches(&server.disk))) {
		nbdkit_set_error(EOPNOTSUPP);
		return -1;
	}
	if (disk_zero(&server.disk, bytes, offset, holes) != 0 || flush_if(flags, bytes, offset) != 0)
		return failed("zero", bytes, offset);
	return 0;
}

static int server_trim(void *handle, uint32_t bytes, uint64_t offset, uint32_t flags)
{
	(void)handle;
	if (disk_zero(&server.disk, bytes, offset, true) != 0 || flush_if(flags, bytes, offset) != 0)
		return failed("trim", bytes, offset);
	return 0;
}

static int server_cache(void *handle, uint32_t bytes, uint64_t offset, uint32_t flags)
{
	(void)handle, (void)flags;
	return disk_prefetch(&server.disk, bytes, offset) == 0 ? 0 : failed("cache", bytes, offset);
}

static int add_extent(void *extents, uint64_t offset, uint64_t bytes, bool hole)
{
	return nbdkit_add_extent(extents, offset, bytes, hole ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0);
}

static int server_extents(void *handle, uint32_t bytes, uint64_t offset, uint32_t flags, struct nbdkit_extents *extents)
{
	(void)handle;
	bool one = flags & NBDKIT_FLAG_REQ_ONE;
	if (disk_extents(&server.disk, bytes, offset, one, add_extent, extents) == 0)
		return 0;
	return failed("extents", bytes, offset);
}

static struct nbdkit_plugin plugin = {
	.name = "mpool",
	.longname = "libmpool's page cache",
	.version = MPOOL_VERSION,
	.description = "Serve a file from a cache of its pages, which several servers can share",
	.magic_config_key = "file",
	.config = server_config,
	.config_complete = server_config_complete,
	.config_help = CONFIG_HELP,
	.dump_plugin = server_dump_plugin,
	.get_ready = server_get_ready,
	.after_fork = server_after_fork,
	.cleanup = server_cleanup,
	.unload = server_unload,
	.open = server_open,
	.get_size = server_get_size,
	.block_size = server_block_size,
	.can_write = server_can_write,
	.can_flush = server_yes,
	.can_multi_conn = server_yes,
	.can_fua = server_can_fua,
	.can_cache = server_can_cache,
	.can_fast_zero = server_yes,
	.pread = server_pread,
	.pwrite = server_pwrite,
	.flush = server_flush,
	.zero = server_zero,
	.trim = server_trim,
	.cache = server_cache,
	.extents = server_extents,
	.errno_is_preserved = 1,
};

/* What nbdkit looks for. */
NBDKIT_DLL_PUBLIC struct nbdkit_plugin *plugin_init(void);
NBDKIT_REGISTER_PLUGIN(plugin)
