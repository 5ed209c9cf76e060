/*
 * An object's checksum from its blocks' checksums, and whole content against
 * what the record says of it (design: P5).
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_CACHE_VERIFY_H
#define LAKEFUSE_CACHE_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object_ref;

/* The crc32c of n blocks in a row, from theirs; the last is last_len long. */
uint32_t verify_combine_blocks(const uint32_t *crcs, size_t n, size_t last_len);

/* The crc32c of chunks of chunk_bytes each, the last one last_len long. */
struct verify_sum {
	uint32_t crc;
	bool begun;
};
void verify_add_chunk(struct verify_sum *sum, uint32_t crc, uint64_t len);

/* size bytes at data are what ref says (true when it says nothing). */
bool verify_content(const struct object_ref *ref, const void *data,
		    size_t size);

#endif
