/* page.c - see page.h. */
#include "page.h"

#include <string.h>

enum {
	HEAD_BYTES = 4,                /* of a key, in its slot */
	ENTRY_HEAD = sizeof(uint16_t), /* the value's length, before the key */
	SLOT_BYTES = sizeof(uint64_t),
	LANES = 4, /* of a checksum */
};

static uint64_t checksum_step(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0xbf58476d1ce4e5b9;
	return sum ^ sum >> 32;
}

/* Four words at a time, none of which waits for another; what it is to find are torn writes, not forgeries. */
uint64_t checksum(const void *bytes, size_t len, uint64_t seed)
{
	const unsigned char *from = bytes;
	uint64_t word[LANES], sum[LANES] = {seed ^ len * 0x9e3779b97f4a7c15, 1, 2, 3};
	for (; len > 0; len -= len < sizeof word ? len : sizeof word, from += sizeof word) {
		memset(word, 0, sizeof word);
		memcpy(word, from, len < sizeof word ? len : sizeof word);
		for (unsigned i = 0; i < LANES; i++)
			sum[i] = checksum_step(sum[i], word[i]);
	}
	return checksum_step(checksum_step(checksum_step(sum[0], sum[1]), sum[2]), sum[3]);
}

/* ---- entries ---------------------------------------------------------------- */

/* A slot, taken apart.  The key lies within the page, whatever the slot says. */
struct slot {
	uint32_t head;
	unsigned at, len; /* of the key */
};

static uint64_t slot_word(struct slot s)
{
	return (uint64_t)s.head << 32 | (uint64_t)s.at << 16 | s.len;
}

static struct slot slot_load(const struct page *p, unsigned i)
{
	uint64_t w = mpool_load64(&p->slot[i < SLOTS_MAX ? i : 0]);
	struct slot s = {(uint32_t)(w >> 32), w >> 16 & 0xffff, w & 0xffff};
	if (s.at < PAGE_HEAD || s.len > KEY_MAX || s.at + s.len > PAGE_SIZE)
		s.at = PAGE_HEAD, s.len = 0;
	return s;
}

static const unsigned char *page_at(const struct page *p, unsigned at)
{
	return (const unsigned char *)p + at;
}

/* The key begins at an even place, and the value's length is before it. */
static unsigned value_len(const struct page *p, struct slot s)
{
	unsigned len = mpool_load16(page_at(p, (s.at & ~1u) - ENTRY_HEAD)), most = PAGE_SIZE - s.at - s.len;
	return len < most ? len : most;
}

static unsigned even(unsigned n)
{
	return (n + 1) & ~1u;
}

/* What it takes in the heap. */
static unsigned entry_size(unsigned len)
{
	return even(ENTRY_HEAD + len);
}

