/*
 * The demo's lake: the record with its tables, and what an unreliable copier
 * has left of them at the replicas.
 *
 * Threads: one.
 */
#ifndef LAKEFUSE_CLI_DEMO_LAKE_H
#define LAKEFUSE_CLI_DEMO_LAKE_H

#include "cli/demo_stage.h"
#include "cli/demo_tables.h"

struct op;

/* Two objects that belong together and come last: a commit. */
#define DEMO_LATE_DATA "flights/month=3/"
#define DEMO_LATE_LOG "flights/_delta_log/00000000000000000002.json"

struct demo {
	struct stage *stage;
	struct table *tables;
};

/* Puts all but the late commit, unevenly, and prints what is where. */
int demo_lake_fill(struct op *op, const struct demo *demo);

/* How far each site is from here, from now on. */
int demo_lake_set_distances(struct op *op, const struct demo *demo);

/* Writes lake.yaml. */
int demo_lake_describe(struct op *op, const struct demo *demo);

#endif
