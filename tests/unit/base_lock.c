/* What base/lock.h promises. */
#include "base/lock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/lib/cmocka.h"

/* The signal that ends a child which runs act, or 0. */
static int signal_from(void (*act)(void))
{
	const struct rlimit none = {0, 0};
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL); /* cmocka catches it */
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void lock_two(int first, int second) UNCHECKED
{
	struct mutex a, b;

	mutex_init(&a, first);
	mutex_init(&b, second);
	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&a);
	assert_true(first < second);
	mutex_unlock(&b);
	assert_no_lock_held();
	mutex_done(&a);
	mutex_done(&b);
}

static void in_order(void)
{
	lock_two(RANK_FS, RANK_CACHE);
}

static void out_of_order(void)
{
	lock_two(RANK_CACHE, RANK_FS);
}

static void twice_the_same_rank(void)
{
	lock_two(RANK_META, RANK_META);
}

static void sleeps_with_a_lock(void) UNCHECKED
{
	struct mutex m;

	mutex_init(&m, RANK_META);
	mutex_lock(&m);
	assert_no_lock_held();
}

static void a_debug_build_stops_who_breaks_the_order(void **state UNUSED)
{
#ifdef NDEBUG
	skip();
#endif
	assert_int_equal(signal_from(in_order), 0);
	assert_int_equal(signal_from(out_of_order), SIGABRT);
	assert_int_equal(signal_from(twice_the_same_rank), SIGABRT);
	assert_int_equal(signal_from(sleeps_with_a_lock), SIGABRT);
}

static struct mutex lock;
static struct cond cond;
static int n_turns;

static void *wake(void *arg)
{
	(void)arg;
	mutex_lock(&lock);
	n_turns++;
	cond_wake_all(&cond);
	mutex_unlock(&lock);
	return NULL;
}

static void a_wait_ends_by_a_wake_up_or_in_time(void **state UNUSED)
{
	pthread_t thread;
	int rc;

	mutex_init(&lock, RANK_BASE);
	cond_init(&cond);
	mutex_lock(&lock);
	do {
		rc = cond_wait(&cond, &lock, clock_mono_ns() + NS_PER_MS);
	} while (rc == 0);
	assert_int_equal(rc, -ETIMEDOUT);
	assert_int_equal(pthread_create(&thread, NULL, wake, NULL), 0);
	while (n_turns == 0)
		assert_int_equal(cond_wait(&cond, &lock, 0), 0);
	mutex_unlock(&lock);
	pthread_join(thread, NULL);
	cond_done(&cond);
	mutex_done(&lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_debug_build_stops_who_breaks_the_order),
		cmocka_unit_test(a_wait_ends_by_a_wake_up_or_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
