#include "base/crc32c.h"

#include <isa-l/crc.h>

/* x^31 is the lowest bit: the polynomial as the reflected algorithm has it. */
#define POLY 0x82f63b78u

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	unsigned char *p = (unsigned char *)(uintptr_t)data;

	/* ISA-L takes the length as an int. */
	while (size > 0) {
		int n = size > (1 << 30) ? 1 << 30 : (int)size;

		crc = ~crc32_iscsi(p, n, ~crc);
		p += n;
		size -= (size_t)n;
	}
	return crc;
}

/* a * b modulo the polynomial, both in reflected order. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? (b >> 1) ^ POLY : b >> 1;
	}
	return product;
}

/*
 * Appending n zero bytes multiplies a crc by x^(8n).  The power is made by
 * squaring: 64 steps at the most, whatever n is.
 */
static uint32_t x_to_the_8n(uint64_t n)
{
	uint32_t power = 1u << 31;  /* x^0 */
	uint32_t square = 1u << 23; /* x^8 */

	for (; n; n >>= 1) {
		if (n & 1)
			power = multiply(power, square);
		square = multiply(square, square);
	}
	return power;
}

uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t size_b)
{
	return multiply(x_to_the_8n(size_b), crc_a) ^ crc_b;
}
