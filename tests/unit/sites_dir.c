#include "tests/lib/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/op.h"
#include "sites/dir_path.h"
#include "sites/dir_sum.h"
#include "sites/site.h"

#define MIB (1u << 20)

struct room {
	char top[64];
	char root[80];
	struct site *site;
	struct op op;
};

static struct site *open_site(struct room *r)
{
	char url[100];
	struct site_config config = {.name = (char *)(uintptr_t) "nfs",
				     .url = url};
	struct lake_config lake = {.remember_dir = r->top};
	struct site *site;

	snprintf(url, sizeof(url), "file://%s", r->root);
	assert_int_equal(site_dir.open(&r->op, &config, &lake, NULL, &site), 0);
	return site;
}

static int enter(void **state)
{
	struct room *r = calloc(1, sizeof(*r));

	snprintf(r->top, sizeof(r->top), "/var/tmp/lakefuse-dir-XXXXXX");
	assert_non_null(mkdtemp(r->top));
	snprintf(r->root, sizeof(r->root), "%s/root", r->top);
	assert_int_equal(mkdir(r->root, 0755), 0);
	op_init(&r->op, 20 * NS_PER_S);
	r->site = open_site(r);
	*state = r;
	return 0;
}

static int leave(void **state)
{
	struct room *r = *state;
	char command[100];

	site_dir.close(r->site);
	snprintf(command, sizeof(command), "rm -rf '%s'", r->top);
	assert_int_equal(system(command), 0);
	free(r);
	return 0;
}

/* Writes a file below the root, its directories, too. */
static void put(struct room *r, const char *name, const void *data, size_t n)
{
	char path[1200];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", r->root, name);
	for (char *p = path + strlen(r->root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), n);
	close(fd);
}

static const char *path_of(struct room *r, const char *name)
{
	static char path[1200];

	snprintf(path, sizeof(path), "%s/%s", r->root, name);
	return path;
}

static int stat_name(struct room *r, const char *name, struct object_info *info)
{
	op_forgive(&r->op);
	return site_dir.stat(&r->op, r->site, name, 0, info);
}

static void a_stamp_is_read_from_its_xattr(void **state)
{
	struct room *r = *state;
	struct object_info info;

	put(r, "a/b", "hello", 5);
	if (setxattr(path_of(r, "a/b"), "user.generation", "1700000000000001\n",
		     17, 0) < 0)
		skip(); /* a file system without them */
	assert_int_equal(stat_name(r, "a/b", &info), 0);
	assert_int_equal(info.stamp, 1700000000000001);
	assert_int_equal(info.size, 5);
	assert_string_equal(info.name, "a/b");
	assert_int_equal(info.has, 0);
	object_info_done(&info);

	setxattr(path_of(r, "a/b"), "user.generation", "12x", 3, 0);
	assert_int_equal(stat_name(r, "a/b", &info), 0);
	assert_int_equal(info.stamp, 0);
	object_info_done(&info);
}

static void without_a_stamp_the_file_is_summed(void **state)
{
	struct room *r = *state;
	auto_free char *data = malloc(3 * MIB + 7);
	struct object_info info;

	memset(data, 'x', 3 * MIB + 7);
	put(r, "small", "hello", 5);
	put(r, "large", data, 3 * MIB + 7);
	put(r, "empty", "", 0);
	assert_int_equal(stat_name(r, "small", &info), 0);
	assert_int_equal(info.has, HAS_CRC32C);
	assert_int_equal(info.crc32c, crc32c(0, "hello", 5));
	object_info_done(&info);
	assert_int_equal(stat_name(r, "large", &info), 0);
	assert_int_equal(info.has, HAS_CRC32C);
	assert_int_equal(info.crc32c, crc32c(0, data, 3 * MIB + 7));
	object_info_done(&info);
	assert_int_equal(stat_name(r, "empty", &info), 0);
	assert_int_equal(info.has, HAS_CRC32C);
	assert_int_equal(info.crc32c, 0);
	object_info_done(&info);
}

/* Adds a sum that is wrong, to see where an answer comes from. */
static void
a_sum_is_remembered_over_a_restart_until_the_file_changes(void **state)
{
	struct room *r = *state;
	char path[120];
	struct dir_sums *sums;
	struct dir_version version;
	uint32_t crc = 0;
	int fd;

	snprintf(path, sizeof(path), "%s/x.sums.db", r->top);
	put(r, "f", "hello", 5);
	fd = open(path_of(r, "f"), O_RDONLY);
	assert_int_equal(dir_version_get(fd, &version, NULL), 0);
	close(fd);

	assert_int_equal(dir_sums_open(&r->op, path, &sums), 0);
	dir_sums_add(sums, &version, 42);
	assert_false(dir_sums_find(sums, &version, &crc)); /* too fresh */
	clock_skew_for_test(3 * (int64_t)NS_PER_S);
	dir_sums_add(sums, &version, 42);
	clock_skew_for_test(-3 * (int64_t)NS_PER_S);
	assert_true(dir_sums_close(sums));

	assert_int_equal(dir_sums_open(&r->op, path, &sums), 0);
	assert_true(dir_sums_find(sums, &version, &crc));
	assert_int_equal(crc, 42);
	version.dev++; /* as a remounted NFS has it */
	assert_true(dir_sums_find(sums, &version, &crc));
	version.ctime_ns++;
	assert_false(dir_sums_find(sums, &version, &crc));
	assert_true(dir_sums_close(sums));
}

