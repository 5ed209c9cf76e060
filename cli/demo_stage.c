#include "cli/demo_stage.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "cli/json.h"

#define STEP_NS 10000000L
#define START_S 15
#define UMOUNT_S 15

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
#define N_STOP_SIGNALS (sizeof(stop_signals) / sizeof(stop_signals[0]))

static volatile sig_atomic_t stopped;

const char *demo_site_name(enum demo_site site)
{
	static const char *const names[] = {"record", "dc1", "dc2"};

	return names[site];
}

bool stage_stopped(void)
{
	return stopped;
}

static void on_signal(int signal)
{
	(void)signal;
	stopped = 1;
}

static void set_signals(void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler};

	for (size_t i = 0; i < N_STOP_SIGNALS; i++)
		sigaction(stop_signals[i], &action, NULL);
}

void stage_child_begins(void)
{
	int fd = open("/dev/null", O_RDONLY);

	set_signals(SIG_DFL);
	if (fd >= 0)
		dup2(fd, STDIN_FILENO);
}

static void nap(void)
{
	nanosleep(&(struct timespec){0, STEP_NS}, NULL);
}

/* Waits without a look at the flag: for the way out. */
static int wait_until(pid_t pid, uint64_t end_ns, bool heed_stop,
		      int *ret_status)
{
	for (;;) {
		pid_t got = waitpid(pid, ret_status, WNOHANG);
		int rc = 0;

		if (got == pid)
			return 0;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (heed_stop && stopped)
			rc = -EINTR;
		else if (clock_mono_ns() > end_ns)
			rc = -ETIMEDOUT;
		if (rc < 0) {
			kill(pid, SIGKILL);
			waitpid(pid, ret_status, 0);
			return rc;
		}
		nap();
	}
}

int stage_wait(pid_t pid, int timeout_s, int *ret_status)
{
	return wait_until(pid, clock_mono_ns() + (uint64_t)timeout_s * NS_PER_S,
			  true, ret_status);
}

/* --- the directory --- */

static int make_directory(struct op *op, const char *dir, struct stage *stage)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX];

	if (dir) {
		if (mkdir(dir, 0700) < 0 &&
		    (errno != EEXIST || rmdir(dir) < 0 || mkdir(dir, 0700) < 0))
			return op_fail(op, -errno,
				       "demo: %s: %s; give a directory that is "
				       "empty, or not there yet",
				       dir, strerror(errno));
		stage->keep = true;
	} else {
		snprintf(path, sizeof(path), "%s/lakefuse-demo.XXXXXX",
			 tmp && *tmp ? tmp : "/tmp");
		dir = mkdtemp(path);
		if (!dir)
			return op_fail(op, -errno,
				       "demo: can't make %s: %s; set TMPDIR to "
				       "a directory that can be written",
				       path, strerror(errno));
	}
	if (!realpath(dir, stage->dir) || chdir(stage->dir) < 0 ||
	    mkdir(DEMO_MOUNT, 0755) < 0)
		return op_fail(op, -errno, "demo: %s: %s", dir,
			       strerror(errno));
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	remove(path);
	return 0;
}

static void remove_tree(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* Commands are shown as a person types them, and must run this program. */
static int put_in_path(struct op *op)
{
	const char *path = getenv("PATH");
	char self[PATH_MAX];
	auto_free char *joined = NULL;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return op_fail(op, -errno, "demo: /proc/self/exe: %s",
			       strerror(errno));
	self[n] = '\0';
	if (asprintf(&joined, "%s:%s", dirname(self),
		     path ? path : "/usr/bin:/bin:/usr/sbin:/sbin") < 0)
		return op_fail(op, -ENOMEM, "demo: no memory");
	setenv("PATH", joined, 1);
	setenv("LC_ALL", "C", 1);
	return 0;
}

int stage_open(struct op *op, const char *dir, struct stage **ret)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	int rc;

	if (!stage)
		return op_fail(op, -ENOMEM, "demo: no memory");
	set_signals(on_signal);
	rc = make_directory(op, dir, stage);
	if (rc == 0)
		rc = put_in_path(op);
	if (rc < 0) {
		stage_close(stage);
		return rc;
	}
	*ret = stage;
	return 0;
}

/* --- servers --- */

