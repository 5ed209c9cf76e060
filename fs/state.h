/* The state directory: made private, and held by one mount at a time. */
#ifndef LAKEFUSE_FS_STATE_H
#define LAKEFUSE_FS_STATE_H

struct op;

/*
 * Makes path (0700) when missing and locks it.  *ret_fd keeps the lock while
 * it is open.  -EBUSY names the mount that holds it.
 */
int state_lock(struct op *op, const char *path, const char *mountpoint,
	       int *ret_fd);

#endif
