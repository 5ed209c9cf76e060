/* How much of a disk is kept free. */
#include "cache/disk.h"

#include "tests/lib/cmocka.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static void a_hundredth_is_kept_within_bounds(void **state UNUSED)
{
	assert_int_equal(disk_reserve(0), 0);
	assert_int_equal(disk_reserve(100 * MIB), 5 * MIB);
	assert_int_equal(disk_reserve(GIB), 64 * MIB);
	assert_int_equal(disk_reserve(20 * GIB), 20 * GIB / 100);
	assert_int_equal(disk_reserve(1000 * GIB), GIB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hundredth_is_kept_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
