#include "fs/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/op.h"

static int make_directories(struct op *op, const char *path)
{
	char partial[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(partial))
		return op_fail(op, -ENAMETOOLONG, "state: %.80s...", path);
	memcpy(partial, path, n + 1);
	for (char *p = partial + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(partial, 0755) < 0 && errno != EEXIST)
			return op_fail(op, -errno, "state: can't make %s: %s",
				       partial, strerror(errno));
		*p = '/';
	}
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return op_fail(op, -errno, "state: can't make %s: %s", path,
			       strerror(errno));
	return 0;
}

/* Names what only we may read must not stand in a directory others write. */
static int check_private(struct op *op, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return op_fail(op, -errno, "state: %s: %s", path,
			       strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return op_fail(op, -ENOTDIR, "state: %s is no directory", path);
	if (st.st_uid != geteuid())
		return op_fail(op, -EPERM,
			       "state: %s belongs to another user; give one "
			       "of your own with -o state=DIR",
			       path);
	if ((st.st_mode & 077) && chmod(path, 0700) < 0)
		return op_fail(op, -errno, "state: chmod 0700 %s: %s", path,
			       strerror(errno));
	return 0;
}

static int refuse_held(struct op *op, int fd, const char *path)
{
	char holder[PATH_MAX + 64];
	ssize_t n = pread(fd, holder, sizeof(holder) - 1, 0);

	holder[n > 0 ? n : 0] = '\0';
	holder[strcspn(holder, "\n")] = '\0';
	return op_fail(op, -EBUSY,
		       "state: %s is in use by %.100s; give another one with "
		       "-o state=DIR",
		       path, holder[0] ? holder : "another mount");
}

int state_lock(struct op *op, const char *path, const char *mountpoint,
	       int *ret_fd)
{
	char name[PATH_MAX + 8];
	auto_close int fd = -1;
	int rc = make_directories(op, path);

	if (rc == 0)
		rc = check_private(op, path);
	if (rc < 0)
		return rc;
	snprintf(name, sizeof(name), "%s/lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return op_fail(op, -errno, "state: can't open %s: %s", name,
			       strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return refuse_held(op, fd, path);
	if (ftruncate(fd, 0) < 0 || dprintf(fd, "the mount at %s (pid %d)\n",
					    mountpoint, (int)getpid()) < 0)
		return op_fail(op, -errno, "state: can't write %s: %s", name,
			       strerror(errno));
	*ret_fd = take_fd(&fd);
	return 0;
}
