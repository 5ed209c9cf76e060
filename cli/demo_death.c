#include "cli/demo_death.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "cli/demo_http.h"
#include "cli/demo_show.h"
#include "cli/json.h"

/*
 * The reader is a real sha256sum on an open file that it shares with us: its
 * file position is ours, and tells when the read is well under way.
 */

#define BIG_PATH DEMO_MOUNT "/" DEMO_BIG_NAME
#define KILL_AT (DEMO_BIG_SIZE / 4)
#define READ_S 40
#define STATUS_MAX (64u << 10) /* what an attribute can hold */

static pid_t start_reader(int file, int *ret_fd)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		stage_child_begins();
		dup2(file, STDIN_FILENO);
		dup2(fds[1], STDOUT_FILENO);
		execlp("sha256sum", "sha256sum", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		*ret_fd = fds[0];
	return pid;
}

static int await_position(struct op *op, int file, off_t wanted)
{
	uint64_t end_ns = clock_mono_ns() + READ_S * NS_PER_S;

	while (lseek(file, 0, SEEK_CUR) < wanted) {
		if (stage_stopped())
			return op_fail(op, -EINTR, "demo: stopped");
		if (clock_mono_ns() > end_ns)
			return op_fail(op, -ETIMEDOUT,
				       "demo: the read does not get on");
		nanosleep(&(struct timespec){0, 5000000}, NULL);
	}
	return 0;
}

static int claim_sum(struct op *op, const struct table *t, int fd, int status)
{
	char sum[SHA256_TEXT], line[256];
	ssize_t n = read(fd, line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	show_text("%s", line);
	sha256_text(t->data, t->size, sum);
	return show_claim(op,
			  status == 0 && strncmp(line, sum, strlen(sum)) == 0,
			  "the reader got every byte of the record's, and no "
			  "error");
}

/* What a site has served so far, as the mount counts it; 0: unknown. */
static int64_t bytes_from(const char *name)
{
	auto_free char *text = calloc(1, STATUS_MAX);
	const json_t *site;
	int64_t bytes = 0;
	json_t *root;
	size_t i;

	if (!text ||
	    getxattr(DEMO_MOUNT, "user.lake.status", text, STATUS_MAX - 1) < 0)
		return 0;
	root = json_loads(text, 0, NULL);
	json_array_foreach(json_object_get(root, "sites"), i, site)
	{
		if (strcmp(json_text(site, "name"), name) == 0)
			bytes = json_number(site, "read_bytes");
	}
	json_decref(root);
	return bytes;
}

static int claim_other_site(struct op *op, int64_t before)
{
	int64_t bytes = bytes_from("dc2") - before;

	return show_claim(op, bytes > (1 << 20),
			  "dc2 went on where dc1 stopped, with %lld MiB",
			  (long long)bytes >> 20);
}

/* The reader is running: kills the site, and waits for the reader's end. */
static int kill_and_finish(struct op *op, struct demo *demo, int file,
			   pid_t reader, int *ret_status)
{
	struct stage_server *dc1 = &demo->stage->servers[DEMO_DC1];
	int rc = await_position(op, file, KILL_AT);
	int waited;

	if (rc == 0) {
		show_text("(%lld of %u MiB are read)",
			  (long long)lseek(file, 0, SEEK_CUR) >> 20,
			  DEMO_BIG_SIZE >> 20);
		show_command("kill -9 %d  # dc1", (int)dc1->pid);
		stage_kill_server(demo->stage, DEMO_DC1);
	} else {
		kill(reader, SIGKILL);
	}
	waited = stage_wait(reader, READ_S, ret_status);
	if (rc == 0 && waited < 0)
		rc = op_fail(op, waited, "demo: the reader does not end");
	return rc;
}

int demo_death(struct op *op, struct demo *demo)
{
	const struct table *t = tables_find(demo->tables, DEMO_BIG_NAME);
	auto_close int file = open(BIG_PATH, O_RDONLY | O_CLOEXEC);
	auto_close int fd = -1;
	int64_t before = bytes_from("dc2");
	int status = 0, rc;
	pid_t reader;

	if (file < 0)
		return op_fail(op, -errno, "demo: " BIG_PATH ": %s",
			       strerror(errno));
	show_text("dc1 is given 16 MB/s, so that there is time to kill it.");
	rc = demo_set_faults(op, demo->stage, DEMO_DC1,
			     "{\"latency_ms\": 5, \"bandwidth_bps\": "
			     "16000000}");
	if (rc < 0)
		return rc;
	show_command("sha256sum < " BIG_PATH " &");
	reader = start_reader(file, &fd);
	if (reader < 0)
		return op_fail(op, -errno, "demo: sha256sum: %s",
			       strerror(errno));
	rc = kill_and_finish(op, demo, file, reader, &status);
	if (rc == 0)
		rc = claim_sum(op, t, fd, status);
	if (rc == 0)
		rc = claim_other_site(op, before);
	return rc < 0 ? rc : show_done(op, "lakefuse status " DEMO_MOUNT);
}
