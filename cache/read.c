/*
 * A read is answered from memory when segments hold all of it, from the file
 * when that does, else from a copy made piece by piece.
 *
 * Who waits holds no memory, so readers never wait for each other in a circle,
 * however little memory there is: a copy goes into a buffer of the reader's
 * own, and a segment is let go before the next piece is waited for.
 */
#include "cache/read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "cache/disk.h"

#define DEMAND_PIECE (1u << 20)
#define WHOLE_AHEAD (16u * DEMAND_PIECE)

struct range {
	uint64_t from;
	uint64_t to;
};

enum look {
	LOOK_READY,	/* the span is set */
	LOOK_COPY,	/* all is here, but in several places */
	LOOK_BUSY,	/* files are being opened or removed */
	LOOK_UNLOADED,	/* the states of the blocks at *at are not known */
	LOOK_UNCHECKED, /* the block at *at is on disk, not checked yet */
	LOOK_MISSING,	/* the byte at *at has to be fetched */
	LOOK_COMPLETE,	/* all blocks are known: to be summed */
};

/* The segment whose readable part has the byte at offset. */
static struct segment *readable_at(struct gen *g, uint64_t offset)
{
	struct segment *s = segment_at(g, offset);

	if (!s || offset - s->offset >= s->n_ready)
		return NULL;
	return s;
}

static bool from_memory(struct gen *g, uint64_t from, uint64_t to,
			struct cache_span *span)
{
	int n = 0;

	while (from < to) {
		struct segment *s = readable_at(g, from);
		uint64_t end;

		if (!s || n == CACHE_SPAN_IOVS)
			return false;
		end = min_u64(to, s->offset + s->n_ready);
		span->iov[n].iov_base = (char *)s->buf + (from - s->offset);
		span->iov[n].iov_len = (size_t)(end - from);
		span->held[n++] = s;
		from = end;
	}
	for (int i = 0; i < n; i++)
		((struct segment *)span->held[i])->refs++;
	span->n_iov = n;
	return true;
}

static enum block_state disk_state(const struct gen *g, uint64_t offset)
{
	if (!g->small)
		return gen_block(g, offset / CACHE_BLOCK);
	if (!g->file)
		return BLOCK_MISSING;
	return g->verified ? BLOCK_GOOD : BLOCK_UNCHECKED;
}

static bool from_disk(struct gen *g, uint64_t from, uint64_t to,
		      struct cache_span *span)
{
	if (!g->file)
		return false;
	for (uint64_t at = from; at < to; at = block_up(at + 1)) {
		if (disk_state(g, at) != BLOCK_GOOD)
			return false;
	}
	span->held[0] = file_ref(g->file);
	span->fd = file_fd(g->file);
	span->fd_offset = (off_t)from;
	return true;
}

static const enum look looks[] = {
	[BLOCK_UNLOADED] = LOOK_UNLOADED,
	[BLOCK_MISSING] = LOOK_MISSING,
	[BLOCK_UNCHECKED] = LOOK_UNCHECKED,
	[BLOCK_GOOD] = LOOK_COPY,
};

/* The first thing in the way of having from..to; LOOK_COPY: none. */
static enum look first_obstacle(struct gen *g, uint64_t from, uint64_t to,
				uint64_t *at)
{
	for (*at = from; *at < to;) {
		struct segment *s = readable_at(g, *at);
		enum block_state state;

		if (s) {
			*at = s->offset + s->n_ready;
			continue;
		}
		state = disk_state(g, *at);
		if (state != BLOCK_GOOD)
			return looks[state];
		*at = block_up(*at + 1);
	}
	return LOOK_COPY;
}

/* Of a generation to be checked as a whole: what is missing for that. */
static enum look whole_obstacle(const struct gen *g, uint64_t *at)
{
	for (*at = 0; *at < g->ref.size;) {
		uint64_t block = *at / CACHE_BLOCK;

		if (g->slots[block / CHUNK_BLOCKS].full) {
			*at += CHUNK_BYTES;
			continue;
		}
		if (gen_block(g, block) == BLOCK_UNLOADED)
			return LOOK_UNLOADED;
		if (!gen_seen(g, block, NULL))
			return LOOK_MISSING;
		*at += CACHE_BLOCK;
	}
	return LOOK_COMPLETE;
}

