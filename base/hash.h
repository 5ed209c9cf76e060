/*
 * Hashes for tables in memory and numbers of our own making: quick, well
 * spread, and of no use against who chooses the input.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_BASE_HASH_H
#define LAKEFUSE_BASE_HASH_H

#include <stdint.h>

/* Goes on from hash with one number more. */
static inline uint64_t hash_number(uint64_t hash, uint64_t with)
{
	hash = (hash ^ with) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

/* Goes on from hash with a string's bytes. */
static inline uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = hash_number(hash, (unsigned char)*text);
	return hash;
}

#endif
