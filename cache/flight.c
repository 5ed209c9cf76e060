/*
 * A segment is one fetch and its buffer:
 *
 *   queued -> flying -> done
 *
 * It is listed with its generation from the start, so that a block has one
 * fetch however many want it.  Fetches run on the cache's pool under ops of
 * their own; who wants the bytes waits under his.  So a reader that is killed
 * hurts nobody, and a fetch nobody wants any more is cancelled.  A fetch that
 * failed is no longer listed: the next reader tries anew.
 *
 * Demand goes before read-ahead, which gets at most three quarters of the
 * fetchers and of the memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/pool.h"
#include "cache/core.h"

struct fetch_job {
	struct job job;
	struct cache *cache;
};

/* -EAGAIN: the segment was thrown away, which says nothing about the object. */
static bool is_private(int rc)
{
	return rc == -ETIMEDOUT || rc == -EINTR || rc == -EAGAIN;
}

struct segment *segment_at(struct gen *g, uint64_t offset)
{
	struct segment *s;

	DL_FOREACH(g->segments, s)
	{
		if (offset < s->offset)
			continue;
		if (offset - s->offset < s->len)
			break;
	}
	return s;
}

static void unqueue(struct cache *c, struct segment *s) REQUIRES(c->lock)
{
	struct segment **queue;

	queue = s->ahead ? &held(c)->ahead : &held(c)->demand;
	DL_DELETE2(*queue, s, q_prev, q_next);
}

void segment_unref(struct cache *c, struct segment *s)
{
	if (--s->refs == 0) {
		memory_put(&held(c)->memory, s->buf, s->room);
		free(s);
	} else if (s->refs > 1) {
		return;
	}
	/* Free, or free to be taken by who is short of memory. */
	if (held(c)->n_room_waiters > 0)
		cond_wake_all(&c->room);
}

void segment_used(struct cache *c, struct segment *s)
{
	if (!s->listed || s->gen->segments == s)
		return;
	DL_DELETE(s->gen->segments, s);
	DL_PREPEND(s->gen->segments, s);
	if (!s->in_lru)
		return;
	DL_DELETE2(held(c)->lru, s, q_prev, q_next);
	DL_APPEND2(held(c)->lru, s, q_prev, q_next);
}

void segment_unlist(struct cache *c, struct segment *s)
{
	if (!s->listed)
		return;
	s->listed = false;
	/* Out of the list it is out of flight_forget()'s and _stop()'s sight. */
	if (s->state != SEGMENT_DONE) {
		s->owner = NULL;
		op_cancel(&s->op);
	}
	DL_DELETE(s->gen->segments, s);
	if (s->in_lru)
		DL_DELETE2(held(c)->lru, s, q_prev, q_next);
	s->in_lru = false;
	segment_unref(c, s);
}

/* Drops the landed segment that nobody has used for the longest time. */
static bool reclaim_one(struct cache *c) REQUIRES(c->lock)
{
	struct segment *s;

	DL_FOREACH2(held(c)->lru, s, q_next)
	{
		if (s->refs == 1) {
			segment_unlist(c, s);
			return true;
		}
	}
	return false;
}

static void *get_buffer(struct cache *c, size_t size, bool ahead)
	REQUIRES(c->lock)
{
	struct memory *m = &held(c)->memory;
	void *buf;

	if (ahead && (held(c)->n_room_waiters > 0 ||
		      held(c)->flying_bytes + memory_room(size) >
			      m->limit - m->limit / 4))
		return NULL;
	while (!(buf = memory_get(m, size))) {
		if (!reclaim_one(c))
			return NULL;
	}
	return buf;
}

/* Does as much as this thread may now: demand first. */
static struct segment *take_queued(struct cache *c) REQUIRES(c->lock)
{
	unsigned limit = c->config.n_fetchers - c->config.n_fetchers / 4;
	struct segment *s = held(c)->demand;

	if (!s && held(c)->ahead && held(c)->n_ahead < limit)
		s = held(c)->ahead;
	if (!s)
		return NULL;
	unqueue(c, s);
	if (s->ahead)
		held(c)->n_ahead++;
	s->state = SEGMENT_FLYING;
	return s;
}

struct arrival {
	struct cache *cache;
	struct segment *segment;
};

/*
 * Blocks that came are for their readers before the rest has come.  The last
 * one waits for land(): so nobody has read all of an object before its
 * checksum was compared.
 */
static void progress(void *arg, size_t n_done)
{
	struct arrival *a = arg;
	struct segment *s = a->segment;
	size_t whole_blocks = n_done / CACHE_BLOCK * CACHE_BLOCK;

	mutex_lock(&a->cache->lock);
	if (whole_blocks > s->n_ready && whole_blocks < s->len && s->listed &&
	    !s->gen->whole && !s->gen->verified) {
		s->n_ready = whole_blocks;
		if (s->waiters > 0)
			cond_wake_all(&s->gen->changed);
	}
	mutex_unlock(&a->cache->lock);
}

