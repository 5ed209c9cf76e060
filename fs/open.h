/* An open file: one generation, pinned (design: P1). */
#ifndef LAKEFUSE_FS_OPEN_H
#define LAKEFUSE_FS_OPEN_H

#include <fuse_lowlevel.h>
#include <stdint.h>

#include "fs/handles.h"
#include "meta/meta.h"

struct cache_handle;

struct open_file {
	struct handle handle;
	struct cache_handle *cached; /* the pinned generation's bytes */
	struct entry entry;	     /* as it was pinned */
};

static inline struct open_file *open_file(const struct fuse_file_info *fi)
{
	return (struct open_file *)(uintptr_t)fi->fh;
}

#endif
