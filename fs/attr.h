/* How entries and nodes look to the kernel. */
#ifndef LAKEFUSE_FS_ATTR_H
#define LAKEFUSE_FS_ATTR_H

#include <fuse_lowlevel.h>

struct entry;
struct node_view;
struct tree;

/*
 * A node's attributes are those of one generation: they hold for ever, and a
 * changed mtime or a new generation comes with the next lookup, whose age the
 * class of the path limits.
 */
#define ATTR_SECONDS 3600.0

void attr_of_entry(const struct tree *tree, const struct entry *entry,
		   struct stat *ret);
void attr_of_node(const struct tree *tree, const struct node_view *node,
		  struct stat *ret);

/* Registers the entry's node (one lookup more) and fills the reply. */
int attr_reply(struct tree *tree, const struct entry *entry,
	       struct fuse_entry_param *ret);

#endif