/*
 * The record is tried twice before its bytes count as wrong: it may have been
 * the way here that changed them.
 */
static unsigned sites_to_avoid(const struct gen *g)
{
	return g->avoid & ~(1u << SITE_RECORD);
}

static void fly(struct cache *c, struct segment *s)
{
	struct arrival arrival = {.cache = c, .segment = s};
	struct read_part part = {.offset = s->offset,
				 .len = s->len,
				 .buf = s->buf,
				 .progress = progress,
				 .arg = &arrival};
	int rc = op_expired(&s->op);

	assert_no_lock_held();
	mutex_lock(&c->lock);
	part.avoid = sites_to_avoid(s->gen);
	mutex_unlock(&c->lock);
	if (rc == 0)
		rc = c->source.fetch(&s->op, c->source.arg, &s->gen->ref,
				     &part);
	else
		op_fail(&s->op, rc, "nobody waited for it any more");
	metric_add(METRIC_CACHE_FETCH_BYTES, part.n_done);
	land(c, s, rc, &part);
}

static void finish(struct cache *c, struct segment *s) REQUIRES(c->lock)
{
	if (s->ahead)
		held(c)->n_ahead--;
	held(c)->n_flights--;
	s->owner = NULL;
}

static void run_job(struct job *job)
{
	struct fetch_job *fetch = (struct fetch_job *)job;
	struct cache *c = fetch->cache;
	struct segment *s;

	free(fetch);
	mutex_lock(&c->lock);
	while ((s = take_queued(c))) {
		struct gen *g = s->gen;
		struct gen *unused;

		mutex_unlock(&c->lock);
		fly(c, s);
		mutex_lock(&c->lock);
		finish(c, s);
		segment_unref(c, s);
		unused = gen_unref(c, g);
		mutex_unlock(&c->lock);
		gen_free(unused);
		mutex_lock(&c->lock);
	}
	mutex_unlock(&c->lock);
}

static bool add_job(struct cache *c)
{
	struct fetch_job *fetch = malloc(sizeof(*fetch));

	if (!fetch)
		return false;
	fetch->cache = c;
	fetch->job.run = run_job;
	pool_run(c->pool, &fetch->job);
	return true;
}

static struct segment *new_segment(struct cache *c, struct cache_handle *h,
				   uint64_t offset, size_t len, bool ahead)
	REQUIRES(c->lock)
{
	struct segment *s;
	void *buf;

	if (held(c)->closing)
		return NULL;
	buf = get_buffer(c, len, ahead);
	if (!buf)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s || !add_job(c)) {
		free(s);
		memory_put(&held(c)->memory, buf, len);
		return NULL;
	}
	s->gen = h->gen;
	s->offset = offset;
	s->len = len;
	s->buf = buf;
	s->room = memory_room(len);
	s->refs = 2; /* the list's and the worker's */
	s->ahead = ahead;
	s->owner = h;
	op_init(&s->op, c->config.fetch_timeout_ns);
	return s;
}

static void enqueue(struct cache *c, struct segment *s) REQUIRES(c->lock)
{
	s->gen->refs++;
	s->listed = true;
	DL_PREPEND(s->gen->segments, s);
	held(c)->flying_bytes += s->room;
	held(c)->n_flights++;
	if (s->ahead)
		DL_APPEND2(held(c)->ahead, s, q_prev, q_next);
	else
		DL_APPEND2(held(c)->demand, s, q_prev, q_next);
}

/* Somebody waits for what was to be read ahead some time. */
static void promote(struct cache *c, struct segment *s) REQUIRES(c->lock)
{
	if (s->state != SEGMENT_QUEUED || !s->ahead)
		return;
	unqueue(c, s);
	s->ahead = false;
	DL_APPEND2(held(c)->demand, s, q_prev, q_next);
	/* Its job may have come and gone while read-ahead was at its limit. */
	add_job(c);
}

/* The block has to be fetched, as far as the blocks' states tell. */
static bool is_wanted(const struct gen *g, uint64_t block)
{
	if (g->small)
		return true;
	if (g->whole && !g->verified)
		return !gen_seen(g, block, NULL);
	return gen_block(g, block) == BLOCK_MISSING;
}

/* The end of the run of missing blocks that begins at from. */
static uint64_t run_end(struct gen *g, uint64_t from, uint64_t to, size_t piece)
{
	uint64_t end = from + CACHE_BLOCK;
	uint64_t cut = min_u64(to, (from / piece + 1) * piece);

	if (g->small)
		return g->ref.size;
	while (end < cut && end / CHUNK_BYTES == from / CHUNK_BYTES &&
	       is_wanted(g, end / CACHE_BLOCK) && !segment_at(g, end))
		end += CACHE_BLOCK;
	return min_u64(end, g->ref.size);
}

