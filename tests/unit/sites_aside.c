#include "tests/lib/cmocka.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/op.h"
#include "sites/aside.h"

/* A call that hangs until it is let go, as on a dead NFS server. */
struct hung {
	struct aside aside;
	int gate; /* a pipe to wait at */
	int done; /* one to tell that it is freed */
};

static int hang(struct aside *aside)
{
	char c;

	return read(((struct hung *)aside)->gate, &c, 1) < 0 ? -errno : 0;
}

static void drop_hung(struct aside *aside)
{
	struct hung *h = (struct hung *)aside;

	assert_int_equal(write(h->done, "x", 1), 1);
	free(h);
}

static void a_hung_call_costs_its_caller_only_the_limit(void **state UNUSED)
{
	struct hung *h = calloc(1, sizeof(*h));
	struct crew *crew;
	struct op op;
	int gate[2];
	int done[2];
	char c;

	assert_int_equal(pipe(gate) | pipe(done), 0);
	assert_int_equal(crew_new("test", 1, &crew), 0);
	h->gate = gate[0];
	h->done = done[1];
	op_init(&op, 0);
	aside_init(&h->aside, &op, crew, drop_hung);
	assert_int_equal(aside_do(&op, &h->aside, hang,
				  clock_mono_ns() + 10 * NS_PER_MS),
			 -EAGAIN);
	aside_leave(&h->aside);
	assert_int_equal(write(gate[1], "x", 1), 1);
	assert_int_equal(read(done[0], &c, 1), 1);
	assert_true(crew_free(crew));
	for (int i = 0; i < 2; i++) {
		close(gate[i]);
		close(done[i]);
	}
}

static int say_no(struct aside *aside)
{
	return op_fail(&aside->op, -ENOENT, "not here");
}

static void drop_plain(struct aside *aside)
{
	free(aside);
}

static void a_step_s_reason_reaches_the_caller(void **state UNUSED)
{
	struct aside *aside = calloc(1, sizeof(*aside));
	struct crew *crew;
	struct op op;

	assert_int_equal(crew_new("test", 1, &crew), 0);
	op_init(&op, NS_PER_S);
	aside_init(aside, &op, crew, drop_plain);
	assert_int_equal(aside_do(&op, aside, say_no, 0), -ENOENT);
	assert_string_equal(op.why, "not here");
	aside_leave(aside);
	assert_true(crew_free(crew));
}

static void a_cancelled_caller_comes_back(void **state UNUSED)
{
	struct hung *h = calloc(1, sizeof(*h));
	struct crew *crew;
	struct op op;
	int gate[2];
	int done[2];

	assert_int_equal(pipe(gate) | pipe(done), 0);
	assert_int_equal(crew_new("test", 1, &crew), 0);
	h->gate = gate[0];
	h->done = done[1];
	op_init(&op, 0);
	op_cancel(&op);
	aside_init(&h->aside, &op, crew, drop_hung);
	assert_int_equal(aside_do(&op, &h->aside, hang, 0), -EINTR);
	aside_leave(&h->aside);
	/* Its step ends with the pipe, and frees it all. */
	close(gate[1]);
	assert_true(crew_free(crew));
	close(gate[0]);
	close(done[0]);
	close(done[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hung_call_costs_its_caller_only_the_limit),
		cmocka_unit_test(a_step_s_reason_reaches_the_caller),
		cmocka_unit_test(a_cancelled_caller_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
