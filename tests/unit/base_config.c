/* What base/config.h promises. */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/op.h"
#include "tests/lib/cmocka.h"

struct site {
	char *name;
	char *url;
	unsigned weight;
};

struct settings {
	char *state;
	char *label;
	bool quiet;
	unsigned threads;
	unsigned mask;
	int on_loss;
	uint64_t timeout_ns;
	struct {
		uint64_t size;
		bool keep;
	} cache;
	struct site *sites;
	unsigned n_sites;
};

static const char *const losses[] = {"fail", "serve-last-known", NULL};

static const struct setting cache_table[] = {
	{.key = "size",
	 .type = SETTING_SIZE,
	 .offset = offsetof(__typeof__(((struct settings *)0)->cache), size),
	 .help = "bytes on disk",
	 .standard = "10GiB",
	 .min = 1048576,
	 .max = 1e15},
	{.key = "keep",
	 .type = SETTING_BOOL,
	 .offset = offsetof(__typeof__(((struct settings *)0)->cache), keep),
	 .help = "keep it",
	 .standard = "true"},
	{.key = NULL},
};

static const struct setting site_table[] = {
	{.key = "name",
	 .type = SETTING_STRING,
	 .offset = offsetof(struct site, name),
	 .help = "its name",
	 .required = true},
	{.key = "url",
	 .type = SETTING_STRING,
	 .offset = offsetof(struct site, url),
	 .help = "where it is"},
	{.key = "weight",
	 .type = SETTING_UNSIGNED,
	 .offset = offsetof(struct site, weight),
	 .help = "share",
	 .standard = "7"},
	{.key = NULL},
};

#define AT(field) offsetof(struct settings, field)

static const struct setting table[] = {
	{.key = "state",
	 .type = SETTING_PATH,
	 .offset = AT(state),
	 .help = "directory"},
	{.key = "label",
	 .type = SETTING_STRING,
	 .offset = AT(label),
	 .help = "any text",
	 .standard = "none"},
	{.key = "quiet",
	 .type = SETTING_BOOL,
	 .offset = AT(quiet),
	 .help = "say less"},
	{.key = "threads",
	 .type = SETTING_UNSIGNED,
	 .offset = AT(threads),
	 .help = "how many",
	 .standard = "4",
	 .min = 1,
	 .max = 64},
	{.key = "mask",
	 .type = SETTING_OCTAL,
	 .offset = AT(mask),
	 .help = "umask",
	 .standard = "022"},
	{.key = "on_loss",
	 .type = SETTING_CHOICE,
	 .offset = AT(on_loss),
	 .help = "what then",
	 .standard = "fail",
	 .choices = losses},
	{.key = "timeout",
	 .type = SETTING_TIME,
	 .offset = AT(timeout_ns),
	 .help = "how long",
	 .standard = "2.5s",
	 .min = 0.1,
	 .max = 60},
	{.key = "cache",
	 .type = SETTING_GROUP,
	 .offset = AT(cache),
	 .help = "the cache",
	 .members = cache_table},
	{.key = "sites",
	 .type = SETTING_LIST,
	 .offset = AT(sites),
	 .help = "the sites",
	 .members = site_table,
	 .item_size = sizeof(struct site),
	 .count_offset = AT(n_sites),
	 .max_items = 3},
	{.key = NULL},
};

static struct settings got;
static struct op op;

static int fresh(void **state UNUSED)
{
	memset(&got, 0, sizeof(got));
	op_init(&op, 0);
	assert_int_equal(config_defaults(&op, table, &got), 0);
	return 0;
}

static int done(void **state UNUSED)
{
	config_done(table, &got);
	return 0;
}

static int parse(const char *text)
{
	op_forgive(&op);
	return config_parse(&op, table, "f.yaml", text, strlen(text), &got);
}

static void expect_complaint(const char *text, const char *why)
{
	assert_int_equal(parse(text), -EINVAL);
	assert_string_equal(op.why, why);
}

static void defaults_come_from_the_table(void **state UNUSED)
{
	assert_string_equal(got.label, "none");
	assert_null(got.state);
	assert_int_equal(got.threads, 4);
	assert_int_equal(got.mask, 022);
	assert_int_equal(got.on_loss, 0);
	assert_int_equal(got.timeout_ns, 2500000000);
	assert_true(got.cache.size == 10ULL << 30);
	assert_true(got.cache.keep);
	assert_int_equal(got.n_sites, 0);
}

