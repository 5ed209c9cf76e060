/*
 * CRC-32C (Castagnoli), as GCS and S3 report it for whole objects.
 *
 * The bytes are summed by ISA-L.  Combining sums of parts is ours: the sum of
 * a whole object is made from its blocks' sums without reading them again.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_BASE_CRC32C_H
#define LAKEFUSE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc (0 at the start) over size bytes at data. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The sum of A followed by B, from crc(A), crc(B) and B's size in bytes. */
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t size_b);

#endif
