/*
 * When the record last said something, where the answer did not change a row.
 *
 * A revalidation that finds nothing new would cost a write to the catalogue if
 * its time went there.  It is kept here instead, in two tables of fixed size in
 * which a newcomer takes the place of the oldest of its set: forgetting costs a
 * request to the record and nothing else.  The second table holds names that
 * are absent, which have no row at all.
 *
 * Times are those of meta_stamp(): microseconds of the wall clock, when the
 * request was sent.
 *
 * Ownership: told_new() gives; names are copied.
 *
 * Threads: any; a leaf lock.
 */
#ifndef LAKEFUSE_META_TOLD_H
#define LAKEFUSE_META_TOLD_H

#include <stdint.h>

struct told;

/* -ENOMEM, or 0. */
int told_new(struct told **ret);
void told_free(struct told *told);

struct told_times {
	int64_t told_us;   /* by any answer; 0: not known here */
	int64_t listed_us; /* by a listing; 0: not known here */
};

/* Never moves a time back, unless that lies in the future of now. */
void told_touch(struct told *told, uint64_t ino, const struct told_times *at);
struct told_times told_get(struct told *told, uint64_t ino);

void told_absent(struct told *told, uint64_t dir, const char *name,
		 int64_t told_us);
/* 0: not known to be absent. */
int64_t told_absent_us(struct told *told, uint64_t dir, const char *name);

#endif
