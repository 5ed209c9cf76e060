/* What meta/told.h promises about times. */
#include "meta/told.h"

#include "base/clock.h"
#include "tests/lib/cmocka.h"

static int64_t now_us(void)
{
	return clock_wall_ns() / 1000;
}

static void times_only_move_forward(void **state UNUSED)
{
	int64_t now = now_us();
	struct told_times newer = {.told_us = now, .listed_us = now - 5};
	struct told_times older = {.told_us = now - 9, .listed_us = now - 9};
	struct told *told;

	assert_int_equal(told_new(&told), 0);
	told_touch(told, 7, &newer);
	told_touch(told, 7, &older);
	assert_int_equal(told_get(told, 7).told_us, now);
	assert_int_equal(told_get(told, 7).listed_us, now - 5);
	told_absent(told, 7, "x", now);
	told_absent(told, 7, "x", now - 9);
	assert_int_equal(told_absent_us(told, 7, "x"), now);
	told_free(told);
}

static void a_time_in_the_future_gives_way(void **state UNUSED)
{
	int64_t now = now_us();
	struct told_times future = {.told_us = now + 3600 * 1000000LL};
	struct told_times then = {.told_us = now};
	struct told *told;

	assert_int_equal(told_new(&told), 0);
	told_touch(told, 7, &future);
	told_touch(told, 7, &then);
	assert_int_equal(told_get(told, 7).told_us, now);
	told_free(told);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_only_move_forward),
		cmocka_unit_test(a_time_in_the_future_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
