/*
 * Calls that may hang, made on a thread the caller can walk away from.
 *
 * A system call on a directory of a dead NFS server does not return, and no
 * deadline ends it.  So such a call is made aside: the caller waits for it as
 * long as its op allows, and then leaves it with all it works on.
 *
 * Ownership: struct aside is the head of the caller's own struct, on the heap,
 * which holds everything the steps touch: nothing of it may be the caller's
 * stack or buffers.  aside_leave() ends the caller's hold; drop() is called
 * once, when the last of caller and worker is through, and frees it.
 *
 * Threads: one caller an aside, one step at a time.  Between the return of a
 * finished aside_do() and the next one the caller may use the struct's fields.
 */
#ifndef LAKEFUSE_SITES_ASIDE_H
#define LAKEFUSE_SITES_ASIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "base/op.h"
#include "base/pool.h"

/* The workers of one site. */
struct crew;

/* Returns 0 or -ENOMEM.  name is borrowed for good: a literal. */
int crew_new(const char *name, unsigned max_threads, struct crew **ret);

/*
 * Waits for the steps under way, but not for ever.  false: some hang still;
 * the crew and all that its steps use must then stay as long as the process.
 */
bool crew_free(struct crew *crew);

/* Runs a job that calls crew_end() with its last breath. */
void crew_run(struct crew *crew, struct job *job);
void crew_end(struct crew *crew);
unsigned crew_queued(struct crew *crew);

/* Guarded by an aside's lock. */
struct aside_state {
	bool busy; /* a step is queued or runs */
	bool left; /* the caller is gone */
	int rc;	   /* of the last step */
};

struct aside {
	struct job job;
	struct crew *crew;
	struct op op; /* what the steps report to; cancelled when left */
	struct mutex lock;
	struct cond landed;
	struct aside_state state;
	int (*step)(struct aside *aside);
	void (*drop)(struct aside *aside);
};

void aside_init(struct aside *aside, struct op *op, struct crew *crew,
		void (*drop)(struct aside *aside));

/*
 * Runs step and returns what it says, its reason noted in op.  Not finished
 * by op's end: -ETIMEDOUT, -EINTR; by until_ns (monotonic; 0: never): -EAGAIN.
 * After these three only aside_leave() is allowed.
 */
int aside_do(struct op *op, struct aside *aside,
	     int (*step)(struct aside *aside), uint64_t until_ns);

void aside_leave(struct aside *aside);

#endif