static enum look obstacle(struct gen *g, uint64_t from, uint64_t to,
			  uint64_t *at)
{
	if (g->busy)
		return LOOK_BUSY;
	if (g->whole && !g->verified && !g->small)
		return whole_obstacle(g, at);
	return first_obstacle(g, from, to, at);
}

static enum look look(struct cache_handle *h, uint64_t from, uint64_t to,
		      struct cache_span *span, uint64_t *at)
{
	struct gen *g = h->gen;

	if (!g->busy && (!g->whole || g->verified) &&
	    (from_memory(g, from, to, span) || from_disk(g, from, to, span))) {
		g->served |= !g->verified;
		return LOOK_READY;
	}
	return obstacle(g, from, to, at);
}

static void init_span(struct cache_span *span, struct cache_handle *h,
		      size_t len)
{
	memset(span, 0, sizeof(*span));
	span->cache = h->cache;
	span->len = len;
	span->fd = -1;
}

static void touch(struct cache *c, const struct cache_span *span)
	REQUIRES(c->lock)
{
	for (int i = 0; i < span->n_iov; i++)
		segment_used(c, span->held[i]);
}

static void check_from(struct cache *c, struct gen *g, struct range r)
	REQUIRES(c->lock)
{
	uint64_t first = r.from / CACHE_BLOCK;

	land_check(c, g, first, block_up(r.to) / CACHE_BLOCK - first);
}

/*
 * Blocks are written past the page cache, so a warm scan's first pass comes
 * from the disk.  The kernel is told of a piece while the one before it is
 * being given; not of holes, and not for who only looks at something.
 */
#define TELL_AFTER (512u << 10) /* so much in a row is a scan */
#define TELL_STEP (2u << 20)
#define TELL_AHEAD (4u << 20)

/* Notes a read from disk; true when the kernel is to hear of *ret. */
static bool wants_more(struct cache_handle *h, const struct cache_span *span,
		       struct range *ret)
{
	struct gen *g = h->gen;
	uint64_t from = (uint64_t)span->fd_offset;

	if (span->fd < 0 || g->small)
		return false;
	if (from + AHEAD_REORDER < h->disk_next ||
	    from > h->disk_next + AHEAD_REORDER)
		h->disk_from = h->disk_next = h->disk_told = from;
	if (from + span->len > h->disk_next)
		h->disk_next = from + span->len;
	if (h->disk_told < h->disk_next)
		h->disk_told = h->disk_next;
	ret->from = h->disk_told;
	ret->to = min_u64(h->disk_next + TELL_AHEAD, g->ref.size);
	if (h->disk_next - h->disk_from < TELL_AFTER ||
	    h->disk_told - h->disk_next > TELL_AHEAD - TELL_STEP ||
	    ret->from >= ret->to ||
	    disk_state(g, ret->from) < BLOCK_UNCHECKED ||
	    disk_state(g, ret->to - 1) < BLOCK_UNCHECKED)
		return false;
	h->disk_told = ret->to;
	return true;
}

/* The span holds the file; the lock is not held. */
static void tell_kernel(const struct cache_span *span, struct range r)
{
	posix_fadvise(span->fd, (off_t)r.from, (off_t)(r.to - r.from),
		      POSIX_FADV_WILLNEED);
}

int read_try(struct cache_handle *h, uint64_t from, uint64_t to,
	     struct cache_span *ret)
{
	struct cache *c = h->cache;
	enum look what = LOOK_BUSY;
	struct range more = {0, 0};
	bool tell = false;
	uint64_t at;
	int rc = 0;

	init_span(ret, h, (size_t)(to - from));
	mutex_lock(&c->lock);
	while (!h->poisoned) {
		what = look(h, from, to, ret, &at);
		if (what == LOOK_UNCHECKED)
			check_from(c, h->gen, (struct range){at, to});
		else if (what != LOOK_UNLOADED ||
			 gen_load(c, h->gen, at / CACHE_BLOCK) < 0)
			break;
	}
	if (h->poisoned)
		rc = -EIO;
	else if (what != LOOK_READY)
		rc = -EAGAIN;
	if (rc == 0) {
		touch(c, ret);
		tell = wants_more(h, ret, &more);
		flight_ahead(c, h, from, (size_t)(to - from));
	}
	mutex_unlock(&c->lock);
	if (tell)
		tell_kernel(ret, more);
	return rc;
}

