/*
 * What the files of fs/ share: one mounted tree.
 *
 * fs/mount.c makes it and takes it apart; the others find the rooms below
 * through it.  All fields are fixed while requests run.
 */
#ifndef LAKEFUSE_FS_TREE_H
#define LAKEFUSE_FS_TREE_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/op.h"

struct cache;
struct handles;
struct lake;
struct meta;
struct nodes;
struct notifier;
struct requests;
struct tickets;
struct mount_options;

struct tree {
	struct fuse_session *session;
	struct lake *lake;
	struct meta *meta;
	struct cache *cache;
	struct nodes *nodes;
	struct notifier *notifier;
	struct requests *requests;
	struct tickets *tickets;
	struct handles *handles;
	const struct mount_options *options;
	struct op life;	       /* cancelled when the session ends */
	const char *lake_name; /* as given to mount */
	const char *mountpoint;
	char *control_path;
	unsigned unsafe;
	uid_t uid;
	gid_t gid;
	int64_t mounted_ns;  /* wall clock: an implicit directory's mtime */
	uint64_t started_ns; /* monotonic */
};

#endif
