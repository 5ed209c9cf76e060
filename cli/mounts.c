#include "cli/mounts.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/op.h"
#include "fs/control.h"

#define CONTROL_XATTR "user.lake.control"

static int octal3(const char *p)
{
	int value = 0;

	for (int i = 0; i < 3; i++) {
		if (p[i] < '0' || p[i] > '7')
			return -1;
		value = value * 8 + p[i] - '0';
	}
	return value;
}

/* The kernel writes spaces, tabs, newlines and backslashes as \NNN. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		int c = *text == '\\' ? octal3(text + 1) : -1;

		if (c > 0) {
			*to++ = (char)c;
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/*
 * 36 35 98:0 / /mnt rw,noatime shared:1 - fuse.lakefuse gs://x rw,...
 * The point is the fifth word; type and source follow a lone "-".
 */
static int parse_line(char *line, struct mount *ret)
{
	char *words = strstr(line, " - "), *save;
	char *point, *type, *source;

	if (!words)
		return -EINVAL;
	*words = '\0';
	point = strtok_r(line, " \n", &save);
	for (int i = 0; i < 4 && point; i++)
		point = strtok_r(NULL, " \n", &save);
	type = strtok_r(words + 3, " \n", &save);
	source = strtok_r(NULL, " \n", &save);
	if (!point || !type)
		return -EINVAL;
	ret->point = strdup(point);
	ret->type = strdup(type);
	ret->source = strdup(source ? source : "");
	if (!ret->point || !ret->type || !ret->source)
		return -ENOMEM;
	unescape(ret->point);
	unescape(ret->type);
	unescape(ret->source);
	return 0;
}

static int add_line(struct mounts *mounts, char *line)
{
	struct mount *items;

	items = reallocarray(mounts->items, mounts->n_items + 1,
			     sizeof(*items));
	if (!items)
		return -ENOMEM;
	mounts->items = items;
	memset(&items[mounts->n_items], 0, sizeof(*items));
	return parse_line(line, &items[mounts->n_items++]);
}

int mounts_read(struct op *op, struct mounts *ret)
{
	static const char path[] = "/proc/self/mountinfo";
	struct mounts mounts = {0};
	FILE *f = fopen(path, "re");
	auto_free char *line = NULL;
	size_t room = 0;
	int rc = 0;

	if (!f)
		return op_fail(op, -errno, "%s: %s; is /proc mounted?", path,
			       strerror(errno));
	while (rc == 0 && getline(&line, &room, f) > 0)
		rc = add_line(&mounts, line);
	fclose(f);
	if (rc < 0) {
		mounts_free(&mounts);
		return op_fail(op, rc, "%s: %s", path, strerror(-rc));
	}
	*ret = mounts;
	return 0;
}

void mounts_free(struct mounts *mounts)
{
	for (unsigned i = 0; i < mounts->n_items; i++) {
		free(mounts->items[i].point);
		free(mounts->items[i].type);
		free(mounts->items[i].source);
	}
	free(mounts->items);
	memset(mounts, 0, sizeof(*mounts));
}

bool mount_is_lake(const struct mount *mount)
{
	return mount && strcmp(mount->type, LAKEFUSE_FSTYPE) == 0;
}

