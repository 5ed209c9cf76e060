#include "sites/aside.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

/* Behind so many calls a new one has no hope: the site hangs. */
#define QUEUE_MAX 1024
#define CLOSE_WAIT_NS (2 * NS_PER_S)

struct crew {
	struct pool *pool;
	const char *name;
	atomic_uint n_busy; /* steps queued or running */
};

int crew_new(const char *name, unsigned max_threads, struct crew **ret)
{
	struct crew *crew = calloc(1, sizeof(*crew));
	int rc;

	if (!crew)
		return -ENOMEM;
	crew->name = name;
	rc = pool_new(name, max_threads, &crew->pool);
	if (rc < 0)
		free(crew);
	else
		*ret = crew;
	return rc;
}

bool crew_free(struct crew *crew)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	uint64_t until = clock_mono_ns() + CLOSE_WAIT_NS;

	if (!crew)
		return true;
	while (atomic_load(&crew->n_busy) && clock_mono_ns() < until)
		nanosleep(&pause, NULL);
	if (atomic_load(&crew->n_busy)) {
		log_warn("%s: %u calls still hang; left behind", crew->name,
			 atomic_load(&crew->n_busy));
		return false;
	}
	pool_free(crew->pool);
	free(crew);
	return true;
}

void crew_run(struct crew *crew, struct job *job)
{
	atomic_fetch_add(&crew->n_busy, 1);
	pool_run(crew->pool, job);
}

void crew_end(struct crew *crew)
{
	/* Who sees 0 may take everything away. */
	atomic_fetch_sub(&crew->n_busy, 1);
}

unsigned crew_queued(struct crew *crew)
{
	return pool_queued(crew->pool);
}

static struct aside_state *held(struct aside *aside) REQUIRES(aside->lock)
{
	return &aside->state;
}

static void drop(struct aside *aside)
{
	cond_done(&aside->landed);
	mutex_done(&aside->lock);
	aside->drop(aside);
}

/* On a worker's thread. */
static void run(struct job *job)
{
	struct aside *aside = (struct aside *)job;
	struct crew *crew = aside->crew;
	bool left;
	int rc = -EINTR;

	mutex_lock(&aside->lock);
	left = held(aside)->left;
	mutex_unlock(&aside->lock);
	if (!left)
		rc = aside->step(aside);

	mutex_lock(&aside->lock);
	held(aside)->busy = false;
	held(aside)->rc = rc;
	left = held(aside)->left;
	cond_wake_all(&aside->landed);
	mutex_unlock(&aside->lock);
	if (left)
		drop(aside);
	crew_end(crew);
}

void aside_init(struct aside *aside, struct op *op, struct crew *crew,
		void (*drop_fn)(struct aside *aside))
{
	aside->crew = crew;
	aside->drop = drop_fn;
	aside->state = (struct aside_state){0};
	op_init(&aside->op, 0);
	aside->op.id = op->id;
	aside->op.deadline_ns = op->deadline_ns;
	mutex_init(&aside->lock, RANK_SITES);
	cond_init(&aside->landed);
}

/* Waits until the step has landed: 0, or why it is waited for no more. */
static int wait(struct op *op, struct aside *aside, uint64_t until_ns)
	REQUIRES(aside->lock)
{
	while (held(aside)->busy) {
		uint64_t wake = op_wake_ns(op);
		int rc = op_expired(op);

		if (rc < 0)
			return rc;
		if (until_ns && clock_mono_ns() >= until_ns)
			return -EAGAIN;
		if (until_ns && until_ns < wake)
			wake = until_ns;
		cond_wait(&aside->landed, &aside->lock, wake);
	}
	return 0;
}

int aside_do(struct op *op, struct aside *aside,
	     int (*step)(struct aside *aside), uint64_t until_ns)
{
	int rc;

	assert(!aside->state.busy);
	if (crew_queued(aside->crew) > QUEUE_MAX)
		return op_fail(op, -EAGAIN, "%s: too many calls hang",
			       aside->crew->name);
	aside->step = step;
	aside->state.busy = true;
	aside->job.run = run;
	crew_run(aside->crew, &aside->job);

	mutex_lock(&aside->lock);
	rc = wait(op, aside, until_ns);
	if (rc == 0) {
		rc = held(aside)->rc;
		mutex_unlock(&aside->lock);
		if (rc < 0)
			op_fail(op, rc, "%s", aside->op.why);
		return rc;
	}
	mutex_unlock(&aside->lock);
	return op_fail(op, rc, "%s: no answer from the file system",
		       aside->crew->name);
}

void aside_leave(struct aside *aside)
{
	bool busy;

	op_cancel(&aside->op);
	mutex_lock(&aside->lock);
	held(aside)->left = true;
	busy = held(aside)->busy;
	mutex_unlock(&aside->lock);
	if (!busy)
		drop(aside);
}
