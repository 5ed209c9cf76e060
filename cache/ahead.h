/*
 * How far ahead of a reader to fetch.  A pure function of the offsets a handle
 * has read: no clock, no lock, no I/O, so that a trace is a test.
 *
 * A handle that starts at the object's beginning and goes on is a copy or a
 * scan: the window doubles as long as it continues.  A handle that jumps (the
 * tail of a Parquet file, then column chunks) is asked for exact bytes, and
 * gets exact bytes: nothing ahead before a run of AHEAD_TRUST, and then at
 * most a quarter of the run so far.
 *
 * Ownership: embedded in the handle; zeroed is ready.
 *
 * Threads: one at a time.
 */
#ifndef LAKEFUSE_CACHE_AHEAD_H
#define LAKEFUSE_CACHE_AHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AHEAD_RUNS 4
#define AHEAD_REORDER (512u << 10) /* requests overtake each other so far */
#define AHEAD_FIRST (512u << 10)   /* the first window of a scan */
#define AHEAD_TRUST (2u << 20)	   /* a run so long counts as a scan */

/* One sequence of reads that follow each other. */
struct ahead_run {
	uint64_t next;	    /* where its next read is expected */
	uint64_t n_bytes;   /* read so far */
	uint64_t window;    /* of a scan from the beginning */
	uint64_t asked;	    /* fetched ahead up to here */
	uint64_t last_used; /* against ahead.n_reads */
};

struct ahead {
	struct ahead_run runs[AHEAD_RUNS];
	uint64_t n_reads;
	bool scattered; /* it has jumped, or did not start at the beginning */
};

/* What to fetch now, in pieces of piece bytes; from == to: nothing. */
struct ahead_want {
	uint64_t from;
	uint64_t to;
	size_t piece;
	struct ahead_run *run; /* its asked is the caller's to move on */
};

/*
 * Notes a read of size bytes at offset of an object of object_size bytes; max
 * is the largest window (0: never ahead).
 */
void ahead_note(struct ahead *a, uint64_t offset, size_t size,
		uint64_t object_size, uint64_t max, struct ahead_want *ret);

#endif
