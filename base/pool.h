/*
 * Threads that run what must not run on the caller's thread: calls to sites,
 * which may take seconds.
 *
 * Ownership: the caller gives a job and owns its memory until run() is called;
 * run() frees it or passes it on.  pool_free() waits for what is queued.
 *
 * Threads: pool_run() from any thread, with any lock of a rank below RANK_BASE
 * held.  Workers start when needed, up to the limit; all but the last end when
 * idle for some seconds.
 */
#ifndef LAKEFUSE_BASE_POOL_H
#define LAKEFUSE_BASE_POOL_H

struct pool;

struct job {
	struct job *next; /* the pool's */
	void (*run)(struct job *job);
};

/* Starts the first thread.  Returns 0, -ENOMEM, or -EAGAIN: no thread. */
int pool_new(const char *name, unsigned max_threads, struct pool **ret);

/* Waits until every job has run.  NULL is fine. */
void pool_free(struct pool *pool);

/* First come, first served.  Never fails, never blocks, never runs it here. */
void pool_run(struct pool *pool, struct job *job);

/* Jobs waiting for a thread now: a gauge. */
unsigned pool_queued(struct pool *pool);

#endif
