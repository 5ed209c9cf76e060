#include <errno.h>

#include "fs/calls.h"

/*
 * Until writing comes, every call that would change something is answered
 * EROFS.  The mount itself is read-only, so the kernel answers most of them;
 * these are for what gets past it (a remount, an ioctl).
 */

static void refuse_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
			 mode_t mode, dev_t rdev)
{
	(void)parent, (void)name, (void)mode, (void)rdev;
	fuse_reply_err(req, EROFS);
}

static void refuse_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
			 mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	fuse_reply_err(req, EROFS);
}

static void refuse_name(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	fuse_reply_err(req, EROFS);
}

static void refuse_symlink(fuse_req_t req, const char *target,
			   fuse_ino_t parent, const char *name)
{
	(void)target, (void)parent, (void)name;
	fuse_reply_err(req, EROFS);
}

static void refuse_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
			  fuse_ino_t to_parent, const char *to_name,
			  unsigned flags)
{
	(void)parent, (void)name, (void)to_parent, (void)to_name, (void)flags;
	fuse_reply_err(req, EROFS);
}

static void refuse_link(fuse_req_t req, fuse_ino_t node, fuse_ino_t parent,
			const char *name)
{
	(void)node, (void)parent, (void)name;
	fuse_reply_err(req, EROFS);
}

static void refuse_setattr(fuse_req_t req, fuse_ino_t node, struct stat *attr,
			   int which, struct fuse_file_info *fi)
{
	(void)node, (void)attr, (void)which, (void)fi;
	fuse_reply_err(req, EROFS);
}

static void refuse_setxattr(fuse_req_t req, fuse_ino_t node, const char *name,
			    const char *value, size_t size, int flags)
{
	(void)node, (void)name, (void)value, (void)size, (void)flags;
	fuse_reply_err(req, EROFS);
}

static void refuse_create(fuse_req_t req, fuse_ino_t parent, const char *name,
			  mode_t mode, struct fuse_file_info *fi)
{
	(void)parent, (void)name, (void)mode, (void)fi;
	fuse_reply_err(req, EROFS);
}

static void refuse_write(fuse_req_t req, fuse_ino_t node, const char *buf,
			 size_t size, off_t offset, struct fuse_file_info *fi)
{
	(void)node, (void)buf, (void)size, (void)offset, (void)fi;
	fuse_reply_err(req, EROFS);
}

static void refuse_fallocate(fuse_req_t req, fuse_ino_t node, int mode,
			     off_t offset, off_t length,
			     struct fuse_file_info *fi)
{
	(void)node, (void)mode, (void)offset, (void)length, (void)fi;
	fuse_reply_err(req, EROFS);
}

void fs_refuse_writes(struct fuse_lowlevel_ops *ops)
{
	ops->mknod = refuse_mknod;
	ops->mkdir = refuse_mkdir;
	ops->unlink = refuse_name;
	ops->rmdir = refuse_name;
	ops->symlink = refuse_symlink;
	ops->rename = refuse_rename;
	ops->link = refuse_link;
	ops->setattr = refuse_setattr;
	ops->setxattr = refuse_setxattr;
	ops->removexattr = refuse_name;
	ops->create = refuse_create;
	ops->write = refuse_write;
	ops->fallocate = refuse_fallocate;
}
