/* eventloop FILE - one thread answers many clients' requests for pages, and none waits for another's read. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mpool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PAGE = 4096, CACHE = 1000, CLIENTS = 64, REQUESTS = 1000, EVENTS = 16 };

/* In a server it would have a socket too. */
struct client {
	int efd;         /* can be read when its page has come */
	pgno_t page;     /* it asks for that one now, */
	unsigned left;   /* of so many */
	unsigned random; /* state of rand_r */
};

static MPOOL *mp;
static unsigned long pages, at_once, after_reads, in_line;

/* Nine of ten requests are for one of a hundred pages. */
static void ask(struct client *c)
{
	int hot = rand_r(&c->random) % 10 != 0;
	c->page = (pgno_t)((unsigned long)rand_r(&c->random) % (hot && pages > 100 ? 100 : pages));
}

/* Answer the client's requests until one needs a read; `came`: its page was read just now. */
static void serve(struct client *c, int came)
{
	while (c->left > 0) {
		void *page = mpool_get(mp, c->page, MPOOL_CACHED);
		*(came ? &after_reads : &at_once) += page != NULL;
		if (page == NULL && errno == EAGAIN) {
			if (mpool_prefetch(mp, &c->page, 1, c->efd) == 1)
				return;                   /* on with others; epoll_wait says when */
			page = mpool_get(mp, c->page, 0); /* no frame to be had without waiting */
			in_line += page != NULL;
		}
		if (page == NULL) /* also what the read has failed with */
			err(1, "page %lu", (unsigned long)c->page);
		/* ... the answer is made of the page here ... */
		mpool_put(mp, page, 0);
		came = 0;
		c->left--;
		ask(c);
	}
}

int main(int argc, char **argv)
{
	static struct client client[CLIENTS];
	int fd = open(argc > 1 ? argv[1] : "", O_RDONLY), ep = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || ep < 0 || (mp = mpool_open(NULL, fd, PAGE, CACHE)) == NULL)
		err(1, "%s", argc > 1 ? argv[1] : "usage: eventloop FILE");
	struct mpool_stats s;
	mpool_stats(mp, &s, sizeof s);
	if ((pages = (unsigned long)s.pages) == 0)
		errx(1, "%s: no page", argv[1]);

	unsigned busy = CLIENTS;
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &client[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
		*c = (struct client){.efd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .left = REQUESTS, .random = i + 1};
		if (c->efd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, c->efd, &event) != 0)
			err(1, "eventfd");
		ask(c);
		serve(c, 0);
		busy -= c->left == 0;
	}
	while (busy > 0) {
		struct epoll_event event[EVENTS];
		int n = epoll_wait(ep, event, EVENTS, -1);
		if (n < 0 && errno != EINTR)
			err(1, "epoll_wait");
		for (int i = 0; i < n; i++) {
			struct client *c = event[i].data.ptr;
			uint64_t count;
			if (read(c->efd, &count, sizeof count) < 0) /* it cannot be read any more, until the next */
				err(1, "eventfd");
			serve(c, 1);
			busy -= c->left == 0;
		}
	}
	printf("%d requests: %lu at once, %lu after a read, %lu by waiting\n", CLIENTS * REQUESTS, at_once, after_reads,
	       in_line);
	return mpool_close(mp);
}
