/*
 * What the kernel knows us by: a node is one generation of one name.
 *
 * The kernel keeps pages and attributes by node id.  A new generation gets a
 * new node, so pages of two generations never share an inode, whatever is open
 * (design: P1), and a node's pages stay good for ever.  st_ino is the entry's,
 * and stays the same over generations.
 *
 * Ownership: a node lives while the kernel holds lookups on it.  node_get()
 * copies what it needs; values come out by copy.
 *
 * Threads: any; RANK_FS.
 */
#ifndef LAKEFUSE_FS_NODE_H
#define LAKEFUSE_FS_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "meta/meta.h"

struct nodes;

/* A node's identity and attributes, by value. */
struct node_view {
	uint64_t id;
	uint64_t ino;
	uint64_t parent; /* the directory's ino */
	enum entry_kind kind;
	uint64_t generation;
	uint64_t size;
	int64_t mtime_ns;
	int site; /* that served the last read; -1: none yet */
	char name[META_NAME_MAX + 1];
};

int nodes_new(struct nodes **ret);
void nodes_free(struct nodes *nodes);

/* The node of an entry, made if need be, with one lookup more; its id, 0: no
 * memory. */
uint64_t node_get(struct nodes *nodes, const struct entry *entry);

/* The kernel forgets n lookups. */
void node_forget(struct nodes *nodes, uint64_t id, uint64_t n);

/* false: the kernel asks about something we never gave it. */
bool node_view(struct nodes *nodes, uint64_t id, struct node_view *ret);

/* A node's directory ino; 0: no such node, or no directory. */
uint64_t node_dir(struct nodes *nodes, uint64_t id);

/*
 * Who served the last read of a generation.  Remembered for some thousand
 * generations, also when the kernel has forgotten the node.
 */
void node_served_by(struct nodes *nodes, uint64_t generation, int site);

/*
 * Does the kernel hold a name?  Returns the directory's node id, 0: it does
 * not hold the directory, or has no node by that name.
 */
uint64_t node_holder(struct nodes *nodes, uint64_t parent, const char *name);

/* Calls each for the ids of all nodes of this generation. */
void node_each_of(struct nodes *nodes, uint64_t generation,
		  void (*each)(void *arg, uint64_t id), void *arg);

/* How many the kernel holds now: a gauge. */
unsigned node_count(struct nodes *nodes);

#endif
