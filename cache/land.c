/*
 * What a fetch brought, step by step: held against the object's checksum as
 * far as that can be done now, given to who waits, written to disk.
 *
 * A generation whose bytes proved wrong is forgotten as a whole: its files, its
 * states, its segments, also those still flying.  Its handles are poisoned when
 * one of them has given bytes of it: the kernel keeps what one has read for all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/crc32c.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cache/core.h"
#include "cache/disk.h"
#include "cache/verify.h"

#define NO_ROOM "no space but what is kept for the catalogue"
#define RECORD_TRIES 2
#define KEEP_MIN (128u << 10) /* smaller ones are as quick from disk */

struct landing {
	struct cache *cache;
	struct segment *segment;
	size_t n; /* bytes that came and count */
	uint32_t crcs[FETCH_MAX / CACHE_BLOCK];
	bool wrong;	     /* they contradict the object's checksum */
	bool alone;	     /* only they: what was there is right */
	bool newly_verified; /* they completed it */
	unsigned blamed;     /* sites that may have brought wrong bytes */
};

static size_t n_blocks(const struct landing *l)
{
	return (l->n + CACHE_BLOCK - 1) / CACHE_BLOCK;
}

static void sum_blocks(struct landing *l)
{
	const char *p = l->segment->buf;

	for (size_t i = 0; i < n_blocks(l); i++) {
		size_t len = min_u64(CACHE_BLOCK, l->n - i * CACHE_BLOCK);

		l->crcs[i] = crc32c(0, p + i * CACHE_BLOCK, len);
	}
}

/* Returns true when the generation is wrong wherever it comes from. */
static bool note_wrong(struct gen *g, unsigned sites)
{
	g->n_wrong++;
	g->avoid |= sites & ~(1u << SITE_RECORD);
	if (sites & 1u << SITE_RECORD || sites == 0)
		g->n_record_wrong++;
	if (g->n_record_wrong < RECORD_TRIES &&
	    g->n_wrong < SITES_MAX + RECORD_TRIES)
		return false;
	/* The next reader starts anew. */
	g->n_condemned++;
	g->n_wrong = 0;
	g->n_record_wrong = 0;
	g->avoid = 0;
	return true;
}

/*
 * Forgets all of the generation and poisons its handles if bytes of it were
 * given.  Lets go of the lock while the files are removed.
 */
static void forget_all(struct cache *c, struct gen *g) REQUIRES(c->lock)
{
	struct cache_handle *h;
	struct file *file;

	while (g->busy)
		cond_wait(&g->changed, &c->lock, 0);
	file = g->file;
	gen_forget(g);
	while (g->segments)
		segment_unlist(c, g->segments);
	DL_FOREACH(g->handles, h)
	h->poisoned |= g->served;
	g->served = false;
	g->busy = true;
	mutex_unlock(&c->lock);
	file_unlink(c->dirfd, &g->key);
	file_unref(file);
	evict_gone(c->evict, &g->key);
	mutex_lock(&c->lock);
	g->busy = false;
	cond_wake_all(&g->changed);
}

/* Loads what is known on disk, as far as that may complete the object. */
static void load_rest(struct cache *c, struct gen *g) REQUIRES(c->lock)
{
	int64_t slot;

	while (!g->verified && (slot = gen_unloaded(g)) >= 0) {
		if (gen_load(c, g, (uint64_t)slot * CHUNK_BLOCKS) < 0)
			return;
	}
}

/* A block is known with other bytes than those that came now. */
static bool contradicts(const struct landing *l)
{
	const struct segment *s = l->segment;
	uint64_t first = s->offset / CACHE_BLOCK;
	uint32_t crc;

	for (size_t i = 0; i < n_blocks(l); i++) {
		if (gen_seen(s->gen, first + i, &crc) && crc != l->crcs[i])
			return true;
	}
	return false;
}

static void judge_blocks(struct cache *c, struct landing *l, unsigned sites)
	REQUIRES(c->lock)
{
	struct segment *s = l->segment;
	struct gen *g = s->gen;
	uint32_t sum;

	if (c->config.check_crc && contradicts(l)) {
		/* Which of the two is wrong is known of a verified one only. */
		l->wrong = true;
		l->alone = g->verified;
		l->blamed = g->verified ? sites : g->sites | sites;
		return;
	}
	g->sites |= sites;
	if (!gen_note_crcs(g, s->offset / CACHE_BLOCK, n_blocks(l), l->crcs))
		return;
	load_rest(c, g);
	if (!s->listed || g->verified || !(g->ref.has & HAS_CRC32C) ||
	    !c->config.check_crc || !gen_sum(g, &sum))
		return;
	l->wrong = sum != g->ref.crc32c;
	l->newly_verified = !l->wrong;
	l->blamed = g->sites;
	g->verified = !l->wrong;
}

