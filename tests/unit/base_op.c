/* What base/op.h promises. */
#include "base/op.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "tests/lib/cmocka.h"

static void the_first_reason_stays(void **state UNUSED)
{
	struct op op;

	op_init(&op, 0);
	assert_int_equal(op_fail(&op, -EIO, "disk %d", 3), -EIO);
	assert_int_equal(op_fail(&op, -ENOENT, "later"), -ENOENT);
	assert_int_equal(op.rc, -EIO);
	assert_string_equal(op.why, "disk 3");
}

static void what_is_forgiven_makes_room_for_the_next(void **state UNUSED)
{
	struct op op;

	op_init(&op, 0);
	op_fail(&op, -EIO, "first");
	op_forgive(&op);
	assert_int_equal(op.rc, 0);
	assert_string_equal(op.why, "");
	op_fail(&op, -ENOENT, "second");
	assert_string_equal(op.why, "second");
}

static void a_long_reason_is_cut_not_overrun(void **state UNUSED)
{
	char text[1000];
	struct op op;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	op_init(&op, 0);
	op_fail(&op, -EIO, "%s", text);
	assert_int_equal(strlen(op.why), sizeof(op.why) - 1);
}

static void ids_differ_and_children_share_theirs(void **state UNUSED)
{
	struct op a, b, child;

	op_init(&a, NS_PER_S);
	op_init(&b, 0);
	assert_true(a.id != b.id);
	op_fail(&a, -EIO, "parent's");
	op_child(&child, &a, 0);
	assert_int_equal(child.id, a.id);
	assert_true(child.deadline_ns == a.deadline_ns);
	assert_int_equal(child.rc, 0);
	op_cancel(&a);
	op_child(&child, &a, 0);
	assert_int_equal(op_expired(&child), -EINTR);
}

static void an_op_ends_at_its_deadline(void **state UNUSED)
{
	struct op op;

	op_init(&op, 10 * NS_PER_S);
	assert_int_equal(op_expired(&op), 0);
	clock_skew_for_test(9 * NS_PER_S);
	assert_int_equal(op_expired(&op), 0);
	clock_skew_for_test(2 * NS_PER_S);
	assert_int_equal(op_expired(&op), -ETIMEDOUT);
	assert_int_equal(op.rc, 0);
}

static void without_a_deadline_it_goes_on(void **state UNUSED)
{
	struct op op;

	op_init(&op, 0);
	clock_skew_for_test((int64_t)(1000000 * NS_PER_S));
	assert_int_equal(op_expired(&op), 0);
	op_cancel(&op);
	assert_int_equal(op_expired(&op), -EINTR);
}

static void a_sleeper_wakes_for_the_deadline_or_the_poll(void **state UNUSED)
{
	struct op op;
	uint64_t wake_ns;

	op_init(&op, NS_PER_MS);
	assert_true(op_wake_ns(&op) == op.deadline_ns);
	op_init(&op, 0);
	wake_ns = op_wake_ns(&op);
	assert_true(wake_ns <= clock_mono_ns() + OP_POLL_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_reason_stays),
		cmocka_unit_test(what_is_forgiven_makes_room_for_the_next),
		cmocka_unit_test(a_long_reason_is_cut_not_overrun),
		cmocka_unit_test(ids_differ_and_children_share_theirs),
		cmocka_unit_test(an_op_ends_at_its_deadline),
		cmocka_unit_test(without_a_deadline_it_goes_on),
		cmocka_unit_test(a_sleeper_wakes_for_the_deadline_or_the_poll),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
