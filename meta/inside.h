/*
 * What the files of meta/ share: the struct itself, and the clock by which
 * answers are ordered.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_META_INSIDE_H
#define LAKEFUSE_META_INSIDE_H

#include <stdatomic.h>

#include "meta/meta.h"
#include "meta/rounds.h"
#include "meta/rows.h"
#include "meta/store.h"
#include "meta/told.h"

/* How long one listing answers for the names it brought, in class strict. */
#define STRICT_LISTED_NS 100000000ULL
/* What the kernel may repeat of an immutable name. */
#define IMMUTABLE_VALID_NS 600000000000ULL

/*
 * Set in the inode number of what was told while the catalogue could not be
 * written.  It is made of the directory and the name, so it stays the same.
 */
#define UNSAVED_INO (1ULL << 62)

struct meta {
	struct meta_config config; /* classes are copied */
	struct lake *lake;
	struct store *store;
	struct told *told;
	struct rounds *rounds;
	atomic_int_fast64_t last_stamp_us;
	atomic_int_fast64_t stale_since_ms; /* 0: the record answers */
	atomic_int_fast64_t unsaved_said_ms;
};

/*
 * The wall clock in microseconds, later than every stamp before it: of two
 * answers the one that was asked for later counts.
 */
int64_t meta_stamp(struct meta *meta);

/* How old a stamp is; one in the future is as old as can be. */
uint64_t meta_age_ns(int64_t stamp_us);

/* The newest time a row was told, 0 when that lies in the future. */
int64_t meta_told_us(struct meta *meta, const struct row *row);

/* The record answered: last-known is no longer served. */
void meta_answered(struct meta *meta);

/* Nothing can be said because the record can't be asked. */
bool meta_unreachable(int rc);

#endif
