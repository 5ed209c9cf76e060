/*
 * Files below a root, by name, and never any other.
 *
 * A replica's directory is filled by somebody else's copier.  No name and no
 * symlink in it may lead out of it: what is not a plain path of directories to
 * a regular file is not there.
 *
 * Threads: any.  All of this may hang on a dead file system: call it aside.
 */
#ifndef LAKEFUSE_SITES_DIR_PATH_H
#define LAKEFUSE_SITES_DIR_PATH_H

#include <stdbool.h>

struct op;

/*
 * A directory can hold this name: no "//", ".", "..", slash at either end, or
 * component of more than 255 bytes.
 */
bool dir_name_fits(const char *name);

/* errno as sites say it: -ENOENT, -EACCES, or -EAGAIN, with its reason. */
int dir_fail(struct op *op, int err, const char *what, const char *name);

/* The root, or -EACCES, -EAGAIN: without it, nothing is known of any name. */
int dir_open_root(struct op *op, const char *root);

/*
 * A regular file (or a directory, with flags O_DIRECTORY; "" is the root
 * itself) to read, or with O_PATH only to look at; or -errno.  A name that
 * does not fit, a symlink anywhere on the way and a special file are -ENOENT.
 */
int dir_open_below(struct op *op, int root_fd, const char *name, int flags);

/* For tests: go by components, as on a kernel without openat2(). */
void dir_path_without_openat2_for_test(bool without);

#endif
