#include "fs/request.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "fs/options.h"
#include "fs/tree.h"

/* libfuse may have MAX_INLINE + some threads: see fs/mount.c. */
#define MAX_INLINE 64
#define MAX_POOLED 448

struct guarded {
	struct request *first;
	unsigned n_inline;
};

struct requests {
	struct mutex lock; /* RANK_FS + 1 */
	struct guarded guarded;
	struct pool *pool;
	struct tree *tree;
};

static struct guarded *held(struct requests *rs) REQUIRES(rs->lock)
{
	return &rs->guarded;
}

int requests_new(struct tree *tree, struct requests **ret)
{
	struct requests *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return -ENOMEM;
	mutex_init(&rs->lock, RANK_FS + 1);
	rs->tree = tree;
	if (pool_new("lf-request", MAX_POOLED, &rs->pool) < 0) {
		mutex_done(&rs->lock);
		free(rs);
		return -ENOMEM;
	}
	*ret = rs;
	return 0;
}

void requests_cancel_all(struct requests *rs)
{
	mutex_lock(&rs->lock);
	for (struct request *r = held(rs)->first; r; r = r->next)
		op_cancel(&r->op);
	mutex_unlock(&rs->lock);
}

static bool is_idle(struct requests *rs)
{
	bool idle;

	mutex_lock(&rs->lock);
	idle = !held(rs)->first;
	mutex_unlock(&rs->lock);
	return idle;
}

void requests_drain(struct requests *rs)
{
	struct timespec tick = {.tv_nsec = (long)(10 * NS_PER_MS)};

	while (!is_idle(rs)) {
		requests_cancel_all(rs);
		nanosleep(&tick, NULL);
	}
}

void requests_free(struct requests *rs)
{
	if (!rs)
		return;
	requests_cancel_all(rs);
	pool_free(rs->pool);
	assert(!rs->guarded.first);
	mutex_done(&rs->lock);
	free(rs);
}

struct request *request_new(fuse_req_t req, fuse_ino_t node)
{
	struct request *r = calloc(1, sizeof(*r));

	if (!r) {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	r->req = req;
	r->node = node;
	r->tree = fuse_req_userdata(req);
	op_init(&r->op, r->tree->options->op_timeout_ns);
	return r;
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct request *r = data;

	(void)req;
	op_cancel(&r->op);
}

/* True: this thread may run it. */
static bool enlist(struct requests *rs, struct request *r)
{
	bool here;

	mutex_lock(&rs->lock);
	r->next = held(rs)->first;
	if (r->next)
		r->next->prev = r;
	held(rs)->first = r;
	here = held(rs)->n_inline < MAX_INLINE;
	if (here)
		held(rs)->n_inline++;
	mutex_unlock(&rs->lock);
	return here;
}

static void delist(struct requests *rs, struct request *r)
{
	mutex_lock(&rs->lock);
	if (r->prev)
		r->prev->next = r->next;
	else
		held(rs)->first = r->next;
	if (r->next)
		r->next->prev = r->prev;
	mutex_unlock(&rs->lock);
}

static void leave_inline(struct requests *rs)
{
	mutex_lock(&rs->lock);
	held(rs)->n_inline--;
	mutex_unlock(&rs->lock);
}

static void run_pooled(struct job *job)
{
	struct request *r = (struct request *)job;

	r->run(r);
}

void request_start(struct request *r, void (*run)(struct request *r))
{
	struct requests *rs = r->tree->requests;

	r->run = run;
	fuse_req_interrupt_func(r->req, on_interrupt, r);
	if (enlist(rs, r)) {
		run(r);
		leave_inline(rs);
	} else {
		r->job.run = run_pooled;
		pool_run(rs->pool, &r->job);
	}
}

/* Answers that say nothing went wrong but what was asked. */
static bool is_everyday(int rc)
{
	switch (rc) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENODATA:
	case -EROFS:
	case -EINTR:
	case -ENAMETOOLONG:
	case -ERANGE:
	case -EINVAL:
	case -ESTALE:
		return true;
	default:
		return false;
	}
}

void request_answers(struct request *r)
{
	fuse_req_interrupt_func(r->req, NULL, NULL);
}

void request_end(struct request *r, int rc)
{
	if (rc < 0) {
		request_answers(r);
		if (!is_everyday(rc))
			log_warn("op %" PRIx64 ": %s: %s", r->op.id,
				 r->op.why[0] ? r->op.why : "failed",
				 strerror(-rc));
		fuse_reply_err(r->req, -rc);
	}
	delist(r->tree->requests, r);
	free(r);
}
