/*
 * How a site does: its latency, its failures, and whether to leave it alone.
 *
 * The breaker opens after a few failures in a row and lets one request through
 * after a pause that doubles each time; an answer closes it.
 *
 * Threads: any.
 */
#ifndef LAKEFUSE_SITES_HEALTH_H
#define LAKEFUSE_SITES_HEALTH_H

#include "base/lock.h"
#include "sites/sites.h"

struct health_state {
	uint64_t latency_ns;  /* smoothed; 0: never measured */
	uint64_t measured_ns; /* when, monotonic */
	unsigned n_bad;	      /* failures in a row */
	uint64_t retry_ns;    /* breaker open: one try after that; 0: closed */
	uint64_t pause_ns;    /* the current pause */
	bool probing;	      /* the one try is under way */
	uint64_t n_requests;
	uint64_t n_failures;
	uint64_t read_bytes;
	uint64_t refused[N_REFUSALS];
	char last_error[240];
	int64_t last_error_ms;
};

struct health {
	struct mutex lock; /* RANK_SITES + 1 */
	struct health_state state;
	uint64_t prior_ns; /* fixed: latency assumed before it is measured */
};

void health_init(struct health *health, uint64_t prior_ns);
void health_done(struct health *health);

/*
 * May a request go there?  With an open breaker: only one, when the pause is
 * over; whoever gets true then reports back by health_good() or health_bad().
 */
bool health_allows(struct health *health);

/* The breaker is open; asks nothing. */
bool health_is_broken(struct health *health);

/* latency_ns 0: not measured by this request. */
void health_good(struct health *health, uint64_t latency_ns, uint64_t n_bytes);
void health_bad(struct health *health, const char *why);

/* It answered 401 or 403: remembered for status, no trouble of the site's. */
void health_denied(struct health *health, const char *why);

/*
 * A probe that brought no data went well: readers may try again, and the first
 * failure of theirs opens the breaker as if it had never closed.
 */
void health_probed(struct health *health, uint64_t latency_ns);

void health_refused(struct health *health, enum refusal why);

/* What to expect of it: measured, else the prior. */
uint64_t health_latency_ns(struct health *health);

void health_get(struct health *health, struct health_state *ret);

#endif
