/*
 * The FUSE face of a lake: mounts it and serves it until it is unmounted.
 *
 * Threads: fs_mount() is called once, on the main thread, before any other
 * thread exists (it may fork).
 */
#ifndef LAKEFUSE_FS_FS_H
#define LAKEFUSE_FS_FS_H

#include <stdbool.h>

struct op;

struct mount_call {
	const char *lake;	/* gs://bucket[/prefix] or a lake.yaml */
	const char *mountpoint; /* an existing directory */
	const char *opts;	/* of -o; or NULL */
	bool foreground;
	/* Called every two seconds while a daemon is not ready yet; or NULL. */
	void (*progress)(const char *doing);
};

/*
 * Foreground: returns when the tree is unmounted.  Daemon: returns 0 in the
 * caller's process once the tree answers, and never in the daemon's.  -errno
 * with one line that says what to do; -EINVAL: the call or the file is wrong.
 * After a failure nothing is mounted.
 */
int fs_mount(struct op *op, const struct mount_call *call);

/* Prints every option of a mount, from the table that parses them. */
void fs_mount_help(void);

#endif