static void judge_small(struct landing *l, bool fits, unsigned sites)
{
	struct gen *g = l->segment->gen;

	l->wrong = !fits;
	l->newly_verified = fits && !g->verified;
	l->blamed = sites;
	g->sites |= sites;
	g->verified |= fits;
}

/* Gives what came to who waits; from here on the segment may be reclaimed. */
static void publish(struct cache *c, struct landing *l, int rc)
	REQUIRES(c->lock)
{
	struct segment *s = l->segment;

	if (l->wrong || !s->listed) {
		rc = -EAGAIN;
		l->n = 0;
	}
	held(c)->flying_bytes -= s->room;
	s->rc = rc;
	s->state = SEGMENT_DONE;
	s->n_ready = l->n;
	if (l->n == 0) {
		segment_unlist(c, s);
	} else {
		s->len = l->n;
		s->in_lru = true;
		DL_APPEND2(held(c)->lru, s, q_prev, q_next);
	}
	cond_wake_all(&s->gen->changed);
}

/* Tells who has to know of wrong bytes.  The lock is not held. */
static void accuse(const struct cache *c, const struct gen *g, unsigned blamed)
{
	metric_add(METRIC_CRC_MISMATCH, 1);
	log_warn("%s: generation %llu: bytes contradict the record's checksum; "
		 "sites 0x%x served them; fetching again",
		 g->ref.name, (unsigned long long)g->ref.generation, blamed);
	if (c->source.wrong)
		c->source.wrong(c->source.arg, &g->ref, blamed);
}

/*
 * The generation's file, made when there is none (a small one's with its
 * content).  *ret stays NULL while the disk is left alone.
 */
static int get_file(struct landing *l, struct file **ret)
{
	struct cache *c = l->cache;
	struct segment *s = l->segment;
	struct gen *g = s->gen;
	struct file *file = NULL;
	int rc = 0;

	mutex_lock(&c->lock);
	while (g->busy)
		cond_wait(&g->changed, &c->lock, 0);
	if (g->file || !s->listed || disk_is_paused(c)) {
		if (g->file && s->listed && !disk_is_paused(c))
			*ret = file_ref(g->file);
		mutex_unlock(&c->lock);
		return 0;
	}
	g->busy = true;
	mutex_unlock(&c->lock);
	if (g->small)
		rc = file_create_small(c->dirfd, &g->key, s->buf, s->len,
				       &file);
	else
		rc = file_create(c->dirfd, &g->key, &g->ref, &file);
	mutex_lock(&c->lock);
	g->busy = false;
	g->file = file;
	if (file)
		*ret = file_ref(file);
	cond_wake_all(&g->changed);
	mutex_unlock(&c->lock);
	return rc;
}

static int store_once(struct landing *l)
{
	struct cache *c = l->cache;
	struct segment *s = l->segment;
	struct gen *g = s->gen;
	struct file *file = NULL;
	uint64_t bytes;
	int rc = get_file(l, &file);

	if (rc < 0 || !file)
		return rc;
	if (!g->small)
		rc = file_write(file, s->offset, s->buf, l->n, l->crcs);
	bytes = file_allocated(file);
	mutex_lock(&c->lock);
	if (g->file == file) {
		evict_used(c->evict, &g->key, bytes);
		evict_pin(c->evict, &g->key, g->handles != NULL);
	}
	if (rc == 0 && s->listed && g->file == file) {
		if (!g->small)
			gen_set_present(g, s->offset / CACHE_BLOCK,
					n_blocks(l));
		disk_works(c);
		if (!g->small && s->room < KEEP_MIN)
			segment_unlist(c, s);
	}
	mutex_unlock(&c->lock);
	file_unref(file);
	return rc;
}

/* Makes it known on disk that the object was verified, and who served it. */
static void store_facts(struct cache *c, struct gen *g)
{
	struct file_facts facts;
	struct file *file;

	mutex_lock(&c->lock);
	file = g->file ? file_ref(g->file) : NULL;
	facts.verified = g->verified;
	facts.sites = g->sites;
	mutex_unlock(&c->lock);
	if (file)
		file_set_facts(file, &g->ref, &facts);
	file_unref(file);
}

