#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cache/core.h"
#include "cache/verify.h"

#define IDLE_MAX 256	/* generations nobody has open */
#define CHUNKS_MAX 1024 /* of one generation: 64 GiB of it */

static uint64_t n_blocks_of(const struct gen *g)
{
	return (g->ref.size + CACHE_BLOCK - 1) / CACHE_BLOCK;
}

static unsigned blocks_in_slot(const struct gen *g, uint64_t slot)
{
	return (unsigned)min_u64(CHUNK_BLOCKS,
				 n_blocks_of(g) - slot * CHUNK_BLOCKS);
}

static uint64_t bytes_in_slot(const struct gen *g, uint64_t slot)
{
	return min_u64(CHUNK_BYTES, g->ref.size - slot * CHUNK_BYTES);
}

static bool get_bit(const uint64_t *bits, uint64_t i)
{
	return bits[i / 64] >> (i % 64) & 1;
}

static void set_bit(uint64_t *bits, uint64_t i)
{
	bits[i / 64] |= 1ULL << (i % 64);
}

static void clear_bit(uint64_t *bits, uint64_t i)
{
	bits[i / 64] &= ~(1ULL << (i % 64));
}

static struct chunk *chunk_of(const struct gen *g, uint64_t block)
{
	return g->slots[block / CHUNK_BLOCKS].chunk;
}

/* A generation never changes; a server that says so was not what it was. */
static bool same_object(const struct object_ref *a, const struct object_ref *b)
{
	return a->size == b->size &&
	       (!(a->has & b->has & HAS_CRC32C) || a->crc32c == b->crc32c);
}

static struct gen *new_gen(const struct cache *c, const struct gen_key *key,
			   const struct object_ref *ref)
{
	uint64_t limit = min_u64(c->config.verify_whole, FETCH_MAX);
	bool known = (ref->has & (HAS_CRC32C | HAS_MD5)) != 0;
	struct gen *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->key = *key;
	g->ref = *ref;
	g->ref.name = strdup(ref->name);
	g->small = known && ref->size <= limit;
	g->whole =
		g->small || (c->config.check_crc && (ref->has & HAS_CRC32C) &&
			     (c->config.integrity_full ||
			      ref->size <= c->config.verify_whole));
	g->n_slots = (n_blocks_of(g) + CHUNK_BLOCKS - 1) / CHUNK_BLOCKS;
	g->slots = calloc(g->n_slots ? g->n_slots : 1, sizeof(*g->slots));
	cond_init(&g->changed);
	if (g->ref.name && g->slots)
		return g;
	gen_free(g);
	return NULL;
}

void gen_free(struct gen *g)
{
	if (!g)
		return;
	for (uint64_t i = 0; g->slots && i < g->n_slots; i++)
		free(g->slots[i].chunk);
	free(g->slots);
	file_unref(g->file);
	cond_done(&g->changed);
	free((char *)(uintptr_t)g->ref.name);
	free(g);
}

/* Takes it out of the table, its landed segments with it. */
static void unlist_gen(struct cache *c, struct gen *g) REQUIRES(c->lock)
{
	HASH_DEL(held(c)->gens, g);
	DL_DELETE(held(c)->idle, g);
	held(c)->n_idle--;
	while (g->segments)
		segment_unlist(c, g->segments);
}

struct gen *gen_take_idle(struct cache *c, unsigned keep)
{
	struct gen *g = held(c)->idle;

	if (!g || held(c)->n_idle <= keep)
		return NULL;
	unlist_gen(c, g);
	return g;
}

void gen_ref(struct cache *c, struct gen *g)
{
	if (g->refs++ > 0)
		return;
	DL_DELETE(held(c)->idle, g);
	held(c)->n_idle--;
}

struct gen *gen_unref(struct cache *c, struct gen *g)
{
	if (--g->refs > 0)
		return NULL;
	DL_APPEND(held(c)->idle, g);
	held(c)->n_idle++;
	return gen_take_idle(c, IDLE_MAX);
}

static bool being_evicted(struct cache *c, const struct gen_key *key)
	REQUIRES(c->lock)
{
	return held(c)->evicting &&
	       memcmp(&held(c)->evict_key, key, sizeof(*key)) == 0;
}

int gen_get(struct op *op, struct cache *c, const struct object_ref *ref,
	    struct gen **ret, bool *ret_new)
{
	struct gen_key key;
	struct gen *g;

