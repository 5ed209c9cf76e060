/* What base/crc32c.h promises. */
#include "base/crc32c.h"

#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "tests/lib/cmocka.h"

/* From RFC 3720, B.4, and the check value of the CRC catalogue. */
static void known_sums_come_out(void **state UNUSED)
{
	unsigned char block[32];

	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
	memset(block, 0, sizeof(block));
	assert_int_equal(crc32c(0, block, sizeof(block)), 0x8a9136aa);
	memset(block, 0xff, sizeof(block));
	assert_int_equal(crc32c(0, block, sizeof(block)), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof(block); i++)
		block[i] = (unsigned char)i;
	assert_int_equal(crc32c(0, block, sizeof(block)), 0x46dd794e);
}

static void a_sum_goes_on_where_it_stopped(void **state UNUSED)
{
	static const char text[] = "123456789";

	for (size_t cut = 0; cut <= 9; cut++) {
		uint32_t crc = crc32c(0, text, cut);

		assert_int_equal(crc32c(crc, &text[cut], 9 - cut), 0xe3069283);
	}
}

static void sums_of_parts_make_the_whole(void **state UNUSED)
{
	static const size_t sizes[] = {0, 1, 2, 7, 8, 63, 64, 4096, 100001};
	auto_free unsigned char *data = malloc(300000);
	uint32_t seed = 1;

	for (size_t i = 0; i < 300000; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = (unsigned char)(seed >> 24);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (size_t j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
			size_t a = sizes[i], b = sizes[j];
			uint32_t both = crc32c_combine(
				crc32c(0, data, a), crc32c(0, data + a, b), b);

			assert_int_equal(both, crc32c(0, data, a + b));
		}
	}
}

/* x ^ (8n) has a period of 2^31 - 1 bytes at the most: n beyond it matters. */
static void combining_takes_sizes_over_4_gib(void **state UNUSED)
{
	uint32_t step = 0x12345678, once;

	/* 5 GiB of zeros at once, and as five times 1 GiB. */
	once = crc32c_combine(step, 0, 5ULL << 30);
	for (int i = 0; i < 5; i++)
		step = crc32c_combine(step, 0, 1ULL << 30);
	assert_int_equal(once, step);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_sums_come_out),
		cmocka_unit_test(a_sum_goes_on_where_it_stopped),
		cmocka_unit_test(sums_of_parts_make_the_whole),
		cmocka_unit_test(combining_takes_sizes_over_4_gib),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
