/*
 * The engine's inside: lanes and transfers.  For sites/http*.c alone.
 *
 * A transfer is one http_do() under way and lives on that caller's stack.  The
 * lane's thread has it from the moment it stands in `incoming` until `done` is
 * set, under the lane's lock; after that it never touches it again.
 *
 * Threads: fields are marked with who may touch them: [caller] before it is
 * handed over and after done, [lock] whoever holds the lane's lock, [lane] the
 * lane's thread until done, [atomic] both.
 */
#ifndef LAKEFUSE_SITES_HTTP_LANE_H
#define LAKEFUSE_SITES_HTTP_LANE_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/lock.h"
#include "sites/http.h"

#define LANE_SPARES 64

struct lane;
struct host;

struct transfer {
	TAILQ_ENTRY(transfer) link;	 /* incoming, then its host's waiting */
	TAILQ_ENTRY(transfer) gone_link; /* [lock] lane->abandoned */
	struct lane *lane;
	struct http_request *request;
	struct http_response *response; /* [lane] */
	struct host *host;		/* [lane] */
	CURL *easy;			/* [lane] NULL: not moving */
	struct curl_slist expect, type; /* before the caller's headers */
	struct cond wake;		/* [lock] done, or progress */

	bool done;	/* [lock] */
	bool abandoned; /* [lock] the caller gave up */
	bool collected; /* [lock] the lane knows that */

	uint64_t queued_ns; /* fixed: when http_do() was called */
	/* Times are 0 until then. */
	atomic_uint_fast64_t started_ns; /* [atomic] */
	atomic_uint_fast64_t first_ns;	 /* [atomic] first byte of the answer */
	atomic_uint_fast64_t last_ns;	 /* [atomic] it last moved on */
	atomic_size_t n_done;		 /* [atomic] bytes in request->buf */

	/* [lane] */
	size_t n_since_mark; /* bytes since last_ns */
	size_t n_told; /* n_done at the last wake-up; changes under the lock */
	size_t n_headers, headers_room;
	size_t body_room;
	size_t n_dropped;
	bool headers_done;
	bool refused; /* by accept */
	bool enough;  /* an error's body is cut off: the status counts */
	int rc;	      /* what a callback said */
	CURLcode code;
	char why[CURL_ERROR_SIZE];
};

TAILQ_HEAD(transfers, transfer);

/* A scheme://host:port of one lane.  Few; kept until the lane ends. */
struct host {
	LIST_ENTRY(host) link;
	unsigned n_active;
	/*
	 * The last transfer got no answer in time.  Its connection may be dead
	 * without knowing it, so that the next one makes its own.
	 */
	bool suspect;
	struct transfers waiting;
	char key[];
};

struct lane {
	enum http_lane kind;
	CURLM *multi;
	pthread_t thread;
	struct mutex lock;
	struct transfers incoming;    /* [lock] */
	struct transfers abandoned;   /* [lock] */
	bool stopping;		      /* [lock] */
	LIST_HEAD(hosts, host) hosts; /* the thread's, as are these: */
	CURL *spares[LANE_SPARES];
	unsigned n_spares;
};

int lane_init(struct lane *lane, enum http_lane kind);
void lane_done(struct lane *lane); /* of an initialised one */
void lane_submit(struct lane *lane, struct transfer *t);
void lane_abandon(struct lane *lane, struct transfer *t) REQUIRES(lane->lock);

/* Sets a fresh easy handle up for t.  False: no memory. */
bool transfer_setup(struct transfer *t, CURL *easy);

#endif
