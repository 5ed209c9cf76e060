/*
 * Asking the record what a name means.
 *
 * A known file: one conditional request.  A known directory: one listing of one
 * name.  An unknown name: one listing that starts at it, which tells file,
 * directory or nothing, and brings the siblings that follow.  A directory wins
 * over a file of its name.  With `namespace: union`, replicas are asked about a
 * name that the record does not have.
 *
 * Threads: any, with no lock held.  Callers that ask about one name at once
 * share rounds (meta/rounds.h).
 */
#ifndef LAKEFUSE_META_ASK_H
#define LAKEFUSE_META_ASK_H

#include "meta/place.h"

/*
 * Returns 0 and ret->row, the row as the catalogue has it now; -ENOENT; or
 * another -errno, with ret->unanswered when it is the record's silence.
 */
int ask_name(struct op *op, struct meta *meta, uint64_t dir, const char *name,
	     struct answer *ret);

#endif