/* What of path lies behind point, NULL when path is not below it. */
static const char *behind(const char *point, const char *path)
{
	size_t len = strlen(point);

	if (len == 1) /* "/" */
		len = 0;
	if (strncmp(point, path, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return path + len + strspn(path + len, "/");
}

const struct mount *mounts_find(const struct mounts *mounts, const char *path,
				const char **ret_rest)
{
	const struct mount *best = NULL;

	for (unsigned i = 0; i < mounts->n_items; i++) {
		const struct mount *m = &mounts->items[i];
		const char *rest = behind(m->point, path);

		/* Of two at one place the later one covers the earlier. */
		if (!rest || (best && strlen(m->point) < strlen(best->point)))
			continue;
		best = m;
		*ret_rest = rest;
	}
	return best;
}

/* Removes ".", ".." and doubled slashes from an absolute path, in place. */
static void normalise(char *path)
{
	char *to = path, *word = path;

	while (*word) {
		size_t len;

		word += strspn(word, "/");
		len = strcspn(word, "/");
		if (len == 2 && memcmp(word, "..", 2) == 0) {
			while (to > path && *--to != '/')
				;
		} else if (len && !(len == 1 && *word == '.')) {
			*to++ = '/';
			memmove(to, word, len);
			to += len;
		}
		word += len;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
}

static bool inside_lake(const struct mounts *mounts, const char *path)
{
	const char *rest;

	return mount_is_lake(mounts_find(mounts, path, &rest));
}

/* Follows links in the directory part, as far as it exists; takes path. */
static char *follow_parent(const struct mounts *mounts, char *path)
{
	for (size_t len = strlen(path); len > 0; len--) {
		auto_free char *real = NULL;
		char *whole;

		if (path[len] != '/')
			continue;
		path[len] = '\0';
		real = inside_lake(mounts, path) ? NULL : realpath(path, NULL);
		path[len] = '/';
		if (!real)
			continue;
		if (asprintf(&whole, "%s%s", strcmp(real, "/") ? real : "",
			     path + len) < 0)
			whole = NULL;
		free(path);
		return whole;
	}
	return path;
}

char *mounts_resolve(const struct mounts *mounts, const char *path)
{
	auto_free char *here = NULL;
	char *whole;

	if (!*path) {
		errno = ENOENT;
		return NULL;
	}
	if (*path != '/' && !(here = getcwd(NULL, 0)))
		return NULL;
	if (asprintf(&whole, "%s/%s", here ? here : "", path) < 0)
		return NULL;
	normalise(whole);
	return inside_lake(mounts, whole) ? whole
					  : follow_parent(mounts, whole);
}

/* In a child: a getxattr that waits for a hung daemon can only be killed. */
static void tell_control(const char *point, int fd)
{
	char answer[PATH_MAX + sizeof(int)];
	ssize_t n =
		getxattr(point, CONTROL_XATTR, answer + sizeof(int), PATH_MAX);
	int rc = n < 0 ? -errno : (int)n;

	memcpy(answer, &rc, sizeof(rc));
	n = write(fd, answer, sizeof(rc) + (n > 0 ? (size_t)n : 0));
	_exit(n < 0);
}

/* Returns the bytes of the path, or -errno. */
static int read_control(struct op *op, int fd, char path[PATH_MAX])
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	char answer[PATH_MAX + sizeof(int)];
	ssize_t n;
	int rc;

	while (poll(&pollfd, 1, (int)(OP_POLL_NS / NS_PER_MS)) <= 0) {
		rc = op_expired(op);
		if (rc < 0)
			return rc;
	}
	n = read(fd, answer, sizeof(answer));
	if (n < (ssize_t)sizeof(rc))
		return -EIO;
	memcpy(&rc, answer, sizeof(rc));
	if (rc > n - (ssize_t)sizeof(rc) || rc >= PATH_MAX)
		return -EIO;
	if (rc > 0)
		memcpy(path, answer + sizeof(rc), (size_t)rc);
	return rc;
}

static int find_control(struct op *op, const char *point, char path[PATH_MAX])
{
	int fds[2], rc;
	pid_t pid;

	if (pipe(fds) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		tell_control(point, fds[1]);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -EAGAIN;
	}
	rc = read_control(op, fds[0], path);
	close(fds[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (rc < 0)
		return rc;
	path[rc] = '\0';
	return 0;
}

int mount_ask(struct op *op, const char *point, const char *request,
	      char **ret_answer)
{
	char path[PATH_MAX];
	int rc = find_control(op, point, path);

	switch (rc) {
	case 0:
		return control_ask(op, path, request, ret_answer);
	case -ENOTCONN:
		return op_fail(op, rc,
			       "%s: its daemon is gone; run `lakefuse umount "
			       "%s` and mount again",
			       point, point);
	case -ETIMEDOUT:
		return op_fail(op, rc,
			       "%s: its daemon does not answer; see its log, "
			       "or end it: `lakefuse umount --force %s`",
			       point, point);
	case -EACCES:
	case -EPERM:
		return op_fail(op, rc,
			       "%s: not allowed; ask as the user who mounted "
			       "it",
			       point);
	default:
		return op_fail(op, rc, "%s: can't find its daemon: %s", point,
			       strerror(-rc));
	}
}
