/* The kernel's calls, by the file that answers them: see fs/mount.c. */
#ifndef LAKEFUSE_FS_CALLS_H
#define LAKEFUSE_FS_CALLS_H

#include <fuse_lowlevel.h>

/* fs/lookup.c */
void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void fs_forget(fuse_req_t req, fuse_ino_t node, uint64_t n);
void fs_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *forgets);
void fs_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void fs_readlink(fuse_req_t req, fuse_ino_t node);
void fs_statfs(fuse_req_t req, fuse_ino_t node);

/* fs/dir.c */
void fs_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void fs_readdir(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset,
		struct fuse_file_info *fi);
void fs_readdirplus(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset,
		    struct fuse_file_info *fi);
void fs_releasedir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);

/* fs/open.c */
void fs_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);
void fs_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *fi);

/* fs/read.c */
void fs_read(fuse_req_t req, fuse_ino_t node, size_t size, off_t offset,
	     struct fuse_file_info *fi);

/* fs/xattr.c */
void fs_getxattr(fuse_req_t req, fuse_ino_t node, const char *name,
		 size_t size);
void fs_listxattr(fuse_req_t req, fuse_ino_t node, size_t size);

/* fs/refuse.c: every call that would change something. */
void fs_refuse_writes(struct fuse_lowlevel_ops *ops);

#endif
