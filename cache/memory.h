/*
 * Buffers for fetches, within a limit.  Sizes are powers of two from a block
 * to FETCH_MAX, each mapped by itself, so that nothing fragments; free ones
 * are kept for the next fetch until another size needs the room or the cache
 * has been left alone.
 *
 * Ownership: embedded in the cache.
 *
 * Threads: the caller holds the cache's lock.
 */
#ifndef LAKEFUSE_CACHE_MEMORY_H
#define LAKEFUSE_CACHE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define FETCH_MAX (4u << 20)
#define MEMORY_MIN (2u * FETCH_MAX) /* below this nothing could go on */
#define MEMORY_CLASSES 9	    /* 16 KiB << 8 is FETCH_MAX */

struct memory {
	uint64_t limit;
	uint64_t used; /* lent buffers */
	uint64_t kept; /* free ones */
	void *free_lists[MEMORY_CLASSES];
};

/* How much a buffer for size bytes takes. */
size_t memory_room(size_t size);

/* NULL when used and the new one would be over the limit. */
void *memory_get(struct memory *m, size_t size);
void memory_put(struct memory *m, void *buf, size_t size);

/* Gives the free ones back to the system. */
void memory_trim(struct memory *m);

#endif