enum block_state flight_start(struct cache *c, struct cache_handle *h,
			      uint64_t *pos, uint64_t to, size_t piece,
			      bool ahead)
{
	struct gen *g = h->gen;
	struct segment *s;

	to = min_u64(block_up(to), g->ref.size);
	*pos -= *pos % CACHE_BLOCK;
	if (g->small)
		*pos = 0;
	while (*pos < to) {
		uint64_t block = *pos / CACHE_BLOCK;

		s = segment_at(g, *pos);
		if (s) {
			if (!ahead)
				promote(c, s);
			*pos = block_up(s->offset + s->len);
			continue;
		}
		if (!g->small && gen_block(g, block) == BLOCK_UNLOADED)
			return BLOCK_UNLOADED;
		if (!is_wanted(g, block)) {
			*pos += CACHE_BLOCK;
			continue;
		}
		s = new_segment(c, h, *pos,
				(size_t)(run_end(g, *pos, to, piece) - *pos),
				ahead);
		if (!s)
			return BLOCK_MISSING;
		*pos = s->offset + s->len;
		enqueue(c, s);
	}
	return BLOCK_GOOD;
}

static int wait_for_room(struct op *op, struct cache *c) REQUIRES(c->lock)
{
	int rc = op_expired(op);

	if (held(c)->closing)
		return op_fail(op, -ESHUTDOWN, "the cache is closing");
	if (rc < 0)
		return op_fail(op, rc, "waited for memory to read into");
	held(c)->n_room_waiters++;
	cond_wait(&c->room, &c->lock, op_wake_ns(op));
	held(c)->n_room_waiters--;
	return 0;
}

/* Nobody waits for the fetch, and no open handle caused it. */
static void cancel_unwanted(struct segment *s)
{
	if (s->state != SEGMENT_DONE && s->waiters == 0 && !s->owner)
		op_cancel(&s->op);
}

int flight_wait(struct op *op, struct cache *c, struct cache_handle *h,
		uint64_t offset)
{
	struct segment *s = segment_at(h->gen, h->gen->small ? 0 : offset);
	size_t wanted;
	int rc = 0;

	if (!s)
		return wait_for_room(op, c);
	wanted = offset - s->offset;
	s->refs++;
	s->waiters++;
	while (s->state != SEGMENT_DONE && s->n_ready <= wanted && rc == 0) {
		rc = op_expired(op);
		if (rc == 0)
			cond_wait(&s->gen->changed, &c->lock, op_wake_ns(op));
	}
	s->waiters--;
	if (rc < 0) {
		op_fail(op, rc, "waited for the fetch of op %llu",
			(unsigned long long)s->op.id);
		/* What the killed reader began is for nobody. */
		if (s->owner == h && !s->ahead)
			s->owner = NULL;
		cancel_unwanted(s);
	} else if (s->state == SEGMENT_DONE && s->n_ready <= wanted &&
		   !is_private(s->rc) && s->rc < 0) {
		rc = op_fail(op, s->rc, "%s",
			     s->op.rc ? s->op.why : "fetch failed");
	}
	segment_unref(c, s);
	return rc;
}

void flight_ahead(struct cache *c, struct cache_handle *h, uint64_t offset,
		  size_t size)
{
	struct ahead_want want;
	uint64_t pos;

	ahead_note(&h->ahead, offset, size, h->gen->ref.size,
		   c->config.read_ahead_bytes, &want);
	if (want.from >= want.to || h->gen->small || h->gen->busy)
		return;
	pos = want.from;
	while (flight_start(c, h, &pos, want.to, want.piece, true) ==
	       BLOCK_UNLOADED) {
		if (gen_load(c, h->gen, pos / CACHE_BLOCK) < 0)
			return;
	}
	/* Another thread may have read on meanwhile, or begun another run. */
	if (want.run->asked >= want.from && want.run->asked < pos &&
	    pos <= want.to)
		want.run->asked = pos;
}

void flight_forget(struct cache *c, struct cache_handle *h)
{
	struct segment *s;

	(void)c;
	DL_FOREACH(h->gen->segments, s)
	{
		if (s->owner != h)
			continue;
		s->owner = NULL;
		cancel_unwanted(s);
	}
}

void flight_stop(struct cache *c)
{
	struct segment *s;
	struct gen *g, *next;

	held(c)->closing = true;
	HASH_ITER(hh, held(c)->gens, g, next)
	{
		DL_FOREACH(g->segments, s)
		{
			if (s->state != SEGMENT_DONE)
				op_cancel(&s->op);
		}
	}
	cond_wake_all(&c->room);
}