static int poisoned(struct op *op, const struct cache_handle *h)
{
	return op_fail(op, -EIO,
		       "%s: bytes read before contradict the object's checksum",
		       h->gen->ref.name);
}

static int wait_busy(struct op *op, struct cache *c, struct gen *g)
	REQUIRES(c->lock)
{
	int rc = op_expired(op);

	if (rc < 0)
		return op_fail(op, rc, "waited for the cache's files");
	cond_wait(&g->changed, &c->lock, op_wake_ns(op));
	return 0;
}

/* Starts what is missing between at and to, and waits for its first byte. */
static int bring(struct op *op, struct cache *c, struct cache_handle *h,
		 struct range r) REQUIRES(c->lock)
{
	uint64_t pos = r.from, at = r.from, to = r.to;

	if (h->gen->whole && !h->gen->verified)
		to = min_u64(h->gen->ref.size, at + WHOLE_AHEAD);
	if (flight_start(c, h, &pos, to, DEMAND_PIECE, false) ==
		    BLOCK_UNLOADED &&
	    pos <= at)
		return 0; /* it was loaded a moment ago: look again */
	return flight_wait(op, c, h, at);
}

/* Gets one thing out of the way. */
static int clear_way(struct op *op, struct cache *c, struct cache_handle *h,
		     enum look what, struct range r) REQUIRES(c->lock)
{
	switch (what) {
	case LOOK_BUSY:
		return wait_busy(op, c, h->gen);
	case LOOK_UNLOADED:
		if (gen_load(c, h->gen, r.from / CACHE_BLOCK) < 0)
			return op_fail(op, -ENOMEM, "cache: block states");
		return 0;
	case LOOK_UNCHECKED:
		check_from(c, h->gen, r);
		return 0;
	case LOOK_MISSING:
		return bring(op, c, h, r);
	case LOOK_COMPLETE:
		land_complete(c, h->gen);
		return 0;
	case LOOK_READY:
	case LOOK_COPY:
		break;
	}
	return 0;
}

/* What a handle may not go on after. */
static int stop_reason(struct op *op, struct cache_handle *h,
		       unsigned n_condemned)
{
	if (h->poisoned)
		return poisoned(op, h);
	if (h->gen->n_condemned != n_condemned)
		return op_fail(op, -EIO,
			       "%s: generation %llu: its bytes contradict its "
			       "checksum wherever they come from",
			       h->gen->ref.name,
			       (unsigned long long)h->gen->ref.generation);
	return 0;
}

/* A buffer that goes with the span. */
static void own_memory(struct cache_span *span, void *buf)
{
	span->n_iov = 1;
	span->iov[0].iov_base = buf;
	span->iov[0].iov_len = span->len;
}

/* Reads a span's file; what can't be read is no longer counted as there. */
static int read_file(const struct cache_span *span, char *buf)
{
	struct cache *c = span->cache;
	uint64_t from = (uint64_t)span->fd_offset;
	int rc = file_read(span->held[0], from, buf, span->len);

	if (rc == 0)
		return 0;
	/* First, so that what is fetched now is not written there at once. */
	disk_failed(c, strerror(-rc));
	land_unreadable(c, span->held[0], from, from + span->len);
	return rc;
}

/*
 * Copies the first piece of the range, which is here, and moves on; when it
 * can't be read after all, the next look finds it missing.
 */
static int copy_piece(struct op *op, struct cache *c, struct cache_handle *h,
		      struct range *r, char *buf) REQUIRES(c->lock)
{
	struct segment *s = readable_at(h->gen, r->from);
	struct cache_span one;
	uint64_t end = s ? s->offset + s->n_ready : block_up(r->from + 1);
	int rc = 0;

	end = min_u64(end, r->to);
	init_span(&one, h, (size_t)(end - r->from));
	if (!from_memory(h->gen, r->from, end, &one) &&
	    !from_disk(h->gen, r->from, end, &one))
		return op_fail(op, -EIO, "cache: a block came and went");
	h->gen->served |= !h->gen->verified;
	mutex_unlock(&c->lock);
	if (one.fd < 0)
		memcpy(buf, one.iov[0].iov_base, one.len);
	else
		rc = read_file(&one, buf);
	read_done(&one);
	mutex_lock(&c->lock);
	if (rc == 0)
		r->from = end;
	return 0;
}

