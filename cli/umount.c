#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/mounts.h"

#define ASK_NS (3 * NS_PER_S)
#define PATIENCE_MS 2000 /* then say what we wait for */
#define REMIND_MS 10000	 /* and again */
#define FORCED_MS 5000	 /* --force does not wait longer */
#define FUSERMOUNT "fusermount3"

/*
 * The mount is gone at once, its daemon only when it has put its state in
 * order: the daemon's end is what the next mount has to wait for.
 */

/* A descriptor for the daemon's end, or -1: nobody to wait for. */
static int open_daemon(const char *point, pid_t *ret_pid)
{
	auto_free char *answer = NULL;
	json_t *root;
	struct op op;
	int fd = -1;

	op_init(&op, ASK_NS);
	if (mount_ask(&op, point, "{\"verb\": \"status\"}", &answer) < 0)
		return -1;
	root = json_loads(answer, 0, NULL);
	*ret_pid = (pid_t)json_number(root, "pid");
	json_decref(root);
	if (*ret_pid > 1)
		fd = pidfd_open(*ret_pid, 0);
	return fd;
}

static int complain_busy(const char *point)
{
	return cli_failed("%s: busy; see who holds it with `fuser -vm %s`, "
			  "close that and try again, or use --force",
			  point, point);
}

/* In the child; what fusermount3 complains goes to fd. */
static void exec_fusermount(const char *point, bool force, int fd)
{
	dup2(fd, STDERR_FILENO);
	setenv("LC_ALL", "C", 1);
	execlp(FUSERMOUNT, FUSERMOUNT, force ? "-uz" : "-u", "--", point,
	       (char *)NULL);
	fprintf(stderr, "can't run " FUSERMOUNT ": %s; install fuse3",
		strerror(errno));
	_exit(127);
}

static int run_fusermount(const char *point, bool force)
{
	char said[400] = "";
	size_t n_said = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return cli_failed("%s: %s", point, strerror(errno));
	pid = fork();
	if (pid == 0)
		exec_fusermount(point, force, fds[1]);
	close(fds[1]);
	while (pid > 0 && n_said < sizeof(said) - 1 &&
	       (n = read(fds[0], said + n_said, sizeof(said) - 1 - n_said)) > 0)
		n_said += (size_t)n;
	close(fds[0]);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return cli_failed("%s: can't run " FUSERMOUNT ": %s", point,
				  strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return EXIT_DONE;
	if (strstr(said, "busy"))
		return complain_busy(point);
	said[strcspn(said, "\n")] = '\0';
	return cli_failed("%s: %s", point, *said ? said : "not unmounted");
}

static int unmount(const char *point, bool force)
{
	int flags = UMOUNT_NOFOLLOW | (force ? MNT_DETACH : 0);

	if (geteuid() != 0)
		return run_fusermount(point, force);
	if (umount2(point, flags) == 0)
		return EXIT_DONE;
	if (errno == EBUSY)
		return complain_busy(point);
	/* Root of a container that may not mount by itself. */
	if (errno == EPERM)
		return run_fusermount(point, force);
	return cli_failed("%s: %s", point, strerror(errno));
}

static int wait_for_end(const char *point, int pidfd, pid_t pid, bool force)
{
	struct pollfd pollfd = {.fd = pidfd, .events = POLLIN};
	uint64_t begin_ns = clock_mono_ns();
	int wait_ms = PATIENCE_MS;

	if (pidfd < 0)
		return EXIT_DONE;
	while (poll(&pollfd, 1, wait_ms) <= 0) {
		uint64_t waited_ms = (clock_mono_ns() - begin_ns) / NS_PER_MS;

		if (force && waited_ms >= FORCED_MS)
			return cli_failed(
				"%s: unmounted, but its daemon (pid %d) still "
				"runs, for files that are open in it",
				point, (int)pid);
		fprintf(stderr,
			"lakefuse: unmounted; waiting for the daemon (pid %d) "
			"to finish its work, %d s so far\n",
			(int)pid, (int)(waited_ms / 1000));
		wait_ms = force ? (int)(FORCED_MS - waited_ms) : REMIND_MS;
	}
	return EXIT_DONE;
}

/* EXIT_DONE when path is the root of a lakefuse mount and of nothing else. */
static int check_mount(const struct mounts *mounts, const char *path)
{
	const char *rest;
	const struct mount *m = mounts_find(mounts, path, &rest);

	if (m && *rest && mount_is_lake(m))
		return cli_failed("%s: inside a lakefuse mount; give its "
				  "mount point: lakefuse umount %s",
				  path, m->point);
	if (!m || *rest)
		return cli_failed("%s: nothing is mounted there; `lakefuse "
				  "status` lists all lakefuse mounts",
				  path);
	if (!mount_is_lake(m))
		return cli_failed("%s: a mount of type %s, not of lakefuse; "
				  "left alone",
				  path, m->type);
	return EXIT_DONE;
}

static int umount_path(const struct mounts *mounts, const char *arg, bool force)
{
	auto_free char *point = mounts_resolve(mounts, arg);
	auto_close int pidfd = -1;
	pid_t pid = 0;
	int rc;

	if (!point)
		return cli_failed("%s: %s", arg, strerror(errno));
	rc = check_mount(mounts, point);
	if (rc != EXIT_DONE)
		return rc;
	pidfd = open_daemon(point, &pid);
	rc = unmount(point, force);
	if (rc != EXIT_DONE)
		return rc;
	return wait_for_end(point, pidfd, pid, force);
}

int cmd_umount(int argc, char **argv)
{
	static const char *const flags[] = {"--force", NULL};
	bool force = false;
	bool *const set[] = {&force};
	int first = cli_flags(argc, argv, flags, set);
	struct mounts mounts;
	struct op op;
	int rc;

	if (argc - first != 1)
		return cli_usage("umount: give one MOUNTPOINT; see `lakefuse "
				 "umount --help`");
	op_init(&op, 0);
	if (mounts_read(&op, &mounts) < 0)
		return cli_failed("%s", op.why);
	rc = umount_path(&mounts, argv[first], force);
	mounts_free(&mounts);
	return rc;
}
