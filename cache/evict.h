/*
 * Which generations are on disk, how much they take, and whose turn it is to
 * go: the least recently used one that nobody has pinned, else the least
 * recently used one.  An index in memory only; the files are file.c's.
 *
 * Ownership: evict_new() gives it.
 *
 * Threads: any; its lock ranks above the cache's, so that the cache's may be
 * held.
 */
#ifndef LAKEFUSE_CACHE_EVICT_H
#define LAKEFUSE_CACHE_EVICT_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/file.h"

struct evict;

int evict_new(struct evict **ret);
void evict_free(struct evict *e);

/* The generation takes so much now, and was used just now. */
void evict_used(struct evict *e, const struct gen_key *key, uint64_t bytes);

/*
 * Found at the start, not used yet: ordered by mtime among its like and before
 * all that are used since.  Adds to what is known; ignored after evict_used().
 */
void evict_found(struct evict *e, const struct gen_key *key, uint64_t bytes,
		 int64_t mtime_ns);

/* Pinned or not any more; both are a use. */
void evict_pin(struct evict *e, const struct gen_key *key, bool pinned);
void evict_gone(struct evict *e, const struct gen_key *key);

/* Whose turn it is; false when there is none. */
bool evict_victim(struct evict *e, struct gen_key *ret, uint64_t *ret_bytes);

uint64_t evict_bytes(struct evict *e, uint64_t *ret_n_files);

/* Puts what evict_found() brought into order: call when the scan has ended. */
void evict_sort(struct evict *e);

#endif
