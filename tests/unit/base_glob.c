/* What base/glob.h promises. */
#include "base/glob.h"

#include <string.h>

#include "tests/lib/cmocka.h"

struct probe {
	const char *pattern;
	const char *path;
	bool matches;
};

static void check(const struct probe *probes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (glob_match(probes[i].pattern, probes[i].path) !=
		    probes[i].matches)
			fail_msg("'%s' against '%s'", probes[i].pattern,
				 probes[i].path);
	}
}

#define CHECK(probes) check(probes, sizeof(probes) / sizeof(*(probes)))

static void one_star_stays_in_its_component(void **state UNUSED)
{
	static const struct probe probes[] = {
		{"*.parquet", "a.parquet", true},
		{"*.parquet", "d/a.parquet", false},
		{"a/*/c", "a/b/c", true},
		{"a/*/c", "a/b/b/c", false},
		{"a*b*c", "aXbYbZc", true},
		{"*", "", true},
		{"a*", "a", true},
		{"a/*", "a/", true},
		{"*a", "ba/a", false},
	};

	CHECK(probes);
}

static void two_stars_cross_components(void **state UNUSED)
{
	static const struct probe probes[] = {
		{"**", "a/b/c", true},
		{"a/**", "a/b/c", true},
		{"a/**", "a", false},
		{"a/**", "ab/c", false},
		{"**.json", "a/b.json", true},
		{"a/**/z", "a/b/c/z", true},
		{"a/**/z", "a/z", true},
		{"a/**/z", "a/bz", false},
		{"**/a/**/b/*.c", "x/a/y/b/z/b/f.c", true},
		{"**/a/**/b/*.c", "x/a/y/b/z/f.c", false},
	};

	CHECK(probes);
}

static void a_leading_double_star_matches_at_the_top(void **state UNUSED)
{
	static const struct probe probes[] = {
		{"**/x/**", "x/y", true},
		{"**/x/**", "a/x/y", true},
		{"**/x/**", "ax/y", false},
		{"**/x/**", "x", false},
		{"**/_ledger/*.json", "_ledger/1.json", true},
		{"**/_ledger/*.json", "a/b/_ledger/1.json", true},
		{"**/_ledger/*.json", "a/_ledger/c/1.json", false},
		{"**/f", "f", true},
		{"**/f", "d/f", true},
		{"**/f", "df", false},
	};

	CHECK(probes);
}

static void classes_and_escapes(void **state UNUSED)
{
	static const struct probe probes[] = {
		{"[0-9][0-9].json", "42.json", true},
		{"[0-9][0-9].json", "4x.json", false},
		{"[!a-c]", "d", true},
		{"[!a-c]", "b", false},
		{"[^a]", "/", false},
		{"[]x]", "]", true},
		{"[a-]", "-", true},
		{"[ab", "[ab", true},
		{"[\\]]", "]", true},
		{"\\*", "*", true},
		{"\\*", "a", false},
		{"?", "/", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"\\", "\\", true},
	};

	CHECK(probes);
}

static void a_hostile_name_takes_no_exponential_time(void **state UNUSED)
{
	char path[1025];

	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	for (size_t i = 3; i < sizeof(path) - 1; i += 7)
		path[i] = '/';
	assert_false(glob_match("**/a*a*a*/**/a*a*/**/*a*a*a/**/*b", path));
	assert_false(glob_match("**a**a**a**a**a**a**a*a*a*a*b", path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_star_stays_in_its_component),
		cmocka_unit_test(two_stars_cross_components),
		cmocka_unit_test(a_leading_double_star_matches_at_the_top),
		cmocka_unit_test(classes_and_escapes),
		cmocka_unit_test(a_hostile_name_takes_no_exponential_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
