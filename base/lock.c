#include "base/lock.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

/* A failing pthread call here is a bug of ours, never a state of the world. */
#define MUST(call)                     \
	do {                           \
		int must_rc_ = (call); \
		assert(must_rc_ == 0); \
		(void)must_rc_;        \
	} while (0)

#ifdef NDEBUG
static void rank_push(int rank)
{
	(void)rank;
}

static void rank_pop(int rank)
{
	(void)rank;
}

void assert_no_lock_held(void)
{
}
#else
#define RANKS_MAX 8

/* This thread's locks, in the order taken, so in rising rank. */
static _Thread_local int ranks[RANKS_MAX];
static _Thread_local int n_ranks;

static void rank_push(int rank)
{
	assert(n_ranks < RANKS_MAX);
	assert(n_ranks == 0 || ranks[n_ranks - 1] < rank);
	ranks[n_ranks++] = rank;
}

static void rank_pop(int rank)
{
	int i = n_ranks;

	while (i > 0 && ranks[i - 1] != rank)
		i--;
	assert(i > 0);
	for (n_ranks--; i <= n_ranks; i++)
		ranks[i - 1] = ranks[i];
}

void assert_no_lock_held(void)
{
	assert(n_ranks == 0);
}
#endif

void mutex_init(struct mutex *m, int rank)
{
	m->rank = rank;
	MUST(pthread_mutex_init(&m->m, NULL));
}

void mutex_done(struct mutex *m)
{
	MUST(pthread_mutex_destroy(&m->m));
}

void mutex_lock(struct mutex *m) UNCHECKED
{
	rank_push(m->rank);
	MUST(pthread_mutex_lock(&m->m));
}

void mutex_unlock(struct mutex *m) UNCHECKED
{
	/* First the rank: once unlocked, another thread may free the lock. */
	rank_pop(m->rank);
	MUST(pthread_mutex_unlock(&m->m));
}

void cond_init(struct cond *c)
{
	pthread_condattr_t attr;

	MUST(pthread_condattr_init(&attr));
	MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	MUST(pthread_cond_init(&c->c, &attr));
	MUST(pthread_condattr_destroy(&attr));
}

void cond_done(struct cond *c)
{
	MUST(pthread_cond_destroy(&c->c));
}

void cond_wake_all(struct cond *c)
{
	MUST(pthread_cond_broadcast(&c->c));
}

void cond_wake_one(struct cond *c)
{
	MUST(pthread_cond_signal(&c->c));
}

int cond_wait(struct cond *c, struct mutex *m, uint64_t deadline_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline_ns / 1000000000),
		.tv_nsec = (long)(deadline_ns % 1000000000),
	};
	int rc;

	if (deadline_ns == 0)
		rc = pthread_cond_wait(&c->c, &m->m);
	else
		rc = pthread_cond_timedwait(&c->c, &m->m, &until);
	assert(rc == 0 || rc == ETIMEDOUT);
	return -rc;
}
