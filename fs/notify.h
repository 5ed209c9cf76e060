/*
 * Tells the kernel that what it remembers is not so any more.
 *
 * fuse_lowlevel_notify_inval_entry() waits for the directory's lock, which the
 * kernel may hold while it waits for our answer to a lookup there: so a thread
 * of its own does it, never a request's.
 *
 * Ownership: notifier_free() drops what has not been told; after a
 * notifier_stop() that failed it must not be called.
 *
 * Threads: notify_*() from any, with locks held; they only queue.
 */
#ifndef LAKEFUSE_FS_NOTIFY_H
#define LAKEFUSE_FS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

struct notifier;
struct tree;

int notifier_new(struct tree *tree, struct notifier **ret);
void notifier_free(struct notifier *notifier);

/*
 * Ends the thread; false: it is stuck in the kernel for more than timeout_ms,
 * behind a lookup that nobody will answer any more.
 */
bool notifier_stop(struct notifier *notifier, unsigned timeout_ms);

/* A name in a directory (by its ino) means something else now. */
void notify_name(struct notifier *notifier, uint64_t parent, const char *name);

/* The pages of a node are wrong: drop them. */
void notify_pages(struct notifier *notifier, uint64_t node_id);

#endif