static void a_file_sets_what_it_names(void **state UNUSED)
{
	assert_int_equal(parse("# a comment\n"
			       "state: /var/lib/x\n"
			       "quiet: true\n"
			       "cache: {size: 64KiB0}\n"),
			 -EINVAL);
	assert_int_equal(parse("state: /var/lib/x\n"
			       "quiet: true\n"
			       "on_loss: serve-last-known\n"
			       "timeout: 250ms\n"
			       "mask: 0077\n"
			       "cache: {size: 1.5GiB}\n"
			       "sites:\n"
			       "  - {name: a, url: 'gs://x'}\n"
			       "  - name: b\n"
			       "    weight: 1\n"),
			 0);
	assert_string_equal(got.state, "/var/lib/x");
	assert_true(got.quiet);
	assert_int_equal(got.on_loss, 1);
	assert_int_equal(got.timeout_ns, 250000000);
	assert_int_equal(got.mask, 077);
	assert_true(got.cache.size == 3ULL << 29);
	assert_true(got.cache.keep);
	assert_int_equal(got.n_sites, 2);
	assert_string_equal(got.sites[0].url, "gs://x");
	assert_int_equal(got.sites[0].weight, 7);
	assert_string_equal(got.sites[1].name, "b");
	assert_int_equal(got.sites[1].weight, 1);
}

static void json_is_read_like_yaml(void **state UNUSED)
{
	assert_int_equal(parse("{\"threads\": 8, \"quiet\": true,\n"
			       " \"cache\": {\"size\": \"1GB\"},\n"
			       " \"sites\": [{\"name\": \"a\"}]}\n"),
			 0);
	assert_int_equal(got.threads, 8);
	assert_true(got.cache.size == 1000000000);
	assert_int_equal(got.n_sites, 1);
}

static void an_empty_file_keeps_the_defaults(void **state UNUSED)
{
	assert_int_equal(parse(""), 0);
	assert_int_equal(parse("# nothing\n"), 0);
	assert_int_equal(parse("{}"), 0);
	assert_int_equal(got.threads, 4);
}

static void a_list_read_again_replaces_the_first(void **state UNUSED)
{
	assert_int_equal(parse("sites: [{name: a}, {name: b}]"), 0);
	assert_int_equal(parse("sites: [{name: c}]"), 0);
	assert_int_equal(got.n_sites, 1);
	assert_string_equal(got.sites[0].name, "c");
	assert_int_equal(parse("sites: []"), 0);
	assert_int_equal(got.n_sites, 0);
}

static void unknown_keys_suggest_the_nearest(void **state UNUSED)
{
	expect_complaint("\nthraeds: 4\n", "f.yaml:2: thraeds: unknown key; "
					   "did you mean threads?");
	expect_complaint("cache:\n  siez: 1GiB\n",
			 "f.yaml:2: cache.siez: unknown key; "
			 "did you mean size?");
	expect_complaint("zzzzzzzz: 4\n",
			 "f.yaml:1: zzzzzzzz: unknown key; remove it, or see "
			 "lake.yaml(5) for those there are");
}

static void doubled_keys_are_errors(void **state UNUSED)
{
	expect_complaint("threads: 4\nquiet: true\nthreads: 4\n",
			 "f.yaml:3: threads: is given twice; "
			 "remove one of them");
	expect_complaint("sites: [{name: a, name: b}]",
			 "f.yaml:1: sites[0].name: is given twice; "
			 "remove one of them");
}

static void wrong_types_are_errors(void **state UNUSED)
{
	expect_complaint("threads: many",
			 "f.yaml:1: threads: 'many' is not a whole number");
	expect_complaint("threads: -1",
			 "f.yaml:1: threads: '-1' is not a whole number");
	expect_complaint("threads: \"4\"",
			 "f.yaml:1: threads: '4' is quoted text; "
			 "remove the quotes");
	expect_complaint("threads: [4]",
			 "f.yaml:1: threads: must be one value, not a list; "
			 "write N");
	expect_complaint("quiet: yes",
			 "f.yaml:1: quiet: 'yes' is neither true nor false");
	expect_complaint("mask: 99",
			 "f.yaml:1: mask: '99' is not an octal number "
			 "like 022");
	expect_complaint("cache: 4GiB", "f.yaml:1: cache: must be a mapping of "
					"\"key: value\" lines");
	expect_complaint("sites: {name: a}", "f.yaml:1: sites: must be a list; "
					     "begin each item with '- '");
	expect_complaint("sites: [a]",
			 "f.yaml:1: sites[0]: must be a mapping of "
			 "\"key: value\" lines");
	expect_complaint("state:", "f.yaml:1: state: has no value; "
				   "give one or remove the key");
	expect_complaint("state: ''", "f.yaml:1: state: is empty; "
				      "give a path");
	expect_complaint("- a", "f.yaml:1: must be a mapping of "
				"\"key: value\" lines");
	expect_complaint("on_loss: panic",
			 "f.yaml:1: on_loss: 'panic' is unknown; "
			 "give fail or serve-last-known");
	expect_complaint("? [a]\n: b", "f.yaml:1: a key must be a plain word");
}