static void exec_server(const char *name, pid_t parent)
{
	char data[32], ports[32], log[32];
	int fd;

	stage_child_begins();
	/* Ctrl-C is for the demo, which ends its servers in its own order. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	snprintf(data, sizeof(data), "%s.data", name);
	snprintf(ports, sizeof(ports), "%s.ports", name);
	snprintf(log, sizeof(log), "%s.log", name);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	execl("/proc/self/exe", "lakefuse", "serve", "--dir", data, "--bucket",
	      DEMO_BUCKET, "--gcs", "0", "--s3", "0", "--port-file", ports,
	      (char *)NULL);
	_exit(127);
}

static bool read_ports(const char *name, struct stage_server *server)
{
	char path[32];
	json_t *root;

	snprintf(path, sizeof(path), "%s.ports", name);
	root = json_load_file(path, 0, NULL);
	server->gcs = (int)json_number(root, "gcs");
	server->s3 = (int)json_number(root, "s3");
	json_decref(root);
	return server->gcs && server->s3;
}

int stage_start_server(struct op *op, struct stage *stage, enum demo_site site)
{
	struct stage_server *server = &stage->servers[site];
	const char *name = demo_site_name(site);
	uint64_t end_ns = clock_mono_ns() + START_S * NS_PER_S;
	pid_t parent = getpid();
	int status;

	server->pid = fork();
	if (server->pid < 0) {
		server->pid = 0;
		return op_fail(op, -errno, "demo: fork: %s", strerror(errno));
	}
	if (server->pid == 0)
		exec_server(name, parent);
	while (!read_ports(name, server)) {
		if (stopped)
			return op_fail(op, -EINTR, "demo: stopped");
		if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
			server->pid = 0;
			return op_fail(op, -EIO,
				       "demo: the server of %s ended; see "
				       "%s/%s.log",
				       name, stage->dir, name);
		}
		if (clock_mono_ns() > end_ns)
			return op_fail(op, -ETIMEDOUT,
				       "demo: the server of %s does not answer",
				       name);
		nap();
	}
	return 0;
}

void stage_kill_server(struct stage *stage, enum demo_site site)
{
	struct stage_server *server = &stage->servers[site];

	if (server->pid <= 0)
		return;
	kill(server->pid, SIGKILL);
	while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
		;
	server->pid = 0;
}

/* --- the way out --- */

/* A dead mount can't be looked at, and is one. */
static bool is_mounted(void)
{
	struct stat here, there;

	if (stat(".", &here) < 0 || stat(DEMO_MOUNT, &there) < 0)
		return errno == ENOTCONN;
	return here.st_dev != there.st_dev;
}

/* The daemon, as long as it holds the state; 0: none does. */
static pid_t daemon_pid(void)
{
	auto_close int fd = open("state/lock", O_RDONLY | O_CLOEXEC);
	char text[PATH_MAX + 64];
	const char *pid;
	ssize_t n;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	pid = strstr(text, "(pid ");
	return pid ? (pid_t)strtol(pid + strlen("(pid "), NULL, 10) : 0;
}

static void unmount(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		stage_child_begins();
		execlp("lakefuse", "lakefuse", "umount", "--force", DEMO_MOUNT,
		       (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		wait_until(pid, clock_mono_ns() + UMOUNT_S * NS_PER_S, false,
			   &status);
}

/*
 * True when the mount is gone, and its daemon with it.  When the demo was
 * stopped in the middle of `lakefuse mount`, the daemon may not have come so
 * far: then there is nothing to unmount, but somebody to end.
 */
static bool end_mount(void)
{
	uint64_t end_ns = clock_mono_ns() + UMOUNT_S * NS_PER_S;
	pid_t pid;

	for (;;) {
		if (is_mounted())
			unmount();
		pid = daemon_pid();
		if (!pid && !is_mounted())
			return true;
		if (clock_mono_ns() > end_ns)
			return false;
		if (pid > 1 && !is_mounted())
			kill(pid, SIGTERM);
		nap();
	}
}

void stage_close(struct stage *stage)
{
	bool gone;

	if (!stage)
		return;
	gone = !stage->mounted || end_mount();
	for (int i = 0; i < DEMO_SITES; i++)
		stage_kill_server(stage, (enum demo_site)i);
	if (!gone)
		fprintf(stderr,
			"lakefuse: demo: %s/%s is still mounted; end it with "
			"`lakefuse umount --force`, then remove %s\n",
			stage->dir, DEMO_MOUNT, stage->dir);
	/* The working directory is the one that is removed. */
	if (chdir("/") == 0 && gone && !stage->keep && stage->dir[0])
		remove_tree(stage->dir);
	free(stage);
}