static void a_damaged_table_is_made_anew(void **state)
{
	struct room *r = *state;
	char path[120];
	struct dir_sums *sums;
	FILE *file;

	snprintf(path, sizeof(path), "%s/x.sums.db", r->top);
	file = fopen(path, "w");
	for (int i = 0; i < 3000; i++)
		fprintf(file, "not a database %d\n", i);
	fclose(file);
	assert_int_equal(dir_sums_open(&r->op, path, &sums), 0);
	assert_true(dir_sums_close(sums));
}

static void names_no_directory_holds_are_absent(void **state)
{
	static const char *const names[] = {
		"",    "/",   "/etc/passwd", "a//b",   "a/",
		"a/.", ".",   "../top",	     "a/..",   "a/../a",
		"..",  "//a", "nothing",     "file/x", "a/b/c",
	};
	struct room *r = *state;
	struct object_info info;
	char component[400];

	put(r, "file", "x", 1);
	put(r, "a/file", "x", 1);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		assert_int_equal(stat_name(r, names[i], &info), -ENOENT);
	memset(component, 'n', sizeof(component) - 1);
	component[sizeof(component) - 1] = '\0';
	assert_int_equal(stat_name(r, component, &info), -ENOENT);
	assert_int_equal(stat_name(r, "a", &info), -ENOENT);
}

static void check_links(struct room *r)
{
	struct object_info info;

	assert_int_equal(stat_name(r, "out", &info), -ENOENT);
	assert_int_equal(stat_name(r, "up/secret", &info), -ENOENT);
	assert_int_equal(stat_name(r, "alias", &info), -ENOENT);
	assert_int_equal(stat_name(r, "inner/file", &info), -ENOENT);
	assert_int_equal(stat_name(r, "fifo", &info), -ENOENT);
	assert_int_equal(stat_name(r, "d/file", &info), 0);
	object_info_done(&info);
}

static void no_link_is_followed_and_no_special_file_opened(void **state)
{
	struct room *r = *state;
	char secret[100];
	FILE *file;

	snprintf(secret, sizeof(secret), "%s/secret", r->top);
	file = fopen(secret, "w");
	fputs("secret", file);
	fclose(file);
	put(r, "d/file", "x", 1);
	assert_int_equal(symlink(secret, path_of(r, "out")), 0);
	assert_int_equal(symlink("..", path_of(r, "up")), 0);
	assert_int_equal(symlink("d/file", path_of(r, "alias")), 0);
	assert_int_equal(symlink("d", path_of(r, "inner")), 0);
	assert_int_equal(mkfifo(path_of(r, "fifo"), 0644), 0);
	check_links(r);
	dir_path_without_openat2_for_test(true);
	check_links(r);
	dir_path_without_openat2_for_test(false);
}

/* Reads */

struct witness {
	struct room *room;
	struct object_info seen; /* numbers only */
	char validator[120];
	int refuse;
	size_t last_progress;
	const char *replace_at_progress;
};

static int witness_accept(void *arg, const struct object_info *info)
{
	struct witness *w = arg;

	w->seen = *info;
	snprintf(w->validator, sizeof(w->validator), "%s", info->validator);
	return w->refuse;
}

static void witness_progress(void *arg, size_t n_done)
{
	struct witness *w = arg;
	int fd;

	w->last_progress = n_done;
	if (!w->replace_at_progress)
		return;
	fd = open(path_of(w->room, w->replace_at_progress), O_WRONLY);
	assert_int_equal(pwrite(fd, "!", 1, 10), 1);
	close(fd);
	w->replace_at_progress = NULL;
}

static int read_some(struct room *r, struct witness *w, struct site_read *read)
{
	w->room = r;
	read->accept = witness_accept;
	read->progress = witness_progress;
	read->arg = w;
	op_forgive(&r->op);
	return site_dir.read(&r->op, r->site, read);
}

