/*
 * The mounts this process sees, and which of them are lakefuse's; and how to
 * talk to the daemon behind one.
 *
 * Ownership: mounts_read() gives a list, mounts_free() frees it with all its
 * strings; what the find functions return is borrowed from it.
 *
 * Threads: one.
 */
#ifndef LAKEFUSE_CLI_MOUNTS_H
#define LAKEFUSE_CLI_MOUNTS_H

#include <stdbool.h>

struct op;

#define LAKEFUSE_FSTYPE "fuse.lakefuse"

struct mount {
	char *point; /* absolute, as the kernel has it */
	char *type;
	char *source;
};

struct mounts {
	struct mount *items; /* in the order they were mounted */
	unsigned n_items;
};

int mounts_read(struct op *op, struct mounts *ret);
void mounts_free(struct mounts *mounts);

bool mount_is_lake(const struct mount *mount);

/*
 * The mount that path is on, NULL if none; path is absolute and needs not
 * exist.  *ret_rest is what comes behind the mount point, without slashes
 * around it (borrowed from path).
 */
const struct mount *mounts_find(const struct mounts *mounts, const char *path,
				const char **ret_rest);

/*
 * path made absolute, without ".", ".." and doubled slashes.  Nothing inside
 * a lakefuse mount is asked for; outside, links are followed up to the last
 * component, which is taken as it is.  NULL: errno says why.
 */
char *mounts_resolve(const struct mounts *mounts, const char *path);

/*
 * Asks the daemon behind a mount point.  Returns 0 and its answer (free it),
 * or -errno; neither a dead nor a hung daemon makes it hang.
 */
int mount_ask(struct op *op, const char *point, const char *request,
	      char **ret_answer);

#endif
