#include "sites/dir_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/op.h"

#define TRIES 8

static atomic_bool without_openat2;

void dir_path_without_openat2_for_test(bool without)
{
	atomic_store(&without_openat2, without);
}

bool dir_name_fits(const char *name)
{
	for (;;) {
		size_t n = strcspn(name, "/");

		if (n == 0 || n > NAME_MAX)
			return false;
		if (name[0] == '.' && (n == 1 || (n == 2 && name[1] == '.')))
			return false;
		if (name[n] == '\0')
			return true;
		name += n + 1;
	}
}

int dir_fail(struct op *op, int err, const char *what, const char *name)
{
	int rc;

	switch (err) {
	case ENOENT:
	case ENOTDIR:
	case ELOOP:
	case EXDEV:
	case ENAMETOOLONG:
	case ENXIO:
		rc = -ENOENT;
		break;
	case EACCES:
	case EPERM:
		rc = -EACCES;
		break;
	default:
		rc = -EAGAIN;
	}
	return op_fail(op, rc, "%s %s: %s", what, name, strerror(err));
}

int dir_open_root(struct op *op, const char *root)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == EACCES)
		return op_fail(op, -EACCES, "open %s: %m", root);
	return op_fail(op, -EAGAIN, "open %s: %m; is it mounted?", root);
}

/*
 * openat2() says EAGAIN when a rename anywhere made it unsure that ".." was
 * not taken; the names here hold none, so it seldom happens.
 */
static int open_resolved(int root_fd, const char *name, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = syscall(SYS_openat2, root_fd, name, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return (int)fd;
}

/* The same by hand: each component is opened without following a link. */
static int open_by_component(int root_fd, const char *name, int flags)
{
	auto_close int dir = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);

	while (dir >= 0) {
		size_t n = strcspn(name, "/");
		char component[NAME_MAX + 1];
		int next;

		memcpy(component, name, n);
		component[n] = '\0';
		if (name[n] == '\0')
			return openat(dir, component, flags);
		next = openat(dir, component,
			      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(dir);
		dir = next;
		name += n + 1;
	}
	return -1;
}

static int open_plain(int root_fd, const char *name, int flags)
{
	int fd;

	if (!atomic_load(&without_openat2)) {
		fd = open_resolved(root_fd, name, flags);
		/* EPERM: a sandbox that does not know the call. */
		if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
			return fd;
	}
	return open_by_component(root_fd, name, flags);
}

int dir_open_below(struct op *op, int root_fd, const char *name, int flags)
{
	auto_close int fd = -1;
	struct stat st;

	flags |= O_NOFOLLOW | O_CLOEXEC;
	/* Nonblocking: the open of a FIFO must not wait for its writer. */
	if (!(flags & O_PATH))
		flags |= O_RDONLY | O_NONBLOCK | O_NOCTTY;
	if (name[0] == '\0' && (flags & O_DIRECTORY)) {
		fd = openat(root_fd, ".", flags);
	} else {
		if (!dir_name_fits(name))
			return op_fail(op, -ENOENT,
				       "open %s: no name a directory can hold",
				       name);
		fd = open_plain(root_fd, name, flags);
	}
	if (fd < 0)
		return dir_fail(op, errno, "open", name);
	if (!(flags & O_DIRECTORY)) {
		if (fstat(fd, &st) < 0)
			return dir_fail(op, errno, "stat", name);
		if (!S_ISREG(st.st_mode))
			return op_fail(op, -ENOENT, "open %s: not a file",
				       name);
	}
	return take_fd(&fd);
}