static void values_out_of_range_are_errors(void **state UNUSED)
{
	expect_complaint("threads: 65", "f.yaml:1: threads: 65 is out of "
					"range; give 1 to 64");
	expect_complaint("threads: 0", "f.yaml:1: threads: 0 is out of "
				       "range; give 1 to 64");
	expect_complaint("timeout: 2m", "f.yaml:1: timeout: '2m' is out of "
					"range; give 0.1s to 60s");
	assert_int_equal(parse("cache: {size: 4096}"), -EINVAL);
	expect_complaint("sites: [{name: a}, {name: b}, {name: c}, {name: d}]",
			 "f.yaml:1: sites: has 4 items; "
			 "at most 3 are possible");
}

static void missing_required_keys_are_errors(void **state UNUSED)
{
	expect_complaint("sites:\n  - {name: a}\n  - {url: b}\n",
			 "f.yaml:3: sites[1].name: is missing; "
			 "give it: its name");
}

static void broken_yaml_is_an_error_with_its_line(void **state UNUSED)
{
	assert_int_equal(parse("quiet: true\ncache: {size: 1GiB\n"), -EINVAL);
	assert_true(strncmp(op.why, "f.yaml:", 7) == 0);
	assert_non_null(strstr(op.why, "not YAML"));
	expect_complaint("quiet: true\n---\nquiet: false\n",
			 "f.yaml:3: a second document; keep one in the file");
	expect_complaint("label: \"a\\0b\"",
			 "f.yaml:1: label: contains a NUL byte; remove it");
	expect_complaint("label: \"a\\nb\"",
			 "f.yaml:1: label: contains a control character; "
			 "remove it");
}

static void aliases_end(void **state UNUSED)
{
	assert_int_equal(parse("cache: &c {size: *c}"), -EINVAL);
	assert_int_equal(parse("sites: &s [*s, *s]"), -EINVAL);
}

static void options_name_members_with_a_dot(void **state UNUSED)
{
	assert_int_equal(config_set(&op, table, "cache.size", "5MiB", &got), 0);
	assert_true(got.cache.size == 5 << 20);
	assert_int_equal(config_set(&op, table, "quiet", NULL, &got), 0);
	assert_true(got.quiet);
	assert_int_equal(config_set(&op, table, "state", "x", &got), 0);
	assert_true(got.state[0] == '/');
}

static void expect_bad_option(const char *key, const char *value, int rc,
			      const char *why)
{
	op_forgive(&op);
	assert_int_equal(config_set(&op, table, key, value, &got), rc);
	assert_string_equal(op.why, why);
}

static void wrong_options_say_what_to_do(void **state UNUSED)
{
	expect_bad_option("cache.sise", "1", -ENOENT,
			  "cache.sise: unknown; did you mean cache.size?");
	expect_bad_option("size.cache.x", "1", -ENOENT,
			  "size.cache.x: unknown; "
			  "`lakefuse mount --help` lists all");
	expect_bad_option("threads", NULL, -EINVAL,
			  "threads: needs a value; write threads=N");
	expect_bad_option("cache", "1", -EINVAL,
			  "cache: is a group of settings; "
			  "give them inside it");
	expect_bad_option("sites", "1", -EINVAL,
			  "sites: is a list; give it in the file");
}

