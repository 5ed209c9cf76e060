/* What fs/ticket.h promises. */
#include "fs/ticket.h"

#include <string.h>

#include "base/clock.h"
#include "meta/meta.h"
#include "tests/lib/cmocka.h"

static struct tickets *tickets;
static struct entry entry, got;

static int set_up(void **state UNUSED)
{
	memset(&entry, 0, sizeof(entry));
	entry.ino = 7;
	entry.generation = 3;
	strcpy(entry.object, "t/f");
	entry.name = entry.object + 2;
	return tickets_new(&tickets);
}

static int tear_down(void **state UNUSED)
{
	tickets_free(tickets);
	return 0;
}

static void a_ticket_is_good_once(void **state UNUSED)
{
	ticket_give(tickets, 10, TICKET_OF_LOOKUP, &entry);
	assert_true(ticket_take(tickets, 10, 7, 3, &got));
	assert_string_equal(got.name, "f");
	assert_false(ticket_take(tickets, 10, 7, 3, &got));
}

static void it_is_its_threads_and_its_generations_alone(void **state UNUSED)
{
	ticket_give(tickets, 10, TICKET_OF_LOOKUP, &entry);
	assert_false(ticket_take(tickets, 11, 7, 3, &got));
	assert_false(ticket_take(tickets, 10 + 128, 7, 3, &got));
	assert_false(ticket_take(tickets, 10, 7, 4, &got));
	assert_false(ticket_take(tickets, 10, 8, 3, &got));
	assert_true(ticket_take(tickets, 10, 7, 3, &got));
}

static void a_lookup_that_did_not_ask_takes_it_away(void **state UNUSED)
{
	ticket_give(tickets, 10, TICKET_OF_LOOKUP, &entry);
	ticket_void(tickets, 10, 8);
	ticket_void(tickets, 11, 7);
	ticket_void(tickets, 10, 7);
	assert_false(ticket_take(tickets, 10, 7, 3, &got));
}

static void an_open_that_comes_again_keeps_its_own(void **state UNUSED)
{
	ticket_give(tickets, 10, TICKET_OF_OPEN, &entry);
	ticket_void(tickets, 10, 7);
	assert_true(ticket_take(tickets, 10, 7, 3, &got));
}

static void it_does_not_last(void **state UNUSED)
{
	ticket_give(tickets, 10, TICKET_OF_OPEN, &entry);
	clock_skew_for_test((int64_t)NS_PER_S);
	assert_false(ticket_take(tickets, 10, 7, 3, &got));
}

static void a_loss_is_told_once_more_and_not_for_long(void **state UNUSED)
{
	ticket_lost(tickets, 10, 1, "f");
	assert_false(ticket_was_lost(tickets, 11, 1, "f"));
	assert_false(ticket_was_lost(tickets, 10, 2, "f"));
	assert_false(ticket_was_lost(tickets, 10, 1, "g"));
	assert_true(ticket_was_lost(tickets, 10, 1, "f"));
	assert_false(ticket_was_lost(tickets, 10, 1, "f"));
	ticket_lost(tickets, 10, 1, "f");
	clock_skew_for_test((int64_t)NS_PER_S);
	assert_false(ticket_was_lost(tickets, 10, 1, "f"));
}

#define TICKET_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TICKET_TEST(a_ticket_is_good_once),
		TICKET_TEST(it_is_its_threads_and_its_generations_alone),
		TICKET_TEST(a_lookup_that_did_not_ask_takes_it_away),
		TICKET_TEST(an_open_that_comes_again_keeps_its_own),
		TICKET_TEST(it_does_not_last),
		TICKET_TEST(a_loss_is_told_once_more_and_not_for_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
