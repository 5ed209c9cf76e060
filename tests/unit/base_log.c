/* What base/log.h promises. */
#include "base/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "tests/lib/cmocka.h"

static char path[] = "/tmp/log.XXXXXX";
static char got[8192];

static void begin(enum log_level level)
{
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	close(mkstemp(path));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(log_open(path, level), 0);
}

/* What was logged since begin(), after the time of each line. */
static const char *end(void)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, got, sizeof(got) - 1);

	assert_true(n >= 0);
	got[n] = '\0';
	assert_int_equal(unlink(path), 0);
	return got;
}

static void one_message_is_one_line(void **state UNUSED)
{
	const char *text;

	begin(LOG_LEVEL_INFO);
	log_warn("a site is %s", "slow");
	text = strchr(end(), ' ');
	assert_non_null(text);
	assert_string_equal(text, " warning: a site is slow\n");
}

static void nothing_from_outside_forges_a_line(void **state UNUSED)
{
	begin(LOG_LEVEL_INFO);
	log_error("%s", "x\n2026 error: forged\x1b[2J\x7f\t");
	assert_string_equal(strstr(end(), "x\\x0a"),
			    "x\\x0a2026 error: forged\\x1b[2J\\x7f\\x09\n");
}

static void lower_levels_are_silent(void **state UNUSED)
{
	begin(LOG_LEVEL_WARN);
	log_info("no");
	log_debug("no");
	assert_string_equal(end(), "");
	begin(LOG_LEVEL_DEBUG);
	log_debug("yes");
	assert_non_null(strstr(end(), "debug: yes\n"));
}

static void a_long_message_is_cut_and_ends_its_line(void **state UNUSED)
{
	char text[5000];

	memset(text, '\1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	begin(LOG_LEVEL_INFO);
	log_error("%s", text);
	end();
	assert_int_equal(strchr(got, '\n') - got, strlen(got) - 1);
	assert_true(strlen(got) < 1300);
}

static void the_file_is_its_owners(void **state UNUSED)
{
	struct stat st;

	begin(LOG_LEVEL_INFO);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	end();
	assert_true(log_open("/nowhere/x", LOG_LEVEL_INFO) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message_is_one_line),
		cmocka_unit_test(nothing_from_outside_forges_a_line),
		cmocka_unit_test(lower_levels_are_silent),
		cmocka_unit_test(a_long_message_is_cut_and_ends_its_line),
		cmocka_unit_test(the_file_is_its_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
