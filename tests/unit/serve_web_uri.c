#include "tests/lib/cmocka.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serve/cursor.h"
#include "serve/depot.h"
#include "serve/text.h"
#include "serve/web_uri.h"

static void check_range(const char *header, uint64_t size, uint64_t offset,
			uint64_t length)
{
	uint64_t got_offset = 0, got_length = 0;

	assert_int_equal(web_range(header, size, &got_offset, &got_length),
			 WEB_RANGE_OK);
	assert_int_equal(got_offset, offset);
	assert_int_equal(got_length, length);
}

static void ranges_are_cut_at_the_end(void **state UNUSED)
{
	check_range("bytes=0-0", 10, 0, 1);
	check_range("bytes=2-5", 10, 2, 4);
	check_range("bytes=2-500", 10, 2, 8);
	check_range("bytes=9-", 10, 9, 1);
	check_range("bytes=-3", 10, 7, 3);
	check_range("bytes=-30", 10, 0, 10);
	check_range("bytes=1-99999999999999999999999", 10, 1, 9);
}

static void what_is_no_range_is_ignored(void **state UNUSED)
{
	static const char *const headers[] = {
		"",	     "bytes=",	      "bytes=-",
		"bytes=5-2", "bytes=1-2,4-5", "bytes=a-b",
		"items=0-1", "bytes=1-2x",
	};
	uint64_t offset, length;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		assert_int_equal(web_range(headers[i], 10, &offset, &length),
				 WEB_RANGE_NONE);
	assert_int_equal(web_range(NULL, 10, &offset, &length), WEB_RANGE_NONE);
}

static void a_range_behind_the_end_is_refused(void **state UNUSED)
{
	uint64_t offset, length;

	assert_int_equal(web_range("bytes=10-", 10, &offset, &length),
			 WEB_RANGE_UNSATISFIABLE);
	assert_int_equal(web_range("bytes=0-", 0, &offset, &length),
			 WEB_RANGE_UNSATISFIABLE);
	assert_int_equal(web_range("bytes=-0", 10, &offset, &length),
			 WEB_RANGE_UNSATISFIABLE);
}

static void check_decode(const char *s, bool plus, const char *want)
{
	char *got;

	assert_int_equal(web_decode(s, strlen(s), plus, &got), 0);
	assert_string_equal(got, want);
	free(got);
}

static void escapes_are_decoded_once(void **state UNUSED)
{
	char *got;

	check_decode("a%2Fb", false, "a/b");
	check_decode("%252F", false, "%2F");
	check_decode("a+b%2b", true, "a b+");
	check_decode("a+b", false, "a+b");
	check_decode("%fF", false, "\xff");
	assert_int_equal(web_decode("%", 1, false, &got), -EINVAL);
	assert_int_equal(web_decode("%2", 2, false, &got), -EINVAL);
	assert_int_equal(web_decode("%zz", 3, false, &got), -EINVAL);
	assert_int_equal(web_decode("a%00b", 5, false, &got), -EINVAL);
}

static void a_cursor_survives_its_journey(void **state UNUSED)
{
	struct depot_place place = {.n = 0}, back;

	place.generation = 1795242320555474;
	for (size_t n = 0; n < sizeof(place.name); n++) {
		struct text t = {0};

		place.n = n;
		cursor_put(&t, &place);
		assert_int_equal(cursor_parse(t.at, &back), 0);
		assert_int_equal(back.n, n);
		assert_memory_equal(back.name, place.name, n);
		assert_true(back.generation == place.generation);
		text_done(&t);
		place.name[n] = (unsigned char)(n * 7 + 251);
	}
}

static void a_forged_cursor_is_refused(void **state UNUSED)
{
	struct depot_place place;
	char longest[3000];

	memset(longest, 'A', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	longest[2996] = '\0';
	assert_int_equal(cursor_parse("x", &place), -EINVAL);
	assert_int_equal(cursor_parse("AAAA", &place), -EINVAL);
	assert_int_equal(cursor_parse("AAAAAAAAAA==", &place), -EINVAL);
	assert_int_equal(cursor_parse("!!!!!!!!!!!!", &place), -EINVAL);
	assert_int_equal(cursor_parse(longest, &place), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_cut_at_the_end),
		cmocka_unit_test(what_is_no_range_is_ignored),
		cmocka_unit_test(a_range_behind_the_end_is_refused),
		cmocka_unit_test(escapes_are_decoded_once),
		cmocka_unit_test(a_cursor_survives_its_journey),
		cmocka_unit_test(a_forged_cursor_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
