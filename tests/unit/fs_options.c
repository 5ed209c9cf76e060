/* What fs/options.h promises. */
#include "fs/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/op.h"
#include "tests/lib/cmocka.h"

static char path[64];
static struct mount_options options;
static struct op op;

static int load_text(const char *text, const char *opts)
{
	FILE *f;
	int fd;

	strcpy(path, "/tmp/fs_options.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	f = fdopen(fd, "w");
	fputs(text, f);
	fclose(f);
	memset(&options, 0, sizeof(options));
	op_init(&op, 0);
	fd = options_load(&op, path, opts, &options);
	unlink(path);
	return fd;
}

static void the_example_of_the_manual_is_taken(void **state UNUSED)
{
	struct lake_config lake;

	assert_int_equal(
		load_text("record: {url: gs://sales-lake, credentials: adc}\n"
			  "replicas:\n"
			  "  - {name: dc1, url: s3://sales-lake, endpoint: "
			  "https://s3.dc1.example, stamp: "
			  "x-amz-meta-generation}\n"
			  "  - {name: nfs, url: file:///mnt/lake, stamp: "
			  "user.generation}\n"
			  "here: dc1\n"
			  "state: /var/lib/lakefuse/sales\n"
			  "cache: {size: 200GiB}\n"
			  "classes: [{match: \"**/reference/**\", class: "
			  "bounded, seconds: 60}]\n"
			  "guards: [{match: \"**/_ledger/*.json\"}]\n"
			  "on_record_loss: fail\n",
			  NULL),
		0);
	options_lake(&options, 0, &lake);
	assert_int_equal(lake.n_sites, 3);
	assert_string_equal(lake.sites[0].name, "record");
	assert_string_equal(lake.sites[2].url, "file:///mnt/lake");
	assert_true(lake.sites[1].path_style);
	assert_true(options.cache.size_bytes == 200ULL << 30);
	assert_int_equal(options.classes[0].seconds, 60);
	options_done(&options);
}

static void an_unknown_key_is_named_with_its_line(void **state UNUSED)
{
	assert_int_equal(
		load_text("record: {url: gs://b}\nreplica: []\n", NULL),
		-EINVAL);
	assert_non_null(strstr(op.why, ":2: replica"));
	options_done(&options);
}

static void options_win_over_the_file(void **state UNUSED)
{
	assert_int_equal(load_text("record: {url: gs://b}\nstate: /a\n",
				   "ro,state=/b,cache.size=1GiB,noauto"),
			 0);
	assert_string_equal(options.state, "/b");
	assert_true(options.cache.size_bytes == 1ULL << 30);
	options_done(&options);
}

static void the_record_must_be_there_and_unlike_a_replica(void **state UNUSED)
{
	assert_int_equal(load_text("here: dc1\n", NULL), -EINVAL);
	options_done(&options);
	assert_int_equal(load_text("record: {url: gs://b}\n"
				   "replicas: [{name: record, url: s3://b}]\n",
				   NULL),
			 -EINVAL);
	options_done(&options);
	assert_int_equal(load_text("record: {url: gs://b}\n"
				   "replicas: [{name: a, url: s3://b}, "
				   "{name: a, url: s3://c}]\n",
				   NULL),
			 -EINVAL);
	options_done(&options);
}

static void a_bucket_alone_is_enough(void **state UNUSED)
{
	memset(&options, 0, sizeof(options));
	op_init(&op, 0);
	assert_int_equal(options_load(&op, "gs://lake/sub", NULL, &options), 0);
	assert_non_null(strstr(options.state, "lakefuse/lake_sub"));
	assert_true(options.uid == UID_UNSET);
	options_done(&options);
	memset(&options, 0, sizeof(options));
	op_init(&op, 0);
	assert_int_equal(options_load(&op, "s3://lake", NULL, &options),
			 -EINVAL);
	options_done(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_manual_is_taken),
		cmocka_unit_test(an_unknown_key_is_named_with_its_line),
		cmocka_unit_test(options_win_over_the_file),
		cmocka_unit_test(the_record_must_be_there_and_unlike_a_replica),
		cmocka_unit_test(a_bucket_alone_is_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