	*ret_new = false;
	if (gen_key_make(&key, c->config.lake_id, ref) < 0)
		return op_fail(op, -ENOMEM, "cache: hash of a name");
	while (being_evicted(c, &key)) {
		if (op_expired(op))
			return op_fail(op, op_expired(op),
				       "waited for an eviction");
		cond_wait(&c->room, &c->lock, op_wake_ns(op));
	}
	HASH_FIND(hh, held(c)->gens, &key, sizeof(key), g);
	if (g && !same_object(&g->ref, ref)) {
		if (g->refs > 0)
			return op_fail(op, -ESTALE,
				       "%s: generation %llu has changed its "
				       "size or checksum",
				       ref->name,
				       (unsigned long long)ref->generation);
		unlist_gen(c, g);
		gen_free(g);
		g = NULL;
	}
	if (g) {
		gen_ref(c, g);
		*ret = g;
		return 0;
	}
	g = new_gen(c, &key, ref);
	if (!g)
		return op_fail(op, -ENOMEM, "cache: new generation");
	HASH_ADD(hh, held(c)->gens, key, sizeof(g->key), g);
	g->refs = 1;
	*ret_new = true;
	*ret = g;
	return 0;
}

void gen_open(struct cache *c, struct gen *g)
{
	struct file_facts facts;
	struct file *file = NULL;
	uint64_t bytes = 0;

	g->busy = true;
	mutex_unlock(&c->lock);
	if (file_open(c->dirfd, &g->key, &g->ref, g->small, &file, &facts) < 0)
		file = NULL;
	if (file) {
		bytes = file_allocated(file);
		file_touch(file);
		evict_used(c->evict, &g->key, bytes);
	} else {
		evict_gone(c->evict, &g->key);
	}
	mutex_lock(&c->lock);
	g->busy = false;
	g->file = file;
	if (file) {
		g->verified = facts.verified && !g->small;
		g->sites = facts.sites;
	}
	cond_wake_all(&g->changed);
}

enum block_state gen_block(const struct gen *g, uint64_t block)
{
	const struct chunk *chunk = chunk_of(g, block);
	uint64_t i = block % CHUNK_BLOCKS;

	if (!chunk)
		return BLOCK_UNLOADED;
	if (!get_bit(chunk->present, i))
		return BLOCK_MISSING;
	return get_bit(chunk->checked, i) ? BLOCK_GOOD : BLOCK_UNCHECKED;
}

bool gen_seen(const struct gen *g, uint64_t block, uint32_t *ret_crc)
{
	const struct chunk *chunk = chunk_of(g, block);
	uint64_t i = block % CHUNK_BLOCKS;

	if (!chunk || !get_bit(chunk->seen, i))
		return false;
	if (ret_crc)
		*ret_crc = chunk->crcs[i];
	return true;
}

/* Counts a chunk's seen blocks anew, and sums it when it is full. */
static void recount(struct gen *g, uint64_t slot)
{
	struct slot *s = &g->slots[slot];
	unsigned n = blocks_in_slot(g, slot);
	size_t last = (bytes_in_slot(g, slot) - 1) % CACHE_BLOCK + 1;

	if (s->full)
		g->n_full--;
	s->full = s->chunk->n_seen == n;
	if (!s->full)
		return;
	g->n_full++;
	s->sum = verify_combine_blocks(s->chunk->crcs, n, last);
}

static void install(struct gen *g, uint64_t slot, struct chunk *chunk)
{
	for (unsigned i = 0; i < CHUNK_WORDS; i++)
		chunk->n_seen += (unsigned)__builtin_popcountll(chunk->seen[i]);
	g->slots[slot].chunk = chunk;
	recount(g, slot);
}

/* All that is known of it can be had again, and no fetch is to land in it. */
static bool may_drop(const struct gen *g, uint64_t slot)
{
	const struct chunk *chunk = g->slots[slot].chunk;
	const struct segment *s;

	if (!chunk || memcmp(chunk->seen, chunk->present, sizeof(chunk->seen)))
		return false;
	DL_FOREACH(g->segments, s)
	{
		if (s->state != SEGMENT_DONE && s->offset / CHUNK_BYTES == slot)
			return false;
	}
	return true;
}

/* A huge object read all over keeps only so many chunks in memory. */
static void drop_a_chunk(struct gen *g, uint64_t but)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < g->n_slots; i++)
		n += g->slots[i].chunk != NULL;
	for (uint64_t i = 0; n > CHUNKS_MAX && i < g->n_slots; i++) {
		if (i == but || !may_drop(g, i))
			continue;
		free(g->slots[i].chunk);
		g->slots[i].chunk = NULL;
		n--;
	}
}

