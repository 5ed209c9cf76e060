#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/op.h"
#include "sites/lake.h"

#define PAUSE_FIRST_NS (100 * NS_PER_MS)
#define PAUSE_MAX_NS (5 * NS_PER_S)

bool is_site_trouble(int rc)
{
	return rc == -EAGAIN || rc == -EPROTO;
}

static uint64_t jitter(uint64_t up_to)
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = clock_mono_ns();
	return up_to ? random % up_to : 0;
}

int retry_pause(struct op *op, unsigned n, uint64_t at_least_ns)
{
	uint64_t pause_ns = PAUSE_FIRST_NS << (n < 7 ? n - 1 : 6);
	uint64_t until_ns;
	int rc;

	if (pause_ns > PAUSE_MAX_NS)
		pause_ns = PAUSE_MAX_NS;
	pause_ns = pause_ns / 2 + jitter(pause_ns / 2);
	if (pause_ns < at_least_ns)
		pause_ns = at_least_ns + jitter(at_least_ns / 8);
	until_ns = clock_mono_ns() + pause_ns;
	while ((rc = op_expired(op)) == 0 && clock_mono_ns() < until_ns) {
		uint64_t wake_ns = op_wake_ns(op);
		struct timespec ts;

		if (wake_ns > until_ns)
			wake_ns = until_ns;
		ts.tv_sec = (time_t)(wake_ns / NS_PER_S);
		ts.tv_nsec = (long)(wake_ns % NS_PER_S);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
	}
	return rc;
}
