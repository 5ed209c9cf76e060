/*
 * One scene of the demo: the site that serves a running read is killed.
 *
 * Threads: one.
 */
#ifndef LAKEFUSE_CLI_DEMO_DEATH_H
#define LAKEFUSE_CLI_DEMO_DEATH_H

#include "cli/demo_lake.h"

struct op;

int demo_death(struct op *op, struct demo *demo);

#endif
