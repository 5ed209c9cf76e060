/* What meta/rounds.h promises to those who give up. */
#include "meta/rounds.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/op.h"
#include "tests/lib/cmocka.h"

static atomic_int n_asked;
static atomic_bool go;

/*
 * The first ask holds the second back until that has a follower; the second
 * writes its answer until the follower has given up.
 */
static int slow_ask(struct op *op UNUSED, void *arg, struct answer *ret)
{
	if (atomic_fetch_add(&n_asked, 1) == 0) {
		while (rounds_waiting(arg) < 2)
			sched_yield();
	} else {
		while (!atomic_load(&go)) {
			ret->row.size++;
			sched_yield();
		}
	}
	ret->row.generation = 5;
	return 0;
}

static void *ask_f(void *arg)
{
	struct answer answer = {.unanswered = false};
	struct op op;

	op_init(&op, 0);
	assert_int_equal(rounds_ask(&op, arg, 1, "f", slow_ask, arg, &answer),
			 0);
	assert_int_equal(answer.row.generation, 5);
	return NULL;
}

/* To be run by the thread sanitizer, too. */
static void who_gives_up_takes_no_half_answer(void **state UNUSED)
{
	struct answer answer;
	struct rounds *rounds;
	pthread_t first, second;
	struct op op;

	assert_int_equal(rounds_new(&rounds), 0);
	pthread_create(&first, NULL, ask_f, rounds);
	while (atomic_load(&n_asked) == 0)
		sched_yield();
	pthread_create(&second, NULL, ask_f, rounds);
	while (rounds_waiting(rounds) == 0)
		sched_yield();
	memset(&answer, 0, sizeof(answer));
	op_init(&op, NS_PER_S / 5);
	assert_int_equal(
		rounds_ask(&op, rounds, 1, "f", slow_ask, rounds, &answer),
		-ETIMEDOUT);
	assert_true(answer.unanswered);
	assert_int_equal(answer.row.generation, 0);
	atomic_store(&go, true);
	pthread_join(first, NULL);
	pthread_join(second, NULL);
	rounds_free(rounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_gives_up_takes_no_half_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
