/* Runs a mounted tree's session until it ends. */
#ifndef LAKEFUSE_FS_SERVE_H
#define LAKEFUSE_FS_SERVE_H

struct op;
struct tree;

/*
 * Makes the session and mounts it at tree->mountpoint.  -errno with a reason;
 * nothing is mounted then.
 */
int serve_mount(struct op *op, struct tree *tree);

/*
 * Serves until unmounted or told to end (SIGTERM, SIGINT, SIGHUP; SIGUSR1
 * writes the status to the log).  ready runs once, on another thread, when the
 * tree has answered.  Unmounts.
 */
int serve_run(struct tree *tree, void (*ready)(void *arg), void *arg);

/* Signals that serve_run() waits for: blocked in every thread made later. */
void serve_block_signals(void);

#endif
