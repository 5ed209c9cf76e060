#include "tests/lib/cmocka.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/op.h"
#include "serve/depot.h"

#define ATTRS "{\"contentType\":\"text/plain\",\"storageClass\":\"STANDARD\"}"
#define B "bucket"

struct fixture {
	struct depot *depot;
	char dir[64];
};

static int open_depot(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct op op;

	op_init(&op, 0);
	snprintf(f->dir, sizeof(f->dir), "%s/depot.XXXXXX", P_tmpdir);
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(depot_open(&op, f->dir, false, &f->depot), 0);
	assert_int_equal(depot_bucket_make(f->depot, B, NULL), 0);
	*state = f;
	return 0;
}

static int close_depot(void **state)
{
	struct fixture *f = *state;
	char command[100];

	depot_close(f->depot);
	snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static int put(struct depot *d, const struct depot_ref *ref, const char *bytes,
	       struct depot_object *ret_object)
{
	struct depot_upload *u;
	int rc = depot_upload_new(d, &u);

	assert_int_equal(rc, 0);
	assert_int_equal(depot_upload_add(u, bytes, strlen(bytes)), 0);
	rc = depot_put(d, u, ref, ATTRS, ret_object);
	depot_upload_free(u);
	return rc;
}

static void put_name(struct depot *d, const char *name)
{
	const struct depot_ref ref = {.bucket = B, .name = name};

	assert_int_equal(put(d, &ref, name, NULL), 0);
}

static void check_bytes(int fd, const char *bytes)
{
	char buffer[100] = "";

	assert_int_equal(pread(fd, buffer, sizeof(buffer) - 1, 0),
			 strlen(bytes));
	assert_string_equal(buffer, bytes);
}

static void what_was_put_is_got(void **state)
{
	struct depot *d = ((struct fixture *)*state)->depot;
	static const char *const names[] = {"a",    "a/b", "a//b", "../../x",
					    "\xff", "%2F", " ",	   "a/"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put_name(d, names[i]);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct depot_ref ref = {.bucket = B, .name = names[i]};
		struct depot_object o;
		int fd;

		assert_int_equal(depot_get(d, &ref, &o, &fd), 0);
		check_bytes(fd, names[i]);
		assert_string_equal(o.name, names[i]);
		assert_int_equal(o.crc32c,
				 crc32c(0, names[i], strlen(names[i])));
		assert_true(o.has_md5);
		depot_object_done(&o);
		close(fd);
	}
}

static void a_reader_keeps_its_generation(void **state)
{
	struct depot *d = ((struct fixture *)*state)->depot;
	struct depot_ref ref = {.bucket = B, .name = "x"};
	struct depot_object first, second;
	int fd;

	assert_int_equal(put(d, &ref, "old", NULL), 0);
	assert_int_equal(depot_get(d, &ref, &first, &fd), 0);
	assert_int_equal(put(d, &ref, "newer", &second), 0);
	assert_true(second.generation > first.generation);
	check_bytes(fd, "old");
	close(fd);
	ref.generation = first.generation;
	depot_object_done(&first);
	depot_object_done(&second);
	assert_int_equal(depot_get(d, &ref, &first, NULL), -ENOENT);
}

static void a_failed_precondition_changes_nothing(void **state)
{
	struct depot *d = ((struct fixture *)*state)->depot;
	struct depot_ref ref = {.bucket = B, .name = "x"};
	struct depot_object o, now;

	assert_int_equal(put(d, &ref, "one", &o), 0);
	ref.cond.has = DEPOT_IF_GEN;
	ref.cond.gen = 0;
	assert_int_equal(put(d, &ref, "two", NULL), -ESTALE);
	ref.cond.gen = o.generation + 1;
	assert_int_equal(put(d, &ref, "two", NULL), -ESTALE);
	assert_int_equal(depot_delete(d, &ref), -ESTALE);
	ref.cond.has = DEPOT_IF_NOT_GEN;
	ref.cond.not_gen = o.generation;
	assert_int_equal(depot_get(d, &ref, &now, NULL), -EALREADY);
	ref.cond.has = DEPOT_IF_GEN;
	ref.cond.gen = o.generation;
	assert_int_equal(depot_get(d, &ref, &now, NULL), 0);
	assert_int_equal(now.size, 3);
	depot_object_done(&o);
	depot_object_done(&now);
}

static void a_versioned_bucket_keeps_old_generations(void **state)
{
	struct depot *d = ((struct fixture *)*state)->depot;
	struct depot_ref ref = {.bucket = B, .name = "x"};
	struct depot_object first, o;

	assert_int_equal(
		depot_bucket_patch(d, B, "{\"versioning\":{\"enabled\":true}}"),
		0);
	assert_int_equal(put(d, &ref, "one", &first), 0);
	assert_int_equal(put(d, &ref, "two", NULL), 0);
	assert_int_equal(depot_delete(d, &ref), 0);
	assert_int_equal(depot_get(d, &ref, &o, NULL), -ENOENT);
	ref.generation = first.generation;
	assert_int_equal(depot_get(d, &ref, &o, NULL), 0);
	assert_true(o.deleted_us > 0);
	depot_object_done(&o);
	assert_int_equal(depot_delete(d, &ref), 0);
	assert_int_equal(depot_get(d, &ref, &o, NULL), -ENOENT);
	depot_object_done(&first);
}

static void a_move_leaves_one_name(void **state)
{
	struct depot *d = ((struct fixture *)*state)->depot;
	const struct depot_copy c = {.from = {.bucket = B, .name = "x"},
				     .to = {.bucket = B, .name = "y"},
				     .move = true};
	struct depot_object o;
	int fd;

	put_name(d, "x");
	assert_int_equal(depot_copy(d, &c, NULL), 0);
	assert_int_equal(depot_get(d, &c.from, &o, NULL), -ENOENT);
	assert_int_equal(depot_get(d, &c.to, &o, &fd), 0);
	check_bytes(fd, "x");
	close(fd);
	depot_object_done(&o);
}

static void composed_bytes_stand_behind_each_other(void **state)
{
	struct depot *d = ((struct fixture *)*state)->depot;
	const struct depot_ref from[] = {{.bucket = B, .name = "x"},
					 {.bucket = B, .name = "yy"},
					 {.bucket = B, .name = "x"}};
	const struct depot_ref to = {.bucket = B, .name = "all"};
	struct depot_object o;

	put_name(d, "x");
	put_name(d, "yy");
	assert_int_equal(depot_compose(d, from, 3, &to, ATTRS, &o), 0);
	assert_int_equal(o.size, 4);
	assert_int_equal(o.components, 3);
	assert_false(o.has_md5);
	assert_int_equal(o.crc32c, crc32c(0, "xyyx", 4));
	depot_object_done(&o);
}

/* ---- races ---- */

#define RACERS 4
#define ROUNDS 20

struct race {
	struct depot *depot;
	pthread_barrier_t gate;
	atomic_int n_won;
	atomic_int n_lost;
};

static void *run_race(void *ctx)
{
	struct race *race = ctx;

	for (int i = 0; i < ROUNDS; i++) {
		char name[24];
		struct depot_ref ref = {.bucket = B, .name = name};
		int rc;

		snprintf(name, sizeof(name), "race-%d", i);
		ref.cond.has = DEPOT_IF_GEN;
		pthread_barrier_wait(&race->gate);
		rc = put(race->depot, &ref, "mine", NULL);
		atomic_fetch_add(rc == 0 ? &race->n_won : &race->n_lost, 1);
		assert_true(rc == 0 || rc == -ESTALE);
	}
	return NULL;
}

static void of_racing_creators_one_wins(void **state)
{
	struct race race = {.depot = ((struct fixture *)*state)->depot};
	pthread_t threads[RACERS];

	pthread_barrier_init(&race.gate, NULL, RACERS);
	for (int i = 0; i < RACERS; i++)
		pthread_create(&threads[i], NULL, run_race, &race);
	for (int i = 0; i < RACERS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&race.gate);
	assert_int_equal(race.n_won, ROUNDS);
	assert_int_equal(race.n_lost, ROUNDS * (RACERS - 1));
}

/* ---- listings ---- */

#define N_NAMES 120
#define MAX_ROWS 300

/* A listing as lines: "i NAME" for an item, "p PREFIX". */
struct rows {
	char *row[MAX_ROWS];
	size_t n;
};

static void add_row(struct rows *rows, char kind, const char *name, size_t n)
{
	assert_true(rows->n < MAX_ROWS);
	assert_true(asprintf(&rows->row[rows->n++], "%c %.*s", kind, (int)n,
			     name) > 0);
}

static void add_item(void *ctx, const struct depot_object *o)
{
	add_row(ctx, 'i', o->name, strlen(o->name));
}

static void add_fold(void *ctx, const char *prefix, size_t n)
{
	add_row(ctx, 'p', prefix, n);
}

static void free_rows(struct rows *rows)
{
	for (size_t i = 0; i < rows->n; i++)
		free(rows->row[i]);
	rows->n = 0;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What a listing has to be, the slow and plain way; names are sorted. */
static void expect_rows(char **names, const struct depot_list *l,
			struct rows *rows)
{
	char last[32] = "";

	for (size_t i = 0; i < N_NAMES; i++) {
		const char *name = names[i], *hit = NULL;
		size_t n;

		if ((i > 0 && strcmp(name, names[i - 1]) == 0) ||
		    strncmp(name, l->prefix, strlen(l->prefix)) != 0 ||
		    strcmp(name, l->start) < 0 ||
		    (*l->end && strcmp(name, l->end) >= 0))
			continue;
		if (*l->delimiter)
			hit = strstr(name + strlen(l->prefix), l->delimiter);
		if (!hit) {
			add_row(rows, 'i', name, strlen(name));
			continue;
		}
		n = (size_t)(hit - name) + strlen(l->delimiter);
		if (strlen(last) == n && strncmp(last, name, n) == 0)
			continue;
		snprintf(last, sizeof(last), "%.*s", (int)n, name);
		add_row(rows, 'p', name, n);
	}
}

static void list_by_pages(struct depot *d, const struct depot_list *l)
{
	const struct rows *rows = l->ctx;
	struct depot_list page = *l;
	struct depot_place from, next;
	size_t before;
	int rc;

	do {
		before = rows->n;
		rc = depot_list(d, &page, &next);
		assert_true(rc >= 0);
		assert_true(rows->n - before <= l->max);
		assert_true(rc == 0 || rows->n > before);
		from = next;
		page.from = &from;
	} while (rc > 0);
}

static void check_listing(struct depot *d, char **names, struct depot_list *l)
{
	struct rows want = {.n = 0}, got = {.n = 0};

	l->bucket = B;
	l->item = add_item;
	l->fold = add_fold;
	l->ctx = &got;
	expect_rows(names, l, &want);
	list_by_pages(d, l);
	assert_int_equal(got.n, want.n);
	for (size_t i = 0; i < got.n; i++)
		assert_string_equal(got.row[i], want.row[i]);
	free_rows(&want);
	free_rows(&got);
}

static const char *pick(unsigned *seed, const char *const *from, size_t n)
{
	return from[(size_t)rand_r(seed) % n];
}

#define PICK(seed, ...)                                  \
	pick((seed), (const char *const[]){__VA_ARGS__}, \
	     sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* Names of few letters, so that prefixes and edges happen often. */
static char *random_name(unsigned *seed)
{
	char name[16];
	int n = 1 + rand_r(seed) % 6;

	for (int i = 0; i < n; i++)
		name[i] = "ab//-\xff"[rand_r(seed) % 6];
	name[n] = '\0';
	return strdup(name);
}

static void pages_are_the_listing_in_pieces(void **state)
{
	struct depot *d = ((struct fixture *)*state)->depot;
	char *names[N_NAMES];
	unsigned seed = 7;

	for (size_t i = 0; i < N_NAMES; i++) {
		names[i] = random_name(&seed);
		put_name(d, names[i]);
	}
	qsort(names, N_NAMES, sizeof(names[0]), by_bytes);
	for (int i = 0; i < 400; i++) {
		struct depot_list l = {
			.prefix = PICK(&seed, "", "", "a", "a/", "\xff", "b-"),
			.delimiter = PICK(&seed, "", "/", "/", "-", "//"),
			.start = PICK(&seed, "", "", "a", "a/b", "b"),
			.end = PICK(&seed, "", "", "b", "b/", "\xff"),
			.max = 1 + (size_t)rand_r(&seed) % 9,
		};

		check_listing(d, names, &l);
	}
	for (size_t i = 0; i < N_NAMES; i++)
		free(names[i]);
}

static void a_missing_bucket_is_told_apart(void **state)
{
	struct depot *d = ((struct fixture *)*state)->depot;
	const struct depot_ref ref = {.bucket = "none", .name = "x"};
	struct depot_object o;

	assert_int_equal(depot_get(d, &ref, &o, NULL), -ENXIO);
	assert_int_equal(put(d, &ref, "x", NULL), -ENXIO);
	assert_int_equal(depot_bucket_make(d, B, NULL), -EEXIST);
	put_name(d, "x");
	assert_int_equal(depot_bucket_drop(d, B), -ENOTEMPTY);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, open_depot, close_depot)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_put_is_got),
		TEST(a_reader_keeps_its_generation),
		TEST(a_failed_precondition_changes_nothing),
		TEST(a_versioned_bucket_keeps_old_generations),
		TEST(a_move_leaves_one_name),
		TEST(composed_bytes_stand_behind_each_other),
		TEST(of_racing_creators_one_wins),
		TEST(pages_are_the_listing_in_pieces),
		TEST(a_missing_bucket_is_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