int gen_load(struct cache *c, struct gen *g, uint64_t block)
{
	struct file *file = g->file ? file_ref(g->file) : NULL;
	uint64_t slot = block / CHUNK_BLOCKS;
	struct chunk *chunk = calloc(1, sizeof(*chunk));

	if (chunk && file) {
		unsigned n = blocks_in_slot(g, slot);

		mutex_unlock(&c->lock);
		file_load(file, slot * CHUNK_BLOCKS, n, chunk->crcs,
			  chunk->present);
		memcpy(chunk->seen, chunk->present, sizeof(chunk->seen));
		mutex_lock(&c->lock);
	}
	if (chunk && !g->slots[slot].chunk && g->file == file) {
		install(g, slot, chunk);
		if (g->n_slots > CHUNKS_MAX)
			drop_a_chunk(g, slot);
		chunk = NULL;
	} else if (!chunk && !g->slots[slot].chunk) {
		file_unref(file);
		return -ENOMEM;
	}
	free(chunk);
	file_unref(file);
	return 0;
}

bool gen_note_crcs(struct gen *g, uint64_t first, size_t n,
		   const uint32_t *crcs)
{
	bool became_full = false;

	for (size_t k = 0; k < n; k++) {
		uint64_t slot = (first + k) / CHUNK_BLOCKS;
		uint64_t i = (first + k) % CHUNK_BLOCKS;
		struct chunk *chunk = g->slots[slot].chunk;
		bool was_full = g->slots[slot].full;

		if (!chunk)
			continue;
		if (get_bit(chunk->seen, i) && chunk->crcs[i] == crcs[k])
			continue;
		chunk->n_seen += !get_bit(chunk->seen, i);
		set_bit(chunk->seen, i);
		chunk->crcs[i] = crcs[k];
		if (was_full || chunk->n_seen == blocks_in_slot(g, slot))
			recount(g, slot);
		became_full |= g->slots[slot].full;
	}
	return became_full;
}

void gen_set_present(struct gen *g, uint64_t first, size_t n)
{
	for (uint64_t b = first; b < first + n; b++) {
		struct chunk *chunk = chunk_of(g, b);

		if (!chunk || !get_bit(chunk->seen, b % CHUNK_BLOCKS))
			continue;
		set_bit(chunk->present, b % CHUNK_BLOCKS);
		set_bit(chunk->checked, b % CHUNK_BLOCKS);
	}
}

void gen_set_checked(struct gen *g, uint64_t block)
{
	if (gen_block(g, block) == BLOCK_UNCHECKED)
		set_bit(chunk_of(g, block)->checked, block % CHUNK_BLOCKS);
}

/*
 * The crc of what was right on disk stays, and what is fetched again is held
 * against it; else it goes, because it may be what is torn.
 */
void gen_clear_present(struct gen *g, uint64_t block)
{
	struct chunk *chunk = chunk_of(g, block);
	uint64_t i = block % CHUNK_BLOCKS;
	bool was_right;

	if (!chunk || !get_bit(chunk->present, i))
		return;
	was_right = g->verified || get_bit(chunk->checked, i);
	clear_bit(chunk->present, i);
	clear_bit(chunk->checked, i);
	if (was_right)
		return;
	clear_bit(chunk->seen, i);
	chunk->n_seen--;
	recount(g, block / CHUNK_BLOCKS);
}

void gen_lost_file(struct gen *g)
{
	g->file = NULL;
	for (uint64_t i = 0; i < g->n_slots; i++) {
		struct chunk *chunk = g->slots[i].chunk;

		if (!chunk)
			continue;
		memset(chunk->present, 0, sizeof(chunk->present));
		memset(chunk->checked, 0, sizeof(chunk->checked));
	}
}

void gen_forget(struct gen *g)
{
	g->file = NULL;
	for (uint64_t i = 0; i < g->n_slots; i++) {
		free(g->slots[i].chunk);
		g->slots[i] = (struct slot){0};
	}
	g->n_full = 0;
	g->verified = false;
	g->sites = 0;
}

bool gen_sum(const struct gen *g, uint32_t *ret_crc)
{
	struct verify_sum sum = {0};

	if (g->n_full < g->n_slots)
		return false;
	for (uint64_t i = 0; i < g->n_slots; i++)
		verify_add_chunk(&sum, g->slots[i].sum, bytes_in_slot(g, i));
	*ret_crc = sum.crc;
	return true;
}

int64_t gen_unloaded(const struct gen *g)
{
	for (uint64_t i = 0; g->file && i < g->n_slots; i++) {
		if (!g->slots[i].full)
			return g->slots[i].chunk ? -1 : (int64_t)i;
	}
	return -1;
}
