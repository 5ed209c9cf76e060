#include "base/pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"

/*
 * Workers are detached and counted; pool_free() waits until the count is 0.
 * The first worker starts with the pool and stays: whatever the machine runs
 * out of later, what is queued is run.
 */

#define IDLE_NS (10 * NS_PER_S)
#define STACK_BYTES (256 * 1024)

struct guarded {
	struct job *first;
	struct job **last;
	unsigned n_queued;
	unsigned n_threads;
	unsigned n_idle;
	bool closing;
};

struct pool {
	struct mutex lock; /* RANK_BASE */
	struct guarded guarded;
	struct cond work; /* a job came, or closing */
	struct cond gone; /* a worker ended */
	const char *name;
	unsigned max_threads;
};

static struct guarded *held(struct pool *p) REQUIRES(p->lock)
{
	return &p->guarded;
}

static struct job *take_job(struct pool *p) REQUIRES(p->lock)
{
	struct guarded *g = held(p);
	struct job *job = g->first;

	if (!job)
		return NULL;
	g->first = job->next;
	if (!g->first)
		g->last = &g->first;
	g->n_queued--;
	return job;
}

/* The next job, or NULL: this worker is idle long enough, and not the last. */
static struct job *wait_for_job(struct pool *p) REQUIRES(p->lock)
{
	uint64_t until_ns = clock_mono_ns() + IDLE_NS;
	struct job *job;
	int rc = 0;

	while (!(job = take_job(p)) && !held(p)->closing &&
	       (rc == 0 || held(p)->n_threads == 1)) {
		if (rc != 0)
			until_ns = 0;
		held(p)->n_idle++;
		rc = cond_wait(&p->work, &p->lock, until_ns);
		held(p)->n_idle--;
	}
	return job ? job : take_job(p);
}

static void *worker(void *arg)
{
	struct pool *p = arg;
	struct job *job;

	pthread_setname_np(pthread_self(), p->name);
	mutex_lock(&p->lock);
	while ((job = wait_for_job(p))) {
		mutex_unlock(&p->lock);
		job->run(job);
		assert_no_lock_held();
		mutex_lock(&p->lock);
	}
	held(p)->n_threads--;
	cond_wake_all(&p->gone);
	mutex_unlock(&p->lock);
	return NULL;
}

static bool start_worker(struct pool *p)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	rc = pthread_create(&thread, &attr, worker, p);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		log_warn("%s: can't start a thread: error %d", p->name, rc);
	return rc == 0;
}

int pool_new(const char *name, unsigned max_threads, struct pool **ret)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	mutex_init(&p->lock, RANK_BASE);
	cond_init(&p->work);
	cond_init(&p->gone);
	p->guarded.last = &p->guarded.first;
	p->name = name;
	p->max_threads = max_threads ? max_threads : 1;
	p->guarded.n_threads = 1;
	if (!start_worker(p)) {
		p->guarded.n_threads = 0;
		pool_free(p);
		return -EAGAIN;
	}
	*ret = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	mutex_lock(&p->lock);
	held(p)->closing = true;
	cond_wake_all(&p->work);
	while (held(p)->n_threads > 0)
		cond_wait(&p->gone, &p->lock, 0);
	assert(!held(p)->first);
	mutex_unlock(&p->lock);
	cond_done(&p->gone);
	cond_done(&p->work);
	mutex_done(&p->lock);
	free(p);
}

static void push(struct pool *p, struct job *job) REQUIRES(p->lock)
{
	struct guarded *g = held(p);

	job->next = NULL;
	*g->last = job;
	g->last = &job->next;
	g->n_queued++;
}

void pool_run(struct pool *p, struct job *job)
{
	bool start;

	mutex_lock(&p->lock);
	push(p, job);
	start = held(p)->n_queued > held(p)->n_idle &&
		held(p)->n_threads < p->max_threads;
	if (start)
		held(p)->n_threads++;
	cond_wake_one(&p->work);
	mutex_unlock(&p->lock);
	if (start && !start_worker(p)) {
		mutex_lock(&p->lock);
		held(p)->n_threads--; /* the others will come to it */
		mutex_unlock(&p->lock);
	}
}

unsigned pool_queued(struct pool *p)
{
	unsigned n;

	mutex_lock(&p->lock);
	n = held(p)->n_queued;
	mutex_unlock(&p->lock);
	return n;
}
