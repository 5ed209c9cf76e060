/*
 * Misbehaviour on demand, so that clients can be tested against servers that
 * are slow, hung, cut, throttling or lying.  A server in production has none
 * of it active and pays one atomic load a request for it.
 *
 * A fault is a JSON object (keys: the table in faults.c); several may be
 * active.  A request asks once, at its beginning, for the plan: all that match
 * it, merged.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SERVE_FAULTS_H
#define LAKEFUSE_SERVE_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct faults;

/* What is to go wrong with one request.  -1: that number is not set. */
struct fault_plan {
	bool any;
	uint64_t epoch; /* of the set it was made from */
	int64_t latency_ms;
	int64_t bandwidth_bps; /* of the whole server */
	int64_t drip_bps;      /* of this connection */
	int64_t stall_after_bytes;
	int64_t cut_after_bytes;
	int64_t flip_every;
	int64_t flip_at; /* offset in the object */
	int64_t status;
	int64_t retry_after_s;
	int64_t keep_bytes; /* of a chunk of a resumable upload */
	bool hang;
	bool reset;
	bool html;
	bool wrong_range;
	bool ignore_range;
	bool wrong_generation;
	bool short_body;
	bool empty_pages;
	bool lose_reply; /* the work is done, its answer never sent */
};

struct faults *faults_new(void);
void faults_free(struct faults *f);

/* json: an object or a list of them; replaces all.  -EINVAL: see ret_why. */
int faults_set(struct faults *f, const char *json, size_t n, char *ret_why,
	       size_t why_room);
void faults_clear(struct faults *f);
/* The active ones as a JSON list, allocated; NULL: no memory. */
char *faults_show(struct faults *f);

/* target: as it was sent; decoded: the path again, percent-decoded. */
void faults_plan(struct faults *f, const char *method, const char *target,
		 const char *decoded, struct fault_plan *ret_plan);

/* False once faults were set or cleared since the plan was made. */
bool faults_still(struct faults *f, const struct fault_plan *plan);

/* Takes n bytes of the server's bandwidth; returns how long to wait, in ns. */
uint64_t faults_throttle(struct faults *f, int64_t bps, size_t n);

#endif
