#include "cli/demo_show.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "cli/demo_stage.h"

#define COMMAND_S 30
#define END_S 5
#define LOOK_MS 100
#define OUTPUT_MAX (256u << 10)

static const char *bold(void)
{
	return isatty(STDOUT_FILENO) ? "\033[1m" : "";
}

static const char *plain(void)
{
	return isatty(STDOUT_FILENO) ? "\033[0m" : "";
}

void show_title(const char *text)
{
	static int n;

	printf("\n%s%d. %s%s\n", bold(), ++n, text, plain());
	fflush(stdout);
}

void show_text(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void print_command(const char *command)
{
	printf("%s$ %s%s\n", bold(), command, plain());
	fflush(stdout);
}

static char *format(const char *fmt, va_list args)
	__attribute__((format(printf, 1, 0)));

static char *format(const char *fmt, va_list args)
{
	char *text;

	return vasprintf(&text, fmt, args) < 0 ? NULL : text;
}

void show_command(const char *fmt, ...)
{
	auto_free char *command = NULL;
	va_list args;

	va_start(args, fmt);
	command = format(fmt, args);
	va_end(args);
	print_command(command ? command : "");
}

static pid_t start(const char *command, int *ret_fd)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		stage_child_begins();
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		*ret_fd = fds[0];
	return pid;
}

/* Passes on what the command says until it closes its end, and keeps it. */
static int pass_on(int fd, char *text, size_t *n)
{
	uint64_t end_ns = clock_mono_ns() + COMMAND_S * NS_PER_S;

	for (;;) {
		struct pollfd look = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (stage_stopped())
			return -EINTR;
		if (clock_mono_ns() > end_ns)
			return -ETIMEDOUT;
		if (poll(&look, 1, LOOK_MS) <= 0)
			continue;
		got = read(fd, text + *n, OUTPUT_MAX - 1 - *n);
		if (got <= 0)
			return 0;
		fwrite(text + *n, 1, (size_t)got, stdout);
		fflush(stdout);
		*n += (size_t)got;
	}
}

static int end_of(struct op *op, pid_t pid, const char *command, int rc,
		  int *ret_status)
{
	int status = 0;

	if (rc < 0)
		kill(pid, SIGKILL);
	if (rc == 0)
		rc = stage_wait(pid, END_S, &status);
	else
		stage_wait(pid, END_S, &status);
	if (rc == -EINTR)
		return op_fail(op, rc, "demo: stopped");
	if (rc < 0)
		return op_fail(op, rc, "demo: `%s` does not end", command);
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status)
					: 128 + WTERMSIG(status);
	return 0;
}

static int run(struct op *op, struct shown *ret, const char *command)
{
	auto_free char *text = malloc(OUTPUT_MAX);
	auto_close int fd = -1;
	size_t n = 0;
	pid_t pid;
	int rc;

	if (!command || !text)
		return op_fail(op, -ENOMEM, "demo: no memory");
	print_command(command);
	pid = start(command, &fd);
	if (pid < 0)
		return op_fail(op, -errno, "demo: can't run `%s`: %s", command,
			       strerror(errno));
	rc = pass_on(fd, text, &n);
	rc = end_of(op, pid, command, rc, &ret->status);
	if (rc < 0)
		return rc;
	text[n] = '\0';
	ret->text = text;
	text = NULL;
	return 0;
}

int show_run(struct op *op, struct shown *ret, const char *fmt, ...)
{
	auto_free char *command = NULL;
	va_list args;

	va_start(args, fmt);
	command = format(fmt, args);
	va_end(args);
	return run(op, ret, command);
}

int show_done(struct op *op, const char *fmt, ...)
{
	auto_free char *command = NULL;
	struct shown shown = {0};
	va_list args;
	int rc;

	va_start(args, fmt);
	command = format(fmt, args);
	va_end(args);
	rc = run(op, &shown, command);
	free(shown.text);
	if (rc == 0 && shown.status != 0)
		rc = op_fail(op, -EIO, "demo: `%s` fails with %d", command,
			     shown.status);
	return rc;
}

int show_claim(struct op *op, bool holds, const char *fmt, ...)
{
	auto_free char *claim = NULL;
	va_list args;

	va_start(args, fmt);
	claim = format(fmt, args);
	va_end(args);
	if (!holds)
		return op_fail(op, -EIO, "demo: this does not hold: %s",
			       claim ? claim : "");
	printf("  ok  %s\n", claim ? claim : "");
	fflush(stdout);
	return 0;
}
