#include "cache/verify.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/crc32c.h"
#include "cache/cache.h"
#include "sites/sites.h"

/*
 * Appending a block multiplies the crc so far by a constant of the block's
 * size.  Multiplying is linear, so four tables of a byte each do it, where
 * crc32c_combine() computes the constant anew every time.
 */
static uint32_t shift[4][256];
static pthread_once_t shift_once = PTHREAD_ONCE_INIT;

static void make_shift(void)
{
	for (unsigned k = 0; k < 4; k++)
		for (uint32_t byte = 0; byte < 256; byte++)
			shift[k][byte] =
				crc32c_combine(byte << (8 * k), 0, CACHE_BLOCK);
}

static uint32_t append_block(uint32_t a, uint32_t b)
{
	return shift[0][a & 0xff] ^ shift[1][(a >> 8) & 0xff] ^
	       shift[2][(a >> 16) & 0xff] ^ shift[3][a >> 24] ^ b;
}

uint32_t verify_combine_blocks(const uint32_t *crcs, size_t n, size_t last_len)
{
	uint32_t crc = 0;

	pthread_once(&shift_once, make_shift);
	for (size_t i = 0; i + 1 < n; i++)
		crc = append_block(crc, crcs[i]);
	return n ? crc32c_combine(crc, crcs[n - 1], last_len) : 0;
}

void verify_add_chunk(struct verify_sum *sum, uint32_t crc, uint64_t len)
{
	sum->crc = sum->begun ? crc32c_combine(sum->crc, crc, len) : crc;
	sum->begun = true;
}

bool verify_content(const struct object_ref *ref, const void *data, size_t size)
{
	unsigned char md5[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (size != ref->size)
		return false;
	if (ref->has & HAS_CRC32C)
		return crc32c(0, data, size) == ref->crc32c;
	if (!(ref->has & HAS_MD5))
		return true;
	return EVP_Digest(data, size, md5, &n, EVP_md5(), NULL) == 1 &&
	       n == MD5_SIZE && memcmp(md5, ref->md5, MD5_SIZE) == 0;
}