static void write_text(const char *path, const char *text)
{
	auto_close int fd =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void paths_in_a_file_count_from_its_directory(void **state UNUSED)
{
	char dir[] = "/tmp/config.XXXXXX";
	char path[64], want[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/lake.yaml", dir);
	snprintf(want, sizeof(want), "%s/sub/x", dir);
	write_text(path, "state: sub/x\n");
	assert_int_equal(config_read(&op, table, path, &got), 0);
	assert_string_equal(got.state, want);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void unreadable_files_are_named(void **state UNUSED)
{
	assert_int_equal(config_read(&op, table, "/nowhere/x", &got), -ENOENT);
	assert_string_equal(op.why, "/nowhere/x: No such file or directory");
	op_forgive(&op);
	assert_int_equal(config_read(&op, table, "/dev", &got), -EINVAL);
	assert_string_equal(op.why, "/dev: not a regular file");
}

static const struct {
	const char *text;
	bool ok;
	unsigned long long value;
} sizes[] = {
	{"0", true, 0},
	{"4096", true, 4096},
	{"4096B", true, 4096},
	{"64KiB", true, 65536},
	{"1GB", true, 1000000000},
	{"5TiB", true, 5ULL << 40},
	{"1.5KiB", true, 1536},
	{"16777215TiB", true, 16777215ULL << 40},
	{"18446744073709551615", true, ~0ULL},
	{"18446744073709551616", false, 0},
	{"16EiB", false, 0},
	{"1.3B", false, 0},
	{"", false, 0},
	{"-1", false, 0},
	{"+1", false, 0},
	{" 1", false, 0},
	{"1 ", false, 0},
	{"1 GiB", false, 0},
	{"1G", false, 0},
	{"1gib", false, 0},
	{"1.", false, 0},
	{".5GiB", false, 0},
	{"0x10", false, 0},
	{"1e3", false, 0},
	{"GiB", false, 0},
	{"999999999999999999999", false, 0},
};

static void sizes_are_exact_or_refused(void **state UNUSED)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		unsigned long long n = 0;
		int rc = parse_size(sizes[i].text, &n);

		if (rc != (sizes[i].ok ? 0 : -EINVAL) || n != sizes[i].value)
			fail_msg("%s: %d, %llu", sizes[i].text, rc, n);
	}
}

static void times_need_their_unit(void **state UNUSED)
{
	unsigned long long ns;

	assert_int_equal(parse_time("250ms", &ns), 0);
	assert_int_equal(ns, 250000000);
	assert_int_equal(parse_time("2.5s", &ns), 0);
	assert_int_equal(ns, 2500000000);
	assert_int_equal(parse_time("1h", &ns), 0);
	assert_int_equal(ns, 3600000000000);
	assert_int_equal(parse_time("0", &ns), 0);
	assert_int_equal(ns, 0);
	assert_int_equal(parse_time("250", &ns), -EINVAL);
	assert_int_equal(parse_time("1 s", &ns), -EINVAL);
	assert_int_equal(parse_time("300000d", &ns), -EINVAL);
}

static void cut_files_never_hurt(void **state UNUSED)
{
	static const char text[] =
		"state: /x\ncache: {size: 1GiB, keep: true}\n"
		"sites:\n  - {name: a, url: \"gs://x\", weight: 3}\n";

	for (size_t n = 0; n < sizeof(text); n++) {
		auto_free char *part = malloc(n + 1);

		memcpy(part, text, n);
		op_forgive(&op);
		config_parse(&op, table, "f", part, n, &got);
		for (size_t i = 0; i < n; i++) {
			part[i] ^= 0x15;
			op_forgive(&op);
			config_parse(&op, table, "f", part, n, &got);
			part[i] ^= 0x15;
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, done)
	const struct CMUnitTest tests[] = {
		TEST(defaults_come_from_the_table),
		TEST(a_file_sets_what_it_names),
		TEST(json_is_read_like_yaml),
		TEST(an_empty_file_keeps_the_defaults),
		TEST(a_list_read_again_replaces_the_first),
		TEST(unknown_keys_suggest_the_nearest),
		TEST(doubled_keys_are_errors),
		TEST(wrong_types_are_errors),
		TEST(values_out_of_range_are_errors),
		TEST(missing_required_keys_are_errors),
		TEST(broken_yaml_is_an_error_with_its_line),
		TEST(aliases_end),
		TEST(options_name_members_with_a_dot),
		TEST(wrong_options_say_what_to_do),
		TEST(paths_in_a_file_count_from_its_directory),
		TEST(unreadable_files_are_named),
		TEST(sizes_are_exact_or_refused),
		TEST(times_need_their_unit),
		TEST(cut_files_never_hurt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