static void store(struct landing *l)
{
	struct cache *c = l->cache;
	uint64_t on_disk, lacking = 0;
	bool paused;
	int rc = 0;

	mutex_lock(&c->lock);
	paused = disk_is_paused(c);
	mutex_unlock(&c->lock);
	if (!paused) {
		lacking = disk_lacks(c, l->n);
		rc = lacking ? -ENOSPC : store_once(l);
	}
	if (rc == -ENOSPC) {
		on_disk = evict_bytes(c->evict, NULL);
		land_evict(c,
			   on_disk - min_u64(on_disk, lacking + 4 * FETCH_MAX));
		lacking = disk_lacks(c, l->n);
		rc = lacking ? -ENOSPC : store_once(l);
	}
	if (rc < 0) {
		metric_add(METRIC_CACHE_WRITE_FAILURES, n_blocks(l));
		disk_failed(c, lacking ? NO_ROOM : strerror(-rc));
	}
	if (evict_bytes(c->evict, NULL) > c->config.size_bytes)
		land_evict(c, c->config.size_bytes - c->config.size_bytes / 32);
}

static void count_n_ready(struct landing *l, int rc,
			  const struct read_part *part)
{
	size_t done = min_u64(part->n_done, l->segment->len);

	if (rc == 0 && done == l->segment->len)
		l->n = done;
	else if (l->segment->gen->small)
		l->n = 0;
	else
		l->n = done / CACHE_BLOCK * CACHE_BLOCK;
}

void land(struct cache *c, struct segment *s, int rc,
	  const struct read_part *part)
{
	struct landing l = {.cache = c, .segment = s};
	struct gen *g = s->gen;
	bool fits = true, facts_changed;
	unsigned sites;

	if (rc == 0 && part->n_done < s->len)
		rc = op_fail(&s->op, -EIO, "the source brought too little");
	count_n_ready(&l, rc, part);
	if (!g->small)
		sum_blocks(&l);
	else if (l.n > 0 && c->config.check_crc)
		fits = verify_content(&g->ref, s->buf, l.n);

	mutex_lock(&c->lock);
	sites = g->sites;
	if (s->owner && part->sites)
		atomic_store(&s->owner->last_site, (int)part->last_site);
	if (s->listed && l.n > 0) {
		if (g->small)
			judge_small(&l, fits, part->sites);
		else
			judge_blocks(c, &l, part->sites);
	}
	if (l.wrong && (note_wrong(g, l.blamed) || !l.alone))
		forget_all(c, g);
	if (l.newly_verified)
		g->served = false; /* what was given is right */
	publish(c, &l, rc);
	facts_changed = l.newly_verified || g->sites != sites;
	mutex_unlock(&c->lock);

	if (l.wrong)
		accuse(c, g, l.blamed);
	if (l.newly_verified)
		metric_add(METRIC_OBJECTS_VERIFIED, 1);
	if (l.n > 0)
		store(&l);
	if (facts_changed && !l.wrong && !g->small)
		store_facts(c, g);
}

void land_complete(struct cache *c, struct gen *g)
{
	unsigned blamed = g->sites;
	uint32_t sum = 0;
	bool fits;

	if (g->verified || !gen_sum(g, &sum))
		return;
	fits = sum == g->ref.crc32c;
	if (fits) {
		g->verified = true;
		g->served = false;
		cond_wake_all(&g->changed);
	} else {
		note_wrong(g, blamed);
		forget_all(c, g);
	}
	mutex_unlock(&c->lock);
	if (fits)
		metric_add(METRIC_OBJECTS_VERIFIED, 1);
	else
		accuse(c, g, blamed);
	store_facts(c, g);
	mutex_lock(&c->lock);
}

/* A small object's file fits the object, as a whole. */
static bool check_small(const struct cache *c, const struct gen *g,
			struct file *file)
{
	size_t size = (size_t)g->ref.size;
	char *buf = NULL;
	bool fits;

	if (!c->config.check_crc)
		return true;
	buf = malloc(size ? size : 1);
	fits = buf && file_read(file, 0, buf, size) == 0 &&
	       verify_content(&g->ref, buf, size);
	free(buf);
	return fits;
}

static void torn_small(struct cache *c, struct gen *g) REQUIRES(c->lock)
{
	metric_add(METRIC_CACHE_TORN_BLOCKS, 1);
	forget_all(c, g);
}

static bool check_block(const struct cache *c, const struct gen *g,
			struct file *file, uint64_t block, uint32_t crc)
{
	char buf[CACHE_BLOCK];
	uint64_t offset = block * CACHE_BLOCK;
	size_t len = min_u64(CACHE_BLOCK, g->ref.size - offset);

