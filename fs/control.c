#include "fs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/op.h"

/*
 * Clients are served one after the other.  Each has a second to say its line
 * and some to take the answer, so that one that sleeps costs the next that
 * long and no more.
 *
 * A socket's address has room for 107 bytes, a state directory's name for
 * 4096: the socket is reached through /proc/self/fd of its directory.
 */

#define REQUEST_MAX (64 << 10)
#define ANSWER_MAX (64 << 20)
#define REQUEST_NS NS_PER_S
#define ANSWER_NS (5 * NS_PER_S)
#define BACKLOG 16

struct control {
	pthread_t thread;
	control_fn *handle;
	void *arg;
	char *name; /* of the socket in dirfd */
	int dirfd;
	int listen_fd;
	int stop_fd; /* an eventfd: readable once control_stop() was called */
};

/* Splits path into an open directory and a name (borrowed from path). */
static int open_dir_of(const char *path, int *ret_fd, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	auto_free char *dir = NULL;
	int fd;

	dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	*ret_name = slash ? slash + 1 : path;
	return 0;
}

static int make_address(int dirfd, const char *name, struct sockaddr_un *ret)
{
	int n;

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	n = snprintf(ret->sun_path, sizeof(ret->sun_path),
		     "/proc/self/fd/%d/%s", dirfd, name);
	return n < (int)sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

/*
 * Waits until fd is ready or stop_fd (-1: none) is readable.  Returns 0,
 * -ETIMEDOUT, -ECANCELED for stop_fd, or -errno.
 */
static int wait_ready(int fd, short events, int stop_fd, uint64_t deadline_ns)
{
	struct pollfd fds[] = {
		{.fd = fd, .events = events},
		{.fd = stop_fd, .events = POLLIN},
	};
	uint64_t now_ns = clock_mono_ns();
	int rc, wait_ms = -1;

	if (deadline_ns)
		wait_ms =
			deadline_ns <= now_ns
				? 0
				: (int)((deadline_ns - now_ns) / NS_PER_MS) + 1;
	rc = poll(fds, 2, wait_ms);
	if (rc < 0)
		return errno == EINTR ? 0 : -errno;
	if (fds[1].revents)
		return -ECANCELED;
	return rc ? 0 : -ETIMEDOUT;
}

/* Reads up to the end of the line.  Returns its size, 0: the client left. */
static ssize_t read_line(struct control *c, int fd, char *buf, size_t room)
{
	uint64_t deadline_ns = clock_mono_ns() + REQUEST_NS;
	size_t size = 0;

	while (size < room) {
		int rc = wait_ready(fd, POLLIN, c->stop_fd, deadline_ns);
		ssize_t n;
		char *end;

		if (rc < 0)
			return rc;
		n = recv(fd, buf + size, room - size, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n == 0)
			return (ssize_t)size;
		if (n < 0)
			continue;
		end = memchr(buf + size, '\n', (size_t)n);
		if (end)
			return end - buf;
		size += (size_t)n;
	}
	return -EMSGSIZE;
}

static int send_all(int fd, const char *data, size_t size, int stop_fd,
		    uint64_t deadline_ns)
{
	while (size > 0) {
		int rc = wait_ready(fd, POLLOUT, stop_fd, deadline_ns);
		ssize_t n;

		if (rc < 0)
			return rc;
		n = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static int send_line(struct control *c, int fd, const char *line)
{
	uint64_t deadline_ns = clock_mono_ns() + ANSWER_NS;
	int rc = send_all(fd, line, strlen(line), c->stop_fd, deadline_ns);

	return rc < 0 ? rc : send_all(fd, "\n", 1, c->stop_fd, deadline_ns);
}

static void serve_client(struct control *c, int fd)
{
	static const char too_long[] = "{\"error\": \"request is too long\"}";
	static const char no_memory[] = "{\"error\": \"out of memory\"}";
	auto_free char *request = malloc(REQUEST_MAX + 1);
	auto_free char *answer = NULL;
	ssize_t size;
	int rc;

	size = request ? read_line(c, fd, request, REQUEST_MAX) : -ENOMEM;
	if (size == 0)
		return;
	if (size > 0) {
		request[size] = '\0';
		answer = c->handle(c->arg, request, (size_t)size);
	}
	if (answer)
		rc = send_line(c, fd, answer);
	else if (size == -EMSGSIZE)
		rc = send_line(c, fd, too_long);
	else if (size > 0 || size == -ENOMEM)
		rc = send_line(c, fd, no_memory);
	else
		rc = (int)size;
	if (rc < 0 && rc != -ECANCELED)
		log_debug("control: a client was dropped: %s", strerror(-rc));
}

static void *serve(void *arg)
{
	struct control *c = arg;
	int rc;

	pthread_setname_np(pthread_self(), "control");
	while ((rc = wait_ready(c->listen_fd, POLLIN, c->stop_fd, 0)) == 0) {
		auto_close int fd = accept4(c->listen_fd, NULL, NULL,
					    SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0)
			serve_client(c, fd);
		else if (errno == EMFILE || errno == ENFILE ||
			 errno == ENOMEM || errno == ENOBUFS)
			/* It stays readable: don't spin until there is room. */
			wait_ready(c->stop_fd, POLLIN, -1,
				   clock_mono_ns() + 100 * NS_PER_MS);
	}
	if (rc != -ECANCELED)
		log_error("control: %s; status and where no longer answer",
			  strerror(-rc));
	return NULL;
}

/* Mode 0600 from its first moment: bind takes the mode of the socket. */
static int listen_at(struct control *c)
{
	struct sockaddr_un address;
	int rc;

	rc = make_address(c->dirfd, c->name, &address);
	if (rc < 0)
		return rc;
	c->listen_fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->listen_fd < 0 || fchmod(c->listen_fd, 0600) < 0)
		return -errno;
	if (unlinkat(c->dirfd, c->name, 0) < 0 && errno != ENOENT)
		return -errno;
	if (bind(c->listen_fd, (struct sockaddr *)&address, sizeof(address)) <
		    0 ||
	    listen(c->listen_fd, BACKLOG) < 0)
		return -errno;
	return 0;
}

static int start(struct control *c, const char *path)
{
	const char *name;
	int rc;

	rc = open_dir_of(path, &c->dirfd, &name);
	if (rc < 0)
		return rc;
	c->name = strdup(name);
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (!c->name || c->stop_fd < 0)
		return c->name ? -errno : -ENOMEM;
	rc = listen_at(c);
	if (rc < 0)
		return rc;
	return -pthread_create(&c->thread, NULL, serve, c);
}

static void free_control(struct control *c)
{
	if (c->listen_fd >= 0)
		close(c->listen_fd);
	if (c->stop_fd >= 0)
		close(c->stop_fd);
	if (c->dirfd >= 0)
		close(c->dirfd);
	free(c->name);
	free(c);
}

int control_start(struct op *op, const char *path, control_fn *handle,
		  void *arg, struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));
	int rc;

	if (!c)
		return op_fail(op, -ENOMEM, "%s", path);
	c->handle = handle;
	c->arg = arg;
	c->dirfd = c->listen_fd = c->stop_fd = -1;
	rc = start(c, path);
	if (rc < 0) {
		free_control(c);
		return op_fail(op, rc, "%s: can't make the control socket: %s",
			       path, strerror(-rc));
	}
	*ret = c;
	return 0;
}

