#include "cache/evict.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/lock.h"

struct entry {
	struct gen_key key;
	uint64_t bytes;
	int64_t mtime_ns; /* of one found and not used yet */
	bool used;
	bool pinned;
	struct entry *prev, *next; /* in found or in used */
	UT_hash_handle hh;
};

struct guarded {
	struct entry *entries;
	struct entry *found; /* oldest first, once sorted */
	struct entry *used;  /* least recently used first */
	uint64_t bytes;
};

struct evict {
	struct mutex lock; /* RANK_CACHE + 10 */
	struct guarded guarded;
};

static struct guarded *held(struct evict *e) REQUIRES(e->lock)
{
	return &e->guarded;
}

int evict_new(struct evict **ret)
{
	struct evict *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	mutex_init(&e->lock, RANK_CACHE + 10);
	*ret = e;
	return 0;
}

void evict_free(struct evict *e)
{
	struct entry *entry, *next;

	if (!e)
		return;
	HASH_ITER(hh, e->guarded.entries, entry, next)
	{
		HASH_DEL(e->guarded.entries, entry);
		free(entry);
	}
	mutex_done(&e->lock);
	free(e);
}

static struct entry *find(struct evict *e, const struct gen_key *key)
	REQUIRES(e->lock)
{
	struct entry *entry;

	HASH_FIND(hh, held(e)->entries, key, sizeof(*key), entry);
	return entry;
}

/* Without memory for an entry the file is not evicted in this run. */
static struct entry *add(struct evict *e, const struct gen_key *key)
	REQUIRES(e->lock)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->key = *key;
	HASH_ADD(hh, held(e)->entries, key, sizeof(entry->key), entry);
	return entry;
}

static void unlist(struct evict *e, struct entry *entry) REQUIRES(e->lock)
{
	if (entry->used)
		DL_DELETE(held(e)->used, entry);
	else
		DL_DELETE(held(e)->found, entry);
}

void evict_used(struct evict *e, const struct gen_key *key, uint64_t bytes)
{
	struct entry *entry;

	mutex_lock(&e->lock);
	entry = find(e, key);
	if (entry)
		unlist(e, entry);
	else
		entry = add(e, key);
	if (entry) {
		held(e)->bytes += bytes - entry->bytes;
		entry->bytes = bytes;
		entry->used = true;
		DL_APPEND(held(e)->used, entry);
	}
	mutex_unlock(&e->lock);
}

void evict_found(struct evict *e, const struct gen_key *key, uint64_t bytes,
		 int64_t mtime_ns)
{
	struct entry *entry;

	mutex_lock(&e->lock);
	entry = find(e, key);
	if (!entry) {
		entry = add(e, key);
		if (entry)
			DL_APPEND(held(e)->found, entry);
	}
	if (entry && !entry->used) {
		entry->bytes += bytes;
		held(e)->bytes += bytes;
		if (mtime_ns > entry->mtime_ns)
			entry->mtime_ns = mtime_ns;
	}
	mutex_unlock(&e->lock);
}

void evict_pin(struct evict *e, const struct gen_key *key, bool pinned)
{
	struct entry *entry;

	mutex_lock(&e->lock);
	entry = find(e, key);
	if (entry) {
		unlist(e, entry);
		entry->pinned = pinned;
		entry->used = true;
		DL_APPEND(held(e)->used, entry);
	}
	mutex_unlock(&e->lock);
}

void evict_gone(struct evict *e, const struct gen_key *key)
{
	struct entry *entry;

	mutex_lock(&e->lock);
	entry = find(e, key);
	if (entry) {
		unlist(e, entry);
		HASH_DEL(held(e)->entries, entry);
		held(e)->bytes -= entry->bytes;
	}
	mutex_unlock(&e->lock);
	free(entry);
}

static struct entry *first_unpinned(struct entry *list)
{
	while (list && list->pinned)
		list = list->next;
	return list;
}

bool evict_victim(struct evict *e, struct gen_key *ret, uint64_t *ret_bytes)
{
	struct entry *entry;

	mutex_lock(&e->lock);
	entry = first_unpinned(held(e)->found);
	if (!entry)
		entry = first_unpinned(held(e)->used);
	if (!entry)
		entry = held(e)->found ? held(e)->found : held(e)->used;
	if (entry) {
		*ret = entry->key;
		*ret_bytes = entry->bytes;
	}
	mutex_unlock(&e->lock);
	return entry != NULL;
}

uint64_t evict_bytes(struct evict *e, uint64_t *ret_n_files)
{
	uint64_t bytes;

	mutex_lock(&e->lock);
	bytes = held(e)->bytes;
	if (ret_n_files)
		*ret_n_files = HASH_COUNT(held(e)->entries);
	mutex_unlock(&e->lock);
	return bytes;
}

static int older(const struct entry *a, const struct entry *b)
{
	return (a->mtime_ns > b->mtime_ns) - (a->mtime_ns < b->mtime_ns);
}

void evict_sort(struct evict *e)
{
	mutex_lock(&e->lock);
	DL_SORT(held(e)->found, older);
	mutex_unlock(&e->lock);
}