/*
 * Fills a buffer of the reader's own, piece by piece, and waits for the next
 * one with nothing in hand.
 */
static int read_copy(struct op *op, struct cache *c, struct cache_handle *h,
		     struct range r, struct cache_span *ret) REQUIRES(c->lock)
{
	const struct range all = r;
	unsigned n_condemned = h->gen->n_condemned;
	char *buf = malloc((size_t)(r.to - r.from));
	uint64_t at;
	int rc = buf ? 0 : op_fail(op, -ENOMEM, "cache: copy");

	while (rc == 0 && r.from < r.to) {
		enum look what = obstacle(h->gen, r.from, r.from + 1, &at);

		rc = stop_reason(op, h, n_condemned);
		if (rc == 0 && what == LOOK_COPY)
			rc = copy_piece(op, c, h, &r,
					buf + (r.from - all.from));
		else if (rc == 0)
			rc = clear_way(op, c, h, what,
				       (struct range){at, r.to});
	}
	if (rc < 0) {
		free(buf);
		return rc;
	}
	init_span(ret, h, (size_t)(all.to - all.from));
	own_memory(ret, buf);
	return 0;
}

/* How much of the read is not here yet, for the counters. */
static uint64_t missing_bytes(struct gen *g, uint64_t from, uint64_t to)
{
	uint64_t n = 0;

	for (uint64_t at = from; at < to;) {
		uint64_t end = min_u64(to, block_up(at + 1));
		enum block_state state = disk_state(g, at);

		if (!readable_at(g, at) && state != BLOCK_GOOD &&
		    state != BLOCK_UNCHECKED)
			n += end - at;
		at = end;
	}
	return n;
}

/*
 * So often the whole range is waited for; then piece by piece, because what
 * came first may have gone when the last comes (no disk, little memory).
 */
#define LOOKS_MAX 64

int read_wait(struct op *op, struct cache_handle *h, uint64_t from, uint64_t to,
	      struct cache_span *ret)
{
	struct cache *c = h->cache;
	unsigned n_condemned;
	uint64_t at, missing;
	enum look what = LOOK_BUSY;
	int rc = 0;

	init_span(ret, h, (size_t)(to - from));
	mutex_lock(&c->lock);
	n_condemned = h->gen->n_condemned;
	missing = missing_bytes(h->gen, from, to);
	for (unsigned n = 0; rc == 0; n++) {
		rc = stop_reason(op, h, n_condemned);
		if (rc < 0)
			break;
		what = look(h, from, to, ret, &at);
		if (what == LOOK_READY)
			break;
		if (what == LOOK_COPY ||
		    (n >= LOOKS_MAX && (!h->gen->whole || h->gen->verified))) {
			rc = read_copy(op, c, h, (struct range){from, to}, ret);
			break;
		}
		rc = clear_way(op, c, h, what, (struct range){at, to});
	}
	if (rc == 0) {
		metric_add(METRIC_CACHE_MISS_BYTES, missing);
		metric_add(METRIC_CACHE_HIT_BYTES, ret->len - missing);
		if (what == LOOK_READY)
			touch(c, ret);
		flight_ahead(c, h, from, ret->len);
	}
	mutex_unlock(&c->lock);
	return rc;
}

int read_load(struct cache_span *span)
{
	char *buf;
	int rc;

	if (span->fd < 0)
		return 0;
	buf = malloc(span->len);
	rc = buf ? read_file(span, buf) : -ENOMEM;
	if (rc < 0) {
		free(buf);
		return rc;
	}
	file_unref(span->held[0]);
	span->held[0] = NULL;
	span->fd = -1;
	own_memory(span, buf);
	return 0;
}

void read_done(struct cache_span *span)
{
	struct cache *c = span->cache;

	if (span->fd >= 0) {
		file_unref(span->held[0]);
	} else if (span->n_iov == 1 && !span->held[0]) {
		free(span->iov[0].iov_base);
	} else if (span->n_iov > 0) {
		mutex_lock(&c->lock);
		for (int i = 0; i < span->n_iov; i++)
			segment_unref(c, span->held[i]);
		mutex_unlock(&c->lock);
	}
	span->n_iov = 0;
	span->fd = -1;
}
