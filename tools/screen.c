/*
 * screen.c - see screen.h.
 *
 * What is to be shown may have more lines than the terminal: the first one always
 * stands, and the others are shown from `above` on, which keys change.
 *
 * SPDX-License-Identifier: BSD-2-Clause
 */
#include "screen.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "look.h"
#include "process.h"
#include "text.h"

#define HOME       "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"
#define BOLD       "\033[1m"
#define PLAIN      "\033[m"
#define HIDE       "\033[?25l"
#define SHOW       "\033[?25h"

enum { COLUMNS = 80, LINES = 24, LINE_BYTES = 1024, FRAME_BYTES = 1 << 16, KEY_BYTES = 8 };

/* ---- the terminal ------------------------------------------------------- */

static struct termios before;
static bool changed;
static volatile sig_atomic_t ended, stopping;
static sigset_t waiting; /* what is blocked while we wait, which is when signals come */

static void end(int signal)
{
	(void)signal;
	ended = 1;
}

static void stop_soon(int signal)
{
	(void)signal;
	stopping = 1;
}

/* The terminal has another size: that ends the wait, and is all. */
static void draw_anew(int signal)
{
	(void)signal;
}

static void take_signal(int signal, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};
	sigset_t one;

	sigemptyset(&action.sa_mask);
	sigemptyset(&one);
	sigaddset(&one, signal);
	sigprocmask(SIG_BLOCK, &one, NULL);
	sigdelset(&waiting, signal);
	sigaction(signal, &action, NULL);
}

static void take_signals(void)
{
	sigprocmask(SIG_BLOCK, NULL, &waiting);
	take_signal(SIGINT, end);
	take_signal(SIGTERM, end);
	take_signal(SIGHUP, end);
	take_signal(SIGTSTP, stop_soon);
	take_signal(SIGWINCH, draw_anew);
}

static void take_terminal(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &raw) != 0)
		return; /* keys come from elsewhere, or not at all */
	before = raw;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void give_terminal(void)
{
	if (changed)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	changed = false;
	fputs("\r\n" SHOW, stdout);
	fflush(stdout);
}

/* Ctrl-Z: the terminal is the shell's until we go on. */
static void stop(void)
{
	stopping = 0;
	give_terminal();
	raise(SIGSTOP);
	take_terminal();
}

/* ---- a frame: what is drawn at once ------------------------------------- */

struct frame {
	FILE *to;           /* NULL: lines are only counted */
	int columns, lines; /* left of it */
	size_t n, above;    /* lines so far; of those that can move, how many are above the terminal */
};

static struct frame frame_begin(void)
{
	struct frame f = {.to = stdout, .columns = COLUMNS, .lines = LINES};
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 && w.ws_row > 0) {
		f.columns = w.ws_col;
		f.lines = w.ws_row;
	}
	fputs(HIDE HOME, f.to);
	return f;
}