static void a_range_is_read_with_its_proof(void **state)
{
	struct room *r = *state;
	char buf[8] = "";
	struct witness w = {0};
	struct site_read read = {
		.name = "f", .offset = 6, .len = 5, .buf = buf};

	put(r, "f", "hello world", 11);
	assert_int_equal(read_some(r, &w, &read), 0);
	assert_string_equal(buf, "world");
	assert_int_equal(read.n_done, 5);
	assert_int_equal(w.last_progress, 5);
	assert_true(read.latency_ns > 0);
	assert_int_equal(w.seen.size, 11);
	assert_int_equal(w.seen.has, HAS_CRC32C);
	assert_int_equal(w.seen.crc32c, crc32c(0, "hello world", 11));

	read.validator = w.validator;
	assert_int_equal(read_some(r, &w, &read), 0);
	read.offset = 8;
	assert_int_equal(read_some(r, &w, &read), -EPROTO); /* past its end */
}

static void a_refused_copy_gives_no_bytes(void **state)
{
	struct room *r = *state;
	char buf[8] = "";
	struct witness w = {.refuse = -ESTALE};
	struct site_read read = {.name = "f", .len = 5, .buf = buf};

	put(r, "f", "hello", 5);
	assert_int_equal(read_some(r, &w, &read), -ESTALE);
	assert_int_equal(read.n_done, 0);
	assert_string_equal(buf, "");
}

static void a_large_file_is_not_summed_by_a_read(void **state)
{
	struct room *r = *state;
	auto_free char *data = calloc(1, 2 * MIB);
	char buf[8];
	struct witness w = {0};
	struct site_read read = {.name = "f", .len = 5, .buf = buf};

	put(r, "f", data, 2 * MIB);
	assert_int_equal(read_some(r, &w, &read), 0);
	assert_int_equal(w.seen.has, 0);
}

static void a_replaced_file_is_stale_under_its_validator(void **state)
{
	struct room *r = *state;
	char buf[8];
	char from[1200];
	struct witness w = {0};
	struct site_read read = {.name = "f", .len = 5, .buf = buf};

	put(r, "f", "hello", 5);
	assert_int_equal(read_some(r, &w, &read), 0);
	put(r, "g", "HELLO", 5);
	snprintf(from, sizeof(from), "%s", path_of(r, "g"));
	assert_int_equal(rename(from, path_of(r, "f")), 0);
	read.validator = w.validator;
	assert_int_equal(read_some(r, &w, &read), -ESTALE);
	assert_int_equal(read.n_done, 0);
}

static void a_file_changed_while_it_is_read_is_stale(void **state)
{
	struct room *r = *state;
	auto_free char *data = calloc(1, 4 * MIB);
	auto_free char *buf = malloc(4 * MIB);
	struct witness w = {.replace_at_progress = "f"};
	struct site_read read = {.name = "f", .len = 4 * MIB, .buf = buf};

	put(r, "f", data, 4 * MIB);
	usleep(20000); /* beyond the resolution of a ctime */
	assert_int_equal(read_some(r, &w, &read), -ESTALE);
	/* What readers were told of stays; the chunk that failed never counts. */
	assert_int_equal(read.n_done, MIB);
	assert_int_equal(w.last_progress, MIB);
}

/* Lists */

struct names {
	char all[8000];
	unsigned n;
};

static int note_name(void *arg, const char *name,
		     const struct object_info *info)
{
	struct names *names = arg;

	assert_true(!info == (name[strlen(name) - 1] == '/'));
	if (info) {
		assert_string_equal(info->name, name);
		assert_non_null(info->validator);
	}
	strcat(names->all, name);
	strcat(names->all, " ");
	names->n++;
	return 0;
}

/* All pages of a query, their names one after the other. */
static void list_all(struct room *r, struct list_query query,
		     struct names *names)
{
	char *token = NULL;

	*names = (struct names){0};
	op_forgive(&r->op);
	for (;;) {
		auto_free char *last = token;
		unsigned before = names->n;

		query.token = last;
		token = NULL;
		assert_int_equal(site_dir.list(&r->op, r->site, &query,
					       note_name, names, &token),
				 0);
		assert_true(!query.max || names->n - before <= query.max);
		if (!token)
			return;
	}
}

