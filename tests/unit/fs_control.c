/* What fs/control.h promises. */
#include "fs/control.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "tests/lib/cmocka.h"

static char dir[] = "/tmp/control.XXXXXX";
static char path[64];
static struct control *control;
static atomic_int n_handled;

/* Says the request back; "big" asks for a megabyte, "none" for no answer. */
static char *echo(void *arg, const char *request, size_t size)
{
	char *answer = NULL;

	assert_ptr_equal(arg, &n_handled);
	assert_int_equal(strlen(request), size);
	atomic_fetch_add(&n_handled, 1);
	if (strcmp(request, "none") == 0)
		return NULL;
	if (strcmp(request, "big") == 0) {
		answer = malloc((1 << 20) + 1);
		memset(answer, 'x', 1 << 20);
		answer[1 << 20] = '\0';
		return answer;
	}
	assert_true(asprintf(&answer, "<%s>", request) >= 0);
	return answer;
}

static int start(void **state UNUSED)
{
	struct op op;

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/control", dir);
	op_init(&op, 0);
	assert_int_equal(control_start(&op, path, echo, &n_handled, &control),
			 0);
	return 0;
}

static int stop(void **state UNUSED)
{
	control_stop(control);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static void expect_answer(const char *request, const char *want)
{
	auto_free char *answer = NULL;
	struct op op;

	op_init(&op, 20 * NS_PER_S);
	assert_int_equal(control_ask(&op, path, request, &answer), 0);
	assert_string_equal(answer, want);
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void one_line_is_answered_by_one_line(void **state UNUSED)
{
	expect_answer("{\"verb\": \"status\"}", "<{\"verb\": \"status\"}>");
	expect_answer("again", "<again>");
}

static void only_the_owner_may_ask(void **state UNUSED)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_big_answer_arrives_whole(void **state UNUSED)
{
	auto_free char *answer = NULL;
	struct op op;

	op_init(&op, 20 * NS_PER_S);
	assert_int_equal(control_ask(&op, path, "big", &answer), 0);
	assert_int_equal(strlen(answer), 1 << 20);
}

static void no_answer_is_an_error_in_words(void **state UNUSED)
{
	expect_answer("none", "{\"error\": \"out of memory\"}");
}

static void an_endless_request_is_refused(void **state UNUSED)
{
	auto_close int fd = dial();
	char block[4096], answer[100] = "";
	size_t sent = 0;

	memset(block, 'x', sizeof(block));
	while (sent < (1 << 20)) {
		ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	assert_true(sent < (1 << 20));
	assert_true(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) > 0);
	assert_string_equal(answer, "{\"error\": \"request is too long\"}\n");
	expect_answer("next", "<next>");
}

static void garbage_reaches_the_handler_as_it_is(void **state UNUSED)
{
	expect_answer("\xff\x01{[", "<\xff\x01{[>");
}

static void a_client_that_leaves_is_forgotten(void **state UNUSED)
{
	int before = atomic_load(&n_handled);

	for (int i = 0; i < 50; i++)
		close(dial());
	expect_answer("next", "<next>");
	assert_int_equal(atomic_load(&n_handled), before + 1);
}

static void a_silent_client_costs_the_next_seconds_only(void **state UNUSED)
{
	auto_close int silent = dial();
	auto_close int half = dial();

	assert_int_equal(send(half, "half a li", 9, 0), 9);
	expect_answer("next", "<next>");
	/* It reads nothing of an answer that no socket buffer holds. */
	assert_int_equal(send(silent, "big\n", 4, MSG_NOSIGNAL) < 0, 1);
}

static void stop_does_not_wait_for_clients(void **state UNUSED)
{
	auto_close int silent = dial();
	uint64_t begin_ns = clock_mono_ns();
	struct op op;

	assert_true(silent >= 0);
	control_stop(control);
	assert_true(clock_mono_ns() - begin_ns < NS_PER_S);
	op_init(&op, 0);
	assert_int_equal(control_start(&op, path, echo, &n_handled, &control),
			 0);
}

static void a_dead_socket_is_replaced_and_a_long_path_works(void **state UNUSED)
{
	char deep[400];
	struct control *other;
	auto_free char *answer = NULL;
	struct op op;

	snprintf(deep, sizeof(deep), "%s/%0200d", dir, 1);
	assert_int_equal(mkdir(deep, 0700), 0);
	strcat(deep, "/control");
	assert_int_equal(mknod(deep, S_IFREG | 0600, 0), 0);
	op_init(&op, 20 * NS_PER_S);
	assert_int_equal(control_start(&op, deep, echo, &n_handled, &other), 0);
	assert_int_equal(control_ask(&op, deep, "hi", &answer), 0);
	assert_string_equal(answer, "<hi>");
	control_stop(other);
	*strrchr(deep, '/') = '\0';
	assert_int_equal(rmdir(deep), 0);
}

static void nobody_there_is_said(void **state UNUSED)
{
	char *answer;
	struct op op;

	op_init(&op, NS_PER_S);
	assert_int_equal(control_ask(&op, "/nowhere/control", "x", &answer),
			 -ENOENT);
	assert_string_equal(op.why,
			    "/nowhere/control: no daemon answers there");
	assert_true(control_start(&op, "/nowhere/control", echo, NULL,
				  &control) < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
	const struct CMUnitTest tests[] = {
		TEST(one_line_is_answered_by_one_line),
		TEST(only_the_owner_may_ask),
		TEST(a_big_answer_arrives_whole),
		TEST(no_answer_is_an_error_in_words),
		TEST(an_endless_request_is_refused),
		TEST(garbage_reaches_the_handler_as_it_is),
		TEST(a_client_that_leaves_is_forgotten),
		TEST(a_silent_client_costs_the_next_seconds_only),
		TEST(stop_does_not_wait_for_clients),
		TEST(a_dead_socket_is_replaced_and_a_long_path_works),
		cmocka_unit_test(nobody_there_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
