/* What sites/health.h promises. */
#include "sites/health.h"

#include "base/clock.h"
#include "tests/lib/cmocka.h"

static void three_failures_in_a_row_open_the_breaker(void **state UNUSED)
{
	struct health h;

	health_init(&h, 5);
	health_bad(&h, "reset");
	health_bad(&h, "reset");
	health_good(&h, 1000, 0);
	health_bad(&h, "reset");
	health_bad(&h, "reset");
	assert_true(health_allows(&h));
	assert_false(health_is_broken(&h));
	health_bad(&h, "reset");
	assert_true(health_is_broken(&h));
	assert_false(health_allows(&h));
	health_done(&h);
}

static void one_try_goes_through_after_the_pause(void **state UNUSED)
{
	struct health h;

	health_init(&h, 5);
	for (int i = 0; i < 3; i++)
		health_bad(&h, "reset");
	clock_skew_for_test((int64_t)(NS_PER_S + NS_PER_MS));
	assert_true(health_allows(&h));
	assert_false(health_allows(&h));
	health_good(&h, 0, 0);
	assert_true(health_allows(&h));
	assert_true(health_allows(&h));
	health_done(&h);
}

static void the_pause_doubles_with_each_failed_try(void **state UNUSED)
{
	struct health h;

	health_init(&h, 5);
	for (int i = 0; i < 3; i++)
		health_bad(&h, "reset");
	clock_skew_for_test((int64_t)(NS_PER_S + NS_PER_MS));
	assert_true(health_allows(&h));
	health_bad(&h, "reset");
	clock_skew_for_test((int64_t)(NS_PER_S + NS_PER_MS));
	assert_false(health_allows(&h));
	clock_skew_for_test((int64_t)(NS_PER_S + NS_PER_MS));
	assert_true(health_allows(&h));
	health_done(&h);
}

static void failures_of_one_moment_are_one_pause(void **state UNUSED)
{
	struct health h;
	struct health_state s;

	health_init(&h, 5);
	for (int i = 0; i < 100; i++)
		health_bad(&h, "reset");
	health_get(&h, &s);
	assert_true(s.pause_ns == NS_PER_S);
	assert_int_equal(s.n_failures, 100);
	health_done(&h);
}

static void a_probe_lets_one_reader_try(void **state UNUSED)
{
	struct health h;

	health_init(&h, 5);
	for (int i = 0; i < 3; i++)
		health_bad(&h, "hangs");
	health_probed(&h, 1000);
	assert_true(health_allows(&h));
	health_bad(&h, "hangs");
	assert_false(health_allows(&h));
	/* and the pause has gone on growing */
	clock_skew_for_test((int64_t)(NS_PER_S + NS_PER_MS));
	assert_false(health_allows(&h));
	health_done(&h);
}

static void latency_is_the_prior_until_measured_then_smooth(void **state UNUSED)
{
	struct health h;

	health_init(&h, 5000);
	assert_int_equal(health_latency_ns(&h), 5000);
	health_good(&h, 800, 0);
	assert_int_equal(health_latency_ns(&h), 800);
	health_good(&h, 1600, 0);
	assert_int_equal(health_latency_ns(&h), 900);
	health_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_failures_in_a_row_open_the_breaker),
		cmocka_unit_test(one_try_goes_through_after_the_pause),
		cmocka_unit_test(the_pause_doubles_with_each_failed_try),
		cmocka_unit_test(failures_of_one_moment_are_one_pause),
		cmocka_unit_test(a_probe_lets_one_reader_try),
		cmocka_unit_test(
			latency_is_the_prior_until_measured_then_smooth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