	return !c->config.check_crc ||
	       (file_read(file, offset, buf, len) == 0 &&
		crc32c(0, buf, len) == crc);
}

/* Sets what came of a check; the file it was made on is still the one. */
static void note_check(struct gen *g, uint64_t block, bool good)
{
	if (good) {
		gen_set_checked(g, block);
		return;
	}
	gen_clear_present(g, block);
	metric_add(METRIC_CACHE_TORN_BLOCKS, 1);
}

void land_check(struct cache *c, struct gen *g, uint64_t block, uint64_t n)
{
	struct file *file = g->file ? file_ref(g->file) : NULL;
	bool good;

	if (file && g->small) {
		mutex_unlock(&c->lock);
		good = check_small(c, g, file);
		mutex_lock(&c->lock);
		if (g->file == file && !good && !g->verified)
			torn_small(c, g);
		else if (g->file == file)
			g->verified = true;
	}
	for (uint64_t b = block; file && !g->small && b < block + n; b++) {
		uint32_t crc;

		if (g->file != file || gen_block(g, b) != BLOCK_UNCHECKED ||
		    !gen_seen(g, b, &crc))
			break;
		mutex_unlock(&c->lock);
		good = check_block(c, g, file, b, crc);
		if (!good)
			file_drop_block(file, b);
		mutex_lock(&c->lock);
		if (g->file == file && gen_block(g, b) == BLOCK_UNCHECKED)
			note_check(g, b, good);
	}
	file_unref(file);
}

/* A small object's file is read as a whole, or not at all. */
static void drop_small(struct cache *c, struct gen *g) REQUIRES(c->lock)
{
	struct file *file = g->file;

	g->busy = true;
	gen_lost_file(g);
	mutex_unlock(&c->lock);
	file_unlink(c->dirfd, &g->key);
	file_unref(file);
	evict_gone(c->evict, &g->key);
	mutex_lock(&c->lock);
	g->busy = false;
	cond_wake_all(&g->changed);
}

/* Whose file it is; NULL: nobody's any more. */
static struct gen *gen_of(struct cache *c, const struct file *file)
	REQUIRES(c->lock)
{
	struct gen *g, *next;

	HASH_ITER(hh, held(c)->gens, g, next)
	{
		if (g->file == file && !g->busy)
			return g;
	}
	return NULL;
}

void land_unreadable(struct cache *c, struct file *file, uint64_t from,
		     uint64_t to)
{
	uint64_t first = from / CACHE_BLOCK;
	uint64_t end = block_up(to) / CACHE_BLOCK;
	struct gen *g, *unused = NULL;

	metric_add(METRIC_CACHE_TORN_BLOCKS, end - first);
	for (uint64_t b = first; b < end; b++)
		file_drop_block(file, b);
	mutex_lock(&c->lock);
	g = gen_of(c, file);
	if (g) {
		gen_ref(c, g);
		if (g->small)
			drop_small(c, g);
		for (uint64_t b = first; b < end && !g->small; b++)
			gen_clear_present(g, b);
		unused = gen_unref(c, g);
	}
	mutex_unlock(&c->lock);
	gen_free(unused);
}

/* Removes one generation from disk; false when there is none, or not now. */
static bool evict_one(struct cache *c)
{
	struct file *file = NULL;
	struct gen_key key;
	struct gen *g, *unused = NULL;
	uint64_t bytes;

	if (!evict_victim(c->evict, &key, &bytes))
		return false;
	mutex_lock(&c->lock);
	HASH_FIND(hh, held(c)->gens, &key, sizeof(key), g);
	if (held(c)->evicting || (g && g->busy)) {
		mutex_unlock(&c->lock);
		return false;
	}
	held(c)->evicting = true;
	held(c)->evict_key = key;
	if (g) {
		gen_ref(c, g);
		g->busy = true;
		file = g->file;
		gen_lost_file(g);
	}
	mutex_unlock(&c->lock);

	file_unlink(c->dirfd, &key);
	file_unref(file);
	evict_gone(c->evict, &key);
	metric_add(METRIC_CACHE_EVICTED_BYTES, bytes);

	mutex_lock(&c->lock);
	held(c)->evicting = false;
	if (g) {
		g->busy = false;
		cond_wake_all(&g->changed);
		unused = gen_unref(c, g);
	}
	cond_wake_all(&c->room);
	mutex_unlock(&c->lock);
	gen_free(unused);
	return true;
}

void land_evict(struct cache *c, uint64_t target)
{
	while (evict_bytes(c->evict, NULL) > target && evict_one(c))
		;
}
