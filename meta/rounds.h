/*
 * One ask about a name at a time, without giving anybody an answer that is
 * older than his question.
 *
 * A hundred readers open one file at once.  Whoever comes while an ask is under
 * way can't share it: it may have been answered before he came.  He joins the
 * next round, which is sent when this one is back, and everybody who came in
 * the meantime shares that one.
 *
 * Ownership: rounds_new() gives; arg stays the caller's.
 *
 * Threads: any, with no lock held; ask runs with no lock held.
 */
#ifndef LAKEFUSE_META_ROUNDS_H
#define LAKEFUSE_META_ROUNDS_H

#include <stdbool.h>

#include "meta/rows.h"

struct op;
struct rounds;

struct answer {
	struct row row;	 /* when found: the ask came to 0 */
	bool unanswered; /* it failed because the record did not answer */
	bool unsaved;	 /* the catalogue could not be written; row is told */
};

/* Sends the ask; 0 or -errno. */
typedef int ask_fn(struct op *op, void *arg, struct answer *ret);

int rounds_new(struct rounds **ret);
void rounds_free(struct rounds *rounds);

/*
 * An ask that was sent after this call began: its own or a shared one.  A
 * failure that is its caller's own (-EINTR, -ETIMEDOUT) is not shared.
 */
int rounds_ask(struct op *op, struct rounds *rounds, uint64_t dir,
	       const char *name, ask_fn *ask, void *arg, struct answer *ret);

/* How many wait for a round now; for tests. */
unsigned rounds_waiting(struct rounds *rounds);

#endif
