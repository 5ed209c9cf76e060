#include "base/metrics.h"

#include <stdatomic.h>

static atomic_uint_fast64_t counters[N_METRICS];

#define METRIC_NAME_(sym, name, help) [METRIC_##sym] = name,
static const char *const names[N_METRICS] = {METRICS(METRIC_NAME_)};
#define METRIC_HELP_(sym, name, help) [METRIC_##sym] = help,
static const char *const helps[N_METRICS] = {METRICS(METRIC_HELP_)};

void metric_add(enum metric m, uint64_t n)
{
	atomic_fetch_add_explicit(&counters[m], n, memory_order_relaxed);
}

uint64_t metric_get(enum metric m)
{
	return atomic_load_explicit(&counters[m], memory_order_relaxed);
}

const char *metric_name(enum metric m)
{
	return names[m];
}

const char *metric_help(enum metric m)
{
	return helps[m];
}
