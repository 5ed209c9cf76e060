/*
 * One request on its way through the layers.
 *
 * errno alone does not tell an operator why a read failed: three sites were
 * asked, and each had its own reason.  So whatever can fail for a reason
 * outside this process takes a struct op first, and reports through op_fail().
 * The first reason stays, because it is the cause; the later ones only pass it
 * on.  The layer on top logs it, once.
 *
 * Ownership: an op lives where the request lives (a stack, or inside a queued
 * request) and is never freed by the layers.  op_init() makes one.
 *
 * Threads: an op is used by one thread at a time, except for `cancelled`,
 * which any thread may set (op_cancel); who waits looks at it at least every
 * OP_POLL_NS.
 */
#ifndef LAKEFUSE_BASE_OP_H
#define LAKEFUSE_BASE_OP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Nobody sleeps longer than this without a look at op_expired(). */
#define OP_POLL_NS 50000000ULL

struct op {
	uint64_t id;		 /* in every log line about this request */
	uint64_t deadline_ns;	 /* on CLOCK_MONOTONIC; 0: none */
	atomic_bool cancelled;	 /* the caller was killed: give up soon */
	const struct op *parent; /* op_child(): ends when this does; or NULL */
	uint64_t
		retry_after_ns; /* a site asked to be left alone so long; or 0 */
	int rc;			/* the first failure, -errno; 0: none yet */
	char why[240];		/* its reason */
};

/* A fresh op with the next id.  timeout_ns counts from now; 0: no deadline. */
void op_init(struct op *op, uint64_t timeout_ns);

/*
 * An op for a part of parent's work: same id, ends with the parent or after
 * timeout_ns (0: with the parent alone), keeps its failures to itself.  The
 * parent outlives it.
 */
void op_child(struct op *op, const struct op *parent, uint64_t timeout_ns);

/* Notes the failure rc (-errno), if it is the first, and returns rc. */
int op_fail(struct op *op, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The caller has another way to succeed: the failure so far is forgotten. */
void op_forgive(struct op *op);

/* May be called from any thread, as long as op lives. */
void op_cancel(struct op *op);

/*
 * 0 while op may go on; -EINTR once cancelled, -ETIMEDOUT past its deadline.
 * Notes nothing: the caller knows what it was waiting for.
 */
int op_expired(const struct op *op);

/* When to wake up at the latest: the deadline or the next poll. */
uint64_t op_wake_ns(const struct op *op);

#endif