static void put_tree(struct room *r)
{
	static const char *const names[] = {
		"a.txt", "a/x", "a/y/deep", "a/y/z", "a-b",   "a0",
		"b/1",	 "b/2", "c",	    "B",     "b.d/q",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		put(r, names[i], "1", 1);
	assert_int_equal(symlink("c", path_of(r, "link")), 0);
	assert_int_equal(mkfifo(path_of(r, "pipe"), 0600), 0);
}

#define WHOLE "B a-b a.txt a/x a/y/deep a/y/z a0 b.d/q b/1 b/2 c "

static void listings_are_in_bytewise_order_of_whole_names(void **state)
{
	struct room *r = *state;
	struct names names;

	put_tree(r);
	for (unsigned max = 0; max < 13; max++) {
		list_all(r, (struct list_query){.prefix = "", .max = max},
			 &names);
		assert_string_equal(names.all, WHOLE);
		list_all(r,
			 (struct list_query){
				 .prefix = "", .delimited = true, .max = max},
			 &names);
		assert_string_equal(names.all, "B a-b a.txt a/ a0 b.d/ b/ c ");
	}
}

static void listings_keep_to_prefix_start_and_end(void **state)
{
	static const struct {
		const char *prefix, *start, *end, *want;
		bool delimited;
	} cases[] = {
		{"a/", NULL, NULL, "a/x a/y/deep a/y/z ", false},
		{"a/", NULL, NULL, "a/x a/y/ ", true},
		{"a", NULL, NULL, "a-b a.txt a/ a0 ", true},
		{"a/y", NULL, NULL, "a/y/ ", true},
		{"a/y/", NULL, NULL, "a/y/deep a/y/z ", true},
		{"b", NULL, NULL, "b.d/q b/1 b/2 ", false},
		{"", "a/y/e", "b/2", "a/y/z a0 b.d/q b/1 ", false},
		{"", "a/x", "a/y/deep", "a/x ", false},
		{"", "a/y/deep", NULL, "a/ a0 b.d/ b/ c ", true},
		{"", "a0", "c", "a0 b.d/ b/ ", true},
		{"nothing/", NULL, NULL, "", true},
		{"../", NULL, NULL, "", false},
		{"c/", NULL, NULL, "", false},
	};
	struct room *r = *state;
	struct names names;

	put_tree(r);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		list_all(r,
			 (struct list_query){.prefix = cases[i].prefix,
					     .start = cases[i].start,
					     .end = cases[i].end,
					     .delimited = cases[i].delimited,
					     .max = 2},
			 &names);
		assert_string_equal(names.all, cases[i].want);
	}
}

/* The site itself */

static void a_missing_root_says_what_to_do_and_is_no_absence(void **state)
{
	struct room *r = *state;
	struct object_info info;

	assert_int_equal(site_dir.check(&r->op, r->site), 0);
	assert_int_equal(rmdir(r->root), 0);
	assert_int_equal(site_dir.check(&r->op, r->site), -ENOENT);
	assert_non_null(strstr(r->op.why, "mount it"));
	assert_int_equal(stat_name(r, "x", &info), -EAGAIN);
}

static void *sum_large(void *arg)
{
	struct room *r = arg;
	struct object_info info;
	struct op op;

	op_init(&op, 20 * NS_PER_S);
	assert_int_equal(site_dir.stat(&op, r->site, "large", 0, &info), 0);
	assert_int_equal(info.has, HAS_CRC32C);
	object_info_done(&info);
	return NULL;
}

static void many_may_ask_for_one_sum(void **state)
{
	struct room *r = *state;
	auto_free char *data = calloc(1, 8 * MIB);
	pthread_t threads[8];

	put(r, "large", data, 8 * MIB);
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, sum_large, r);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
}

static void a_summing_goes_on_after_its_caller_left(void **state)
{
	struct room *r = *state;
	auto_free char *data = calloc(1, 8 * MIB);
	struct dir_version version;
	struct dir_sums *sums;
	struct op hasty;
	uint32_t crc = 1;
	int rc;
	int fd;

	put(r, "large", data, 8 * MIB);
	fd = open(path_of(r, "large"), O_RDONLY);
	assert_int_equal(dir_version_get(fd, &version, NULL), 0);
	assert_int_equal(dir_sums_open(&r->op, NULL, &sums), 0);
	op_init(&hasty, 1);
	rc = dir_sums_make(&hasty, sums, fd, &version, &crc);
	assert_true(rc == -ETIMEDOUT || rc == 0);
	assert_int_equal(dir_sums_make(&r->op, sums, fd, &version, &crc), 0);
	assert_int_equal(crc, crc32c(0, data, 8 * MIB));
	close(fd);
	assert_true(dir_sums_close(sums));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_stamp_is_read_from_its_xattr),
		TEST(without_a_stamp_the_file_is_summed),
		TEST(a_sum_is_remembered_over_a_restart_until_the_file_changes),
		TEST(a_damaged_table_is_made_anew),
		TEST(names_no_directory_holds_are_absent),
		TEST(no_link_is_followed_and_no_special_file_opened),
		TEST(a_range_is_read_with_its_proof),
		TEST(a_refused_copy_gives_no_bytes),
		TEST(a_large_file_is_not_summed_by_a_read),
		TEST(a_replaced_file_is_stale_under_its_validator),
		TEST(a_file_changed_while_it_is_read_is_stale),
		TEST(listings_are_in_bytewise_order_of_whole_names),
		TEST(listings_keep_to_prefix_start_and_end),
		TEST(a_missing_root_says_what_to_do_and_is_no_absence),
		TEST(many_may_ask_for_one_sum),
		TEST(a_summing_goes_on_after_its_caller_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