/* A line, as much of it as there is room for. */
static void line(struct frame *f, const char *style, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void line(struct frame *f, const char *style, const char *format, ...)
{
	char text[LINE_BYTES];
	va_list arguments;

	if (!f->to || f->lines <= 0 || (f->n > 0 && f->n <= f->above)) {
		f->n++;
		return;
	}
	f->n++;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	/* No newline after the last one, which would move all of it up. */
	fprintf(f->to, "%s%.*s%s" CLEAR_LINE "%s", style, f->columns, text, *style ? PLAIN : "",
	        --f->lines > 0 ? "\r\n" : "");
}

static void frame_end(struct frame *f)
{
	fputs(CLEAR_REST, f->to);
	fflush(f->to);
}

/* ---- what is in it ------------------------------------------------------ */

/* A look, and when it was taken. */
struct view {
	struct look look;
	double at;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The same pool in the view before; NULL: it was not there, or does nothing any more. */
static const struct look_pool *earlier(const struct view *last, const struct look_pool *lp)
{
	for (size_t i = 0; i < last->look.n; i++) {
		const struct look_pool *old = &last->look.pool[i];
		if (lp->state == LOOK_LIVE && old->ino == lp->ino && old->counted && strcmp(old->name, lp->name) == 0)
			return old;
	}
	return NULL;
}

static const char *percent(char to[TEXT_SHORT], uint64_t part, uint64_t whole)
{
	if (whole == 0)
		return "-";
	snprintf(to, TEXT_SHORT, "%.2f%%", 100.0 * (double)part / (double)whole);
	return to;
}

/* By how much a count has grown that is near, and may have been smaller before. */
static double grown(uint64_t n, uint64_t was)
{
	return n > was ? (double)(n - was) : 0;
}

/* What went on: a second, since the view before; or, if there was none, since the pool was made. */
static void show_work(struct frame *f, const struct mpool_stats *s, const struct mpool_stats *old, double seconds)
{
	static const struct mpool_stats none;
	char number[5][TEXT_SHORT], share[TEXT_SHORT];
	const struct mpool_stats *o = old ? old : &none;
	const char *a_second = old ? "/s" : "";
	double over = old ? seconds : 1;
	uint64_t hits = s->hits - o->hits, gets = hits + (s->misses - o->misses);
	uint64_t n[] = {gets, s->reads - o->reads, s->writes - o->writes, s->evictions - o->evictions,
	                s->rescues - o->rescues};

	for (unsigned i = 0; i < sizeof n / sizeof *n; i++)
		text_number(number[i], (double)n[i] / over);
	line(f, "",
	     "  gets%s %s  hits %s  reads%s %s  writes%s %s  evictions%s %s  rescues%s %s  deaths %" PRIu64
	     " (+%" PRIu64 ")",
	     a_second, number[0], percent(share, hits, gets), a_second, number[1], a_second, number[2], a_second,
	     number[3], a_second, number[4], s->deaths, old ? s->deaths - o->deaths : 0);
}

/* The same of what was done before there was need of it, if anything ever was. */
static void show_early(struct frame *f, const struct mpool_stats *s, const struct mpool_stats *old, double seconds)
{
	static const struct mpool_stats none;
	const struct mpool_stats *o = old ? old : &none;
	const char *a_second = old ? "/s" : "";
	double over = old ? seconds : 1;
	char ahead[TEXT_SHORT], used[TEXT_SHORT], wasted[TEXT_SHORT], cleaned[TEXT_SHORT], waits[TEXT_SHORT];

	if (s->ahead > 0)
		line(f, "", "  read ahead%s %s  used%s %s  wasted%s %s", a_second,
		     text_number(ahead, (double)(s->ahead - o->ahead) / over), a_second,
		     text_number(used, grown(s->ahead_used, o->ahead_used) / over), a_second,
		     text_number(wasted, (double)(s->ahead_wasted - o->ahead_wasted) / over));
	if (s->cleaned > 0 || s->write_waits > 0)
		line(f, "", "  cleaned%s %s  waits for cleaners%s %s", a_second,
		     text_number(cleaned, (double)(s->cleaned - o->cleaned) / over), a_second,
		     text_number(waits, (double)(s->write_waits - o->write_waits) / over));
	if (s->write_errno > 0)
		line(f, "", "  a write has failed since the last sync: %s", strerror((int)s->write_errno));
}

static void show_contents(struct frame *f, const struct look_pool *lp)
{
	const struct mpool_stats *s = &lp->stats;
	char cached[TEXT_SHORT], room[TEXT_SHORT], page[TEXT_SHORT], file[TEXT_SHORT], memory[TEXT_SHORT];
	char dirty[TEXT_SHORT];

	line(f, "",
	     "  cached %s of %s, of %s each  dirty %s  pinned %" PRIu64 "  overflow %" PRIu64 "  abandoned %" PRIu64
	     "  pages %s  memory %s",
	     text_number(cached, (double)s->cached), text_number(room, (double)s->maxcache),
	     text_size(page, s->pagesize), text_number(dirty, (double)s->dirty), s->pinned, s->overflow, lp->abandoned,
	     text_number(file, (double)s->pages), text_size(memory, lp->memory));
}

static void show_processes(struct frame *f, const struct look_pool *lp)
{
	if (lp->processes > 0)
		line(f, "", "  %10s  %-9s  %8s  %6s  %s", "PID", "STATE", "PINNED", "SINCE", "COMMAND");
	for (uint32_t i = 0; i < lp->processes; i++) {
		const struct look_process *p = &lp->process[i];
		struct process process = f->to ? process_of(p) : (struct process){.state = ""};
		char age[TEXT_SHORT], *command = text_escape_string(*process.command ? process.command : NULL);
		line(f, "", "  %10" PRId32 "  %-9s  %8" PRIu64 "  %6s  %s", p->pid, process.state, p->pinned,
		     text_age(age, (int64_t)time(NULL) - p->since),
		     p->alive && p->where == LOOK_ELSEWHERE ? "(in another PID namespace)" : command);
		free(command);
	}
}

static void show_pool(struct frame *f, const struct look_pool *lp, const struct look_pool *old, double seconds)
{
	char *key = text_escape(lp->key, lp->key_bytes), *path = text_escape_string(lp->path), memory[TEXT_SHORT];

	line(f, "", " ");
	line(f, BOLD, "%s  %s  %s", key, state_name(lp->state), path);
	if (lp->counted) {
		if (lp->elsewhere)
			line(f, "", "  not there any more: the pool's file is inode %" PRIu64 " of device %u:%u",
			     lp->stats.inode, major(lp->stats.device), minor(lp->stats.device));
		show_contents(f, lp);
		show_work(f, &lp->stats, old ? &old->stats : NULL, seconds);
		show_early(f, &lp->stats, old ? &old->stats : NULL, seconds);
		show_processes(f, lp);
	} else {
		line(f, "", "  object %s  memory %s", lp->name, text_size(memory, lp->memory));
	}
	free(key);
	free(path);
}

static void show_pools(struct frame *f, const struct view *v, const struct view *last)
{
	if (v->look.n == 0) {
		line(f, "", " ");
		line(f, "", "No process of user %u shares a pool: none was opened with a key.", (unsigned)geteuid());
	}
	for (size_t i = 0; i < v->look.n; i++)
		show_pool(f, &v->look.pool[i], earlier(last, &v->look.pool[i]), v->at - last->at);
}

/* How many lines can move: all but the first. */
static size_t lines_below(const struct view *v, const struct view *last)
{
	struct frame count = {.to = NULL};

	show_pools(&count, v, last);
	return count.n;
}

/* Lines that are above the terminal, of those that can move; and how many fit into it. */
static size_t above, page;

static void show(const struct view *v, const struct view *last)
{
	struct frame f = frame_begin();
	size_t all = lines_below(v, last);
	char moved[2 * TEXT_SHORT] = "", clock[TEXT_SHORT] = "", memory[TEXT_SHORT];
	time_t seconds = time(NULL);
	struct tm tm;
	uint64_t bytes = 0, processes = 0;

	for (size_t i = 0; i < v->look.n; i++) {
		const struct look_pool *lp = &v->look.pool[i];
		bytes += lp->memory;
		for (uint32_t p = 0; p < lp->processes; p++)
			processes += lp->process[p].alive;
	}
	if (localtime_r(&seconds, &tm))
		strftime(clock, sizeof clock, "%H:%M:%S", &tm);
	page = f.lines > 1 ? (size_t)f.lines - 1 : 1;
	if (above > all - (all < page ? all : page))
		above = all - (all < page ? all : page);
	if (all > page)
		snprintf(moved, sizeof moved, "  lines %zu-%zu of %zu", above + 1, above + page, all);
	f.above = above;
	line(&f, "", "mpool-top  %s  user %u: %zu pools, %" PRIu64 " processes, %s of memory%s", clock,
	     (unsigned)geteuid(), v->look.n, processes, text_size(memory, bytes), moved);
	show_pools(&f, v, last);
	frame_end(&f);
}

/* ---- again and again ---------------------------------------------------- */

/* The keys that move the lines, as terminals send them, and what they do to `above`. */
static void take_key(const char *key)
{
	static const struct {
		const char *key;
		enum { LINE_UP, LINE_DOWN, PAGE_UP, PAGE_DOWN, FIRST, LAST } move;
	} moves[] = {
		{"\033[A", LINE_UP},    {"\033OA", LINE_UP}, {"k", LINE_UP},       {"\033[B", LINE_DOWN},
		{"\033OB", LINE_DOWN},  {"j", LINE_DOWN},    {"\033[5~", PAGE_UP}, {"b", PAGE_UP},
		{"\033[6~", PAGE_DOWN}, {" ", PAGE_DOWN},    {"\033[H", FIRST},    {"\033OH", FIRST},
		{"\033[1~", FIRST},     {"g", FIRST},        {"\033[F", LAST},     {"\033OF", LAST},
		{"\033[4~", LAST},      {"G", LAST},
	};

	if (*key == 'q')
		ended = 1;
	for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
		if (strcmp(key, moves[i].key) != 0)
			continue;
		size_t step = moves[i].move == PAGE_UP || moves[i].move == PAGE_DOWN ? page : 1;
		if (moves[i].move == FIRST)
			above = 0;
		else if (moves[i].move == LAST)
			above = SIZE_MAX - page; /* show() knows how many there are */
		else if (moves[i].move == LINE_UP || moves[i].move == PAGE_UP)
			above -= above < step ? above : step;
		else
			above += step;
	}
}

/* Until it is time for the next view, or a key or a signal comes. */
static void wait_until(double at)
{
	static bool keys = true;
	double left = at - now();
	struct pollfd p = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
	struct timespec t = {.tv_sec = (time_t)left};
	char key[KEY_BYTES + 1] = "";

	if (left <= 0)
		return;
	t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
	if (ppoll(&p, 1, &t, &waiting) <= 0)
		return;
	/* A terminal that is gone has no more keys. */
	ssize_t n = read(STDIN_FILENO, key, KEY_BYTES);
	keys = n > 0;
	if (keys)
		take_key(key);
}

static struct view view_now(void)
{
	struct view v = {.at = now()};
	int error = look_all(&v.look);

	if (error)
		die(STATUS_REFUSED, "cannot look at the pools: %s", strerror(error));
	look_sort(&v.look);
	return v;
}

void screen_show(double interval)
{
	struct view v = {.at = 0}, last = v;

	setvbuf(stdout, NULL, _IOFBF, FRAME_BYTES); /* a frame is one write */
	take_signals();
	take_terminal();
	atexit(give_terminal);
	while (!ended && !ferror(stdout)) {
		look_free(&last.look);
		last = v;
		v = view_now();
		for (double next = v.at + interval; !ended && now() < next; wait_until(next)) {
			if (stopping)
				stop();
			show(&v, &last);
		}
	}
	look_free(&last.look);
	look_free(&v.look);
}
