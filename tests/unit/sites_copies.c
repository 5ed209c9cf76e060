/* What sites/copies.h promises. */
#include "sites/copies.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tests/lib/cmocka.h"

static const struct object_ref ref = {.name = "t/part-0", .generation = 7};

static void
a_proof_is_remembered_for_its_site_and_generation(void **state UNUSED)
{
	struct object_ref newer = {.name = "t/part-0", .generation = 8};
	struct copies *c;
	struct copy got;

	assert_int_equal(copies_new(&c), 0);
	copies_prove(c, 1, &ref, PROOF_STAMP, "\"etag\"");
	copies_get(c, 1, &ref, &got);
	assert_int_equal(got.state, COPY_PROVEN);
	assert_int_equal(got.proof, PROOF_STAMP);
	assert_string_equal(got.validator, "\"etag\"");
	copies_get(c, 2, &ref, &got);
	assert_int_equal(got.state, COPY_UNKNOWN);
	copies_get(c, 1, &newer, &got);
	assert_int_equal(got.state, COPY_UNKNOWN);
	copies_free(c);
}

static void a_refusal_is_asked_again_after_a_while(void **state UNUSED)
{
	struct copies *c;
	struct copy got;

	assert_int_equal(copies_new(&c), 0);
	copies_refuse(c, 1, &ref, REFUSED_STALE);
	copies_get(c, 1, &ref, &got);
	assert_int_equal(got.state, COPY_REFUSED);
	clock_skew_for_test((int64_t)(4 * NS_PER_S));
	copies_get(c, 1, &ref, &got);
	assert_int_equal(got.state, COPY_UNKNOWN);
	copies_free(c);
}

static void a_quarantine_outlives_proofs_and_other_copies(void **state UNUSED)
{
	struct copies *c;
	struct copy got;

	assert_int_equal(copies_new(&c), 0);
	copies_quarantine(c, 1, &ref);
	copies_prove(c, 1, &ref, PROOF_STAMP, "\"etag\"");
	copies_forget(c, 1, &ref);
	for (int i = 0; i < 100000; i++) {
		char name[32];
		struct object_ref other = {.name = name, .generation = 1};

		snprintf(name, sizeof(name), "other-%d", i);
		copies_prove(c, 1, &other, PROOF_STAMP, "e");
	}
	copies_get(c, 1, &ref, &got);
	assert_int_equal(got.state, COPY_QUARANTINED);
	copies_free(c);
}

static void a_validator_that_does_not_fit_is_not_cut(void **state UNUSED)
{
	char longer[VALIDATOR_MAX + 10];
	struct copies *c;
	struct copy got;

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(copies_new(&c), 0);
	copies_prove(c, 1, &ref, PROOF_STAMP, longer);
	copies_get(c, 1, &ref, &got);
	assert_int_equal(got.state, COPY_UNKNOWN);
	copies_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_proof_is_remembered_for_its_site_and_generation),
		cmocka_unit_test(a_refusal_is_asked_again_after_a_while),
		cmocka_unit_test(a_quarantine_outlives_proofs_and_other_copies),
		cmocka_unit_test(a_validator_that_does_not_fit_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
