#include "tests/lib/cmocka.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve/faults.h"

static int set(struct faults *f, const char *json)
{
	char why[100];

	return faults_set(f, json, strlen(json), why, sizeof(why));
}

static struct fault_plan plan(struct faults *f, const char *method,
			      const char *target)
{
	struct fault_plan p;

	faults_plan(f, method, target, target, &p);
	return p;
}

static void without_faults_nothing_is_wrong(void **state UNUSED)
{
	struct faults *f = faults_new();
	struct fault_plan p = plan(f, "GET", "/x");

	assert_false(p.any);
	assert_int_equal(p.status, -1);
	faults_free(f);
}

static void a_fault_is_for_those_it_matches(void **state UNUSED)
{
	struct faults *f = faults_new();

	assert_int_equal(set(f, "{\"status\":503,\"match\":\"^/a.*b$\","
				"\"methods\":[\"GET\"]}"),
			 0);
	assert_int_equal(plan(f, "GET", "/axxb").status, 503);
	assert_int_equal(plan(f, "PUT", "/axxb").status, -1);
	assert_int_equal(plan(f, "GET", "/axxc").status, -1);
	faults_free(f);
}

static void a_count_is_used_up(void **state UNUSED)
{
	struct faults *f = faults_new();

	assert_int_equal(set(f, "{\"hang\":true,\"count\":2}"), 0);
	assert_true(plan(f, "GET", "/").hang);
	assert_true(plan(f, "GET", "/").hang);
	assert_false(plan(f, "GET", "/").any);
	faults_free(f);
}

static void faults_add_up(void **state UNUSED)
{
	struct faults *f = faults_new();
	struct fault_plan p;

	assert_int_equal(set(f, "[{\"latency_ms\":5},{\"flip_at\":7}]"), 0);
	p = plan(f, "GET", "/");
	assert_int_equal(p.latency_ms, 5);
	assert_int_equal(p.flip_at, 7);
	assert_true(faults_still(f, &p));
	faults_clear(f);
	assert_false(faults_still(f, &p));
	assert_false(plan(f, "GET", "/").any);
	faults_free(f);
}

static void a_misspelt_fault_changes_nothing(void **state UNUSED)
{
	struct faults *f = faults_new();

	assert_int_equal(set(f, "{\"hang\":true}"), 0);
	assert_int_equal(set(f, "{\"hangs\":true}"), -EINVAL);
	assert_int_equal(set(f, "{\"status\":\"503\"}"), -EINVAL);
	assert_int_equal(set(f, "[1]"), -EINVAL);
	assert_int_equal(set(f, "{"), -EINVAL);
	assert_true(plan(f, "GET", "/").hang);
	faults_free(f);
}

static void a_rate_strikes_now_and_then(void **state UNUSED)
{
	struct faults *f = faults_new();
	int struck = 0;

	assert_int_equal(set(f, "{\"status\":500,\"status_rate\":0.3}"), 0);
	for (int i = 0; i < 1000; i++)
		struck += plan(f, "GET", "/").status == 500;
	assert_in_range(struck, 200, 400);
	faults_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_faults_nothing_is_wrong),
		cmocka_unit_test(a_fault_is_for_those_it_matches),
		cmocka_unit_test(a_count_is_used_up),
		cmocka_unit_test(faults_add_up),
		cmocka_unit_test(a_misspelt_fault_changes_nothing),
		cmocka_unit_test(a_rate_strikes_now_and_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