void control_stop(struct control *c)
{
	if (!c)
		return;
	/* An eventfd takes 2^64 - 2 of these before it can fail. */
	if (eventfd_write(c->stop_fd, 1) == 0)
		pthread_join(c->thread, NULL);
	unlinkat(c->dirfd, c->name, 0);
	free_control(c);
}

/* As wait_ready(), until op's end; a cancelled op is seen soon. */
static int wait_for_op(struct op *op, int fd, short events)
{
	int rc;

	do {
		rc = op_expired(op);
		if (rc == 0)
			rc = wait_ready(fd, events, -1, op_wake_ns(op));
		else
			return rc;
	} while (rc == -ETIMEDOUT);
	return rc;
}

static int dial(struct op *op, const char *path, int *ret_fd)
{
	auto_close int dirfd = -1;
	auto_close int fd = -1;
	struct sockaddr_un address;
	const char *name;
	int rc;

	rc = open_dir_of(path, &dirfd, &name);
	if (rc == 0)
		rc = make_address(dirfd, name, &address);
	if (rc < 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		/* EAGAIN: its queue is full, and no poll tells when not. */
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		rc = op_expired(op);
		if (rc < 0)
			return rc;
		usleep(10000);
	}
	*ret_fd = take_fd(&fd);
	return 0;
}

/* Reads up to the end of the stream into a string. */
static int read_answer(struct op *op, int fd, char **ret)
{
	auto_free char *answer = NULL;
	size_t size = 0, room = 0;
	ssize_t n;

	do {
		int rc = wait_for_op(op, fd, POLLIN);

		if (rc < 0)
			return rc;
		if (room - size < 4096) {
			char *more = realloc(answer, room * 2 + 8192);

			if (!more)
				return -ENOMEM;
			answer = more;
			room = room * 2 + 8192;
		}
		n = recv(fd, answer + size, room - size - 1, MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0)
			size += (size_t)n;
		if (size > ANSWER_MAX)
			return -EMSGSIZE;
	} while (n != 0);
	if (size == 0 || answer[size - 1] != '\n')
		return -EPIPE; /* cut */
	answer[size - 1] = '\0';
	*ret = answer;
	answer = NULL;
	return 0;
}

static int ask(struct op *op, const char *path, const char *request,
	       char **ret_answer)
{
	auto_close int fd = -1;
	int rc;

	rc = dial(op, path, &fd);
	if (rc == 0)
		rc = send_all(fd, request, strlen(request), -1,
			      op->deadline_ns);
	if (rc == 0)
		rc = send_all(fd, "\n", 1, -1, op->deadline_ns);
	/* Who closes early may have answered why. */
	if (rc == 0 || rc == -EPIPE)
		rc = read_answer(op, fd, ret_answer);
	return rc;
}

int control_ask(struct op *op, const char *path, const char *request,
		char **ret_answer)
{
	int rc = ask(op, path, request, ret_answer);

	if (rc == -ECONNREFUSED || rc == -ENOENT)
		return op_fail(op, rc, "%s: no daemon answers there", path);
	if (rc == -ETIMEDOUT)
		return op_fail(op, rc, "%s: the daemon does not answer", path);
	if (rc < 0)
		return op_fail(op, rc, "%s: %s", path, strerror(-rc));
	return 0;
}
