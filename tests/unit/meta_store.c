/* What meta/store.h promises about damage. */
#include "meta/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/op.h"
#include "meta/conn.h"
#include "tests/lib/cmocka.h"

static char dir[] = "/tmp/store.XXXXXX";
static char path[64];
static struct store *store;
static pthread_barrier_t both;

static int setup(void **state UNUSED)
{
	struct op op;

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	assert_true(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/meta.db", dir);
	op_init(&op, 0);
	assert_int_equal(catalogue_open(&op, path, "gs://lake", &store), 0);
	return 0;
}

static int teardown(void **state UNUSED)
{
	char cmd[100];

	catalogue_close(store);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static bool aside(int n)
{
	char name[100];

	snprintf(name, sizeof(name), "%s.damaged-%d", path, n);
	return access(name, F_OK) == 0;
}

static int count(struct op *op, struct conn *conn, void *arg UNUSED)
{
	int64_t n;
	int rc = conn_number(op, conn, "SELECT count(*) FROM dirs", &n);

	return rc < 0 ? rc : (int)n;
}

static int change(struct op *op, struct conn *conn, void *arg UNUSED)
{
	return conn_exec(op, conn, "UPDATE dirs SET flags=1");
}

/* As if the connection had met a page of junk. */
static int meet_damage(struct op *op, struct conn *conn, void *arg)
{
	if (arg)
		pthread_barrier_wait(arg);
	conn->damaged = true;
	return op_fail(op, -EIO, "damage");
}

static void *read_damage(void *arg)
{
	struct op op;

	op_init(&op, 0);
	assert_int_equal(store_read(&op, store, meet_damage, arg), -EIO);
	return NULL;
}

static void readers_who_meet_one_damage_rebuild_once(void **state UNUSED)
{
	pthread_t threads[2];
	struct op op;

	pthread_barrier_init(&both, NULL, 2);
	for (unsigned i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, read_damage, &both);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&both);
	assert_true(aside(1));
	assert_false(aside(2));
	op_init(&op, 0);
	assert_int_equal(store_read(&op, store, count, NULL), 1);

	/* Damage of the new file is another one. */
	read_damage(NULL);
	assert_true(aside(2));
	assert_int_equal(store_write(&op, store, meet_damage, NULL), -EIO);
	assert_true(aside(3));
	assert_int_equal(store_write(&op, store, change, NULL), 0);
}

static void fill_disk(bool full)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = full ? 16 : limit.rlim_max;
	setrlimit(RLIMIT_FSIZE, &limit);
}

static void a_store_that_can_not_be_rebuilt_is_tried_again(void **state UNUSED)
{
	struct op op;

	fill_disk(true);
	read_damage(NULL);
	op_init(&op, 0);
	assert_int_equal(store_read(&op, store, count, NULL), -EIO);
	assert_int_equal(store_write(&op, store, change, NULL), -EIO);
	fill_disk(false);
	assert_int_equal(store_read(&op, store, count, NULL), -EIO);
	clock_skew_for_test(2 * NS_PER_S);
	op_init(&op, 0);
	assert_int_equal(store_read(&op, store, count, NULL), 1);
	assert_int_equal(store_write(&op, store, change, NULL), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(readers_who_meet_one_damage_rebuild_once),
		T(a_store_that_can_not_be_rebuilt_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
