/*
 * Whether the cache's disk may be written to now: it is left alone for a while
 * after a failure, and some of it is kept free for the catalogue beside it.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_CACHE_DISK_H
#define LAKEFUSE_CACHE_DISK_H

#include "cache/core.h"

/*
 * How much of a file system of this size stays free: a hundredth of it, 64 MiB
 * at least and 1 GiB at most; of one below 1 GiB a twentieth.
 */
uint64_t disk_reserve(uint64_t total_bytes);

/* By how much the reserve would be touched; 0: so many bytes may be written. */
uint64_t disk_lacks(struct cache *c, uint64_t bytes);

/* It could not be written to, or not read; says why once in a while. */
void disk_failed(struct cache *c, const char *why);
void disk_works(struct cache *c) REQUIRES(c->lock);

/* There is none, or it failed and is left alone for a while. */
bool disk_is_paused(struct cache *c) REQUIRES(c->lock);

#endif