/* Big-endian, so that numbers compare as keys do; 0 where the key has ended. */
static uint32_t head_of(struct bytes key, unsigned prefix)
{
	unsigned char b[HEAD_BYTES] = {0};
	if (key.len > prefix)
		memcpy(b, (const unsigned char *)key.at + prefix,
		       key.len - prefix < HEAD_BYTES ? key.len - prefix : HEAD_BYTES);
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

int bytes_compare(struct bytes a, struct bytes b)
{
	unsigned least = a.len < b.len ? a.len : b.len;
	int order = least > 0 ? memcmp(a.at, b.at, least) : 0;
	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* ---- search ------------------------------------------------------------------- */

/* Heads are the same, so are the prefixes: of two keys of which one ends within the head, the shorter is less. */
static int compare_rest(const struct page *p, struct slot s, struct bytes key, unsigned done)
{
	unsigned char copy[KEY_MAX];
	if (s.len <= done || key.len <= done)
		return (s.len > key.len) - (s.len < key.len);
	mpool_load_bytes(copy, page_at(p, s.at + done), s.len - done);
	return bytes_compare((struct bytes){copy, s.len - done},
	                     (struct bytes){(const unsigned char *)key.at + done, key.len - done});
}

static uint32_t head_at(const struct page *p, unsigned i)
{
	return (uint32_t)(mpool_load64(&p->slot[i]) >> 32);
}

/* The first slot from low on whose head is not less than that; without a branch that may be foretold wrongly. */
static unsigned find_head(const struct page *p, unsigned low, unsigned count, uint64_t head)
{
	unsigned n = count - low, half;
	for (; n > 1; n -= half) {
		half = n / 2;
		low += half & -(unsigned)(head_at(p, low + half - 1) < head);
	}
	return low + (n == 1 && head_at(p, low) < head);
}

unsigned page_find(const struct page *p, struct bytes key, bool *found)
{
	unsigned prefix = mpool_load16(&p->prefix), count = page_count(p);
	uint64_t head = head_of(key, prefix);
	unsigned low = find_head(p, 0, count, head), high = low;
	/* Those that have the same: one at most, as a rule. */
	if (low < count && head_at(p, low) == head)
		high = low + 1 < count && head_at(p, low + 1) == head ? find_head(p, low, count, head + 1) : low + 1;
	*found = false;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		int order = compare_rest(p, slot_load(p, middle), key, prefix + HEAD_BYTES);
		if (order < 0) {
			low = middle + 1;
		} else {
			high = middle;
			*found |= order == 0;
		}
	}
	return low;
}

unsigned page_find_child(const struct page *p, struct bytes key, bool below)
{
	bool found;
	unsigned i = page_find(p, key, &found);
	if (found && !below)
		return i;
	return i > 0 ? i - 1 : 0; /* 0: of a page that is changing */
}

unsigned page_value(const struct page *p, unsigned i, void *to, unsigned room)
{
	struct slot s = slot_load(p, i);
	unsigned len = value_len(p, s);
	mpool_load_bytes(to, page_at(p, s.at + s.len), len < room ? len : room);
	return len;
}

pgno_t page_child(const struct page *p, unsigned i)
{
	pgno_t child = 0;
	(void)page_value(p, i, &child, sizeof child);
	return child;
}

/* ---- what is there ------------------------------------------------------------- */

struct bytes page_key(const struct page *p, unsigned i)
{
	struct slot s = slot_load(p, i);
	return (struct bytes){page_at(p, s.at), s.len};
}

static struct bytes value_of(const struct page *p, unsigned i)
{
	struct slot s = slot_load(p, i);
	return (struct bytes){page_at(p, s.at + s.len), value_len(p, s)};
}

struct bytes page_lower(const struct page *p)
{
	return (struct bytes){page_at(p, p->lower), p->lower_len};
}

struct bytes page_upper(const struct page *p)
{
	return (struct bytes){p->upper ? page_at(p, p->upper) : NULL, p->upper_len};
}

static unsigned slots_end(const struct page *p)
{
	return PAGE_HEAD + p->count * SLOT_BYTES;
}

static unsigned page_free(const struct page *p)
{
	return p->heap - slots_end(p) + p->dead;
}

unsigned page_used(const struct page *p)
{
	return PAGE_SIZE - PAGE_HEAD - page_free(p);
}

bool page_has_room(const struct page *p, unsigned len)
{
	return page_free(p) >= entry_size(len) + SLOT_BYTES;
}

bool page_has_room_instead(const struct page *p, unsigned i, unsigned len)
{
	return page_free(p) + entry_size(page_key(p, i).len + value_of(p, i).len) >= entry_size(len);
}

static bool fence_is_right(const struct page *p, unsigned at, unsigned len)
{
	return len <= KEY_MAX && at >= p->heap && at + len <= PAGE_SIZE;
}

static const char *head_wrong(const struct page *p)
{
	if (p->count > SLOTS_MAX || p->heap > PAGE_SIZE || p->heap < slots_end(p) || p->dead > PAGE_SIZE - p->heap)
		return "sizes that cannot be";
	if (p->lower_len > 0 && !fence_is_right(p, p->lower, p->lower_len))
		return "a lower fence outside of the heap";
	if (p->upper > 0 && !fence_is_right(p, p->upper, p->upper_len))
		return "an upper fence outside of the heap";
	return NULL;
}

const char *page_wrong(const struct page *p)
{
	const char *wrong = head_wrong(p);
	unsigned heap = p->heap, bytes = p->dead + even(p->lower_len) + even(p->upper_len);
	for (unsigned i = 0; i < p->count && wrong == NULL; i++) {
		struct slot s = slot_load(p, i);
		struct bytes key = page_key(p, i);
		if (s.at < heap + ENTRY_HEAD || slot_word(s) != p->slot[i])
			wrong = "an entry outside of the heap";
		else if (s.head != head_of(key, p->prefix))
			wrong = "a slot whose head is not its key's";
		else if (bytes_compare(key, page_lower(p)) < 0 || (p->upper && bytes_compare(key, page_upper(p)) >= 0))
			wrong = "a key outside of the fences";
		else if (i > 0 && bytes_compare(page_key(p, i - 1), key) >= 0)
			wrong = "keys out of order";
		bytes += entry_size(s.len + value_len(p, s));
	}
	if (wrong == NULL && heap + bytes != PAGE_SIZE)
		wrong = "a heap of another size than its entries";
	return wrong;
}

/* ---- to change it ---------------------------------------------------------------- */

static void *page_place(struct page *p, unsigned at)
{
	return (unsigned char *)p + at;
}

/* From a private page with the same fences, in which nothing is dead. */
static void page_compact(struct page *p)
{
	union buffer b;
	page_init(&b, p->level, page_lower(p), page_upper(p));
	page_append(&b, p, 0, p->count);
	page_become(p, &b.page);
}

void page_insert(struct page *p, unsigned i, struct bytes key, struct bytes value)
{
	unsigned size = entry_size(key.len + value.len);
	if (p->heap - slots_end(p) < size + SLOT_BYTES)
		page_compact(p);
	unsigned at = p->heap - size, count = p->count;
	struct slot s = {head_of(key, p->prefix), at + ENTRY_HEAD, key.len};
	mpool_store16(&p->heap, (uint16_t)at);
	mpool_store16(page_place(p, at), (uint16_t)value.len);
	mpool_store_bytes(page_place(p, s.at), key.at, key.len);
	mpool_store_bytes(page_place(p, s.at + s.len), value.at, value.len);
	for (unsigned k = count; k > i; k--)
		mpool_store64(&p->slot[k], p->slot[k - 1]);
	mpool_store64(&p->slot[i], slot_word(s));
	mpool_store16(&p->count, (uint16_t)(count + 1));
}

void page_remove(struct page *p, unsigned i)
{
	struct slot s = slot_load(p, i);
	mpool_store16(&p->dead, (uint16_t)(p->dead + entry_size(s.len + value_len(p, s))));
	for (unsigned k = i + 1; k < p->count; k++)
		mpool_store64(&p->slot[k - 1], p->slot[k]);
	mpool_store16(&p->count, (uint16_t)(p->count - 1));
}

void page_cut(struct page *p, unsigned n, struct bytes upper)
{
	union buffer b;
	page_init(&b, p->level, page_lower(p), upper);
	page_append(&b, p, 0, n);
	page_become(p, &b.page);
}

void page_become(struct page *p, const struct page *from)
{
	mpool_store_bytes(page_place(p, PAGE_BODY), page_at(from, PAGE_BODY), PAGE_SIZE - PAGE_BODY);
}

/* ---- private pages ------------------------------------------------------------------ */

static uint16_t add_fence(struct page *p, struct bytes fence)
{
	p->heap = (uint16_t)(p->heap - even(fence.len));
	if (fence.len > 0)
		memcpy(page_place(p, p->heap), fence.at, fence.len);
	return p->heap;
}

static unsigned common_prefix(struct bytes a, struct bytes b)
{
	unsigned n = 0;
	while (n < a.len && n < b.len && ((const unsigned char *)a.at)[n] == ((const unsigned char *)b.at)[n])
		n++;
	return n;
}

void page_init(union buffer *b, unsigned level, struct bytes lower, struct bytes upper)
{
	memset(b, 0, sizeof *b);
	b->page.level = (uint16_t)level;
	b->page.heap = PAGE_SIZE;
	b->page.lower = add_fence(&b->page, lower);
	b->page.lower_len = (uint16_t)lower.len;
	if (upper.at != NULL) {
		b->page.upper = add_fence(&b->page, upper);
		b->page.upper_len = (uint16_t)upper.len;
		/* What two fences have in common, all keys between them have. */
		b->page.prefix = (uint16_t)common_prefix(lower, upper);
	}
}

void page_append(union buffer *b, const struct page *from, unsigned first, unsigned last)
{
	for (unsigned i = first; i < last; i++)
		page_insert(&b->page, b->page.count, page_key(from, i), value_of(from, i));
}

/* By bytes, so that both halves have room. */
unsigned page_middle(const struct page *p, bool at_end, struct bytes *separator)
{
	unsigned i = 0, left = 0, enough = at_end ? PAGE_SIZE : page_used(p) / 2;
	do {
		left += entry_size(page_key(p, i).len + value_of(p, i).len) + SLOT_BYTES;
		i++;
	} while (i + 1 < p->count && left < enough);
	*separator = page_key(p, i);
	/* Between leaves, as much of the key as tells it from the one before. */
	if (p->level == LEVEL_LEAF)
		separator->len = common_prefix(page_key(p, i - 1), *separator) + 1;
	return i;
}

/* ---- images --------------------------------------------------------------------------- */

struct image_head {
	uint16_t low, heap; /* the slots end there, the heap begins there */
};

unsigned page_image(const struct page *p, void *to)
{
	struct image_head h = {(uint16_t)slots_end(p), p->heap};
	unsigned char *at = to;
	memcpy(at, &h, sizeof h);
	memcpy(at + sizeof h, page_at(p, PAGE_BODY), h.low - PAGE_BODY);
	memcpy(at + sizeof h + h.low - PAGE_BODY, page_at(p, h.heap), PAGE_SIZE - h.heap);
	return (unsigned)sizeof h + h.low - PAGE_BODY + PAGE_SIZE - h.heap;
}

bool page_from_image(union buffer *b, struct bytes image)
{
	struct image_head h;
	const unsigned char *at = image.at;
	if (image.len < sizeof h)
		return false;
	memcpy(&h, at, sizeof h);
	if (h.low < PAGE_HEAD || h.low > h.heap || h.heap > PAGE_SIZE ||
	    image.len != sizeof h + h.low - PAGE_BODY + PAGE_SIZE - h.heap)
		return false;
	memset(b, 0, sizeof *b);
	memcpy(b->bytes + PAGE_BODY, at + sizeof h, h.low - PAGE_BODY);
	memcpy(b->bytes + h.heap, at + sizeof h + h.low - PAGE_BODY, PAGE_SIZE - h.heap);
	return true;
}
