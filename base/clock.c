#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static atomic_int_fast64_t skew_ns;

static int64_t now_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * (int64_t)NS_PER_S + ts.tv_nsec +
	       atomic_load_explicit(&skew_ns, memory_order_relaxed);
}

uint64_t clock_mono_ns(void)
{
	return (uint64_t)now_ns(CLOCK_MONOTONIC);
}

int64_t clock_wall_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

int64_t clock_wall_ms(void)
{
	return now_ns(CLOCK_REALTIME) / (int64_t)NS_PER_MS;
}

void clock_skew_for_test(int64_t add_ns)
{
	atomic_fetch_add(&skew_ns, add_ns);
}
