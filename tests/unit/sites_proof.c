/* What sites/proof.h promises: design, P2. */
#include "sites/proof.h"

#include <string.h>

#include "tests/lib/cmocka.h"

static const struct object_ref wanted = {
	.name = "t/part-0",
	.generation = 100,
	.size = 10,
	.has = HAS_CRC32C | HAS_MD5,
	.crc32c = 0xabcd,
	.md5 = {1, 2, 3},
};

static struct verdict judge(const struct object_info *copy)
{
	struct verdict v;

	proof_judge(&wanted, copy, &v);
	assert_true(v.why[0] != '\0');
	return v;
}

static void a_stamp_of_this_generation_proves(void **state UNUSED)
{
	struct object_info copy = {.size = 10, .stamp = 100};

	assert_int_equal(judge(&copy).proof, PROOF_STAMP);
}

static void an_equal_checksum_proves(void **state UNUSED)
{
	struct object_info crc = {
		.size = 10, .has = HAS_CRC32C, .crc32c = 0xabcd};
	struct object_info md5 = {.size = 10, .has = HAS_MD5};

	memcpy(md5.md5, wanted.md5, MD5_SIZE);
	assert_int_equal(judge(&crc).proof, PROOF_CHECKSUM);
	assert_int_equal(judge(&md5).proof, PROOF_CHECKSUM);
}

static void another_stamp_is_stale_whether_older_or_newer(void **state UNUSED)
{
	struct object_info copy = {.size = 10, .stamp = 99};

	assert_int_equal(judge(&copy).proof, PROOF_NONE);
	assert_int_equal(judge(&copy).refusal, REFUSED_STALE);
	assert_non_null(strstr(judge(&copy).why, "older"));
	copy.stamp = 101;
	assert_int_equal(judge(&copy).refusal, REFUSED_STALE);
	assert_non_null(strstr(judge(&copy).why, "newer"));
	/* even where the bytes happen to be equal: the copier says it isn't */
	copy.has = HAS_CRC32C;
	copy.crc32c = wanted.crc32c;
	assert_int_equal(judge(&copy).proof, PROOF_NONE);
}

static void another_size_is_torn(void **state UNUSED)
{
	struct object_info copy = {.size = 9, .stamp = 100};

	assert_int_equal(judge(&copy).proof, PROOF_NONE);
	assert_int_equal(judge(&copy).refusal, REFUSED_TORN);
}

static void a_checksum_outweighs_a_stamp(void **state UNUSED)
{
	struct object_info copy = {
		.size = 10, .stamp = 100, .has = HAS_CRC32C, .crc32c = 1};

	assert_int_equal(judge(&copy).proof, PROOF_NONE);
	assert_int_equal(judge(&copy).refusal, REFUSED_CORRUPT);
}

static void the_same_size_alone_proves_nothing(void **state UNUSED)
{
	struct object_info copy = {.size = 10};

	assert_int_equal(judge(&copy).proof, PROOF_NONE);
	assert_int_equal(judge(&copy).refusal, REFUSED_UNPROVEN);
}

static void one_of_two_checksums_differing_is_enough(void **state UNUSED)
{
	struct object_info copy = {.size = 10,
				   .has = HAS_CRC32C | HAS_MD5,
				   .crc32c = wanted.crc32c};

	assert_int_equal(judge(&copy).proof, PROOF_NONE);
	assert_int_equal(judge(&copy).refusal, REFUSED_STALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stamp_of_this_generation_proves),
		cmocka_unit_test(an_equal_checksum_proves),
		cmocka_unit_test(another_stamp_is_stale_whether_older_or_newer),
		cmocka_unit_test(another_size_is_torn),
		cmocka_unit_test(a_checksum_outweighs_a_stamp),
		cmocka_unit_test(the_same_size_alone_proves_nothing),
		cmocka_unit_test(one_of_two_checksums_differing_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
