/* What base/pool.h promises. */
#include "base/pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/lock.h"
#include "tests/lib/cmocka.h"

/* Jobs wait at a gate, so that a test knows how many run at once. */
static struct mutex lock;
static struct cond changed;
static bool gate_open;
static int n_inside, n_inside_max;
static atomic_int n_ran;

struct numbered {
	struct job job;
	int number;
};

static int order[1000];

static int init(void **state UNUSED)
{
	mutex_init(&lock, RANK_FS);
	cond_init(&changed);
	gate_open = false;
	n_inside = n_inside_max = 0;
	atomic_store(&n_ran, 0);
	return 0;
}

static int done(void **state UNUSED)
{
	cond_done(&changed);
	mutex_done(&lock);
	return 0;
}

static void wait_at_gate(struct job *job)
{
	mutex_lock(&lock);
	if (++n_inside > n_inside_max)
		n_inside_max = n_inside;
	cond_wake_all(&changed);
	while (!gate_open)
		cond_wait(&changed, &lock, 0);
	n_inside--;
	mutex_unlock(&lock);
	atomic_fetch_add(&n_ran, 1);
	free(job);
}

static void open_gate(void)
{
	mutex_lock(&lock);
	gate_open = true;
	cond_wake_all(&changed);
	mutex_unlock(&lock);
}

static void wait_inside(int n)
{
	mutex_lock(&lock);
	while (n_inside < n)
		cond_wait(&changed, &lock, 0);
	mutex_unlock(&lock);
}

static void note_order(struct job *job)
{
	struct numbered *mine = (struct numbered *)(void *)job;

	order[atomic_fetch_add(&n_ran, 1)] = mine->number;
	free(mine);
}

static void run_new(struct pool *pool, void (*run)(struct job *), int number)
{
	struct numbered *mine = malloc(sizeof(*mine));

	mine->job.run = run;
	mine->number = number;
	pool_run(pool, &mine->job);
}

static struct pool *make(unsigned max_threads)
{
	struct pool *pool;

	assert_int_equal(pool_new("test", max_threads, &pool), 0);
	return pool;
}

static void every_job_runs_before_the_pool_is_gone(void **state UNUSED)
{
	struct pool *pool = make(3);

	for (int i = 0; i < 1000; i++)
		run_new(pool, note_order, i);
	pool_free(pool);
	assert_int_equal(atomic_load(&n_ran), 1000);
}

static void one_thread_keeps_the_order(void **state UNUSED)
{
	struct pool *pool = make(1);

	for (int i = 0; i < 1000; i++)
		run_new(pool, note_order, i);
	pool_free(pool);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(order[i], i);
}

static void jobs_run_side_by_side_up_to_the_limit(void **state UNUSED)
{
	struct pool *pool = make(4);

	for (int i = 0; i < 10; i++)
		run_new(pool, wait_at_gate, i);
	wait_inside(4);
	assert_int_equal(pool_queued(pool), 6);
	open_gate();
	pool_free(pool);
	assert_int_equal(n_inside_max, 4);
	assert_int_equal(atomic_load(&n_ran), 10);
}

static void an_empty_pool_goes_quietly(void **state UNUSED)
{
	pool_free(NULL);
	pool_free(make(0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, init, done)
	const struct CMUnitTest tests[] = {
		TEST(every_job_runs_before_the_pool_is_gone),
		TEST(one_thread_keeps_the_order),
		TEST(jobs_run_side_by_side_up_to_the_limit),
		TEST(an_empty_pool_goes_quietly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
