/*
 * Locks that the compiler can check, and that know their place.
 *
 * struct mutex is a clang capability.  With -Wthread-safety the compiler
 * reports a REQUIRES() function called without its lock, a lock still held on
 * some return path, and a lock taken twice.  gcc sees empty macros.
 *
 * GUARDED_BY() on a struct's own field is not here on purpose: in C, clang 14
 * rejects it and clang 19 and 22 warn where the lock is held.  Guarded fields
 * stand together in one struct instead, and a held() function that REQUIRES
 * the lock is the only way to them; cache/flight.c shows the pattern.
 *
 * Locks are taken in the order of their ranks, which is the order in which the
 * layers call each other.  A debug build stops a thread that takes one out of
 * order, the first time it does so, whether or not another thread is near.
 */
#ifndef LAKEFUSE_BASE_LOCK_H
#define LAKEFUSE_BASE_LOCK_H

#include <pthread.h>
#include <stdint.h>

#ifdef __clang__
#define TSA_(x) __attribute__((x))
#else
#define TSA_(x)
#endif
#define CAPABILITY(name) TSA_(capability(name))
#define ACQUIRE(...) TSA_(acquire_capability(__VA_ARGS__))
#define RELEASE(...) TSA_(release_capability(__VA_ARGS__))
#define REQUIRES(...) TSA_(requires_capability(__VA_ARGS__))
#define EXCLUDES(...) TSA_(locks_excluded(__VA_ARGS__))
#define UNCHECKED TSA_(no_thread_safety_analysis)

enum lock_rank {
	RANK_FS = 100,
	RANK_META = 200,
	RANK_CACHE = 300,
	RANK_SITES = 400,
	RANK_BASE = 500, /* leaf locks: nothing is taken under them */
};

struct CAPABILITY("mutex") mutex {
	pthread_mutex_t m;
	int rank;
};

struct cond {
	pthread_cond_t c;
};

void mutex_init(struct mutex *m, int rank);
void mutex_done(struct mutex *m);
void mutex_lock(struct mutex *m) ACQUIRE(*m);
void mutex_unlock(struct mutex *m) RELEASE(*m);

void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_wake_all(struct cond *c);
void cond_wake_one(struct cond *c);

/*
 * Waits for a wake-up, or until CLOCK_MONOTONIC passes deadline_ns (0: without
 * end).  Returns 0 or -ETIMEDOUT.  May return 0 early: look again.
 */
int cond_wait(struct cond *c, struct mutex *m, uint64_t deadline_ns)
	REQUIRES(*m);

/* Call before anything that can take long; a debug build checks. */
void assert_no_lock_held(void);

#endif
