/*
 * What time it is.  Waiting and ages use the monotonic clock, which no
 * administrator moves; the wall clock is for what outlives the process (rows
 * in the catalogue, leases) and for people.
 *
 * Threads: any.  clock_skew_for_test() moves both clocks, for unit tests only.
 */
#ifndef LAKEFUSE_BASE_CLOCK_H
#define LAKEFUSE_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

uint64_t clock_mono_ns(void);

/* Since 1970, UTC. */
int64_t clock_wall_ns(void);
int64_t clock_wall_ms(void);

/* Adds to what both clocks say from now on.  Unit tests age things by it. */
void clock_skew_for_test(int64_t add_ns);

#endif
