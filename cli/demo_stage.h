/*
 * What the demo runs on: a directory, three servers, a mount; and the
 * promise that nothing of it stays behind.
 *
 * Everything is in one directory.  The servers are children of this process
 * and die with it; the mount's daemon is not, so stage_close() unmounts.
 * Ctrl-C, SIGTERM, SIGHUP and a closed stdout only set a flag, which all that
 * waits looks at: the way out is always stage_close().
 *
 * Ownership: stage_open() gives the stage, stage_close() ends all and frees.
 *
 * Threads: one.
 */
#ifndef LAKEFUSE_CLI_DEMO_STAGE_H
#define LAKEFUSE_CLI_DEMO_STAGE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct op;

enum demo_site { DEMO_RECORD, DEMO_DC1, DEMO_DC2, DEMO_SITES };

#define DEMO_BUCKET "sales"
#define DEMO_MOUNT "lake" /* the mount point, inside the directory */

struct stage {
	char dir[PATH_MAX];
	bool keep; /* the directory was given by name */
	bool mounted;
	struct stage_server {
		pid_t pid; /* 0: does not run */
		int gcs, s3;
	} servers[DEMO_SITES];
};

const char *demo_site_name(enum demo_site site);

/*
 * dir NULL: a temporary directory, removed in the end; else one that is made,
 * or is empty, and stays.  It is the working directory from then on, and this
 * program's own directory the first in PATH.
 */
int stage_open(struct op *op, const char *dir, struct stage **ret);

/* Starts `lakefuse serve` and waits until it answers. */
int stage_start_server(struct op *op, struct stage *stage, enum demo_site site);

/* SIGKILL: no goodbye to anybody. */
void stage_kill_server(struct stage *stage, enum demo_site site);

/* NULL is fine. */
void stage_close(struct stage *stage);

/* Has a signal asked the demo to stop? */
bool stage_stopped(void);

/* In a forked child: signals as a program expects them, nothing on stdin. */
void stage_child_begins(void);

/*
 * Waits for a child's end, 0 with its wait status; -EINTR when the demo is
 * to stop, -ETIMEDOUT after timeout_s: the child is killed then.
 */
int stage_wait(pid_t pid, int timeout_s, int *ret_status);

#endif
