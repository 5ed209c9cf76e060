#include "fs/attr.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "fs/node.h"
#include "fs/options.h"
#include "fs/tree.h"

static void fill(const struct tree *tree, enum entry_kind kind, uint64_t ino,
		 uint64_t size, int64_t mtime_ns, struct stat *ret)
{
	static const mode_t modes[] = {
		[ENTRY_FILE] = S_IFREG | 0666,
		[ENTRY_DIR] = S_IFDIR | 0777,
		[ENTRY_SYMLINK] = S_IFLNK | 0777,
	};
	mode_t mode = modes[kind];

	memset(ret, 0, sizeof(*ret));
	if (kind != ENTRY_SYMLINK)
		mode &= ~(mode_t)tree->options->umask;
	if (mtime_ns == 0)
		mtime_ns = tree->mounted_ns;
	ret->st_ino = ino;
	ret->st_mode = mode;
	ret->st_nlink = 1; /* of a directory: "not counted", as btrfs has it */
	ret->st_uid = tree->uid;
	ret->st_gid = tree->gid;
	ret->st_size = (off_t)size;
	ret->st_blksize = 4096; /* what readers take for their buffer */
	ret->st_blocks = (blkcnt_t)((size + 511) / 512);
	ret->st_mtim.tv_sec = (time_t)(mtime_ns / (int64_t)NS_PER_S);
	ret->st_mtim.tv_nsec = (long)(mtime_ns % (int64_t)NS_PER_S);
	if (ret->st_mtim.tv_nsec < 0) {
		ret->st_mtim.tv_nsec += (long)NS_PER_S;
		ret->st_mtim.tv_sec--;
	}
	ret->st_atim = ret->st_ctim = ret->st_mtim;
}

void attr_of_entry(const struct tree *tree, const struct entry *entry,
		   struct stat *ret)
{
	fill(tree, entry->kind, entry->ino,
	     entry->kind == ENTRY_DIR ? 0 : entry->size, entry->mtime_ns, ret);
}

void attr_of_node(const struct tree *tree, const struct node_view *node,
		  struct stat *ret)
{
	fill(tree, node->kind, node->ino,
	     node->kind == ENTRY_DIR ? 0 : node->size, node->mtime_ns, ret);
}

int attr_reply(struct tree *tree, const struct entry *entry,
	       struct fuse_entry_param *ret)
{
	memset(ret, 0, sizeof(*ret));
	attr_of_entry(tree, entry, &ret->attr);
	ret->entry_timeout = (double)entry->valid_ns / (double)NS_PER_S;
	ret->attr_timeout = ATTR_SECONDS;
	ret->generation = 1; /* node ids are never used again */
	ret->ino = node_get(tree->nodes, entry);
	return ret->ino ? 0 : -ENOMEM;
}
